import Events
import Foundation
import Glibc
import Journal
import TestSupport
import Testing

@testable import Audit

/// The tree that stands beside the log in the journal.
@Suite struct `The tree beside the log` {
    /// Sizes at which a proof crosses the edge of a tile, and of a tile of tiles.
    private static let sizes: [UInt64] = [
        1, 2, 255, 256, 257, 511, 512, 4_097, 65_280, 65_535, 65_536, 65_537, 65_793,
    ]

    /// 65,793 events: 257 tiles, and one of them of tiles; committed in random batches, of which some fail.
    @Test func `is RFC 6962's across tiles, whatever the batches and the failures`() throws {
        var random = SeededGenerator(seed: 6_962)
        let last = Self.sizes.last!
        let log = try MadeUpLog()
        var size: UInt64 = 0
        while size < last {
            size = min(size + UInt64.random(in: 1...5_000, using: &random), last)
            let fails = Int.random(in: 0..<3, using: &random) == 0
            log.grow(
                through: size,
                fault: fails ? CommitFault(code: EIO, lands: Bool.random(using: &random)) : nil)
            let edge = try log.edge()
            #expect(edge.size == size && edge.root == log.tree.root(Int(size)), "\(size)")
        }
        var expected: [String: TreeHash] = [:]
        for index in 0..<257 {
            expected[Self.key(1, index)] = log.tree.root(index * 256..<index * 256 + 256)
        }
        expected[Self.key(2, 0)] = log.tree.root(65_536)
        #expect(try log.tiles() == expected)

        // The same to whoever starts with it.
        try log.reopen()
        let notary = log.notary()
        for size in Self.sizes {
            for seq in Self.sizes where seq <= size {
                let proof = try notary.inclusion(of: seq, size: size, in: log.journal)
                #expect(proof.hashes == log.tree.inclusion(of: Int(seq) - 1, in: Int(size)))
                #expect(proof.index == seq - 1)
                let head = try TreeHead(parsing: proof.checkpoint)
                #expect(head.size == size && head.root == log.tree.root(Int(size)))
            }
            for old in [0] + Self.sizes where old <= size {
                let proof = try notary.consistency(from: old, to: size, in: log.journal)
                #expect(
                    proof.hashes == log.tree.consistency(from: Int(old), to: Int(size)),
                    "\(old) to \(size)")
            }
        }
    }
    private static func key(_ level: Int, _ index: Int) -> String {
        var key = ByteBuffer()
        key.append(UInt8(level))
        key.append(uint64: UInt64(index).byteSwapped)
        var text = ByteBuffer()
        text.append(hex: key.bytes)
        return text.string
    }

    @Test func `is made up from the log where a directory has none`() throws {
        let log = try MadeUpLog(through: 700, projections: [])
        try log.reopen()
        #expect(try log.edge().root == log.tree.root(700))
        #expect(try log.tiles().count == 2)
        // Left out once more, by a tollgate that knows no tree.
        try log.reopen([])
        log.grow(through: 1_100)
        try log.reopen()
        #expect(try log.edge().root == log.tree.root(1_100))
        #expect(try log.tiles().count == 4)
    }

    @Test func `whose edge is damaged stops the start`() throws {
        let log = try MadeUpLog(through: 5)
        try log.plant([0], [1, 2, 3])
        let error = #expect(throws: JournalError.self) { try log.reopen() }
        #expect(error?.kind == .damaged && error?.message.contains("backup") == true, "\(error!)")
    }
    @Test func `ahead of the log stops the start`() throws {
        let log = try MadeUpLog(through: 300)
        let more = try MadeUpLog(through: 301)
        var row = ByteBuffer()
        try more.edge().encode(into: &row)
        try log.plant(
            [0], Array(UnsafeRawBufferPointer(start: row.bytes.base, count: row.count)))
        let error = #expect(throws: JournalError.self) { try log.reopen() }
        #expect(error?.message.contains("tree is ahead of its events") == true, "\(error!)")
    }

    /// LMDB reads a row of a kind that it then refuses to write. A start does not look at every page.
    @Test func `on a page that LMDB cannot write says who finds it`() throws {
        let log = try MadeUpLog(through: 5)
        var row = ByteBuffer()
        try log.edge().encode(into: &row)
        let path = log.directory + "/journal/data.mdb"
        log.journal.shutdown()
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        // The row's length, flags and key's length, and the key.
        let node = [UInt8(row.count), 0, 0, 0, 0, 0, 1, 0, 0]
        for at in 0..<bytes.count - node.count where bytes[at..<at + node.count].elementsEqual(node)
        {
            bytes[at + 4] = 2
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        try log.reopen()
        MadeUpLog.event(6).withUnsafeBytes { log.journal.stage(Bytes($0)) }
        #expect(log.journal.commitOnce() == .failed)
        #expect(log.journal.stateReason.contains("tollgate doctor"), "\(log.journal.stateReason)")
    }

    /// A wrong row proves nothing, and whoever asks is told so rather than handed a proof of something else.
    @Test func `with a wrong tile answers no proof`() throws {
        let log = try MadeUpLog(through: 600)
        let notary = log.notary()
        let note = try notary.checkpoint(of: log.journal)
        let wrong = NaiveTree.digest([9]).bytes
        try log.plant([1, 0, 0, 0, 0, 0, 0, 0, 0], wrong)
        let told = message { () throws(AuditFailure) in
            try notary.inclusion(of: 300, size: nil, in: log.journal)
        }
        #expect(told?.contains("does not prove what it should") == true, "\(told ?? "a proof")")
        #expect(told?.contains("tollgate doctor") == true)
        // What is signed is not taken back: the edge says what it said.
        #expect(try notary.checkpoint(of: log.journal) == note)
        log.grow(through: 601)
        let next = message { () throws(AuditFailure) in try notary.checkpoint(of: log.journal) }
        #expect(next?.contains("contradicts the checkpoint") == true, "\(next ?? "a checkpoint")")
        #expect(notary.status.problem == next)
    }
}

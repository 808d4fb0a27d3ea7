import Audit
import Events
import TestSupport

@testable import Journal

/// A journal of made-up events in a directory of its own, and what the tree beside it must be.
final class MadeUpLog {
    let scratch: Scratch
    let tree = NaiveTree()
    private(set) var journal: Journal
    var directory: String { scratch.file("data") }

    init(through last: UInt64 = 0, projections: [any Projection] = [MerkleTree()]) throws {
        scratch = try Scratch()
        journal = try Self.open(scratch, projections)
        grow(through: last)
    }
    /// As another start finds it.
    func reopen(_ projections: [any Projection] = [MerkleTree()]) throws {
        journal.shutdown()
        journal = try Self.open(scratch, projections)
    }
    private static func open(
        _ scratch: Scratch, _ projections: [any Projection]
    ) throws(JournalError) -> Journal {
        var options = JournalOptions(directory: scratch.file("data"))
        options.ringBytes = 1 << 20
        options.mapBytes = 1 << 28
        options.pauseBelowBytes = 0
        options.projections = projections
        return try Journal.open(options)
    }

    /// Stages and commits more events; `fault` is what the first of the commits answers.
    func grow(through last: UInt64, fault: CommitFault? = nil) {
        if let fault { journal.log.environment.commitFaults = [fault] }
        while journal.stagedSeq < last {
            let event = Self.event(journal.stagedSeq + 1)
            if event.count > journal.stageableBytes { commit() }
            tree.append(event)
            event.withUnsafeBytes { journal.stage(Bytes($0)) }
        }
        commit()
    }
    private func commit() {
        // A failed commit is tried again, as the committer does.
        for _ in 0..<5 where journal.durableSeq < journal.stagedSeq { _ = journal.commitOnce() }
        precondition(journal.durableSeq == journal.stagedSeq, "all that is staged is committed")
    }
    /// The event of one seq, always the same: its length follows from the seq.
    static func event(_ seq: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seq)
        let text = (0..<Int(2 + random.next() % 60)).map { _ in UInt8(97 + random.next() % 26) }
        var buffer = ByteBuffer()
        text.withUnsafeBytes {
            DocumentEvent(
                header: EventHeader(
                    type: seq == 1 ? .ledgerCreated : .limitsSet, epoch: 1, seq: seq,
                    time: Instant(nanoseconds: 1_000_000 * Int64(seq)), actor: .daemon,
                    account: .none),
                number: 0, json: Bytes($0)
            ).encode(into: &buffer)
        }
        return Array(UnsafeRawBufferPointer(start: buffer.bytes.base, count: buffer.count))
    }

    func notary() -> Notary { Notary(directory: directory, of: journal) }
    func edge() throws -> TreeEdge {
        try journal.readProjection(.tree) { rows, _ throws(LMDBError) in
            try MerkleTree.edge(rows)
        }
    }
    /// Every row of the tree's table but the edge, as hexadecimal digits.
    func tiles() throws -> [String: TreeHash] {
        try journal.readProjection(.tree) { rows, _ throws(LMDBError) in
            var tiles: [String: TreeHash] = [:]
            try rows.forEach(from: Bytes("\u{1}" as StaticString)) { key, value throws(LMDBError) in
                var text = ByteBuffer()
                text.append(hex: key)
                tiles[text.string] = TreeHash(value)
                return true
            }
            return tiles
        }
    }
    /// Puts a row into the tree's table that the events do not say.
    func plant(_ key: [UInt8], _ value: [UInt8]) throws {
        try journal.log.environment.write { txn throws(LMDBError) in
            var row = ByteBuffer()
            key.withUnsafeBytes { row.append(Bytes($0)) }
            value.withUnsafeBytes { row.append(Bytes($0)) }
            try txn.rows(of: .tree).put(
                row.bytes.slice(0, key.count), row.bytes.slice(key.count, row.count))
        }
    }
}

/// The message an operation fails with; nil when it does not.
func message<R>(_ body: () throws(AuditFailure) -> R) -> String? {
    do throws(AuditFailure) {
        _ = try body()
        return nil
    } catch {
        return error.message
    }
}

import Events
import Glibc
import Testing

@testable import Journal

@Suite struct `Books on disk` {
    let scratch = Scratch()
    let journal: Journal
    var directory: String { scratch.data + "/checkpoints" }

    init() throws {
        journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 100)
        journal.waitDurable(100)
    }
    private func write(_ seq: UInt64, _ payload: String) throws(JournalError) {
        try payload.withBytes { payload throws(JournalError) in
            try journal.writeCheckpoint(seq: seq, payload)
        }
    }
    private func newest() throws -> (seq: UInt64, payload: String, notes: [String]) {
        var notes: [String] = []
        let found = try journal.newestValidCheckpoint(notes: &notes)
        return (found?.seq ?? 0, found?.payload.string ?? "", notes)
    }

    @Test func `the newest one is found and two are kept`() throws {
        #expect(try newest().seq == 0)
        for seq in [10, 20, 90, 100] as [UInt64] { try write(seq, "book of \(seq)") }
        let found = try newest()
        #expect(found.seq == 100 && found.payload == "book of 100" && found.notes.isEmpty)
        #expect(directoryEntries(directory) == ["100.book", "90.book"])
    }

    @Test func `a damaged one gives way to the older, whichever byte is flipped`() throws {
        try write(10, "older")
        try write(20, "newer")
        let path = directory + "/20.book"
        let whole = readFile(path)
        for i in whole.indices {
            var broken = whole
            broken[i] ^= 0x41
            writeFile(path, broken)
            let found = try newest()
            #expect(found.payload == "older" && found.notes.count == 1, "byte \(i)")
        }
        for count in 0..<whole.count {
            writeFile(path, whole.prefix(count))
            let found = try newest()
            #expect(found.payload == "older" && found.notes.count == 1, "\(count) bytes")
        }
        writeFile(path, whole + [0])
        #expect(try newest().payload == "older")
        writeFile(path, whole)
        #expect(try newest().payload == "newer")
    }

    @Test
    func
        `those of another ledger, history or seq are set aside; one ahead of the journal is refused`()
        throws
    {
        try write(10, "ours")
        let checkpoints = Checkpoints(directory: directory, ledgerID: journal.ledgerID)
        let foreign = Checkpoints(directory: directory, ledgerID: LedgerID(high: 5, low: 5))
        let checksum = try #require(try journal.log.checksum(of: 30))
        try checkpoints.write(seq: 30, eventChecksum: checksum &+ 1, Bytes("another history"))
        #expect(try newest().notes[0].contains("another history"))
        try foreign.write(seq: 40, eventChecksum: 0, Bytes("foreign"))
        #expect(try newest().notes[0].contains("belongs to ledger"))
        try checkpoints.write(seq: 101, eventChecksum: 0, Bytes("ahead"))
        // Not a stale file but lost events: that is no start to go on from.
        #expect {
            _ = try newest()
        } throws: {
            ($0 as? JournalError)?.message.contains("ahead of the journal") ?? false
        }
        unlink(directory + "/101.book")
        rename(directory + "/10.book", directory + "/50.book")
        let found = try newest()
        #expect(found.seq == 0 && found.notes[0].contains("is of seq 10"))
    }

    @Test func `what a crash left half written is removed`() throws {
        writeFile(directory + "/77.book.tmp", [1, 2, 3])
        #expect(try newest().seq == 0)
        #expect(directoryEntries(directory).isEmpty)
    }
}

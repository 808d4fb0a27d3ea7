import Events
import Glibc
import Synchronization
import Testing

@testable import Journal

/// Sums what it folds: the last seq, how many events and bytes, and a checksum of all bytes in order.
private final class Tally: Projection {
    let table: ProjectionTable
    /// What it remembers between transactions; the row must be the same.
    private let memory = Mutex<[UInt64]>([0, 0, 0, 0])
    private let resumed = Mutex<Int>(0)

    init(_ table: ProjectionTable) { self.table = table }
    var resumes: Int { resumed.withLock { $0 } }

    func resume(_ rows: borrowing ProjectionRows) throws(LMDBError) -> UInt64 {
        let found = try Tally.row(rows)
        resumed.withLock { $0 += 1 }
        memory.withLock { $0 = found }
        return found[0]
    }
    func fold(_ events: EventPage, into rows: borrowing ProjectionRows) throws(LMDBError) {
        let tally = memory.withLock { tally in
            for event in events.events {
                tally[0] += 1
                precondition(event.base!.field(UInt64.self, 8) == tally[0], "in order, each once")
                tally[1] += 1
                tally[2] += UInt64(event.count)
                for i in 0..<event.count { tally[3] = tally[3] &* 31 &+ UInt64(event[i]) }
            }
            return tally
        }
        // Behind the newest event there is nothing; itself can be read again in the same transaction.
        var copy = ByteBuffer()
        guard try rows.event(tally[0], into: &copy), try !rows.event(tally[0] + 1, into: &copy),
            copy.count == StoredEventLength.of(copy.bytes)
        else { throw .damagedRows("reading what was just appended") }
        var row = ByteBuffer()
        for word in tally { row.append(uint64: word) }
        try rows.put(Bytes("tally"), row.bytes)
    }

    static func row(_ rows: borrowing ProjectionRows) throws(LMDBError) -> [UInt64] {
        var reader = ByteReader(try rows.value(Bytes("tally")) ?? .empty)
        let words = [reader.uint64(), reader.uint64(), reader.uint64(), reader.uint64()]
        return reader.failed ? [0, 0, 0, 0] : words
    }
    /// What it must say after so many events.
    static func expected(through last: UInt64) -> [UInt64] {
        var tally: [UInt64] = [last, last, 0, 0]
        for seq in 1...last {
            let event = makeEvent(seq)
            tally[2] += UInt64(event.count)
            for byte in event { tally[3] = tally[3] &* 31 &+ UInt64(byte) }
        }
        return tally
    }
}

private enum StoredEventLength {
    static func of(_ bytes: Bytes) -> Int { Int(bytes.base!.field(UInt16.self, 0)) }
}

@Suite struct `A projection` {
    private func open(_ scratch: Scratch, _ projections: [any Projection]) throws -> Journal {
        var options = scratch.options()
        options.projections = projections
        return try Journal.open(options)
    }
    private func tally(_ journal: Journal, _ table: ProjectionTable) throws -> [UInt64] {
        try journal.readProjection(table) { rows, end throws(LMDBError) in
            let found = try Tally.row(rows)
            #expect(found[0] == end, "it is where the log is")
            return found
        }
    }

    @Test func `is where the log is after every commit, whatever the batches`() throws {
        let scratch = Scratch()
        let journal = try open(scratch, [Tally(.tree), Tally(.rollups)])
        for last in [1, 2, 3, 500, 501, 4_000] as [UInt64] {
            journal.stage(through: last)
            #expect(journal.commitOnce() == .committed)
            #expect(try tally(journal, .tree) == Tally.expected(through: last))
            #expect(try tally(journal, .rollups) == Tally.expected(through: last))
        }
    }

    @Test(arguments: [true, false])
    func `neither skips nor repeats an event when a commit fails`(lands: Bool) throws {
        let scratch = Scratch()
        let projection = Tally(.rollups)
        let journal = try open(scratch, [projection])
        journal.stage(through: 100)
        #expect(journal.commitOnce() == .committed)
        journal.log.environment.commitFaults = [.init(code: EIO, lands: lands)]
        let before = projection.resumes
        journal.stage(through: 250)
        #expect(journal.commitOnce() == .committed)
        journal.stage(through: 300)
        #expect(journal.commitOnce() == .committed)
        #expect(projection.resumes == before + 1)
        #expect(try tally(journal, .rollups) == Tally.expected(through: 300))
    }

    @Test func `is caught up in a directory that has none, and when it was left out`() throws {
        let scratch = Scratch()
        for (last, projections) in [
            (1_000, []), (1_001, [.tree]), (3_000, []), (3_001, [.tree, .rollups]),
        ] as [(UInt64, [ProjectionTable])] {
            let journal = try open(scratch, projections.map { Tally($0) })
            for table in projections {
                #expect(try tally(journal, table) == Tally.expected(through: journal.lastSeq))
            }
            journal.stage(through: last)
            #expect(journal.commitOnce() == .committed)
            for table in projections {
                #expect(try tally(journal, table) == Tally.expected(through: last))
            }
            journal.shutdown()
        }
        let inspection = try Inspection(directory: scratch.data, everyPage: true)
        let found = try inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
            try Tally.row(rows)
        }
        #expect(found == Tally.expected(through: 3_001))
    }

    @Test func `has the events that stood only in the ring`() throws {
        let scratch = Scratch()
        let journal = try open(scratch, [Tally(.tree)])
        journal.stage(through: 50)
        #expect(journal.commitOnce() == .committed)
        journal.stage(through: 80)
        let crashed = scratch.copy()
        let second = try open(crashed, [Tally(.tree)])
        #expect(second.lastSeq == 80)
        #expect(try tally(second, .tree) == Tally.expected(through: 80))
    }

    @Test func `goes on when the map has to grow under it`() throws {
        let scratch = Scratch()
        var options = scratch.options(map: 1 << 20)
        options.projections = [Tally(.tree)]
        let journal = try Journal.open(options)
        for last in stride(from: 2_000, through: 20_000, by: 2_000) as StrideThrough<UInt64> {
            journal.stage(through: last)
            #expect(journal.commitOnce() == .committed)
        }
        #expect(journal.statistics.mapBytes > 1 << 20)
        #expect(try tally(journal, .tree) == Tally.expected(through: 20_000))
    }

    @Test func `ahead of the log is refused`() throws {
        let scratch = Scratch()
        let journal = try open(scratch, [Tally(.tree)])
        journal.stage(through: 10)
        #expect(journal.commitOnce() == .committed)
        try journal.log.environment.write { txn throws(LMDBError) in
            var row = ByteBuffer()
            for word in Tally.expected(through: 11) { row.append(uint64: word) }
            try txn.rows(of: .tree).put(Bytes("tally"), row.bytes)
        }
        journal.shutdown()
        let error = failure { () throws(JournalError) in
            var options = scratch.options()
            options.projections = [Tally(.tree)]
            return try Journal.open(options)
        }
        #expect(error?.kind == .damaged && error?.message.contains("tree is ahead") == true)
    }

    @Test func `keeps rows in the order of their keys`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.log.environment.write { txn throws(LMDBError) in
            let rows = txn.rows(of: .rollups)
            for key in ["b", "a", "c", "ab"] { try rows.put(Bytes(StaticKey.of(key)), Bytes("1")) }
            try rows.put(Bytes("c"), Bytes("2"))
            let removed = [try rows.remove(Bytes("b")), try rows.remove(Bytes("b"))]
            #expect(removed == [true, false])
        }
        let found = try journal.readProjection(.rollups) { rows, _ throws(LMDBError) in
            var found: [String] = []
            try rows.forEach(from: Bytes("ab")) { key, value throws(LMDBError) in
                found.append(key.string + value.string)
                return true
            }
            return found
        }
        #expect(found == ["ab1", "c2"])
    }
}

private enum StaticKey {
    static func of(_ key: String) -> StaticString {
        switch key {
        case "a": "a"
        case "b": "b"
        case "c": "c"
        default: "ab"
        }
    }
}

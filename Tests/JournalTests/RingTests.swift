import CLinux
import Events
import Glibc
import Testing

@testable import Journal

private let ledger = LedgerID(high: 1, low: 2)

/// A small ring that has gone around: events 1 … 60 were freed or overwritten, `live` are staged.
private func makeSmallRing(_ path: String) throws -> ClosedRange<UInt64> {
    let ring = try Ring(resetting: path, capacity: 4096, ledgerID: ledger, nextSeq: 1)
    for seq in 1...60 as ClosedRange<UInt64> {
        stage(ring, makeEvent(seq), after: seq - 1)
        if ring.usedBytes > 2_000 {
            let oldest = Frame(ring.staged.base!, count: ring.staged.count)!
            ring.free(oldest.count, nextSeq: oldest.seq + 1)
        }
    }
    return Frame(ring.staged.base!, count: ring.staged.count)!.seq...60
}
private func stage(_ ring: Ring, _ event: [UInt8], after seq: UInt64) {
    event.withUnsafeBytes { _ = ring.stage(Bytes($0), after: seq) }
}
private func end(_ seq: UInt64, epoch: UInt32 = 1) -> LogEnd {
    let event = frame(makeEvent(seq, epoch: epoch))
    return event.withUnsafeBytes { LogEnd(Frame($0.baseAddress!, count: $0.count)!) }
}
/// What recovery takes, as events.
private func recovered(_ path: String, _ end: LogEnd) throws(JournalError) -> (
    events: [[UInt8]], notes: [String]
) {
    let found = try Ring.recover(from: path, ledgerID: ledger, end: end)
    var events: [[UInt8]] = []
    var at = 0
    while at < found.frames.count,
        let frame = Frame(found.frames.base + at, count: found.frames.count - at)
    {
        events.append(array(frame.event))
        at += frame.count
    }
    #expect(at == found.frames.count && events.count == Int(found.count))
    return (events, found.notes)
}

@Suite struct `Recovery from a ring` {
    @Test func `takes exactly what the journal lacks`() throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        let live = try makeSmallRing(path)
        #expect(live.lowerBound > 30 && live.count > 5)
        for last in live.lowerBound - 1...60 {
            let found = try recovered(path, end(last))
            let expected = last < 60 ? (last + 1...60).map { makeEvent($0) } : []
            #expect(found.events == expected && found.notes.isEmpty)
        }
    }

    @Test func `never takes a wrong event, whichever byte is flipped`() throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        let live = try makeSmallRing(path)
        let whole = readFile(path)
        let last = end(live.lowerBound)
        let expected = (live.lowerBound + 1...60).map { makeEvent($0) }
        var random = SeededGenerator(seed: 4)
        var whollyRecovered = 0
        for i in whole.indices {
            var broken = whole
            broken[i] ^= UInt8.random(in: 1...255, using: &random)
            writeFile(path, broken)
            // A flip may cost the events behind it; it never changes one and is never an excuse to stop.
            let found = try recovered(path, last)
            #expect(found.events == Array(expected.prefix(found.events.count)), "byte \(i)")
            if i < 40 { #expect(found.events.isEmpty && found.notes.count == 1, "byte \(i)") }
            // Only the last event cannot be told from one that was never written.
            if found.events.count + 1 < expected.count {
                #expect(found.notes.count == 1, "byte \(i) costs events, and is not named")
            }
            if found.events.count == expected.count { whollyRecovered += 1 }
        }
        // Most bytes of the file are not the ones that are recovered: their damage costs nothing.
        #expect(whollyRecovered > whole.count / 2)
    }

    @Test func `never takes a wrong event, wherever the file is cut`() throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        let live = try makeSmallRing(path)
        let whole = readFile(path)
        let expected = (live.lowerBound + 1...60).map { makeEvent($0) }
        for count in 0..<whole.count {
            writeFile(path, whole.prefix(count))
            let found = try recovered(path, end(live.lowerBound))
            #expect(found.events == Array(expected.prefix(found.events.count)), "\(count) bytes")
            #expect(!found.notes.isEmpty)
        }
    }

    @Test func `stops at pages that a power cut left older than their neighbours`() throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        let ring = try Ring(resetting: path, capacity: 16_384, ledgerID: ledger, nextSeq: 1)
        var random = SeededGenerator(seed: 11)
        var versions: [[UInt8]] = []
        for seq in 1...900 as ClosedRange<UInt64> {
            stage(ring, makeEvent(seq), after: seq - 1)
            while ring.usedBytes > 12_000 {
                let oldest = Frame(ring.staged.base!, count: ring.staged.count)!
                ring.free(oldest.count, nextSeq: oldest.seq + 1)
            }
            if seq > 700 { versions.append(readFile(path)) }
        }
        // Each page as of some moment of the last laps, among them the header's.
        for round in 0..<3_000 {
            var mixed: [UInt8] = []
            for page in 0..<5 {
                mixed += versions.randomElement(using: &random)![page * 4096..<(page + 1) * 4096]
            }
            writeFile(path, mixed)
            let last = UInt64.random(in: 850...900, using: &random)
            let found = try recovered(path, end(last))
            for (i, event) in found.events.enumerated() {
                #expect(event == makeEvent(last + 1 + UInt64(i)), "round \(round)")
            }
        }
    }

    @Test(
        arguments: [
            // (journal's last epoch, epochs of the staged events with a start of each new one, taken)
            (3, [3, 3, 3], 3), (3, [3, 3, 2], 2), (3, [2, 2], 0), (3, [4, 4], 0),
            (3, [-4, 4, 4], 3),
            (3, [3, -4, 4, 3], 3), (3, [-3, 3], 2), (3, [-2, 2], 0), (3, [3, -5, -6, 6, 5], 4),
        ] as [(UInt32, [Int], Int)])
    func `takes only the journal's epoch and what starts a later one`(
        last: UInt32, epochs: [Int], taken: Int
    ) throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        let ring = try Ring(resetting: path, capacity: 4096, ledgerID: ledger, nextSeq: 101)
        for (i, epoch) in epochs.enumerated() {
            let seq = UInt64(101 + i)
            let number = UInt32(abs(epoch))
            stage(
                ring, epoch < 0 ? makeEpoch(seq, number) : makeEvent(seq, epoch: number),
                after: seq - 1)
        }
        #expect(try recovered(path, end(100, epoch: last)).events.count == taken)
    }

    @Test func `refuses a ring of another ledger, format or history`() throws {
        let scratch = Scratch()
        let path = scratch.path + "/ring"
        _ = try makeSmallRing(path)
        let other = LedgerID(high: 9, low: 9)
        let foreign = failure { () throws(JournalError) in
            _ = try Ring.recover(from: path, ledgerID: other, end: end(60)).count
        }
        #expect(foreign?.kind == .format && foreign?.message.contains("belongs to ledger") == true)

        let gap = failure { () throws(JournalError) in _ = try recovered(path, end(5)) }
        #expect(gap?.kind == .damaged && gap?.message.contains("the journal ends at seq 5") == true)

        var elsewhere = end(60)
        elsewhere.checksum ^= 1
        let history = failure { () throws(JournalError) in _ = try recovered(path, elsewhere) }
        #expect(history?.kind == .damaged && history?.message.contains("another history") == true)

        let front = Ring.header(4096, ledger, 1, format: 7)
        var header = array(front.bytes)
        header += [UInt8](repeating: 0, count: 8192 - header.count)
        writeFile(path, header)
        let format = failure { () throws(JournalError) in _ = try recovered(path, LogEnd()) }
        #expect(format?.kind == .format && format?.message.contains("format 7") == true)
    }

    @Test func `goes on with a fresh ring when the header is damaged`() throws {
        let scratch = Scratch()
        var journal: Journal? = try scratch.open()
        journal!.stage(through: 10)
        journal = nil
        var ring = readFile(scratch.data + "/ring")
        ring[20] ^= 4
        writeFile(scratch.data + "/ring", ring)
        let again = try scratch.open()
        #expect(again.lastSeq == 0 && again.recovery.notes.count == 1)
        #expect(fileSize(scratch.data + "/ring.damaged") == ring.count)
    }
}

@Suite struct `After a crash` {
    @Test func `events that stood only in the ring are in the journal`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        journal.stage(through: 700)
        let copy = scratch.copy()
        let again = try copy.open(ring: 128 << 10)
        #expect(
            again.recovery.eventsFromRing == 700 && again.lastSeq == 700 && again.durableSeq == 700)
        #expect(try again.allEvents() == (1...700).map { makeEvent($0) })
        // The next epoch reuses no record of the last one.
        again.stage(makeEpoch(701, 2))
        let third = try copy.copy().open()
        #expect(third.lastSeq == 701 && third.lastEpoch == 2 && third.recovery.eventsFromRing == 1)
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `at any moment, what was answered is there`(seed: UInt64) throws {
        let scratch = Scratch()
        let journal = try scratch.open(ring: 128 << 10)
        try journal.startCommitter()
        var random = SeededGenerator(seed: seed)
        var copies: [(UInt64, Scratch)] = []
        for _ in 0..<6 {
            let goal = journal.stagedSeq + UInt64.random(in: 1...900, using: &random)
            journal.stage(through: goal, urgently: Bool.random(using: &random) && goal < 500)
            // The committer goes on while the copy is made. The ring is copied first: the journal may be
            // newer than it, but not older.
            let copy = Scratch()
            if Bool.random(using: &random) { journal.waitDurable(goal) }
            shell("mkdir -p '\(copy.data)'/journal '\(copy.data)'/checkpoints")
            shell(
                "cp '\(scratch.data)'/ring '\(copy.data)'/ring; cp '\(scratch.data)'/journal/* '\(copy.data)'/journal/"
            )
            copies.append((goal, copy))
        }
        var opened = 0
        for (goal, copy) in copies {
            // `cp` of a data.mdb that is being written is no atomic snapshot: some copies are refused.
            guard let again = try? copy.open() else { continue }
            opened += 1
            #expect(
                try again.allEvents() == (1...max(goal, again.lastSeq)).map { makeEvent($0) },
                "seed \(seed)")
        }
        #expect(opened > 0, "seed \(seed)")
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `of kill -9, nothing that was answered is lost`(seed: UInt64) async throws {
        let scratch = Scratch()
        let answered = scratch.path + "/answered"
        writeFile(answered, [UInt8](repeating: 0, count: 8))
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [data = scratch.data as String, answered = answered as String, seed = seed as UInt64] in
            var options = JournalOptions(directory: data)
            options.ringBytes = 256 << 10
            options.mapBytes = 1 << 30
            let journal = try Journal.open(options)
            try journal.startCommitter()
            let file = open(answered, O_RDWR)
            let shared = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)!
            var random = SeededGenerator(seed: seed)
            let moment = UInt32.random(in: 1_000...200_000, using: &random)
            _ = startThread {
                usleep(moment)
                kill(getpid(), SIGKILL)
            }
            while true {
                let goal = journal.stagedSeq + UInt64.random(in: 1...200, using: &random)
                journal.stage(through: goal)
                shared.storeBytes(of: goal, as: UInt64.self)
            }
        }
        let journal = try scratch.open()
        let goal = readFile(answered).withUnsafeBytes { $0.load(as: UInt64.self) }
        #expect(journal.lastSeq >= goal, "seed \(seed)")
        let events = try journal.allEvents()
        #expect(UInt64(events.count) == journal.lastSeq)
        #expect(events == events.indices.map { makeEvent(UInt64($0 + 1)) }, "seed \(seed)")
    }
}

@Suite struct `CRC-32C` {
    @Test func `is the same in hardware and by table, and the known one`() {
        let check = Array("123456789".utf8)
        #expect(tg_crc32c(0, check, 9) == 0xE306_9283)
        #expect(tg_crc32c(tg_crc32c(0, check, 4), Array(check[4...]), 5) == 0xE306_9283)
        var random = SeededGenerator(seed: 1)
        for length in 0..<300 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(tg_crc32c(7, bytes, length) == tg_crc32c_portable(7, bytes, length))
        }
    }
}

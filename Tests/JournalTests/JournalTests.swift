import CLinux
import Events
import Glibc
import Testing

@testable import Journal

@Suite struct `A journal` {
    @Test func `gives back every event through ring and LMDB`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        #expect(journal.isNew && journal.lastSeq == 0 && journal.recovery.notes.isEmpty)
        try journal.startCommitter()
        journal.stage(through: 5_000)
        #expect(journal.waitDurable(5_000))
        let expected = (1...5_000).map { makeEvent($0) }
        #expect(try journal.allEvents() == expected)
        #expect(try journal.allEvents(from: 777, through: 4_001) == Array(expected[776..<4_001]))
        #expect(try journal.allEvents(from: 5_001).isEmpty)
        journal.shutdown()

        let again = try scratch.open()
        #expect(!again.isNew && again.lastSeq == 5_000 && again.ledgerID == journal.ledgerID)
        #expect(again.lastEpoch == 1 && again.lastTime == Instant(nanoseconds: 5_000_000_000))
        #expect(again.recovery.eventsFromRing == 0 && again.recovery.notes.isEmpty)
        #expect(try again.allEvents() == expected)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `keeps events of every length in order over many laps`(seed: UInt64) throws {
        let scratch = Scratch()
        let journal = try scratch.open(ring: 128 << 10)
        try journal.startCommitter()
        var random = SeededGenerator(seed: seed)
        var lengths: [Int] = []
        while lengths.reduce(0, +) < 3 << 20 {
            let length =
                switch Int.random(in: 0..<50, using: &random) {
                case 0: Bounds.eventBytesMax
                case 1: Int.random(in: 2_000...2_030, using: &random)
                case 2: Int.random(in: 16_320...16_360, using: &random)
                default: Int.random(in: 38...400, using: &random)
                }
            lengths.append(length)
            let event = makeEvent(UInt64(lengths.count), bytes: length)
            if journal.stageableBytes < length { journal.waitDurable(journal.stagedSeq) }
            journal.stage(event)
        }
        journal.waitDurable(journal.stagedSeq)
        var next = 0
        try journal.readPages { page in
            for bytes in page.events {
                #expect(
                    array(bytes) == makeEvent(UInt64(next + 1), bytes: lengths[next]),
                    "seed \(seed)")
                next += 1
            }
            return true
        }
        #expect(next == lengths.count)
        // From any event on, also from the middle of a page.
        for _ in 0..<50 {
            let from = UInt64.random(in: 1...UInt64(lengths.count), using: &random)
            let through = UInt64.random(in: from...UInt64(lengths.count), using: &random)
            var seqs: [UInt64] = []
            let goOn = try journal.read(from: from, through: through) { event in
                seqs.append(event.header.seq)
                return true
            }
            #expect(seqs == Array(from...through) && goOn == through + 1, "seed \(seed)")
        }
    }

    /// What a reader sees stays on the disk as long as it looks.
    @Test func `tells who reads it, and how far behind that is`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        func commit(_ last: UInt64) {
            journal.stage(through: last, urgently: true)
            journal.waitDurable(last)
        }
        commit(1)
        #expect(journal.log.environment.readers() == [])
        try journal.log.environment.read { _ throws(JournalError) in
            for last in 2...4 as ClosedRange<UInt64> { commit(last) }
            let readers = journal.log.environment.readers()
            #expect(readers == [JournalReader(process: getpid(), commits: 3)], "\(readers)")
        }
        #expect(journal.log.environment.readers() == [])
        journal.shutdown()
    }
    @Test func `names its files without the place where they lie`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        for (told, heard) in [
            ("cannot write \(scratch.data)/personal: no room", "cannot write personal: no room"),
            ("\(scratch.data)/journal/data.mdb is damaged", "journal/data.mdb is damaged"),
            ("cannot flush \(scratch.data)", "cannot flush the data directory"),
            ("the disk is full", "the disk is full"),
        ] { #expect(journal.withoutPlace(told) == heard) }
        journal.shutdown()
    }

    @Test func `stops a read where its reader says and names the next event`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 300)
        journal.waitDurable(300)
        var seen = 0
        let next = try journal.read(from: 11) { _ in
            seen += 1
            return seen < 7
        }
        #expect(seen == 7 && next == 18)
    }

    @Test func `wakes who asked for durability, and nobody else`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        for round in 1...200 as ClosedRange<UInt64> {
            journal.stage(makeEvents(3 * round - 2...3 * round))
            journal.requestDurable(3 * round - 1)
            journal.requestDurable(3 * round)
            while journal.durableSeq < 3 * round {
                #expect(journal.isAwake(within: 10_000))
                journal.drainWake()
            }
        }
        journal.drainWake()
        journal.stage(makeEvents(601...700))
        #expect(journal.waitDurable(700, hurry: false))
        #expect(!journal.isAwake(within: 0))
    }

    @Test func `gathers what nobody waits for into few commits`() throws {
        let scratch = Scratch()
        var options = scratch.options()
        options.lingerNanoseconds = 10_000_000_000
        let journal = try Journal.open(options)
        try journal.startCommitter()
        for seq in 1...500 as ClosedRange<UInt64> { journal.stage(makeEvent(seq)) }
        // Ten seconds of lingering, cut short by somebody who waits.
        #expect(journal.waitDurable(500))
        #expect(journal.statistics.commits <= 2)
        #expect(journal.statistics.events == 500)
    }

    @Test func `commits all that is staged when it shuts down`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 1_234)
        journal.shutdown()
        #expect(journal.durableSeq == 1_234)
        #expect(!journal.waitDurable(1_235))
        #expect(failure { () throws(JournalError) in try journal.allEvents() }?.kind == .io)
        #expect(try scratch.open().recovery.eventsFromRing == 0)
    }

    @Test func `knows the names that events gave to numbers`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        let rows: [(EventType, UInt32, String)] = [
            (.orgCreated, 0, #"{"account":"acme"}"#),
            (.teamCreated, 1, #"{"account":"acme/ml"}"#),
            (.keyCreated, 2, #"{"account":"acme/ml/prod","name":"x"}"#),
            (.priceSet, 0, #"{"in":"1","model":"openai/gpt-4.1"}"#),
            (.priceSet, 0, #"{"in":"2","model":"openai/gpt-4.1"}"#),
            (.operatorCreated, 7, #"{"operator":"relay-1"}"#),
            (.orgCreated, 9, #"{"account":7"#),
        ]
        for (i, row) in rows.enumerated() {
            let event = row.2.withBytes { json in
                makeDocument(row.0, UInt64(i + 1), 1, number: row.1, json)
            }
            journal.stage(event)
        }
        journal.waitDurable(UInt64(rows.count))
        #expect(try journal.accountName(AccountNumber(1)) == "acme/ml")
        #expect(try journal.accountName(AccountNumber(2)) == "acme/ml/prod")
        #expect(try journal.accountName(AccountNumber(9)) == nil)
        #expect(try journal.modelName(ModelNumber(0)) == "openai/gpt-4.1")
        #expect(try journal.operatorName(7) == "relay-1")
        #expect(try journal.operatorName(0) == nil)
    }

    @Test func `serves readers on other threads while it grows its map`() throws {
        let scratch = Scratch()
        let journal = try scratch.open(map: 1 << 20)
        try journal.startCommitter()
        let readers = (0..<2).map { _ in
            startThread {
                var next: UInt64 = 1
                while next <= 30_000, journal.waitDurable(next, hurry: false) {
                    next = try! journal.read(from: next) { event in
                        precondition(array(event.bytes) == makeEvent(event.header.seq))
                        return true
                    }
                }
                precondition(next == 30_001)
            }
        }
        journal.stage(through: 30_000)
        #expect(journal.waitDurable(30_000))
        for reader in readers { pthread_join(reader, nil) }
        #expect(journal.statistics.mapBytes >= 4 << 20)
        #expect(journal.statistics.failedCommits == 0 && journal.state == .normal)
        journal.shutdown()
        #expect(try scratch.open(map: 1 << 20).allEvents() == (1...30_000).map { makeEvent($0) })
    }
}

@Suite struct `A failing commit` {
    @Test(arguments: [true, false])
    func `loses and doubles nothing whether or not it happened`(lands: Bool) throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        journal.log.environment.commitFaults = [.init(code: EIO, lands: lands)]
        journal.stage(through: 1_000)
        try journal.startCommitter()
        #expect(journal.waitDurable(1_000))
        #expect(journal.statistics.failedCommits == 1 && journal.state == .normal)
        #expect(try journal.allEvents() == (1...1_000).map { makeEvent($0) })
    }

    @Test func `twice makes the journal read-only until one succeeds`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        journal.log.environment.commitFaults = .init(
            repeating: .init(code: EIO, lands: false), count: 2)
        journal.drainWake()
        journal.stage(through: 1_000)
        try journal.startCommitter()
        #expect(!journal.waitDurable(1_000))
        #expect(
            journal.state == .readOnly && journal.stateReason.contains("committing to the journal"))
        #expect(journal.durableSeq == 0 && journal.isAwake(within: 0))
        #expect(try journal.allEvents().isEmpty)
        #expect(journal.waitDurable(1_000, hurry: false))
        #expect(try journal.allEvents().count == 1_000)
    }

    @Test func `that happened is found although nobody could look for a while`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        journal.log.environment.commitFaults = [.init(code: EIO, lands: true)]
        // Open files stay open; opening them again fails.
        let (name, aside) = (scratch.data + "/journal", scratch.data + "/aside")
        #expect(rename(name, aside) == 0)
        journal.stage(through: 100)
        try journal.startCommitter()
        #expect(!journal.waitDurable(100) && journal.state == .readOnly)
        // By the time it can look, more is staged than what was committed.
        journal.stage(through: 300)
        #expect(rename(aside, name) == 0)
        #expect(journal.waitDurable(300, hurry: false))
        #expect(try journal.allEvents() == (1...300).map { makeEvent($0) })
    }
}

@Suite struct `Opening a directory` {
    @Test func `is refused while another journal holds it`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        let error = failure { () throws(JournalError) in try scratch.open() }
        #expect(error?.kind == .busy)
        #expect(error?.message.contains("held by process \(getpid())") == true)
        journal.shutdown()
    }

    @Test(arguments: [[], [0], Array(repeating: 0, count: 8_192), Array("torn".utf8)] as [[UInt8]])
    func `begins again what the power cut off the first time`(remains: [UInt8]) throws {
        let scratch = Scratch()
        shell("mkdir -p '\(scratch.data)/journal.new' '\(scratch.data)/checkpoints'")
        writeFile(scratch.data + "/journal.new/data.mdb", remains)
        writeFile(scratch.data + "/journal.new/lock.mdb", remains)
        let journal = try scratch.open()
        #expect(journal.isNew)
        try journal.startCommitter()
        journal.stage(through: 10)
        journal.shutdown()
        #expect(try scratch.open().lastSeq == 10)
        #expect(fileSize(scratch.data + "/journal.new") == nil)
    }

    @Test func `makes it private`() throws {
        let scratch = Scratch()
        _ = try scratch.open()
        var status = stat()
        #expect(stat(scratch.data, &status) == 0 && status.st_mode & 0o777 == 0o700)
    }

    @Test func `is refused for another format`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.log.environment.write { txn throws(LMDBError) in
            try txn.put(.meta, key: Bytes("format"), Bytes("\u{2}\0\0\0"), replacing: true)
        }
        journal.shutdown()
        let error = failure { () throws(JournalError) in try scratch.open() }
        #expect(error?.kind == .format)
        #expect(error?.message.contains("of format 2; this tollgate reads format 1: ") == true)
    }

    @Test func `is refused when data.mdb is cut short`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 2_000)
        journal.shutdown()
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        for count in [whole.count - 1, whole.count - 4_096, whole.count / 2, 8_192, 5_000, 10, 0] {
            writeFile(path, whole.prefix(count))
            let error = failure { () throws(JournalError) in try scratch.open() }
            #expect(error?.kind == .damaged, "\(count) bytes")
            #expect(error?.message.contains("backup") == true, "\(error?.message ?? "none")")
        }
        writeFile(path, whole)
        #expect(try scratch.open().lastSeq == 2_000)
    }

    @Test func `says what is wrong with its options`() {
        let scratch = Scratch()
        for ring in [0, 100_000, 65_536, 3 << 20] {
            #expect(
                failure { () throws(JournalError) in try scratch.open(ring: ring) }?.kind == .usage)
        }
        var options = scratch.options()
        options.directory = scratch.path + "/no/such/parent"
        let error = failure { () throws(JournalError) in try Journal.open(options) }
        #expect(error?.kind == .io && error?.message.contains("create its parent") == true)
    }
}

/// LMDB's own lock tells other processes that there are readers here.
@Suite struct `The lock of LMDB` {
    @Test func `is held as long as a journal is open`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        #expect(try isLocked(scratch), "who opens the journal beside us must not be the first")
        journal.shutdown()
        #expect(try !isLocked(scratch))
    }
    /// Asked for an open file description, of which even our own process's locks are another's.
    private func isLocked(_ scratch: Scratch) throws -> Bool {
        let file = open(scratch.data + "/journal/lock.mdb", O_RDWR | O_CLOEXEC)
        try #require(file >= 0)
        // To close it ends the lock, so it is the last that is asked.
        defer { close(file) }
        var wanted = flock()
        wanted.l_type = Int16(F_WRLCK)
        wanted.l_whence = Int16(SEEK_SET)
        // The first byte says that somebody is here; further ones stand for processes that read.
        wanted.l_len = 1
        let getLock: Int32 = 36  // F_OFD_GETLK, which Glibc's module does not show.
        try #require(fcntl(file, getLock, &wanted) == 0)
        return wanted.l_type != Int16(F_UNLCK)
    }
}

@Suite struct `A flipped bit in the journal` {
    /// Every event's frame is hit once; reading must name exactly that event.
    @Test func `is found and named`() throws {
        let scratch = Scratch()
        let journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 150)
        journal.waitDurable(150)
        journal.stage(through: 400)
        journal.shutdown()
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        var random = SeededGenerator(seed: 9)
        for seq in stride(from: 1 as UInt64, through: 400, by: 7) {
            let wanted = frame(makeEvent(seq))
            let places = occurrences(of: wanted, in: whole)
            #expect(!places.isEmpty)
            var broken = whole
            let offset = Int.random(in: 0..<wanted.count, using: &random)
            for place in places {
                broken[place + offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            writeFile(path, broken)
            let error = failure { () throws(JournalError) in
                let journal = try scratch.open()
                _ = try journal.allEvents()
            }
            #expect(error?.kind == .damaged)
            #expect(
                error?.message.hasPrefix("event \(seq) ") == true, "\(error?.message ?? "none")")
        }
    }
}

private func occurrences(of needle: [UInt8], in hay: [UInt8]) -> [Int] {
    var found: [Int] = []
    hay.withUnsafeBytes { hay in
        for at in 0...hay.count - needle.count
        where hay[at] == needle[0] && memcmp(hay.baseAddress! + at, needle, needle.count) == 0 {
            found.append(at)
        }
    }
    return found
}

func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { raw in
            Unmanaged<Box>.fromOpaque(raw!).takeRetainedValue().body()
            return nil
        }, Unmanaged.passRetained(Box(body)).toOpaque())
    precondition(code == 0)
    return thread
}

import Events
import Ledger
import Testing

/// The laws of the fold, over seeded histories.
@Suite struct FoldTests {
    @Test(arguments: [11, 12, 13] as [UInt64])
    func `folding the log again makes the book that decided`(seed: UInt64) throws {
        let machine = HistoryGenerator.history(seed: seed, lines: 2_000)
        var book = Book()
        try fold(machine.log, into: &book)
        #expect(book.digest() == machine.digest(), "seed \(seed)")
    }

    @Test(arguments: [(14, 0), (15, 4), (16, 4)] as [(UInt64, Int)])
    func `folding a run of events is folding each`(seed: UInt64, gap: Int) throws {
        let machine = HistoryGenerator.history(seed: seed, lines: 2_000)
        var run: [UInt8] = []
        for event in machine.log { run += [UInt8](repeating: 0xAA, count: gap) + event }
        var book = Book()
        try run.withUnsafeBytes { try book.fold(Bytes($0), gap: gap) }
        #expect(book.digest() == machine.digest(), "seed \(seed)")
    }

    @Test func `a run ends at its first damaged event, and the ones before it are folded`() throws {
        let machine = HistoryGenerator.history(seed: 17, lines: 400)
        let whole = 200
        var run = Array(machine.log[..<whole].joined())
        // Cut short, of a type that nobody knows, or not the next one.
        for damaged in [
            Array(machine.log[whole].dropLast()), [UInt8](repeating: 0xFF, count: 64),
            machine.log[whole + 1],
        ] {
            let end = run.count
            run += damaged
            defer { run.removeLast(run.count - end) }
            var book = Book()
            #expect(throws: EventError.self) {
                try run.withUnsafeBytes { try book.fold(Bytes($0)) }
            }
            #expect(book.seq == UInt64(whole))
            try fold(machine.log[whole...], into: &book)
            #expect(book.digest() == machine.digest())
        }
    }

    @Test(arguments: [21, 22] as [UInt64])
    func `a checkpoint at any cut and the tail behind it make the same book`(seed: UInt64) throws {
        let machine = HistoryGenerator.history(seed: seed, lines: TestScale.isLong ? 2_000 : 400)
        let log = machine.log
        var upToCut = Book()
        for cut in 0..<log.count {
            try fold(log[cut..<cut + 1], into: &upToCut)
            // Every cut is written; reading and folding the tail is quadratic, so in the short form
            // only some are.
            guard TestScale.isLong || cut % 7 == 0 || cut > log.count - 5 else { continue }
            var bytes = ByteBuffer()
            upToCut.encode(into: &bytes)
            var restored = try restoredBook(bytes.bytes)
            try fold(log[(cut + 1)...], into: &restored)
            try #require(restored.digest() == machine.digest(), "seed \(seed), cut \(cut)")
        }
    }

    @Test func `a machine that goes on from a checkpoint answers like the one that never stopped`()
        throws
    {
        let machine = MachineDriver()
        var generator = HistoryGenerator(seed: 31)
        for _ in 0..<1_000 {
            let (line, time) = generator.next()
            generator.observe(machine.answer(line, at: time))
        }
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        let second = MachineDriver(book: try restoredBook(bytes.bytes))
        for number in 0..<1_000 {
            let (line, time) = generator.next()
            let answer = machine.answer(line, at: time)
            // Which refusals of the running second were logged is the machine's, not the book's, so
            // the numbers of later events may differ by those; words and money may not.
            try #require(
                words(second.answer(line, at: time)) == words(answer), "line \(number): \(line)")
            generator.observe(answer)
        }
        func words(_ reply: String) -> [Substring] {
            reply.split(separator: " ").filter { $0.hasPrefix("+") || $0.hasPrefix("usd=") }
        }
    }

    @Test func `a damaged checkpoint is refused or read, and never crashes`() throws {
        let machine = HistoryGenerator.history(seed: 41, lines: 300)
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        for length in stride(from: 0, to: bytes.count, by: 13) {
            #expect(!isReadable(bytes.bytes.slice(0, length)))
        }
        // The file's checksum catches flips before this; even without it none may crash.
        var random = SplitMix(seed: 42)
        for _ in 0..<2_000 {
            let at = Int(random.next() % UInt64(bytes.count))
            let bit = UInt8(1) << UInt8(random.next() % 8)
            var copy = ByteBuffer(capacity: bytes.count)
            copy.append(bytes.bytes)
            (copy.base + at).storeBytes(of: bytes.bytes[at] ^ bit, as: UInt8.self)
            _ = isReadable(copy.bytes)
        }
    }

    @Test func `an event out of order, or of an account that is not there, is refused`() throws {
        let machine = HistoryGenerator.history(seed: 51, lines: 50)
        var book = Book()
        try fold(machine.log.prefix(10), into: &book)
        let log = machine.log
        #expect(throws: EventError.self) { try foldOne(log[9], into: &book) }
        #expect(throws: EventError.self) { try foldOne(log[11], into: &book) }
        #expect(book.seq == 10)
    }

    @Test func `the log of one org adds up: keys are the team, teams are the org`() throws {
        let machine = HistoryGenerator.history(seed: 61, lines: 2_000)
        var sums: [String: Int64] = [:]
        let now = Int64.max / 2
        for path in machine.withBook({ $0.allPaths }) {
            let usage = try machine.usage(path, at: now)
            guard case .string(let text) = usage["limits"]?["usd.total"]?["used"] else {
                Issue.record("no usd.total for \(path)")
                continue
            }
            sums[path] = try text.withBytes { (b) throws(MoneyError) in try Nanodollars(parsing: b)
            }.raw
        }
        for (path, amount) in sums where path.split(separator: "/").count < 3 {
            let children = sums.filter {
                $0.key.hasPrefix(path + "/")
                    && $0.key.split(separator: "/").count == path.split(separator: "/").count + 1
            }
            #expect(children.values.reduce(0, +) == amount, "\(path)")
        }
        #expect(sums.values.contains { $0 > 0 })
    }
}

struct UnreadableCheckpoint: Error {}

func restoredBook(_ bytes: Bytes) throws -> Book {
    guard let book = Book(decoding: bytes) else { throw UnreadableCheckpoint() }
    return book
}
private func isReadable(_ bytes: Bytes) -> Bool {
    guard let book = Book(decoding: bytes) else { return false }
    return book.seq >= 0
}
private func foldOne(_ bytes: [UInt8], into book: inout Book) throws {
    try bytes.withUnsafeBytes { raw in try book.apply(try StoredEvent(Bytes(raw))) }
}

/// splitmix64, for what a test chooses at random.
struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

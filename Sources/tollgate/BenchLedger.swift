import CEcho
import CLinux
import Events
import Glibc
import Journal
import Ledger
import Wire

/// A ledger in this process, with the journal behind it: the daemon without its socket.
struct BenchLedger: ~Copyable {
    var machine: Machine
    private(set) var journal: Journal?
    private var parser = RequestParser()
    private var seconds = SecondText()
    private var reply = ByteBuffer(capacity: 16 << 10)
    private var lines = ByteBuffer(capacity: 256 << 10)
    private var line = ByteBuffer(capacity: 256)
    /// Placed and not settled.
    private var holds: [HoldName] = []
    private let keys: Int
    private var next = 0
    private var now: Int64

    /// Requests a turn: what a gate finds at once on a busy day.
    static let turn = 16
    /// Requests that are written before they are timed, together: few enough for the cache.
    static let burst = 1_024
    private static let keysPerTeam = 16
    /// Between two turns, in nanoseconds of the ledger's own clock.
    private static let turnNanoseconds: Int64 = 20_000
    /// 2026-11-22T10:00:00Z; every run sees the same times.
    private static let start: Int64 = 1_795_341_600_000_000_000

    private init(keys: Int, journal: Journal?) {
        self.journal = journal
        self.keys = keys
        now = Self.start
        machine = Machine(book: Book(), calendar: .utc)
    }
    /// A ledger with its keys; not an initialiser, because one that throws cannot own a machine.
    ///
    /// - Parameter directory: of the journal; nil leaves every event in the machine's outbox.
    static func make(
        keys: Int, directory: String?, limits: Limits = .onAll
    ) throws(CommandFailure) -> BenchLedger {
        var ledger = BenchLedger(keys: keys, journal: try openJournal(directory))
        try ledger.fill(limits)
        return ledger
    }
    /// Which accounts have limits of their own.
    ///
    /// `onAllAndMore`: every limit there is, and whatever else `BenchPolicySetup` decides.
    enum Limits { case none, onTeams, onAll, onAllAndMore }

    private mutating func fill(_ limits: Limits) throws(CommandFailure) {
        machine.advance(to: Instant(nanoseconds: now))
        machine.start(
            ledger: journal?.ledgerID.description ?? String(repeating: "0", count: 32),
            version: "bench")
        machine.actor = .uid(0)
        try append(.priceSet, .object(BenchLedgerSetup.prices))
        try create(.orgCreated, "bench", limits)
        for key in 0..<keys {
            if key % Self.keysPerTeam == 0 {
                try create(.teamCreated, "bench/team-\(key / Self.keysPerTeam)", limits)
            }
            try create(.keyCreated, Self.path(key), limits == .onTeams ? .none : limits)
        }
        guard limits == .onAllAndMore else { return }
        for (type, payload) in BenchPolicySetup.events { try append(type, payload) }
    }
    /// From here on, staged events stay in the ring: no other thread has a part in what is measured.
    mutating func stopCommitting(in directory: String) throws(CommandFailure) {
        try waitDurable()
        journal?.shutdown()
        journal = try Self.openJournal(directory, commits: false)
    }
    private static func openJournal(
        _ directory: String?, commits: Bool = true
    ) throws(CommandFailure) -> Journal? {
        guard let directory else { return nil }
        return try benchJournal { () throws(JournalError) in
            var options = JournalOptions(directory: directory)
            // Nothing is committed before somebody asks: no neighbour while a round is timed.
            options.lingerNanoseconds = 3_600_000_000_000
            options.batchBytesMax = 32 << 20
            // So small that valgrind can map it, too; it grows when it must.
            options.mapBytes = 8 << 30
            let journal = try Journal.open(options)
            if commits { try journal.startCommitter() }
            return journal
        }
    }
    private mutating func create(
        _ type: EventType, _ account: String, _ limits: Limits
    ) throws(CommandFailure) {
        var members = [JSON.Member("account", .string(account))]
        switch limits {
        case .none: break
        case .onTeams, .onAll: members.append(JSON.Member("limits", BenchLedgerSetup.limits))
        case .onAllAndMore:
            members.append(JSON.Member("limits", BenchPolicySetup.limits))
            members.append(JSON.Member("models", BenchPolicySetup.models))
            members.append(JSON.Member("scopes", BenchPolicySetup.scopes))
        }
        try append(type, .object(members))
    }
    private mutating func append(
        _ type: EventType, _ payload: JSON
    ) throws(CommandFailure) {
        var digest = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: (machine.book.seq &+ 1) &* 0x9E37_79B9_7F4A_7C15) {
            digest.replaceSubrange(0..<8, with: $0)
        }
        do throws(Failure) {
            _ = try machine.append(type, payload, secret: digest)
        } catch {
            throw CommandFailure(.software, "the bench's own ledger: \(error.text)")
        }
        if let journal {
            if journal.stageableBytes < machine.outbox.count { try waitDurable() }
            stage()
        }
    }
    static func path(_ key: Int) -> String { "bench/team-\(key / keysPerTeam)/key-\(key)" }

    // MARK: Requests

    /// How the next requests ask.
    enum Asking {
        /// RESERVE as a line, and as the frame that client libraries send.
        case line, frame
        case check
        /// RESERVE of a key that may spend nothing.
        case broke
        /// RESERVE with a scope; and of the model `auto`, with what its rules look at.
        case scoped, routed
    }

    /// RESERVEs of the keys in turn, each with an id of 36 characters.
    private mutating func writeReserves(_ count: Int, _ asking: Asking) {
        lines.removeAll()
        for _ in 0..<count {
            // A step that shares no factor with the count visits every key, in no order.
            let key = next &* 97 % keys
            line.removeAll()
            line.append(
                asking == .check ? "CHECK bench/team-" as StaticString : "RESERVE bench/team-")
            line.append(decimal: Int64(key / Self.keysPerTeam))
            if asking == .broke {
                line.append("/broke" as StaticString)
            } else {
                line.append("/key-" as StaticString)
                line.append(decimal: Int64(key))
            }
            switch asking {
            case .scoped:
                line.append(" openai/gpt-4.1 scope=chat in=1200 out=400 id=" as StaticString)
            case .routed:
                line.append(" auto scope=chat prompt=please-summarize in=1200" as StaticString)
                line.append(" out=400 id=" as StaticString)
            default: line.append(" openai/gpt-4.1 in=1200 out=400 id=" as StaticString)
            }
            line.append("3f1c0c52-7a3e-4c59-9d1e-" as StaticString)
            line.append(decimal: Int64(next), width: 12)
            if asking == .frame { appendFrame(line.bytes) } else { lines.append(line.bytes) }
            lines.append("\r\n" as StaticString)
            next += 1
        }
    }
    /// The words of a line as an array of bulk strings, but for its last line end.
    private mutating func appendFrame(_ words: Bytes) {
        var at = 0
        lines.append("*6" as StaticString)
        while at < words.count {
            let rest = words.slice(at, words.count)
            let length = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.count
            lines.append("\r\n$" as StaticString)
            lines.append(decimal: Int64(length))
            lines.append("\r\n" as StaticString)
            lines.append(rest.slice(0, length))
            at += length + 1
        }
    }
    /// The SETTLEs of the holds that were placed last.
    private mutating func writeSettles(_ range: Range<Int>) {
        lines.removeAll()
        for hold in holds[range] {
            lines.append("SETTLE " as StaticString)
            lines.append(hold)
            lines.append(" in=1200 out=100\r\n" as StaticString)
        }
    }
    /// A key in the first team that may spend nothing.
    mutating func createBrokeKey() throws(CommandFailure) {
        try append(
            .keyCreated,
            .object([
                JSON.Member("account", .string("bench/team-0/broke")),
                JSON.Member("limits", .object([JSON.Member("usd.day", .string("0"))])),
            ]))
    }

    // MARK: What is measured

    /// Takes the lines in turns, as the gate does: time moves on, parse, decide, apply; then stage
    /// once. How many were answered with a yes, or nil when one is not understood.
    @inline(never)
    private mutating func takeTurns(replying: Bool) -> Int? {
        var at = 0
        var left = 0
        var agreed = 0
        while at < lines.count {
            if left == 0 {
                now += Self.turnNanoseconds
                machine.advance(to: Instant(nanoseconds: now))
                left = Self.turn
            }
            guard
                case .command(let consumed, _) = parser.next(lines.bytes.slice(at, lines.count)),
                let answer = answer(parser.arguments)
            else { return nil }
            switch answer {
            case .allowed(let hold, _, _, _):
                holds.append(hold)
                agreed += 1
            case .routed(let routed):
                if let hold = routed.hold { holds.append(hold) }
                agreed += 1
            case .settled, .wouldAllow: agreed += 1
            default: break
            }
            if replying { reply.reply(answer, &seconds) }
            at += consumed
            left -= 1
            if left == 0 || at == lines.count {
                stage()
                reply.removeAll()
            }
        }
        return agreed
    }
    @inline(__always)
    private mutating func answer(_ arguments: Arguments) -> Answer? {
        var acknowledgement = Acknowledgement.ring
        do throws(Failure) {
            switch Verb(arguments[0]) {
            case .reserve:
                return machine.reserve(
                    try ReserveRequest(arguments, acknowledgement: &acknowledgement))
            case .check:
                return machine.check(
                    try ReserveRequest(arguments, verb: .check, acknowledgement: &acknowledgement))
            case .settle:
                return machine.settle(
                    try SettleRequest(arguments, acknowledgement: &acknowledgement))
            default: return nil
            }
        } catch {
            return nil
        }
    }
    /// Only finds the lines and what they ask; how many do.
    @inline(never)
    private mutating func parse() -> Int? {
        var at = 0
        var found = 0
        var acknowledgement = Acknowledgement.ring
        while at < lines.count {
            guard
                case .command(let consumed, _) = parser.next(lines.bytes.slice(at, lines.count)),
                (try? ReserveRequest(parser.arguments, acknowledgement: &acknowledgement)) != nil
            else { return nil }
            at += consumed
            found += 1
        }
        return found
    }
    private mutating func stage() {
        guard let journal, !machine.outbox.isEmpty else { return }
        journal.stage(machine.outbox.bytes)
        machine.outbox.removeAll()
    }

    /// Places `requests` holds and then settles them; the processor's time for each half, without
    /// that of writing the lines.
    mutating func run(
        requests: Int, replying: Bool = false
    ) throws(CommandFailure) -> (reserve: Int64, settle: Int64) {
        let reserve = try ask(requests, replying: replying)
        return (reserve, try settle(replying: replying))
    }
    /// Asks, and keeps the holds that are placed; the processor's time.
    mutating func ask(
        _ requests: Int, _ asking: Asking = .line, replying: Bool = false,
        meter: BenchMeter = .off
    ) throws(CommandFailure) -> Int64 {
        var time: Int64 = 0
        for first in stride(from: 0, to: requests, by: Self.burst) {
            writeReserves(min(Self.burst, requests - first), asking)
            time += try measure(
                min(Self.burst, requests - first), agreed: asking != .broke, replying, meter)
        }
        return time
    }
    /// Settles every hold that was placed since the last time; the processor's time.
    mutating func settle(
        replying: Bool = false, meter: BenchMeter = .off
    ) throws(CommandFailure) -> Int64 {
        var time: Int64 = 0
        for first in stride(from: 0, to: holds.count, by: Self.burst) {
            let range = first..<min(first + Self.burst, holds.count)
            writeSettles(range)
            time += try measure(range.count, agreed: true, replying, meter)
        }
        holds.removeAll(keepingCapacity: true)
        return time
    }
    /// Leaves the holds that were placed open for good.
    mutating func forgetHolds() { holds.removeAll(keepingCapacity: true) }
    /// Parses RESERVEs and does nothing with them.
    mutating func parse(
        _ requests: Int, _ asking: Asking, meter: BenchMeter
    ) throws(CommandFailure) {
        for first in stride(from: 0, to: requests, by: Self.burst) {
            let count = min(Self.burst, requests - first)
            writeReserves(count, asking)
            meter.toggle()
            let found = parse()
            meter.toggle()
            guard found == count else { throw Self.surprised }
        }
    }

    private mutating func measure(
        _ count: Int, agreed: Bool, _ replying: Bool, _ meter: BenchMeter
    ) throws(CommandFailure) -> Int64 {
        let start = threadNanoseconds()
        meter.toggle()
        let yes = takeTurns(replying: replying)
        meter.toggle()
        let time = threadNanoseconds() - start
        guard yes == (agreed ? count : 0) else { throw Self.surprised }
        return time
    }
    private static let surprised = CommandFailure(
        .software, "the bench's own ledger answered otherwise than it must: this is a bug")
    /// Waits until all of it is on disk and the ring is empty again.
    func waitDurable() throws(CommandFailure) {
        guard let journal else { return }
        guard journal.waitDurable(journal.stagedSeq) else {
            throw CommandFailure(
                .io, "\(journal.stateReason); say another place with --dir")
        }
    }
}

/// Whether callgrind counts what is measured; without it, toggling does nothing.
enum BenchMeter {
    case off, instructions

    @inline(__always)
    func toggle() { if self == .instructions { tg_count_toggle() } }
}

/// What this thread has used of a processor. Unlike the wall clock it does not count the times when
/// others had the processor; nothing that is measured by it ever waits.
func threadNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// A journal's error as the command line says it.
func benchJournal<R>(
    _ body: () throws(JournalError) -> R
) throws(CommandFailure) -> R {
    do throws(JournalError) {
        return try body()
    } catch {
        throw CommandFailure(.io, error.message)
    }
}

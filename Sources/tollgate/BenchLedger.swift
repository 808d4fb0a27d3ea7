import Events
import Glibc
import Journal
import Ledger
import Wire

/// A ledger in this process, with the journal behind it: the daemon without its socket.
struct BenchLedger: ~Copyable {
    var machine: Machine
    let journal: Journal?
    private var parser = RequestParser()
    private var seconds = SecondText()
    private var reply = ByteBuffer(capacity: 16 << 10)
    private var lines = ByteBuffer(capacity: 256 << 10)
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
        keys: Int, directory: String?, limits: Bool = true
    ) throws(CommandFailure) -> BenchLedger {
        var ledger = BenchLedger(keys: keys, journal: try openJournal(directory))
        try ledger.fill(limits)
        return ledger
    }
    private mutating func fill(_ limits: Bool) throws(CommandFailure) {
        machine.advance(to: Instant(nanoseconds: now))
        machine.start(ledger: String(repeating: "0", count: 32), version: "bench")
        machine.actor = .uid(0)
        try append(.priceSet, .object(BenchLedgerSetup.prices))
        try create(.orgCreated, "bench", limits)
        for key in 0..<keys {
            if key % Self.keysPerTeam == 0 {
                try create(.teamCreated, "bench/team-\(key / Self.keysPerTeam)", limits)
            }
            try create(.keyCreated, Self.path(key), limits)
        }
    }
    private static func openJournal(_ directory: String?) throws(CommandFailure) -> Journal? {
        guard let directory else { return nil }
        return try benchJournal { () throws(JournalError) in
            var options = JournalOptions(directory: directory)
            // Nothing is committed before somebody asks: no neighbour while a round is timed.
            options.lingerNanoseconds = 3_600_000_000_000
            options.batchBytesMax = 32 << 20
            // So small that valgrind can map it, too; it grows when it must.
            options.mapBytes = 8 << 30
            let journal = try Journal.open(options)
            try journal.startCommitter()
            return journal
        }
    }
    private mutating func create(
        _ type: EventType, _ account: String, _ limits: Bool
    ) throws(CommandFailure) {
        var members = [JSON.Member("account", .string(account))]
        if limits { members.append(JSON.Member("limits", BenchLedgerSetup.limits)) }
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
        if journal != nil { stage() }
    }
    static func path(_ key: Int) -> String { "bench/team-\(key / keysPerTeam)/key-\(key)" }

    // MARK: Requests

    /// RESERVEs of the keys in turn, each with an id of 36 characters.
    private mutating func writeReserves(_ count: Int) {
        lines.removeAll()
        for _ in 0..<count {
            // A step that shares no factor with the count visits every key, in no order.
            let key = next &* 97 % keys
            lines.append("RESERVE bench/team-" as StaticString)
            lines.append(decimal: Int64(key / Self.keysPerTeam))
            lines.append("/key-" as StaticString)
            lines.append(decimal: Int64(key))
            lines.append(" openai/gpt-4.1 in=1200 out=400 id=" as StaticString)
            lines.append("3f1c0c52-7a3e-4c59-9d1e-" as StaticString)
            lines.append(decimal: Int64(next), width: 12)
            lines.append("\r\n" as StaticString)
            next += 1
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

    // MARK: What is measured

    /// Takes the lines in turns, as the gate does: time moves on, parse, decide, apply; then stage
    /// once. False when one is refused.
    @inline(never)
    private mutating func takeTurns(replying: Bool) -> Bool {
        var at = 0
        var left = 0
        while at < lines.count {
            if left == 0 {
                now += Self.turnNanoseconds
                machine.advance(to: Instant(nanoseconds: now))
                left = Self.turn
            }
            guard
                case .command(let consumed, _) = parser.next(lines.bytes.slice(at, lines.count)),
                let answer = answer(parser.arguments)
            else { return false }
            if case .allowed(let hold, _, _, _) = answer { holds.append(hold) }
            if replying { reply.reply(answer, &seconds) }
            at += consumed
            left -= 1
            if left == 0 || at == lines.count {
                stage()
                reply.removeAll()
            }
        }
        return true
    }
    /// Nil for anything but a yes.
    @inline(__always)
    private mutating func answer(_ arguments: Arguments) -> Answer? {
        var acknowledgement = Acknowledgement.ring
        do throws(Failure) {
            switch Verb(arguments[0]) {
            case .reserve:
                let request = try ReserveRequest(arguments, acknowledgement: &acknowledgement)
                let answer = machine.reserve(request)
                guard case .allowed = answer else { return nil }
                return answer
            case .settle:
                let request = try SettleRequest(arguments, acknowledgement: &acknowledgement)
                let answer = machine.settle(request)
                guard case .settled = answer else { return nil }
                return answer
            default: return nil
            }
        } catch {
            return nil
        }
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
        var times = (reserve: Int64(0), settle: Int64(0))
        holds.removeAll(keepingCapacity: true)
        for first in stride(from: 0, to: requests, by: Self.burst) {
            writeReserves(min(Self.burst, requests - first))
            times.reserve += try timeTurns(replying)
        }
        for first in stride(from: 0, to: requests, by: Self.burst) {
            writeSettles(first..<min(first + Self.burst, requests))
            times.settle += try timeTurns(replying)
        }
        return times
    }
    private mutating func timeTurns(_ replying: Bool) throws(CommandFailure) -> Int64 {
        let start = threadNanoseconds()
        guard takeTurns(replying: replying) else {
            throw CommandFailure(
                .software, "the bench's own ledger refused a request: this is a bug")
        }
        return threadNanoseconds() - start
    }
    /// Waits until all of it is on disk and the ring is empty again.
    func waitDurable() throws(CommandFailure) {
        guard let journal else { return }
        guard journal.waitDurable(journal.stagedSeq) else {
            throw CommandFailure(
                .io, "\(journal.stateReason); say another place with --dir")
        }
    }
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

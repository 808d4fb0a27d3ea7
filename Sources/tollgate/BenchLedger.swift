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
    private let keys: Int
    private var next = 0
    private var now: Int64

    /// Requests a turn: what a gate finds at once on a busy day.
    static let turn = 16
    private static let keysPerTeam = 16
    /// Between two turns, in nanoseconds of the ledger's own clock.
    private static let turnNanoseconds: Int64 = 20_000
    /// 2026-11-22T10:00:00Z; every run sees the same times.
    private static let start: Int64 = 1_795_341_600_000_000_000

    /// - Parameter directory: of the journal; nil leaves every event in the machine's outbox.
    init(keys: Int, directory: String?, limits: Bool = true) throws(CommandFailure) {
        self.keys = keys
        now = Self.start
        journal = try directory.map { directory throws(CommandFailure) in
            try benchJournal { () throws(JournalError) in
                var options = JournalOptions(directory: directory)
                // Nothing is committed before somebody asks: no neighbour while a round is timed.
                options.lingerNanoseconds = 3_600_000_000_000
                options.ringBytes = 256 << 20
                options.batchBytesMax = 128 << 20
                let journal = try Journal.open(options)
                try journal.startCommitter()
                return journal
            }
        }
        machine = Machine(book: Book(), calendar: .utc)
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
    mutating func writeReserves(_ count: Int, into lines: inout ByteBuffer) {
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
    /// The SETTLEs of one turn's holds.
    static func writeSettles(_ holds: ArraySlice<HoldName>, into lines: inout ByteBuffer) {
        lines.removeAll()
        for hold in holds {
            lines.append("SETTLE " as StaticString)
            lines.append(hold)
            lines.append(" in=1200 out=100\r\n" as StaticString)
        }
    }

    // MARK: What is measured

    /// One turn as the gate takes it: read the clock, parse, decide, apply; then stage once.
    @inline(never)
    mutating func takeTurn(
        _ lines: borrowing ByteBuffer, replying: Bool, _ holds: inout [HoldName]
    ) -> Bool {
        now += Self.turnNanoseconds
        machine.advance(to: Instant(nanoseconds: now))
        var at = 0
        while at < lines.count {
            guard
                case .command(let consumed, _) = parser.next(lines.bytes.slice(at, lines.count))
            else { return false }
            guard let answer = answer(parser.arguments) else { return false }
            if case .allowed(let hold, _, _, _) = answer { holds.append(hold) }
            if replying { reply.reply(answer, &seconds) }
            at += consumed
        }
        stage()
        reply.removeAll()
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

    /// Places and settles `requests` holds; the time of each half, without that of making lines.
    mutating func run(
        requests: Int, replying: Bool = false
    ) throws(CommandFailure) -> (reserve: Int64, settle: Int64) {
        var lines = ByteBuffer(capacity: 16 << 10)
        var holds: [HoldName] = []
        holds.reserveCapacity(requests)
        let reserve = try clocked(requests) { ledger, _ in
            ledger.writeReserves(BenchLedger.turn, into: &lines)
            return ledger.timeTurn(lines, replying, &holds)
        }
        var none: [HoldName] = []
        let settle = try clocked(requests) { ledger, first in
            BenchLedger.writeSettles(holds[first..<first + BenchLedger.turn], into: &lines)
            return ledger.timeTurn(lines, replying, &none)
        }
        return (reserve, settle)
    }
    private mutating func clocked(
        _ requests: Int, _ turn: (inout BenchLedger, Int) -> Int64?
    ) throws(CommandFailure) -> Int64 {
        precondition(requests % Self.turn == 0, "whole turns")
        var sum: Int64 = 0
        for first in stride(from: 0, to: requests, by: Self.turn) {
            guard let time = turn(&self, first) else {
                throw CommandFailure(.software, "the bench's own ledger refused a request")
            }
            sum += time
        }
        return sum
    }
    private mutating func timeTurn(
        _ lines: borrowing ByteBuffer, _ replying: Bool, _ holds: inout [HoldName]
    ) -> Int64? {
        let start = monotonicNanoseconds()
        guard takeTurn(lines, replying: replying, &holds) else { return nil }
        return monotonicNanoseconds() - start
    }
    /// One request and its settlement, each a turn.
    mutating func placeAndSettleOne() throws(CommandFailure) {
        var lines = ByteBuffer(capacity: 256)
        var holds: [HoldName] = []
        writeReserves(1, into: &lines)
        guard takeTurn(lines, replying: false, &holds), holds.count == 1 else {
            throw CommandFailure(.software, "the bench's own ledger refused a request")
        }
        BenchLedger.writeSettles(holds[...], into: &lines)
        _ = takeTurn(lines, replying: false, &holds)
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

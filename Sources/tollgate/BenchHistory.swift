import Events
import Journal
import Ledger
import Wire

/// A log as relays leave it: the traced hour that ships with the demo, hour after hour, asked by many keys of
/// several orgs for several models; each request names its user, and each settlement how long it took.
struct BenchHistory: ~Copyable {
    private(set) var machine: Machine
    private var parser = RequestParser()
    private var lines = ByteBuffer(capacity: 16 << 10)
    /// The holds of the turn before, and what they are settled with.
    private var open: [Open] = []
    private let trace: [TraceRow]
    private var next = 0
    /// Seeded alike in every run.
    private var random: UInt64 = 0x9E37_79B9_7F4A_7C15

    private struct Open {
        var hold: HoldName
        var input: Int64
        var output: Int64
    }

    static let orgs = 4
    private static let teamsPerOrg = 4
    private static let keysPerTeam = 16
    static let keys = orgs * teamsPerOrg * keysPerTeam
    private static let users: UInt64 = 200
    private static let models = [
        "openai/gpt-4.1", "openai/gpt-4.1-mini", "anthropic/claude-sonnet",
        "anthropic/claude-haiku",
        "google/gemini-pro", "mistral/large",
    ]
    /// One request in so many is that of a key that may spend nothing.
    private static let refusedOneIn: UInt64 = 50
    /// 2026-11-01T00:00:00Z: five million of these requests are 24 days.
    private static let start: Int64 = 1_793_491_200_000_000_000
    private static let hourNanoseconds: Int64 = 3_600_000_000_000
    static let period = "2026-11"

    private init() {
        trace = Trace.demo().rows
        machine = Machine(book: Book(), calendar: .utc)
    }
    /// A history with its accounts, whose requests are still to come.
    static func make(ledger: String) throws(CommandFailure) -> BenchHistory {
        var history = BenchHistory()
        try history.fill(ledger)
        return history
    }
    private mutating func fill(_ ledger: String) throws(CommandFailure) {
        machine.advance(to: Instant(nanoseconds: Self.start))
        machine.start(ledger: ledger, version: "bench")
        machine.actor = .uid(0)
        for model in Self.models {
            try append(
                .priceSet,
                [("model", .string(model)), ("in", .string("2")), ("out", .string("8"))])
        }
        for org in 0..<Self.orgs {
            try create(.orgCreated, "org-\(org)")
            for team in 0..<Self.teamsPerOrg {
                try create(.teamCreated, "org-\(org)/team-\(team)")
                for key in 0..<Self.keysPerTeam {
                    try create(.keyCreated, "org-\(org)/team-\(team)/key-\(key)")
                }
            }
            try append(
                .keyCreated,
                [
                    ("account", .string("org-\(org)/team-0/spent")),
                    ("limits", .object([JSON.Member("usd.day", .string("0"))])),
                ])
        }
    }
    private mutating func create(_ type: EventType, _ account: String) throws(CommandFailure) {
        try append(type, [("account", .string(account)), ("limits", BenchLedgerSetup.limits)])
    }
    private mutating func append(
        _ type: EventType, _ members: [(String, JSON)]
    ) throws(CommandFailure) {
        var digest = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: (machine.book.seq &+ 1) &* 0x9E37_79B9_7F4A_7C15) {
            digest.replaceSubrange(0..<8, with: $0)
        }
        do throws(Failure) {
            _ = try machine.append(
                type, .object(members.map { JSON.Member($0.0, $0.1) }), secret: digest)
        } catch {
            throw CommandFailure(.software, "the bench's own history: \(error.text)")
        }
    }

    // MARK: Requests

    /// Asks once more for so many holds, in turns, and settles each in the turn after its own.
    mutating func ask(_ requests: Int) throws(CommandFailure) {
        for first in stride(from: 0, to: requests, by: BenchLedger.turn) {
            let row = trace[next % trace.count]
            machine.advance(
                to: Instant(
                    nanoseconds: Self.start + Int64(next / trace.count) * Self.hourNanoseconds
                        + row.offset))
            lines.removeAll()
            for hold in open { writeSettle(hold) }
            var asked: [TraceRow] = []
            for _ in 0..<min(BenchLedger.turn, requests - first) {
                asked.append(trace[next % trace.count])
                writeReserve(asked[asked.count - 1])
                next += 1
            }
            let settled = open.count
            open.removeAll(keepingCapacity: true)
            guard takeTurn(settled, asked) else { throw BenchHistory.surprised }
        }
    }

    private mutating func draw() -> UInt64 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return random >> 32
    }
    /// Few of `count` are drawn often, most of them seldom.
    private mutating func drawSkewed(_ count: UInt64) -> UInt64 {
        let product = (draw() * draw()) >> 32
        return (product * count) >> 32
    }
    private mutating func writeReserve(_ row: TraceRow) {
        let key = drawSkewed(UInt64(Self.keys))
        lines.append("RESERVE org-" as StaticString)
        lines.append(decimal: Int64(key % UInt64(Self.orgs)))
        if draw() % Self.refusedOneIn == 0 {
            lines.append("/team-0/spent " as StaticString)
        } else {
            lines.append("/team-" as StaticString)
            lines.append(decimal: Int64(key / UInt64(Self.orgs * Self.keysPerTeam)))
            lines.append("/key-" as StaticString)
            lines.append(
                decimal: Int64(key / UInt64(Self.orgs) % UInt64(Self.keysPerTeam)))
            lines.append(" " as StaticString)
        }
        // A key has its model, and asks for another one now and then.
        let model = draw() % 8 == 0 ? draw() : key
        lines.append(Self.models[Int(model % UInt64(Self.models.count))])
        lines.append(" in=" as StaticString)
        lines.append(decimal: row.input)
        lines.append(" out=4096 user=user-" as StaticString)
        lines.append(decimal: Int64(drawSkewed(Self.users)))
        lines.append(" id=3f1c0c52-7a3e-4c59-9d1e-" as StaticString)
        lines.append(decimal: Int64(next), width: 12)
        lines.append("\r\n" as StaticString)
    }
    private mutating func writeSettle(_ hold: Open) {
        lines.append("SETTLE " as StaticString)
        lines.append(hold.hold)
        lines.append(" in=" as StaticString)
        lines.append(decimal: hold.input)
        lines.append(" out=" as StaticString)
        lines.append(decimal: hold.output)
        // What an upstream takes to begin, and for each token.
        lines.append(" ms=" as StaticString)
        lines.append(decimal: 200 + 12 * hold.output)
        lines.append("\r\n" as StaticString)
    }

    /// False when something is answered that is neither a settlement, a hold nor a refusal.
    private mutating func takeTurn(_ settled: Int, _ asked: [TraceRow]) -> Bool {
        var at = 0
        var number = 0
        while at < lines.count {
            guard
                case .command(let consumed, _) = parser.next(lines.bytes.slice(at, lines.count))
            else { return false }
            at += consumed
            var acknowledgement = Acknowledgement.ring
            do throws(Failure) {
                if number < settled {
                    let request = try SettleRequest(
                        parser.arguments, acknowledgement: &acknowledgement)
                    guard case .settled = machine.settle(request) else { return false }
                } else {
                    let request = try ReserveRequest(
                        parser.arguments, acknowledgement: &acknowledgement)
                    switch machine.reserve(request) {
                    case .allowed(let hold, _, _, _):
                        let row = asked[number - settled]
                        open.append(Open(hold: hold, input: row.input, output: row.output))
                    case .denied: break
                    default: return false
                    }
                }
            } catch {
                return false
            }
            number += 1
        }
        return true
    }
    private static let surprised = CommandFailure(
        .software, "the bench's own history was answered otherwise than it must: this is a bug")

    /// The events since the last time, for whoever takes them.
    mutating func drain(_ body: (Bytes) throws(CommandFailure) -> Void) throws(CommandFailure) {
        try body(machine.outbox.bytes)
        machine.outbox.removeAll()
    }
}

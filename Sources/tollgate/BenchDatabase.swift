import Events
import Glibc

/// RESERVE beside what people use today: the same check as a function in PostgreSQL.
///
/// Both sides answer over a Unix socket and hold on the same key, team and org. In a database every
/// request of an org waits for its row, and the row for the commit of whoever holds it; that is
/// what the same check costs there, and no reason to spread the load over orgs that are not asked.
struct BenchDatabase: BenchTest {
    let name = "postgres"
    let summary = "RESERVE beside the same check in a PostgreSQL function"

    private static let clients = 16
    private static let seconds = 2

    /// Ours and the peer's way to be as durable.
    private struct Durability {
        var words: [String]
        var isDurable: Bool
        var ours: String
        var peer: String
    }
    private static let durabilities = [
        Durability(
            words: ["ack=disk"], isDurable: true, ours: "ack=disk",
            peer: "PostgreSQL, one function"),
        Durability(
            words: [], isDurable: false, ours: "ack=ring",
            peer: "PostgreSQL, synchronous_commit=off"),
    ]

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let daemon = try BenchPeers.tollgate(context, in: context.makeDirectory("postgres"))
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        var holds = try BenchHolds(daemon.socket)
        let postgres = try BenchPostgres(context)
        let link = try BenchLink(daemon.socket)
        var rows: [BenchRow] = []
        for (i, durability) in Self.durabilities.enumerated() {
            let words = BenchMessage.reserve(20 + i) + durability.words
            var message = BenchMessage(words.joined(separator: " ") + "\r\n")
            let swarm = try BenchSwarm(
                daemon.socket, connections: Self.clients, pipelined: 1,
                words: BenchMessage.reserve(30 + i) + durability.words)
            let count = context.count(durability.isDurable ? 1_000 : 20_000, smoke: 20)
            let nanoseconds = Int64(context.count(Self.seconds * 500_000_000, smoke: 20_000_000))
            let values = try context.alternate(sides: postgres == nil ? 2 : 4) {
                side throws(CommandFailure) in
                switch side {
                case 0:
                    let times = try link.roundTrips(&message, count: count)
                    _ = try holds.release(context)
                    return Spread(times.map(Double.init)).median
                case 1:
                    let rate = try swarm.run(for: nanoseconds, context)
                    _ = try holds.release(context)
                    return rate
                default:
                    guard let postgres else { return 0 }
                    try postgres.reset()
                    let seen = try postgres.reserve(
                        clients: side == 2 ? 1 : Self.clients, isDurable: durability.isDurable,
                        seconds: Self.seconds)
                    return side == 2 ? seen.median : seen.perSecond
                }
            }
            func row(
                _ name: String, _ what: String, _ measure: BenchRow.Measure, _ side: Int
            ) -> BenchRow {
                BenchRow(
                    name: "postgres.\(name).\(durability.isDurable ? "disk" : "ring")",
                    what: "\(what), \(durability.ours)", measure: measure,
                    ours: Spread(values[side]),
                    peer: postgres == nil ? nil : (durability.peer, Spread(values[side + 2])),
                    note: postgres == nil ? BenchPostgres.notInstalled : "")
            }
            rows.append(row("latency", "RESERVE round trip, one client, p50", .nanoseconds, 0))
            rows.append(row("rate", "RESERVE/s, \(Self.clients) clients", .perSecond, 1))
        }
        return rows
    }
}

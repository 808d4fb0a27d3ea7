import Events

/// One client, one request under way: RESERVE against what any round trip costs on this machine.
struct BenchRoundTrip: BenchTest {
    let name = "roundtrip"
    let summary = "RESERVE, one client, beside a C echo server and PING"

    /// The sides take turns several times a round: a neighbour's burst then falls on all of them.
    private static let turns = 8

    /// What no server that logs can fall below here, whatever it decides.
    private static let floor = "C echo that logs (the floor)"

    private struct Side {
        var name: String
        var link: BenchLink
        var message: BenchMessage
        /// Quantiles in nanoseconds, one a round.
        var quantiles: [[Double]] = BenchRoundTrip.quantiles.map { _ in [] }
    }
    private static let quantiles: [(name: String, part: Double)] = [
        ("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999),
    ]

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let daemon = try BenchPeers.tollgate(context, in: context.makeDirectory("roundtrip"))
        let echo = try BenchPeers.echo(context)
        let logging = try BenchPeers.echo(context, logging: true)
        let redis = try BenchPeers.redis(context)
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        var holds = try BenchHolds(daemon.socket)

        let line = BenchMessage.reserveLine(1)
        var sides = [
            Side(
                name: "Tollgate", link: try BenchLink(daemon.socket), message: BenchMessage(line)),
            Side(name: "C echo", link: try BenchLink(echo.socket), message: BenchMessage(line)),
            Side(
                name: Self.floor, link: try BenchLink(logging.socket), message: BenchMessage(line)),
        ]
        if let redis {
            sides.append(
                Side(
                    name: "Redis PING", link: try BenchLink(redis.socket),
                    message: BenchMessage("PING\r\n")))
        }
        let answer = try sides[0].link.answer(&sides[0].message)
        guard answer.hasPrefix("+ALLOW ") else {
            throw CommandFailure(.software, "RESERVE was answered \(answer)")
        }

        let count = context.count(4_000, smoke: 50)
        for round in 0...context.rounds {
            var times = [[Int64]](repeating: [], count: sides.count)
            for _ in 0..<Self.turns {
                for i in sides.indices {
                    try context.checkInterrupt()
                    times[i] += try sides[i].link.roundTrips(&sides[i].message, count: count)
                }
                _ = try holds.release(context)
            }
            guard round > 0 else { continue }
            for i in sides.indices {
                times[i].sort()
                for (q, quantile) in Self.quantiles.enumerated() {
                    let at = min(
                        Int(Double(times[i].count) * quantile.part), times[i].count - 1)
                    sides[i].quantiles[q].append(Double(times[i][at]))
                }
            }
        }
        return rows(sides, hasRedis: redis != nil)
    }

    private func rows(_ sides: [Side], hasRedis: Bool) -> [BenchRow] {
        var rows: [BenchRow] = []
        for peer in sides.dropFirst() {
            let key =
                switch peer.name {
                case "C echo": "echo"
                case Self.floor: "floor"
                default: "redis"
                }
            for (q, quantile) in Self.quantiles.enumerated() {
                var row = BenchRow(
                    name: "roundtrip.\(key).\(quantile.name)",
                    what: "RESERVE round trip, Unix socket, \(quantile.name)",
                    measure: .nanoseconds, ours: Spread(sides[0].quantiles[q]),
                    peer: (peer.name, Spread(peer.quantiles[q])))
                if peer.name == "C echo", q == 0 { row.budget = .ratioAtMost(1.10) }
                if !hasRedis { row.note = BenchPeers.noRedis }
                rows.append(row)
            }
        }
        return rows
    }
}

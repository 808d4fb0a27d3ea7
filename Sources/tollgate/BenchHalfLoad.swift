import Events
import Glibc

/// Latency at half of what a server can take, from the moments at which the requests were due.
struct BenchHalfLoad: BenchTest {
    let name = "openloop"
    let summary = "latency at half of saturation, corrected, beside Redis SET"

    private static let connections = 16

    private struct Side {
        var name: String
        var saturating: BenchSwarm
        var scheduled: BenchOpenLoop
        /// Answers a second when nobody waits for anything but answers.
        var saturation = 0.0
        /// In the order of ``BenchQuantiles/names``, one value a round.
        var quantiles: [[Double]] = BenchQuantiles.names.map { _ in [] }
    }

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let daemon = try BenchPeers.tollgate(context, in: context.makeDirectory("openloop"))
        let redis = try BenchPeers.redis(context)
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        var holds = try BenchHolds(daemon.socket)
        var sides = [
            try side("Tollgate", daemon.socket, "+ALLOW ") { BenchMessage.reserve(40 + $0) }
        ]
        if let redis {
            sides.append(
                try side("Redis SET", redis.socket, "+OK") { _ in ["SET", "bench:#", "xxx"] })
        }

        let nanoseconds = Int64(context.count(1_000_000_000, smoke: 50_000_000))
        let saturations = try context.alternate(sides: sides.count) { i throws(CommandFailure) in
            let rate = try sides[i].saturating.run(for: nanoseconds, context)
            if i == 0 { _ = try holds.release(context) }
            return rate
        }
        for i in sides.indices { sides[i].saturation = Spread(saturations[i]).median }

        // Long enough for a thousandth to be more than a handful.
        let length = Int64(context.count(context.isLong ? 30 : 4, smoke: 0)) * 1_000_000_000
        for round in 0...context.rounds {
            for i in sides.indices {
                let histogram = try sides[i].scheduled.run(
                    perSecond: sides[i].saturation / 2, for: max(length, 100_000_000), context)
                if i == 0 { _ = try holds.release(context) }
                guard round > 0 else { continue }
                for (q, value) in BenchQuantiles.values(of: histogram).enumerated() {
                    sides[i].quantiles[q].append(value)
                }
            }
        }
        return rows(sides, saturations)
    }

    private func side(
        _ name: String, _ socket: String, _ expected: StaticString, _ words: (Int) -> [String]
    ) throws(CommandFailure) -> Side {
        Side(
            name: name,
            saturating: try BenchSwarm(
                socket, connections: Self.connections, pipelined: 1, words: words(0)),
            scheduled: try BenchOpenLoop(
                socket, connections: Self.connections, words: words(1), expected: expected))
    }

    private func rows(_ sides: [Side], _ saturations: [[Double]]) -> [BenchRow] {
        let peer = sides.count > 1 ? sides[1] : nil
        let note = peer == nil ? BenchPeers.noRedis : ""
        var rows = [
            BenchRow(
                name: "openloop.saturation",
                what: "saturation: RESERVE/s, \(Self.connections) × 1, closed loop",
                measure: .perSecond, ours: Spread(saturations[0]),
                peer: peer.map { ($0.name, Spread(saturations[1])) }, note: note)
        ]
        for (q, quantile) in BenchQuantiles.names.enumerated() {
            func rate(_ side: Side) -> String {
                "\(BenchRow.decimal(side.saturation / 2_000, 1)) k/s"
            }
            rows.append(
                BenchRow(
                    name: "openloop.\(quantile)",
                    what: "RESERVE at half of it, \(rate(sides[0])), open loop, \(quantile)",
                    measure: .nanoseconds, ours: Spread(sides[0].quantiles[q]),
                    peer: peer.map {
                        ("\($0.name) at half of its own, \(rate($0))", Spread($0.quantiles[q]))
                    }, note: note))
        }
        return rows
    }
}

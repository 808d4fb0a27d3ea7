import Events
import Glibc

/// What it buys to look for work again and again instead of sleeping until there is some, and what
/// that costs: the same round trips with and without `--spin-us`.
struct BenchSpin: BenchTest {
    let name = "spin"
    let summary = "RESERVE, one client, with --spin-us and without"

    static let microseconds = 100
    private static let turns = 8

    private struct Side {
        let daemon: BenchPeers.Server
        let link: BenchLink
        var message = BenchMessage(BenchMessage.reserveLine(80))
        var holds: BenchHolds
        /// The median and the 99th percentile of each round, in nanoseconds.
        var medians: [Double] = []
        var ends: [Double] = []
        /// Of a processor, in nanoseconds, and by the clock.
        var busy = 0.0
        var elapsed = 0.0

        init(_ context: BenchContext, _ name: String, _ flags: [String]) throws(CommandFailure) {
            daemon = try BenchPeers.tollgate(
                context, in: context.makeDirectory(name), flags: flags)
            try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
            link = try BenchLink(daemon.socket)
            holds = try BenchHolds(daemon.socket)
        }
    }

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        var sides = [
            try Side(context, "spinning", ["--spin-us", "\(Self.microseconds)"]),
            try Side(context, "sleeping", []),
        ]
        let count = context.count(4_000, smoke: 50)
        for round in 0...context.rounds {
            for i in sides.indices {
                var times: [Double] = []
                for _ in 0..<context.count(Self.turns, smoke: 1) {
                    try context.checkInterrupt()
                    let began = (sides[i].daemon.process.busySeconds, monotonicNanoseconds())
                    times += try sides[i].link.roundTrips(&sides[i].message, count: count)
                        .map(Double.init)
                    sides[i].busy += sides[i].daemon.process.busySeconds - began.0
                    sides[i].elapsed += Double(monotonicNanoseconds() - began.1) / 1e9
                    _ = try sides[i].holds.release(context)
                }
                guard round > 0 else { continue }
                times.sort()
                sides[i].medians.append(times[times.count / 2])
                sides[i].ends.append(times[times.count * 99 / 100])
            }
        }
        // Its three other threads are in it, too.
        func share(_ side: Side) -> String {
            "\(BenchRow.decimal(side.busy / side.elapsed * 100, 0)) %"
        }
        let note =
            "the daemon's share of a processor: \(share(sides[0])) against \(share(sides[1]))"
        func row(
            _ name: String, _ values: (Side) -> [Double], _ note: String
        ) -> BenchRow {
            BenchRow(
                name: "spin.\(name)",
                what: "RESERVE round trip, one client, \(name), --spin-us \(Self.microseconds)",
                measure: .nanoseconds, ours: Spread(values(sides[0])),
                peer: ("without", Spread(values(sides[1]))), note: note)
        }
        return [row("p50", \.medians, note), row("p99", \.ends, "")]
    }
}

import Events
import Glibc

/// How long a daemon takes from its start to its first answer.
struct BenchRestart: BenchTest {
    let name = "restart"
    let summary = "first answer after an orderly stop and after kill -9"

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let directory = try context.makeDirectory("restart")
        var daemon = try BenchPeers.tollgate(context, in: directory)
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        var run = 10
        var events: Int64 = 0
        let nanoseconds = Int64(context.count(2_000_000_000, smoke: 100_000_000))
        func restart(_ number: Int32) throws(CommandFailure) -> Double {
            run += 1
            let swarm = try BenchSwarm(
                daemon.socket, connections: 16, pipelined: 16, words: BenchMessage.reserve(run))
            var holds = try BenchHolds(daemon.socket)
            _ = try swarm.run(for: nanoseconds, context)
            _ = try holds.release(context)
            events = try Client(.unix(daemon.socket)).info("seq") ?? 0
            daemon.process.end(number)
            let start = monotonicNanoseconds()
            daemon = try BenchPeers.tollgate(context, in: directory)
            return Double(monotonicNanoseconds() - start)
        }
        let values = try context.alternate(sides: 2) { side throws(CommandFailure) in
            try restart(side == 0 ? SIGTERM : SIGKILL)
        }
        let size = "\(LoadReport.grouped(events)) events"
        return [
            BenchRow(
                name: "restart.stopped", what: "restart after an orderly stop",
                measure: .nanoseconds, ours: Spread(values[0]), budget: .atMost(1e9), note: size),
            BenchRow(
                name: "restart.killed", what: "restart after kill -9", measure: .nanoseconds,
                ours: Spread(values[1]), budget: .atMost(1e9), note: size),
        ]
    }
}

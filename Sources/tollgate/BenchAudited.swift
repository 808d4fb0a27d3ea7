import Events
import Glibc

/// What a relay notices of auditors: RESERVE's latency on a schedule while the whole log is replayed and
/// exported through the same daemon, and while nobody reads.
struct BenchAudited: BenchTest {
    let name = "audited"
    let summary = "RESERVE while the log is replayed and exported, against without"

    private static let perSecond = 5_000.0
    private static let connections = 16

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let log = try context.historyLog()
        let daemon = try BenchPeers.tollgate(context, in: log.directory)
        try BenchLedgerSetup.create(Client(.unix(daemon.socket)))
        var holds = try BenchHolds(daemon.socket)
        let loop = try BenchOpenLoop(
            daemon.socket, connections: Self.connections, words: BenchMessage.reserve(90),
            expected: "+ALLOW ")
        let nanoseconds = Int64(context.count(3_000_000_000, smoke: 100_000_000))
        var quantiles = [[[Double]]](
            repeating: BenchQuantiles.names.map { _ in [] }, count: 2)
        for round in 0...context.rounds {
            for side in 0..<2 {
                let auditors = side == 0 ? try Auditors(daemon.socket, context) : nil
                let histogram = try loop.run(
                    perSecond: Self.perSecond, for: nanoseconds, context)
                try auditors?.end(context)
                _ = try holds.release(context)
                guard round > 0 else { continue }
                for (q, value) in BenchQuantiles.values(of: histogram).enumerated() {
                    quantiles[side][q].append(value)
                }
            }
        }
        withExtendedLifetime(daemon) {}
        return BenchQuantiles.names.indices.dropLast().map { q in
            BenchRow(
                name: "audited.\(BenchQuantiles.names[q])",
                what: "RESERVE \(BenchQuantiles.names[q]), 5 k/s, open loop, while the log is "
                    + "replayed and exported",
                measure: .nanoseconds, ours: Spread(quantiles[0][q]),
                peer: ("while nobody reads", Spread(quantiles[1][q])),
                note: q == 0 ? log.size : "")
        }
    }

    /// A replay and an export at work, until they are ended.
    private struct Auditors {
        private let processes: [BenchProcess]

        /// Both have begun to work when this returns.
        init(_ socket: String, _ context: BenchContext) throws(CommandFailure) {
            var started: [BenchProcess] = []
            for words in [["replay"], ["export", "--out", context.path("audited"), "--force"]] {
                started.append(
                    try BenchProcess(
                        ["run", "/proc/self/exe", "audit"] + words + ["--socket", socket],
                        output: context.path("\(words[0]).txt")))
            }
            processes = started
            for process in processes {
                while process.isRunning, process.busySeconds < Auditors.begunSeconds {
                    try context.checkInterrupt()
                    usleep(1_000)
                }
            }
        }
        private static let begunSeconds = 0.05

        func end(_ context: BenchContext) throws(CommandFailure) {
            guard context.isSmoke || processes.allSatisfy(\.isRunning) else {
                throw CommandFailure(
                    .software, "a replay or an export was done before the requests were")
            }
            for process in processes { process.end(SIGKILL) }
        }
    }
}

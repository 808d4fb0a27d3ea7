import Events
import Glibc
import Journal
import Ledger

/// How long a daemon takes from its start to its first answer.
struct BenchRestart: BenchTest {
    let name = "restart"
    let summary = "first answer after a stop and kill -9; --long: of a log of 100 M events"

    private static let longEvents: UInt64 = 100_000_000
    private static let keys = 256
    /// Staged and committed at once while the long log is made.
    private static let stride = 1 << 16

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        // `??` would throw any error there is.
        let directory =
            if let log = context.log { log } else { try context.makeDirectory("restart") }
        var rows: [BenchRow] = []
        if context.isLong {
            try make(in: directory, context)
            rows.append(try foldAll(of: directory, context))
        }
        var daemon = try BenchPeers.tollgate(context, in: directory)
        if !context.isLong { try BenchLedgerSetup.create(Client(.unix(daemon.socket))) }
        var events = try Client(.unix(daemon.socket)).info("seq") ?? 0
        let key = context.isLong ? BenchLedger.path(0) : BenchLedgerSetup.key
        let nanoseconds = Int64(context.count(2_000_000_000, smoke: 100_000_000))
        func restart(_ number: Int32) throws(CommandFailure) -> Double {
            // By the log's length, so that a log that is kept never sees an id again.
            var words = BenchMessage.reserve(Int(events) + 10)
            words[1] = key
            let swarm = try BenchSwarm(
                daemon.socket, connections: 16, pipelined: 16, words: words)
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
        return rows + [
            BenchRow(
                name: "restart.stopped", what: "restart after an orderly stop",
                measure: .nanoseconds, ours: Spread(values[0]), budget: .atMost(1e9), note: size),
            BenchRow(
                name: "restart.killed", what: "restart after kill -9", measure: .nanoseconds,
                ours: Spread(values[1]), budget: .atMost(1e9), note: size),
        ]
    }

    // MARK: The long log

    /// Holds placed and settled by a ledger in this process, until the log is long enough; one that a
    /// run before has kept is taken as it is.
    private func make(
        in directory: String, _ context: BenchContext
    ) throws(CommandFailure) {
        if access(directory + "/journal", F_OK) == 0 { return }
        context.note("making a log of \(LoadReport.grouped(Int64(Self.longEvents))) events")
        var ledger = try BenchLedger.make(keys: Self.keys, directory: directory)
        while ledger.machine.book.seq < Self.longEvents {
            try context.checkInterrupt()
            _ = try ledger.run(requests: Self.stride)
            try ledger.waitDurable()
        }
        ledger.journal?.shutdown()
    }
    /// A start without any checkpoint: all of the log is folded before the first answer.
    private func foldAll(
        of directory: String, _ context: BenchContext
    ) throws(CommandFailure) -> BenchRow {
        var rates: [Double] = []
        var events: Int64 = 0
        for _ in 0..<context.rounds {
            context.removeDirectory(directory + "/checkpoints")
            let start = monotonicNanoseconds()
            let daemon = try BenchPeers.tollgate(context, in: directory)
            let seconds = Double(monotonicNanoseconds() - start) / 1e9
            events = try Client(.unix(daemon.socket)).info("seq") ?? 0
            rates.append(Double(events) / seconds)
            // The second fold has all of it before it, too, and an orderly end would wait for it.
            daemon.process.end(SIGKILL)
        }
        let rate = Spread(rates)
        return BenchRow(
            name: "restart.fold", what: "restart without any checkpoint, events a second",
            measure: .perSecond, ours: rate, budget: .atLeast(10e6),
            note: "\(LoadReport.grouped(events)) events, first answer after "
                + "\(BenchRow.decimal(Double(events) / rate.median, 1)) s")
    }
}

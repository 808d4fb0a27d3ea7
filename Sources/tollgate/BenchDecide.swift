import Events

/// What a command costs inside the gate, between reading its bytes and writing the answer's.
struct BenchDecide: BenchTest {
    let name = "decide"
    let summary = "parse + decide + apply + stage, ns a command"

    private static let keys = 256
    /// Open at once.
    private static let burst = 4_096
    /// A little more than what a book remembers of ended holds: from here on it grows no more.
    private static let steadyRequests = (1 << 20) + (1 << 16)

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let directory = try context.makeDirectory("decide")
        defer { context.removeDirectory(directory) }
        let small = try runSmall(context)
        var ledger = try BenchLedger.make(keys: Self.keys, directory: directory)
        let bursts = context.count(25, smoke: 1)
        let warmUp = context.count(Self.steadyRequests / Self.burst, smoke: 1)
        var reserve: [Double] = []
        var settle: [Double] = []
        var replied: [Double] = []
        for round in 0...context.rounds {
            let plain = try run(&ledger, round == 0 ? warmUp : bursts, replying: false, context)
            let full = try run(&ledger, bursts, replying: true, context)
            guard round > 0 else { continue }
            reserve.append(plain.reserve)
            settle.append(plain.settle)
            replied.append(full.reserve)
        }
        func row(
            _ name: String, _ what: String, _ values: [Double], _ budget: BenchBudget?,
            _ note: String = "a million ended holds remembered"
        ) -> BenchRow {
            BenchRow(
                name: "decide.\(name)", what: what, measure: .nanoseconds, ours: Spread(values),
                budget: budget, note: note)
        }
        let young = "a young ledger, \(LoadReport.grouped(2 * Self.burst)) holds"
        return [
            row("reserve", "RESERVE: parse + decide + apply + stage", reserve, .atMost(350)),
            row("replied", "the same and its answer written", replied, nil),
            row("settle", "SETTLE: parse + decide + apply + stage", settle, nil),
            row(
                "young.reserve", "RESERVE: parse + decide + apply + stage", small.reserve,
                .atMost(350), young),
            row("young.settle", "SETTLE: parse + decide + apply + stage", small.settle, nil, young),
        ]
    }

    /// The same in a ledger that remembers little, so that the caches hold most of it: what is left is
    /// the work, and the difference is memory.
    private func runSmall(
        _ context: BenchContext
    ) throws(CommandFailure) -> (reserve: [Double], settle: [Double]) {
        var values = (reserve: [Double](), settle: [Double]())
        for round in 0...context.rounds {
            let directory = try context.makeDirectory("decide-young-\(round)")
            defer { context.removeDirectory(directory) }
            var ledger = try BenchLedger.make(keys: Self.keys, directory: directory)
            // The ring's pages and the tables' first chunks are touched before anything is timed.
            _ = try run(&ledger, 1, replying: false, context)
            let times = try run(&ledger, 1, replying: false, context)
            guard round > 0 else { continue }
            values.reserve.append(times.reserve)
            values.settle.append(times.settle)
        }
        return values
    }

    /// Nanoseconds a command.
    private func run(
        _ ledger: inout BenchLedger, _ bursts: Int, replying: Bool, _ context: BenchContext
    ) throws(CommandFailure) -> (reserve: Double, settle: Double) {
        var sum = (reserve: Int64(0), settle: Int64(0))
        for _ in 0..<bursts {
            try context.checkInterrupt()
            let times = try ledger.run(requests: Self.burst, replying: replying)
            sum.reserve += times.reserve
            sum.settle += times.settle
            try ledger.waitDurable()
        }
        let commands = Double(bursts * Self.burst)
        return (Double(sum.reserve) / commands, Double(sum.settle) / commands)
    }
}

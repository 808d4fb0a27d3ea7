import Events

/// What a RESERVE costs when everything that an admin may decide is decided, beside the core's four
/// limits.
struct BenchPolicy: BenchTest {
    let name = "policy"
    let summary =
        "RESERVE with every limit, credit, billing, rights and routing, against the core's"

    private static let keys = 256
    private static let burst = 4_096

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        var core: [Double] = []
        var named: [Double] = []
        var routed: [Double] = []
        // In turns, so that whatever else the machine does falls upon all three.
        for round in 0...context.rounds {
            let first = try run(.onAll, .line, context)
            let second = try run(.onAllAndMore, .scoped, context)
            let third = try run(.onAllAndMore, .routed, context)
            guard round > 0 else { continue }
            core.append(first)
            named.append(second)
            routed.append(third)
        }
        func row(
            _ name: String, _ note: String, _ ours: [Double], _ peer: String, _ values: [Double]
        ) -> BenchRow {
            BenchRow(
                name: "policy.\(name)", what: "RESERVE: parse + decide + apply + stage",
                measure: .nanoseconds, ours: Spread(ours), peer: (peer, Spread(values)),
                note: note)
        }
        let all = "all 19 limits on three tiers, credit, billing, models and scopes on three tiers"
        return [
            row("everything", all, named, "the core's four limits on three tiers", core),
            row(
                "routed", "the same, model auto: the second of three rules", routed, "model named",
                named),
        ]
    }

    /// Nanoseconds a RESERVE, in a ledger of its own.
    private func run(
        _ limits: BenchLedger.Limits, _ asking: BenchLedger.Asking, _ context: BenchContext
    ) throws(CommandFailure) -> Double {
        let directory = try context.makeDirectory("policy")
        defer { context.removeDirectory(directory) }
        var ledger = try BenchLedger.make(keys: Self.keys, directory: directory, limits: limits)
        try context.checkInterrupt()
        // The ring's pages and the tables' first chunks are touched before anything is timed.
        for _ in 0..<context.count(4, smoke: 1) {
            _ = try ledger.ask(Self.burst, asking)
            _ = try ledger.settle()
            try ledger.waitDurable()
        }
        var time: Int64 = 0
        let bursts = context.count(4, smoke: 1)
        for _ in 0..<bursts {
            time += try ledger.ask(Self.burst, asking)
            _ = try ledger.settle()
            try ledger.waitDurable()
        }
        return Double(time) / Double(bursts * Self.burst)
    }
}

/// What `BenchLedger` has more than the core's limits.
enum BenchPolicySetup {
    /// Every limit there is, so large that none binds.
    static let limits = JSON.object(
        LimitKind.all.map { kind in
            JSON.Member(
                "\(kind.name)",
                kind.isMoney ? .string("9000000000") : .integer(1_000_000_000_000))
        })
    static let models = JSON.strings(["anthropic/*", BenchLedgerSetup.model])
    static let scopes = JSON.strings(["embeddings", "chat"])

    static let events: [(EventType, JSON)] = [
        (
            .creditGranted,
            .object([
                JSON.Member("account", .string("bench")), JSON.Member("usd", .string("8000000000")),
                JSON.Member("source", .string("bench")),
            ])
        ),
        (
            .billingSet,
            .object([
                JSON.Member("account", .string("bench")),
                JSON.Member("markup_ppm", .integer(150_000)),
                JSON.Member("currency", .string("CNY")), JSON.Member("rate", .string("7.3")),
            ])
        ),
        (
            .routingSet,
            .object([
                JSON.Member("account", .string("bench")),
                JSON.Member(
                    "rules",
                    .array([
                        rule("short", [JSON.Member("out", .integer(100))]),
                        rule(
                            "summaries",
                            [JSON.Member("prompt", .strings(["translate", "summarize"]))]),
                        rule("batch", [JSON.Member("batch", .bool(true))]),
                    ])),
                JSON.Member("fallback", .string(BenchLedgerSetup.model)),
            ])
        ),
    ]
    private static func rule(_ name: String, _ match: [JSON.Member]) -> JSON {
        .object([
            JSON.Member("name", .string(name)), JSON.Member("match", .object(match)),
            JSON.Member("model", .string(BenchLedgerSetup.model)),
        ])
    }
}

import Events

/// What a demo puts into the ledger: one org, three teams, six keys, four models.
///
/// Every event carries an `id`, so a second demo on the same directory changes nothing.
enum DemoLedger {
    struct Account {
        var path: String
        var limits: [(name: String, amount: String)]
        var models: [String]?

        var tier: Tier? { path.withBytes { AccountPath.tier($0) } }
        func limit(_ name: String) -> String? { limits.first { $0.name == name }?.amount }
    }
    struct Model {
        var name: String
        /// Dollars a million tokens.
        var input: String
        var output: String
        var alias: String
    }

    static let org = "acme"
    static let gpt = "openai/gpt-4.1"
    static let claude = "anthropic/claude-sonnet-4.5"
    static let gemini = "google/gemini-2.5-flash"
    static let deepseek = "deepseek/deepseek-v3.2"

    static let models = [
        Model(name: gpt, input: "8", output: "24", alias: "gpt-4.1"),
        Model(name: claude, input: "15", output: "75", alias: "claude-sonnet-4.5"),
        Model(name: gemini, input: "2.50", output: "10", alias: "gemini-2.5-flash"),
        Model(name: deepseek, input: "0.42", output: "1.68", alias: "deepseek-v3.2"),
    ]

    static let accounts = [
        Account(path: org, limits: [], models: nil),
        team(
            "ml-platform", month: "5000", day: "500", minute: 1_200, concurrency: 150,
            [gpt, claude, gemini]),
        key("ml-platform/prod", day: "400", minute: 900, concurrency: 120),
        key("ml-platform/dev", day: "100", minute: 300, concurrency: 30),
        team(
            "research", month: "2000", day: "200", minute: 600, concurrency: 80,
            [gemini, deepseek]),
        key("research/prod", day: "150", minute: 450, concurrency: 60),
        key("research/dev", day: "50", minute: 150, concurrency: 20),
        team(
            "internal-tools", month: "500", day: "50", minute: 200, concurrency: 30,
            [deepseek]),
        key("internal-tools/prod", day: "40", minute: 60, concurrency: 24),
        // So small that the demo runs into it.
        key("internal-tools/dev", day: "0.05", minute: 120, concurrency: 6),
    ]

    /// Who asks for what, in turn: of twenty-five requests ml-platform has sixteen.
    static let targets: [LoadTarget] = spread([
        ("ml-platform/prod", gpt, 6), ("ml-platform/prod", claude, 2),
        ("ml-platform/prod", gemini, 4), ("ml-platform/dev", gpt, 1),
        ("ml-platform/dev", claude, 1), ("ml-platform/dev", gemini, 2),
        ("research/prod", gemini, 2), ("research/prod", deepseek, 3),
        ("research/dev", gemini, 1), ("research/dev", deepseek, 1),
        ("internal-tools/prod", deepseek, 1), ("internal-tools/dev", deepseek, 1),
    ])

    private static func team(
        _ name: String, month: String, day: String, minute: Int, concurrency: Int,
        _ models: [String]
    ) -> Account {
        Account(
            path: "\(org)/\(name)",
            limits: [
                ("usd.month", month), ("usd.day", day), ("requests.minute", "\(minute)"),
                ("concurrency", "\(concurrency)"),
            ],
            models: models)
    }
    private static func key(
        _ name: String, day: String, minute: Int, concurrency: Int
    ) -> Account {
        Account(
            path: "\(org)/\(name)",
            limits: [
                ("usd.day", day), ("requests.minute", "\(minute)"),
                ("concurrency", "\(concurrency)"),
            ],
            models: nil)
    }
    /// Repeats each by its weight, evenly: whoever is furthest behind its share goes next.
    private static func spread(
        _ weights: [(key: String, model: String, count: Int)]
    ) -> [LoadTarget] {
        let total = weights.reduce(0) { $0 + $1.count }
        var credit = weights.map { _ in 0 }
        return (0..<total).map { _ in
            for i in weights.indices { credit[i] += weights[i].count }
            let chosen = credit.indices.max { credit[$0] < credit[$1] }!
            credit[chosen] -= total
            return LoadTarget(
                key: "\(org)/\(weights[chosen].key)", model: weights[chosen].model)
        }
    }
}

extension DemoLedger {
    /// What came of setting up.
    struct Setup {
        var wasThere: Bool
        /// The secret of one new key, as it is shown this once.
        var secret: (key: String, text: String)?
    }

    /// Appends everything; what is there already stays as it is.
    static func setUp(_ client: Client) throws(CommandFailure) -> Setup {
        let wasThere = try isThere(client)
        var setup = Setup(wasThere: wasThere, secret: nil)
        for model in models {
            var payload = Payload()
            payload.set("id", "demo-price-\(model.alias)")
            payload.set("model", model.name)
            payload.set("in", model.input)
            payload.set("out", model.output)
            _ = try append("price.set", payload, client)
            var alias = Payload()
            alias.set("id", "demo-alias-\(model.alias)")
            alias.set("alias", model.alias)
            alias.set("model", model.name)
            _ = try append("alias.set", alias, client)
        }
        for account in accounts {
            let stored = try append(account.event, account.payload, client)
            if setup.secret == nil, let secret = stored["secret"]?.string {
                setup.secret = (account.path, secret)
            }
        }
        return setup
    }

    private static func isThere(_ client: Client) throws(CommandFailure) -> Bool {
        if case .error = try client.call(["USAGE", accounts[accounts.count - 1].path]) {
            return false
        }
        return true
    }

    private static func append(
        _ type: String, _ payload: Payload, _ client: Client
    ) throws(CommandFailure) -> JSON {
        do throws(CommandFailure) {
            return try client.append(type, payload)
        } catch  where error.status == .failure {
            throw CommandFailure(
                .failure,
                "\(type) was refused: \(error.message)\n"
                    + "This ledger has other contents than the demo's: name another directory "
                    + "with --data")
        }
    }
}

extension DemoLedger.Account {
    fileprivate var event: String {
        switch tier {
        case .org: "org.created"
        case .team: "team.created"
        default: "key.created"
        }
    }
    fileprivate var payload: Payload {
        var payload = Payload()
        payload.set("id", "demo-\(path)")
        payload.set("account", path)
        if tier == .org { payload.set("zone", "UTC") }
        if tier == .key {
            payload.set("environment", path.hasSuffix("/prod") ? "prod" : "dev")
        }
        if !limits.isEmpty {
            payload["limits"] = .object(
                limits.map { name, amount in
                    JSON.Member(
                        name, name.hasPrefix("usd.") ? .string(amount) : .number(amount))
                })
        }
        if let models { payload["models"] = .strings(models) }
        return payload
    }
}

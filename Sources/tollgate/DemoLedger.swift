import Events

/// What a demo puts into the ledger: one org, three teams, six keys, four models.
///
/// All of it is one policy file, applied as `tollgate apply` does; so a second demo on the same directory
/// changes nothing.
enum DemoLedger {
    static let org = "acme"
    static let gpt = "openai/gpt-4.1"
    static let claude = "anthropic/claude-sonnet-4.5"
    static let gemini = "google/gemini-2.5-flash"
    static let deepseek = "deepseek/deepseek-v3.2"

    /// As `tollgate demo --policy` prints it.
    static let policy = """
        # One org, three teams, six keys, four models: what 'tollgate demo' applies.
        orgs:
          acme:
            zone: UTC
            teams:
              ml-platform:
                limits: {usd.month: 5000, usd.day: 500, requests.minute: 1200, concurrency: 150}
                models: [openai/gpt-4.1, anthropic/claude-sonnet-4.5, google/gemini-2.5-flash]
                keys:
                  prod:
                    environment: prod
                    limits: {usd.day: 400, requests.minute: 900, concurrency: 120}
                  dev:
                    environment: dev
                    limits: {usd.day: 100, requests.minute: 300, concurrency: 30}
              research:
                limits: {usd.month: 2000, usd.day: 200, requests.minute: 600, concurrency: 80}
                models: [google/gemini-2.5-flash, deepseek/deepseek-v3.2]
                keys:
                  prod:
                    environment: prod
                    limits: {usd.day: 150, requests.minute: 450, concurrency: 60}
                  dev:
                    environment: dev
                    limits: {usd.day: 50, requests.minute: 150, concurrency: 20}
              internal-tools:
                limits: {usd.month: 500, usd.day: 50, requests.minute: 200, concurrency: 30}
                models: [deepseek/deepseek-v3.2]
                keys:
                  prod:
                    environment: prod
                    limits: {usd.day: 40, requests.minute: 60, concurrency: 24}
                  # So small that the demo runs into it.
                  dev:
                    environment: dev
                    limits: {usd.day: 0.05, requests.minute: 120, concurrency: 6}

        # US dollars a million tokens.
        prices:
          openai/gpt-4.1: {in: 8, out: 24}
          anthropic/claude-sonnet-4.5: {in: 15, out: 75}
          google/gemini-2.5-flash: {in: 2.50, out: 10}
          deepseek/deepseek-v3.2: {in: 0.42, out: 1.68}

        aliases:
          gpt-4.1: openai/gpt-4.1
          claude-sonnet-4.5: anthropic/claude-sonnet-4.5
          gemini-2.5-flash: google/gemini-2.5-flash
          deepseek-v3.2: deepseek/deepseek-v3.2
        """
    static func file() throws(CommandFailure) -> PolicyFile {
        try PolicyFile(reading: policy, path: "the demo's policy")
    }

    /// Who asks for what, in turn: of twenty-five requests ml-platform has sixteen.
    static let targets: [LoadTarget] = spread([
        ("ml-platform/prod", gpt, 6), ("ml-platform/prod", claude, 2),
        ("ml-platform/prod", gemini, 4), ("ml-platform/dev", gpt, 1),
        ("ml-platform/dev", claude, 1), ("ml-platform/dev", gemini, 2),
        ("research/prod", gemini, 2), ("research/prod", deepseek, 3),
        ("research/dev", gemini, 1), ("research/dev", deepseek, 1),
        ("internal-tools/prod", deepseek, 1), ("internal-tools/dev", deepseek, 1),
    ])

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

    /// Applies the policy; what is there already stays as it is.
    static func setUp(_ client: Client) throws(CommandFailure) -> Setup {
        let plan = PolicyPlan(try file(), try PolicyState(client, orgs: [org]))
        guard plan.problems.isEmpty, plan.removals.isEmpty else {
            throw otherContents(
                plan.problems.first ?? "\(plan.removals[0].what) in the demo's policy")
        }
        var setup = Setup(wasThere: plan.steps.isEmpty, secret: nil)
        for step in plan.steps {
            let stored: JSON
            do throws(CommandFailure) {
                stored = try client.append(step.type, step.payload)
            } catch  where error.status == .failure {
                throw otherContents("\(step.type) was refused: \(error.message)")
            }
            if setup.secret == nil, let secret = stored["secret"]?.string {
                setup.secret = (stored["account"]?.string ?? "", secret)
            }
        }
        return setup
    }
    private static func otherContents(_ what: String) -> CommandFailure {
        CommandFailure(
            .failure,
            "\(what)\nThis ledger has other contents than the demo's: name another directory with "
                + "--data")
    }
}

import Events

/// What the log must say of holds whose model rules have chosen.
extension Oracle {
    struct Routing {
        struct Rule {
            var name: String
            /// Bounds and a wish; the simulation's rules have no other conditions.
            var out: Int64?
            var input: Int64?
            var batch: Bool?
            /// The rule's model, and its own fallback if it has one.
            var models: [String]
        }
        var rules: [Rule]
        var fallback: String
    }

    func setRouting(of account: Int, _ json: JSON) throws(Fault) {
        guard let fallback = json["fallback"]?.string else {
            accounts[account].routing = nil
            return
        }
        let rules = (json["rules"]?.array ?? []).map { rule in
            Routing.Rule(
                name: rule["name"]?.string ?? "", out: rule["match"]?["out"]?.integer,
                input: rule["match"]?["in"]?.integer,
                batch: rule["match"]?["batch"].flatMap { value in
                    if case .bool(let batch) = value { batch } else { nil }
                },
                models: [rule["model"], rule["fallback"]].compactMap { $0?.string })
        }
        accounts[account].routing = Routing(rules: rules, fallback: fallback)
    }

    /// The hold names a rule of its team's or org's that applies, and no earlier one would have done.
    /// Nothing of the hold has been counted yet.
    func requireRouted(_ spend: Spend, _ event: HoldPlaced) throws(Fault) {
        let chain = accounts[Int(spend.key)].chain
        guard let routed = event.extras.routing else { return }
        counts["routed", default: 0] += 1
        guard
            let routing = chain.dropFirst().lazy.compactMap({ self.accounts[Int($0)].routing })
                .first
        else { throw Fault(text: "hold \(spend.name) is routed by nobody's rules") }
        let model = models[Int(event.model.raw)]
        let rule = routed.rule.string
        spend.routing = (rule, routed.saved)
        var chosen: (rule: String, model: String)?
        search: for rule in routing.rules where applies(rule, to: spend) {
            for model in rule.models where isUsable(model, for: spend) {
                chosen = (rule.name, model)
                break search
            }
        }
        let wanted = chosen ?? ("fallback", routing.fallback)
        try require(
            wanted == (rule, model),
            "hold \(spend.name) goes to \(model) by \(rule), not to \(wanted.model) by \(wanted.rule)"
        )
        let saved = Oracle.cost(priceInForce(of: routing.fallback), spend.asked) - event.usd.raw
        try require(
            routed.saved == saved || priceInForce(of: routing.fallback) == nil && routed.saved == 0,
            "hold \(spend.name) saves \(routed.saved), not \(saved)")
    }
    /// A refusal names who chose its model, too. A model that the key may not use or pay is never a rule's:
    /// then only the fallback is left to be refused.
    func requireRefusedRoute(_ event: HoldRefused) throws {
        guard let routed = event.extras.routing else { return }
        counts["routed and refused", default: 0] += 1
        let routing = try chain(event.header).dropFirst().lazy
            .compactMap { self.accounts[Int($0)].routing }.first
        let rule = routed.rule.string
        try require(
            routing.map { $0.rules.map(\.name) + ["fallback"] }?.contains(rule) == true,
            "refusal \(event.header.seq) is by \(rule), which its key does not have")
        let ofTheModel: [Refusal] = [
            .modelUnpriced, .modelDenied, .creditExhausted, .budgetExhausted,
        ]
        try require(
            rule == "fallback" || !ofTheModel.contains(event.reason),
            "refusal \(event.header.seq): rule \(rule) chose a model that is \(event.reason.name)")
        try require(
            routed.saved == 0, "refusal \(event.header.seq) saves \(routed.saved)")
    }
    private func applies(_ rule: Routing.Rule, to spend: Spend) -> Bool {
        spend.asked.output <= rule.out ?? .max && spend.asked.input <= rule.input ?? .max
            && rule.batch ?? (spend.tier == .batch) == (spend.tier == .batch)
    }
    /// Whether the key may use the model, it has a price, and there is money for it.
    private func isUsable(_ model: String, for spend: Spend) -> Bool {
        guard let price = priceInForce(of: model) else { return false }
        let usd = Oracle.cost(price, spend.asked)
        let chain = accounts[Int(spend.key)].chain
        for account in chain.map(Int.init) {
            if let list = accounts[account].models,
                !list.contains(where: { Oracle.matches($0, model) })
            {
                return false
            }
            for kind in LimitKind.all where kind.isMoney {
                guard let limit = accounts[account].limit(kind) else { continue }
                let (used, held) = taken(UInt32(account), kind, at: time)
                if used + held + usd > limit { return false }
            }
        }
        guard let credit = accounts[Int(chain[2])].credit else { return true }
        let terms = accounts[Int(chain[2])].terms
        let list = openHolds.filter { accounts[Int($0.key)].chain[2] == chain[2] }
        let sum = list.reduce(usd) { $0 + $1.heldUSD }
        guard terms.markup > 0 else { return sum <= credit.left }
        // Each hold may round up by half a nano-dollar by itself.
        let exact = (Int128(sum) * Int128(1_000_000 + terms.markup) + 999_999) / 1_000_000
        return exact + Int128((list.count + 2) / 2) <= Int128(credit.left)
    }
    private func priceInForce(of model: String) -> Price? {
        guard let number = models.firstIndex(of: model) else { return nil }
        return versionInForce(of: number).map { prices[number][$0] }
    }
}

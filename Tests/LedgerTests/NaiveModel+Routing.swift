/// The model `auto`: the first rule that matches and whose model will do, or the fallback.
extension NaiveModel {
    struct Routing {
        let rules: [Rule]
        let fallback: String
    }

    struct Rule {
        let name: String
        let match: [String: JSON]
        let model: String
        let fallback: String?
    }

    /// What a request says of itself for rules.
    struct Wishes {
        /// In millionths.
        var temperature: Amount?
        var batch: Bool?
        var priority = ""
        var prompt = ""
        var capabilities: [String] = []
    }

    struct Choice {
        let rule: String
        let model: String
        let fallback: String
    }

    // MARK: Asking

    static func wishes(_ options: [String: String]) throws(Failure) -> Wishes {
        var wishes = Wishes()
        if let text = options["temperature"] {
            guard let temperature = millionths(text) else {
                throw .error
            }
            wishes.temperature = temperature
        }
        if let text = options["batch"] {
            guard text == "0" || text == "1" else {
                throw .error
            }
            wishes.batch = text == "1"
        }
        wishes.priority = options["priority"] ?? ""
        wishes.prompt = options["prompt"] ?? ""
        if let text = options["capability"] {
            wishes.capabilities = text.split(separator: ",", omittingEmptySubsequences: false)
                .map { String($0) }
            guard wishes.capabilities.allSatisfy({ isName($0) }) else {
                throw .error
            }
        }
        return wishes
    }

    /// `0.3` → 300,000; rounded half up, at most 100 degrees.
    static func millionths(_ text: String) -> Amount? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
        guard (1...2).contains(parts.count), parts.allSatisfy({ integer($0) != nil && $0 != "" })
        else {
            return nil
        }
        let decimals = parts.count == 2 ? String((parts[1] + "0000000").prefix(7)) : "0000000"
        let tenths = integer(parts[0])! * 10_000_000 + integer(decimals)!
        let rounded = (tenths + 5) / 10
        return rounded <= 100_000_000 ? rounded : nil
    }

    // MARK: Choosing

    func choose(_ request: Request, at now: Int64) throws(Failure) -> Choice {
        let lineage = Self.lineage(request.key)
        guard let routing = accounts[lineage[1]]!.routing ?? accounts[lineage[2]]!.routing else {
            throw .error
        }
        for rule in routing.rules where matches(rule, request) {
            for model in [rule.model, rule.fallback] {
                if let model, mayCarry(model, request, at: now) {
                    return Choice(rule: rule.name, model: model, fallback: routing.fallback)
                }
            }
        }
        return Choice(rule: "fallback", model: routing.fallback, fallback: routing.fallback)
    }

    private func matches(_ rule: Rule, _ request: Request) -> Bool {
        func number(_ name: String) -> Amount? {
            if case .integer(let number)? = rule.match[name] { number } else { nil }
        }
        func texts(_ name: String) -> [String]? {
            guard case .array(let items)? = rule.match[name], !items.isEmpty else {
                return nil
            }
            return items.map { if case .string(let text) = $0 { text } else { "" } }
        }
        let wishes = request.wishes
        if let most = number("out"), let output = request.output, output > most {
            return false
        }
        if let most = number("in"), request.input > most {
            return false
        }
        let temperature: String? =
            switch rule.match["temperature"] {
            case .string(let text)?: text
            case .number(let text)?: text
            case .integer(let number)?: "\(number)"
            default: nil
            }
        if let temperature {
            guard let asked = wishes.temperature, asked <= Self.millionths(temperature)! else {
                return false
            }
        }
        if case .bool(let batch)? = rule.match["batch"],
            batch != (wishes.batch ?? (request.tier == "batch"))
        {
            return false
        }
        if case .string(let priority)? = rule.match["priority"],
            priority.lowercased() != wishes.priority.lowercased()
        {
            return false
        }
        if let words = texts("prompt"),
            !words.contains(where: { wishes.prompt.lowercased().contains($0.lowercased()) })
        {
            return false
        }
        if let wanted = texts("capability"),
            !wanted.allSatisfy({ wishes.capabilities.contains($0) })
        {
            return false
        }
        return true
    }

    /// Whether the key may use the model for this, it can do it, and the money is there.
    private func mayCarry(_ model: String, _ request: Request, at now: Int64) -> Bool {
        guard let price = price(of: model, at: now) else {
            return false
        }
        let lineage = Self.lineage(request.key)
        for path in lineage {
            if let list = accounts[path]!.models, !Self.allows(list, model) {
                return false
            }
        }
        if let most = price.maxOut, let output = request.output, output > most {
            return false
        }
        if let context = price.context, request.input + (request.output ?? 1) > context {
            return false
        }
        guard request.wishes.capabilities.allSatisfy({ price.capabilities.contains($0) }) else {
            return false
        }
        let usage = usage(of: request, price: price)
        let usd = Self.cost(of: usage, price: price)
        do throws(Failure) {
            try refuseOverflow(org: lineage[2], usd: usd, tokens: usage.input + usage.output)
            try refuseUnbillable(org: lineage[2], usd: usd)
        } catch {
            return false
        }
        if creditExhausted(lineage[2], usd: usd) != nil {
            return false
        }
        for path in lineage {
            for limit in Self.limitRules[0].limits
            where exceeded(limit, of: path, asked: usd, at: now) != nil {
                return false
            }
        }
        return true
    }

    /// The end of an answer that a rule has chosen the model of.
    func routedWords(_ choice: Choice, _ usage: Usage, usd: Amount, at now: Int64) -> String {
        var saved: Amount = 0
        if let price = price(of: choice.fallback, at: now) {
            let dear = Self.cost(of: usage, price: price)
            // What does not fit the engine's integers cannot be compared with.
            if dear <= Amount(Int64.max) {
                saved = dear - usd
            }
        }
        let sign = saved < 0 ? "-" : ""
        return " rule=\(choice.rule) saved=\(sign)\(Self.money(saved < 0 ? -saved : saved))"
    }

    // MARK: Setting

    mutating func setRouting(_ payload: [String: JSON]) throws(Failure) {
        guard case .string(let path)? = payload["account"], accounts[path] != nil,
            Self.lineage(path).count < 3
        else {
            throw .error
        }
        let fallback = try routedModel(payload["fallback"])
        if payload["rules"] == .null, fallback == nil {
            accounts[path]!.routing = nil
            return
        }
        guard let fallback else {
            throw .error
        }
        var rules: [Rule] = []
        switch payload["rules"] {
        case nil, .null?: break
        case .array(let items)?:
            for item in items {
                rules.append(try rule(item, after: rules))
            }
        default: throw .error
        }
        accounts[path]!.routing = Routing(rules: rules, fallback: fallback)
    }

    private func rule(_ json: JSON, after rules: [Rule]) throws(Failure) -> Rule {
        guard case .object(let fields) = json,
            fields.keys.allSatisfy({ ["name", "match", "model", "fallback"].contains($0) }),
            case .string(let name)? = fields["name"], Self.isName(name), name != "fallback",
            !rules.contains(where: { $0.name == name }),
            case .object(let match)? = fields["match"], !match.isEmpty,
            match.keys.allSatisfy({
                ["out", "in", "temperature", "batch", "priority", "prompt", "capability"]
                    .contains($0)
            }),
            let model = try routedModel(fields["model"])
        else {
            throw .error
        }
        return Rule(
            name: name, match: match, model: model, fallback: try routedModel(fields["fallback"]))
    }

    /// A model that has, or had, or will have a price; aliases stand for theirs from now on.
    private func routedModel(_ json: JSON?) throws(Failure) -> String? {
        switch json {
        case nil, .null?: return nil
        case .string(let text)?:
            guard let model = resolve(text.lowercased()), prices[model] != nil else {
                throw .error
            }
            return model
        default: throw .error
        }
    }
}

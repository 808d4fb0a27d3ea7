/// RESERVE and CHECK: what is asked, and every reason to refuse it.
extension NaiveModel {
    struct Request {
        let key: String
        /// The path or the secret that named it.
        let named: String
        /// As asked, in lower case.
        let model: String
        let input: Amount
        /// `nil` for the model's largest answer.
        let output: Amount?
        let scope: String?
        let tier: String
        let id: String?
        let ttlSeconds: Int64
        let wishes: Wishes
    }

    struct Refusal {
        let reason: String
        /// Everything after `+DENY `.
        let text: String
    }

    struct Admission {
        let model: String
        let price: Price?
        let usage: Usage
        let usd: Amount
        /// ` rule=… saved=…` where a rule chose the model, else nothing.
        let routed: String
    }

    enum Decision {
        case refused(Refusal)
        case admitted(Admission)
    }

    mutating func reserve(_ words: [String], at now: Int64) throws(Failure) -> String {
        let request = try parseRequest(words)
        if let answer = try repeatedAnswer(to: request, at: now) {
            return answer
        }
        switch try decide(request, at: now) {
        case .refused(let refusal):
            logRefusal(of: request.key, reason: refusal.reason, at: now)
            return "+DENY \(refusal.text)"
        case .admitted(let admission):
            return place(request, admission, at: now)
        }
    }

    func check(_ words: [String], at now: Int64) throws(Failure) -> String {
        switch try decide(try parseRequest(words), at: now) {
        case .refused(let refusal):
            return "+DENY \(refusal.text)"
        case .admitted(let admission):
            return "+ALLOW - model=\(admission.model) usd=\(Self.money(admission.usd))"
                + admission.routed
        }
    }

    func parseRequest(_ words: [String]) throws(Failure) -> Request {
        guard words.count >= 3 else {
            throw .error
        }
        var mayWait: Set<String> = []
        if words[0] == "RESERVE" {
            // Here nobody waits: that is the gate's. What it does not need, it refuses.
            mayWait = ["wait", "prio"]
        }
        let options = try Self.options(
            words.dropFirst(3),
            allowed: mayWait.union([
                "in", "bytes", "out", "scope", "tier", "id", "ttl",
                "user", "project", "env", "ip", "ua", "ack",
                "temperature", "batch", "priority", "prompt", "capability",
            ]))
        if let prio = options["prio"] {
            guard options["wait"] != nil, let number = Self.integer(prio), (1...10).contains(number)
            else {
                throw .error
            }
        }
        if let wait = options["wait"] {
            guard let number = Self.integer(wait), (1...300_000).contains(number) else {
                throw .error
            }
        }
        let input = try Self.tokens(options["in"])
        let bytes = try Self.tokens(options["bytes"])
        let ttlSeconds = try Self.ttl(options["ttl"]) ?? 600
        return Request(
            key: keyPath(words[1]),
            named: words[1],
            model: words[2].lowercased(),
            input: input ?? ((bytes ?? 0) + 3) / 4,
            output: try Self.tokens(options["out"]),
            scope: options["scope"],
            tier: try Self.tier(options["tier"]) ?? "standard",
            id: options["id"],
            ttlSeconds: ttlSeconds,
            wishes: try Self.wishes(options))
    }

    /// What the request asks of a model: its own `out`, else the model's largest, else 4096.
    func usage(of request: Request, price: Price?) -> Usage {
        Usage(
            input: request.input,
            output: request.output ?? price?.maxOut ?? 4096,
            tier: request.tier)
    }

    /// The answer of then, when the request's id names a hold that is open or settled.
    func repeatedAnswer(to request: Request, at now: Int64) throws(Failure) -> String? {
        guard isKey(request.key), let id = request.id,
            let name = holdOfID["\(request.key) \(id)"], let hold = holds[name],
            hold.state == .open || hold.state == .settled
        else {
            return nil
        }
        // A hold for `auto` has the model of then, whatever the rules say now.
        let isAuto = request.model == "auto"
        guard isAuto == hold.isRouted, isAuto || resolve(request.model) == hold.model,
            usage(of: request, price: isAuto ? hold.price : price(of: hold.model, at: now))
                == hold.asked
        else {
            throw .conflict
        }
        return hold.allowLine
    }

    func decide(_ request: Request, at now: Int64) throws(Failure) -> Decision {
        func refused(_ reason: String, _ text: String) -> Decision {
            .refused(Refusal(reason: reason, text: text))
        }

        // 10 to 13: the key.
        guard isKey(request.key) else {
            return refused("key_unknown", "401 key_unknown")
        }
        let lineage = Self.lineage(request.key)
        let org = accounts[lineage[2]]!
        if let barred = barring(request.key, named: request.named, at: now) {
            return .refused(barred)
        }

        // 20 to 23: the model and the rights.
        let choice = request.model == "auto" ? try choose(request, at: now) : nil
        guard let model = choice?.model ?? resolve(request.model) else {
            return refused(
                "model_malformed",
                "400 model_malformed model=\(request.model)\(hint(request.model))")
        }
        let price = price(of: model, at: now)
        if price == nil && !org.allowsUnpriced {
            return refused("model_unpriced", "400 model_unpriced model=\(model)")
        }
        if let scope = request.scope {
            for path in lineage {
                if let list = accounts[path]!.scopes, !Self.allows(list, scope) {
                    return refused("scope_denied", "403 scope_denied scope=\(path)")
                }
            }
        }
        if let denied = denial(of: model, key: request.key) {
            return .refused(denied)
        }

        // What does not fit the engine's integers is an error, whatever the limits are.
        let usage = usage(of: request, price: price)
        let usd = Self.cost(of: usage, price: price)
        try refuseOverflow(org: lineage[2], usd: usd, tokens: usage.input + usage.output)

        try refuseUnbillable(org: lineage[2], usd: usd)

        // 30: credit.
        if let text = creditExhausted(lineage[2], usd: usd) {
            return refused("credit_exhausted", "402 credit_exhausted \(text)")
        }

        // 31 to 42: the limits.
        for rule in Self.limitRules {
            for path in lineage {
                for limit in rule.limits {
                    let asked = Self.asked(of: limit, usd: usd, usage: usage)
                    if let text = exceeded(limit, of: path, asked: asked, at: now) {
                        return refused(rule.reason, "\(rule.status) \(rule.reason) \(text)")
                    }
                }
            }
        }
        let routed = choice.map { routedWords($0, usage, usd: usd, at: now) } ?? ""
        return .admitted(
            Admission(model: model, price: price, usage: usage, usd: usd, routed: routed))
    }

    /// What the key's own standing says against any spending; a hold names no secret.
    func barring(_ key: String, named word: String? = nil, at now: Int64) -> Refusal? {
        guard let (status, path) = objection(to: key, named: word ?? key, at: now) else {
            return nil
        }
        return Refusal(reason: String(status.dropFirst(4)), text: "\(status) scope=\(path)")
    }

    func denial(of model: String, key: String) -> Refusal? {
        for path in Self.lineage(key) {
            if let list = accounts[path]!.models, !Self.allows(list, model) {
                return Refusal(
                    reason: "model_denied", text: "403 model_denied scope=\(path) model=\(model)")
            }
        }
        return nil
    }

    static let limitRules: [(status: Int, reason: String, limits: [String])] = [
        (
            402, "budget_exhausted",
            ["usd.minute", "usd.hour", "usd.day", "usd.week", "usd.month", "usd.total"]
        ),
        (
            429, "tokens_exhausted",
            ["tokens.hour", "tokens.day", "tokens.week", "tokens.month", "tokens.total"]
        ),
        (
            429, "requests_exhausted",
            ["requests.hour", "requests.day", "requests.week", "requests.month", "requests.total"]
        ),
        (429, "requests_per_minute", ["requests.minute"]),
        (429, "tokens_per_minute", ["tokens.minute"]),
        (429, "concurrency", ["concurrency"]),
    ]

    static func asked(of limit: String, usd: Amount, usage: Usage) -> Amount {
        switch unit(of: limit) {
        case "usd": usd
        case "tokens": usage.input + usage.output
        default: 1
        }
    }

    /// The words of the refusal, when `used + held + asked` is more than the account's limit.
    ///
    /// - Parameter growing: the open hold that asks, when it is one; it counts at its own second.
    func exceeded(
        _ limit: String, of path: String, asked: Amount, growing hold: Hold? = nil, at now: Int64
    ) -> String? {
        let account = accounts[path]!
        guard let amount = account.limit(limit) else {
            return nil
        }
        let (used, held) = standing(of: account, in: limit, at: now)
        guard used + held + asked > amount else {
            return nil
        }
        var text = "scope=\(path) limit=\(limit)"
        text += " amount=\(Self.amount(amount, of: limit))"
        text += " used=\(Self.amount(used, of: limit)) held=\(Self.amount(held, of: limit))"
        switch Self.window(of: limit) {
        case "minute":
            // What is larger than the limit itself never fits.
            var resets: [Int64] = []
            if asked <= amount {
                resets.append(
                    minuteReset(of: account, in: limit, asked: asked, limit: amount, at: now))
            }
            if let hold {
                resets.append((Self.second(hold.placed) + 60) * 1_000_000_000)
            }
            if let reset = resets.min() {
                text += " retry_after=\(Self.secondsRoundedUp(reset - now))"
            }
        case "hour", "day", "week", "month":
            let reset = Self.bounds(of: Self.window(of: limit), at: now).end
            text += " retry_after=\(Self.secondsRoundedUp(reset - now))"
        default:
            break
        }
        return text
    }

    mutating func place(_ request: Request, _ admission: Admission, at now: Int64) -> String {
        let name = appendEvent(of: request.key, at: now)
        let untilSecond = Self.secondRoundedUp(now + request.ttlSeconds * 1_000_000_000)
        let line =
            "+ALLOW \(name) model=\(admission.model) usd=\(Self.money(admission.usd))"
            + " until=\(Self.instant(second: untilSecond))" + admission.routed
        let hold = Hold(
            name: name,
            key: request.key,
            model: admission.model,
            price: admission.price,
            asked: admission.usage,
            wanted: admission.usage,
            placed: now,
            until: untilSecond * 1_000_000_000,
            allowLine: line,
            isRouted: admission.routed != "",
            state: .open,
            counts: Counts(
                usdHeld: admission.usd,
                tokensHeld: admission.usage.input + admission.usage.output,
                requests: 1))
        holds[name] = hold
        openHolds.append(name)
        if let id = request.id {
            holdOfID["\(request.key) \(id)"] = name
        }
        count(hold.counts, name: name, key: hold.key, at: now)
        for path in Self.lineage(hold.key) {
            accounts[path]!.openHolds += 1
        }
        return line
    }
}

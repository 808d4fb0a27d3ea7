import CMemory
import Events

// Which model `auto` means to a request. Nothing here changes anything, and only requests that ask for
// `auto` come here.

/// Why a rule does not match a request: the first condition that is not met.
enum RuleMiss {
    case output(most: Int64)
    case input(most: Int64)
    case temperature(most: Temperature)
    case batch(Bool)
    case priority(NameRef)
    case prompt
    case capability(NameRef)
}

/// Whether a request may be sent to a model, as far as that depends on the model.
enum RouteVerdict {
    case usable
    case unpriced
    case denied(UnsafeMutablePointer<AccountRow>)
    case answerTooLong(most: Int64)
    case tooLong(context: Int64)
    case lacks(Bytes)
    case noBudget(BindingLimit)
    case noCredit
    case overflow

    var isUsable: Bool { if case .usable = self { true } else { false } }
}

/// What `auto` means to one request.
struct Route {
    var rule: Bytes
    var model: UInt32
    /// The policy's.
    var fallback: UInt32
}

/// A step on the way to a route, for who wants to see it.
enum RouteStep {
    case rule(RoutingRow.Rule, RuleMiss?)
    case candidate(model: UInt32, RouteVerdict)
    case fallback(model: UInt32)
}

extension Book {
    /// The model for a request for `auto`: that of the first rule that matches, or else its fallback, if
    /// the key may use and pay it; else the policy's fallback, whatever the checks then say of it.
    ///
    /// Limits that bind whatever the model is (requests, tokens, slots) do not turn a rule away: on
    /// another model they would bind as well, and the refusal would speak of something else.
    func route(
        _ request: borrowing ReserveRequest, input: Int64, _ policy: RoutingRow,
        _ chain: AccountChain, at now: Instant, _ step: (RouteStep) -> Void
    ) -> Route {
        // A closure cannot borrow what is borrowed.
        let request = copy request
        return request.hints.prompt.withLowercased {
            route(request, input: input, prompt: $0, policy, chain, at: now, step)
        }
    }
    /// - Parameter prompt: the request's, in lower case.
    private func route(
        _ request: borrowing ReserveRequest, input: Int64, prompt: Bytes, _ policy: RoutingRow,
        _ chain: AccountChain, at now: Instant, _ step: (RouteStep) -> Void
    ) -> Route {
        for rule in policy.rules {
            let miss = miss(rule.match, request, input: input, prompt: prompt)
            step(.rule(rule, miss))
            if miss != nil { continue }
            for model in [rule.model, rule.fallback] where model != .max {
                let verdict = verdict(model, request, input: input, chain, at: now)
                step(.candidate(model: model, verdict))
                if verdict.isUsable {
                    return Route(rule: names[rule.name], model: model, fallback: policy.fallback)
                }
            }
        }
        step(.fallback(model: policy.fallback))
        return Route(
            rule: Bytes(RoutingPolicy.fallbackName), model: policy.fallback,
            fallback: policy.fallback)
    }

    /// What a route saves against the policy's fallback, at the same tokens; nothing where that has no
    /// price to compare with.
    func saved(_ route: Route, tier: ServiceTier, _ tokens: TokenUsage, usd: Int64) -> Int64 {
        let price = prices.models.pointer(route.fallback).pointee.price
        guard price != .max, let fallback = prices.cost(price, tier: tier, tokens) else { return 0 }
        // Neither is negative, so their difference fits.
        return fallback - usd
    }

    private func miss(
        _ match: RoutingRow.Match, _ request: borrowing ReserveRequest, input: Int64, prompt: Bytes
    ) -> RuleMiss? {
        let (hints, tier) = (request.hints, request.tier)
        let isBatch = hints.batch ?? (tier == .batch)
        // `out` and `in` are bounds, which a request that says nothing does not break; every other
        // condition asks for something that has to be said.
        if let most = match.output, let output = request.output, output > most {
            return .output(most: most)
        }
        if let most = match.input, input > most { return .input(most: most) }
        if let most = match.temperature {
            guard let temperature = hints.temperature, temperature <= most else {
                return .temperature(most: most)
            }
        }
        if let batch = match.batch, batch != isBatch {
            return .batch(batch)
        }
        if let priority = match.priority,
            !hints.priority.equals(lowercased: names[priority])
        {
            return .priority(priority)
        }
        if !match.prompt.isEmpty, !match.prompt.contains(where: { prompt.contains(names[$0]) }) {
            return .prompt
        }
        for capability in match.capability where !hints.requires(names[capability]) {
            return .capability(capability)
        }
        return nil
    }

    private func verdict(
        _ model: UInt32, _ request: borrowing ReserveRequest, input: Int64, _ chain: AccountChain,
        at now: Instant
    ) -> RouteVerdict {
        let price = prices.models.pointer(model).pointee.price
        guard price != .max else { return .unpriced }
        if let account = denying(
            model: model, named: names[prices.models.pointer(model).pointee.name], chain)
        {
            return .denied(account)
        }
        let row = prices.prices.pointer(price)
        if let output = request.output, row.pointee.maxOutput > 0, output > row.pointee.maxOutput {
            return .answerTooLong(most: row.pointee.maxOutput)
        }
        // Without out= the answer may be as short as there is room for.
        if row.pointee.context > 0, input + (request.output ?? 1) > row.pointee.context {
            return .tooLong(context: row.pointee.context)
        }
        if let lacking = request.hints.firstCapability(where: { !prices.has($0, price, names) }) {
            return .lacks(lacking)
        }
        let output = tokens(request, price).output
        guard
            let usd = prices.cost(
                price, tier: request.tier, TokenUsage(input: input, output: output)),
            hasRoom(chain, usd: usd, tokens: input + output), canBill(chain, usd: usd)
        else { return .overflow }
        guard creditShortfall(chain, usd: usd) == nil else { return .noCredit }
        if let binding = bindingBudget(chain, usd: usd, at: now) { return .noBudget(binding) }
        return .usable
    }
}

extension Bytes {
    /// Whether these are the text but for the case of ASCII letters.
    ///
    /// - Parameter text: in lower case.
    func equals(lowercased text: Bytes) -> Bool {
        guard count == text.count else { return false }
        for i in 0..<count where lowercased(i) != text[i] { return false }
        return true
    }
    /// Calls with these in lower case, which are there as long as the call lasts: what is looked through
    /// for many words is folded once. Bytes that are no ASCII letters stay as they are.
    func withLowercased<R>(_ body: (Bytes) -> R) -> R {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { folded in
            for i in 0..<count { folded.initializeElement(at: i, to: lowercased(i)) }
            return body(Bytes(UnsafeRawBufferPointer(folded)))
        }
    }
    /// Whether the text stands somewhere in these; an empty one stands nowhere.
    func contains(_ text: Bytes) -> Bool {
        guard let base, let sought = text.base, !text.isEmpty else { return false }
        return tg_find(base, count, sought, text.count) != nil
    }
    @inline(__always) private func lowercased(_ i: Int) -> UInt8 {
        self[i] &- 65 < 26 ? self[i] | 0x20 : self[i]
    }
}

import Events

extension Machine {
    /// Why `reserve` would allow or refuse the request, as JSON: the answer, every check in the order
    /// in which they are asked, and every limit on the path. Nothing is held, logged or remembered.
    package mutating func explain(_ request: borrowing ReserveRequest, into b: inout ByteBuffer) {
        // The answer itself comes from the code that decides, so it cannot differ from the decision.
        let answer = check(request)
        let asked = Explained(request, &self)
        var object = ObjectWriter(opening: &b)
        object.field("at", now, full: true, into: &b)
        if let key = asked.key {
            object.field("account", path(key), into: &b)
        } else {
            object.null("account", into: &b)
        }
        object.field("asked_model", asked.askedModel, into: &b)
        if asked.isPriced {
            object.field("model", asked.name, into: &b)
            let row = book.prices.prices.pointer(asked.price)
            object.field("price", Int64(row.pointee.version), into: &b)
        }
        object.field("tier", Bytes(request.tier.name), into: &b)
        object.field("in", asked.input, into: &b)
        object.field("out", asked.output, into: &b)
        if let usd = asked.usd { object.field("usd", Nanodollars(usd), into: &b) }
        write(answer, &object, into: &b)
        if let routing = asked.routing { write(routing, asked, request, &object, into: &b) }
        if let repeated = repeated(request, asked) {
            object.field("repeats", repeated, into: &b)
        }
        write(checks(request, asked), &object, into: &b)
        write(limitsOf: asked, &object, into: &b)
        b.append(UInt8(ascii: "}"))
    }

    private func path(_ account: UInt32) -> Bytes {
        book.names[book.accounts.rows.pointer(account).pointee.name]
    }
    private func path(_ account: UnsafeMutablePointer<AccountRow>) -> String {
        book.names[account.pointee.name].string
    }

    /// Whose rules chose the model, and how.
    private struct Routing {
        var account: UInt32
        var route: Route
        var steps: [RouteStep]
    }

    /// The request as far as it is understood.
    private struct Explained {
        var key: UInt32?
        var chain: AccountChain?
        var askedModel: String
        var resolved: ResolvedModel
        var model: UInt32 = .max
        var price: UInt32 = .max
        var name: String
        var input: Int64
        var output: Int64
        /// Nil where it would overflow.
        var usd: Int64?
        /// How `auto` was understood; nil where a model was named, or nobody set rules.
        var routing: Routing?
        var isAuto = false
        var isPriced: Bool { model != .max }
        var tokens: Int64 { input + output }

        init(_ request: borrowing ReserveRequest, _ machine: inout Machine) {
            key = machine.book.key(request.key)
            if let key { chain = machine.book.accounts.chain(ofKey: key) }
            // What is no text is named by its escapes, as elsewhere on the wire.
            askedModel = request.model.isPlainText ? request.model.string : "?"
            let understood = machine.resolve(request.model)
            resolved = understood.0
            name = understood.name.isPlainText ? understood.name.string : "?"
            if case .priced(let model, let price) = resolved {
                self.model = model
                self.price = price
            }
            (input, output) = machine.book.tokens(request, price)
            if case .malformed = resolved, understood.name == Machine.autoModel {
                isAuto = true
                if let chain { route(request, chain, machine.book, at: machine.now) }
            }
            usd = machine.book.prices.cost(
                price, tier: request.tier, TokenUsage(input: input, output: output))
        }
        private mutating func route(
            _ request: borrowing ReserveRequest, _ chain: AccountChain, _ book: borrowing Book,
            at now: Instant
        ) {
            guard let (account, policy) = book.routing(chain) else { return }
            var steps: [RouteStep] = []
            let route = book.route(request, input: input, policy, chain, at: now) {
                steps.append($0)
            }
            routing = Routing(account: account, route: route, steps: steps)
            let row = book.prices.models.pointer(route.model)
            name = book.names[row.pointee.name].string
            resolved = .unpriced
            guard row.pointee.price != .max else { return }
            (model, price) = (route.model, row.pointee.price)
            resolved = .priced(model: model, price: price)
            output = book.tokens(request, price).output
        }
        func amount(of kind: LimitKind) -> Int64 {
            switch kind.unit {
            case .usd: usd ?? .max
            case .tokens: tokens
            case .requests, nil: 1
            }
        }
    }

    // MARK: The answer

    private func write(
        _ answer: Answer, _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        switch answer {
        case .denied(let denial):
            object.field("answer", Bytes("refused"), into: &b)
            object.field("status", denial.reason.status, into: &b)
            object.field("reason", Bytes(denial.reason.name), into: &b)
        case .failed(let failure):
            object.field("answer", Bytes("error"), into: &b)
            object.field("error", failure.text, into: &b)
        default: object.field("answer", Bytes("allowed"), into: &b)
        }
    }
    /// The hold that the request's id names already; RESERVE would answer it again.
    private func repeated(
        _ request: borrowing ReserveRequest, _ asked: borrowing Explained
    ) -> HoldName? {
        guard let key = asked.key, !request.text.id.isEmpty,
            let slot = book.holds.find(IDHash(.hold, key: key, request.text.id))
        else { return nil }
        let row = book.holds.row(slot)
        return row.pointee.state == .open || row.pointee.state == .settled
            ? row.pointee.name : nil
    }

    // MARK: The routing

    private func write(
        _ routing: Routing, _ asked: borrowing Explained, _ request: borrowing ReserveRequest,
        _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        object.name("routing", into: &b)
        var entry = ObjectWriter(opening: &b)
        entry.field("account", path(routing.account), into: &b)
        entry.field("rule", routing.route.rule, into: &b)
        entry.field("model", asked.name, into: &b)
        if let usd = asked.usd {
            let tokens = TokenUsage(input: asked.input, output: asked.output)
            let saved = book.saved(routing.route, tier: request.tier, tokens, usd: usd)
            entry.field("saved", signed: saved, into: &b)
        }
        entry.name("steps", into: &b)
        b.append(UInt8(ascii: "["))
        for (i, step) in routing.steps.enumerated() {
            if i > 0 { b.append(UInt8(ascii: ",")) }
            write(step, into: &b)
        }
        b.append("]}" as StaticString)
    }
    private func write(_ step: RouteStep, into b: inout ByteBuffer) {
        var entry = ObjectWriter(opening: &b)
        switch step {
        case .rule(let rule, let miss):
            entry.field("rule", book.names[rule.name], into: &b)
            entry.field("matches", miss == nil, into: &b)
            entry.field("why", miss.map { text($0) } ?? "every condition is met", into: &b)
        case .candidate(let model, let verdict):
            entry.field("model", name(model), into: &b)
            entry.field("usable", verdict.isUsable, into: &b)
            entry.field("why", text(verdict), into: &b)
        case .fallback(let model):
            entry.field("rule", Bytes(RoutingPolicy.fallbackName), into: &b)
            entry.field("model", name(model), into: &b)
            entry.field("why", "no rule has chosen a model", into: &b)
        }
        b.append(UInt8(ascii: "}"))
    }
    private func name(_ model: UInt32) -> Bytes {
        book.names[book.prices.models.pointer(model).pointee.name]
    }
    private func text(_ miss: RuleMiss) -> String {
        switch miss {
        case .output(let most): "out= is more than \(most)"
        case .input(let most): "the prompt has more than \(most) tokens"
        case .temperature(let most): "temperature= is not given, or is more than \(most)"
        case .batch(let wanted): wanted ? "it is no batch request" : "it is a batch request"
        case .priority(let wanted): "priority= is not \(book.names[wanted].string)"
        case .prompt: "prompt= has none of its words"
        case .capability(let wanted): "capability= does not ask for \(book.names[wanted].string)"
        }
    }
    private func text(_ verdict: RouteVerdict) -> String {
        switch verdict {
        case .usable: "the key may use it, it has a price, and there is budget"
        case .unpriced: "it has no price in force"
        case .denied(let account): "it is not in \(path(account))'s list of models"
        case .answerTooLong(let most): "its answers have at most \(most) tokens"
        case .tooLong(let context): "prompt and answer do not fit its context of \(context) tokens"
        case .lacks(let capability): "the price book does not list \(capability.string) for it"
        case .noBudget(let binding):
            "\(binding.kind.name) of \(path(binding.account)) has too little left"
        case .noCredit: "the org's credit has too little left"
        case .overflow: "so many tokens overflow its price"
        }
    }

    // MARK: The checks

    private struct Check {
        var reason: Refusal
        /// Nil where the request is not understood far enough to tell.
        var passes: Bool?
        /// The account that refuses.
        var scope: String?
        var why: String
    }

    /// Every check, asked for itself: after the first refusal the others still tell what else is wrong.
    private func checks(
        _ request: borrowing ReserveRequest, _ asked: borrowing Explained
    ) -> [Check] {
        var checks: [Check] = []
        for reason in Refusal.allCases {
            if let check = check(reason, request, asked) { checks.append(check) }
        }
        return checks
    }
    private func check(
        _ reason: Refusal, _ request: borrowing ReserveRequest, _ asked: borrowing Explained
    ) -> Check? {
        switch reason {
        case .paused:
            return Check(
                reason: reason, passes: !isPaused,
                why: isPaused
                    ? "the log takes no new holds now; INFO says why" : "the log takes events")
        case .keyUnknown:
            guard let key = asked.key else {
                return Check(
                    reason: reason, passes: false,
                    why: "neither a key's path nor a known secret; LIST keys shows the keys")
            }
            return Check(reason: reason, passes: true, why: "it is \(path(key).string)")
        default: break
        }
        guard let chain = asked.chain else {
            return Check(reason: reason, passes: nil, why: "no key, so nobody can tell")
        }
        switch reason {
        case .keyExpired: return expiry(chain)
        case .keyRevoked: return revocation(request.key, chain)
        case .keyDisabled: return disabling(chain)
        case .modelMalformed:
            if let routing = asked.routing {
                return Check(
                    reason: reason, passes: true,
                    why: "auto means \(asked.name) by \(routing.route.rule.string) of "
                        + "\(path(routing.account).string)'s routing")
            }
            if asked.isAuto {
                return Check(reason: reason, passes: nil, why: missingRouting(chain).text)
            }
            if case .malformed = asked.resolved {
                return Check(
                    reason: reason, passes: false,
                    why: "\"\(asked.name)\" is neither provider/model nor a known alias; "
                        + "LIST aliases shows those")
            }
            return Check(reason: reason, passes: true, why: "it means \(asked.name)")
        case .modelUnpriced: return pricing(asked, chain)
        case .scopeDenied:
            if request.scope.isEmpty {
                return Check(reason: reason, passes: true, why: "no scope is asked for")
            }
            let lacking = book.lacking(scope: request.scope, chain)
            return listed(reason, "scope \(request.scope.string)", lacking, \.scopes)
        case .modelDenied:
            if case .malformed = asked.resolved {
                return Check(reason: reason, passes: nil, why: "no model, so nobody can tell")
            }
            let denying = asked.name.withBytes {
                book.denying(model: asked.model, named: $0, chain)
            }
            return listed(reason, asked.name, denying, \.models)
        case .creditExhausted: return credit(asked, chain)
        default: return limits(reason, asked, chain)
        }
    }
    private func expiry(_ chain: AccountChain) -> Check {
        let expires = chain.key.pointee.expires
        let has = now.nanoseconds >= expires
        let instant = Instant(nanoseconds: expires)
        return Check(
            reason: .keyExpired, passes: !has, scope: has ? path(chain.key) : nil,
            why: expires == .max
                ? "it never expires" : "it \(has ? "expired" : "expires") at \(instant)")
    }
    private func revocation(_ reference: KeyReference, _ chain: AccountChain) -> Check {
        let isRevoked = chain.key.pointee.flags.contains(.revoked)
        let isOld = book.key(reference, at: now) == nil
        return Check(
            reason: .keyRevoked, passes: !isRevoked && !isOld,
            scope: isRevoked || isOld ? path(chain.key) : nil,
            why: isRevoked
                ? "the key has been revoked"
                : isOld
                    ? "this secret was rotated away, and its grace is over" : "nobody revoked it")
    }
    private func disabling(_ chain: AccountChain) -> Check {
        let disabled = (0..<3).map { chain[$0] }.first { $0.pointee.flags.contains(.disabled) }
        return Check(
            reason: .keyDisabled, passes: disabled == nil, scope: disabled.map { path($0) },
            why: disabled.map { "\($0.pointee.tier.name) \(path($0)) is disabled" }
                ?? "key, team and org are enabled")
    }
    private func pricing(_ asked: borrowing Explained, _ chain: AccountChain) -> Check {
        if asked.isPriced {
            let version = book.prices.prices.pointer(asked.price).pointee.version
            return Check(
                reason: .modelUnpriced, passes: true, why: "version \(version) of its price")
        }
        if case .malformed = asked.resolved {
            return Check(reason: .modelUnpriced, passes: nil, why: "no model, so nobody can tell")
        }
        if !chain.orgRow.pointee.allowsUnpriced {
            return Check(
                reason: .modelUnpriced, passes: false,
                why: "no price for \(asked.name): append its price.set, or let the org allow "
                    + "unpriced models")
        }
        let isRoom = asked.name.withBytes { book.prices.mayIntern(unpriced: $0, book.names) }
        return Check(
            reason: .modelUnpriced, passes: isRoom,
            why: isRoom
                ? "no price, and org \(path(chain.org)) allows that"
                : "no price, and \(PriceBook.unpricedMax) other names without one are remembered")
    }
    private func listed(
        _ reason: Refusal, _ what: String, _ refusing: UnsafeMutablePointer<AccountRow>?,
        _ list: KeyPath<AccountRow, UInt32>
    ) -> Check {
        guard let refusing else {
            return Check(
                reason: reason, passes: true, why: "\(what) is allowed by key, team and org")
        }
        let entries = book.lists.entries(refusing.pointee[keyPath: list], book.names) ?? []
        return Check(
            reason: reason, passes: false, scope: path(refusing),
            why: "\(what) is not in \(path(refusing))'s list, which "
                + (entries.isEmpty
                    ? "is empty: it allows nothing" : "allows \(entries.joined(separator: ", "))"))
    }
    /// Nil for an org that is not prepaid.
    private func credit(_ asked: borrowing Explained, _ chain: AccountChain) -> Check? {
        let org = chain.orgRow
        guard org.pointee.credit != .max else { return nil }
        guard let usd = asked.usd, book.hasRoom(chain, usd: usd, tokens: asked.tokens),
            let billed = book.terms(org.pointee.billing).usd(usd)
        else {
            return Check(
                reason: .creditExhausted, passes: nil, why: "so many tokens overflow their price")
        }
        let left = Nanodollars(book.creditLeft(chain.org))
        let lacks = book.creditShortfall(chain, usd: usd) != nil
        return Check(
            reason: .creditExhausted, passes: !lacks, scope: lacks ? path(chain.org) : nil,
            why: "the credit of \(path(chain.org)) has \(left) left and \(Nanodollars(billed)) is "
                + "asked for")
    }
    private func limits(
        _ reason: Refusal, _ asked: borrowing Explained, _ chain: AccountChain
    ) -> Check {
        guard asked.usd != nil else {
            return Check(reason: reason, passes: nil, why: "so many tokens overflow their price")
        }
        let limits = limits(chain, asked).filter { $0.kind.refusal == reason }
        guard let refusing = limits.first(where: { !$0.admits }) else {
            let count = limits.count
            return Check(
                reason: reason, passes: true,
                why: count == 0
                    ? "no such limit is set"
                    : count == 1 ? "the one limit has room" : "all \(count) limits have room")
        }
        return Check(
            reason: reason, passes: false, scope: path(refusing.account),
            why: "\(refusing.kind.name) of \(path(refusing.account)) has "
                + "\(text(refusing.left, refusing.kind)) left and "
                + "\(text(refusing.asked, refusing.kind)) is asked for")
    }
    private func text(_ amount: Int64, _ kind: LimitKind) -> String {
        kind.isMoney ? Nanodollars(amount).description : String(amount)
    }
    private func write(
        _ checks: [Check], _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        object.name("checks", into: &b)
        b.append(UInt8(ascii: "["))
        for (i, check) in checks.enumerated() {
            if i > 0 { b.append(UInt8(ascii: ",")) }
            var entry = ObjectWriter(opening: &b)
            entry.field("number", Int64(check.reason.rawValue), into: &b)
            entry.field("check", Bytes(check.reason.name), into: &b)
            if let passes = check.passes {
                entry.field("passes", passes, into: &b)
            } else {
                entry.null("passes", into: &b)
            }
            if let scope = check.scope { entry.field("scope", scope, into: &b) }
            entry.field("why", check.why, into: &b)
            b.append(UInt8(ascii: "}"))
        }
        b.append(UInt8(ascii: "]"))
    }

    // MARK: The limits

    private struct LimitState {
        var account: UnsafeMutablePointer<AccountRow>
        var kind: LimitKind
        var amount: Int64
        var used: Int64
        var held: Int64
        var asked: Int64

        var left: Int64 { max(0, amount - used - held) }
        var admits: Bool {
            let (sum, o1) = used.addingReportingOverflow(held)
            let (total, o2) = sum.addingReportingOverflow(asked)
            return !o1 && !o2 && total <= amount
        }
        /// How many more such requests it admits.
        var more: Int64 { admits ? (asked == 0 ? .max : left / asked) : 0 }
    }

    /// Every limit of key, team and org, in the order in which they are asked.
    private func limits(_ chain: AccountChain, _ asked: borrowing Explained) -> [LimitState] {
        var limits: [LimitState] = []
        for reason in Refusal.allCases {
            for i in 0..<3 {
                for kind in LimitKind.all where kind.refusal == reason {
                    guard let amount = book.accounts.limit(chain[i], kind) else { continue }
                    let (used, held) = book.taken(chain[i], chain.orgRow, kind, at: now)
                    limits.append(
                        LimitState(
                            account: chain[i], kind: kind, amount: amount, used: used, held: held,
                            asked: asked.amount(of: kind)))
                }
            }
        }
        return limits
    }
    private func write(
        limitsOf asked: borrowing Explained, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        var limits: [LimitState] = []
        if let chain = asked.chain { limits = self.limits(chain, asked) }
        object.name("limits", into: &b)
        b.append(UInt8(ascii: "["))
        for (i, limit) in limits.enumerated() {
            if i > 0 { b.append(UInt8(ascii: ",")) }
            write(limit, asked.chain!, into: &b)
        }
        b.append(UInt8(ascii: "]"))
        // The one that refuses; else the one that will be the first to, if such requests go on.
        guard let binds = limits.first(where: { !$0.admits }) ?? tightest(limits) else {
            object.null("binds", into: &b)
            return
        }
        object.name("binds", into: &b)
        var entry = ObjectWriter(opening: &b)
        entry.field("account", path(binds.account), into: &b)
        entry.field("limit", Bytes(binds.kind.name), into: &b)
        entry.field("more", binds.more, into: &b)
        b.append(UInt8(ascii: "}"))
    }
    private func tightest(_ limits: [LimitState]) -> LimitState? {
        // Of equals the first, whose refusal would be the answer; a free request never ends.
        limits.filter { $0.more != .max }.min { $0.more < $1.more }
    }
    private func write(
        _ limit: LimitState, _ chain: AccountChain, into b: inout ByteBuffer
    ) {
        var entry = ObjectWriter(opening: &b)
        entry.field("account", path(limit.account), into: &b)
        entry.field("limit", Bytes(limit.kind.name), into: &b)
        entry.field("amount", amount: limit.amount, of: limit.kind, into: &b)
        entry.field("used", amount: limit.used, of: limit.kind, into: &b)
        entry.field("held", amount: limit.held, of: limit.kind, into: &b)
        entry.field("left", amount: limit.left, of: limit.kind, into: &b)
        entry.field("asked", amount: limit.asked, of: limit.kind, into: &b)
        entry.field("admits", limit.admits, into: &b)
        if limit.account.pointee.flags.contains(.overridden),
            let number = book.accounts.find(
                book.names[limit.account.pointee.name], book.names),
            let over = book.overrides.find(number, limit.kind)
        {
            book.write(over, amount: "override", &entry, into: &b)
        }
        // A sliding minute resets bit by bit: it matters when what does not fit now will.
        if limit.kind.window != .minute || !limit.admits {
            let binding = BindingLimit(
                reason: limit.kind.refusal, account: limit.account, kind: limit.kind,
                amount: limit.amount, used: limit.used, held: limit.held)
            if let resets = book.resets(
                binding, asked: limit.asked, chain.orgRow, at: now, calendar: calendar)
            {
                entry.field("resets_at", resets, into: &b)
            }
        }
        b.append(UInt8(ascii: "}"))
    }
}

extension LimitKind {
    /// The reason of a refusal by this limit (DESIGN.md section 4).
    var refusal: Refusal {
        switch (unit, window) {
        case (.usd, _): .budgetExhausted
        case (.tokens, .minute): .tokensPerMinute
        case (.tokens, _): .tokensExhausted
        case (.requests, .minute): .requestsPerMinute
        case (.requests, _): .requestsExhausted
        case (nil, _): .concurrency
        }
    }
}

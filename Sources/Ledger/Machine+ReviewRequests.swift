import Events

// Requests of the past, asked anew.

extension Machine {
    func chain(of header: EventHeader) throws(EventError) -> AccountChain {
        guard book.isKey(header.account.raw) else { throw .malformed("account") }
        return book.accounts.chain(ofKey: header.account.raw)
    }
    /// No window may be over in which the event is counted.
    func reviewWindows(_ chain: AccountChain, _ sides: inout Difference.Sides) {
        guard now.nanoseconds >= chain.orgRow.pointee.nextBoundary else { return }
        let over = Instant(nanoseconds: chain.orgRow.pointee.nextBoundary)
        sides.add("before it", "nothing", "window.opened: one was over at \(over)")
    }
    private func reviewCame(_ extras: Extras, _ sides: inout Difference.Sides) {
        guard let came = extras.came, came.at > now else { return }
        sides.add("came", "\(came.at)", "at \(now) at the latest")
    }
    func version(_ number: ModelNumber, _ price: UInt32) -> String {
        guard number != .none else { return "no price" }
        return "\(book.name(of: number)?.string ?? "model \(number.raw)") version \(price)"
    }
    func billed(_ extras: Extras, _ derived: Extras, _ sides: inout Difference.Sides) {
        sides.compare("billed", extras.billed, derived.billed) { bill in
            bill.map { "\($0.amount) \($0.currency.name)" } ?? "nothing of its own"
        }
    }

    mutating func review(
        _ event: HoldPlaced, _ sides: inout Difference.Sides, _ findings: inout Findings
    ) throws(EventError) {
        let chain = try chain(of: event.header)
        let key = event.header.account.raw
        reviewWindows(chain, &sides)
        reviewCame(event.extras, &sides)
        if !mayLive(until: event.until) {
            let most = Instant(seconds: Int64(deadline(Bounds.holdSecondsMax, after: now)))
            sides.add("until", "\(event.untilInstant)", "after \(now), \(most) at the latest")
        }
        if !event.text.id.isEmpty,
            let repeated = repeated(IDHash(.hold, key: key, event.text.id))
        {
            sides.add("id", "a new hold", "hold \(repeated), which has the same id")
        }
        var request = ReserveRequest()
        request.key = .path(book.path(of: event.header.account)!)
        request.model =
            event.model == .none ? event.modelText : book.name(of: event.model) ?? .empty
        request.input = event.input
        request.output = event.output
        request.scope = event.scope
        request.tier = event.tier
        var (model, price) = (ModelNumber.none, UInt32.max)
        if case .priced(let number, let row) = resolve(request.model).0 {
            (model, price) = (ModelNumber(number), row)
        }
        sides.compare(
            "price", version(event.model, event.price), version(model, version(price)))
        switch decide(request, placing: false) {
        case .wouldAllow(_, let usd): sides.compare(usd: event.usd.raw, usd.raw)
        case let other: sides.add("answer", "allowed", text(other))
        }
        if let routing = event.extras.routing {
            findings.note(.rule)
            review(routing, chain, event, price, &sides)
        }
    }
    /// Whether the rule that a hold names leads to its model, and saves what it says.
    private func review(
        _ routing: Extras.Routing, _ chain: AccountChain, _ event: HoldPlaced, _ price: UInt32,
        _ sides: inout Difference.Sides
    ) {
        guard let (_, policy) = book.routing(chain) else {
            return sides.add("rule", routing.rule.string, "no rules stand")
        }
        let model = event.model.raw
        // A rule may be called as the fallback is.
        let leads =
            routing.rule == Bytes(RoutingPolicy.fallbackName) && model == policy.fallback
            || policy.rules.contains {
                book.names[$0.name] == routing.rule && (model == $0.model || model == $0.fallback)
            }
        if !leads { sides.add("rule", routing.rule.string, "none of that name has this model") }
        let route = Route(rule: routing.rule, model: model, fallback: policy.fallback)
        let tokens = TokenUsage(input: event.input, output: event.output)
        sides.compare(
            "saved", routing.saved,
            book.saved(route, tier: event.tier, tokens, usd: event.usd.raw)
        ) { Nanodollars($0).description }
    }

    mutating func review(
        _ event: HoldRefused, _ bytes: Bytes, _ sides: inout Difference.Sides,
        _ findings: inout Findings
    ) throws(EventError) {
        let header = event.header
        if header.account != .none { reviewWindows(try chain(of: header), &sides) }
        reviewCame(event.extras, &sides)
        reviewFlood(event, &sides)
        if event.extras.routing != nil { findings.note(.rule) }
        let answer: Answer
        (epoch, actor, reviewed) = (header.epoch, header.actor, event.extras)
        draft.removeAll()
        if let hold = event.extras.growing {
            answer = try grow(event, hold)
        } else {
            var request = ReserveRequest()
            request.key = try reference(event, &findings)
            request.model =
                event.model == .none ? event.modelText : book.name(of: event.model) ?? .empty
            if event.reason == .modelMalformed, event.modelText.isEmpty { findings.note(.model) }
            request.input = event.input
            request.output = event.output
            request.scope = event.scope
            request.tier = ServiceTier(rawValue: header.flags & 3) ?? .standard
            request.text = event.text
            answer = decide(request, placing: false)
        }
        reviewed = nil
        if draft.bytes == bytes { return }
        guard !draft.isEmpty else {
            return sides.add("answer", text(event), text(answer))
        }
        let derived = try HoldRefused(try StoredEvent(draft.bytes))
        compare(event, derived, &sides)
    }
    /// A key's name by which it would be refused in the same way.
    private func reference(
        _ event: HoldRefused, _ findings: inout Findings
    ) throws(EventError) -> KeyReference {
        guard event.header.account != .none else {
            guard event.askedKey.isEmpty else { return .path(event.askedKey) }
            findings.note(.key)
            return .malformed
        }
        let chain = try chain(of: event.header)
        if event.reason == .keyRevoked, !chain.key.pointee.flags.contains(.revoked) {
            var secret = chain.key.pointee.newestSecret
            while secret != .max {
                let row = book.accounts.secrets.pointer(secret)
                if row.pointee.validUntil <= now.nanoseconds {
                    findings.note(.secret)
                    return .digest(Bytes(row, count: 32))
                }
                secret = row.pointee.previous
            }
        }
        return .path(book.path(of: event.header.account)!)
    }
    /// Asks for the growth that was refused.
    private mutating func grow(
        _ event: HoldRefused, _ hold: HoldName
    ) throws(EventError) -> Answer {
        guard let slot = book.holds.find(hold) else { throw .malformed("hold") }
        let row = book.holds.row(slot)
        guard row.pointee.state == .open else {
            return .failed(Failure(.gone, "hold \(hold) is \(row.pointee.state.name)"))
        }
        let input = row.pointee.input + event.input
        let output = row.pointee.output + event.output
        let more = Asked(growing: row, input: input, output: output, name: book.modelName(of: row))
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        switch growth(of: row, chain, more, input: input, output: output, placing: false) {
        case .holds(let usd):
            return .extended(hold: hold, usd: Nanodollars(usd), until: now)
        case .answers(let answer): return answer
        }
    }
    private func compare(
        _ logged: HoldRefused, _ derived: HoldRefused, _ sides: inout Difference.Sides
    ) {
        sides.compare("answer", text(logged), text(derived))
        sides.compare(
            "model", logged.model, derived.model
        ) { book.name(of: $0)?.string ?? "none with a price" }
        sides.compare("model", logged.modelText.string, derived.modelText.string)
        sides.compare("in", logged.input, derived.input)
        sides.compare("out", logged.output, derived.output)
        sides.compare(usd: logged.usd.raw, derived.usd.raw)
        let never = "never"
        sides.compare("resets", logged.resets, derived.resets) { $0.map { "\($0)" } ?? never }
        sides.compare("key", logged.askedKey.string, derived.askedKey.string)
        // Whatever else an event may hold, it is derived or it was asked.
        if sides.parts.isEmpty {
            sides.add("event", "another text or hold", "what it says of them")
        }
    }

    mutating func review(
        _ event: HoldExtended, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard let slot = try open(event.hold, event.header, &sides) else { return }
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        reviewWindows(chain, &sides)
        sides.compare("tier", "\(event.tier.name)", "\(row.pointee.tier.name)")
        sides.compare("price", event.price, version(row.pointee.price))
        let placed = Instant(nanoseconds: row.pointee.placedAt)
        let most = min(
            deadline(Bounds.holdSecondsMax, after: now),
            deadline(Bounds.holdSecondsMax, after: placed))
        if event.until < row.pointee.until || event.until > max(row.pointee.until, most) {
            sides.add(
                "until", "\(event.untilInstant)",
                "\(Instant(seconds: Int64(row.pointee.until))) to \(Instant(seconds: Int64(most)))")
        }
        let more = Asked(
            growing: row, input: event.input, output: event.output, name: book.modelName(of: row))
        guard more.input >= 0, more.output >= 0 else {
            return sides.add(
                "in and out", "\(event.input) and \(event.output)",
                "at least \(row.pointee.input) and \(row.pointee.output)")
        }
        switch growth(
            of: row, chain, more, input: event.input, output: event.output, placing: false)
        {
        case .holds(let usd): sides.compare(usd: event.usd.raw, usd)
        case .answers(let answer): sides.add("answer", "extended", text(answer))
        }
    }

    // MARK: What people read

    func text(_ answer: Answer) -> String {
        switch answer {
        case .denied(let denial):
            text(
                denial.reason, scope: denial.scope, denial.limit, denial.amount, denial.used,
                denial.held)
        case .failed(let failure): "an error: \(failure.text)"
        case .extended(_, let usd, _): "extended to \(usd)"
        case .wouldAllow(_, let usd), .allowed(_, _, let usd, _): "allowed for \(usd)"
        case .routed(let routed): "allowed for \(routed.usd)"
        case .settled, .released, .charged: preconditionFailure("nothing of the kind was asked")
        }
    }
    private func text(_ event: HoldRefused) -> String {
        var scope = Bytes.empty
        if let tier = event.scopeTier, let line = book.lineage(event.header.account) {
            let number =
                switch tier {
                case .key: line.key
                case .team: line.team
                case .org: line.org
                }
            scope = book.path(of: AccountNumber(number)) ?? .empty
        }
        return text(event.reason, scope: scope, event.limit, event.amount, event.used, event.held)
    }
    private func text(
        _ reason: Refusal, scope: Bytes, _ limit: LimitKind?, _ amount: Int64, _ used: Int64,
        _ held: Int64
    ) -> String {
        var text = "refused \(reason.status) \(reason.name)"
        if !scope.isEmpty { text += " scope=\(scope.string)" }
        if let limit { text += " limit=\(limit.name)" }
        guard limit != nil || reason == .creditExhausted else { return text }
        let isMoney = limit?.isMoney ?? true
        func shown(_ amount: Int64) -> String { isMoney ? "\(Nanodollars(amount))" : "\(amount)" }
        return text + " amount=\(shown(amount)) used=\(shown(used)) held=\(shown(held))"
    }
}

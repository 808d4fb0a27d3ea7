import Events

extension Machine {
    /// May this request proceed? Places a hold on key, team and org, or refuses for one reason.
    package mutating func reserve(_ request: borrowing ReserveRequest) -> Answer {
        // Nearly every request is admitted, and then the order of the refusals does not matter: this
        // asks each question once, the cheapest way. Whatever is not a plain yes is decided anew, in
        // order, by `decide`, which could decide these, too.
        guard !isPaused, let key = book.key(request.key, at: now) else {
            return decide(request, placing: true)
        }
        let id =
            request.text.id.isEmpty ? IDHash.none : IDHash(.hold, key: key, request.text.id)
        // The one line that a decision cannot have in the cache: it arrives while the rest is asked.
        if !id.isNone { book.holds.prefetch(id) }
        let chain = book.accounts.chain(ofKey: key)
        let scope = request.scope
        let flags = chain.flags
        guard case .priced(let model, let price) = book.resolve(model: request.model),
            now.nanoseconds < chain.key.pointee.expires,
            flags.isDisjoint(with: .special),
            scope.isEmpty || book.lacking(scope: scope, chain) == nil,
            book.allows(model: model, chain)
        else { return decide(request, placing: true) }
        let asked = book.tokens(request, price)
        guard
            let usd = book.prices.cost(
                price, tier: request.tier, TokenUsage(input: asked.input, output: asked.output)),
            book.hasRoom(chain, usd: usd, tokens: asked.input &+ asked.output),
            book.everyLimitHasRoom(
                chain, usd: usd, tokens: asked.input &+ asked.output, at: now),
            flags.isDisjoint(with: .charged) || book.mayBill(chain, usd: usd)
        else { return decide(request, placing: true) }
        var probe = SlotIndex.Probe.none
        if !id.isNone {
            probe = book.holds.probe(id)
            if probe.isFound { return decide(request, placing: true) }
        }
        return place(
            request, key: key, model: model, price: price,
            name: book.names[book.prices.models.pointer(model).pointee.name], asked.input,
            asked.output, usd: usd, id, probe, chain)
    }
    /// The answer `reserve` would give, with nothing held and nothing logged.
    package mutating func check(_ request: borrowing ReserveRequest) -> Answer {
        decide(request, placing: false)
    }

    /// What is being asked for, as far as it is understood.
    struct Asked {
        var key: UInt32 = .max
        var model = ModelNumber.none
        var price: UInt32 = .max
        /// The folded name, as asked or as the alias resolved.
        var name = Bytes.empty
        var input: Int64 = 0
        var output: Int64 = 0
        var usd: Int64 = 0
        /// The rule that chose the model for `auto`; empty where a model was named.
        var rule = Bytes.empty
        /// The open hold that is to grow by so much; nil for a request of its own.
        var growing: UnsafeMutablePointer<HoldRow>?
    }

    // Out of line: refusals and repeats are rare beside admissions, and their code must not dilute
    // the path above.
    @inline(never)
    mutating func decide(_ request: borrowing ReserveRequest, placing: Bool) -> Answer {
        var asked = Asked()
        let key = book.key(request.key)
        var (resolved, name) = resolve(request.model)
        asked.name = name
        if case .priced(let model, let price) = resolved {
            asked.model = ModelNumber(model)
            asked.price = price
        }
        (asked.input, asked.output) = book.tokens(request, asked.price)
        let isAuto = isMalformed(resolved) && name == Machine.autoModel

        if placing, let key, !request.text.id.isEmpty,
            let answer = answerRepeat(
                request, key, asked, malformed: isMalformed(resolved), isAuto: isAuto)
        {
            return answer
        }
        if isPaused { return .denied(Denial(.paused, now: now)) }

        // The refusals in the order of their numbers.
        guard let key else { return refuse(.keyUnknown, request, asked, placing: placing) }
        asked.key = key
        let chain = book.accounts.chain(ofKey: key)
        if let (reason, account) = book.standing(chain, namedBy: request.key, at: now) {
            return refuse(reason, request, asked, by: account, placing: placing)
        }
        var route: Route?
        if isAuto {
            switch self.route(request, &asked, chain) {
            case .success(let found): (route, resolved) = found
            case .failure(let failure): return .failed(failure)
            }
        }
        switch resolved {
        case .priced: break
        case .malformed: return refuse(.modelMalformed, request, asked, placing: placing)
        case .unpriced:
            if !chain.orgRow.pointee.allowsUnpriced
                || !book.prices.mayIntern(unpriced: asked.name, book.names)
            {
                return refuse(.modelUnpriced, request, asked, placing: placing)
            }
        }
        if !request.scope.isEmpty, let account = book.lacking(scope: request.scope, chain) {
            return refuse(.scopeDenied, request, asked, by: account, placing: placing)
        }
        if let account = book.denying(model: asked.model.raw, named: asked.name, chain) {
            return refuse(.modelDenied, request, asked, by: account, placing: placing)
        }
        let tokens = asked.input + asked.output
        guard
            let usd = book.prices.cost(
                asked.price, tier: request.tier,
                TokenUsage(input: asked.input, output: asked.output)),
            book.hasRoom(chain, usd: usd, tokens: tokens), book.canBill(chain, usd: usd)
        else {
            return .failed(
                Failure(
                    .error,
                    "in=\(asked.input) out=\(asked.output) would overflow; ask for fewer tokens"))
        }
        asked.usd = usd
        if let lack = book.creditShortfall(chain, usd: usd) {
            return refuse(lack, chain, request, asked, placing: placing)
        }
        // Who named a model comes here because something binds; who left it to rules, always.
        let hasRoom =
            route != nil && book.everyLimitHasRoom(chain, usd: usd, tokens: tokens, at: now)
        if !hasRoom, let binding = book.bindingLimit(chain, usd: usd, tokens: tokens, at: now) {
            return refuse(binding, chain, request, asked, placing: placing)
        }
        var routed: RoutedAnswer?
        if let route { routed = self.routed(route, request, asked) }
        guard placing, !waiting.isBehindOthers else {
            if !placing, let routed { return .routed(routed) }
            return .wouldAllow(model: asked.name, usd: Nanodollars(usd))
        }

        // The point of no return: every check is above this line, every write below it.
        openWindows(chain.orgRow)
        let id =
            request.text.id.isEmpty ? IDHash.none : IDHash(.hold, key: key, request.text.id)
        let answer = place(
            request, key: key, model: asked.model.raw, price: asked.price, name: asked.name,
            asked.input, asked.output, usd: usd, id, id.isNone ? .none : book.holds.probe(id),
            chain, extras(of: asked, saved: routed?.saved.raw ?? 0))
        guard let routed else { return answer }
        return place(routed, answer)
    }
    /// What there is to say besides an event's layout; good until the next event. A refusal saves nothing.
    private mutating func extras(of asked: borrowing Asked, saved: Int64 = 0) -> Extras {
        let (came, hold, rule) = (waiting.came, asked.growing, asked.rule)
        if came == nil, hold == nil, rule.isEmpty { return .none }
        extras.removeAll()
        if let came { extras.add(came) }
        if let hold { extras.add(growing: hold.pointee.name) }
        if !rule.isEmpty {
            extras.add(askedModel: Bytes(Machine.autoModel))
            extras.add(Extras.Routing(saved: saved, rule: rule))
        }
        return extras.extras
    }

    /// Writes the event and folds it; the windows are open.
    @inline(__always)
    private mutating func place(
        _ request: borrowing ReserveRequest, key: UInt32, model: UInt32, price: UInt32,
        name: Bytes, _ input: Int64, _ output: Int64, usd: Int64, _ id: IDHash,
        _ probe: SlotIndex.Probe, _ chain: AccountChain, _ extras: Extras = .none
    ) -> Answer {
        var ttl = Bounds.holdSecondsDefault
        if let wanted = request.ttl { ttl = wanted }
        var header = header(.holdPlaced, AccountNumber(key))
        header.flags = request.tier.rawValue
        let event = Book.Placing(
            seq: header.seq, epoch: header.epoch, time: now, key: key, model: model, price: price,
            modelText: model == .max ? name : .empty, tier: request.tier, input: input,
            output: output, usd: usd, until: deadline(ttl, after: now), id: id)
        HoldPlaced.encode(
            header, model: model,
            price: price == .max ? 0 : book.prices.prices.pointer(price).pointee.version,
            input: input, output: output, usd: usd, until: event.until,
            modelText: event.modelText, scope: request.scope, request.text, extras, into: &outbox)
        book.place(event, chain, probe)
        return .allowed(
            hold: HoldName(epoch: event.epoch, seq: event.seq), model: name,
            usd: Nanodollars(usd), until: Instant(seconds: Int64(event.until)))
    }

    /// Rounded up to a whole second, so that a hold never lives shorter than it was promised.
    @inline(__always)
    func deadline(_ ttl: Int64, after start: Instant) -> UInt32 {
        let until = (start.nanoseconds + ttl * 1_000_000_000 + 999_999_999) / 1_000_000_000
        return UInt32(clamping: until)
    }
    private func isMalformed(_ resolved: ResolvedModel) -> Bool {
        if case .malformed = resolved { true } else { false }
    }
    /// What a caller's model means, and its name: the book's own, or the asked one in lower case.
    mutating func resolve(_ asked: Bytes) -> (ResolvedModel, name: Bytes) {
        // The book's names are lower case, so only what it does not know may need folding.
        var name = asked
        var resolved = book.resolve(model: name)
        if case .priced = resolved {
        } else {
            name = fold(asked)
            resolved = book.resolve(model: name)
        }
        switch resolved {
        case .priced(let model, _):
            name = book.names[book.prices.models.pointer(model).pointee.name]
        case .unpriced:
            // An alias of a model whose first price is still to come.
            if let alias = book.prices.alias(named: name, in: book.names) {
                let model = book.prices.aliases.pointer(alias).pointee.model
                name = book.names[book.prices.models.pointer(model).pointee.name]
            }
        case .malformed: break
        }
        return (resolved, name)
    }
    /// The model's name with ASCII letters in lower case; valid until the next command.
    private func fold(_ name: Bytes) -> Bytes {
        var hasUpper = false
        for i in 0..<name.count where name[i] &- 65 < 26 { hasUpper = true }
        guard hasUpper, name.count <= 256 else { return name }
        for i in 0..<name.count { folded[i] = name[i] &- 65 < 26 ? name[i] | 0x20 : name[i] }
        return Bytes(folded, count: name.count)
    }

    /// What the same id was answered before; nil when it names nothing that still stands.
    private mutating func answerRepeat(
        _ request: borrowing ReserveRequest, _ key: UInt32, _ asked: borrowing Asked,
        malformed: Bool, isAuto: Bool
    ) -> Answer? {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .holdsAgain { return nil }
        #endif
        guard let slot = book.holds.find(IDHash(.hold, key: key, request.text.id)) else {
            return nil
        }
        let row = book.holds.row(slot)
        // A hold that was given back protects nothing any more, so the id asks anew.
        guard row.pointee.state == .open || row.pointee.state == .settled else { return nil }
        if isAuto, let answer = routedRepeat(slot, request, input: asked.input) { return answer }
        let (model, tier, name) = (asked.model, request.tier, asked.name)
        let (input, output) = (asked.input, asked.output)
        let placed = book.holds.placing(of: row)
        let same =
            !malformed && book.routes.routed(slot, row.pointee.name) == nil
            && row.pointee.model == model.raw && row.pointee.tier == tier
            && placed.input == input && placed.output == output
            && (model != .none || book.names[row.pointee.modelName] == name)
        guard same else {
            return .failed(
                Failure(
                    .conflict,
                    "this id named hold \(row.pointee.name) with another model or other numbers; "
                        + "use a new id for a new request"))
        }
        return .allowed(
            hold: row.pointee.name, model: book.modelName(of: row),
            usd: Nanodollars(placed.usd), until: Instant(seconds: Int64(placed.until)))
    }

    // MARK: Refusals

    mutating func refuse(
        _ reason: Refusal, _ request: borrowing ReserveRequest, _ asked: borrowing Asked,
        by account: UnsafeMutablePointer<AccountRow>? = nil, placing: Bool
    ) -> Answer {
        var denial = Denial(reason, now: now)
        if let account { denial.scope = book.names[account.pointee.name] }
        switch reason {
        case .modelMalformed, .modelUnpriced, .modelDenied:
            if asked.name.isPlainText { denial.model = asked.name }
        default: break
        }
        if reason == .modelMalformed { denial.hint = hint(for: asked.name) }
        log(denial, request, asked, tier: account?.pointee.tier, placing: placing)
        return .denied(denial)
    }

    mutating func refuse(
        _ binding: BindingLimit, _ chain: AccountChain, _ request: borrowing ReserveRequest,
        _ asked: borrowing Asked, placing: Bool
    ) -> Answer {
        var denial = Denial(binding.reason, now: now)
        denial.scope = book.names[binding.account.pointee.name]
        denial.limit = binding.kind
        denial.amount = binding.amount
        denial.used = binding.used
        denial.held = binding.held
        let amount: Int64 =
            switch binding.kind.unit {
            case .usd: asked.usd
            case .tokens: asked.input + asked.output
            case .requests, nil: 1
            }
        denial.resets = book.resets(
            binding, asked: amount, chain.orgRow, growing: asked.growing, at: now,
            calendar: calendar)
        denial.waitsFor = waitsFor(binding, asked: amount, key: asked.key)
        if denial.waitsFor == nil {
            log(denial, request, asked, tier: binding.account.pointee.tier, placing: placing)
        }
        return .denied(denial)
    }

    mutating func refuse(
        _ lack: Book.CreditShortfall, _ chain: AccountChain, _ request: borrowing ReserveRequest,
        _ asked: borrowing Asked, placing: Bool
    ) -> Answer {
        var denial = Denial(.creditExhausted, now: now)
        denial.scope = book.names[chain.org.pointee.name]
        denial.amount = lack.amount
        denial.used = lack.used
        denial.held = lack.held
        log(denial, request, asked, tier: .org, placing: placing)
        return .denied(denial)
    }

    private mutating func log(
        _ denial: Denial, _ request: borrowing ReserveRequest, _ asked: borrowing Asked,
        tier: Tier?, placing: Bool
    ) {
        guard placing else {
            if let said = reviewed {
                refused(denial, request, asked, tier: tier, said).encode(into: &draft)
            }
            return
        }
        // A turn that began with little room has not written them; a second's sums stand before the next
        // second's refusals all the same, so that a replay can tell what they are of.
        if floods.second < now.second { writeRefusalSums() }
        guard floods.shouldLog(key: asked.key, denial.reason, at: now.second) else { return }
        #if TOLLGATE_PLANTED_BUGS
        var denial = denial
        if PlantedBug.current == .logsAnotherReason, denial.reason == .budgetExhausted {
            denial.reason = .tokensExhausted
        }
        #endif
        if asked.key != .max { openWindows(book.accounts.chain(ofKey: asked.key).orgRow) }
        let event = refused(denial, request, asked, tier: tier, extras(of: asked))
        event.encode(into: &outbox)
        book.advance(event.header)
    }
    private func refused(
        _ denial: Denial, _ request: borrowing ReserveRequest, _ asked: borrowing Asked,
        tier: Tier?, _ extras: Extras
    ) -> HoldRefused {
        var header = header(.holdRefused, AccountNumber(asked.key))
        header.flags = request.tier.rawValue
        var event = HoldRefused(
            header: header, reason: denial.reason, model: asked.model, input: asked.input,
            output: asked.output, usd: Nanodollars(asked.usd))
        event.limit = denial.limit
        event.scopeTier = tier
        event.amount = denial.amount
        event.used = denial.used
        event.held = denial.held
        event.resets = denial.resets
        if asked.key == .max, case .path(let path) = request.key, AccountPath.tier(path) != nil {
            event.askedKey = path
        }
        if asked.model == .none, asked.name.count <= Bounds.modelBytesMax, asked.name.isPlainText {
            event.modelText = asked.name
        }
        event.scope = request.scope
        event.text = request.text
        event.extras = extras
        return event
    }
}

extension Book {
    /// The tokens to hold: as asked, or as many as the request's bytes and the model may make.
    @inline(__always)
    func tokens(
        _ request: borrowing ReserveRequest, _ price: UInt32
    ) -> (input: Int64, output: Int64) {
        var input: Int64 = 0
        if let given = request.input {
            input = given
        } else if let bytes = request.bytes {
            input = (bytes + 3) / 4
        }
        if let output = request.output { return (input, output) }
        var output = Bounds.outputTokensDefault
        if price != .max {
            let most = prices.prices.pointer(price).pointee.maxOutput
            if most > 0 { output = most }
        }
        return (input, output)
    }

    func modelName(of row: UnsafeMutablePointer<HoldRow>) -> Bytes {
        row.pointee.model == .max
            ? names[row.pointee.modelName]
            : names[prices.models.pointer(row.pointee.model).pointee.name]
    }
}

import Events

// Requests of the period, asked anew, and their ends.

extension WhatIf {
    // MARK: Requests

    mutating func place(_ event: HoldPlaced) {
        report.requests += 1
        if event.extras.routing != nil { report.routed += 1 }
        let key = event.header.account
        withdrawEstimate(event.header, event.text.id)
        open(event.header)
        var request = ReserveRequest()
        request.key = .path(machine.book.path(of: key)!)
        request.model =
            event.model == .none ? event.modelText : past.name(of: event.model) ?? .empty
        request.input = event.input
        request.output = event.output
        request.scope = event.scope
        request.tier = event.tier
        request.ttl = ttl(until: event.until)
        request.text.id = event.text.id
        var answer = machine.reserve(request)
        if case .allowed(let hold, _, _, _) = answer, hold != event.name {
            // The book of the past has forgotten the request of that id, which here is remembered longer.
            request.text.id = .empty
            answer = machine.reserve(request)
        }
        switch answer {
        case .allowed:
            if let routing = event.extras.routing {
                machine.book.remember(routing, of: event.name)
            }
        case .denied(let denial): refuse(event.name, cause(key, denial))
        case .failed: refuse(event.name, WhatIfReport.Cause(key: key))
        default: preconditionFailure("a reserve of a model is allowed, denied, or fails")
        }
    }
    private mutating func refuse(_ hold: HoldName, _ cause: WhatIfReport.Cause) {
        report.refuse(cause)
        refused[hold] = RefusedHold(cause: cause)
    }
    /// Seconds from now, such that a hold ends then.
    private func ttl(until: UInt32) -> Int64 {
        Int64(until) - (machine.now.nanoseconds + 999_999_999) / 1_000_000_000
    }

    mutating func refuse(_ event: HoldRefused) {
        report.requests += 1
        report.refusedThen += 1
        let key = event.header.account
        let model =
            event.model == .none ? event.modelText : past.name(of: event.model) ?? .empty
        // No file makes a key, or a good secret of one that was rotated away.
        guard key != .none, event.reason != .keyRevoked, !model.isEmpty else {
            return report.notAsked += 1
        }
        if let hold = event.extras.growing { return grow(hold, event) }
        let id = event.text.id.isEmpty ? IDHash.none : IDHash(.hold, key: key.raw, event.text.id)
        guard estimates[id] == nil else { return report.retries += 1 }
        open(event.header)
        var request = ReserveRequest()
        request.key = .path(machine.book.path(of: key)!)
        request.model = model
        request.input = event.input
        request.output = event.output
        request.scope = event.scope
        request.tier = ServiceTier(rawValue: event.header.flags & 3) ?? .standard
        switch machine.check(request) {
        case .wouldAllow(let model, _): request.model = model
        case .routed(let routed): request.model = routed.model
        default: return
        }
        let cause = WhatIfReport.Cause(
            key: key, reason: event.reason, scope: scope(key, event.scopeTier), limit: event.limit)
        if !admit(request, cause, id) { report.unmatched += 1 }
    }
    /// A hold that was not to grow then; that it may here costs nothing by itself.
    private mutating func grow(_ hold: HoldName, _ event: HoldRefused) {
        guard refused[hold] == nil, let slot = machine.book.holds.find(hold),
            machine.book.holds.row(slot).pointee.state == .open
        else { return report.notAsked += 1 }
        let row = machine.book.holds.row(slot)
        var request = ExtendRequest()
        request.hold = hold
        request.input = row.pointee.input + event.input
        request.output = row.pointee.output + event.output
        machine.open(
            machine.book.accounts.chain(ofKey: row.pointee.key).orgRow, before: event.header)
        if case .extended = machine.extend(request) { report.growthAdmitted += 1 }
    }

    private func cause(_ key: AccountNumber, _ denial: Denial) -> WhatIfReport.Cause {
        let scope = denial.scope.isEmpty ? nil : try? machine.book.number(of: denial.scope)
        return WhatIfReport.Cause(
            key: key, reason: denial.reason, scope: scope ?? .none, limit: denial.limit)
    }
    private func scope(_ key: AccountNumber, _ tier: Tier?) -> AccountNumber {
        guard let tier, let line = past.lineage(key) else { return .none }
        return switch tier {
        case .key: AccountNumber(line.key)
        case .team: AccountNumber(line.team)
        case .org: AccountNumber(line.org)
        }
    }

    // MARK: Ends

    mutating func extend(_ event: HoldExtended) {
        guard refused[event.hold] == nil else { return }
        open(event.header)
        var request = ExtendRequest()
        request.hold = event.hold
        request.input = event.input
        request.output = event.output
        // What only grew may end before a second more.
        if let slot = machine.book.holds.find(event.hold),
            event.until > machine.book.holds.row(slot).pointee.until
        {
            request.ttl = ttl(until: event.until)
        }
        switch machine.extend(request) {
        case .extended: break
        case .denied, .failed: report.growthRefused += 1
        default: preconditionFailure("an extension is extended, denied, or fails")
        }
    }
    mutating func settle(_ event: HoldSettled) {
        noteDuration(of: event.hold, event.header)
        if isRefused(event.hold, costs: event.usd.raw) { return }
        open(event.header)
        var request = SettleRequest()
        request.hold = event.hold
        request.usage = event.usage
        request.tier = event.tier
        request.outcome = event.outcome
        request.milliseconds = event.milliseconds
        if case .settled = machine.settle(request) { return }
        report.unmatched += 1
    }
    mutating func release(_ event: HoldReleased) {
        noteDuration(of: event.hold, event.header)
        if isRefused(event.hold, costs: 0) { return }
        open(event.header)
        var request = ReleaseRequest()
        request.hold = event.hold
        if case .released = machine.release(request) { return }
        report.unmatched += 1
    }
    mutating func lapse(_ event: HoldLapsed) {
        noteDuration(of: event.hold, event.header)
        if isRefused(event.hold, costs: event.usd.raw) { return }
        guard let slot = machine.book.holds.find(event.hold),
            machine.book.holds.row(slot).pointee.state == .open
        else { return report.unmatched += 1 }
        machine.lapse(slot)
    }
    mutating func charge(_ event: ChargeRecorded) {
        open(event.header)
        let key = KeyReference.path(machine.book.path(of: event.header.account)!)
        let model =
            event.model == .none ? event.modelText : past.name(of: event.model) ?? .empty
        if let hold = event.hold {
            // The hold was lost in a power cut, and its settlement came all the same.
            var request = SettleRequest()
            request.hold = hold
            request.usage = event.usage
            request.tier = event.tier
            request.outcome = event.outcome
            request.milliseconds = event.milliseconds
            request.key = key
            request.model = model
            if case .settled = machine.settle(request) { return }
        } else {
            var request = ChargeRequest()
            request.key = key
            request.model = model
            request.usage = event.usage
            request.tier = event.tier
            request.outcome = event.outcome
            request.milliseconds = event.milliseconds
            request.text.id = event.text.id
            if case .charged = machine.charge(request) { return }
        }
        report.unmatched += 1
    }

    mutating func open(_ header: EventHeader) {
        machine.open(
            machine.book.accounts.chain(ofKey: header.account.raw).orgRow, before: header)
    }
    /// Whether a hold of the past was never placed here; notes what it has cost then, in all.
    mutating func isRefused(_ name: HoldName, costs usd: Int64) -> Bool {
        guard var hold = refused[name] else { return false }
        report.save(hold.cause, usd: usd - hold.usd)
        hold.usd = usd
        if !hold.hasEnded {
            hold.hasEnded = true
            ended.append(name)
        }
        refused[name] = hold
        guard ended.count >= 2 * Self.rememberedMax else { return true }
        for old in ended.prefix(Self.rememberedMax) { refused[old] = nil }
        ended.removeFirst(Self.rememberedMax)
        hasForgotten = true
        return true
    }
}

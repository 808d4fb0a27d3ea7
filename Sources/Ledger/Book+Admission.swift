import Events

// The questions a decision asks of the book. Nothing here changes anything.

/// What a model's name means to the price book.
enum ResolvedModel {
    case priced(model: UInt32, price: UInt32)
    /// Well-formed, but without a price.
    case unpriced
    case malformed
}

/// The limit that binds first, with its numbers.
struct BindingLimit {
    var reason: Refusal
    var account: UnsafeMutablePointer<AccountRow>
    var kind: LimitKind
    var amount: Int64
    var used: Int64
    var held: Int64
}

/// The limits a reason speaks of, in the order in which reasons are checked (DESIGN.md section 4).
private struct LimitGroup {
    var reason: Refusal
    var mask: UInt32
}
private let budgetLimits = LimitGroup(reason: .budgetExhausted, mask: 0b111111)
private let tokenLimits = LimitGroup(reason: .tokensExhausted, mask: 0b111110 << 6)
private let requestLimits = LimitGroup(reason: .requestsExhausted, mask: 0b111110 << 12)
private let requestsMinute = LimitGroup(reason: .requestsPerMinute, mask: 1 << 12)
private let tokensMinute = LimitGroup(reason: .tokensPerMinute, mask: 1 << 6)
private let slots = LimitGroup(reason: .concurrency, mask: 1 << 18)

extension Book {
    /// The key a caller means.
    func key(_ reference: KeyReference) -> UInt32? {
        switch reference {
        case .path(let path):
            guard let account = accounts.find(path, names),
                accounts.rows.pointer(account).pointee.tier == .key
            else { return nil }
            return account
        case .digest(let digest): return accounts.key(withSecret: digest)
        case .secret, .malformed: return nil
        }
    }

    /// - Parameter name: already folded to lower case.
    func resolve(model name: Bytes) -> ResolvedModel {
        if let model = prices.model(named: name, in: names) {
            return .priced(model: model, price: prices.models.pointer(model).pointee.price)
        }
        if name.firstIndex(of: UInt8(ascii: "/")) == nil {
            guard let alias = prices.alias(named: name, in: names) else { return .malformed }
            let model = prices.aliases.pointer(alias).pointee.model
            return .priced(model: model, price: prices.models.pointer(model).pointee.price)
        }
        return ModelName.isQualified(name) ? .unpriced : .malformed
    }

    /// The first of key, team and org whose scopes lack the scope.
    func lacking(
        scope: Bytes, _ chain: AccountChain
    ) -> UnsafeMutablePointer<AccountRow>? {
        for i in 0..<3 where !lists.matches(chain[i].pointee.scopes, scope, names) {
            return chain[i]
        }
        return nil
    }
    /// The first of key, team and org whose allow-list lacks the model.
    func denying(
        model: UInt32, named name: Bytes, _ chain: AccountChain
    ) -> UnsafeMutablePointer<AccountRow>? {
        for i in 0..<3 {
            let list = chain[i].pointee.models
            if list == PatternLists.inherit { continue }
            let allowed =
                model == .max ? lists.matches(list, name, names) : lists.allows(list, model: model)
            if !allowed { return chain[i] }
        }
        return nil
    }

    /// Whether the org's totals can take this much more without overflowing; they are the largest
    /// counters there are, so everything below them can too.
    func hasRoom(_ chain: AccountChain, usd: Int64, tokens: Int64) -> Bool {
        let usage = chain.org.pointee.usage
        func fits(_ a: Int64, _ b: Int64, _ c: Int64) -> Bool {
            let (ab, o1) = a.addingReportingOverflow(b)
            let (_, o2) = ab.addingReportingOverflow(c)
            return !o1 && !o2
        }
        let cell = WindowCell.total
        return fits(usage[.spentUSD, cell], usage[.heldUSD, cell], usd)
            && fits(usage[.usedTokens, cell], usage[.heldTokens, cell], tokens)
    }

    /// The first limit that has no room for the request, in the order of the reasons.
    func bindingLimit(
        _ chain: AccountChain, usd: Int64, tokens: Int64, at now: Instant
    ) -> BindingLimit? {
        let set =
            chain.key.pointee.limitMask | chain.team.pointee.limitMask | chain.org.pointee.limitMask
        if set == 0 { return nil }
        if let binding = first(budgetLimits, set, chain, asked: usd, now) { return binding }
        if let binding = first(tokenLimits, set, chain, asked: tokens, now) { return binding }
        if let binding = first(requestLimits, set, chain, asked: 1, now) { return binding }
        if let binding = first(requestsMinute, set, chain, asked: 1, now) { return binding }
        if let binding = first(tokensMinute, set, chain, asked: tokens, now) { return binding }
        return first(slots, set, chain, asked: 1, now)
    }

    private func first(
        _ group: LimitGroup, _ set: UInt32, _ chain: AccountChain, asked: Int64, _ now: Instant
    ) -> BindingLimit? {
        guard set & group.mask != 0 else { return nil }
        for i in 0..<3 {
            let account = chain[i]
            var mask = account.pointee.limitMask & group.mask
            while mask != 0 {
                let bit = mask.trailingZeroBitCount
                mask &= mask - 1
                let amount = accounts.limitAmounts.pointer(account.pointee.limits).pointee.values[
                    bit]
                let taken = taken(account, chain.orgRow, bit, at: now)
                // One comparator everywhere: admit if and only if used + held + asked ≤ limit.
                let (sum, o1) = taken.used.addingReportingOverflow(taken.held)
                let (total, o2) = sum.addingReportingOverflow(asked)
                #if TOLLGATE_PLANTED_BUGS
                if PlantedBug.current == .admitsOneMore, total == amount + 1 { continue }
                #endif
                if o1 || o2 || total > amount {
                    return BindingLimit(
                        reason: group.reason, account: account,
                        kind: LimitKind(stored: UInt8(bit)).unsafelyUnwrapped, amount: amount,
                        used: taken.used, held: taken.held)
                }
            }
        }
        return nil
    }

    /// What counts against a limit at an instant.
    func taken(
        _ account: UnsafeMutablePointer<AccountRow>, _ org: UnsafeMutablePointer<OrgRow>,
        _ kind: LimitKind, at now: Instant
    ) -> (used: Int64, held: Int64) {
        taken(account, org, Int(kind.raw), at: now)
    }
    /// - Parameter bit: the limit's stored number, `unit × 6 + window`.
    private func taken(
        _ account: UnsafeMutablePointer<AccountRow>, _ org: UnsafeMutablePointer<OrgRow>,
        _ bit: Int, at now: Instant
    ) -> (used: Int64, held: Int64) {
        let (unit, window) = bit.quotientAndRemainder(dividingBy: 6)
        if unit == 3 { return (account.pointee.openHolds, 0) }
        if window == 0 {
            guard account.pointee.minute != .max else { return (0, 0) }
            let ring = accounts.minutes.pointer(account.pointee.minute)
            return (
                ring.pointee.sum(Unit(rawValue: UInt8(unit)).unsafelyUnwrapped, at: now.second), 0
            )
        }
        let cell = window - 1
        // A cell of a window that is over counts as empty, whether or not the next was opened yet.
        if cell != WindowCell.total {
            guard org.pointee.isOpen(cell, at: now),
                account.pointee.usage.ordinals[cell] == org.pointee.ordinals[cell]
            else { return (0, 0) }
        }
        // Spent and held stand in this order for money and tokens; requests are only counted.
        let kind = unit * 2 * WindowCell.count + cell
        let used = account.pointee.usage.values[kind]
        return (used, unit == 2 ? 0 : account.pointee.usage.values[kind + WindowCell.count])
    }

    /// When the limit has room again by itself; nil where time alone changes nothing.
    func resets(
        _ binding: BindingLimit, asked: Int64, _ org: UnsafeMutablePointer<OrgRow>, at now: Instant,
        calendar: ZoneCalendar
    ) -> Instant? {
        guard let unit = binding.kind.unit, let window = binding.kind.window else { return nil }
        if window == .minute {
            // What is larger than the limit itself never fits: no instant to wait for.
            if asked > binding.amount { return nil }
            let ring = accounts.minutes.pointer(binding.account.pointee.minute)
            return Instant(
                seconds: ring.pointee.roomOpens(
                    unit, asked: asked, limit: binding.amount, at: now.second))
        }
        return windowEnd(org, window, at: now, calendar: calendar)
    }
    /// The end of the calendar window that holds the instant; nil for the total.
    func windowEnd(
        _ org: UnsafeMutablePointer<OrgRow>, _ window: Window, at now: Instant,
        calendar: ZoneCalendar
    ) -> Instant? {
        guard window != .total else { return nil }
        let cell = WindowCell.index(window)
        if org.pointee.isOpen(cell, at: now) { return Instant(nanoseconds: org.pointee.end[cell]) }
        let zone = accounts.zones[Int(accounts.rows.pointer(org.pointee.account).pointee.org)]
        return calendar.bounds(zone, window, now).end
    }
}

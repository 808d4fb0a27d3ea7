import Events

// The questions a decision asks of the book. Nothing here changes anything.

/// What a model's name means to the price book.
enum ResolvedModel {
    case priced(model: UInt32, price: UInt32)
    /// Well-formed, but without a price in force.
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

/// The limits of key, team and org that are asked, as bits.
private struct LimitMasks {
    var masks: SIMD4<UInt32>
    var all: UInt32 { masks[0] | masks[1] | masks[2] }
    init(_ chain: AccountChain) {
        masks = SIMD4(
            chain.key.pointee.limitMask, chain.team.pointee.limitMask, chain.org.pointee.limitMask,
            0)
    }
}

extension Book {
    /// The key a caller means, though it may be by a secret that opens nothing any more.
    @inline(__always)
    func key(_ reference: KeyReference) -> UInt32? {
        switch reference {
        case .path(let path):
            guard let account = accounts.find(path, names),
                accounts.rows.pointer(account).pointee.isKey
            else { return nil }
            return account
        case .digest(let digest):
            return accounts.secret(digest).map { accounts.secrets.pointer($0).pointee.key }
        case .secret, .malformed: return nil
        }
    }

    /// - Parameter name: already folded to lower case.
    @inline(__always)
    func resolve(model name: Bytes) -> ResolvedModel {
        if let model = prices.requestedModel(named: name, in: names) {
            let price = prices.models.pointer(model).pointee.price
            return price == .max ? .unpriced : .priced(model: model, price: price)
        }
        if name.firstIndex(of: UInt8(ascii: "/")) == nil {
            guard let alias = prices.alias(named: name, in: names) else { return .malformed }
            let model = prices.aliases.pointer(alias).pointee.model
            let price = prices.models.pointer(model).pointee.price
            return price == .max ? .unpriced : .priced(model: model, price: price)
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
    @inline(__always)
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

    /// Whether key, team and org allow a numbered model.
    @inline(__always)
    func allows(model: UInt32, _ chain: AccountChain) -> Bool {
        let (a, b, c) = (
            chain.key.pointee.models, chain.team.pointee.models, chain.org.pointee.models
        )
        return a | b | c == PatternLists.inherit
            || lists.allows(a, model: model) && lists.allows(b, model: model)
                && lists.allows(c, model: model)
    }

    /// Whether the org's totals can take this much more without overflowing; they are the largest
    /// counters there are, so everything below them can too.
    @inline(__always)
    func hasRoom(_ chain: AccountChain, usd: Int64, tokens: Int64) -> Bool {
        let cells = chain.org.pointee.usage.cells
        func fits(_ kind: UsageCells.Kind, _ held: UsageCells.Kind, _ more: Int64) -> Bool {
            let (sum, o1) = cells[UsageCells.index(kind, WindowCell.total)]
                .addingReportingOverflow(cells[UsageCells.index(held, WindowCell.total)])
            let (_, o2) = sum.addingReportingOverflow(more)
            return !o1 && !o2
        }
        return fits(.spentUSD, .heldUSD, usd) && fits(.usedTokens, .heldTokens, tokens)
    }

    /// The first limit that has no room for the request, in the order of the reasons.
    func bindingLimit(
        _ chain: AccountChain, usd: Int64, tokens: Int64, at now: Instant
    ) -> BindingLimit? {
        let set = LimitMasks(chain)
        if set.all == 0 { return nil }
        if let binding = first(budgetLimits, set, chain, asked: usd, now) { return binding }
        if let binding = first(tokenLimits, set, chain, asked: tokens, now) { return binding }
        if let binding = first(requestLimits, set, chain, asked: 1, now) { return binding }
        if let binding = first(requestsMinute, set, chain, asked: 1, now) { return binding }
        if let binding = first(tokensMinute, set, chain, asked: tokens, now) { return binding }
        return first(slots, set, chain, asked: 1, now)
    }
    /// The first limit of money that has no room.
    func bindingBudget(_ chain: AccountChain, usd: Int64, at now: Instant) -> BindingLimit? {
        first(budgetLimits, LimitMasks(chain), chain, asked: usd, now)
    }
    /// The first limit that has no room for what an open hold is to grow by.
    func bindingLimit(
        _ chain: AccountChain, growing row: UnsafeMutablePointer<HoldRow>, usd: Int64,
        tokens: Int64, at now: Instant
    ) -> BindingLimit? {
        var set = LimitMasks(chain)
        for i in 0..<3 { set.masks[i] &= counting(row, chain[i], chain.orgRow, at: now) }
        if let binding = first(budgetLimits, set, chain, asked: usd, now) { return binding }
        if let binding = first(tokenLimits, set, chain, asked: tokens, now) { return binding }
        return first(tokensMinute, set, chain, asked: tokens, now)
    }
    /// The limits, as bits, in which an account counts an open hold.
    private func counting(
        _ row: UnsafeMutablePointer<HoldRow>, _ account: UnsafeMutablePointer<AccountRow>,
        _ org: UnsafeMutablePointer<OrgRow>, at now: Instant
    ) -> UInt32 {
        var windows: UInt32 = 0
        for window in Window.allCases where window != .minute {
            let cell = WindowCell.index(window)
            if org.pointee.isOpen(cell, at: now),
                org.pointee.windows(holding: row.pointee.placedAt) >> UInt8(cell) & 1 == 1
            {
                windows |= 1 << UInt32(window.rawValue)
            }
        }
        let placed = Instant(nanoseconds: row.pointee.placedAt).second
        if account.pointee.minute != .max, now.second - placed < MinuteRing.seconds,
            row.pointee.seq > accounts.minutes.pointer(account.pointee.minute).pointee.sinceSeq
        {
            windows |= 1
        }
        return windows | windows << 6
    }

    private func first(
        _ group: LimitGroup, _ set: LimitMasks, _ chain: AccountChain, asked: Int64, _ now: Instant
    ) -> BindingLimit? {
        guard set.all & group.mask != 0 else { return nil }
        for i in 0..<3 {
            let account = chain[i]
            var mask = set.masks[i] & group.mask
            while mask != 0 {
                let bit = mask.trailingZeroBitCount
                mask &= mask - 1
                let amount = accounts.limitAmounts.pointer(account.pointee.limits).pointee[bit]
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
                ring.pointee.sum(unit, at: now.second), 0
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
        let cells = account.pointee.usage.cells
        return (cells[kind], unit == 2 ? 0 : cells[kind + WindowCell.count])
    }

    /// Whether every limit of the chain has room, told in one pass without an order; nothing may be
    /// concluded from false, as a window that is over makes it false, too. `hasRoom` has been asked.
    @inline(never)
    mutating func everyLimitHasRoom(
        _ chain: AccountChain, usd: Int64, tokens: Int64, at now: Instant
    ) -> Bool {
        let org = chain.orgRow
        guard now.nanoseconds < org.pointee.nextBoundary else { return false }
        let ordinals = org.pointee.ordinals
        let second = now.second
        return limitsHaveRoom(chain.key, ordinals, usd, tokens, second)
            && limitsHaveRoom(chain.team, ordinals, usd, tokens, second)
            && limitsHaveRoom(chain.org, ordinals, usd, tokens, second)
    }
    @inline(__always)
    private func limitsHaveRoom(
        _ account: UnsafeMutablePointer<AccountRow>, _ ordinals: SIMD4<UInt32>, _ usd: Int64,
        _ tokens: Int64, _ second: Int64
    ) -> Bool {
        let mask = account.pointee.limitMask
        if mask == 0 { return true }
        guard account.pointee.usage.ordinals == ordinals else { return false }
        let amounts = accounts.limitAmounts.pointer(account.pointee.limits)
        let cells = account.pointee.usage.cells
        // The sums cannot overflow: none is larger than the org's total, which was looked at.
        var calendar = mask & budgetLimits.mask & ~1
        while calendar != 0 {
            let bit = calendar.trailingZeroBitCount
            calendar &= calendar &- 1
            let taken = cells[bit &- 1] &+ cells[bit &- 1 &+ WindowCell.count]
            if taken &+ usd > amounts.pointee[bit] { return false }
        }
        calendar = (mask & tokenLimits.mask) >> 6
        while calendar != 0 {
            let bit = calendar.trailingZeroBitCount
            calendar &= calendar &- 1
            let used = UsageCells.index(.usedTokens, bit &- 1)
            let taken = cells[used] &+ cells[used &+ WindowCell.count]
            if taken &+ tokens > amounts.pointee[bit &+ 6] { return false }
        }
        calendar = (mask & requestLimits.mask) >> 12
        while calendar != 0 {
            let bit = calendar.trailingZeroBitCount
            calendar &= calendar &- 1
            let used = cells[UsageCells.index(.requests, bit &- 1)]
            if used &+ 1 > amounts.pointee[bit &+ 12] { return false }
        }
        if mask & slots.mask != 0, account.pointee.openHolds &+ 1 > amounts.pointee[18] {
            return false
        }
        let minutes: UInt32 = 1 | tokensMinute.mask | requestsMinute.mask
        guard mask & minutes != 0 else { return true }
        let ring = accounts.minutes.pointer(account.pointee.minute)
        return (mask & 1 == 0 || ring.pointee.sum(0, at: second) &+ usd <= amounts.pointee[0])
            && (mask & tokensMinute.mask == 0
                || ring.pointee.sum(1, at: second) &+ tokens <= amounts.pointee[6])
            && (mask & requestsMinute.mask == 0
                || ring.pointee.sum(2, at: second) &+ 1 <= amounts.pointee[12])
    }

    /// What an open hold that runs out of time costs, by its org's choice.
    func lapseCharge(
        _ row: UnsafeMutablePointer<HoldRow>, _ chain: AccountChain
    ) -> (tokens: Int64, usd: Int64) {
        switch chain.orgRow.pointee.onLapse {
        case .release: return (0, 0)
        case .chargeInput:
            let input = TokenUsage(input: row.pointee.input, output: 0)
            // It is at most the hold's own price, which fitted.
            let usd = prices.cost(row.pointee.price, tier: row.pointee.tier, input)
            return (row.pointee.input, usd ?? row.pointee.usd)
        case .chargeHold: return (row.pointee.tokens, row.pointee.usd)
        }
    }

    /// When the limit has room again by itself; nil where time alone changes nothing.
    ///
    /// - Parameter growing: the open hold that asks for more, if it is one.
    func resets(
        _ binding: BindingLimit, asked: Int64, _ org: UnsafeMutablePointer<OrgRow>,
        growing hold: UnsafeMutablePointer<HoldRow>? = nil, at now: Instant,
        calendar: ZoneCalendar
    ) -> Instant? {
        guard let unit = binding.kind.unit, let window = binding.kind.window else { return nil }
        if window == .minute, let hold {
            // At the latest when the second has gone in which it counts.
            let placed = Instant(nanoseconds: hold.pointee.placedAt).second
            let gone = Instant(seconds: placed + MinuteRing.seconds)
            let opens = resets(
                binding, asked: asked, org, at: now, calendar: calendar)
            return min(opens ?? gone, gone)
        }
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
        bounds(org, window, at: now, calendar: calendar)?.end
    }
    /// When the calendar window that holds the instant opened, and when it ends.
    func bounds(
        _ org: UnsafeMutablePointer<OrgRow>, _ window: Window, at now: Instant,
        calendar: ZoneCalendar
    ) -> (start: Instant, end: Instant)? {
        guard window != .total else { return nil }
        let cell = WindowCell.index(window)
        if org.pointee.isOpen(cell, at: now) {
            return (
                Instant(nanoseconds: org.pointee.start[cell]),
                Instant(nanoseconds: org.pointee.end[cell])
            )
        }
        let zone = accounts.zones[Int(accounts.rows.pointer(org.pointee.account).pointee.org)]
        return calendar.bounds(zone, window, now)
    }
}

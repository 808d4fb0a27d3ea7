/// How holds end, and charges without one.
extension NaiveModel {
    // MARK: SETTLE

    mutating func settle(_ words: [String], at now: Int64) throws(Failure) -> String {
        guard words.count >= 2, Self.holdName(words[1]) != nil else {
            throw .error
        }
        let name = words[1]
        let options = try Self.options(
            words.dropFirst(2),
            allowed: [
                "in", "out", "cached", "cache_write", "reasoning",
                "tier", "ms", "outcome", "key", "model", "ack",
            ])
        let usage = try Self.usage(options, tier: holds[name]?.asked.tier ?? "standard")
        guard var hold = holds[name] else {
            return try settleUnknown(name, usage, options, at: now)
        }
        if let settlement = hold.settlement {
            guard settlement.usage == usage else {
                throw .conflict
            }
            return settlement.line
        }

        let usd = Self.cost(of: usage, price: hold.price)
        let counts = Counts(usdUsed: usd, tokensUsed: usage.input + usage.output, requests: 1)
        try refuseOverflow(
            org: Self.lineage(hold.key)[2],
            usd: usd - hold.counts.usdHeld - hold.counts.usdUsed,
            tokens: counts.tokensUsed - hold.counts.tokensHeld - hold.counts.tokensUsed)
        try refuseUnbillable(org: Self.lineage(hold.key)[2], usd: usd)

        let isLate = hold.state != .open
        _ = appendEvent(of: hold.key, at: now)
        recount(hold.name, of: hold.key, hold.placed, from: hold.counts, to: counts)
        bill(&hold, usd: usd)
        if !isLate {
            close(hold)
        }
        hold.state = .settled
        hold.counts = counts
        hold.settlement = Settlement(
            usage: usage,
            line: settledLine(name, key: hold.key, usd: usd, isLate: isLate, at: now))
        holds[name] = hold
        return hold.settlement!.line
    }

    /// A hold that another run of the daemon placed and a power cut lost: charged now, once.
    mutating func settleUnknown(
        _ name: String, _ usage: Usage, _ options: [String: String], at now: Int64
    ) throws(Failure) -> String {
        try refuseGone(name)
        guard let key = options["key"].map({ keyPath($0) }), let asked = options["model"],
            isKey(key)
        else {
            throw .noHold
        }
        let (model, price) = try chargeable(asked, org: Self.lineage(key)[2], at: now)
        let usd = Self.cost(of: usage, price: price)
        let tokens = usage.input + usage.output
        try refuseOverflow(org: Self.lineage(key)[2], usd: usd, tokens: tokens)
        try refuseUnbillable(org: Self.lineage(key)[2], usd: usd)

        let eventName = appendEvent(of: key, at: now)
        let counts = Counts(usdUsed: usd, tokensUsed: tokens, requests: 1)
        count(counts, name: eventName, key: key, at: now)
        let bill = bill(key, usd: usd)
        let line = settledLine(name, key: key, usd: usd, isLate: true, at: now)
        holds[name] = Hold(
            name: name, key: key, model: model, price: price, asked: usage, wanted: usage,
            placed: now, until: now, allowLine: "", isRouted: false, state: .settled,
            counts: counts,
            settlement: Settlement(usage: usage, line: line), bill: bill)
        return line
    }

    func settledLine(
        _ name: String, key: String, usd: Amount, isLate: Bool, at now: Int64
    ) -> String {
        "+SETTLED \(name) usd=\(Self.money(usd))\(leftText(key, at: now))\(isLate ? " late=1" : "")"
    }

    /// The least that is left of any money limit but the sliding minute's.
    func leftText(_ key: String, at now: Int64) -> String {
        var least: Amount?
        for path in Self.lineage(key) {
            let account = accounts[path]!
            for limit in ["usd.hour", "usd.day", "usd.week", "usd.month", "usd.total"] {
                guard let amount = account.limit(limit) else {
                    continue
                }
                let (used, held) = standing(of: account, in: limit, at: now)
                let left = max(0, amount - used - held)
                least = min(least ?? left, left)
            }
        }
        return least.map { " left=\(Self.money($0))" } ?? ""
    }

    // MARK: RELEASE and lapse

    mutating func release(_ words: [String], at now: Int64) throws(Failure) -> String {
        guard words.count >= 2, Self.holdName(words[1]) != nil else {
            throw .error
        }
        let name = words[1]
        _ = try Self.options(words.dropFirst(2), allowed: ["why", "ack"])
        guard var hold = holds[name] else {
            try refuseGone(name)
            throw .noHold
        }
        switch hold.state {
        case .settled:
            return hold.settlement!.line
        case .released, .lapsed:
            break
        case .open:
            _ = appendEvent(of: hold.key, at: now)
            recount(
                hold.name, of: hold.key, hold.placed, from: hold.counts, to: Counts(requests: 1))
            close(hold)
            hold.state = .released
            hold.counts = Counts(requests: 1)
            holds[name] = hold
        }
        return "+RELEASED \(name)"
    }

    /// Ends every open hold whose deadline has come: in order of deadline, then of placing.
    mutating func lapseHolds(at now: Int64) {
        let due = openHolds.enumerated()
            .filter { holds[$0.element]!.until <= now }
            .map { (until: holds[$0.element]!.until, order: $0.offset, name: $0.element) }
            .sorted { ($0.until, $0.order) < ($1.until, $1.order) }
        for (_, _, name) in due {
            var hold = holds[name]!
            let counts = countsAfterLapse(of: hold)
            _ = appendEvent()
            recount(hold.name, of: hold.key, hold.placed, from: hold.counts, to: counts)
            bill(&hold, usd: counts.usdUsed)
            close(hold)
            hold.state = .lapsed
            hold.counts = counts
            holds[name] = hold
        }
    }

    func countsAfterLapse(of hold: Hold) -> Counts {
        switch accounts[Self.lineage(hold.key)[2]]!.onLapse {
        case "charge_input":
            var prompt = hold.wanted
            prompt.output = 0
            return Counts(
                usdUsed: Self.cost(of: prompt, price: hold.price),
                tokensUsed: prompt.input,
                requests: 1)
        case "charge_hold":
            return Counts(
                usdUsed: hold.counts.usdHeld,
                tokensUsed: hold.counts.tokensHeld,
                requests: 1)
        default:
            return Counts(requests: 1)
        }
    }

    /// Gives back the slot.
    mutating func close(_ hold: Hold) {
        openHolds.removeAll { $0 == hold.name }
        for path in Self.lineage(hold.key) {
            accounts[path]!.openHolds -= 1
        }
    }

    /// A seq of this epoch that has been appended, but not as a hold, can never become one; a later
    /// one may still, and so cannot be charged before.
    func refuseGone(_ name: String) throws(Failure) {
        if let (epoch, seq) = Self.holdName(name), epoch == Self.epoch {
            throw seq <= lastSeq ? .gone : .noHold
        }
    }

    // MARK: CHARGE

    mutating func charge(_ words: [String], at now: Int64) throws(Failure) -> String {
        guard words.count >= 3 else {
            throw .error
        }
        let key = keyPath(words[1])
        let options = try Self.options(
            words.dropFirst(3),
            allowed: [
                "in", "out", "cached", "cache_write", "reasoning", "tier", "ms", "outcome",
                "id", "scope", "user", "project", "env", "ip", "ua", "ack",
            ])
        let usage = try Self.usage(options, tier: "standard")
        guard let id = options["id"], isKey(key) else {
            throw .error
        }
        if let earlier = charges["\(key) \(id)"] {
            guard resolve(words[2].lowercased()) == earlier.model, usage == earlier.usage else {
                throw .conflict
            }
            return earlier.line
        }
        let (model, price) = try chargeable(words[2], org: Self.lineage(key)[2], at: now)
        let usd = Self.cost(of: usage, price: price)
        let tokens = usage.input + usage.output
        try refuseOverflow(org: Self.lineage(key)[2], usd: usd, tokens: tokens)
        try refuseUnbillable(org: Self.lineage(key)[2], usd: usd)

        let name = appendEvent(of: key, at: now)
        let counts = Counts(usdUsed: usd, tokensUsed: tokens, requests: 1)
        count(counts, name: name, key: key, at: now)
        let bill = bill(key, usd: usd)
        let line = "+CHARGED \(name) usd=\(Self.money(usd))\(leftText(key, at: now))"
        charges["\(key) \(id)"] = Charge(
            key: key, model: model, usage: usage, placed: now, name: name, counts: counts,
            bill: bill, line: line)
        return line
    }

    /// The model and its price, for what is charged without having been admitted.
    func chargeable(
        _ asked: String, org: String, at now: Int64
    ) throws(Failure) -> (model: String, price: Price?) {
        guard let model = resolve(asked.lowercased()),
            price(of: model, at: now) != nil || accounts[org]!.allowsUnpriced
        else {
            throw .error
        }
        return (model, price(of: model, at: now))
    }
}

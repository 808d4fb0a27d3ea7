/// EXTEND: an open hold grows, in the windows and at the second in which it was placed.
extension NaiveModel {
    mutating func extend(_ words: [String], at now: Int64) throws(Failure) -> String {
        guard words.count >= 2, Self.holdName(words[1]) != nil else {
            throw .error
        }
        let name = words[1]
        let options = try Self.options(words.dropFirst(2), allowed: ["in", "out", "ttl", "ack"])
        let ttl = try Self.ttl(options["ttl"])
        let input = try Self.tokens(options["in"])
        guard let output = try Self.tokens(options["out"]) else {
            throw .error
        }
        guard let hold = holds[name] else {
            try refuseGone(name)
            throw .noHold
        }
        guard hold.state == .open else {
            throw .gone
        }

        var wanted = hold.wanted
        wanted.input = max(wanted.input, input ?? 0)
        wanted.output = max(wanted.output, output)
        var until = hold.until
        if let ttl {
            let asked = Self.secondRoundedUp(now + ttl * 1_000_000_000)
            let latest = Self.secondRoundedUp(hold.placed + 86_400 * 1_000_000_000)
            until = max(until, min(asked, latest) * 1_000_000_000)
        }
        if wanted != hold.wanted || until > hold.until {
            let usd = max(hold.counts.usdHeld, Self.cost(of: wanted, price: hold.price))
            if let refusal = try refusal(of: hold, wanted, usd: usd, at: now) {
                logRefusal(of: hold.key, reason: refusal.reason, at: now)
                return "+DENY \(refusal.text)"
            }
            grow(name, to: wanted, usd: usd, until: until, at: now)
        }
        return "+EXTENDED \(name) usd=\(Self.money(holds[name]!.counts.usdHeld))"
            + " until=\(Self.instant(second: Self.second(holds[name]!.until)))"
    }

    private func refusal(
        of hold: Hold, _ wanted: Usage, usd: Amount, at now: Int64
    ) throws(Failure) -> Refusal? {
        if let barred = barring(hold.key, at: now) {
            return barred
        }
        if let denied = denial(of: hold.model, key: hold.key) {
            return denied
        }
        // Who only wants more time asks for no money.
        guard wanted != hold.wanted else {
            return nil
        }
        let lineage = Self.lineage(hold.key)
        let moreUSD = usd - hold.counts.usdHeld
        var more = wanted
        more.input -= hold.wanted.input
        more.output -= hold.wanted.output
        try refuseOverflow(org: lineage[2], usd: moreUSD, tokens: more.input + more.output)
        if Self.cost(of: wanted, price: hold.price) > Amount(Int64.max) {
            throw .error
        }
        try refuseUnbillable(org: lineage[2], usd: usd)
        if let text = creditExhausted(lineage[2], usd: moreUSD, holds: 0) {
            return Refusal(reason: "credit_exhausted", text: "402 credit_exhausted \(text)")
        }
        for rule in Self.limitRules {
            for path in lineage {
                for limit in rule.limits where counts(hold, in: limit, of: path, at: now) {
                    let asked = Self.asked(of: limit, usd: moreUSD, usage: more)
                    let text = exceeded(limit, of: path, asked: asked, growing: hold, at: now)
                    if let text {
                        return Refusal(
                            reason: rule.reason, text: "\(rule.status) \(rule.reason) \(text)")
                    }
                }
            }
        }
        return nil
    }

    /// Whether more of the hold's money or tokens would count for what the limit looks at now.
    private func counts(_ hold: Hold, in limit: String, of path: String, at now: Int64) -> Bool {
        guard ["usd", "tokens"].contains(Self.unit(of: limit)) else {
            return false
        }
        if Self.window(of: limit) == "minute" {
            return Self.second(now) - Self.second(hold.placed) < 60
                && accounts[path]!.minute.contains { $0.name == hold.name }
        }
        let window = Self.window(of: limit)
        return Self.windowName(window, at: hold.placed) == Self.windowName(window, at: now)
    }

    private mutating func grow(
        _ name: String, to wanted: Usage, usd: Amount, until: Int64, at now: Int64
    ) {
        var hold = holds[name]!
        _ = appendEvent(of: hold.key, at: now)
        let counts = Counts(
            usdHeld: usd, tokensHeld: wanted.input + wanted.output, requests: 1)
        recount(hold.name, of: hold.key, hold.placed, from: hold.counts, to: counts)
        hold.counts = counts
        hold.wanted = wanted
        if until > hold.until {
            openHolds.removeAll { $0 == name }
            openHolds.append(name)
        }
        hold.until = until
        holds[name] = hold
    }

    /// Seconds of a hold's life that may not have been given.
    static func ttl(_ text: String?) throws(Failure) -> Int64? {
        guard let text else {
            return nil
        }
        guard let seconds = integer(text), (1...86_400).contains(seconds) else {
            throw .error
        }
        return Int64(seconds)
    }
}

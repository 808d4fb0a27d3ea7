/// charge.corrected: a past charge counts something else.
extension NaiveModel {
    /// Returns the key whose event it is.
    mutating func correctCharge(
        _ payload: [String: JSON], at now: Int64
    ) throws(Failure) -> String {
        guard case .string(let key)? = payload["account"], isKey(key), payload["id"] != nil,
            case .string(let name)? = payload["charge"], Self.holdName(name) != nil,
            case .string(let text)? = payload["usd"], let usd = Self.nanoDollars(text)
        else {
            throw .error
        }
        if var hold = holds[name] {
            guard hold.key == key, hold.state == .settled || hold.state == .lapsed else {
                throw .error
            }
            // What was settled under a name that nobody had given out is left alone for a minute.
            let isForeign = hold.allowLine.isEmpty
            guard !isForeign || Self.second(now) - Self.second(hold.placed) >= 60 else {
                throw .error
            }
            var counts = hold.counts
            try correct(&counts, payload, usd: usd, model: hold.model, hold.placed, key)
            recount(name, of: key, hold.placed, from: hold.counts, to: counts)
            hold.counts = counts
            rebill(&hold.bill!, key, usd: usd)
            holds[name] = hold
        } else if let id = charges.first(where: { $0.value.name == name })?.key {
            let charge = charges[id]!
            guard charge.key == key else {
                throw .error
            }
            var counts = charge.counts
            try correct(&counts, payload, usd: usd, model: charge.model, charge.placed, key)
            recount(name, of: key, charge.placed, from: charge.counts, to: counts)
            charges[id]!.counts = counts
            var bill = charge.bill
            rebill(&bill, key, usd: usd)
            charges[id]!.bill = bill
        } else {
            throw .noHold
        }
        return key
    }

    private func correct(
        _ counts: inout Counts, _ payload: [String: JSON], usd: Amount, model: String,
        _ placed: Int64, _ key: String
    ) throws(Failure) {
        if let was = payload["was"] {
            guard case .string(let text) = was, let nano = Self.nanoDollars(text) else {
                throw .error
            }
            guard nano == counts.usdUsed else {
                throw .conflict
            }
        }
        if let said = payload["placed"] {
            guard case .string(let text) = said, Self.nanoseconds(parsing: text) == placed else {
                throw .error
            }
        }
        guard usd != counts.usdUsed else {
            throw .error
        }
        try refuseOverflow(
            org: Self.lineage(key)[2], usd: max(usd - counts.usdUsed, 0), tokens: 0)
        if let price = payload["price"] {
            guard case .integer(let version) = price, version >= 1,
                version <= (prices[model] ?? []).count
            else {
                throw .error
            }
        }
        counts.usdUsed = usd
    }
}

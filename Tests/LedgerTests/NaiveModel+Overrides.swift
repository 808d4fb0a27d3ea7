/// One limit that is another one for a time.
extension NaiveModel {
    struct Override {
        let amount: Amount
        let until: Int64
        let reason: String
    }

    /// Appends an end for each override whose instant has come.
    mutating func endOverrides(at now: Int64) {
        for path in accounts.keys {
            for (limit, standing) in accounts[path]!.overrides where standing.until <= now {
                accounts[path]!.overrides[limit] = nil
                _ = appendEvent()
            }
        }
    }

    mutating func grantOverride(
        _ payload: [String: JSON], at now: Int64
    ) throws(Failure) {
        guard let path = try Self.text(payload["account"]), accounts[path] != nil,
            let limit = try Self.text(payload["limit"]), let value = payload["amount"],
            let reason = try Self.text(payload["reason"]), (1...250).contains(reason.utf8.count),
            (payload["until"] == nil) != (payload["for"] == nil)
        else {
            throw .error
        }
        let amount = try Self.limitAmount(value, of: limit)
        var until: Int64
        if let text = try Self.text(payload["until"]) {
            guard let instant = Self.nanoseconds(parsing: text), instant > now else {
                throw .error
            }
            until = instant
        } else {
            guard case .integer(let seconds)? = payload["for"],
                (1...3_000_000_000).contains(seconds)
            else {
                throw .error
            }
            until = now + Int64(seconds) * 1_000_000_000
        }
        // What is in force above just now, be it an override or not.
        for ancestor in Self.lineage(path).dropFirst() {
            if let most = accounts[ancestor]!.limit(limit), amount > most {
                throw .error
            }
        }
        accounts[path]!.overrides[limit] = Override(amount: amount, until: until, reason: reason)
        if Self.window(of: limit) == "minute" {
            accounts[path]!.recordsMinute = true
        }
    }

    mutating func endOverride(_ payload: [String: JSON]) throws(Failure) {
        guard let path = try Self.text(payload["account"]),
            let limit = try Self.text(payload["limit"]),
            accounts[path]?.overrides[limit] != nil
        else {
            throw .error
        }
        accounts[path]!.overrides[limit] = nil
    }
}

extension NaiveModel.Account {
    /// What counts just now.
    func limit(_ name: String) -> NaiveModel.Amount? { overrides[name]?.amount ?? limits[name] }
    /// The limits that count just now.
    var limitNames: Set<String> { Set(limits.keys).union(overrides.keys) }
}

import Events

// Limits that are other ones for a time, as the oracle knows them.

extension Oracle {
    /// One limit that is another one until an instant.
    struct Override {
        var amount: Int64
        var until: Instant
    }

    /// An override ends at its instant, to the event, and so does a grant: nothing is decided by one that
    /// is over.
    func requireNoneOverdue(_ chain: [UInt32], _ header: EventHeader) throws(Fault) {
        for account in chain {
            for (kind, over) in accounts[Int(account)].overrides where over.until <= header.time {
                throw Fault(
                    text: "event \(header.seq) is decided by the override of \(kind.name) on "
                        + "\(accounts[Int(account)].path), which ended at \(over.until)")
            }
            for grant in accounts[Int(account)].credit?.grants ?? []
            where grant.expires ?? .distantFuture <= header.time {
                throw Fault(
                    text: "event \(header.seq) is decided by grant \(grant.seq), which has expired")
            }
        }
    }

    func override(_ header: EventHeader, _ json: JSON) throws {
        let account = Int(header.account.raw)
        guard let name = json["limit"]?.string, let kind = name.withBytes({ LimitKind($0) }) else {
            throw Fault(text: "event \(header.seq) is about no limit")
        }
        if header.type == .overrideEnded { return try end(kind, of: account, header) }
        guard let amount = Oracle.amount(json["amount"], kind),
            let until = json["until"]?.string.flatMap({ $0.withBytes { Instant(parsing: $0) } }),
            json["reason"]?.string != nil
        else { throw Fault(text: "override \(header.seq) lacks something") }
        try require(until > time, "override \(header.seq) is over before it stands")
        for parent in accounts[account].chain.dropFirst() {
            let most = accounts[Int(parent)].limit(kind) ?? .max
            try require(amount <= most, "override \(header.seq) exceeds the parent's \(most)")
        }
        accounts[account].overrides[kind] = Override(amount: amount, until: until)
        if kind.window == .minute { accounts[account].recordsMinute = true }
    }
    private func end(_ kind: LimitKind, of account: Int, _ header: EventHeader) throws {
        guard let over = accounts[account].overrides.removeValue(forKey: kind) else {
            throw Fault(text: "event \(header.seq) ends no override")
        }
        let isByItself = header.actor == .daemon
        try require(
            isByItself == (over.until <= time),
            "override of \(kind.name) on \(accounts[account].path) until \(over.until) ends at \(time)"
        )
        counts[isByItself ? "override ran out" : "override ended early", default: 0] += 1
    }
}

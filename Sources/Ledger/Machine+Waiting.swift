import Events

// What a request that may wait asks of the machine. Who waits, and for how long, is the gate's: the machine
// only says what could pass by itself, and writes down when it came.

extension Machine {
    /// How a request that may wait is asked.
    package enum Waiting: Sendable {
        /// It does not wait.
        case no
        /// For the first time: a refusal that may pass is not logged.
        case patient
        /// The same, and others are to be asked before it: it is not admitted, either.
        case behindOthers
        /// Again, having come then.
        case since(Extras.Came)
        /// For the last time: whatever is answered stands.
        case last(since: Extras.Came)

        var mayPass: Bool {
            switch self {
            case .no, .last: false
            case .patient, .behindOthers, .since: true
            }
        }
        var isBehindOthers: Bool { if case .behindOthers = self { true } else { false } }
        var came: Extras.Came? {
            switch self {
            case .no, .patient, .behindOthers: nil
            case .since(let came), .last(let came): came
            }
        }
    }

    /// `RESERVE` of one who may wait. A refusal with `waitsFor` has not been logged: it is to be asked
    /// again. `.wouldAllow` answers whom others are ahead of.
    package mutating func reserve(
        _ request: borrowing ReserveRequest, waiting: Waiting
    ) -> Answer {
        self.waiting = waiting
        defer { self.waiting = .no }
        return decide(request, placing: true)
    }

    /// The account for whose room a refused request may wait: only where room comes back by itself or by
    /// the end of other requests, and where what is asked ever fits.
    func waitsFor(_ binding: BindingLimit, asked: Int64, key: UInt32) -> AccountNumber? {
        guard waiting.mayPass, asked <= binding.amount else { return nil }
        guard binding.reason.mayPass, let accounts = book.lineage(AccountNumber(key)) else {
            return nil
        }
        switch binding.account.pointee.tier {
        case .key: return AccountNumber(accounts.key)
        case .team: return AccountNumber(accounts.team)
        case .org: return AccountNumber(accounts.org)
        }
    }
}

extension Book {
    /// The numbers of a key, its team and its org; nil for what is no key.
    package func lineage(
        _ account: AccountNumber
    ) -> (key: UInt32, team: UInt32, org: UInt32)? {
        guard account.raw < UInt32(accountCount) else { return nil }
        let row = accounts.rows.pointer(account.raw)
        guard row.pointee.isKey else { return nil }
        let team = row.pointee.parent
        return (account.raw, team, accounts.rows.pointer(team).pointee.parent)
    }
    package func lineage(
        _ reference: KeyReference
    ) -> (key: UInt32, team: UInt32, org: UInt32)? {
        key(reference).flatMap { lineage(AccountNumber($0)) }
    }
}

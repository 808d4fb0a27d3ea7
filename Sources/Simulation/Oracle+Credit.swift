import Events

// Prepaid money of an org and what it is billed, as the oracle knows them: every grant by itself.

extension Oracle {
    /// What an org is billed for list prices.
    struct Terms {
        var markup: Int64 = 0
        var rate: Int64 = 1_000_000_000
        var currency: String?

        func usd(_ list: Int64) -> Int64 {
            Int64((Int128(list) * Int128(1_000_000 + markup) + 500_000) / 1_000_000)
        }
        func settled(_ list: Int64) -> Int64 {
            Int64((Int128(usd(list)) * Int128(rate) + 500_000_000) / 1_000_000_000)
        }
    }
    /// Prepaid money of an org, as what each grant has left and what no grant covered.
    struct Credit {
        struct Grant {
            var seq: UInt64
            var usd: Int64
            var left: Int64
            var expires: Instant?
            func isSpentBefore(_ other: Grant) -> Bool {
                let (a, b) = (expires ?? .distantFuture, other.expires ?? .distantFuture)
                return a == b ? seq < other.seq : a < b
            }
        }
        var grants: [Grant] = []
        var granted: Int64 = 0
        var expired: Int64 = 0
        var spent: Int64 = 0
        var overdrawn: Int64 = 0
        var left: Int64 { grants.reduce(0) { $0 + $1.left } }

        mutating func draw(_ amount: Int64) {
            spent += amount
            grants.sort { $0.isSpentBefore($1) }
            var rest = max(amount, 0)
            for i in grants.indices {
                let part = min(rest, grants[i].left)
                grants[i].left -= part
                rest -= part
            }
            overdrawn += rest
            guard amount < 0 else { return }
            // Given back: first what nothing covered, then to the grants, the last spent first.
            rest = -amount - min(-amount, overdrawn)
            overdrawn -= min(-amount, overdrawn)
            for i in grants.indices.reversed() {
                let part = min(rest, grants[i].usd - grants[i].left)
                grants[i].left += part
                rest -= part
            }
            expired += rest
        }
    }

    // MARK: What must hold

    /// Spend never goes below zero by admission: what is left covers all open holds, each as it would be
    /// billed now.
    func requireCovered(_ spend: Spend) throws(Fault) {
        let org = accounts[Int(spend.key)].chain[2]
        guard let credit = accounts[Int(org)].credit else { return }
        let terms = accounts[Int(org)].terms
        var held: Int64 = 0
        for hold in openHolds where accounts[Int(hold.key)].chain[2] == org {
            held += terms.usd(hold.heldUSD)
        }
        try require(
            held <= credit.left,
            "hold \(spend.name) takes \(accounts[Int(org)].path) over its credit: \(held) of "
                + "\(credit.left)")
    }
    /// Bills a charge and draws it from credit; checks what its event says of the bill.
    func bill(_ spend: Spend, usd: Int64, _ extras: Extras, _ header: EventHeader) throws {
        let org = Int(accounts[Int(spend.key)].chain[2])
        let terms = accounts[org].terms
        let isBilled = terms.currency != nil && (usd > 0 || header.type != .holdLapsed)
        try require(
            extras.billed?.amount.raw == (isBilled ? terms.settled(usd) : nil)
                && extras.billed?.currency.name == (isBilled ? terms.currency : nil),
            "event \(header.seq) bills \(String(describing: extras.billed)) for \(Nanodollars(usd))"
        )
        spend.terms = terms
        spend.isDrawn = accounts[org].credit != nil
        if spend.isDrawn { try draw(spend, from: org, usd: usd, header) }
    }
    /// The same when its amount is put right: by the terms by which it was billed.
    func rebill(_ spend: Spend, usd: Int64, _ json: JSON, _ header: EventHeader) throws {
        let terms = spend.terms
        let billed = json["billed"]?.string.flatMap { Oracle.scaled($0, 9) }
        try require(
            billed == (terms.currency == nil ? nil : terms.settled(usd))
                && json["currency"]?.string == terms.currency,
            "event \(header.seq) bills \(String(describing: json["billed"])) for \(Nanodollars(usd))"
        )
        let org = Int(accounts[Int(spend.key)].chain[2])
        if spend.isDrawn { try draw(spend, from: org, usd: usd, header) }
    }
    private func draw(_ spend: Spend, from org: Int, usd: Int64, _ header: EventHeader) throws {
        let before = accounts[org].credit!.overdrawn
        accounts[org].credit!.draw(spend.terms.usd(usd) - spend.drawn)
        spend.drawn = spend.terms.usd(usd)
        if accounts[org].credit!.overdrawn > before { counts["overdrawn", default: 0] += 1 }
        let credit = accounts[org].credit!
        try require(
            credit.granted - credit.expired - credit.spent == credit.left - credit.overdrawn,
            "the credit of \(accounts[org].path) does not add up at \(header.seq)")
    }

    func exhausted(_ event: HoldRefused) throws {
        let chain = try chain(event.header)
        try requireNoneOverdue(chain, event.header)
        let org = accounts[Int(chain[2])]
        guard let credit = org.credit else {
            throw Fault(text: "refusal \(event.header.seq) for want of credit that nobody granted")
        }
        let (least, slack) = creditHeld(by: chain[2])
        try require(
            event.amount == credit.granted - credit.expired && event.used == credit.spent,
            "refusal \(event.header.seq): credit \(event.amount) used \(event.used), reckoned "
                + "\(credit.granted - credit.expired) and \(credit.spent)")
        try require(
            event.held >= least && event.held <= least + slack
                && event.held + org.terms.usd(event.usd.raw) + slack > credit.left,
            "refusal \(event.header.seq) of what credit covers: \(event.held) held, "
                + "\(event.usd) asked, \(credit.left) left")
    }

    /// What an org's open holds keep of its credit, and how much more that may be: each may round up, and
    /// so may a new one, by at most a nano-dollar.
    func creditHeld(by org: UInt32) -> (least: Int64, slack: Int64) {
        let holds = openHolds.filter { accounts[Int($0.key)].chain[2] == org }
        let terms = accounts[Int(org)].terms
        return (
            terms.usd(holds.reduce(0) { $0 + $1.heldUSD }),
            terms.markup == 0 ? 0 : Int64(holds.count) + 2
        )
    }

    // MARK: Documents

    func finance(_ header: EventHeader, _ json: JSON) throws {
        let org = Int(header.account.raw)
        switch header.type {
        case .creditGranted: try grant(to: org, header, json)
        case .creditExpired: try expire(of: org, header, json)
        default:
            guard let markup = json["markup_ppm"]?.integer, let currency = json["currency"]?.string,
                let rate = json["rate"]?.string.flatMap({ Oracle.scaled($0, 9) })
            else { throw Fault(text: "billing \(header.seq) lacks something") }
            accounts[org].terms = Terms(markup: markup, rate: rate, currency: currency)
        }
    }
    private func grant(to org: Int, _ header: EventHeader, _ json: JSON) throws {
        guard let usd = json["usd"]?.string.flatMap({ Oracle.scaled($0, 9) }) else {
            throw Fault(text: "grant \(header.seq) of nothing")
        }
        let expires = json["expires"]?.string.flatMap { $0.withBytes { Instant(parsing: $0) } }
        var credit = accounts[org].credit ?? Credit()
        let paid = min(usd, credit.overdrawn)
        credit.granted += usd
        credit.overdrawn -= paid
        credit.grants.append(
            Credit.Grant(
                seq: header.seq, usd: usd, left: usd - paid, expires: expires))
        accounts[org].credit = credit
    }
    private func expire(of org: Int, _ header: EventHeader, _ json: JSON) throws {
        let seq = json["grant"]?.integer.map { UInt64($0) }
        guard let i = accounts[org].credit?.grants.firstIndex(where: { $0.seq == seq }),
            let usd = json["usd"]?.string.flatMap({ Oracle.scaled($0, 9) })
        else { throw Fault(text: "event \(header.seq) expires no grant") }
        let grant = accounts[org].credit!.grants.remove(at: i)
        try require(
            grant.expires ?? .distantFuture <= time && grant.left == usd,
            "grant \(grant.seq) has \(grant.left) left until \(String(describing: grant.expires))"
        )
        accounts[org].credit!.expired += grant.left
    }
}

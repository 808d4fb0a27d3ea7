/// Prepaid money of an org, and what it is billed.
extension NaiveModel {
    struct Grant {
        let order: Int
        let usd: Amount
        var left: Amount
        /// `nil` for never.
        let expires: Int64?
    }

    struct Credit {
        /// Those that have not expired.
        var grants: [Grant] = []
        var granted: Amount = 0
        var expired: Amount = 0
        /// All that was billed since the first grant.
        var spent: Amount = 0
        /// What of it no grant covers.
        var overdrawn: Amount = 0

        /// In the order in which they are spent.
        var burning: [Int] {
            grants.indices.sorted { a, b in
                let (first, second) = (grants[a].expires ?? .max, grants[b].expires ?? .max)
                return first == second ? grants[a].order < grants[b].order : first < second
            }
        }
        var left: Amount { grants.map(\.left).reduce(0, +) }
    }

    struct Billing {
        let markup: Amount
        let rate: Amount
        let currency: String
    }

    // MARK: What is billed

    /// List price and markup, rounded half up to a nano-dollar.
    static func billed(_ usd: Amount, _ billing: Billing?) -> Amount {
        guard let billing else {
            return usd
        }
        return (usd * (1_000_000 + billing.markup) + 500_000) / 1_000_000
    }

    /// The same in billionths of the unit in which it is settled.
    static func settled(_ usd: Amount, _ billing: Billing?) -> Amount {
        guard let billing else {
            return usd
        }
        return (billed(usd, billing) * billing.rate + 500_000_000) / 1_000_000_000
    }

    func refuseUnbillable(org: String, usd: Amount) throws(Failure) {
        let account = accounts[org]!
        let most = Amount(Int64.max)
        let billed = Self.billed(usd, account.billing)
        if billed > most || Self.settled(usd, account.billing) > most
            || account.credit.map({ $0.spent + billed > most }) ?? false
        {
            throw .error
        }
    }

    /// What open holds keep of credit: with a markup each may round up by half a nano-dollar.
    func creditHeld(_ org: String, usd: Amount = 0, holds: Amount = 0) -> Amount {
        let account = accounts[org]!
        let list = (account.windows["total"]?.usdHeld ?? 0) + usd
        guard let billing = account.billing, billing.markup > 0 else {
            return list
        }
        let exact = list * (1_000_000 + billing.markup)
        let roundedUp = exact / 1_000_000 + (exact % 1_000_000 == 0 ? 0 : 1)
        return roundedUp + (account.openHolds + holds + 1) / 2
    }

    /// The words of the refusal when credit is less than all holds with the new one.
    func creditExhausted(_ org: String, usd: Amount, holds: Amount = 1) -> String? {
        guard let credit = accounts[org]!.credit,
            creditHeld(org, usd: usd, holds: holds) > credit.left
        else {
            return nil
        }
        let amount = credit.granted - credit.expired
        return "scope=\(org) amount=\(Self.money(amount)) used=\(Self.money(credit.spent))"
            + " held=\(Self.money(creditHeld(org)))"
    }

    // MARK: Drawing

    /// How a charge was billed: by which terms, and what credit it drew if there was any then.
    struct Bill {
        var billing: Billing?
        var drawn: Amount?
    }

    /// Bills a charge, in place of how it was billed before.
    mutating func bill(_ key: String, usd: Amount, before: Bill? = nil) -> Bill {
        let org = accounts[Self.lineage(key)[2]]!
        var bill = Bill(billing: org.billing)
        if org.credit != nil {
            bill.drawn = before?.drawn ?? 0
            rebill(&bill, key, usd: usd)
        }
        return bill
    }

    mutating func bill(_ hold: inout Hold, usd: Amount) {
        hold.bill = bill(hold.key, usd: usd, before: hold.bill)
    }

    /// Once more with the right amount, by the terms by which it was billed.
    mutating func rebill(_ bill: inout Bill, _ key: String, usd: Amount) {
        guard let before = bill.drawn else {
            return
        }
        let org = Self.lineage(key)[2]
        let billed = min(Self.billed(usd, bill.billing), Amount(Int64.max))
        if billed >= before {
            draw(billed - before, org)
        } else {
            giveBack(before - billed, org)
        }
        bill.drawn = billed
    }

    private mutating func draw(_ amount: Amount, _ org: String) {
        var credit = accounts[org]!.credit!
        credit.spent = min(credit.spent + amount, Amount(Int64.max))
        var rest = amount
        for i in credit.burning {
            let taken = min(rest, credit.grants[i].left)
            credit.grants[i].left -= taken
            rest -= taken
        }
        credit.overdrawn += rest
        accounts[org]!.credit = credit
    }

    private mutating func giveBack(_ amount: Amount, _ org: String) {
        var credit = accounts[org]!.credit!
        credit.spent -= amount
        let covered = min(amount, credit.overdrawn)
        credit.overdrawn -= covered
        var rest = amount - covered
        for i in credit.burning.reversed() {
            let returned = min(rest, credit.grants[i].usd - credit.grants[i].left)
            credit.grants[i].left += returned
            rest -= returned
        }
        // It came from a grant that has expired since.
        credit.expired += rest
        accounts[org]!.credit = credit
    }

    // MARK: Admin events

    mutating func grantCredit(_ payload: [String: JSON], at now: Int64) throws(Failure) {
        guard let org = try Self.text(payload["account"]), accounts[org] != nil,
            Self.lineage(org).count == 1, let text = try Self.text(payload["usd"]),
            let usd = Self.nanoDollars(text), usd > 0,
            let source = try Self.text(payload["source"]), !source.isEmpty,
            payload["expires"] == nil || payload["expires_in"] == nil
        else {
            throw .error
        }
        _ = try Self.text(payload["reference"])
        var expires: Int64?
        if let text = try Self.text(payload["expires"]) {
            guard let instant = Self.nanoseconds(parsing: text), instant > now else {
                throw .error
            }
            expires = instant
        }
        if let seconds = payload["expires_in"] {
            guard case .integer(let seconds) = seconds, (1...3_000_000_000).contains(seconds) else {
                throw .error
            }
            expires = now + Int64(seconds) * 1_000_000_000
        }
        var credit = accounts[org]!.credit ?? Credit()
        guard credit.granted + usd <= Amount(Int64.max) else {
            throw .error
        }
        // What is overdrawn is paid first.
        let paid = min(usd, credit.overdrawn)
        credit.overdrawn -= paid
        credit.granted += usd
        credit.grants.append(
            Grant(order: Int(lastSeq), usd: usd, left: usd - paid, expires: expires))
        accounts[org]!.credit = credit
    }

    /// Appends an end for each grant whose instant has come.
    mutating func expireCredit(at now: Int64) {
        for org in accounts.keys {
            for grant in accounts[org]!.credit?.grants ?? [] where grant.expires ?? .max <= now {
                accounts[org]!.credit!.grants.removeAll { $0.order == grant.order }
                accounts[org]!.credit!.expired += grant.left
                _ = appendEvent()
            }
        }
    }

    mutating func setBilling(_ payload: [String: JSON]) throws(Failure) {
        guard let org = try Self.text(payload["account"]), accounts[org] != nil,
            Self.lineage(org).count == 1,
            case .integer(let markup)? = payload["markup_ppm"], (0...100_000_000).contains(markup),
            let currency = try Self.text(payload["currency"]), currency.count == 3,
            currency.allSatisfy({ $0.isASCII && $0.isUppercase }),
            let text = try Self.text(payload["rate"]), let rate = Self.nanoDollars(text), rate > 0
        else {
            throw .error
        }
        accounts[org]!.billing = Billing(markup: markup, rate: rate, currency: currency)
    }

    /// As USAGE shows it; `nil` for an account without credit.
    func creditUsage(_ org: String) -> [String: String]? {
        guard let credit = accounts[org]?.credit else {
            return nil
        }
        let held = creditHeld(org)
        let left = credit.burning.map { credit.grants[$0].left }.filter { $0 > 0 }
        return [
            "granted": Self.money(credit.granted), "expired": Self.money(credit.expired),
            "spent": Self.money(credit.spent), "held": Self.money(held),
            "left": Self.money(max(0, credit.left - held)),
            "overdrawn": Self.money(credit.overdrawn),
            "grants": left.map { Self.money($0) }.joined(separator: " "),
        ]
    }
}

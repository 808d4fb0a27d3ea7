import Events

extension Book {
    /// What credit has no room for, with its numbers.
    struct CreditShortfall {
        var amount: Int64
        var used: Int64
        var held: Int64
    }

    // MARK: Questions

    /// Whether what `usd` more are billed fits our numbers, and, of a prepaid org, what it has spent.
    func canBill(_ chain: AccountChain, usd: Int64) -> Bool {
        if chain.org.pointee.flags.isDisjoint(with: .charged) { return true }
        let org = chain.orgRow
        let terms = terms(org.pointee.billing)
        guard let billed = terms.usd(usd), terms.settled(billed) != nil else { return false }
        guard org.pointee.credit != .max else { return true }
        return !credits[Int(org.pointee.credit)].spent.addingReportingOverflow(billed).overflow
    }
    /// What credit lacks for holds of `usd` more at list price; nil where it suffices or is not needed.
    ///
    /// - Parameter holds: how many holds more that is; an open one that grows is none.
    func creditShortfall(
        _ chain: AccountChain, usd: Int64, holds: Int64 = 1
    ) -> CreditShortfall? {
        let org = chain.orgRow
        guard org.pointee.credit != .max else { return nil }
        let terms = terms(org.pointee.billing)
        let (list, open) = held(chain.org)
        // `hasRoom` has been asked, so the list price of all fits.
        if let most = terms.most(list + usd, holds: open + holds), most <= org.pointee.creditLeft {
            return nil
        }
        let ledger = credits[Int(org.pointee.credit)]
        return CreditShortfall(
            amount: ledger.amount, used: ledger.spent,
            held: creditHeld(chain.org))
    }
    /// The most that the open holds of an org may be billed; `.max` when that does not fit.
    private func creditHeld(_ org: UnsafeMutablePointer<AccountRow>) -> Int64 {
        let (list, open) = held(org)
        return terms(org.pointee.orgRow.pointee.billing).most(list, holds: open) ?? .max
    }
    /// What credit has left for new holds, as it is billed.
    func creditLeft(_ org: UnsafeMutablePointer<AccountRow>) -> Int64 {
        max(0, org.pointee.orgRow.pointee.creditLeft - creditHeld(org))
    }
    /// Both at once, for the path that only wants a yes.
    @inline(never)
    func mayBill(_ chain: AccountChain, usd: Int64) -> Bool {
        canBill(chain, usd: usd) && creditShortfall(chain, usd: usd) == nil
    }
    /// The list price of an org's open holds, and how many there are.
    private func held(_ org: UnsafeMutablePointer<AccountRow>) -> (usd: Int64, holds: Int64) {
        (
            org.pointee.usage.cells[UsageCells.index(.heldUSD, WindowCell.total)],
            org.pointee.openHolds
        )
    }

    // MARK: The fold

    mutating func apply(_ granted: CreditGranted, _ header: EventHeader) throws(EventError) {
        let row = accounts.rows.pointer(try existing(header.account))
        guard row.pointee.tier == .org else { throw .malformed("account") }
        let org = row.pointee.orgRow!
        if org.pointee.credit == .max {
            org.pointee.credit = UInt32(credits.count)
            credits.append(CreditLedger(account: header.account.raw))
            row.pointee.flags.insert(.prepaid)
        }
        let expires = granted.expires?.nanoseconds ?? .max
        credits[Int(org.pointee.credit)].grant(
            CreditGrant(
                seq: header.seq, usd: granted.usd.raw, left: granted.usd.raw, expires: expires,
                source: granted.source, reference: granted.reference))
        org.pointee.creditLeft = credits[Int(org.pointee.credit)].left
        scheduleExpiry(expires, of: header.account.raw)
    }
    mutating func apply(_ gone: CreditExpired, _ header: EventHeader) throws(EventError) {
        let row = accounts.rows.pointer(try existing(header.account))
        let org = row.pointee.orgRow!
        guard row.pointee.tier == .org, org.pointee.credit != .max,
            let grant = credits[Int(org.pointee.credit)].expire(UInt64(gone.grant)),
            grant.left == gone.usd.raw
        else { throw .malformed("grant") }
        org.pointee.creditLeft = credits[Int(org.pointee.credit)].left
    }
    mutating func scheduleExpiry(_ expires: Int64, of account: UInt32) {
        guard expires != .max else { return }
        schedule.add(Schedule.Entry(at: expires, kind: .creditExpires, subject: account))
    }

    /// Bills a charge by the org's terms: draws it from credit, or gives back what was drawn too much
    /// for a hold that has been charged before. `row` still says what that was.
    @inline(never)
    mutating func bill(
        _ row: UnsafeMutablePointer<HoldRow>, _ org: UnsafeMutablePointer<OrgRow>, usd: Int64
    ) {
        let before = drawn(row)
        row.pointee.terms = HoldTerms(
            number: org.pointee.billing, drawn: org.pointee.credit != .max)
        guard org.pointee.credit != .max else { return }
        draw(from: before, to: terms(org.pointee.billing).usd(usd) ?? .max, org)
    }
    /// The same of a charge whose amount is put right: by the terms by which it was billed.
    mutating func rebill(
        _ row: UnsafeMutablePointer<HoldRow>, _ org: UnsafeMutablePointer<OrgRow>, usd: Int64
    ) {
        guard row.pointee.terms.drawn else { return }
        draw(from: drawn(row), to: terms(row.pointee.terms.number).usd(usd) ?? .max, org)
    }
    /// The same of one that is remembered no more, and so by the terms of today. No more comes back than
    /// was ever drawn.
    mutating func rebillForgotten(
        _ org: UnsafeMutablePointer<OrgRow>, was: Int64, usd: Int64
    ) {
        guard org.pointee.credit != .max else { return }
        let terms = terms(org.pointee.billing)
        let after = terms.usd(usd) ?? .max
        let spent = credits[Int(org.pointee.credit)].spent
        draw(from: min(terms.usd(was) ?? .max, after + min(spent, .max - after)), to: after, org)
    }
    /// What a hold that has been charged has drawn from credit.
    private func drawn(_ row: UnsafeMutablePointer<HoldRow>) -> Int64 {
        let noted = row.pointee.terms
        return noted.drawn ? terms(noted.number).usd(row.pointee.spentUSD) ?? .max : 0
    }
    private mutating func draw(
        from before: Int64, to after: Int64, _ org: UnsafeMutablePointer<OrgRow>
    ) {
        let i = Int(org.pointee.credit)
        if after >= before {
            credits[i].draw(after - before)
        } else {
            credits[i].giveBack(before - after)
        }
        org.pointee.creditLeft = credits[i].left
    }
}

extension Machine {
    /// Ends the grants of an org whose instant has come.
    mutating func expireCredit(of account: UInt32) {
        let org = book.accounts.rows.pointer(account).pointee.orgRow!
        // The soonest to expire stands first.
        while let grant = book.credits[Int(org.pointee.credit)].grants.first,
            grant.expires <= now.nanoseconds
        {
            emit(
                .creditExpired, account: AccountNumber(account),
                .object([
                    JSON.Member("account", .string(book.path(of: AccountNumber(account))!.string)),
                    JSON.Member("grant", .integer(Int64(grant.seq))),
                    JSON.Member("usd", .string(Nanodollars(grant.left).description)),
                ]))
        }
    }
}

// MARK: - What people read

extension Book {
    /// Most grants that one answer lists; those that are spent first.
    private static var grantsShownMax: Int { 100 }

    /// `credit` and `billing` of an org, where it has them.
    func writeFinances(
        of row: UnsafeMutablePointer<AccountRow>, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        guard row.pointee.tier == .org else { return }
        writeCredit(of: row, &object, into: &b)
        writeBilling(of: row, &object, into: &b)
    }
    private func writeCredit(
        of row: UnsafeMutablePointer<AccountRow>, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        let org = row.pointee.orgRow!
        guard org.pointee.credit != .max else { return }
        let ledger = credits[Int(org.pointee.credit)]
        object.name("credit", into: &b)
        var credit = ObjectWriter(opening: &b)
        credit.field("granted", Nanodollars(ledger.granted), into: &b)
        credit.field("expired", Nanodollars(ledger.expired), into: &b)
        credit.field("spent", Nanodollars(ledger.spent), into: &b)
        credit.field("held", Nanodollars(creditHeld(row)), into: &b)
        credit.field("left", Nanodollars(creditLeft(row)), into: &b)
        credit.field("overdrawn", Nanodollars(ledger.overdrawn), into: &b)
        credit.name("grants", into: &b)
        b.append(UInt8(ascii: "["))
        for (i, grant) in ledger.grants.filter({ $0.left > 0 }).prefix(Book.grantsShownMax)
            .enumerated()
        {
            if i > 0 { b.append(UInt8(ascii: ",")) }
            var item = ObjectWriter(opening: &b)
            item.field("grant", Int64(grant.seq), into: &b)
            item.field("usd", Nanodollars(grant.usd), into: &b)
            item.field("left", Nanodollars(grant.left), into: &b)
            item.field("source", grant.source, into: &b)
            if let reference = grant.reference { item.field("reference", reference, into: &b) }
            if grant.expires != .max {
                item.field("expires", Instant(nanoseconds: grant.expires), into: &b)
            }
            b.append(UInt8(ascii: "}"))
        }
        b.append("]}" as StaticString)
    }
    /// What a hold or charge that is over was billed, where that is not its list price in dollars.
    func writeBill(
        of row: UnsafeMutablePointer<HoldRow>, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        guard row.pointee.terms.number > 0 else { return }
        let terms = terms(row.pointee.terms.number)
        guard let billed = terms.bill(row.pointee.spentUSD) else { return }
        object.field("billed", Nanodollars(billed), into: &b)
        object.field("currency", terms.currency.name, into: &b)
    }
    func writeBilling(
        of row: UnsafeMutablePointer<AccountRow>, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        guard row.pointee.flags.contains(.billed) else { return }
        let terms = terms(row.pointee.orgRow.pointee.billing)
        object.name("billing", into: &b)
        var billing = ObjectWriter(opening: &b)
        billing.field("markup_ppm", terms.markup, into: &b)
        billing.field("currency", terms.currency.name, into: &b)
        billing.field("rate", Nanodollars(terms.rate), into: &b)
        b.append(UInt8(ascii: "}"))
    }
}

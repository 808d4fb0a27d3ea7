import Events
import Journal

/// What one charge is billed, and what that is at list prices and in US dollars.
struct RollupBill {
    /// With markup, in `currency`.
    var amount: Int64
    var currency = Currency.usd
    /// The charge at list prices, in US dollars.
    var usd: Int64
    /// By which terms; without any, those that bill list prices.
    var terms: BillingTerms?
    /// The event that set these; 0 for none.
    var termsSeq: UInt64 = 0

    /// Of a charge that nobody bills otherwise than at list prices.
    init(usd: Int64) { (amount, self.usd) = (usd, usd) }

    subscript(_ part: BilledPart) -> Int64 {
        switch part {
        case .billed: amount
        case .list: terms?.settled(usd) ?? amount
        case .listUSD: usd
        case .billedUSD: terms?.usd(usd) ?? usd
        }
    }
}

/// What a charge counts now, where that must be known again.
struct StandingCharge {
    var usd: Int64
    var tokens: Int64
    var billed: Int64
    /// The event that set the terms by which it was billed; 0 for none.
    var termsSeq: UInt64
    var currency: Currency
    var isLapse = false

    init(_ bill: RollupBill, tokens: Int64) {
        (usd, billed, currency) = (bill.usd, bill.amount, bill.currency)
        (self.tokens, termsSeq) = (tokens, bill.termsSeq)
    }
    init?(_ bytes: Bytes) {
        var reader = ByteReader(bytes)
        usd = reader.int64()
        tokens = reader.int64()
        billed = reader.int64()
        termsSeq = reader.uint64()
        guard let currency = Currency(reader.bytes(3)) else { return nil }
        self.currency = currency
        isLapse = reader.uint8() == 1
        guard !reader.failed else { return nil }
    }
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(int64: usd)
        buffer.append(int64: tokens)
        buffer.append(int64: billed)
        buffer.append(uint64: termsSeq)
        currency.append(to: &buffer)
        buffer.append(isLapse ? 1 : 0 as UInt8)
    }
}

// What an org is billed. An event says the amount and the currency; the terms it was billed by are those that
// held when it was written, but of a correction those of the charge, as far as the daemon remembered it.

extension RollupFold {
    func standing<Table: RollupTable & ~Copyable>(
        _ charge: HoldName, _ table: borrowing Table, _ damage: inout Bool
    ) throws(LMDBError) -> StandingCharge? {
        var found: StandingCharge?
        try sides.value(SideRows.key(.charge, charge), table, &damage) {
            found = StandingCharge($0)
        }
        return found
    }
    mutating func note(_ standing: StandingCharge, of charge: HoldName) {
        var row = ByteBuffer(capacity: 48)
        standing.encode(into: &row)
        sides.put(SideRows.key(.charge, charge), row.bytes)
    }

    /// The bill of an event that is being folded.
    @inline(never)
    mutating func bill<Table: RollupTable & ~Copyable>(
        _ billed: Extras.Billed?, usd: Int64, org: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> RollupBill {
        guard let billed else { return RollupBill(usd: usd) }
        try findTerms(org, table)
        let place = places.orgs[Int(org)]
        return RollupBill(billed, usd: usd, place.terms, place.termsSeq)
    }
    /// The same of a settlement. Where the terms have changed since its hold was placed, it is noted what it
    /// was billed; of all others the terms at the placing say it.
    mutating func bill<Table: RollupTable & ~Copyable>(
        _ billed: Extras.Billed, usd: Int64, _ hold: HoldName, org: UInt32,
        _ table: borrowing Table
    ) throws(LMDBError) -> RollupBill {
        let bill = try bill(billed, usd: usd, org: org, table)
        if places.orgs[Int(org)].termsSeq > hold.seq {
            note(StandingCharge(bill, tokens: 0), of: hold)
        }
        return bill
    }
    /// The bill of a charge that is corrected. Its terms are those of the bill before, or the latest that come
    /// to the same.
    mutating func bill<Table: RollupTable & ~Copyable>(
        _ billed: Extras.Billed?, usd: Int64, after old: RollupBill, org: UInt32,
        _ table: borrowing Table
    ) throws(LMDBError) -> RollupBill {
        guard let billed else { return RollupBill(usd: usd) }
        if let terms = old.terms, terms.bills(usd, billed) {
            return RollupBill(billed, usd: usd, terms, old.termsSeq)
        }
        var bill = RollupBill(billed, usd: usd, nil, 0)
        try forEachTerms(org, table) { terms, since in
            if terms.bills(usd, billed) { bill = RollupBill(billed, usd: usd, terms, since) }
        }
        return bill
    }
    /// What a charge was billed before it was corrected for the first time, if nothing is noted of that.
    ///
    /// - Parameter seq: the event that placed or recorded it.
    mutating func bill<Table: RollupTable & ~Copyable>(
        _ was: Nanodollars, isBilled: Bool, org: UInt32, at seq: UInt64, _ table: borrowing Table
    ) throws(LMDBError) -> RollupBill {
        var found = RollupBill(usd: was.raw)
        guard isBilled else { return found }
        try forEachTerms(org, table) { terms, since in
            guard since < seq, let amount = terms.bill(was.raw) else { return }
            let billed = Extras.Billed(amount: Nanodollars(amount), currency: terms.currency)
            found = RollupBill(billed, usd: was.raw, terms, since)
        }
        return found
    }
    mutating func bill<Table: RollupTable & ~Copyable>(
        of standing: StandingCharge, org: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> RollupBill {
        let billed = Extras.Billed(
            amount: Nanodollars(standing.billed), currency: standing.currency)
        var bill = RollupBill(billed, usd: standing.usd, nil, 0)
        guard standing.termsSeq > 0 else { return bill }
        try forEachTerms(org, table) { terms, since in
            guard since == standing.termsSeq else { return }
            bill = RollupBill(billed, usd: standing.usd, terms, since)
        }
        return bill
    }

    // MARK: Terms

    mutating func setTerms<Table: RollupTable & ~Copyable>(
        _ event: StoredEvent, _ table: borrowing Table
    ) throws(LMDBError) {
        guard case .billingSet(let set)? = Document(stored: event) else { return }
        let key = SideRows.key(.terms, event.header.account.raw)
        var row = ByteBuffer()
        try sides.value(key, table, &foundDamage) { row.append($0) }
        row.append(int64: set.markup)
        row.append(int64: set.rate)
        set.currency.append(to: &row)
        row.append(uint64: event.header.seq)
        sides.put(key, row.bytes)
        let org = places.pointer(places.number(ofOrg: event.header.account.raw))
        org.pointee.termsSeq = event.header.seq
        org.pointee.terms = BillingTerms(set)
    }
    /// Looks up what an org is billed by now, unless that is known.
    private mutating func findTerms<Table: RollupTable & ~Copyable>(
        _ org: UInt32, _ table: borrowing Table
    ) throws(LMDBError) {
        guard places.orgs[Int(org)].termsSeq == .max else { return }
        var last = (terms: BillingTerms.list, since: UInt64(0))
        try forEachTerms(org, table) { last = ($0, $1) }
        (places.pointer(org).pointee.terms, places.pointer(org).pointee.termsSeq) = last
    }
    /// The terms of an org, and the event that set each, in that order.
    private mutating func forEachTerms<Table: RollupTable & ~Copyable>(
        _ org: UInt32, _ table: borrowing Table, _ body: (BillingTerms, UInt64) -> Void
    ) throws(LMDBError) {
        let key = SideRows.key(.terms, places.orgs[Int(org)].account)
        try sides.value(key, table, &foundDamage) {
            var reader = ByteReader($0)
            while reader.remaining >= 27 {
                let terms = BillingTerms(
                    markup: reader.int64(), rate: reader.int64(),
                    currency: Currency(reader.bytes(3)) ?? .usd)
                body(terms, reader.uint64())
            }
        }
    }
}

extension RollupBill {
    /// - Parameter seq: the event that set the terms; where they do not bill in that currency there are none.
    fileprivate init(
        _ billed: Extras.Billed, usd: Int64, _ terms: BillingTerms?, _ seq: UInt64
    ) {
        (amount, currency, self.usd) = (billed.amount.raw, billed.currency, usd)
        guard let terms, seq > 0, terms.currency == billed.currency else { return }
        (self.terms, termsSeq) = (terms, seq)
    }
}

extension BillingTerms {
    /// Whether a list price comes to that by these.
    fileprivate func bills(_ usd: Int64, _ billed: Extras.Billed) -> Bool {
        currency == billed.currency && bill(usd) == billed.amount.raw
    }
}

import Events

/// What an org pays for what list prices cost: the terms of one `billing.set`.
struct BillingTerms {
    /// In parts per million over list price.
    var markup: Int64
    /// Billionths of the currency's unit for a US dollar.
    var rate: Int64
    var currency: Currency

    /// Those of an org that nobody set any for.
    static let list = BillingTerms(markup: 0, rate: 1_000_000_000, currency: .usd)

    /// List price and markup, rounded half up to a nano-dollar once; nil when it does not fit.
    func usd(_ list: Int64) -> Int64? {
        if markup == 0 { return list }
        let (product, overflow) = list.multipliedReportingOverflow(by: 1_000_000 + markup)
        guard overflow || product > Int64.max - 500_000 else {
            return (product + 500_000) / 1_000_000
        }
        return Int64(exactly: (Int128(list) * Int128(1_000_000 + markup) + 500_000) / 1_000_000)
    }
    /// What was billed in dollars as it is settled, rounded half up to a billionth of the unit.
    func settled(_ usd: Int64) -> Int64? {
        Int64(exactly: (Int128(usd) * Int128(rate) + 500_000_000) / 1_000_000_000)
    }
    /// What a list price is billed, as it is settled; nil when either does not fit.
    func bill(_ list: Int64) -> Int64? { usd(list).flatMap { settled($0) } }
    /// The most that open holds of a list price of `usd` may be billed: each of them rounds by itself,
    /// up by half a nano-dollar at most.
    func most(_ usd: Int64, holds: Int64) -> Int64? {
        if markup == 0 { return usd }
        let exact = (Int128(usd) * Int128(1_000_000 + markup) + 999_999) / 1_000_000
        return Int64(exactly: exact + Int128((holds + 1) / 2))
    }
}

extension Book {
    /// - Parameter number: of terms, from 1 in the order in which they were set; 0 for list prices.
    func terms(_ number: UInt32) -> BillingTerms {
        number == 0 ? .list : billings[Int(number) - 1]
    }
    /// What an event of a charge says of its bill; nil where the org is billed list prices in dollars.
    func billed(_ chain: AccountChain, usd: Int64) -> Extras.Billed? {
        guard chain.org.pointee.flags.contains(.billed) else { return nil }
        let terms = terms(chain.orgRow.pointee.billing)
        // Whatever is decided was checked to fit; only a lapse is never refused.
        return Extras.Billed(
            amount: Nanodollars(terms.bill(usd) ?? .max), currency: terms.currency)
    }
    mutating func apply(_ set: BillingSet, _ header: EventHeader) throws(EventError) {
        let row = accounts.rows.pointer(try existing(header.account))
        guard row.pointee.tier == .org else { throw .malformed("account") }
        billings.append(
            BillingTerms(markup: set.markup, rate: set.rate, currency: set.currency))
        row.pointee.orgRow.pointee.billing = UInt32(billings.count)
        row.pointee.flags.insert(.billed)
    }
}

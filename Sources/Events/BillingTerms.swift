/// What an org pays for what list prices cost: the terms of one `billing.set`.
package struct BillingTerms: Sendable {
    /// In parts per million over list price.
    package var markup: Int64
    /// Billionths of the currency's unit for a US dollar.
    package var rate: Int64
    package var currency: Currency

    package init(markup: Int64, rate: Int64, currency: Currency) {
        self.markup = markup
        self.rate = rate
        self.currency = currency
    }
    package init(_ set: BillingSet) {
        self.init(markup: set.markup, rate: set.rate, currency: set.currency)
    }

    /// Those of an org that nobody set any for.
    package static let list = BillingTerms(markup: 0, rate: 1_000_000_000, currency: .usd)

    /// List price and markup, rounded half up to a nano-dollar once; nil when it does not fit.
    package func usd(_ list: Int64) -> Int64? {
        if markup == 0 { return list }
        let (product, overflow) = list.multipliedReportingOverflow(by: 1_000_000 + markup)
        guard overflow || product > Int64.max - 500_000 else {
            return (product + 500_000) / 1_000_000
        }
        return Int64(exactly: (Int128(list) * Int128(1_000_000 + markup) + 500_000) / 1_000_000)
    }
    /// What was billed in dollars as it is settled, rounded half up to a billionth of the unit.
    package func settled(_ usd: Int64) -> Int64? {
        Int64(exactly: (Int128(usd) * Int128(rate) + 500_000_000) / 1_000_000_000)
    }
    /// What a list price is billed, as it is settled; nil when either does not fit.
    package func bill(_ list: Int64) -> Int64? { usd(list).flatMap { settled($0) } }
    /// The most that open holds of a list price of `usd` may be billed: each of them rounds by itself,
    /// up by half a nano-dollar at most.
    package func most(_ usd: Int64, holds: Int64) -> Int64? {
        if markup == 0 { return usd }
        let exact = (Int128(usd) * Int128(1_000_000 + markup) + 999_999) / 1_000_000
        return Int64(exactly: exact + Int128((holds + 1) / 2))
    }
}

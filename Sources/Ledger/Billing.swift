import Events

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
        billings.append(BillingTerms(set))
        row.pointee.orgRow.pointee.billing = UInt32(billings.count)
        row.pointee.flags.insert(.billed)
    }
}

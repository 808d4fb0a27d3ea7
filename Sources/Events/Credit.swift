/// `credit.granted`: prepaid money of an org. Tollgate takes no payment; it records where one came from.
package struct CreditGranted: Sendable {
    package var account: String
    package var usd: Nanodollars
    /// `sign-up`, `card`, `wechat`, `alipay` …
    package var source: String
    /// The payment's own number there.
    package var reference: String?
    /// From this instant on what is left of it is gone; nil for never.
    package var expires: Instant?
    package var expiresInSeconds: Int64?

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .org)
        guard let usd = try fields.optionalMoney("usd"), usd > .zero else {
            throw Failure(
                .error, "credit.granted needs \"usd\", an amount above 0 such as \"12.50\"")
        }
        self.usd = usd
        source = try fields.text("source")
        reference = try fields.optionalText("reference")
        expires = try fields.optionalInstant("expires")
        expiresInSeconds = try fields.optionalInteger("expires_in", 1...Bounds.relativeSecondsMax)
    }
}

/// `credit.expired`: the daemon's, at the instant at which a grant expires.
package struct CreditExpired: Sendable {
    package var account: String
    /// The seq of the grant's own event.
    package var grant: Int64
    /// What was left of it.
    package var usd: Nanodollars

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .org)
        guard let grant = try fields.optionalInteger("grant", 1...Int64.max),
            let usd = try fields.optionalMoney("usd")
        else { throw Failure(.error, "credit.expired needs \"grant\" and \"usd\"") }
        self.grant = grant
        self.usd = usd
    }
}

/// `billing.set`: what an org pays for what list prices cost.
package struct BillingSet: Sendable {
    package var account: String
    /// Over list price, in parts per million: 150,000 is 15 %.
    package var markup: Int64
    package var currency: Currency
    /// Units of the currency for a US dollar, in billionths.
    package var rate: Int64

    /// A hundred times the list price; more is a slip.
    package static let markupMax: Int64 = 100_000_000

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .org)
        guard let markup = try fields.optionalInteger("markup_ppm", 0...BillingSet.markupMax) else {
            throw Failure(
                .error,
                "billing.set needs \"markup_ppm\": parts per million over list price, 0 for none")
        }
        self.markup = markup
        currency = try fields.currency("currency")
        // Read as money is: an exact decimal of at most nine places.
        guard let rate = try fields.optionalMoney("rate"), rate > .zero else {
            throw Failure(
                .error,
                "billing.set needs \"rate\", above 0: units of \(currency.name) for a US dollar, such as \"7.30\""
            )
        }
        self.rate = rate.raw
    }
}

import Events

/// What was spent, as the FinOps Open Cost and Usage Specification has it: the columns of a FOCUS 1.2
/// cost-and-usage dataset (https://focus.finops.org/focus-specification/v1-2/), one row for each period,
/// key, model, tier and currency. `schemas/reports.md` says what stands in which column and why.
package struct FocusReport: Sendable {
    package private(set) var table = ReportTable(FocusReport.columns)

    /// In the specification's order, which is that of the alphabet; those of our own come last.
    static let columns: [ReportTable.Column] = [
        .number("BilledCost"), text("BillingAccountId"), text("BillingAccountName"),
        text("BillingAccountType"), text("BillingCurrency"), text("BillingPeriodEnd"),
        text("BillingPeriodStart"), text("ChargeCategory"), text("ChargeClass"),
        text("ChargeDescription"), text("ChargeFrequency"), text("ChargePeriodEnd"),
        text("ChargePeriodStart"), .number("ConsumedQuantity"), text("ConsumedUnit"),
        .number("ContractedCost"), .number("EffectiveCost"), text("InvoiceIssuerName"),
        .number("ListCost"), text("PricingCategory"), text("PricingCurrency"),
        .number("PricingCurrencyEffectiveCost"), .number("PricingQuantity"), text("PricingUnit"),
        text("ProviderName"), text("PublisherName"), text("ResourceId"), text("ResourceName"),
        text("ResourceType"), text("ServiceCategory"), text("ServiceName"),
        text("ServiceSubcategory"), text("SkuId"), text("SkuMeter"), text("SkuPriceId"),
        text("SubAccountId"), text("SubAccountName"), text("SubAccountType"),
        .number("x_CachedInputTokens"), .number("x_InputTokens"), .number("x_ListCostUsd"),
        .number("x_OutputTokens"), .number("x_ReasoningTokens"), .number("x_Requests"),
    ]
    private static func text(_ name: String) -> ReportTable.Column { ReportTable.Column(name) }
    /// What the groups must be by, behind the time.
    package static let dimensions: [RollupQuery.Dimension] = [.key, .model, .tier]

    /// - Parameters:
    ///   - groups: by hour or day and `dimensions`.
    ///   - period: the time that a label of hour or day is of.
    ///   - billing: the month that an instant is billed in.
    package init(
        _ groups: RollupGroups, period: (String) -> Range<Instant>,
        billing: (Instant) -> Range<Instant>
    ) {
        precondition(groups.by.count == 4 && Array(groups.by[1...]) == FocusReport.dimensions)
        // Rows stand in the order of their times.
        var known: (label: String, time: Range<Instant>, billing: Range<Instant>)?
        for (labels, counts) in groups.ordered {
            // What was only refused, or given back, is no charge.
            guard let key = labels[1], counts[.usd] != 0 || counts.tokens != 0,
                let label = labels[0]
            else { continue }
            if known?.label != label {
                let time = period(label)
                known = (label, time, billing(time.lowerBound))
            }
            let (_, time, billing) = known!
            let charge = Charge(
                key: key, model: labels[2] ?? "unknown/unknown", tier: labels[3] ?? "standard",
                time: time, billing: billing, counts: counts)
            for bill in FocusReport.bills(counts) { table.add(charge.row(bill)) }
        }
    }

    /// What was billed in one currency.
    private struct Bill {
        var currency: Currency
        var amount: Int64
        /// At list prices, in the same currency.
        var list: Int64
        /// Both in US dollars, in which everything is priced.
        var amountUSD: Int64
        var listUSD: Int64
        /// Tokens and requests stand in one row only, wherever there are several currencies.
        var hasQuantity = false
    }
    private static func bills(_ counts: RollupCounts) -> [Bill] {
        var bills = counts.foreignCurrencies.map { currency in
            Bill(
                currency: currency, amount: counts[RollupTag(currency)],
                list: counts[RollupTag(currency, .list)],
                amountUSD: counts[RollupTag(currency, .billedUSD)],
                listUSD: counts[RollupTag(currency, .listUSD)])
        }
        // What no other currency has is billed in dollars.
        let (billed, rest) = (counts[.billedUSD], bills.reduce(counts[.usd]) { $0 - $1.listUSD })
        if bills.isEmpty || billed != 0 || rest != 0 {
            let dollars = Bill(
                currency: .usd, amount: billed, list: rest, amountUSD: billed, listUSD: rest)
            bills.insert(dollars, at: 0)
        }
        bills[0].hasQuantity = true
        return bills
    }

    private struct Charge {
        var key: String
        var model: String
        var tier: String
        var time: Range<Instant>
        var billing: Range<Instant>
        var counts: RollupCounts

        func row(_ bill: Bill) -> [ReportCell] {
            let names = key.split(separator: "/").map(String.init)
            let org = names[0]
            let team = names.count > 1 ? names[1] : org
            let provider = ModelName.provider(of: model)
            func quantity(_ count: Int64) -> ReportCell { .count(bill.hasQuantity ? count : 0) }
            return [
                .money(bill.amount), .text(org), .text(org), .text("Organization"),
                .text(bill.currency.name), .instant(billing.upperBound),
                .instant(billing.lowerBound), .text("Usage"), .none, .text(description(bill)),
                .text("Usage-Based"), .instant(time.upperBound), .instant(time.lowerBound),
                quantity(counts.tokens), .text("Tokens"), .money(bill.amount),
                .money(bill.amount), .text(provider), .money(bill.list), .text("Standard"),
                .text("USD"), .money(bill.amountUSD), quantity(counts.tokens), .text("Tokens"),
                .text(provider), .text(provider), .text(key), .text(names.last ?? key),
                .text("API key"), .text("AI and Machine Learning"), .text(provider),
                .text("Generative AI"), .text(model), .text("Tokens"),
                .text(model + "#" + tier), .text("\(org)/\(team)"), .text(team), .text("Team"),
                quantity(counts[.cached]), quantity(counts[.input]),
                .money(bill.listUSD), quantity(counts[.output]),
                quantity(counts[.reasoning]), quantity(counts.requests),
            ]
        }
        private func description(_ bill: Bill) -> String {
            let what = "\(model), \(tier) tier"
            return bill.hasQuantity
                ? "\(what): \(counts.requests) requests, \(counts.tokens) tokens"
                : "\(what): billed in \(bill.currency.name)"
        }
    }
}

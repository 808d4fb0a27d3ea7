import Events
import Testing

@testable import Reports

/// The columns of FOCUS 1.2's cost-and-usage dataset that a report has, as the specification has them:
/// https://focus.finops.org/focus-specification/v1-2/ (column, data type, whether it may be null, whether the
/// column must be there).
private let specification: [(name: String, type: DataType, nulls: Bool, isMandatory: Bool)] = [
    ("BilledCost", .decimal, false, true), ("BillingAccountId", .string, false, true),
    ("BillingAccountName", .string, true, true), ("BillingAccountType", .string, true, false),
    ("BillingCurrency", .currency, false, true), ("BillingPeriodEnd", .dateTime, false, true),
    ("BillingPeriodStart", .dateTime, false, true), ("ChargeCategory", .string, false, true),
    ("ChargeClass", .string, true, true), ("ChargeDescription", .string, true, true),
    ("ChargeFrequency", .string, false, false), ("ChargePeriodEnd", .dateTime, false, true),
    ("ChargePeriodStart", .dateTime, false, true), ("ConsumedQuantity", .decimal, true, false),
    ("ConsumedUnit", .string, true, false), ("ContractedCost", .decimal, false, true),
    ("EffectiveCost", .decimal, false, true), ("InvoiceIssuerName", .string, false, true),
    ("ListCost", .decimal, false, true), ("PricingCategory", .string, true, false),
    ("PricingCurrency", .currency, false, false),
    // Ours is null where something was billed in another currency than dollars.
    ("PricingCurrencyEffectiveCost", .decimal, true, false),
    ("PricingQuantity", .decimal, true, true), ("PricingUnit", .string, true, true),
    ("ProviderName", .string, false, true), ("PublisherName", .string, false, true),
    ("ResourceId", .string, true, false), ("ResourceName", .string, true, false),
    ("ResourceType", .string, true, false), ("ServiceCategory", .string, false, true),
    ("ServiceName", .string, false, true), ("ServiceSubcategory", .string, false, false),
    ("SkuId", .string, true, false), ("SkuMeter", .string, true, false),
    ("SkuPriceId", .string, true, false), ("SubAccountId", .string, true, false),
    ("SubAccountName", .string, true, false), ("SubAccountType", .string, true, false),
]
private enum DataType {
    case string, decimal, dateTime, currency

    /// Whether a CSV field is one.
    func holds(_ text: String) -> Bool {
        switch self {
        case .string: !text.isEmpty
        // Numeric format: no sign but a minus, no separators, no unit.
        case .decimal: text.wholeMatch(of: /-?[0-9]+(\.[0-9]+)?/) != nil
        // Date/time format: UTC, ISO 8601.
        case .dateTime:
            text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil
        // Currency format: ISO 4217.
        case .currency: text.wholeMatch(of: /[A-Z]{3}/) != nil
        }
    }
}

@Suite struct `A FOCUS report` {
    private let table: ReportTable = {
        var page = RollupAnswer()
        func add(_ labels: [String?], _ body: (inout RollupCounts) -> Void) {
            var counts = RollupCounts()
            body(&counts)
            page.groups.append(RollupAnswer.Group(labels: labels, counts: counts))
        }
        let hour = "2026-11-22T10:00:00Z"
        add([hour, "acme/ml/prod", "openai/gpt-4.1", "batch"]) {
            $0[.placed] = 3
            $0[.charged] = 1
            $0[.input] = 1_000
            $0[.cached] = 200
            $0[.output] = 50
            $0[.reasoning] = 20
            $0[.usd] = 9_200_000
            $0[.billedUSD] = 10_120_000
        }
        add([hour, "zeta/web/k", "google/gemini", "standard"]) {
            $0[.placed] = 1
            $0[.input] = 10
            $0[.usd] = 1_000_000_000
            $0.add(7_000_000_000, under: RollupTag(Currency(Bytes("CNY"))!))
        }
        add([hour, "acme/ml/test", "openai/gpt-4.1", "standard"]) { $0[.refused] = 4 }
        add([hour, nil, nil, "standard"]) { $0[.refused] = 1 }
        var groups = RollupGroups(by: [.hour] + FocusReport.dimensions)
        groups.add(page, asked: groups.by, day: { _ in "" })
        return FocusReport(
            groups,
            period: { label in
                let start = label.withBytes { Instant(parsing: $0) }!
                return start..<start.later(bySeconds: 3_600)
            },
            billing: { _ in
                Instant(
                    parsing: Bytes("2026-11-01T00:00:00Z"))!..<Instant(
                        parsing: Bytes("2026-12-01T00:00:00Z"))!
            }
        ).table
    }()

    @Test func `has the specification's columns, in its order, and ours behind them`() {
        let names = table.columns.map(\.name)
        let own = names.drop { !$0.hasPrefix("x_") }
        #expect(Array(names.prefix(names.count - own.count)) == specification.map(\.name))
        #expect(own.allSatisfy { $0.wholeMatch(of: /x_[A-Z][A-Za-z]*/) != nil })
        // The twenty-one that no dataset may lack.
        #expect(specification.count { $0.isMandatory } == 21)
        for (column, spec) in zip(table.columns, specification) {
            #expect(column.isNumber == (spec.type == .decimal), "\(spec.name)")
        }
    }
    @Test func `has values of the columns' types, and none only where none may be`() {
        #expect(table.rows.count == 2, "what was only refused is no charge")
        for row in table.rows {
            for (cell, spec) in zip(row, specification) {
                let text = cell.plain
                #expect(
                    text.isEmpty ? spec.nulls : spec.type.holds(text), "\(spec.name): \(text)")
            }
            func value(_ name: String) -> String { row[table.index(of: name)!].plain }
            #expect(value("ChargeCategory") == "Usage" && value("ChargeClass") == "")
            #expect(value("PricingCategory") == "Standard")
            #expect(value("ServiceCategory") == "AI and Machine Learning")
            #expect(value("ServiceSubcategory") == "Generative AI")
            #expect(value("ChargeFrequency") == "Usage-Based")
        }
    }
    @Test func `says a charge in full`() {
        let row = table.rows.first { $0[1] == .text("acme") }!
        let text = zip(table.columns, row).map { "\($0.name)=\($1.plain)" }
        for wanted in [
            "BilledCost=0.01012", "ListCost=0.0092", "EffectiveCost=0.01012",
            "BillingCurrency=USD", "BillingPeriodStart=2026-11-01T00:00:00Z",
            "ChargePeriodStart=2026-11-22T10:00:00Z", "ChargePeriodEnd=2026-11-22T11:00:00Z",
            "ConsumedQuantity=1050", "ConsumedUnit=Tokens", "ProviderName=openai",
            "ResourceId=acme/ml/prod", "ResourceName=prod", "SubAccountId=acme/ml",
            "SkuId=openai/gpt-4.1", "SkuPriceId=openai/gpt-4.1#batch", "x_CachedInputTokens=200",
            "x_ListCostUsd=0.0092", "x_Requests=4",
            "ChargeDescription=openai/gpt-4.1, batch tier: 4 requests, 1050 tokens",
        ] { #expect(text.contains(wanted), "\(wanted) of \(text)") }
    }
    @Test func `bills another currency as such, priced in dollars`() {
        let row = table.rows.first { $0[1] == .text("zeta") }!
        func value(_ name: String) -> String { row[table.index(of: name)!].plain }
        #expect(value("BillingCurrency") == "CNY" && value("BilledCost") == "7")
        #expect(value("PricingCurrency") == "USD")
        // With which markup no row says: an amount would be a guess.
        #expect(value("PricingCurrencyEffectiveCost") == "" && value("x_ListCostUsd") == "1")
    }
}

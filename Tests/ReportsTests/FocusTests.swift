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
    ("PricingCurrencyEffectiveCost", .decimal, false, false),
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
        func yuan(
            _ counts: inout RollupCounts, billed: Int64, list: Int64, _ listUSD: Int64,
            _ billedUSD: Int64
        ) {
            let currency = Currency(Bytes("CNY"))!
            counts.add(billed, under: RollupTag(currency))
            counts.add(list, under: RollupTag(currency, .list))
            counts.add(listUSD, under: RollupTag(currency, .listUSD))
            counts.add(billedUSD, under: RollupTag(currency, .billedUSD))
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
            yuan(&$0, billed: 8_750_000_000, list: 7_000_000_000, 1_000_000_000, 1_250_000_000)
        }
        // Its terms changed within the hour: first dollars with a fifth more, then yuan at list prices.
        add([hour, "moved/web/k", "google/gemini", "standard"]) {
            $0[.placed] = 2
            $0[.input] = 30
            $0[.usd] = 3_000_000_000
            $0[.billedUSD] = 1_200_000_000
            yuan(&$0, billed: 14_000_000_000, list: 14_000_000_000, 2_000_000_000, 2_000_000_000)
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
        #expect(table.rows.count == 4, "what was only refused is no charge")
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
    @Test(arguments: [
        (
            org: "acme", currency: "USD", billed: "0.01012", list: "0.0092", pricing: "0.01012",
            listUSD: "0.0092", tokens: "1050"
        ), ("zeta", "CNY", "8.75", "7", "1.25", "1", "10"),
        ("moved", "USD", "1.2", "1", "1.2", "1", "30"),
        ("moved", "CNY", "14", "14", "2", "2", "0"),
    ])
    func `has costs in the currency they are billed in, and what they are in dollars`(
        org: String, currency: String, billed: String, list: String, pricing: String,
        listUSD: String, tokens: String
    ) throws {
        func value(_ row: [ReportCell], _ name: String) -> String {
            row[table.index(of: name)!].plain
        }
        let row = try #require(
            table.rows.first {
                value($0, "BillingAccountId") == org && value($0, "BillingCurrency") == currency
            })
        for name in ["BilledCost", "ContractedCost", "EffectiveCost"] {
            #expect(value(row, name) == billed, "\(name)")
        }
        #expect(value(row, "ListCost") == list)
        #expect(value(row, "PricingCurrency") == "USD")
        #expect(value(row, "PricingCurrencyEffectiveCost") == pricing)
        #expect(value(row, "x_ListCostUsd") == listUSD)
        #expect(value(row, "ConsumedQuantity") == tokens)
    }
}

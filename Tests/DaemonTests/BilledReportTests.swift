import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

/// What an org was billed, by a report, by FOCUS and by an export of the log.
@Suite struct `what an org was billed` {
    private let daemon: RunningDaemon

    /// An org whose terms change: list prices in dollars, then yuan with a markup, then euros without.
    init() throws {
        daemon = try RunningDaemon()
        try daemon.ok("org", "create", "zeta")
        try daemon.ok("team", "create", "zeta/web")
        try daemon.ok("key", "create", "zeta/web/k")
        try daemon.ok("price", "set", "google/gemini", "--in", "1", "--out", "1")
        func charge(_ tokens: Int, _ id: String) throws -> String {
            try daemon.ok(
                "call", "CHARGE zeta/web/k google/gemini in=\(tokens) out=0 id=\(id) ack=disk")
            let run = try daemon.ok("events", "--type", "charge.recorded", "--last", "1", "--json")
            let event = try JSON(reply: run.output)
            return "\(event["epoch"]?.integer ?? 0)-\(event["seq"]?.integer ?? 0)"
        }
        func terms(_ currency: String, _ rate: String, _ markup: Int) throws {
            try daemon.ok(
                "call",
                #"APPEND billing.set '{"account":"zeta","currency":"\#(currency)","rate":"\#(rate)","markup_ppm":\#(markup)}'"#
            )
        }
        func correct(_ charge: String, _ usd: String) throws {
            try daemon.ok(
                "call",
                #"APPEND charge.corrected '{"account":"zeta/web/k","charge":"\#(charge)","usd":"\#(usd)","id":"c-\#(charge)-\#(usd)"}'"#
            )
        }
        let plain = try charge(1_000_000, "a")
        let open = try daemon.ok(
            "call", "RESERVE zeta/web/k google/gemini in=1000 out=0 id=open"
        ).output
        try terms("CNY", "7", 100_000)
        let yuan = try charge(2_000_000, "b")
        // Settled by other terms than those at its placing, and then put right.
        let hold = try #require(
            open.split(separator: " ").first { $0.wholeMatch(of: /[0-9]+-[0-9]+/) != nil })
        try daemon.ok("call", "SETTLE \(hold) in=500000 out=0")
        try terms("EUR", "0.9", 0)
        _ = try charge(4_000_000, "c")
        try correct(plain, "0.75")
        try correct(yuan, "1.5")
        try correct(yuan, "1.25")
        try correct(String(hold), "0.25")
    }
    private static let wanted: [String: (billed: String, list: String, dollars: String)] = [
        "CNY": ("11.55", "10.5", "1.65"), "EUR": ("3.6", "3.6", "4"),
        "USD": ("0.75", "0.75", "0.75"),
    ]

    @Test func `is the same by a report, by FOCUS and by the sum over an export`() throws {
        let report = try JSON(
            reply: try daemon.ok("report", "spend", "--by", "org", "--format", "json").output)
        let focus = try table(try daemon.ok("report", "spend", "--format", "focus").output)
        for (currency, wanted) in Self.wanted {
            #expect(
                report["total"]?["billed_\(currency.lowercased())"] == .string(wanted.billed),
                "\(currency)")
            let row = try #require(focus.first { $0["BillingCurrency"] == currency })
            #expect(row["BilledCost"] == wanted.billed && row["ListCost"] == wanted.list)
            #expect(row["EffectiveCost"] == wanted.billed, "\(currency)")
            #expect(row["PricingCurrencyEffectiveCost"] == wanted.dollars, "\(currency)")
        }
        // Whatever part of the log an export begins with, its rows say what each replaced.
        let last = try #require(report["as_of"]?.integer)
        let whole = try export(["--from", "1"])
        let sums = Self.wanted.mapValues { Decimal(string: $0.billed)! }
        #expect(try billed(whole) == sums)
        for first in 2...last {
            #expect(
                try export(["--from", "\(first)"]) == Array(whole.suffix(Int(last - first) + 1)))
        }
        // And whatever is left out.
        for words in [
            ["--team", "zeta/web"],
            ["--type", "charge.recorded", "--type", "hold.settled", "--type", "charge.corrected"],
        ] {
            let part = try export(["--from", "1"] + words)
            #expect(part.count < whole.count)
            #expect(try billed(part) == sums)
        }
    }
    private func export(_ words: [String]) throws -> [[String: String]] {
        let run = try Program.run(
            ["audit", "export"] + words, ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(words): \(run.errors)")
        return try table(run.output)
    }
    /// By `schemas/export.md`.
    private func billed(_ rows: [[String: String]]) throws -> [String: Decimal] {
        var sums: [String: Decimal] = [:]
        for row in rows {
            for (amount, currency, usd, sign) in [
                ("billed", "currency", "cost_usd", Decimal(1)),
                ("replaced_billed", "replaced_currency", "replaced_usd", -1),
            ] {
                let isBilled = row[amount]?.isEmpty == false
                let text = (isBilled ? row[amount] : row[usd]) ?? ""
                guard !text.isEmpty else { continue }
                let value = try #require(Decimal(string: text))
                sums[isBilled ? row[currency] ?? "" : "USD", default: 0] += sign * value
            }
        }
        return sums.filter { $0.value != 0 }
    }
    /// Rows of CSV in which no cell that is looked at has a comma.
    private func table(_ csv: String) throws -> [[String: String]] {
        let lines = csv.split(separator: "\r\n")
        let names = try #require(lines.first).split(separator: ",").map(String.init)
        return lines.dropFirst().map { line in
            var cells: [String] = [""]
            var isQuoted = false
            for c in line {
                if c == "\"" { isQuoted.toggle() }
                if c == ",", !isQuoted {
                    cells.append("")
                } else {
                    cells[cells.count - 1].append(c)
                }
            }
            return Dictionary(uniqueKeysWithValues: zip(names, cells))
        }
    }
}

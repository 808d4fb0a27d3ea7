import Events
import Ledger

/// What `audit whatif` tells: a table for people, or JSON.
struct WhatIfText {
    private let report: WhatIfReport
    private let policy: String
    private let rules: [String]
    private let seqs: ClosedRange<UInt64>
    private let times: ClosedRange<Instant>
    private let refused: [Row]
    private let admitted: [Row]
    private let spends: [(account: String, spend: WhatIfReport.Spend)]

    private struct Row {
        var account: String
        var reason: String
        /// Whose limit or list it was.
        var scope: String?
        var limit: String?
        var tally: WhatIfReport.Tally
        var by: String { [scope, limit].compactMap { $0 }.joined(separator: " ") }
    }

    init(
        _ report: WhatIfReport, policy: String, rules: [String], seqs: ClosedRange<UInt64>,
        times: ClosedRange<Instant>, _ book: borrowing Book
    ) {
        self.report = report
        self.policy = policy
        self.rules = rules
        self.seqs = seqs
        self.times = times
        refused = WhatIfText.rows(report.refused, book)
        admitted = WhatIfText.rows(report.admitted, book)
        var spends: [(String, WhatIfReport.Spend)] = []
        for spend in report.spends {
            spends.append((book.path(of: spend.account)?.string ?? "", spend))
        }
        self.spends = spends.sorted { $0.0 < $1.0 }
    }
    /// By account, then reason.
    private static func rows(
        _ causes: [WhatIfReport.Cause: WhatIfReport.Tally], _ book: borrowing Book
    ) -> [Row] {
        var rows: [Row] = []
        for (cause, tally) in causes {
            rows.append(
                Row(
                    account: book.path(of: cause.key)?.string ?? "",
                    reason: cause.reason.map { "\($0.name)" } ?? "too_large",
                    scope: book.path(of: cause.scope)?.string,
                    limit: cause.limit.map { "\($0.name)" }, tally: tally))
        }
        return rows.sorted { ($0.account, $0.reason, $0.by) < ($1.account, $1.reason, $1.by) }
    }

    /// What the other rules cost more; less than nothing where they save.
    private var difference: Int64 { report.other - report.past }
    private static func dollars(_ usd: Int64) -> String { Nanodollars(usd).description }

    // MARK: For people

    private static let shownMax = 40

    func print() {
        facts.print()
        show(
            "refused here, admitted then", refused, usd: "COST THEN",
            "what they cost then is saved")
        show(
            "admitted here, refused then", admitted, usd: "ESTIMATE",
            "for all that they asked, which is the most it can have been")
        guard !spends.isEmpty else { return }
        Console.print("")
        var table = Table([
            .text("ACCOUNT"), .number("SPENT THEN"), .number("HERE"), .number("ESTIMATED"),
            .number("DIFFERENCE"),
        ])
        for (account, spend) in spends.prefix(WhatIfText.shownMax) {
            table.add([
                account, WhatIfText.dollars(spend.past), WhatIfText.dollars(spend.other),
                WhatIfText.dollars(spend.estimated),
                WhatIfText.dollars(spend.other - spend.past),
            ])
        }
        table.print()
        more(spends.count)
    }
    private func show(_ title: String, _ rows: [Row], usd: String, _ meaning: String) {
        guard !rows.isEmpty else { return }
        Console.print("")
        Console.print(Style.output.paint(title, .bold) + ": " + meaning)
        var table = Table([
            .text("KEY"), .text("REASON"), .text("BY"), .number("REQUESTS"), .number(usd),
        ])
        for row in rows.prefix(WhatIfText.shownMax) {
            table.add([
                row.account, row.reason, row.by, LoadReport.grouped(Int(row.tally.requests)),
                WhatIfText.dollars(row.tally.usd),
            ])
        }
        table.print()
        more(rows.count)
    }
    private func more(_ count: Int) {
        guard count > WhatIfText.shownMax else { return }
        Console.print("… and \(LoadReport.grouped(count - WhatIfText.shownMax)) more (--json)")
    }

    private var facts: Facts {
        func grouped(_ count: UInt64) -> String { LoadReport.grouped(Int(clamping: count)) }
        var facts = Facts()
        facts.add(
            "period",
            "events \(grouped(seqs.lowerBound)) to \(grouped(seqs.upperBound)), "
                + "\(times.lowerBound) to \(times.upperBound)")
        facts.add(
            "policy",
            rules.isEmpty
                ? "\(policy) says what stood then" : "\(policy): \(rules.count) changes")
        for rule in rules.prefix(10) { facts.add("", rule) }
        if rules.count > 10 { facts.add("", "… and \(rules.count - 10) more (--json)") }
        facts.add(
            "requests",
            "\(grouped(report.requests)), of which \(grouped(report.refusedThen)) were refused then"
        )
        facts.add("refused here", "\(grouped(report.refusedCount)) that were admitted then")
        facts.add("admitted here", "\(grouped(report.admittedCount)) that were refused then")
        if report.growthRefused + report.growthAdmitted > 0 {
            facts.add(
                "growth",
                "\(grouped(report.growthRefused)) refused here and \(grouped(report.growthAdmitted)) "
                    + "admitted here, unlike then")
        }
        facts.add("spent then", WhatIfText.dollars(report.past))
        facts.add(
            "spent here",
            WhatIfText.dollars(report.other)
                + (report.estimated == 0
                    ? "" : ", of which \(WhatIfText.dollars(report.estimated)) is an estimate"))
        facts.add(
            difference > 0 ? "costs more" : "saves",
            WhatIfText.dollars(difference > 0 ? difference : -difference))
        for caveat in caveats where caveat.count > 0 {
            facts.add("note", "\(grouped(caveat.count)) \(caveat.text)")
        }
        if report.isSame { facts.add("difference", "none") }
        return facts
    }

    // MARK: For programs

    var json: JSON {
        func number(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }
        func money(_ usd: Int64) -> JSON { .string(WhatIfText.dollars(usd)) }
        func rows(_ rows: [Row], _ usd: String) -> JSON {
            .array(
                rows.map { row in
                    .object([
                        JSON.Member("account", .string(row.account)),
                        JSON.Member("reason", .string(row.reason)),
                        JSON.Member("scope", row.scope.map { .string($0) } ?? .null),
                        JSON.Member("limit", row.limit.map { .string($0) } ?? .null),
                        JSON.Member("requests", number(row.tally.requests)),
                        JSON.Member(usd, money(row.tally.usd)),
                    ])
                })
        }
        return .object([
            JSON.Member("from_seq", number(seqs.lowerBound)),
            JSON.Member("to_seq", number(seqs.upperBound)),
            JSON.Member("from", .string("\(times.lowerBound)")),
            JSON.Member("to", .string("\(times.upperBound)")),
            JSON.Member("changes", .strings(rules)),
            JSON.Member("same", .bool(report.isSame)),
            JSON.Member("requests", number(report.requests)),
            JSON.Member("refused_then", number(report.refusedThen)),
            JSON.Member("refused", rows(refused, "usd_then")),
            JSON.Member("admitted", rows(admitted, "usd_estimated")),
            JSON.Member("growth_refused", number(report.growthRefused)),
            JSON.Member("growth_admitted", number(report.growthAdmitted)),
            JSON.Member("usd_then", money(report.past)),
            JSON.Member("usd_here", money(report.other)),
            JSON.Member("usd_estimated", money(report.estimated)),
            JSON.Member("usd_difference", money(difference)),
            JSON.Member(
                "accounts",
                .array(
                    spends.map { account, spend in
                        .object([
                            JSON.Member("account", .string(account)),
                            JSON.Member("usd_then", money(spend.past)),
                            JSON.Member("usd_here", money(spend.other)),
                            JSON.Member("usd_estimated", money(spend.estimated)),
                            JSON.Member("usd_difference", money(spend.other - spend.past)),
                        ])
                    })),
            JSON.Member(
                "not_known",
                .object(caveats.map { JSON.Member($0.name, number($0.count)) })),
        ])
    }

    /// What the numbers do not contain; the README says the same in general.
    private var caveats: [(name: String, count: UInt64, text: String)] {
        [
            ("only_counted", report.summed, "refusals were only counted then, and are not asked"),
            (
                "not_asked", report.notAsked,
                "refusals that no policy changes: an unknown key, a secret that was rotated away, a "
                    + "hold that is gone"
            ),
            ("routed", report.routed, "requests ask for the model that rules had chosen then"),
            ("retries", report.retries, "were retries of a request that is admitted at once here"),
            (
                "untimed", report.untimed,
                "estimates took their slot for \(Bounds.holdSecondsDefault) s, as no request had ended yet"
            ),
            (
                "left_out", report.leftOut,
                "changes of the period are left out: the policy decides the same"
            ),
            ("unmatched", report.unmatched, "ends or corrections find nothing here any more"),
            (
                "open_then", UInt64(report.openThen),
                "requests had not ended with the period, and cost nothing yet"
            ),
            ("open_here", UInt64(report.openHere), "of them are open here"),
        ]
    }
}

import Events

/// Keys and what each was used for; or those that nobody used.
package struct KeyReport: Sendable {
    /// What is known of a key beside its sums; of a copy of a directory only the name.
    package struct Facts: Sendable {
        package var account: String
        package var state: String?
        package var created: Instant?
        package var lastUsed: Instant?

        package init(
            account: String, state: String? = nil, created: Instant? = nil,
            lastUsed: Instant? = nil
        ) {
            self.account = account
            self.state = state
            self.created = created
            self.lastUsed = lastUsed
        }
        /// A key that ended for good is nobody's to tidy up.
        fileprivate var hasEnded: Bool { state == "revoked" || state == "expired" }
    }
    package private(set) var table: ReportTable

    /// - Parameters:
    ///   - groups: by key.
    ///   - end: when the time is over.
    ///   - unused: only keys that were there in it and that nobody used, was refused with, or ended.
    package init(_ keys: [Facts], _ groups: RollupGroups, to end: Instant, unused: Bool) {
        table = ReportTable([
            ReportTable.Column("key"), ReportTable.Column("state"), .number("requests"),
            .number("refused"), .number("usd"), .number("share_percent"),
            ReportTable.Column("created"),
            ReportTable.Column("last_used"),
        ])
        let whole = groups.sum[.usd]
        var rows = keys.map { ($0, groups.rows[[$0.account]] ?? RollupCounts()) }
        if unused {
            rows = rows.filter { facts, counts in
                !facts.hasEnded && (facts.created.map { $0 < end } ?? true) && counts.requests == 0
                    && counts[.refused] == 0
            }
        }
        rows.sort { a, b in
            a.1[.usd] != b.1[.usd]
                ? a.1[.usd] > b.1[.usd] : a.0.account < b.0.account
        }
        var sum = RollupCounts()
        for (facts, counts) in rows {
            sum.add(counts)
            table.add(
                [.text(facts.account), .label(facts.state)]
                    + KeyReport.numbers(counts, whole)
                    + [facts.created, facts.lastUsed].map { $0.map { .instant($0) } ?? .none })
        }
        // Refused requests with keys that nobody knows are in the total, as in every other report.
        if !unused, let nobody = groups.rows[[nil]], !nobody.isZero {
            sum.add(nobody)
            table.add([.none, .none] + KeyReport.numbers(nobody, whole) + [.none, .none])
        }
        table.setTotal([.none, .none] + KeyReport.numbers(sum, whole) + [.none, .none])
    }
    private static func numbers(_ counts: RollupCounts, _ whole: Int64) -> [ReportCell] {
        [
            .count(counts.requests), .count(counts[.refused]), .money(counts[.usd]),
            .share(counts[.usd], of: whole),
        ]
    }
}

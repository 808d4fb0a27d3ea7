import Events

/// What was refused, for which reason, and what part of everything that was asked it is.
package struct RefusalReport: Sendable {
    package private(set) var table: ReportTable

    /// - Parameter before: the same groups of the period before, to compare with.
    package init(_ groups: RollupGroups, before: RollupGroups? = nil) {
        var columns = groups.by.map { ReportTable.Column("\($0.name)") }
        columns += [
            ReportTable.Column("reason"), .number("refusals"), .number("share_percent"),
            .number("of_asked_percent"), .number("asked", isShown: false),
        ]
        if before != nil { columns += [.number("refusals_before"), .number("change")] }
        table = ReportTable(columns)

        let all = groups.sum[.refused]
        func cells(_ refusals: Int64, of counts: RollupCounts, before earlier: Int64)
            -> [ReportCell]
        {
            let asked = counts.requests + counts[.refused]
            return [
                .count(refusals), .share(refusals, of: all), .share(refusals, of: asked),
                .count(asked),
            ] + (before == nil ? [] : [.count(earlier), .count(refusals - earlier)])
        }
        for row in RefusalReport.rows(groups, before) {
            let counts = groups.rows[row.labels] ?? RollupCounts()
            table.add(
                row.labels.map(ReportCell.label) + [.text("\(row.reason.name)")]
                    + cells(row.refusals, of: counts, before: row.before))
        }
        table.setTotal(
            groups.by.map { _ in .none } + [.none]
                + cells(all, of: groups.sum, before: before?.sum[.refused] ?? 0))
    }

    private struct Row {
        var labels: [String?]
        var reason: Refusal
        var refusals: Int64
        var before: Int64
    }
    /// Times in order, then what was refused most often.
    private static func rows(_ groups: RollupGroups, _ before: RollupGroups?) -> [Row] {
        var rows: [Row] = []
        let gone = before?.ordered.filter { groups.rows[$0.labels] == nil } ?? []
        for (labels, counts) in groups.ordered + gone {
            let now = groups.rows[labels] ?? RollupCounts()
            let earlier = before?.rows[labels] ?? RollupCounts()
            let tags = Set(counts.tagged.map(\.tag)).union(earlier.tagged.map(\.tag))
            for reason in tags.compactMap(\.refusal) {
                let tag = RollupTag(reason)
                guard now[tag] != 0 || earlier[tag] != 0 else { continue }
                rows.append(
                    Row(
                        labels: labels, reason: reason, refusals: now[tag], before: earlier[tag]))
            }
        }
        let times = groups.by.indices.filter { groups.by[$0] == .hour || groups.by[$0] == .day }
        return rows.sorted { a, b in
            for i in times where a.labels[i] != b.labels[i] {
                return (a.labels[i] ?? "") < (b.labels[i] ?? "")
            }
            if a.refusals != b.refusals { return a.refusals > b.refusals }
            for i in groups.by.indices where a.labels[i] != b.labels[i] {
                return (a.labels[i] ?? "") < (b.labels[i] ?? "")
            }
            return a.reason.rawValue < b.reason.rawValue
        }
    }
}

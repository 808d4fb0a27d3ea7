import Events

/// How long upstream calls took that said so: percentiles right to within an eighth, and the mean.
package struct LatencyReport: Sendable {
    package private(set) var table: ReportTable
    private static let percentiles: [(name: String, perMille: UInt64)] = [
        ("p50_ms", 500), ("p90_ms", 900), ("p99_ms", 990),
    ]

    /// - Parameter before: the same groups of the period before, to compare with.
    package init(_ groups: RollupGroups, before: RollupGroups? = nil) {
        var columns = groups.by.map { ReportTable.Column("\($0.name)") }
        columns.append(.number("calls"))
        columns += LatencyReport.percentiles.map { .number($0.name) }
        columns.append(.number("mean_ms"))
        if before != nil {
            columns += [.number("calls_before"), .number("p99_before"), .number("change_percent")]
        }
        table = ReportTable(columns)

        func cells(_ counts: RollupCounts, before earlier: RollupCounts?) -> [ReportCell] {
            var cells: [ReportCell] = [.count(counts[.timed])]
            let histogram = counts.latency
            cells += LatencyReport.percentiles.map {
                LatencyReport.cell(histogram.percentile(perMille: $0.perMille))
            }
            cells.append(
                counts[.timed] > 0 ? .count(counts[.milliseconds] / counts[.timed]) : .none)
            if before != nil {
                let now = histogram.percentile(perMille: 990)
                let then = earlier?.latency.percentile(perMille: 990)
                cells += [.count(earlier?[.timed] ?? 0), LatencyReport.cell(then)]
                cells.append(
                    now != nil && then != nil
                        ? .share(Int64(now!) - Int64(then!), of: Int64(then!)) : .none)
            }
            return cells
        }
        for (labels, counts) in groups.ordered where counts[.timed] != 0 {
            table.add(
                labels.map(ReportCell.label) + cells(counts, before: before?.rows[labels]))
        }
        table.setTotal(
            groups.by.map { _ in .none } + cells(groups.sum, before: before?.sum))
    }
    private static func cell(_ milliseconds: UInt32?) -> ReportCell {
        milliseconds.map { .count(Int64($0)) } ?? .none
    }
}

import Events

/// What was spent: a row for each group, its part of the whole, and what it was for.
package struct SpendReport: Sendable {
    package private(set) var table: ReportTable
    private let currencies: [Currency]

    /// - Parameter before: the same groups of the period before, to compare with.
    package init(_ groups: RollupGroups, before: RollupGroups? = nil) {
        currencies = SpendReport.currencies(groups)
        var columns = groups.by.map { ReportTable.Column("\($0.name)") }
        columns += [.number("requests"), .number("refused")]
        columns += SpendReport.hidden.map { .number("\($0.name)", isShown: false) }
        columns += [.number("in"), .number("out"), .number("usd"), .number("share_percent")]
        columns += currencies.map { .number("billed_\($0.name.lowercased())") }
        if before != nil {
            columns += [.number("usd_before"), .number("change"), .number("change_percent")]
        }
        table = ReportTable(columns)
        add(groups, before)
    }

    /// What people look up rarely and programs always get.
    private static let hidden: [RollupField] = [
        .settled, .released, .lapsed, .late, .corrected, .cached, .cacheWrite, .reasoning,
        .lapsedTokens, .exact, .partial, .estimated, .partialUSD, .estimatedUSD, .lapsedUSD,
        .saved,
    ]
    /// In which anything was billed, if not all of it is what it costs in US dollars.
    private static func currencies(_ groups: RollupGroups) -> [Currency] {
        let sum = groups.sum
        let foreign = sum.tagged.filter { $0.value != 0 }.compactMap(\.tag.currency)
        let isPlain = foreign.isEmpty && sum[.billedUSD] == sum[.usd]
        guard !isPlain else { return [] }
        return (sum[.billedUSD] != 0 || foreign.isEmpty ? [.usd] : []) + foreign
    }

    private mutating func add(_ groups: RollupGroups, _ before: RollupGroups?) {
        let whole = groups.sum
        let past = before?.rows ?? [:]
        func row(
            _ labels: [ReportCell], _ counts: RollupCounts, _ earlier: RollupCounts
        ) -> [ReportCell] {
            var cells = labels
            cells += [.count(counts.requests), .count(counts[.refused])]
            cells += SpendReport.hidden.map {
                $0.isMoney ? .money(counts[$0]) : .count(counts[$0])
            }
            cells += [.count(counts[.input]), .count(counts[.output]), .money(counts[.usd])]
            cells.append(.share(counts[.usd], of: whole[.usd]))
            cells += currencies.map { currency in
                .money(currency == .usd ? counts[.billedUSD] : counts[RollupTag(currency)])
            }
            if before != nil {
                let change = counts[.usd] - earlier[.usd]
                cells += [.money(earlier[.usd]), .money(change)]
                cells.append(.share(change, of: earlier[.usd]))
            }
            return cells
        }
        for (labels, counts) in groups.ordered {
            table.add(
                row(labels.map(ReportCell.label), counts, past[labels] ?? RollupCounts()))
        }
        // What there was and is no more belongs into a comparison, too.
        for (labels, earlier) in before?.ordered ?? [] where groups.rows[labels] == nil {
            table.add(row(labels.map(ReportCell.label), RollupCounts(), earlier))
        }
        table.setTotal(
            row(groups.by.map { _ in .none }, whole, before?.sum ?? RollupCounts()))
    }
}

extension ReportCell {
    /// Of a request that said nothing of it there is none.
    static func label(_ label: String?) -> ReportCell { label.map { .text($0) } ?? .none }
}

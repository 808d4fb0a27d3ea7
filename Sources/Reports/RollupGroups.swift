import Events

/// Sums by labels, gathered over the pages of an answer.
package struct RollupGroups: Sendable {
    package typealias Dimension = RollupQuery.Dimension

    /// What the rows' labels are of, in order.
    package let by: [Dimension]
    package private(set) var rows: [[String?]: RollupCounts] = [:]
    /// What the pages say that their rows come to.
    package private(set) var total = RollupCounts()
    /// The last events of the first and the last page: the same, unless the log went on in between.
    package private(set) var asOf: ClosedRange<UInt64> = 0...0
    /// With a tag: what its dates are for which org.
    package private(set) var spans: [RollupAnswer.Span] = []
    private var isEmpty = true

    package init(by: [Dimension]) { self.by = by }

    /// What must be asked to know these: where there are hours, days are made of them here.
    package static func asked(for by: [Dimension]) -> [Dimension] {
        by.contains(.hour) ? by.filter { $0 != .day } : by
    }

    /// Adds a page of an answer to `asked`.
    /// - Parameter day: the date of a time, `2026-11-22`.
    package mutating func add(
        _ page: RollupAnswer, asked: [Dimension], day: (Instant) -> String
    ) {
        let tag = by.firstIndex { $0.tag != nil }
        for group in page.groups {
            let labels = by.map { dimension -> String? in
                let from = asked.firstIndex(of: dimension) ?? asked.firstIndex(of: .hour)!
                guard dimension == .day, let label = group.labels[from],
                    let start = label.withBytes({ Instant(parsing: $0) })
                else { return group.labels[from] }
                // A day of a tag is the org's own, wherever one looks from.
                return group.date ?? day(start)
            }
            rows[labels, default: RollupCounts()].add(group.counts)
            // What said nothing, and of which later pages have taken off everything.
            if let tag, labels[tag] == nil, rows[labels]?.isZero == true { rows[labels] = nil }
        }
        total.add(page.total)
        for span in page.spans {
            if let i = spans.firstIndex(where: { $0.org == span.org }) {
                spans[i].isExact = spans[i].isExact && span.isExact
            } else {
                spans.append(span)
            }
        }
        asOf = isEmpty ? page.asOf...page.asOf : asOf.lowerBound...max(asOf.upperBound, page.asOf)
        isEmpty = false
    }

    /// Adds the rows of a page by hour and org, and what else, that begin in their org's own part of the time,
    /// without their hours.
    package mutating func add(_ page: RollupAnswer, within spans: [RollupAnswer.Span]) {
        let parts = Dictionary(
            spans.map { ($0.org ?? "", $0.from..<max($0.from, $0.to)) },
            uniquingKeysWith: { first, _ in first })
        var taken = page
        taken.total = RollupCounts()
        taken.groups = page.groups.compactMap { group in
            guard let hour = group.labels[0].flatMap({ $0.withBytes { Instant(parsing: $0) } }),
                parts[group.labels[1] ?? ""]?.contains(hour) == true
            else { return nil }
            taken.total.add(group.counts)
            return RollupAnswer.Group(
                labels: Array(group.labels.dropFirst()), counts: group.counts)
        }
        add(taken, asked: by, day: { _ in "" })
    }
    /// The same by some of the labels only.
    package func summed(by fewer: [Dimension]) -> RollupGroups {
        var groups = RollupGroups(by: fewer)
        let places = fewer.compactMap { by.firstIndex(of: $0) }
        for (labels, counts) in rows {
            groups.rows[places.map { labels[$0] }, default: RollupCounts()].add(counts)
        }
        (groups.total, groups.asOf, groups.isEmpty) = (total, asOf, isEmpty)
        return groups
    }

    /// The rows' own sum.
    package var sum: RollupCounts {
        rows.values.reduce(into: RollupCounts()) { $0.add($1) }
    }
    /// Times in order, then the most expensive first, then by the labels.
    package var ordered: [(labels: [String?], counts: RollupCounts)] {
        let times = by.indices.filter { by[$0] == .hour || by[$0] == .day }
        return rows.map { (labels: $0.key, counts: $0.value) }.sorted { a, b in
            for i in times where a.labels[i] != b.labels[i] {
                return (a.labels[i] ?? "") < (b.labels[i] ?? "")
            }
            if a.counts[.usd] != b.counts[.usd] { return a.counts[.usd] > b.counts[.usd] }
            for i in by.indices where a.labels[i] != b.labels[i] {
                return (a.labels[i] ?? "") < (b.labels[i] ?? "")
            }
            return false
        }
    }
    /// Where the rows are not what their pages say that they come to; nil where all is well.
    package var disagreement: String? {
        let found = sum.differences(from: total)
        guard found.isEmpty else {
            return "the rows and their total: \(found.joined(separator: "; "))"
        }
        // What said nothing is what tags leave over. Money apart, which a correction may have made so.
        guard let place = by.firstIndex(where: { $0.tag != nil }) else { return nil }
        for (labels, counts) in ordered where labels[place] == nil {
            for field in RollupField.allCases where !field.isMoney && counts[field] < 0 {
                return
                    "by \(by[place].name) there are more \(field.name) than in the hours of the same days"
            }
        }
        return nil
    }
    /// The same of another way to add up the same time: by org instead of by key.
    package func disagreement(with other: RollupGroups) -> String? {
        var found = sum.differences(from: other.sum)
        // Label by label, where both have the same ones.
        let shared = by.filter {
            other.by.contains($0) && $0.tag == nil && $0 != .day && $0 != .hour
        }
        if found.isEmpty, !shared.isEmpty {
            let (own, others) = (summed(by: shared).rows, other.summed(by: shared).rows)
            let all = Set(own.keys).union(others.keys).sorted {
                $0.lexicographicallyPrecedes($1) { ($0 ?? "") < ($1 ?? "") }
            }
            for labels in all {
                let (a, b) = (own[labels] ?? RollupCounts(), others[labels] ?? RollupCounts())
                found = a.differences(from: b).map {
                    "of \(labels.map { $0 ?? "none" }.joined(separator: ", ")) \($0)"
                }
                if !found.isEmpty { break }
            }
        }
        guard !found.isEmpty else { return nil }
        func name(_ by: [Dimension]) -> String {
            by.isEmpty ? "all" : by.map { "\($0.name)" }.joined(separator: ",")
        }
        return "the sums by \(name(by)) and by \(name(other.by)): \(found.joined(separator: "; "))"
    }
}

import Events

/// Sums of an export by key, team or org: one row each, however long the log.
package struct ExportTotals {
    package enum Level: String, CaseIterable, Sendable { case key, team, org }

    /// Money is summed in 128 bits, so that no sum of a log can overflow.
    package struct Sums: Sendable {
        package var requests: UInt64 = 0
        package var refused: UInt64 = 0
        package var settled: UInt64 = 0
        package var released: UInt64 = 0
        package var lapsed: UInt64 = 0
        package var input: Int64 = 0
        package var output: Int64 = 0
        package var cached: Int64 = 0
        package var cacheWrite: Int64 = 0
        package var reasoning: Int64 = 0
        package var cost: Int128 = 0
        package var first: (seq: UInt64, time: Int64)?
        package var last: (seq: UInt64, time: Int64)?
    }
    private var sums: [AccountNumber: Sums] = [:]

    package init() {}

    mutating func add(_ row: borrowing ExportRow) {
        var sums = self.sums[row.account] ?? Sums()
        switch row.type {
        case .holdPlaced, .chargeRecorded: sums.requests += 1
        case .holdRefused, .refusalsSummed: sums.refused += UInt64(row.sum(.count))
        case .holdSettled: sums.settled += 1
        case .holdReleased: sums.released += 1
        case .holdLapsed: sums.lapsed += 1
        case .chargeCorrected: break
        default: return  // No request, so no row.
        }
        sums.input += row.sum(.inputTokens)
        sums.output += row.sum(.outputTokens)
        sums.cached += row.sum(.cachedTokens)
        sums.cacheWrite += row.sum(.cacheWriteTokens)
        sums.reasoning += row.sum(.reasoningTokens)
        sums.cost += Int128(row.sum(.cost)) - Int128(row.sum(.replaced))
        let place = (seq: UInt64(bitPattern: row.number(.seq)), time: row.number(.timestamp))
        if sums.first == nil { sums.first = place }
        sums.last = place
        self.sums[row.account] = sums
    }

    /// The rows in the order of their names; of requests with a key that nobody knows one without a name.
    package func rows(
        by level: Level, paths: (AccountNumber) -> String
    ) -> [(name: String, sums: Sums)] {
        var grouped: [String: Sums] = [:]
        for (account, sums) in sums {
            let parts = paths(account).split(separator: "/")
            let depth = [Level.org: 1, .team: 2, .key: 3][level] ?? 3
            let name = parts.prefix(depth).joined(separator: "/")
            grouped[name] = grouped[name].map { $0.adding(sums) } ?? sums
        }
        return grouped.map { ($0.key, $0.value) }.sorted { $0.name < $1.name }
    }
}

extension ExportTotals.Sums {
    package func adding(_ other: ExportTotals.Sums) -> ExportTotals.Sums {
        var sum = self
        sum.requests += other.requests
        sum.refused += other.refused
        sum.settled += other.settled
        sum.released += other.released
        sum.lapsed += other.lapsed
        sum.input += other.input
        sum.output += other.output
        sum.cached += other.cached
        sum.cacheWrite += other.cacheWrite
        sum.reasoning += other.reasoning
        sum.cost += other.cost
        if let place = other.first, place.seq < (first?.seq ?? .max) { sum.first = place }
        if let place = other.last, place.seq > (last?.seq ?? 0) { sum.last = place }
        return sum
    }
}

extension ExportTotals {
    private static let names: [StaticString] = [
        "requests", "refused", "settled", "released", "lapsed", "input_tokens", "output_tokens",
        "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd", "first_seq",
        "first_time", "last_seq", "last_time",
    ]
    /// The sums as CSV or as JSON lines; answers how many rows.
    package func write(
        by level: Level, as format: ExportFormat, paths: (AccountNumber) -> String,
        into out: inout ByteBuffer
    ) -> Int {
        if format == .csv {
            out.append(level.rawValue)
            for name in ExportTotals.names {
                out.append(UInt8(ascii: ","))
                out.append(name)
            }
            out.append("\r\n" as StaticString)
        }
        let rows = rows(by: level, paths: paths)
        for row in rows {
            let sums = row.sums
            let values: [(text: String, isQuoted: Bool)] =
                [sums.requests, sums.refused, sums.settled, sums.released, sums.lapsed]
                .map { ("\($0)", false) }
                + [sums.input, sums.output, sums.cached, sums.cacheWrite, sums.reasoning]
                .map { ("\($0)", false) }
                + [
                    (ExportTotals.dollars(sums.cost), true), ("\(sums.first?.seq ?? 0)", false),
                    (ExportTotals.time(sums.first), true), ("\(sums.last?.seq ?? 0)", false),
                    (ExportTotals.time(sums.last), true),
                ]
            if format == .csv {
                row.name.withBytes { out.append(cell: $0) }
                for value in values {
                    out.append(UInt8(ascii: ","))
                    out.append(value.text)
                }
                out.append("\r\n" as StaticString)
            } else {
                out.append("{\"" as StaticString)
                out.append(level.rawValue)
                out.append("\":" as StaticString)
                out.append(quoted: row.name)
                for (name, value) in zip(ExportTotals.names, values) {
                    out.append(",\"" as StaticString)
                    out.append(name)
                    out.append(value.isQuoted ? "\":\"" as StaticString : "\":")
                    out.append(value.text)
                    if value.isQuoted { out.append(UInt8(ascii: "\"")) }
                }
                out.append("}\n" as StaticString)
            }
        }
        return rows.count
    }
    private static func time(_ place: (seq: UInt64, time: Int64)?) -> String {
        guard let place else { return "" }
        var text = ByteBuffer(capacity: 40)
        text.append(Instant(nanoseconds: place.time), full: true)
        return text.string
    }
    /// Exact dollars of a sum that may be larger than one amount can be.
    private static func dollars(_ nanodollars: Int128) -> String {
        let (whole, fraction) = nanodollars.magnitude.quotientAndRemainder(
            dividingBy: 1_000_000_000)
        var text = (nanodollars < 0 ? "-" : "") + "\(whole)"
        guard fraction > 0 else { return text }
        var digits = "\(fraction)"
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        text += "." + digits
        return text
    }
}

import Events
import Histogram

/// What a run saw, for a person and for a machine.
struct LoadReport {
    private let result: LoadResult

    init(_ result: LoadResult) { self.result = result }

    private static let percentiles: [(name: String, member: String, value: Double)] = [
        ("p50", "p50", 50), ("p99", "p99", 99), ("p99.9", "p99_9", 99.9),
    ]

    func print() {
        for line in lines() { Console.print(line) }
    }

    /// The summary for a person.
    func lines() -> [String] {
        var counts = Table([.text(""), .number(""), .text("")])
        counts.add([
            "requests", Self.grouped(result.sent),
            "in \(Self.seconds(result.nanoseconds)), "
                + "\(Self.grouped(result.decisionsPerSecond)) decisions/s",
        ])
        counts.add(["allowed", Self.grouped(result.allowed), share(result.allowed)])
        counts.add(["refused", Self.grouped(result.refusedTotal), share(result.refusedTotal)])
        for (i, reason) in Refusal.allCases.enumerated() where result.refused[i] > 0 {
            counts.add(["  \(reason.name)", Self.grouped(result.refused[i]), ""])
        }
        counts.add([
            "settled", Self.grouped(result.settled),
            "\(Self.grouped(result.inputTokens)) tokens in, "
                + "\(Self.grouped(result.outputTokens)) out",
        ])
        if result.released > 0 {
            counts.add(["released", Self.grouped(result.released), "interrupted"])
        }
        if result.leftOpen > 0 {
            counts.add(["left open", Self.grouped(result.leftOpen), "they lapse by themselves"])
        }
        counts.add(["errors", Self.grouped(result.errors), ""])
        // The table's heading is for columns with names; these have none.
        return Array(counts.lines().dropFirst())
            + result.errorTexts.map { "  \(Self.grouped($0.count)) × \(Table.inOneLine($0.text))" }
            + ["money spent  $\(result.spent)", ""] + latencyLines()
    }

    private func latencyLines() -> [String] {
        var table = Table(
            [.text("latency")] + Self.percentiles.map { .number($0.name) } + [.number("max")])
        for (name, histogram) in [("RESERVE", result.reserve), ("SETTLE", result.settle)] {
            table.add(
                [name]
                    + Self.percentiles.map { Self.latency(histogram, percentile: $0.value) }
                    + [histogram.totalCount > 0 ? Self.duration(histogram.maxRecorded) : "-"])
        }
        return table.lines()
    }

    private static func latency(_ histogram: Histogram<UInt64>, percentile: Double) -> String {
        guard histogram.totalCount > 0 else { return "-" }
        return duration(self.percentile(histogram, percentile))
    }

    private func share(_ count: Int) -> String {
        guard result.decisions > 0 else { return "" }
        return Self.percent(Double(count) / Double(result.decisions))
    }

    /// The same as JSON; times in nanoseconds, money as an exact decimal string.
    var json: JSON {
        var refused: [JSON.Member] = []
        for (i, reason) in Refusal.allCases.enumerated() where result.refused[i] > 0 {
            refused.append(JSON.Member("\(reason.name)", .integer(Int64(result.refused[i]))))
        }
        var members: [JSON.Member] = [
            JSON.Member("planned", .integer(Int64(result.planned))),
            JSON.Member("requests", .integer(Int64(result.sent))),
            JSON.Member("allowed", .integer(Int64(result.allowed))),
            JSON.Member("refused", .integer(Int64(result.refusedTotal))),
            JSON.Member("refused_by_reason", .object(refused)),
            JSON.Member("settled", .integer(Int64(result.settled))),
            JSON.Member("released", .integer(Int64(result.released))),
            JSON.Member("left_open", .integer(Int64(result.leftOpen))),
            JSON.Member("errors", .integer(Int64(result.errors))),
            JSON.Member("error_texts", .strings(result.errorTexts.map(\.text))),
            JSON.Member("nanoseconds", .integer(result.nanoseconds)),
            JSON.Member("decisions_per_second", .integer(Int64(result.decisionsPerSecond))),
            JSON.Member("reserve_ns", Self.json(result.reserve)),
            JSON.Member("settle_ns", Self.json(result.settle)),
            JSON.Member("tokens_in", .integer(result.inputTokens)),
            JSON.Member("tokens_out", .integer(result.outputTokens)),
            JSON.Member("usd", .money(result.spent)),
            JSON.Member("interrupted", .bool(result.wasInterrupted)),
        ]
        if let failure = result.failure {
            members.append(JSON.Member("failure", .string(failure.message)))
        }
        return .object(members)
    }

    private static func json(_ histogram: Histogram<UInt64>) -> JSON {
        guard histogram.totalCount > 0 else { return .null }
        return .object(
            percentiles.map {
                JSON.Member(
                    $0.member, .integer(Int64(percentile(histogram, $0.value))))
            } + [JSON.Member("max", .integer(Int64(histogram.maxRecorded)))])
    }

    /// The histogram knows a bucket's upper edge only, which may lie above the largest value.
    private static func percentile(_ histogram: Histogram<UInt64>, _ value: Double) -> UInt64 {
        min(histogram.valueAtPercentile(value), histogram.maxRecorded)
    }
}

// MARK: - Numbers as a person reads them

extension LoadReport {
    /// `8,819`
    static func grouped(_ value: some BinaryInteger) -> String {
        let digits = Array("\(value.magnitude)")
        var text = value < 0 ? "-" : ""
        for (i, digit) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }
    /// One decimal, and never 100 % or 0 % unless it is exactly that.
    static func percent(_ part: Double) -> String {
        let thousandths = (part * 1_000).rounded()
        let kept = part > 0 && part < 1 ? min(max(thousandths, 1), 999) : thousandths
        let (whole, tenth) = Int(kept).quotientAndRemainder(dividingBy: 10)
        return "\(whole).\(tenth) %"
    }
    /// A time span with three digits or so: `840 ns`, `17.4 µs`, `2.31 ms`, `5.70 s`.
    static func duration(_ nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<1_000: "\(nanoseconds) ns"
        case ..<1_000_000: "\(decimal(nanoseconds, unit: 1_000)) µs"
        case ..<1_000_000_000: "\(decimal(nanoseconds, unit: 1_000_000)) ms"
        default: "\(decimal(nanoseconds, unit: 1_000_000_000)) s"
        }
    }
    static func seconds(_ nanoseconds: Int64) -> String { duration(UInt64(max(nanoseconds, 0))) }

    private static func decimal(_ value: UInt64, unit: UInt64) -> String {
        let places: UInt64 = value < unit * 10 ? 100 : value < unit * 100 ? 10 : 1
        let scaled = (value * places + unit / 2) / unit
        let fraction = String(scaled % places)
        guard places > 1 else { return "\(scaled)" }
        let width = places == 100 ? 2 : 1
        return "\(scaled / places)."
            + String(repeating: "0", count: width - fraction.count) + fraction
    }
}

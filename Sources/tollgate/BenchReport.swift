import Events
import Foundation

/// What the rounds of one side saw.
struct Spread {
    let least: Double
    let median: Double
    let most: Double

    init(_ values: [Double]) {
        precondition(!values.isEmpty, "a round was run")
        let sorted = values.sorted()
        least = sorted[0]
        most = sorted[sorted.count - 1]
        let middle = sorted.count / 2
        median =
            sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// What DESIGN.md section 11 asks of a row.
enum BenchBudget {
    /// Ours over the peer's.
    case ratioAtMost(Double)
    case ratioAtLeast(Double)
    /// Ours alone, in the row's unit.
    case atMost(Double)
    case atLeast(Double)
}

/// One line of the table.
struct BenchRow {
    enum Measure: String {
        case nanoseconds
        case perSecond = "per_second"
        case bytes
        case bytesPerSecond = "bytes_per_second"
    }
    /// For machines; never renamed.
    var name: String
    var what: String
    var measure: Measure
    var ours: Spread
    var peer: (name: String, values: Spread)?
    var budget: BenchBudget?
    /// Why there is no peer, or what else to know.
    var note = ""

    var ratio: Double? { peer.map { ours.median / $0.values.median } }
    var isMet: Bool? {
        switch budget {
        case nil: nil
        case .ratioAtMost(let most): ratio.map { $0 <= most }
        case .ratioAtLeast(let least): ratio.map { $0 >= least }
        case .atMost(let most): ours.median <= most
        case .atLeast(let least): ours.median >= least
        }
    }
}

extension BenchRow {
    fileprivate var cells: [String] {
        [
            note.isEmpty ? what : "\(what) (\(note))",
            text(ours),
            peer.map { "\($0.name): \(text($0.values))" } ?? "–",
            ratio.map { Self.decimal($0, 2) } ?? "–",
            budgetText,
            isMet.map { $0 ? "yes" : "no" } ?? "–",
        ]
    }
    private var budgetText: String {
        switch budget {
        case nil: "–"
        case .ratioAtMost(let ratio): "≤ \(Self.decimal(ratio, 2)) ×"
        case .ratioAtLeast(let ratio): "≥ \(Self.decimal(ratio, 2)) ×"
        case .atMost(let value): "≤ \(text(value))"
        case .atLeast(let value): "≥ \(text(value))"
        }
    }
    private func text(_ spread: Spread) -> String {
        let median = text(spread.median)
        guard spread.least < spread.most else { return median }
        return "\(median) [\(text(spread.least)) – \(text(spread.most))]"
    }
    private func text(_ value: Double) -> String {
        switch measure {
        case .nanoseconds:
            value < 100
                ? "\(Self.decimal(value, 1)) ns" : LoadReport.duration(UInt64(value.rounded()))
        case .bytesPerSecond: "\(Self.decimal(value / 1e6, 0)) MB/s"
        case .bytes where value >= 1e6: "\(Self.decimal(value / 1e6, 1)) MB"
        case .bytes: "\(LoadReport.grouped(Int(value.rounded()))) B"
        case .perSecond where value >= 1e6: "\(Self.decimal(value / 1e6, 2)) M/s"
        case .perSecond where value >= 1e4: "\(Self.decimal(value / 1e3, 1)) k/s"
        case .perSecond: "\(Self.decimal(value, 0)) /s"
        }
    }
    static func decimal(_ value: Double, _ places: Int) -> String {
        String(format: "%.\(places)f", value)
    }

    fileprivate var json: JSON {
        func spread(_ values: Spread) -> [JSON.Member] {
            [
                JSON.Member("min", number(values.least)),
                JSON.Member("median", number(values.median)),
                JSON.Member("max", number(values.most)),
            ]
        }
        var members = [
            JSON.Member("name", .string(name)), JSON.Member("what", .string(what)),
            JSON.Member("measure", .string(measure.rawValue)),
            JSON.Member("ours", .object(spread(ours))),
        ]
        if let peer {
            members.append(
                JSON.Member(
                    "peer",
                    .object([JSON.Member("name", .string(peer.name))] + spread(peer.values))))
        }
        if let ratio { members.append(JSON.Member("ratio", .number(Self.decimal(ratio, 4)))) }
        if budget != nil { members.append(JSON.Member("budget", .string(budgetText))) }
        if let isMet { members.append(JSON.Member("met", .bool(isMet))) }
        if !note.isEmpty { members.append(JSON.Member("note", .string(note))) }
        return .object(members)
    }
    private func number(_ value: Double) -> JSON { .number(Self.decimal(value, 3)) }
}

/// The table at the end, as the README takes it.
struct BenchReport {
    var rows: [BenchRow] = []
    let isSmoke: Bool

    init(isSmoke: Bool) { self.isSmoke = isSmoke }

    /// Title, rows and what they were measured on.
    var markdown: String {
        let titles = ["what", "ours", "peer", "ratio", "budget", "met"]
        let lines = [titles] + rows.map(\.cells)
        let widths = titles.indices.map { i in lines.map { $0[i].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            let padded = zip(cells, widths).map {
                $0 + String(repeating: " ", count: $1 - $0.count)
            }
            return "| " + padded.joined(separator: " | ") + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) + "|" }.joined()
        return ([line(titles), rule] + lines.dropFirst().map(line) + ["", footer])
            .joined(separator: "\n")
    }
    private var footer: String {
        isSmoke
            ? "A smoke run: it shows that the bench works. The figures mean nothing."
            : "Median [least – most] of the rounds; \(BenchMachine.line)."
    }

    var json: JSON {
        .object([
            JSON.Member("machine", .string(BenchMachine.line)),
            JSON.Member("smoke", .bool(isSmoke)),
            JSON.Member("rows", .array(rows.map(\.json))),
        ])
    }
}

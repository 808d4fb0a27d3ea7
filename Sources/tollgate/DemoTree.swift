import Events

/// The three tiers with what they spent and hold, as a tree.
struct DemoTree {
    private let usages: [JSON]

    init(_ client: Client) throws(CommandFailure) {
        usages = try UsageTree.read(DemoLedger.org, client)
    }

    /// What the org has spent, exactly.
    var spent: Nanodollars { Self.money(usages[0], "usd.total", "used") }

    private static let barCells = 12

    func lines() -> [String] {
        var table = Table([
            .text(""), .number("spent today"), .number("of a day"), .number("of a month"),
            .number("held"), .number("last minute"), .text("share of the spend"),
        ])
        let paths = usages.map { $0["account"]?.string ?? "" }
        let whole = Self.money(usages[0], "usd.day", "used")
        for (i, usage) in usages.enumerated() {
            let today = Self.money(usage, "usd.day", "used")
            table.add([
                Self.label(i, paths), Self.dollars(today),
                Self.limit(usage, "usd.day"), Self.limit(usage, "usd.month"),
                Self.dollars(Self.money(usage, "usd.day", "held")), Self.minute(usage),
                Self.share(today, of: whole),
            ])
        }
        return table.lines()
    }

    private static func amount(_ usage: JSON, _ limit: String, _ member: String) -> JSON? {
        guard let value = usage["limits"]?[limit]?[member], !value.isNull else { return nil }
        return value
    }
    private static func money(_ usage: JSON, _ limit: String, _ member: String) -> Nanodollars {
        guard let text = amount(usage, limit, member)?.string,
            let money = try? text.withBytes({ try Nanodollars(parsing: $0) })
        else { return .zero }
        return money
    }
    private static func limit(_ usage: JSON, _ name: String) -> String {
        guard amount(usage, name, "limit") != nil else { return "-" }
        let money = money(usage, name, "limit")
        return money.raw % 1_000_000_000 == 0
            ? "$\(LoadReport.grouped(money.raw / 1_000_000_000))" : "$\(money)"
    }
    private static func minute(_ usage: JSON) -> String {
        guard let limit = amount(usage, "requests.minute", "limit")?.integer,
            let used = amount(usage, "requests.minute", "used")?.integer
        else { return "-" }
        return "\(LoadReport.grouped(used)) / \(LoadReport.grouped(limit))"
    }
    private static func share(_ part: Nanodollars, of whole: Nanodollars) -> String {
        guard whole.raw > 0 else { return LoadProgress.bar(0, of: barCells) }
        let share = Double(part.raw) / Double(whole.raw)
        // Whoever has spent at all shows at least one cell.
        let cells = max(Int((share * Double(barCells)).rounded()), part.raw > 0 ? 1 : 0)
        return "\(LoadProgress.bar(cells, of: barCells)) \(LoadReport.percent(share))"
    }

    /// Dollars and cents, or four decimals below one dollar.
    static func dollars(_ money: Nanodollars) -> String {
        let decimals: Int64 = money.raw == 0 || money.raw.magnitude >= 1_000_000_000 ? 2 : 4
        let unit: Int64 = decimals == 2 ? 10_000_000 : 100_000
        let rounded = (money.raw + unit / 2) / unit
        let (whole, fraction) = rounded.quotientAndRemainder(
            dividingBy: decimals == 2 ? 100 : 10_000)
        let digits = String(fraction)
        return "$\(LoadReport.grouped(whole))."
            + String(repeating: "0", count: Int(decimals) - digits.count) + digits
    }

    private static func label(_ i: Int, _ paths: [String]) -> String {
        let names = paths[i].split(separator: "/")
        guard names.count > 1 else { return paths[i] }
        let parent = names.dropLast().joined(separator: "/") + "/"
        let later = paths[(i + 1)...]
        let isLast = !later.contains {
            $0.hasPrefix(parent) && $0.split(separator: "/").count == names.count
        }
        let stem = names.count == 2 ? "" : hasLaterTeam(names, later) ? "│  " : "   "
        return stem + (isLast ? "└─ " : "├─ ") + names[names.count - 1]
    }
    private static func hasLaterTeam(_ names: [Substring], _ later: ArraySlice<String>) -> Bool {
        later.contains { $0.split(separator: "/").count == 2 }
    }
}

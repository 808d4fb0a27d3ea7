import ArgumentParser
import Events
import Reports

/// `tollgate usage`
struct Usage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what an account has used and has left.",
        discussion: """
            Examples:
              tollgate usage acme/ml
              tollgate usage acme --tree
              tollgate usage acme/ml --json

            Tables round money to four decimals; --json is exact.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Flag(help: "All teams and keys below it, too.") var tree = false
    @Argument(help: "The account: org, org/team or org/team/key.") var account: String

    func run() throws {
        let client = try connection.connect()
        if tree {
            let usages = try UsageTree.read(account, client)
            if format.json {
                JSON.array(usages).print()
            } else {
                UsageTree.print(usages)
            }
            return
        }
        let usage = try client.json(["USAGE", account])
        if format.json {
            usage.print()
            return
        }
        Self.print(usage)
    }

    private static func print(_ usage: JSON) {
        var facts = Facts()
        facts.add("account", usage["account"]?.plain)
        facts.add("at", usage["at"]?.plain)
        facts.add("open holds", usage["open_holds"]?.plain)
        facts.add("projected month end", usage["projected_month_end"].map { Money.rounded($0) })
        if let credit = usage["credit"] {
            facts.add("credit left", credit["left"].map { Money.rounded($0) })
        }
        if let billing = usage["billing"] { facts.add("billed", Bill.text(billing)) }
        facts.print()
        Console.print("")
        var table = Table([
            .text("LIMIT"), .number("AMOUNT"), .number("USED"), .number("HELD"), .number("LEFT"),
            .text("RESETS"),
        ])
        for limit in usage["limits"]?.members ?? [] {
            func amount(_ name: String) -> String {
                let value = limit.value[name] ?? .null
                return limit.name.hasPrefix("usd.") ? Money.rounded(value) : value.plain
            }
            table.add([
                limit.name, amount("limit"), amount("used"), amount("held"), amount("left"),
                limit.value.timeCell("resets_at"),
            ])
        }
        table.print()
        for limit in usage["limits"]?.members ?? [] where limit.value["override"] != nil {
            let base = limit.value["base"] ?? .null
            Console.print(
                "\(limit.name) is overridden until \(limit.value.timeCell("until")) "
                    + "(\(Table.inOneLine(limit.value.cell("reason")))); then it is "
                    + (base.isNull ? "not limited" : "again \(base.plain)"))
        }
    }
}

/// An account and everything below it, a line each.
enum UsageTree {
    /// USAGE of the account, its teams and its keys; parents before their children.
    static func read(_ account: String, _ client: Client) throws(CommandFailure) -> [JSON] {
        var paths = [account]
        let depth = account.split(separator: "/").count
        if depth < 2 { paths += try accounts("teams", account, client) }
        if depth < 3 { paths += try accounts("keys", account, client) }
        paths.sort(by: AccountPath.precedes)
        var usages: [JSON] = []
        for reply in try client.pipeline(paths.map { ["USAGE", $0] }) {
            usages.append(try Client.json(reply, of: "USAGE"))
        }
        return usages
    }
    private static func accounts(
        _ what: String, _ account: String, _ client: Client
    ) throws(CommandFailure) -> [String] {
        try client.list(what, under: account).compactMap { $0["account"]?.string }
    }

    static func print(_ usages: [JSON]) {
        var table = Table([
            .text("ACCOUNT"), .number("MONTH"), .number("HELD"), .number("LIMIT"),
            .number("USED %"), .number("DAY"), .number("LIMIT"), .number("OPEN"),
            .number("MONTH END"),
        ])
        let paths = usages.map { $0["account"]?.string ?? "" }
        for (i, usage) in usages.enumerated() {
            let month = usage["limits"]?["usd.month"] ?? .null
            let day = usage["limits"]?["usd.day"] ?? .null
            table.add([
                label(i, paths),
                Money.rounded(month["used"] ?? .null), Money.rounded(month["held"] ?? .null),
                Money.rounded(month["limit"] ?? .null), Money.percent(month),
                Money.rounded(day["used"] ?? .null), Money.rounded(day["limit"] ?? .null),
                usage.cell("open_holds"), Money.rounded(usage["projected_month_end"] ?? .null),
            ])
        }
        table.print()
    }

    /// The last name of a path behind the branches that lead to it.
    private static func label(_ i: Int, _ paths: [String]) -> String {
        let names = paths[i].split(separator: "/")
        let rootDepth = paths[0].split(separator: "/").count
        guard names.count > rootDepth else { return paths[i] }
        var text = ""
        for depth in rootDepth..<names.count {
            let prefix = names[..<depth].joined(separator: "/") + "/"
            let branch = names[...depth].joined(separator: "/")
            // Whether this branch has a later sibling: then its line goes on.
            let goesOn = paths[(i + 1)...].contains {
                $0.hasPrefix(prefix) && $0 != branch && !$0.hasPrefix(branch + "/")
            }
            if depth == names.count - 1 {
                text += goesOn ? "├─ " : "└─ "
            } else {
                text += goesOn ? "│  " : "   "
            }
        }
        return text + names[names.count - 1]
    }
}

/// Money for tables: four decimals. Exact amounts are in the JSON.
enum Money {
    static func rounded(_ value: JSON) -> String {
        guard let raw = nanodollars(value) else { return value.plain }
        let units = (raw.magnitude + 50_000) / 100_000
        let (whole, fraction) = units.quotientAndRemainder(dividingBy: 10_000)
        let digits = String(fraction)
        let padded = String(repeating: "0", count: 4 - digits.count) + digits
        return "\(raw < 0 && units > 0 ? "-" : "")\(whole).\(padded)"
    }
    /// How much of a limit is used or held, in whole percents rounded down; `-` without a limit.
    static func percent(_ usage: JSON) -> String {
        guard let limit = nanodollars(usage["limit"] ?? .null), limit > 0,
            let used = nanodollars(usage["used"] ?? .null)
        else { return "-" }
        let held = nanodollars(usage["held"] ?? .null) ?? 0
        return "\((Int128(used) + Int128(held)) * 100 / Int128(limit))"
    }
    private static func nanodollars(_ value: JSON) -> Int64? {
        value.string.flatMap { Nanodollars(signed: $0)?.raw }
    }
}

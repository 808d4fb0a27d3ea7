import ArgumentParser
import Events
import Reports

/// `tollgate report`
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "What was spent, refused and waited for, and how far budgets reach.",
        discussion: """
            Reports are sums that the daemon folds as it commits: exact, and as of the event
            that they name. Each is held against sums that were kept apart; where they differ,
            there is an error and no report.

            Money and tokens belong to the hour in which a request was placed, as in budgets.
            Hours that begin in the time are in it. Tables round money to four decimals; csv
            and json are exact. Percents are rounded to a tenth, each by itself.

            Examples:
              tollgate report spend --by team,model --period 2026-11
              tollgate report budget --by team
              tollgate report refusals --by key --period 2026-W48
              tollgate report keys --unused
            """,
        subcommands: [
            ReportSpend.self, ReportBudget.self, ReportRefusals.self, ReportLatency.self,
            ReportKeys.self,
        ])
}

/// A report as it is told: its table, of which time, and as of which event.
struct ReportPage {
    let name: String
    let period: ReportPeriod
    let groups: RollupGroups
    var table: ReportTable
    /// Of the period before, where it was asked for.
    var before: RollupGroups?
    /// Whether everything that was added up in two ways came to the same; nil where the log went on
    /// between the two, or they cannot be compared.
    var agrees: Bool?

    func print(_ format: ReportFormat) {
        switch format {
        case .table:
            table.print()
            Console.print("")
            Console.print(period.text(period.range) + ", " + asOf(groups))
            if let before {
                Console.print("before: " + period.text(period.before) + ", " + asOf(before))
            }
            if table.hasRoundedShares { Console.print("shares are rounded, each by itself") }
            Console.print(sums)
        case .csv, .focus:
            var csv = ByteBuffer(capacity: 4_096)
            table.writeCSV(into: &csv)
            Console.print(raw: csv.bytes)
            Console.note(period.text(period.range) + ", " + asOf(groups) + "; " + sums)
        case .json: json.print()
        }
    }
    private func asOf(_ groups: RollupGroups) -> String {
        let (first, last) = (groups.asOf.lowerBound, groups.asOf.upperBound)
        return first == last
            ? "as of event \(last)" : "as of events \(first) to \(last), page by page"
    }
    private var sums: String {
        let usd = Money.rounded(.money(Nanodollars(groups.sum[.usd])))
        guard (groups.spans + (before?.spans ?? [])).allSatisfy(\.isExact) else {
            return "not compared with hours: a day was opened by other rules than its zone has now"
        }
        return agrees == true
            ? "keys = teams = orgs = log: \(usd) USD"
            : "keys = org = log in each page; the log went on between two pages"
    }
    private var json: JSON {
        var members = [
            JSON.Member("report", .string(name)),
            JSON.Member("from", .string(period.name(period.range.lowerBound))),
            JSON.Member(
                "to", period.isOpen ? .null : .string(period.name(period.range.upperBound))),
            JSON.Member("zone", period.isOfDates ? .null : .string(period.words.zone)),
            JSON.Member("by", .strings(groups.by.map { "\($0.name)" })),
            JSON.Member("as_of", .integer(Int64(clamping: groups.asOf.upperBound))),
            JSON.Member("sums_agree", agrees.map { .bool($0) } ?? .null),
            JSON.Member("rows", table.json),
            JSON.Member("total", table.totalJSON),
        ]
        if let before {
            members.insert(
                JSON.Member(
                    "before",
                    .object([
                        JSON.Member("from", .string(period.name(period.before.lowerBound))),
                        JSON.Member("to", .string(period.name(period.before.upperBound))),
                        JSON.Member("as_of", .integer(Int64(clamping: before.asOf.upperBound))),
                    ])), at: 3)
        }
        return .object(members)
    }
}

extension ReportOptions {
    /// Reads what a report of a time is made of, makes it, and writes it.
    func run(
        _ name: String, by text: String, of parts: RollupParts,
        _ make: (RollupGroups, _ before: RollupGroups?) -> ReportTable
    ) throws(CommandFailure) {
        let by = try dimensions(text)
        let source = try source()
        let tag = by.first { $0.tag != nil }
        try checkAccount(of: tag)
        let period = try ReportPeriod(self, now: source.now, of: tag)
        func checked(_ range: Range<Instant>) throws(CommandFailure) -> (RollupGroups, Bool?) {
            try source.checked(
                period.query(of: range, parts), account: account, by: by, period.words)
        }
        var (groups, agrees) = try checked(period.range)
        var before: RollupGroups?
        if compare {
            let (earlier, agreesToo) = try checked(period.before)
            (before, agrees) = (earlier, agreesToo == nil ? nil : agrees)
        }
        ReportPage(
            name: name, period: period, groups: groups, table: make(groups, before),
            before: before, agrees: agrees
        ).print(format)
    }
}

extension RollupSource {
    /// The sums of a time, added up in the way that is asked for and, to be compared, by team and by org.
    ///
    /// Days of a tag are whole days of each org's own; they are held against the hours of those instants,
    /// which rows of keys are counted by.
    ///
    /// On a busy ledger the log goes on between two questions. Then it is asked again, and in the end the
    /// daemon's own comparison must do, which holds the keys' rows of each page against what it kept of
    /// the orgs.
    func checked(
        _ query: RollupQuery, account: String?, by: [RollupQuery.Dimension], _ words: CalendarWords
    ) throws(CommandFailure) -> (groups: RollupGroups, agrees: Bool?) {
        var attempts = 0
        while true {
            let groups = try groups(query, account: account, by: by, words)
            var disagreement = groups.disagreement
            var isOneMoment = groups.asOf.count == 1
            let isOfTag = by.contains { $0.tag != nil }
            if isOfTag, disagreement == nil, !groups.spans.allSatisfy(\.isExact) {
                return (groups, nil)
            }
            for other in [RollupQuery.Dimension.team, .org] where disagreement == nil {
                let sums =
                    isOfTag
                    ? try hours(of: groups.spans, in: query, account: account, by: other)
                    : try self.groups(query, account: account, by: [other], words)
                disagreement = groups.disagreement(with: sums)
                isOneMoment = isOneMoment && sums.asOf == groups.asOf
            }
            guard let disagreement else { return (groups, true) }
            guard !isOneMoment else {
                throw CommandFailure(
                    .data,
                    "the report's sums do not agree: \(disagreement); 'tollgate reindex' compares "
                        + "the roll-ups with the log")
            }
            attempts += 1
            if attempts == 5 { return (groups, nil) }
        }
    }
}

extension ReportTable {
    /// For people: headings in capitals, the total below the rows.
    func print() {
        let shown = columns.indices.filter { columns[$0].isShown }
        var table = Table(
            shown.map { i in
                let title = columns[i].heading
                return columns[i].isNumber ? .number(title) : .text(title)
            })
        for row in rows { table.add(shown.map { row[$0].shown }) }
        if let total {
            var cells = shown.map { total[$0] == .none ? "" : total[$0].shown }
            if let i = shown.indices.first(where: { !columns[shown[$0]].isNumber }) {
                cells[i] = "total"
            }
            table.add(cells)
        }
        table.print()
    }
}

extension ReportTable.Column {
    /// `used_percent` above its numbers is `USED %`.
    fileprivate var heading: String {
        name.split(separator: "_").map { $0 == "percent" ? "%" : $0.uppercased() }
            .joined(separator: " ")
    }
}

extension ReportCell {
    fileprivate var shown: String {
        switch self {
        case .none: "-"
        case .money(let amount): Money.rounded(.money(Nanodollars(amount)))
        case .instant(let instant): String(instant.description.prefix(19)) + "Z"
        default: plain
        }
    }
}

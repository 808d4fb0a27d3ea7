import ArgumentParser
import Events
import Reports

/// `tollgate report spend`
struct ReportSpend: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spend",
        abstract: "What was spent, by whom and on what.",
        discussion: """
            --by takes any of hour, day, org, team, key, model, provider and tier; or one of
            user, project and env, as the relay said them, with day, org and team.

            Examples:
              tollgate report spend --by team,model --period 2026-11
              tollgate report spend --by day --period 2026-W48 --zone Europe/Berlin
              tollgate report spend --by user --account acme/ml --format csv
              tollgate report spend --by team --period 2026-11 --compare
              tollgate report spend --period 2026-11 --format focus > focus.csv

            focus writes the cost-and-usage columns of FOCUS 1.2 for FinOps tools: a row for
            each day (or, with --by hour, hour), key, model and tier.
            """)
    @OptionGroup var options: ReportOptions
    @Option(
        help: ArgumentHelp(
            "What a row is of, separated by commas; team by default.", valueName: "a,b"))
    var by: String?

    func run() throws {
        guard options.format == .focus else {
            try options.run("spend", by: by ?? "team", of: .billed) {
                SpendReport($0, before: $1).table
            }
            return
        }
        try writeFocus()
    }

    /// FOCUS has columns for everything that a row is of; only how long its time is can be chosen.
    private func writeFocus() throws(CommandFailure) {
        guard !options.compare else {
            throw CommandFailure(
                .usage, "--format focus has no columns to compare with: leave --compare out")
        }
        let time: RollupQuery.Dimension
        switch by {
        case nil, "day": time = .day
        case "hour": time = .hour
        case let other?:
            throw CommandFailure(
                .usage,
                "--format focus has columns for org, team, key, model and tier: --by says only how "
                    + "long its rows' time is, day or hour, not \(other)")
        }
        let source = try options.source()
        let period = try ReportPeriod(options, now: source.now)
        let words = period.words
        let (groups, agrees) = try source.checked(
            period.query(.billed), account: options.account, by: [time] + FocusReport.dimensions,
            words)
        let report = FocusReport(
            groups, period: { words.time(of: $0) }, billing: { words.month(of: $0) })
        ReportPage(
            name: "spend", period: period, groups: groups, table: report.table, agrees: agrees
        ).print(.csv)
    }
}

extension CalendarWords {
    /// The time that a label of an hour or a day is of.
    fileprivate func time(of label: String) -> Range<Instant> {
        if let hour = label.withBytes({ Instant(parsing: $0) }) {
            return hour..<hour.later(bySeconds: 3_600)
        }
        let parts = label.split(separator: "-").compactMap { Int64($0) }
        let first = CivilDay(year: parts[0], month: parts[1], day: parts[2])
        return start(of: first)..<start(of: CivilDay(daysSince1970: first.daysSince1970 + 1))
    }
    fileprivate func month(of instant: Instant) -> Range<Instant> {
        let day = day(of: instant)
        let isLast = day.month == 12
        let next = CivilDay(
            year: isLast ? day.year + 1 : day.year, month: isLast ? 1 : day.month + 1, day: 1)
        return start(of: CivilDay(year: day.year, month: day.month, day: 1))..<start(of: next)
    }
}

import ArgumentParser
import Audit
import Events
import Gate
import Ledger
import Reports

/// `tollgate report budget`
struct ReportBudget: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budget",
        abstract: "How far budgets reach, now or at any past instant.",
        discussion: """
            PROJECTED is what will have been used at the end of the limit's window at its pace
            so far, RUNS OUT the org's day on which that pace reaches the limit. Held money is
            not spent yet and runs out with it; USED % counts it, too.

            --at folds the log up to that instant, deriving every answer anew on the way, and
            so is exact; --dir does the same for a copy, to its end. Both need to read the log:
            an admin or auditor without an account.

            Examples:
              tollgate report budget --by org,team
              tollgate report budget --account acme --limit usd.day,tokens.day --by key
              tollgate report budget --at 2026-11-22T10:00:00Z
            """)
    @OptionGroup var log: LogOptions
    @Option(
        help: ArgumentHelp(
            "Only this org, team or key and what stands below it.", valueName: "account"))
    var account: String?
    @Option(help: ArgumentHelp("Which accounts: some of org, team and key.", valueName: "a,b"))
    var by = "org,team"
    @Option(
        help: ArgumentHelp(
            "Which limits, separated by commas, or all that are set.", valueName: "limit"))
    var limit = "usd.month"
    @Option(help: ArgumentHelp("The past instant of which it is.", valueName: "when"))
    var at: String?
    @Option(
        help: ArgumentHelp("The zone in which a date begins; UTC by default.", valueName: "zone"))
    var zone: String?
    @Option(help: "How it is written: table, csv (RFC 4180) or json.")
    var format: ReportFormat = .table

    func run() throws {
        guard format != .focus else {
            throw CommandFailure(
                .usage, "FOCUS is of cost and usage: say --format table, csv or json here")
        }
        let tiers = try self.tiers()
        let limits = try self.limits()
        let words = try CalendarWords(zone: zone ?? "UTC")
        let instant = try at.map { (text) throws(CommandFailure) in
            try words.instant(text, "--at")
        }
        let isFolded = instant != nil || log.directory != nil
        let usages =
            isFolded
            ? try fold(tiers, before: instant) : try ask(try log.connection.connect(), tiers)
        let report: BudgetReport
        let dates = OrgDates(ZoneCalendar.foundation)
        do throws(Failure) {
            report = try BudgetReport(usages, limits: limits, date: dates.date)
        } catch {
            throw CommandFailure(.protocolBroken, error.text)
        }
        if let disagreement = report.disagreement {
            throw CommandFailure(
                .data, "balances of event \(report.asOf.lowerBound) do not agree: \(disagreement)")
        }
        print(report, isFolded)
    }

    private func tiers() throws(CommandFailure) -> [Int] {
        let names = ["org", "team", "key"]
        let tiers = try ReportOptions.list(by, of: "--by") { word in
            names.firstIndex(of: word).map { $0 + 1 }
        } unknown: {
            "--by knows no \"\($0)\": say some of org, team and key"
        }
        let depth = account?.split(separator: "/").count ?? 0
        guard let account, depth <= 3, tiers.allSatisfy({ $0 < depth }) else { return tiers }
        let below = names.dropFirst(depth - 1).joined(separator: " or ")
        throw CommandFailure(
            .usage,
            "\(account) is of tier \(names[depth - 1]), nothing above it is shown: say --by \(below)"
        )
    }
    private func limits() throws(CommandFailure) -> [LimitKind]? {
        guard limit != "all" else { return nil }
        return try ReportOptions.list(limit, of: "--limit") { word in
            word.withBytes { LimitKind($0) }
        } unknown: {
            "there is no limit \"\($0)\": say usd, tokens or requests with .minute, .hour, .day, "
                + ".week, .month or .total, or all"
        }
    }

    // MARK: The daemon's own balances

    private func ask(_ client: Client, _ tiers: [Int]) throws(CommandFailure) -> [JSON] {
        var paths: [String] = []
        for (i, kind) in ["orgs", "teams", "keys"].enumerated() where tiers.contains(i + 1) {
            // An account lists what stands below it; it is itself one of its tier.
            let depth = account?.split(separator: "/").count ?? 0
            if depth > i + 1 { continue }
            if let account, depth == i + 1 {
                paths.append(account)
            } else {
                paths += try client.list(kind, under: account).compactMap { $0["account"]?.string }
            }
        }
        paths.sort(by: AccountPath.precedes)
        return try client.usages(of: paths)
    }

    // MARK: Folded from the log

    /// Every account's balance as of the last event before an instant, or of the log's last.
    private func fold(
        _ tiers: [Int], before instant: Instant?
    ) throws(CommandFailure) -> [JSON] {
        Interrupt.catchSignals()
        let source = try log.open()
        do throws(AuditFailure) {
            var last = source.lastSeq
            if let instant { last = try source.firstSeq(at: instant) - 1 }
            guard last > 0 else {
                throw AuditFailure(
                    .usage, "the log has no event before --at \(at ?? ""): say a later one")
            }
            if let instant, last == source.lastSeq, instant > .wallClock {
                throw AuditFailure(.usage, "--at \(at ?? "") has not come yet: leave it out")
            }
            var replayer = Replayer(source, calendar: .foundation)
            try compare(&replayer, through: last)
            let now: Instant
            if let instant {
                now = instant
            } else {
                var batch = LogBatch(capacity: 4_096)
                now = try source.event(last, into: &batch).header.time
            }
            return try usages(replayer, tiers, at: now)
        } catch {
            throw CommandFailure(error)
        }
    }
    private func compare(
        _ replayer: inout Replayer, through last: UInt64
    ) throws(AuditFailure) {
        let progress = StepProgress("folding", of: Int(clamping: last))
        defer { progress.clear() }
        var difference: Difference?
        let isWhole = try replayer.compare(
            through: last,
            tick: { seq in
                progress.show(Int(clamping: seq))
                return Interrupt.count == 0
            },
            tell: {
                difference = $0
                return false
            })
        if let difference {
            throw AuditFailure(
                .damaged,
                "event \(difference.seq) is not what the ledger's rules derive, so no balance after it is "
                    + "to be believed: 'tollgate audit replay' shows both sides")
        }
        guard isWhole else { throw AuditFailure(.io, "interrupted") }
    }
    private func usages(
        _ replayer: borrowing Replayer, _ tiers: [Int], at now: Instant
    ) throws(AuditFailure) -> [JSON] {
        var paths: [String] = []
        while case let page = replayer.accounts(from: paths.count, most: 4_096), !page.isEmpty {
            paths += page
        }
        if let account {
            guard paths.contains(account) else {
                throw AuditFailure(
                    .usage, "at event \(replayer.seq) there is no account \"\(account)\"")
            }
            paths = paths.filter { $0 == account || $0.hasPrefix(account + "/") }
        }
        paths = paths.filter { tiers.contains($0.split(separator: "/").count) }
        var usages: [JSON] = []
        for path in paths.sorted(by: AccountPath.precedes) {
            let usage = try replayer.usage(of: path, at: now)
            do throws(CommandFailure) { usages.append(try JSON(reply: usage)) } catch {
                throw AuditFailure(error)
            }
        }
        return usages
    }

    // MARK: Told

    private func print(_ report: BudgetReport, _ isFolded: Bool) {
        let (first, last) = (report.asOf.lowerBound, report.asOf.upperBound)
        let events = first == last ? "event \(last)" : "events \(first) to \(last)"
        let note =
            "as of \(events), \(report.at)"
            + (isFolded ? ", folded from the log: every answer until then is derived anew" : "")
            + (first == last ? "; keys = teams = orgs, as far as shown" : "")
        switch format {
        case .table, .focus:
            report.table.print()
            Console.print("")
            Console.print(note)
        case .csv:
            var csv = ByteBuffer(capacity: 4_096)
            report.table.writeCSV(into: &csv)
            Console.print(raw: csv.bytes)
            Console.note(note)
        case .json:
            JSON.object([
                JSON.Member("report", .string("budget")),
                JSON.Member("at", .string("\(report.at)")),
                JSON.Member("as_of", .integer(Int64(clamping: last))),
                JSON.Member("as_of_first", .integer(Int64(clamping: first))),
                JSON.Member("folded", .bool(isFolded)),
                JSON.Member("rows", report.table.json),
            ]).print()
        }
    }
}

import Events

/// How far budgets reach: what is used, held and left, when it begins anew, and where the pace so far leads.
package struct BudgetReport: Sendable {
    package private(set) var table = ReportTable([
        ReportTable.Column("account"), ReportTable.Column("limit"), .number("amount"),
        .number("used"), .number("held"), .number("left"), .number("used_percent"),
        .number("days_left"), .number("projected"), ReportTable.Column("runs_out"),
        ReportTable.Column("resets_at", isShown: false),
        ReportTable.Column("overridden_until", isShown: false),
    ])
    /// The events that the balances are of, and their instants.
    package private(set) var asOf: ClosedRange<UInt64> = 0...0
    package private(set) var at: Instant = .distantPast
    /// Where an account's own spend is not that of what stands below it; nil where all agree.
    package private(set) var disagreement: String?

    /// - Parameters:
    ///   - usages: as USAGE answers, parents before their children.
    ///   - limits: of which a row is wanted; nil for all that are set.
    ///   - date: the date that a zone's clock shows.
    package init(
        _ usages: [JSON], limits: [LimitKind]?, date: (_ zone: String, Instant) -> CivilDay
    ) throws(Failure) {
        var seqs: [UInt64] = []
        for usage in usages {
            guard let account = usage["account"]?.string, let seq = usage["seq"]?.integer,
                let zone = usage["zone"]?.string,
                let now = usage["at"]?.string.flatMap({ $0.withBytes { Instant(parsing: $0) } })
            else {
                throw Failure(
                    .error,
                    "USAGE names no account, at, seq or zone: the daemon is an older one, so restart it"
                )
            }
            seqs.append(UInt64(clamping: seq))
            at = max(at, now)
            for kind in limits ?? LimitKind.all {
                guard let line = Line(usage, account, kind, now), limits != nil || line.isSet
                else { continue }
                table.add(line.cells { date(zone, $0).text })
            }
        }
        if let first = seqs.min(), let last = seqs.max() { asOf = first...last }
        // Balances of one event only can be held against one another.
        if asOf.count == 1 { disagreement = BudgetReport.disagreement(usages) }
    }

    /// Compares each account's money with the sum of its children, where those are all there.
    private static func disagreement(_ usages: [JSON]) -> String? {
        let windows = ["usd.day", "usd.month", "usd.total"]
        var used: [String: [Int64]] = [:]
        var sums: [String: [Int64]] = [:]
        for usage in usages {
            let account = usage["account"]?.string ?? ""
            let amounts = windows.map { name in
                (usage["limits"]?[name]?["used"]?.string).flatMap { Nanodollars(signed: $0)?.raw }
                    ?? 0
            }
            used[account] = amounts
            let names = account.split(separator: "/")
            guard names.count > 1 else { continue }
            let parent = names.dropLast().joined(separator: "/")
            let sum = sums[parent] ?? windows.map { _ in 0 }
            sums[parent] = zip(sum, amounts).map { $0 &+ $1 }
        }
        for (parent, sum) in sums.sorted(by: { $0.key < $1.key }) {
            guard let own = used[parent] else { continue }
            for (i, name) in windows.enumerated() where own[i] != sum[i] {
                return "\(name) used of \(parent) is \(Nanodollars(own[i])), what stands below it "
                    + "has used \(Nanodollars(sum[i]))"
            }
        }
        return nil
    }
}

extension BudgetReport {
    /// One limit of an account.
    private struct Line {
        let account: String
        let kind: LimitKind
        let now: Instant
        let entry: JSON
        /// Of this month; a limit for all time is reckoned at its pace.
        let month: (spent: Int64, window: Range<Instant>)?

        /// Nil where USAGE says nothing of that limit.
        init?(_ usage: JSON, _ account: String, _ kind: LimitKind, _ now: Instant) {
            guard let entry = usage["limits"]?["\(kind.name)"] else { return nil }
            self.account = account
            self.kind = kind
            self.now = now
            self.entry = entry
            let own = usage["limits"]?["usd.month"]
            month =
                if let window = own?.window, let spent = own?.amount("used") {
                    (spent, window)
                } else {
                    nil
                }
        }
        var isSet: Bool { entry.amount("limit") != nil }

        func cells(date: (Instant) -> String) -> [ReportCell] {
            let used = entry.amount("used") ?? 0
            let held = entry.amount("held") ?? 0
            let limit = entry.amount("limit")
            func cell(_ amount: Int64?) -> ReportCell {
                amount.map { kind.isMoney ? .money($0) : .count($0) } ?? .none
            }
            return [
                .text(account), .text("\(kind.name)"), cell(limit), cell(used),
                cell(entry.amount("held")), cell(entry.amount("left")),
                limit.map { .share(used + held, of: $0) } ?? .none,
                outlook.map { .tenths($0.daysLeft) } ?? .none, cell(outlook?.projected(used)),
                limit.flatMap { runsOut(used, held, $0) }.map { .text(date($0)) } ?? .none,
                entry.time("resets_at").map { .instant($0) } ?? .none,
                entry["override"] == nil
                    ? .none : entry.time("until").map { .instant($0) } ?? .none,
            ]
        }
        private var outlook: BudgetOutlook? {
            entry.window.map { BudgetOutlook(window: $0, now: now) }
        }
        private func runsOut(_ used: Int64, _ held: Int64, _ limit: Int64) -> Instant? {
            if let outlook { return outlook.runsOut(used: used, held: held, limit: limit) }
            guard kind == LimitKind(.usd, .total) else { return nil }
            guard used + held < limit else { return now }
            guard let month else { return nil }
            return BudgetOutlook(window: month.window, now: now)
                .reached(limit - used, pace: month.spent)
        }
    }
}

extension JSON {
    /// Money, which is a string, or a count.
    fileprivate func amount(_ name: String) -> Int64? {
        guard let value = self[name] else { return nil }
        return value.integer ?? value.string.flatMap { Nanodollars(signed: $0)?.raw }
    }
    fileprivate func time(_ name: String) -> Instant? {
        self[name]?.string.flatMap { text in text.withBytes { Instant(parsing: $0) } }
    }
    /// From when on a limit counts until it begins anew.
    fileprivate var window: Range<Instant>? {
        guard let opened = time("opened_at"), let end = time("resets_at"), opened < end else {
            return nil
        }
        return opened..<end
    }
}

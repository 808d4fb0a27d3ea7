import ArgumentParser
import Audit
import Events
import Foundation
import Reports

/// What every report of a time is told: of which, by what, of whom.
struct ReportOptions: ParsableArguments {
    @OptionGroup var log: LogOptions
    @OptionGroup var calendar: CalendarOptions
    @Option(
        help: ArgumentHelp(
            "The first instant: 2026-11-22, 2026-11-22T10:00:00Z. Without a period or this: the month so far.",
            valueName: "when"))
    var from: String?
    @Option(
        help: ArgumentHelp("The instant before which it ends; now by default.", valueName: "when"))
    var to: String?
    @Option(
        help: ArgumentHelp(
            "Only this org, team or key and what stands below it.", valueName: "account"))
    var account: String?
    @Option(
        help: "How it is written: table, csv (RFC 4180), json; spend also as focus (FOCUS 1.2).")
    var format: ReportFormat = .table
    @Flag(
        help:
            "Beside it, the period before: the month before, or as many hours or days as have begun."
    )
    var compare = false

    func source() throws(CommandFailure) -> any RollupSource {
        guard log.directory == nil else {
            guard let directory = try log.open() as? DirectoryLog else {
                throw CommandFailure(.software, "--dir opens a directory")
            }
            return DirectoryRollups(directory)
        }
        return SocketRollups(try log.connection.connect())
    }

    /// Tags are counted by team.
    func checkAccount(of tag: RollupQuery.Dimension?) throws(CommandFailure) {
        guard let tag, let names = account?.split(separator: "/"), names.count == 3 else { return }
        throw CommandFailure(
            .usage,
            "\(tag.name) is counted by team, not by key: say --account "
                + names.prefix(2).joined(separator: "/"))
    }

    /// - Parameter text: what `--by` says.
    func dimensions(
        _ text: String, may allowed: [RollupQuery.Dimension] = RollupQuery.Dimension.allCases
    ) throws(CommandFailure) -> [RollupQuery.Dimension] {
        let found = try Self.list(text, of: "--by") { word in
            allowed.first { word == "\($0.name)" }
        } unknown: {
            let known = allowed.map { "\($0.name)" }.joined(separator: ", ")
            return "--by knows no \"\($0)\": say some of \(known)"
        }
        // The same rules as the daemon's, before it is asked; and days of hours are made here.
        let asked = RollupGroups.asked(for: found)
        let hasZone = asked.contains(.day) && !asked.contains { $0.tag != nil }
        let text = asked.map { "\($0.name)" }.joined(separator: ",")
        do throws(Failure) { _ = try RollupQuery.dimensions(text, hasZone: hasZone) } catch {
            throw CommandFailure(
                .usage, error.text.hasPrefix("by=") ? "--by" + error.text.dropFirst(3) : error.text)
        }
        if compare, found.contains(.hour) || found.contains(.day) {
            throw CommandFailure(
                .usage,
                "--compare sets groups side by side that both periods have: leave hour and day out of --by"
            )
        }
        return found
    }
}

extension ReportOptions {
    /// Reads words between commas, each of them once.
    static func list<Item>(
        _ text: String, of flag: String, _ item: (String) -> Item?, unknown: (String) -> String
    ) throws(CommandFailure) -> [Item] {
        let words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        var items: [Item] = []
        for word in words {
            guard let item = item(word) else { throw CommandFailure(.usage, unknown(word)) }
            items.append(item)
        }
        for (i, word) in words.enumerated() where words[..<i].contains(word) {
            throw CommandFailure(.usage, "\(flag) \(text) names \(word) twice")
        }
        return items
    }
}

enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table, csv, json, focus
}

/// The time of a report, in order and not empty.
struct ReportPeriod {
    var range: Range<Instant>
    /// The period before it.
    var before: Range<Instant>
    let words: CalendarWords
    /// Of a tag: it goes from date to date, each org's own, as their midnights in UTC.
    let isOfDates: Bool
    /// Whether today, wherever that is, and all that follows is in it.
    private(set) var isOpen = false

    /// - Parameter tag: what is counted by whole days, if anything is.
    init(
        _ options: ReportOptions, now: Instant, of tag: RollupQuery.Dimension? = nil
    ) throws(CommandFailure) {
        let zoned = try options.calendar.words()
        let words = tag == nil ? zoned : try CalendarWords(zone: "UTC")
        self.words = words
        isOfDates = tag != nil
        func instant(_ text: String, _ flag: String) throws(CommandFailure) -> Instant {
            let instant = try words.instant(text, flag)
            if let tag, text.utf8.count != 10 {
                throw CommandFailure(
                    .usage,
                    "\(tag.name) is counted by whole days of each org's own calendar: with it \(flag) is a "
                        + "date, such as \(words.date(of: instant))")
            }
            guard instant.nanoseconds % 900_000_000_000 == 0 else {
                throw CommandFailure(
                    .usage,
                    "\(flag) \(text) lies inside of an hour, and hours are counted as a whole: say the "
                        + "instant at which one begins")
            }
            return instant
        }
        if let name = options.calendar.period {
            guard options.from == nil, options.to == nil else {
                throw CommandFailure(.usage, "say --period, or --from and --to, not both")
            }
            range = try words.period(name, "--period")
            before = words.period(before: range, named: name)
            try checkBefore(options)
            return
        }
        guard options.from != nil || options.to != nil else {
            let name = String(zoned.date(of: now).prefix(7))
            range = try words.period(name, "--period")
            before = words.period(before: range, named: name)
            // Where an org's clock is ahead of the caller's, its today may be of the next month.
            isOpen = isOfDates
            return
        }
        let from = try options.from.map { (text) throws(CommandFailure) in
            try instant(text, "--from")
        }
        let to = try options.to.map { (text) throws(CommandFailure) in
            try instant(text, "--to")
        }
        let first = from ?? Instant(nanoseconds: 0)
        // Of dates all that there is, and at least all of today, wherever that is.
        let end =
            to
            ?? (isOfDates
                ? words.start(of: words.day(of: now.later(bySeconds: 38 * 3_600)))
                : now.later(bySeconds: 1))
        isOpen = isOfDates && to == nil
        guard first != end else {
            throw CommandFailure(
                .usage,
                "--from and --to are one instant, \(end), and --to is left out: say a later --to")
        }
        guard first < end else {
            throw CommandFailure(
                .usage,
                to == nil
                    ? "--from \(options.from ?? "") has not come yet: say an earlier one"
                    : "--from \(options.from ?? "") is after --to \(options.to ?? ""): exchange them"
            )
        }
        range = first..<end
        // Of an open end as long as what has come by now: whole days of the caller's calendar, or whole hours.
        let today = zoned.day(of: now).daysSince1970
        let passed =
            isOpen
            ? max(
                words.start(of: CivilDay(daysSince1970: today + 1)), first.later(bySeconds: 86_400))
            : end
        let hour: Int64 = 3_600_000_000_000
        let hours = (passed.nanoseconds - first.nanoseconds - 1) / hour + 1
        before = Instant(nanoseconds: max(0, first.nanoseconds - hours * hour))..<first
        try checkBefore(options)
    }
    private func checkBefore(_ options: ReportOptions) throws(CommandFailure) {
        guard options.compare, before.isEmpty || before.lowerBound.nanoseconds < 0 else { return }
        throw CommandFailure(
            .usage, "before \(name(range.lowerBound)) there is no period to --compare with")
    }
    /// - Parameter parts: what the report tells beside the fields.
    func query(_ parts: RollupParts) -> RollupQuery { query(of: range, parts) }
    func query(of range: Range<Instant>, _ parts: RollupParts) -> RollupQuery {
        var query = RollupQuery()
        (query.from, query.to, query.parts) = (range.lowerBound, range.upperBound, parts)
        if isOpen, range == self.range { query.to = .distantFuture }
        return query
    }
    /// An end of it: an instant, or a date.
    func name(_ end: Instant) -> String {
        isOfDates ? String(end.description.prefix(10)) : "\(end)"
    }
    func text(_ range: Range<Instant>) -> String {
        guard isOfDates else {
            return "hours that begin from \(range.lowerBound) to \(range.upperBound)"
                + (words.zone == "UTC" ? "" : " (dates of \(words.zone))")
        }
        let first = "days from \(name(range.lowerBound)) "
        return isOpen && range == self.range
            ? first + "on, each org's own"
            : first + "to \(name(range.upperBound.later(bySeconds: -86_400))), each org's own"
    }
}

extension CalendarWords {
    /// The date that the zone's clock shows.
    func day(of instant: Instant) -> CivilDay {
        let zone = TimeZone(identifier: zone) ?? TimeZone(secondsFromGMT: 0)!
        let date = Date(timeIntervalSince1970: Double(instant.second))
        let local = instant.second + Int64(zone.secondsFromGMT(for: date))
        return CivilDay(
            daysSince1970: local >= 0 ? local / 86_400 : (local - 86_399) / 86_400)
    }
    func date(of instant: Instant) -> String { day(of: instant).text }
    /// The year, month, week or day before one that was named so.
    func period(before range: Range<Instant>, named name: String) -> Range<Instant> {
        let first = day(of: range.lowerBound)
        let parts = name.split(separator: "-")
        let earlier: CivilDay =
            if parts.count == 1 {
                CivilDay(year: first.year - 1, month: 1, day: 1)
            } else if parts.count == 3 {
                CivilDay(daysSince1970: first.daysSince1970 - 1)
            } else if parts[1].hasPrefix("W") {
                CivilDay(daysSince1970: first.daysSince1970 - 7)
            } else if first.month == 1 {
                CivilDay(year: first.year - 1, month: 12, day: 1)
            } else {
                CivilDay(year: first.year, month: first.month - 1, day: 1)
            }
        return start(of: earlier)..<range.lowerBound
    }
}

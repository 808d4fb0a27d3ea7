import ArgumentParser
import Events
import Foundation
import Ledger

/// In which zone dates are meant, and a period by its name.
struct CalendarOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A month (2026-11), a week (2026-W48), a day (2026-11-22) or a year (2026).",
            valueName: "period"))
    var period: String?
    @Option(
        help: ArgumentHelp(
            "The zone in which dates begin and end; UTC by default.", valueName: "zone"))
    var zone: String?

    func words() throws(CommandFailure) -> CalendarWords { try CalendarWords(zone: zone ?? "UTC") }
}

/// Instants and periods as people say them.
struct CalendarWords {
    let zone: String

    init(zone: String) throws(CommandFailure) {
        guard ZoneCalendar.foundation.knows(zone) else {
            throw CommandFailure(
                .usage, "--zone \"\(zone)\" is no IANA time zone: say one such as Europe/Berlin")
        }
        self.zone = zone
    }

    /// RFC 3339, or a date for the beginning of that day.
    func instant(_ text: String, _ flag: String) throws(CommandFailure) -> Instant {
        if let instant = text.withBytes({ Instant(parsing: $0) }) { return instant }
        if let day = Self.day(text) { return start(of: day) }
        throw CommandFailure(
            .usage,
            "\(flag) \"\(text)\" is no instant: say one such as 2026-11-22T10:00:00Z, or a date such as "
                + "2026-11-22")
    }
    /// The same, or an event's number.
    func place(_ text: String, _ flag: String) throws(CommandFailure) -> LogRange.Place {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        if !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) {
            guard let seq = UInt64(text), seq >= 1, seq < 1 << 62 else {
                throw CommandFailure(.usage, "\(flag) \(text): events are numbered from 1")
            }
            return .event(seq)
        }
        return .instant(try instant(text, flag))
    }

    /// `2026`, `2026-11`, `2026-W48` or `2026-11-22`, up to where it ends.
    func period(_ text: String, _ flag: String) throws(CommandFailure) -> Range<Instant> {
        if let first = Self.day(text) {
            return start(of: first)..<start(of: CivilDay(daysSince1970: first.daysSince1970 + 1))
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let year = parts.first.flatMap { Self.number($0, digits: 4) }
        if let year, year >= 1970, year <= 2200 {
            if parts.count == 1 {
                return start(
                    of: CivilDay(year: year, month: 1, day: 1))..<start(
                        of: CivilDay(year: year + 1, month: 1, day: 1))
            }
            if parts.count == 2, let month = Self.number(parts[1], digits: 2),
                (1...12).contains(month)
            {
                let next = month == 12 ? (year + 1, 1) : (year, month + 1)
                return start(
                    of: CivilDay(year: year, month: month, day: 1))..<start(
                        of: CivilDay(year: next.0, month: next.1, day: 1))
            }
            if parts.count == 2, parts[1].first == "W",
                let week = Self.number(parts[1].dropFirst(), digits: 2),
                (1...Self.weeks(in: year)).contains(week)
            {
                let monday = Self.firstMonday(of: year) + 7 * (week - 1)
                return start(
                    of: CivilDay(daysSince1970: monday))..<start(
                        of: CivilDay(daysSince1970: monday + 7))
            }
        }
        throw CommandFailure(
            .usage,
            "\(flag) \"\(text)\" is no period: say a month (2026-11), a week (2026-W48), a day "
                + "(2026-11-22) or a year (2026)")
    }

    /// Where a day begins in the zone: not always at midnight, where a clock was put forward then.
    func start(of day: CivilDay) -> Instant {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = TimeZone(identifier: zone) ?? TimeZone(secondsFromGMT: 0)!
        let noon = DateComponents(
            year: Int(day.year), month: Int(day.month), day: Int(day.day), hour: 12)
        guard let date = calendar.date(from: noon) else {
            return Instant(seconds: day.daysSince1970 * 86_400)
        }
        return Instant(
            seconds: Int64(calendar.startOfDay(for: date).timeIntervalSince1970.rounded()))
    }

    private static func day(_ text: String) -> CivilDay? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let year = number(parts[0], digits: 4),
            let month = number(parts[1], digits: 2), let day = number(parts[2], digits: 2),
            year >= 1970, year <= 2200, (1...12).contains(month)
        else { return nil }
        let civil = CivilDay(year: year, month: month, day: day)
        return day >= 1 && day <= civil.daysInMonth ? civil : nil
    }
    private static func number(_ text: Substring, digits: Int) -> Int64? {
        text.utf8.count == digits && text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
            ? Int64(text) : nil
    }
    /// ISO 8601: the week with the year's first Thursday is the first.
    private static func firstMonday(of year: Int64) -> Int64 {
        let fourth = CivilDay(year: year, month: 1, day: 4).daysSince1970
        return fourth - (fourth + 3) % 7
    }
    private static func weeks(in year: Int64) -> Int64 {
        (firstMonday(of: year + 1) - firstMonday(of: year)) / 7
    }
}

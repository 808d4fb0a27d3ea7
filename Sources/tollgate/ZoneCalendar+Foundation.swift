import Events
import Foundation
import Ledger
import Synchronization

extension ZoneCalendar {
    /// The calendar of Foundation's zone database.
    static let foundation: ZoneCalendar = {
        let zones = ZoneRules()
        return ZoneCalendar(
            knows: { zones.knows($0) },
            bounds: { zone, window, at in zones.bounds(zone, window, at) })
    }()
}

/// When the hours, days, weeks and months of a zone begin and end.
///
/// Everything is reckoned in whole seconds, which a `Date` holds exactly; zone rules know no
/// fractions. For every instant the answer satisfies `start ≤ at < end`.
final class ZoneRules: Sendable {
    private let known: Set<String>
    private let calendars = Mutex<[String: Calendar]>([:])

    init() { known = Set(TimeZone.knownTimeZoneIdentifiers).union(["UTC"]) }

    func knows(_ zone: String) -> Bool {
        // Foundation's list has one name a zone, an old one here and there (Asia/Calcutta for
        // Asia/Kolkata); it finds the others, too, and abbreviations, which name no place.
        known.contains(zone) || zone.contains("/") && TimeZone(identifier: zone)?.identifier == zone
    }

    func bounds(_ zone: String, _ window: Window, _ at: Instant) -> (start: Instant, end: Instant) {
        let calendar = calendar(zone)
        let second = at.second
        let bounds: (start: Int64, end: Int64)?
        switch window {
        case .total: return (.distantPast, .distantFuture)
        // The minute slides inside the book; who asks nevertheless gets the clock's.
        case .minute: bounds = (second - modulo(second, 60), second - modulo(second, 60) + 60)
        case .hour: bounds = hour(calendar.timeZone, second)
        case .day: bounds = interval(calendar, .day, second)
        case .week: bounds = interval(calendar, .weekOfYear, second)
        case .month: bounds = interval(calendar, .month, second)
        }
        guard let bounds, bounds.start <= second, second < bounds.end else {
            return roughly(window, second)
        }
        return (Instant(seconds: bounds.start), Instant(seconds: bounds.end))
    }

    private func calendar(_ zone: String) -> Calendar {
        calendars.withLock { calendars in
            if let calendar = calendars[zone] { return calendar }
            // ISO 8601: weeks start on Monday, in every locale.
            var calendar = Calendar(identifier: .iso8601)
            calendar.timeZone = TimeZone(identifier: zone) ?? TimeZone(secondsFromGMT: 0)!
            calendars[zone] = calendar
            return calendar
        }
    }
    private func interval(
        _ calendar: Calendar, _ component: Calendar.Component, _ second: Int64
    ) -> (start: Int64, end: Int64)? {
        let date = Date(timeIntervalSince1970: Double(second))
        guard let found = calendar.dateInterval(of: component, for: date) else { return nil }
        return (
            Int64(found.start.timeIntervalSince1970.rounded()),
            Int64(found.end.timeIntervalSince1970.rounded())
        )
    }

    /// 3,600 seconds from a full hour of the zone's clock to the next.
    ///
    /// Where the clock changes by half an hour (Lord Howe) the hour around the change cannot be
    /// both: it is cut at the change, so that hours never overlap.
    private func hour(_ zone: TimeZone, _ second: Int64) -> (start: Int64, end: Int64) {
        func offset(_ second: Int64) -> Int64 {
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))))
        }
        let here = offset(second)
        var start = second - modulo(second + here, 3_600)
        var end = start + 3_600
        if offset(start) != here {
            var before = start
            start = second
            while start - before > 1 {
                let middle = before + (start - before) / 2
                if offset(middle) == here { start = middle } else { before = middle }
            }
        }
        if offset(end - 1) != here {
            var inside = second
            end -= 1
            while end - inside > 1 {
                let middle = inside + (end - inside) / 2
                if offset(middle) == here { inside = middle } else { end = middle }
            }
        }
        return (start, end)
    }

    /// UTC's windows by arithmetic: what is left when a zone database has no answer, so that a
    /// budget resets a little off rather than never.
    private func roughly(_ window: Window, _ second: Int64) -> (start: Instant, end: Instant) {
        let days = (second - modulo(second, 86_400)) / 86_400
        func span(_ from: Int64, _ to: Int64) -> (start: Instant, end: Instant) {
            (Instant(seconds: from * 86_400), Instant(seconds: to * 86_400))
        }
        switch window {
        case .week:
            // 1970-01-01 was a Thursday.
            let monday = days - modulo(days + 3, 7)
            return span(monday, monday + 7)
        case .month:
            var first = CivilDay(daysSince1970: days)
            first.day = 1
            let start = first.daysSince1970
            return span(start, start + first.daysInMonth)
        default: return span(days, days + 1)
        }
    }
}

/// The remainder that is never negative.
private func modulo(_ value: Int64, _ divisor: Int64) -> Int64 {
    let rest = value % divisor
    return rest < 0 ? rest + divisor : rest
}

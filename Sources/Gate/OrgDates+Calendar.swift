import Events
import Ledger
import Reports

extension OrgDates {
    /// Of the calendar by which the ledger opens its windows.
    package init(_ calendar: ZoneCalendar) {
        self.init(
            date: { zone, at in
                let (month, day) = (
                    calendar.bounds(zone, .month, at).start, calendar.bounds(zone, .day, at).start
                )
                // A zone is at most 14 hours ahead of UTC and 12 behind: so long after it has begun
                // somewhere, a month has begun in UTC, and its second day is not over.
                var first = CivilDay(daysSince1970: (month.second + 14 * 3_600) / 86_400)
                first.day = 1
                // Days of 23 and 25 hours are days.
                let days = (day.second - month.second + 12 * 3_600) / 86_400
                return CivilDay(daysSince1970: first.daysSince1970 + days)
            },
            start: { zone, day in
                // UTC's noon is on that date or the next, wherever one is.
                var at = Instant(seconds: day.daysSince1970 * 86_400 + 43_200)
                let dates = OrgDates(calendar)
                if dates.date(zone, at).daysSince1970 > day.daysSince1970 {
                    at = at.later(bySeconds: -86_400)
                }
                return calendar.bounds(zone, .day, at).start
            })
    }
}

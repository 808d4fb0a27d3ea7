import Events
import Gate
import Ledger
import Testing

@testable import Reports
@testable import tollgate

/// Which hours a report adds up to a day, by the zone database that the daemon and the tool have.
@Suite struct `the days of a report` {
    /// A day, the first hour that begins in it, and how many do.
    private static let days: [(zone: String, day: String, first: String, hours: Int)] = [
        ("Europe/Berlin", "2026-03-28", "2026-03-27T23:00:00Z", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z", 24),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", 25),
        // Midnight itself is left out, and comes twice.
        ("America/Havana", "2026-03-08", "2026-03-08T05:00:00Z", 23),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", 25),
        ("UTC", "2026-03-29", "2026-03-29T00:00:00Z", 24),
    ]
    @Test(arguments: days.indices) func `have the hours that begin in them`(row: Int) throws {
        let (zone, day, text, hours) = Self.days[row]
        let first = try #require(text.withBytes { Instant(parsing: $0) })
        let dates = OrgDates(ZoneCalendar.foundation)
        let words = try CalendarWords(zone: zone)
        // The daemon asks for the date of an hour, and so does the tool. A dollar is spent in each.
        let all: [(Instant) -> String] = [
            { dates.date(zone, $0).text }, { words.date(of: $0) },
        ]
        for date in all {
            var page = RollupAnswer()
            for hour in -48..<72 {
                let start = first.later(bySeconds: Int64(hour) * 3_600)
                var counts = RollupCounts()
                counts[.usd] = 1_000_000_000
                page.groups.append(RollupAnswer.Group(labels: ["\(start)"], counts: counts))
                page.total.add(counts)
            }
            var groups = RollupGroups(by: [.day])
            groups.add(page, asked: [.hour], day: date)
            #expect(groups.disagreement == nil)
            #expect(groups.rows[[day]]?[.usd] == Int64(hours) * 1_000_000_000)
            #expect(date(first) == day && date(first.later(bySeconds: -3_600)) < day)
        }
        let civil = dates.date(zone, first)
        #expect(dates.start(zone, civil) == first)
        let next = CivilDay(daysSince1970: civil.daysSince1970 + 1)
        #expect(dates.start(zone, next) == first.later(bySeconds: Int64(hours) * 3_600))
    }
}

import Events
import Testing

private func parsed(_ text: String) -> Int64? {
    text.withBytes { Instant(parsing: $0)?.nanoseconds }
}

@Suite struct `An instant` {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-22T10:00:00Z", 1_795_341_600_000_000_000),
            ("2026-11-22T10:00:00.5Z", 1_795_341_600_500_000_000),
            ("2026-11-22T10:00:00.123456789Z", 1_795_341_600_123_456_789),
            ("2026-11-22t10:00:00z", 1_795_341_600_000_000_000),
            ("2026-11-22T11:00:00+01:00", 1_795_341_600_000_000_000),
            ("2026-11-22T04:30:00.25-05:30", 1_795_341_600_250_000_000),
            ("1970-01-01T23:59:00+23:59", 0),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("2200-12-31T23:59:59.999999999Z", 7_289_654_399_999_999_999),
        ] as [(String, Int64)])
    func `is read from RFC 3339`(text: String, nanoseconds: Int64) {
        #expect(parsed(text) == nanoseconds)
    }
    @Test(arguments: [
        "", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "2026-11-22T10:00Z",
        "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00.1234567891Z", "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z", "2026-11-22T10:00:60Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-00T00:00:00Z",
        "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "1969-12-31T23:59:59Z",
        "2201-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01", "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+01:60", "2026-11-22T10:00:00+0100", "2026-11-22T10:00:00Z ",
        " 2026-11-22T10:00:00Z", "2026-11-22T10:00:00+01:0", "2026-11-22T10:00:00-",
        "+026-11-22T10:00:00Z", "2026-1１-22T10:00:00Z", "now",
        "2026-11-22T10:00:00.5Z2026-11-22T10:00:00.5Z",
    ])
    func `is nothing else`(text: String) { #expect(parsed(text) == nil) }
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
            (1_795_341_600_500_000_000, "2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.500000000Z"),
            (
                1_795_341_600_000_000_001, "2026-11-22T10:00:00.000000001Z",
                "2026-11-22T10:00:00.000000001Z"
            ),
            (-1, "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
            (-86_400_000_000_000, "1969-12-31T00:00:00Z", "1969-12-31T00:00:00.000000000Z"),
            (.max, "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775807Z"),
            (.min, "1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String, String)])
    func `is written in UTC`(nanoseconds: Int64, short: String, full: String) {
        let instant = Instant(nanoseconds: nanoseconds)
        #expect(instant.description == short)
        #expect(text { $0.append(instant, full: true) } == full)
    }
    @Test(arguments: 0..<8 as Range<UInt64>) func `reads what it writes`(seed: UInt64) {
        var dice = Seeded(seed)
        for _ in 0..<1_000 {
            let raw = Int64.random(in: 0..<7_289_654_400_000_000_000, using: &dice)
            let instant = Instant(nanoseconds: raw)
            #expect(parsed(instant.description) == raw)
            #expect(parsed(text { $0.append(instant, full: true) }) == raw)
        }
    }
    @Test(arguments: [(0, 0), (999_999_999, 0), (1_000_000_000, 1), (-1, -1), (-1_000_000_000, -1)])
    func `rounds its second down`(nanoseconds: Int64, second: Int64) {
        #expect(Instant(nanoseconds: nanoseconds).second == second)
    }
}

@Suite struct `A civil day` {
    @Test(
        arguments: [
            (0, 1970, 1, 1), (-1, 1969, 12, 31), (59, 1970, 3, 1), (11_016, 2000, 2, 29),
            (-719_468, 0, 3, 1), (47_540, 2100, 2, 28), (47_541, 2100, 3, 1),
        ] as [(Int64, Int64, Int64, Int64)])
    func `counts from 1970`(days: Int64, year: Int64, month: Int64, day: Int64) {
        let civil = CivilDay(year: year, month: month, day: day)
        #expect(civil.daysSince1970 == days)
        #expect(CivilDay(daysSince1970: days) == civil)
    }
    @Test func `follows the day before, for eight hundred years`() {
        var expected = CivilDay(year: 1600, month: 1, day: 1)
        let first = expected.daysSince1970
        for days in first..<first + 292_194 {
            let civil = CivilDay(daysSince1970: days)
            guard civil == expected, civil.daysSince1970 == days else {
                Issue.record("day \(days) is \(civil), not \(expected)")
                return
            }
            expected.day += 1
            if expected.day > expected.daysInMonth {
                expected.day = 1
                expected.month = expected.month % 12 + 1
                if expected.month == 1 { expected.year += 1 }
            }
        }
        #expect(expected == CivilDay(year: 2400, month: 1, day: 1))
    }
    @Test(arguments: 0..<8 as Range<UInt64>) func `goes there and back`(seed: UInt64) {
        var dice = Seeded(seed)
        for _ in 0..<2_000 {
            let days = Int64.random(in: -10_000_000...10_000_000, using: &dice)
            #expect(CivilDay(daysSince1970: days).daysSince1970 == days)
        }
    }
}

/// A day of the proleptic Gregorian calendar, by arithmetic alone: the fold has no zone database.
///
/// The algorithms are Howard Hinnant's `days_from_civil` and `civil_from_days`
/// (chrono-compatible low-level date algorithms).
package struct CivilDay: Hashable, Sendable {
    package var year: Int64
    package var month: Int64
    package var day: Int64

    package init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }
    /// The day that lies `days` after 1970-01-01.
    package init(daysSince1970 days: Int64) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shifted + 2) / 5 + 1
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
    package var daysSince1970: Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
    package var daysInMonth: Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

extension CivilDay {
    /// `2026-11-22`
    package var text: String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(day))"
    }
}

extension Instant {
    /// Reads RFC 3339 (`2026-11-22T10:00:00.5Z`, or with an offset); nil when it is anything else.
    package init?(parsing text: Bytes) {
        func number(_ from: Int, _ digits: Int) -> Int64? {
            guard from + digits <= text.count else { return nil }
            var value: Int64 = 0
            for i in from..<from + digits {
                guard text[i] >= 48, text[i] <= 57 else { return nil }
                value = value * 10 + Int64(text[i] - 48)
            }
            return value
        }
        guard text.count >= 20, text.count <= 40,
            text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[10] | 0x20 == UInt8(ascii: "t"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = number(0, 4), let month = number(5, 2), let day = number(8, 2),
            let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2),
            year >= 1970, year <= 2200, (1...12).contains(month), hour < 24, minute < 60,
            second < 60
        else { return nil }
        let civil = CivilDay(year: year, month: month, day: day)
        guard day >= 1, day <= civil.daysInMonth else { return nil }
        var at = 19
        var fraction: Int64 = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            var digits = 0
            while at < text.count, text[at] >= 48, text[at] <= 57 {
                guard digits < 9 else { return nil }
                fraction = fraction * 10 + Int64(text[at] - 48)
                digits += 1
                at += 1
            }
            guard digits > 0 else { return nil }
            for _ in digits..<9 { fraction *= 10 }
        }
        guard at < text.count else { return nil }
        var offset: Int64 = 0
        if text[at] | 0x20 == UInt8(ascii: "z") {
            at += 1
        } else {
            let sign: Int64 = text[at] == UInt8(ascii: "-") ? -1 : 1
            guard text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+"),
                let hours = number(at + 1, 2), let minutes = number(at + 4, 2),
                text[at + 3] == UInt8(ascii: ":"), hours < 24, minutes < 60
            else { return nil }
            offset = sign * (hours * 3_600 + minutes * 60)
            at += 6
        }
        guard at == text.count else { return nil }
        let seconds = civil.daysSince1970 * 86_400 + hour * 3_600 + minute * 60 + second - offset
        guard seconds >= 0 else { return nil }
        self.init(nanoseconds: seconds * 1_000_000_000 + fraction)
    }
}

extension ByteBuffer {
    /// RFC 3339 in UTC; the fraction has as many digits as it needs, or all nine with `full`.
    package mutating func append(_ instant: Instant, full: Bool = false) {
        let second = instant.second
        var days = second / 86_400
        if second < 0, second % 86_400 != 0 { days -= 1 }
        let inDay = second - days * 86_400
        let civil = CivilDay(daysSince1970: days)
        append(decimal: civil.year, width: 4)
        append(UInt8(ascii: "-"))
        append(decimal: civil.month, width: 2)
        append(UInt8(ascii: "-"))
        append(decimal: civil.day, width: 2)
        append(UInt8(ascii: "T"))
        append(decimal: inDay / 3_600, width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: inDay / 60 % 60, width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: inDay % 60, width: 2)
        // Wrapping: for an instant within a second of the earliest one, `second` alone is out of range,
        // and the difference is right all the same.
        var fraction = instant.nanoseconds &- second &* 1_000_000_000
        if full || fraction > 0 {
            var width = 9
            if !full {
                while fraction % 10 == 0 {
                    fraction /= 10
                    width -= 1
                }
            }
            append(UInt8(ascii: "."))
            append(decimal: fraction, width: width)
        }
        append(UInt8(ascii: "Z"))
    }
}

extension Instant: CustomStringConvertible {
    @usableFromInline package var description: String {
        var buffer = ByteBuffer(capacity: 32)
        buffer.append(self)
        return buffer.string
    }
}

import Events

/// How far a budget reaches at the pace of its window so far. By arithmetic alone, and as exact as whole
/// nano-dollars are: nothing here is a forecast of anything but more of the same.
package struct BudgetOutlook: Sendable {
    package let window: Range<Instant>
    package let now: Instant

    package init(window: Range<Instant>, now: Instant) {
        self.window = window
        self.now = now
    }

    /// At least a second, as the ledger's own projection has it.
    private var elapsed: Int128 {
        max(Int128(now.nanoseconds) - Int128(window.lowerBound.nanoseconds), 1_000_000_000)
    }
    private var whole: Int128 {
        Int128(window.upperBound.nanoseconds) - Int128(window.lowerBound.nanoseconds)
    }
    /// What will have been used at the end of the window.
    package func projected(_ used: Int64) -> Int64 {
        Int64(clamping: Int128(used) * whole / elapsed)
    }
    /// When a limit is reached; nil when that is not before the window's end.
    package func runsOut(used: Int64, held: Int64, limit: Int64) -> Instant? {
        guard Int128(used) + Int128(held) < Int128(limit) else { return now }
        guard let end = reached(limit - used, pace: used), end < window.upperBound else {
            return nil
        }
        return end
    }
    /// When so much more is used at the pace at which `pace` was in this window; nil when never.
    package func reached(_ more: Int64, pace: Int64) -> Instant? {
        guard pace > 0 else { return nil }
        let then = Int128(now.nanoseconds) + Int128(more) * elapsed / Int128(pace)
        return then < Int128(Int64.max) ? Instant(nanoseconds: Int64(then)) : nil
    }
    /// Until the window ends, in tenths of days, rounded up.
    package var daysLeft: Int64 {
        let tenth: Int64 = 8_640_000_000_000
        let left = max(0, window.upperBound.nanoseconds - now.nanoseconds)
        return left / tenth + (left % tenth > 0 ? 1 : 0)
    }
}

extension Window {
    /// The window that ends at an instant, for whoever knows no zone but that instant; an hour off where a
    /// clock was changed in it. Nil for one that has no end, or slides.
    package func ending(at end: Instant) -> Range<Instant>? {
        func back(_ seconds: Int64) -> Range<Instant> { end.later(bySeconds: -seconds)..<end }
        switch self {
        case .minute, .total: return nil
        case .hour: return back(3_600)
        case .day: return back(86_400)
        case .week: return back(7 * 86_400)
        case .month:
            // Its midnight is some hours before or after that of UTC, and so is the last month's.
            let offset = end.monthOffset
            var last = CivilDay(daysSince1970: (end.second + offset) / 86_400 - 1)
            last.day = 1
            return Instant(seconds: last.daysSince1970 * 86_400 - offset)..<end
        }
    }
}

extension Instant {
    /// What a zone adds to UTC in which this is the beginning of a month.
    package var monthOffset: Int64 {
        let past = second % 86_400
        return CivilDay(daysSince1970: second / 86_400).day == 1 ? -past : 86_400 - past
    }
    /// The date where so many seconds are added to UTC.
    package func date(offset: Int64) -> String {
        let local = later(bySeconds: offset)
        return String(local.description.prefix(10))
    }
}

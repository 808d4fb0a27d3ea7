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

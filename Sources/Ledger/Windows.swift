import Events

/// What the ledger asks of a zone database. It is a function handed in, because the fold itself knows
/// no zones: the answers are written into the log as `window.opened`.
package struct ZoneCalendar: Sendable {
    package let knows: @Sendable (_ zone: String) -> Bool
    /// The calendar window of `zone` that holds the instant: `start ≤ at < end`.
    package let bounds:
        @Sendable (_ zone: String, _ window: Window, _ at: Instant) -> (
            start: Instant, end: Instant
        )

    package init(
        knows: @escaping @Sendable (String) -> Bool,
        bounds:
            @escaping @Sendable (_ zone: String, _ window: Window, _ at: Instant) -> (
                start: Instant, end: Instant
            )
    ) {
        self.knows = knows
        self.bounds = bounds
    }

    /// UTC alone, by arithmetic; for tests and simulations.
    package static let utc = ZoneCalendar(
        knows: { $0 == "UTC" },
        bounds: { _, window, at in
            let day: Int64 = 86_400
            let second = at.second
            switch window {
            case .minute, .hour:
                let start = second / 3_600 * 3_600
                return (Instant(seconds: start), Instant(seconds: start + 3_600))
            case .day:
                let start = second / day * day
                return (Instant(seconds: start), Instant(seconds: start + day))
            case .week:
                // 1970-01-01 was a Thursday: Mondays are the days ≡ 4 (mod 7).
                let days = second / day
                let start = days - (days + 3) % 7
                return (Instant(seconds: start * day), Instant(seconds: (start + 7) * day))
            case .month:
                var first = CivilDay(daysSince1970: second / day)
                first.day = 1
                let start = first.daysSince1970
                return (
                    Instant(seconds: start * day),
                    Instant(seconds: (start + first.daysInMonth) * day)
                )
            case .total: return (.distantPast, .distantFuture)
            }
        })
}

/// The five windows that keep cells: four of the calendar, and the total, which never resets.
enum WindowCell {
    static let count = 5
    static let calendarCount = 4
    static let month = 3
    static let total = 4
    /// `hour` is 1 in the stored `Window` and 0 here.
    static func index(_ window: Window) -> Int { Int(window.rawValue) - 1 }
    static func window(_ i: Int) -> Window { Window(rawValue: UInt8(i + 1))! }
}

/// An org's own row: the zone's current windows, and what it chose for its keys.
struct OrgRow: BitwiseCopyable {
    var account: UInt32
    /// Starts and ends of the windows as last opened; a window that was never opened ended long ago.
    var start = InlineArray<4, Int64>(repeating: .min)
    var end = InlineArray<4, Int64>(repeating: .min)
    /// How many windows of each kind have been opened: an account's cell belongs to the current one
    /// if its own ordinal is the same, and counts as empty otherwise. So no reset job exists.
    var ordinals = SIMD4<UInt32>(repeating: 0)
    /// The earliest end: one comparison tells that all windows are current.
    var nextBoundary: Int64 = .min
    var onLapse: LapsePolicy = .release
    var allowsUnpriced = false

    func isOpen(_ cell: Int, at now: Instant) -> Bool {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .windowEndsLate {
            return cell == WindowCell.total || now.nanoseconds <= end[cell]
        }
        #endif
        return cell == WindowCell.total || now.nanoseconds < end[cell]
    }
    /// The windows, as bits, that are still the ones in which something was placed at `time`.
    func windows(holding time: Instant) -> UInt8 {
        var mask: UInt8 = 1 << UInt8(WindowCell.total)
        for cell in 0..<WindowCell.calendarCount where time.nanoseconds >= start[cell] {
            mask |= 1 << UInt8(cell)
        }
        return mask
    }
}

/// What an account has used, by window: five kinds of count × five windows.
struct UsageCells: BitwiseCopyable {
    enum Kind: Int {
        case spentUSD = 0
        case heldUSD = 1
        case usedTokens = 2
        case heldTokens = 3
        case requests = 4
    }
    var values = InlineArray<25, Int64>(repeating: 0)
    /// The ordinals of the windows these cells belong to.
    var ordinals = SIMD4<UInt32>(repeating: 0)

    subscript(kind: Kind, cell: Int) -> Int64 {
        get { values[kind.rawValue * WindowCell.count + cell] }
        set { values[kind.rawValue * WindowCell.count + cell] = newValue }
    }
    /// Adds to one kind in all five windows. Wrapping is safe: a decision checks the org's total, the
    /// largest counter there is, before anything is written.
    mutating func add(_ amount: Int64, to kind: Kind) {
        withUnsafeMutablePointer(to: &values) { pointer in
            let cells =
                UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int64.self)
                + kind.rawValue * WindowCell.count
            for cell in 0..<WindowCell.count { cells[cell] &+= amount }
        }
    }
    /// Ends a hold in the windows of the mask: what it held goes, what it spent comes.
    mutating func replace(
        heldUSD: Int64, heldTokens: Int64, usd: Int64, tokens: Int64, in windows: UInt8
    ) {
        withUnsafeMutablePointer(to: &values) { pointer in
            let cells = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int64.self)
            for cell in 0..<WindowCell.count where windows >> UInt8(cell) & 1 == 1 {
                cells[Kind.spentUSD.rawValue * WindowCell.count + cell] &+= usd
                cells[Kind.heldUSD.rawValue * WindowCell.count + cell] &-= heldUSD
                cells[Kind.usedTokens.rawValue * WindowCell.count + cell] &+= tokens
                cells[Kind.heldTokens.rawValue * WindowCell.count + cell] &-= heldTokens
                precondition(
                    cells[Kind.heldUSD.rawValue * WindowCell.count + cell] >= 0
                        && cells[Kind.heldTokens.rawValue * WindowCell.count + cell] >= 0,
                    "what is held is never negative")
            }
        }
    }
    /// Empties the cells of windows that have been opened anew since they were last touched.
    mutating func roll(to current: SIMD4<UInt32>) {
        if ordinals != current { reset(to: current) }
    }
    @inline(never) private mutating func reset(to current: SIMD4<UInt32>) {
        for cell in 0..<WindowCell.calendarCount where ordinals[cell] != current[cell] {
            for kind in 0..<5 { values[kind * WindowCell.count + cell] = 0 }
        }
        ordinals = current
    }
}

/// The last sixty seconds of an account, in one-second buckets; kept only where a minute limit has
/// ever been set, because it is three times as large as the rest of a row.
struct MinuteRing: BitwiseCopyable {
    static let seconds: Int64 = 60

    /// The latest second anything was recorded or advanced to.
    var second: Int64
    /// Holds placed up to this event are not in the buckets.
    var sinceSeq: UInt64
    var usd = InlineArray<60, Int64>(repeating: 0)
    var tokens = InlineArray<60, Int64>(repeating: 0)
    var requests = InlineArray<60, Int64>(repeating: 0)
    var sums = InlineArray<3, Int64>(repeating: 0)

    init(second: Int64, sinceSeq: UInt64) {
        self.second = second
        self.sinceSeq = sinceSeq
    }

    private static func bucket(_ second: Int64) -> Int { Int(second % seconds) }

    /// Drops the buckets that have left the minute.
    mutating func advance(to now: Int64) {
        guard now > second else { return }
        let gone = min(now - second, MinuteRing.seconds)
        for step in 1...gone {
            let i = MinuteRing.bucket(second + step)
            sums[0] -= usd[i]
            sums[1] -= tokens[i]
            sums[2] -= requests[i]
            usd[i] = 0
            tokens[i] = 0
            requests[i] = 0
        }
        second = now
    }
    /// Adds to the bucket of `placed`, if that second is still inside the minute.
    mutating func add(usd money: Int64, tokens count: Int64, requests n: Int64, at placed: Int64) {
        guard second - placed < MinuteRing.seconds else { return }
        let i = MinuteRing.bucket(placed)
        usd[i] += money
        tokens[i] += count
        requests[i] += n
        sums[0] += money
        sums[1] += count
        sums[2] += n
        precondition(usd[i] >= 0 && tokens[i] >= 0, "a bucket never falls below zero")
    }
    // `mutating` although it changes nothing: borrowed, the whole array of sixty would be copied to
    // the stack to read one of them (Swift 6.3). The same holds for the two below.
    private mutating func value(_ unit: Unit, bucket i: Int) -> Int64 {
        switch unit {
        case .usd: usd[i]
        case .tokens: tokens[i]
        case .requests: requests[i]
        }
    }
    /// The sum of the sixty seconds that end with `now`, without changing anything.
    mutating func sum(_ unit: Unit, at now: Int64) -> Int64 {
        var sum = sums[Int(unit.rawValue)]
        guard now > second else { return sum }
        for step in 1...min(now - second, MinuteRing.seconds) {
            sum -= value(unit, bucket: MinuteRing.bucket(second + step))
        }
        return sum
    }
    /// The first second at which `asked` more, at most `limit`, fits under it.
    mutating func roomOpens(_ unit: Unit, asked: Int64, limit: Int64, at now: Int64) -> Int64 {
        var left = sum(unit, at: now)
        var last = now
        var s = now - MinuteRing.seconds + 1
        while s <= now {
            // Buckets older than the ring's own minute are the ones `sum` left out.
            if s > second - MinuteRing.seconds, s <= second {
                let amount = value(unit, bucket: MinuteRing.bucket(s))
                if amount > 0 {
                    left -= amount
                    last = s + MinuteRing.seconds
                    if left <= limit - asked { return last }
                }
            }
            s += 1
        }
        return last
    }
}

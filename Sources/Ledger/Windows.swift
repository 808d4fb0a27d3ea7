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
    /// Which of the credits is its own; `.max` for none.
    var credit: UInt32 = .max
    /// Which terms it is billed by, from 1; 0 for list prices.
    var billing: UInt32 = 0
    /// What its grants have left; `.max` where it has none.
    var creditLeft: Int64 = .max
    var onLapse: LapsePolicy = .release
    var allowsUnpriced = false
    /// What is stored of its people as commitments.
    var personal: PersonalFields = []

    // `mutating` here and below where nothing changes: a borrowed row would be copied to the stack
    // to read one field of it (Swift 6.3).
    mutating func isOpen(_ cell: Int, at now: Instant) -> Bool {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .windowEndsLate {
            return cell == WindowCell.total || now.nanoseconds <= end[cell]
        }
        #endif
        return cell == WindowCell.total || now.nanoseconds < end[cell]
    }
    /// The windows, as bits, that are still the ones in which something was placed at `time`.
    @inline(__always) mutating func windows(holding time: Int64) -> UInt8 {
        var mask: UInt8 = 1 << UInt8(WindowCell.total)
        for cell in 0..<WindowCell.calendarCount where time >= start[cell] {
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
    /// The ordinals of the windows these cells belong to.
    var ordinals = SIMD4<UInt32>(repeating: 0)
    var values = InlineArray<25, Int64>(repeating: 0)

    @inline(__always) static func index(_ kind: Kind, _ cell: Int) -> Int {
        kind.rawValue &* WindowCell.count &+ cell
    }
    /// The cells, five to a kind in the order of `Kind`, without checks of the index.
    @inline(__always) var cells: UnsafeMutablePointer<Int64> {
        mutating get {
            withUnsafeMutablePointer(to: &values) {
                UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int64.self)
            }
        }
    }
    /// Adds to one kind in all five windows. Wrapping is safe: a decision checks the org's total, the
    /// largest counter there is, before anything is written.
    @inline(__always) mutating func add(_ amount: Int64, to kind: Kind) {
        let cells = cells + kind.rawValue * WindowCell.count
        for cell in 0..<WindowCell.count { cells[cell] &+= amount }
    }
    /// Ends a hold in the windows of the mask: what it held goes, what it spent comes.
    @inline(__always) mutating func replace(
        heldUSD: Int64, heldTokens: Int64, usd: Int64, tokens: Int64, in windows: UInt8
    ) {
        // Its amounts where the window is still the hold's own, else nothing: no branches.
        let cells = cells
        var signs: Int64 = 0
        for cell in 0..<WindowCell.count {
            let own = 0 &- Int64(windows >> UInt8(cell) & 1)
            cells[Kind.spentUSD.rawValue * WindowCell.count + cell] &+= usd & own
            cells[Kind.usedTokens.rawValue * WindowCell.count + cell] &+= tokens & own
            let usdHeld = Kind.heldUSD.rawValue * WindowCell.count + cell
            let tokensHeld = Kind.heldTokens.rawValue * WindowCell.count + cell
            cells[usdHeld] &-= heldUSD & own
            cells[tokensHeld] &-= heldTokens & own
            signs |= cells[usdHeld] | cells[tokensHeld]
        }
        precondition(signs >= 0, "what is held is never negative")
    }
    /// Empties the cells of windows that have been opened anew since they were last touched.
    @inline(__always) mutating func roll(to current: SIMD4<UInt32>) {
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
/// ever been set, because it is four times as large as the rest of a row.
struct MinuteRing: BitwiseCopyable {
    static let seconds: Int64 = 60
    static let count = 60
    /// Money, tokens and requests, in the order of `Unit`: side by side, because each event changes
    /// all three of one second.
    static let units = 3

    /// The latest second anything was recorded or advanced to.
    var second: Int64
    /// Holds placed up to this event are not in the buckets.
    var sinceSeq: UInt64
    private var sumsStorage = InlineArray<3, Int64>(repeating: 0)
    private var bucketsStorage = InlineArray<180, Int64>(repeating: 0)

    init(second: Int64, sinceSeq: UInt64) {
        self.second = second
        self.sinceSeq = sinceSeq
    }

    /// The bucket of a second, which is never before 1970.
    @inline(__always) static func bucket(_ second: Int64) -> Int {
        Int(UInt64(bitPattern: second) % UInt64(seconds))
    }
    @inline(__always) private var sums: UnsafeMutablePointer<Int64> {
        mutating get {
            withUnsafeMutablePointer(to: &sumsStorage) {
                UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int64.self)
            }
        }
    }
    @inline(__always) private var buckets: UnsafeMutablePointer<Int64> {
        mutating get {
            withUnsafeMutablePointer(to: &bucketsStorage) {
                UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int64.self)
            }
        }
    }
    /// One number of one bucket; for checkpoints, which are read with `put`.
    mutating func value(_ unit: Int, bucket i: Int) -> Int64 {
        precondition(i >= 0 && i < MinuteRing.count && unit >= 0 && unit < MinuteRing.units)
        return buckets[i * MinuteRing.units + unit]
    }
    mutating func put(_ value: Int64, unit: Int, bucket i: Int) {
        precondition(i >= 0 && i < MinuteRing.count && unit >= 0 && unit < MinuteRing.units)
        sums[unit] &+= value &- buckets[i * MinuteRing.units + unit]
        buckets[i * MinuteRing.units + unit] = value
    }

    /// Drops the buckets that have left the minute.
    @inline(__always) mutating func advance(to now: Int64) {
        if now > second { drop(until: now) }
    }
    @inline(never) private mutating func drop(until now: Int64) {
        let (sums, buckets) = (sums, buckets)
        for step in 1...min(now - second, MinuteRing.seconds) {
            let bucket = buckets + MinuteRing.bucket(second + step) * MinuteRing.units
            for unit in 0..<MinuteRing.units {
                sums[unit] -= bucket[unit]
                bucket[unit] = 0
            }
        }
        second = now
    }
    /// Adds to the bucket of `placed`, if that second is still inside the minute.
    ///
    /// - Parameter bucket: that second's; the three accounts of an event need the same one.
    @inline(__always) mutating func add(
        usd: Int64, tokens: Int64, requests: Int64, at placed: Int64, bucket: Int
    ) {
        guard second &- placed < MinuteRing.seconds else { return }
        let bucket = buckets + bucket &* MinuteRing.units
        bucket[0] += usd
        bucket[1] += tokens
        bucket[2] += requests
        precondition(bucket[0] | bucket[1] >= 0, "a bucket never falls below zero")
        let sums = sums
        sums[0] += usd
        sums[1] += tokens
        sums[2] += requests
    }
    /// The sum of the sixty seconds that end with `now`, without changing anything.
    ///
    /// - Parameter unit: its number.
    @inline(__always) mutating func sum(_ unit: Int, at now: Int64) -> Int64 {
        let sum = sums[unit]
        return now > second ? sum &- gone(unit, at: now) : sum
    }
    /// What of the sum has left the minute by `now`.
    @inline(never) private mutating func gone(_ unit: Int, at now: Int64) -> Int64 {
        var gone: Int64 = 0
        for step in 1...min(now - second, MinuteRing.seconds) {
            gone += buckets[MinuteRing.bucket(second + step) * MinuteRing.units + unit]
        }
        return gone
    }
    /// The first second at which `asked` more, at most `limit`, fits under it.
    mutating func roomOpens(_ unit: Unit, asked: Int64, limit: Int64, at now: Int64) -> Int64 {
        var left = sum(Int(unit.rawValue), at: now)
        var last = now
        var s = max(now - MinuteRing.seconds + 1, 0)
        while s <= now {
            // Buckets older than the ring's own minute are the ones `sum` left out.
            if s > second - MinuteRing.seconds, s <= second {
                let amount = value(Int(unit.rawValue), bucket: MinuteRing.bucket(s))
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

import Events

/// Refusals that were answered and only counted.
package struct PendingSums: Sendable {
    package struct Sum: Sendable {
        /// The key's account number; 2³²−1 for no key.
        package var key: UInt32
        package var reason: Refusal
        package var refusals: UInt32
        package init(key: UInt32, reason: Refusal, refusals: UInt32) {
            self.key = key
            self.reason = reason
            self.refusals = refusals
        }
    }
    /// Since 1970.
    package var second: Int64
    package var sums: [Sum]
    package init(second: Int64, sums: [Sum]) {
        self.second = second
        self.sums = sums
    }
}

/// Counts the refusals of the current second by key and reason, so that a flood of them does not
/// fill the disk: ten are written in full, the rest of the second becomes one sum.
package struct RefusalFloods: ~Copyable {
    static let loggedMax: UInt32 = 10
    /// Most sums that one second may have; what would need another is written in full.
    package static let sumsMax = 320

    struct Entry {
        var key: UInt32
        var reason: Refusal
        var logged: UInt32
        var extra: UInt32
    }
    private(set) var second: Int64 = .min
    /// Changes whenever a sum does.
    private(set) var version: UInt64 = 0
    private var entries: [Entry] = []
    private var index: [UInt64: Int] = [:]  // unordered: never iterated
    /// Entries with a sum, in the order in which they first needed one.
    private var withSum: [Int] = []
    /// Entries that have all that are written in full.
    private var fullCount = 0

    init() {
        entries.reserveCapacity(64)
        index.reserveCapacity(64)
        withSum.reserveCapacity(64)
    }

    var hasSums: Bool { !withSum.isEmpty }
    var summedCount: Int { withSum.count }
    func summed(_ i: Int) -> Entry { entries[withSum[i]] }

    mutating func begin(second: Int64) {
        if hasSums { version += 1 }
        self.second = second
        entries.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        withSum.removeAll(keepingCapacity: true)
        fullCount = 0
    }
    /// Whether this refusal is to be written in full; otherwise it has been counted.
    mutating func shouldLog(key: UInt32, _ reason: Refusal, at now: Int64) -> Bool {
        precondition(now == second, "the sums of a second are written before the next begins")
        let i = entry(key, reason)
        if entries[i].logged < RefusalFloods.loggedMax {
            entries[i].logged += 1
            return true
        }
        if entries[i].extra == 0 {
            if withSum.count == RefusalFloods.sumsMax { return true }
            withSum.append(i)
        }
        entries[i].extra += 1
        version += 1
        return false
    }
    private mutating func entry(_ key: UInt32, _ reason: Refusal) -> Int {
        let name = UInt64(key) << 8 | UInt64(reason.rawValue)
        if let i = index[name] { return i }
        index[name] = entries.count
        entries.append(Entry(key: key, reason: reason, logged: 0, extra: 0))
        return entries.count - 1
    }

    // MARK: Of the past

    /// Counts a refusal that was written in full.
    ///
    /// - Returns: whether it may have been, rather than only counted. Which sums there were is not known
    ///   yet, so others' are taken to be as many as they can be.
    mutating func mayLog(key: UInt32, _ reason: Refusal, at now: Int64) -> Bool {
        if now != second { begin(second: now) }
        let i = entry(key, reason)
        entries[i].logged &+= 1
        if entries[i].logged == RefusalFloods.loggedMax { fullCount += 1 }
        return entries[i].logged <= RefusalFloods.loggedMax || fullCount > RefusalFloods.sumsMax
    }
    /// Takes the sum of those that were only counted.
    ///
    /// - Returns: how many were written in full before, and whether it is the first such sum.
    mutating func take(key: UInt32, _ reason: Refusal) -> (logged: UInt32, isFirst: Bool) {
        let i = entry(key, reason)
        defer { entries[i].extra = 1 }
        return (entries[i].logged, entries[i].extra == 0)
    }
}

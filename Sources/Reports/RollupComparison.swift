import Events
import Journal

/// Makes the roll-ups again from the log, in memory, and holds the stored ones against them: row by row, byte
/// for byte, the running totals and what the fold must find again included.
package struct RollupComparison: ~Copyable {
    private var fold: RollupFold
    private let table: MemoryRollups
    /// The last event that is folded.
    package var seq: UInt64 { fold.seq }

    /// - Parameter events: copies an earlier event of the log to the end of a buffer, and says whether
    ///   there is one.
    package init(
        segmentEvents: UInt64 = RollupBounds.segmentEvents,
        events: @escaping (UInt64, inout ByteBuffer) -> Bool
    ) {
        fold = RollupFold(segmentEvents: segmentEvents)
        table = MemoryRollups(events: events)
    }

    package mutating func fold(_ events: EventPage) throws(LMDBError) {
        try fold.fold(events, table, writes: true)
    }

    package enum Verdict: Sendable {
        /// The stored rows hold the events through this one: fold so far, and no further, first.
        case areOf(UInt64)
        case same(Counts)
        case differs(Difference)
        /// They say themselves that they are not to be believed, or not of which events they are.
        case damaged
        /// Another version of the program has written them, so there is nothing to compare with.
        case otherLayout(UInt32)
    }
    package struct Counts: Sendable, Equatable {
        package var rows = 0
        package var totals = 0
        /// Rows beside these, by which the fold finds things again.
        package var others = 0
    }
    package struct Difference: Sendable, Equatable {
        /// What the row is of: `hour 2026-11-26T10:00:00Z, account 2, model 1, tier batch`.
        package var row: String
        package var stored: String
        package var derived: String
    }

    package func compare(_ rows: borrowing ProjectionRows) throws(LMDBError) -> Verdict {
        let last: UInt64
        switch try RollupMeta.find(in: rows) {
        case .nothing: last = 0
        case .rows(let through): last = through
        case .damaged: return .damaged
        case .otherLayout(let version): return .otherLayout(version)
        }
        guard last == fold.seq else { return .areOf(last) }
        let derived = table.rows.keys.sorted { $0.lexicographicallyPrecedes($1) }
        var next = 0
        var counts = Counts()
        var found: Difference?
        try rows.forEach { (key, value) throws(LMDBError) in
            let key = Array(key)
            let stored = Array(value)
            if next < derived.count, derived[next].lexicographicallyPrecedes(key) {
                found = difference(derived[next], nil, table.rows[derived[next]])
            } else if next == derived.count || derived[next] != key {
                found = difference(key, stored, nil)
            } else if let row = table.rows[key], row != stored {
                found = difference(key, stored, row)
            }
            guard found == nil else { return false }
            counts.count(key)
            next += 1
            return true
        }
        if found == nil, next < derived.count {
            found = difference(derived[next], nil, table.rows[derived[next]])
        }
        return found.map { .differs($0) } ?? .same(counts)
    }

    private func difference(
        _ key: [UInt8], _ stored: [UInt8]?, _ derived: [UInt8]?
    ) -> Difference {
        let sides = [stored, derived].map { row -> Side in Side(key, row) }
        var difference = Difference(
            row: RollupRowText.name(of: key), stored: sides[0].text, derived: sides[1].text)
        // Of two rows of counts only what they differ in.
        if let a = sides[0].counts, let b = sides[1].counts {
            let parts = a.differing(from: b)
            guard !parts.isEmpty else { return difference }
            difference.stored = parts.map(a.text(of:)).joined(separator: ", ")
            difference.derived = parts.map(b.text(of:)).joined(separator: ", ")
        }
        return difference
    }
    private struct Side {
        var text: String
        var counts: RollupCounts?

        init(_ key: [UInt8], _ row: [UInt8]?) {
            guard let row else {
                text = "no such row"
                return
            }
            let (isWhole, counts, bytes) = Side.open(key, row)
            self.counts = counts
            text = isWhole ? bytes : "a row whose checksum is wrong"
        }
        private static func open(
            _ key: [UInt8], _ row: [UInt8]
        ) -> (isWhole: Bool, counts: RollupCounts?, bytes: String) {
            key.withUnsafeBytes { key in
                row.withUnsafeBytes { row in
                    guard let value = RollupSeal.open(Bytes(key), Bytes(row)) else {
                        return (false, nil, "")
                    }
                    let bytes = "\(value.count) bytes, " + value.hex
                    guard RollupRowText.isCounts(key[0]) else { return (true, nil, bytes) }
                    var counts = RollupCounts()
                    return (true, counts.add(stored: value) ? counts : nil, bytes)
                }
            }
        }
    }
}

extension RollupComparison.Counts {
    fileprivate mutating func count(_ key: [UInt8]) {
        switch key.first {
        case RollupRowKind.hour.rawValue, RollupRowKind.tag.rawValue: rows += 1
        case RollupRowKind.total.rawValue: totals += 1
        default: others += 1
        }
    }
}

/// Stored rows in words.
enum RollupRowText {
    static func isCounts(_ kind: UInt8) -> Bool {
        [RollupRowKind.hour, .total, .tag].contains { $0.rawValue == kind }
    }
    static func name(of key: [UInt8]) -> String {
        func number(_ at: Int) -> UInt32 {
            key.count < at + 4 ? 0 : key[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        func time(_ at: Int) -> String { Instant(seconds: Int64(number(at)) * 60).description }
        func account(_ number: UInt32) -> String {
            number == .max ? "no account" : "account \(number)"
        }
        switch key.first.flatMap(RollupRowKind.init) {
        case .hour where key.count == 14:
            let tier = ServiceTier(rawValue: key[13]) ?? .standard
            let model = number(9) == .max ? "no model" : "model \(number(9))"
            return "hour \(time(1)), \(account(number(5))), \(model), tier \(tier.name)"
        case .total where key.count == 13:
            return "total of hour \(time(1)), org \(account(number(5))), keys from number "
                + "\(number(9) << RollupBounds.accountsPerTotalBits)"
        case .tag where key.count >= 10:
            let tag = TagKind(rawValue: key[9]).map { "\($0.name)" } ?? "tag \(key[9])"
            let text = String(decoding: key[10...], as: UTF8.self)
            return "day \(time(1)), team \(account(number(5))), \(tag) \"\(text)\""
        case let kind?: return "side row \(kind), key \(key.hex)"
        case nil: return "row of no known kind, key \(key.hex)"
        }
    }
}

extension [UInt8] {
    fileprivate var hex: String { withUnsafeBytes { Bytes($0).hex } }
}

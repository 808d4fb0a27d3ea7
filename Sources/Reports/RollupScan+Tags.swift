import Events
import Journal

// Rows by day, team and what a caller said.

extension RollupScan {
    /// An org's zone, and which of its days are in the time.
    struct OrgSpan {
        var zone: String
        /// In minutes since 1970.
        var minutes: Range<UInt32>
        var isExact = true
        /// Of days by their start.
        var dates: [UInt32: Int32] = [:]
    }
    /// From an org's day: the zone stands in the event that opened it. An org without one has none of UTC.
    private mutating func span(
        of org: UInt32, near minute: UInt32, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> OrgSpan {
        if let known = calendars[org] { return known }
        var opened: UInt64 = 0
        try fold.sides.value(SideRows.key(.day, org, minute / (24 * 60)), rows, &fold.foundDamage) {
            var reader = ByteReader($0)
            while reader.remaining >= 16 {
                _ = reader.uint64()
                opened = reader.uint64()
            }
        }
        var zone = "UTC"
        if opened > 0 {
            var event = ByteBuffer(capacity: 512)
            if try rows.event(opened, into: &event), let stored = try? StoredEvent(event.bytes),
                case .windowOpened(let window)? = Document(stored: stored)
            {
                zone = window.zone
            } else {
                fold.foundDamage = true
            }
        }
        func begin(_ date: Instant) -> UInt32 {
            guard date.nanoseconds > 0 else { return 0 }
            guard date != .distantFuture else { return .max }
            let day = CivilDay(daysSince1970: date.nanoseconds / OrgPlace.dayNanoseconds)
            return UInt32(clamping: query.dates.start(zone, day).second / 60)
        }
        let (from, to) = (begin(query.from), begin(query.to))
        let span = OrgSpan(zone: zone, minutes: from..<max(from, to))
        calendars[org] = span
        return span
    }
    /// What an org calls the day that begins then.
    private mutating func date(of day: UInt32, _ org: UInt32) -> Int32 {
        guard let span = calendars[org] else { return 0 }
        if let known = span.dates[day] { return known }
        let date = query.dates.date(span.zone, Instant(seconds: Int64(day) * 60))
        let number = Int32(clamping: date.daysSince1970)
        calendars[org]!.dates[day] = number
        return number
    }
    /// An org's day is at most so far outside of UTC's of that date, its last hour included.
    private static let reach: UInt32 = 26 * 60
    private var wide: Range<UInt32> {
        let range = query.minutes
        let first = range.lowerBound > RollupScan.reach ? range.lowerBound - RollupScan.reach : 0
        let end =
            range.upperBound < .max - RollupScan.reach
            ? range.upperBound + RollupScan.reach : .max
        return first..<end
    }

    /// First the hours of the days of the time, by org and team, which are of requests that said something or
    /// nothing; then the tags' rows, each of which takes off what said nothing. A page ends where it has enough
    /// groups: groups go on in the next one, and what said nothing is right when all pages are added up.
    mutating func scan(
        _ tag: TagKind, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        var first: [UInt8] = []
        switch query.after {
        case .tagRows(let last): first = last
        case .dayRows(let hour): try scanDays(from: hour, &fold, rows)
        default: try scanDays(from: 0, &fold, rows)
        }
        guard next == nil, damage == nil else { return }
        try scanTags(tag, after: first, &fold, rows)
        if damage == nil, query.after == nil, next == nil { damage = negative(tag) }
    }
    /// What it meets outside of the time is held against the totals and grouped nowhere.
    private mutating func scanDays(
        from hour: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let wide = wide
        let begin = min(max(hour, wide.lowerBound), wide.upperBound)
        var end = wide.upperBound
        var hour = begin
        let damaged = try RollupScan.forEachRow(
            from: RollupScan.key(.hour, begin), rows, query.parts
        ) {
            (reader, row) throws(LMDBError) in
            let start = reader.bigUInt32()
            guard start < wide.upperBound else { return false }
            if start != hour {
                if isPageFull {
                    end = start
                    return false
                }
                hour = start
            }
            let account = reader.bigUInt32()
            try takeDay(start, account, row, &fold, rows)
            return damage == nil
        }
        if let damaged { damage = damaged }
        let taken = begin..<end
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard taken.contains(key.start), key.tag == nil, !key.isTotal else { continue }
            let row = fold.gathered(UInt32(i)).only(query.parts)
            try takeDay(key.start, key.account, row, &fold, rows)
        }
        try addTotals(taken, rows, &fold)
        if end < wide.upperBound { next = .dayRows(end) }
    }
    private mutating func takeDay(
        _ hour: UInt32, _ account: UInt32, _ row: RollupCounts, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let lineage = try fold.lineage(of: account, rows)
        byOrg[lineage.org, default: RollupCounts()].add(row)
        if let only, account != only, lineage.team != only, lineage.org != only { return }
        let day = try fold.day(of: account, hour: hour, rows)
        let span = try span(of: lineage.org, near: hour, &fold, rows)
        let isIn = span.minutes.contains(day)
        if isIn != span.minutes.contains(hour) { calendars[lineage.org]!.isExact = false }
        guard isIn else { return }
        var group = Group()
        if query.by.contains(.day) {
            group.start = day
            group.date = date(of: day, lineage.org)
        }
        group.account = label(account, lineage)
        add(row, to: group)
        total.add(row)
    }

    /// - Parameter after: the stored key, behind its kind, of the row that was taken last.
    private mutating func scanTags(
        _ tag: TagKind, after: [UInt8], _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        // What is stored and what is not written yet, in the order of their keys.
        var unwritten = unwrittenRows(of: tag, after: after, fold)[...]
        var last = ByteBuffer(capacity: RollupBounds.keyBytesMax)
        var first = RollupScan.key(.tag, wide.lowerBound)
        if !after.isEmpty { first = [RollupRowKind.tag.rawValue] + after + [0] }
        var isFull = false
        let damaged = try RollupScan.forEachRow(from: first, rows, query.parts) {
            (reader, row) throws(LMDBError) in
            var whole = reader
            let key = whole.bytes(whole.remaining)
            let day = reader.bigUInt32()
            guard day < wide.upperBound else { return false }
            let team = reader.bigUInt32()
            guard reader.uint8() == tag.rawValue else { return true }
            try take(&unwritten, before: key, &last, &isFull, &fold, rows)
            if !isFull, isPageFull { isFull = true }
            guard !isFull else { return false }
            let text = fold.texts.handle(reader.bytes(reader.remaining))
            try takeTag(day, team, text, row, &fold, rows)
            last.removeAll()
            last.append(key)
            // A key that stands in both is one row, and on one page.
            if let next = unwritten.first, next.key == Array(key) {
                try take(&unwritten, &last, &fold, rows)
            }
            return damage == nil
        }
        if let damaged { damage = damaged }
        if damage == nil, !isFull {
            try take(&unwritten, before: nil, &last, &isFull, &fold, rows)
        }
        if isFull { next = .tagRows(last.isEmpty ? after : Array(last.bytes)) }
    }
    private var isPageFull: Bool { sums.count >= query.groupsPerPage }

    private typealias Unwritten = (key: [UInt8], row: UInt32)
    private func unwrittenRows(
        of tag: TagKind, after: [UInt8], _ fold: borrowing RollupFold
    ) -> [Unwritten] {
        let wide = wide
        var found: [Unwritten] = []
        var stored = ByteBuffer(capacity: RollupBounds.keyBytesMax)
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard key.tag == tag, wide.contains(key.start) else { continue }
            stored.removeAll()
            stored.append(stored: key, text: fold.texts.text(key.middle))
            let rest = Array(stored.bytes.slice(1, stored.count))
            guard after.isEmpty || after.lexicographicallyPrecedes(rest) else { continue }
            found.append((rest, UInt32(i)))
        }
        return found.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
    /// Takes those that stand before a key, or all, until the page is full.
    private mutating func take(
        _ unwritten: inout ArraySlice<Unwritten>, before key: Bytes?, _ last: inout ByteBuffer,
        _ isFull: inout Bool, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        while damage == nil, let next = unwritten.first {
            if let key, !next.key.lexicographicallyPrecedes(Array(key)) { return }
            guard !isPageFull else {
                isFull = true
                return
            }
            try take(&unwritten, &last, &fold, rows)
        }
    }
    private mutating func take(
        _ unwritten: inout ArraySlice<Unwritten>, _ last: inout ByteBuffer,
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let next = unwritten.removeFirst()
        let key = fold.segment.key(Int(next.row))
        let row = fold.gathered(next.row).only(query.parts)
        try takeTag(key.start, key.account, key.middle, row, &fold, rows)
        last.removeAll()
        next.key.withUnsafeBytes { last.append(Bytes($0)) }
    }
    private mutating func takeTag(
        _ day: UInt32, _ team: UInt32, _ text: UInt32, _ row: RollupCounts,
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let lineage = try fold.lineage(of: team, rows)
        if let only, team != only, lineage.org != only { return }
        let span = try span(of: lineage.org, near: day, &fold, rows)
        guard span.minutes.contains(day) else { return }
        var group = Group()
        if query.by.contains(.day) {
            group.start = day
            group.date = date(of: day, lineage.org)
        }
        group.account = label(team, lineage)
        // What said something is no longer what said nothing.
        var rest = RollupCounts()
        rest.subtract(row)
        add(rest, to: group)
        group.text = text
        add(row, to: group)
    }
    /// Where a tag's rows count more than the hours of the same days: then what said nothing is less than
    /// nothing. Money apart, which a correction may have made so.
    private func negative(_ tag: TagKind) -> Failure? {
        for (group, i) in groups where group.text == 0 {
            for field in RollupField.allCases where !field.isMoney && sums[i][field] < 0 {
                return Failure(
                    .error,
                    "the roll-ups do not add up: by \(tag.name) there are more \(field.name) than in the "
                        + "hours of the same days; 'serve --reindex' makes them anew from the log")
            }
        }
        return nil
    }
}

import Events
import Journal

/// One walk over the rows of a time, or of as much of it as fits a page: groups them, and holds their sums
/// against the totals.
struct RollupScan: ~Copyable {
    let query: RollupQuery
    let only: UInt32?

    struct Group: Hashable {
        var start: UInt32 = 0
        var account: UInt32 = .max
        var model: UInt32 = .max
        var tier: UInt8 = 0
        /// Of a day, in days since 1970: what its org, or the question's zone, calls it.
        var date: Int32 = 0
        /// Handle of a tag's text in the fold's pool.
        var text: UInt32 = 0
    }
    var groups: [Group: Int] = [:]  // sorted before it is answered
    var sums: [RollupCounts] = []
    var providers: [String] = []
    var providerOfModel: [UInt32: UInt32] = [:]
    /// What all rows that were looked at come to by org, and what was kept beside them.
    var byOrg: [UInt32: RollupCounts] = [:]
    var totals: [UInt32: RollupCounts] = [:]
    var total = RollupCounts()
    var next: RollupCursor?
    var damage: Failure?
    /// Dates of the question's zone by the hours that begin on them.
    var dates: [UInt32: Int32] = [:]
    var calendars: [UInt32: OrgSpan] = [:]  // sorted before they are answered

    init(_ query: RollupQuery) {
        self.query = query
        only = query.account?.raw
    }

    /// - Returns: why there is no answer.
    mutating func run(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> Failure? {
        if let refusal = try refusal(&fold, rows) { return refusal }
        if let tag = query.tag {
            try scan(tag, &fold, rows)
        } else if query.depth == .key, !query.isByTime {
            switch query.after {
            case .runFrom(let run, let hour): try scanRun(run, from: hour, &fold, rows)
            case .number(let run): try scanRun(run, &fold, rows)
            default: try scanRun(0, &fold, rows)
            }
        } else {
            var range = query.minutes
            if case .number(let hour)? = query.after {
                range = min(max(hour, range.lowerBound), range.upperBound)..<range.upperBound
            }
            try scan(range, &fold, rows)
        }
        if let damage { return damage }
        return disagreement()
    }

    /// Why that cannot be asked.
    private func refusal(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> Failure? {
        if let after = query.after, !isOurs(after) {
            return Failure(
                .error, "after=\(after) is no answer's next: leave it out for the first page")
        }
        if let tag = query.tag, ![query.from, query.to].allSatisfy(RollupScan.isDate) {
            return Failure(
                .error,
                "\(tag.name) is counted by whole days of each org's own calendar: from= and to= are dates "
                    + "there, each as its midnight in UTC, such as 2026-11-22T00:00:00Z")
        }
        if let tag = query.tag, let only {
            let lineage = try fold.lineage(of: only, rows)
            guard only == lineage.team || only == lineage.org else {
                return Failure(
                    .error,
                    "\(tag.name) is counted by team, not by key: name the key's team as the account"
                )
            }
        }
        return nil
    }

    /// Whether a page of such an answer can have ended there.
    private func isOurs(_ after: RollupCursor) -> Bool {
        let isByRun = query.tag == nil && query.depth == .key && !query.isByTime
        return switch after {
        case .number(let number):
            query.tag == nil && (!isByRun || number <= RollupScan.noAccountRun)
        case .runFrom(let run, _): isByRun && run <= RollupScan.noAccountRun
        case .dayRows, .tagRows: query.tag != nil
        }
    }
    private static func isDate(_ instant: Instant) -> Bool {
        instant == .distantFuture || instant.nanoseconds % OrgPlace.dayNanoseconds == 0
    }

    // MARK: Groups

    mutating func take(
        _ start: UInt32, _ account: UInt32, _ model: UInt32, _ tier: UInt8, _ row: RollupCounts,
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let lineage = try fold.lineage(of: account, rows)
        byOrg[lineage.org, default: RollupCounts()].add(row)
        if let only, account != only, lineage.team != only, lineage.org != only { return }
        var group = Group()
        if query.by.contains(.hour) { group.start = start }
        if query.by.contains(.day) { group.date = date(of: start) }
        group.account = label(account, lineage)
        if query.by.contains(.model) {
            group.model = model
        } else if query.by.contains(.provider) {
            group.model = try provider(of: model, &fold, rows)
        }
        if query.by.contains(.tier) { group.tier = tier }
        add(row, to: group)
        total.add(row)
    }
    func label(_ account: UInt32, _ lineage: (org: UInt32, team: UInt32)) -> UInt32 {
        switch query.depth {
        case .key: account
        case .team: lineage.team == .max ? lineage.org : lineage.team
        case .org: lineage.org
        case nil: .max
        }
    }
    mutating func add(_ row: RollupCounts, to group: Group) {
        if let i = groups[group] {
            sums[i].add(row)
            return
        }
        guard sums.count < RollupBounds.groupsMax else {
            damage = Failure(
                .error,
                "more than \(RollupBounds.groupsMax) groups: ask by less, for a shorter time, or for "
                    + "one account= at a time")
            return
        }
        groups[group] = sums.count
        sums.append(row)
    }

    // MARK: What is not written yet

    mutating func addSegment(
        _ range: Range<UInt32>, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows,
        accounts: ClosedRange<UInt32> = 0...UInt32.max
    ) throws(LMDBError) {
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard range.contains(key.start), key.tag == nil, !key.isTotal,
                accounts.contains(key.account)
            else { continue }
            let row = fold.gathered(UInt32(i)).only(query.parts)
            try take(key.start, key.account, key.middle, key.kind, row, &fold, rows)
        }
    }
    /// What was kept beside the rows that were taken.
    mutating func addTotals(
        _ range: Range<UInt32>, _ rows: borrowing ProjectionRows, _ fold: inout RollupFold,
        run: UInt32? = nil
    ) throws(LMDBError) {
        let damaged = try RollupScan.forEachRow(
            from: RollupScan.key(.total, range.lowerBound), rows, query.parts
        ) {
            (reader, row) throws(LMDBError) in
            guard reader.bigUInt32() < range.upperBound else { return false }
            let org = reader.bigUInt32()
            let of = reader.bigUInt32()
            guard run == nil || of == run else { return true }
            totals[org, default: RollupCounts()].add(row)
            return true
        }
        if let damaged { damage = damaged }
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard range.contains(key.start), key.isTotal, run == nil || key.middle == run else {
                continue
            }
            let row = fold.gathered(UInt32(i)).only(query.parts)
            totals[key.account, default: RollupCounts()].add(row)
        }
    }
    /// Where the sum over keys is not what the org's total says; nil where all agree.
    func disagreement() -> Failure? {
        for org in Set(byOrg.keys).union(totals.keys).sorted() {
            let rows = byOrg[org] ?? RollupCounts()
            let kept = totals[org] ?? RollupCounts()
            for field in RollupField.allCases where rows[field] != kept[field] {
                return Failure(
                    .error,
                    "the roll-ups do not add up: of org number \(org) the keys' \(field.name) come to "
                        + "\(rows[field]), its total is \(kept[field]); "
                        + "'serve --reindex' makes them anew from the log")
            }
        }
        return nil
    }

    // MARK: Rows

    static func key(_ kind: RollupRowKind, _ start: UInt32, _ account: UInt32 = 0)
        -> [UInt8]
    {
        SideRows.key(kind, start, account)
    }
    /// The rows of a kind from a key on: what follows the kind in their keys, and their counts.
    /// - Returns: which row is not what was once written; nothing follows it.
    static func forEachRow(
        from first: [UInt8], _ rows: borrowing ProjectionRows,
        _ parts: RollupParts,
        _ body: (_ key: inout ByteReader, RollupCounts) throws(LMDBError) -> Bool
    ) throws(LMDBError) -> Failure? {
        var counts = RollupCounts()
        var found: Failure?
        var start = ByteBuffer()
        first.withUnsafeBytes { start.append(Bytes($0)) }
        try rows.forEach(from: start.bytes) { (key, value) throws(LMDBError) in
            guard key[0] == first[0] else { return false }
            counts.removeAll()
            guard let row = RollupSeal.open(key, value), counts.add(stored: row, only: parts) else {
                found = RollupReader.damaged(row: Array(key))
                return false
            }
            var reader = ByteReader(key.slice(1, key.count))
            return try body(&reader, counts)
        }
        return found
    }
}

extension RollupCounts {
    mutating func subtract(_ other: RollupCounts) {
        for field in RollupField.allCases { self[field] = self[field] &- other[field] }
        for item in other.tagged { add(0 &- item.value, under: item.tag) }
    }
    var isZero: Bool {
        RollupField.allCases.allSatisfy { self[$0] == 0 } && tagged.allSatisfy { $0.value == 0 }
    }
}

import Events
import Journal

/// One walk over the rows of a time: groups them, and holds their sums against the totals.
struct RollupScan: ~Copyable {
    private let query: RollupQuery
    private let only: UInt32?

    private struct Group: Hashable {
        var start: UInt32 = 0
        var account: UInt32 = .max
        var model: UInt32 = .max
        var tier: UInt8 = 0
        /// Of a tag's day, in days since 1970: what its org calls it.
        var date: Int32 = 0
        /// Handle of a tag's text in the fold's pool.
        var text: UInt32 = 0
    }
    private var groups: [Group: Int] = [:]  // sorted before it is answered
    private var sums: [RollupCounts] = []
    private var providers: [String] = []
    private var providerOfModel: [UInt32: UInt32] = [:]
    /// What all rows that were looked at come to by org, and what was kept beside them.
    private var byOrg: [UInt32: RollupCounts] = [:]
    private var totals: [UInt32: RollupCounts] = [:]
    private var total = RollupCounts()
    private var next: UInt32?
    private var damage: Failure?
    private var calendars: [UInt32: OrgSpan] = [:]  // sorted before they are answered

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
            try scanDays(&fold, rows)
            try scanTags(tag, &fold, rows)
            if damage == nil { damage = negative(tag) }
        } else if query.depth == .key, !query.isByTime {
            try scanRun(query.after ?? 0, &fold, rows)
        } else {
            var range = query.minutes
            if let after = query.after, query.isByTime {
                range = min(max(after, range.lowerBound), range.upperBound)..<range.upperBound
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
        if query.depth == .key, !query.isByTime, let after = query.after,
            after > RollupScan.noAccountRun
        {
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

    private static func isDate(_ instant: Instant) -> Bool {
        instant == .distantFuture || instant.nanoseconds % OrgPlace.dayNanoseconds == 0
    }

    // MARK: Hours

    /// All rows of a time; by time it may end early, with an hour.
    private mutating func scan(
        _ range: Range<UInt32>, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        var end = range.upperBound
        var hour = range.lowerBound
        let damaged = try RollupScan.forEachRow(from: RollupScan.key(.hour, range.lowerBound), rows)
        {
            (reader, row) throws(LMDBError) in
            let start = reader.bigUInt32()
            guard start < range.upperBound else { return false }
            if start != hour {
                if query.isByTime, sums.count >= RollupBounds.groupsPerPage {
                    end = start
                    return false
                }
                hour = start
            }
            let (account, model, tier) = (reader.bigUInt32(), reader.bigUInt32(), reader.uint8())
            try take(start, account, model, tier, row, &fold, rows)
            return damage == nil
        }
        if let damaged { damage = damaged }
        let taken = range.lowerBound..<end
        try addSegment(taken, &fold, rows)
        try addTotals(taken, rows, &fold)
        if end < range.upperBound { next = end }
    }
    /// A run of accounts in every hour of the time.
    private mutating func scanRun(
        _ run: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let range = query.minutes
        let first = run << RollupBounds.accountsPerTotalBits
        let last = first + (RollupBounds.accountsPerTotal - 1)
        var hour: UInt32? = range.lowerBound
        while let start = hour, damage == nil {
            hour = nil
            let damaged = try RollupScan.forEachRow(from: RollupScan.key(.hour, start, first), rows)
            {
                (reader, row) throws(LMDBError) in
                let found = reader.bigUInt32()
                guard found < range.upperBound else { return false }
                let account = reader.bigUInt32()
                if found != start {
                    hour = found
                    return false
                }
                guard account <= last else {
                    hour = found + 1
                    return false
                }
                let (model, tier) = (reader.bigUInt32(), reader.uint8())
                try take(found, account, model, tier, row, &fold, rows)
                return damage == nil
            }
            if let damaged { damage = damaged }
        }
        try addSegment(range, &fold, rows, accounts: first...last)
        try addTotals(range, rows, &fold, run: run)
        // Behind the last account there are the requests of none.
        if run < RollupScan.noAccountRun {
            next = try highestAccount(&fold, rows) > last ? run + 1 : RollupScan.noAccountRun
        }
    }
    private static let noAccountRun = UInt32.max >> RollupBounds.accountsPerTotalBits

    /// The greatest account number there is.
    private func highestAccount(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> UInt32 {
        // Numbers have no gaps: doubled until there is none, then halved.
        func exists(_ number: UInt32) throws(LMDBError) -> Bool {
            try rows.name(.account, number) != nil
        }
        var low: UInt32 = 0
        var high: UInt32 = 1
        while try exists(high) {
            low = high
            high *= 2
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if try exists(middle) { low = middle } else { high = middle }
        }
        return low
    }

    private mutating func take(
        _ start: UInt32, _ account: UInt32, _ model: UInt32, _ tier: UInt8, _ row: RollupCounts,
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let lineage = try fold.lineage(of: account, rows)
        byOrg[lineage.org, default: RollupCounts()].add(row)
        if let only, account != only, lineage.team != only, lineage.org != only { return }
        var group = Group()
        if query.by.contains(.hour) { group.start = start }
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
    private func label(_ account: UInt32, _ lineage: (org: UInt32, team: UInt32)) -> UInt32 {
        switch query.depth {
        case .key: account
        case .team: lineage.team == .max ? lineage.org : lineage.team
        case .org: lineage.org
        case nil: .max
        }
    }
    private mutating func add(_ row: RollupCounts, to group: Group) {
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

    private mutating func addSegment(
        _ range: Range<UInt32>, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows,
        accounts: ClosedRange<UInt32> = 0...UInt32.max
    ) throws(LMDBError) {
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard range.contains(key.start), key.tag == nil, !key.isTotal,
                accounts.contains(key.account)
            else { continue }
            let row = fold.gathered(UInt32(i))
            try take(key.start, key.account, key.middle, key.kind, row, &fold, rows)
        }
    }
    /// What was kept beside the rows that were taken.
    private mutating func addTotals(
        _ range: Range<UInt32>, _ rows: borrowing ProjectionRows, _ fold: inout RollupFold,
        run: UInt32? = nil
    ) throws(LMDBError) {
        let damaged = try RollupScan.forEachRow(
            from: RollupScan.key(.total, range.lowerBound), rows
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
            let row = fold.gathered(UInt32(i))
            totals[key.account, default: RollupCounts()].add(row)
        }
    }
    /// Where the sum over keys is not what the org's total says; nil where all agree.
    private func disagreement() -> Failure? {
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

    // MARK: Tags

    /// An org's zone, and which of its days are in the time.
    private struct OrgSpan {
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

    /// Requests by org and team in the days of the time: what tags leave over said nothing. One walk, to
    /// its end: what it meets outside of the time is held against the totals and grouped nowhere.
    private mutating func scanDays(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let wide = wide
        let damaged = try RollupScan.forEachRow(from: RollupScan.key(.hour, wide.lowerBound), rows)
        {
            (reader, row) throws(LMDBError) in
            let start = reader.bigUInt32()
            guard start < wide.upperBound else { return false }
            let account = reader.bigUInt32()
            try takeDay(start, account, row, &fold, rows)
            return damage == nil
        }
        if let damaged { damage = damaged }
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard wide.contains(key.start), key.tag == nil, !key.isTotal else { continue }
            let row = fold.gathered(UInt32(i))
            try takeDay(key.start, key.account, row, &fold, rows)
        }
        try addTotals(wide, rows, &fold)
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

    private mutating func scanTags(
        _ tag: TagKind, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        let wide = wide
        let damaged = try RollupScan.forEachRow(from: RollupScan.key(.tag, wide.lowerBound), rows) {
            (reader, row) throws(LMDBError) in
            let day = reader.bigUInt32()
            guard day < wide.upperBound else { return false }
            let team = reader.bigUInt32()
            guard reader.uint8() == tag.rawValue else { return true }
            let text = fold.texts.handle(reader.bytes(reader.remaining))
            try takeTag(day, team, text, row, &fold, rows)
            return damage == nil
        }
        if let damaged { damage = damaged }
        for i in 0..<fold.segment.count {
            let key = fold.segment.key(i)
            guard key.tag == tag, wide.contains(key.start) else { continue }
            let row = fold.gathered(UInt32(i))
            try takeTag(key.start, key.account, key.middle, row, &fold, rows)
        }
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

    // MARK: Names

    private mutating func provider(
        of model: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> UInt32 {
        if let known = providerOfModel[model] { return known }
        var number = UInt32.max
        if let name = try RollupScan.name(ofModel: model, &fold, rows) {
            let provider = String(name.prefix { $0 != "/" })
            number = UInt32(providers.firstIndex(of: provider) ?? providers.count)
            if Int(number) == providers.count { providers.append(provider) }
        }
        providerOfModel[model] = number
        return number
    }
    private static func name(
        ofModel model: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> String? {
        if model == .max { return nil }
        guard model >= RollupFold.firstModelNumber else { return try rows.name(.model, model) }
        var name: String?
        try fold.sides.value(SideRows.key(.modelName, model), rows, &fold.foundDamage) {
            name = $0.string
        }
        return name
    }
    private static func instant(_ minutes: UInt32) -> String {
        Instant(seconds: Int64(minutes) * 60).description
    }

    /// The groups with names in the place of numbers, in order of the numbers.
    mutating func answer(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> RollupAnswer {
        var answer = RollupAnswer()
        answer.total = total
        answer.next = next
        let order = groups.keys.sorted {
            if $0.start != $1.start { return $0.start < $1.start }
            if $0.date != $1.date { return $0.date < $1.date }
            if $0.account != $1.account { return $0.account < $1.account }
            if $0.model != $1.model { return $0.model < $1.model }
            return $0.tier != $1.tier ? $0.tier < $1.tier : $0.text < $1.text
        }
        for group in order {
            let counts = sums[groups[group]!]
            if query.tag != nil, group.text == 0, counts.isZero { continue }
            var labels: [String?] = []
            for dimension in query.by {
                labels.append(try label(dimension, group, &fold, rows))
            }
            var answered = RollupAnswer.Group(labels: labels, counts: counts)
            if query.tag != nil, query.by.contains(.day) {
                answered.date = CivilDay(daysSince1970: Int64(group.date)).text
            }
            answer.groups.append(answered)
        }
        for (org, span) in calendars.sorted(by: { $0.key < $1.key }) {
            func instant(_ minute: UInt32) -> Instant {
                minute == .max ? .distantFuture : Instant(seconds: Int64(minute) * 60)
            }
            answer.spans.append(
                RollupAnswer.Span(
                    org: org == .max ? nil : try rows.name(.account, org), zone: span.zone,
                    from: instant(span.minutes.lowerBound), to: instant(span.minutes.upperBound),
                    isExact: span.isExact))
        }
        return answer
    }
    private func label(
        _ dimension: RollupQuery.Dimension, _ group: Group, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> String? {
        switch dimension {
        case .hour, .day: return RollupScan.instant(group.start)
        case .key, .team, .org:
            guard group.account != .max,
                let path = try rows.name(.account, group.account)
            else { return nil }
            let depth = dimension == .key ? 3 : dimension == .team ? 2 : 1
            let names = path.split(separator: "/")
            // Of a request that was charged to no key there is no such name.
            return names.count < depth ? nil : names.prefix(depth).joined(separator: "/")
        case .model: return try RollupScan.name(ofModel: group.model, &fold, rows)
        case .provider:
            // Beside models a group is of one model, and that has a name.
            guard query.by.contains(.model) else {
                return group.model == .max ? nil : providers[Int(group.model)]
            }
            let name = try RollupScan.name(ofModel: group.model, &fold, rows)
            return name.map { String($0.prefix { $0 != "/" }) }
        case .tier: return "\((ServiceTier(rawValue: group.tier) ?? .standard).name)"
        case .user, .project, .env:
            return group.text == 0 ? nil : fold.texts.text(group.text).string
        }
    }

    // MARK: Rows

    private static func key(_ kind: RollupRowKind, _ start: UInt32, _ account: UInt32 = 0)
        -> [UInt8]
    {
        SideRows.key(kind, start, account)
    }
    /// The rows of a kind from a key on: what follows the kind in their keys, and their counts.
    /// - Returns: which row is not what was once written; nothing follows it.
    private static func forEachRow(
        from first: [UInt8], _ rows: borrowing ProjectionRows,
        _ body: (_ key: inout ByteReader, RollupCounts) throws(LMDBError) -> Bool
    ) throws(LMDBError) -> Failure? {
        var counts = RollupCounts()
        var found: Failure?
        var start = ByteBuffer()
        first.withUnsafeBytes { start.append(Bytes($0)) }
        try rows.forEach(from: start.bytes) { (key, value) throws(LMDBError) in
            guard key[0] == first[0] else { return false }
            counts.removeAll()
            guard let row = RollupSeal.open(key, value), counts.add(stored: row) else {
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

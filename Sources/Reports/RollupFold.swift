import Events
import Journal

/// The fold of events into roll-ups: what was used by hour, key, model and service tier, and by day, team
/// and tag.
///
/// Money and tokens belong to the hour in which the request was placed, as in budgets; so a sum of hours is
/// what the budget's window said. Rows are written at every `RollupBounds.segmentEvents`-th event; what was
/// counted since stands in memory, and whoever reads folds those events again.
package struct RollupFold: ~Copyable {
    /// The last event folded.
    package private(set) var seq: UInt64 = 0
    var segment = RollupSegment()
    var texts = TextPool()
    var placings: RecentPlacings
    var places = AccountPlaces()
    var sides = SideRows()
    /// An event or row that was needed and is not what was once written: its amounts stand where nothing is
    /// known of the request.
    var foundDamage = false
    var copy = ByteBuffer(capacity: 1_024)

    private let segmentEvents: UInt64

    /// - Parameters:
    ///   - segmentEvents: tests write rows more often,
    ///   - placings: and remember fewer; a power of two.
    package init(
        isReader: Bool = false, segmentEvents: UInt64 = RollupBounds.segmentEvents,
        placings capacity: Int? = nil
    ) {
        self.segmentEvents = segmentEvents
        placings = RecentPlacings(
            capacity: capacity
                ?? (isReader ? RollupBounds.placingsOfReader : RollupBounds.placings))
        RollupBounds.check()
    }

    /// Takes up a table that holds everything up to an event, and forgets all else.
    package mutating func resume(at seq: UInt64) {
        self.seq = seq
        segment.removeAll()
        texts.removeAll()
        placings.removeAll()
        places.removeAll()
        sides.removeAll()
        foundDamage = false
    }
    /// Folds the next events, whatever of the page has been folded already apart.
    package mutating func fold<Table: RollupTable & ~Copyable>(
        _ page: EventPage, _ table: borrowing Table, writes: Bool
    ) throws(LMDBError) {
        guard page.lastSeq > seq else { return }
        precondition(page.firstSeq <= seq + 1, "no event is left out")
        var skip = seq + 1 - page.firstSeq
        for event in page.events {
            guard skip == 0 else {
                skip -= 1
                continue
            }
            try fold(event, table)
            seq &+= 1
            if writes, seq % segmentEvents == 0 { try write(into: table) }
        }
    }

    @inline(__always)
    private mutating func fold<Table: RollupTable & ~Copyable>(
        _ event: Bytes, _ table: borrowing Table
    ) throws(LMDBError) {
        switch event[2] {
        case EventType.holdPlaced.rawValue: try placed(event, table)
        case EventType.holdSettled.rawValue: try settled(event, table)
        default: try other(event, table)
        }
    }

    // MARK: The hot two

    @inline(__always)
    private mutating func placed<Table: RollupTable & ~Copyable>(
        _ bytes: Bytes, _ table: borrowing Table
    ) throws(LMDBError) {
        guard let event = try? StoredHoldPlaced(bytes) else { return }
        let placing = placings.put(try placing(of: event, bytes, table))
        var saved: Int64 = 0
        if event.flags & Extras.flag != 0, let routing = event.extras.routing {
            saved = routing.saved
        }
        let rows = rows(placing, placing.pointee.tier)
        for i in 0..<rows.count {
            let cells = segment.counters(rows.list[i])
            cells[RollupField.placed.rawValue] &+= 1
            if saved != 0 { cells[RollupField.saved.rawValue] &+= saved }
        }
    }

    @inline(__always)
    private mutating func settled<Table: RollupTable & ~Copyable>(
        _ bytes: Bytes, _ table: borrowing Table
    ) throws(LMDBError) {
        guard let event = try? StoredHoldSettled(bytes) else { return }
        let hold = event.hold
        let placing = try placing(of: hold, table)
        if event.isLate { try giveBack(hold, placing, table) }
        let tier = event.tier.rawValue
        // A correction must find the row again that it corrects.
        if tier != placing.pointee.tier { noteTier(tier, of: hold) }
        var bill: RollupBill?
        if event.flags & Extras.flag != 0,
            let billed = (try? Extras(bytes.slice(85, bytes.count)))?.billed
        {
            bill = try self.bill(billed, usd: event.usd, hold, org: placing.pointee.org, table)
        }
        let rows = rows(placing, tier)
        let usage = event.usage
        count(
            usage, usd: event.usd, event.outcome, ms: bytes.base!.field(UInt32.self, 81), bill,
            isLate: event.isLate, as: .settled, rows)
    }

    /// Adds what a settlement or a charge used.
    @inline(__always)
    mutating func count(
        _ usage: TokenUsage, usd: Int64, _ outcome: Outcome, ms: UInt32, _ bill: RollupBill?,
        isLate: Bool, as field: RollupField, _ rows: RowList
    ) {
        var billedUSD = usd
        if let bill { billedUSD = bill.currency == .usd ? bill.amount : 0 }
        for i in 0..<rows.count {
            let cells = segment.counters(rows.list[i])
            cells[field.rawValue] &+= 1
            cells[RollupField.input.rawValue] &+= usage.input
            cells[RollupField.output.rawValue] &+= usage.output
            cells[RollupField.cached.rawValue] &+= usage.cached
            cells[RollupField.cacheWrite.rawValue] &+= usage.cacheWrite
            cells[RollupField.reasoning.rawValue] &+= usage.reasoning
            cells[RollupField.usd.rawValue] &+= usd
            cells[RollupField.billedUSD.rawValue] &+= billedUSD
            if isLate { cells[RollupField.late.rawValue] &+= 1 }
            switch outcome {
            case .exact: cells[RollupField.exact.rawValue] &+= 1
            case .partial:
                cells[RollupField.partial.rawValue] &+= 1
                cells[RollupField.partialUSD.rawValue] &+= usd
            case .estimated:
                cells[RollupField.estimated.rawValue] &+= 1
                cells[RollupField.estimatedUSD.rawValue] &+= usd
            }
            if ms > 0 {
                cells[RollupField.timed.rawValue] &+= 1
                cells[RollupField.milliseconds.rawValue] &+= Int64(ms)
            }
        }
        if ms > 0 {
            let bucket = 256 + UInt32(LatencyHistogram.bucket(of: ms))
            // The total's row is the second; it is there to be compared, and needs no percentiles.
            for i in 0..<rows.count where i != 1 { segment.note(rows.list[i], bucket) }
        }
        if let bill, bill.currency != .usd { note(bill, by: 1, rows) }
    }
    @inline(never)
    mutating func note(_ bill: RollupBill, by sign: Int64, _ rows: RowList) {
        for part in BilledPart.allCases {
            let tag = RollupTag(bill.currency, part).raw
            let amount = sign &* bill[part]
            for i in 0..<rows.count { segment.note(rows.list[i], tag, amount) }
        }
    }

    // MARK: Rows

    /// The rows in which a request counts: its hour's, the hour's total, and one a tag.
    struct RowList {
        var list: InlineArray<5, UInt32> = [0, 0, 0, 0, 0]
        var count = 0
    }
    @inline(__always)
    mutating func rows(_ placing: UnsafeMutablePointer<Placing>, _ tier: UInt8) -> RowList {
        var rows = RowList()
        let at = placing.pointee
        rows.list[0] = segment.row(
            .hour(at.hour, account: at.account, model: at.model, tier))
        rows.list[1] = segment.row(
            .total(
                at.hour, org: places.orgs[Int(at.org)].account,
                run: at.account >> RollupBounds.accountsPerTotalBits))
        rows.count = 2
        if at.user | at.project | at.environment != 0 { addTags(at, &rows) }
        return rows
    }
    private mutating func addTags(_ at: Placing, _ rows: inout RowList) {
        if at.user != 0 { addTag(at, at.user, .user, &rows) }
        if at.project != 0 { addTag(at, at.project, .project, &rows) }
        if at.environment != 0 { addTag(at, at.environment, .environment, &rows) }
    }
    private mutating func addTag(
        _ at: Placing, _ text: UInt32, _ kind: TagKind, _ rows: inout RowList
    ) {
        rows.list[rows.count] = segment.row(.tag(at.day, team: at.team, text: text, kind))
        rows.count += 1
    }
}

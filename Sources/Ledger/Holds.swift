import CMemory
import Events

/// Where a request stands. The raw values stand in checkpoints.
package enum HoldState: UInt8, BitwiseCopyable, Sendable {
    case free = 0
    case open = 1
    case settled = 2
    case released = 3
    case lapsed = 4
    /// A charge without a hold, remembered so that the same id is not charged twice.
    case charge = 5

    package var name: StaticString {
        switch self {
        case .free: "free"
        case .open: "open"
        case .settled: "settled"
        case .released: "released"
        case .lapsed: "lapsed"
        case .charge: "charge"
        }
    }
}

/// An open hold, or one that has ended and is still remembered to answer repeats.
///
/// Two cache lines, and the first is all that a settlement has to know beside the money. A million
/// of these are remembered, so what can be told from the other fields is not stored.
struct HoldRow: BitwiseCopyable {
    var seq: UInt64 = 0
    var epoch: UInt32 = 0
    var state: HoldState = .free
    var tier: ServiceTier = .standard
    /// The settlement came after a release or lapse, or its hold was never known.
    var isLate = false
    var key: UInt32 = 0
    /// `.max`: a model without a price.
    var model: UInt32 = 0
    /// The price's row; without a price, where the model's name stands in the arena.
    private var priceOrName: UInt32 = 0
    private var nameLength: UInt32 = 0
    var placedAt: Int64 = 0
    var until: UInt32 = 0
    /// Where it stands what an extended hold was when it was placed; `.max` for one never extended.
    fileprivate(set) var placing = UInt32.max
    var input: Int64 = 0
    var output: Int64 = 0

    var usd: Int64 = 0
    /// What is counted as spent after the end.
    var spentUSD: Int64 = 0
    var spentTokens: Int64 = 0
    /// What was left when it was settled; `.min` where no limit bound.
    var left: Int64 = .min
    /// Tells the same settlement from one with other numbers.
    var settled: UInt64 = 0
    var id = IDHash.none
    /// Neighbours in the deadline wheel's list of one second. Of a hold that has ended, the first says
    /// by which terms it was charged: see `terms`.
    var wheelNext: UInt32 = .max
    var wheelPrevious: UInt32 = .max

    var price: UInt32 { model == .max ? .max : priceOrName }
    var modelName: NameRef {
        model == .max ? NameRef(offset: priceOrName, length: nameLength) : .none
    }
    mutating func setModel(_ number: UInt32, price: UInt32) {
        model = number
        priceOrName = price
        nameLength = 0
    }
    mutating func setModel(unpriced name: NameRef) {
        model = .max
        priceOrName = name.offset
        nameLength = name.length
    }
    var name: HoldName { HoldName(epoch: epoch, seq: seq) }
    /// Whether it is found by its name: a charge never is, nor a settlement whose name was taken.
    var isNamed: Bool { state != .charge && state != .free && seq != 0 }
    var leftMoney: Nanodollars? { left == .min ? nil : Nanodollars(left) }
    var tokens: Int64 { input + output }
    /// By which terms it was charged. Only what has ended was, and only what is open is on the wheel, so
    /// both stand in one place.
    var terms: HoldTerms {
        get { state == .open ? .none : HoldTerms(raw: ~wheelNext) }
        set { wheelNext = ~newValue.raw }
    }
}

/// Which of an org's terms a charge was billed by, and whether it was drawn from credit; so that a late
/// settlement or a correction knows what was billed before.
struct HoldTerms: BitwiseCopyable {
    fileprivate(set) var raw: UInt32
    static let none = HoldTerms(raw: 0)

    init(number: UInt32, drawn: Bool) { raw = number << 1 | (drawn ? 1 : 0) }
    init(raw: UInt32) { self.raw = raw }
    var number: UInt32 { raw >> 1 }
    var drawn: Bool { raw & 1 == 1 }
}

/// What an extended hold was when it was placed, since the same RESERVE has the same answer.
struct PlacedHold: BitwiseCopyable {
    var input: Int64
    var output: Int64
    var usd: Int64
    var until: UInt32
    /// The event that moved its deadline last; 0 when none did.
    var movedBy: UInt64 = 0
}

/// A caller's id, hashed together with its key and the kind of verb.
struct IDHash: BitwiseCopyable, Hashable {
    enum Kind: UInt64 {
        case hold = 0x484F
        case charge = 0x4348
    }
    var low: UInt64
    var high: UInt64
    static let none = IDHash(low: 0, high: 0)
    @inline(__always) var isNone: Bool { low == 0 && high == 0 }

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
    init(_ kind: Kind, key: UInt32, _ id: Bytes) {
        let hash = Hash128(id, seed: kind.rawValue << 32 | UInt64(key))
        // All-zero means "no id", so no id may hash to it.
        low = hash.low | 1
        high = hash.high
    }
    static func stored(low: UInt64, high: UInt64) -> IDHash { IDHash(low: low, high: high) }
}

/// All holds, found by name, by caller's id and by deadline.
///
/// Ended holds are remembered, the last `endedMax` of them (and as many charges), and then forgotten
/// in the order in which they ended: part of the fold, so every replay forgets the same ones.
struct HoldTable: ~Copyable {
    static let endedMax = 1 << 20
    private static let wheelSlots = 1 << 17

    private(set) var rows = Rows<HoldRow>()
    private var free = SlotStack()
    private var placings = Rows<PlacedHold>()
    private var freePlacings = SlotStack()
    private(set) var ended = SlotQueue()
    /// Charges and settlements of unknown holds, in a queue of their own: nothing but their memory
    /// tells a repeat, so ended holds must not crowd them out.
    private(set) var charges = SlotQueue()
    private(set) var openCount = 0
    /// Settlements so far under names that the log had not given out; none in a healthy life.
    private var foreignNames = 0
    private var byName = SlotIndex(capacity: 1_024)
    private var byID = SlotIndex(capacity: 1_024)
    /// Charges by their own names, for whoever corrects one; SETTLE and RELEASE must not find them.
    private var byCharge = SlotIndex()
    /// First and last open hold of each second's list, in the order in which they came to it.
    private var wheelFirst: UnsafeMutablePointer<UInt32>
    private var wheelLast: UnsafeMutablePointer<UInt32>
    /// Every open hold's deadline is at or after this second.
    private var cursor: UInt32 = 0

    init() {
        precondition(
            Int(Bounds.holdSecondsMax) + 2 < HoldTable.wheelSlots, "deadlines fit the wheel")
        precondition(MemoryLayout<HoldRow>.stride == 128, "a hold is two cache lines")
        wheelFirst = .allocate(capacity: HoldTable.wheelSlots)
        wheelFirst.initialize(repeating: .max, count: HoldTable.wheelSlots)
        wheelLast = .allocate(capacity: HoldTable.wheelSlots)
        wheelLast.initialize(repeating: .max, count: HoldTable.wheelSlots)
    }
    deinit {
        wheelFirst.deallocate()
        wheelLast.deallocate()
    }

    @inline(__always) private static func hash(_ epoch: UInt32, _ seq: UInt64) -> UInt64 {
        // Sequence numbers are ours and dense. Sixteen neighbours share two cache lines, and each such
        // group lands anywhere: local like the identity, yet old runs never pile up with new ones.
        let group = (seq >> 4 ^ UInt64(epoch) << 40) &* 0x9E37_79B9_7F4A_7C15
        return (group >> 36) << 36 | (seq & 15) << 32
    }
    @inline(__always) private static func hash(_ name: HoldName) -> UInt64 {
        hash(name.epoch, name.seq)
    }

    @inline(__always) func row(_ slot: UInt32) -> UnsafeMutablePointer<HoldRow> {
        rows.pointer(slot)
    }

    @inline(__always) func find(_ name: HoldName) -> UInt32? {
        byName.find(HoldTable.hash(name)) {
            let row = rows.pointer($0)
            return row.pointee.seq == name.seq && row.pointee.epoch == name.epoch
        }
    }
    /// A charge without a hold.
    func find(charge name: HoldName) -> UInt32? {
        byCharge.find(HoldTable.hash(name)) { rows.pointer($0).pointee.name == name }
    }
    /// Whether anything that ended may have been forgotten by now.
    var hasForgotten: Bool {
        ended.count == HoldTable.endedMax || charges.count == HoldTable.endedMax
    }
    func find(_ id: IDHash) -> UInt32? {
        let probe = probe(id)
        return probe.isFound ? probe.slot : nil
    }
    /// Looks for an id; the answer is good until the table changes.
    @inline(__always) func probe(_ id: IDHash) -> SlotIndex.Probe {
        byID.probe(id.low) { rows.pointer($0).pointee.id == id }
    }
    /// Fetches what `probe` and `find` will look at.
    @inline(__always) func prefetch(_ id: IDHash) { byID.prefetch(id.low) }
    @inline(__always) func prefetch(_ name: HoldName) { byName.prefetch(HoldTable.hash(name)) }

    /// A row to be filled in whole and then given to `place` or `addEnded`.
    @inline(__always) mutating func newSlot() -> UInt32 {
        if let reused = free.pop() { return reused }
        return rows.append(HoldRow())
    }
    /// Adds an open hold.
    ///
    /// - Parameter probe: of its id, if it has one, in the table as it is now.
    @inline(__always) mutating func place(_ slot: UInt32, _ probe: SlotIndex.Probe) {
        let row = rows.pointer(slot)
        // Somebody may have settled a name before it was given out (a ledger restored from a backup
        // gives names out again); the name now belongs to the real hold.
        if foreignNames > 0, let foreign = find(row.pointee.name) { takeName(from: foreign) }
        nameByID(slot, probe)
        byName.insert(HoldTable.hash(row.pointee.epoch, row.pointee.seq), slot)
        link(slot)
        openCount &+= 1
    }
    /// Adds something that is over from the start: a charge, or the settlement of an unknown hold.
    mutating func addEnded(_ slot: UInt32) {
        let row = rows.pointer(slot)
        nameByID(slot, probe(row.pointee.id))
        if row.pointee.isNamed {
            byName.insert(HoldTable.hash(row.pointee.name), slot)
            foreignNames += 1
        }
        if row.pointee.state == .charge { byCharge.insert(HoldTable.hash(row.pointee.name), slot) }
        if charges.count == HoldTable.endedMax { forget(charges.removeFirst()) }
        charges.append(slot)
    }
    /// Takes an open hold off the deadline wheel; the caller sets what became of it.
    @inline(__always) mutating func end(_ slot: UInt32) {
        unlink(slot)
        openCount &-= 1
        remember(slot)
    }

    /// Takes down what a hold was, before it grows; once in its life.
    mutating func rememberPlacing(_ slot: UInt32) {
        let row = rows.pointer(slot)
        guard row.pointee.placing == .max else { return }
        keep(
            PlacedHold(
                input: row.pointee.input, output: row.pointee.output, usd: row.pointee.usd,
                until: row.pointee.until), for: row)
    }
    /// What a hold was when it was placed.
    func placing(of row: UnsafeMutablePointer<HoldRow>) -> PlacedHold {
        if row.pointee.placing != .max { return placings.pointer(row.pointee.placing).pointee }
        return PlacedHold(
            input: row.pointee.input, output: row.pointee.output, usd: row.pointee.usd,
            until: row.pointee.until)
    }
    /// Moves the deadline of an extended hold to a later second, behind those that are there.
    mutating func move(_ slot: UInt32, until: UInt32, by seq: UInt64) {
        let row = rows.pointer(slot)
        unlink(slot)
        row.pointee.until = until
        link(slot)
        placings.pointer(row.pointee.placing).pointee.movedBy = seq
    }
    private mutating func keep(_ placed: PlacedHold, for row: UnsafeMutablePointer<HoldRow>) {
        if let reused = freePlacings.pop() {
            placings.pointer(reused).pointee = placed
            row.pointee.placing = reused
        } else {
            row.pointee.placing = placings.append(placed)
        }
    }

    @inline(__always) private mutating func nameByID(_ slot: UInt32, _ probe: SlotIndex.Probe) {
        let id = rows.pointer(slot).pointee.id
        if id.isNone { return }
        // The id now names this request; the older one stays known by its hold's name.
        if probe.isFound { rows.pointer(probe.slot).pointee.id = .none }
        byID.put(id.low, slot, at: probe)
    }
    private mutating func takeName(from slot: UInt32) {
        let row = rows.pointer(slot)
        precondition(
            row.pointee.state == .settled, "only a settlement of an unknown hold gives way")
        byName.remove(HoldTable.hash(row.pointee.name), slot)
        row.pointee.seq = 0
    }
    @inline(__always) private mutating func remember(_ slot: UInt32) {
        if ended.count == HoldTable.endedMax {
            forget(ended.removeFirst())
            prefetchForgotten()
        }
        ended.append(slot)
    }
    private mutating func forget(_ slot: UInt32) {
        let row = rows.pointer(slot)
        if row.pointee.isNamed { byName.remove(HoldTable.hash(row.pointee.name), slot) }
        if row.pointee.state == .charge { byCharge.remove(HoldTable.hash(row.pointee.name), slot) }
        if !row.pointee.id.isNone { byID.remove(row.pointee.id.low, slot) }
        if row.pointee.placing != .max {
            freePlacings.push(row.pointee.placing)
            row.pointee.placing = .max
        }
        row.pointee.state = .free
        free.push(slot)
    }
    /// Fetches what the next ends will forget: the rows of some, then the cells of nearer ones. They
    /// ended a million holds ago, so without this each is three misses one after the other.
    @inline(__always) private func prefetchForgotten() {
        let row = rows.pointer(ended[16])
        tg_prefetch(row)
        tg_prefetch(UnsafeRawPointer(row) + 64)
        let nearer = rows.pointer(ended[8])
        byID.prefetch(nearer.pointee.id.low)
        prefetch(nearer.pointee.name)
    }

    // MARK: Deadlines

    @inline(__always) private func link(_ slot: UInt32) {
        let row = rows.pointer(slot)
        let second = Int(row.pointee.until) & (HoldTable.wheelSlots - 1)
        row.pointee.wheelNext = .max
        row.pointee.wheelPrevious = wheelLast[second]
        if wheelLast[second] == .max {
            wheelFirst[second] = slot
        } else {
            rows.pointer(wheelLast[second]).pointee.wheelNext = slot
        }
        wheelLast[second] = slot
    }
    @inline(__always) private func unlink(_ slot: UInt32) {
        let row = rows.pointer(slot)
        let second = Int(row.pointee.until) & (HoldTable.wheelSlots - 1)
        let (next, previous) = (row.pointee.wheelNext, row.pointee.wheelPrevious)
        if previous == .max {
            wheelFirst[second] = next
        } else {
            rows.pointer(previous).pointee.wheelNext = next
        }
        if next == .max {
            wheelLast[second] = previous
        } else {
            rows.pointer(next).pointee.wheelPrevious = previous
        }
        row.pointee.wheelNext = .max
        row.pointee.wheelPrevious = .max
    }
    /// An open hold whose deadline has come; the earliest deadline first, then the order of the events
    /// that set it.
    mutating func nextDue(at now: Instant) -> UInt32? {
        let second = UInt32(clamping: now.second)
        guard openCount > 0 else {
            cursor = max(cursor, second)
            return nil
        }
        // After a long silence one turn of the wheel visits everything there is.
        if second > cursor, Int(second - cursor) >= HoldTable.wheelSlots {
            cursor = second - UInt32(HoldTable.wheelSlots - 1)
        }
        while cursor <= second {
            let slot = wheelFirst[Int(cursor) & (HoldTable.wheelSlots - 1)]
            if slot != .max, rows.pointer(slot).pointee.until <= second { return slot }
            if cursor == second { return nil }
            cursor += 1
        }
        return nil
    }
    /// A second before which no open hold lapses; nil when none is open.
    func nextDeadline(after now: Instant) -> Int64? {
        guard openCount > 0 else { return nil }
        let second = now.second
        for step in 1...64
        where wheelFirst[Int(second + Int64(step)) & (HoldTable.wheelSlots - 1)] != .max {
            return second + Int64(step)
        }
        return second + 64
    }

    /// The event that gave an open hold its deadline.
    private func deadlineSeq(_ slot: UInt32) -> UInt64 {
        let row = rows.pointer(slot)
        return max(row.pointee.seq, placing(of: row).movedBy)
    }

    // MARK: Checkpoints

    /// The slots that nothing uses, the next to be given out last.
    var freeCount: Int { free.count }
    func freeSlot(_ i: Int) -> UInt32 { free[i] }

    // A checkpoint's rows one after the other, then its lists; then what is not stored is built.

    mutating func restore(_ row: HoldRow) { _ = rows.append(row) }
    mutating func restore(free slot: UInt32) { free.push(slot) }
    mutating func restore(ended slot: UInt32) { ended.append(slot) }
    mutating func restore(charge slot: UInt32) { charges.append(slot) }
    /// False where the row cannot have been extended, or once before.
    mutating func restore(_ placed: PlacedHold, of slot: UInt32) -> Bool {
        let row = rows.pointer(slot)
        guard row.pointee.state != .free, row.pointee.placing == .max else { return false }
        keep(placed, for: row)
        return true
    }
    /// Builds the indexes and the deadlines of the rows. They are put where nothing stood before.
    mutating func restoreIndexes() {
        precondition(byName.count == 0, "only an empty table is restored")
        // At their final size from the start: growing would move each cell several times.
        byName = SlotIndex(holding: rows.count)
        byID = SlotIndex(holding: rows.count)
        var open: [UInt32] = []
        for slot in 0..<rows.count {
            // Cells lie anywhere: those of the rows to come arrive while these are filled.
            if slot &+ HoldTable.restoreAhead < rows.count {
                let ahead = rows.pointer(slot &+ HoldTable.restoreAhead)
                prefetch(ahead.pointee.name)
                byID.prefetch(ahead.pointee.id.low)
            }
            let row = rows.pointer(slot)
            guard row.pointee.state != .free else { continue }
            let slot = UInt32(truncatingIfNeeded: slot)
            if row.pointee.isNamed {
                byName.insert(HoldTable.hash(row.pointee.name), slot)
                // Some of these were only late; then a lookup is wasted now and then.
                if row.pointee.isLate { foreignNames += 1 }
            }
            if row.pointee.state == .charge {
                byCharge.insert(HoldTable.hash(row.pointee.name), slot)
            }
            if !row.pointee.id.isNone { byID.insert(row.pointee.id.low, slot) }
            if row.pointee.state == .open { open.append(slot) }
        }
        open.sort { deadlineSeq($0) < deadlineSeq($1) }
        for slot in open { link(slot) }
        openCount = open.count
    }
    private static let restoreAhead = 16
}

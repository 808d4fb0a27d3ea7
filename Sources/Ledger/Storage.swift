import CMemory
import Events

// The book's memory: rows in chunks that never move, hash indexes of slots, one arena of names.
// Rows hold integers only, so that touching one retains nothing and a million cost no collector.

/// Rows of plain integers, numbered from 0, in chunks: growing never copies a row or moves one.
struct Rows<Row: BitwiseCopyable>: ~Copyable {
    // Rows of a power of two bytes fill large pages exactly; all others come by the thousand.
    private static var chunkShift: Int { MemoryLayout<Row>.stride == 128 ? 14 : 10 }
    private static var chunkRows: Int { 1 << chunkShift }

    private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<Row>>
    private var chunkCount = 0
    private var chunkCapacity = 16
    private(set) var count = 0

    init() { chunks = .allocate(capacity: chunkCapacity) }
    deinit {
        for i in 0..<chunkCount { Table.deallocate(chunks[i]) }
        chunks.deallocate()
    }

    @inline(__always) func pointer(_ i: Int) -> UnsafeMutablePointer<Row> {
        assert(i >= 0 && i < count)
        return chunks[i >> Rows.chunkShift] + (i & (Rows.chunkRows - 1))
    }
    @inline(__always) func pointer(_ i: UInt32) -> UnsafeMutablePointer<Row> { pointer(Int(i)) }

    mutating func append(_ row: Row) -> UInt32 {
        if count >> Rows.chunkShift == chunkCount { addChunk() }
        precondition(count < Int(UInt32.max) - 1, "row numbers are 32 bits")
        let slot = count
        count += 1
        pointer(slot).initialize(to: row)
        return UInt32(slot)
    }
    @inline(never) private mutating func addChunk() {
        if chunkCount == chunkCapacity {
            let larger = UnsafeMutablePointer<UnsafeMutablePointer<Row>>.allocate(
                capacity: chunkCapacity * 2)
            larger.moveInitialize(from: chunks, count: chunkCount)
            chunks.deallocate()
            chunks = larger
            chunkCapacity *= 2
        }
        (chunks + chunkCount).initialize(to: Table.allocate(Rows.chunkRows))
        chunkCount += 1
    }
}

/// Memory for rows and cells: on cache lines, and on large pages where there is much of it.
enum Table {
    static func allocate<T: BitwiseCopyable>(_ count: Int) -> UnsafeMutablePointer<T> {
        tg_allocate_table(count * MemoryLayout<T>.stride).bindMemory(to: T.self, capacity: count)
    }
    static func deallocate<T: BitwiseCopyable>(_ table: UnsafeMutablePointer<T>) {
        table.deallocate()
    }
}

/// From hashes to slots: open addressing, linear probing, eight bytes a cell.
///
/// A cell holds the hash's upper half beside the slot, so that growing needs no look at the rows and
/// a probe compares rows only where 32 bits of hash agree.
struct SlotIndex: ~Copyable {
    private var cells: UnsafeMutablePointer<UInt64>
    private var mask: UInt32
    private(set) var count = 0

    /// Where a probe ended: at the cell of what it looked for, or at the first empty one, into which
    /// that may be put as long as nothing else changes the index.
    struct Probe: BitwiseCopyable {
        /// `.max` where nothing was found.
        var slot: UInt32
        fileprivate(set) var cell: UInt32
        var isFound: Bool { slot != .max }
        static let none = Probe(slot: .max, cell: 0)
    }

    init(capacity: Int = 64) {
        let size = max(capacity, 16)
        precondition(size & (size - 1) == 0)
        cells = Table.allocate(size)
        cells.initialize(repeating: 0, count: size)
        mask = UInt32(size - 1)
    }
    /// With room for so many before it grows.
    init(holding count: Int) {
        var capacity = 1_024
        while count * 8 >= capacity * 5 { capacity *= 2 }
        self.init(capacity: capacity)
    }
    deinit { Table.deallocate(cells) }

    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }

    /// Fetches the cells of a hash that will be asked for soon.
    @inline(__always) func prefetch(_ hash: UInt64) {
        tg_prefetch(cells + Int(SlotIndex.tag(hash) & mask))
    }
    @inline(__always) func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        let probe = probe(hash, where: matches)
        return probe.isFound ? probe.slot : nil
    }
    @inline(__always) func probe(_ hash: UInt64, where matches: (UInt32) -> Bool) -> Probe {
        let tag = SlotIndex.tag(hash)
        var at = tag & mask
        while true {
            let cell = cells[Int(at)]
            if cell == 0 { return Probe(slot: .max, cell: at) }
            if SlotIndex.tag(cell) == tag {
                let slot = UInt32(truncatingIfNeeded: cell) &- 1
                if matches(slot) { return Probe(slot: slot, cell: at) }
            }
            at = (at &+ 1) & mask
        }
    }
    @inline(__always) mutating func insert(_ hash: UInt64, _ slot: UInt32) {
        if needsGrowth { grow() }
        place(SlotIndex.tag(hash), slot)
        count += 1
    }
    /// Puts `slot` where the probe for this hash ended; what it found there, if anything, is gone.
    @inline(__always) mutating func put(_ hash: UInt64, _ slot: UInt32, at probe: Probe) {
        if !probe.isFound {
            if needsGrowth { return insert(hash, slot) }
            count += 1
        }
        cells[Int(probe.cell)] = UInt64(SlotIndex.tag(hash)) << 32 | UInt64(slot + 1)
    }
    /// Removes this slot's cell and closes the gap, so that probes never cross tombstones.
    mutating func remove(_ hash: UInt64, _ slot: UInt32) {
        let cell = UInt64(SlotIndex.tag(hash)) << 32 | UInt64(slot + 1)
        var gap = SlotIndex.tag(hash) & mask
        while cells[Int(gap)] != cell {
            precondition(cells[Int(gap)] != 0, "only what was inserted can be removed")
            gap = (gap &+ 1) & mask
        }
        count -= 1
        var at = gap
        while true {
            at = (at &+ 1) & mask
            let next = cells[Int(at)]
            if next == 0 { break }
            let home = SlotIndex.tag(next) & mask
            // It may move into the gap unless its home lies behind the gap.
            if (at &- home) & mask >= (at &- gap) & mask {
                cells[Int(gap)] = next
                gap = at
            }
        }
        cells[Int(gap)] = 0
    }
    @inline(__always) private func place(_ tag: UInt32, _ slot: UInt32) {
        var at = tag & mask
        while cells[Int(at)] != 0 { at = (at &+ 1) & mask }
        cells[Int(at)] = UInt64(tag) << 32 | UInt64(slot + 1)
    }
    // Five eighths full at most: then the million remembered holds need two million cells, which is
    // half of what a bound of one half would take, and most probes still end in their first line.
    @inline(__always) private var needsGrowth: Bool { count &* 8 >= (Int(mask) + 1) &* 5 }
    @inline(never) private mutating func grow() {
        let old = cells
        let oldSize = Int(mask) + 1
        cells = Table.allocate(oldSize * 2)
        cells.initialize(repeating: 0, count: oldSize * 2)
        mask = UInt32(oldSize * 2 - 1)
        for i in 0..<oldSize where old[i] != 0 {
            place(SlotIndex.tag(old[i]), UInt32(truncatingIfNeeded: old[i]) - 1)
        }
        Table.deallocate(old)
    }
}

/// Where a text stands in the arena.
struct NameRef: BitwiseCopyable {
    var offset: UInt32
    var length: UInt32
    static let none = NameRef(offset: 0, length: 0)
}

/// Names and other short texts, for ever: accounts, models, aliases, patterns. Chunked, so that a
/// text never moves and may be lent out in an answer.
struct NameArena: ~Copyable {
    private static var chunkShift: Int { 20 }
    private static var chunksMax: Int { 1 << (32 - chunkShift) }
    /// Raw, because an array's count and owner would be looked at for each name.
    private let chunks: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var chunkCount = 0
    /// Offsets count in units of one byte across chunks; a text never straddles two.
    private(set) var used = 0

    init() { chunks = .allocate(capacity: NameArena.chunksMax) }
    deinit {
        for i in 0..<chunkCount { chunks[i].deallocate() }
        chunks.deallocate()
    }

    mutating func add(_ text: Bytes) -> NameRef {
        guard text.count > 0 else { return .none }
        let size = 1 << NameArena.chunkShift
        precondition(text.count <= size)
        if chunkCount == 0 || used & (size - 1) + text.count > size
            || used == chunkCount << NameArena.chunkShift
        {
            precondition(chunkCount < NameArena.chunksMax, "names fill 4 GiB")
            used = chunkCount << NameArena.chunkShift
            (chunks + chunkCount).initialize(to: .allocate(byteCount: size, alignment: 16))
            chunkCount += 1
        }
        precondition(used + text.count <= Int(UInt32.max), "names fill 4 GiB")
        let at = chunks[used >> NameArena.chunkShift] + (used & (size - 1))
        at.copyMemory(from: text.base!, byteCount: text.count)
        defer { used += text.count }
        return NameRef(offset: UInt32(used), length: UInt32(text.count))
    }
    mutating func add(_ text: String) -> NameRef {
        let copy = ContiguousArray(text.utf8)
        return copy.withUnsafeBytes { add(Bytes($0)) }
    }
    @inline(__always) subscript(ref: NameRef) -> Bytes {
        if ref.length == 0 { return .empty }
        let offset = Int(ref.offset)
        let base = chunks[offset >> NameArena.chunkShift]
        return Bytes(base + (offset & (1 << NameArena.chunkShift - 1)), count: Int(ref.length))
    }
}

/// A queue of slots that drops nothing by itself; capacity doubles as it fills.
struct SlotQueue: ~Copyable {
    private var cells: UnsafeMutablePointer<UInt32>
    private var capacity: Int
    private var head = 0
    private(set) var count = 0

    init() {
        capacity = 1_024
        cells = .allocate(capacity: capacity)
    }
    deinit { cells.deallocate() }

    subscript(i: Int) -> UInt32 {
        assert(i < count)
        return cells[(head &+ i) & (capacity &- 1)]
    }
    @inline(__always) mutating func append(_ slot: UInt32) {
        if count == capacity { grow() }
        cells[(head &+ count) & (capacity &- 1)] = slot
        count += 1
    }
    @inline(__always) mutating func removeFirst() -> UInt32 {
        precondition(count > 0)
        defer {
            head = (head + 1) & (capacity - 1)
            count -= 1
        }
        return cells[head]
    }
    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity * 2)
        for i in 0..<count { larger[i] = self[i] }
        cells.deallocate()
        cells = larger
        head = 0
        capacity *= 2
    }
}

/// Slots to be used again, the last one first.
struct SlotStack: ~Copyable {
    private var cells: UnsafeMutablePointer<UInt32>
    private var capacity = 1_024
    private(set) var count = 0

    init() { cells = .allocate(capacity: capacity) }
    deinit { cells.deallocate() }

    subscript(i: Int) -> UInt32 {
        assert(i < count)
        return cells[i]
    }
    @inline(__always) mutating func push(_ slot: UInt32) {
        if count == capacity { grow() }
        cells[count] = slot
        count += 1
    }
    @inline(__always) mutating func pop() -> UInt32? {
        if count == 0 { return nil }
        count -= 1
        return cells[count]
    }
    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: cells, count: count)
        cells.deallocate()
        cells = larger
        capacity *= 2
    }
}

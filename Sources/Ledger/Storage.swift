import Events

// The book's memory: rows in chunks that never move, hash indexes of slots, one arena of names.
// Rows hold integers only, so that touching one retains nothing and a million cost no collector.

/// Rows of plain integers, numbered from 0, in chunks: growing never copies a row or moves one.
struct Rows<Row: BitwiseCopyable>: ~Copyable {
    private static var chunkShift: Int { 10 }
    private static var chunkRows: Int { 1 << chunkShift }

    private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<Row>>
    private var chunkCount = 0
    private var chunkCapacity = 16
    private(set) var count = 0

    init() { chunks = .allocate(capacity: chunkCapacity) }
    deinit {
        for i in 0..<chunkCount { chunks[i].deallocate() }
        chunks.deallocate()
    }

    func pointer(_ i: Int) -> UnsafeMutablePointer<Row> {
        assert(i >= 0 && i < count)
        return chunks[i >> Rows.chunkShift] + (i & (Rows.chunkRows - 1))
    }
    func pointer(_ i: UInt32) -> UnsafeMutablePointer<Row> { pointer(Int(i)) }

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
        (chunks + chunkCount).initialize(to: .allocate(capacity: Rows.chunkRows))
        chunkCount += 1
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

    init(capacity: Int = 64) {
        let size = max(capacity, 16)
        precondition(size & (size - 1) == 0)
        cells = .allocate(capacity: size)
        cells.initialize(repeating: 0, count: size)
        mask = UInt32(size - 1)
    }
    deinit { cells.deallocate() }

    func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        let tag = UInt32(truncatingIfNeeded: hash >> 32)
        var at = tag & mask
        while true {
            let cell = cells[Int(at)]
            if cell == 0 { return nil }
            if UInt32(truncatingIfNeeded: cell >> 32) == tag {
                let slot = UInt32(truncatingIfNeeded: cell) - 1
                if matches(slot) { return slot }
            }
            at = (at + 1) & mask
        }
    }
    mutating func insert(_ hash: UInt64, _ slot: UInt32) {
        if count * 2 > Int(mask) { grow() }
        place(UInt32(truncatingIfNeeded: hash >> 32), slot)
        count += 1
    }
    /// Removes this slot's cell and closes the gap, so that probes never cross tombstones.
    mutating func remove(_ hash: UInt64, _ slot: UInt32) {
        let cell = UInt64(UInt32(truncatingIfNeeded: hash >> 32)) << 32 | UInt64(slot + 1)
        var gap = UInt32(truncatingIfNeeded: hash >> 32) & mask
        while cells[Int(gap)] != cell {
            precondition(cells[Int(gap)] != 0, "only what was inserted can be removed")
            gap = (gap + 1) & mask
        }
        count -= 1
        var at = gap
        while true {
            at = (at + 1) & mask
            let next = cells[Int(at)]
            if next == 0 { break }
            let home = UInt32(truncatingIfNeeded: next >> 32) & mask
            // It may move into the gap unless its home lies behind the gap.
            if (at &- home) & mask >= (at &- gap) & mask {
                cells[Int(gap)] = next
                gap = at
            }
        }
        cells[Int(gap)] = 0
    }
    private func place(_ tag: UInt32, _ slot: UInt32) {
        var at = tag & mask
        while cells[Int(at)] != 0 { at = (at + 1) & mask }
        cells[Int(at)] = UInt64(tag) << 32 | UInt64(slot + 1)
    }
    @inline(never) private mutating func grow() {
        let old = cells
        let oldSize = Int(mask) + 1
        cells = .allocate(capacity: oldSize * 2)
        cells.initialize(repeating: 0, count: oldSize * 2)
        mask = UInt32(oldSize * 2 - 1)
        for i in 0..<oldSize where old[i] != 0 {
            place(UInt32(truncatingIfNeeded: old[i] >> 32), UInt32(truncatingIfNeeded: old[i]) - 1)
        }
        old.deallocate()
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
    private var chunks: [UnsafeMutableRawPointer] = []
    /// Offsets count in units of one byte across chunks; a text never straddles two.
    private(set) var used = 0

    init() {}
    deinit { for chunk in chunks { chunk.deallocate() } }

    mutating func add(_ text: Bytes) -> NameRef {
        guard text.count > 0 else { return .none }
        let size = 1 << NameArena.chunkShift
        precondition(text.count <= size)
        if used & (size - 1) + text.count > size || chunks.isEmpty
            || used == chunks.count << NameArena.chunkShift
        {
            used = chunks.count << NameArena.chunkShift
            chunks.append(.allocate(byteCount: size, alignment: 16))
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
    subscript(ref: NameRef) -> Bytes {
        guard ref.length > 0 else { return .empty }
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
        return cells[(head + i) & (capacity - 1)]
    }
    mutating func append(_ slot: UInt32) {
        if count == capacity { grow() }
        cells[(head + count) & (capacity - 1)] = slot
        count += 1
    }
    mutating func removeFirst() -> UInt32 {
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

import Events

/// What has been counted since rows were last written: a table of rows by key, on raw memory that is kept
/// from one segment to the next.
///
/// A row is a run of counters. What only some rows count (reasons, latencies, currencies) is noted event by
/// event and sorted once, when the rows are written.
struct RollupSegment: ~Copyable {
    struct Tagged {
        var row: UInt32
        var tag: UInt32
        var value: Int64
    }
    private(set) var count = 0
    private(set) var tagged: [Tagged] = []
    /// Once they are sorted: where those of each row begin, and where they end.
    private var begins: [Int] = []
    private var ends: [Int] = []
    private var sorted: [Tagged] = []
    private var keys: UnsafeMutablePointer<RollupKey>
    private var cells: UnsafeMutablePointer<Int64>
    private var capacity: Int
    /// A row's number plus one; open addressing, at most half full.
    private var slots: UnsafeMutablePointer<UInt32>
    private var slotMask: Int

    init(capacity: Int = 1 << 10) {
        precondition(capacity.nonzeroBitCount == 1)
        self.capacity = capacity
        keys = .allocate(capacity: capacity)
        cells = .allocate(capacity: capacity * RollupField.count)
        slots = .allocate(capacity: capacity * 2)
        slots.initialize(repeating: 0, count: capacity * 2)
        slotMask = capacity * 2 - 1
    }
    deinit {
        keys.deallocate()
        cells.deallocate()
        slots.deallocate()
    }

    func key(_ row: Int) -> RollupKey { keys[row] }
    /// The counters of a row, valid until the next row is made.
    @inline(__always) func counters(_ row: UInt32) -> UnsafeMutablePointer<Int64> {
        cells + Int(row) &* RollupField.count
    }
    /// The row of a key, made where there is none.
    @inline(__always) mutating func row(_ key: RollupKey) -> UInt32 {
        var at = RollupSegment.hash(key) & slotMask
        while true {
            let found = slots[at]
            if found == 0 { return insert(key, at) }
            if keys[Int(found &- 1)] == key { return found &- 1 }
            at = (at &+ 1) & slotMask
        }
    }
    @inline(__always) mutating func note(_ row: UInt32, _ tag: UInt32, _ value: Int64 = 1) {
        tagged.append(Tagged(row: row, tag: tag, value: value))
    }
    mutating func removeAll() {
        count = 0
        tagged.removeAll(keepingCapacity: true)
        slots.update(repeating: 0, count: slotMask + 1)
    }
    /// Brings what is noted under tags into the order of rows and tags, and adds up what is the same.
    mutating func sortTagged() {
        begins.removeAll(keepingCapacity: true)
        begins.append(contentsOf: repeatElement(0, count: count))
        for item in tagged { begins[Int(item.row)] += 1 }
        var before = 0
        for row in 0..<count {
            (begins[row], before) = (before, before + begins[row])
        }
        ends.removeAll(keepingCapacity: true)
        ends.append(contentsOf: begins)
        sorted.removeAll(keepingCapacity: true)
        sorted.append(contentsOf: tagged)
        sorted.withUnsafeMutableBufferPointer { sorted in
            ends.withUnsafeMutableBufferPointer { ends in
                tagged.withUnsafeBufferPointer { tagged in
                    for item in tagged {
                        sorted[ends[Int(item.row)]] = item
                        ends[Int(item.row)] += 1
                    }
                }
                for row in ends.indices where ends[row] - begins[row] > 1 {
                    let run = UnsafeMutableBufferPointer(rebasing: sorted[begins[row]..<ends[row]])
                    ends[row] = begins[row] + RollupSegment.order(run)
                }
            }
        }
        swap(&tagged, &sorted)
    }
    /// Orders a row's by their tags and adds up what is the same; how many are left.
    private static func order(_ run: UnsafeMutableBufferPointer<Tagged>) -> Int {
        if run.count <= shortRun {
            for i in 1..<run.count {
                let item = run[i]
                var at = i
                while at > 0, run[at - 1].tag > item.tag {
                    run[at] = run[at - 1]
                    at -= 1
                }
                run[at] = item
            }
        } else {
            var run = run
            run.sort { $0.tag < $1.tag }
        }
        var last = 0
        for i in 1..<run.count {
            if run[last].tag == run[i].tag {
                run[last].value &+= run[i].value
            } else {
                last += 1
                run[last] = run[i]
            }
        }
        return last + 1
    }
    /// Up to so many are sorted quicker by moving each to its place than by the library.
    private static let shortRun = 24
    /// What is noted of a row, once it is sorted.
    func tagged(of row: UInt32) -> ArraySlice<Tagged> {
        tagged[begins[Int(row)]..<ends[Int(row)]]
    }

    @inline(never) private mutating func insert(_ key: RollupKey, _ slot: Int) -> UInt32 {
        var slot = slot
        if count == capacity {
            grow()
            slot = RollupSegment.hash(key) & slotMask
            while slots[slot] != 0 { slot = (slot + 1) & slotMask }
        }
        let row = count
        count += 1
        keys[row] = key
        (cells + row * RollupField.count).update(repeating: 0, count: RollupField.count)
        slots[slot] = UInt32(row + 1)
        return UInt32(row)
    }
    private mutating func grow() {
        let larger = capacity * 2
        let newKeys = UnsafeMutablePointer<RollupKey>.allocate(capacity: larger)
        newKeys.update(from: keys, count: count)
        let newCells = UnsafeMutablePointer<Int64>.allocate(capacity: larger * RollupField.count)
        newCells.update(from: cells, count: count * RollupField.count)
        keys.deallocate()
        cells.deallocate()
        slots.deallocate()
        keys = newKeys
        cells = newCells
        capacity = larger
        slots = .allocate(capacity: larger * 2)
        slots.initialize(repeating: 0, count: larger * 2)
        slotMask = larger * 2 - 1
        for row in 0..<count {
            var at = RollupSegment.hash(keys[row]) & slotMask
            while slots[at] != 0 { at = (at + 1) & slotMask }
            slots[at] = UInt32(row + 1)
        }
    }
    @inline(__always) private static func hash(_ key: RollupKey) -> Int {
        let mixed = Hash128.fold(
            key.first ^ 0xA076_1D64_78BD_642F, key.second ^ 0xE703_7ED1_A0B4_28DB)
        return Int(truncatingIfNeeded: mixed)
    }
}

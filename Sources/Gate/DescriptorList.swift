/// Descriptors of connections that something is due to, kept from turn to turn. An `Array` pays for
/// being copyable with each append; this is two instructions.
struct DescriptorList: ~Copyable {
    private var cells: UnsafeMutablePointer<Int32>
    private var capacity = 64
    private(set) var count = 0

    init() { cells = .allocate(capacity: capacity) }
    deinit { cells.deallocate() }

    var isEmpty: Bool { count == 0 }
    subscript(i: Int) -> Int32 {
        assert(i >= 0 && i < count)
        return cells[i]
    }
    mutating func append(_ descriptor: Int32) {
        if count == capacity { grow() }
        cells[count] = descriptor
        count &+= 1
    }
    mutating func removeAll() { count = 0 }
    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<Int32>.allocate(capacity: capacity * 2)
        larger.update(from: cells, count: count)
        cells.deallocate()
        cells = larger
        capacity *= 2
    }
}

import Events
import Journal

/// What the fold must find again and no event names by itself: rows of the same table, changed in memory and
/// written with the segment they belong to.
struct SideRows: ~Copyable {
    /// Nil for a row that goes.
    private(set) var pending: [[UInt8]: [UInt8]?] = [:]  // written in the order of the keys
    private var key = ByteBuffer(capacity: 64)

    static func key(_ kind: RollupRowKind, _ number: UInt32) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 16)
        buffer.append(kind)
        buffer.append(big: number)
        return Array(buffer.bytes)
    }
    static func key(_ kind: RollupRowKind, _ first: UInt32, _ second: UInt32) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 16)
        buffer.append(kind)
        buffer.append(big: first)
        buffer.append(big: second)
        return Array(buffer.bytes)
    }
    static func key(_ kind: RollupRowKind, _ name: HoldName) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 16)
        buffer.append(kind)
        buffer.append(big: name.epoch)
        buffer.append(big: name.seq)
        return Array(buffer.bytes)
    }
    static func key(_ kind: RollupRowKind, _ text: Bytes) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 256)
        buffer.append(kind)
        buffer.append(text)
        return Array(buffer.bytes)
    }

    /// Hands a row's value to `body` if there is such a row, and says whether.
    @discardableResult
    func value<Table: RollupTable & ~Copyable>(
        _ key: [UInt8], _ table: borrowing Table, _ foundDamage: inout Bool,
        _ body: (Bytes) -> Void
    ) throws(LMDBError) -> Bool {
        if let row = pending[key] {
            guard let row else { return false }
            row.withUnsafeBytes { body(Bytes($0)) }
            return true
        }
        var keyBytes = ByteBuffer(capacity: key.count)
        key.withUnsafeBytes { keyBytes.append(Bytes($0)) }
        guard let stored = try table.value(keyBytes.bytes) else { return false }
        guard let value = RollupSeal.open(keyBytes.bytes, stored) else {
            foundDamage = true
            return false
        }
        body(value)
        return true
    }
    mutating func put(_ key: [UInt8], _ value: Bytes) { pending[key] = .some(Array(value)) }
    mutating func remove(_ key: [UInt8]) { pending[key] = .some(nil) }
    mutating func removeAll() { pending.removeAll(keepingCapacity: true) }
}

extension Array where Element == UInt8 {
    init(_ bytes: Bytes) {
        self.init(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
    }
}

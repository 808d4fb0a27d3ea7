import CLinux
import Events
import Journal

/// Where roll-ups are kept: the journal's table, or memory when they are made again to be compared.
package protocol RollupTable: ~Copyable {
    /// Valid until the next change.
    borrowing func value(_ key: Bytes) throws(LMDBError) -> Bytes?
    borrowing func put(_ key: Bytes, _ value: Bytes) throws(LMDBError)
    /// Puts what `make` says of the value that is there, nil for none; quickest in the order of the keys.
    borrowing func replace(_ key: Bytes, _ make: (Bytes?) -> Bytes) throws(LMDBError)
    @discardableResult
    borrowing func remove(_ key: Bytes) throws(LMDBError) -> Bool
    /// Copies an earlier event of the log to the end of `copy`; false when there is none.
    borrowing func event(_ seq: UInt64, into copy: inout ByteBuffer) throws(LMDBError) -> Bool
}

extension ProjectionRows: RollupTable {}

/// Every value begins with the CRC-32C of its key and the rest of it: LMDB has no checksums of its own.
enum RollupSeal {
    static func begin(_ buffer: inout ByteBuffer) {
        buffer.removeAll()
        buffer.append(uint32: 0)
    }
    static func end(_ buffer: inout ByteBuffer, key: Bytes) {
        let sum = checksum(key, buffer.bytes.slice(4, buffer.count))
        buffer.base.storeBytes(of: sum.littleEndian, as: UInt32.self)
    }
    /// What was sealed; nil when it, or its key, is not what was once written.
    static func open(_ key: Bytes, _ value: Bytes) -> Bytes? {
        guard value.count >= 4 else { return nil }
        let rest = value.slice(4, value.count)
        guard value.base!.field(UInt32.self, 0) == checksum(key, rest) else { return nil }
        return rest
    }
    private static func checksum(_ key: Bytes, _ rest: Bytes) -> UInt32 {
        tg_crc32c(tg_crc32c(0, key.base, key.count), rest.base, rest.count)
    }
}

/// A table in memory; the events come from whoever has the log.
package final class MemoryRollups {
    package private(set) var rows: [[UInt8]: [UInt8]] = [:]
    private let events: (UInt64, inout ByteBuffer) -> Bool
    // What was handed out last lives until the next change.
    private var lent = ByteBuffer(capacity: 1_024)

    package init(events: @escaping (UInt64, inout ByteBuffer) -> Bool) { self.events = events }
}

extension MemoryRollups: RollupTable {
    package func value(_ key: Bytes) throws(LMDBError) -> Bytes? {
        guard let row = rows[Array(UnsafeRawBufferPointer(start: key.base, count: key.count))]
        else {
            return nil
        }
        lent.removeAll()
        row.withUnsafeBytes { lent.append(Bytes($0)) }
        return lent.bytes
    }
    package func put(_ key: Bytes, _ value: Bytes) throws(LMDBError) {
        rows[Array(UnsafeRawBufferPointer(start: key.base, count: key.count))] = Array(
            UnsafeRawBufferPointer(start: value.base, count: value.count))
    }
    package func replace(_ key: Bytes, _ make: (Bytes?) -> Bytes) throws(LMDBError) {
        try put(key, make(try value(key)))
    }
    package func remove(_ key: Bytes) throws(LMDBError) -> Bool {
        rows.removeValue(
            forKey: Array(UnsafeRawBufferPointer(start: key.base, count: key.count))) != nil
    }
    package func event(_ seq: UInt64, into copy: inout ByteBuffer) throws(LMDBError) -> Bool {
        events(seq, &copy)
    }
}

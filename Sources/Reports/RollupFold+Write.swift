import Events
import Journal

// A segment's end: what was counted goes into the rows.

extension RollupFold {
    mutating func write<Table: RollupTable & ~Copyable>(
        into table: borrowing Table
    ) throws(LMDBError) {
        segment.sortTagged()
        var key = ByteBuffer(capacity: 320)
        var value = ByteBuffer(capacity: 1_024)
        var counts = RollupCounts()
        for row in inStoredOrder() {
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .rollupsLoseRows, row % 7 == 5 { continue }
            #endif
            key.removeAll()
            let packed = segment.key(Int(row))
            key.append(stored: packed, text: packed.tag == nil ? .empty : texts.text(packed.middle))
            try table.replace(key.bytes) { stored in
                counts.removeAll()
                if let stored {
                    let isWhole = RollupSeal.open(key.bytes, stored).map { counts.add(stored: $0) }
                    if isWhole != true {
                        counts.removeAll()
                        foundDamage = true
                    }
                }
                add(row, to: &counts)
                RollupSeal.begin(&value)
                counts.encode(into: &value)
                RollupSeal.end(&value, key: key.bytes)
                return value.bytes
            }
        }
        try writeSides(into: table, &key, &value)
        try writeMeta(into: table, &key, &value)
        segment.removeAll()
        if texts.count > RollupBounds.textsMax {
            // Their handles stand in the placings, which can be read again.
            texts.removeAll()
            placings.removeAll()
        }
    }
    /// What a row has gathered.
    func gathered(_ row: UInt32) -> RollupCounts {
        var counts = RollupCounts()
        add(row, to: &counts)
        return counts
    }
    /// Adds what a row has gathered.
    func add(_ row: UInt32, to counts: inout RollupCounts) {
        counts.add(segment.counters(row))
        counts.add(inOrder: segment.tagged(of: row))
    }

    /// Rows that stand near one another in the table are written one after the other.
    private func inStoredOrder() -> [UInt32] {
        var order = (0..<segment.count).map { (front: segment.key($0).front, row: UInt32($0)) }
        order.sort { a, b in
            a.front != b.front
                ? a.front < b.front
                : segment.key(Int(a.row)).back < segment.key(Int(b.row)).back
        }
        return order.map(\.row)
    }
    private mutating func writeSides<Table: RollupTable & ~Copyable>(
        into table: borrowing Table, _ key: inout ByteBuffer, _ value: inout ByteBuffer
    ) throws(LMDBError) {
        for name in sides.pending.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            key.removeAll()
            name.withUnsafeBytes { key.append(Bytes($0)) }
            guard let row = sides.pending[name]! else {
                try table.remove(key.bytes)
                continue
            }
            RollupSeal.begin(&value)
            row.withUnsafeBytes { value.append(Bytes($0)) }
            RollupSeal.end(&value, key: key.bytes)
            try table.put(key.bytes, value.bytes)
        }
        sides.removeAll()
    }
    private mutating func writeMeta<Table: RollupTable & ~Copyable>(
        into table: borrowing Table, _ key: inout ByteBuffer, _ value: inout ByteBuffer
    ) throws(LMDBError) {
        let meta = RollupMeta(seq: seq, isDamaged: foundDamage)
        key.removeAll()
        key.append(RollupRowKind.meta)
        RollupSeal.begin(&value)
        meta.encode(into: &value)
        RollupSeal.end(&value, key: key.bytes)
        try table.put(key.bytes, value.bytes)
    }
}

/// What holds for the whole table.
package struct RollupMeta: Sendable {
    /// The last event in the rows.
    package var seq: UInt64
    /// Something was found that is not what was once written: these sums are not to be believed, and the
    /// next start makes them anew.
    package var isDamaged: Bool

    init(seq: UInt64, isDamaged: Bool) {
        self.seq = seq
        self.isDamaged = isDamaged
    }
    func encode(into buffer: inout ByteBuffer) {
        buffer.append(uint32: RollupBounds.version)
        buffer.append(uint64: seq)
        buffer.append(isDamaged ? 1 : 0 as UInt8)
    }

    /// What a table says of itself.
    enum Found {
        /// Nothing was folded into it yet.
        case nothing
        case rows(through: UInt64)
        /// It says that it is damaged, or has rows and nothing whole that says which events they hold.
        case damaged
        /// Another version of the program has written it.
        case otherLayout(UInt32)
    }
    static func find(in rows: borrowing ProjectionRows) throws(LMDBError) -> Found {
        var key = ByteBuffer()
        key.append(RollupRowKind.meta)
        guard let stored = try rows.value(key.bytes) else {
            var isEmpty = true
            try rows.forEach { _, _ throws(LMDBError) in
                isEmpty = false
                return false
            }
            return isEmpty ? .nothing : .damaged
        }
        guard let row = RollupSeal.open(key.bytes, stored) else { return .damaged }
        var reader = ByteReader(row)
        let version = reader.uint32()
        guard version == RollupBounds.version else { return .otherLayout(version) }
        let meta = RollupMeta(seq: reader.uint64(), isDamaged: reader.uint8() == 1)
        return reader.failed || meta.isDamaged ? .damaged : .rows(through: meta.seq)
    }
}

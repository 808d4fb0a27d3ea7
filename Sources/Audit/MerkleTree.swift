import Events
import Journal

/// The Merkle tree over all stored events, kept by the committer in the transaction that appends them.
///
/// The table has 32 bytes for every 256 events, and the right edge. Leaves and what lies inside a tile are hashed
/// again from the log when a proof asks for them, which few do. The events alone say what it
/// holds:
///
///     u8 0                       → the edge
///     u8 level, u64 index (big-endian) → the root of a full tile: 256^level events
///
/// Unchecked: after the start only the committer's thread comes here.
package final class MerkleTree: Projection, @unchecked Sendable {
    package let table = ProjectionTable.tree
    private var builder = TreeBuilder()
    private var row = ByteBuffer(capacity: 2_048)

    package init() {}

    package func resume(_ rows: borrowing ProjectionRows) throws(LMDBError) -> UInt64 {
        let edge = try MerkleTree.edge(rows)
        builder.reset(to: edge)
        return edge.size
    }
    package func fold(
        _ events: EventPage, into rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        #if TOLLGATE_PLANTED_BUGS
        var events = events
        var others = events.events
        if PlantedBug.current == .treeSkipsEvents, events.count > 1, let first = others.next() {
            let frames = events.frames.slice(EventPage.gap + first.count, events.frames.count)
            events = EventPage(
                firstSeq: events.firstSeq + 1, count: events.count - 1, frames: frames)
        }
        #endif
        try builder.append(events.events) { tile throws(LMDBError) in
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .treeLosesTiles { return }
            #endif
            row.removeAll()
            MerkleTree.appendKey(level: tile.level, index: tile.index, to: &row)
            let key = row.count
            row.append(tile.root)
            try rows.put(row.bytes.slice(0, key), row.bytes.slice(key, row.count))
        }
        row.removeAll()
        row.append(0)
        builder.edge.encode(into: &row)
        try rows.put(row.bytes.slice(0, 1), row.bytes.slice(1, row.count))
    }
}

extension MerkleTree {
    /// The edge as the table has it; that of an empty tree where it has none.
    package static func edge(_ rows: borrowing ProjectionRows) throws(LMDBError) -> TreeEdge {
        guard let row = try rows.value(edgeKey) else { return TreeEdge() }
        guard let edge = TreeEdge(decoding: row) else {
            throw .damagedRows("reading the right edge of the tree")
        }
        return edge
    }
    /// The root of a full tile; `level` 1 is of 256 events.
    static func root(
        _ rows: borrowing ProjectionRows, level: Int, index: UInt64
    ) throws(LMDBError) -> TreeHash? {
        var key = ByteBuffer(capacity: 16)
        appendKey(level: level, index: index, to: &key)
        return try rows.value(key.bytes).flatMap { TreeHash($0) }
    }

    private static let edgeKey = Bytes("\u{0}" as StaticString)
    private static func appendKey(level: Int, index: UInt64, to buffer: inout ByteBuffer) {
        buffer.append(UInt8(level))
        buffer.append(uint64: index.byteSwapped)
    }
}

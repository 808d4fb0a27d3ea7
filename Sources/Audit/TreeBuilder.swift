import CLinux
import Events
import Journal

/// Grows a tree by events: hashes them two at a time and folds what fits into perfect subtrees before it
/// meets the edge, two nodes at a time as well.
package struct TreeBuilder: ~Copyable {
    package private(set) var edge: TreeEdge
    /// The leaves of one tile that are not yet in the edge.
    private let leaves: UnsafeMutablePointer<UInt8>

    package init(_ edge: TreeEdge = TreeEdge()) {
        self.edge = edge
        leaves = .allocate(capacity: Int(TreeTile.width) * TreeHash.byteCount)
    }
    deinit { leaves.deallocate() }

    package mutating func reset(to edge: TreeEdge) { self.edge = edge }

    /// Adds the leaves of a page's events.
    ///
    /// - Parameter tile: hears of each tile that is full now.
    package mutating func append<E: Error>(
        _ events: EventPage.Events, tile: (TreeTile) throws(E) -> Void
    ) throws(E) {
        var held = 0
        var single: Bytes?
        // Up to the end of the tile that the edge stands in.
        var room = Int(TreeTile.width - edge.size % TreeTile.width)
        for event in events {
            guard let first = single else {
                single = event
                // Of an odd number the last is hashed alone.
                if held + 1 < room { continue }
                store(event, &held)
                single = nil
                try absorb(held, tile: tile)
                (held, room) = (0, Int(TreeTile.width))
                continue
            }
            tg_sha256_pair(
                0, first.base!, first.count, event.base!, event.count,
                leaves + held * TreeHash.byteCount)
            held += 2
            single = nil
            if held == room {
                try absorb(held, tile: tile)
                (held, room) = (0, Int(TreeTile.width))
            }
        }
        if let last = single { store(last, &held) }
        try absorb(held, tile: tile)
    }
    /// Adds leaves that are hashed already, 32 bytes each; at most a tile's rest.
    package mutating func append<E: Error>(
        hashes: Bytes, tile: (TreeTile) throws(E) -> Void
    ) throws(E) {
        let count = hashes.count / TreeHash.byteCount
        precondition(
            UInt64(count) <= TreeTile.width - edge.size % TreeTile.width, "the rest of one tile")
        if count > 0 {
            UnsafeMutableRawPointer(leaves)
                .copyMemory(from: hashes.base!, byteCount: count * TreeHash.byteCount)
        }
        try absorb(count, tile: tile)
    }

    private mutating func store(_ event: Bytes, _ held: inout Int) {
        tg_sha256(0, event.base, event.count, leaves + held * TreeHash.byteCount)
        held += 1
    }
    /// Takes the first `count` leaves into the edge, the largest aligned subtrees first.
    private mutating func absorb<E: Error>(
        _ count: Int, tile: (TreeTile) throws(E) -> Void
    ) throws(E) {
        var at = 0
        while at < count {
            let fits = Int.bitWidth - 1 - (count - at).leadingZeroBitCount
            let level = min(edge.size.trailingZeroBitCount, fits, TreeTile.height)
            let subtree = leaves + at * TreeHash.byteCount
            for height in 0..<level {
                tg_sha256_parents(subtree, 1 << (level - height - 1), subtree)
            }
            try edge.push(TreeHash(at: subtree), level: level, tile: tile)
            at += 1 << level
        }
    }
}

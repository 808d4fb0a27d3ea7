import CLinux
import Events
import Journal

/// Finds any node of a tree of which only tiles are at hand, each fetched once.
package struct TreeNodes<E: Error>: ~Copyable {
    /// The 256 (at the right edge fewer) hashes of a tile; level 0 has the leaves.
    package typealias Fetch = (_ level: Int, _ index: UInt64) throws(E) -> [TreeHash]

    private struct Tile: Hashable {
        var level: Int
        var index: UInt64
    }
    private var tiles: [Tile: [TreeHash]] = [:]

    package init() {}

    /// Nil where the tiles do not reach.
    package mutating func node(
        _ place: MerkleProof.Place, fetch: Fetch
    ) throws(E) -> TreeHash? {
        let (level, height) = place.level.quotientAndRemainder(dividingBy: TreeTile.height)
        let first = place.index << UInt64(height)
        let tile = Tile(level: level, index: first / TreeTile.width)
        let hashes: [TreeHash]
        if let known = tiles[tile] {
            hashes = known
        } else {
            hashes = try fetch(tile.level, tile.index)
            tiles[tile] = hashes
        }
        let start = Int(first % TreeTile.width)
        guard start + 1 << height <= hashes.count else { return nil }
        var nodes = Array(hashes[start..<start + 1 << height])
        while nodes.count > 1 {
            for i in 0..<nodes.count / 2 { nodes[i] = .node(nodes[2 * i], nodes[2 * i + 1]) }
            nodes.removeLast(nodes.count / 2)
        }
        return nodes[0]
    }
}

extension MerkleTree {
    /// A tile as the table and the log behind it have it: of leaves, or of roots of tiles.
    package static func tile(
        _ rows: borrowing ProjectionRows, level: Int, index: UInt64, size: UInt64
    ) throws(LMDBError) -> [TreeHash] {
        let first = index * TreeTile.width
        let all = level == 0 ? size : size >> UInt64(level * TreeTile.height)
        guard first < all else { return [] }
        let count = min(TreeTile.width, all - first)
        if level == 0 { return try leaves(rows, first + 1...first + count) }
        var hashes: [TreeHash] = []
        for i in first..<first + count {
            guard let root = try root(rows, level: level, index: i) else {
                throw .damagedRows("reading a tile of the tree")
            }
            hashes.append(root)
        }
        return hashes
    }
    private static func leaves(
        _ rows: borrowing ProjectionRows, _ seqs: ClosedRange<UInt64>
    ) throws(LMDBError) -> [TreeHash] {
        var hashes: [TreeHash] = []
        var event = ByteBuffer(capacity: 1_024)
        for seq in seqs {
            event.removeAll()
            guard try rows.event(seq, into: &event) else {
                throw .damagedRows("reading an event for the tree")
            }
            hashes.append(.leaf(event.bytes))
        }
        return hashes
    }
}

import CLinux
import Events

/// The right edge of a tree: for each bit of its size, the root of a perfect subtree. It is all that is
/// needed to go on, and to know the root.
package struct TreeEdge: Equatable, Sendable {
    /// How many leaves the tree has: the seq of its last event.
    package private(set) var size: UInt64 = 0
    /// By level; one counts where the size has that bit.
    private var nodes = [TreeHash](repeating: TreeHash(), count: 64)

    package init() {}

    package var root: TreeHash {
        var root: TreeHash?
        for level in 0..<64 where size >> UInt64(level) & 1 == 1 {
            root = root.map { TreeHash.node(nodes[level], $0) } ?? nodes[level]
        }
        return root ?? .ofNothing
    }

    /// Adds a perfect subtree of 2^`level` leaves behind all others; the size is a multiple of that.
    ///
    /// - Parameter tile: hears of each node whose level is a multiple of eight: the root of a tile.
    mutating func push<E: Error>(
        _ subtree: TreeHash, level start: Int, tile: (TreeTile) throws(E) -> Void
    ) throws(E) {
        var level = start
        var index = size >> UInt64(level)
        var node = subtree
        size += 1 << UInt64(level)
        while true {
            if level > 0, level % TreeTile.height == 0 {
                try tile(TreeTile(level: level / TreeTile.height, index: index, root: node))
            }
            guard index & 1 == 1 else { break }
            node = .node(nodes[level], node)
            level += 1
            index >>= 1
        }
        nodes[level] = node
    }

    package static func == (a: TreeEdge, b: TreeEdge) -> Bool {
        a.size == b.size
            && (0..<64).allSatisfy { a.size >> UInt64($0) & 1 == 0 || a.nodes[$0] == b.nodes[$0] }
    }
}

/// 256 nodes of one level, as C2SP's tlog-tiles cuts a tree: told here when their root is known.
package struct TreeTile: Equatable, Sendable {
    /// Levels of the tree between a tile's hashes and its root.
    static let height = 8
    static let width: UInt64 = 256

    /// Of the root, in the numbering of tiles: the first are roots of 256 leaves.
    package var level: Int
    package var index: UInt64
    package var root: TreeHash
}

extension TreeEdge {
    /// How it stands in its row: u64 size, the hashes from the largest subtree to the smallest, u32 CRC-32C of
    /// all that.
    func encode(into buffer: inout ByteBuffer) {
        let start = buffer.count
        buffer.append(uint64: size)
        for level in (0..<64).reversed() where size >> UInt64(level) & 1 == 1 {
            buffer.append(nodes[level])
        }
        let bytes = buffer.bytes.slice(start, buffer.count)
        buffer.append(uint32: tg_crc32c(0, bytes.base, bytes.count))
    }
    init?(decoding bytes: Bytes) {
        guard bytes.count >= 12 else { return nil }
        let body = bytes.slice(0, bytes.count - 4)
        var reader = ByteReader(bytes)
        size = reader.uint64()
        for level in (0..<64).reversed() where size >> UInt64(level) & 1 == 1 {
            guard let node = TreeHash(reader.bytes(TreeHash.byteCount)) else { return nil }
            nodes[level] = node
        }
        guard reader.uint32() == tg_crc32c(0, body.base, body.count), !reader.failed,
            reader.remaining == 0
        else { return nil }
    }
}

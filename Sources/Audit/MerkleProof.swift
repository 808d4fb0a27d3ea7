/// The proofs of RFC 6962 section 2.1, made and checked; checking follows the algorithms of RFC 9162
/// section 2.1.3.2 and 2.1.4.2.
package enum MerkleProof {
    /// A node below which all leaves are there: its leaves are index × 2^level … (index + 1) × 2^level.
    package struct Place: Hashable, Sendable {
        package var level: Int
        package var index: UInt64
    }

    // MARK: Making

    /// The root of the first `size` leaves.
    package static func root<E: Error>(
        size: UInt64, node: (Place) throws(E) -> TreeHash
    ) throws(E) -> TreeHash {
        size == 0 ? .ofNothing : try hash(0..<size, node)
    }
    /// That the leaf of that index is in the tree of that size: from its sibling up to a child of the root.
    package static func inclusion<E: Error>(
        of index: UInt64, in size: UInt64, node: (Place) throws(E) -> TreeHash
    ) throws(E) -> [TreeHash] {
        precondition(index < size, "the leaf is in the tree")
        var path: [TreeHash] = []
        var range = 0..<size
        while range.count > 1 {
            let middle = split(range)
            if index < middle {
                path.append(try hash(middle..<range.upperBound, node))
                range = range.lowerBound..<middle
            } else {
                path.append(try hash(range.lowerBound..<middle, node))
                range = middle..<range.upperBound
            }
        }
        return path.reversed()
    }
    /// That the tree of the new size begins with the one of the old. From nothing, and from the same size,
    /// the proof is empty.
    package static func consistency<E: Error>(
        from old: UInt64, to new: UInt64, node: (Place) throws(E) -> TreeHash
    ) throws(E) -> [TreeHash] {
        precondition(old <= new, "a tree only grows")
        guard old > 0, old < new else { return [] }
        var path: [TreeHash] = []
        var range = 0..<new
        while range.upperBound > old {
            let middle = split(range)
            if old <= middle {
                path.append(try hash(middle..<range.upperBound, node))
                range = range.lowerBound..<middle
            } else {
                path.append(try hash(range.lowerBound..<middle, node))
                range = middle..<range.upperBound
            }
        }
        // The old tree's own root need not be told.
        if range.lowerBound > 0 { path.append(try hash(range, node)) }
        return path.reversed()
    }

    /// Where RFC 6962 cuts a range in two: behind the largest power of two that is less than its length.
    private static func split(_ range: Range<UInt64>) -> UInt64 {
        let length = range.upperBound - range.lowerBound
        return range.lowerBound + 1 << UInt64(63 - (length - 1).leadingZeroBitCount)
    }
    private static func hash<E: Error>(
        _ range: Range<UInt64>, _ node: (Place) throws(E) -> TreeHash
    ) throws(E) -> TreeHash {
        let length = range.upperBound - range.lowerBound
        if length.nonzeroBitCount == 1 {
            let level = length.trailingZeroBitCount
            return try node(Place(level: level, index: range.lowerBound >> UInt64(level)))
        }
        let middle = split(range)
        return .node(
            try hash(range.lowerBound..<middle, node), try hash(middle..<range.upperBound, node))
    }

    // MARK: Checking

    package static func includes(
        _ leaf: TreeHash, at index: UInt64, in size: UInt64, root: TreeHash, proof: [TreeHash]
    ) -> Bool {
        guard index < size else { return false }
        var (place, last) = (index, size - 1)
        var hash = leaf
        for sibling in proof {
            guard last > 0 else { return false }
            if place & 1 == 1 || place == last {
                hash = .node(sibling, hash)
                while place & 1 == 0, place > 0 {
                    place >>= 1
                    last >>= 1
                }
            } else {
                hash = .node(hash, sibling)
            }
            place >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }
    /// From size 0 the convention is C2SP's: the empty proof shows it, and nothing else does, as long as the
    /// root of no leaves is what it must be. (Others refuse to answer: everything begins with nothing.)
    package static func extends(
        _ old: UInt64, _ oldRoot: TreeHash, to new: UInt64, _ newRoot: TreeHash, proof: [TreeHash]
    ) -> Bool {
        guard old <= new else { return false }
        if old == 0, oldRoot != .ofNothing { return false }
        guard old < new else { return proof.isEmpty && oldRoot == newRoot }
        guard old > 0 else { return proof.isEmpty }
        var (place, last) = (old - 1, new - 1)
        while place & 1 == 1 {
            place >>= 1
            last >>= 1
        }
        var rest = proof[...]
        // An old tree that is one perfect subtree is its own beginning.
        guard let first = place == 0 ? oldRoot : rest.popFirst() else { return false }
        var (before, after) = (first, first)
        for sibling in rest {
            guard last > 0 else { return false }
            if place & 1 == 1 || place == last {
                before = .node(sibling, before)
                after = .node(sibling, after)
                while place & 1 == 0, place > 0 {
                    place >>= 1
                    last >>= 1
                }
            } else {
                after = .node(after, sibling)
            }
            place >>= 1
            last >>= 1
        }
        return last == 0 && before == oldRoot && after == newRoot
    }
}

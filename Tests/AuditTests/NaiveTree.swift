import Audit
import Crypto
import Events

/// The tree of RFC 6962 section 2.1 as it is written there: by recursion over all leaves, with somebody
/// else's SHA-256.
final class NaiveTree {
    private(set) var leaves: [TreeHash] = []
    /// Of larger ranges, so that a second size costs little.
    private var known: [Range<Int>: TreeHash] = [:]

    func append(_ entry: [UInt8]) { leaves.append(Self.digest([0] + entry)) }

    /// MTH(D[0:n])
    func root(_ size: Int) -> TreeHash { size == 0 ? Self.digest([]) : root(0..<size) }
    /// MTH(D[a:b])
    func root(_ range: Range<Int>) -> TreeHash {
        if range.count == 1 { return leaves[range.lowerBound] }
        if let hash = known[range] { return hash }
        let middle = Self.split(range)
        let (left, right) = (
            root(range.lowerBound..<middle), root(middle..<range.upperBound)
        )
        let hash = Self.digest([1] + left.bytes + right.bytes)
        if range.count >= 256 { known[range] = hash }
        return hash
    }
    /// PATH(m, D[0:n])
    func inclusion(of index: Int, in size: Int) -> [TreeHash] { path(index, 0..<size) }
    private func path(_ index: Int, _ range: Range<Int>) -> [TreeHash] {
        if range.count == 1 { return [] }
        let middle = Self.split(range)
        return index < middle
            ? path(index, range.lowerBound..<middle) + [root(middle..<range.upperBound)]
            : path(index, middle..<range.upperBound) + [root(range.lowerBound..<middle)]
    }
    /// PROOF(m, D[0:n]); RFC 6962 says nothing of m = 0, and here nothing is proven then.
    func consistency(from old: Int, to new: Int) -> [TreeHash] {
        old == 0 ? [] : subproof(old, 0..<new, isWhole: true)
    }
    private func subproof(_ end: Int, _ range: Range<Int>, isWhole: Bool) -> [TreeHash] {
        if end == range.upperBound { return isWhole ? [] : [root(range)] }
        let middle = Self.split(range)
        return end <= middle
            ? subproof(end, range.lowerBound..<middle, isWhole: isWhole)
                + [root(middle..<range.upperBound)]
            : subproof(end, middle..<range.upperBound, isWhole: false)
                + [root(range.lowerBound..<middle)]
    }

    private static func split(_ range: Range<Int>) -> Int {
        var half = 1
        while half * 2 < range.count { half *= 2 }
        return range.lowerBound + half
    }
    static func digest(_ bytes: [UInt8]) -> TreeHash {
        Array(SHA256.hash(data: bytes)).withUnsafeBytes { TreeHash(Bytes($0))! }
    }
}

import Crypto
import Events

/// The Merkle tree over a log as RFC 6962 section 2.1 writes it down, with none of the ledger's own code: of
/// every full subtree the hash is kept, the rest is the recursion.
struct NaiveTree {
    typealias Hash = [UInt8]

    /// By level, from the leaves up: the full subtrees of 2^level events, in order.
    private var levels: [[Hash]] = [[]]
    var size: Int { levels[0].count }

    mutating func append(_ event: Bytes) {
        var leaf = SHA256()
        leaf.update(data: [0])
        leaf.update(bufferPointer: UnsafeRawBufferPointer(event))
        levels[0].append(Hash(leaf.finalize()))
        var level = 0
        while levels[level].count % 2 == 0 {
            let pair = levels[level].suffix(2)
            if level + 1 == levels.count { levels.append([]) }
            levels[level + 1].append(NaiveTree.node(pair.first!, pair.last!))
            level += 1
        }
    }

    /// The full subtree of 2^level events with that index, if it is there.
    func subtree(level: Int, index: Int) -> Hash? {
        guard level < levels.count, index < levels[level].count else { return nil }
        return levels[level][index]
    }
    /// MTH of the first events.
    func root(of size: Int) -> Hash { size == 0 ? Hash(SHA256.hash(data: Hash())) : hash(0, size) }
    /// PATH of the event behind `index` others.
    func inclusion(of index: Int, in size: Int) -> [Hash] { path(index, 0, size) }
    /// PROOF that the tree of `new` events begins with the one of `old`; none is needed from nothing.
    func consistency(from old: Int, to new: Int) -> [Hash] {
        old == 0 || old == new ? [] : subproof(old, 0, new, isWhole: true)
    }

    private func hash(_ start: Int, _ count: Int) -> Hash {
        if count.nonzeroBitCount == 1, start % count == 0 {
            return levels[count.trailingZeroBitCount][start / count]
        }
        let k = NaiveTree.split(count)
        return NaiveTree.node(hash(start, k), hash(start + k, count - k))
    }
    private func path(_ m: Int, _ start: Int, _ count: Int) -> [Hash] {
        guard count > 1 else { return [] }
        let k = NaiveTree.split(count)
        return m < k
            ? path(m, start, k) + [hash(start + k, count - k)]
            : path(m - k, start + k, count - k) + [hash(start, k)]
    }
    private func subproof(_ m: Int, _ start: Int, _ count: Int, isWhole: Bool) -> [Hash] {
        if m == count { return isWhole ? [] : [hash(start, count)] }
        let k = NaiveTree.split(count)
        return m <= k
            ? subproof(m, start, k, isWhole: isWhole) + [hash(start + k, count - k)]
            : subproof(m - k, start + k, count - k, isWhole: false) + [hash(start, k)]
    }

    /// The largest power of two that is less than `count`.
    private static func split(_ count: Int) -> Int {
        var k = 1
        while 2 * k < count { k *= 2 }
        return k
    }
    private static func node(_ left: Hash, _ right: Hash) -> Hash {
        Hash(SHA256.hash(data: [1] + left + right))
    }
}

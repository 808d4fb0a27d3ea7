import Events
import Journal
import TestSupport
import Testing

@testable import Audit

/// Roots and proofs against RFC 6962's own recursion.
@Suite struct `A Merkle proof` {
    private static func tree(_ size: Int, seed: UInt64) -> NaiveTree {
        var random = SeededGenerator(seed: seed)
        let tree = NaiveTree()
        for _ in 0..<size {
            let count = Int.random(in: 0...40, using: &random)
            tree.append((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
        return tree
    }
    /// A node of the naive tree, as proofs ask for it.
    private static func node(_ tree: NaiveTree, _ place: MerkleProof.Place) -> TreeHash {
        let first = Int(place.index) << place.level
        return tree.root(first..<first + 1 << place.level)
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func `is RFC 6962's, for every pair of small numbers`(seed: UInt64) {
        let tree = Self.tree(40, seed: seed)
        for size in 0...40 {
            let root = tree.root(size)
            #expect(
                MerkleProof.root(size: UInt64(size)) { Self.node(tree, $0) } == root, "\(size)")
            for index in 0..<size {
                let proof = MerkleProof.inclusion(of: UInt64(index), in: UInt64(size)) {
                    Self.node(tree, $0)
                }
                #expect(proof == tree.inclusion(of: index, in: size), "\(index) in \(size)")
                #expect(
                    MerkleProof.includes(
                        tree.leaves[index], at: UInt64(index), in: UInt64(size), root: root,
                        proof: proof), "\(index) in \(size)")
            }
            for old in 0...size {
                let proof = MerkleProof.consistency(from: UInt64(old), to: UInt64(size)) {
                    Self.node(tree, $0)
                }
                #expect(proof == tree.consistency(from: old, to: size), "\(old) to \(size)")
                #expect(
                    MerkleProof.extends(
                        UInt64(old), tree.root(old), to: UInt64(size), root, proof: proof),
                    "\(old) to \(size)")
            }
        }
    }

    /// The hashes with one bit of one of them changed.
    private static func eachChange(_ hashes: [TreeHash], _ body: ([TreeHash], String) -> Void) {
        for (place, hash) in hashes.enumerated() {
            for bit in 0..<256 {
                var bytes = hash.bytes
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                var changed = hashes
                changed[place] = bytes.withUnsafeBytes { TreeHash(Bytes($0))! }
                body(changed, "bit \(bit) of hash \(place)")
            }
        }
    }

    @Test(arguments: [1, 2, 3, 6, 7, 8])
    func `of an inclusion is refused with one bit changed`(size: Int) {
        let tree = Self.tree(size, seed: 7)
        let root = tree.root(size)
        for index in 0..<size {
            let proof = tree.inclusion(of: index, in: size)
            Self.eachChange([tree.leaves[index], root] + proof) { changed, what in
                #expect(
                    !MerkleProof.includes(
                        changed[0], at: UInt64(index), in: UInt64(size), root: changed[1],
                        proof: Array(changed[2...])), "\(index) in \(size): \(what)")
            }
            for other in 0...size + 1 where other != index {
                #expect(
                    !MerkleProof.includes(
                        tree.leaves[index], at: UInt64(other), in: UInt64(size), root: root,
                        proof: proof), "\(index) in \(size) as \(other)")
            }
            for shorter in 0..<proof.count {
                #expect(
                    !MerkleProof.includes(
                        tree.leaves[index], at: UInt64(index), in: UInt64(size), root: root,
                        proof: Array(proof[..<shorter])), "\(shorter) of its hashes")
            }
            #expect(
                !MerkleProof.includes(
                    tree.leaves[index], at: UInt64(index), in: UInt64(size), root: root,
                    proof: proof + [root]), "a hash too many")
        }
    }
    @Test(arguments: [2, 3, 6, 7, 8])
    func `of consistency is refused with one bit changed`(size: Int) {
        let tree = Self.tree(size, seed: 8)
        for old in 1..<size {
            let proof = tree.consistency(from: old, to: size)
            let roots = [tree.root(old), tree.root(size)]
            Self.eachChange(roots + proof) { changed, what in
                #expect(
                    !MerkleProof.extends(
                        UInt64(old), changed[0], to: UInt64(size), changed[1],
                        proof: Array(changed[2...])), "\(old) to \(size): \(what)")
            }
            for wrong in [Array(proof.dropLast()), proof + [roots[0]]] {
                #expect(
                    !MerkleProof.extends(
                        UInt64(old), roots[0], to: UInt64(size), roots[1], proof: wrong),
                    "\(old) to \(size) with \(wrong.count) hashes")
            }
            #expect(
                !MerkleProof.extends(
                    UInt64(size), roots[1], to: UInt64(old), roots[0], proof: proof),
                "a tree only grows")
        }
    }

    /// C2SP's convention, in which every log begins with nothing; transparency-dev/merkle answers an error.
    @Test func `from nothing is empty, and nothing else proves it`() {
        let tree = Self.tree(5, seed: 9)
        let (nothing, some) = (tree.root(0), tree.root(5))
        #expect(MerkleProof.extends(0, nothing, to: 5, some, proof: []))
        #expect(MerkleProof.extends(0, nothing, to: 0, nothing, proof: []))
        #expect(!MerkleProof.extends(0, nothing, to: 5, some, proof: [some]))
        #expect(!MerkleProof.extends(0, some, to: 5, some, proof: []), "no tree of no leaves")
        #expect(!MerkleProof.extends(0, some, to: 0, some, proof: []))
        #expect(!MerkleProof.extends(0, nothing, to: 0, some, proof: []))
    }
}

/// Growing a tree by pages of events.
@Suite struct `A tree's edge` {
    private static func entry(_ seq: Int, _ random: inout SeededGenerator) -> [UInt8] {
        let count = EventHeader.byteCount + Int.random(in: 0...90, using: &random)
        var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes[0] = UInt8(count)
        bytes[1] = 0
        return bytes
    }

    /// However the log is cut into pages: the same roots, and the same full tiles.
    @Test(arguments: 0..<6 as Range<UInt64>)
    func `is RFC 6962's however the log is cut`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let tree = NaiveTree()
        var builder = TreeBuilder()
        var tiles = 0
        while tree.leaves.count < 1_600 {
            let longest = [1, 2, 3, 40, 255, 256, 257, 600].randomElement(using: &random)!
            let count = Int.random(in: 0...longest, using: &random)
            var frames: [UInt8] = []
            for _ in 0..<count {
                let entry = Self.entry(tree.leaves.count, &random)
                tree.append(entry)
                frames += [0, 0, 0, 0] + entry
            }
            frames.withUnsafeBytes { raw in
                let page = EventPage(firstSeq: 1, count: count, frames: Bytes(raw))
                builder.append(page.events) { tile in
                    let first = Int(tile.index) * 256
                    #expect(tile.level == 1 && Int(tile.index) == tiles, "in order, each once")
                    #expect(tile.root == tree.root(first..<first + 256), "tile \(tile.index)")
                    tiles += 1
                }
            }
            let (size, edge) = (tree.leaves.count, builder.edge)
            #expect(edge.size == UInt64(size) && edge.root == tree.root(size), "\(size)")
            #expect(tiles == size / 256)
            // As it stands in its row, and goes on from there.
            var row = ByteBuffer()
            edge.encode(into: &row)
            let read = TreeEdge(decoding: row.bytes)
            #expect(read == edge, "\(size)")
            if let read { builder.reset(to: read) }
        }
    }

    @Test func `with one bit of its row changed is none`() {
        var builder = TreeBuilder()
        var random = SeededGenerator(seed: 1)
        var frames: [UInt8] = []
        for seq in 0..<7 { frames += [0, 0, 0, 0] + Self.entry(seq, &random) }
        frames.withUnsafeBytes {
            builder.append(EventPage(firstSeq: 1, count: 7, frames: Bytes($0)).events) { _ in }
        }
        var row = ByteBuffer()
        builder.edge.encode(into: &row)
        let bytes = Array(UnsafeRawBufferPointer(start: row.bytes.base, count: row.count))
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(changed.withUnsafeBytes { TreeEdge(decoding: Bytes($0)) } == nil, "bit \(bit)")
        }
        for count in 0..<bytes.count {
            #expect(bytes[..<count].withUnsafeBytes { TreeEdge(decoding: Bytes($0)) } == nil)
        }
    }
}

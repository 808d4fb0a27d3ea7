import Events
import Foundation
import TestSupport
import Testing

@testable import Audit

/// What others publish for implementations such as ours: an extract that stands beside this file, and all
/// of it where it lies beside the checkout.
@Suite struct `Public vectors` {
    private struct Inclusion: Decodable {
        var leafIdx: UInt64
        var treeSize: UInt64
        var root: String
        var leafHash: String
        var proof: [String]?
        var wantErr: Bool

        var isAccepted: Bool {
            guard let leaf = node(leafHash), let root = node(root), let proof = nodes(proof)
            else { return false }
            return MerkleProof.includes(leaf, at: leafIdx, in: treeSize, root: root, proof: proof)
        }
    }
    private struct Consistency: Decodable {
        var size1: UInt64
        var size2: UInt64
        var root1: String
        var root2: String
        var proof: [String]?
        var wantErr: Bool

        var isAccepted: Bool {
            guard let old = node(root1), let new = node(root2), let proof = nodes(proof)
            else { return false }
            return MerkleProof.extends(size1, old, to: size2, new, proof: proof)
        }
        /// That library answers an error to every question about size 0; C2SP has witnesses accept the empty
        /// proof, and so do we where the root of size 0 is what it must be.
        var isOfAnotherConvention: Bool {
            size1 == 0 && size2 > 0 && proof?.isEmpty != false
                && node(root1) == TreeHash.ofNothing
        }
    }
    private struct Proofs: Decodable {
        var inclusion: [Inclusion]
        var consistency: [Consistency]

        func check() {
            for (place, vector) in inclusion.enumerated() {
                #expect(vector.isAccepted == !vector.wantErr, "inclusion \(place): \(vector)")
            }
            for (place, vector) in consistency.enumerated() {
                let isWanted = vector.isOfAnotherConvention || !vector.wantErr
                #expect(vector.isAccepted == isWanted, "consistency \(place): \(vector)")
            }
            #expect(consistency.count(where: \.isOfAnotherConvention) == 1)
        }
    }
    private static func decode<T: Decodable>(_ name: String) throws -> T {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "Vectors/\(name)")
        return try JSONDecoder().decode(T.self, from: Data(contentsOf: file))
    }

    @Test func `of proofs: an extract`() throws {
        let proofs: Proofs = try Self.decode("proofs.json")
        #expect(
            proofs.inclusion.contains { !$0.wantErr } && proofs.inclusion.contains(where: \.wantErr)
        )
        proofs.check()
    }

    private static let merkle = SharedData.path("tlog/merkle")

    @Test(.enabled(if: FileManager.default.fileExists(atPath: merkle), "\(merkle) is not here"))
    func `of proofs: all`() throws {
        func read<T: Decodable>(_ kind: String) throws -> [T] {
            let folder = Self.merkle + "/" + kind
            return try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
                .filter { $0.hasSuffix(".json") }
                .map {
                    try JSONDecoder().decode(
                        T.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))
                }
        }
        let proofs = Proofs(
            inclusion: try read("inclusion"), consistency: try read("consistency"))
        #expect(proofs.inclusion.count == 98 && proofs.consistency.count == 98)
        proofs.check()
    }

    // MARK: A log

    /// A small log of somebody else's, with its checkpoints.
    private struct Log: Decodable {
        var key: String
        var entries: [String]
        var checkpoints: [String]

        func check() throws {
            let key = try VerifierKey(parsing: key)
            let tree = NaiveTree()
            for entry in entries { tree.append(Array(entry.utf8)) }
            var heads: [TreeHead] = []
            for checkpoint in checkpoints {
                let note = try SignedNote(parsing: checkpoint)
                #expect(note.note == checkpoint)
                #expect(try key.hasSigned(note))
                let head = try TreeHead(parsing: note.text)
                #expect(head.origin == key.name)
                #expect(head.root == tree.root(Int(head.size)), "\(head)")
                heads.append(head)
            }
            for head in heads {
                for index in 0..<Int(head.size) {
                    #expect(
                        MerkleProof.includes(
                            Array(entries[index].utf8).withUnsafeBytes { .leaf(Bytes($0)) },
                            at: UInt64(index), in: head.size, root: head.root,
                            proof: tree.inclusion(of: index, in: Int(head.size))))
                }
                for later in heads where later.size >= head.size {
                    #expect(
                        MerkleProof.extends(
                            head.size, head.root, to: later.size, later.root,
                            proof: tree.consistency(from: Int(head.size), to: Int(later.size))))
                }
            }
        }
    }

    @Test func `of a log: its entries and some checkpoints`() throws {
        let log: Log = try Self.decode("log.json")
        try log.check()
    }

    private static let log = SharedData.path("tlog/checkpoints/log")

    @Test(.enabled(if: FileManager.default.fileExists(atPath: log), "\(log) is not here"))
    func `of a log: all checkpoints, tiles and bundles`() throws {
        func bytes(_ name: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.log + "/" + name)))
        }
        var whole: Log = try Self.decode("log.json")
        whole.checkpoints = try (0...15).map {
            String(decoding: try bytes("checkpoint.\($0)"), as: UTF8.self)
        }
        try whole.check()
        let entries = whole.entries.map { Array($0.utf8) }
        for width in 1...15 {
            let bundle = entries[..<width].flatMap { (entry: [UInt8]) -> [UInt8] in
                [0, UInt8(entry.count)] + entry
            }
            #expect(try bytes("tile/entries/000.p/\(width)") == bundle)
            let leaves = entries[..<width].flatMap { entry in
                entry.withUnsafeBytes { TreeHash.leaf(Bytes($0)) }.bytes
            }
            #expect(try bytes("tile/0/000.p/\(width)") == leaves)
        }
    }
}

/// Some have a text such as "don't care 1" where a hash would be: it stands for its own hash, so that what
/// is equal stays equal.
private func node(_ text: String) -> TreeHash? {
    guard let bytes = Base64.decode(text), !bytes.isEmpty else { return nil }
    return bytes.count == 32
        ? TreeHash(base64: text) : bytes.withUnsafeBytes { TreeHash.sha256(Bytes($0)) }
}
private func nodes(_ texts: [String]?) -> [TreeHash]? {
    let found = (texts ?? []).map(node)
    return found.contains(nil) ? nil : found.compactMap { $0 }
}

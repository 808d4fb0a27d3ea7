import CLinux
import Events

/// A node of the Merkle tree over the log: 32 bytes of SHA-256 (RFC 6962 section 2.1).
package struct TreeHash: Hashable, Sendable {
    package static var byteCount: Int { 32 }

    // The bytes as they lie, whatever the machine's order: only ever moved and compared.
    private var a: UInt64 = 0
    private var b: UInt64 = 0
    private var c: UInt64 = 0
    private var d: UInt64 = 0

    /// 32 zeros, for places that are yet to be filled.
    init() {}
    /// Nil for anything but 32 bytes.
    package init?(_ bytes: Bytes) {
        guard bytes.count == TreeHash.byteCount, let base = bytes.base else { return nil }
        self.init(at: base)
    }
    package init?(base64 text: some StringProtocol) {
        guard let bytes = Base64.decode(text) else { return nil }
        guard let hash = bytes.withUnsafeBytes({ TreeHash(Bytes($0)) }) else { return nil }
        self = hash
    }
    init(at base: UnsafeRawPointer) { self = base.loadUnaligned(as: TreeHash.self) }

    package var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
    package var base64: String { withUnsafeBytes(of: self) { Base64.encode($0) } }
    package var hex: String { withUnsafeBytes(of: self) { Bytes($0).hex } }

    /// The root of the tree that has no leaf: the hash of nothing.
    package static let ofNothing = TreeHash.digest(prefix: -1, .empty)
    /// The leaf of an event's stored bytes, without the checksum that frames them.
    package static func leaf(_ event: Bytes) -> TreeHash { digest(prefix: 0, event) }
    package static func node(_ left: TreeHash, _ right: TreeHash) -> TreeHash {
        withUnsafeBytes(of: (left, right)) { digest(prefix: 1, Bytes($0)) }
    }
    package static func sha256(_ bytes: Bytes) -> TreeHash { digest(prefix: -1, bytes) }

    private static func digest(prefix: Int32, _ bytes: Bytes) -> TreeHash {
        var hash = TreeHash()
        withUnsafeMutableBytes(of: &hash) { out in
            tg_sha256(
                prefix, bytes.base, bytes.count,
                out.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
        return hash
    }
}

extension ByteBuffer {
    mutating func append(_ hash: TreeHash) { withUnsafeBytes(of: hash) { append(Bytes($0)) } }
}

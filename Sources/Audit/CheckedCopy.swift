import Crypto
import Events
import Journal

/// A copy of a ledger that has been read from end to end: every page, every event, every name, and the
/// tree over the events made anew.
struct CheckedCopy {
    let inspection: Inspection
    /// Of the tree over all events, in base64.
    let root: String

    /// - Returns: nil when `watch`, which hears of the events that are read, has ended it.
    init?(
        of directory: String, _ watch: (_ done: Int, _ whole: Int) -> Bool
    ) throws(JournalError) {
        inspection = try Inspection(directory: directory, everyPage: true)
        let whole = Int(clamping: inspection.lastSeq)
        var tree = RootFold()
        var goesOn = watch(0, whole)
        if goesOn {
            try inspection.readPages { page in
                for event in page.events { tree.add(event) }
                goesOn = watch(Int(clamping: page.lastSeq), whole)
                return goesOn
            }
        }
        guard goesOn else { return nil }
        _ = try inspection.checkNames()
        root = tree.root
    }
}

/// The root of an RFC 6962 tree, from its leaves in order.
struct RootFold {
    /// Roots of the full subtrees so far, the largest first; how many leaves there are says how large.
    private var roots: [SHA256Digest] = []
    private var count: UInt64 = 0

    mutating func add(_ leaf: Bytes) {
        var hash = SHA256()
        hash.update(data: [0])
        hash.update(bufferPointer: UnsafeRawBufferPointer(start: leaf.base, count: leaf.count))
        roots.append(hash.finalize())
        var size = count
        while size & 1 == 1 {
            merge()
            size >>= 1
        }
        count += 1
    }
    var root: String {
        var rest = self
        while rest.roots.count > 1 { rest.merge() }
        let digest = rest.roots.first ?? SHA256().finalize()
        return digest.withUnsafeBytes { RootFold.base64($0) }
    }
    private static func base64(_ bytes: UnsafeRawBufferPointer) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for at in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[at..<min(at + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            var letters: [UInt8] = []
            for position in (0..<4).reversed() {
                letters.append(position > group.count ? 0x3D : alphabet[bits & 63])
                bits >>= 6
            }
            text += letters.reversed()
        }
        return String(decoding: text, as: UTF8.self)
    }
    private mutating func merge() {
        let right = roots.removeLast()
        let left = roots.removeLast()
        var hash = SHA256()
        hash.update(data: [1])
        left.withUnsafeBytes { hash.update(bufferPointer: $0) }
        right.withUnsafeBytes { hash.update(bufferPointer: $0) }
        roots.append(hash.finalize())
    }
}

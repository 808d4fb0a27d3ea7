import Events
import Glibc

/// A page of `data.mdb`, or its front, as it was read; see `PageCheck`.
struct Page {
    static let headerBytes = 16
    static let overflowFlag = 4
    static let metaFlag = 8
    /// Of nodes in leaves: a value of its own pages, a database. This journal has no other kinds.
    private static let overflowingFlag = 1
    private static let databaseFlag = 2

    /// What its nodes are: leaves of the list of databases hold nothing else, and all other leaves none.
    enum Kind { case branch, rows, databases }

    let number: UInt64
    let path: String
    private(set) var bytes: [UInt8]

    init(number: UInt64, path: String, bytes: [UInt8]) {
        self.number = number
        self.path = path
        self.bytes = bytes
    }
    /// Reads a page, or as many bytes from its front on; values may be longer than a page.
    init(
        _ number: UInt64, _ file: borrowing File, _ pageBytes: Int, count: Int? = nil
    ) throws(JournalError) {
        self.number = number
        path = file.path
        bytes = []
        let place = Int(exactly: number)?.multipliedReportingOverflow(by: pageBytes)
        guard let place, !place.overflow else { throw damage("there is no such page") }
        let count = count ?? pageBytes
        var buffer = [UInt8](repeating: 0, count: count)
        var failure: JournalError?
        var read = 0
        buffer.withUnsafeMutableBytes { target in
            do throws(JournalError) {
                read = try file.read(
                    into: target.baseAddress!, count: count, at: place.partialValue)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        bytes = buffer
        guard read == count else { throw damage("the file ends within it") }
    }

    func u16(_ at: Int) -> Int { Int(bytes[at]) | Int(bytes[at + 1]) << 8 }
    func u32(_ at: Int) -> Int { u16(at) | u16(at + 2) << 16 }
    func u64(_ at: Int) -> UInt64 { UInt64(u32(at)) | UInt64(u32(at + 4)) << 32 }
    var isOwn: Bool { u64(0) == number }
    var flags: Int { u16(10) }
    var overflowPages: Int { u32(12) }

    /// The nodes in the order of their keys, each within the page and none upon another.
    func nodes(_ kind: Kind) throws(JournalError) -> [Node] {
        let (lower, upper) = (u16(12), u16(14))
        guard isOwn else { throw damage("it says that it is page \(u64(0))") }
        guard flags == (kind == .branch ? 1 : 2) else { throw damage("it is of another kind") }
        guard lower % 2 == 0, lower > Page.headerBytes, lower <= upper, upper < bytes.count else {
            throw damage("its bounds are \(lower) and \(upper)")
        }
        var nodes: [Node] = []
        for at in stride(from: Page.headerBytes, to: lower, by: 2) {
            let node = try node(u16(at), kind)
            guard let node, node.offset >= upper else { throw damage("a node is out of bounds") }
            nodes.append(node)
        }
        var end = upper
        for node in nodes.sorted(by: { $0.offset < $1.offset }) {
            guard node.offset == end else { throw damage("its nodes do not lie end to end") }
            end += node.byteCount
        }
        guard end == bytes.count else { throw damage("its nodes do not lie end to end") }
        return nodes
    }
    private func node(_ at: Int, _ kind: Kind) throws(JournalError) -> Node? {
        guard at + 8 <= bytes.count else { return nil }
        let (low, flags, keyCount) = (u32(at), u16(at + 4), u16(at + 6))
        let isLeaf = kind != .branch
        switch kind {
        case .branch: break
        // LMDB would follow a row of another kind otherwise, or refuse to write it.
        case .databases:
            guard flags == Page.databaseFlag, low == Tree.byteCount else {
                throw damage(
                    "a row is of the kind \(flags) and of \(low) bytes, and is a database's")
            }
        case .rows:
            guard flags == 0 || flags == Page.overflowingFlag else {
                throw damage("a row is of the kind \(flags), which no row here is of")
            }
        }
        let isOverflowing = isLeaf && flags == Page.overflowingFlag
        let value = isLeaf ? isOverflowing ? 8 : low : 0
        let size = (8 + keyCount + value + 1) & ~1
        guard at + size <= bytes.count else { return nil }
        return Node(
            offset: at, keyCount: keyCount, valueCount: isLeaf ? low : 0,
            isOverflowing: isOverflowing, child: UInt64(low) | UInt64(flags) << 32,
            byteCount: size)
    }
    func key(_ node: Node) -> [UInt8] {
        Array(bytes[node.offset + 8..<node.offset + 8 + node.keyCount])
    }
    func value(_ node: Node) -> [UInt8] {
        let at = node.offset + 8 + node.keyCount
        return Array(bytes[at..<at + node.valueCount])
    }
    func overflow(_ node: Node) -> UInt64 { u64(node.offset + 8 + node.keyCount) }

    func damage(_ what: String) -> JournalError {
        damaged(path, "page \(number): \(what)")
    }
}

/// A node as it lies in its page.
struct Node {
    var offset: Int
    var keyCount: Int
    var valueCount: Int
    var isOverflowing: Bool
    var child: UInt64
    /// Rounded up to an even number, as it lies in the page.
    var byteCount: Int
}

/// What is wrong with a journal's file, and what to do then.
func damaged(_ path: String, _ what: String) -> JournalError {
    JournalError(
        .damaged,
        "\(path) is damaged: \(what). Check the disk (dmesg, smartctl), then restore it from a backup"
    )
}

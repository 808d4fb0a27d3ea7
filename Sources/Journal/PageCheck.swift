import CLMDB
import Events
import Glibc

/// Looks at the pages of `data.mdb` as LMDB links them, and believes none of them.
///
/// LMDB has no checksums. Events and names carry their own, but what leads to them does not: a flipped
/// bit in a branch, in a meta page or in the list of free pages sends the library to where nothing is,
/// or has it write over a page in use. What holds of whole pages is known, though: each has its own
/// number in it and is in one place only, its nodes lie without a gap, its keys ascend, and the pages
/// add up.
///
///     0 u64 page number   10 u16 flags   12 u16 end of the offsets   14 u16 begin of the nodes
///     16 … offsets of the nodes in the order of their keys     … nodes, the last one ends the page
///     node: u16, u16, u16 the child's number, or u32 the value's length and flags   u16 key's length   key, value
struct PageCheck: ~Copyable {
    /// Pages that are neither used nor free. LMDB loses none, but if it did, nothing else would be.
    private(set) var lost: UInt64 = 0

    private let file: File
    private let meta: Meta
    private var seen: [UInt64]

    /// The tables that writing trusts: both meta pages, the list of free pages, and where the
    /// databases begin. Few pages, however long the log is.
    ///
    /// - Parameter transaction: the one a reader holds, if somebody else may write meanwhile.
    init(_ path: String, transaction: UInt64? = nil) throws(JournalError) {
        let file = try File(opening: path, O_RDONLY)
        let meta = try Meta(newestIn: file, transaction)
        let pages = try UInt64(file.size() / meta.pageBytes)
        guard meta.lastPage < pages, meta.lastPage >= 1 else {
            throw damaged(path, "a meta page ends it at page \(meta.lastPage) of \(pages)")
        }
        self.file = file
        self.meta = meta
        seen = [UInt64](repeating: 0, count: Int(meta.lastPage / 64 + 1))
    }

    /// - Parameter everyPage: whether the log's own pages are looked at, too.
    mutating func run(everyPage: Bool) throws(JournalError) {
        let free = try walk(meta.free, "the list of free pages", keepsRows: true)
        let databases = try walk(meta.main, "the list of databases", keepsRows: true)
        var used = 2 + meta.free.pages + meta.main.pages
        for row in free { used += try takeFree(row) }
        for row in databases {
            let tree = try Tree(row, file.path)
            used += tree.pages
            let name = String(decoding: row.key, as: UTF8.self)
            // Of a table that a later version has added nothing is known.
            if let database = Database.allCases.first(where: { "\($0.name)" == name }) {
                guard tree.flags == database.flags else {
                    throw damaged(file.path, tree.explainFlags(database.flags, of: name))
                }
            }
            if everyPage { _ = try walk(tree, name, keepsRows: false) }
        }
        guard used <= meta.lastPage + 1 else {
            throw damaged(
                file.path, "\(used) pages are in use or free, of \(meta.lastPage + 1)")
        }
        lost = meta.lastPage + 1 - used
    }

    // MARK: Trees

    private typealias Row = (key: [UInt8], value: [UInt8])

    /// What a walk through one tree has met so far.
    private struct Walk {
        let tree: Tree
        let name: String
        let keepsRows: Bool
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var entries: UInt64 = 0
        var rows: [Row] = []
        var last: [UInt8]?
        /// A branch has promised that no key from here on is less.
        var floor: [UInt8]?

        /// How far it has come, in the words of whoever looks for what is damaged.
        var place: String {
            guard tree.hasIntegerKeys, name == "\(Database.events.name)" else { return name }
            guard let last else { return "the pages of the first events" }
            return "the pages of the events from \(PageCheck.integer(last)) on"
        }

        func isAscending(_ a: [UInt8], _ b: [UInt8]) -> Bool {
            tree.hasIntegerKeys
                ? PageCheck.integer(a) < PageCheck.integer(b) : a.lexicographicallyPrecedes(b)
        }
    }

    private mutating func walk(
        _ tree: Tree, _ name: String, keepsRows: Bool
    ) throws(JournalError) -> [Row] {
        var walk = Walk(tree: tree, name: name, keepsRows: keepsRows)
        // As many levels as LMDB itself can go down.
        guard tree.depth <= 32, (tree.depth == 0) == (tree.root == nil) else {
            throw damaged(file.path, "\(name) has \(tree.depth) levels")
        }
        do throws(JournalError) {
            if let root = tree.root { try descend(root, 1, &walk) }
        } catch {
            throw error.met(in: walk.place)
        }
        guard walk.branches == tree.branches, walk.leaves == tree.leaves,
            walk.overflows == tree.overflows, walk.entries == tree.entries
        else {
            throw damaged(file.path, "\(name) does not hold as much as it says")
        }
        return walk.rows
    }
    private mutating func descend(
        _ number: UInt64, _ level: Int, _ walk: inout Walk
    ) throws(JournalError) {
        try take(number, 1, walk.name)
        let isLeaf = level == walk.tree.depth
        let page = try Page(number, file, meta.pageBytes)
        let nodes = try page.nodes(isLeaf: isLeaf)
        if isLeaf { walk.leaves += 1 } else { walk.branches += 1 }
        for (i, node) in nodes.enumerated() {
            // The first key of a branch is never looked at.
            if isLeaf || i > 0 { try pass(node, page, isLeaf: isLeaf, &walk) }
            guard isLeaf else {
                try descend(node.child, level + 1, &walk)
                continue
            }
            walk.entries += 1
            guard node.isOverflowing else {
                if walk.keepsRows { walk.rows.append((page.key(node), page.value(node))) }
                continue
            }
            let value = try overflow(page.overflow(node), node.valueCount, &walk)
            if walk.keepsRows { walk.rows.append((page.key(node), value)) }
        }
    }
    /// The next key, of a leaf or of a branch, must be where it belongs.
    private func pass(
        _ node: Node, _ page: Page, isLeaf: Bool, _ walk: inout Walk
    ) throws(JournalError) {
        let key = page.key(node)
        guard !walk.tree.hasIntegerKeys || key.count == 8,
            walk.last.map({ walk.isAscending($0, key) }) ?? true,
            walk.floor.map({ !walk.isAscending(key, $0) }) ?? true
        else { throw page.damage("a key is out of order") }
        if isLeaf { walk.last = key }
        walk.floor = isLeaf ? nil : key
    }
    private mutating func overflow(
        _ number: UInt64, _ count: Int, _ walk: inout Walk
    ) throws(JournalError) -> [UInt8] {
        try take(number, 1, walk.name)
        let needed = (Page.headerBytes - 1 + count) / meta.pageBytes + 1
        let front = try Page(number, file, meta.pageBytes, count: Page.headerBytes)
        // A value that was replaced by a shorter one keeps its pages.
        guard front.isOwn, front.flags == Page.overflowFlag, front.overflowPages >= needed else {
            throw front.damage("it does not begin a value of \(count) bytes")
        }
        if front.overflowPages > 1 { try take(number + 1, front.overflowPages - 1, walk.name) }
        walk.overflows += UInt64(front.overflowPages)
        guard walk.keepsRows else { return [] }
        let whole = try Page(number, file, meta.pageBytes, count: Page.headerBytes + count)
        return Array(whole.bytes[Page.headerBytes...])
    }

    // MARK: One row

    /// Where the row of events lies that holds one of them; nil when there is none.
    mutating func row(holding seq: UInt64) throws(JournalError) -> EventRow? {
        let databases = try walk(meta.main, "the list of databases", keepsRows: true)
        guard let row = databases.first(where: { $0.key.elementsEqual("events".utf8) }) else {
            return nil
        }
        let tree = try Tree(row, file.path)
        guard tree.depth <= 32, var number = tree.root else { return nil }
        for level in 1...max(tree.depth, 1) {
            let isLeaf = level == tree.depth
            let page = try Page(number, file, meta.pageBytes)
            var found: (node: Node, first: UInt64)?
            for (i, node) in try page.nodes(isLeaf: isLeaf).enumerated() {
                // The first key of a branch is never looked at.
                let key = isLeaf || i > 0 ? page.key(node) : [UInt8](repeating: 0, count: 8)
                guard key.count == 8, PageCheck.integer(key) <= seq else { break }
                found = (node, PageCheck.integer(key))
            }
            guard let (node, first) = found else { return nil }
            guard isLeaf else {
                number = node.child
                continue
            }
            if node.isOverflowing { number = page.overflow(node) }
            let within =
                node.isOverflowing ? Page.headerBytes : node.offset + 8 + node.keyCount
            let (start, overflow) = Int(number).multipliedReportingOverflow(by: meta.pageBytes)
            guard !overflow else { return nil }
            return EventRow(
                first: first, offset: start + within, count: node.valueCount,
                pageBytes: meta.pageBytes)
        }
        return nil
    }

    // MARK: Every page in one place

    private mutating func takeFree(_ row: Row) throws(JournalError) -> UInt64 {
        let numbers = stride(from: 0, to: row.value.count - 7, by: 8).map {
            PageCheck.integer(Array(row.value[$0..<$0 + 8]))
        }
        guard let count = numbers.first, count < numbers.count else {
            throw damaged(file.path, "the list of free pages is longer than its record")
        }
        var before = UInt64.max
        for number in numbers[1...].prefix(Int(count)) {
            guard number < before else {
                throw damaged(file.path, "the list of free pages is out of order")
            }
            before = number
            try take(number, 1, "the list of free pages")
        }
        return count
    }
    private mutating func take(
        _ first: UInt64, _ count: Int, _ who: String
    ) throws(JournalError) {
        guard first >= 2, first <= meta.lastPage, UInt64(count) <= meta.lastPage - first + 1 else {
            throw damaged(file.path, "\(who) names page \(first), which is not there")
        }
        for number in first..<first + UInt64(count) {
            let (word, bit) = (Int(number / 64), UInt64(1) << (number % 64))
            guard seen[word] & bit == 0 else {
                throw damaged(file.path, "page \(number) is in two places, one is \(who)")
            }
            seen[word] |= bit
        }
    }
    fileprivate static func integer(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}

/// A row of events as it lies in the file.
struct EventRow {
    var first: UInt64
    /// Of its first frame, in the file.
    var offset: Int
    var count: Int
    var pageBytes: Int
}

extension PageCheck {
    /// How a copy of `data.mdb` begins that holds what one transaction sees, and where it ends.
    struct Front: ~Copyable {
        let pages: ByteBuffer
        let byteCount: Int
    }
    /// - Parameter transaction: a reader holds it, so its own pages stay as they are; but the meta page
    ///   that leads to them is written over two commits later, and then this fails.
    static func front(
        of file: borrowing File, transaction: UInt64
    ) throws(JournalError) -> Front {
        let meta = try Meta(newestIn: file, transaction)
        let own = try Page(transaction % 2, file, meta.pageBytes)
        guard own.u64(144) == transaction, UInt64(own.u64(136)) == meta.lastPage else {
            throw own.damage("it changed while it was read")
        }
        // The other one would lead to pages that may be in use again. So both say the same, the
        // other as if it were one commit older; LMDB believes the newer.
        var other = own.bytes
        other.withUnsafeMutableBytes {
            $0.storeBytes(of: (1 - transaction % 2).littleEndian, as: UInt64.self)
            $0.storeBytes(
                of: (transaction - 1).littleEndian, toByteOffset: 144, as: UInt64.self)
        }
        var pages = ByteBuffer(capacity: 2 * meta.pageBytes)
        for page in transaction % 2 == 0 ? [own.bytes, other] : [other, own.bytes] {
            page.withUnsafeBytes { pages.append(Bytes($0)) }
        }
        let (byteCount, overflow) = Int(meta.lastPage + 1).multipliedReportingOverflow(
            by: meta.pageBytes)
        guard !overflow, try byteCount <= file.size() else {
            throw damaged(file.path, "a meta page ends it at page \(meta.lastPage)")
        }
        return Front(pages: pages, byteCount: byteCount)
    }
}

/// A database as its record describes it:
///
///     4 u16 flags   6 u16 depth   8 u64×4 branches, leaves, overflow pages, entries   40 u64 root
private struct Tree {
    static let byteCount = 48
    let depth: Int
    let branches: UInt64
    let leaves: UInt64
    let overflows: UInt64
    let entries: UInt64
    let root: UInt64?
    /// How its keys and values are kept. LMDB believes them, and would sort or link otherwise by one bit.
    let flags: UInt32
    var hasIntegerKeys: Bool { flags == Tree.integerKeys }
    static let integerKeys = UInt32(MDB_INTEGERKEY)

    func explainFlags(_ own: UInt32, of name: String) -> String {
        "\(name) is of the kind \(flags), and was created as \(own)"
    }

    init(_ page: Page, at offset: Int) {
        flags = UInt32(page.u16(offset + 4))
        depth = page.u16(offset + 6)
        branches = page.u64(offset + 8)
        leaves = page.u64(offset + 16)
        overflows = page.u64(offset + 24)
        entries = page.u64(offset + 32)
        root = page.u64(offset + 40) == .max ? nil : page.u64(offset + 40)
    }
    init(_ row: (key: [UInt8], value: [UInt8]), _ path: String) throws(JournalError) {
        guard row.value.count == Tree.byteCount else {
            throw damaged(path, "the list of databases holds something else")
        }
        self.init(Page(number: 0, path: path, bytes: row.value), at: 0)
    }
    /// Of numbers that nobody may have checked yet; more than there can be is enough to be wrong.
    var pages: UInt64 {
        let most: UInt64 = 1 << 56
        return min(branches, most) + min(leaves, most) + min(overflows, most)
    }
}

/// The front of a journal, which is in one of two pages in turn.
///
///     16 u32 magic   20 u32 version   40 u32 bytes of a page   40, 88 two trees   136 u64 last page
///     144 u64 transaction
private struct Meta {
    static let byteCount = 152
    let pageBytes: Int
    let free: Tree
    let main: Tree
    let lastPage: UInt64
    let transaction: UInt64

    private init(_ page: Page) {
        pageBytes = page.u32(40)
        free = Tree(page, at: 40)
        main = Tree(page, at: 88)
        lastPage = page.u64(136)
        transaction = page.u64(144)
    }
    init(newestIn file: borrowing File, _ wanted: UInt64?) throws(JournalError) {
        let first = try Page(0, file, 0, count: Meta.byteCount)
        let bytes = first.u32(40)
        guard bytes >= 512, bytes <= 65_536, bytes.nonzeroBitCount == 1 else {
            throw first.damage("it names pages of \(bytes) bytes")
        }
        let second = try Page(1, file, bytes, count: Meta.byteCount)
        let (even, odd) = (Meta(first), Meta(second))
        for (page, meta) in [(first, even), (second, odd)] {
            guard page.isOwn, page.flags == Page.metaFlag, page.u32(16) == 0xBEEF_C0DE,
                page.u32(20) == 1, meta.pageBytes == bytes
            else { throw page.damage("it is no meta page any more") }
            for (tree, flags, name) in [
                (meta.free, Tree.integerKeys, "the list of free pages"),
                (meta.main, 0, "the list of databases"),
            ] where tree.flags != flags {
                throw page.damage(tree.explainFlags(flags, of: name))
            }
        }
        // Written in turn, so they are neighbours; both are zero before the first transaction.
        guard even.transaction % 2 == 0, odd.transaction % 2 == 1 || odd.transaction == 0,
            max(even.transaction, odd.transaction) - min(even.transaction, odd.transaction) <= 1
        else {
            throw second.damage(
                "the meta pages are of transactions \(even.transaction) and \(odd.transaction)")
        }
        let newest = even.transaction > odd.transaction ? even : odd
        guard let wanted else {
            self = newest
            return
        }
        let named = wanted % 2 == 0 ? even : odd
        guard named.transaction == wanted else {
            throw second.damage("no meta page is of transaction \(wanted)")
        }
        self = named
    }
}

private struct Node {
    var offset: Int
    var keyCount: Int
    var valueCount: Int
    var isOverflowing: Bool
    var child: UInt64
    /// Rounded up to an even number, as it lies in the page.
    var byteCount: Int
}

private struct Page {
    static let headerBytes = 16
    static let overflowFlag = 4
    static let metaFlag = 8

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
    func nodes(isLeaf: Bool) throws(JournalError) -> [Node] {
        let (lower, upper) = (u16(12), u16(14))
        guard isOwn else { throw damage("it says that it is page \(u64(0))") }
        guard flags == (isLeaf ? 2 : 1) else { throw damage("it is of another kind") }
        guard lower % 2 == 0, lower > Page.headerBytes, lower <= upper, upper < bytes.count else {
            throw damage("its bounds are \(lower) and \(upper)")
        }
        var nodes: [Node] = []
        for at in stride(from: Page.headerBytes, to: lower, by: 2) {
            let node = node(u16(at), isLeaf: isLeaf)
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
    private func node(_ at: Int, isLeaf: Bool) -> Node? {
        guard at + 8 <= bytes.count else { return nil }
        let (low, flags, keyCount) = (u32(at), u16(at + 4), u16(at + 6))
        // A value of its own pages, a database; this journal has no other kinds.
        guard !isLeaf || flags <= 2 else { return nil }
        let isOverflowing = isLeaf && flags == 1
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

private func damaged(_ path: String, _ what: String) -> JournalError {
    JournalError(
        .damaged,
        "\(path) is damaged: \(what). Check the disk (dmesg, smartctl), then restore it from a backup"
    )
}

extension JournalError {
    fileprivate func met(in place: String) -> JournalError {
        JournalError(kind, message + ". It was met in " + place)
    }
}

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
        let databases = try walkDatabases()
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
        let leaf: Page.Kind
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
        _ tree: Tree, _ name: String, keepsRows: Bool, leaf: Page.Kind = .rows
    ) throws(JournalError) -> [Row] {
        var walk = Walk(tree: tree, name: name, keepsRows: keepsRows, leaf: leaf)
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
    private mutating func walkDatabases() throws(JournalError) -> [Row] {
        try walk(meta.main, "the list of databases", keepsRows: true, leaf: .databases)
    }
    private mutating func descend(
        _ number: UInt64, _ level: Int, _ walk: inout Walk
    ) throws(JournalError) {
        try take(number, 1, walk.name)
        let isLeaf = level == walk.tree.depth
        let page = try Page(number, file, meta.pageBytes)
        let nodes = try page.nodes(isLeaf ? walk.leaf : .branch)
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
        let databases = try walkDatabases()
        guard let row = databases.first(where: { $0.key.elementsEqual("events".utf8) }) else {
            return nil
        }
        let tree = try Tree(row, file.path)
        guard tree.depth <= 32, var number = tree.root else { return nil }
        for level in 1...max(tree.depth, 1) {
            let isLeaf = level == tree.depth
            let page = try Page(number, file, meta.pageBytes)
            var found: (node: Node, first: UInt64)?
            for (i, node) in try page.nodes(isLeaf ? .rows : .branch).enumerated() {
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
    static func integer(_ bytes: [UInt8]) -> UInt64 {
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

extension JournalError {
    fileprivate func met(in place: String) -> JournalError {
        JournalError(kind, message + ". It was met in " + place)
    }
}

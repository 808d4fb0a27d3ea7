import CLMDB
import Events
import Glibc

/// A database as its record describes it:
///
///     4 u16 flags   6 u16 depth   8 u64×4 branches, leaves, overflow pages, entries   40 u64 root
struct Tree {
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
struct Meta {
    static let byteCount = 152
    private static let version = 1
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
        // Only one of them is damage.
        guard first.u32(20) == Meta.version || first.u32(20) != second.u32(20) else {
            throw JournalError(
                .format,
                "\(file.path) was written by another LMDB format; use the tollgate that wrote it")
        }
        let (even, odd) = (Meta(first), Meta(second))
        for (page, meta) in [(first, even), (second, odd)] {
            guard page.isOwn, page.flags == Page.metaFlag, page.u32(16) == 0xBEEF_C0DE,
                page.u32(20) == Meta.version, meta.pageBytes == bytes
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

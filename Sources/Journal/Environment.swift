import CLMDB
import CLinux
import Events
import Glibc
import Synchronization

/// A failed LMDB call.
package struct LMDBError: Error {
    let code: Int32
    let action: StaticString
    var text: String { "\(action): \(String(cString: mdb_strerror(code)))" }
    var isMapFull: Bool { code == MDB_MAP_FULL }
    /// The same for whoever writes. What is not the system's errors comes of a page that LMDB has met.
    var writing: String {
        code < 0 && !isMapFull
            ? "\(text): a page of the journal may be damaged, and 'tollgate doctor' says which"
            : text
    }

    /// For a table's rows that are not what was once written.
    package static func damagedRows(_ action: StaticString) -> LMDBError {
        LMDBError(code: MDB_CORRUPTED, action: action)
    }
    /// The same for whoever only reads.
    package var reading: JournalError { readError(code, action) }
}

/// The sub-databases of a journal.
enum Database: Int, CaseIterable {
    /// u64 first seq → a page: frames of consecutive events.
    case events
    /// kind byte, u32 number big-endian → name.
    case names
    /// text → what holds for the whole ledger.
    case meta
    /// Projections' tables. A directory that an earlier version wrote has none until it is opened for writing.
    case tree
    case rollups

    var name: StaticString {
        switch self {
        case .events: "events"
        case .names: "names"
        case .meta: "meta"
        case .tree: "tree"
        case .rollups: "rollups"
        }
    }
    var isProjection: Bool { self == .tree || self == .rollups }
    var flags: UInt32 { self == .events ? UInt32(MDB_INTEGERKEY) : 0 }
}

/// The LMDB environment of a journal: opened once a process, closed and opened again after a failed
/// commit, its map enlarged when it is full. Transactions are managed: they end with the closure
/// they are given to.
///
/// Unchecked, because `handle` and `databases` change only under the exclusive lock, which waits for
/// every read transaction; write transactions and those changes come from one thread, the committer.
final class Environment: @unchecked Sendable {
    private let directory: String
    private let lock = ReadWriteLock()
    private var handle: OpaquePointer?
    private var databases: [MDB_dbi] = []
    private let map: Atomic<Int>
    /// For tests: what the next commits should answer instead of success, and whether they happen.
    var commitFaults: [CommitFault] = []
    private let rig: (any DiskRig)?
    /// Pages that are neither used nor free, as of the last `open`.
    private(set) var lostPages: UInt64 = 0
    /// Whether memory and disk may disagree about which transaction was the last: see `settle`.
    private var isUnsettled = false

    var mapBytes: Int { map.load(ordering: .relaxed) }
    var isOpen: Bool { handle != nil }

    init(directory: String, mapBytes: Int, rig: (any DiskRig)? = nil) {
        self.directory = directory
        self.rig = rig
        map = Atomic(mapBytes)
    }
    deinit { close() }

    /// Opens the environment; true when it holds no journal yet (`create()` is then next).
    ///
    /// - Parameters:
    ///   - readOnly: nothing is written, not even beside the daemon that serves the directory.
    ///   - everyPage: whether all of LMDB's pages are looked at first, or only those that writing trusts.
    func open(readOnly: Bool = false, everyPage: Bool = false) throws(JournalError) -> Bool {
        lock.exclusively { precondition(handle == nil, "one open of an environment a process") }
        var created: OpaquePointer?
        var code = mdb_env_create(&created)
        guard code == 0, let fresh = created else { throw openError(code) }
        var failed = true
        defer { if failed { mdb_env_close(fresh) } }
        _ = mdb_env_set_assert(fresh) { _, message in Environment.explainAssertion(message) }
        mdb_env_set_maxdbs(fresh, MDB_dbi(Database.allCases.count))
        code = mdb_env_set_mapsize(fresh, mapBytes)
        // No MDB_NORDAHEAD: what reads much here reads in order. NOTLS: read transactions belong to
        // whoever holds them, not to a thread. Never WRITEMAP, NOSYNC or NOMETASYNC (DESIGN.md 6).
        var flags = UInt32(MDB_NOTLS)
        if readOnly {
            flags |= UInt32(MDB_RDONLY)
            // Whoever only looks must not leave a lock file behind that is not the daemon's.
            if fileSize(directory + "/lock.mdb") == nil { flags |= UInt32(MDB_NOLOCK) }
        }
        // A store into the lock file's mapping must never find the disk full. Before LMDB opens it: its
        // lock is of the kind that a process loses by closing any descriptor of the file, and the next
        // tool to open the journal would take itself for the first, forget our readers, and have the
        // committer write over what they read.
        if !readOnly {
            try File(opening: directory + "/lock.mdb", O_RDWR | O_CREAT).allocate(2 * 4096)
        }
        // LMDB would take it for one that is still to be created, and cannot when it only reads.
        if readOnly, fileSize(directory + "/data.mdb") == 0 {
            throw JournalError(
                .damaged, "\(directory)/data.mdb is empty; restore it from a backup")
        }
        if code == 0 { code = mdb_env_open(fresh, directory, flags, 0o600) }
        guard code == 0 else { throw openError(code) }
        try refuseTruncated(fresh)
        try checkPages(fresh, readOnly: readOnly, everyPage: everyPage)
        if !readOnly {
            var dead: Int32 = 0
            mdb_reader_check(fresh, &dead)
        }
        let opened = try openDatabases(fresh, readOnly: readOnly)
        failed = false
        lock.exclusively {
            handle = fresh
            databases = opened ?? []
        }
        return opened == nil
    }
    /// Creates the sub-databases in an environment that has none.
    func create(_ body: (borrowing WriteTransaction) throws(LMDBError) -> Void) throws(LMDBError) {
        precondition(databases.isEmpty)
        var made: [MDB_dbi] = []
        try write { txn throws(LMDBError) in
            for database in Database.allCases {
                made.append(try txn.createDatabase(database))
            }
            try body(WriteTransaction(txn.raw, made))
        }
        lock.exclusively { databases = made }
    }
    func close() {
        lock.exclusively {
            if let handle { mdb_env_close(handle) }
            handle = nil
            databases = []
        }
    }
    /// Maps `bytes` instead; waits for the readers of this process.
    func resizeMap(to bytes: Int) throws(LMDBError) {
        let code = lock.exclusively { handle.map { mdb_env_set_mapsize($0, bytes) } ?? EINVAL }
        guard code == 0 else { throw LMDBError(code: code, action: "enlarging the journal's map") }
        map.store(bytes, ordering: .relaxed)
    }
    /// Lets go of what readers hold whose process has ended: a killed tool's place in the reader table
    /// would keep every page from being used again until the next start.
    func forgetDeadReaders() {
        lock.shared {
            var dead: Int32 = 0
            if let handle { mdb_reader_check(handle, &dead) }
        }
    }
    /// Who reads the journal just now.
    func readers() -> [JournalReader] {
        lock.shared {
            var info = MDB_envinfo()
            var table = ByteBuffer()
            guard let handle, mdb_env_info(handle, &info) == 0 else { return [] }
            _ = withUnsafeMutablePointer(to: &table) { table in
                // A heading, and a line a reader: process, thread, transaction or `-`.
                mdb_reader_list(
                    handle,
                    { line, table in
                        guard let line, let table else { return 0 }
                        table.assumingMemoryBound(to: ByteBuffer.self).pointee
                            .append(String(cString: line))
                        return 0
                    }, table)
            }
            return table.string.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                guard words.count == 3, let process = Int32(words[0]),
                    let number = Int(words[2])
                else { return nil }
                return JournalReader(
                    process: process, commits: max(0, info.me_last_txnid - number))
            }
        }
    }
    /// Bytes of the map that hold pages.
    var mapUsedBytes: Int {
        lock.shared {
            var info = MDB_envinfo()
            guard let handle, mdb_env_info(handle, &info) == 0 else { return 0 }
            return (info.me_last_pgno + 1) * Environment.pageBytes(handle)
        }
    }

    /// Runs `body` in a read transaction. It must be short, must not block and must not open another:
    /// a reader keeps the committer from enlarging the map, and pages from being used again.
    func read<R>(
        _ body: (borrowing ReadTransaction) throws(JournalError) -> R
    ) throws(JournalError) -> R {
        lock.lockShared()
        defer { lock.unlock() }
        guard let handle, !databases.isEmpty else {
            throw JournalError(.io, "the journal is closed; the log says why, if nobody stopped it")
        }
        var txn: OpaquePointer?
        let code = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &txn)
        guard code == 0, let txn else {
            throw readError(code)
        }
        defer { mdb_txn_abort(txn) }
        return try body(ReadTransaction(txn, databases))
    }
    /// Runs `body` in the write transaction, commits it and returns once it is durable. On any error
    /// nothing of it is there, except that after a failed commit only a new `open()` can tell.
    func write<R>(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        guard let handle else {
            throw LMDBError(code: MDB_PANIC, action: "beginning to write the journal")
        }
        if isUnsettled {
            do throws(JournalError) { try settle() } catch {
                throw LMDBError(code: EIO, action: "making the journal's last good state durable")
            }
        }
        var begun: OpaquePointer?
        var code = mdb_txn_begin(handle, nil, 0, &begun)
        guard code == 0, let txn = begun else {
            throw LMDBError(code: code, action: "beginning to write the journal")
        }
        let result: R
        do throws(LMDBError) {
            result = try body(WriteTransaction(txn, databases))
        } catch {
            mdb_txn_abort(txn)
            throw error
        }
        if let fault = commitFaults.isEmpty ? rig?.beforeCommit() : commitFaults.removeFirst() {
            if fault.lands { _ = mdb_txn_commit(txn) } else { mdb_txn_abort(txn) }
            code = fault.code
        } else {
            code = mdb_txn_commit(txn)
        }
        rig?.afterCommit()
        guard code == 0 else {
            isUnsettled = true
            throw LMDBError(code: code, action: "committing to the journal")
        }
        return result
    }
    /// Makes durable what a reader sees now, after a commit has failed.
    ///
    /// Writing a meta page may fail and reach the disk all the same, or the other way round: LMDB puts
    /// the old one back, but into memory only. The next transaction then overwrites the pages that the
    /// disk's meta page points at, and a power cut in the middle leaves a journal that cannot be read.
    /// So both meta pages are written again as they are and flushed, before anything else is.
    func settle() throws(JournalError) {
        let count = 2 * (handle.map(Environment.pageBytes) ?? 4_096)
        let file = try File(opening: directory + "/data.mdb", O_RDWR)
        var pages = ByteBuffer(capacity: count)
        guard try file.read(into: &pages, count: count, at: 0) == count else {
            throw JournalError(.damaged, "\(file.path) is cut short; restore it from a backup")
        }
        try file.write(pages.bytes, at: 0)
        try file.sync()
        isUnsettled = false
    }

    private func openDatabases(
        _ handle: OpaquePointer, readOnly: Bool
    ) throws(JournalError) -> [MDB_dbi]? {
        var opened: [MDB_dbi] = []
        let missing = try openDatabases(handle, Database.allCases, UInt32(MDB_RDONLY), 0, &opened)
        guard let first = missing else { return opened }
        if first == .events { return nil }
        guard first.isProjection else { throw openError(MDB_NOTFOUND) }
        if readOnly { return opened }
        let rest = Database.allCases.filter { $0.rawValue >= first.rawValue }
        _ = try openDatabases(handle, rest, 0, UInt32(MDB_CREATE), &opened)
        return opened
    }
    /// Opens what is there, up to the first that is not: the answer.
    private func openDatabases(
        _ handle: OpaquePointer, _ databases: [Database], _ transactionFlags: UInt32,
        _ flags: UInt32, _ opened: inout [MDB_dbi]
    ) throws(JournalError) -> Database? {
        var begun: OpaquePointer?
        var code = mdb_txn_begin(handle, nil, transactionFlags, &begun)
        guard code == 0, let txn = begun else { throw openError(code) }
        var missing: Database?
        for database in databases {
            var dbi = MDB_dbi()
            code = mdb_dbi_open(txn, database.name.cString, database.flags | flags, &dbi)
            if code == MDB_NOTFOUND {
                missing = database
                break
            }
            guard code == 0 else {
                mdb_txn_abort(txn)
                throw openError(code)
            }
            opened.append(dbi)
        }
        // Committing is what keeps the handles open.
        code = mdb_txn_commit(txn)
        guard code == 0 else { throw openError(code) }
        return missing
    }
    /// LMDB believes its meta page: reading past the file's end would be a SIGBUS later.
    private func refuseTruncated(_ handle: OpaquePointer) throws(JournalError) {
        var info = MDB_envinfo()
        mdb_env_info(handle, &info)
        let path = directory + "/data.mdb"
        let size = fileSize(path) ?? 0
        let pages = size / Environment.pageBytes(handle)
        // The page number may be anything in a damaged file, so nothing is multiplied by it.
        guard (0..<pages).contains(Int(info.me_last_pgno)) else {
            throw JournalError(
                .damaged,
                "\(path) is truncated: \(pages) pages, and its last is number \(info.me_last_pgno); restore "
                    + "it from a backup")
        }
    }
    private func checkPages(
        _ handle: OpaquePointer, readOnly: Bool, everyPage: Bool
    ) throws(JournalError) {
        let path = directory + "/data.mdb"
        guard readOnly else {
            var check = try PageCheck(path)
            try check.run(everyPage: everyPage)
            lostPages = check.lost
            return
        }
        // A daemon may write meanwhile. It leaves a reader's pages alone, but not the meta page that
        // leads to them: that is written over two commits later, so it is read at once or again.
        var failure: JournalError?
        for _ in 0..<100 {
            var begun: OpaquePointer?
            let code = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &begun)
            guard code == 0, let txn = begun else { throw openError(code) }
            defer { mdb_txn_abort(txn) }
            var check: PageCheck
            do throws(JournalError) {
                check = try PageCheck(path, transaction: Environment.number(of: txn))
            } catch {
                failure = error
                continue
            }
            try check.run(everyPage: everyPage)
            lostPages = check.lost
            return
        }
        if let failure { throw failure }
    }
    /// A damaged meta page may say any number, and Swift takes C's for a signed one.
    fileprivate static func number(of txn: OpaquePointer) -> UInt64 {
        UInt64(bitPattern: Int64(mdb_txn_id(txn)))
    }
    private func openError(_ code: Int32) -> JournalError {
        let path = directory + "/data.mdb"
        switch code {
        case MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_NOTFOUND,
            MDB_INCOMPATIBLE:
            // LMDB does not say where.
            do throws(JournalError) { _ = try PageCheck(path) } catch { return error }
            return JournalError(
                .damaged, "\(path) is no journal or is damaged; restore it from a backup")
        case ENOMEM:
            return JournalError(
                .io,
                "cannot map \(mapBytes) bytes for \(path): lift the limit on address space "
                    + "(LimitAS, ulimit -v), or choose a smaller map")
        default:
            return systemErrorOrLMDB("cannot open \(path)", code)
        }
    }
    private func systemErrorOrLMDB(_ what: String, _ code: Int32) -> JournalError {
        code > 0
            ? systemError(what, code)
            : JournalError(.io, "\(what): \(String(cString: mdb_strerror(code)))")
    }
    private static func pageBytes(_ handle: OpaquePointer) -> Int {
        var stat = MDB_stat()
        mdb_env_stat(handle, &stat)
        return Int(stat.ms_psize)
    }
    /// LMDB aborts the process right after this.
    private static func explainAssertion(_ message: UnsafePointer<CChar>?) {
        var text = ByteBuffer()
        text.append("tollgate: LMDB found the journal inconsistent and stops the daemon: ")
        text.append(message.map { String(cString: $0) } ?? "no reason given")
        text.append(
            """
            . What was committed is still on disk and what was staged in the ring. 'tollgate doctor' \
            says which page it is: check the disk and restore journal/data.mdb from a backup.\n
            """)
        _ = Glibc.write(2, text.bytes.base, text.count)
        // As for memory that cannot be read: damaged data, and starting again would find the same.
        _exit(65)
    }
}

/// A read transaction, lent to a closure; values it hands out are valid inside it.
struct ReadTransaction: ~Copyable {
    private let raw: OpaquePointer
    private let databases: [MDB_dbi]

    fileprivate init(_ raw: OpaquePointer, _ databases: [MDB_dbi]) {
        self.raw = raw
        self.databases = databases
    }
    /// Of the newest commit that it sees.
    var number: UInt64 { Environment.number(of: raw) }
    func value(_ database: Database, key: Bytes) throws(JournalError) -> Bytes? {
        var key = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(raw, databases[database.rawValue], &key, &value)
        if code == MDB_NOTFOUND { return nil }
        guard code == 0 else { throw readError(code) }
        return Bytes(value)
    }
    func cursor(_ database: Database) throws(JournalError) -> Cursor {
        try Cursor(raw, databases[database.rawValue])
    }
    /// Nil in a directory that has no such table yet.
    func rows(of table: ProjectionTable) -> ProjectionRows? {
        table.database.rawValue < databases.count
            ? ProjectionRows(raw, databases, table) : nil
    }
}

/// The write transaction, lent to a closure on the thread that began it.
struct WriteTransaction: ~Copyable {
    fileprivate let raw: OpaquePointer
    private let databases: [MDB_dbi]

    fileprivate init(_ raw: OpaquePointer, _ databases: [MDB_dbi]) {
        self.raw = raw
        self.databases = databases
    }
    /// Adds a page of events behind all others.
    func appendPage(first: UInt64, _ frames: Bytes) throws(LMDBError) {
        var seq = UInt(first)
        let code = withUnsafeMutableBytes(of: &seq) { seq in
            var key = MDB_val(mv_size: seq.count, mv_data: seq.baseAddress)
            var value = MDB_val(frames)
            return mdb_put(
                raw, databases[Database.events.rawValue], &key, &value, UInt32(MDB_APPEND))
        }
        guard code == 0 else { throw LMDBError(code: code, action: "appending to the journal") }
    }
    func rows(of table: ProjectionTable) -> ProjectionRows {
        ProjectionRows(raw, databases, table)
    }
    /// How many leaves the events have, what this transaction added included.
    var eventLeaves: Int {
        var stat = MDB_stat()
        mdb_stat(raw, databases[Database.events.rawValue], &stat)
        return stat.ms_leaf_pages
    }
    /// Puts a row; one that is there already stays, unless it is to be replaced.
    func put(
        _ database: Database, key: Bytes, _ value: Bytes, replacing: Bool = false
    ) throws(LMDBError) {
        var key = MDB_val(key)
        var value = MDB_val(value)
        let flags = replacing ? 0 : UInt32(MDB_NOOVERWRITE)
        let code = mdb_put(raw, databases[database.rawValue], &key, &value, flags)
        guard code == 0 || code == MDB_KEYEXIST else {
            throw LMDBError(code: code, action: "writing to the journal")
        }
    }
    fileprivate func createDatabase(_ database: Database) throws(LMDBError) -> MDB_dbi {
        var dbi = MDB_dbi()
        let code = mdb_dbi_open(
            raw, database.name.cString, database.flags | UInt32(MDB_CREATE), &dbi)
        guard code == 0 else { throw LMDBError(code: code, action: "creating the journal") }
        return dbi
    }
}

/// A place among the pages of events; ends before its transaction.
struct Cursor: ~Copyable {
    private let raw: OpaquePointer

    struct Row {
        var first: UInt64
        var frames: Bytes
    }

    init(_ txn: OpaquePointer, _ dbi: MDB_dbi) throws(JournalError) {
        var opened: OpaquePointer?
        let code = mdb_cursor_open(txn, dbi, &opened)
        guard code == 0, let opened else { throw readError(code) }
        raw = opened
    }
    deinit { mdb_cursor_close(raw) }

    func last() throws(JournalError) -> Row? { try move(MDB_LAST) }
    func next() throws(JournalError) -> Row? { try move(MDB_NEXT) }
    /// The page that holds `seq`, or would hold it: the last one that does not begin behind it.
    func page(holding seq: UInt64) throws(JournalError) -> Row? {
        if let row = try move(MDB_SET_RANGE, seq) {
            return row.first == seq ? row : try move(MDB_PREV)
        }
        return try last()
    }

    private func move(_ operation: MDB_cursor_op, _ seq: UInt64 = 0) throws(JournalError) -> Row? {
        var seq = UInt(seq)
        var value = MDB_val()
        return try withUnsafeMutableBytes(of: &seq) { seq throws(JournalError) -> Row? in
            var key = MDB_val(mv_size: seq.count, mv_data: seq.baseAddress)
            let code = mdb_cursor_get(raw, &key, &value, operation)
            if code == MDB_NOTFOUND { return nil }
            guard code == 0, key.mv_size == 8 else {
                throw readError(code == 0 ? MDB_CORRUPTED : code)
            }
            return Row(first: Frame.u64(key.mv_data), frames: Bytes(value))
        }
    }
}

private func readError(
    _ code: Int32, _ action: StaticString = "reading the journal"
) -> JournalError {
    let text = LMDBError(code: code, action: action).text
    return switch code {
    case MDB_READERS_FULL:
        JournalError(.io, "\(text); stop the tools that hold journal/data.mdb open")
    case ..<0: JournalError(.damaged, "\(text); restore journal/data.mdb from a backup")
    default: JournalError(.io, "\(text); check the disk")
    }
}

extension MDB_val {
    init(_ bytes: Bytes) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.base))
    }
}
extension Bytes {
    init(_ value: MDB_val) { self.init(value.mv_data, count: value.mv_size) }
}
extension StaticString {
    fileprivate var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

import CLMDB
import Events

/// Something folded from the log that the committer keeps in a table of its own, in the transactions that
/// append the events: so it is never ahead of the log, and what it is behind is folded again.
///
/// What it leaves in its table is a function of the events alone, however they were cut into transactions;
/// so it can be made again from the log, and compared.
package protocol Projection: AnyObject, Sendable {
    var table: ProjectionTable { get }
    /// Takes up what the table holds and forgets everything else: at the start, and after a transaction
    /// that did not come to be.
    ///
    /// - Returns: the last event that is in the table; 0 for an empty one. What lies between it and the log's
    ///   end, where rows are not written with every transaction, is folded again.
    func resume(_ rows: borrowing ProjectionRows) throws(LMDBError) -> UInt64
    /// Folds the events behind that one, once a transaction, and leaves in the table what `resume` needs.
    /// It runs on the committer's thread, and everybody who waits for the disk waits for it.
    func fold(_ events: EventPage, into rows: borrowing ProjectionRows) throws(LMDBError)
}

/// The tables beside the log.
package enum ProjectionTable: UInt8, CaseIterable, Sendable {
    /// Of the Merkle tree over the events.
    case tree
    /// Of what was used: by hour, account, model, tier; by day and tag.
    case rollups

    var database: Database {
        switch self {
        case .tree: .tree
        case .rollups: .rollups
        }
    }
}

/// One projection's table and the log behind it, inside a transaction: lent to a closure, as are the bytes
/// it hands out.
package struct ProjectionRows: ~Copyable {
    private let txn: OpaquePointer
    private let table: MDB_dbi
    private let databases: [MDB_dbi]
    /// Of `replace`, once it has been asked: where it was last.
    private let cursor: UnsafeMutablePointer<OpaquePointer?>

    init(_ txn: OpaquePointer, _ databases: [MDB_dbi], _ table: ProjectionTable) {
        self.txn = txn
        self.databases = databases
        self.table = databases[table.database.rawValue]
        cursor = .allocate(capacity: 1)
        cursor.initialize(to: nil)
    }
    deinit {
        if let opened = cursor.pointee { mdb_cursor_close(opened) }
        cursor.deallocate()
    }

    /// Valid until the next `put` or `remove`.
    package func value(_ key: Bytes) throws(LMDBError) -> Bytes? {
        try Self.value(txn, table, key)
    }
    /// Puts a row, in the place of the one that has its key. Keys are 1 to 511 bytes and ordered by their bytes.
    package func put(_ key: Bytes, _ value: Bytes) throws(LMDBError) {
        var key = MDB_val(key)
        var value = MDB_val(value)
        let code = mdb_put(txn, table, &key, &value, 0)
        guard code == 0 else { throw LMDBError(code: code, action: "writing a projection") }
    }
    /// Puts a row in the place of the one that has its key: what `make` says when it is handed that one's value,
    /// or nil where there is none. Of many rows in the order of their keys each is found beside the one before.
    package func replace(
        _ key: Bytes, _ make: (Bytes?) -> Bytes
    ) throws(LMDBError) {
        if cursor.pointee == nil {
            let code = mdb_cursor_open(txn, table, cursor)
            guard code == 0 else { throw LMDBError(code: code, action: "writing a projection") }
        }
        var name = MDB_val(key)
        var value = MDB_val()
        let found = mdb_cursor_get(cursor.pointee, &name, &value, MDB_SET)
        guard found == 0 || found == MDB_NOTFOUND else {
            throw LMDBError(code: found, action: "reading a projection")
        }
        value = MDB_val(make(found == 0 ? Bytes(value) : nil))
        name = MDB_val(key)
        let code = mdb_cursor_put(
            cursor.pointee, &name, &value, found == 0 ? UInt32(MDB_CURRENT) : 0)
        guard code == 0 else { throw LMDBError(code: code, action: "writing a projection") }
    }
    /// Whether there was such a row.
    @discardableResult
    package func remove(_ key: Bytes) throws(LMDBError) -> Bool {
        var key = MDB_val(key)
        let code = mdb_del(txn, table, &key, nil)
        guard code == 0 || code == MDB_NOTFOUND else {
            throw LMDBError(code: code, action: "removing from a projection")
        }
        return code == 0
    }
    /// Takes every row away.
    package func removeAll() throws(LMDBError) {
        let code = mdb_drop(txn, table, 0)
        guard code == 0 else { throw LMDBError(code: code, action: "emptying a projection") }
    }
    /// Hands out rows in the order of their keys, from the first that is not before `key` on, until they end
    /// or `body` returns false. `body` must not change the table.
    package func forEach(
        from key: Bytes = .empty, _ body: (_ key: Bytes, _ value: Bytes) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        var opened: OpaquePointer?
        var code = mdb_cursor_open(txn, table, &opened)
        guard code == 0, let cursor = opened else {
            throw LMDBError(code: code, action: "reading a projection")
        }
        defer { mdb_cursor_close(cursor) }
        var at = MDB_val(key)
        var value = MDB_val()
        code = mdb_cursor_get(cursor, &at, &value, key.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        while code == 0 {
            guard try body(Bytes(at), Bytes(value)) else { return }
            code = mdb_cursor_get(cursor, &at, &value, MDB_NEXT)
        }
        guard code == MDB_NOTFOUND else {
            throw LMDBError(code: code, action: "reading a projection")
        }
    }
    /// Copies an earlier event to the end of `copy`, one that this transaction has appended included; false
    /// when the log does not reach that far.
    package func event(_ seq: UInt64, into copy: inout ByteBuffer) throws(LMDBError) -> Bool {
        do throws(JournalError) {
            let cursor = try Cursor(txn, databases[Database.events.rawValue])
            guard seq > 0, let row = try cursor.page(holding: seq) else { return false }
            guard let page = try? EventPage(verifying: row, from: seq, through: seq) else {
                // Behind the end there is nothing; in front of it there must be.
                guard let end = try cursor.last(), end.first > seq || end.first == row.first,
                    let last = try? EventPage(verifying: end, from: end.first, through: .max),
                    last.lastSeq < seq
                else { throw JournalError(.damaged, "") }
                return false
            }
            for bytes in page.events { copy.append(bytes) }
            return true
        } catch {
            throw LMDBError(code: MDB_CORRUPTED, action: "reading an event behind a projection")
        }
    }
    /// Hands out the events from `first` through `last` page by page, those that this transaction has appended
    /// included, until `body` returns false.
    package func pages(
        from first: UInt64, through last: UInt64,
        _ body: (EventPage) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        var next = max(first, 1)
        // A copy: what the body writes may move the pages of this transaction.
        var copy = ByteBuffer(capacity: Log.pageBytesMax)
        while next <= last {
            var page: EventPage?
            do throws(JournalError) {
                let cursor = try Cursor(txn, databases[Database.events.rawValue])
                if let row = try cursor.page(holding: next) {
                    let found = try EventPage(verifying: row, from: next, through: last)
                    copy.removeAll()
                    copy.append(found.frames)
                    page = EventPage(
                        firstSeq: found.firstSeq, count: found.count, frames: copy.bytes)
                }
            } catch {
                throw LMDBError(
                    code: MDB_CORRUPTED, action: "reading the events behind a projection")
            }
            guard let page else { return }
            next = page.lastSeq + 1
            guard try body(page) else { return }
        }
    }
    /// What the table takes of the journal's file, and what the events do.
    package var bytes: Int { bytes(of: table) }
    package var eventBytes: Int { bytes(of: databases[Database.events.rawValue]) }
    private func bytes(of database: MDB_dbi) -> Int {
        var stat = MDB_stat()
        mdb_stat(txn, database, &stat)
        let pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages
        return pages * Int(stat.ms_psize)
    }
    /// What an event's number for an account, a model or an operator stands for.
    package func name(_ kind: NameKind, _ number: UInt32) throws(LMDBError) -> String? {
        try Log.withNameKey(kind, number) { key throws(LMDBError) in
            guard let value = try Self.value(txn, databases[Database.names.rawValue], key) else {
                return nil
            }
            guard let name = Log.checkedName(key, value) else {
                throw LMDBError(code: MDB_CORRUPTED, action: "reading a name behind a projection")
            }
            return name.string
        }
    }

    private static func value(
        _ txn: OpaquePointer, _ table: MDB_dbi, _ key: Bytes
    ) throws(LMDBError) -> Bytes? {
        var key = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(txn, table, &key, &value)
        if code == MDB_NOTFOUND { return nil }
        guard code == 0 else { throw LMDBError(code: code, action: "reading a projection") }
        return Bytes(value)
    }
}

extension Journal {
    /// Reads a projection's table in a read transaction of its own; any thread may.
    ///
    /// `body` gets the rows and the last event that they contain. It must be short, must not block and must
    /// not read the journal itself.
    package func readProjection<R>(
        _ table: ProjectionTable,
        _ body: (borrowing ProjectionRows, _ lastSeq: UInt64) throws(LMDBError) -> R
    ) throws(JournalError) -> R {
        try log.readProjection(table, body)
    }
}

extension Log {
    func readProjection<R>(
        _ table: ProjectionTable,
        _ body: (borrowing ProjectionRows, _ lastSeq: UInt64) throws(LMDBError) -> R
    ) throws(JournalError) -> R {
        try environment.read { txn throws(JournalError) in
            guard let rows = txn.rows(of: table) else {
                throw JournalError(
                    .format,
                    "this ledger was last written by a tollgate that kept no \(table): start it once with "
                        + "this one, which makes it up from the log")
            }
            let end = try Log.end(txn)
            do throws(LMDBError) {
                return try body(rows, end.seq)
            } catch {
                throw error.reading
            }
        }
    }

    /// Brings every projection up to the end of the log, a batch a transaction.
    func catchUp(batchBytesMax: Int) throws(JournalError) {
        for projection in projections {
            while try !catchUpOnce(projection, batchBytesMax) {}
        }
    }
    /// True when there is nothing left to fold.
    private func catchUpOnce(
        _ projection: any Projection, _ batchBytesMax: Int
    ) throws(JournalError) -> Bool {
        let last = try end().seq
        var next: UInt64 = 0
        do throws(LMDBError) {
            next = try writeGrowing { txn throws(LMDBError) in
                try projection.resume(txn.rows(of: projection.table))
            }
        } catch {
            throw error.reading
        }
        guard next <= last else {
            throw JournalError(
                .damaged,
                "the journal's \(projection.table) is ahead of its events: restore the directory from a backup"
            )
        }
        guard next < last else { return true }
        var batch = ByteBuffer(capacity: batchBytesMax)
        while next < last {
            batch.removeAll()
            let first = next + 1
            next =
                try readPages(from: first, through: last) { page in
                    batch.append(page.frames)
                    return batch.count < batchBytesMax
                } - 1
            let events = EventPage(
                firstSeq: first, count: Int(next - first + 1), frames: batch.bytes)
            do throws(LMDBError) {
                try writeGrowing { txn throws(LMDBError) in
                    try projection.fold(events, into: txn.rows(of: projection.table))
                }
            } catch {
                guard error.isMapFull else { throw error.reading }
                // The map has grown, and with the transaction the projection's memory is worth nothing.
                return false
            }
        }
        return true
    }
    /// One write transaction; a map that is full is enlarged before the error is thrown on.
    private func writeGrowing<R>(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        do throws(LMDBError) {
            return try environment.write(body)
        } catch {
            if error.isMapFull { try environment.resizeMap(to: environment.mapBytes * 2) }
            throw error
        }
    }
}

import Events

/// A limit that is another one until an instant.
struct OverrideRow {
    var account: UInt32
    var kind: LimitKind
    /// What the limit is when this is over; nil for none. `limits.set` changes it meanwhile.
    var base: Int64?
    var amount: Int64
    /// Nanoseconds since 1970; the first instant at which it no longer stands.
    var until: Int64
    var reason: String
}

/// The overrides that stand, at most one for each limit of each account.
///
/// While one stands, its amount is the account's limit, so that a decision asks nothing more: what the
/// limit was waits here. Kept in the order of accounts and limits; few ever stand at once.
struct OverrideTable {
    private(set) var rows: [OverrideRow] = []

    func find(_ account: UInt32, _ kind: LimitKind) -> OverrideRow? {
        let i = position(account, kind)
        return isAt(i, account, kind) ? rows[i] : nil
    }
    /// Where the first override of an account at or after a limit stands, or would stand.
    func position(_ account: UInt32, _ kind: LimitKind?) -> Int {
        let wanted = OverrideTable.rank(account, kind?.raw ?? 0)
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if OverrideTable.rank(rows[middle].account, rows[middle].kind.raw) < wanted {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
    private func isAt(_ i: Int, _ account: UInt32, _ kind: LimitKind) -> Bool {
        i < rows.count && rows[i].account == account && rows[i].kind == kind
    }
    private static func rank(_ account: UInt32, _ limit: UInt8) -> UInt64 {
        UInt64(account) << 8 | UInt64(limit)
    }
    func has(_ account: UInt32) -> Bool {
        let i = position(account, nil)
        return i < rows.count && rows[i].account == account
    }

    mutating func put(_ row: OverrideRow) {
        let i = position(row.account, row.kind)
        if isAt(i, row.account, row.kind) {
            rows[i] = row
        } else {
            rows.insert(row, at: i)
        }
    }
    /// What `limits.set` says of a limit that is overridden; false where none is.
    mutating func setBase(_ account: UInt32, _ change: LimitChange) -> Bool {
        let i = position(account, change.kind)
        guard isAt(i, account, change.kind) else { return false }
        rows[i].base = change.amount
        return true
    }
    mutating func remove(_ account: UInt32, _ kind: LimitKind) -> OverrideRow? {
        let i = position(account, kind)
        return isAt(i, account, kind) ? rows.remove(at: i) : nil
    }
}

extension Book {
    /// An account's limit when no override stands; nil where there is none.
    func baseLimit(_ account: UInt32, _ kind: LimitKind) -> Int64? {
        if let row = overrides.find(account, kind) { return row.base }
        return accounts.limit(accounts.rows.pointer(account), kind)
    }

    mutating func apply(_ set: LimitsSet, _ header: EventHeader) throws(EventError) {
        let account = try existing(header.account)
        for change in set.limits where !overrides.setBase(account, change) {
            accounts.setLimit(
                accounts.rows.pointer(account), change, at: header.time, seq: header.seq)
        }
    }
    mutating func apply(_ granted: OverrideGranted, _ header: EventHeader) throws(EventError) {
        let account = try existing(header.account)
        guard let until = granted.until else { throw .malformed("until") }
        overrides.put(
            OverrideRow(
                account: account, kind: granted.kind, base: baseLimit(account, granted.kind),
                amount: granted.amount, until: until.nanoseconds, reason: granted.reason))
        let row = accounts.rows.pointer(account)
        row.pointee.flags.insert(.overridden)
        accounts.setLimit(
            row, LimitChange(kind: granted.kind, amount: granted.amount), at: header.time,
            seq: header.seq)
        schedule(overrides.find(account, granted.kind)!)
    }
    mutating func apply(_ ended: OverrideEnded, _ header: EventHeader) throws(EventError) {
        let account = try existing(header.account)
        guard let over = overrides.remove(account, ended.kind) else { throw .malformed("override") }
        let row = accounts.rows.pointer(account)
        if !overrides.has(account) { row.pointee.flags.remove(.overridden) }
        accounts.setLimit(
            row, LimitChange(kind: ended.kind, amount: over.base), at: header.time, seq: header.seq)
    }
    /// Asks for the override's end. One that was granted before for the same limit stays in the
    /// schedule, and does nothing when its time comes.
    mutating func schedule(_ row: OverrideRow) {
        schedule.add(
            Schedule.Entry(
                at: row.until, kind: .overrideEnds, subject: row.account,
                part: UInt32(row.kind.raw)))
    }
}

extension Machine {
    /// Ends an override whose instant has come, unless it was ended or granted anew meanwhile.
    mutating func endOverride(of account: UInt32, limit: UInt32) {
        guard let kind = LimitKind(stored: UInt8(limit)),
            let row = book.overrides.find(account, kind), row.until <= now.nanoseconds
        else { return }
        emit(
            .overrideEnded, account: AccountNumber(account),
            .object([
                JSON.Member("account", .string(book.path(of: AccountNumber(account))!.string)),
                JSON.Member("limit", .string("\(kind.name)")),
                JSON.Member("reason", .string(OverrideEnded.expired)),
            ]))
    }
}

// MARK: - What people read

extension Book {
    /// The members that tell of an override: what it replaces, what stands instead, how long and why.
    func write(
        _ over: OverrideRow, amount name: StaticString, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        object.field("base", amount: over.base, of: over.kind, into: &b)
        object.field(name, amount: over.amount, of: over.kind, into: &b)
        object.field("until", Instant(nanoseconds: over.until), into: &b)
        object.field("reason", over.reason, into: &b)
    }
    /// The overrides of one account, as a list.
    func writeOverrides(of account: UInt32, into b: inout ByteBuffer) {
        b.append(UInt8(ascii: "["))
        let first = overrides.position(account, nil)
        for i in first..<overrides.rows.count where overrides.rows[i].account == account {
            if i > first { b.append(UInt8(ascii: ",")) }
            var object = ObjectWriter(opening: &b)
            object.field("limit", Bytes(overrides.rows[i].kind.name), into: &b)
            write(overrides.rows[i], amount: "amount", &object, into: &b)
            b.append(UInt8(ascii: "}"))
        }
        b.append(UInt8(ascii: "]"))
    }

    /// One page of all that stand, in the order in which their accounts were created. A place in it is
    /// named by account and limit: `acme/ml:usd.day`.
    func listOverrides(
        under: Bytes, after: Bytes, _ page: inout Page, into b: inout ByteBuffer
    ) throws(Failure) {
        let top = under.isEmpty ? nil : try account(under)
        var i = 0
        if !after.isEmpty {
            guard let colon = after.firstIndex(of: UInt8(ascii: ":")),
                let account = accounts.find(after.slice(0, colon), names),
                let kind = LimitKind(after.slice(colon + 1, after.count))
            else {
                throw Failure(.error, "after= names nothing in this list; start again without it")
            }
            i = overrides.position(account, kind)
            // It may have ended since the page before.
            if i < overrides.rows.count, overrides.rows[i].account == account,
                overrides.rows[i].kind == kind
            {
                i += 1
            }
        }
        for (visits, row) in overrides.rows[i...].enumerated() {
            let isShown = top.map { accounts.lineage(row.account).contains($0) } ?? true
            guard visits < Book.listVisitsMax, !isShown || page.begin(into: &b) else {
                page.hasMore = true
                return
            }
            let path = names[accounts.rows.pointer(row.account).pointee.name]
            page.last = "\(path.string):\(row.kind.name)"
            guard isShown else { continue }
            var object = ObjectWriter(opening: &b)
            object.field("account", path, into: &b)
            object.field("limit", Bytes(row.kind.name), into: &b)
            write(row, amount: "amount", &object, into: &b)
            b.append(UInt8(ascii: "}"))
        }
    }
}

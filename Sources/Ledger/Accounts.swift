import Events

/// One account: who it is, what it may, what it has used. Integers only; about 320 bytes.
struct AccountRow: BitwiseCopyable {
    var name: NameRef
    /// The small JSON object of what only people read: name, owner, environment.
    var details = NameRef.none
    var tier: Tier
    /// The parent's number; its own for an org.
    var parent: UInt32
    /// The number of the org's own row.
    var org: UInt32
    var firstChild: UInt32 = .max
    var lastChild: UInt32 = .max
    var nextSibling: UInt32 = .max
    var children: UInt32 = 0
    /// Numbers of allow-lists; 0 inherits.
    var models: UInt32 = 0
    var scopes: UInt32 = 0
    /// A bit for each limit that is set; the amounts stand apart, since most keys have few.
    var limitMask: UInt32 = 0
    var limits: UInt32 = .max
    var minute: UInt32 = .max
    var openHolds: Int64 = 0
    var createdAt: Int64
    var expires: Int64 = .max
    var usage = UsageCells()
}

struct LimitAmounts: BitwiseCopyable {
    var values = InlineArray<19, Int64>(repeating: 0)
}

struct SecretRow: BitwiseCopyable {
    var digest: InlineArray<32, UInt8>
    var key: UInt32
}

/// A key's three accounts, as pointers into their rows: found once a command, indexed never again.
struct AccountChain {
    let key: UnsafeMutablePointer<AccountRow>
    let team: UnsafeMutablePointer<AccountRow>
    let org: UnsafeMutablePointer<AccountRow>
    let orgRow: UnsafeMutablePointer<OrgRow>

    subscript(i: Int) -> UnsafeMutablePointer<AccountRow> {
        switch i {
        case 0: key
        case 1: team
        default: org
        }
    }
}

/// The accounts, by number and by path, and the secrets that name keys.
struct AccountTable: ~Copyable {
    var rows = Rows<AccountRow>()
    var orgs = Rows<OrgRow>()
    var zones: [String] = []
    var limitAmounts = Rows<LimitAmounts>()
    var minutes = Rows<MinuteRing>()
    private(set) var secrets = Rows<SecretRow>()
    private var byPath = SlotIndex(capacity: 1_024)
    private var bySecret = SlotIndex()
    private(set) var firstOrg: UInt32 = .max
    private var lastOrg: UInt32 = .max

    func find(_ path: Bytes, _ names: borrowing NameArena) -> UInt32? {
        byPath.find(Hash128(path).low) { names[rows.pointer($0).pointee.name] == path }
    }
    func chain(ofKey key: UInt32) -> AccountChain {
        let row = rows.pointer(key)
        assert(row.pointee.tier == .key)
        let team = rows.pointer(row.pointee.parent)
        return AccountChain(
            key: row, team: team, org: rows.pointer(team.pointee.parent),
            orgRow: orgs.pointer(row.pointee.org))
    }
    /// The numbers from the account up to its org.
    func lineage(_ account: UInt32) -> [UInt32] {
        var line = [account]
        while rows.pointer(line.last!).pointee.tier != .org {
            line.append(rows.pointer(line.last!).pointee.parent)
        }
        return line
    }

    mutating func add(_ row: AccountRow, _ names: borrowing NameArena) -> UInt32 {
        let number = rows.append(row)
        byPath.insert(Hash128(names[row.name]).low, number)
        switch row.tier {
        case .org:
            rows.pointer(number).pointee.parent = number
            if lastOrg == .max {
                firstOrg = number
            } else {
                rows.pointer(lastOrg).pointee.nextSibling = number
            }
            lastOrg = number
        case .team, .key:
            let parent = rows.pointer(row.parent)
            if parent.pointee.lastChild == .max {
                parent.pointee.firstChild = number
            } else {
                rows.pointer(parent.pointee.lastChild).pointee.nextSibling = number
            }
            parent.pointee.lastChild = number
            parent.pointee.children += 1
        }
        return number
    }

    private static func hash(_ digest: Bytes) -> UInt64 {
        digest.base!.loadUnaligned(as: UInt64.self)
    }
    func key(withSecret digest: Bytes) -> UInt32? {
        guard digest.count == 32 else { return nil }
        let slot = bySecret.find(AccountTable.hash(digest)) {
            let row = secrets.pointer($0)
            for i in 0..<32 where row.pointee.digest[i] != digest[i] { return false }
            return true
        }
        return slot.map { secrets.pointer($0).pointee.key }
    }
    mutating func addSecret(_ digest: [UInt8], key: UInt32) {
        precondition(digest.count == 32)
        var stored = InlineArray<32, UInt8>(repeating: 0)
        for i in 0..<32 { stored[i] = digest[i] }
        let slot = secrets.append(SecretRow(digest: stored, key: key))
        digest.withUnsafeBytes { bySecret.insert(AccountTable.hash(Bytes($0)), slot) }
    }

    func limit(_ row: UnsafeMutablePointer<AccountRow>, _ kind: LimitKind) -> Int64? {
        guard row.pointee.limitMask >> UInt32(kind.raw) & 1 == 1 else { return nil }
        return limitAmounts.pointer(row.pointee.limits).pointee.values[Int(kind.raw)]
    }
    mutating func setLimit(
        _ row: UnsafeMutablePointer<AccountRow>, _ change: LimitChange, at time: Instant,
        seq: UInt64
    ) {
        let bit: UInt32 = 1 << UInt32(change.kind.raw)
        guard let amount = change.amount else {
            row.pointee.limitMask &= ~bit
            return
        }
        if row.pointee.limits == .max { row.pointee.limits = limitAmounts.append(LimitAmounts()) }
        limitAmounts.pointer(row.pointee.limits).pointee.values[Int(change.kind.raw)] = amount
        row.pointee.limitMask |= bit
        if change.kind.window == .minute, row.pointee.minute == .max {
            row.pointee.minute = minutes.append(MinuteRing(second: time.second, sinceSeq: seq))
        }
    }
}

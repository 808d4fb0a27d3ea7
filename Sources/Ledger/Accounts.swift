import Events

/// One account: who it is, what it may, what it has used. Integers and addresses of rows, which never
/// move; five cache lines, the first of which is all that a decision reads but the counters.
struct AccountRow: BitwiseCopyable {
    var name: NameRef
    var tier: Tier
    /// What makes a request of this account a special one; one test of the three tells that none is.
    var flags = AccountFlags()
    /// A bit for each limit that is set; the amounts stand apart, since most keys have few.
    var limitMask: UInt32 = 0
    var limits: UInt32 = .max
    var minute: UInt32 = .max
    /// Numbers of allow-lists; 0 inherits.
    var models: UInt32 = 0
    var scopes: UInt32 = 0
    var expires: Int64 = .max
    var openHolds: Int64 = 0
    /// The rows of the parent (an org is its own) and of the org.
    fileprivate(set) var parentRow: UnsafeMutablePointer<AccountRow>! = nil
    fileprivate(set) var orgRow: UnsafeMutablePointer<OrgRow>! = nil

    var usage = UsageCells()

    /// The parent's number; its own for an org.
    var parent: UInt32
    /// The number of the org's own row.
    var org: UInt32
    // A key has no children, and its life in their place: no account has both, and a word more would push
    // every row off its cache lines. See `Lives.swift`.
    var firstChild: UInt32 = .max
    var lastChild: UInt32 = .max
    var nextSibling: UInt32 = .max
    var children: UInt32 = 0
    var createdAt: Int64
    /// The small JSON object of what only people read: name, owner, environment.
    var details = NameRef.none

    // `mutating` as a borrowed row would be copied; by raw value, as `==` of the other module's enum
    // is a call through a witness.
    @inline(__always) var isKey: Bool {
        mutating get { tier.rawValue == Tier.key.rawValue }
    }

    init(name: NameRef, tier: Tier, parent: UInt32, org: UInt32, createdAt: Int64) {
        self.name = name
        self.tier = tier
        self.parent = parent
        self.org = org
        self.createdAt = createdAt
    }
}

/// What may be said of an account in one bit.
struct AccountFlags: OptionSet, BitwiseCopyable {
    var rawValue: UInt8
    /// An admin has disabled it; its keys may ask for nothing.
    static let disabled = AccountFlags(rawValue: 1)
    /// The key has been revoked, for ever.
    static let revoked = AccountFlags(rawValue: 2)
    /// Some limit of it is replaced until an instant.
    static let overridden = AccountFlags(rawValue: 4)
    /// The org has been granted credit, so that spend draws it down.
    static let prepaid = AccountFlags(rawValue: 8)
    /// Org or team with a routing policy.
    static let routes = AccountFlags(rawValue: 16)
    /// Charges are billed in another currency or with a markup.
    static let billed = AccountFlags(rawValue: 32)
    /// With one of these an org's charges are more than list prices.
    static let charged: AccountFlags = [.prepaid, .billed]
    /// With any of these a request is decided by the ordered path.
    static let special: AccountFlags = [.disabled, .revoked]
}

/// An account's limits, by their stored number.
struct LimitAmounts: BitwiseCopyable {
    private var values = InlineArray<19, Int64>(repeating: 0)
    subscript(bit: Int) -> Int64 {
        // `mutating` although it changes nothing: borrowed, all would be copied to read one.
        @inline(__always) mutating get {
            assert(bit >= 0 && bit < LimitKind.count)
            return withUnsafeMutablePointer(to: &values) {
                UnsafeMutableRawPointer($0).load(
                    fromByteOffset: bit * MemoryLayout<Int64>.stride, as: Int64.self)
            }
        }
        set { values[bit] = newValue }
    }
}

extension AccountChain {
    /// The flags of all three.
    @inline(__always) var flags: AccountFlags {
        AccountFlags(
            rawValue: key.pointee.flags.rawValue | team.pointee.flags.rawValue
                | org.pointee.flags.rawValue)
    }
}

/// A key's three accounts, as pointers into their rows: found once a command, indexed never again.
struct AccountChain {
    let key: UnsafeMutablePointer<AccountRow>
    let team: UnsafeMutablePointer<AccountRow>
    let org: UnsafeMutablePointer<AccountRow>
    let orgRow: UnsafeMutablePointer<OrgRow>

    @inline(__always) subscript(i: Int) -> UnsafeMutablePointer<AccountRow> {
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
    var secrets = Rows<SecretRow>()
    var lives = Rows<KeyLife>()
    private var byPath = SlotIndex(capacity: 1_024)
    private var bySecret = SlotIndex()
    private(set) var firstOrg: UInt32 = .max
    private var lastOrg: UInt32 = .max

    @inline(__always) func find(_ path: Bytes, _ names: borrowing NameArena) -> UInt32? {
        byPath.find(Hash128(path).low) { names[rows.pointer($0).pointee.name] == path }
    }
    @inline(__always) func chain(ofKey key: UInt32) -> AccountChain {
        let row = rows.pointer(key)
        assert(row.pointee.tier == .key)
        let team = row.pointee.parentRow!
        return AccountChain(
            key: row, team: team, org: team.pointee.parentRow, orgRow: row.pointee.orgRow)
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
        let added = rows.pointer(number)
        added.pointee.orgRow = orgs.pointer(row.org)
        added.pointee.parentRow = row.tier == .org ? added : rows.pointer(row.parent)
        byPath.insert(Hash128(names[row.name]).low, number)
        switch row.tier {
        case .org:
            added.pointee.parent = number
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
    /// The row of a secret that is, or ever was, a key's.
    @inline(__always) func secret(_ digest: Bytes) -> UInt32? {
        guard digest.count == 32 else { return nil }
        return bySecret.find(AccountTable.hash(digest)) {
            let row = secrets.pointer($0)
            for i in 0..<32 where row.pointee.digest[i] != digest[i] { return false }
            return true
        }
    }
    /// Gives a key a secret, which becomes its newest.
    mutating func addSecret(_ digest: [UInt8], key: UInt32, validUntil: Int64 = .max) {
        precondition(digest.count == 32)
        var stored = InlineArray<32, UInt8>(repeating: 0)
        for i in 0..<32 { stored[i] = digest[i] }
        let account = rows.pointer(key)
        let slot = secrets.append(
            SecretRow(
                digest: stored, validUntil: validUntil, key: key,
                previous: account.pointee.newestSecret))
        account.pointee.newestSecret = slot
        digest.withUnsafeBytes { bySecret.insert(AccountTable.hash(Bytes($0)), slot) }
    }

    func limit(_ row: UnsafeMutablePointer<AccountRow>, _ kind: LimitKind) -> Int64? {
        guard row.pointee.limitMask >> UInt32(kind.raw) & 1 == 1 else { return nil }
        return limitAmounts.pointer(row.pointee.limits).pointee[Int(kind.raw)]
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
        limitAmounts.pointer(row.pointee.limits).pointee[Int(change.kind.raw)] = amount
        row.pointee.limitMask |= bit
        if change.kind.window == .minute, row.pointee.minute == .max {
            row.pointee.minute = minutes.append(MinuteRing(second: time.second, sinceSeq: seq))
        }
    }
}

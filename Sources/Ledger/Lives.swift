import Events

// The lives of keys: their secrets, one after the other; when they were last used and are to be rotated;
// and who may not ask at all, because it is expired, revoked or disabled.

/// A secret of a key; the old ones stay known, so that whoever still has one is told what became of it.
struct SecretRow: BitwiseCopyable {
    var digest: InlineArray<32, UInt8>
    /// From this instant on it opens nothing any more; `.max` for the newest.
    var validUntil: Int64
    var key: UInt32
    /// The key's secret before this one; `.max` for the first.
    var previous: UInt32
}

/// What keys have that are to be rotated, or were.
struct KeyLife: BitwiseCopyable {
    /// Seconds; 0 for no schedule.
    var rotateEvery: Int64 = 0
    /// When the next rotation is due; `.max` without a schedule.
    var due: Int64 = .max
    /// Whether the log says already that it is due.
    var isDue = false
    /// 0 for never.
    var rotatedAt: Int64 = 0
}

extension AccountRow {
    /// When a key was last admitted or charged, in seconds since 1970; 0 for never.
    @inline(__always) var lastUsed: UInt32 {
        get { children }
        set { children = newValue }
    }
    /// Of a key.
    var newestSecret: UInt32 {
        get { firstChild }
        set { firstChild = newValue }
    }
    /// The row of a key's `KeyLife`; `.max` while it has none.
    var life: UInt32 {
        get { lastChild }
        set { lastChild = newValue }
    }
}

extension AccountTable {
    func life(of key: UInt32) -> KeyLife {
        let row = rows.pointer(key).pointee.life
        return row == .max ? KeyLife() : lives.pointer(row).pointee
    }
    mutating func setLife(of key: UInt32, _ life: KeyLife) {
        let account = rows.pointer(key)
        if account.pointee.life == .max { account.pointee.life = lives.append(life) }
        lives.pointer(account.pointee.life).pointee = life
    }
}

extension Book {
    /// The key that a caller may use at an instant; nil also for a secret that was rotated away.
    @inline(__always)
    func key(_ reference: KeyReference, at now: Instant) -> UInt32? {
        guard case .digest(let digest) = reference else { return key(reference) }
        guard let secret = accounts.secret(digest) else { return nil }
        let row = accounts.secrets.pointer(secret)
        return now.nanoseconds < row.pointee.validUntil ? row.pointee.key : nil
    }

    /// Why nothing may be asked with a key, whatever it is: reasons 11, 12 and 13, and whose.
    ///
    /// - Parameter reference: how it was named; nil where it is known from elsewhere, such as a hold.
    func standing(
        _ chain: AccountChain, namedBy reference: KeyReference?, at now: Instant
    ) -> (reason: Refusal, account: UnsafeMutablePointer<AccountRow>)? {
        if now.nanoseconds >= chain.key.pointee.expires { return (.keyExpired, chain.key) }
        if chain.key.pointee.flags.contains(.revoked) { return (.keyRevoked, chain.key) }
        if let reference, key(reference, at: now) == nil { return (.keyRevoked, chain.key) }
        for i in 0..<3 where chain[i].pointee.flags.contains(.disabled) {
            return (.keyDisabled, chain[i])
        }
        return nil
    }

    // MARK: The fold

    mutating func apply(_ rotated: KeyRotated, _ header: EventHeader) throws(EventError) {
        let key = try existing(header.account)
        guard let digest = rotated.secretDigest, accounts.rows.pointer(key).pointee.isKey else {
            throw .malformed("key")
        }
        // None of the older ones outlives the grace, not even one with a longer grace of its own.
        let end = header.time.later(bySeconds: rotated.graceSeconds).nanoseconds
        var old = accounts.rows.pointer(key).pointee.newestSecret
        while old != .max {
            let row = accounts.secrets.pointer(old)
            row.pointee.validUntil = min(row.pointee.validUntil, end)
            old = row.pointee.previous
        }
        accounts.addSecret(digest, key: key)
        var life = accounts.life(of: key)
        life.rotatedAt = header.time.nanoseconds
        life.isDue = false
        switch rotated.schedule {
        case .keep: break
        case .drop: life.rotateEvery = 0
        case .every(let seconds): life.rotateEvery = seconds
        }
        life.due =
            life.rotateEvery == 0
            ? .max : header.time.later(bySeconds: life.rotateEvery).nanoseconds
        accounts.setLife(of: key, life)
        scheduleRotation(of: key)
    }
    mutating func startLife(of key: UInt32, rotateEvery seconds: Int64, at time: Instant) {
        var life = KeyLife()
        life.rotateEvery = seconds
        life.due = time.later(bySeconds: seconds).nanoseconds
        accounts.setLife(of: key, life)
        scheduleRotation(of: key)
    }
    func needsRotation(_ key: UInt32, at now: Instant) -> Bool {
        let life = accounts.life(of: key)
        let row = accounts.rows.pointer(key)
        return now.nanoseconds >= life.due && !life.isDue
            && now.nanoseconds < row.pointee.expires && !row.pointee.flags.contains(.revoked)
    }
    /// Notes when the daemon is to say that the key's rotation is due.
    mutating func scheduleRotation(of key: UInt32) {
        let life = accounts.life(of: key)
        guard life.due != .max, !life.isDue,
            !accounts.rows.pointer(key).pointee.flags.contains(.revoked)
        else { return }
        schedule.add(Schedule.Entry(at: life.due, kind: .rotationDue, subject: key))
    }
    mutating func applyRotationDue(_ header: EventHeader) throws(EventError) {
        let key = try existing(header.account)
        guard accounts.rows.pointer(key).pointee.isKey, accounts.life(of: key).due != .max else {
            throw .malformed("key")
        }
        var life = accounts.life(of: key)
        life.isDue = true
        accounts.setLife(of: key, life)
    }
    mutating func apply(_ flag: AccountFlags, _ isSet: Bool, _ header: EventHeader)
        throws(EventError)
    {
        let account = accounts.rows.pointer(try existing(header.account))
        if isSet {
            account.pointee.flags.insert(flag)
        } else {
            account.pointee.flags.remove(flag)
        }
    }
    mutating func apply(_ described: AccountDescribed, _ header: EventHeader) throws(EventError) {
        let account = accounts.rows.pointer(try existing(header.account))
        let stored = try? JSON(parsing: names[account.pointee.details])
        var members = stored?.members ?? []
        func set(_ name: String, _ value: JSON?, in members: inout [JSON.Member]) {
            members.removeAll { $0.name == name }
            if let value { members.append(JSON.Member(name, value)) }
        }
        for (name, change) in [("name", described.name), ("owner", described.owner)] {
            switch change {
            case .keep: break
            case .remove: set(name, nil, in: &members)
            case .text(let text): set(name, .string(text), in: &members)
            }
        }
        if let changes = described.labels {
            var labels = members.first { $0.name == "labels" }?.value.members ?? []
            for (name, value) in changes { set(name, value.map { .string($0) }, in: &labels) }
            set("labels", labels.isEmpty ? nil : .object(labels), in: &members)
        } else {
            set("labels", nil, in: &members)
        }
        var text = ByteBuffer()
        if !members.isEmpty { text.append(canonical: .object(members)) }
        account.pointee.details = names.add(text.bytes)
    }
    /// What stands in the secrets of a key.
    package func environment(of path: Bytes) -> String? {
        guard let account = accounts.find(path, names) else { return nil }
        let details = names[accounts.rows.pointer(account).pointee.details]
        return (try? JSON(parsing: details))?["environment"]?.string
    }

    // MARK: What is shown

    /// How an account stands, for GET and LIST.
    func writeLife(
        of number: UInt32, at now: Instant, _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        let row = accounts.rows.pointer(number)
        var state: StaticString = "active"
        if row.pointee.flags.contains(.disabled) { state = "disabled" }
        if row.pointee.flags.contains(.revoked) { state = "revoked" }
        if row.pointee.isKey, now.nanoseconds >= row.pointee.expires { state = "expired" }
        object.field("state", Bytes(state), into: &b)
        // One hides the other in `state`, and both count: what is enabled again may be revoked.
        object.field("disabled", row.pointee.flags.contains(.disabled), into: &b)
        if row.pointee.isKey {
            object.field("revoked", row.pointee.flags.contains(.revoked), into: &b)
        }
        // The nearest account above that keeps it from asking.
        let above = accounts.lineage(number).dropFirst()
        if let by = above.first(where: {
            accounts.rows.pointer($0).pointee.flags.contains(.disabled)
        }) {
            object.field("disabled_by", names[accounts.rows.pointer(by).pointee.name], into: &b)
        }
        guard row.pointee.isKey else { return }
        if row.pointee.expires != .max {
            object.field("expires", Instant(nanoseconds: row.pointee.expires), into: &b)
        }
        if row.pointee.lastUsed > 0 {
            object.field("last_used", Instant(seconds: Int64(row.pointee.lastUsed)), into: &b)
        } else {
            object.null("last_used", into: &b)
        }
        let org = accounts.orgs.pointer(row.pointee.org)
        for (name, window) in [("spent_month", Window.month), ("spent", .total)]
            as [(StaticString, Window)]
        {
            let used = taken(row, org, LimitKind(.usd, window), at: now).used
            object.field(name, Nanodollars(used), into: &b)
        }
        let life = accounts.life(of: number)
        if life.rotatedAt > 0 {
            object.field("rotated", Instant(nanoseconds: life.rotatedAt), into: &b)
        }
        if let end = oldSecretsEnd(of: row, at: now) {
            object.field("old_secret_until", end, into: &b)
        }
        if life.rotateEvery > 0 {
            object.field("rotate_every", life.rotateEvery, into: &b)
            object.field("rotation_due", Instant(nanoseconds: life.due), into: &b)
            object.field("is_rotation_due", life.isDue, into: &b)
        }
    }
    /// How long a secret lives on that was rotated away; nil when none does.
    private func oldSecretsEnd(
        of row: UnsafeMutablePointer<AccountRow>, at now: Instant
    ) -> Instant? {
        guard row.pointee.newestSecret != .max else { return nil }
        var old = accounts.secrets.pointer(row.pointee.newestSecret).pointee.previous
        var end: Int64 = 0
        while old != .max {
            end = max(end, accounts.secrets.pointer(old).pointee.validUntil)
            old = accounts.secrets.pointer(old).pointee.previous
        }
        return end > now.nanoseconds ? Instant(nanoseconds: end) : nil
    }
}

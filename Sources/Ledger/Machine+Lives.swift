import Events

extension EventType {
    /// Whether it brings a secret into the world: the daemon makes one unless the payload has its digest.
    package var needsSecret: Bool {
        switch self {
        case .keyCreated, .keyRotated, .operatorCreated: true
        default: false
        }
    }
}

extension Machine {
    func checked(_ rotated: KeyRotated) throws(Failure) -> AccountNumber {
        let key = try existing(rotated.account)
        let row = book.accounts.rows.pointer(key)
        guard !row.pointee.flags.contains(.revoked) else {
            throw Failure(
                .error, "\(tierAndPath(key)) is revoked, for good: create a key of another name")
        }
        guard now.nanoseconds < row.pointee.expires else {
            throw Failure(
                .error,
                "\(tierAndPath(key)) has expired at \(Instant(nanoseconds: row.pointee.expires)): create "
                    + "a key of another name")
        }
        try checkIsNew(rotated.secretDigest)
        return AccountNumber(key)
    }
    func checked(revoking named: AccountNamed) throws(Failure) -> AccountNumber {
        let key = try existing(named.account)
        guard !book.accounts.rows.pointer(key).pointee.flags.contains(.revoked) else {
            throw Failure(.error, "\(tierAndPath(key)) is revoked already")
        }
        return AccountNumber(key)
    }
    func checked(disabling named: AccountNamed) throws(Failure) -> AccountNumber {
        let account = try existing(named.account)
        let flags = book.accounts.rows.pointer(account).pointee.flags
        guard flags.isDisjoint(with: [.disabled, .revoked]) else {
            throw Failure(
                .error,
                "\(tierAndPath(account)) is \(flags.contains(.revoked) ? "revoked" : "disabled") already"
            )
        }
        return AccountNumber(account)
    }
    func checked(enabling named: AccountNamed) throws(Failure) -> AccountNumber {
        let account = try existing(named.account)
        let flags = book.accounts.rows.pointer(account).pointee.flags
        guard !flags.contains(.revoked) else {
            throw Failure(
                .error, "\(tierAndPath(account)) is revoked, for good: create a key of another name"
            )
        }
        guard flags.contains(.disabled) else {
            throw Failure(.error, "\(tierAndPath(account)) is not disabled")
        }
        return AccountNumber(account)
    }

    /// A secret names one key, for ever: not even the key's own old one comes back.
    func checkIsNew(_ digest: [UInt8]?) throws(Failure) {
        guard let digest,
            digest.withUnsafeBytes({ book.accounts.secret(Bytes($0)) }) != nil
        else { return }
        throw Failure(.error, "this secret_sha256 is, or was, a key's already; bring another")
    }
    func checkIsAhead(_ name: String, _ instant: Instant?) throws(Failure) {
        guard let instant, instant <= now else { return }
        throw Failure(.error, "\(name) \(instant) is not in the future: it is \(now) now")
    }

    /// Says, once, that a key's rotation is due.
    mutating func remindOfRotation(_ account: AccountNumber) {
        guard book.needsRotation(account.raw, at: now) else { return }
        emit(
            .keyRotationDue, account: account,
            .object([JSON.Member("account", .string(book.path(of: account)!.string))]))
    }

    /// The tier and the whole path.
    private func tierAndPath(_ account: UInt32) -> String {
        let row = book.accounts.rows.pointer(account)
        return "\(row.pointee.tier.name) \(book.names[row.pointee.name].string)"
    }
}

/// The lives of accounts: disabled and enabled, described; keys rotated and revoked.
///
/// A secret in these histories is a word such as `s17`; its digest is 17 and then as many `a` as make 64
/// digits, in place of a SHA-256.
extension NaiveModel {
    struct Secret {
        let key: String
        /// From when on it opens nothing; `nil` while it is the newest.
        var until: Int64?
    }

    static func digest(of secret: String) -> String {
        let number = String(secret.dropFirst())
        return number + String(repeating: "a", count: max(0, 64 - number.count))
    }
    /// The path of the key that a word names.
    func keyPath(_ word: String) -> String {
        secrets[Self.digest(of: word)]?.key ?? word
    }

    /// Why nothing at all may be asked with a key: the status, the reason and the account.
    func objection(to key: String, named word: String, at now: Int64) -> (String, String)? {
        let account = accounts[key]!
        if let expires = account.expires, now >= expires {
            return ("401 key_expired", key)
        }
        if account.isRevoked {
            return ("401 key_revoked", key)
        }
        if let until = secrets[Self.digest(of: word)]?.until, now >= until {
            return ("401 key_revoked", key)
        }
        for path in Self.lineage(key) where accounts[path]!.isDisabled {
            return ("403 key_disabled", path)
        }
        return nil
    }

    // MARK: Events

    mutating func live(
        _ type: String, _ payload: [String: JSON], at now: Int64
    ) throws(Failure) {
        guard let path = try Self.text(payload["account"]), var account = accounts[path] else {
            throw .error
        }
        switch type {
        case "key.rotated": try rotate(path, payload, at: now)
        case "key.revoked":
            guard isKey(path), !account.isRevoked else {
                throw .error
            }
            accounts[path]!.isRevoked = true
        case "account.disabled":
            guard !account.isDisabled, !account.isRevoked else {
                throw .error
            }
            account.isDisabled = true
            accounts[path] = account
        case "account.enabled":
            guard account.isDisabled, !account.isRevoked else {
                throw .error
            }
            account.isDisabled = false
            accounts[path] = account
        default: try describe(payload)
        }
    }

    private mutating func rotate(
        _ path: String, _ payload: [String: JSON], at now: Int64
    ) throws(Failure) {
        var account = accounts[path]!
        guard isKey(path), !account.isRevoked, now < account.expires ?? .max else {
            throw .error
        }
        var grace: Int64 = 0
        if let json = payload["grace"], json != .null {
            guard case .integer(let seconds) = json, (0...31_622_400).contains(seconds) else {
                throw .error
            }
            grace = Int64(seconds) * 1_000_000_000
        }
        if let json = payload["rotate_every"] {
            account.rotateEvery = json == .null ? nil : try Self.span(json)
        }
        let digest = try newDigest(payload)
        for (known, secret) in secrets where secret.key == path {
            secrets[known]!.until = min(secret.until ?? .max, now + grace)
        }
        if let digest {
            secrets[digest] = Secret(key: path)
        }
        account.rotationDue = account.rotateEvery.map { now + $0 }
        accounts[path] = account
    }
    /// Nanoseconds.
    static func span(_ json: JSON) throws(Failure) -> Int64 {
        guard case .integer(let seconds) = json, (1...3_162_240_000).contains(seconds) else {
            throw .error
        }
        return Int64(seconds) * 1_000_000_000
    }
    /// One that no key has, or ever had.
    func newDigest(_ payload: [String: JSON]) throws(Failure) -> String? {
        guard let digest = try Self.text(payload["secret_sha256"]) else {
            return nil
        }
        guard digest.utf8.count == 64, digest.allSatisfy({ $0.isHexDigit }), secrets[digest] == nil
        else {
            throw .error
        }
        return digest
    }

    private func describe(_ payload: [String: JSON]) throws(Failure) {
        let fields = ["name", "owner", "labels"].compactMap { payload[$0] }
        guard !fields.isEmpty else {
            throw .error
        }
        for field in fields where field != .null {
            switch field {
            case .string(let text) where !text.isEmpty: break
            case .object(let labels):
                for (name, value) in labels {
                    guard Self.isName(name) else {
                        throw .error
                    }
                    if value != .null {
                        _ = try Self.text(value)
                    }
                }
            default: throw .error
            }
        }
        guard payload["labels"].map({ if case .string = $0 { false } else { true } }) ?? true,
            [payload["name"], payload["owner"]].allSatisfy({
                if case .object? = $0 { false } else { true }
            })
        else {
            throw .error
        }
    }

    /// Says once of each key that its rotation is due.
    mutating func remindOfRotations(at now: Int64) {
        for (path, account) in accounts {
            guard let due = account.rotationDue, due <= now else {
                continue
            }
            accounts[path]!.rotationDue = nil
            if !account.isRevoked, now < account.expires ?? .max {
                _ = appendEvent()
            }
        }
    }
}

import Events

/// What the log must say of rotated, revoked and disabled accounts.
extension Oracle {
    /// Who is refused for being expired, revoked or disabled is so at that time.
    func refusedForLife(_ event: HoldRefused) throws {
        let isSo: Bool
        switch event.reason {
        case .keyExpired, .keyRevoked:
            let key = try chain(event.header)[0]
            let account = accounts[Int(key)]
            let hasOldSecret = secrets.values.contains { $0.key == key && $0.until <= time }
            isSo =
                event.reason == .keyExpired
                ? account.expires.map { $0 <= time } ?? false : account.isRevoked || hasOldSecret
        case .keyDisabled:
            guard let tier = event.scopeTier else { throw Fault(text: "who is disabled?") }
            isSo = accounts[Int(try chain(event.header)[2 - Int(tier.rawValue)])].isDisabled
        default: return
        }
        counts["refused \(event.reason.name)", default: 0] += 1
        try require(isSo, "refusal \(event.header.seq) says \(event.reason.name), which is not so")
    }

    func life(_ header: EventHeader, _ json: JSON) throws(Fault) {
        let account = Int(header.account.raw)
        try require(
            !accounts[account].isRevoked,
            "event \(header.seq) is about \(accounts[account].path), which is revoked")
        switch header.type {
        case .keyRotated:
            guard let digest = json["secret_sha256"]?.string, secrets[digest] == nil else {
                throw Fault(text: "rotation \(header.seq) has no secret of its own")
            }
            let end = time.later(bySeconds: json["grace"]?.integer ?? 0)
            for (known, secret) in secrets where secret.key == header.account.raw {
                secrets[known]!.until = min(secret.until, end)
            }
            secrets[digest] = SecretLife(key: header.account.raw)
            let every = json["rotate_every"]
            setRotation(of: account, every ?? accounts[account].rotateEvery.map { .integer($0) })
        case .keyRevoked: accounts[account].isRevoked = true
        case .keyRotationDue:
            guard let due = accounts[account].rotationDue, due <= time, header.actor == .daemon
            else {
                throw Fault(text: "event \(header.seq): no rotation of that key is due")
            }
            accounts[account].rotationDue = nil
        default:
            let disables = header.type == .accountDisabled
            try require(
                accounts[account].isDisabled != disables, "event \(header.seq) changes nothing")
            accounts[account].isDisabled = disables
        }
    }
    func setRotation(of account: Int, _ every: JSON?) {
        accounts[account].rotateEvery = every?.integer
        accounts[account].rotationDue = every?.integer.map { time.later(bySeconds: $0) }
    }
}

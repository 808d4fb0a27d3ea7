import Events

// Who may: operators, their roles, and the org or team that one may be confined to. Which verbs a role
// may use is the gate's to say, who knows verbs; here stands what needs the tree.

/// Who asks, and what for.
package struct Authority: Sendable {
    package let actor: Actor
    package let role: Role
    /// The org or team whose subtree is all there is for it; none for the whole ledger.
    package let account: AccountNumber

    package init(actor: Actor, role: Role, account: AccountNumber = .none) {
        self.actor = actor
        self.role = role
        self.account = account
    }
    package var isConfined: Bool { account != .none }
}

extension Role {
    /// What it may append, if it may append at all; nil for everything.
    package var appends: [EventType]? {
        switch self {
        case .admin: nil
        case .developer: [.keyCreated, .keyRotated, .keyRevoked]
        case .relay, .auditor, .finance: []
        }
    }
    package func mayAppend(_ type: EventType) -> Bool { appends?.contains(type) ?? true }
    /// Whether it may hold, settle and charge.
    package var mayHold: Bool { self == .admin || self == .relay }
    /// Whether it may have personal texts erased.
    package var mayErase: Bool { self == .admin }
    /// The roles that may append a type, for a refusal that names them.
    static func appending(_ type: EventType) -> String {
        Role.allCases.filter { $0.mayAppend(type) }.map(\.name).joined(separator: ", ")
    }
}

extension EventType {
    /// Whether it gives an account more or less than its own admin may decide: whoever is confined
    /// to an account gets its budget from above, and cannot lift what was decided there.
    fileprivate var isDecidedAbove: Bool {
        switch self {
        case .limitsSet, .permissionsSet, .overrideGranted, .overrideEnded, .creditGranted,
            .billingSet, .accountDisabled, .accountEnabled:
            true
        default: false
        }
    }
}

extension Book {
    /// Who an operator is, if the digest of the secret is right and nobody revoked it.
    package func authenticate(_ name: Bytes, digest: [UInt8]) -> Authority? {
        guard let i = operators.firstIndex(where: { $0.name.withBytes { $0 == name } }) else {
            return nil
        }
        // Every byte is looked at, so that the time tells nothing about where they differ.
        var difference: UInt8 = operators[i].digest.count == digest.count ? 0 : 1
        for (a, b) in zip(operators[i].digest, digest) { difference |= a ^ b }
        guard difference == 0, !operators[i].isRevoked else { return nil }
        return Authority(
            actor: .operatorNumber(UInt32(i)), role: operators[i].role,
            account: operators[i].account)
    }
    /// Whether an operator that has authenticated before still may; for long-lived connections.
    package func isRevoked(_ actor: Actor) -> Bool {
        actor.operatorNumber.map { operators[Int($0)].isRevoked } ?? false
    }

    // MARK: The subtree

    /// Whether an account is the one that the asker is confined to, or stands below it.
    ///
    /// Told by the path alone, so that an account outside looks the same whether it exists or not.
    package func isInside(_ path: Bytes, _ authority: Authority) -> Bool {
        guard let top = self.path(of: authority.account) else { return true }
        return path == top
            || path.count > top.count && path.slice(0, top.count) == top
                && path[top.count] == UInt8(ascii: "/")
    }
    /// The same of a key; one that nobody knows is outside of nothing.
    package func isInside(_ key: KeyReference, _ authority: Authority) -> Bool {
        switch key {
        case .path(let path): return isInside(path, authority)
        case .digest:
            guard let number = self.key(key), let path = self.path(of: AccountNumber(number)) else {
                return true
            }
            return isInside(path, authority)
        case .secret, .malformed: return true
        }
    }
    /// The same of a hold, by its key; one that nobody remembers is outside of nothing.
    package func isInside(_ hold: HoldName, _ authority: Authority) -> Bool {
        guard let slot = holds.find(hold),
            let path = path(of: AccountNumber(holds.row(slot).pointee.key))
        else { return true }
        return isInside(path, authority)
    }
    /// The same of an operator, which is inside where it is confined to what is.
    package func isInside(operator name: Bytes, _ authority: Authority) -> Bool {
        guard authority.isConfined else { return true }
        guard let found = operators.first(where: { $0.name.withBytes { $0 == name } }),
            let path = path(of: found.account)
        else { return false }
        return isInside(path, authority)
    }

    /// The refusal for what stands outside.
    ///
    /// - Parameters:
    ///   - verb: what was asked, such as `USAGE`.
    ///   - what: whom it is about, which is never a secret.
    ///   - roles: the roles that may, where they may.
    package func outside(
        _ authority: Authority, _ verb: String, _ what: String, roles: String
    ) -> Failure {
        let name = authority.actor.operatorNumber.flatMap { operatorName($0) } ?? "?"
        let top = path(of: authority.account)?.string ?? "the ledger"
        return Failure(
            .noPermission,
            "operator \(name) is confined to \(top) and may not \(verb) \(what); that needs \(roles) "
                + "over it")
    }

    // MARK: Appending

    /// Why somebody may not append this; nil when the payload is all there is left to check.
    package func objection(
        to type: EventType, _ payload: JSON, by authority: Authority
    ) -> Failure? {
        guard authority.role.mayAppend(type) else {
            return Failure(
                .noPermission,
                "role \(authority.role.name) may not APPEND \(type.name); that needs "
                    + Role.appending(type))
        }
        guard authority.isConfined else { return nil }
        func refusal(_ what: String) -> Failure {
            outside(authority, "APPEND \(type.name) for", what, roles: Role.appending(type))
        }
        switch type {
        case .operatorRevoked:
            let name = payload["operator"]?.string ?? ""
            return name.withBytes { isInside(operator: $0, authority) }
                ? nil : refusal("that operator")
        case .priceSet, .aliasSet: return refusal("the whole ledger")
        case .operatorCreated where payload["account"]?.isNull ?? true:
            return refusal("the whole ledger")
        default:
            // A payload without a path is refused for that.
            guard let path = payload["account"]?.string else { return nil }
            guard path.withBytes({ isInside($0, authority) }) else { return refusal(echo(path)) }
            // What comes off a key's bill comes off the budget that was given from above.
            if type == .chargeCorrected { return refusal("its own bill") }
            let isTop = path.withBytes { $0 == self.path(of: authority.account)! }
            return isTop && type.isDecidedAbove ? refusal("\(echo(path)) itself") : nil
        }
    }
    /// A caller's text as far as an error may repeat it.
    private func echo(_ name: String) -> String {
        name.withBytes { AccountPath.tier($0) != nil } ? name : "that"
    }
}

import Events

/// What became of an admin's event.
package enum Appended: Sendable {
    /// It stands in the outbox from this byte on; windows that it had to open stand before it.
    case stored(seq: UInt64, at: Int)
    /// The same payload with the same `id` was stored before.
    case repeated(seq: UInt64)
}

extension Machine {
    /// Validates an admin's payload against the book and appends it.
    ///
    /// - Parameter secret: the SHA-256 of a fresh secret, for a key or operator that brings none.
    /// - Throws: `Failure` that lists every violation of a parent's rights in one message.
    package mutating func append(
        _ type: EventType, _ payload: JSON, secret: [UInt8]
    ) throws(Failure) -> Appended {
        guard type.isAppendable else {
            let names = EventType.allCases.filter(\.isAppendable).map { "\($0.name)" }
                .joined(separator: ", ")
            throw Failure(.error, "\(type.name) is not for admins to append; these are: \(names)")
        }
        let document = try Document(type: type, payload, strict: true)
        var payload = Payload(payload)
        resolveNames(document, &payload)
        let bringsSecret = payload["secret_sha256"].map { !$0.isNull } ?? false
        let makesSecret = !bringsSecret && type.needsSecret
        if makesSecret { payload["secret_sha256"] = nil }
        if let id = payload["id"]?.string, let known = book.documents[id] {
            let asked = Book.fingerprint(
                type, asked: payload.json, generatedSecret: makesSecret)
            guard known.asked == asked else {
                throw Failure(
                    .conflict,
                    "id \"\(id)\" named another event before; use a new id for a new event")
            }
            return .repeated(seq: known.seq)
        }
        let checked = try checked(type, document, payload, makesSecret ? secret : nil)

        // The point of no return.
        if case .chargeCorrected = document {
            openWindows(book.accounts.chain(ofKey: checked.account.raw).orgRow)
        }
        let start = outbox.count
        emit(
            type, account: checked.account, number: checked.number,
            flags: makesSecret ? DocumentEvent.generatedSecret : 0, checked.payload)
        return .stored(seq: book.seq, at: start)
    }

    /// An admin's event as it is to be stored.
    struct CheckedDocument {
        var account = AccountNumber.none
        var number: UInt32 = 0
        var payload: JSON
    }
    /// What an admin's payload is stored as, at this instant and in this book, if it may be.
    ///
    /// - Parameter secret: the SHA-256 of a fresh secret, if the daemon makes one.
    func checked(
        _ type: EventType, _ payload: JSON, secret: [UInt8]?
    ) throws(Failure) -> CheckedDocument {
        let document = try Document(type: type, payload, strict: true)
        var payload = Payload(payload)
        resolveNames(document, &payload)
        if let id = payload["id"]?.string, let known = book.documents[id] {
            throw Failure(.conflict, "id \"\(id)\" named event \(known.seq) before")
        }
        return try checked(type, document, payload, secret)
    }
    private func checked(
        _ type: EventType, _ document: Document, _ asked: Payload, _ secret: [UInt8]?
    ) throws(Failure) -> CheckedDocument {
        var payload = asked
        var account = AccountNumber.none
        var number: UInt32 = 0
        switch document {
        case .accountCreated(let created):
            try checkCreation(created)
            number = UInt32(book.accountCount)
            account = AccountNumber(number)
            if created.tier == .key { complete(created, &payload) }
        case .keyRotated(let rotated): account = try checked(rotated)
        case .keyRevoked(let named): account = try checked(revoking: named)
        case .accountDisabled(let named): account = try checked(disabling: named)
        case .accountEnabled(let named): account = try checked(enabling: named)
        case .accountDescribed(let described):
            account = AccountNumber(try existing(described.account))
        case .limitsSet(let set):
            let target = try existing(set.account)
            account = AccountNumber(target)
            try refuse(limitViolations(set.limits, ancestors: ancestors(of: target)))
        case .overrideGranted(let granted):
            let target = try existing(granted.account)
            account = AccountNumber(target)
            try check(granted, of: target, &payload)
        case .overrideEnded(let ended):
            let target = try existing(ended.account)
            account = AccountNumber(target)
            guard book.overrides.find(target, ended.kind) != nil else {
                throw Failure(
                    .error,
                    "no override of \(ended.kind.name) stands on \(ended.account); LIST overrides "
                        + "shows those that do")
            }
        case .permissionsSet(let set):
            let target = try existing(set.account)
            account = AccountNumber(target)
            let above = ancestors(of: target)
            try refuse(
                listViolations("models", payload.list("models"), above, \.models)
                    + listViolations("scopes", payload.list("scopes"), above, \.scopes))
        case .routingSet(let set):
            account = AccountNumber(try existing(set.account))
            // As they will be stored: aliases have been resolved.
            guard
                case .routingSet(let stored) = try Document(
                    type: type, payload.json, strict: false)
            else { preconditionFailure("it is a routing.set") }
            try refuse(routingViolations(stored.policy))
        case .creditGranted(let granted):
            let target = try existing(granted.account)
            account = AccountNumber(target)
            try check(granted, of: target, &payload)
        case .billingSet(let set): account = AccountNumber(try existing(set.account))
        case .privacySet(let set): account = AccountNumber(try existing(set.account))
        case .priceSet(let set):
            let known = set.model.withBytes { book.prices.model(named: $0, in: book.names) }
            try check(set, of: known)
            number = known ?? UInt32(book.modelCount)
        case .aliasSet(let set):
            guard !set.alias.withBytes({ $0 == Machine.autoModel }) else {
                throw Failure(
                    .error, "alias \"auto\" is the word that leaves the model to routing.set")
            }
            guard set.model.withBytes({ book.prices.model(named: $0, in: book.names) }) != nil
            else {
                throw Failure(
                    .error, "model \"\(set.model)\" has no price; append its price.set first")
            }
        case .chargeCorrected(let corrected):
            let (key, added) = try correction(corrected)
            account = AccountNumber(key)
            for member in added { payload[member.name] = member.value }
        case .operatorCreated(let created):
            guard !book.operators.contains(where: { $0.name == created.name }) else {
                throw Failure(
                    .error, "operator \"\(created.name)\" exists already; names are for ever")
            }
            number = UInt32(book.operators.count)
            if let path = created.account { account = AccountNumber(try existing(path)) }
        case .operatorRevoked(let revoked):
            guard let i = book.operators.firstIndex(where: { $0.name == revoked.name }) else {
                throw Failure(.error, "no operator \"\(revoked.name)\"; LIST operators shows them")
            }
            number = UInt32(i)
            account = book.operators[i].account
        case .ledgerCreated, .epochStarted, .windowOpened, .keyRotationDue, .creditExpired,
            .personalErased:
            preconditionFailure("not appendable")
        }
        if let secret { payload["secret_sha256"] = .string(hex(secret)) }
        // What is stored must be readable for ever, so it is read once before it is.
        _ = try Document(type: type, payload.json, strict: false)
        var size = ByteBuffer(capacity: 1_024)
        size.append(canonical: payload.json)
        guard size.count + EventHeader.byteCount + 4 <= Bounds.eventBytesMax else {
            throw Failure(.error, "the payload is longer than \(Bounds.eventBytesMax) bytes")
        }
        return CheckedDocument(account: account, number: number, payload: payload.json)
    }

    /// The payload's members, to be completed before they are stored.
    private struct Payload {
        private(set) var members: [JSON.Member]
        init(_ json: JSON) { members = json.members ?? [] }
        var json: JSON { .object(members) }
        subscript(name: String) -> JSON? {
            get { members.first { $0.name == name }?.value }
            set {
                members.removeAll { $0.name == name }
                if let newValue { members.append(JSON.Member(name, newValue)) }
            }
        }
        func list(_ name: String) -> [String]? {
            self[name]?.array.map { $0.compactMap(\.string) }
        }
    }

    /// Writes models as the price book knows them: lower case, aliases resolved.
    private func resolveNames(_ document: Document, _ payload: inout Payload) {
        switch document {
        case .accountCreated, .permissionsSet:
            guard let models = payload.list("models") else { return }
            payload["models"] = .strings(models.map { resolved($0) })
        case .routingSet(let set):
            guard let policy = set.policy else { return }
            payload["fallback"] = .string(resolved(policy.fallback))
            guard let rules = payload["rules"]?.array else { return }
            payload["rules"] = .array(
                rules.map { rule in
                    .object(
                        (rule.members ?? []).map { member in
                            guard ["model", "fallback"].contains(member.name),
                                let name = member.value.string
                            else { return member }
                            return JSON.Member(member.name, .string(resolved(name)))
                        })
                })
        case .priceSet(let set): payload["model"] = .string(set.model)
        case .aliasSet(let set):
            payload["alias"] = .string(set.alias)
            payload["model"] = .string(set.model)
        default: break
        }
    }
    private func resolved(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.withBytes { bytes in
            guard bytes.firstIndex(of: UInt8(ascii: "/")) == nil,
                let alias = book.prices.alias(named: bytes, in: book.names)
            else { return lower }
            let model = book.prices.aliases.pointer(alias).pointee.model
            return book.names[book.prices.models.pointer(model).pointee.name].string
        }
    }

    private func complete(_ created: AccountCreated, _ payload: inout Payload) {
        guard let seconds = created.expiresInSeconds else { return }
        payload["expires"] = .string(now.later(bySeconds: seconds).description)
    }
    private func hex(_ bytes: [UInt8]) -> String {
        precondition(bytes.count == 32, "a SHA-256")
        return bytes.withUnsafeBytes { Bytes($0).hex }
    }

    // MARK: Checks

    func existing(_ path: String) throws(Failure) -> UInt32 {
        guard let account = path.withBytes({ book.accounts.find($0, book.names) }) else {
            throw Failure(.error, "no account \"\(path)\"; create it first")
        }
        return account
    }
    private func ancestors(of account: UInt32) -> [UInt32] {
        Array(book.accounts.lineage(account).dropFirst())
    }

    private func checkCreation(_ created: AccountCreated) throws(Failure) {
        if created.account.withBytes({ book.accounts.find($0, book.names) }) != nil {
            throw Failure(
                .error, "account \"\(created.account)\" exists already; a path is for ever")
        }
        try checkIsNew(created.secretDigest)
        try checkIsAhead("expires", created.expires)
        guard created.tier != .org else {
            guard calendar.knows(created.zone) else {
                throw Failure(
                    .error, "zone \"\(created.zone)\" is no IANA time zone such as Europe/Berlin")
            }
            try refuse(
                listViolations("models", created.models?.map { resolved($0) }, [], \.models))
            return
        }
        let parentPath = created.account.withBytes { AccountPath.parent($0).string }
        guard let parent = parentPath.withBytes({ book.accounts.find($0, book.names) }) else {
            let tier = created.tier == .team ? "org" : "team"
            throw Failure(.error, "no \(tier) \"\(parentPath)\"; append its \(tier).created first")
        }
        let above = book.accounts.lineage(parent)
        try refuse(
            limitViolations(created.limits, ancestors: above)
                + listViolations("models", created.models?.map { resolved($0) }, above, \.models)
                + listViolations("scopes", created.scopes, above, \.scopes))
    }

    /// It may exceed the parents only as far as what is in force there allows, which may be an
    /// override of their own.
    private func check(
        _ granted: OverrideGranted, of target: UInt32, _ payload: inout Payload
    ) throws(Failure) {
        if let seconds = granted.seconds {
            payload["until"] = .string(now.later(bySeconds: seconds).description)
        } else {
            try checkIsAhead("until", granted.until)
        }
        try refuse(
            limitViolations(
                [LimitChange(kind: granted.kind, amount: granted.amount)],
                ancestors: ancestors(of: target), inForce: true))
    }

    private func check(
        _ granted: CreditGranted, of target: UInt32, _ payload: inout Payload
    ) throws(Failure) {
        if let seconds = granted.expiresInSeconds {
            payload["expires"] = .string(now.later(bySeconds: seconds).description)
        } else {
            try checkIsAhead("expires", granted.expires)
        }
        let org = book.accounts.rows.pointer(target).pointee.orgRow!
        let before = org.pointee.credit == .max ? 0 : book.credits[Int(org.pointee.credit)].granted
        guard !before.addingReportingOverflow(granted.usd.raw).overflow else {
            throw Failure(
                .error, "all the credit of \(describe(target)) would overflow; grant less")
        }
    }
    private func check(_ set: PriceSet, of model: UInt32?) throws(Failure) {
        if let from = set.from, from <= now {
            throw Failure(
                .error,
                "from \(from) is past: leave it out and the price holds from now on; "
                    + "charge.corrected (tollgate price rerate) changes what was charged before")
        }
        guard let model, !set.isForced else { return }
        let old = book.prices.inForce(model, at: set.from ?? now)
        let leaps = old == .max ? [] : book.prices.leaps(set, from: old)
        guard leaps.isEmpty else {
            throw Failure(
                .error,
                "the price of \(set.model) would change more than a hundredfold: "
                    + "\(leaps.map(\.text).joined(separator: ", ")); say \"force\":true (--force) if it is meant"
            )
        }
    }

    private func refuse(_ violations: [String]) throws(Failure) {
        guard violations.isEmpty else { throw Failure(.error, violations.joined(separator: "; ")) }
    }

    /// Limits above the tightest that an ancestor has.
    ///
    /// - Parameter inForce: as its overrides have it just now; else what it has for good, since a
    ///   limit that is set for good must not rest on one that is about to end.
    private func limitViolations(
        _ changes: [LimitChange], ancestors: [UInt32], inForce: Bool = false
    ) -> [String] {
        changes.compactMap { change in
            guard let amount = change.amount else { return nil }
            var tightest: (amount: Int64, account: UInt32)?
            for account in ancestors {
                let limit =
                    inForce
                    ? book.accounts.limit(book.accounts.rows.pointer(account), change.kind)
                    : book.baseLimit(account, change.kind)
                if let limit, limit < tightest?.amount ?? .max { tightest = (limit, account) }
            }
            guard let tightest, amount > tightest.amount else { return nil }
            return
                "\(change.kind.name) \(text(amount, change.kind)) exceeds \(describe(tightest.account))'s limit of "
                + text(tightest.amount, change.kind)
        }
    }
    /// Entries that no pattern of some ancestor's list covers.
    private func listViolations(
        _ what: String, _ entries: [String]?, _ ancestors: [UInt32],
        _ list: KeyPath<AccountRow, UInt32>
    ) -> [String] {
        guard let entries else { return [] }
        var violations: [String] = []
        let bad =
            what == "models" ? entries.filter { !$0.withBytes { ModelName.isPattern($0) } } : []
        if !bad.isEmpty {
            violations.append(
                "models [\(bad.joined(separator: ", "))] are neither provider/model, provider/*, "
                    + "* nor known aliases" + nearest(to: bad))
        }
        for account in ancestors {
            let number = book.accounts.rows.pointer(account).pointee[keyPath: list]
            let outside = entries.filter { entry in
                !bad.contains(entry)
                    && !entry.withBytes { book.lists.matches(number, $0, book.names) }
            }
            guard !outside.isEmpty else { continue }
            violations.append(
                "cannot assign \(what) [\(outside.joined(separator: ", "))]: not in "
                    + "\(describe(account))'s allow-list")
        }
        return violations
    }
    /// Models that have no price to choose them by.
    private func routingViolations(_ policy: RoutingPolicy?) -> [String] {
        guard let policy else { return [] }
        var models: [String] = []
        for name in policy.models where !models.contains(name) {
            let known = name.withBytes { book.prices.model(named: $0, in: book.names) } != nil
            if !known { models.append(name) }
        }
        guard !models.isEmpty else { return [] }
        return [
            "cannot route to [\(models.joined(separator: ", "))]: neither models with a price nor known "
                + "aliases; append their price.set first"
        ]
    }
    /// ` (gpt: openai/gpt-4.1)`: what the bare names among them may have meant.
    private func nearest(to names: [String]) -> String {
        let hints = names.compactMap { name -> String? in
            let models = name.withBytes { book.prices.hints(for: $0, in: book.names) }
            return models.isEmpty ? nil : "\(name): \(models.joined(separator: ", "))"
        }
        return hints.isEmpty ? "" : " (\(hints.joined(separator: "; ")))"
    }
    private func describe(_ account: UInt32) -> String {
        let row = book.accounts.rows.pointer(account)
        // The last name does: an ancestor of the account that is spoken of needs no path.
        let name = book.names[row.pointee.name].string.split(separator: "/").last ?? ""
        return "\(row.pointee.tier.name) \(name)"
    }
    private func text(_ amount: Int64, _ kind: LimitKind) -> String {
        kind.isMoney ? Nanodollars(amount).description : String(amount)
    }
}

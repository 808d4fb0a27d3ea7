import Events

// The fold of what admins append and of the calendar: rare events, whose payload is JSON.

extension Book {
    mutating func apply(_ event: DocumentEvent) throws(EventError) {
        guard let json = try? JSON(parsing: event.json),
            let document = try? Document(type: event.header.type, json, strict: false)
        else { throw .malformed("payload") }
        try apply(document, event, json)
    }

    mutating func apply(
        _ document: Document, _ event: DocumentEvent, _ json: JSON
    ) throws(EventError) {
        let header = event.header
        switch document {
        case .ledgerCreated: break
        case .epochStarted:
            epochs.append(EpochStart(epoch: header.epoch, seq: header.seq))
        case .windowOpened(let opened): try apply(opened, header)
        case .accountCreated(let created): try apply(created, event, json)
        case .keyRotated(let rotated): try apply(rotated, header)
        case .keyRevoked: try apply(.revoked, true, header)
        case .keyRotationDue: try applyRotationDue(header)
        case .accountDisabled: try apply(.disabled, true, header)
        case .accountEnabled: try apply(.disabled, false, header)
        case .accountDescribed(let described): try apply(described, header)
        case .limitsSet(let set): try apply(set, header)
        case .overrideGranted(let granted): try apply(granted, header)
        case .overrideEnded(let ended): try apply(ended, header)
        case .creditGranted(let granted): try apply(granted, header)
        case .creditExpired(let gone): try apply(gone, header)
        case .billingSet(let set): try apply(set, header)
        case .permissionsSet(let set):
            let account = try existing(header.account)
            if let list = intern(set.models) {
                accounts.rows.pointer(account).pointee.models = list
            }
            if let list = intern(set.scopes) {
                accounts.rows.pointer(account).pointee.scopes = list
            }
        case .routingSet(let set): try apply(set, to: try existing(header.account), json)
        case .privacySet(let set): try apply(set, header)
        // The log and the book never had it.
        case .personalErased: break
        case .priceSet(let set): try apply(set, event)
        case .aliasSet(let set):
            guard let model = set.model.withBytes({ prices.model(named: $0, in: names) }) else {
                throw .malformed("model")
            }
            if let known = set.alias.withBytes({ prices.alias(named: $0, in: names) }) {
                prices.aliases.pointer(known).pointee.model = model
            } else {
                prices.addAlias(names.add(set.alias), model: model, in: names)
            }
        case .chargeCorrected(let corrected): try apply(corrected, header)
        case .operatorCreated(let created):
            guard let digest = created.secretDigest, event.number == UInt32(operators.count),
                (created.account == nil) == (header.account == .none)
            else { throw .malformed("operator") }
            if header.account != .none { _ = try existing(header.account) }
            operators.append(
                OperatorRow(
                    name: created.name, role: created.role, account: header.account,
                    digest: digest, isRevoked: false))
        case .operatorRevoked:
            guard event.number < UInt32(operators.count) else { throw .malformed("operator") }
            operators[Int(event.number)].isRevoked = true
        }
        if let id = json["id"]?.string {
            documents[id] = DocumentMemory(
                seq: header.seq,
                asked: Book.fingerprint(
                    header.type, asked: json,
                    generatedSecret: header.flags & DocumentEvent.generatedSecret != 0))
            documentIDs.append(id)
        }
        advance(header)
    }

    /// Of an admin's payload as the caller wrote it: without what the daemon added, which is a new
    /// secret's digest, the instant of an `expires_in` or a `for`, and what a corrected charge was.
    static func fingerprint(
        _ type: EventType, asked json: JSON, generatedSecret: Bool
    ) -> UInt64 {
        let members = json.members ?? []
        func isGiven(_ name: String) -> Bool { json[name].map { !$0.isNull } ?? false }
        let isRelative = (expires: isGiven("expires_in"), until: isGiven("for"))
        let added = ["was", "placed", "model", "billed", "currency"]
        let kept = members.filter {
            !($0.name == "secret_sha256" && generatedSecret)
                && !($0.name == "expires" && isRelative.expires)
                && !($0.name == "until" && isRelative.until)
                && !(type == .chargeCorrected && added.contains($0.name))
        }
        var buffer = ByteBuffer()
        buffer.append(canonical: .object(kept))
        return Hash128(buffer.bytes, seed: UInt64(type.rawValue)).low
    }

    func existing(_ account: AccountNumber) throws(EventError) -> UInt32 {
        guard account.raw < UInt32(accounts.rows.count) else { throw .malformed("account") }
        return account.raw
    }
    private mutating func intern(_ change: PermissionsSet.Change) -> UInt32? {
        switch change {
        case .keep: nil
        case .inherit: PatternLists.inherit
        case .list(let entries): lists.intern(entries, names: &names, prices: prices)
        }
    }
    private mutating func intern(_ entries: [String]?) -> UInt32 {
        guard let entries else { return PatternLists.inherit }
        return lists.intern(entries, names: &names, prices: prices)
    }

    private mutating func apply(
        _ opened: WindowOpened, _ header: EventHeader
    ) throws(EventError) {
        let account = accounts.rows.pointer(try existing(header.account))
        guard account.pointee.tier == .org, opened.window != .minute, opened.window != .total else {
            throw .malformed("window")
        }
        let org = accounts.orgs.pointer(account.pointee.org)
        let cell = WindowCell.index(opened.window)
        org.pointee.start[cell] = opened.start.nanoseconds
        org.pointee.end[cell] = opened.end.nanoseconds
        org.pointee.ordinals[cell] += 1
        var boundary = Int64.max
        for i in 0..<WindowCell.calendarCount { boundary = min(boundary, org.pointee.end[i]) }
        org.pointee.nextBoundary = boundary
    }

    private mutating func apply(
        _ created: AccountCreated, _ event: DocumentEvent, _ json: JSON
    ) throws(EventError) {
        let number = UInt32(accounts.rows.count)
        guard event.number == number, event.header.account.raw == number else {
            throw .malformed("account")
        }
        var parent = number
        var org = UInt32(accounts.orgs.count)
        if created.tier != .org {
            let found = created.account.withBytes { accounts.find(AccountPath.parent($0), names) }
            guard let found else { throw .malformed("account") }
            parent = found
            org = accounts.rows.pointer(found).pointee.org
        } else {
            var row = OrgRow(account: number)
            row.onLapse = created.onLapse
            row.allowsUnpriced = created.allowsUnpriced
            _ = accounts.orgs.append(row)
            accounts.zones.append(created.zone)
        }
        var row = AccountRow(
            name: names.add(created.account), tier: created.tier, parent: parent, org: org,
            createdAt: event.header.time.nanoseconds)
        let details = (json.members ?? []).filter {
            ["name", "owner", "environment"].contains($0.name)
        }
        if !details.isEmpty {
            var text = ByteBuffer()
            text.append(canonical: .object(details))
            row.details = names.add(text.bytes)
        }
        row.models = intern(created.models)
        row.scopes = intern(created.scopes)
        row.expires = created.expires?.nanoseconds ?? .max
        let slot = accounts.add(row, names)
        for change in created.limits {
            accounts.setLimit(
                accounts.rows.pointer(slot), change, at: event.header.time, seq: event.header.seq)
        }
        if let digest = created.secretDigest { accounts.addSecret(digest, key: slot) }
        if let seconds = created.rotateEverySeconds {
            startLife(of: slot, rotateEvery: seconds, at: event.header.time)
        }
    }

    private mutating func apply(_ set: PriceSet, _ event: DocumentEvent) throws(EventError) {
        let known = set.model.withBytes { prices.model(named: $0, in: names) }
        let model: UInt32
        if let known {
            model = known
        } else {
            model = prices.addModel(names.add(set.model), in: names)
            lists.addModel(names[prices.models.pointer(model).pointee.name], names: names)
        }
        guard model == event.number else { throw .malformed("model") }
        prices.addPrice(set, model: model, at: event.header.time, names: &names)
    }
}

import Events

// The fold: the only code that writes money. Everything was checked when the event was decided; what
// stands here are the consequences, and preconditions for what must never be.

extension Book {
    /// Folds one stored event.
    ///
    /// - Throws: `EventError` for an event that is damaged or does not continue this book.
    package mutating func apply(_ event: StoredEvent) throws(EventError) {
        guard event.header.seq == seq + 1 else { throw .malformed("sequence number") }
        guard event.header.time >= time else { throw .malformed("time") }
        switch event.header.type {
        case .holdPlaced:
            let placed = try HoldPlaced(event)
            guard isKey(event.header.account) else {
                throw .malformed("account")
            }
            apply(placed)
        case .holdRefused, .refusalsSummed:
            // A refusal moves nothing; it stands in the log for the audit.
            advance(event.header)
        case .holdSettled:
            let settled = try HoldSettled(event)
            guard let slot = holds.find(settled.hold), holds.row(slot).pointee.state != .settled
            else {
                throw .malformed("hold")
            }
            apply(settled, to: slot)
        case .holdReleased:
            let released = try HoldReleased(event)
            apply(released, to: try open(released.hold))
        case .holdLapsed:
            let lapsed = try HoldLapsed(event)
            apply(lapsed, to: try open(lapsed.hold))
        case .chargeRecorded:
            let charge = try ChargeRecorded(event)
            guard isKey(event.header.account) else { throw .malformed("account") }
            apply(charge)
        default:
            try apply(try DocumentEvent(event))
        }
    }

    private func isKey(_ account: AccountNumber) -> Bool {
        account.raw < UInt32(accounts.rows.count)
            && accounts.rows.pointer(account.raw).pointee.tier == .key
    }
    private func open(_ name: HoldName) throws(EventError) -> UInt32 {
        guard let slot = holds.find(name), holds.row(slot).pointee.state == .open else {
            throw .malformed("hold")
        }
        return slot
    }
    /// Counts an event on: all there is to fold of one that moves nothing.
    mutating func advance(_ header: EventHeader) {
        seq = header.seq
        time = header.time
        epoch = header.epoch
    }

    mutating func apply(_ event: HoldPlaced) {
        advance(event.header)
        let key = event.header.account.raw
        let chain = accounts.chain(ofKey: key)
        let tokens = event.input + event.output
        let second = event.header.time.second
        let ordinals = chain.orgRow.pointee.ordinals
        for i in 0..<3 {
            let account = chain[i]
            account.pointee.usage.roll(to: ordinals)
            account.pointee.usage.add(event.usd.raw, to: .heldUSD)
            account.pointee.usage.add(tokens, to: .heldTokens)
            account.pointee.usage.add(1, to: .requests)
            account.pointee.openHolds += 1
            if account.pointee.minute != .max {
                let ring = accounts.minutes.pointer(account.pointee.minute)
                ring.pointee.advance(to: second)
                ring.pointee.add(usd: event.usd.raw, tokens: tokens, requests: 1, at: second)
            }
        }
        let slot = holds.newSlot()
        let row = holds.row(slot)
        row.pointee.seq = event.header.seq
        row.pointee.epoch = event.header.epoch
        row.pointee.state = .open
        row.pointee.tier = event.tier
        row.pointee.key = key
        row.pointee.model = event.model.raw
        row.pointee.price = .max
        if event.model != .none {
            // An event names a version that the log set before it.
            row.pointee.price = prices.row(model: event.model.raw, version: event.price) ?? .max
        } else {
            row.pointee.modelName = prices.intern(unpriced: event.modelText, names: &names)
        }
        row.pointee.until = event.until
        row.pointee.placedAt = event.header.time.nanoseconds
        row.pointee.countedSeq = event.header.seq
        row.pointee.input = event.input
        row.pointee.output = event.output
        row.pointee.usd = event.usd.raw
        row.pointee.asked = Book.fingerprint(
            model: event.model, text: event.modelText, input: event.input, output: event.output,
            tier: event.tier)
        if !event.text.id.isEmpty { row.pointee.id = IDHash(.hold, key: key, event.text.id) }
        holds.place(slot)
    }

    mutating func apply(_ event: HoldSettled, to slot: UInt32) {
        advance(event.header)
        let row = holds.row(slot)
        end(slot, usd: event.usd.raw, tokens: event.usage.total, at: event.header.time)
        row.pointee.state = .settled
        row.pointee.isLate = event.isLate
        row.pointee.settled = Book.fingerprint(
            event.usage, tier: event.tier, outcome: event.outcome)
        row.pointee.left = left(accounts.chain(ofKey: row.pointee.key)) ?? .min
    }
    mutating func apply(_ event: HoldReleased, to slot: UInt32) {
        advance(event.header)
        end(slot, usd: 0, tokens: 0, at: event.header.time)
        holds.row(slot).pointee.state = .released
    }
    mutating func apply(_ event: HoldLapsed, to slot: UInt32) {
        advance(event.header)
        end(slot, usd: event.usd.raw, tokens: event.tokens, at: event.header.time)
        holds.row(slot).pointee.state = .lapsed
    }

    /// Replaces what a hold counts by what was spent, on its three accounts, in the windows in which
    /// it was placed and which are still open.
    private mutating func end(_ slot: UInt32, usd: Int64, tokens: Int64, at time: Instant) {
        let row = holds.row(slot)
        let wasOpen = row.pointee.state == .open
        let placed = Instant(nanoseconds: row.pointee.placedAt)
        let chain = accounts.chain(ofKey: row.pointee.key)
        let ordinals = chain.orgRow.pointee.ordinals
        let windows = chain.orgRow.pointee.windows(holding: placed)
        for i in 0..<3 {
            let account = chain[i]
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .orgKeepsItsHolds, i == 2, usd == 0, tokens == 0 { continue }
            #endif
            account.pointee.usage.roll(to: ordinals)
            account.pointee.usage.replace(
                heldUSD: wasOpen ? row.pointee.usd : 0,
                heldTokens: wasOpen ? row.pointee.tokens : 0,
                usd: wasOpen ? usd : usd - row.pointee.spentUSD,
                tokens: wasOpen ? tokens : tokens - row.pointee.spentTokens, in: windows)
            if wasOpen { account.pointee.openHolds -= 1 }
            if account.pointee.minute != .max {
                let ring = accounts.minutes.pointer(account.pointee.minute)
                ring.pointee.advance(to: time.second)
                if row.pointee.countedSeq > ring.pointee.sinceSeq {
                    ring.pointee.add(
                        usd: usd - row.pointee.countedUSD,
                        tokens: tokens - row.pointee.countedTokens,
                        requests: 0, at: placed.second)
                }
            }
        }
        row.pointee.spentUSD = usd
        row.pointee.spentTokens = tokens
        if wasOpen { holds.end(slot) }
    }

    mutating func apply(_ event: ChargeRecorded) {
        advance(event.header)
        let key = event.header.account.raw
        let chain = accounts.chain(ofKey: key)
        let tokens = event.usage.total
        let second = event.header.time.second
        let ordinals = chain.orgRow.pointee.ordinals
        for i in 0..<3 {
            let account = chain[i]
            account.pointee.usage.roll(to: ordinals)
            account.pointee.usage.add(event.usd.raw, to: .spentUSD)
            account.pointee.usage.add(tokens, to: .usedTokens)
            account.pointee.usage.add(1, to: .requests)
            if account.pointee.minute != .max {
                let ring = accounts.minutes.pointer(account.pointee.minute)
                ring.pointee.advance(to: second)
                ring.pointee.add(usd: event.usd.raw, tokens: tokens, requests: 1, at: second)
            }
        }
        let slot = holds.newSlot()
        let row = holds.row(slot)
        let name = event.hold ?? event.name
        row.pointee.seq = name.seq
        row.pointee.epoch = name.epoch
        row.pointee.state = event.hold == nil ? .charge : .settled
        row.pointee.isLate = event.hold != nil
        row.pointee.tier = event.tier
        row.pointee.key = key
        row.pointee.model = event.model.raw
        if event.model == .none {
            row.pointee.modelName = prices.intern(unpriced: event.modelText, names: &names)
        }
        row.pointee.price =
            event.model == .none
            ? .max : prices.row(model: event.model.raw, version: event.price) ?? .max
        row.pointee.placedAt = event.header.time.nanoseconds
        row.pointee.countedSeq = event.header.seq
        row.pointee.input = event.usage.input
        row.pointee.output = event.usage.output
        row.pointee.usd = event.usd.raw
        row.pointee.spentUSD = event.usd.raw
        row.pointee.spentTokens = tokens
        row.pointee.settled = Book.fingerprint(
            event.usage, tier: event.tier, outcome: event.outcome)
        row.pointee.asked = Book.fingerprint(
            model: event.model, text: event.modelText, input: event.usage.input,
            output: event.usage.output, tier: event.tier)
        row.pointee.left = left(chain) ?? .min
        if event.hold == nil, !event.text.id.isEmpty {
            row.pointee.id = IDHash(.charge, key: key, event.text.id)
        }
        holds.addEnded(slot)
    }

    /// The least that any calendar or total `usd` limit of the chain has left; nil where none is set.
    /// `usd.minute` is left out: its room comes back by itself in seconds.
    func left(_ chain: AccountChain) -> Int64? {
        var least: Int64?
        for i in 0..<3 {
            let account = chain[i]
            var mask = account.pointee.limitMask & 0b111110
            while mask != 0 {
                let bit = mask.trailingZeroBitCount
                mask &= mask - 1
                let cell = bit - 1
                var taken: Int64 = 0
                if chain.orgRow.pointee.isOpen(cell, at: time) {
                    taken =
                        account.pointee.usage[.spentUSD, cell]
                        + account.pointee.usage[.heldUSD, cell]
                }
                let amount = accounts.limitAmounts.pointer(account.pointee.limits).pointee.values[
                    bit]
                least = min(least ?? .max, max(0, amount - taken))
            }
        }
        return least
    }

    static func fingerprint(
        model: ModelNumber, text: Bytes, input: Int64, output: Int64, tier: ServiceTier
    ) -> UInt64 {
        var h = mix(UInt64(model.raw) << 8 | UInt64(tier.rawValue))
        if !text.isEmpty { h ^= Hash128(text).low }
        h = mix(h ^ UInt64(bitPattern: input))
        return mix(h ^ UInt64(bitPattern: output))
    }
    static func fingerprint(_ usage: TokenUsage, tier: ServiceTier, outcome: Outcome) -> UInt64 {
        var h = mix(UInt64(tier.rawValue) << 8 | UInt64(outcome.rawValue))
        h = mix(h ^ UInt64(bitPattern: usage.input))
        h = mix(h ^ UInt64(bitPattern: usage.output))
        h = mix(h ^ UInt64(bitPattern: usage.cached))
        h = mix(h ^ UInt64(bitPattern: usage.cacheWrite))
        return mix(h ^ UInt64(bitPattern: usage.reasoning))
    }
    /// splitmix64's finaliser: every input bit reaches every output bit.
    private static func mix(_ x: UInt64) -> UInt64 {
        var z = x &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

// MARK: - Documents

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
        case .limitsSet(let set):
            let account = try existing(header.account)
            for change in set.limits {
                accounts.setLimit(
                    accounts.rows.pointer(account), change, at: header.time, seq: header.seq)
            }
        case .permissionsSet(let set):
            let account = try existing(header.account)
            if let list = intern(set.models) {
                accounts.rows.pointer(account).pointee.models = list
            }
            if let list = intern(set.scopes) {
                accounts.rows.pointer(account).pointee.scopes = list
            }
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
        case .operatorCreated(let created):
            guard let digest = created.secretDigest, event.number == UInt32(operators.count) else {
                throw .malformed("operator")
            }
            operators.append(
                OperatorRow(
                    name: created.name, role: created.role, digest: digest, isRevoked: false))
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
    /// secret's digest and the instant of an `expires_in`.
    static func fingerprint(
        _ type: EventType, asked json: JSON, generatedSecret: Bool
    ) -> UInt64 {
        let members = json.members ?? []
        let isRelative = json["expires_in"].map { !$0.isNull } ?? false
        let kept = members.filter {
            !($0.name == "secret_sha256" && generatedSecret)
                && !($0.name == "expires" && isRelative)
        }
        var buffer = ByteBuffer()
        buffer.append(canonical: .object(kept))
        return Hash128(buffer.bytes, seed: UInt64(type.rawValue)).low
    }

    private func existing(_ account: AccountNumber) throws(EventError) -> UInt32 {
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
        prices.addPrice(set, model: model)
    }
}

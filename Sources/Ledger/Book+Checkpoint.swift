import Events

// A book as bytes, field by field and in a fixed order, so that equal books are equal bytes: the
// digest of a live book and of one folded elsewhere must agree. Indexes and deadlines are rebuilt.

extension Book {
    /// The layout's number; a checkpoint of another one is not read but folded anew from the log.
    package static let checkpointVersion: UInt32 = 5

    /// A 128-bit digest of everything the fold made.
    package func digest() -> Hash128 {
        var buffer = ByteBuffer(capacity: 1 << 20)
        encode(into: &buffer)
        return Hash128(buffer.bytes)
    }

    package func encode(into b: inout ByteBuffer) {
        b.append(uint32: Book.checkpointVersion)
        b.append(uint64: seq)
        b.append(int64: time.nanoseconds)
        b.append(uint32: epoch)
        encodeTables(into: &b)
        encodeAccounts(into: &b)
        encodePrices(into: &b)
        encodeHolds(into: &b)
        encodeRouting(into: &b)
    }

    /// Reads a book back; nil when the bytes are not one of this version.
    package init?(decoding bytes: Bytes) {
        self.init()
        var r = ByteReader(bytes)
        guard r.uint32() == Book.checkpointVersion else { return nil }
        seq = r.uint64()
        time = Instant(nanoseconds: r.int64())
        epoch = r.uint32()
        guard decodeTables(&r), decodeModels(&r), decodeAccounts(&r), decodePrices(&r),
            decodeHolds(&r), decodeRouting(&r), !r.failed, r.remaining == 0
        else { return nil }
    }

    // MARK: Small tables

    private func encodeTables(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(epochs.count))
        for start in epochs {
            b.append(uint32: start.epoch)
            b.append(uint64: start.seq)
        }
        b.append(uint32: UInt32(operators.count))
        for entry in operators {
            b.append(text: entry.name)
            b.append(entry.role.rawValue)
            b.append(uint32: entry.account.raw)
            entry.digest.withUnsafeBytes { b.append(Bytes($0)) }
            b.append(entry.isRevoked ? 1 : 0)
        }
        b.append(uint32: UInt32(documentIDs.count))
        for id in documentIDs {
            b.append(text: id)
            b.append(uint64: documents[id]!.seq)
            b.append(uint64: documents[id]!.asked)
        }
        b.append(uint32: UInt32(corrections.rows.count))
        for i in 0..<corrections.rows.count {
            let row = corrections.rows.pointer(i).pointee
            b.append(uint32: row.charge.epoch)
            b.append(uint64: row.charge.seq)
            b.append(int64: row.usd)
            b.append(int64: row.answered)
        }
        // Models before accounts: allow-lists mark the models they admit.
        b.append(uint32: UInt32(prices.models.count))
        for i in 0..<prices.models.count {
            b.append(text: names[prices.models.pointer(i).pointee.name])
        }
    }
    private mutating func decodeTables(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 12) {
            let epoch = r.uint32()
            epochs.append(EpochStart(epoch: epoch, seq: r.uint64()))
        }
        for _ in 0..<r.count(of: 42) {
            let name = r.text().string
            guard let role = Role(rawValue: r.uint8()) else { return false }
            let account = AccountNumber(r.uint32())
            let digest = r.bytes(32)
            guard !r.failed else { return false }
            operators.append(
                OperatorRow(
                    name: name, role: role, account: account, digest: (0..<32).map { digest[$0] },
                    isRevoked: r.uint8() != 0))
        }
        for _ in 0..<r.count(of: 20) {
            let id = r.text().string
            let seq = r.uint64()
            documents[id] = DocumentMemory(seq: seq, asked: r.uint64())
            documentIDs.append(id)
        }
        for _ in 0..<r.count(of: 28) {
            let epoch = r.uint32()
            let charge = HoldName(epoch: epoch, seq: r.uint64())
            let usd = r.int64()
            corrections.restore(Corrections.Row(charge: charge, usd: usd, answered: r.int64()))
        }
        return !r.failed
    }
    private mutating func decodeModels(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 4) {
            let name = names.add(r.text())
            _ = prices.addModel(name, in: names)
            lists.addModel(names[name], names: names)
        }
        return !r.failed
    }

    // MARK: Accounts

    private func encodeAccounts(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(lists.count))
        for list in 1..<max(lists.count, 1) {
            let entries = lists.entries(UInt32(list), names) ?? []
            b.append(uint32: UInt32(entries.count))
            for entry in entries { b.append(text: entry) }
        }
        b.append(uint32: UInt32(accounts.orgs.count))
        for i in 0..<accounts.orgs.count {
            let org = accounts.orgs.pointer(i).pointee
            b.append(uint32: org.account)
            b.append(text: accounts.zones[i])
            for cell in 0..<WindowCell.calendarCount {
                b.append(int64: org.start[cell])
                b.append(int64: org.end[cell])
                b.append(uint32: org.ordinals[cell])
            }
            b.append(int64: org.nextBoundary)
            b.append(uint32: org.credit)
            b.append(uint32: org.billing)
            b.append(org.onLapse.rawValue)
            b.append(org.allowsUnpriced ? 1 : 0)
            b.append(org.personal.rawValue)
        }
        b.append(uint32: UInt32(accounts.limitAmounts.count))
        for i in 0..<accounts.limitAmounts.count {
            let amounts = accounts.limitAmounts.pointer(i)
            for kind in 0..<LimitKind.count { b.append(int64: amounts.pointee[kind]) }
        }
        b.append(uint32: UInt32(accounts.minutes.count))
        for i in 0..<accounts.minutes.count { encode(accounts.minutes.pointer(i), into: &b) }
        b.append(uint32: UInt32(accounts.rows.count))
        for i in 0..<accounts.rows.count { encode(accounts.rows.pointer(i), into: &b) }
        encodeFinances(into: &b)
        b.append(uint32: UInt32(overrides.rows.count))
        for row in overrides.rows {
            b.append(uint32: row.account)
            b.append(row.kind.raw)
            b.append(row.base == nil ? 0 : 1)
            b.append(int64: row.base ?? 0)
            b.append(int64: row.amount)
            b.append(int64: row.until)
            b.append(text: row.reason)
        }
        b.append(uint32: UInt32(accounts.secrets.count))
        for i in 0..<accounts.secrets.count {
            let secret = accounts.secrets.pointer(i)
            for byte in 0..<32 { b.append(secret.pointee.digest[byte]) }
            b.append(uint32: secret.pointee.key)
            b.append(int64: secret.pointee.validUntil)
        }
        b.append(uint32: UInt32(accounts.lives.count))
        for i in 0..<accounts.lives.count {
            let life = accounts.lives.pointer(i).pointee
            b.append(int64: life.rotateEvery)
            b.append(int64: life.due)
            b.append(life.isDue ? 1 : 0)
            b.append(int64: life.rotatedAt)
        }
        // Whose they are: keys in the order in which they got one.
        for i in 0..<accounts.rows.count {
            let row = accounts.rows.pointer(i)
            guard row.pointee.isKey else { continue }
            b.append(uint32: row.pointee.life)
            b.append(uint32: row.pointee.lastUsed)
        }
    }
    private func encode(_ ring: UnsafeMutablePointer<MinuteRing>, into b: inout ByteBuffer) {
        b.append(int64: ring.pointee.second)
        b.append(uint64: ring.pointee.sinceSeq)
        for i in 0..<MinuteRing.count {
            for unit in 0..<MinuteRing.units {
                b.append(int64: ring.pointee.value(unit, bucket: i))
            }
        }
    }
    private func encode(_ row: UnsafeMutablePointer<AccountRow>, into b: inout ByteBuffer) {
        b.append(text: names[row.pointee.name])
        b.append(text: names[row.pointee.details])
        b.append(row.pointee.tier.rawValue)
        b.append(row.pointee.flags.rawValue)
        for number in [
            row.pointee.parent, row.pointee.org, row.pointee.models, row.pointee.scopes,
            row.pointee.limitMask, row.pointee.limits, row.pointee.minute,
        ] {
            b.append(uint32: number)
        }
        b.append(int64: row.pointee.openHolds)
        b.append(int64: row.pointee.createdAt)
        b.append(int64: row.pointee.expires)
        for cell in 0..<WindowCell.calendarCount {
            b.append(uint32: row.pointee.usage.ordinals[cell])
        }
        for i in 0..<25 { b.append(int64: row.pointee.usage.values[i]) }
    }

    private mutating func decodeAccounts(_ r: inout ByteReader) -> Bool {
        let listCount = Int(r.uint32())
        guard listCount >= 1, listCount <= r.remaining + 1 else { return false }
        for _ in 1..<listCount {
            var entries: [String] = []
            for _ in 0..<r.count(of: 4) { entries.append(r.text().string) }
            guard !r.failed else { return false }
            _ = lists.intern(entries, names: &names, prices: prices)
        }
        guard lists.count == listCount else { return false }
        for _ in 0..<r.count(of: 99) {
            var org = OrgRow(account: r.uint32())
            accounts.zones.append(r.text().string)
            for cell in 0..<WindowCell.calendarCount {
                org.start[cell] = r.int64()
                org.end[cell] = r.int64()
                org.ordinals[cell] = r.uint32()
            }
            org.nextBoundary = r.int64()
            org.credit = r.uint32()
            org.billing = r.uint32()
            guard let policy = LapsePolicy(rawValue: r.uint8()) else { return false }
            org.onLapse = policy
            org.allowsUnpriced = r.uint8() != 0
            org.personal = PersonalFields(rawValue: r.uint8())
            guard org.personal.isKnown else { return false }
            personal.formUnion(org.personal)
            _ = accounts.orgs.append(org)
        }
        for _ in 0..<r.count(of: 8 * LimitKind.count) {
            var amounts = LimitAmounts()
            for kind in 0..<LimitKind.count { amounts[kind] = r.int64() }
            _ = accounts.limitAmounts.append(amounts)
        }
        for _ in 0..<r.count(of: 1_456) {
            let second = r.int64()
            var ring = MinuteRing(second: second, sinceSeq: r.uint64())
            for i in 0..<MinuteRing.count {
                for unit in 0..<MinuteRing.units { ring.put(r.int64(), unit: unit, bucket: i) }
            }
            _ = accounts.minutes.append(ring)
        }
        for _ in 0..<r.count(of: 278) { guard decodeAccount(&r) else { return false } }
        guard decodeFinances(&r) else { return false }
        for _ in 0..<r.count(of: 34) { guard decodeOverride(&r) else { return false } }
        for _ in 0..<r.count(of: 44) {
            let digest = r.bytes(32)
            let key = r.uint32()
            let validUntil = r.int64()
            guard !r.failed, isKey(key) else { return false }
            accounts.addSecret((0..<32).map { digest[$0] }, key: key, validUntil: validUntil)
        }
        guard decodeLives(&r) else { return false }
        return !r.failed
            && operators.allSatisfy {
                $0.account == .none || $0.account.raw < UInt32(accounts.rows.count)
            }
    }
    private mutating func decodeLives(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 25) {
            var life = KeyLife()
            life.rotateEvery = r.int64()
            life.due = r.int64()
            life.isDue = r.uint8() != 0
            life.rotatedAt = r.int64()
            _ = accounts.lives.append(life)
        }
        for i in 0..<accounts.rows.count {
            let row = accounts.rows.pointer(i)
            guard row.pointee.isKey else { continue }
            row.pointee.life = r.uint32()
            row.pointee.lastUsed = r.uint32()
            guard row.pointee.life == .max || row.pointee.life < UInt32(accounts.lives.count) else {
                return false
            }
            scheduleRotation(of: UInt32(i))
        }
        return !r.failed
    }
    private func encodeFinances(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(billings.count))
        for terms in billings {
            b.append(int64: terms.markup)
            b.append(int64: terms.rate)
            terms.currency.append(to: &b)
        }
        b.append(uint32: UInt32(credits.count))
        for credit in credits {
            b.append(uint32: credit.account)
            for total in [credit.granted, credit.expired, credit.spent] { b.append(int64: total) }
            b.append(uint32: UInt32(credit.grants.count))
            for grant in credit.grants {
                b.append(uint64: grant.seq)
                for number in [grant.usd, grant.left, grant.expires] { b.append(int64: number) }
                b.append(text: grant.source)
                b.append(text: grant.reference ?? "")
            }
        }
    }
    private mutating func decodeFinances(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 19) {
            let (markup, rate) = (r.int64(), r.int64())
            guard let currency = Currency(r.bytes(3)), rate > 0, markup >= 0,
                markup <= BillingSet.markupMax
            else { return false }
            billings.append(BillingTerms(markup: markup, rate: rate, currency: currency))
        }
        for i in 0..<r.count(of: 32) {
            let account = r.uint32()
            let (granted, expired, spent) = (r.int64(), r.int64(), r.int64())
            var grants: [CreditGrant] = []
            for _ in 0..<r.count(of: 40) {
                let seq = r.uint64()
                let (usd, left, expires) = (r.int64(), r.int64(), r.int64())
                let source = r.text().string
                let reference = r.text().string
                grants.append(
                    CreditGrant(
                        seq: seq, usd: usd, left: left, expires: expires, source: source,
                        reference: reference.isEmpty ? nil : reference))
            }
            guard !r.failed, account < UInt32(accounts.rows.count),
                let ledger = CreditLedger(
                    account: account, granted: granted, expired: expired, spent: spent, grants)
            else { return false }
            let row = accounts.rows.pointer(account)
            guard row.pointee.tier == .org, row.pointee.orgRow.pointee.credit == UInt32(i) else {
                return false
            }
            row.pointee.orgRow.pointee.creditLeft = ledger.left
            credits.append(ledger)
            for grant in ledger.grants { scheduleExpiry(grant.expires, of: account) }
        }
        for i in 0..<accounts.orgs.count {
            let org = accounts.orgs.pointer(i).pointee
            guard org.credit == .max || org.credit < UInt32(credits.count),
                org.billing <= UInt32(billings.count)
            else { return false }
        }
        return !r.failed
    }
    private mutating func decodeOverride(_ r: inout ByteReader) -> Bool {
        let account = r.uint32()
        guard let kind = LimitKind(stored: r.uint8()) else { return false }
        let hasBase = r.uint8() != 0
        let base = r.int64()
        let row = OverrideRow(
            account: account, kind: kind, base: hasBase ? base : nil, amount: r.int64(),
            until: r.int64(), reason: r.text().string)
        guard !r.failed, account < UInt32(accounts.rows.count),
            accounts.limit(accounts.rows.pointer(account), kind) == row.amount,
            overrides.position(account, kind) == overrides.rows.count
        else { return false }
        overrides.put(row)
        schedule(row)
        return true
    }
    private mutating func decodeAccount(_ r: inout ByteReader) -> Bool {
        let name = names.add(r.text())
        let details = names.add(r.text())
        guard let tier = Tier(rawValue: r.uint8()) else { return false }
        let flags = AccountFlags(rawValue: r.uint8())
        let parent = r.uint32()
        let org = r.uint32()
        let number = UInt32(accounts.rows.count)
        guard !r.failed, org < UInt32(accounts.orgs.count),
            tier == .org ? parent == number : parent < number
        else { return false }
        var row = AccountRow(name: name, tier: tier, parent: parent, org: org, createdAt: 0)
        row.details = details
        row.flags = flags
        row.models = r.uint32()
        row.scopes = r.uint32()
        row.limitMask = r.uint32()
        row.limits = r.uint32()
        row.minute = r.uint32()
        row.openHolds = r.int64()
        row.createdAt = r.int64()
        row.expires = r.int64()
        for cell in 0..<WindowCell.calendarCount { row.usage.ordinals[cell] = r.uint32() }
        for i in 0..<25 { row.usage.values[i] = r.int64() }
        guard row.models < UInt32(lists.count), row.scopes < UInt32(lists.count),
            row.limits == .max || row.limits < UInt32(accounts.limitAmounts.count),
            row.limitMask == 0 || row.limits != .max,
            row.minute == .max || row.minute < UInt32(accounts.minutes.count)
        else { return false }
        _ = accounts.add(row, names)
        return true
    }

    // MARK: Prices

    private func encodePrices(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(prices.variants.count))
        for i in 0..<prices.variants.count {
            let variant = prices.variants.pointer(i).pointee
            b.append(variant.tier.rawValue)
            b.append(int64: variant.above)
            b.append(amounts: variant.classes)
        }
        b.append(uint32: UInt32(prices.capabilities.count))
        for i in 0..<prices.capabilities.count {
            b.append(text: names[prices.capabilities.pointer(i).pointee])
        }
        b.append(uint32: UInt32(prices.prices.count))
        for i in 0..<prices.prices.count {
            let price = prices.prices.pointer(i).pointee
            b.append(uint32: price.model)
            b.append(uint32: price.version)
            b.append(uint32: price.previous)
            b.append(amounts: price.classes)
            b.append(int64: price.maxOutput)
            b.append(int64: price.context)
            b.append(uint32: price.firstVariant)
            b.append(uint32: price.variantCount)
            b.append(uint32: price.firstCapability)
            b.append(uint32: price.capabilityCount)
            b.append(int64: price.from)
        }
        // Which version is in force follows from the time.
        for i in 0..<prices.models.count {
            b.append(uint32: prices.models.pointer(i).pointee.latest)
        }
        b.append(uint32: UInt32(prices.aliases.count))
        for i in 0..<prices.aliases.count {
            b.append(text: names[prices.aliases.pointer(i).pointee.name])
            b.append(uint32: prices.aliases.pointer(i).pointee.model)
        }
    }
    private mutating func decodePrices(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 57) {
            guard let tier = ServiceTier(rawValue: r.uint8()) else { return false }
            let above = r.int64()
            _ = prices.variants.append(VariantRow(tier: tier, above: above, classes: r.amounts()))
        }
        for _ in 0..<r.count(of: 4) {
            _ = prices.capabilities.append(names.add(r.text()))
        }
        for i in 0..<r.count(of: 100) {
            let model = r.uint32()
            let version = r.uint32()
            let previous = r.uint32()
            let classes = r.amounts()
            let maxOutput = r.int64()
            let context = r.int64()
            let row = PriceRow(
                model: model, version: version, previous: previous, classes: classes,
                maxOutput: maxOutput, context: context, firstVariant: r.uint32(),
                variantCount: r.uint32(), firstCapability: r.uint32(), capabilityCount: r.uint32(),
                from: r.int64())
            guard model < UInt32(prices.models.count), previous == .max || previous < UInt32(i),
                UInt64(row.firstVariant) + UInt64(row.variantCount)
                    <= UInt64(prices.variants.count),
                UInt64(row.firstCapability) + UInt64(row.capabilityCount)
                    <= UInt64(prices.capabilities.count)
            else { return false }
            _ = prices.prices.append(row)
        }
        for i in 0..<prices.models.count {
            let latest = r.uint32()
            guard latest < UInt32(prices.prices.count) else { return false }
            prices.models.pointer(i).pointee.latest = latest
        }
        prices.restoreVersions(at: time)
        for _ in 0..<r.count(of: 8) {
            let name = names.add(r.text())
            let model = r.uint32()
            guard model < UInt32(prices.models.count) else { return false }
            prices.addAlias(name, model: model, in: names)
        }
        return !r.failed
    }

    // MARK: Holds

    private func encodeHolds(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(holds.rows.count))
        for i in 0..<holds.rows.count {
            let row = holds.rows.pointer(i)
            b.append(row.pointee.state.rawValue)
            if row.pointee.state != .free { encode(row, into: &b) }
        }
        b.append(uint32: UInt32(holds.freeCount))
        for i in 0..<holds.freeCount { b.append(uint32: holds.freeSlot(i)) }
        b.append(uint32: UInt32(holds.ended.count))
        for i in 0..<holds.ended.count { b.append(uint32: holds.ended[i]) }
        b.append(uint32: UInt32(holds.charges.count))
        for i in 0..<holds.charges.count { b.append(uint32: holds.charges[i]) }
        let extended = (0..<holds.rows.count).filter {
            holds.rows.pointer($0).pointee.placing != .max
        }
        b.append(uint32: UInt32(extended.count))
        for i in extended {
            let placed = holds.placing(of: holds.rows.pointer(i))
            b.append(uint32: UInt32(i))
            b.append(int64: placed.input)
            b.append(int64: placed.output)
            b.append(int64: placed.usd)
            b.append(uint32: placed.until)
            b.append(uint64: placed.movedBy)
        }
    }
    private func encode(_ row: UnsafeMutablePointer<HoldRow>, into b: inout ByteBuffer) {
        b.append(uint64: row.pointee.seq)
        b.append(uint32: row.pointee.epoch)
        b.append(row.pointee.tier.rawValue)
        b.append(row.pointee.isLate ? 1 : 0)
        b.append(uint32: row.pointee.key)
        b.append(uint32: row.pointee.model)
        if row.pointee.model == .max { b.append(text: names[row.pointee.modelName]) }
        b.append(uint32: row.pointee.price)
        b.append(uint32: row.pointee.until)
        b.append(uint32: row.pointee.terms.raw)
        for number in [
            row.pointee.placedAt, row.pointee.input, row.pointee.output, row.pointee.usd,
            row.pointee.spentUSD, row.pointee.spentTokens, row.pointee.left,
        ] {
            b.append(int64: number)
        }
        b.append(uint64: row.pointee.settled)
        b.append(uint64: row.pointee.id.low)
        b.append(uint64: row.pointee.id.high)
    }
    private mutating func decodeHolds(_ r: inout ByteReader) -> Bool {
        let count = r.count(of: 1)
        for _ in 0..<count {
            guard let state = HoldState(rawValue: r.uint8()) else { return false }
            var row = HoldRow()
            if state != .free {
                guard decode(&row, &r), state != .open || row.terms.raw == 0 else { return false }
                row.state = state
            }
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .checkpointForgetsHolds, state == .open { row.usd = 0 }
            #endif
            holds.restore(row)
        }
        for _ in 0..<r.count(of: 4) {
            guard let slot = r.slot(below: count) else { return false }
            holds.restore(free: slot)
        }
        for _ in 0..<r.count(of: 4) {
            guard let slot = r.slot(below: count) else { return false }
            holds.restore(ended: slot)
        }
        for _ in 0..<r.count(of: 4) {
            guard let slot = r.slot(below: count) else { return false }
            holds.restore(charge: slot)
        }
        for _ in 0..<r.count(of: 40) {
            guard let slot = r.slot(below: count), holds.restore(r.placedHold(), of: slot) else {
                return false
            }
        }
        guard !r.failed else { return false }
        holds.restoreIndexes()
        return true
    }
    private mutating func decode(_ row: inout HoldRow, _ r: inout ByteReader) -> Bool {
        // A million of these are all that a start has to do, so their bytes are asked for in two
        // pieces instead of field by field.
        guard let front = r.next(18), let tier = ServiceTier(rawValue: front.field(UInt8.self, 12))
        else { return false }
        row.seq = front.field(UInt64.self, 0)
        row.epoch = front.field(UInt32.self, 8)
        row.tier = tier
        row.isLate = front.field(UInt8.self, 13) != 0
        row.key = front.field(UInt32.self, 14)
        let model = r.uint32()
        let name = model == .max ? prices.intern(unpriced: r.text(), names: &names) : .none
        guard let rest = r.next(92) else { return false }
        row.setModel(model, price: rest.field(UInt32.self, 0))
        if model == .max { row.setModel(unpriced: name) }
        row.until = rest.field(UInt32.self, 4)
        row.terms = HoldTerms(raw: rest.field(UInt32.self, 8))
        row.placedAt = rest.field(Int64.self, 12)
        row.input = rest.field(Int64.self, 20)
        row.output = rest.field(Int64.self, 28)
        row.usd = rest.field(Int64.self, 36)
        row.spentUSD = rest.field(Int64.self, 44)
        row.spentTokens = rest.field(Int64.self, 52)
        row.left = rest.field(Int64.self, 60)
        row.settled = rest.field(UInt64.self, 68)
        row.id = .stored(low: rest.field(UInt64.self, 76), high: rest.field(UInt64.self, 84))
        guard row.key < UInt32(accounts.rows.count) else { return false }
        let key = accounts.rows.pointer(row.key)
        return key.pointee.isKey && row.terms.number <= UInt32(billings.count)
            && (!row.terms.drawn || key.pointee.orgRow.pointee.credit != .max)
            && (row.model == .max || row.model < UInt32(prices.models.count))
            && (row.price == .max || row.price < UInt32(prices.prices.count))
    }
}

extension ByteBuffer {
    mutating func append(text: Bytes) {
        append(uint32: UInt32(text.count))
        append(text)
    }
    fileprivate mutating func append(text: String) { text.withBytes { append(text: $0) } }
    fileprivate mutating func append(amounts: PriceAmounts) {
        for price in [
            amounts.input, amounts.output, amounts.cached, amounts.cacheWrite, amounts.reasoning,
            amounts.request,
        ] {
            append(int64: price)
        }
    }
}

extension ByteReader {
    /// A count of things of at least `size` bytes each; fewer bytes than that mean damage.
    mutating func count(of size: Int) -> Int {
        let count = Int(uint32())
        if count * size > remaining {
            _ = bytes(remaining + 1)
            return 0
        }
        return count
    }
    fileprivate mutating func placedHold() -> PlacedHold {
        let input = int64()
        let output = int64()
        let usd = int64()
        let until = uint32()
        return PlacedHold(
            input: input, output: output, usd: usd, until: until, movedBy: uint64())
    }
    mutating func text() -> Bytes { bytes(Int(uint32())) }
    /// The next `count` bytes, at least one; nil when there are fewer.
    fileprivate mutating func next(_ count: Int) -> UnsafeRawPointer? { bytes(count).base }
    /// The number of a row; nil for one that is not there.
    fileprivate mutating func slot(below count: Int) -> UInt32? {
        let slot = uint32()
        return slot < UInt32(truncatingIfNeeded: count) ? slot : nil
    }
    fileprivate mutating func amounts() -> PriceAmounts {
        var amounts = PriceAmounts()
        amounts.input = int64()
        amounts.output = int64()
        amounts.cached = int64()
        amounts.cacheWrite = int64()
        amounts.reasoning = int64()
        amounts.request = int64()
        return amounts
    }
}

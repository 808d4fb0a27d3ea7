import Events

// The fold: the only code that writes money. Everything was checked when the event was decided; what
// stands here are the consequences, and preconditions for what must never be.

extension Book {
    /// Folds one stored event.
    ///
    /// - Throws: `EventError` for an event that is damaged or does not continue this book.
    package mutating func apply(_ event: StoredEvent) throws(EventError) {
        try fold(event.bytes, id: .none)
    }

    /// Folds the stored event that `bytes` are.
    ///
    /// - Parameter id: the hash of the event's id where it is known already.
    mutating func fold(_ bytes: Bytes, id: IDHash) throws(EventError) {
        guard bytes.count >= EventHeader.byteCount else { throw .truncated }
        let at = bytes.base.unsafelyUnwrapped
        guard at.field(UInt64.self, 8) == seq &+ 1 else { throw .malformed("sequence number") }
        guard at.field(Int64.self, 16) >= time.nanoseconds else { throw .malformed("time") }
        // By their numbers: these two are nearly all of a log.
        switch at.field(UInt8.self, 2) {
        case EventType.holdPlaced.rawValue: try foldPlaced(bytes, id)
        case EventType.holdSettled.rawValue: try foldSettled(bytes)
        default: try foldOther(bytes)
        }
    }

    @inline(never)
    private mutating func foldOther(_ bytes: Bytes) throws(EventError) {
        let event = try StoredEvent(bytes)
        switch event.header.type {
        case .holdPlaced, .holdSettled: preconditionFailure("these are folded as they lie there")
        case .holdRefused, .refusalsSummed:
            // A refusal moves nothing; it stands in the log for the audit.
            advance(event.header)
        case .holdExtended:
            let extended = try HoldExtended(event)
            let slot = try open(extended.hold)
            let row = holds.row(slot).pointee
            guard extended.input >= row.input, extended.output >= row.output,
                extended.usd.raw >= row.usd, extended.until >= row.until
            else { throw .malformed("growth") }
            apply(extended, to: slot)
        case .holdReleased:
            let released = try HoldReleased(event)
            apply(released, to: try open(released.hold))
        case .holdLapsed:
            let lapsed = try HoldLapsed(event)
            apply(lapsed, to: try open(lapsed.hold))
        case .chargeRecorded:
            let charge = try ChargeRecorded(event)
            guard isKey(event.header.account.raw) else { throw .malformed("account") }
            apply(charge)
        default:
            try apply(try DocumentEvent(event))
        }
    }

    @inline(__always)
    func isKey(_ account: UInt32) -> Bool {
        account < UInt32(truncatingIfNeeded: accounts.rows.count)
            && accounts.rows.pointer(account).pointee.isKey
    }
    private func open(_ name: HoldName) throws(EventError) -> UInt32 {
        guard let slot = holds.find(name), holds.row(slot).pointee.state == .open else {
            throw .malformed("hold")
        }
        return slot
    }
    /// Counts an event on: all there is to fold of one that moves nothing.
    mutating func advance(_ header: EventHeader) {
        advance(seq: header.seq, time: header.time, epoch: header.epoch)
    }
    @inline(__always)
    mutating func advance(seq: UInt64, time: Instant, epoch: UInt32) {
        self.seq = seq
        self.time = time
        self.epoch = epoch
    }

    // MARK: Placed

    /// A `hold.placed` as the book sees it: numbers of rows instead of names.
    struct Placing {
        var seq: UInt64
        var epoch: UInt32
        var time: Instant
        var key: UInt32
        /// `.max` without a price; then `price` is, too.
        var model: UInt32
        var price: UInt32
        var modelText: Bytes
        var tier: ServiceTier
        var input: Int64
        var output: Int64
        var usd: Int64
        var until: UInt32
        var id: IDHash
    }

    @inline(__always)
    private mutating func foldPlaced(_ bytes: Bytes, _ known: IDHash) throws(EventError) {
        let event = try StoredHoldPlaced(bytes)
        let key = event.account
        guard isKey(key) else { throw .malformed("account") }
        let model = event.model
        var price = UInt32.max
        // An event names a version that the log set before it.
        if model != .max { price = prices.row(model: model, version: event.price) ?? .max }
        var id = known
        var probe = SlotIndex.Probe.none
        if !event.id.isEmpty {
            if id.isNone { id = IDHash(.hold, key: key, event.id) }
            probe = holds.probe(id)
        }
        place(
            Placing(
                seq: event.seq, epoch: event.epoch, time: Instant(nanoseconds: event.time),
                key: key,
                model: model, price: price, modelText: event.modelText, tier: event.tier,
                input: event.input, output: event.output, usd: event.usd, until: event.until, id: id
            ), accounts.chain(ofKey: key), probe)
        if event.flags & Extras.flag != 0, let routing = event.extras.routing {
            remember(routing, of: HoldName(epoch: event.epoch, seq: event.seq))
        }
    }

    /// - Parameter probe: of the id, in the table as it is now.
    @inline(__always)
    mutating func place(_ event: Placing, _ chain: AccountChain, _ probe: SlotIndex.Probe) {
        advance(seq: event.seq, time: event.time, epoch: event.epoch)
        let tokens = event.input &+ event.output
        let second = event.time.second
        let ordinals = chain.orgRow.pointee.ordinals
        let bucket = MinuteRing.bucket(second)
        hold(chain.key, ordinals, event.usd, tokens, second, bucket)
        hold(chain.team, ordinals, event.usd, tokens, second, bucket)
        hold(chain.org, ordinals, event.usd, tokens, second, bucket)
        chain.key.pointee.lastUsed = UInt32(truncatingIfNeeded: second)
        let slot = holds.newSlot()
        let row = holds.row(slot)
        // Every field, since the slot may have been another hold's.
        row.pointee.seq = event.seq
        row.pointee.epoch = event.epoch
        row.pointee.state = .open
        row.pointee.tier = event.tier
        row.pointee.isLate = false
        row.pointee.key = event.key
        if event.model != .max {
            row.pointee.setModel(event.model, price: event.price)
        } else {
            row.pointee.setModel(
                unpriced: prices.intern(unpriced: event.modelText, names: &names))
        }
        row.pointee.placedAt = event.time.nanoseconds
        row.pointee.until = event.until
        row.pointee.input = event.input
        row.pointee.output = event.output
        row.pointee.usd = event.usd
        row.pointee.spentUSD = 0
        row.pointee.spentTokens = 0
        row.pointee.left = .min
        row.pointee.settled = 0
        row.pointee.id = event.id
        holds.place(slot, probe)
    }
    /// Counts an open hold on one account.
    @inline(__always)
    private func hold(
        _ account: UnsafeMutablePointer<AccountRow>, _ ordinals: SIMD4<UInt32>, _ usd: Int64,
        _ tokens: Int64, _ second: Int64, _ bucket: Int
    ) {
        account.pointee.usage.roll(to: ordinals)
        account.pointee.usage.add(usd, to: .heldUSD)
        account.pointee.usage.add(tokens, to: .heldTokens)
        account.pointee.usage.add(1, to: .requests)
        account.pointee.openHolds &+= 1
        if account.pointee.minute != .max {
            let ring = accounts.minutes.pointer(account.pointee.minute)
            ring.pointee.advance(to: second)
            ring.pointee.add(
                usd: usd, tokens: tokens, requests: 1, at: second, bucket: bucket)
        }
    }

    // MARK: Ended

    @inline(__always)
    private mutating func foldSettled(_ bytes: Bytes) throws(EventError) {
        let event = try StoredHoldSettled(bytes)
        guard let slot = holds.find(event.hold), holds.row(slot).pointee.state != .settled else {
            throw .malformed("hold")
        }
        advance(seq: event.seq, time: Instant(nanoseconds: event.time), epoch: event.epoch)
        let usage = event.usage
        settle(
            slot, usd: event.usd, tokens: usage.total,
            fingerprint: Book.fingerprint(usage, tier: event.tier, outcome: event.outcome),
            isLate: event.isLate)
    }
    /// Settles a hold at the time of the event that has just been counted on.
    @inline(__always)
    mutating func settle(
        _ slot: UInt32, usd: Int64, tokens: Int64, fingerprint: UInt64, isLate: Bool
    ) {
        let row = holds.row(slot)
        let chain = accounts.chain(ofKey: row.pointee.key)
        end(slot, chain, usd: usd, tokens: tokens)
        if isLate { corrections.noteSettlement(row.pointee.name, usd: usd) }
        row.pointee.state = .settled
        row.pointee.isLate = isLate
        row.pointee.settled = fingerprint
        row.pointee.left = left(chain) ?? .min
    }
    mutating func apply(_ event: HoldExtended, to slot: UInt32) {
        advance(event.header)
        let row = holds.row(slot)
        holds.rememberPlacing(slot)
        let chain = accounts.chain(ofKey: row.pointee.key)
        // What it grows by is given back the other way round, where and when the hold counts.
        let growth = Ending(
            heldUSD: row.pointee.usd - event.usd.raw,
            heldTokens: row.pointee.tokens - event.input - event.output, moreUSD: 0, moreTokens: 0,
            holds: 0, windows: chain.orgRow.pointee.windows(holding: row.pointee.placedAt),
            seq: row.pointee.seq, placed: Instant(nanoseconds: row.pointee.placedAt).second)
        let ordinals = chain.orgRow.pointee.ordinals
        let bucket = MinuteRing.bucket(growth.placed)
        for i in 0..<3 { end(growth, chain[i], ordinals, time.second, bucket) }
        row.pointee.input = event.input
        row.pointee.output = event.output
        row.pointee.usd = event.usd.raw
        if event.until > row.pointee.until {
            holds.move(slot, until: event.until, by: event.header.seq)
        }
    }
    mutating func apply(_ event: HoldReleased, to slot: UInt32) {
        advance(event.header)
        end(slot, accounts.chain(ofKey: holds.row(slot).pointee.key), usd: 0, tokens: 0)
        holds.row(slot).pointee.state = .released
    }
    mutating func apply(_ event: HoldLapsed, to slot: UInt32) {
        advance(event.header)
        end(
            slot, accounts.chain(ofKey: holds.row(slot).pointee.key), usd: event.usd.raw,
            tokens: event.tokens)
        holds.row(slot).pointee.state = .lapsed
    }

    /// Replaces what a hold counts by what was spent, on its three accounts, in the windows in which
    /// it was placed and which are still open.
    @inline(__always)
    private mutating func end(_ slot: UInt32, _ chain: AccountChain, usd: Int64, tokens: Int64) {
        let row = holds.row(slot)
        let wasOpen = row.pointee.state == .open
        // What its end gives back: the hold while it is open, what was spent after.
        let ending = Ending(
            heldUSD: wasOpen ? row.pointee.usd : 0, heldTokens: wasOpen ? row.pointee.tokens : 0,
            moreUSD: wasOpen ? usd : usd - row.pointee.spentUSD,
            moreTokens: wasOpen ? tokens : tokens - row.pointee.spentTokens,
            holds: wasOpen ? 1 : 0,
            windows: chain.orgRow.pointee.windows(holding: row.pointee.placedAt),
            seq: row.pointee.seq, placed: Instant(nanoseconds: row.pointee.placedAt).second)
        let ordinals = chain.orgRow.pointee.ordinals
        let second = time.second
        let bucket = MinuteRing.bucket(ending.placed)
        end(ending, chain.key, ordinals, second, bucket)
        end(ending, chain.team, ordinals, second, bucket)
        #if TOLLGATE_PLANTED_BUGS
        let forgets = PlantedBug.current == .orgKeepsItsHolds && usd == 0 && tokens == 0
        if !forgets { end(ending, chain.org, ordinals, second, bucket) }
        #else
        end(ending, chain.org, ordinals, second, bucket)
        #endif
        if wasOpen { holds.end(slot) }
        if !chain.org.pointee.flags.isDisjoint(with: .charged) { bill(row, chain.orgRow, usd: usd) }
        row.pointee.spentUSD = usd
        row.pointee.spentTokens = tokens
    }
    private struct Ending {
        var heldUSD: Int64
        var heldTokens: Int64
        var moreUSD: Int64
        var moreTokens: Int64
        var holds: Int64
        var windows: UInt8
        /// Of the event that placed it; a minute recorded only since then does not hold it.
        var seq: UInt64
        var placed: Int64
    }
    @inline(__always)
    private func end(
        _ hold: Ending, _ account: UnsafeMutablePointer<AccountRow>, _ ordinals: SIMD4<UInt32>,
        _ second: Int64, _ bucket: Int
    ) {
        account.pointee.usage.roll(to: ordinals)
        account.pointee.usage.replace(
            heldUSD: hold.heldUSD, heldTokens: hold.heldTokens, usd: hold.moreUSD,
            tokens: hold.moreTokens, in: hold.windows)
        account.pointee.openHolds &-= hold.holds
        if account.pointee.minute != .max {
            let ring = accounts.minutes.pointer(account.pointee.minute)
            ring.pointee.advance(to: second)
            if hold.seq > ring.pointee.sinceSeq {
                ring.pointee.add(
                    usd: hold.moreUSD - hold.heldUSD, tokens: hold.moreTokens - hold.heldTokens,
                    requests: 0, at: hold.placed, bucket: bucket)
            }
        }
    }

    // MARK: Charges

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
                ring.pointee.add(
                    usd: event.usd.raw, tokens: tokens, requests: 1, at: second,
                    bucket: MinuteRing.bucket(second))
            }
        }
        chain.key.pointee.lastUsed = UInt32(truncatingIfNeeded: second)
        let slot = holds.newSlot()
        let row = holds.row(slot)
        row.pointee = HoldRow()
        let name = event.hold ?? event.name
        row.pointee.seq = name.seq
        row.pointee.epoch = name.epoch
        row.pointee.state = event.hold == nil ? .charge : .settled
        row.pointee.isLate = event.hold != nil
        row.pointee.tier = event.tier
        row.pointee.key = key
        if event.model == .none {
            row.pointee.setModel(
                unpriced: prices.intern(unpriced: event.modelText, names: &names))
        } else {
            row.pointee.setModel(
                event.model.raw,
                price: prices.row(model: event.model.raw, version: event.price) ?? .max)
        }
        row.pointee.placedAt = event.header.time.nanoseconds
        row.pointee.input = event.usage.input
        row.pointee.output = event.usage.output
        row.pointee.usd = event.usd.raw
        if !chain.org.pointee.flags.isDisjoint(with: .charged) {
            bill(row, chain.orgRow, usd: event.usd.raw)
        }
        row.pointee.spentUSD = event.usd.raw
        row.pointee.spentTokens = tokens
        row.pointee.settled = Book.fingerprint(
            event.usage, tier: event.tier, outcome: event.outcome)
        row.pointee.left = left(chain) ?? .min
        if event.hold == nil, !event.text.id.isEmpty {
            row.pointee.id = IDHash(.charge, key: key, event.text.id)
        }
        holds.addEnded(slot)
    }

    /// The least that any calendar or total `usd` limit of the chain has left; nil where none is set.
    /// `usd.minute` is left out: its room comes back by itself in seconds.
    @inline(__always)
    func left(_ chain: AccountChain) -> Int64? {
        let set =
            chain.key.pointee.limitMask | chain.team.pointee.limitMask | chain.org.pointee.limitMask
        guard set & 0b111110 != 0 else { return nil }
        // Bit by bit the limits' numbers: those of the windows that are over count as empty.
        var open: UInt32 = 0b111110
        if time.nanoseconds >= chain.orgRow.pointee.nextBoundary {
            for cell in 0..<WindowCell.calendarCount
            where !chain.orgRow.pointee.isOpen(cell, at: time) { open &= ~(2 << UInt32(cell)) }
        }
        let least = min(
            left(chain.key, open), min(left(chain.team, open), left(chain.org, open)))
        return max(0, least)
    }
    /// The least that one account has left, which is negative where it was overrun.
    @inline(__always)
    private func left(_ account: UnsafeMutablePointer<AccountRow>, _ open: UInt32) -> Int64 {
        var mask = account.pointee.limitMask & 0b111110
        guard mask != 0 else { return .max }
        let amounts = accounts.limitAmounts.pointer(account.pointee.limits)
        let cells = account.pointee.usage.cells
        var least = Int64.max
        while mask != 0 {
            let bit = mask.trailingZeroBitCount
            mask &= mask &- 1
            var taken: Int64 = 0
            if open >> UInt32(bit) & 1 == 1 {
                taken = cells[bit &- 1] &+ cells[bit &- 1 &+ WindowCell.count]
            }
            least = min(least, amounts.pointee[bit] - taken)
        }
        return least
    }

    /// Tells the same settlement from one with other numbers.
    @inline(__always)
    static func fingerprint(_ usage: TokenUsage, tier: ServiceTier, outcome: Outcome) -> UInt64 {
        // Counts are far below 2⁶³, so no side of a product is ever zero.
        func word(_ count: Int64, _ mask: UInt64) -> UInt64 { UInt64(bitPattern: count) ^ mask }
        let kind = UInt64(tier.rawValue) << 8 | UInt64(outcome.rawValue)
        let plain = Hash128.fold(
            word(usage.input, 0xA076_1D64_78BD_642F), word(usage.output, 0xE703_7ED1_A0B4_28DB))
        let parts = Hash128.fold(
            word(usage.cached, 0x8EBC_6AF0_9C88_C6E3), word(usage.cacheWrite, 0xD899_65CC_7537_4CC3)
        )
        let rest = Hash128.fold(
            word(usage.reasoning, 0x9D8E_4E27_C47D_124F), kind ^ 0xEB44_ACCA_B455_D165)
        return Hash128.fold(plain ^ 0x9E37_79B9_7F4A_7C15, parts ^ rest)
    }
}

import Events

/// The charges that were corrected, for ever: a charge may be corrected again when the row that remembers
/// it is long gone, and must not be moved twice by the same difference.
struct Corrections: ~Copyable {
    struct Row: BitwiseCopyable {
        var charge: HoldName
        /// What it counts now.
        var usd: Int64
        /// What its settlement or charge was answered with, and so every repeat of it.
        var answered: Int64
    }
    /// In the order of each charge's first correction.
    private(set) var rows = Rows<Row>()
    private var index: [HoldName: UInt32] = [:]  // unordered: never iterated

    subscript(charge: HoldName) -> Row? { index[charge].map { rows.pointer($0).pointee } }

    /// - Parameter old: what it counted before.
    mutating func note(_ charge: HoldName, from old: Int64, to usd: Int64) {
        if let known = index[charge] {
            rows.pointer(known).pointee.usd = usd
        } else {
            restore(Row(charge: charge, usd: usd, answered: old))
        }
    }
    /// A late settlement takes the place of a lapse that had been corrected.
    mutating func noteSettlement(_ charge: HoldName, usd: Int64) {
        guard let known = index[charge] else { return }
        rows.pointer(known).pointee.usd = usd
        rows.pointer(known).pointee.answered = usd
    }
    mutating func restore(_ row: Row) { index[row.charge] = rows.append(row) }
}

extension Book {
    /// The row of a hold or charge, while it is remembered.
    func remembered(_ charge: HoldName) -> UInt32? {
        holds.find(charge) ?? holds.find(charge: charge)
    }
    /// What a settlement or charge was answered with, whatever was corrected since.
    func answeredUSD(_ row: UnsafeMutablePointer<HoldRow>) -> Int64 {
        corrections[row.pointee.name]?.answered ?? row.pointee.spentUSD
    }

    mutating func apply(
        _ event: ChargeCorrected, _ header: EventHeader
    ) throws(EventError) {
        let key = header.account.raw
        guard isKey(key), let was = event.was?.raw, let placed = event.placed else {
            throw .malformed("account or charge")
        }
        let (difference, overflow) = event.usd.raw.subtractingReportingOverflow(was)
        guard !overflow else { throw .malformed("amount") }
        var seq: UInt64?
        let org = accounts.chain(ofKey: key).orgRow
        if let slot = remembered(event.charge) {
            let row = holds.row(slot)
            guard row.pointee.key == key, row.pointee.state != .open,
                row.pointee.spentUSD == was, row.pointee.placedAt == placed.nanoseconds
            else { throw .malformed("charge") }
            rebill(row, org, usd: event.usd.raw)
            row.pointee.spentUSD = event.usd.raw
            if !isForeign(row) { seq = row.pointee.seq }
        } else {
            rebillForgotten(org, was: was, usd: event.usd.raw)
        }
        corrections.note(event.charge, from: was, to: event.usd.raw)
        moveSpent(
            by: difference, accounts.chain(ofKey: key), placed: placed, seq: seq, at: header.time)
    }
    /// Takes back money and tokens of a charge that counts for nothing any more, and leaves no word of it:
    /// for books beside the log. False for one that is not remembered.
    mutating func takeBack(_ charge: HoldName, at now: Instant) -> Bool {
        guard let slot = remembered(charge) else { return false }
        let row = holds.row(slot)
        let (usd, tokens) = (row.pointee.spentUSD, row.pointee.spentTokens)
        let chain = accounts.chain(ofKey: row.pointee.key)
        rebill(row, chain.orgRow, usd: 0)
        row.pointee.spentUSD = 0
        row.pointee.spentTokens = 0
        moveSpent(
            by: -usd, tokens: -tokens, chain, placed: Instant(nanoseconds: row.pointee.placedAt),
            seq: row.pointee.seq, at: now)
        return true
    }
    /// Whether a hold's name was settled that the log had not given out.
    func isForeign(_ row: UnsafeMutablePointer<HoldRow>) -> Bool {
        row.pointee.state == .settled && row.pointee.until == 0
    }

    /// Moves what key, team and org have spent by the difference of a correction, in the windows in which
    /// the charge counted and which are still the current ones. Every corrected dollar goes through here.
    ///
    /// - Parameter seq: of the event that placed it; nil where the minute cannot hold it any more.
    private mutating func moveSpent(
        by difference: Int64, tokens: Int64 = 0, _ chain: AccountChain, placed: Instant,
        seq: UInt64?, at now: Instant
    ) {
        let windows = chain.orgRow.pointee.windows(holding: placed.nanoseconds)
        let ordinals = chain.orgRow.pointee.ordinals
        for i in 0..<3 {
            let account = chain[i]
            account.pointee.usage.roll(to: ordinals)
            account.pointee.usage.replace(
                heldUSD: 0, heldTokens: 0, usd: difference, tokens: tokens, in: windows)
            guard let seq, account.pointee.minute != .max else { continue }
            let ring = accounts.minutes.pointer(account.pointee.minute)
            ring.pointee.advance(to: now.second)
            // A minute that is recorded only since then does not hold it.
            guard seq > ring.pointee.sinceSeq else { continue }
            ring.pointee.add(
                usd: difference, tokens: tokens, requests: 0, at: placed.second,
                bucket: MinuteRing.bucket(placed.second))
        }
    }

    /// Whether every counter that a correction lowers holds at least that much: nothing but the log
    /// vouches for a charge that is no longer remembered.
    func covers(_ difference: Int64, _ chain: AccountChain, placed: Instant, at now: Instant)
        -> Bool
    {
        guard difference < 0 else { return true }
        for window in [Window.hour, .day, .week, .month, .total] {
            let cell = WindowCell.index(window)
            if cell != WindowCell.total {
                guard chain.orgRow.pointee.isOpen(cell, at: now) else {
                    // What counted in the window that is to be opened would have opened it.
                    if placed.nanoseconds >= chain.orgRow.pointee.end[cell] { return false }
                    continue
                }
                guard placed.nanoseconds >= chain.orgRow.pointee.start[cell] else { continue }
            }
            // The key's counters are the smallest of the three.
            let used = taken(chain.key, chain.orgRow, LimitKind(.usd, window), at: now).used
            if used + difference < 0 { return false }
        }
        return true
    }
}

extension Machine {
    /// Checks a correction against what is known of its charge, and says what the event has to carry.
    func correction(_ asked: ChargeCorrected) throws(Failure) -> (key: UInt32, added: [JSON.Member])
    {
        let key = try existing(asked.account)
        let name = asked.charge
        guard asked.billed == nil else {
            throw Failure(.error, "billed is for the daemon to work out; leave it out")
        }
        var was = asked.was?.raw
        var placed = asked.placed
        var model = asked.model
        var terms = book.accounts.chain(ofKey: key).orgRow.pointee.billing
        if let slot = book.remembered(name) {
            let row = book.holds.row(slot)
            try check(row, asked, key)
            was = row.pointee.spentUSD
            placed = Instant(nanoseconds: row.pointee.placedAt)
            model = book.modelName(of: row).string
            terms = row.pointee.terms.number
        } else {
            try checkForgotten(asked)
        }
        guard let was, let placed else {
            throw Failure(
                .error,
                "charge \(name) is not remembered any more: give was (what it counts) and placed "
                    + "(when it counted), as the log has them")
        }
        guard was != asked.usd.raw else {
            throw Failure(.error, "charge \(name) counts \(asked.usd) already")
        }
        let chain = book.accounts.chain(ofKey: key)
        let difference = asked.usd.raw - was
        guard book.hasRoom(chain, usd: max(difference, 0), tokens: 0) else {
            throw Failure(.error, "the sum of \(asked.account) would overflow; check usd")
        }
        guard book.covers(difference, chain, placed: placed, at: now) else {
            throw Failure(
                .error,
                "\(asked.account) has not spent \(Nanodollars(was)) in that time; check was and placed"
            )
        }
        if let version = asked.price {
            let number = model?.withBytes { book.prices.model(named: $0, in: book.names) }
            guard let number, book.prices.row(model: number, version: version) != nil else {
                throw Failure(
                    .error, "\(model ?? "the charge's model") has no price version \(version)")
            }
        }
        var added = [
            JSON.Member("was", .money(Nanodollars(was))),
            JSON.Member("placed", .string(placed.description)),
        ]
        if let model { added.append(JSON.Member("model", .string(model))) }
        let billing = book.terms(terms)
        guard let billed = billing.bill(asked.usd.raw) else {
            throw Failure(.error, "\(asked.usd) is more than can be billed; check usd")
        }
        // By list prices in dollars unless the org has terms of its own.
        if terms > 0 {
            added.append(JSON.Member("billed", .money(Nanodollars(billed))))
            added.append(JSON.Member("currency", .string(billing.currency.name)))
        }
        return (key, added)
    }

    private func check(
        _ row: UnsafeMutablePointer<HoldRow>, _ asked: ChargeCorrected, _ key: UInt32
    ) throws(Failure) {
        let name = asked.charge
        guard row.pointee.key == key else {
            let path = book.names[book.accounts.rows.pointer(row.pointee.key).pointee.name].string
            throw Failure(.error, "charge \(name) is of \(path), not of \(asked.account)")
        }
        switch row.pointee.state {
        case .open:
            throw Failure(.error, "hold \(name) is still open; SETTLE records what it costs")
        case .released:
            throw Failure(
                .error, "hold \(name) was released and charged nothing; SETTLE records its usage")
        case .settled, .lapsed, .charge, .free: break
        }
        if let was = asked.was, was.raw != row.pointee.spentUSD {
            throw Failure(
                .conflict,
                "charge \(name) counts \(Nanodollars(row.pointee.spentUSD)), not \(was); somebody "
                    + "corrected it meanwhile, so look again")
        }
        let placed = Instant(nanoseconds: row.pointee.placedAt)
        if let said = asked.placed, said != placed {
            throw Failure(.error, "charge \(name) counted at \(placed), not at \(said)")
        }
        if book.isForeign(row) { try checkAge(asked, placed) }
    }
    private func checkForgotten(_ asked: ChargeCorrected) throws(Failure) {
        let name = asked.charge
        let start = book.epochs.firstIndex { $0.epoch == name.epoch }
        let next = start.map { $0 + 1 < book.epochs.count ? book.epochs[$0 + 1].seq : book.seq + 1 }
        guard book.holds.hasForgotten, let next, name.seq < next else {
            throw Failure(.unknownHold, "no charge \(name) has been recorded")
        }
        if let placed = asked.placed {
            guard placed <= now else { throw Failure(.error, "placed \(placed) is still to come") }
            try checkAge(asked, placed)
        }
        if let was = asked.was, let known = book.corrections[name], known.usd != was.raw {
            throw Failure(
                .conflict,
                "charge \(name) was corrected before and counts \(Nanodollars(known.usd)), not \(was)"
            )
        }
    }
    /// The sliding minute finds a charge by the event that placed it, which is not known here; once a
    /// minute is over there is nothing to find.
    private func checkAge(_ asked: ChargeCorrected, _ placed: Instant) throws(Failure) {
        guard now.second - placed.second >= MinuteRing.seconds else {
            let from = Instant(seconds: placed.second + MinuteRing.seconds)
            throw Failure(
                .error, "charge \(asked.charge) is not a minute old; correct it from \(from) on")
        }
    }
}

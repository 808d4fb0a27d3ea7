import Events

// A log's answers derived anew: what an event says against what the book before it makes of the same
// question, by the code that decides. Nothing here folds; nearly every event is found right by the
// first function for its type, and what is not is looked at in full by the second, which can tell why.

extension Machine {
    /// Compares an event that is to be folded next with what is decided for it; nil when they agree.
    ///
    /// - Throws: `EventError` for what is no whole event, or of nothing that the book knows.
    @inline(__always)
    mutating func review(
        _ bytes: Bytes, _ findings: inout Findings
    ) throws(EventError) -> Difference? {
        let at = bytes.base.unsafelyUnwrapped
        let type = at.field(UInt8.self, 2)
        now = Instant(nanoseconds: at.field(Int64.self, 16))
        if now.nanoseconds >= book.prices.nextChange { book.prices.bring(to: now) }
        findings.count(type)
        if at.field(UInt32.self, 4) == book.epoch, mayHoldAnywhere(at.field(UInt32.self, 24)),
            now.nanoseconds < book.schedule.next
        {
            if type == EventType.holdPlaced.rawValue, try isAsPlaced(bytes) { return nil }
            if type == EventType.holdSettled.rawValue, try isAsSettled(bytes) { return nil }
        }
        return try reviewInFull(bytes, &findings)
    }

    // MARK: The common case

    @inline(__always)
    private mutating func isAsPlaced(_ bytes: Bytes) throws(EventError) -> Bool {
        let event = try StoredHoldPlaced(bytes)
        let (model, flags) = (event.model, event.flags)
        guard flags & Extras.flag == 0, book.isKey(event.account),
            model < UInt32(truncatingIfNeeded: book.prices.models.count)
        else { return false }
        let chain = book.accounts.chain(ofKey: event.account)
        let price = book.prices.models.pointer(model).pointee.price
        let (input, output) = (event.input, event.output)
        guard price != .max, event.price == version(price),
            now.nanoseconds < chain.key.pointee.expires,
            chain.flags.isDisjoint(with: .special), event.scope.isEmpty,
            book.allows(model: model, chain), mayLive(until: event.until)
        else { return false }
        let usd = book.prices.cost(
            price, tier: event.tier, TokenUsage(input: input, output: output))
        guard usd == event.usd,
            book.hasRoom(chain, usd: event.usd, tokens: input &+ output),
            book.everyLimitHasRoom(chain, usd: event.usd, tokens: input &+ output, at: now),
            chain.flags.isDisjoint(with: .charged) || book.mayBill(chain, usd: event.usd)
        else { return false }
        if event.id.isEmpty { return true }
        return repeated(IDHash(.hold, key: event.account, event.id)) == nil
    }
    @inline(__always)
    private mutating func isAsSettled(_ bytes: Bytes) throws(EventError) -> Bool {
        let event = try StoredHoldSettled(bytes)
        guard event.flags & Extras.flag == 0, let slot = book.holds.find(event.hold) else {
            return false
        }
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        guard row.pointee.state == .open, !event.isLate, row.pointee.key == event.account,
            chain.flags.isDisjoint(with: .charged),
            now.nanoseconds < chain.orgRow.pointee.nextBoundary,
            event.price == version(row.pointee.price)
        else { return false }
        let usd = book.prices.cost(row.pointee.price, tier: event.tier, event.usage)
        return usd == event.usd && book.hasRoom(chain, usd: event.usd, tokens: event.usage.total)
    }

    /// Whether some life that a request may ask for ends then.
    @inline(__always)
    func mayLive(until: UInt32) -> Bool {
        until >= deadline(1, after: now) && until <= deadline(Bounds.holdSecondsMax, after: now)
    }
    /// The hold that an id names and that still stands: whoever asks again is answered with it.
    @inline(__always)
    func repeated(_ id: IDHash) -> HoldName? {
        guard let slot = book.holds.find(id) else { return nil }
        let row = book.holds.row(slot)
        return row.pointee.state == .open || row.pointee.state == .settled
            ? row.pointee.name : nil
    }

    // MARK: Everything

    // Out of line: its code must not dilute the loop over what is right.
    @inline(never)
    private mutating func reviewInFull(
        _ bytes: Bytes, _ findings: inout Findings
    ) throws(EventError) -> Difference? {
        let event = try StoredEvent(bytes)
        let header = event.header
        var sides = Difference.Sides()
        reviewEpoch(header, &sides)
        try reviewActor(event, &sides)
        switch header.type {
        case .holdPlaced: try review(try HoldPlaced(event), &sides, &findings)
        case .holdRefused: try review(try HoldRefused(event), event.bytes, &sides, &findings)
        case .holdExtended: try review(try HoldExtended(event), &sides)
        case .holdSettled: try review(try HoldSettled(event), &sides)
        case .holdReleased:
            let released = try HoldReleased(event)
            _ = try open(released.hold, header, &sides)
        case .holdLapsed: try review(try HoldLapsed(event), &sides)
        case .chargeRecorded: try review(try ChargeRecorded(event), &sides)
        case .refusalsSummed:
            try review(try RefusalsSummed(event), &sides, &findings)
        default: try review(try DocumentEvent(event), &sides)
        }
        if sides.parts.isEmpty { return nil }
        return Difference(
            seq: header.seq, time: header.time, type: header.type,
            account: book.path(of: header.account)?.string, parts: sides.parts)
    }

    private mutating func reviewEpoch(_ header: EventHeader, _ sides: inout Difference.Sides) {
        switch header.type {
        case .ledgerCreated:
            sides.compare("seq", header.seq, 1)
        case .epochStarted:
            // The ledger's first two events are of one epoch; a restored ledger leaves some out.
            let least = book.seq == 1 ? book.epoch : book.epoch + 1
            if header.epoch < least { sides.add("epoch", "\(header.epoch)", "\(least) or later") }
        default: sides.compare("epoch", header.epoch, book.epoch)
        }
        // Whatever the daemon does by itself comes before what is asked of it.
        guard book.schedule.next <= now.nanoseconds, header.isAsked else { return }
        while let due = book.schedule.takeDue(at: now) {
            if let what = overdue(due) { sides.add("before it", "nothing", what) }
        }
    }
    /// What should have been appended by now, if it still holds.
    private func overdue(_ due: Schedule.Entry) -> String? {
        let path = book.path(of: AccountNumber(due.subject))?.string ?? ""
        let since = "due since \(Instant(nanoseconds: due.at))"
        switch due.kind {
        case .overrideEnds:
            guard let kind = LimitKind(stored: UInt8(due.part)),
                let row = book.overrides.find(due.subject, kind), row.until <= now.nanoseconds
            else { return nil }
            return "override.ended of \(kind.name) of \(path), \(since)"
        case .rotationDue:
            return book.needsRotation(due.subject, at: now)
                ? "key.rotation_due of \(path), \(since)" : nil
        case .creditExpires:
            let org = book.accounts.rows.pointer(due.subject).pointee.orgRow!
            guard org.pointee.credit != .max,
                let first = book.credits[Int(org.pointee.credit)].grants.first,
                first.expires <= now.nanoseconds
            else { return nil }
            return "credit.expired of \(path), \(since)"
        }
    }
}

extension EventHeader {
    /// Whether somebody asked for it, rather than the daemon's doing it when its time came.
    fileprivate var isAsked: Bool {
        switch type {
        // A start tells of those whose telling a crash has cut off.
        case .personalErased: actor != .daemon
        case .ledgerCreated, .epochStarted, .windowOpened, .keyRotationDue, .creditExpired,
            .overrideEnded, .holdLapsed, .refusalsSummed:
            false
        default: true
        }
    }
}

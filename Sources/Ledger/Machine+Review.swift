import Events

// A log's answers derived anew: what an event says against what the book before it makes of the same
// question, by the code that decides. Nothing here folds; nearly every event is found right by the
// first function for its type, and what is not is looked at in full by the second, which can tell why.

extension Machine {
    /// Compares an event that is to be folded next with what is decided for it.
    ///
    /// - Throws: `EventError` for what is no whole event, or of nothing that the book knows.
    @inline(__always)
    mutating func review(_ bytes: Bytes, _ findings: inout Findings) throws(EventError) {
        let at = bytes.base.unsafelyUnwrapped
        let type = at.field(UInt8.self, 2)
        now = Instant(nanoseconds: at.field(Int64.self, 16))
        if now.nanoseconds >= book.prices.nextChange { book.prices.bring(to: now) }
        findings.count(type)
        if at.field(UInt32.self, 4) == book.epoch, now.nanoseconds < book.schedule.next {
            if type == EventType.holdPlaced.rawValue, try isAsPlaced(bytes) { return }
            if type == EventType.holdSettled.rawValue, try isAsSettled(bytes) { return }
        }
        try reviewInFull(bytes, &findings)
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
            chain.flags.isDisjoint(with: .charged), now.nanoseconds < chain.orgRow.pointee.nextBoundary,
            event.price == version(row.pointee.price)
        else { return false }
        let usd = book.prices.cost(row.pointee.price, tier: event.tier, event.usage)
        return usd == event.usd && book.hasRoom(chain, usd: event.usd, tokens: event.usage.total)
    }

    /// Whether some life that a request may ask for ends then.
    @inline(__always)
    private func mayLive(until: UInt32) -> Bool {
        until >= deadline(1, after: now) && until <= deadline(Bounds.holdSecondsMax, after: now)
    }
    /// The hold that an id names and that still stands: whoever asks again is answered with it.
    @inline(__always)
    private func repeated(_ id: IDHash) -> HoldName? {
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
    ) throws(EventError) {
        let event = try StoredEvent(bytes)
        let header = event.header
        var sides = Difference.Sides()
        reviewEpoch(header, &sides)
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
            let summed = try RefusalsSummed(event)
            findings.note(.sum, UInt64(summed.refusals))
            sides.compare("second", summed.second, min(summed.second, now.second))
        default: try review(try DocumentEvent(event), &sides)
        }
        if sides.parts.isEmpty { return }
        findings.add(
            Difference(
                seq: header.seq, time: header.time, type: header.type,
                account: book.path(of: header.account)?.string, parts: sides.parts))
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
        guard book.schedule.next <= now.nanoseconds, header.type.isAsked else { return }
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

    // MARK: Requests

    private func chain(of header: EventHeader) throws(EventError) -> AccountChain {
        guard book.isKey(header.account.raw) else { throw .malformed("account") }
        return book.accounts.chain(ofKey: header.account.raw)
    }
    /// No window may be over in which the event is counted.
    private func reviewWindows(_ chain: AccountChain, _ sides: inout Difference.Sides) {
        guard now.nanoseconds >= chain.orgRow.pointee.nextBoundary else { return }
        let over = Instant(nanoseconds: chain.orgRow.pointee.nextBoundary)
        sides.add("before it", "nothing", "window.opened: one was over at \(over)")
    }
    private func reviewCame(_ extras: Extras, _ sides: inout Difference.Sides) {
        guard let came = extras.came, came.at > now else { return }
        sides.add("came", "\(came.at)", "at \(now) at the latest")
    }
    private func version(_ number: ModelNumber, _ price: UInt32) -> String {
        guard number != .none else { return "no price" }
        return "\(book.name(of: number)?.string ?? "model \(number.raw)") version \(price)"
    }
    private func billed(_ extras: Extras, _ derived: Extras, _ sides: inout Difference.Sides) {
        sides.compare("billed", extras.billed, derived.billed) { bill in
            bill.map { "\($0.amount) \($0.currency.name)" } ?? "nothing of its own"
        }
    }

    private mutating func review(
        _ event: HoldPlaced, _ sides: inout Difference.Sides, _ findings: inout Findings
    ) throws(EventError) {
        let chain = try chain(of: event.header)
        let key = event.header.account.raw
        reviewWindows(chain, &sides)
        reviewCame(event.extras, &sides)
        if !mayLive(until: event.until) {
            let most = Instant(seconds: Int64(deadline(Bounds.holdSecondsMax, after: now)))
            sides.add("until", "\(event.untilInstant)", "after \(now), \(most) at the latest")
        }
        if !event.text.id.isEmpty,
            let repeated = repeated(IDHash(.hold, key: key, event.text.id))
        {
            sides.add("id", "a new hold", "hold \(repeated), which has the same id")
        }
        var request = ReserveRequest()
        request.key = .path(book.path(of: event.header.account)!)
        request.model = event.model == .none ? event.modelText : book.name(of: event.model) ?? .empty
        request.input = event.input
        request.output = event.output
        request.scope = event.scope
        request.tier = event.tier
        var (model, price) = (ModelNumber.none, UInt32.max)
        if case .priced(let number, let row) = resolve(request.model).0 {
            (model, price) = (ModelNumber(number), row)
        }
        sides.compare(
            "price", version(event.model, event.price), version(model, version(price)))
        switch decide(request, placing: false) {
        case .wouldAllow(_, let usd): sides.compare(usd: event.usd.raw, usd.raw)
        case let other: sides.add("answer", "allowed", text(other))
        }
        if let routing = event.extras.routing {
            findings.note(.rule)
            review(routing, chain, event, price, &sides)
        }
    }
    /// Whether the rule that a hold names leads to its model, and saves what it says.
    private func review(
        _ routing: Extras.Routing, _ chain: AccountChain, _ event: HoldPlaced, _ price: UInt32,
        _ sides: inout Difference.Sides
    ) {
        guard let (_, policy) = book.routing(chain) else {
            return sides.add("rule", routing.rule.string, "no rules stand")
        }
        let model = event.model.raw
        let leads =
            routing.rule == Bytes(RoutingPolicy.fallbackName)
            ? model == policy.fallback
            : policy.rules.contains {
                book.names[$0.name] == routing.rule && (model == $0.model || model == $0.fallback)
            }
        if !leads { sides.add("rule", routing.rule.string, "none of that name has this model") }
        let route = Route(rule: routing.rule, model: model, fallback: policy.fallback)
        let tokens = TokenUsage(input: event.input, output: event.output)
        sides.compare(
            "saved", routing.saved,
            book.saved(route, tier: event.tier, tokens, usd: event.usd.raw)
        ) { Machine.signed($0) }
    }

    private mutating func review(
        _ event: HoldRefused, _ bytes: Bytes, _ sides: inout Difference.Sides,
        _ findings: inout Findings
    ) throws(EventError) {
        let header = event.header
        if header.account != .none { reviewWindows(try chain(of: header), &sides) }
        reviewCame(event.extras, &sides)
        if event.extras.routing != nil { findings.note(.rule) }
        let answer: Answer
        (epoch, actor, reviewed) = (header.epoch, header.actor, event.extras)
        draft.removeAll()
        if let hold = event.extras.growing {
            answer = try grow(event, hold)
        } else {
            var request = ReserveRequest()
            request.key = try reference(event, &findings)
            request.model =
                event.model == .none ? event.modelText : book.name(of: event.model) ?? .empty
            if event.reason == .modelMalformed, event.modelText.isEmpty { findings.note(.model) }
            request.input = event.input
            request.output = event.output
            request.scope = event.scope
            request.tier = ServiceTier(rawValue: header.flags & 3) ?? .standard
            request.text = event.text
            answer = decide(request, placing: false)
        }
        reviewed = nil
        if draft.bytes == bytes { return }
        guard !draft.isEmpty else {
            return sides.add("answer", text(event), text(answer))
        }
        let derived = try HoldRefused(try StoredEvent(draft.bytes))
        compare(event, derived, &sides)
    }
    /// A key's name by which it would be refused in the same way.
    private func reference(
        _ event: HoldRefused, _ findings: inout Findings
    ) throws(EventError) -> KeyReference {
        guard event.header.account != .none else {
            guard event.askedKey.isEmpty else { return .path(event.askedKey) }
            findings.note(.key)
            return .malformed
        }
        let chain = try chain(of: event.header)
        if event.reason == .keyRevoked, !chain.key.pointee.flags.contains(.revoked) {
            var secret = chain.key.pointee.newestSecret
            while secret != .max {
                let row = book.accounts.secrets.pointer(secret)
                if row.pointee.validUntil <= now.nanoseconds {
                    findings.note(.secret)
                    return .digest(Bytes(row, count: 32))
                }
                secret = row.pointee.previous
            }
        }
        return .path(book.path(of: event.header.account)!)
    }
    /// Asks for the growth that was refused.
    private mutating func grow(
        _ event: HoldRefused, _ hold: HoldName
    ) throws(EventError) -> Answer {
        guard let slot = book.holds.find(hold) else { throw .malformed("hold") }
        let row = book.holds.row(slot)
        guard row.pointee.state == .open else {
            return .failed(Failure(.gone, "hold \(hold) is \(row.pointee.state.name)"))
        }
        let input = row.pointee.input + event.input
        let output = row.pointee.output + event.output
        let more = Asked(growing: row, input: input, output: output, name: book.modelName(of: row))
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        switch growth(of: row, chain, more, input: input, output: output, placing: false) {
        case .holds(let usd):
            return .extended(hold: hold, usd: Nanodollars(usd), until: now)
        case .answers(let answer): return answer
        }
    }
    private func compare(
        _ logged: HoldRefused, _ derived: HoldRefused, _ sides: inout Difference.Sides
    ) {
        sides.compare("answer", text(logged), text(derived))
        sides.compare(
            "model", logged.model, derived.model
        ) { book.name(of: $0)?.string ?? "none with a price" }
        sides.compare("model", logged.modelText.string, derived.modelText.string)
        sides.compare("in", logged.input, derived.input)
        sides.compare("out", logged.output, derived.output)
        sides.compare(usd: logged.usd.raw, derived.usd.raw)
        let never = "never"
        sides.compare("resets", logged.resets, derived.resets) { $0.map { "\($0)" } ?? never }
        sides.compare("key", logged.askedKey.string, derived.askedKey.string)
        // Whatever else an event may hold, it is derived or it was asked.
        if sides.parts.isEmpty { sides.add("event", "another text or hold", "what it says of them") }
    }

    private mutating func review(
        _ event: HoldExtended, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard let slot = try open(event.hold, event.header, &sides) else { return }
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        reviewWindows(chain, &sides)
        sides.compare("tier", "\(event.tier.name)", "\(row.pointee.tier.name)")
        sides.compare("price", event.price, version(row.pointee.price))
        let placed = Instant(nanoseconds: row.pointee.placedAt)
        let most = min(
            deadline(Bounds.holdSecondsMax, after: now),
            deadline(Bounds.holdSecondsMax, after: placed))
        if event.until < row.pointee.until || event.until > max(row.pointee.until, most) {
            sides.add(
                "until", "\(event.untilInstant)",
                "\(Instant(seconds: Int64(row.pointee.until))) to \(Instant(seconds: Int64(most)))")
        }
        let more = Asked(
            growing: row, input: event.input, output: event.output, name: book.modelName(of: row))
        guard more.input >= 0, more.output >= 0 else {
            return sides.add(
                "in and out", "\(event.input) and \(event.output)",
                "at least \(row.pointee.input) and \(row.pointee.output)")
        }
        switch growth(
            of: row, chain, more, input: event.input, output: event.output, placing: false)
        {
        case .holds(let usd): sides.compare(usd: event.usd.raw, usd)
        case .answers(let answer): sides.add("answer", "extended", text(answer))
        }
    }

    // MARK: Ends and charges

    /// The open hold that an event ends or changes, which is its account's.
    private func open(
        _ hold: HoldName, _ header: EventHeader, _ sides: inout Difference.Sides
    ) throws(EventError) -> UInt32? {
        guard let slot = book.holds.find(hold) else { throw .malformed("hold") }
        let row = book.holds.row(slot)
        guard row.pointee.state == .open else {
            sides.add("hold", "open", "\(row.pointee.state.name)")
            return nil
        }
        sides.compare("account", header.account.raw, row.pointee.key) {
            book.path(of: AccountNumber($0))?.string ?? "none"
        }
        return slot
    }

    private mutating func review(
        _ event: HoldSettled, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard let slot = book.holds.find(event.hold) else { throw .malformed("hold") }
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        sides.compare("account", event.header.account.raw, row.pointee.key) {
            book.path(of: AccountNumber($0))?.string ?? "none"
        }
        guard row.pointee.state != .settled else {
            return sides.add("answer", "settled", "settled before: the same answer and no event")
        }
        reviewWindows(chain, &sides)
        sides.compare("late", event.isLate, row.pointee.state != .open)
        sides.compare("price", event.price, version(row.pointee.price))
        guard
            let usd = book.prices.cost(row.pointee.price, tier: event.tier, event.usage),
            book.hasRoom(chain, usd: usd, tokens: event.usage.total),
            book.canBill(chain, usd: usd)
        else { return sides.add("answer", "settled", "an error: the cost would overflow") }
        sides.compare(usd: event.usd.raw, usd)
        billed(event.extras, bill(chain, usd), &sides)
    }
    private mutating func review(
        _ event: HoldLapsed, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard let slot = try open(event.hold, event.header, &sides) else { return }
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        if Int64(row.pointee.until) > now.second {
            let until = Instant(seconds: Int64(row.pointee.until))
            sides.add("time", "\(now)", "not before \(until)")
        }
        let (tokens, usd) = book.lapseCharge(row, chain)
        sides.compare("tokens", event.tokens, tokens)
        sides.compare(usd: event.usd.raw, usd)
        billed(event.extras, usd > 0 ? bill(chain, usd) : .none, &sides)
    }
    private mutating func review(
        _ event: ChargeRecorded, _ sides: inout Difference.Sides
    ) throws(EventError) {
        let chain = try chain(of: event.header)
        let key = event.header.account.raw
        reviewWindows(chain, &sides)
        sides.compare("late", event.header.flags & 16 != 0, event.hold != nil)
        if let hold = event.hold {
            if book.holds.find(hold) != nil {
                sides.add("hold", "unknown", "\(hold) is known: it is settled, not charged")
            } else if let failure = explainMissing(hold) {
                sides.add("answer", "charged", "an error: \(failure.text)")
            }
        } else if !event.text.id.isEmpty,
            let known = book.holds.find(IDHash(.charge, key: key, event.text.id))
        {
            let name = book.holds.row(known).pointee.name
            sides.add("id", "a new charge", "charge \(name), which has the same id")
        }
        let name = event.model == .none ? event.modelText : book.name(of: event.model) ?? .empty
        var (model, price) = (ModelNumber.none, UInt32.max)
        switch resolve(name).0 {
        case .priced(let number, let row): (model, price) = (ModelNumber(number), row)
        case .unpriced:
            if !chain.orgRow.pointee.allowsUnpriced
                || !book.prices.mayIntern(unpriced: name, book.names)
            {
                sides.add("answer", "charged", "an error: \(name.string) has no price")
            }
        case .malformed: sides.add("answer", "charged", "an error: the model is malformed")
        }
        sides.compare(
            "price", version(event.model, event.price), version(model, version(price)))
        guard let usd = book.prices.cost(price, tier: event.tier, event.usage),
            book.hasRoom(chain, usd: usd, tokens: event.usage.total), book.canBill(chain, usd: usd)
        else { return sides.add("answer", "charged", "an error: the cost would overflow") }
        sides.compare(usd: event.usd.raw, usd)
        billed(event.extras, bill(chain, usd), &sides)
    }

    // MARK: Documents

    private mutating func review(
        _ event: DocumentEvent, _ sides: inout Difference.Sides
    ) throws(EventError) {
        let type = event.header.type
        guard let json = try? JSON(parsing: event.json),
            let document = try? Document(type: type, json, strict: false)
        else { throw .malformed("payload") }
        switch document {
        case .ledgerCreated, .epochStarted: break
        case .windowOpened(let opened): try review(opened, event.header, &sides)
        case .keyRotationDue:
            if !book.needsRotation(event.header.account.raw, at: now) {
                sides.add("due", "\(now)", "not yet, or said before")
            }
        case .creditExpired(let gone):
            guard book.accounts.rows.count > Int(event.header.account.raw) else {
                throw .malformed("account")
            }
            let org = book.accounts.rows.pointer(event.header.account.raw).pointee.orgRow!
            guard org.pointee.credit != .max else { throw .malformed("grant") }
            let first = book.credits[Int(org.pointee.credit)].grants.first
            sides.compare("grant", UInt64(gone.grant), first?.seq ?? 0)
            sides.compare(usd: gone.usd.raw, first?.left ?? 0)
            if let first, first.expires > now.nanoseconds {
                sides.add("time", "\(now)", "not before \(Instant(nanoseconds: first.expires))")
            }
        case .overrideEnded(let ended) where event.header.actor == .daemon:
            let row = book.overrides.find(event.header.account.raw, ended.kind)
            if let row, row.until > now.nanoseconds {
                sides.add("time", "\(now)", "not before \(Instant(nanoseconds: row.until))")
            }
        default: review(appended: event, json, &sides)
        }
    }
    private func review(
        _ opened: WindowOpened, _ header: EventHeader, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard header.account.raw < UInt32(book.accounts.rows.count) else {
            throw .malformed("account")
        }
        let row = book.accounts.rows.pointer(header.account.raw)
        guard row.pointee.tier == .org, opened.window != .minute, opened.window != .total else {
            throw .malformed("window")
        }
        let org = book.accounts.orgs.pointer(row.pointee.org)
        let zone = book.accounts.zones[Int(row.pointee.org)]
        let cell = WindowCell.index(opened.window)
        let bounds = calendar.bounds(zone, opened.window, now)
        sides.compare("zone", opened.zone, zone)
        if org.pointee.isOpen(cell, at: now) {
            let end = Instant(nanoseconds: org.pointee.end[cell])
            sides.add("time", "\(now)", "not before \(end), the end of the window before")
        }
        let start = max(bounds.start, Instant(nanoseconds: org.pointee.end[cell]))
        sides.compare("start", opened.start, start)
        sides.compare("end", opened.end, bounds.end)
    }
    /// What an admin appended is checked against the rights and the book of that instant.
    private func review(
        appended event: DocumentEvent, _ json: JSON, _ sides: inout Difference.Sides
    ) {
        let type = event.header.type
        let makesSecret = event.header.flags & DocumentEvent.generatedSecret != 0
        func isGiven(_ name: String) -> Bool { json[name].map { !$0.isNull } ?? false }
        // Without what the daemon added to what was asked.
        let asked = (json.members ?? []).filter {
            switch $0.name {
            case "secret_sha256": !makesSecret
            case "expires": !isGiven("expires_in")
            case "until": !isGiven("for")
            case "billed", "currency": type != .chargeCorrected
            default: true
            }
        }
        let secret = makesSecret ? json["secret_sha256"]?.string.flatMap(Machine.digest) : nil
        do throws(Failure) {
            let derived = try checked(type, .object(asked), secret: secret)
            sides.compare("account", event.header.account.raw, derived.account.raw) {
                book.path(of: AccountNumber($0))?.string ?? "none"
            }
            sides.compare("number", event.number, derived.number)
            var text = ByteBuffer()
            text.append(canonical: derived.payload)
            sides.compare("payload", event.json.string, text.string)
        } catch {
            sides.add("answer", "appended", "an error: \(error.text)")
        }
    }
    private static func digest(_ hex: String) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for i in stride(from: 0, to: 64, by: 2) {
            guard let high = hexValue(digits[i]), let low = hexValue(digits[i + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    // MARK: What people read

    private func text(_ answer: Answer) -> String {
        switch answer {
        case .denied(let denial):
            text(
                denial.reason, scope: denial.scope, denial.limit, denial.amount, denial.used,
                denial.held)
        case .failed(let failure): "an error: \(failure.text)"
        case .extended(_, let usd, _): "extended to \(usd)"
        case .wouldAllow(_, let usd), .allowed(_, _, let usd, _): "allowed for \(usd)"
        case .routed(let routed): "allowed for \(routed.usd)"
        case .settled, .released, .charged: preconditionFailure("nothing of the kind was asked")
        }
    }
    private func text(_ event: HoldRefused) -> String {
        var scope = Bytes.empty
        if let tier = event.scopeTier, let line = book.lineage(event.header.account) {
            let number =
                switch tier {
                case .key: line.key
                case .team: line.team
                case .org: line.org
                }
            scope = book.path(of: AccountNumber(number)) ?? .empty
        }
        return text(event.reason, scope: scope, event.limit, event.amount, event.used, event.held)
    }
    private func text(
        _ reason: Refusal, scope: Bytes, _ limit: LimitKind?, _ amount: Int64, _ used: Int64,
        _ held: Int64
    ) -> String {
        var text = "refused \(reason.status) \(reason.name)"
        if !scope.isEmpty { text += " scope=\(scope.string)" }
        if let limit { text += " limit=\(limit.name)" }
        guard limit != nil || reason == .creditExhausted else { return text }
        let isMoney = limit?.isMoney ?? true
        func shown(_ amount: Int64) -> String { isMoney ? Machine.signed(amount) : "\(amount)" }
        return text + " amount=\(shown(amount)) used=\(shown(used)) held=\(shown(held))"
    }
    private static func signed(_ amount: Int64) -> String {
        amount < 0 ? "-\(Nanodollars(-amount))" : "\(Nanodollars(amount))"
    }
}

extension EventType {
    /// Whether somebody asked for it, rather than the daemon's doing it when its time came.
    fileprivate var isAsked: Bool {
        switch self {
        case .ledgerCreated, .epochStarted, .windowOpened, .keyRotationDue, .creditExpired,
            .overrideEnded, .holdLapsed, .refusalsSummed:
            false
        default: true
        }
    }
}

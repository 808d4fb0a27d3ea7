import Events

// Ends of holds, and charges, of the past.

extension Machine {
    /// The open hold that an event ends or changes, which is its account's.
    func open(
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

    mutating func review(
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
    mutating func review(
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
    mutating func review(
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
}

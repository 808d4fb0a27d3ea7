import Events

extension Machine {
    /// Ends a hold with its actual usage, or charges a hold that is gone or was never known.
    package mutating func settle(_ request: borrowing SettleRequest) -> Answer {
        guard let slot = book.holds.find(request.hold) else { return settleUnknown(request) }
        let row = book.holds.row(slot)
        let tier = request.tier ?? row.pointee.tier
        #if TOLLGATE_PLANTED_BUGS
        let settlesAgain = PlantedBug.current == .settlesTwice
        #else
        let settlesAgain = false
        #endif
        if row.pointee.state == .settled, !settlesAgain {
            guard
                row.pointee.settled
                    == Book.fingerprint(request.usage, tier: tier, outcome: request.outcome)
            else {
                return .failed(
                    Failure(
                        .conflict,
                        "hold \(request.hold) was settled with other numbers, for "
                            + "\(Nanodollars(book.answeredUSD(row))) dollars; a settlement is final"
                    )
                )
            }
            return settlement(row, usd: book.answeredUSD(row))
        }
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        guard let usd = book.prices.cost(row.pointee.price, tier: tier, request.usage),
            book.hasRoom(chain, usd: usd, tokens: request.usage.total),
            book.canBill(chain, usd: usd)
        else { return .failed(Machine.overflow(request.usage)) }

        // The point of no return.
        openWindows(chain.orgRow)
        var header = header(.holdSettled, AccountNumber(row.pointee.key))
        header.flags = HoldSettled.flags(
            outcome: request.outcome, tier: tier, late: row.pointee.state != .open)
        var event = HoldSettled(
            header: header, hold: request.hold, usage: request.usage, usd: Nanodollars(usd),
            price: version(row.pointee.price), milliseconds: request.milliseconds)
        if chain.org.pointee.flags.contains(.billed) { event.extras = bill(chain, usd) }
        event.encode(into: &outbox)
        book.advance(seq: header.seq, time: header.time, epoch: header.epoch)
        book.settle(
            slot, usd: usd, tokens: request.usage.total,
            fingerprint: Book.fingerprint(request.usage, tier: tier, outcome: request.outcome),
            isLate: row.pointee.state != .open)
        return settlement(row, usd: usd)
    }

    /// What a charge's event says of its bill; valid until the next one is asked for.
    @inline(never) mutating func bill(_ chain: AccountChain, _ usd: Int64) -> Extras {
        extras.removeAll()
        if let billed = book.billed(chain, usd: usd) { extras.add(billed) }
        return extras.extras
    }
    @inline(__always)
    private func settlement(_ row: UnsafeMutablePointer<HoldRow>, usd: Int64) -> Answer {
        .settled(
            hold: row.pointee.name, usd: Nanodollars(usd),
            left: row.pointee.leftMoney, late: row.pointee.isLate)
    }
    @inline(__always) func version(_ price: UInt32) -> UInt32 {
        price == .max ? 0 : book.prices.prices.pointer(price).pointee.version
    }
    private static func overflow(_ usage: TokenUsage) -> Failure {
        Failure(
            .error,
            "the cost of in=\(usage.input) out=\(usage.output) would overflow; check the counts")
    }

    @inline(never) private mutating func settleUnknown(_ request: borrowing SettleRequest) -> Answer
    {
        if let failure = explainMissing(request.hold) { return .failed(failure) }
        guard let reference = request.key, !request.model.isEmpty else {
            return .failed(
                Failure(
                    .unknownHold,
                    "no hold \(request.hold); give key= and model= to charge it all the same"))
        }
        guard let key = book.key(reference) else {
            return .failed(
                Failure(.unknownHold, "no hold \(request.hold), and key= names no key to charge"))
        }
        var charge = ChargeRequest()
        charge.model = request.model
        charge.usage = request.usage
        charge.tier = request.tier ?? .standard
        charge.outcome = request.outcome
        charge.milliseconds = request.milliseconds
        switch record(charge, key: key, hold: request.hold) {
        case .failure(let failure): return .failed(failure)
        case .success(let event):
            return settlement(
                book.holds.row(book.holds.find(request.hold)!), usd: event.usd.raw)
        }
    }

    /// A name that the log has given out, but whose hold is no longer remembered, must not be
    /// charged a second time; nil for a name the log does not know.
    mutating func explainMissing(_ hold: HoldName) -> Failure? {
        guard let i = book.epochs.firstIndex(where: { $0.epoch == hold.epoch }) else { return nil }
        let end = i + 1 < book.epochs.count ? book.epochs[i + 1].seq : book.seq + 1
        guard hold.seq < end else {
            // At or after the next epoch's start it was staged and lost in a power cut. In the running
            // epoch nothing is lost: the name is still to be given out, and would then stand for two.
            if i + 1 < book.epochs.count { return nil }
            return Failure(
                .unknownHold,
                "no hold \(hold) has been placed yet; CHARGE records usage that has no hold")
        }
        return Failure(
            .gone,
            "\(hold) is no hold, or one that ended more than \(HoldTable.endedMax) holds ago; "
                + "its outcome stands in the log")
    }

    /// Gives a hold back.
    package mutating func release(_ request: ReleaseRequest) -> Answer {
        guard let slot = book.holds.find(request.hold) else {
            return .failed(
                explainMissing(request.hold)
                    ?? Failure(.unknownHold, "no hold \(request.hold); nothing to release"))
        }
        let row = book.holds.row(slot)
        switch row.pointee.state {
        case .settled: return settlement(row, usd: book.answeredUSD(row))
        case .released, .lapsed: return .released(hold: request.hold)
        case .open: break
        case .free, .charge: preconditionFailure("only holds are found by a hold's name")
        }
        openWindows(book.accounts.chain(ofKey: row.pointee.key).orgRow)
        let event = HoldReleased(
            header: header(.holdReleased, AccountNumber(row.pointee.key)), hold: request.hold,
            why: request.why)
        event.encode(into: &outbox)
        book.apply(event, to: slot)
        return .released(hold: request.hold)
    }

    /// Records usage that had no hold; never refused because of a budget.
    package mutating func charge(_ request: ChargeRequest) -> Answer {
        guard let key = book.key(request.key) else {
            return .failed(Failure(.error, "no such key; list them with LIST keys"))
        }
        let id = IDHash(.charge, key: key, request.text.id)
        if let slot = book.holds.find(id) {
            let row = book.holds.row(slot)
            let model = chargedModel(request.model)
            let same =
                model != nil && (model!.number.raw == row.pointee.model)
                && (model!.number != .none || book.names[row.pointee.modelName] == model!.name)
                && row.pointee.settled
                    == Book.fingerprint(request.usage, tier: request.tier, outcome: request.outcome)
            guard same else {
                return .failed(
                    Failure(
                        .conflict,
                        "this id was charged as \(row.pointee.name) with another model or other "
                            + "numbers; use a new id for a new charge"))
            }
            return .charged(
                charge: row.pointee.name, usd: Nanodollars(book.answeredUSD(row)),
                left: row.pointee.leftMoney)
        }
        switch record(request, key: key, hold: nil) {
        case .failure(let failure): return .failed(failure)
        case .success(let event):
            let chain = book.accounts.chain(ofKey: key)
            return .charged(
                charge: event.name, usd: event.usd, left: book.left(chain).map { Nanodollars($0) })
        }
    }

    private mutating func chargedModel(_ asked: Bytes) -> (
        number: ModelNumber, price: UInt32, name: Bytes
    )? {
        let (resolved, name) = resolve(asked)
        switch resolved {
        case .priced(let model, let price): return (ModelNumber(model), price, name)
        case .unpriced: return (.none, .max, name)
        case .malformed: return nil
        }
    }

    private mutating func record(
        _ request: ChargeRequest, key: UInt32, hold: HoldName?
    ) -> Result<ChargeRecorded, Failure> {
        let chain = book.accounts.chain(ofKey: key)
        guard let model = chargedModel(request.model) else {
            return .failure(
                Failure(.error, "the model is neither provider/model nor a known alias"))
        }
        if model.number == .none,
            !chain.orgRow.pointee.allowsUnpriced
                || !book.prices.mayIntern(unpriced: model.name, book.names)
        {
            return .failure(
                Failure(
                    .error,
                    "the model has no price; set one with price.set, or let the org allow "
                        + "unpriced models"))
        }
        guard let usd = book.prices.cost(model.price, tier: request.tier, request.usage),
            book.hasRoom(chain, usd: usd, tokens: request.usage.total),
            book.canBill(chain, usd: usd)
        else { return .failure(Machine.overflow(request.usage)) }

        // The point of no return.
        openWindows(chain.orgRow)
        var header = header(.chargeRecorded, AccountNumber(key))
        header.flags = HoldSettled.flags(
            outcome: request.outcome, tier: request.tier, late: hold != nil)
        var event = ChargeRecorded(
            header: header, model: model.number, price: version(model.price), usage: request.usage,
            usd: Nanodollars(usd), milliseconds: request.milliseconds, hold: hold)
        if model.number == .none { event.modelText = model.name }
        event.text = request.text
        if chain.org.pointee.flags.contains(.billed) { event.extras = bill(chain, usd) }
        event.encode(into: &outbox)
        book.apply(event)
        return .success(event)
    }
}

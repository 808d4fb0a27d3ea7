import Events

extension Machine {
    /// Grows an open hold while its answer is still coming, or refuses for one reason; refused, the
    /// hold stays as it was.
    ///
    /// What is asked are new wholes, so a repeat asks for nothing and is answered with what stands; a
    /// hold never shrinks. What it grows by counts where the hold counts: in the windows, and at the
    /// second, in which it was placed. Only limits of those are asked; its request and its slot are
    /// counted already.
    package mutating func extend(_ request: ExtendRequest) -> Answer {
        guard let slot = book.holds.find(request.hold) else {
            return .failed(
                explainMissing(request.hold)
                    ?? Failure(.unknownHold, "no hold \(request.hold); RESERVE places one"))
        }
        let row = book.holds.row(slot)
        guard row.pointee.state == .open else {
            return .failed(
                Failure(
                    .gone,
                    "hold \(request.hold) is \(row.pointee.state.name), and only an open one grows; "
                        + "RESERVE what is still to come"))
        }
        let input = max(row.pointee.input, request.input ?? 0)
        let output = max(row.pointee.output, request.output)
        let until = max(row.pointee.until, deadline(request.ttl, of: row))
        let more = Asked(growing: row, input: input, output: output, name: book.modelName(of: row))
        let grows = more.input > 0 || more.output > 0
        guard grows || until > row.pointee.until else { return extended(row) }

        if isPaused { return .denied(Denial(.paused, now: now)) }
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        let usd: Int64
        switch growth(of: row, chain, more, input: input, output: output, placing: true) {
        case .holds(let sum): usd = sum
        case .answers(let answer): return answer
        }

        // The point of no return.
        openWindows(chain.orgRow)
        var header = header(.holdExtended, AccountNumber(row.pointee.key))
        header.flags = row.pointee.tier.rawValue
        let event = HoldExtended(
            header: header, hold: request.hold, input: input, output: output,
            usd: Nanodollars(usd), until: until, price: version(row.pointee.price))
        event.encode(into: &outbox)
        book.apply(event, to: slot)
        return extended(row)
    }

    private func extended(_ row: UnsafeMutablePointer<HoldRow>) -> Answer {
        .extended(
            hold: row.pointee.name, usd: Nanodollars(row.pointee.usd),
            until: Instant(seconds: Int64(row.pointee.until)))
    }
    /// No hold lives longer than a day, however often it is extended: until its end its money counts
    /// in windows that may be long over, where no limit looks any more.
    private func deadline(_ ttl: Int64?, of row: UnsafeMutablePointer<HoldRow>) -> UInt32 {
        guard let ttl else { return 0 }
        let placed = Instant(nanoseconds: row.pointee.placedAt)
        return min(deadline(ttl, after: now), deadline(Bounds.holdSecondsMax, after: placed))
    }

    /// What an open hold would hold if it grew so much, or the answer that it may not.
    enum Growth {
        case holds(usd: Int64)
        case answers(Answer)
    }
    mutating func growth(
        of row: UnsafeMutablePointer<HoldRow>, _ chain: AccountChain, _ more: Asked, input: Int64,
        output: Int64, placing: Bool
    ) -> Growth {
        var like = ReserveRequest()
        like.tier = row.pointee.tier
        if let (reason, account) = book.standing(chain, namedBy: nil, at: now) {
            return .answers(refuse(reason, like, more, by: account, placing: placing))
        }
        if let account = book.denying(model: row.pointee.model, named: more.name, chain) {
            return .answers(refuse(.modelDenied, like, more, by: account, placing: placing))
        }
        let held = row.pointee.usd
        guard more.input > 0 || more.output > 0 else { return .holds(usd: held) }
        let wanted = TokenUsage(input: input, output: output)
        guard let cost = book.prices.cost(row.pointee.price, tier: row.pointee.tier, wanted),
            book.hasRoom(chain, usd: max(cost, held) - held, tokens: more.input + more.output),
            book.canBill(chain, usd: max(cost, held))
        else {
            return .answers(
                .failed(
                    Failure(
                        .error, "in=\(input) out=\(output) would overflow; ask for fewer tokens")))
        }
        // A larger prompt may be priced lower (a variant above so many tokens).
        var more = more
        more.usd = max(cost, held) - held
        if let lack = book.creditShortfall(chain, usd: more.usd, holds: 0) {
            return .answers(refuse(lack, chain, like, more, placing: placing))
        }
        if let binding = book.bindingLimit(
            chain, growing: row, usd: more.usd, tokens: more.input + more.output, at: now)
        {
            return .answers(refuse(binding, chain, like, more, placing: placing))
        }
        return .holds(usd: held + more.usd)
    }
}

extension Machine.Asked {
    /// What a hold is to grow by.
    init(
        growing row: UnsafeMutablePointer<HoldRow>, input: Int64, output: Int64, name: Bytes
    ) {
        key = row.pointee.key
        model = ModelNumber(row.pointee.model)
        price = row.pointee.price
        self.name = name
        self.input = input - row.pointee.input
        self.output = output - row.pointee.output
        growing = row
    }
}

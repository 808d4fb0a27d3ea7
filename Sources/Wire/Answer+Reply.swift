import Events

extension ByteBuffer {
    /// Writes what the ledger said as one line; `schemas/wire.md` lists the words.
    ///
    /// - Parameter seconds: the thread's memory of the last instant it wrote.
    package mutating func reply(_ answer: Answer, _ seconds: inout SecondText) {
        // One growth at most for any answer: a path and a model are its only long parts.
        reserve(640)
        switch answer {
        case .allowed(let hold, let model, let usd, let until):
            append("+ALLOW " as StaticString)
            append(hold)
            append(" model=" as StaticString)
            append(token: model)
            append(" usd=" as StaticString)
            append(usd)
            append(" until=" as StaticString)
            seconds.append(until, into: &self)
        case .wouldAllow(let model, let usd):
            append("+ALLOW - model=" as StaticString)
            append(token: model)
            append(" usd=" as StaticString)
            append(usd)
        case .denied(let denial): append(denial)
        case .settled(let hold, let usd, let left, let late):
            append("+SETTLED " as StaticString)
            append(hold)
            append(usd: usd, left: left)
            if late { append(" late=1" as StaticString) }
        case .released(let hold):
            append("+RELEASED " as StaticString)
            append(hold)
        case .charged(let charge, let usd, let left):
            append("+CHARGED " as StaticString)
            append(charge)
            append(usd: usd, left: left)
        case .failed(let failure):
            reply(failure)
            return
        }
        endLine()
    }

    private mutating func append(usd: Nanodollars, left: Nanodollars?) {
        append(" usd=" as StaticString)
        append(usd)
        if let left {
            append(" left=" as StaticString)
            append(left)
        }
    }
    private mutating func append(_ denial: Denial) {
        append("+DENY " as StaticString)
        append(decimal: denial.reason.status)
        append(UInt8(ascii: " "))
        append(denial.reason.name)
        if !denial.scope.isEmpty {
            append(" scope=" as StaticString)
            append(token: denial.scope)
        }
        if !denial.model.isEmpty {
            append(" model=" as StaticString)
            append(token: denial.model)
        }
        if let limit = denial.limit {
            append(" limit=" as StaticString)
            append(limit.name)
            append(" amount=" as StaticString)
            append(denial.amount, of: limit)
            append(" used=" as StaticString)
            append(denial.used, of: limit)
            append(" held=" as StaticString)
            append(denial.held, of: limit)
        }
        if let resets = denial.resets {
            append(" retry_after=" as StaticString)
            append(secondsFrom: denial.now, to: resets)
        }
    }
    private mutating func append(_ amount: Int64, of limit: LimitKind) {
        if limit.isMoney { append(Nanodollars(amount)) } else { append(decimal: amount) }
    }
    /// Seconds with three decimals, rounded up so that nobody comes back too early, never negative.
    private mutating func append(secondsFrom now: Instant, to then: Instant) {
        let (distance, overflow) = then.nanoseconds.subtractingReportingOverflow(now.nanoseconds)
        // It overflows only towards a far future: `now` is a clock's and `then` is not before it.
        let nanoseconds = overflow ? (then > now ? Int64.max : 0) : max(distance, 0)
        let whole = nanoseconds / 1_000_000
        let milliseconds = whole + (nanoseconds % 1_000_000 > 0 ? 1 : 0)
        append(decimal: milliseconds / 1_000)
        append(UInt8(ascii: "."))
        append(decimal: milliseconds % 1_000, width: 3)
    }
    /// A value inside a line of ours. Nearly always it is written as it is; a space or a line end
    /// in a model that a caller made up must not become a word or a reply of its own.
    mutating func append(token text: Bytes) {
        for i in 0..<text.count where text[i] <= 0x20 || text[i] >= 0x7F {
            append(escapedToken: text)
            return
        }
        append(text)
    }
    @inline(never) private mutating func append(escapedToken text: Bytes) {
        for i in 0..<text.count { append(escaped: text[i], spaces: false) }
    }
}

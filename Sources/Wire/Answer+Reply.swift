import Events

extension ByteBuffer {
    /// Writes what the ledger said as one line; `schemas/wire.md` lists the words.
    ///
    /// - Parameter seconds: the thread's memory of the last instant it wrote.
    package mutating func reply(_ answer: Answer, _ seconds: inout SecondText) {
        switch answer {
        case .allowed(let hold, let model, let usd, let until):
            line(foreign: model.count) {
                $0.write("+ALLOW ")
                $0.write(hold)
                $0.write(" model=")
                $0.write(token: model)
                $0.write(" usd=")
                $0.write(usd)
                $0.write(" until=")
                $0.write(seconds.text(of: until))
            }
        case .wouldAllow(let model, let usd):
            line(foreign: model.count) {
                $0.write("+ALLOW - model=")
                $0.write(token: model)
                $0.write(" usd=")
                $0.write(usd)
            }
        case .routed(let routed):
            line(foreign: routed.model.count) {
                $0.write("+ALLOW ")
                if let hold = routed.hold { $0.write(hold) } else { $0.write("-") }
                $0.write(" model=")
                $0.write(token: routed.model)
                $0.write(" usd=")
                $0.write(routed.usd)
                if routed.hold != nil {
                    $0.write(" until=")
                    $0.write(seconds.text(of: routed.until))
                }
                $0.write(" rule=")
                $0.write(routed.rule)
                $0.write(" saved=")
                $0.write(routed.saved)
            }
        case .extended(let hold, let usd, let until):
            line {
                $0.write("+EXTENDED ")
                $0.write(hold)
                $0.write(" usd=")
                $0.write(usd)
                $0.write(" until=")
                $0.write(seconds.text(of: until))
            }
        case .denied(let denial):
            line(foreign: denial.scope.count + denial.model.count + denial.hint.count) {
                $0.write(denial)
            }
        case .settled(let hold, let usd, let left, let late):
            line {
                $0.write("+SETTLED ")
                $0.write(hold)
                $0.write(usd: usd, left: left)
                if late { $0.write(" late=1") }
            }
        case .released(let hold):
            line {
                $0.write("+RELEASED ")
                $0.write(hold)
            }
        case .charged(let charge, let usd, let left):
            line {
                $0.write("+CHARGED ")
                $0.write(charge)
                $0.write(usd: usd, left: left)
            }
        case .failed(let failure): reply(failure)
        }
    }

    /// Writes one line with its end.
    ///
    /// - Parameter foreign: bytes of texts that are not ours; each may become `\xHH`.
    @inline(__always)
    private mutating func line(foreign: Int = 0, _ body: (inout Pen) -> Void) {
        // 320 hold all else that a line may have: five numbers of 21 bytes at most, the words and
        // names around them, and the eight bytes that a pen may write too far.
        _ = appendUninitialized(320 &+ 4 &* foreign) { start in
            var pen = Pen(start)
            body(&pen)
            pen.write("\r\n")
            return pen.at - start
        }
    }
}

extension Pen {
    fileprivate mutating func write(usd: Nanodollars, left: Nanodollars?) {
        write(" usd=")
        write(usd)
        if let left {
            write(" left=")
            write(left)
        }
    }
    fileprivate mutating func write(_ denial: Denial) {
        write("+DENY ")
        write(decimal: denial.reason.status)
        write(" ")
        write(Bytes(denial.reason.name))
        if !denial.scope.isEmpty {
            write(" scope=")
            write(token: denial.scope)
        }
        if !denial.model.isEmpty {
            write(" model=")
            write(token: denial.model)
        }
        if let limit = denial.limit {
            write(" limit=")
            write(Bytes(limit.name))
            write(" amount=")
            write(denial.amount, of: limit)
            write(" used=")
            write(denial.used, of: limit)
            write(" held=")
            write(denial.held, of: limit)
        } else if denial.reason == .creditExhausted {
            write(" amount=")
            write(Nanodollars(denial.amount))
            write(" used=")
            write(Nanodollars(denial.used))
            write(" held=")
            write(Nanodollars(denial.held))
        }
        if let resets = denial.resets {
            write(" retry_after=")
            write(secondsFrom: denial.now, to: resets)
        }
        if !denial.hint.isEmpty {
            write(" hint=")
            write(token: denial.hint)
        }
        if let waiting = denial.waiting {
            write(" waiting=")
            write(decimal: Int64(waiting))
        }
    }
    private mutating func write(_ amount: Int64, of limit: LimitKind) {
        if limit.isMoney { write(Nanodollars(amount)) } else { write(decimal: amount) }
    }
    /// Seconds with three decimals, rounded up so that nobody comes back too early, never negative.
    private mutating func write(secondsFrom now: Instant, to then: Instant) {
        let (distance, overflow) = then.nanoseconds.subtractingReportingOverflow(now.nanoseconds)
        // It overflows only towards a far future: `now` is a clock's and `then` is not before it.
        let nanoseconds = overflow ? (then > now ? Int64.max : 0) : max(distance, 0)
        let whole = nanoseconds / 1_000_000
        let milliseconds = whole + (nanoseconds % 1_000_000 > 0 ? 1 : 0)
        write(decimal: milliseconds / 1_000)
        write(".")
        write(thousandths: milliseconds % 1_000)
    }
}

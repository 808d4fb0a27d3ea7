import Events
import Testing

@testable import Ledger

/// Prepaid money of an org, and what it is billed.
@Suite struct `Credit` {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z
    private static let hour: Int64 = 3_600_000_000_000

    /// acme/ml/prod with a model of which `in=100000` costs a dollar and `in=1` ten micro-dollars.
    private func ledger(_ lines: [String] = []) -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"price.set {"model":"openai/gpt-4.1","in":"10","out":"20"}"#,
            #"price.set {"model":"nano/one","in":"0.001","out":"0"}"#,
            #"org.created {"account":"acme","on_lapse":"charge_hold"}"#,
            #"team.created {"account":"acme/ml"}"#,
            #"key.created {"account":"acme/ml/prod"}"#,
        ] + lines {
            let answer = machine.answer("APPEND \(line)", at: Self.noon)
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    private func grant(
        _ machine: MachineDriver, _ usd: String, hours: Int64? = nil, at time: Int64 = noon
    ) {
        let expires = hours.map { #","expires_in":\#($0 * 3_600)"# } ?? ""
        let answer = machine.answer(
            #"APPEND credit.granted {"account":"acme","usd":"\#(usd)","source":"card"\#(expires)}"#,
            at: time)
        #expect(answer.hasPrefix("{"), "\(answer)")
    }
    /// Spends so many tenths of a dollar; answers what was answered.
    @discardableResult
    private func charge(_ machine: MachineDriver, _ tenths: Int, at time: Int64 = noon) -> String {
        let id = machine.seq
        return machine.answer(
            "CHARGE acme/ml/prod openai/gpt-4.1 in=\(tenths * 10_000) out=0 id=c\(id)", at: time)
    }
    private func reserve(
        _ machine: MachineDriver, _ tenths: Int, at time: Int64 = noon, more: String = ""
    ) -> String {
        machine.answer(
            "RESERVE acme/ml/prod openai/gpt-4.1 in=\(tenths * 10_000) out=0\(more)", at: time)
    }
    /// `granted expired spent held left overdrawn : left of each grant`
    private func stand(_ machine: MachineDriver, at time: Int64 = noon) throws -> String {
        let credit = try #require(try machine.usage("acme", at: time)["credit"])
        let numbers = ["granted", "expired", "spent", "held", "left", "overdrawn"].map {
            credit[$0]?.string ?? "?"
        }
        let grants = (credit["grants"]?.array ?? []).map { $0["left"]?.string ?? "?" }
        return (numbers + [":"] + grants).joined(separator: " ")
    }

    @Test func `burns what expires soonest first, then the oldest`() throws {
        let machine = ledger()
        grant(machine, "1")
        grant(machine, "2", hours: 9)
        grant(machine, "3", hours: 2)
        grant(machine, "4", hours: 9)
        #expect(try stand(machine) == "10 0 0 0 10 0 : 3 2 4 1")
        charge(machine, 35)
        #expect(try stand(machine) == "10 0 3.5 0 6.5 0 : 1.5 4 1")
        charge(machine, 55)
        #expect(try stand(machine) == "10 0 9 0 1 0 : 1")
        // A new one that expires sooner goes first, although another has been begun.
        charge(machine, 5)
        grant(machine, "1", hours: 1)
        charge(machine, 2)
        #expect(try stand(machine) == "11 0 9.7 0 1.3 0 : 0.8 0.5")
    }
    @Test func `admits to the last nano-dollar, and nothing beyond`() throws {
        let machine = ledger()
        grant(machine, "1")
        #expect(reserve(machine, 6).hasPrefix("+ALLOW"))
        let last = "RESERVE acme/ml/prod nano/one in=400000000 out=0"
        #expect(
            machine.answer("RESERVE acme/ml/prod nano/one in=400000001 out=0", at: Self.noon)
                == "+DENY 402 credit_exhausted scope=acme amount=1 used=0 held=0.6")
        #expect(machine.answer(last, at: Self.noon).hasPrefix("+ALLOW"))
        #expect(
            machine.answer("RESERVE acme/ml/prod nano/one in=1 out=0", at: Self.noon)
                == "+DENY 402 credit_exhausted scope=acme amount=1 used=0 held=1")
        // What costs nothing may go on.
        #expect(
            machine.answer("RESERVE acme/ml/prod nano/one in=0 out=0", at: Self.noon)
                .hasPrefix("+ALLOW"))
    }
    @Test func `comes before the budgets and after the rights`() {
        let machine = ledger([
            #"limits.set {"account":"acme","limits":{"usd.day":"0"}}"#,
            #"permissions.set {"account":"acme/ml","models":["openai/*"]}"#,
        ])
        grant(machine, "1")
        #expect(reserve(machine, 9).hasPrefix("+DENY 402 budget_exhausted"))
        #expect(reserve(machine, 11).hasPrefix("+DENY 402 credit_exhausted"))
        let denied = "RESERVE acme/ml/prod nano/one in=999999999999 out=0"
        #expect(machine.answer(denied, at: Self.noon).hasPrefix("+DENY 403 model_denied"))
    }
    @Test func `expires at its instant, whatever holds wait for it`() throws {
        let machine = ledger()
        grant(machine, "1", hours: 1)
        let answer = reserve(machine, 4, more: " ttl=86400")
        let hold = String(answer.split(separator: " ")[1])
        #expect(
            reserve(machine, 6, at: Self.noon + Self.hour - 1, more: " ttl=1").hasPrefix("+ALLOW"))
        let end = Self.noon + Self.hour
        #expect(
            reserve(machine, 1, at: end)
                == "+DENY 402 credit_exhausted scope=acme amount=0 used=0 held=1")
        // What was admitted is settled all the same.
        #expect(
            machine.answer("SETTLE \(hold) in=40000 out=0", at: end) == "+SETTLED \(hold) usd=0.4")
        #expect(try stand(machine, at: end) == "1 1 0.4 0.6 0 0.4 :")
        grant(machine, "3", at: end)
        #expect(try stand(machine, at: end) == "4 1 0.4 0.6 2 0 : 2.6")
    }
    @Test func `gives back to the grant that was spent last, but not to one that has expired`()
        throws
    {
        let machine = ledger()
        grant(machine, "1", hours: 1)
        grant(machine, "1", hours: 2)
        // A lapse that charges the hold, and a late settlement of less.
        let first = String(reserve(machine, 15, more: " ttl=1").split(separator: " ")[1])
        let second = String(reserve(machine, 4, more: " ttl=1").split(separator: " ")[1])
        let later = Self.noon + 10_000_000_000
        #expect(try stand(machine) == "2 0 0 1.9 0.1 0 : 1 1")
        _ = machine.answer("CHECK acme/ml/prod nano/one", at: later)
        #expect(try stand(machine, at: later) == "2 0 1.9 0 0.1 0 : 0.1")
        _ = machine.answer("SETTLE \(second) in=0 out=0", at: later)
        #expect(try stand(machine, at: later) == "2 0 1.5 0 0.5 0 : 0.5")
        let end = Self.noon + Self.hour
        _ = machine.answer("SETTLE \(first) in=10000 out=0", at: end)
        // 1.4 come back: half a dollar to the one that stands, the rest to the one that has expired.
        #expect(try stand(machine, at: end) == "2 0.9 0.1 0 1 0 : 1")
    }
    @Test func `lets a hold grow to its last nano-dollar, and explains where it ends`() throws {
        let machine = ledger([
            #"billing.set {"account":"acme","markup_ppm":500000,"currency":"EUR","rate":"1"}"#
        ])
        grant(machine, "3")
        let hold = String(reserve(machine, 10).split(separator: " ")[1])
        // Growing makes no hold more, so there is one rounding in it, not two.
        let most = 199_999
        #expect(
            machine.answer("EXTEND \(hold) in=\(most + 1) out=0", at: Self.noon)
                == "+DENY 402 credit_exhausted scope=acme amount=3 used=0 held=1.500000001")
        #expect(
            machine.answer("EXTEND \(hold) in=\(most) out=0", at: Self.noon)
                .hasPrefix("+EXTENDED \(hold) usd=1.99999 "))
        #expect(try stand(machine) == "3 0 0 2.999985001 0.000014999 0 : 3")
        let text = machine.answer("EXPLAIN acme/ml/prod openai/gpt-4.1 in=1 out=0", at: Self.noon)
        let checks = try text.withBytes { try JSON(parsing: $0) }["checks"]?.array ?? []
        let check = try #require(checks.first { $0["check"]?.string == "credit_exhausted" })
        #expect(check["passes"] == .bool(false) && check["scope"]?.string == "acme")
        #expect(
            check["why"]?.string
                == "the credit of acme has 0.000014999 left and 0.000015 is asked for")
    }
    @Test func `is not drawn by what was charged before there was any`() throws {
        let machine = ledger()
        charge(machine, 20)
        let hold = String(reserve(machine, 5).split(separator: " ")[1])
        grant(machine, "1")
        #expect(try stand(machine) == "1 0 0 0.5 0.5 0 : 1")
        _ = machine.answer("SETTLE \(hold) in=50000 out=0", at: Self.noon)
        #expect(try stand(machine) == "1 0 0.5 0 0.5 0 : 0.5")
    }
    @Test func `is drawn by what is billed`() throws {
        let machine = ledger([
            #"billing.set {"account":"acme","markup_ppm":150000,"currency":"CNY","rate":"1"}"#
        ])
        grant(machine, "1.15")
        #expect(reserve(machine, 11).hasPrefix("+DENY 402 credit_exhausted"))
        let hold = String(reserve(machine, 9).split(separator: " ")[1])
        _ = machine.answer("SETTLE \(hold) in=90000 out=0", at: Self.noon)
        #expect(try stand(machine) == "1.15 0 1.035 0 0.115 0 : 0.115")
    }
    /// Each charge rounds by itself: a thousand holds of a nano-dollar are billed two each at half as much
    /// again, and all of them together must not have been admitted for half of that.
    @Test func `is never overdrawn by rounding`() throws {
        let machine = ledger([
            #"billing.set {"account":"acme","markup_ppm":500000,"currency":"EUR","rate":"1"}"#
        ])
        grant(machine, "0.000001")
        var holds: [String] = []
        for _ in 0..<1_000 {
            let answer = machine.answer("RESERVE acme/ml/prod nano/one in=1 out=0", at: Self.noon)
            if answer.hasPrefix("+ALLOW") { holds.append(String(answer.split(separator: " ")[1])) }
        }
        #expect(holds.count == 500)
        for hold in holds {
            _ = machine.answer("SETTLE \(hold) in=1 out=0", at: Self.noon)
        }
        #expect(try stand(machine) == "0.000001 0 0.000001 0 0 0 :")
    }
    @Test func `survives a checkpoint, and still expires by itself`() throws {
        let machine = ledger([
            #"billing.set {"account":"acme","markup_ppm":150000,"currency":"CNY","rate":"7.3"}"#
        ])
        grant(machine, "1", hours: 1)
        grant(machine, "1")
        charge(machine, 3)
        let hold = String(reserve(machine, 4, more: " ttl=1").split(separator: " ")[1])
        let later = Self.noon + 10_000_000_000
        _ = machine.answer("CHECK acme/ml/prod nano/one", at: later)
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        let restored = MachineDriver(book: try restoredBook(bytes.bytes))
        #expect(restored.digest() == machine.digest())
        // The lapse was billed: the late settlement gives back by the same terms.
        for driver in [machine, restored] {
            _ = driver.answer("SETTLE \(hold) in=0 out=0", at: later)
            #expect(try stand(driver, at: later) == "2 0 0.345 0 1.655 0 : 0.655 1")
            _ = driver.answer("CHECK acme/ml/prod nano/one", at: Self.noon + Self.hour)
            #expect(try stand(driver, at: Self.noon + Self.hour) == "2 0.655 0.345 0 1 0 : 1")
        }
    }

    // MARK: Numbers

    @Test(
        arguments: [
            // list price in nano-dollars, markup in millionths, rate in billionths → billed, settled
            (1_000_000_000, 150_000, 1_000_000_000, 1_150_000_000, 1_150_000_000),
            (1, 500_000, 500_000_000, 2, 1), (1, 499_999, 1_000_000_000, 1, 1), (0, 1, 1, 0, 0),
            (7, 0, 7_300_000_000, 7, 51), (3, 0, 500_000_000, 3, 2),
            (Int64.max, 0, 1_000_000_000, Int64.max, Int64.max),
            (Int64.max - 1, 1, 1, nil, nil),
            (Int64.max / 2, 1_000_000, 1, Int64.max - 1, 9_223_372_037),
            (Int64.max / 2, 0, 3_000_000_000, Int64.max / 2, nil),
            (9_000_000_000_000_000_000, 0, 1, 9_000_000_000_000_000_000, 9_000_000_000),
            (
                4_600_000_000_000_000, 100_000_000, 1_000_000_000, 464_600_000_000_000_000,
                464_600_000_000_000_000
            ),
        ] as [(Int64, Int64, Int64, Int64?, Int64?)])
    func `is billed in exact numbers, rounded half up`(
        list: Int64, markup: Int64, rate: Int64, usd: Int64?, settled: Int64?
    ) {
        let terms = BillingTerms(markup: markup, rate: rate, currency: .usd)
        #expect(terms.usd(list) == usd)
        #expect(terms.usd(list).flatMap { terms.settled($0) } == settled)
    }
    @Test(arguments: 0..<64 as Range<UInt64>)
    func `held for holds is never less than they are billed`(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let markup = Int64(random.next() % 3_000_000)
        let terms = BillingTerms(markup: markup, rate: 1, currency: .usd)
        let holds = (0..<100).map { _ in Int64(random.next() % 1_000) }
        var (list, billed) = (Int64(0), Int64(0))
        for (i, usd) in holds.enumerated() {
            list += usd
            billed += terms.usd(usd)!
            let most = terms.most(list, holds: Int64(i + 1))!
            #expect(billed <= most && most <= billed + Int64(i + 2))
        }
    }
}

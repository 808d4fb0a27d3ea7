import Events
import Ledger
import Testing

/// EXTEND: what grows, what is asked of it, and that a repeat asks for nothing.
@Suite struct ExtendTests {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z, a Sunday
    private static let second: Int64 = 1_000_000_000

    /// acme/ml/prod with a model at $10 in and $20 out a million tokens.
    private func ledger(org: String = "", team: String = "", key: String = "") -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"APPEND price.set {"model":"openai/gpt-4.1","in":"10","out":"20"}"#,
            #"APPEND org.created {"account":"acme"\#(org)}"#,
            #"APPEND team.created {"account":"acme/ml"\#(team)}"#,
            #"APPEND key.created {"account":"acme/ml/prod"\#(key)}"#,
        ] {
            let answer = machine.answer(line, at: Self.noon)
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    /// A hold of two dollars: $1 for the prompt, $1 for 50,000 tokens of answer.
    private func hold(
        _ machine: MachineDriver, at now: Int64 = noon, _ more: String = ""
    ) -> String {
        let answer = machine.answer(
            "RESERVE acme/ml/prod openai/gpt-4.1 in=100000 out=50000 id=r1" + more, at: now)
        precondition(answer.hasPrefix("+ALLOW "), "\(answer)")
        return String(answer.split(separator: " ")[1])
    }

    @Test(arguments: [
        // asked                            answered
        ("out=100000", "+EXTENDED $ usd=3 until=2026-11-22T12:10:00Z"),
        ("out=100000 in=200000", "+EXTENDED $ usd=4 until=2026-11-22T12:10:00Z"),
        ("out=50000 ttl=900", "+EXTENDED $ usd=2 until=2026-11-22T12:15:00Z"),
        // What is less than the hold has leaves it as it is.
        ("out=50000", "+EXTENDED $ usd=2 until=2026-11-22T12:10:00Z"),
        ("out=0 in=0 ttl=1", "+EXTENDED $ usd=2 until=2026-11-22T12:10:00Z"),
        ("out=100000 in=5 ttl=1", "+EXTENDED $ usd=3 until=2026-11-22T12:10:00Z"),
    ])
    func `an open hold grows and never shrinks`(asked: String, answered: String) throws {
        let machine = ledger()
        let hold = hold(machine)
        let expected = answered.replacing("$", with: hold)
        #expect(machine.answer("EXTEND \(hold) \(asked)", at: Self.noon) == expected)
        // New wholes: the same again, and a late repeat of less, change nothing and write nothing.
        let seq = machine.seq
        #expect(machine.answer("EXTEND \(hold) \(asked)", at: Self.noon) == expected)
        #expect(machine.answer("EXTEND \(hold) out=1", at: Self.noon) == expected)
        #expect(machine.seq == seq)
        let held = try machine.usage("acme", at: Self.noon)["limits"]?["usd.total"]?["held"]
        #expect(held == .string(String(expected.split(separator: " ")[2].dropFirst(4))))
    }

    @Test(arguments: [
        // limits of                                  asked           answered
        ("", #","limits":{"usd.day":"3"}"#, "", "out=100000", "+EXTENDED $ usd=3"),
        (
            "", #","limits":{"usd.day":"3"}"#, "", "out=100001",
            "+DENY 402 budget_exhausted scope=acme/ml limit=usd.day amount=3 used=0 held=2 retry_after=43200.000"
        ),
        (
            #","limits":{"tokens.hour":200000}"#, "", "", "out=100001",
            "+DENY 429 tokens_exhausted scope=acme limit=tokens.hour amount=200000 used=0 held=150000 retry_after=3600.000"
        ),
        (
            "", "", #","limits":{"tokens.minute":200000}"#, "out=100001",
            "+DENY 429 tokens_per_minute scope=acme/ml/prod limit=tokens.minute amount=200000 used=150000 held=0 retry_after=60.000"
        ),
        // The request and the slot are counted already.
        (
            "", "", #","limits":{"requests.minute":1,"requests.total":1,"concurrency":1}"#,
            "out=100001", "+EXTENDED $ usd=3.00002"
        ),
    ])
    func `only the difference is asked for`(
        org: String, team: String, key: String, asked: String, answered: String
    ) {
        let machine = ledger(org: org, team: team, key: key)
        let hold = hold(machine)
        let answer = machine.answer("EXTEND \(hold) \(asked)", at: Self.noon)
        let expected = answered.replacing("$", with: hold)
        #expect(answer == expected || answer.hasPrefix(expected + " "), "\(answer)")
        // Refused, it stays as it was.
        if answer.hasPrefix("+DENY") {
            #expect(
                machine.answer("EXTEND \(hold) out=1", at: Self.noon)
                    == "+EXTENDED \(hold) usd=2 until=2026-11-22T12:10:00Z")
        }
    }

    @Test(arguments: [
        // in the meantime                                              answered
        (
            #"APPEND permissions.set {"account":"acme","models":["anthropic/*"]}"#,
            "+DENY 403 model_denied scope=acme model=openai/gpt-4.1"
        ),
        (
            #"APPEND limits.set {"account":"acme","limits":{"usd.total":"1"}}"#,
            "+DENY 402 budget_exhausted scope=acme limit=usd.total amount=1 used=0 held=2"
        ),
    ])
    func `what was taken away in the meantime stops a stream`(line: String, answered: String) {
        let machine = ledger()
        let hold = hold(machine)
        #expect(machine.answer(line, at: Self.noon).hasPrefix("{"))
        #expect(machine.answer("EXTEND \(hold) out=50001", at: Self.noon) == answered)
        // What it had can still be settled.
        #expect(
            machine.answer("SETTLE \(hold) in=100000 out=40000", at: Self.noon)
                .hasPrefix("+SETTLED \(hold) usd=1.8"))
    }
    @Test func `a key that expires in mid-stream gets nothing more`() {
        let machine = ledger(key: #","expires":"2026-11-22T12:05:00Z""#)
        let hold = hold(machine)
        let expiry = Self.noon + 300 * Self.second
        #expect(machine.answer("EXTEND \(hold) out=50001", at: expiry - 1).hasPrefix("+EXTENDED"))
        #expect(
            machine.answer("EXTEND \(hold) out=50002", at: expiry)
                == "+DENY 401 key_expired scope=acme/ml/prod")
    }
    @Test func `a paused daemon grows nothing, and repeats what stands`() {
        let machine = ledger()
        let hold = hold(machine)
        machine.pause(true)
        #expect(machine.answer("EXTEND \(hold) out=50001", at: Self.noon) == "+DENY 503 paused")
        #expect(machine.answer("EXTEND \(hold) out=50000", at: Self.noon).hasPrefix("+EXTENDED"))
    }

    @Test func `it grows in the day in which it was placed`() throws {
        let machine = ledger(team: #","limits":{"usd.day":"2"}"#)
        let night = Self.noon + 12 * 3_600 * Self.second - 1
        let hold = hold(machine, at: night)
        #expect(machine.answer("EXTEND \(hold) out=60000", at: night).hasPrefix("+DENY 402"))
        // That day is over, and the new one is not charged for it.
        let morning = night + 1
        #expect(machine.answer("EXTEND \(hold) out=60000", at: morning).hasPrefix("+EXTENDED"))
        let usage = try machine.usage("acme/ml", at: morning)
        #expect(usage["limits"]?["usd.day"]?["held"] == .string("0"))
        #expect(usage["limits"]?["usd.month"]?["held"] == .string("2.2"))
    }
    @Test func `its tokens count at the second in which it was placed`() throws {
        let machine = ledger(key: #","limits":{"tokens.minute":200000}"#)
        let hold = hold(machine)
        let later = Self.noon + 40 * Self.second
        #expect(machine.answer("EXTEND \(hold) out=90000", at: later).hasPrefix("+EXTENDED"))
        let used = { (now: Int64) in
            try machine.usage("acme/ml/prod", at: now)["limits"]?["tokens.minute"]?["used"]
        }
        #expect(try used(later) == .number("190000"))
        #expect(
            machine.answer("EXTEND \(hold) out=110000", at: later).hasSuffix("retry_after=20.000"))
        // A minute after the placing nothing of it is left to count.
        let gone = Self.noon + 60 * Self.second
        #expect(machine.answer("EXTEND \(hold) out=900000", at: gone).hasPrefix("+EXTENDED"))
        #expect(try used(gone) == .number("0"))
    }

    @Test func `no hold lives longer than a day`() {
        let machine = ledger()
        let hold = hold(machine, " ttl=86400")
        let evening = Self.noon + 6 * 3_600 * Self.second
        #expect(
            machine.answer("EXTEND \(hold) out=1 ttl=86400", at: evening)
                == "+EXTENDED \(hold) usd=2 until=2026-11-23T12:00:00Z")
    }
    @Test func `a moved deadline is kept, behind the holds that had it before`() {
        let machine = ledger(org: #","on_lapse":"charge_hold""#)
        let first = hold(machine, " ttl=5")
        let second = machine.answer(
            "RESERVE acme/ml/prod openai/gpt-4.1 in=1 out=1 ttl=10", at: Self.noon
        )
        .split(separator: " ")[1]
        machine.answer("EXTEND \(first) out=100000 ttl=10", at: Self.noon)
        // From a book that was written down the order is the same.
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        let restored = MachineDriver(book: Book(decoding: bytes.bytes)!)
        for driver in [machine, restored] {
            driver.answer("RELEASE 9-9", at: Self.noon + 9 * Self.second)
            #expect(driver.withBook { $0.openHolds } == 2)
            driver.answer("RELEASE 9-9", at: Self.noon + 10 * Self.second)
            let lapses = driver.log.suffix(2).compactMap { bytes in
                try? bytes.withUnsafeBytes { try HoldLapsed(StoredEvent(Bytes($0))) }
            }
            #expect(lapses.map { "\($0.hold)" } == [String(second), first])
            #expect(lapses.last?.usd == Nanodollars(3_000_000_000))
        }
        #expect(machine.digest() == restored.digest())
    }
    @Test func `the same reserve is answered as it was`() {
        let machine = ledger()
        let reserve = "RESERVE acme/ml/prod openai/gpt-4.1 in=100000 out=50000 id=r1"
        let answer = machine.answer(reserve, at: Self.noon)
        let hold = answer.split(separator: " ")[1]
        machine.answer("EXTEND \(hold) out=100000 in=100001 ttl=3600", at: Self.noon)
        #expect(machine.answer(reserve, at: Self.noon) == answer)
        #expect(
            machine.answer(
                "RESERVE acme/ml/prod openai/gpt-4.1 in=100001 out=100000 id=r1", at: Self.noon
            ).hasPrefix("-CONFLICT"))
        machine.answer("SETTLE \(hold) in=100000 out=80000", at: Self.noon)
        #expect(machine.answer(reserve, at: Self.noon) == answer)
    }
    @Test func `a growth that would overflow is an error`() {
        let machine = ledger()
        machine.answer(
            #"APPEND price.set {"model":"giant/one","in":"9000000000","out":"9000000000"}"#,
            at: Self.noon)
        let hold = machine.answer("RESERVE acme/ml/prod giant/one in=1 out=0", at: Self.noon)
            .split(separator: " ")[1]
        #expect(
            machine.answer("EXTEND \(hold) out=1000000000000", at: Self.noon).hasPrefix("-ERR"))
    }
}

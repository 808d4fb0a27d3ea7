import Events
import Ledger
import Testing

/// The price book's own rules: which version holds when, and what a change may not do by accident.
@Suite struct `A price` {
    /// 2026-11-22T10:00:00Z
    private static let morning: Int64 = 1_795_341_600_000_000_000
    private static let hour: Int64 = 3_600_000_000_000

    private static func furnished() -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"APPEND org.created {"account":"acme"}"#,
            #"APPEND team.created {"account":"acme/ml"}"#,
            #"APPEND key.created {"account":"acme/ml/prod"}"#,
        ] {
            #expect(machine.answer(line, at: morning - hour).hasPrefix("{"))
        }
        return machine
    }
    private static func set(_ usd: String, _ more: String = "") -> String {
        #"APPEND price.set {"model":"a/b","in":"\#(usd)","out":"0"\#(more)}"#
    }
    private static let at11 = #","from":"2026-11-22T11:00:00Z""#
    private static let at12 = #","from":"2026-11-22T12:00:00Z""#

    /// What is set, hours after ten o'clock, and what a million tokens then cost at which hour.
    @Test(
        arguments: [
            ([(0, set("1"))], [(0, "1")]),
            ([(0, set("1")), (0, set("2", at11))], [(0, "1"), (1, "2"), (5, "2")]),
            // Set at once, yet the scheduled one begins later.
            (
                [(0, set("1")), (0, set("2", at12)), (1, set("3"))],
                [(0, "3"), (1, "3"), (2, "2"), (3, "2")]
            ),
            // Set later than both have begun: it began last.
            ([(0, set("1")), (0, set("2", at11)), (3, set("3"))], [(4, "3")]),
            // Two for one instant: the one that was set last, so a price is called off.
            ([(0, set("1")), (0, set("2", at11)), (0, set("1", at11))], [(0, "1"), (1, "1")]),
            // Out of order.
            (
                [(0, set("1")), (0, set("3", at12)), (0, set("2", at11))],
                [(0, "1"), (1, "2"), (2, "3")]
            ),
            // The first is still to come.
            ([(0, set("2", at11))], [(0, "unpriced"), (1, "2")]),
        ] as [([(Int64, String)], [(Int64, String)])])
    func `holds from its instant on`(
        events: [(Int64, String)], costs: [(Int64, String)]
    ) throws {
        let machine = Self.furnished()
        for (hours, event) in events {
            let answer = machine.answer(event, at: Self.morning + hours * Self.hour)
            #expect(answer.hasPrefix("{"), "\(event) → \(answer)")
        }
        var copy = Book()
        try fold(machine.log, into: &copy)
        let other = MachineDriver(book: copy)
        var checkpoint = ByteBuffer()
        machine.withBook { $0.encode(into: &checkpoint) }
        guard let decoded = Book(decoding: checkpoint.bytes) else {
            Issue.record("a book is read back")
            return
        }
        let read = MachineDriver(book: decoded)
        for (hours, usd) in costs {
            let expected =
                usd == "unpriced"
                ? "+DENY 400 model_unpriced model=a/b" : "+ALLOW - model=a/b usd=\(usd)"
            for machine in [machine, other, read] {
                let answer = machine.answer(
                    "CHECK acme/ml/prod a/b in=1000000 out=0", at: Self.morning + hours * Self.hour)
                #expect(answer == expected, "after \(hours) hours")
            }
        }
    }
    @Test func `holds from the nanosecond of its instant`() {
        let machine = Self.furnished()
        machine.answer(Self.set("1"), at: Self.morning)
        machine.answer(Self.set("2", Self.at11), at: Self.morning)
        let check = "CHECK acme/ml/prod a/b in=1000000 out=0"
        let eleven = Self.morning + Self.hour
        #expect(machine.answer(check, at: eleven - 1) == "+ALLOW - model=a/b usd=1")
        #expect(machine.answer(check, at: eleven) == "+ALLOW - model=a/b usd=2")
    }
    @Test func `stays with the hold that it was placed at`() {
        let machine = Self.furnished()
        machine.answer(Self.set("1"), at: Self.morning)
        machine.answer(Self.set("2", Self.at11), at: Self.morning)
        let placed = machine.answer(
            "RESERVE acme/ml/prod a/b in=1000000 out=0 ttl=7200", at: Self.morning)
        let hold = placed.split(separator: " ")[1]
        let settled = machine.answer(
            "SETTLE \(hold) in=1000000 out=0", at: Self.morning + Self.hour)
        #expect(settled == "+SETTLED \(hold) usd=1")
    }

    /// The old price, the new one, and what of it is more than a hundredfold.
    @Test(
        arguments: [
            (#""in":"1","out":"10""#, #""in":"100","out":"0.1""#, nil),
            (
                #""in":"1","out":"10""#,
                #""in":"100.01","out":"10","cached":"1","cache_write":"1""#, "in 1 → 100.01"
            ),
            (#""in":"0","out":"10""#, #""in":"9999","out":"10""#, nil),
            (
                #""in":"1","out":"10""#, #""in":"1","out":"0""#, "out 10 → 0, reasoning 10 → 0"
            ),
            (
                #""in":"1","out":"10","request":"1""#, #""in":"1","out":"10","request":"0.009""#,
                "request 1 → 0.009"
            ),
            (
                #""in":"1","out":"10","variants":[{"tier":"batch","above":9,"in":"1","out":"1"}]"#,
                #""in":"1","out":"10","variants":[{"tier":"batch","above":9,"in":"1","out":"200"}]"#,
                "out (batch above 9) 1 → 200, reasoning (batch above 9) 1 → 200"
            ),
            (
                #""in":"1","out":"10","variants":[{"tier":"batch","in":"1","out":"1"}]"#,
                #""in":"1","out":"10","variants":[{"tier":"flex","in":"0","out":"0"}]"#, nil
            ),
        ] as [(String, String, String?)])
    func `changes a hundredfold at most, unless somebody says so`(
        old: String, new: String, leaps: String?
    ) {
        let machine = Self.furnished()
        machine.answer(#"APPEND price.set {"model":"a/b",\#(old)}"#, at: Self.morning)
        let answer = machine.answer(
            #"APPEND price.set {"model":"a/b",\#(new)}"#, at: Self.morning + 1)
        if let leaps {
            #expect(
                answer == "-ERR the price of a/b would change more than a hundredfold: \(leaps); "
                    + "say \"force\":true (--force) if it is meant")
            let forced = machine.answer(
                #"APPEND price.set {"model":"a/b","force":true,\#(new)}"#, at: Self.morning + 2)
            #expect(forced.hasPrefix("{"))
        } else {
            #expect(answer.hasPrefix("{"), "\(answer)")
        }
    }
    /// What is asked for, and what it may have meant, among these models.
    @Test(
        arguments: [
            ("gpt-4.1", "openai/gpt-4.1,azure/eu/gpt-4.1,openai/gpt-4.1-mini"),
            ("gpt-4.l", "openai/gpt-4.1,azure/eu/gpt-4.1"),
            ("GPT-4.1-mni", "openai/gpt-4.1-mini"),
            ("claude", "anthropic/claude-sonnet-4.5,anthropic/claude-opus-4"),
            ("claude-opus-4.", "anthropic/claude-opus-4"),
            // The alias's own spelling counts, too.
            ("chaep", "openai/gpt-4.1-mini"), ("cheap1", "openai/gpt-4.1-mini"),
            ("gp", ""), ("mistral", ""), ("openai/", ""), ("x/", ""),
        ])
    func `is hinted at by the nearest names`(asked: String, hint: String) {
        let machine = Self.furnished()
        for model in [
            "openai/gpt-4.1", "azure/eu/gpt-4.1", "openai/gpt-4.1-mini",
            "anthropic/claude-sonnet-4.5", "anthropic/claude-opus-4",
        ] {
            machine.answer(
                #"APPEND price.set {"model":"\#(model)","in":"1","out":"1"}"#, at: Self.morning)
        }
        machine.answer(
            #"APPEND alias.set {"alias":"cheap","model":"openai/gpt-4.1-mini"}"#, at: Self.morning)
        #expect(
            machine.answer("CHECK acme/ml/prod \(asked) in=1 out=1", at: Self.morning)
                == "+DENY 400 model_malformed model=\(asked.lowercased())"
                + (hint.isEmpty ? "" : " hint=\(hint)"))
    }
    @Test func `of equally near names is hinted at by an alias first`() {
        let machine = Self.furnished()
        for line in [
            #"price.set {"model":"azure/gpt-4.1","in":"1","out":"1"}"#,
            #"price.set {"model":"openai/gpt-4.1","in":"1","out":"1"}"#,
            #"alias.set {"alias":"gpt-4.1","model":"openai/gpt-4.1"}"#,
        ] {
            machine.answer("APPEND " + line, at: Self.morning)
        }
        #expect(
            machine.answer("CHECK acme/ml/prod gpt-4.l in=1 out=1", at: Self.morning)
                == "+DENY 400 model_malformed model=gpt-4.l hint=openai/gpt-4.1,azure/gpt-4.1")
        #expect(
            machine.answer(
                #"APPEND permissions.set {"account":"acme/ml","models":["gpt-4.l","zzz","x/*y","GPT-4.1"]}"#,
                at: Self.morning)
                == "-ERR models [gpt-4.l, zzz, x/*y] are neither provider/model, provider/*, * nor known "
                + "aliases (gpt-4.l: openai/gpt-4.1, azure/gpt-4.1)")
    }
    @Test func `in the past is no price, but its repeat is answered`() {
        let machine = Self.furnished()
        let scheduled = Self.set("2", Self.at11 + #","id":"p1""#)
        let first = machine.answer(scheduled, at: Self.morning)
        #expect(first.hasPrefix("{"))
        #expect(machine.answer(scheduled, at: Self.morning + 2 * Self.hour) == first)
        let late = machine.answer(Self.set("2", Self.at11), at: Self.morning + Self.hour)
        #expect(late.hasPrefix("-ERR from 2026-11-22T11:00:00Z is past"), "\(late)")
    }
}

import Events
import Ledger
import Testing

/// The model `auto`: rules choose, the answer says which, and a repeat is never chosen anew.
@Suite struct `Routing` {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z, a Sunday

    /// The prices of the guide, and its three rules on its team of internal tools.
    private static let guide = [
        #"APPEND price.set {"model":"openai/gpt-4.1","in":"8","out":"8","context":1000000,"max_out":32768,"capabilities":["coding"]}"#,
        #"APPEND price.set {"model":"anthropic/claude-sonnet-4.5","in":"15","out":"15","capabilities":["coding"]}"#,
        #"APPEND price.set {"model":"google/gemini-2.5-flash","in":"2.5","out":"2.5"}"#,
        #"APPEND price.set {"model":"deepseek/deepseek-v3.2","in":"0.42","out":"0.42","context":64000,"max_out":8000}"#,
        #"APPEND alias.set {"alias":"gpt-4.1","model":"openai/gpt-4.1"}"#,
        #"APPEND alias.set {"alias":"claude-sonnet-4.5","model":"anthropic/claude-sonnet-4.5"}"#,
        #"APPEND alias.set {"alias":"gemini-2.5-flash","model":"google/gemini-2.5-flash"}"#,
        #"APPEND alias.set {"alias":"deepseek-v3.2","model":"deepseek/deepseek-v3.2"}"#,
        #"APPEND org.created {"account":"acme"}"#,
        #"APPEND team.created {"account":"acme/internal-tools"}"#,
        #"APPEND key.created {"account":"acme/internal-tools/bot"}"#,
        #"APPEND routing.set {"account":"acme/internal-tools","fallback":"gpt-4.1","rules":[\#(rules)]}"#,
    ]
    private static let rules = [
        #"{"name":"simple-summaries","match":{"out":500,"prompt":["summarize","brief","tl;dr"],"temperature":0.3},"model":"deepseek-v3.2"}"#,
        #"{"name":"code-generation","match":{"prompt":["write code","implement","function"],"capability":["coding"]},"model":"gpt-4.1","fallback":"claude-sonnet-4.5"}"#,
        #"{"name":"batch-processing","match":{"batch":true,"priority":"background"},"model":"gemini-2.5-flash"}"#,
    ].joined(separator: ",")

    private func ledger(_ lines: [String] = []) -> MachineDriver {
        let machine = MachineDriver()
        for line in Self.guide + lines {
            let answer = machine.answer(line, at: Self.noon)
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    private func check(_ machine: MachineDriver, _ words: String) -> String {
        machine.answer("CHECK acme/internal-tools/bot auto " + words, at: Self.noon)
    }
    private static let allow = "+ALLOW - model="

    /// The guide's table: what is asked, and where it goes.
    @Test(
        arguments: [
            // Its own check: a summary at 0.3 degrees, with nothing said of the answer's length.
            (
                #"in=5000 out=0 temperature=0.3 prompt="Summarize this: xxxxx""#,
                "deepseek/deepseek-v3.2 usd=0.0021 rule=simple-summaries saved=0.0379"
            ),
            (
                "in=1000 out=500 temperature=0 prompt=TL;DR",
                "deepseek/deepseek-v3.2 usd=0.00063 rule=simple-summaries saved=0.01137"
            ),
            (
                "in=1000 out=501 temperature=0.3 prompt=brief",
                "openai/gpt-4.1 usd=0.012008 rule=fallback saved=0"
            ),
            (
                "in=1000 out=500 temperature=0.31 prompt=brief",
                "openai/gpt-4.1 usd=0.012 rule=fallback saved=0"
            ),
            ("in=1000 out=500 prompt=brief", "openai/gpt-4.1 usd=0.012 rule=fallback saved=0"),
            (
                #"in=1000 out=500 capability=coding prompt="Please IMPLEMENT a parser""#,
                "openai/gpt-4.1 usd=0.012 rule=code-generation saved=0"
            ),
            (
                "in=1000 out=500 batch=1 priority=Background",
                "google/gemini-2.5-flash usd=0.00375 rule=batch-processing saved=0.00825"
            ),
            (
                "in=1000 out=500 tier=batch priority=background",
                "google/gemini-2.5-flash usd=0.00375 rule=batch-processing saved=0.00825"
            ),
            (
                "in=1000 out=500 tier=batch batch=0 priority=background",
                "openai/gpt-4.1 usd=0.012 rule=fallback saved=0"
            ),
            // A request that needs what the target cannot do goes on to what can.
            (
                "in=1000 out=500 batch=1 priority=background capability=coding",
                "openai/gpt-4.1 usd=0.012 rule=fallback saved=0"
            ),
            // Neither its context nor its largest answer is large enough.
            (
                "in=64000 out=500 temperature=0.3 prompt=brief",
                "openai/gpt-4.1 usd=0.516 rule=fallback saved=0"
            ),
        ] as [(String, String)])
    func `sends what the guide asks where the guide says`(asked: String, answer: String) {
        #expect(check(ledger(), asked) == Self.allow + answer)
    }

    @Test func `takes the rule's own fallback where the key may not use its model`() {
        let machine = ledger([
            #"APPEND permissions.set {"account":"acme/internal-tools/bot","models":["anthropic/*","deepseek/*"]}"#
        ])
        #expect(
            check(machine, "in=1000 out=500 capability=coding prompt=function")
                == Self.allow
                + "anthropic/claude-sonnet-4.5 usd=0.0225 rule=code-generation saved=-0.0105")
        // The policy's fallback is asked for as if it had been named.
        #expect(
            check(machine, "in=1000 out=500")
                == "+DENY 403 model_denied scope=acme/internal-tools/bot model=openai/gpt-4.1")
    }
    @Test func `passes over what there is no budget for, but not over what would bind anyhow`() {
        let machine = ledger([
            #"APPEND limits.set {"account":"acme","limits":{"usd.day":"0.02"}}"#
        ])
        let code = "in=1000 out=500 capability=coding prompt=function"
        #expect(
            check(machine, code)
                == Self.allow + "openai/gpt-4.1 usd=0.012 rule=code-generation saved=0")
        machine.answer(
            #"APPEND limits.set {"account":"acme","limits":{"usd.day":"0.01"}}"#, at: Self.noon)
        #expect(
            check(machine, code).hasPrefix("+DENY 402 budget_exhausted scope=acme limit=usd.day"))
        #expect(
            check(machine, "in=1000 out=500 batch=1 priority=background").hasSuffix(
                "rule=batch-processing saved=0.00825"))
        machine.answer(
            #"APPEND limits.set {"account":"acme","limits":{"requests.day":0}}"#, at: Self.noon)
        #expect(
            check(machine, "in=1000 out=500 batch=1 priority=background").hasPrefix(
                "+DENY 429 requests_exhausted scope=acme limit=requests.day"))
    }
    @Test func `of a team takes the place of its org's, and without any auto is an error`() {
        let machine = ledger([
            #"APPEND routing.set {"account":"acme","fallback":"gemini-2.5-flash"}"#,
            #"APPEND team.created {"account":"acme/web"}"#,
            #"APPEND key.created {"account":"acme/web/bot"}"#,
        ])
        func answer(_ key: String) -> String {
            machine.answer("CHECK \(key) auto in=1000 out=0", at: Self.noon)
        }
        #expect(
            answer("acme/web/bot")
                == Self.allow + "google/gemini-2.5-flash usd=0.0025 rule=fallback saved=0")
        #expect(answer("acme/internal-tools/bot").contains("model=openai/gpt-4.1"))
        let away = #"APPEND routing.set {"account":"acme/internal-tools","rules":null}"#
        machine.answer(away, at: Self.noon)
        #expect(answer("acme/internal-tools/bot").contains("model=google/gemini-2.5-flash"))
        machine.answer(#"APPEND routing.set {"account":"acme","rules":null}"#, at: Self.noon)
        let (seq, refused) = (machine.seq, answer("acme/internal-tools/bot"))
        #expect(
            refused
                == "-ERR model auto needs rules to choose by: append routing.set for "
                + "acme/internal-tools or acme, or name a model")
        #expect(machine.seq == seq)
    }

    @Test func `answers a repeat as it did, whatever the rules say since`() throws {
        let machine = ledger()
        let line =
            "RESERVE acme/internal-tools/bot auto in=1000 temperature=0.1 prompt=brief id=r1 ttl=600"
        let first = machine.answer(line, at: Self.noon)
        #expect(first.contains(" model=deepseek/deepseek-v3.2 "))
        #expect(first.hasSuffix(" rule=simple-summaries saved=0.06822"))
        for change in [
            #"APPEND routing.set {"account":"acme/internal-tools","fallback":"gpt-4.1"}"#,
            #"APPEND routing.set {"account":"acme/internal-tools","rules":null}"#,
            #"APPEND price.set {"model":"deepseek/deepseek-v3.2","in":"1","out":"1","max_out":99}"#,
        ] {
            machine.answer(change, at: Self.noon)
            #expect(machine.answer(line, at: Self.noon) == first, "after \(change)")
        }
        let hold = String(first.split(separator: " ")[1])
        machine.answer("SETTLE \(hold) in=1000 out=100", at: Self.noon)
        #expect(machine.answer(line, at: Self.noon) == first)
        // Another model, or other numbers, are another request.
        for other in [
            line.replacing(" auto ", with: " deepseek-v3.2 "),
            line.replacing("in=1000", with: "in=1001"), line + " out=8001", line + " tier=flex",
        ] {
            #expect(machine.answer(other, at: Self.noon).hasPrefix("-CONFLICT "), "\(other)")
        }
        // So it is for whoever folds the log anew, or reads a checkpoint of it.
        var book = Book()
        try fold(machine.log, into: &book)
        #expect(book.digest() == machine.digest())
        var bytes = ByteBuffer()
        book.encode(into: &bytes)
        guard let restored = Book(decoding: bytes.bytes) else {
            Issue.record("the checkpoint is not read")
            return
        }
        #expect(restored.digest() == machine.digest())
        #expect(MachineDriver(book: restored).answer(line, at: Self.noon) == first)
    }
    /// A word of a rule may stand anywhere in the prompt, in any case of its ASCII letters.
    @Test(
        arguments: [
            ("Brief", true), ("be brief", true), ("briefly", true), ("a BrIeF one", true),
            ("brie", false), ("b r i e f", false), ("bribrief", true), ("brieff", true),
            ("tl;d", false), ("x tl;dr", true), ("ÉCRIS", false), ("\u{1F600}brief", true),
            (String(repeating: "b", count: 507) + "brief", true),
            (String(repeating: "brie", count: 128), false),
        ])
    func `looks for words in all of the prompt`(prompt: String, finds: Bool) {
        let answer = check(ledger(), "in=1 out=1 temperature=0 prompt=\"\(prompt)\"")
        #expect(answer.contains("rule=simple-summaries") == finds, "\(answer)")
        #expect(answer.contains("rule=fallback") != finds, "\(answer)")
    }
    @Test func `stands in the event`() throws {
        let machine = ledger()
        let line = "RESERVE acme/internal-tools/bot Auto in=1000 out=9 batch=1 priority=background"
        _ = machine.answer(line, at: Self.noon)
        let stored = try #require(machine.log.last)
        try stored.withUnsafeBytes { raw in
            let event = try HoldPlaced(try StoredEvent(Bytes(raw)))
            #expect(event.extras.routing?.rule.string == "batch-processing")
            #expect(event.extras.routing?.saved == 5_549_500)
            #expect(event.extras.askedModel?.string == "auto")
        }
    }
    @Test func `is shown with the account, as it was set`() throws {
        let machine = ledger()
        let json = try machine.account("acme/internal-tools")
        #expect(json["routing"]?["fallback"] == .string("openai/gpt-4.1"))
        #expect(json["routing"]?["rules"]?.array?.count == 3)
        #expect(
            json["routing"]?["rules"]?.array?[1]["fallback"]
                == .string("anthropic/claude-sonnet-4.5"))
        #expect(try machine.account("acme")["routing"] == nil)
    }
    @Test func `is explained step by step`() throws {
        let machine = ledger([
            #"APPEND permissions.set {"account":"acme","models":["openai/*","anthropic/*"]}"#
        ])
        let text = machine.answer(
            "EXPLAIN acme/internal-tools/bot auto in=9 batch=1 priority=background", at: Self.noon)
        let explained = try text.withBytes { try JSON(parsing: $0) }
        #expect(explained["answer"] == .string("allowed"))
        #expect(explained["asked_model"] == .string("auto"))
        #expect(explained["model"] == .string("openai/gpt-4.1"))
        let routing = try #require(explained["routing"])
        #expect(routing["account"] == .string("acme/internal-tools"))
        #expect(routing["rule"] == .string("fallback"))
        let steps = try #require(routing["steps"]?.array)
        #expect(
            steps.map { $0["why"]?.string } == [
                "temperature= is not given, or is more than 0.3", "prompt= has none of its words",
                "every condition is met", "it is not in acme's list of models",
                "no rule has chosen a model",
            ])
    }

    @Test(
        arguments: [
            (#""fallback":"gpt-5""#, "cannot route to [gpt-5]: neither models"),
            (#""fallback":"a b""#, "\"fallback\": \"a b\" is neither provider/model nor an alias"),
            (#""rules":[]"#, "routing.set needs \"fallback\""),
            (#""fallback":"gpt-4.1","rules":{}"#, "\"rules\" must be a list"),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{},"model":"gpt-4.1"}]"#,
                "rule \"x\" has no condition and would match every request"
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{"out":5}}]"#,
                "rule \"x\" needs \"model\""
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"fallback","match":{"out":5},"model":"gpt-4.1"}]"#,
                "rule \"fallback\": that is what the policy's own fallback is called"
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{"out":5},"model":"gpt-4.1"},{"name":"x","match":{"out":6},"model":"gpt-4.1"}]"#,
                "two rules have the name \"x\""
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{"max_out":5},"model":"gpt-4.1"}]"#,
                "routing.set has no field \"max_out\""
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{"temperature":"hot"},"model":"gpt-4.1"}]"#,
                "\"temperature\" must be a plain decimal from 0 to 100"
            ),
            (
                #""fallback":"gpt-4.1","rules":[{"name":"x","match":{"out":5},"model":"m1"},{"name":"y","match":{"out":5},"model":"m2","fallback":"m3"}]"#,
                "cannot route to [m1, m2, m3]: neither models with a price nor known aliases"
            ),
        ] as [(String, String)])
    func `refuses a policy that could not work, and says why`(fields: String, says: String) {
        let answer = ledger().answer(
            #"APPEND routing.set {"account":"acme",\#(fields)}"#, at: Self.noon)
        #expect(answer.hasPrefix("-ERR ") && answer.contains(says), "\(answer)")
    }
    @Test func `keeps its word for itself, and keys from having any`() {
        let machine = ledger()
        #expect(
            machine.answer(
                #"APPEND alias.set {"alias":"AUTO","model":"openai/gpt-4.1"}"#, at: Self.noon
            ).hasPrefix("-ERR alias \"auto\" is the word"))
        #expect(
            machine.answer(
                #"APPEND routing.set {"account":"acme/internal-tools/bot","fallback":"gpt-4.1"}"#,
                at: Self.noon
            ).contains("is a key's path: routing is set for an org or a team"))
        #expect(
            machine.answer(
                "CHARGE acme/internal-tools/bot auto in=1 out=1 id=c", at: Self.noon
            ).hasPrefix("-ERR "))
    }
}

/// Temperatures are compared without a floating point.
@Suite struct `A temperature` {
    @Test(
        arguments: [
            ("0", 0), ("0.3", 300_000), ("0.30000000000000004", 300_000), ("1", 1_000_000),
            ("1.0", 1_000_000), ("0.7000005", 700_001), ("0.70000049", 700_000),
            ("100", 100_000_000),
            ("00.5", 500_000), ("100.0000001", 100_000_000), ("100.000001", nil), ("101", nil),
            ("", nil), (".5", nil), ("5.", nil), ("-1", nil), ("+1", nil), ("1e0", nil),
            ("hot", nil),
            ("0.3.1", nil), ("99999999999999999999999", nil),
            ("0.11111111111111111111111111111111111111111111", nil),
        ] as [(String, Int32?)])
    func `is a plain decimal in millionths`(text: String, millionths: Int32?) {
        #expect(text.withBytes { Temperature($0)?.millionths } == millionths)
    }
}

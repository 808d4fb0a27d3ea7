import Events
import Ledger
import Testing

/// EXPLAIN of a request that is not made: what would be answered, and by whose doing.
@Suite struct `An explanation` {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z, a Sunday

    private func ledger(_ lines: [String] = []) -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"APPEND price.set {"model":"openai/gpt-4.1","in":"10","out":"20","max_out":1000}"#,
            #"APPEND alias.set {"alias":"gpt-4.1","model":"openai/gpt-4.1"}"#,
            #"APPEND org.created {"account":"acme","limits":{"usd.month":"100","usd.day":"50"}}"#,
            #"APPEND team.created {"account":"acme/ml","limits":{"usd.day":"3","concurrency":5}}"#,
            #"APPEND key.created {"account":"acme/ml/prod","limits":{"requests.minute":9}}"#,
        ] + lines {
            let answer = machine.answer(line, at: Self.noon)
            precondition(!answer.hasPrefix("-"), "\(line): \(answer)")
        }
        return machine
    }
    private func explain(_ machine: MachineDriver, _ words: String) throws -> JSON {
        try machine.answer("EXPLAIN " + words, at: Self.noon).withBytes { try JSON(parsing: $0) }
    }
    private func refusing(_ explained: JSON) -> [String] {
        (explained["checks"]?.array ?? []).filter { $0["passes"] == .bool(false) }
            .compactMap { $0["check"]?.string }
    }

    @Test func `of what is allowed names the limit that will be the first to refuse`() throws {
        let machine = ledger(["RESERVE acme/ml/prod gpt-4.1 in=50000 out=0"])
        let explained = try explain(machine, "acme/ml/prod GPT-4.1 in=100000 out=0")
        #expect(explained["answer"] == .string("allowed"))
        #expect(explained["model"] == .string("openai/gpt-4.1"))
        #expect(explained["asked_model"] == .string("GPT-4.1"))
        #expect(explained["usd"] == .string("1"))
        #expect(refusing(explained) == [])
        #expect(explained["binds"]?["account"] == .string("acme/ml"))
        #expect(explained["binds"]?["limit"] == .string("usd.day"))
        #expect(explained["binds"]?["more"] == .number("2"))
        let limits = try #require(explained["limits"]?.array)
        #expect(
            limits.map { "\($0["account"]!.string!) \($0["limit"]!.string!)" } == [
                "acme/ml usd.day", "acme usd.day", "acme usd.month", "acme/ml/prod requests.minute",
                "acme/ml concurrency",
            ])
        #expect(limits[0]["held"] == .string("0.5") && limits[0]["left"] == .string("2.5"))
        #expect(limits[0]["resets_at"] == .string("2026-11-23T00:00:00Z"))
    }
    @Test func `of what is refused tells everything that is wrong, not the first alone`() throws {
        let machine = ledger([
            #"APPEND permissions.set {"account":"acme/ml","models":["anthropic/*"],"scopes":[]}"#
        ])
        let explained = try explain(
            machine, "acme/ml/prod gpt-4.1 in=400000 out=0 scope=chat:create")
        #expect(explained["reason"] == .string("scope_denied"))
        #expect(explained["status"] == .number("403"))
        #expect(refusing(explained) == ["scope_denied", "model_denied", "budget_exhausted"])
        #expect(explained["binds"]?["limit"] == .string("usd.day"))
        #expect(explained["binds"]?["more"] == .number("0"))
    }
    @Test(arguments: [
        ("acme/ml/nope gpt-4.1", "key_unknown"), ("tg_x gpt-4.1", "key_unknown"),
        ("acme/ml/prod gpt-9", "model_malformed"), ("acme/ml/prod openai/gpt-9", "model_unpriced"),
    ])
    func `of what is not understood says how far it is`(words: String, reason: String) throws {
        let explained = try explain(ledger(), words)
        #expect(explained["reason"] == .string(reason))
        #expect(refusing(explained).first == reason)
        let order = explained["checks"]!.array!.compactMap { $0["number"]?.integer }
        #expect(order == order.sorted() && order.count >= 10)
    }
    @Test func `changes nothing and remembers nothing`() throws {
        let machine = ledger(["RESERVE acme/ml/prod gpt-4.1 in=1 out=1 id=r1"])
        let (seq, digest) = (machine.seq, machine.digest())
        let explained = try explain(machine, "acme/ml/prod gpt-4.1 in=1 out=1 id=r1")
        #expect(explained["repeats"] == .string("1-\(seq)"))
        for _ in 0..<50 { _ = try explain(machine, "acme/ml/nope gpt-4.1 id=r2") }
        #expect(machine.seq == seq && machine.digest() == digest)
    }
    @Test func `of what would overflow is an error in words`() throws {
        let machine = ledger([
            #"APPEND price.set {"model":"giant/one","in":"9000000000","out":"1"}"#
        ])
        let explained = try explain(machine, "acme/ml/prod giant/one in=1000000000000 out=0")
        #expect(explained["answer"] == .string("error"))
        #expect(explained["error"]?.string?.contains("overflow") == true)
    }
}

import Events
import Testing

@Suite struct `An account path` {
    @Test(
        arguments: [
            ("acme", .org), ("acme/ml", .team), ("acme/ml/prod", .key), ("a", .org), ("0", .org),
            ("a.b_c-d", .org), ("9-/8./7_", .key),
        ] as [(String, Tier)])
    func `has one to three names`(path: String, tier: Tier) {
        #expect(path.withBytes { AccountPath.tier($0) } == tier)
    }
    @Test(arguments: [
        "", "/", "acme/", "/acme", "acme//prod", "a/b/c/d", "a/b/c/", "Acme", "acme/ML", "-a", ".a",
        "_a", "a b", "a\u{0}", "ä", "a/*", "*", "a\\b", "a/../b", "..", "a@b", "tg_live_x/Y",
    ])
    func `is nothing else`(path: String) { #expect(path.withBytes { AccountPath.tier($0) } == nil) }
    @Test func `has names of 63 bytes at most`() {
        let longest = String(repeating: "a", count: Bounds.nameBytesMax)
        #expect("\(longest)/\(longest)/\(longest)".withBytes { AccountPath.tier($0) } == .key)
        #expect((longest + "a").withBytes { AccountPath.tier($0) } == nil)
        #expect("a/\(longest)a".withBytes { AccountPath.tier($0) } == nil)
    }
    @Test(arguments: [("acme", ""), ("acme/ml", "acme"), ("acme/ml/prod", "acme/ml")])
    func `has a parent`(path: String, parent: String) {
        #expect(path.withBytes { AccountPath.parent($0).string } == parent)
    }
}

@Suite struct `A hold's name` {
    @Test(
        arguments: [
            ("1-1", 1, 1), ("3-184467", 3, 184_467),
            ("4294967295-4611686018427387903", .max, 1 << 62 - 1),
            ("03-007", 3, 7),
        ] as [(String, UInt32, UInt64)])
    func `is its epoch and seq`(text: String, epoch: UInt32, seq: UInt64) {
        #expect(text.withBytes { HoldName(parsing: $0) } == HoldName(epoch: epoch, seq: seq))
    }
    @Test(arguments: [
        "", "-", "1-", "-1", "0-1", "1-0", "1", "1-1-1", "1--1", "4294967296-1", "a-b", "1 -1",
        "1-4611686018427387904", "1-18446744073709551616", "+1-1", "1-1 ",
    ])
    func `is nothing else`(text: String) {
        #expect(text.withBytes { HoldName(parsing: $0) } == nil)
    }
    @Test func `reads what it writes`() {
        let name = HoldName(epoch: 7, seq: 1 << 40)
        #expect(name.description == "7-1099511627776")
        #expect(text { $0.append(name) } == name.description)
        #expect(name.description.withBytes { HoldName(parsing: $0) } == name)
    }
}

@Suite struct `A model's name` {
    @Test(arguments: [
        ("openai/gpt-4.1", true), ("OpenAI/GPT", true), ("a/b/c", true),
        ("bedrock/eu.x:0@1+2", true),
        ("a/b", true), ("gpt", false), ("", false), ("/", false), ("a/", false), ("/a", false),
        ("a//b", false), ("a/b ", false), ("a/*", false), ("a/b\u{0}", false), ("ä/b", false),
        ("a/b?c", false), ("a/b\n", false),
    ])
    func `is provider/model`(name: String, isQualified: Bool) {
        #expect(name.withBytes { ModelName.isQualified($0) } == isQualified)
    }
    @Test(arguments: [
        ("smart", true), ("gpt-4.1:latest", true), ("", false), ("a/b", false), ("a b", false),
        ("*", false),
    ])
    func `may be an alias`(name: String, isAlias: Bool) {
        #expect(name.withBytes { ModelName.isAlias($0) } == isAlias)
    }
    @Test func `has 200 bytes at most`() {
        let longest = "a/" + String(repeating: "b", count: Bounds.modelBytesMax - 2)
        #expect(longest.withBytes { ModelName.isQualified($0) })
        #expect(!(longest + "b").withBytes { ModelName.isQualified($0) })
        let alias = String(repeating: "b", count: Bounds.modelBytesMax)
        #expect(alias.withBytes { ModelName.isAlias($0) })
        #expect(!(alias + "b").withBytes { ModelName.isAlias($0) })
    }
    @Test(arguments: [
        ("*", true), ("openai/*", true), ("bedrock/eu/*", true), ("openai/gpt-4.1", true),
        ("", false), ("**", false), ("*/gpt", false), ("openai/gpt*", false), ("openai/", false),
        ("/*", false), ("openai", false), ("openai/*/x", false), ("openai/**", false),
    ])
    func `may be a pattern`(text: String, isPattern: Bool) {
        #expect(text.withBytes { ModelName.isPattern($0) } == isPattern)
    }
    @Test(arguments: [
        ("*", "openai/gpt", true), ("*", "openai/*", true), ("*", "*", true),
        ("openai/*", "openai/gpt", true), ("openai/*", "openai/a/b", true),
        ("openai/*", "openai/*", true), ("openai/*", "openai/", true),
        ("openai/*", "openai", false), ("openai/*", "openai2/gpt", false),
        ("openai/*", "*", false), ("openai/gpt", "openai/gpt", true),
        ("openai/gpt", "openai/gpt-4", false), ("openai/gpt", "openai/*", false),
        ("bedrock/eu/*", "bedrock/us/x", false), ("bedrock/eu/*", "bedrock/*", false),
    ])
    func `is admitted by patterns`(pattern: String, name: String, isAdmitted: Bool) {
        let result = pattern.withBytes { pattern in
            name.withBytes { ModelName.matches(pattern: pattern, $0) }
        }
        #expect(result == isAdmitted)
    }
}

@Suite struct `An actor` {
    @Test(
        arguments: [
            (.daemon, 0, nil, nil), (.uid(0), 0x8000_0000, 0, nil),
            (.uid(1_000), 0x8000_03E8, 1_000, nil), (.operatorNumber(0), 1, nil, 0),
            (.operatorNumber(41), 42, nil, 41), (.uid(0x7FFF_FFFF), .max, 0x7FFF_FFFF, nil),
        ] as [(Actor, UInt32, UInt32?, UInt32?)])
    func `is one number`(actor: Actor, raw: UInt32, uid: UInt32?, number: UInt32?) {
        #expect(actor.raw == raw)
        #expect(actor.uid == uid)
        #expect(actor.operatorNumber == number)
    }
}

@Suite struct `The numbers of the log` {
    @Test func `are told apart and never change`() {
        // Written out once more: a change here is a change of every log there is.
        #expect(
            EventType.allCases.map(\.rawValue)
                == [
                    1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28,
                    29, 30, 31, 33, 40, 41, 50, 51, 52, 53, 54, 55, 56, 58,
                ])
        #expect(
            Refusal.allCases.map(\.rawValue)
                == [1, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33, 40, 41, 42])
        #expect(
            Refusal.allCases.map(\.status)
                == [503, 401, 401, 401, 403, 400, 400, 403, 403, 402, 402, 429, 429, 429, 429, 429])
        #expect(LimitKind.all.map(\.raw) == Array(0..<19))
        #expect(Role.allCases.map(\.rawValue) == [0, 1, 2, 3, 4])
    }
    @Test func `have names that lead back`() {
        for type in EventType.allCases { #expect(EventType(Bytes(type.name)) == type) }
        for kind in LimitKind.all {
            #expect(LimitKind(Bytes(kind.name)) == kind)
            #expect(LimitKind(stored: kind.raw) == kind)
            if let unit = kind.unit, let window = kind.window {
                #expect(LimitKind(unit, window) == kind)
                #expect("\(kind.name)" == "\(unit).\(window)")
                #expect(kind.isMoney == (unit == .usd))
            } else {
                #expect(kind == .concurrency)
            }
        }
        for window in Window.allCases { #expect(Window(Bytes(window.name)) == window) }
        for tier in ServiceTier.allCases { #expect(ServiceTier(Bytes(tier.name)) == tier) }
        for outcome in Outcome.allCases { #expect(Outcome(Bytes(outcome.name)) == outcome) }
        #expect(LimitKind(stored: 19) == nil)
        #expect(LimitKind(Bytes("concurrency.day")) == nil)
        #expect(EventType(Bytes("hold.Placed")) == nil)
        #expect(EventType(Bytes("")) == nil)
    }
    @Test func `of a settlement share a byte of flags`() {
        for outcome in Outcome.allCases {
            for tier in ServiceTier.allCases {
                for late in [false, true] {
                    var header = EventHeader(
                        type: .holdSettled, epoch: 1, seq: 1, time: Instant(seconds: 1),
                        actor: .daemon, account: AccountNumber(0))
                    header.flags = HoldSettled.flags(outcome: outcome, tier: tier, late: late)
                    let event = HoldSettled(
                        header: header, hold: HoldName(epoch: 1, seq: 1), usage: TokenUsage(),
                        usd: .zero, price: 0, milliseconds: 0)
                    #expect(event.outcome == outcome && event.tier == tier && event.isLate == late)
                    #expect(header.flags < 32)
                }
            }
        }
    }
}

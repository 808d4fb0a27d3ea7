import Events
import Ledger
import Testing

/// Every answer of a log derived anew: a true log has no difference, and what was changed in one is found,
/// with both sides.
@Suite struct ReplayTests {
    private struct Outcome {
        var findings: Findings
        var differences: [Difference]
        var seq: UInt64
        var digest: Hash128
    }
    private static func replay(
        _ log: some Sequence<[UInt8]>, goesOn: Bool = true
    ) throws -> Outcome {
        var replay = Replay(calendar: .utc)
        var differences: [Difference] = []
        for event in log {
            let isWhole = try event.withUnsafeBytes { (raw) throws in
                try replay.compare(Bytes(raw), gap: 0) {
                    differences.append($0)
                    return goesOn
                }
            }
            guard isWhole else { break }
        }
        return Outcome(
            findings: replay.findings, differences: differences, seq: replay.seq,
            digest: replay.digest())
    }

    @Test(arguments: TestScale.isLong ? 100..<300 : 100..<106 as Range<UInt64>)
    func `a true log has no difference`(seed: UInt64) throws {
        let machine = HistoryGenerator.history(seed: seed, lines: 2_000)
        let outcome = try Self.replay(machine.log)
        #expect(outcome.differences.map(\.text) == [], "seed \(seed)")
        #expect(outcome.findings.comparedCount == UInt64(machine.log.count))
        #expect(outcome.digest == machine.digest())
    }

    // MARK: Planted

    /// A line that an event of this log is changed by, and what is found.
    private struct Plant {
        var type: EventType
        /// Bytes from an offset on that are added to; amounts and counts are little-endian.
        var offset: Int
        var add: UInt8
        /// Where several events of the type differ in what they have.
        var choose: @Sendable ([UInt8]) -> Bool = { _ in true }
        var field: String
    }
    private static let plants = [
        Plant(type: .holdPlaced, offset: 50, add: 1, field: "usd"),
        Plant(type: .holdPlaced, offset: 36, add: 1, choose: { $0[32] != 255 }, field: "price"),
        // A day more.
        Plant(type: .holdPlaced, offset: 60, add: 2, field: "until"),
        Plant(type: .holdRefused, offset: 32, add: 1, choose: { $0[32] == 40 }, field: "answer"),
        Plant(type: .holdRefused, offset: 57, add: 1, choose: { $0[33] != 255 }, field: "answer"),
        Plant(type: .holdRefused, offset: 65, add: 1, choose: { $0[33] != 255 }, field: "answer"),
        Plant(type: .holdRefused, offset: 81, add: 1, choose: { $0[86] != 0 }, field: "resets"),
        Plant(type: .holdExtended, offset: 54, add: 1, field: "usd"),
        Plant(type: .holdSettled, offset: 69, add: 1, field: "usd"),
        Plant(type: .holdSettled, offset: 77, add: 1, field: "price"),
        Plant(type: .holdSettled, offset: 3, add: 16, choose: { $0[3] & 16 == 0 }, field: "late"),
        Plant(type: .holdLapsed, offset: 52, add: 1, field: "usd"),
        Plant(type: .holdLapsed, offset: 44, add: 1, field: "tokens"),
        Plant(type: .chargeRecorded, offset: 65, add: 1, field: "usd"),
        Plant(type: .holdPlaced, offset: 4, add: 1, field: "epoch"),
    ]

    @Test(arguments: plants.indices)
    func `a changed number is found, with both sides`(i: Int) throws {
        let plant = Self.plants[i]
        var log = HistoryGenerator.history(seed: 109, lines: 2_000).log
        let candidates = log.indices.filter {
            log[$0][2] == plant.type.rawValue && plant.choose(log[$0])
        }
        let at = try #require(candidates.last, "the history has no such event")
        log[at][plant.offset] &+= plant.add
        let outcome = try Self.replay(log, goesOn: false)
        let difference = try #require(outcome.differences.first, "\(plant.type)")
        #expect(difference.seq == UInt64(at + 1))
        #expect(difference.type == plant.type)
        #expect(outcome.seq == UInt64(at), "what differs is not folded")
        let part = try #require(difference.parts.first { $0.field == plant.field })
        #expect(part.logged != part.derived)
    }

    @Test func `a yes that should have been a no is found, with the limit that bound`() throws {
        let machine = MachineDriver()
        for line in [
            #"APPEND org.created {"account":"acme","limits":{"usd.day":"1"}}"#,
            #"APPEND team.created {"account":"acme/ml"}"#,
            #"APPEND key.created {"account":"acme/ml/a"}"#,
            #"APPEND price.set {"model":"m/x","in":"1","out":"1"}"#,
            "RESERVE acme/ml/a m/x in=600000 out=0",
            "RESERVE acme/ml/a m/x in=300000 out=0",
        ] {
            machine.answer(line, at: 1_795_383_060_000_000_000)
        }
        var log = machine.log
        // As if the limit had been lower all along.
        let org = try #require(log.firstIndex { $0[2] == EventType.orgCreated.rawValue })
        log[org] = try #require(
            Self.replacing(#""usd.day":"1""#, #""usd.day":"0.8""#, in: log[org]))
        let found = try Self.replay(log).differences
        #expect(
            found.map(\.text) == [
                "event \(log.count) hold.placed of acme/ml/a: answer: the log says allowed, derived is "
                    + "refused 402 budget_exhausted scope=acme limit=usd.day amount=0.8 used=0 "
                    + "held=0.6"
            ])
    }

    /// What an admin said, as somebody changed it in the log, and what is derived instead.
    private static let documents: [(type: EventType, from: String, to: String, found: String)] = [
        (
            .limitsSet, #""usd.day":"0.5""#, #""usd.day":"5.5""#,
            "derived is an error: usd.day 5.5 exceeds org acme's limit of 1"
        ),
        (.teamCreated, "acme/ml", "acne/ml", "derived is an error: no org \"acne\""),
        (.keyCreated, "acme/ml/a", "acme/mm/a", "derived is an error: no team \"acme/mm\""),
        (.keyCreated, "acme/ml/b", "acme/ml/a", "\"acme/ml/a\" exists already"),
        (.permissionsSet, "m/*", "*x*", "models [*x*] are neither"),
        (.aliasSet, "m/x", "m/y", "model \"m/y\" has no price"),
        (.overrideGranted, #""for":60"#, #""for":61"#, #""until":"2026-11-22T21:32:01Z""#),
        (.chargeCorrected, "1-16", "1-17", "no charge 1-17 has been recorded"),
        (.accountDisabled, "acme/ml/a", "acme/ml/c", "no account \"acme/ml/c\""),
    ]
    @Test(arguments: documents.indices)
    func `what an admin could not have said is found`(i: Int) throws {
        let machine = MachineDriver()
        for line in [
            #"APPEND org.created {"account":"acme","limits":{"usd.day":"1"}}"#,
            #"APPEND team.created {"account":"acme/ml"}"#,
            #"APPEND limits.set {"account":"acme/ml","limits":{"usd.day":"0.5"}}"#,
            #"APPEND key.created {"account":"acme/ml/a"}"#,
            #"APPEND key.created {"account":"acme/ml/b"}"#,
            #"APPEND permissions.set {"account":"acme/ml","models":["m/*"]}"#,
            #"APPEND price.set {"model":"m/x","in":"1","out":"1"}"#,
            #"APPEND alias.set {"alias":"best","model":"m/x"}"#,
            #"APPEND override.granted {"account":"acme","limit":"usd.day","amount":"2","for":60,"reason":"l"}"#,
            "CHARGE acme/ml/a m/x in=300000 out=0 id=c",
            #"APPEND charge.corrected {"account":"acme/ml/a","charge":"1-16","usd":"0.2","id":"k"}"#,
            #"APPEND account.disabled {"account":"acme/ml/a"}"#,
        ] {
            machine.answer(line, at: 1_795_383_060_000_000_000)
        }
        var log = machine.log
        #expect(try Self.replay(log).differences.isEmpty)
        let document = Self.documents[i]
        let (at, changed) = try #require(
            log.indices.lazy.filter { log[$0][2] == document.type.rawValue }
                .compactMap { at in
                    Self.replacing(document.from, document.to, in: log[at]).map { (at, $0) }
                }.first)
        log[at] = changed
        let found = try Self.replay(log, goesOn: false).differences
        #expect(found.first?.seq == UInt64(at + 1) && found.first?.type == document.type)
        let text = found.first?.text ?? "nothing"
        #expect(text.contains(document.found), "\(text)")
    }

    @Test func `what the daemon has to do by itself, and did not, is found`() throws {
        let second: Int64 = 1_000_000_000
        let start: Int64 = 1_795_383_060 * second
        let machine = MachineDriver()
        for (line, time) in [
            (#"APPEND org.created {"account":"acme","limits":{"usd.day":"1"}}"#, 0),
            (#"APPEND team.created {"account":"acme/ml"}"#, 0),
            (#"APPEND key.created {"account":"acme/ml/a"}"#, 0),
            (#"APPEND price.set {"model":"m/x","in":"1","out":"1"}"#, 0),
            (
                #"APPEND override.granted {"account":"acme","limit":"usd.day","amount":"2","#
                    + #""for":60,"reason":"a launch"}"#, 1
            ),
            ("RESERVE acme/ml/a m/x in=1500000 out=0 ttl=3000", 2),
            ("RESERVE acme/ml/a m/x in=100000 out=0 ttl=3000", 3),
            // The override is over, so this one is refused.
            ("RESERVE acme/ml/a m/x in=100000 out=0 ttl=3000", 100),
        ] {
            machine.answer(line, at: start + Int64(time) * second)
        }
        let log = machine.log
        #expect(try Self.replay(log).differences.isEmpty)
        let ended = try #require(log.firstIndex { $0[2] == EventType.overrideEnded.rawValue })
        var changed = log
        changed.remove(at: ended)
        Self.renumber(&changed)
        let found = try Self.replay(changed).differences
        #expect(found.count == 1)
        #expect(found.first?.type == .holdRefused)
        #expect(found.first?.parts.map(\.field) == ["before it", "answer"])
    }

    /// A flood in one second, as the daemon writes it, and what somebody made of it afterwards.
    private static func flood() throws -> (log: [[UInt8]], sum: Int) {
        let start: Int64 = 1_795_383_060_000_000_000
        let machine = MachineDriver()
        for line in setUp { machine.answer(line, at: start) }
        for _ in 0..<15 { machine.answer("RESERVE acme/ml/a m/x in=2000000 out=0", at: start) }
        machine.answer("RESERVE acme/ml/a m/x in=1 out=0", at: start + 2_000_000_000)
        let sum = try #require(
            machine.log.firstIndex { $0[2] == EventType.refusalsSummed.rawValue })
        return (machine.log, sum)
    }
    private static let setUp = [
        #"APPEND org.created {"account":"acme","limits":{"usd.day":"1"}}"#,
        #"APPEND team.created {"account":"acme/ml"}"#,
        #"APPEND key.created {"account":"acme/ml/a"}"#,
        #"APPEND key.created {"account":"acme/ml/b"}"#,
        #"APPEND price.set {"model":"m/x","in":"1","out":"1"}"#,
    ]

    @Test(arguments: [
        ("nothing", []), ("reason", ["sum"]), ("account", ["sum"]), ("nobody", ["sum"]),
        ("second", ["second"]), ("count 0", ["count"]), ("twice", ["sum"]), ("eleventh", ["event"]),
        ("by a user", ["actor"]),
    ])
    func `a sum of refusals is of what was refused in its second`(
        change: String, fields: [String]
    ) throws {
        var (log, sum) = try Self.flood()
        #expect(log.count { $0[2] == EventType.holdRefused.rawValue } == 10)
        switch change {
        case "reason": log[sum][32] = Refusal.tokensExhausted.rawValue
        case "account": log[sum][28] += 1
        case "nobody": for i in 28..<32 { log[sum][i] = 255 }
        case "second": log[sum][38] -= 1
        case "count 0": for i in 33..<37 { log[sum][i] = 0 }
        case "twice": log.insert(log[sum], at: sum)
        case "eleventh": log.insert(log[sum - 1], at: sum)
        case "by a user": log[sum][27] = 0x80
        default: break
        }
        Self.renumber(&log)
        let found = try Self.replay(log).differences
        #expect(found.flatMap(\.parts).map(\.field) == fields, "\(found.map(\.text))")
    }

    /// Operators: 0 relays anywhere, 1 is of finance, 2 relays within acme/web, 3 develops in acme/ml, 4 is
    /// revoked, 77 was never made.
    @Test(arguments: [
        (0, "RESERVE acme/ml/a m/x in=1 out=0", true),
        (1, "RESERVE acme/ml/a m/x in=1 out=0", false),
        (2, "RESERVE acme/ml/a m/x in=1 out=0", false),
        (2, "RESERVE acme/ml/a m/x in=2000000 out=0", false),
        (2, "RESERVE acme/web/c m/x in=1 out=0", true),
        (4, "RESERVE acme/ml/a m/x in=1 out=0", false),
        (77, "RESERVE acme/ml/a m/x in=1 out=0", false),
        (nil, "RESERVE acme/ml/a m/x in=1 out=0", false),
        (3, #"APPEND key.created {"account":"acme/ml/new"}"#, true),
        (3, #"APPEND key.created {"account":"acme/web/new"}"#, false),
        (3, #"APPEND limits.set {"account":"acme","limits":{"usd.day":"9"}}"#, false),
        (0, #"APPEND limits.set {"account":"acme","limits":{"usd.day":"9"}}"#, false),
        (nil, #"APPEND limits.set {"account":"acme","limits":{"usd.day":"9"}}"#, false),
    ])
    func `an operator may have done it, or it is found`(
        number: UInt32?, line: String, may: Bool
    ) throws {
        let start: Int64 = 1_795_383_060_000_000_000
        let machine = MachineDriver()
        for line in Self.setUp + [
            #"APPEND team.created {"account":"acme/web"}"#,
            #"APPEND key.created {"account":"acme/web/c"}"#,
            #"APPEND operator.created {"operator":"any","role":"relay"}"#,
            #"APPEND operator.created {"operator":"fin","role":"finance"}"#,
            #"APPEND operator.created {"operator":"web","role":"relay","account":"acme/web"}"#,
            #"APPEND operator.created {"operator":"dev","role":"developer","account":"acme/ml"}"#,
            #"APPEND operator.created {"operator":"old","role":"relay"}"#,
            #"APPEND operator.revoked {"operator":"old"}"#,
        ] {
            let answer = machine.answer(line, at: start)
            try #require(!answer.hasPrefix("-"), "\(answer)")
        }
        machine.actor = number.map { .operatorNumber($0) } ?? .daemon
        let before = machine.log.count
        machine.answer(line, at: start)
        try #require(machine.log.count > before)
        let found = try Self.replay(machine.log).differences
        #expect(
            found.flatMap(\.parts).map(\.field) == (may ? [] : ["actor"]), "\(found.map(\.text))")
    }

    /// A start tells of an erasure whose telling a crash cut off, and does what came due in its first turn.
    @Test(arguments: [(Actor.daemon, 0), (Actor.uid(7), 1)])
    func `an erasure waits for what is due only when it was asked for`(
        actor: Actor, differences: Int
    ) throws {
        let start: Int64 = 1_795_383_060_000_000_000
        let machine = MachineDriver()
        for line in [
            #"APPEND org.created {"account":"acme","limits":{"usd.day":"1"}}"#,
            #"APPEND override.granted {"account":"acme","limit":"usd.day","amount":"2","#
                + #""for":1,"reason":"a launch"}"#,
        ] {
            machine.answer(line, at: start)
        }
        var log = machine.log
        let last = try #require(log.last)
        let epoch = try last.withUnsafeBytes { try StoredEvent(Bytes($0)).header.epoch }
        let header = EventHeader(
            type: .personalErased, epoch: epoch, seq: UInt64(log.count + 1),
            time: Instant(nanoseconds: start + 10_000_000_000), actor: actor,
            account: AccountNumber(0))
        let json = #"{"account":"acme","commitments":[],"field":"user"}"#
        var erased = ByteBuffer()
        json.withBytes {
            DocumentEvent(header: header, number: 0, json: $0).encode(into: &erased)
        }
        log.append(Array(UnsafeRawBufferPointer(start: erased.base, count: erased.count)))
        let found = try Self.replay(log).differences
        #expect(found.count == differences)
        #expect(found.allSatisfy { $0.parts.map(\.field) == ["before it"] })
    }

    @Test func `the same request placed twice is found`() throws {
        var log = HistoryGenerator.history(seed: 108, lines: 600).log
        let at = try #require(
            log.indices.last { log[$0][2] == EventType.holdPlaced.rawValue && log[$0][64] > 0 })
        log.insert(log[at], at: at + 1)
        Self.renumber(&log)
        let found = try Self.replay(log[...(at + 1)]).differences
        #expect(found.first?.seq == UInt64(at + 2))
        #expect(found.first?.parts.contains { $0.field == "id" } == true)
    }

    private static func renumber(_ log: inout [[UInt8]]) {
        for i in log.indices {
            for byte in 0..<8 {
                log[i][8 + byte] = UInt8(truncatingIfNeeded: UInt64(i + 1) >> UInt64(8 * byte))
            }
        }
    }
    /// Of an event that carries JSON; its length follows.
    private static func replacing(_ old: String, _ new: String, in event: [UInt8]) -> [UInt8]? {
        let text = String(decoding: event[36...], as: UTF8.self)
        guard text.contains(old) else { return nil }
        var changed = Array(event[..<36]) + Array(text.replacing(old, with: new).utf8)
        changed[0] = UInt8(changed.count & 255)
        changed[1] = UInt8(changed.count >> 8)
        return changed
    }
}

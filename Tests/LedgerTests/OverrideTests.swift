import Events
import Ledger
import Testing

/// One limit that is another one until an instant.
@Suite struct `An override` {
    private static let noon: Int64 = 1_795_348_800_000_000_000  // 2026-11-22T12:00:00Z
    private static let hour: Int64 = 3_600_000_000_000
    private static let dollar = "RESERVE acme/ml/prod openai/gpt-4.1 in=100000 out=0 ttl=60"

    /// acme/ml/prod with a model of which `in=100000` costs a dollar.
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
    private func grant(
        _ machine: MachineDriver, _ account: String, _ limit: String, _ amount: String,
        hours: Int64, at time: Int64 = noon
    ) -> String {
        machine.answer(
            #"APPEND override.granted {"account":"\#(account)","limit":"\#(limit)","#
                + #""amount":\#(amount),"for":\#(hours * 3_600),"reason":"drill"}"#, at: time)
    }
    private func isAllowed(_ machine: MachineDriver, at time: Int64) -> Bool {
        machine.answer(Self.dollar, at: time).hasPrefix("+ALLOW")
    }
    /// What the log has, without the windows, which open whenever an hour begins.
    private func types(_ machine: MachineDriver) throws -> [EventType] {
        try machine.log.map { bytes in
            try bytes.withUnsafeBytes { try StoredEvent(Bytes($0)).header.type }
        }.filter { $0 != .windowOpened }
    }

    @Test func `stands to the nanosecond before its instant, and not at it`() throws {
        let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
        #expect(!isAllowed(machine, at: Self.noon))
        #expect(grant(machine, "acme/ml", "usd.total", #""9""#, hours: 48).hasPrefix("{"))
        #expect(isAllowed(machine, at: Self.noon))
        let end = Self.noon + 48 * Self.hour
        #expect(isAllowed(machine, at: end - 1))
        #expect(!isAllowed(machine, at: end))
        // The end stands in the log before what it decides.
        let last = try types(machine).suffix(2)
        #expect(last == [.overrideEnded, .holdRefused])
    }
    @Test func `ends in the turn that comes after it, however late, before holds lapse`() throws {
        let machine = ledger(team: #","limits":{"usd.total":"5"}"#)
        #expect(grant(machine, "acme/ml", "usd.total", #""9""#, hours: 1).hasPrefix("{"))
        #expect(grant(machine, "acme/ml/prod", "concurrency", "3", hours: 2).hasPrefix("{"))
        #expect(isAllowed(machine, at: Self.noon))
        _ = machine.answer("CHECK acme/ml/prod openai/gpt-4.1", at: Self.noon + 99 * Self.hour)
        let last = try types(machine).suffix(3)
        #expect(last == [.overrideEnded, .overrideEnded, .holdLapsed])
    }
    @Test func `of a child is bound by a parent's that ends before it`() {
        let limited = #","limits":{"usd.total":"0"}"#
        let machine = ledger(org: limited, team: limited)
        #expect(
            grant(machine, "acme/ml", "usd.total", #""9""#, hours: 48)
                == "-ERR usd.total 9 exceeds org acme's limit of 0")
        #expect(grant(machine, "acme", "usd.total", #""9""#, hours: 1).hasPrefix("{"))
        #expect(grant(machine, "acme/ml", "usd.total", #""9""#, hours: 48).hasPrefix("{"))
        #expect(isAllowed(machine, at: Self.noon))
        let answer = machine.answer(Self.dollar, at: Self.noon + Self.hour)
        #expect(answer.hasPrefix("+DENY 402 budget_exhausted scope=acme limit=usd.total amount=0"))
    }
    @Test func `of a limit that is not set makes one for a time`() throws {
        let machine = ledger()
        #expect(grant(machine, "acme/ml", "requests.minute", "0", hours: 1).hasPrefix("{"))
        #expect(!isAllowed(machine, at: Self.noon))
        let entry = try machine.usage("acme/ml", at: Self.noon)["limits"]?["requests.minute"]
        #expect(entry?["limit"] == .integer(0) && entry?["base"] == .null)
        #expect(isAllowed(machine, at: Self.noon + Self.hour))
        #expect(
            try machine.usage("acme/ml", at: Self.noon + Self.hour)["limits"]?["requests.minute"]
                == nil)
    }
    @Test func `lets what is set meanwhile count when it is over`() {
        let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
        #expect(grant(machine, "acme/ml", "usd.total", #""1""#, hours: 1).hasPrefix("{"))
        let set = #"APPEND limits.set {"account":"acme/ml","limits":{"usd.total":"2"}}"#
        #expect(machine.answer(set, at: Self.noon).hasPrefix("{"))
        #expect(isAllowed(machine, at: Self.noon))
        #expect(!isAllowed(machine, at: Self.noon))
        #expect(isAllowed(machine, at: Self.noon + Self.hour))
    }
    @Test func `granted anew replaces the one that stood, longer or shorter`() {
        for (hours, later) in [(5, true), (1, false)] as [(Int64, Bool)] {
            let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
            #expect(grant(machine, "acme/ml", "usd.total", #""5""#, hours: 3).hasPrefix("{"))
            #expect(grant(machine, "acme/ml", "usd.total", #""5""#, hours: hours).hasPrefix("{"))
            #expect(isAllowed(machine, at: Self.noon + Self.hour - 1))
            #expect(isAllowed(machine, at: Self.noon + 4 * Self.hour) == later)
            #expect(!isAllowed(machine, at: Self.noon + 5 * Self.hour))
        }
    }
    @Test func `ended early and granted again is not ended by the first one's instant`() {
        let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
        #expect(grant(machine, "acme/ml", "usd.total", #""5""#, hours: 1).hasPrefix("{"))
        let end = #"APPEND override.ended {"account":"acme/ml","limit":"usd.total"}"#
        #expect(machine.answer(end, at: Self.noon).hasPrefix("{"))
        #expect(machine.answer(end, at: Self.noon).hasPrefix("-ERR no override of usd.total"))
        #expect(!isAllowed(machine, at: Self.noon))
        #expect(grant(machine, "acme/ml", "usd.total", #""5""#, hours: 2).hasPrefix("{"))
        #expect(isAllowed(machine, at: Self.noon + Self.hour))
        #expect(!isAllowed(machine, at: Self.noon + 2 * Self.hour))
    }
    @Test func `survives a checkpoint, and still ends by itself`() throws {
        let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
        #expect(grant(machine, "acme/ml", "usd.total", #""5""#, hours: 1).hasPrefix("{"))
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        let restored = MachineDriver(book: try restoredBook(bytes.bytes))
        #expect(restored.digest() == machine.digest())
        #expect(isAllowed(restored, at: Self.noon + Self.hour - 1))
        #expect(!isAllowed(restored, at: Self.noon + Self.hour))
        let last = try types(restored).suffix(2)
        #expect(last == [.overrideEnded, .holdRefused])
    }
    @Test func `asked for again with its id is the same, though the clock went on`() {
        let machine = ledger(team: #","limits":{"usd.total":"0"}"#)
        let line =
            #"APPEND override.granted {"account":"acme/ml","limit":"usd.total","amount":"1","#
            + #""for":60,"reason":"r","id":"o"}"#
        let first = machine.answer(line, at: Self.noon)
        #expect(first.hasPrefix("{"))
        #expect(machine.answer(line, at: Self.noon + Self.hour) == first)
        let other = line.replacing("\"for\":60", with: "\"for\":61")
        #expect(machine.answer(other, at: Self.noon).hasPrefix("-CONFLICT"))
    }
}

import Events
import Testing
import Wire

@Suite struct `Replies` {
    static let hold = HoldName(epoch: 3, seq: 184_467)
    static let until = Instant(seconds: 1_795_341_600)

    private func line(_ answer: Answer) -> String {
        var out = ByteBuffer()
        var seconds = SecondText()
        out.reply(answer, &seconds)
        return shown(out)
    }
    private func denial(
        _ reason: Refusal, resetsAfter nanoseconds: Int64? = nil, _ limit: LimitKind? = nil,
        scope: Bytes = .empty, model: Bytes = .empty
    ) -> Answer {
        var denial = Denial(reason, now: Self.until)
        denial.scope = scope
        denial.model = model
        denial.limit = limit
        denial.amount = 500_000_000_000
        denial.used = 499_200_000_000
        denial.held = 790_000_000
        denial.resets = nanoseconds.map { Instant(nanoseconds: Self.until.nanoseconds + $0) }
        return .denied(denial)
    }

    @Test func `answers are one line in the design's words`() {
        let model = Bytes("openai/gpt-4.1")
        let cases: [(Answer, String)] = [
            (
                .allowed(
                    hold: Self.hold, model: model, usd: Nanodollars(13_600_000), until: Self.until),
                "+ALLOW 3-184467 model=openai/gpt-4.1 usd=0.0136 until=2026-11-22T10:00:00Z|"
            ),
            (.wouldAllow(model: model, usd: .zero), "+ALLOW - model=openai/gpt-4.1 usd=0|"),
            (
                .settled(hold: Self.hold, usd: Nanodollars(9_200_000), left: nil, late: false),
                "+SETTLED 3-184467 usd=0.0092|"
            ),
            (
                .settled(
                    hold: Self.hold, usd: .zero, left: Nanodollars(-2_500_000_000), late: true),
                "+SETTLED 3-184467 usd=0 left=-2.5 late=1|"
            ),
            (
                .extended(hold: Self.hold, usd: Nanodollars(20_000_000), until: Self.until),
                "+EXTENDED 3-184467 usd=0.02 until=2026-11-22T10:00:00Z|"
            ),
            (.released(hold: Self.hold), "+RELEASED 3-184467|"),
            (
                .charged(charge: Self.hold, usd: Nanodollars(1), left: Nanodollars(5_000_000_000)),
                "+CHARGED 3-184467 usd=0.000000001 left=5|"
            ),
            (.failed(Failure(.unknownHold, "no hold\r\n3-7\u{07}")), "-NOHOLD no hold  3-7 |"),
            (denial(.paused), "+DENY 503 paused|"),
            (denial(.keyUnknown), "+DENY 401 key_unknown|"),
            (
                denial(.modelUnpriced, scope: Bytes("acme"), model: model),
                "+DENY 400 model_unpriced scope=acme model=openai/gpt-4.1|"
            ),
            (
                denial(
                    .budgetExhausted, resetsAfter: 31_875_000_000_000, LimitKind(.usd, .day),
                    scope: Bytes("acme/ml-platform")),
                "+DENY 402 budget_exhausted scope=acme/ml-platform limit=usd.day amount=500 "
                    + "used=499.2 held=0.79 retry_after=31875.000|"
            ),
            (
                denial(.concurrency, LimitKind.concurrency, scope: Bytes("acme")),
                "+DENY 429 concurrency scope=acme limit=concurrency amount=500000000000 "
                    + "used=499200000000 held=790000000|"
            ),
        ]
        for (answer, expected) in cases { #expect(line(answer) == expected) }
    }

    @Test(
        arguments: [
            (0, "0.000"), (1, "0.001"), (999_999, "0.001"), (1_000_000, "0.001"),
            (1_000_001, "0.002"),
            (-1, "0.000"), (-5_000_000_000, "0.000"), (1_234_000_000, "1.234"),
            (999_000_000_001, "999.001"), (59_999_999_999, "60.000"),
        ] as [(Int64, String)])
    func `retry_after is rounded up and never negative`(nanoseconds: Int64, expected: String) {
        let text = line(denial(.requestsPerMinute, resetsAfter: nanoseconds))
        #expect(text == "+DENY 429 requests_per_minute retry_after=\(expected)|")
    }
    @Test func `a request that may not wait is told how many do`() {
        var denial = Denial(.concurrency, now: .distantPast)
        denial.waiting = 1_000
        #expect(line(.denied(denial)) == "+DENY 429 concurrency waiting=1000|")
    }
    @Test func `retry_after survives the ends of time`() {
        var denial = Denial(.paused, now: .distantPast)
        denial.resets = .distantFuture
        #expect(line(.denied(denial)) == "+DENY 503 paused retry_after=9223372036.855|")
        denial.now = .distantFuture
        denial.resets = .distantPast
        #expect(line(.denied(denial)) == "+DENY 503 paused retry_after=0.000|")
    }
    @Test func `a model cannot forge a word or a line`() {
        let model = Bytes("a/b usd=0\r\n+ALLOW\u{7F}ü")
        #expect(
            line(denial(.modelMalformed, model: model))
                == #"+DENY 400 model_malformed model=a/b\x20usd=0\x0d\x0a+ALLOW\x7f\xc3\xbc|"#)
    }
    @Test func `the remembered second is the asked one`() {
        var seconds = SecondText()
        var out = ByteBuffer()
        for time: Int64 in [5, 5, 6, 5, 1_795_341_600] {
            out.append(seconds.text(of: Instant(seconds: time)))
            out.append(UInt8(ascii: " "))
        }
        out.append(seconds.text(of: Instant(nanoseconds: 5_500_000_000)))
        #expect(
            out.string == "1970-01-01T00:00:05Z 1970-01-01T00:00:05Z 1970-01-01T00:00:06Z "
                + "1970-01-01T00:00:05Z 2026-11-22T10:00:00Z 1970-01-01T00:00:05.5Z")
    }
    /// Every length of number, and its neighbours, where a digit more or less would show.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `numbers are written as they are said`(seed: UInt64) {
        var random = Seeded(state: seed)
        var seconds = SecondText()
        var values: [Int64] = [0, 1, 9, .max]
        for power in 1...18 {
            let ten = (0..<power).reduce(Int64(1)) { value, _ in value * 10 }
            values += [ten - 1, ten, ten + 1, Int64.random(in: ten..<ten * 9, using: &random)]
            // Few digits with zeros behind them, as money has.
            values.append(Int64.random(in: 1...99, using: &random) * (ten / 10))
        }
        for value in values {
            let usd = Nanodollars(value)
            let hold = HoldName(
                epoch: UInt32(truncatingIfNeeded: max(value, 1)), seq: UInt64(value))
            var out = ByteBuffer(capacity: 16)
            out.reply(
                .settled(hold: hold, usd: usd, left: Nanodollars(-value), late: true), &seconds)
            let minus = value > 0 ? "-" : ""
            #expect(
                shown(out)
                    == "+SETTLED \(hold.epoch)-\(value) usd=\(dollars(value)) "
                    + "left=\(minus)\(dollars(value)) late=1|", "seed \(seed)")
            #expect("\(usd)" == dollars(value))
        }
    }
    private func dollars(_ value: Int64) -> String {
        let digits = String(repeating: "0", count: max(0, 10 - "\(value)".count)) + "\(value)"
        var fraction = digits.suffix(9)
        while fraction.last == "0" { fraction.removeLast() }
        return digits.dropLast(9) + (fraction.isEmpty ? "" : "." + fraction)
    }
    @Test func `the longest answer fits`() {
        var worst = Denial(.requestsPerMinute, now: .distantPast)
        let ugly = [UInt8](repeating: 0x80, count: 255)
        worst.limit = LimitKind(.usd, .minute)
        (worst.amount, worst.used, worst.held) = (.min, .min, .min)
        worst.resets = .distantFuture
        ugly.withUnsafeBytes { raw in
            worst.scope = Bytes(raw)
            worst.model = Bytes(raw)
            let text = line(.denied(worst))
            let escaped = String(repeating: "\\x80", count: 255)
            let most = "-9223372036.854775808"
            #expect(
                text == "+DENY 429 requests_per_minute scope=\(escaped) model=\(escaped) "
                    + "limit=usd.minute amount=\(most) used=\(most) held=\(most) "
                    + "retry_after=9223372036.855|")
        }
    }
    @Test func `pieces follow the version`() {
        var out = ByteBuffer()
        for version in [ProtocolVersion.two, .three] {
            out.reply(nullFor: version)
            out.reply(map: 1, version)
            out.reply(set: 2, version)
        }
        out.reply(array: 0)
        out.reply(integer: -7)
        out.reply(bulk: "a\r\nb" as String)
        #expect(shown(out) == "$-1|*2|*2|_|%1|~2|*0|:-7|$4|a|b|")
    }
}

@Suite struct `Handshake replies` {
    private func client(_ line: String, name: String = "", _ version: ProtocolVersion = .two)
        -> String
    {
        let client = Handshake.Client(
            id: 9, name: name, version: version, address: "/run/t.sock", user: "relay-1",
            ageSeconds: 4)
        return written(line) { (arguments, out) in
            if let set = Handshake.client(arguments, client, into: &out) { out.append("=\(set)") }
        }
    }
    @Test func `HELLO says who we are in the chosen version`() {
        var out = ByteBuffer()
        Handshake.hello(id: 9, .three, tollgateVersion: "0.1.0", into: &out)
        #expect(
            shown(out)
                == "%8|$6|server|$8|tollgate|$7|version|$5|7.0.0|$16|tollgate_version|$5|0.1.0|"
                + "$5|proto|:3|$2|id|:9|$4|mode|$10|standalone|$4|role|$6|master|$7|modules|*0|")
        out.removeAll()
        Handshake.hello(id: 9, .two, tollgateVersion: "0.1.0", into: &out)
        #expect(shown(out).hasPrefix("*16|$6|server|"))
    }
    @Test func `small talk`() {
        #expect(written("PING") { Handshake.ping($0, into: &$1) } == "+PONG|")
        #expect(written("PING hi") { Handshake.ping($0, into: &$1) } == "$2|hi|")
        #expect(
            written("PING a b") { Handshake.ping($0, into: &$1) }
                == "-ERR wrong number of arguments for 'ping' command|")
        #expect(written("ECHO x") { Handshake.echo($0, into: &$1) } == "$1|x|")
        #expect(written("SELECT 0") { Handshake.select($0, into: &$1) } == "+OK|")
        #expect(
            written("SELECT 1") { Handshake.select($0, into: &$1) }
                == "-ERR DB index is out of range|")
    }
    @Test func `CLIENT knows this connection`() {
        #expect(client("CLIENT ID") == ":9|")
        #expect(client("client setname me") == "+OK|=me")
        #expect(
            client("CLIENT SETNAME 'a b'")
                == "-ERR Client names cannot contain spaces, newlines or special characters.|")
        #expect(client("CLIENT GETNAME") == "$-1|")
        #expect(client("CLIENT GETNAME", .three) == "_|")
        #expect(client("CLIENT GETNAME", name: "me") == "$2|me|")
        #expect(client("CLIENT SETINFO LIB-NAME redis-py") == "+OK|")
        #expect(client("CLIENT NO-EVICT on") == "+OK|")
        #expect(client("CLIENT NO-TOUCH off") == "+OK|")
        #expect(client("CLIENT INFO").contains("id=9 addr=/run/t.sock "))
        #expect(
            client("CLIENT TRACKING on") == "-ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.|")
        #expect(
            client("CLIENT MAINT_NOTIFICATIONS ON")
                == "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.|")
        #expect(client("CLIENT") == "-ERR wrong number of arguments for 'client' command|")
        #expect(
            client("CLIENT SETNAME")
                == "-ERR wrong number of arguments for 'client|setname' command|")
    }
    @Test func `CONFIG GET answers what it knows`() {
        func get(_ line: String) -> String {
            written(line) { Handshake.config($0, clientsMax: 99, .two, into: &$1) }
        }
        #expect(get("CONFIG GET save") == "*2|$4|save|$0||")
        #expect(get("config get MaxClients") == "*2|$10|maxclients|$2|99|")
        #expect(get("CONFIG GET nothing") == "*0|")
        #expect(get("CONFIG GET databases appendonly").hasPrefix("*4|"))
        #expect(get("CONFIG GET *").hasPrefix("*16|"))
        #expect(get("CONFIG GET max*").hasPrefix("*6|"))
        #expect(get("CONFIG SET save x") == "-ERR unknown subcommand 'SET'. Try CONFIG HELP.|")
        #expect(get("CONFIG GET") == "-ERR wrong number of arguments for 'config|get' command|")
    }
    @Test func `COMMAND describes every verb`() {
        func command(_ line: String, _ version: ProtocolVersion = .two) -> String {
            written(line) { Handshake.command($0, version, into: &$1) }
        }
        #expect(command("COMMAND COUNT") == ":\(Verb.allCases.count)|")
        #expect(
            command("COMMAND").hasPrefix("*\(Verb.allCases.count)|*10|$7|reserve|:-3|*3|+write|"))
        #expect(
            command("COMMAND INFO get nothing")
                == "*2|*10|$3|get|:-2|*1|+readonly|:0|:0|:0|*0|*0|*0|*0|*-1|")
        #expect(command("COMMAND INFO nothing", .three) == "*1|_|")
        #expect(
            command("COMMAND DOCS usage nothing USAGE")
                == "*2|$5|usage|*8|$7|summary|$67|Shows an account's limits with what is used, held and "
                + "left of each.|$5|since|$5|0.1.0|$5|group|$6|server|$9|arguments|*1|*4|$4|name|$9|"
                + "<account>|$4|type|$6|string|")
        #expect(command("COMMAND DOCS", .three).hasPrefix("%\(Verb.allCases.count)|$7|reserve|%4|"))
        #expect(command("COMMAND KEYS") == "-ERR unknown subcommand 'KEYS'. Try COMMAND HELP.|")
    }
}

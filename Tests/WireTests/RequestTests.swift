import Events
import Testing
import Wire

@Suite struct `Typed requests` {
    static let reserve =
        "RESERVE <key> <model>|auto [in= bytes= out= scope= tier= ttl= id= wait= prio= user= project= "
        + "env= ip= ua= ack= \(wishes)]"
    static let check =
        "CHECK <key> <model>|auto [in= bytes= out= scope= tier= ttl= id= user= project= env= ip= ua= "
        + "ack= \(wishes)]"
    static let wishes = "temperature= batch= priority= prompt= capability="
    static let settle =
        "SETTLE <hold> in= out= [cached= cache_write= reasoning= tier= ms= outcome= key= model= ack=]"
    static let most = "1000000000000"
    static let secret = "tg_live_0123456789ABCDEFGHIJKLmnopqrstuvwx"

    static let refusals: [(String, String)] = [
        ("RESERVE", "ERR wrong number of arguments for 'reserve' command"),
        ("reserve a/b", "ERR wrong number of arguments for 'reserve' command"),
        ("CHECK a/b", "ERR wrong number of arguments for 'check' command"),
        ("SETTLE", "ERR wrong number of arguments for 'settle' command"),
        ("RELEASE", "ERR wrong number of arguments for 'release' command"),
        ("CHARGE a/b", "ERR wrong number of arguments for 'charge' command"),
        ("USAGE", "ERR wrong number of arguments for 'usage' command"),
        ("USAGE a b", "ERR wrong number of arguments for 'usage' command"),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("GET a b c", "ERR wrong number of arguments for 'get' command"),
        ("LIST", "ERR wrong number of arguments for 'list' command"),
        ("APPEND org.created", "ERR wrong number of arguments for 'append' command"),
        ("RESERVE a/b m in=1200 out=400", "ok"),
        ("RESERVE a/b m in=0 bytes=9 out=\(most) scope=s tier=batch ttl=1 ack=disk", "ok"),
        ("RESERVE a/b m id=i user=u project=p env=e ip=::1 ua='x y' ttl=86400 tier=flex", "ok"),
        ("RESERVE a/b m foo=1", "ERR RESERVE has no field foo=; the syntax is \(reserve)"),
        ("RESERVE a/b m IN=1", "ERR RESERVE has no field IN=; the syntax is \(reserve)"),
        ("RESERVE a/b m why=1", "ERR RESERVE has no field why=; the syntax is \(reserve)"),
        ("RESERVE a/b m cached=1", "ERR RESERVE has no field cached=; the syntax is \(reserve)"),
        ("RESERVE a/b m 1200", "ERR '1200' is no name=value field; the syntax is \(reserve)"),
        ("RESERVE a/b m =1", "ERR '=1' is no name=value field; the syntax is \(reserve)"),
        ("RESERVE a/b m in=1 in=1", "ERR in= is given twice; the syntax is \(reserve)"),
        (
            "RESERVE a/b m in=",
            "ERR in= has no value: leave it out or give one; the syntax is \(reserve)"
        ),
        ("RESERVE a/b m in=-1", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=+1", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=1e3", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=NaN", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=1.0", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=0x1", "ERR in= must be a whole number from 0 to \(most)"),
        ("RESERVE a/b m in=1000000000001", "ERR in= must be a whole number from 0 to \(most)"),
        (
            "RESERVE a/b m in=9223372036854775808",
            "ERR in= must be a whole number from 0 to \(most)"
        ),
        (
            "RESERVE a/b m in=18446744073709551617",
            "ERR in= must be a whole number from 0 to \(most)"
        ),
        (
            "RESERVE a/b m out=99999999999999999999999",
            "ERR out= must be a whole number from 0 to \(most)"
        ),
        ("RESERVE a/b m ttl=0", "ERR ttl= must be a whole number from 1 to 86400"),
        ("RESERVE a/b m ttl=86401", "ERR ttl= must be a whole number from 1 to 86400"),
        ("RESERVE a/b m tier=gold", "ERR tier= must be standard, batch, flex or priority"),
        ("RESERVE a/b m ack=no", "ERR ack= must be ring or disk"),
        (
            "RESERVE a/b m id=\"a\\nb\"",
            "ERR id= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        (
            "RESERVE a/b m id=\"\\xff\"",
            "ERR id= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        (
            "RESERVE a/b m id=\"12345678\\x7f\"",
            "ERR id= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        (
            "RESERVE a/b m id=\"1234567\\x7f8\"",
            "ERR id= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        ("RESERVE a/b m user=Jürgen-Müller", "ok"),
        ("RESERVE a/b m id=" + String(repeating: "x", count: 128), "ok"),
        (
            "RESERVE a/b m id=" + String(repeating: "x", count: 129),
            "ERR id= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        (
            "RESERVE a/b m scope=" + String(repeating: "x", count: 129),
            "ERR scope= must be 1 to 128 bytes of UTF-8 without control characters"
        ),
        ("RESERVE a/b m ua=" + String(repeating: "x", count: 250), "ok"),
        (
            "RESERVE a/b m ua=" + String(repeating: "x", count: 251),
            "ERR ua= must be 1 to 250 bytes of UTF-8 without control characters"
        ),
        ("RESERVE a/b " + String(repeating: "m", count: 255), "ok"),
        (
            "RESERVE a/b " + String(repeating: "m", count: 256),
            "ERR the model must be 1 to 255 bytes long"
        ),
        ("RESERVE a/b ''", "ERR the model must be 1 to 255 bytes long"),
        ("SETTLE 3-7 in=10 out=5 cached=4 cache_write=6 reasoning=5 ms=4294967295", "ok"),
        ("SETTLE 3-7 in=10 out=5 outcome=estimated tier=priority key=a/b model=m ack=ring", "ok"),
        ("SETTLE 3-7 out=5", "ERR SETTLE needs in=; the syntax is \(settle)"),
        ("SETTLE 3-7 in=5", "ERR SETTLE needs out=; the syntax is \(settle)"),
        (
            "SETTLE 3-7 in=1 out=1 ms=4294967296",
            "ERR ms= must be a whole number from 0 to 4294967295"
        ),
        ("SETTLE 3-7 in=1 out=1 outcome=ok", "ERR outcome= must be exact, partial or estimated"),
        (
            "SETTLE 3-7 in=10 out=5 cached=5 cache_write=6",
            "ERR cached= and cache_write= are parts of in=: together they must not exceed it"
        ),
        (
            "SETTLE 3-7 in=10 out=5 reasoning=6",
            "ERR reasoning= is a part of out=: it must not exceed it"
        ),
        (
            "SETTLE 3-7 in=1 out=1 key=a/b", "ok"
        ),
        (
            "SETTLE 3-7 in=1 out=1 model=m", "ok"
        ),
        (
            "SETTLE 7 in=1 out=1",
            "ERR '7' is no hold: a hold is <epoch>-<seq>, such as 3-184467, as RESERVE answered it"
        ),
        (
            "SETTLE 0-7 in=1 out=1",
            "ERR '0-7' is no hold: a hold is <epoch>-<seq>, such as 3-184467, as RESERVE answered it"
        ),
        ("SETTLE 3-7 in=1 out=1 id=x", "ERR SETTLE has no field id=; the syntax is \(settle)"),
        ("RESERVE a/b m wait=300000 prio=10", "ok"),
        ("RESERVE a/b m wait=1", "ok"),
        (
            "RESERVE a/b m wait=300001",
            "ERR wait= must be a whole number from 1 to 300000"
        ),
        ("RESERVE a/b m wait=1 prio=0", "ERR prio= must be a whole number from 1 to 10"),
        (
            "RESERVE a/b m prio=5",
            "ERR prio= orders those that wait: say how long with wait=, too"
        ),
        ("CHECK a/b m wait=1", "ERR CHECK has no field wait=; the syntax is \(check)"),
        ("EXTEND 3-7 out=5 in=4 ttl=60 ack=disk", "ok"),
        (
            "EXTEND 3-7 in=5",
            "ERR EXTEND needs out=; the syntax is EXTEND <hold> out= [in= ttl= ack=]"
        ),
        ("RELEASE 3-7 why='client went away'", "ok"),
        (
            "RELEASE 3-7 in=1",
            "ERR RELEASE has no field in=; the syntax is RELEASE <hold> [why= ack=]"
        ),
        (
            "RELEASE x",
            "ERR 'x' is no hold: a hold is <epoch>-<seq>, such as 3-184467, as RESERVE answered it"
        ),
        ("CHARGE a/b m in=1 out=1 id=x", "ok"),
        ("USAGE acme/ml", "ok"), ("GET acme", "ok"), ("GET hold 3-7", "ok"),
        ("GET price openai/gpt", "ok"), ("GET operator relay-1", "ok"), ("GET account hold", "ok"),
        (
            "GET thing x",
            "ERR GET knows no 'thing'; the syntax is GET <account> | account|hold|price|alias|operator <name> [<version>]"
        ),
        ("USAGE Acme", "ERR 'Acme' is no account: \(AccountPath.rule)"),
        ("LIST keys under=acme after=acme/a limit=1000", "ok"),
        ("LIST keys limit=1001", "ERR limit= must be a whole number from 1 to 1000"),
        ("LIST keys limit=0", "ERR limit= must be a whole number from 1 to 1000"),
        ("LIST keys under=A", "ERR under='A' is no account: \(AccountPath.rule)"),
        (
            "LIST all",
            "ERR LIST knows no 'all'; the syntax is LIST orgs|teams|keys|prices|aliases|operators|overrides [under= after= limit=]"
        ),
        ("EVENTS", "ok"),
        ("EVENTS from=1 to=4611686018427387903 limit=10000 type=hold.placed account=acme", "ok"),
        ("EVENTS from=0", "ERR from= must be a whole number from 1 to 4611686018427387903"),
        (
            "EVENTS to=4611686018427387904",
            "ERR to= must be a whole number from 1 to 4611686018427387903"
        ),
        ("EVENTS limit=10001", "ERR limit= must be a whole number from 1 to 10000"),
        ("LOG from=1", "ok"), ("LOG from=1 to=4611686018427387903 limit=65536", "ok"),
        ("LOG from=1 limit=65537", "ERR limit= must be a whole number from 1 to 65536"),
        ("LOG from=0", "ERR from= must be a whole number from 1 to 4611686018427387903"),
        ("LOG to=7", "ERR LOG needs from=; the syntax is LOG from= [to= limit=]"),
        (
            "LOG from=1 type=hold.placed",
            "ERR LOG has no field type=; the syntax is LOG from= [to= limit=]"
        ),
        ("LOG", "ERR wrong number of arguments for 'log' command"),
        ("NAMES accounts", "ok"), ("NAMES models from=0", "ok"),
        ("NAMES operators from=4294967294", "ok"),
        (
            "NAMES accounts from=4294967295",
            "ERR from= must be a whole number from 0 to 4294967294"
        ),
        (
            "NAMES keys",
            "ERR NAMES knows no 'keys'; the syntax is NAMES accounts|models|operators [from=]"
        ),
        ("APPEND org.created '{\"account\": \"acme\"}'", "ok"),
        (
            "APPEND org.created {} x",
            "ERR APPEND takes a type and one JSON text: put the JSON in single quotes, APPEND org.created '{\"account\": \"acme\"}'"
        ),
        ("AUTH x", "ERR AUTH needs an operator's name and secret: AUTH <name> <secret>"),
        ("AUTH", "ERR wrong number of arguments for 'auth' command"),
        ("HELLO", "ok"), ("HELLO 3 AUTH relay x SETNAME me", "ok"),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH relay", "ERR Syntax error in HELLO option 'AUTH'"),
        ("FOO a 'b c'", "ERR unknown command 'FOO', with args beginning with: 'a' 'b c' "),
        ("FOO", "ERR unknown command 'FOO', with args beginning with: "),
        ("TAIL", "ok"), ("tail from=7 account=acme denied", "ok"),
        ("TAIL denied from=7", "ok"), ("TAIL type=hold.placed", "ok"),
        (
            "TAIL denied type=hold.refused",
            "ERR TAIL takes type= or denied, not both: denied names its types"
        ),
        (
            "TAIL denied denied",
            "ERR 'denied' is given twice; the syntax is TAIL [from= type= account= denied]"
        ),
        (
            "TAIL limit=1",
            "ERR TAIL has no field limit=; the syntax is TAIL [from= type= account= denied]"
        ),
    ]
    @Test(arguments: refusals)
    func `a request is taken, or its error names the fix`(line: String, expected: String) {
        #expect(outcome(line) == expected)
    }

    @Test func `a charge needs its id`() {
        #expect(
            outcome("CHARGE a/b m in=1 out=1").hasPrefix(
                "ERR CHARGE needs id=; the syntax is CHARGE <key>"))
    }
    @Test func `only documents an admin writes can be appended`() {
        for type in ["hold.placed", "epoch.started", "org.deleted"] {
            let text = outcome("APPEND \(type) {}")
            #expect(text.hasPrefix("ERR APPEND takes no '\(type)': say one of org.created, "))
        }
    }
    @Test func `an unknown event type is answered with the known ones`() {
        #expect(outcome("EVENTS type=x").hasPrefix("ERR type= must be ledger.created, "))
    }
    @Test func `what unknown command repeats is cut at 128 bytes`() {
        let long = String(repeating: "y", count: 300)
        #expect(outcome("\(long) \(long) z").utf8.count < 400)
    }

    @Test func `every field of a reservation arrives`() throws {
        var ack = Acknowledgement.ring
        try withArguments(
            "reserve acme/ml/prod openai/gpt-4.1 ack=disk ua='c 8' ip=::1 env=prod project=p user=u "
                + "id=i ttl=60 tier=batch scope=chat out=3 bytes=2 in=1"
        ) { (arguments) throws(Failure) in
            let request = try ReserveRequest(arguments, acknowledgement: &ack)
            guard case .path(let key) = request.key else {
                Issue.record("no path")
                return
            }
            #expect(key == "acme/ml/prod" && request.model == "openai/gpt-4.1")
            #expect(request.input == 1 && request.bytes == 2 && request.output == 3)
            #expect(request.scope == "chat" && request.tier == .batch && request.ttl == 60)
            #expect(
                request.text.id == "i" && request.text.user == "u" && request.text.project == "p")
            #expect(request.text.environment == "prod" && request.text.address == "::1")
            #expect(request.text.userAgent == "c 8" && ack == .disk)
        }
    }
    @Test func `every field of a settlement arrives`() throws {
        var ack = Acknowledgement.ring
        try withArguments(
            "SETTLE 3-7 reasoning=1 cache_write=2 cached=3 out=4 in=5 ms=6 outcome=partial tier=flex "
                + "key=\(Self.secret) model=m"
        ) { (arguments) throws(Failure) in
            let request = try SettleRequest(arguments, acknowledgement: &ack)
            #expect(request.hold == HoldName(epoch: 3, seq: 7) && request.milliseconds == 6)
            let usage = TokenUsage(input: 5, output: 4, cached: 3, cacheWrite: 2, reasoning: 1)
            #expect(request.usage == usage && request.outcome == .partial && request.tier == .flex)
            guard case .secret(let key) = request.key else {
                Issue.record("no secret")
                return
            }
            #expect(key.string == Self.secret && request.model == "m" && ack == .disk)
        }
    }
    @Test func `defaults are those of the design`() throws {
        var ack = Acknowledgement.disk
        try withArguments("CHECK nonsense m") { (arguments) throws(Failure) in
            let request = try ReserveRequest(arguments, verb: .check, acknowledgement: &ack)
            guard case .secret = request.key else {
                Issue.record("a key")
                return
            }
            #expect(request.input == nil && request.ttl == nil && ack == .ring)
        }
        try withArguments("EVENTS") { (arguments) throws(Failure) in
            let query = try EventsQuery(arguments)
            #expect(query.from == 1 && query.to == nil && query.limit == 1_000 && query.type == nil)
        }
        try withArguments("LIST orgs") { (arguments) throws(Failure) in
            let query = try ListQuery(arguments)
            #expect(query.limit == 100 && query.under.isEmpty && query.after.isEmpty)
        }
    }

    @Test(arguments: [
        "FOO \(secret)", "\(secret) x", "RESERVE a/b m \(secret)", "RESERVE a/b m kei=\(secret)",
        "RESERVE a/b m \(secret)=1", "GET \(secret)", "GET \(secret) x", "GET hold \(secret)",
        "USAGE \(secret)", "LIST \(secret)", "LIST keys under=\(secret)", "APPEND \(secret) {}",
        "RELEASE \(secret)", "SETTLE x\(secret) in=1 out=1", "HELLO 3 \(secret)", "AUTH \(secret)",
        "RESERVE a/b m in=\(secret)", "RESERVE a/b m tier=\(secret)", "FOO 'a b \(secret) c'",
        "FOO TG_LIVE_0123456789abcdefghijklmnopqrstuvwx", "HELLO \(secret)",
        "RESERVE a/b \(secret)", "RESERVE a/b m user=\(secret)", "RESERVE a/b m id=\(secret)",
        "CHECK \(secret) \(secret)", "RELEASE 1-2 why=\(secret)",
        "CHARGE a/b \(secret) in=1 out=1 id=x", "SETTLE 1-2 in=1 out=1 key=a/b model=\(secret)",
    ])
    func `no error repeats a secret`(line: String) {
        let text = outcome(line)
        #expect(text != "ok" && !text.lowercased().contains("0123456789abc"), "\(text)")
        var out = ByteBuffer()
        out.reply(Failure(.error, "in the text itself: \(Self.secret), \(Self.secret)"))
        #expect(shown(out) == "-ERR in the text itself: tg_***, tg_***|")
    }
    @Test func `what is echoed is one short line of ASCII`() {
        #expect("a\r\nb\u{7F}ü".withBytes { echo($0) } == #"a\x0d\x0ab\x7f\xc3\xbc"#)
        let long = String(repeating: "x", count: 65)
        #expect(long.withBytes { echo($0) } == String(repeating: "x", count: 64) + "...")
        #expect("key=tg_abc def".withBytes { echo($0) } == "key=tg_***")
    }
}

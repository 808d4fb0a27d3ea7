import Events
import Ledger
import Wire

/// A ledger without thread, socket, disk or clock, as the gate drives it.
struct Desk: ~Copyable {
    private(set) var machine: Machine
    private var parser = RequestParser()
    private var seconds = SecondText()
    private var reply = ByteBuffer()
    private var now = Desk.morning
    /// Every event so far, as stored.
    private(set) var log: [[UInt8]] = []

    /// 2026-11-23T10:00:00Z
    private static let morning: Int64 = 1_795_428_000

    init() {
        machine = Machine(book: Book(), calendar: .utc)
        machine.advance(to: Instant(seconds: now))
        machine.start(ledger: String(repeating: "0", count: 32), version: "fuzz")
        collect()
    }
    /// Goes on with a book from elsewhere.
    init(book: consuming Book) {
        now = max(book.time.second, Desk.morning)
        machine = Machine(book: book, calendar: .utc)
    }
    /// With a key, its team, its org and a price.
    static func furnished() -> Desk {
        var desk = Desk()
        for line in furniture { desk.ask(line) }
        return desk
    }

    static let furniture = [
        """
        APPEND org.created '{"account":"acme","limits":{"usd.day":"100","concurrency":8},\
        "on_lapse":"charge_input"}'
        """,
        """
        APPEND team.created '{"account":"acme/ml","limits":{"requests.minute":20,"tokens.hour":900000},\
        "models":["openai/*"]}'
        """,
        #"APPEND key.created '{"account":"acme/ml/prod","limits":{"usd.total":"9"}}'"#,
        """
        APPEND price.set '{"model":"openai/gpt-4.1","in":"8","out":"24","cached":"2","max_out":32768,\
        "variants":[{"tier":"batch","in":"4","out":"12"}]}'
        """,
        #"APPEND alias.set '{"alias":"gpt","model":"openai/gpt-4.1"}'"#,
    ]
    /// A day on which everything happens at least once. `SELECT n` lets n seconds pass.
    static let day =
        furniture + [
            #"APPEND operator.created '{"operator":"relay-1","role":"relay"}'"#,
            "RESERVE acme/ml/prod gpt in=100 out=200 id=r1 user=ann project=p env=e ip=1.2.3.4 ua=x",
            "SETTLE 1-@ in=100 out=20 cached=10 reasoning=5 ms=7", "RESERVE acme/ml/prod gpt in=5",
            "RELEASE 1-@ why=cancelled", "RESERVE acme/ml/prod gpt in=7 out=1 ttl=2",
            "EXTEND 1-@ out=30 in=9 ttl=4", "SELECT 5",
            "CHARGE acme/ml/prod openai/gpt-4.1 in=9 out=9 id=c1 tier=batch",
            #"APPEND charge.corrected '{"account":"acme/ml/prod","charge":"1-@","usd":"1","id":"k1"}'"#,
            "RESERVE acme/ml/prod openai/gpt-4.1 in=90000000 out=9",
            """
            APPEND price.set '{"model":"openai/gpt-4.1","in":"9","out":"30","capabilities":["vision"],\
            "from":"2026-11-23T20:00:00Z"}'
            """, "GET price openai/gpt-4.1", "GET price openai/gpt-4.1 2",
            "CHECK acme/ml/prod gtp in=1", #"APPEND alias.set '{"alias":"best","model":"gpt"}'"#,
            #"APPEND permissions.set '{"account":"acme/ml","models":["GPT","gtp","openai/*"]}'"#,
            "RESERVE acme/ml/prod mistral/large in=1", "RESERVE acme/ml/ghost gpt in=1",
            "SETTLE 1-999 in=1 out=1 key=acme/ml/prod model=gpt",
            #"APPEND limits.set '{"account":"acme/ml/prod","limits":{"usd.total":"5"},"id":"l1"}'"#,
            """
            APPEND override.granted '{"account":"acme/ml/prod","limit":"usd.total","amount":"50",\
            "for":3,"reason":"drill"}'
            """,
            """
            APPEND override.granted '{"account":"acme","limit":"tokens.minute","amount":9,\
            "until":"2026-11-25T00:00:00Z","reason":"drill"}'
            """,
            """
            APPEND billing.set '{"account":"acme","markup_ppm":150000,"currency":"CNY","rate":"1"}'
            """,
            """
            APPEND credit.granted '{"account":"acme","usd":"0.01","source":"sign-up","expires_in":9}'
            """,
            #"APPEND credit.granted '{"account":"acme","usd":"0.002","source":"card","reference":"p"}'"#,
            #"APPEND routing.set '{"account":"acme/ml","rules":[{"name":"short","match":{"out":9,"#
                + #""prompt":["sum"]},"model":"gpt"}],"fallback":"openai/gpt-4.1"}'"#,
            "RESERVE acme/ml/prod auto in=9 out=9 id=a1 prompt=Summary temperature=0.3 batch=1",
            "RESERVE acme/ml/prod auto in=9 out=90 id=a2 capability=vision,tools priority=low",
            "RESERVE acme/ml/prod auto in=9 out=9 id=a1", "CHECK acme/ml/prod auto in=1",
            "EXPLAIN acme/ml/prod auto in=9 out=9",
            "RESERVE acme/ml/prod gpt in=100 out=200 id=r2",
            "SETTLE 1-@ in=900 out=200 cached=10", "RESERVE acme/ml/prod gpt in=1000 out=200",
            "CHARGE acme/ml/prod openai/gpt-4.1 in=900 out=900 id=c3", "USAGE acme", "SELECT 7",
            "USAGE acme/ml/prod", "LIST overrides limit=1",
            "LIST overrides after=acme:tokens.minute",
            "SELECT 3",
            #"APPEND override.ended '{"account":"acme","limit":"tokens.minute","reason":"over"}'"#,
            #"APPEND permissions.set '{"account":"acme/ml/prod","models":[],"scopes":["chat"]}'"#,
            "RESERVE acme/ml/prod gpt in=1 out=1 scope=files",
            """
            APPEND key.created '{"account":"acme/ml/spare","rotate_every":60,"expires_in":86400,\
            "owner":"ann"}'
            """,
            #"APPEND key.rotated '{"account":"acme/ml/spare","grace":9,"id":"q4"}'"#,
            #"APPEND key.rotated '{"account":"acme/ml/spare","grace":9,"id":"q4"}'"#, "SELECT 61",
            #"APPEND account.disabled '{"account":"acme/ml","reason":"drill"}'"#,
            "RESERVE acme/ml/spare gpt in=1 out=1", "GET acme/ml/spare",
            #"APPEND account.enabled '{"account":"acme/ml"}'"#,
            """
            APPEND account.described '{"account":"acme/ml/spare","owner":null,"labels":{"a":"b",\
            "c":null}}'
            """,
            #"APPEND key.revoked '{"account":"acme/ml/spare"}'"#, "LIST keys",
            "RESERVE acme/ml/spare gpt in=1 out=1",
            #"APPEND operator.created '{"operator":"ada","role":"developer","account":"acme/ml"}'"#,
            "LIST operators",
            #"APPEND operator.revoked '{"operator":"relay-1"}'"#, "SELECT 90000",
            "CHARGE acme/ml/prod openai/gpt-4.1 in=9 out=9 id=c2",
            "EXPLAIN acme/ml/prod GPT in=9 out=9 id=r1", "EXPLAIN acme/ml/prod mistral/large",
            "EXPLAIN acme/ml/ghost gpt scope=chat", "EXPLAIN acme/ml/prod gpt in=90000000",
        ]

    /// One line, in which `@` stands for the number of the last event; returns what was asked.
    @discardableResult
    mutating func ask(_ line: String) -> String {
        let text =
            line.split(separator: "@", omittingEmptySubsequences: false)
            .joined(separator: "\(machine.book.seq)") + "\n"
        Array(text.utf8).withUnsafeBytes { raw in _ = answer(Bytes(raw)) }
        return text
    }
    /// The request at the front of the stream; how many bytes it used, and what answers it (nothing
    /// for what a machine alone cannot answer). Nil when the stream goes no further.
    mutating func answer(_ input: Bytes) -> (used: Int, reply: Bytes)? {
        reply.removeAll()
        switch parser.next(input) {
        case .incomplete, .violation: return nil
        case .empty(let used): return (used, .empty)
        case .command(let used, _):
            do throws(Failure) {
                try perform(parser.arguments)
            } catch {
                reply.reply(error)
            }
            collect()
            return (used, reply.bytes)
        }
    }

    private mutating func perform(_ arguments: Arguments) throws(Failure) {
        var acknowledgement = Acknowledgement.ring
        switch Verb(arguments[0]) {
        case .reserve:
            let request = try ReserveRequest(arguments, acknowledgement: &acknowledgement)
            reply.reply(machine.reserve(request), &seconds)
        case .check:
            let request = try ReserveRequest(
                arguments, verb: .check, acknowledgement: &acknowledgement)
            reply.reply(machine.check(request), &seconds)
        case .extend:
            let request = try ExtendRequest(arguments, acknowledgement: &acknowledgement)
            reply.reply(machine.extend(request), &seconds)
        case .settle:
            let request = try SettleRequest(arguments, acknowledgement: &acknowledgement)
            reply.reply(machine.settle(request), &seconds)
        case .release:
            let request = try ReleaseRequest(arguments, acknowledgement: &acknowledgement)
            reply.reply(machine.release(request), &seconds)
        case .charge:
            let request = try ChargeRequest(arguments, acknowledgement: &acknowledgement)
            reply.reply(machine.charge(request), &seconds)
        case .append: try append(try AppendRequest(arguments))
        case .usage, .get, .list: try query(arguments)
        case .explain where !LifeQuery.isMeant(by: arguments):
            let request = try ReserveRequest(
                arguments, verb: .explain, acknowledgement: &acknowledgement)
            var json = ByteBuffer()
            machine.explain(request, into: &json)
            reply.reply(bulk: json.bytes)
        case .select:
            guard arguments.count == 2, let number = arguments[1].unsignedDecimal else { return }
            now += Int64(number % 1_000_000)
            machine.advance(to: Instant(seconds: now))
        default: return
        }
    }
    private mutating func append(_ request: AppendRequest) throws(Failure) {
        let payload: JSON
        do throws(JSONError) {
            payload = try JSON(parsing: request.json)
        } catch {
            throw Failure(.error, error.explanation)
        }
        // What the gate would make by chance is made of the number of the event here.
        let digest = (0..<32).map { UInt8(truncatingIfNeeded: Int(machine.book.seq) * 31 + $0) }
        _ = try machine.append(request.type, payload, secret: digest)
    }
    private mutating func query(_ arguments: Arguments) throws(Failure) {
        var json = ByteBuffer()
        switch Verb(arguments[0]) {
        case .usage:
            try machine.book.writeUsage(
                of: try UsageQuery(arguments).account, at: machine.now, calendar: .utc, into: &json)
        case .list:
            let query = try ListQuery(arguments)
            let listing: Listing =
                switch query.kind {
                case .orgs: .orgs
                case .teams: .teams
                case .keys: .keys
                case .prices: .prices
                case .aliases: .aliases
                case .operators: .operators
                case .overrides: .overrides
                }
            try machine.book.writeListing(
                listing, under: query.under, after: query.after, limit: query.limit,
                for: Authority(actor: .daemon, role: .admin), at: machine.now, into: &json)
        default:
            switch try GetQuery(arguments) {
            case .account(let path):
                try machine.book.writeAccount(path, at: machine.now, into: &json)
            case .hold(let name): try machine.book.writeHold(name, into: &json)
            case .price(let model, let version):
                try machine.book.writePrice(model, version: version, into: &json)
            case .alias(let alias): try machine.book.writeAlias(alias, into: &json)
            case .operator(let name): try machine.book.writeOperator(name, into: &json)
            }
        }
        reply.reply(bulk: json.bytes)
    }
    /// Ends the run as the gate would: what is only counted is written.
    mutating func finish() {
        machine.finish()
        collect()
    }
    private mutating func collect() {
        var at = 0
        while at < machine.outbox.count {
            guard let event = try? StoredEvent(machine.outbox.bytes.from(at)) else {
                preconditionFailure("the machine wrote what is no event")
            }
            log.append(event.bytes.array)
            at += event.bytes.count
        }
        machine.outbox.removeAll()
    }
}

import Events
import Wire

/// What one request asks, typed, and what can be answered without a ledger.
///
/// A request that is taken says exactly what was asked: its typed form written as words again has the
/// fields of the original, none more and none less.
struct Verbs: ~Copyable {
    private var seconds = SecondText()
    private var out = ByteBuffer()

    mutating func check(_ arguments: Arguments) throws(Broken) {
        out.removeAll()
        for version in [ProtocolVersion.two, .three] {
            let before = out.count
            do throws(Failure) {
                guard let verb = Verb(arguments[0]) else {
                    throw Handshake.unknownCommand(arguments)
                }
                try answer(verb, arguments, version)
            } catch {
                out.reply(error)
                try Verbs.check(error)
            }
            let reply = out.bytes.from(before)
            if !reply.isEmpty { try ReplyReader.check(reply) }
        }
        guard let asked = Asked(arguments) else { return }
        let first = 1 + asked.positions.count
        // A model may read like a hold, too: the same spelling on both sides.
        try require(
            asked.positions.map(Asked.spelled)
                == (1..<first).map { Asked.spelled(arguments[$0].array) },
            "the request is about \(asked.positions.map(\.text))")
        let given = asked.normal((first..<arguments.count).map { arguments[$0].array })
        let taken = asked.normal(asked.fields)
        try require(given == taken, "\(given) is understood as \(taken)")
    }
    /// One line, and nothing in it that looks like a whole secret.
    static func check(_ failure: Failure) throws(Broken) {
        var out = ByteBuffer()
        out.reply(failure)
        try ReplyReader.check(out.bytes)
        let bytes = Array(failure.text.utf8)
        for i in bytes.indices where bytes[i...].starts(with: "tg_".utf8) {
            try require(bytes[(i + 3)...].first == UInt8(ascii: "*"), "a secret is not masked")
        }
    }

    private mutating func answer(
        _ verb: Verb, _ arguments: Arguments, _ version: ProtocolVersion
    ) throws(Failure) {
        var acknowledgement = Acknowledgement.ring
        switch verb {
        case .reserve, .check:
            let request = try ReserveRequest(
                arguments, verb: verb, acknowledgement: &acknowledgement)
            // The longest answer there is, with the caller's own texts in it.
            var denial = Denial(.modelMalformed, now: Instant(seconds: 1))
            denial.model = request.model
            denial.scope = request.scope
            denial.resets = Instant(nanoseconds: request.input ?? .max)
            out.reply(.denied(denial), &seconds)
        case .extend: _ = try ExtendRequest(arguments, acknowledgement: &acknowledgement)
        case .settle: _ = try SettleRequest(arguments, acknowledgement: &acknowledgement)
        case .release: _ = try ReleaseRequest(arguments, acknowledgement: &acknowledgement)
        case .charge: _ = try ChargeRequest(arguments, acknowledgement: &acknowledgement)
        case .append: _ = try AppendRequest(arguments)
        case .get: _ = try GetQuery(arguments)
        case .list: _ = try ListQuery(arguments)
        case .usage: _ = try UsageQuery(arguments)
        case .rollups: _ = try RollupsQuery(arguments)
        case .events: _ = try EventsQuery(arguments)
        case .tail: _ = try TailQuery(arguments)
        case .erase: _ = try EraseRequest(arguments)
        case .personal: _ = try PersonalQuery(arguments)
        case .tree: _ = try TreeQuery(arguments)
        case .log: _ = try LogQuery(arguments)
        case .names: _ = try NamesQuery(arguments)
        case .explain:
            if LifeQuery.isMeant(by: arguments) {
                _ = try LifeQuery(arguments)
            } else {
                _ = try ReserveRequest(
                    arguments, verb: verb, acknowledgement: &acknowledgement)
            }
        case .auth: _ = try Credentials(arguments)
        case .hello:
            _ = try HelloQuery(arguments)
            Handshake.hello(id: 7, version, tollgateVersion: "1", into: &out)
        case .ping: Handshake.ping(arguments, into: &out)
        case .echo: Handshake.echo(arguments, into: &out)
        case .select: Handshake.select(arguments, into: &out)
        case .command: Handshake.command(arguments, version, into: &out)
        case .config: Handshake.config(arguments, clientsMax: 1, version, into: &out)
        case .client:
            let client = Handshake.Client(
                id: 1, name: "", version: version, address: "", user: "", ageSeconds: 0)
            _ = Handshake.client(arguments, client, into: &out)
        case .info, .quit, .reset: break
        }
    }
}

/// A typed request as the words it was asked with.
private struct Asked {
    /// What has no name: a key and a model, or a hold.
    private(set) var positions: [[UInt8]] = []
    private(set) var fields: [[UInt8]] = []
    /// What is meant when nobody says `ack=`.
    private var usual = "ack=disk"

    /// Nil for a request that is not understood, and for verbs without a typed form to compare.
    init?(_ arguments: Arguments) {
        var acknowledgement: Acknowledgement = .disk
        do throws(Failure) {
            switch Verb(arguments[0]) {
            case .reserve:
                add(try ReserveRequest(arguments, acknowledgement: &acknowledgement))
                usual = "ack=ring"
            case .check:
                add(
                    try ReserveRequest(
                        arguments, verb: .check, acknowledgement: &acknowledgement))
                usual = "ack=ring"
            case .extend:
                let request = try ExtendRequest(arguments, acknowledgement: &acknowledgement)
                add(request.hold)
                add("out", request.output)
                add("in", request.input)
                add("ttl", request.ttl)
                usual = "ack=ring"
            case .settle: add(try SettleRequest(arguments, acknowledgement: &acknowledgement))
            case .release:
                let request = try ReleaseRequest(arguments, acknowledgement: &acknowledgement)
                add(request.hold)
                add("why", request.why)
            case .charge: add(try ChargeRequest(arguments, acknowledgement: &acknowledgement))
            case .list:
                let query = try ListQuery(arguments)
                positions.append(Bytes(query.kind.name).array)
                add("under", query.under)
                add("after", query.after)
                add("limit", Int64(query.limit))
            case .explain:
                guard LifeQuery.isMeant(by: arguments) else {
                    add(
                        try ReserveRequest(
                            arguments, verb: .explain, acknowledgement: &acknowledgement))
                    usual = "ack=ring"
                    break
                }
                let query = try LifeQuery(arguments)
                switch query.name {
                case .hold(let hold): add(hold)
                case .event(let seq): positions.append(Array("\(seq)".utf8))
                }
                add("from", query.from.map { Int64($0) })
            case .events:
                let query = try EventsQuery(arguments)
                add("from", Int64(query.from))
                add("to", query.to.map { Int64($0) })
                add("limit", Int64(query.limit))
                add("type", query.type?.name)
                add("account", query.account)
            case .tail:
                let query = try TailQuery(arguments)
                add("from", query.from.map { Int64($0) })
                add("type", query.type?.name)
                add("account", query.account)
                if query.isDenied { fields.append(Array("denied".utf8)) }
            default: return nil
            }
        } catch {
            return nil
        }
        add("ack", acknowledgement == .ring ? "ring" as StaticString : "disk")
    }

    /// A hold may be named with zeros in front of its numbers; anything else is as it is.
    static func spelled(_ position: [UInt8]) -> [UInt8] {
        guard let hold = position.withUnsafeBytes({ HoldName(parsing: Bytes($0)) }) else {
            return position
        }
        var out = ByteBuffer()
        out.append(hold)
        return out.bytes.array
    }
    /// Fields in one order and one spelling, without those that say what is so anyhow.
    func normal(_ fields: [[UInt8]]) -> [String] {
        let unsaid: Set = [
            "tier=standard", "outcome=exact", "cached=0", "cache_write=0", "reasoning=0", "ms=0",
            "from=1", "limit=\(WireLimits.listLimitDefault)",
            "limit=\(WireLimits.eventsLimitDefault)", usual,
            "prio=\(ReserveRequest.priorityDefault)",
        ]
        let numbers: Set = [
            "in", "bytes", "out", "ttl", "cached", "cache_write", "reasoning", "ms", "from", "to",
            "limit", "wait", "prio",
        ]
        return fields.map { field in
            let parts = field.split(separator: UInt8(ascii: "="), maxSplits: 1)
            // As it is compared: rounded to a millionth.
            if parts.count == 2, Array(parts[0]).text == "temperature",
                let temperature = Array(parts[1]).withUnsafeBytes({ Temperature(Bytes($0)) })
            {
                return "temperature=\(temperature)"
            }
            guard parts.count == 2, numbers.contains(Array(parts[0]).text) else {
                return field.text
            }
            let digits = parts[1].drop { $0 == 48 }
            return Array(parts[0]).text + "=" + (digits.isEmpty ? "0" : Array(digits).text)
        }.filter { !unsaid.contains($0) }.sorted()
    }

    private mutating func add(_ request: ReserveRequest) {
        add(request.key, request.model)
        add("in", request.input)
        add("bytes", request.bytes)
        add("out", request.output)
        add("scope", request.scope)
        add("tier", request.tier.name)
        add("ttl", request.ttl)
        if request.wait > 0 {
            add("wait", request.wait)
            add("prio", Int64(request.priority))
        }
        add("temperature", request.hints.temperature.map { Array("\($0)".utf8) })
        add("batch", request.hints.batch.map { $0 ? 1 : 0 })
        add("priority", request.hints.priority)
        add("prompt", request.hints.prompt)
        add("capability", request.hints.capability)
        add(request.text)
    }
    private mutating func add(_ request: SettleRequest) {
        add(request.hold)
        add(request.usage)
        add("tier", request.tier?.name)
        add("ms", Int64(request.milliseconds))
        add("outcome", request.outcome.name)
        if let key = request.key { add("key", Asked.bytes(key)) }
        add("model", request.model)
    }
    private mutating func add(_ request: ChargeRequest) {
        add(request.key, request.model)
        add(request.usage)
        add("tier", request.tier.name)
        add("ms", Int64(request.milliseconds))
        add("outcome", request.outcome.name)
        add(request.text)
    }
    private mutating func add(_ usage: TokenUsage) {
        add("in", usage.input)
        add("out", usage.output)
        add("cached", usage.cached)
        add("cache_write", usage.cacheWrite)
        add("reasoning", usage.reasoning)
    }
    private mutating func add(_ text: RequestText) {
        add("id", text.id)
        add("user", text.user)
        add("project", text.project)
        add("env", text.environment)
        add("ip", text.address)
        add("ua", text.userAgent)
    }
    private static func bytes(_ key: KeyReference) -> Bytes {
        switch key {
        case .path(let bytes), .secret(let bytes), .digest(let bytes): bytes
        case .malformed: .empty
        }
    }
    private mutating func add(_ key: KeyReference, _ model: Bytes) {
        positions += [Asked.bytes(key).array, model.array]
    }
    private mutating func add(_ hold: HoldName) {
        var out = ByteBuffer()
        out.append(hold)
        positions.append(out.bytes.array)
    }
    private mutating func add(_ name: String, _ value: Int64?) {
        if let value { fields.append(Array("\(name)=\(value)".utf8)) }
    }
    private mutating func add(_ name: String, _ value: [UInt8]?) {
        if let value { fields.append(Array("\(name)=".utf8) + value) }
    }
    private mutating func add(_ name: String, _ value: StaticString?) {
        if let value { fields.append(Array("\(name)=\(value)".utf8)) }
    }
    private mutating func add(_ name: String, _ value: Bytes) {
        if !value.isEmpty { fields.append(Array("\(name)=".utf8) + value.array) }
    }
}

import Events

/// The names of the `name=value` arguments, of all verbs together; lower case only.
enum Field: UInt8, CaseIterable {
    case input, bytes, output, scope, tier, ttl, ack
    case id, user, project, environment, address, userAgent
    case cached, cacheWrite, reasoning, milliseconds, outcome, key, model
    case why, under, after, limit, from, to, type, account
    case temperature, batch, priority, prompt, capability
    case wait, prio, by, zone, with

    var name: StaticString {
        switch self {
        case .input: "in"
        case .bytes: "bytes"
        case .output: "out"
        case .scope: "scope"
        case .tier: "tier"
        case .ttl: "ttl"
        case .ack: "ack"
        case .id: "id"
        case .user: "user"
        case .project: "project"
        case .environment: "env"
        case .address: "ip"
        case .userAgent: "ua"
        case .cached: "cached"
        case .cacheWrite: "cache_write"
        case .reasoning: "reasoning"
        case .milliseconds: "ms"
        case .outcome: "outcome"
        case .key: "key"
        case .model: "model"
        case .why: "why"
        case .under: "under"
        case .after: "after"
        case .limit: "limit"
        case .from: "from"
        case .to: "to"
        case .type: "type"
        case .account: "account"
        case .temperature: "temperature"
        case .batch: "batch"
        case .priority: "priority"
        case .prompt: "prompt"
        case .capability: "capability"
        case .wait: "wait"
        case .prio: "prio"
        case .by: "by"
        case .zone: "zone"
        case .with: "with"
        }
    }
    /// Reads `name=value`; `value` is what follows the first `=`. Nil when there is no such name.
    @inline(__always)
    init?(_ argument: Bytes, value: inout Bytes) {
        guard argument.count >= 2 else { return nil }
        let word = Word.first(argument)
        let equals = Word.bytes(word, equalTo: UInt8(ascii: "="))
        guard equals != 0 else {
            guard let long = Field.long(argument, value: &value) else { return nil }
            self = long
            return
        }
        // Everything up to the `=`, and it.
        guard let named = Field.named(word & (equals & (~equals &+ 1) &- 1)) else { return nil }
        let length = equals.trailingZeroBitCount &>> 3
        value = argument.cut(length &+ 1, argument.count)
        self = named
    }
    /// A name of up to seven letters and its `=`, as they lie in memory, the first lowest.
    /// `WireTests` hold these numbers and the names together.
    @inline(__always)
    private static func named(_ word: UInt64) -> Field? {
        switch word {
        case 0x3D_6E69: .input  // in=
        case 0x3D73_6574_7962: .bytes  // bytes=
        case 0x3D74_756F: .output  // out=
        case 0x3D65_706F_6373: .scope  // scope=
        case 0x3D_7265_6974: .tier  // tier=
        case 0x3D6C_7474: .ttl  // ttl=
        case 0x3D6B_6361: .ack  // ack=
        case 0x3D_6469: .id  // id=
        case 0x3D_7265_7375: .user  // user=
        case 0x3D74_6365_6A6F_7270: .project  // project=
        case 0x3D76_6E65: .environment  // env=
        case 0x3D_7069: .address  // ip=
        case 0x3D_6175: .userAgent  // ua=
        case 0x3D_6465_6863_6163: .cached  // cached=
        case 0x3D_736D: .milliseconds  // ms=
        case 0x3D65_6D6F_6374_756F: .outcome  // outcome=
        case 0x3D79_656B: .key  // key=
        case 0x3D6C_6564_6F6D: .model  // model=
        case 0x3D79_6877: .why  // why=
        case 0x3D72_6564_6E75: .under  // under=
        case 0x3D72_6574_6661: .after  // after=
        case 0x3D74_696D_696C: .limit  // limit=
        case 0x3D_6D6F_7266: .from  // from=
        case 0x3D_6F74: .to  // to=
        case 0x3D_6570_7974: .type  // type=
        case 0x3D74_6E75_6F63_6361: .account  // account=
        case 0x3D6863746162: .batch  // batch=
        case 0x3D74706D6F7270: .prompt  // prompt=
        case 0x3D_7469_6177: .wait  // wait=
        case 0x3D_6F69_7270: .prio  // prio=
        case 0x3D_7962: .by  // by=
        case 0x3D65_6E6F_7A: .zone  // zone=
        case 0x3D68_7469_77: .with  // with=
        default: nil
        }
    }
    /// The names whose `=` is not among the first eight bytes.
    @inline(never)
    private static func long(_ argument: Bytes, value: inout Bytes) -> Field? {
        for field in [Field.reasoning, .cacheWrite, .temperature, .priority, .capability]
        where argument.hasPrefix(field.name) {
            let length = field.name.utf8CodeUnitCount
            guard argument.count > length, argument[at: length] == UInt8(ascii: "=") else {
                continue
            }
            value = argument.cut(length + 1, argument.count)
            return field
        }
        return nil
    }
}

/// Goes through a request's `name=value` arguments and keeps the rules they share: every name once,
/// no empty value, nothing unknown. Each verb says with a `switch` which names it takes.
///
/// Its readers are `mutating` although they change nothing: that passes the cursor by address. By
/// value, or even borrowed, 6.3 copies it for each call, and reads its freshly written fields back
/// in wider words than they were stored in: a stall a field, a third of the whole parse.
struct FieldCursor: ~Copyable {
    let arguments: Arguments
    let verb: Verb
    private var at: Int
    private var seen: UInt64 = 0
    /// The field that `next` returned last.
    private(set) var field = Field.input
    private(set) var value = Bytes.empty

    /// - Parameter first: where the positional arguments end.
    init(_ arguments: Arguments, of verb: Verb, from first: Int) {
        self.arguments = arguments
        self.verb = verb
        at = first
    }

    @inline(__always)
    mutating func next() throws(Failure) -> Field? {
        guard at < arguments.count else { return nil }
        guard let found = Field(arguments[at], value: &value) else { throw notAField() }
        let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: found.rawValue)
        field = found
        guard seen & bit == 0, value.count > 0 else { throw repeatedOrEmpty() }
        seen |= bit
        at &+= 1
        return found
    }
    /// Passes over a bare word, if it stands here.
    mutating func skip(_ word: StaticString) -> Bool {
        guard at < arguments.count, arguments[at] == word else { return false }
        at &+= 1
        return true
    }
    func has(_ field: Field) -> Bool { seen & 1 << UInt64(field.rawValue) != 0 }
    func require(_ field: Field) throws(Failure) {
        guard has(field) else { throw missing(field) }
    }

    // MARK: Values

    // Calls on purpose: copied into every `case` of a verb they make its function so large that the
    // optimiser stops inlining the small things (measured: twice the time).
    @inline(never)
    mutating func number(_ range: ClosedRange<Int64>) throws(Failure) -> Int64 {
        // Eighteen digits hold every bound of ours but the sequence numbers', whose 19 digits go
        // the longer way.
        if let number = value.shortDecimal, range.contains(number) { return number }
        guard value.count == 19, let number = value.unsignedDecimal,
            let signed = Int64(exactly: number), range.contains(signed)
        else { throw notANumber(range) }
        return signed
    }
    @inline(__always)
    mutating func tokens() throws(Failure) -> Int64 {
        // Eight digits are within bounds whatever they say.
        if value.count <= 8, let number = value.eightDigits { return number }
        return try number(0...Bounds.tokensMax)
    }
    @inline(never)
    mutating func text(max: Int = Bounds.textBytesMax) throws(Failure) -> Bytes {
        guard value.count <= max, value.isPlainTextFast else { throw notAText(max) }
        if value.isLikeSecret { throw failure(Failure.secret(in: "\(field.name)=")) }
        return value
    }
    mutating func serviceTier() throws(Failure) -> ServiceTier {
        guard let tier = ServiceTier(value) else {
            throw notOneOf("standard, batch, flex or priority")
        }
        return tier
    }
    mutating func outcome() throws(Failure) -> Outcome {
        guard let outcome = Outcome(value) else { throw notOneOf("exact, partial or estimated") }
        return outcome
    }
    mutating func acknowledgement() throws(Failure) -> Acknowledgement {
        if value == "ring" { return .ring }
        guard value == "disk" else { throw notOneOf("ring or disk") }
        return .disk
    }
    mutating func flag() throws(Failure) -> Bool {
        if value == "1" { return true }
        guard value == "0" else { throw notOneOf("1 or 0") }
        return false
    }
    mutating func temperature() throws(Failure) -> Temperature {
        guard let temperature = Temperature(value) else {
            throw notOneOf("a plain decimal from 0 to \(Temperature.max), such as 0.3")
        }
        return temperature
    }
    mutating func capabilities() throws(Failure) -> Bytes {
        var start = 0
        for i in 0...value.count where i == value.count || value[at: i] == UInt8(ascii: ",") {
            guard AccountPath.isName(value.cut(start, i)) else {
                throw notOneOf("names such as vision, separated by commas")
            }
            start = i + 1
        }
        guard value.count <= Bounds.longTextBytesMax else {
            throw notAText(Bounds.longTextBytesMax)
        }
        return value
    }
    mutating func instant() throws(Failure) -> Instant {
        guard let instant = Instant(parsing: value) else {
            throw notOneOf("an instant such as 2026-11-22T10:00:00Z")
        }
        return instant
    }
    mutating func path() throws(Failure) -> Bytes {
        guard AccountPath.tier(value) != nil else {
            throw failure("\(field.name)='\(echo(value))' is no account: \(AccountPath.rule)")
        }
        return value
    }
    mutating func eventType() throws(Failure) -> EventType {
        guard let type = EventType(value) else {
            throw notOneOf(EventType.allCases.map { "\($0.name)" }.joined(separator: ", "))
        }
        return type
    }

    // MARK: What is wrong
    // Out of line: errors build Strings, and their code must not dilute the parsing loop.

    @inline(never) func failure(_ text: String) -> Failure { Failure(.error, text) }
    @inline(never) func unknown() -> Failure {
        failure("\(verb.name) has no field \(field.name)=; the syntax is \(verb.syntax)")
    }
    @inline(never) private func notAField() -> Failure {
        let argument = arguments[at]
        guard let equals = argument.firstIndex(of: UInt8(ascii: "=")), equals > 0 else {
            return failure(
                "'\(echo(argument))' is no name=value field; the syntax is \(verb.syntax)")
        }
        return failure(
            "\(verb.name) has no field \(echo(argument.cut(0, equals)))=; "
                + "the syntax is \(verb.syntax)")
    }
    @inline(never) private func repeatedOrEmpty() -> Failure {
        if has(field) {
            return failure("\(field.name)= is given twice; the syntax is \(verb.syntax)")
        }
        return failure(
            "\(field.name)= has no value: leave it out or give one; the syntax is \(verb.syntax)")
    }
    @inline(never) private func missing(_ field: Field) -> Failure {
        failure("\(verb.name) needs \(field.name)=; the syntax is \(verb.syntax)")
    }
    @inline(never) private func notANumber(_ range: ClosedRange<Int64>) -> Failure {
        failure(
            "\(field.name)= must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    @inline(never) private func notAText(_ max: Int) -> Failure {
        failure(
            "\(field.name)= must be 1 to \(max) bytes of UTF-8 without control characters")
    }
    @inline(never) private func notOneOf(_ words: String) -> Failure {
        failure("\(field.name)= must be \(words)")
    }
}

extension Arguments {
    /// Refuses a wrong number of arguments in Redis's own words, which clients look for.
    @inline(__always)
    func checkCount(_ verb: Verb) throws(Failure) {
        let arity = verb.arity
        guard arity < 0 ? count >= -arity : count == arity else {
            throw Failure.wrongCount(verb.commandName)
        }
    }
    /// What names a key: a path, a secret, or neither.
    @inline(__always)
    static func key(_ text: Bytes) -> KeyReference {
        // Ours begin with tg_; one brought along by its hash may look like anything without a slash.
        text.contains(UInt8(ascii: "/")) ? .path(text) : .secret(text)
    }
    @inline(__always)
    static func model(_ text: Bytes) throws(Failure) -> Bytes {
        guard text.count >= 1, text.count <= WireLimits.modelBytesMax else {
            throw Failure.modelLength()
        }
        if text.isLikeSecret { throw Failure(.error, Failure.secret(in: "the model's place")) }
        return text
    }
    static func hold(_ text: Bytes) throws(Failure) -> HoldName {
        guard let hold = HoldName(parsing: text) else {
            throw Failure(
                .error,
                "'\(echo(text))' is no hold: a hold is <epoch>-<seq>, such as 3-184467, "
                    + "as RESERVE answered it")
        }
        return hold
    }
}

extension Failure {
    @inline(never) static func wrongCount(_ command: String) -> Failure {
        Failure(.error, "wrong number of arguments for '\(command)' command")
    }
    @inline(never) static func modelLength() -> Failure {
        Failure(.error, "the model must be 1 to \(WireLimits.modelBytesMax) bytes long")
    }
    @inline(never) static func secret(in place: String) -> String {
        "\(place) has a key's secret in it, which must not come into the log: a secret stands in the "
            + "key's place only"
    }
}

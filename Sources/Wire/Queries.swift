import Events

// What the reading verbs and APPEND ask. Borrowed bytes point into the parser's arguments.

/// `GET <account>` or `GET account|hold|price|alias|operator <name>`, a price with `[<version>]`.
package enum GetQuery {
    case account(Bytes)
    case hold(HoldName)
    /// The version in force, or the one that is named.
    case price(model: Bytes, version: UInt32?)
    case alias(Bytes)
    case `operator`(Bytes)

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.get)
        if arguments.count == 2 {
            self = .account(try arguments.path(1))
            return
        }
        let kind = arguments[1]
        guard arguments.count == 3 || arguments.count == 4 && kind == "price" else {
            throw Failure.wrongCount(Verb.get.commandName)
        }
        if kind == "account" {
            self = .account(try arguments.path(2))
        } else if kind == "hold" {
            self = .hold(try Arguments.hold(arguments[2]))
        } else if kind == "price" {
            self = .price(model: try arguments.name(2), version: try arguments.version(3))
        } else if kind == "alias" {
            self = .alias(try arguments.name(2))
        } else if kind == "operator" {
            self = .operator(try arguments.name(2))
        } else {
            throw Failure(
                .error, "GET knows no '\(echo(kind))'; the syntax is \(Verb.get.syntax)")
        }
    }
}

/// `LIST <kind> [under= after= limit=]`: names in order, a page at a time.
package struct ListQuery {
    package enum Kind: UInt8, CaseIterable, Sendable {
        case orgs, teams, keys, prices, aliases, operators, overrides

        package var name: StaticString {
            switch self {
            case .orgs: "orgs"
            case .teams: "teams"
            case .keys: "keys"
            case .prices: "prices"
            case .aliases: "aliases"
            case .operators: "operators"
            case .overrides: "overrides"
            }
        }
    }
    package var kind: Kind
    /// Only accounts in this one's subtree; empty for all.
    package var under = Bytes.empty
    /// Only names that come after this one; empty for the first page.
    package var after = Bytes.empty
    package var limit = WireLimits.listLimitDefault

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.list)
        let word = arguments[1]
        guard let kind = Kind.allCases.first(where: { word == $0.name }) else {
            throw Failure(
                .error, "LIST knows no '\(echo(word))'; the syntax is \(Verb.list.syntax)")
        }
        self.kind = kind
        var fields = FieldCursor(arguments, of: .list, from: 2)
        while let field = try fields.next() {
            switch field {
            case .under: under = try fields.path()
            case .after: after = try fields.text(max: WireLimits.nameBytesMax)
            case .limit: limit = Int(try fields.number(1...Int64(WireLimits.listLimitMax)))
            default: throw fields.unknown()
            }
        }
    }
}

/// `EVENTS [from= to= limit= type= account=]`: the log itself, a page at a time.
package struct EventsQuery {
    /// The first sequence number that may be answered.
    package var from: UInt64 = 1
    /// The last one; nil for as far as the log goes.
    package var to: UInt64?
    package var limit = WireLimits.eventsLimitDefault
    package var type: EventType?
    /// Only events of accounts in this one's subtree; empty for all.
    package var account = Bytes.empty

    package init(_ arguments: Arguments) throws(Failure) {
        var fields = FieldCursor(arguments, of: .events, from: 1)
        while let field = try fields.next() {
            switch field {
            case .from: from = UInt64(try fields.number(1...WireLimits.sequenceMax))
            case .to: to = UInt64(try fields.number(1...WireLimits.sequenceMax))
            case .limit: limit = Int(try fields.number(1...Int64(WireLimits.eventsLimitMax)))
            case .type: type = try fields.eventType()
            case .account: account = try fields.path()
            default: throw fields.unknown()
            }
        }
    }
}

/// `TAIL [from= type= account= denied]`: the log from an event on, and then whatever comes.
package struct TailQuery {
    /// The first sequence number that may be sent; nil for what happens from now on.
    package var from: UInt64?
    package var type: EventType?
    /// Only events of accounts in this one's subtree; empty for all.
    package var account = Bytes.empty
    /// Only refusals, single and summed.
    package var isDenied = false

    package init(_ arguments: Arguments) throws(Failure) {
        var fields = FieldCursor(arguments, of: .tail, from: 1)
        while true {
            if fields.skip("denied") {
                guard !isDenied else {
                    throw Failure(
                        .error, "'denied' is given twice; the syntax is \(Verb.tail.syntax)")
                }
                isDenied = true
                continue
            }
            guard let field = try fields.next() else { break }
            switch field {
            case .from: from = UInt64(try fields.number(1...WireLimits.sequenceMax))
            case .type: type = try fields.eventType()
            case .account: account = try fields.path()
            default: throw fields.unknown()
            }
        }
        if isDenied, type != nil {
            throw Failure(.error, "TAIL takes type= or denied, not both: denied names its types")
        }
    }
}

/// `LOG from= [to= limit=]`: stored frames, as many as one answer holds.
package struct LogQuery {
    package var from: UInt64 = 1
    /// The last one; nil for as far as the log goes.
    package var to: UInt64?
    package var limit = WireLimits.logLimitMax

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.log)
        var fields = FieldCursor(arguments, of: .log, from: 1)
        while let field = try fields.next() {
            switch field {
            case .from: from = UInt64(try fields.number(1...WireLimits.sequenceMax))
            case .to: to = UInt64(try fields.number(1...WireLimits.sequenceMax))
            case .limit: limit = Int(try fields.number(1...Int64(WireLimits.logLimitMax)))
            default: throw fields.unknown()
            }
        }
        try fields.require(.from)
    }
}

/// `NAMES accounts|models|operators [from=]`: what the numbers in stored events stand for.
package struct NamesQuery {
    package enum Kind: UInt8, CaseIterable, Sendable {
        case accounts, models, operators

        package var name: StaticString {
            switch self {
            case .accounts: "accounts"
            case .models: "models"
            case .operators: "operators"
            }
        }
    }
    package var kind: Kind
    /// The first number that may be answered.
    package var from: UInt32 = 0

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.names)
        let word = arguments[1]
        guard let kind = Kind.allCases.first(where: { word == $0.name }) else {
            throw Failure(
                .error, "NAMES knows no '\(echo(word))'; the syntax is \(Verb.names.syntax)")
        }
        self.kind = kind
        var fields = FieldCursor(arguments, of: .names, from: 2)
        while let field = try fields.next() {
            switch field {
            case .from: from = UInt32(try fields.number(0...Int64(UInt32.max) - 1))
            default: throw fields.unknown()
            }
        }
    }
}

/// `EXPLAIN <hold>|<seq> [from=]`: the life of one request. With a key and a model in front EXPLAIN is
/// read as a `ReserveRequest`.
package struct LifeQuery {
    /// What the request is known by: its hold's or charge's name, or an event about it.
    package enum Name: Sendable {
        case hold(HoldName)
        case event(seq: UInt64)
    }
    package var name: Name
    /// The event with which to go on; nil to begin with the request.
    package var from: UInt64?

    /// Whether EXPLAIN asks for a life rather than for a decision.
    package static func isMeant(by arguments: Arguments) -> Bool {
        // No key's path looks like a hold or a number, nor does any secret of ours.
        arguments.count == 2
            || arguments.count > 2
                && (HoldName(parsing: arguments[1]) != nil || arguments[1].unsignedDecimal != nil)
    }
    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.explain)
        let word = arguments[1]
        if let hold = HoldName(parsing: word) {
            name = .hold(hold)
        } else if let seq = word.unsignedDecimal, seq >= 1, seq <= UInt64(WireLimits.sequenceMax) {
            name = .event(seq: seq)
        } else {
            throw Failure(
                .error,
                "'\(echo(word))' is neither a hold such as 3-184467 nor an event's number; to ask "
                    + "about a request name key and model: \(Verb.explain.syntax)")
        }
        var fields = FieldCursor(arguments, of: .explain, from: 2)
        while let field = try fields.next() {
            switch field {
            case .from: from = UInt64(try fields.number(1...WireLimits.sequenceMax))
            default: throw fields.unknown()
            }
        }
    }
}

/// `ROLLUPS [from= to= by= zone= account= with= after=]`: what was used, summed by hour, account, model and more.
package struct RollupsQuery {
    package var from: Instant?
    package var to: Instant?
    /// Dimensions, separated by commas; empty for one sum of all.
    package var by = Bytes.empty
    /// Only this account and what stands below it; empty for all.
    package var account = Bytes.empty
    /// The `next` of the page before.
    package var after = Bytes.empty
    /// Whose days hours are summed to; empty for nobody's.
    package var zone = Bytes.empty
    /// What beside the fields is asked for, separated by commas; empty for all.
    package var with = Bytes.empty

    package init(_ arguments: Arguments) throws(Failure) {
        var fields = FieldCursor(arguments, of: .rollups, from: 1)
        while let field = try fields.next() {
            switch field {
            case .from: from = try fields.instant()
            case .to: to = try fields.instant()
            case .by: by = try fields.text()
            case .account: account = try fields.path()
            case .after: after = fields.value
            case .zone: zone = try fields.text()
            case .with: with = try fields.text()
            default: throw fields.unknown()
            }
        }
        if let from, let to, from >= to {
            throw Failure(.error, "from=\(from) is not before to=\(to): nothing lies between them")
        }
    }
}

/// `ERASE user|ip|ua <text> [account= why=]`.
package struct EraseRequest {
    package var field: PersonalField
    package var text: Bytes
    /// Only of this org's people; empty for everybody's.
    package var account = Bytes.empty
    /// Stands in the events, for ever.
    package var why = Bytes.empty

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.erase)
        let word = arguments[1]
        guard let field = PersonalField(word) else {
            throw Failure(
                .error, "ERASE knows no '\(echo(word))'; the syntax is \(Verb.erase.syntax)")
        }
        self.field = field
        text = arguments[2]
        guard !text.isEmpty, text.count <= Bounds.longTextBytesMax, text.isPlainText else {
            throw Failure(
                .error,
                "what is to be erased is 1 to \(Bounds.longTextBytesMax) bytes of UTF-8 without "
                    + "control characters")
        }
        var fields = FieldCursor(arguments, of: .erase, from: 3)
        while let field = try fields.next() {
            switch field {
            case .account: account = try fields.path()
            case .why: why = try fields.text(max: Bounds.longTextBytesMax)
            default: throw fields.unknown()
            }
        }
    }
}

/// `PERSONAL [from= limit=]`: commitments and what they were made of, a page at a time.
package struct PersonalQuery {
    /// Where to go on, as the page before said; 0 for the first.
    package var from = 0
    package var limit = WireLimits.eventsLimitDefault

    package init(_ arguments: Arguments) throws(Failure) {
        var fields = FieldCursor(arguments, of: .personal, from: 1)
        while let field = try fields.next() {
            switch field {
            case .from: from = Int(try fields.number(0...WireLimits.sequenceMax))
            case .limit: limit = Int(try fields.number(1...Int64(WireLimits.eventsLimitMax)))
            default: throw fields.unknown()
            }
        }
    }
}

/// `USAGE <account>`.
package struct UsageQuery {
    package var account: Bytes

    package init(_ arguments: Arguments) throws(Failure) {
        try arguments.checkCount(.usage)
        account = try arguments.path(1)
    }
}

/// `APPEND <type> <json>`; the payload is still text.
package struct AppendRequest {
    package var type: EventType
    package var json: Bytes

    package init(_ arguments: Arguments) throws(Failure) {
        // The one mistake everybody makes at a terminal deserves more than a count.
        guard arguments.count <= 3 else {
            throw Failure(
                .error,
                "APPEND takes a type and one JSON text: put the JSON in single quotes, "
                    + "APPEND org.created '{\"account\": \"acme\"}'")
        }
        try arguments.checkCount(.append)
        guard let type = EventType(arguments[1]), AppendRequest.types.contains(type) else {
            let known = AppendRequest.types.map { "\($0.name)" }.joined(separator: ", ")
            throw Failure(.error, "APPEND takes no '\(echo(arguments[1]))': say one of \(known)")
        }
        self.type = type
        json = arguments[2]
    }

    /// What a caller may append: the documents, but for those that only the daemon writes.
    package static let types = EventType.allCases.filter(\.isAppendable)
}

/// `AUTH <name> <secret>`.
package struct Credentials {
    package var name: Bytes
    /// As it came; never repeated in any answer.
    package var secret: Bytes

    package init(name: Bytes, secret: Bytes) {
        self.name = name
        self.secret = secret
    }
    package init(_ arguments: Arguments) throws(Failure) {
        guard arguments.count != 2 else {
            throw Failure(.error, "AUTH needs an operator's name and secret: AUTH <name> <secret>")
        }
        try arguments.checkCount(.auth)
        self.init(name: arguments[1], secret: arguments[2])
    }
}

/// `HELLO [2|3 [AUTH <name> <secret>] [SETNAME <name>]]`.
package struct HelloQuery {
    /// Nil leaves the connection's version as it is.
    package var version: ProtocolVersion?
    package var credentials: Credentials?
    package var clientName: Bytes?

    package init(_ arguments: Arguments) throws(Failure) {
        guard arguments.count > 1 else { return }
        guard let number = arguments[1].unsignedDecimal else {
            throw Failure(.error, "Protocol version is not an integer or out of range")
        }
        guard number == 2 || number == 3 else {
            throw Failure(.noProtocol, "unsupported protocol version")
        }
        version = number == 2 ? .two : .three
        var at = 2
        while at < arguments.count {
            if arguments[at].equalsIgnoringCase("AUTH"), arguments.count - at > 2 {
                credentials = Credentials(name: arguments[at + 1], secret: arguments[at + 2])
                at += 3
            } else if arguments[at].equalsIgnoringCase("SETNAME"), arguments.count - at > 1 {
                clientName = try Handshake.clientName(arguments[at + 1])
                at += 2
            } else {
                throw Failure(.error, "Syntax error in HELLO option '\(echo(arguments[at]))'")
            }
        }
    }
}

extension Arguments {
    fileprivate func path(_ i: Int) throws(Failure) -> Bytes {
        guard self[i].count > 0, AccountPath.tier(self[i]) != nil else {
            throw Failure(.error, "'\(echo(self[i]))' is no account: \(AccountPath.rule)")
        }
        return self[i]
    }
    /// A price's version that may be missing.
    fileprivate func version(_ i: Int) throws(Failure) -> UInt32? {
        guard i < count else { return nil }
        guard let number = self[i].unsignedDecimal, number >= 1, number < UInt64(UInt32.max) else {
            throw Failure(
                .error, "'\(echo(self[i]))' is no version: GET price <model> 2 shows the second")
        }
        return UInt32(number)
    }
    fileprivate func name(_ i: Int) throws(Failure) -> Bytes {
        guard self[i].count >= 1, self[i].count <= WireLimits.nameBytesMax, self[i].isPlainText
        else {
            throw Failure(
                .error,
                "a name is 1 to \(WireLimits.nameBytesMax) bytes of UTF-8 without "
                    + "control characters")
        }
        return self[i]
    }
}

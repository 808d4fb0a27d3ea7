import Events

// What COMMAND says of each verb, which is also what error texts quote. `redis-cli` shows the
// summary and the syntax as help while one types.
extension Verb {
    /// As in Redis: the number of arguments with the verb; negative means at least so many.
    package var arity: Int {
        switch self {
        case .reserve, .check, .charge, .erase: -3
        case .extend, .settle, .release, .get, .list, .explain, .tree, .log, .names, .client,
            .config:
            -2
        case .append, .auth: 3
        case .usage, .echo, .select: 2
        case .events, .tail, .rollups, .personal, .info, .hello, .ping, .quit, .command: -1
        case .reset: 1
        }
    }
    /// The arguments as the documentation writes them; empty where there are none.
    package var argumentSyntax: StaticString {
        switch self {
        case .reserve:
            """
            <key> <model>|auto [in= bytes= out= scope= tier= ttl= id= wait= prio= user= project= env= ip= \
            ua= ack= temperature= batch= priority= prompt= capability=]
            """
        case .check:
            """
            <key> <model>|auto [in= bytes= out= scope= tier= ttl= id= user= project= env= ip= ua= ack= \
            temperature= batch= priority= prompt= capability=]
            """
        case .extend: "<hold> out= [in= ttl= ack=]"
        case .settle:
            "<hold> in= out= [cached= cache_write= reasoning= tier= ms= outcome= key= model= ack=]"
        case .release: "<hold> [why= ack=]"
        case .charge:
            """
            <key> <model> in= out= id= [cached= cache_write= reasoning= tier= ms= outcome= user= \
            project= env= ip= ua= ack=]
            """
        case .append: "<type> <json>"
        case .get: "<account> | account|hold|price|alias|operator <name> [<version>]"
        case .list: "orgs|teams|keys|prices|aliases|operators|overrides [under= after= limit=]"
        case .usage: "<account>"
        case .events: "[from= to= limit= type= account=]"
        case .rollups: "[from= to= by= zone= account= with= after=]"
        case .tail: "[from= type= account= denied]"
        case .erase: "user|ip|ua <text> [account= why=]"
        case .personal: "[from= limit=]"
        case .explain:
            """
            <key> <model>|auto [in= bytes= out= scope= tier= ttl= id= wait= prio= user= project= env= ip= \
            ua= ack= temperature= batch= priority= prompt= capability=] | <hold>|<seq> [from=]
            """
        case .tree:
            """
            checkpoint | cosigned | inclusion <seq> [<size>] | consistency <old> [<new>] | \
            cosign <note> [<witness>] | manifest <lines>
            """
        case .log: "from= [to= limit=]"
        case .names: "accounts|models|operators [from=]"
        case .hello: "[2|3 [AUTH <name> <secret>] [SETNAME <name>]]"
        case .auth: "<name> <secret>"
        case .ping: "[text]"
        case .echo: "<text>"
        case .select: "0"
        case .client: "ID|SETNAME|GETNAME|SETINFO|LIST|INFO|NO-EVICT|NO-TOUCH [value]"
        case .command: "[COUNT | DOCS [verb ...] | INFO [verb ...]]"
        case .config: "GET <pattern ...>"
        case .info, .quit, .reset: ""
        }
    }
    /// The verb and its arguments, for error texts.
    var syntax: String {
        let arguments = "\(argumentSyntax)"
        return arguments.isEmpty ? "\(name)" : "\(name) \(arguments)"
    }
    package var summary: StaticString {
        switch self {
        case .reserve: "Asks whether a request may be sent, and sets its cost aside if so."
        case .check: "Answers as RESERVE would, and sets nothing aside."
        case .extend: "Grows a hold while its answer is still coming, or says why not."
        case .settle: "Ends a hold with the usage the provider reported."
        case .release: "Ends a hold of which nothing was spent."
        case .charge: "Records usage that had no hold."
        case .append: "Appends an event: accounts, limits, permissions, prices, operators."
        case .get: "Shows an account, a hold, a price, an alias or an operator as JSON."
        case .list: "Lists names, a page at a time."
        case .usage: "Shows an account's limits with what is used, held and left of each."
        case .events: "Reads the log as JSON events, a page at a time."
        case .rollups: "Sums what was used by hour, account, model, tier or tag, as JSON."
        case .tail: "Sends the log from an event on, and then each event as it comes."
        case .erase: "Erases what a person's commitments in the log were made of."
        case .personal: "Tells what commitments in the log were made of, a page at a time."
        case .explain:
            "Tells why a request would be allowed or refused, or what became of one, as JSON."
        case .tree: "Proves what is in the log: checkpoints, proofs, cosignatures."
        case .log: "Reads the log as it is stored, frame by frame; for programs that audit it."
        case .names: "Tells what the numbers in stored events stand for, a page at a time."
        case .info: "Shows counters and state of the daemon."
        case .hello: "Chooses the protocol version; may authenticate and name the connection."
        case .auth: "Authenticates the connection as an operator."
        case .ping: "Answers PONG, or the text it was given."
        case .echo: "Answers the text it was given."
        case .select: "There is one database, 0; for clients that always choose."
        case .quit: "Answers OK and closes the connection."
        case .reset: "Forgets what the connection chose: name, protocol, authentication."
        case .client: "Reads and names this connection."
        case .command: "Describes these commands."
        case .config: "Answers the few settings that Redis clients ask for."
        }
    }
    /// The first version of Tollgate that has it.
    package var since: StaticString { "0.1.0" }
    /// Redis's group; `redis-cli` lists a group's commands with `help @group`.
    package var group: StaticString {
        switch self {
        case .reserve, .check, .extend, .settle, .release, .charge: "generic"
        case .append, .get, .list, .usage, .events, .explain, .tail, .tree, .rollups, .log, .names,
            .erase, .personal, .info, .command,
            .config:
            "server"
        case .hello, .auth, .ping, .echo, .select, .quit, .reset, .client: "connection"
        }
    }
    /// Redis's flags, as far as they mean something here.
    package var flags: [StaticString] {
        switch self {
        case .reserve, .extend, .settle, .release, .charge: ["write", "denyoom", "fast"]
        case .check: ["readonly", "fast"]
        case .append, .erase: ["write", "admin"]
        case .get, .list, .usage, .events, .explain, .tree, .rollups, .log, .names, .personal:
            ["readonly"]
        case .tail: ["readonly", "noscript", "blocking"]
        case .info, .command: ["loading", "stale"]
        case .config: ["admin", "loading", "stale"]
        case .hello, .auth, .quit, .reset: ["noscript", "loading", "stale", "fast", "no_auth"]
        case .ping, .echo, .select: ["fast"]
        case .client: ["noscript", "loading", "stale"]
        }
    }
    /// The name in lower case, as Redis writes it in answers about commands.
    package var commandName: String { "\(name)".lowercased() }
}

extension Handshake {
    /// `COMMAND`, `COMMAND COUNT`, `COMMAND INFO [verb …]` and `COMMAND DOCS [verb …]`.
    package static func command(
        _ arguments: Arguments, _ version: ProtocolVersion, into buffer: inout ByteBuffer
    ) {
        guard arguments.count > 1 else {
            buffer.reply(array: Verb.allCases.count)
            for verb in Verb.allCases { info(verb, version, into: &buffer) }
            return
        }
        let word = arguments[1]
        if word.equalsIgnoringCase("COUNT"), arguments.count == 2 {
            buffer.reply(integer: Int64(Verb.allCases.count))
        } else if word.equalsIgnoringCase("INFO") {
            if arguments.count == 2 {
                buffer.reply(array: Verb.allCases.count)
                for verb in Verb.allCases { info(verb, version, into: &buffer) }
                return
            }
            buffer.reply(array: arguments.count - 2)
            for i in 2..<arguments.count {
                if let verb = Verb(arguments[i]) {
                    info(verb, version, into: &buffer)
                } else {
                    // Redis: a null array, which RESP2 writes in its own way.
                    buffer.append(version == .three ? "_\r\n" as StaticString : "*-1\r\n")
                }
            }
        } else if word.equalsIgnoringCase("DOCS") {
            var verbs: [Verb] = arguments.count == 2 ? Verb.allCases : []
            for i in 2..<max(arguments.count, 2) {
                // Unknown names are left out, as Redis does; so is a second mention.
                if let verb = Verb(arguments[i]), !verbs.contains(verb) { verbs.append(verb) }
            }
            buffer.reply(map: verbs.count, version)
            for verb in verbs { docs(verb, version, into: &buffer) }
        } else {
            buffer.reply(unknownSubcommand(word, of: .command))
        }
    }

    /// Redis 7's ten fields; no verb of ours has keys in Redis's sense, so three of them are 0.
    private static func info(
        _ verb: Verb, _ version: ProtocolVersion, into buffer: inout ByteBuffer
    ) {
        buffer.reply(array: 10)
        buffer.reply(bulk: verb.commandName)
        buffer.reply(integer: Int64(verb.arity))
        let flags = verb.flags
        buffer.reply(set: flags.count, version)
        for flag in flags { buffer.reply(simple: flag) }
        for _ in 0..<3 { buffer.reply(integer: 0) }
        // ACL categories, tips, key specifications, subcommands.
        buffer.reply(set: 0, version)
        for _ in 0..<3 { buffer.reply(array: 0) }
    }

    private static func docs(
        _ verb: Verb, _ version: ProtocolVersion, into buffer: inout ByteBuffer
    ) {
        let syntax = Bytes(verb.argumentSyntax)
        buffer.reply(bulk: verb.commandName)
        buffer.reply(map: syntax.isEmpty ? 3 : 4, version)
        buffer.reply(bulk: "summary" as StaticString)
        buffer.reply(bulk: verb.summary)
        buffer.reply(bulk: "since" as StaticString)
        buffer.reply(bulk: verb.since)
        buffer.reply(bulk: "group" as StaticString)
        buffer.reply(bulk: verb.group)
        guard !syntax.isEmpty else { return }
        // One argument whose name is the whole syntax: name=value fields have no form in Redis's
        // argument grammar, and this prints in help as we write it.
        buffer.reply(bulk: "arguments" as StaticString)
        buffer.reply(array: 1)
        buffer.reply(map: 2, version)
        buffer.reply(bulk: "name" as StaticString)
        buffer.reply(bulk: syntax)
        buffer.reply(bulk: "type" as StaticString)
        buffer.reply(bulk: "string" as StaticString)
    }
}

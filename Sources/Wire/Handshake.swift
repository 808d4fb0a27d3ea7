import Events

/// What Redis clients say to each other's servers before the first real request. Pure: each reply
/// is a function of the arguments and of what is handed in, and `schemas/wire.md` shows who asks
/// what.
package enum Handshake {
    /// `HELLO`: who we are.
    ///
    /// - Parameter version: the connection's version after the HELLO; the reply is written in it.
    package static func hello(
        id: UInt64, _ version: ProtocolVersion, tollgateVersion: String,
        into buffer: inout ByteBuffer
    ) {
        buffer.reply(map: 8, version)
        pair("server", "tollgate", into: &buffer)
        buffer.reply(bulk: "version" as StaticString)
        buffer.reply(bulk: WireLimits.redisVersion)
        buffer.reply(bulk: "tollgate_version" as StaticString)
        buffer.reply(bulk: tollgateVersion)
        buffer.reply(bulk: "proto" as StaticString)
        buffer.reply(integer: version.rawValue)
        buffer.reply(bulk: "id" as StaticString)
        buffer.reply(integer: Int64(truncatingIfNeeded: id))
        pair("mode", "standalone", into: &buffer)
        pair("role", "master", into: &buffer)
        buffer.reply(bulk: "modules" as StaticString)
        buffer.reply(array: 0)
    }
    private static func pair(
        _ name: StaticString, _ value: StaticString, into buffer: inout ByteBuffer
    ) {
        buffer.reply(bulk: name)
        buffer.reply(bulk: value)
    }

    /// `PING [text]`
    package static func ping(_ arguments: Arguments, into buffer: inout ByteBuffer) {
        switch arguments.count {
        case 1: buffer.reply(simple: "PONG")
        case 2: buffer.reply(bulk: arguments[1])
        default: buffer.reply(Failure.wrongCount("ping"))
        }
    }
    /// `ECHO <text>`
    package static func echo(_ arguments: Arguments, into buffer: inout ByteBuffer) {
        guard arguments.count == 2 else { return buffer.reply(Failure.wrongCount("echo")) }
        buffer.reply(bulk: arguments[1])
    }
    /// `SELECT 0`
    package static func select(_ arguments: Arguments, into buffer: inout ByteBuffer) {
        guard arguments.count == 2 else { return buffer.reply(Failure.wrongCount("select")) }
        guard arguments[1] == "0" else {
            return buffer.reply(Failure(.error, "DB index is out of range"))
        }
        buffer.reply(simple: "OK")
    }
    package static func quit(into buffer: inout ByteBuffer) { buffer.reply(simple: "OK") }
    package static func reset(into buffer: inout ByteBuffer) { buffer.reply(simple: "RESET") }

    // MARK: CONFIG

    /// `CONFIG GET <pattern …>`: the few settings clients and `redis-benchmark` ask for; a name
    /// that is none of them answers nothing.
    package static func config(
        _ arguments: Arguments, clientsMax: Int, _ version: ProtocolVersion,
        into buffer: inout ByteBuffer
    ) {
        guard arguments.count >= 2 else { return buffer.reply(Failure.wrongCount("config")) }
        guard arguments[1].equalsIgnoringCase("GET") else {
            return buffer.reply(unknownSubcommand(arguments[1], of: .config))
        }
        guard arguments.count >= 3 else { return buffer.reply(Failure.wrongCount("config|get")) }
        let settings: [(name: StaticString, value: String)] = [
            ("save", ""), ("appendonly", "yes"), ("databases", "1"),
            ("maxclients", String(clientsMax)), ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"), ("timeout", "0"),
            ("proto-max-bulk-len", String(WireLimits.requestBytesMax)),
        ]
        let wanted = settings.filter { setting in
            (2..<arguments.count).contains { matches(arguments[$0], setting.name) }
        }
        buffer.reply(map: wanted.count, version)
        for setting in wanted {
            buffer.reply(bulk: setting.name)
            buffer.reply(bulk: setting.value)
        }
    }
    /// The whole name in any case, or its beginning and a star.
    private static func matches(_ pattern: Bytes, _ name: StaticString) -> Bool {
        guard pattern.count > 0, pattern[pattern.count - 1] == UInt8(ascii: "*") else {
            return pattern.equalsIgnoringCase(name)
        }
        let prefix = pattern.slice(0, pattern.count - 1)
        guard prefix.count <= name.utf8CodeUnitCount else { return false }
        for i in 0..<prefix.count where prefix[i] | 0x20 != name.utf8Start[i] | 0x20 {
            return false
        }
        return true
    }

    // MARK: CLIENT

    /// What CLIENT may tell of the connection that asks.
    package struct Client {
        package var id: UInt64
        package var name: String
        package var version: ProtocolVersion
        /// The peer: `127.0.0.1:5000`, or a socket's path.
        package var address: String
        /// Who it is authenticated as; empty before that.
        package var user: String
        /// Seconds since it connected.
        package var ageSeconds: Int64

        package init(
            id: UInt64, name: String, version: ProtocolVersion, address: String, user: String,
            ageSeconds: Int64
        ) {
            self.id = id
            self.name = name
            self.version = version
            self.address = address
            self.user = user
            self.ageSeconds = ageSeconds
        }
    }

    /// `CLIENT …`. LIST shows the asking connection alone: others are no business of its.
    ///
    /// - Returns: the connection's new name, when the request sets one.
    package static func client(
        _ arguments: Arguments, _ client: Client, into buffer: inout ByteBuffer
    ) -> String? {
        guard arguments.count >= 2 else {
            buffer.reply(Failure.wrongCount("client"))
            return nil
        }
        let word = arguments[1]
        let values = arguments.count - 2
        func accepts(_ wanted: Int) -> Bool {
            if values == wanted { return true }
            buffer.reply(Failure.wrongCount("client|" + word.string.lowercased()))
            return false
        }
        if word.equalsIgnoringCase("ID") {
            if accepts(0) { buffer.reply(integer: Int64(truncatingIfNeeded: client.id)) }
        } else if word.equalsIgnoringCase("SETNAME") {
            guard accepts(1) else { return nil }
            do throws(Failure) {
                let name = try clientName(arguments[2])
                buffer.reply(simple: "OK")
                return name.string
            } catch {
                buffer.reply(error)
            }
        } else if word.equalsIgnoringCase("GETNAME") {
            guard accepts(0) else { return nil }
            if client.name.isEmpty {
                buffer.reply(nullFor: client.version)
            } else {
                buffer.reply(bulk: client.name)
            }
        } else if word.equalsIgnoringCase("SETINFO") {
            if accepts(2) { buffer.reply(simple: "OK") }
        } else if word.equalsIgnoringCase("NO-EVICT") || word.equalsIgnoringCase("NO-TOUCH") {
            if accepts(1) { buffer.reply(simple: "OK") }
        } else if word.equalsIgnoringCase("LIST") || word.equalsIgnoringCase("INFO") {
            buffer.reply(bulk: line(client))
        } else {
            // TRACKING and MAINT_NOTIFICATIONS among them: an OK would promise pushes.
            buffer.reply(unknownSubcommand(word, of: .client))
        }
        return nil
    }
    private static func line(_ client: Client) -> String {
        "id=\(client.id) addr=\(client.address) laddr= fd=-1 name=\(client.name) "
            + "age=\(client.ageSeconds) idle=0 flags=N db=0 cmd=client user=\(client.user) "
            + "resp=\(client.version.rawValue)\n"
    }
    /// A connection's name: printable ASCII without spaces, because it stands in CLIENT LIST's
    /// line; an empty one takes the name away.
    static func clientName(_ name: Bytes) throws(Failure) -> Bytes {
        for i in 0..<name.count where name[i] <= 0x20 || name[i] >= 0x7F {
            throw Failure(
                .error, "Client names cannot contain spaces, newlines or special characters.")
        }
        guard name.count <= WireLimits.clientNameBytesMax else {
            throw Failure(
                .error, "Client names have at most \(WireLimits.clientNameBytesMax) bytes.")
        }
        return name
    }

    // MARK: What is not there

    /// Redis's words for a subcommand it does not have; clients go on when they read them.
    package static func unknownSubcommand(_ word: Bytes, of verb: Verb) -> Failure {
        Failure(
            .error,
            "unknown subcommand '\(Wire.echo(word, max: WireLimits.unknownCommandEchoMax))'. "
                + "Try \(verb.name) HELP.")
    }
    /// Redis's words for a verb it does not have, which clients and people look for; what it
    /// repeats of the arguments is cut at 128 bytes in all, and secrets are masked.
    package static func unknownCommand(_ arguments: Arguments) -> Failure {
        let most = WireLimits.unknownCommandEchoMax
        var text = "unknown command '\(Wire.echo(arguments[0], max: most))', "
        text += "with args beginning with: "
        var used = 0
        for i in 1..<max(arguments.count, 1) {
            guard used < most else { break }
            let word = "'\(Wire.echo(arguments[i], max: most - used))' "
            used += word.utf8.count
            text += word
        }
        return Failure(.error, text)
    }
}

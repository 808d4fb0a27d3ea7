import Events

/// The verbs that answer JSON, as the command line uses them.
extension Client {
    /// A verb whose reply is one JSON value in a bulk string.
    func json(_ words: [String]) throws(CommandFailure) -> JSON {
        try Client.json(try call(words), of: words[0])
    }
    /// The JSON in a reply; an error reply is thrown.
    static func json(_ reply: Reply, of verb: String) throws(CommandFailure) -> JSON {
        guard let text = try reply.orFailure().text else {
            throw CommandFailure(.protocolBroken, "the daemon answers \(verb) with no text")
        }
        return try JSON(reply: text)
    }

    /// Refuses a name that no account has: what asks of it would wait for ever, or show nothing.
    func require(account: String) throws(CommandFailure) {
        _ = try json(["GET", "account", account])
    }
    /// USAGE of each, in order.
    func usages(of accounts: [String]) throws(CommandFailure) -> [JSON] {
        var usages: [JSON] = []
        for reply in try pipeline(accounts.map { ["USAGE", $0] }) {
            usages.append(try Client.json(reply, of: "USAGE"))
        }
        return usages
    }

    /// Appends one event and answers it as stored.
    func append(_ type: String, _ payload: Payload) throws(CommandFailure) -> JSON {
        try json(["APPEND", type, payload.json.compact])
    }

    /// Everything a LIST has, page after page.
    func list(_ what: String, under account: String? = nil) throws(CommandFailure) -> [JSON] {
        var items: [JSON] = []
        var after: String?
        repeat {
            var words = ["LIST", what, "limit=1000"]
            if let account { words.append("under=\(account)") }
            if let after { words.append("after=\(after)") }
            let page = try json(words)
            items += page["items"]?.array ?? []
            after = page["next"]?.string
        } while after != nil
        return items
    }

    /// Many requests, their replies in order. At most `window` are under way: a daemon whose output
    /// nobody reads stops reading, and both sides would wait for ever.
    func pipeline(
        _ requests: [[String]], window: Int = 256
    ) throws(CommandFailure) -> [Reply] {
        var replies: [Reply] = []
        for (i, request) in requests.enumerated() {
            if i - replies.count >= window { replies.append(try receive()) }
            try send(request)
        }
        while replies.count < requests.count { replies.append(try receive()) }
        return replies
    }

    /// INFO's lines: sections with their names and values, in order.
    func info() throws(CommandFailure) -> [(section: String, name: String, value: String)] {
        guard let text = try call(["INFO"]).orFailure().text else {
            throw CommandFailure(.protocolBroken, "the daemon answers INFO with no text")
        }
        var section = ""
        var found: [(section: String, name: String, value: String)] = []
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("#") {
                section = String(line.drop { $0 == "#" || $0 == " " })
            } else if let colon = line.firstIndex(of: ":") {
                found.append(
                    (section, String(line[..<colon]), String(line[line.index(after: colon)...])))
            }
        }
        return found
    }
    /// One number of INFO; nil when this daemon does not say it.
    func info(_ name: String) throws(CommandFailure) -> Int64? {
        try info().first { $0.name == name }.flatMap { Int64($0.value) }
    }
}

import ArgumentParser
import Events

/// Where the daemon is; every verb but `serve` has these.
struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's Unix socket.", valueName: "path"))
    var socket: String?
    @Option(
        help: ArgumentHelp(
            "The daemon's data directory; its socket is DIR/tollgate.sock.", valueName: "dir"))
    var data: String?
    @Option(
        help: ArgumentHelp(
            "The daemon's TCP address; needs --user and TOLLGATE_SECRET.", valueName: "host:port"))
    var tcp: String?
    @Option(
        help: ArgumentHelp(
            "The operator to log in as; the secret comes from TOLLGATE_SECRET.", valueName: "name"))
    var user: String?
    @Option(
        help: ArgumentHelp(
            "A config file (JSON); default: DIR/tollgate.json if there is one.", valueName: "file"))
    var config: String?

    func target() throws(CommandFailure) -> Target {
        let settings = try Settings(
            flags: [.socket: socket, .data: data, .tcp: tcp, .user: user], configFile: config,
            mayReadDefaultFile: false)
        return try settings.target()
    }
    func connect() throws(CommandFailure) -> Client { try Client(try target()) }
}

/// Every reading verb answers machines, too.
struct FormatOptions: ParsableArguments {
    @Flag(help: "Print JSON instead of a table.")
    var json = false
}

/// What may be said with every change.
struct ChangeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Makes the change idempotent: the same id again answers the first event.",
            valueName: "text"))
    var id: String?
    @Option(help: ArgumentHelp("Why; it stands in the event.", valueName: "text"))
    var reason: String?
    @Flag(help: "Print the stored event as JSON.")
    var json = false
}

/// Limits, models and scopes, as an account is created with them.
struct RightsOptions: ParsableArguments {
    @Option(
        name: .customLong("limit"),
        help: ArgumentHelp(
            "A limit such as usd.month=5000 or requests.minute=1200; repeatable.",
            valueName: "limit=amount"))
    var limits: [String] = []
    @OptionGroup var lists: ListOptions

    func payload() throws(CommandFailure) -> Payload {
        var payload = try lists.payload()
        if !limits.isEmpty { payload["limits"] = try LimitWords.json(limits) }
        return payload
    }
}

/// The two allow-lists. Left out they inherit; empty they allow nothing.
struct ListOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Allowed models, separated by commas; patterns: openai/*, *.", valueName: "a,b"))
    var models: String?
    @Flag(help: "Allow no model at all.")
    var noModels = false
    @Option(help: ArgumentHelp("Allowed scopes, separated by commas.", valueName: "a,b"))
    var scopes: String?
    @Flag(help: "Allow no scope at all.")
    var noScopes = false

    func payload() throws(CommandFailure) -> Payload {
        var payload = Payload()
        payload["models"] = try list("models", models, noModels)
        payload["scopes"] = try list("scopes", scopes, noScopes)
        return payload
    }
    private func list(
        _ name: String, _ text: String?, _ none: Bool
    ) throws(CommandFailure) -> JSON? {
        guard let text else { return none ? .array([]) : nil }
        guard !none else {
            throw CommandFailure(.usage, "say --\(name) or --no-\(name), not both")
        }
        let items = text.split(separator: ",").map { $0.filter { $0 != " " } }
        guard !items.isEmpty, !items.contains("") else {
            throw CommandFailure(
                .usage, "--\(name) \"\(text)\" names nothing: say --no-\(name) to allow nothing")
        }
        return .strings(items)
    }
}

/// The members of an APPEND's payload, in the order in which they were set.
struct Payload {
    private var members: [JSON.Member] = []

    subscript(name: String) -> JSON? {
        get { members.first { $0.name == name }?.value }
        set {
            members.removeAll { $0.name == name }
            if let newValue { members.append(JSON.Member(name, newValue)) }
        }
    }
    mutating func set(_ name: String, _ text: String?) {
        if let text { self[name] = .string(text) }
    }
    mutating func set(_ name: String, _ number: Int64?) {
        if let number { self[name] = .integer(number) }
    }
    var json: JSON { .object(members) }
}

/// `usd.day=500 requests.minute=none` as a payload's `limits`.
enum LimitWords {
    static func json(_ words: [String]) throws(CommandFailure) -> JSON {
        var members: [JSON.Member] = []
        for word in words {
            let member = try member(word)
            guard !members.contains(where: { $0.name == member.name }) else {
                throw CommandFailure(.usage, "limit \(member.name) is given twice")
            }
            members.append(member)
        }
        return .object(members)
    }
    private static func member(_ word: String) throws(CommandFailure) -> JSON.Member {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw CommandFailure(
                .usage, "\"\(word)\" is no limit: say usd.month=5000, or usd.month=none")
        }
        guard let kind = parts[0].withBytes({ LimitKind($0) }) else {
            throw CommandFailure(
                .usage,
                "there is no limit \"\(parts[0])\": say usd, tokens or requests with .minute, "
                    + ".hour, .day, .week, .month or .total, or concurrency")
        }
        if parts[1] == "none" { return JSON.Member(parts[0], .null) }
        if kind.isMoney {
            return JSON.Member(parts[0], .string(try money(parts[1], for: parts[0])))
        }
        guard let count = Int64(parts[1]), count >= 0, !parts[1].hasPrefix("+") else {
            throw CommandFailure(
                .usage, "\(parts[0])=\(parts[1]): say a whole number, or none to remove the limit")
        }
        return JSON.Member(parts[0], .integer(count))
    }
    private static func money(
        _ text: String, for name: String
    ) throws(CommandFailure) -> String {
        do throws(MoneyError) {
            return try text.withBytes { (bytes) throws(MoneyError) in
                try Nanodollars(parsing: bytes)
            }.description
        } catch {
            throw CommandFailure(.usage, "\(name)=\(text): the amount \(error.explanation)")
        }
    }
}

import ArgumentParser
import Events

/// `tollgate call`: one request as the protocol has it, one reply.
struct Call: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send one line of the protocol and print the reply.",
        discussion: """
            Examples:
              tollgate call RESERVE acme/ml/prod openai/gpt-4.1 in=1200 out=400
              tollgate call RESERVE acme/ml/prod openai/gpt-4.1 in=9 out=9 wait=5000 prio=1
              tollgate call 'SETTLE 3-184467 in=1200 out=212'
              tollgate call APPEND alias.set '{"alias":"4.1","model":"openai/gpt-4.1"}'

            A single word with spaces in it is split by the quoting rules of Redis's inline
            commands. The exit code is 3 when the answer is +DENY.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @Argument(help: "The request: a verb and its arguments.")
    var words: [String]

    func run() throws {
        let request = words.count == 1 ? try InlineWords.split(words[0]) : words
        guard !request.isEmpty else {
            throw CommandFailure(.usage, "an empty request: say a verb, such as PING")
        }
        guard request[0].uppercased() != "TAIL" else {
            throw CommandFailure(
                .usage, "call shows one reply, and TAIL has no last one: tollgate events --follow")
        }
        let client = try connection.connect()
        // RESERVE's `wait=`; whether the number is right, the daemon says.
        let waits = request.filter { $0.hasPrefix("wait=") }.compactMap { Int($0.dropFirst(5)) }
        client.allow(seconds: min(max(0, waits.max() ?? 0), 300_000) / 1_000)
        let reply = try client.call(request).orFailure()
        Call.print(reply, indent: "")
        if case .simple(let text) = reply, text.hasPrefix("DENY ") || text == "DENY" {
            throw ExitCode(ExitStatus.denied.rawValue)
        }
    }

    private static func print(_ reply: Reply, indent: String) {
        switch reply {
        case .simple(let text): Console.print(indent + text)
        case .error(let code, let text): Console.print("\(indent)(error) \(code) \(text)")
        case .integer(let value): Console.print("\(indent)\(value)")
        case .null: Console.print(indent + "(nil)")
        case .bulk(let text): Console.print(indent + structured(text))
        case .array(let items):
            if items.isEmpty { Console.print(indent + "(empty)") }
            for item in items { print(item, indent: item.isNested ? indent + "  " : indent) }
        case .map(let pairs):
            for (name, value) in pairs {
                print(name, indent: indent)
                print(value, indent: indent + "  ")
            }
        }
    }
    /// JSON is spread out for people; everything else stays as it came.
    private static func structured(_ text: String) -> String {
        guard Style.output.isTerminal, let first = text.first, "{[".contains(first),
            let json = try? JSON(reply: text)
        else { return text }
        return json.pretty()
    }
}

extension Reply {
    fileprivate var isNested: Bool {
        switch self {
        case .array, .map: true
        default: false
        }
    }
}

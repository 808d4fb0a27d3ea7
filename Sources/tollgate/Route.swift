import ArgumentParser
import Events
import Foundation

/// `tollgate route`
struct Route: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set, show and test which model 'auto' means.",
        discussion: """
            Examples:
              tollgate route set acme/tools --fallback gpt-4.1 \\
                --rule 'name=summaries,out=500,prompt=summarize|tl;dr,model=deepseek-v3.2'
              tollgate route show acme/tools
              tollgate route test acme/tools/bot in=1250 'prompt=Summarize this'

            A request for the model auto goes to the first rule whose conditions are all met
            and whose model, or else whose fallback, the key may use and pay; else to the
            policy's fallback. A team's routing takes the place of its org's.
            """,
        subcommands: [Set.self, Show.self, Clear.self, Test.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the rules of an org or a team, in the place of those it has.",
            discussion: """
                Example:
                  tollgate route set acme/tools --fallback gpt-4.1 \\
                    --rule 'name=short,out=500,temperature=0.3,prompt=brief|tl;dr,model=flash' \\
                    --rule 'name=code,prompt=write code|implement,model=gpt-4.1,fallback=sonnet'

                Conditions: out (at most so many answer tokens), in (prompt tokens), temperature
                (at most), batch (yes or no), priority, prompt (one of these words), capability
                (all of these). '|' stands between several. A file has the same as JSON:
                {"rules":[{"name":…,"match":{…},"model":…,"fallback":…}],"fallback":…}.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Option(help: ArgumentHelp("The model where no rule applies.", valueName: "model"))
        var fallback: String?
        @Option(
            name: .customLong("rule"),
            help: ArgumentHelp(
                "A rule; repeatable, tried in this order.", valueName: "name=,…,model="))
        var rules: [String] = []
        @Option(help: ArgumentHelp("A JSON file with the policy.", valueName: "path"))
        var file: String?
        @Argument(help: "The account: org or org/team.") var account: String

        func run() throws {
            var payload = Payload()
            if let file {
                guard rules.isEmpty, fallback == nil else {
                    throw CommandFailure(.usage, "say --file, or --rule and --fallback, not both")
                }
                for member in try Self.read(file) { payload[member.name] = member.value }
            } else {
                guard let fallback else {
                    throw CommandFailure(
                        .usage, "say --fallback: the model where no rule applies, or --file")
                }
                payload.set("fallback", fallback)
                payload["rules"] = .array(try rules.map(RuleWords.json))
            }
            payload.set("account", account)
            try change.append("routing.set", payload, connection, "routing of \(account) set")
        }
        private static func read(_ file: String) throws(CommandFailure) -> [JSON.Member] {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CommandFailure(.noInput, "cannot read \(file)")
            }
            let text = String(decoding: data, as: UTF8.self)
            guard let members = try InputFile.json(text, of: file).members else {
                throw CommandFailure(
                    .data, "\(file) holds no JSON object with \"rules\" and \"fallback\"")
            }
            return members
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the rules that hold for an account, and whose they are.",
            discussion: "Example:\n  tollgate route show acme/tools")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String

        func run() throws {
            let client = try connection.connect()
            let names = account.split(separator: "/")
            for depth in (1...max(names.count, 1)).reversed() where depth < 3 {
                let path = names.prefix(depth).joined(separator: "/")
                guard let policy = try client.json(["GET", path])["routing"] else { continue }
                if format.json {
                    JSON.object([
                        JSON.Member("account", .string(path)), JSON.Member("routing", policy),
                    ]).print()
                } else {
                    Show.print(path, policy)
                }
                return
            }
            Console.note(
                "no routing: 'auto' is refused until 'tollgate route set' has said what it means")
            if format.json { JSON.null.print() }
        }
        private static func print(_ path: String, _ policy: JSON) {
            var facts = Facts()
            facts.add("routing of", path)
            facts.add("fallback", policy["fallback"]?.plain)
            facts.print()
            Console.print("")
            var table = Table([.text("RULE"), .text("MATCHES"), .text("MODEL"), .text("FALLBACK")])
            for rule in policy["rules"]?.array ?? [] {
                table.add([
                    rule.cell("name"), rule.cell("match"), rule.cell("model"),
                    rule.cell("fallback"),
                ])
            }
            table.print()
        }
    }

    struct Clear: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the routing of an org or a team away.",
            discussion: "Example:\n  tollgate route clear acme/tools")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The account: org or org/team.") var account: String

        func run() throws {
            var payload = Payload()
            payload.set("account", account)
            payload["rules"] = .null
            try change.append(
                "routing.set", payload, connection, "routing of \(account) taken away")
        }
    }

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show step by step which model 'auto' would mean to a request.",
            discussion: """
                Example:
                  tollgate route test acme/tools/bot in=1250 temperature=0.3 \\
                    'prompt=Summarize this'

                Words behind the key are RESERVE's fields. Nothing is held or logged.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The key: org/team/key.") var key: String
        @Argument(help: ArgumentHelp("RESERVE's fields.", valueName: "name=value"))
        var fields: [String] = []

        func run() throws {
            let decision = try connection.connect().json(["EXPLAIN", key, "auto"] + fields)
            if format.json {
                decision.print()
            } else {
                RoutingText.print(decision)
            }
            guard decision["routing"] != nil else {
                throw CommandFailure(.failure, Self.why(decision))
            }
        }
        /// Why nothing was routed: the daemon's error, or the check that comes before.
        private static func why(_ decision: JSON) -> String {
            if let error = decision["error"]?.plain { return error }
            let failed = decision["checks"]?.array?.first { $0["passes"] == .bool(false) }
            return [decision["reason"]?.plain, failed?["why"]?.plain].compactMap { $0 }
                .joined(separator: ": ")
        }
    }
}

/// `name=short,out=500,prompt=brief|tl;dr,model=flash` as a rule of a policy.
private enum RuleWords {
    static func json(_ text: String) throws(CommandFailure) -> JSON {
        var rule = Payload()
        var match = Payload()
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw CommandFailure(
                    .usage,
                    "--rule \"\(text)\": \"\(pair)\" is no name=value; what has a comma in it goes "
                        + "into a --file")
            }
            switch parts[0] {
            case "name", "model", "fallback": rule.set(parts[0], parts[1])
            case "temperature", "priority": match.set(parts[0], parts[1])
            case "out", "in": match.set(parts[0], try number(parts[1], text))
            case "batch": match["batch"] = .bool(try flag(parts[1], text))
            case "prompt", "capability":
                match[parts[0]] = .strings(parts[1].split(separator: "|").map(String.init))
            default:
                throw CommandFailure(
                    .usage,
                    "--rule \"\(text)\": there is no \"\(parts[0])\": say name, model, fallback, out, "
                        + "in, temperature, batch, priority, prompt or capability")
            }
        }
        rule["match"] = match.json
        return rule.json
    }
    private static func number(
        _ text: String, _ rule: String
    ) throws(CommandFailure) -> Int64 {
        guard let number = Int64(text), number >= 0 else {
            throw CommandFailure(.usage, "--rule \"\(rule)\": \"\(text)\" is no number of tokens")
        }
        return number
    }
    private static func flag(_ text: String, _ rule: String) throws(CommandFailure) -> Bool {
        switch text {
        case "yes", "true", "1": return true
        case "no", "false", "0": return false
        default:
            throw CommandFailure(.usage, "--rule \"\(rule)\": batch is \"\(text)\": say yes or no")
        }
    }
}

/// How `auto` was understood, for people.
enum RoutingText {
    static func print(_ decision: JSON) {
        guard let routing = decision["routing"] else { return }
        var facts = Facts()
        facts.add("routing of", routing["account"]?.plain)
        facts.add("rule", routing["rule"]?.plain)
        facts.add("model", routing["model"]?.plain)
        facts.add("usd", decision["usd"]?.plain)
        facts.add("saved", routing["saved"]?.plain)
        facts.add("then", decision["answer"]?.plain)
        facts.print()
        Console.print("")
        var table = Table([
            .number("STEP"), .text("RULE"), .text("MODEL"), .text("RESULT"), .text("WHY"),
        ])
        for (i, step) in (routing["steps"]?.array ?? []).enumerated() {
            table.add([
                "\(i + 1)", step["rule"]?.plain ?? "", step["model"]?.plain ?? "", result(step),
                step.cell("why"),
            ])
        }
        table.print()
    }
    private static func result(_ step: JSON) -> String {
        if let matches = step["matches"] { return matches == .bool(true) ? "matches" : "-" }
        if let usable = step["usable"] { return usable == .bool(true) ? "chosen" : "passed over" }
        return "chosen"
    }
}

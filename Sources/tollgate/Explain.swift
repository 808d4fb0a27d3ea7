import ArgumentParser
import Events

/// `tollgate explain`
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell why a request would be allowed or refused, or what became of one.",
        discussion: """
            Examples:
              tollgate explain acme/ml/prod openai/gpt-4.1 in=1200 out=400
              tollgate explain 3-184467
              tollgate explain 184470 --json

            With a key and a model: the answer RESERVE would give now, every check in order,
            and every limit of key, team and org with what is used, held and left. Further
            words are RESERVE's fields. Nothing is held or logged.

            With a hold, a charge or the number of an event: the life of that request, from
            the log. Tables round money to four decimals; --json is exact.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Argument(
        help: ArgumentHelp(
            "A key, a model and RESERVE's fields; or a hold, or an event's number.",
            valueName: "word"))
    var words: [String]

    func run() throws {
        let client = try connection.connect()
        guard words.count == 1 else {
            let decision = try client.json(["EXPLAIN"] + words)
            if format.json {
                decision.print()
            } else {
                DecisionText.print(decision)
            }
            return
        }
        let life = try Explain.life(words[0], client)
        if format.json {
            life.print()
        } else {
            LifeText.print(life)
        }
    }

    /// The whole life of a request: a long log is looked through in several answers.
    private static func life(_ name: String, _ client: Client) throws(CommandFailure) -> JSON {
        var page = try client.json(["EXPLAIN", name])
        var events = page["events"]?.array ?? []
        var known = Payload()
        for field in ["request", "state", "spent"] { known[field] = page[field] }
        while let next = page["next"]?.integer {
            page = try client.json(["EXPLAIN", name, "from=\(next)"])
            events += page["events"]?.array ?? []
            for field in ["state", "spent"] {
                if let value = page[field], !value.isNull { known[field] = value }
            }
        }
        guard !events.isEmpty else {
            throw CommandFailure(.failure, "the log has no request \(name)")
        }
        known["events"] = .array(events)
        return known.json
    }
}

/// Why a request would be allowed or refused, for people.
private enum DecisionText {
    static func print(_ decision: JSON) {
        Console.print(headline(decision))
        Console.print("")
        var facts = Facts()
        facts.add("account", decision["account"]?.plain)
        facts.add("model", model(decision))
        facts.add("tokens", "\(decision.cell("in")) in, \(decision.cell("out")) out")
        facts.add("usd", decision["usd"]?.plain)
        facts.add("same id as", decision["repeats"]?.plain)
        facts.print()
        Console.print("")
        if decision["routing"] != nil {
            RoutingText.print(decision)
            Console.print("")
        }
        printChecks(decision)
        guard let limits = decision["limits"]?.array, !limits.isEmpty else { return }
        Console.print("")
        printLimits(limits, binds: decision["binds"] ?? .null)
    }

    private static func headline(_ decision: JSON) -> String {
        let style = Style.output
        switch decision.cell("answer") {
        case "allowed":
            guard let binds = decision["binds"], !binds.isNull else {
                return style.paint("allowed", .green) + ": no limit stands in the way"
            }
            let more = binds["more"]?.integer ?? 0
            return style.paint("allowed", .green)
                + ": \(more) such request\(more == 1 ? "" : "s") fit before \(binds.cell("limit")) "
                + "of \(binds.cell("account")) refuses"
        case "refused":
            let check = (decision["checks"]?.array ?? []).first { $0["passes"] == .bool(false) }
            return style.paint("refused", .red)
                + ": \(decision.cell("status")) \(decision.cell("reason")): "
                + Table.inOneLine(check?.cell("why") ?? "")
        default: return style.paint("error", .red) + ": " + Table.inOneLine(decision.cell("error"))
        }
    }
    private static func model(_ decision: JSON) -> String {
        let asked = decision.cell("asked_model")
        guard let model = decision["model"]?.plain else { return asked }
        let version = decision["price"].map { ", version \($0.plain) of its price" } ?? ""
        return (model == asked ? model : "\(model), asked for as \(asked)") + version
    }
    private static func printChecks(_ decision: JSON) {
        var table = Table([.number("NO"), .text("CHECK"), .text("RESULT"), .text("WHY")])
        for check in decision["checks"]?.array ?? [] {
            let result =
                switch check["passes"] {
                case .bool(true): "passes"
                case .bool(false): "refuses"
                default: "unknown"
                }
            table.add([check.cell("number"), check.cell("check"), result, check.cell("why")])
        }
        table.print()
    }
    private static func printLimits(_ limits: [JSON], binds: JSON) {
        var table = Table([
            .text(""), .text("ACCOUNT"), .text("LIMIT"), .number("AMOUNT"), .number("USED"),
            .number("HELD"), .number("LEFT"), .number("ASKED"), .text("RESETS"),
        ])
        for limit in limits {
            func amount(_ name: String) -> String {
                let value = limit[name] ?? .null
                return limit.cell("limit").hasPrefix("usd.") ? Money.rounded(value) : value.plain
            }
            let isBinding =
                limit["account"] == binds["account"] && limit["limit"] == binds["limit"]
            let mark = limit["admits"] == .bool(false) ? "no" : isBinding ? "→" : ""
            table.add([
                mark, limit.cell("account"), limit.cell("limit"), amount("amount"),
                amount("used"), amount("held"), amount("left"), amount("asked"),
                limit.timeCell("resets_at"),
            ])
        }
        table.print()
        for limit in limits where limit["override"] != nil {
            Console.print(
                "\(limit.cell("limit")) of \(limit.cell("account")) is overridden until "
                    + "\(limit.timeCell("until")): \(Table.inOneLine(limit.cell("reason")))")
        }
    }
}

/// The life of a request, for people.
private enum LifeText {
    static func print(_ life: JSON) {
        let events = life["events"]?.array ?? []
        var facts = Facts()
        facts.add("request", life["request"].flatMap { $0.isNull ? nil : $0.plain })
        facts.add("account", events.first?["account"]?.plain)
        facts.add("state", life["state"]?.plain)
        facts.add("spent", life["spent"]?.plain)
        facts.add("billed", life["billed"].map { "\($0.plain) \(life.cell("currency"))" })
        facts.print()
        Console.print("")
        var table = Table([
            .text("TIME"), .number("AFTER"), .number("SEQ"), .text("EVENT"), .text("BY"),
            .text("WHAT"),
        ])
        let start = events.first?.instant("time")
        for event in events {
            table.add([
                event.timeCell("time"), after(start, event.instant("time")), event.cell("seq"),
                event.cell("type"), event.cell("actor"),
                EventLine.summary(event, without: ["actor"]),
            ])
        }
        table.print()
    }
    /// Seconds with three decimals; a log's times never go backwards.
    private static func after(_ start: Instant?, _ then: Instant?) -> String {
        guard let start, let then else { return "-" }
        let milliseconds = (then.nanoseconds - start.nanoseconds) / 1_000_000
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        let digits = String(rest)
        return "+\(seconds).\(String(repeating: "0", count: 3 - digits.count))\(digits)"
    }
}

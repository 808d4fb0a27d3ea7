import ArgumentParser
import Events

/// `tollgate monitor`: the daemon's answers as they are given.
struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch requests being answered, a line an answer.",
        discussion: """
            Examples:
              tollgate monitor
              tollgate monitor --denied --team acme/ml
              tollgate monitor --from 184000 --json | jq .reason

            Shows what is allowed, refused, extended, settled, released and lapsed, and
            charges, once it is on disk; times are UTC. It ends with Ctrl-C. When the
            daemon is lost, or has dropped this reader for being too slow, it goes on
            where it was. A request with a key that nobody knows is of no team, so --team
            does not show it.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @Flag(help: "Only refusals.") var denied = false
    @Option(
        name: [.customLong("team"), .customLong("account")],
        help: ArgumentHelp("Only this org, team or key.", valueName: "account"))
    var account: String?
    @Option(help: ArgumentHelp("Start with this event, not with what comes.", valueName: "seq"))
    var from: Int64?
    @Option(help: ArgumentHelp("End after so many lines.", valueName: "n")) var limit: Int64?
    @Flag(help: "Print each event as JSON, one a line.") var json = false

    func run() throws {
        for (name, value) in [("from", from), ("limit", limit)] {
            if let value, value < 1 {
                throw CommandFailure(.usage, "--\(name) must be 1 or more")
            }
        }
        let target = try connection.target()
        var filter = denied ? ["denied"] : []
        if let account {
            try Client(target).require(account: account)
            filter.append("account=\(account)")
        }
        let log = try LiveLog(target, from: from, filter: filter)
        try log.print(atMost: limit) { event in
            guard let line = MonitorLine.text(event) else { return nil }
            return json ? event.compact : line
        }
    }
}

extension LiveLog {
    /// Prints what `line` makes of each event, until so many lines are printed; without end otherwise.
    func print(
        atMost limit: Int64?, _ line: (JSON) -> String?
    ) throws(CommandFailure) {
        var left = limit ?? .max
        while left > 0 {
            var next = try event(within: 0)
            if next == nil {
                Console.flush()
                next = try event(within: 1_000)
            }
            guard let event = next, let text = line(event) else { continue }
            Console.print(text)
            left -= 1
        }
    }
}

/// An answer in one line for people; nil for an event that is none.
enum MonitorLine {
    static func text(_ event: JSON, _ style: Style = .output) -> String? {
        let who = event["account"]?.plain ?? event["key"]?.plain ?? "-"
        guard let (word, ink, story) = story(event) else { return nil }
        let head = [
            style.paint(time(event.cell("time")), .dim),
            style.paint(word.padded(to: 8), ink), Table.inOneLine(who).padded(to: 28),
        ]
        return head.joined(separator: "  ") + "  "
            + Table.inOneLine(story.filter { !$0.isEmpty }.joined(separator: "  "))
    }

    private static func story(_ event: JSON) -> (String, Style.Ink, [String])? {
        let model = event["model"]?.plain ?? ""
        let tokens = "\(event.cell("in")) in, \(event.cell("out")) out"
        let rounded = Money.rounded(event["usd"] ?? .null)
        // What is less than that is no nothing.
        let usd = "$" + (rounded == "0.0000" ? event.cell("usd") : rounded)
        switch event.cell("type") {
        case "hold.placed":
            return (
                "ALLOW", .green,
                [event.cell("hold"), model, tokens, usd, named(event, ["rule"]), about(event)]
            )
        case "hold.refused":
            let why = "\(event.cell("status")) \(event.cell("reason"))"
            return ("DENY", .red, [why, numbers(event), model, tokens, about(event)])
        case "refusals.summed":
            let why = "\(event.cell("status")) \(event.cell("reason"))"
            return ("DENY", .red, [why, "\(event.cell("count")) more like it in one second"])
        case "hold.extended": return ("EXTENDED", .green, [event.cell("hold"), tokens, usd])
        case "hold.settled":
            return (
                "SETTLED", .green,
                [
                    event.cell("hold"), tokens, usd, event["ms"].map { "\($0.plain) ms" } ?? "",
                    event["late"] == .bool(true) ? "late" : "",
                    event.cell("outcome") == "exact" ? "" : event.cell("outcome"),
                ]
            )
        case "hold.released":
            return ("RELEASED", .dim, [event.cell("hold"), named(event, ["why"])])
        case "hold.lapsed":
            return ("LAPSED", .yellow, [event.cell("hold"), named(event, ["usd"])])
        case "charge.recorded":
            return ("CHARGED", .green, [event.cell("charge"), model, tokens, usd, about(event)])
        default: return nil
        }
    }
    /// `usd.day of acme/ml: 499.2 used, 0.79 held of 500`.
    private static func numbers(_ event: JSON) -> String {
        let scope = event["scope"]?.plain
        guard event["amount"] != nil else { return scope.map { "by \($0)" } ?? "" }
        return
            "\(event["limit"]?.plain ?? "credit") of \(scope ?? "-"): \(event.cell("used")) used, "
            + "\(event.cell("held")) held of \(event.cell("amount"))"
    }
    private static func about(_ event: JSON) -> String {
        named(event, ["user", "project", "env", "id"])
    }
    private static func named(_ event: JSON, _ names: [String]) -> String {
        names.compactMap { name in event[name].map { "\(name)=\($0.plain)" } }
            .joined(separator: " ")
    }
    /// `10:00:00.123` of an instant.
    private static func time(_ text: String) -> String {
        let short = text.dropFirst(11).prefix(12)
        return short.count == 12 ? String(short) : text
    }
}

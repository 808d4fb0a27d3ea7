import ArgumentParser
import Events

/// `tollgate events`
struct EventLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Show the log, event by event.",
        discussion: """
            Examples:
              tollgate events --last 20
              tollgate events --from 1 --type hold.refused --account acme/ml
              tollgate events --follow --json | jq .usd

            Without --from it starts with event 1, with --follow at the end of the log.
            --json prints one event a line. Only what has reached the disk is shown.
            --follow goes on where it was when the daemon is lost, or has dropped this
            reader for being too slow.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @Flag(help: "Print each event as JSON, one a line.") var json = false
    @Flag(help: "Keep waiting for new events, until interrupted.") var follow = false
    @Option(help: ArgumentHelp("The first event.", valueName: "seq")) var from: Int64?
    @Option(help: ArgumentHelp("The last event.", valueName: "seq")) var to: Int64?
    @Option(help: ArgumentHelp("Start this many events before the end.", valueName: "n"))
    var last: Int64?
    @Option(help: ArgumentHelp("Show at most so many.", valueName: "n")) var limit: Int64?
    @Option(
        help: ArgumentHelp("Only events of this type, such as hold.refused.", valueName: "type"))
    var type: String?
    @Option(
        help: ArgumentHelp("Only events of this account and those below it.", valueName: "account"))
    var account: String?

    private static let pageEvents: Int64 = 1_000

    func run() throws {
        if let to, follow {
            throw CommandFailure(.usage, "--follow has no end: leave out --to \(to)")
        }
        if last != nil, from != nil {
            throw CommandFailure(.usage, "say --from or --last, not both")
        }
        for (name, value) in [("from", from), ("to", to), ("last", last), ("limit", limit)] {
            if let value, value < 1 {
                throw CommandFailure(.usage, "--\(name) must be 1 or more")
            }
        }
        if let from, let to, from > to {
            throw CommandFailure(.usage, "--from \(from) is after --to \(to): exchange them")
        }
        if follow { return try followLog() }
        let client = try connection.connect()
        let end = try durableSeq(client)
        let next = from ?? last.map { max(end - $0 + 1, 1) } ?? 1
        guard next <= end else { return Console.note("the log ends with event \(end)") }
        let stop = min(end, to ?? end)
        guard next <= stop else {
            throw CommandFailure(
                .usage,
                "--last \(last ?? 0) starts with event \(next), behind --to \(stop): say --from, or a larger --last"
            )
        }
        _ = try show(next...stop, atMost: limit ?? .max, client, end: end)
    }

    /// The daemon sends what comes; when it is lost, another connection goes on behind the last event.
    private func followLog() throws(CommandFailure) {
        let target = try connection.target()
        var first = from
        if let last { first = max(try durableSeq(Client(target)) - last + 1, 1) }
        var filter: [String] = []
        if let type { filter.append("type=\(type)") }
        if let account {
            try Client(target).require(account: account)
            filter.append("account=\(account)")
        }
        let log = try LiveLog(target, from: first, filter: filter)
        try log.print(atMost: limit) { json ? $0.compact : EventLine.text($0) }
    }

    /// The last event that EVENTS can show.
    private func durableSeq(_ client: Client) throws(CommandFailure) -> Int64 {
        guard let seq = try client.info("durable_seq") else {
            throw CommandFailure(.protocolBroken, "the daemon's INFO has no durable_seq")
        }
        return seq
    }

    /// Prints a range of events page by page; answers how many.
    private func show(
        _ range: ClosedRange<Int64>, atMost most: Int64, _ client: Client, end: Int64
    ) throws(CommandFailure) -> Int64 {
        guard range.lowerBound <= end else { return 0 }
        var shown: Int64 = 0
        var next = range.lowerBound
        while next <= range.upperBound, shown < most {
            var words = [
                "EVENTS", "from=\(next)", "to=\(range.upperBound)",
                "limit=\(min(Self.pageEvents, most - shown))",
            ]
            if let type { words.append("type=\(type)") }
            if let account { words.append("account=\(account)") }
            let events = try client.json(words).array ?? []
            guard let lastSeq = events.last?["seq"]?.integer else { break }
            for event in events {
                Console.print(json ? event.compact : EventLine.text(event))
            }
            shown += Int64(events.count)
            next = lastSeq + 1
        }
        return shown
    }
}

/// An event in one line for people: time, seq, type, account, and what it says.
enum EventLine {
    private static let shownElsewhere: Set<String> = ["seq", "time", "epoch", "type", "account"]

    static func text(_ event: JSON, _ style: Style = .output) -> String {
        let type = event.cell("type")
        let head = [
            style.paint(time(event.cell("time")), .dim),
            event.cell("seq").padded(to: 9, right: true),
            style.paint(type.padded(to: 16), ink(type)),
            event.cell("account").padded(to: 28),
        ]
        return head.joined(separator: "  ") + "  "
            + Table.inOneLine(summary(event))
    }

    /// To the millisecond, in UTC, without the letters of RFC 3339.
    private static func time(_ text: String) -> String {
        let short = String(text.prefix(23))
        return short.count == 23 ? short.replacing("T", with: " ") : text
    }
    private static func ink(_ type: String) -> Style.Ink {
        switch type {
        case "hold.refused", "refusals.summed": .red
        case "hold.lapsed", "key.revoked", "operator.revoked": .yellow
        case "hold.placed", "hold.settled", "charge.recorded": .green
        default: .bold
        }
    }

    /// The fields that tell the story, in its order; every other event says all it has.
    ///
    /// - Parameter shown: fields that stand elsewhere.
    static func summary(_ event: JSON, without shown: Set<String> = []) -> String {
        let names: [String]
        switch event.cell("type") {
        case "hold.placed":
            names = [
                "hold", "model", "in", "out", "usd", "rule", "saved", "came", "prio", "id", "user",
            ]
        case "hold.extended": names = ["hold", "in", "out", "usd", "until"]
        case "hold.refused":
            names = [
                "status", "reason", "scope", "limit", "amount", "used", "held", "key", "model",
                "rule", "in", "out", "id",
            ]
        case "hold.settled", "charge.recorded":
            names = [
                "hold", "charge", "model", "in", "out", "cached", "cache_write", "reasoning", "usd",
                "billed", "currency", "late", "id",
            ]
        default:
            names = (event.members ?? []).map(\.name).filter {
                !shownElsewhere.contains($0) && !shown.contains($0)
            }
        }
        return names.compactMap { name in
            guard let value = event[name], value != .bool(false) else { return nil }
            return value.members == nil ? "\(name)=\(value.plain)" : "\(name)=(\(value.plain))"
        }.joined(separator: " ")
    }
}

import Events

/// One charge or settlement as the log has it.
struct PastCharge {
    /// The hold's name, or the charge's own.
    var name: String
    var account: String
    /// Nil: of a model without a price, or its placing is not in the log.
    var model: String?
    var usage: TokenUsage
    var tier: ServiceTier
    /// The instants as the log writes them: when it began to count, and when it was charged.
    var placed: String
    var time: String
    /// What it counts now.
    var usd: Int64
    /// The last correction's number; 0 where there is none.
    var correction: Int64 = 0
    /// Somebody said what it costs, rather than which price it has.
    var isTruedUp = false
    /// Nobody settled it: it was charged for running out of time.
    var isLapse = false
}

/// Reads charges out of the log, page by page.
struct PastCharges {
    private let client: Client
    private let end: Int64
    private(set) var charges: [PastCharge] = []
    private var index: [String: Int] = [:]
    private var placed: [String: JSON] = [:]

    private static let pageEvents: Int64 = 10_000

    init(_ client: Client) throws(CommandFailure) {
        self.client = client
        guard let end = try client.info("durable_seq") else {
            throw CommandFailure(.protocolBroken, "the daemon's INFO has no durable_seq")
        }
        self.end = end
    }

    /// Everything that was charged from one instant until before another.
    mutating func read(
        from: Instant, to: Instant?, account: String?
    ) throws(CommandFailure) {
        let first = try seq(at: from)
        let after = try to.map { (instant) throws(CommandFailure) in try seq(at: instant) }
        let last = (after ?? end + 1) - 1
        if first <= last {
            var ended: [JSON] = []
            try Self.pages(client, first...last, account: account) { event in
                switch event["type"]?.string {
                case "hold.placed": placed[event.cell("hold")] = event
                case "hold.extended": extend(event)
                case "hold.settled", "hold.lapsed", "charge.recorded": ended.append(event)
                default: break
                }
            }
            try readPlacings(of: ended)
            for event in ended { take(event) }
        }
        guard !charges.isEmpty else { return }
        try readLateSettlements(after: last)
        try readCorrections(from: first)
    }

    // MARK: Places in the log

    /// The first event at or after an instant; one past the end when there is none.
    private func seq(at instant: Instant) throws(CommandFailure) -> Int64 {
        var (low, high) = (Int64(1), end + 1)
        while low < high {
            let middle = low + (high - low) / 2
            let event = try client.json(["EVENTS", "from=\(middle)", "limit=1"]).array?.first
            guard let time = event?.instant("time") else {
                throw CommandFailure(.protocolBroken, "event \(middle) cannot be read")
            }
            if time < instant { low = middle + 1 } else { high = middle }
        }
        return low
    }
    // Static, so that what it calls may change the reader.
    private static func pages(
        _ client: Client, _ range: ClosedRange<Int64>, type: String? = nil, account: String? = nil,
        _ body: (JSON) -> Void
    ) throws(CommandFailure) {
        var next = range.lowerBound
        while next <= range.upperBound {
            var words = [
                "EVENTS", "from=\(next)", "to=\(range.upperBound)", "limit=\(pageEvents)",
            ]
            if let type { words.append("type=\(type)") }
            if let account { words.append("account=\(account)") }
            let events = try client.json(words).array ?? []
            guard let last = events.last?["seq"]?.integer else { return }
            for event in events { body(event) }
            next = last + 1
        }
    }

    // MARK: Events

    private mutating func extend(_ event: JSON) {
        guard case .object(var members)? = placed[event.cell("hold")] else { return }
        for i in members.indices {
            if ["in", "out"].contains(members[i].name), let new = event[members[i].name] {
                members[i].value = new
            }
        }
        placed[event.cell("hold")] = .object(members)
    }
    /// The holds that were placed before the range: each is the event that its name ends with.
    private mutating func readPlacings(of ended: [JSON]) throws(CommandFailure) {
        let names = ended.filter { $0["type"]?.string != "charge.recorded" }
            .map { $0.cell("hold") }.filter { placed[$0] == nil }
        let words = names.map { name in
            ["EVENTS", "from=\(name.split(separator: "-").last ?? "1")", "limit=1"]
        }
        for (name, reply) in zip(names, try client.pipeline(words)) {
            let event = try Client.json(reply, of: "EVENTS").array?.first
            if let event, event.cell("hold") == name, event["type"]?.string == "hold.placed" {
                placed[name] = event
            }
        }
    }
    private mutating func take(_ event: JSON) {
        let isCharge = event["type"]?.string == "charge.recorded"
        let name = event["hold"]?.string ?? event.cell("charge")
        let placing = isCharge ? event : placed[name]
        let tier = (event["tier"] ?? placing?["tier"])?.string.flatMap { text in
            text.withBytes { ServiceTier($0) }
        }
        guard let usd = event.money("usd")?.raw else { return }
        var charge = PastCharge(
            name: name, account: event.cell("account"),
            model: placing?["price"]?.integer == 0 ? nil : placing?["model"]?.string,
            usage: PastCharges.usage(event, placing), tier: tier ?? .standard,
            placed: placing?.cell("time") ?? "-", time: event.cell("time"), usd: usd)
        charge.isLapse = event["type"]?.string == "hold.lapsed"
        if let known = index[name] {
            charges[known] = charge
        } else if !charge.isLapse || charge.usage.total > 0 {
            index[name] = charges.count
            charges.append(charge)
        }
    }
    /// A hold that lapsed in the range may have been settled since.
    private mutating func readLateSettlements(after last: Int64) throws(CommandFailure) {
        guard charges.contains(where: \.isLapse), last < end else {
            return
        }
        var late: [JSON] = []
        try Self.pages(client, last + 1...end, type: "hold.settled") { event in
            if event["late"] == .bool(true), index[event.cell("hold")] != nil { late.append(event) }
        }
        for event in late { take(event) }
    }
    private mutating func readCorrections(from first: Int64) throws(CommandFailure) {
        var corrections: [JSON] = []
        try Self.pages(client, min(first, end)...end, type: "charge.corrected") {
            corrections.append($0)
        }
        for event in corrections {
            guard let i = index[event.cell("charge")], let usd = event.money("usd")?.raw
            else { continue }
            charges[i].usd = usd
            charges[i].correction = event["seq"]?.integer ?? 0
            charges[i].isTruedUp = event["price"] == nil
        }
    }

    /// A lapse tells only how many tokens it charged: the prompt's, or all that was held.
    private static func usage(_ event: JSON, _ placing: JSON?) -> TokenUsage {
        func count(_ name: String, _ event: JSON?) -> Int64 { event?[name]?.integer ?? 0 }
        guard let tokens = event["tokens"]?.integer else {
            return TokenUsage(
                input: count("in", event), output: count("out", event),
                cached: count("cached", event), cacheWrite: count("cache_write", event),
                reasoning: count("reasoning", event))
        }
        let input = count("in", placing)
        return TokenUsage(input: min(input, tokens), output: max(0, tokens - input))
    }
}

import Events

/// Which events a price file asks for, given what the daemon already has.
struct PricePlan {
    /// One model whose price the file has otherwise, or that has none yet.
    struct Change {
        /// As the file calls it.
        var name: String
        var old: PriceSet?
        var new: PriceSet
        var payload: JSON
        var differences: [PriceChange] { old?.changes(to: new) ?? [] }
        var leaps: [PriceChange] { differences.filter(\.isLeap) }
    }
    struct NewAlias {
        var name: String
        var payload: JSON
    }
    private(set) var report = PriceReport()
    private(set) var changes: [Change] = []
    private(set) var aliasesToSet: [NewAlias] = []
    /// Models that have a price and that the file does not name.
    var missing: [String] { current.keys.filter { takenModels[$0] == nil }.sorted() }

    private var current: [String: PriceSet] = [:]
    private var aliases: [String: String] = [:]
    private var takenModels: [String: JSON] = [:]

    init(_ client: Client) throws(CommandFailure) {
        for item in try client.list("prices") {
            guard let model = item["model"]?.string else { continue }
            current[model] = PriceSet(item)
        }
        for item in try client.list("aliases") {
            guard let alias = item["alias"]?.string else { continue }
            aliases[alias] = item["model"]?.string
        }
    }
    /// The plan for a whole file.
    init(
        _ entries: [(name: String, entry: LiteLLMPrices.Entry)], _ client: Client
    ) throws(CommandFailure) {
        try self.init(client)
        for (name, entry) in entries {
            switch entry {
            case .taken(let offer): take(name, offer)
            case .skipped(let why): report.skip(name, why)
            }
        }
    }

    private mutating func take(_ name: String, _ offer: LiteLLMPrices.Offer) {
        if let earlier = takenModels[offer.model] {
            if earlier != offer.payload {
                report.skip(name, "the file has another price for the same model")
            }
        } else {
            takenModels[offer.model] = offer.payload
            takePrice(name, offer)
        }
        if let alias = offer.alias { takeAlias(name, alias, offer.model) }
    }
    private mutating func takePrice(_ name: String, _ offer: LiteLLMPrices.Offer) {
        report.leftOut += offer.leftOut
        guard let new = PriceSet(offer.payload) else { return }
        let change = Change(
            name: name, old: current[offer.model], new: new, payload: offer.payload)
        if change.old != nil, change.differences.isEmpty {
            report.pricesUnchanged += 1
            return
        }
        report.pricesSet += 1
        if change.old == nil { report.pricesNew += 1 }
        if !new.capabilities.isEmpty { report.withCapabilities += 1 }
        if offer.isRounded { report.rounded.append(name) }
        changes.append(change)
    }
    private mutating func takeAlias(_ name: String, _ alias: String, _ model: String) {
        if let known = aliases[alias] {
            if known == model {
                report.aliasesUnchanged += 1
            } else {
                report.aliasesKept.append("\(alias) stands for \(known), not \(model)")
            }
            return
        }
        aliases[alias] = model
        report.aliasesSet += 1
        var payload = Payload()
        payload.set("alias", alias)
        payload.set("model", model)
        aliasesToSet.append(NewAlias(name: name, payload: payload.json))
    }

    /// Appends them, many in flight: each reply waits for the disk, all of them share its commits.
    mutating func execute(_ client: Client) throws(CommandFailure) {
        let prices = changes.map { change in
            ["APPEND", "price.set", PricePlan.forced(change).compact]
        }
        for (change, reply) in zip(changes, try client.pipeline(prices)) {
            guard case .error(let code, let text) = reply else { continue }
            report.pricesSet -= 1
            report.refused.append("\(change.name): \(code) \(text)")
        }
        let words = aliasesToSet.map { ["APPEND", "alias.set", $0.payload.compact] }
        for (alias, reply) in zip(aliasesToSet, try client.pipeline(words)) {
            guard case .error(let code, let text) = reply else { continue }
            report.aliasesSet -= 1
            report.refused.append("\(alias.name): \(code) \(text)")
        }
    }
    /// Says of a leap, and of nothing else, that it is meant.
    private static func forced(_ change: Change) -> JSON {
        guard !change.leaps.isEmpty, let members = change.payload.members else {
            return change.payload
        }
        return .object(members + [JSON.Member("force", .bool(true))])
    }
}

/// What an import did or would do, and why it did not do the rest.
struct PriceReport {
    var pricesSet = 0
    /// Of those, models that had no price before.
    var pricesNew = 0
    var pricesUnchanged = 0
    var withCapabilities = 0
    var aliasesSet = 0
    var aliasesUnchanged = 0
    var aliasesKept: [String] = []
    var rounded: [String] = []
    var leftOut: [String] = []
    var refused: [String] = []
    private var skipped: [(reason: String, names: [String])] = []

    mutating func skip(_ name: String, _ reason: String) {
        if let i = skipped.firstIndex(where: { $0.reason == reason }) {
            skipped[i].names.append(name)
        } else {
            skipped.append((reason, [name]))
        }
    }
    private var skippedByCount: [(reason: String, names: [String])] {
        skipped.sorted { ($1.names.count, $0.reason) < ($0.names.count, $1.reason) }
    }
    private var leftOutByCount: [(name: String, count: Int)] {
        Dictionary(grouping: leftOut) { $0 }.map { ($0.key, $0.value.count) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    }

    func print(dryRun: Bool, verbose: Bool) {
        var table = Table([.number("COUNT"), .text("WHAT")])
        func add(_ count: Int, _ what: String) {
            if count > 0 { table.add(["\(count)", what]) }
        }
        let set = dryRun ? "would be set" : "set"
        table.add(["\(pricesSet)", "prices \(set)"])
        add(pricesNew, "  of them models that had no price")
        add(withCapabilities, "  of them with capabilities")
        add(rounded.count, "  of them rounded to six decimals a million tokens")
        add(pricesUnchanged, "prices unchanged")
        add(aliasesSet, "aliases \(set)")
        add(aliasesUnchanged, "aliases unchanged")
        add(aliasesKept.count, "aliases kept: they stand for another model")
        for (reason, names) in skippedByCount { add(names.count, "skipped: \(reason)") }
        add(refused.count, "refused by the daemon")
        table.print()
        for line in refused.prefix(verbose ? .max : 10) { Console.note("refused: \(line)") }
        guard verbose else {
            if !leftOut.isEmpty {
                Console.note(
                    "\(leftOut.count) prices of other kinds (audio, images, searches, one-hour "
                        + "caches …) have no place in the price book: --verbose lists them")
            }
            return
        }
        for (reason, names) in skippedByCount {
            for name in names { Console.print("skipped  \(name)  \(reason)") }
        }
        for name in rounded { Console.print("rounded  \(name)") }
        for alias in aliasesKept { Console.print("kept     \(alias)") }
        for (name, count) in leftOutByCount { Console.print("left out \(name)  \(count) models") }
    }

    var json: JSON {
        func counts(_ pairs: [(String, Int)]) -> JSON {
            .object(pairs.map { JSON.Member($0.0, .integer(Int64($0.1))) })
        }
        return .object([
            JSON.Member("prices_set", .integer(Int64(pricesSet))),
            JSON.Member("prices_new", .integer(Int64(pricesNew))),
            JSON.Member("prices_unchanged", .integer(Int64(pricesUnchanged))),
            JSON.Member("aliases_set", .integer(Int64(aliasesSet))),
            JSON.Member("aliases_unchanged", .integer(Int64(aliasesUnchanged))),
            JSON.Member("aliases_kept", .strings(aliasesKept)),
            JSON.Member("rounded", .strings(rounded)),
            JSON.Member("skipped", counts(skippedByCount.map { ($0.reason, $0.names.count) })),
            JSON.Member("left_out", counts(leftOutByCount)),
            JSON.Member("refused", .strings(refused)),
        ])
    }
}

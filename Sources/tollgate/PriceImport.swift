import ArgumentParser
import Events
import Foundation

extension Price {
    /// `tollgate price import`: the price file that LiteLLM keeps.
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import LiteLLM's price file.",
            discussion: """
                Example:
                  tollgate price import model_prices_and_context_window.json --verbose

                Takes every text model (chat, completion, responses, embedding) with a price
                a token. A bare name becomes provider/name and an alias. A second import of
                the same file changes nothing. Prices finer than six decimals a million tokens
                are rounded half up. Aliases that stand for another model stay as they are.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: ArgumentHelp("The file; - for stdin.", valueName: "file"))
        var path: String
        @Flag(help: "Name every model that is not taken, and what is left out.") var verbose = false
        @Flag(help: "Take models whose price is zero, too: their requests cost nothing.")
        var withFree = false
        @Flag(help: "Say what would happen; change nothing.") var dryRun = false

        func run() throws {
            let entries = try LiteLLMPrices.entries(try read(), takesFree: withFree)
            let client = try connection.connect()
            var plan = try Plan(client)
            for (name, entry) in entries {
                switch entry {
                case .taken(let offer): plan.take(name, offer)
                case .skipped(let why): plan.report.skip(name, why)
                }
            }
            if !dryRun { try plan.execute(client) }
            if format.json {
                plan.report.json.print()
            } else {
                plan.report.print(dryRun: dryRun, verbose: verbose)
            }
            guard plan.report.refused.isEmpty else {
                throw CommandFailure(
                    .failure, "the daemon refused \(plan.report.refused.count) of the events")
            }
        }

        private func read() throws(CommandFailure) -> JSON {
            let bytes =
                path == "-"
                ? FileHandle.standardInput.readDataToEndOfFile()
                : FileManager.default.contents(atPath: path)
            guard let bytes else {
                throw CommandFailure(.noInput, "the file \(path) cannot be read")
            }
            do throws(JSONError) {
                let text = String(decoding: bytes, as: UTF8.self)
                return try text.withBytes { (b) throws(JSONError) in try JSON(parsing: b) }
            } catch {
                throw CommandFailure(.data, "\(path) is \(error.explanation)")
            }
        }
    }
}

/// Which events an import appends, given what the daemon already has.
private struct Plan {
    var report = ImportReport()
    private var current: [String: PriceSet] = [:]
    private var aliases: [String: String] = [:]
    private var takenModels: [String: JSON] = [:]
    private var events: [(name: String, words: [String])] = []

    init(_ client: Client) throws(CommandFailure) {
        for item in try client.list("prices") {
            guard let model = item["model"]?.string else { continue }
            current[model] = Plan.price(item)
        }
        for item in try client.list("aliases") {
            guard let alias = item["alias"]?.string else { continue }
            aliases[alias] = item["model"]?.string
        }
    }

    mutating func take(_ name: String, _ offer: LiteLLMPrices.Offer) {
        if let earlier = takenModels[offer.model] {
            guard earlier == offer.payload else {
                report.skip(name, "the file has another price for the same model")
                return
            }
        } else {
            takenModels[offer.model] = offer.payload
            takePrice(name, offer)
        }
        if let alias = offer.alias { takeAlias(name, alias, offer.model) }
    }
    private mutating func takePrice(_ name: String, _ offer: LiteLLMPrices.Offer) {
        report.leftOut += offer.leftOut
        if let known = current[offer.model], let new = Plan.price(offer.payload),
            Plan.isSame(known, new)
        {
            report.pricesUnchanged += 1
            return
        }
        report.pricesSet += 1
        if offer.isRounded { report.rounded.append(name) }
        events.append((name, ["APPEND", "price.set", offer.payload.compact]))
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
        events.append((name, ["APPEND", "alias.set", payload.json.compact]))
    }

    /// Appends them, many in flight: each reply waits for the disk, all of them share its commits.
    mutating func execute(_ client: Client) throws(CommandFailure) {
        let replies = try client.pipeline(events.map(\.words))
        for (event, reply) in zip(events, replies) {
            guard case .error(let code, let text) = reply else { continue }
            if event.words[1] == "price.set" {
                report.pricesSet -= 1
            } else {
                report.aliasesSet -= 1
            }
            report.refused.append("\(event.name): \(code) \(text)")
        }
    }

    private static func price(_ json: JSON) -> PriceSet? {
        guard case .priceSet(let price)? = try? Document(type: .priceSet, json, strict: false)
        else { return nil }
        return price
    }
    private static func isSame(_ a: PriceSet, _ b: PriceSet) -> Bool {
        a.prices == b.prices && a.maxOutput == b.maxOutput && a.context == b.context
            && Set(a.variants) == Set(b.variants)
    }
}

/// What an import did, and why it did not do the rest.
private struct ImportReport {
    var pricesSet = 0
    var pricesUnchanged = 0
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

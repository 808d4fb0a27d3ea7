import ArgumentParser
import Events

/// `tollgate price`
struct Price: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set, list, show, compare and import prices; rate past charges anew.",
        discussion: """
            Examples:
              tollgate price set openai/gpt-4.1 --in 2 --out 8 --cached 0.5
              tollgate price list
              tollgate price diff model_prices_and_context_window.json
              tollgate price import model_prices_and_context_window.json
              tollgate price rerate --from 2026-11-01T00:00:00Z --dry-run

            Prices are US dollars a million tokens, exact, six decimals at most.
            """,
        subcommands: [
            Set.self, List.self, Show.self, History.self, Diff.self, Import.self, Rerate.self,
            Correct.self,
        ])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the price of a model: a new version, from now or an instant on.",
            discussion: """
                Example:
                  tollgate price set openai/gpt-4.1 --in 2 --out 8 --cached 0.5 \\
                    --variant tier=batch,in=1,out=4 --variant above=200000,in=4,out=12
                  tollgate price set openai/gpt-4.1 --in 1.5 --out 6 \\
                    --from 2027-01-01T00:00:00Z --capabilities vision,function_calling

                Left out, cached and cache_write cost as much as in, reasoning as much as out.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "provider/model") var model: String
        @Option(name: .customLong("in"), help: ArgumentHelp("Prompt tokens.", valueName: "usd"))
        var input: String
        @Option(name: .customLong("out"), help: ArgumentHelp("Answer tokens.", valueName: "usd"))
        var output: String
        @Option(help: ArgumentHelp("Prompt tokens read from a cache.", valueName: "usd"))
        var cached: String?
        @Option(help: ArgumentHelp("Prompt tokens written to a cache.", valueName: "usd"))
        var cacheWrite: String?
        @Option(help: ArgumentHelp("Answer tokens spent on reasoning.", valueName: "usd"))
        var reasoning: String?
        @Option(help: ArgumentHelp("Each request, in US dollars.", valueName: "usd"))
        var request: String?
        @Option(help: ArgumentHelp("The largest answer, in tokens.", valueName: "tokens"))
        var maxOut: Int64?
        @Option(help: ArgumentHelp("The largest prompt, in tokens.", valueName: "tokens"))
        var context: Int64?
        @Option(
            help: ArgumentHelp(
                "When it begins, such as 2027-01-01T00:00:00Z; left out: now.",
                valueName: "instant"))
        var from: String?
        @Option(
            help: ArgumentHelp(
                "What the model can do, separated by commas.", valueName: "a,b"))
        var capabilities: String?
        @Flag(help: "The price changes more than a hundredfold, and that is meant.")
        var force = false
        @Option(
            name: .customLong("variant"),
            help: ArgumentHelp(
                "Other prices by tier (batch, flex, priority) and prompt size; repeatable.",
                valueName: "tier=,above=,in=,out=,…"))
        var variants: [String] = []

        func run() throws {
            var payload = Payload()
            payload.set("model", model)
            payload.set("in", input)
            payload.set("out", output)
            payload.set("cached", cached)
            payload.set("cache_write", cacheWrite)
            payload.set("reasoning", reasoning)
            payload.set("request", request)
            payload.set("max_out", maxOut)
            payload.set("context", context)
            payload.set("from", from)
            if let capabilities {
                let names = capabilities.split(separator: ",").map { $0.filter { $0 != " " } }
                payload["capabilities"] = .strings(names)
            }
            if force { payload["force"] = .bool(true) }
            if !variants.isEmpty { payload["variants"] = .array(try variants.map(Self.variant)) }
            try change.append("price.set", payload, connection, "price of \(model) set")
        }
        private static func variant(_ text: String) throws -> JSON {
            var payload = Payload()
            for pair in text.split(separator: ",") {
                let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2 else {
                    throw CommandFailure(
                        .usage,
                        "--variant \"\(text)\": say tier=batch,in=1,out=4 or above=200000,…")
                }
                if parts[0] == "above" {
                    guard let tokens = Int64(parts[1]) else {
                        throw CommandFailure(
                            .usage, "--variant \"\(text)\": above must be a number of tokens")
                    }
                    payload.set("above", tokens)
                } else {
                    payload.set(parts[0], parts[1])
                }
            }
            return payload.json
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all current prices, in US dollars a million tokens.",
            discussion: "Example:\n  tollgate price list --provider openai")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(help: ArgumentHelp("Only models of this provider.", valueName: "name"))
        var provider: String?

        func run() throws {
            var items = try connection.connect().list("prices")
            if let provider {
                items.removeAll { !($0["model"]?.string ?? "").hasPrefix(provider + "/") }
            }
            if format.json {
                JSON.array(items).print()
                return
            }
            var table = Table([
                .text("MODEL"), .number("IN"), .number("OUT"), .number("CACHED"),
                .number("CACHE WRITE"), .number("REASONING"), .number("REQUEST"),
                .number("MAX OUT"), .number("CONTEXT"), .number("VARIANTS"), .number("VERSION"),
            ])
            let names = ["cached", "cache_write", "reasoning", "request", "max_out", "context"]
            for item in items {
                table.add(
                    [item.cell("model"), item.cell("in"), item.cell("out")]
                        + names.map { item.cell($0) }
                        + ["\(item["variants"]?.array?.count ?? 0)", item.cell("version")])
            }
            table.print()
            if table.isEmpty {
                Console.note(
                    "no price: set one with 'tollgate price set' or 'tollgate price import'")
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the price of one model with all its variants.",
            discussion: "Example:\n  tollgate price show openai/gpt-4.1")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "provider/model") var model: String

        func run() throws {
            let price = try connection.connect().json(["GET", "price", model])
            if format.json {
                price.print()
                return
            }
            var facts = Facts()
            for name in ["model", "version", "from", "max_out", "context", "capabilities"] {
                facts.add(name.replacing("_", with: " "), price[name]?.plain)
            }
            facts.print()
            Console.print("")
            var table = Table(
                [.text("TIER"), .number("ABOVE")]
                    + classes.map { .number($0.uppercased().replacing("_", with: " ")) })
            for row in [price] + (price["variants"]?.array ?? []) {
                table.add(
                    [row["tier"]?.plain ?? "standard", row["above"]?.plain ?? "0"]
                        + classes.map { row.cell($0) })
            }
            table.print()
            for later in price["scheduled"]?.array ?? [] {
                Console.note("version \(later.cell("version")) begins at \(later.cell("from"))")
            }
        }
    }
    static let classes = [
        "in", "out", "cached", "cache_write", "reasoning", "request",
    ]
}

/// `tollgate alias`
struct Alias: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set and list aliases: bare names for provider/model.",
        discussion: """
            Examples:
              tollgate alias set gpt-4.1 openai/gpt-4.1
              tollgate alias list
            """,
        subcommands: [Set.self, List.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a bare name stand for a model.",
            discussion: "Example:\n  tollgate alias set gpt-4.1 openai/gpt-4.1")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The bare name.") var alias: String
        @Argument(help: "provider/model") var model: String

        func run() throws {
            var payload = Payload()
            payload.set("alias", alias)
            payload.set("model", model)
            try change.append("alias.set", payload, connection, "\(alias) stands for \(model)")
        }
    }
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all aliases.", discussion: "Example:\n  tollgate alias list --json")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions

        func run() throws {
            let items = try connection.connect().list("aliases")
            if format.json {
                JSON.array(items).print()
                return
            }
            var table = Table([.text("ALIAS"), .text("MODEL")])
            for item in items { table.add([item.cell("alias"), item.cell("model")]) }
            table.print()
            if table.isEmpty {
                Console.note("no alias: set one with 'tollgate alias set gpt-4.1 openai/gpt-4.1'")
            }
        }
    }
}

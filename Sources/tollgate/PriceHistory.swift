import ArgumentParser
import Events

extension Price {
    struct History: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show all versions of a model's price, and from when each holds.",
            discussion: "Example:\n  tollgate price history openai/gpt-4.1")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "provider/model") var model: String

        func run() throws {
            let client = try connection.connect()
            let current = try client.json(["GET", "price", model])
            var versions: [JSON] = []
            // They are numbered without gaps; the first that is not there is an error.
            while let text = try client.call([
                "GET", "price", model, "\(versions.count + 1)",
            ]).text {
                versions.append(try JSON(reply: text))
            }
            if format.json {
                JSON.array(versions).print()
                return
            }
            var table = Table(
                [.number("VERSION"), .text("FROM"), .text("STATE")]
                    + Price.classes.map { .number($0.uppercased().replacing("_", with: " ")) })
            let scheduled = (current["scheduled"]?.array ?? []).map { $0.cell("version") }
            for version in versions {
                let number = version.cell("version")
                let isInForce = number == current.cell("version")
                let state =
                    scheduled.contains(number) ? "scheduled" : isInForce ? "in force" : "over"
                table.add(
                    [number, version.timeCell("from"), state]
                        + Price.classes.map { version.cell($0) })
            }
            table.print()
        }
    }
}

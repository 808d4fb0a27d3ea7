import ArgumentParser
import Events

extension Price {
    /// `tollgate price import`: the price file that LiteLLM keeps.
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import LiteLLM's price file.",
            discussion: """
                Example:
                  tollgate price import model_prices_and_context_window.json --verbose

                Takes every text model with a price a token: what chats, completes or responds,
                and what embeds, reranks, moderates, evaluates, decides or extracts; its
                context, largest answer and capabilities. A bare name becomes provider/name
                and an alias. A second import of the same file changes nothing.
                Prices finer than six decimals a million tokens are rounded half up. Aliases
                that stand for another model stay as they are. 'price diff' shows the changes
                before; one of more than a hundredfold imports nothing without --force.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @OptionGroup var file: PriceFileOptions
        @Flag(help: "Name every model that is not taken, and what is left out.") var verbose = false
        @Flag(help: "Say what would happen; change nothing.") var dryRun = false
        @Flag(help: "Import prices that change more than a hundredfold, too.") var force = false

        func run() throws {
            let entries = try file.entries()
            let client = try connection.connect()
            var plan = try PricePlan(entries, client)
            if !force, !dryRun { try Price.refuseLeaps(plan) }
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
    }

    /// Nothing of a file is imported that has a slip of the decimal point in it.
    private static func refuseLeaps(_ plan: PricePlan) throws(CommandFailure) {
        let leaping = plan.changes.filter { !$0.leaps.isEmpty }
        guard !leaping.isEmpty else { return }
        for change in leaping.prefix(20) {
            let leaps = change.leaps.map(\.text).joined(separator: ", ")
            Console.note("\(change.new.model): \(leaps)")
        }
        throw CommandFailure(
            .data,
            "\(leaping.count) price\(leaping.count == 1 ? "" : "s") would change more than a "
                + "hundredfold, so nothing is imported: mend the file, or say --force")
    }
}

/// Which price file, and what to take of it.
struct PriceFileOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The file; - for stdin.", valueName: "file"))
    var path: String
    @Flag(help: "Take models whose price is zero, too: their requests cost nothing.")
    var withFree = false

    func entries() throws(CommandFailure) -> [(name: String, entry: LiteLLMPrices.Entry)] {
        try LiteLLMPrices.entries(try read(), takesFree: withFree)
    }
    private func read() throws(CommandFailure) -> JSON {
        try InputFile.json(String(decoding: try InputFile.data(path), as: UTF8.self), of: path)
    }
}

import ArgumentParser
import Events

extension Price {
    struct Correct: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Correct what one past charge or settlement costs.",
            discussion: """
                Example:
                  tollgate price correct acme/ml/prod 3-184467 0.0107 --id bill-1311 \\
                    --reason "as the provider bills it"

                The difference moves in the windows in which the charge counted and which are
                still open, on key, team and org. A charge that the daemon has forgotten needs
                --was and --placed, as the log has them.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The key.") var account: String
        @Argument(help: "The hold or charge, as its answer names it.") var charge: String
        @Argument(help: "All that it costs, in US dollars.") var usd: String
        @Option(help: ArgumentHelp("What it counts until now.", valueName: "usd"))
        var was: String?
        @Option(help: ArgumentHelp("When it began to count.", valueName: "instant"))
        var placed: String?

        func run() throws {
            guard change.id != nil else {
                throw CommandFailure(
                    .usage, "say --id: only it tells a repeat from a second correction")
            }
            var payload = Payload()
            payload.set("account", account)
            payload.set("charge", charge)
            payload.set("usd", usd)
            payload.set("was", was)
            payload.set("placed", placed)
            try change.append(
                "charge.corrected", payload, connection, "\(charge) costs \(usd) now")
        }
    }
}

import ArgumentParser
import Events
import Ledger

extension Price {
    /// `tollgate price rerate`: what past charges cost at a price that was corrected since.
    struct Rerate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Rate past charges anew with a corrected price.",
            discussion: """
                Examples:
                  tollgate price rerate --from 2026-11-01T00:00:00Z --dry-run
                  tollgate price rerate --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z \\
                    --model openai/gpt-4.1 --version 3 --reason "the list was wrong"

                Takes what was charged from --from until before --to, at the price in force now,
                or at the one version that is named. --dry-run only shows what would change;
                without it the command asks, unless --yes is said. Then each difference is one
                charge.corrected; run again, it finds nothing left to change. What was corrected
                by hand stays as it is.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(help: ArgumentHelp("The first instant.", valueName: "instant")) var from: String
        @Option(
            help: ArgumentHelp(
                "The first instant that is not taken; left out: now.", valueName: "instant"))
        var to: String?
        @Option(help: ArgumentHelp("Only this model.", valueName: "model"))
        var model: String?
        @Option(help: ArgumentHelp("This version of the model's price.", valueName: "n"))
        var version: UInt32?
        @Option(help: ArgumentHelp("Only charges of this account.", valueName: "account"))
        var account: String?
        @Flag(help: "Show what would change; change nothing.") var dryRun = false
        @Flag(help: "Append without asking.") var yes = false
        @Flag(help: "List every charge that changes.") var charges = false
        @Option(help: ArgumentHelp("Why; it stands in the events.", valueName: "text"))
        var reason: String?

        func run() throws {
            guard version == nil || model != nil else {
                throw CommandFailure(.usage, "--version is of a model: say --model, too")
            }
            let start = try Self.instant(from, "from")
            let stop = try to.map { (text) throws(CommandFailure) in try Self.instant(text, "to") }
            if let stop, stop <= start {
                throw CommandFailure(.usage, "--to \(to ?? "") is not after --from \(from)")
            }
            let client = try connection.connect()
            // What is not there has no charges, either: better said than shown as nothing to do.
            if let account { try client.require(account: account) }
            var prices: [String: RerateReport.Rate] = [:]
            var only: String?
            if let model {
                only = try client.json(["GET", "price", model])["model"]?.string
                if let only { prices[only] = try rate(only, client) }
            }
            var past = try PastCharges(client)
            try past.read(from: start, to: stop, account: account)
            var plan = RerateReport()
            for charge in past.charges {
                guard let model = charge.model else {
                    plan.unpriced += 1
                    continue
                }
                guard only == nil || only == model else { continue }
                if prices[model] == nil { prices[model] = try rate(model, client) }
                plan.take(charge, model, prices[model]!)
            }
            if !dryRun, !plan.changes.isEmpty {
                if !yes, !format.json { plan.print(dryRun: true, charges: charges) }
                try Confirmation.ask("Append the corrections?", yes: yes)
                try append(&plan, client)
            }
            if format.json {
                plan.json.print()
            } else {
                plan.print(dryRun: dryRun, charges: charges)
            }
            guard plan.refused.isEmpty else {
                throw CommandFailure(
                    .failure, "the daemon refused \(plan.refused.count) of the corrections")
            }
        }

        private static func instant(_ text: String, _ name: String) throws(CommandFailure)
            -> Instant
        {
            guard let instant = text.withBytes({ Instant(parsing: $0) }) else {
                throw CommandFailure(
                    .usage, "--\(name) \"\(text)\" is no instant such as 2026-11-22T10:00:00Z")
            }
            return instant
        }
        private func rate(
            _ model: String, _ client: Client
        ) throws(CommandFailure) -> RerateReport.Rate {
            let words = ["GET", "price", model] + (version.map { ["\($0)"] } ?? [])
            let json = try client.json(words)
            guard let price = PriceSet(json), let number = json["version"]?.integer else {
                throw CommandFailure(
                    .protocolBroken, "the daemon's price of \(model) cannot be read")
            }
            return RerateReport.Rate(version: number, price: price)
        }
        private func append(_ plan: inout RerateReport, _ client: Client) throws(CommandFailure) {
            let words = plan.changes.map {
                ["APPEND", "charge.corrected", $0.payload(reason).compact]
            }
            for (change, reply) in zip(plan.changes, try client.pipeline(words)) {
                guard case .error(let code, let text) = reply else { continue }
                plan.refused.append("\(change.charge.name): \(code) \(text)")
            }
        }
    }
}

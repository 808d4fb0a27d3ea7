import ArgumentParser
import Events

extension Price {
    /// `tollgate price diff`: what an import would change.
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a price file has otherwise than the price book.",
            discussion: """
                Example:
                  tollgate price diff model_prices_and_context_window.json

                Prices are US dollars a million tokens. '!' marks a change of more than a
                hundredfold, which 'price import' takes with --force only. Models that the
                file does not name keep their price.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @OptionGroup var file: PriceFileOptions
        @Flag(help: "Name the new models, and those that the file does not name.")
        var verbose = false

        func run() throws {
            let plan = try PricePlan(try file.entries(), try connection.connect())
            let changed = plan.changes.filter { $0.old != nil }
            let new = plan.changes.filter { $0.old == nil }
            if format.json {
                json(plan, changed, new).print()
                return
            }
            var table = Table([
                .text(""), .text("MODEL"), .text("WHAT"), .number("NOW"), .number("FILE"),
            ])
            for change in changed {
                for difference in change.differences {
                    table.add([
                        difference.isLeap ? "!" : "", change.new.model, difference.name,
                        difference.old, difference.new,
                    ])
                }
            }
            if !table.isEmpty { table.print() }
            if verbose {
                for change in new { Console.print("new      \(change.new.model)") }
                for model in plan.missing { Console.print("missing  \(model)") }
            }
            Console.note(
                "\(changed.count) changed, \(new.count) new, \(plan.report.pricesUnchanged) "
                    + "unchanged, \(plan.missing.count) not in the file; "
                    + "\(plan.report.aliasesSet) new aliases")
        }

        private func json(
            _ plan: PricePlan, _ changed: [PricePlan.Change], _ new: [PricePlan.Change]
        ) -> JSON {
            .object([
                JSON.Member(
                    "changed",
                    .array(
                        changed.map { change in
                            .object([
                                JSON.Member("model", .string(change.new.model)),
                                JSON.Member(
                                    "changes", .array(change.differences.map(Self.json))),
                            ])
                        })),
                JSON.Member("new", .strings(new.map(\.new.model))),
                JSON.Member("missing", .strings(plan.missing)),
                JSON.Member("unchanged", .integer(Int64(plan.report.pricesUnchanged))),
                JSON.Member("aliases_new", .integer(Int64(plan.report.aliasesSet))),
            ])
        }
        private static func json(_ change: PriceChange) -> JSON {
            .object([
                JSON.Member("what", .string(change.name)),
                JSON.Member("now", .string(change.old)),
                JSON.Member("file", .string(change.new)),
                JSON.Member("needs_force", .bool(change.isLeap)),
            ])
        }
    }
}

import ArgumentParser
import Events
import Reports

/// `tollgate report refusals`
struct ReportRefusals: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refusals",
        abstract: "What was refused, and for which reason.",
        discussion: """
            SHARE % is of all refusals, OF ASKED % of all that the same group asked for.
            Refusals of a flood, which the log only counts, are among them.

            Examples:
              tollgate report refusals --by team --period 2026-11
              tollgate report refusals --by key,model --account acme/ml --compare
            """)
    @OptionGroup var options: ReportOptions
    @Option(help: ArgumentHelp("What a row is of, separated by commas.", valueName: "a,b"))
    var by = "team"

    func run() throws {
        try options.refuseFocus()
        try options.run("refusals", by: by, of: .reasons) { RefusalReport($0, before: $1).table }
    }
}

extension ReportOptions {
    func refuseFocus() throws(CommandFailure) {
        guard format != .focus else {
            throw CommandFailure(
                .usage,
                "FOCUS is of cost and usage: say --format focus with 'report spend', table, csv or "
                    + "json here")
        }
    }
}

import ArgumentParser
import Events
import Reports

/// `tollgate report latency`
struct ReportLatency: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latency",
        abstract: "How long upstream calls took: p50, p90 and p99.",
        discussion: """
            Of the calls whose settlement said so (ms=). Percentiles are right to within an
            eighth of their value, and those of a sum are made of its parts' histograms, never
            of their percentiles.

            Examples:
              tollgate report latency --by model --period 2026-11
              tollgate report latency --by provider --compare
            """)
    @OptionGroup var options: ReportOptions
    @Option(help: ArgumentHelp("What a row is of, separated by commas.", valueName: "a,b"))
    var by = "model"

    func run() throws {
        try options.refuseFocus()
        try options.run("latency", by: by, of: .latency) { LatencyReport($0, before: $1).table }
    }
}

import ArgumentParser
import Audit
import Events

/// `tollgate audit export`
struct AuditExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a part of the log for an auditor or a SIEM.")
    @OptionGroup var log: LogOptions
    @OptionGroup var range: LogRangeOptions

    func run() throws {
        _ = try range.seqs(in: try log.open())
    }
}

import ArgumentParser
import Audit
import Events
import Glibc

/// `tollgate audit export`
struct AuditExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a part of the log for an auditor or a SIEM.",
        discussion: """
            Examples:
              tollgate audit export --period 2026-11 --team acme/ml --output november.csv
              tollgate audit export --from 2026-11-22 --fields timestamp,key,model,cost_usd
              tollgate audit export --format ocsf --dir /backup/ledger | gzip > ocsf.jsonl.gz
              tollgate audit export --period 2026-11 --aggregate key

            A row is an event; what ends a request tells who asked and for what, too. Without
            --output rows go to stdout. A file has its name only when it is whole.
            """)
    @OptionGroup var log: LogOptions
    @OptionGroup var range: LogRangeOptions
    @Option(help: ArgumentHelp("csv, jsonl, cloudevents or ocsf.", valueName: "format"))
    var format: String = "csv"
    @Option(
        help: ArgumentHelp("Which fields, and in which order; all by default.", valueName: "a,b"))
    var fields: String?
    @Option(
        name: [.customLong("account"), .customLong("team")],
        help: ArgumentHelp(
            "Only an org, a team or a key and what stands below it; repeatable.",
            valueName: "account"))
    var accounts: [String] = []
    @Option(
        name: .customLong("type"),
        help: ArgumentHelp("Only events of this type; repeatable.", valueName: "type"))
    var types: [String] = []
    @Option(help: ArgumentHelp("Sums by key, team or org instead of events.", valueName: "level"))
    var aggregate: String?
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String?

    func run() throws {
        guard let format = ExportFormat(rawValue: format) else {
            throw CommandFailure(
                .usage, "--format \"\(format)\": say csv, jsonl, cloudevents or ocsf")
        }
        let columns = try self.columns()
        let filter = try self.filter()
        let level = try level(format)
        let source = try log.open()
        let seqs = try range.seqs(in: source)
        let file = try ExportFile(output)
        Interrupt.catchSignals()
        let progress = StepProgress(
            "exporting", of: Int(seqs.upperBound - seqs.lowerBound + 1))
        var exporter = Exporter(
            source, format: format, columns: columns, filter: filter, from: seqs.lowerBound)
        var totals = ExportTotals()
        var out = ByteBuffer(capacity: 4 << 20)
        if level == nil { exporter.writeHead(into: &out) }
        var batch = LogBatch()
        var next = seqs.lowerBound
        do throws(AuditFailure) {
            while next <= seqs.upperBound, Interrupt.count == 0 {
                try source.read(from: next, through: seqs.upperBound, into: &batch)
                guard !batch.isEmpty else {
                    throw AuditFailure(.damaged, "event \(next) is missing from the log")
                }
                if level == nil {
                    try exporter.export(batch.page, into: &out)
                } else {
                    try exporter.count(batch.page, into: &totals)
                }
                next = batch.lastSeq + 1
                try file.write(&out)
                progress.show(Int(next - seqs.lowerBound))
            }
        } catch {
            progress.clear()
            throw CommandFailure(error)
        }
        progress.clear()
        guard Interrupt.count == 0 else {
            throw CommandFailure(
                .failure, "interrupted before event \(next); the export is not whole")
        }
        do throws(AuditFailure) {
            if let level {
                _ = totals.write(by: level, as: format, paths: { exporter.path($0) }, into: &out)
                try file.write(&out)
            }
            try file.finish()
        } catch {
            throw CommandFailure(error)
        }
    }

    private func columns() throws(CommandFailure) -> [ExportField.Column] {
        guard let fields else { return ExportField.columns }
        guard aggregate == nil else {
            throw CommandFailure(.usage, "--aggregate has fields of its own: leave out --fields")
        }
        do throws(AuditFailure) { return try ExportField.columns(fields) } catch {
            throw CommandFailure(error)
        }
    }
    private func filter() throws(CommandFailure) -> ExportFilter {
        var filter = ExportFilter()
        for account in accounts {
            guard account.withBytes({ AccountPath.tier($0) }) != nil else {
                throw CommandFailure(.usage, "\"\(account)\" is no account: \(AccountPath.rule)")
            }
            filter.accounts.append(account)
        }
        for text in types {
            guard let type = text.withBytes({ EventType($0) }) else {
                throw CommandFailure(
                    .usage,
                    "--type \"\(text)\": say one of "
                        + EventType.allCases.map { "\($0.name)" }.joined(separator: ", "))
            }
            filter.types.append(type)
        }
        return filter
    }
    private func level(_ format: ExportFormat) throws(CommandFailure) -> ExportTotals.Level? {
        guard let aggregate else { return nil }
        guard let level = ExportTotals.Level(rawValue: aggregate) else {
            throw CommandFailure(.usage, "--aggregate \"\(aggregate)\": say key, team or org")
        }
        guard format == .csv || format == .jsonl else {
            throw CommandFailure(
                .usage, "--aggregate writes sums, not events: say --format csv or jsonl")
        }
        return level
    }
}

/// Where an export goes: stdout, or a file under a name of its own until it is whole.
final class ExportFile {
    private let path: String?
    private let descriptor: Int32
    private var part: String { (path ?? "stdout") + ".part" }

    init(_ path: String?) throws(CommandFailure) {
        self.path = path
        guard let path else {
            descriptor = STDOUT_FILENO
            return
        }
        descriptor = open(path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(
                .cannotCreate, "cannot create \(path).part: \(String(cString: strerror(errno)))")
        }
    }
    deinit { if path != nil { close(descriptor) } }

    /// Writes out and empties a buffer.
    func write(_ buffer: inout ByteBuffer) throws(AuditFailure) {
        var sent = 0
        while sent < buffer.count {
            let n = Glibc.write(descriptor, buffer.base + sent, buffer.count - sent)
            if n >= 0 { sent += n } else if errno != EINTR { throw failure("writing") }
        }
        buffer.removeAll()
    }
    /// Gives the file its name, durably.
    func finish() throws(AuditFailure) {
        guard let path else { return }
        guard fsync(descriptor) == 0 else { throw failure("flushing") }
        guard rename(part, path) == 0 else { throw failure("naming") }
    }
    private func failure(_ what: String) -> AuditFailure {
        let reason = String(cString: strerror(errno))
        return AuditFailure(
            .io,
            "\(what) \(path == nil ? "stdout" : part): \(reason); the export is not whole: make room, then "
                + "export again")
    }
}

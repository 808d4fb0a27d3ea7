import ArgumentParser
import Audit
import Events
import Journal
import Reports

/// `tollgate reindex`
struct Reindex: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fold the roll-ups anew from the log, and compare.",
        discussion: """
            Folds the log from its first event in memory and holds the stored rows of the
            roll-ups, their running totals included, against what comes out, byte for byte. It
            reads the files, beside a daemon or without one, and changes nothing. At the first
            difference it shows both sides and ends with exit code 65; 'tollgate serve
            --reindex' then makes the rows anew.

            Examples:
              tollgate reindex
              tollgate reindex --dir /backup/tollgate
            """)
    @Option(
        name: .customLong("dir"),
        help: ArgumentHelp(
            "A data directory or a copy of one; the daemon's by default.", valueName: "dir"))
    var directory: String?
    @OptionGroup var format: FormatOptions

    func run() throws {
        Interrupt.catchSignals()
        do throws(AuditFailure) { try compare() } catch { throw CommandFailure(error) }
    }

    private func compare() throws(AuditFailure) {
        let files = try RollupFiles(try path())
        var comparison = RollupComparison { files.copy(event: $0, into: &$1) }
        while true {
            let verdict = try files.read { (rows) throws(LMDBError) in
                try comparison.compare(rows)
            }
            switch verdict {
            case .areOf(let seq):
                guard seq > comparison.seq else {
                    throw AuditFailure(
                        .tryAgain,
                        "the daemon makes its roll-ups anew just now: ask again when it is done")
                }
                try fold(&comparison, files, through: seq)
            case .same(let counts): return tell(counts, comparison.seq, files.log.lastSeq)
            case .differs(let difference): try tell(difference, comparison.seq)
            case .damaged:
                throw AuditFailure(
                    .damaged,
                    "the roll-ups are damaged, so that they do not say of which events they are: 'tollgate "
                        + "serve --reindex' makes them anew from the log")
            case .otherLayout(let version):
                throw AuditFailure(
                    .damaged,
                    "the roll-ups have layout \(version), which another version of the program wrote: "
                        + "'tollgate serve' makes them anew from the log")
            }
        }
    }
    private func path() throws(AuditFailure) -> String {
        if let directory { return directory }
        do throws(CommandFailure) {
            return try Settings(flags: [:], configFile: nil, mayReadDefaultFile: false)
                .dataDirectory
        } catch {
            throw AuditFailure(error)
        }
    }
    private func fold(
        _ comparison: inout RollupComparison, _ files: RollupFiles, through last: UInt64
    ) throws(AuditFailure) {
        // Beside a daemon the log has gone on since it was opened.
        if last > files.log.lastSeq { try files.reopen() }
        let progress = StepProgress("folding", of: Int(clamping: last))
        defer { progress.clear() }
        var batch = LogBatch()
        while comparison.seq < last {
            guard Interrupt.count == 0 else {
                throw AuditFailure(.io, "interrupted at event \(comparison.seq)")
            }
            try files.log.read(from: comparison.seq + 1, through: last, into: &batch)
            guard !batch.isEmpty else {
                throw AuditFailure(
                    .damaged,
                    "event \(comparison.seq + 1) is missing from the log, whose roll-ups hold "
                        + "\(last) events: restore the directory from a backup")
            }
            do throws(LMDBError) { try comparison.fold(batch.page) } catch {
                throw AuditFailure(error.reading)
            }
            progress.show(Int(clamping: comparison.seq))
        }
    }

    // MARK: Told

    private func tell(_ counts: RollupComparison.Counts, _ seq: UInt64, _ last: UInt64) {
        if format.json {
            JSON.object([
                JSON.Member("as_of", .integer(Int64(clamping: seq))),
                JSON.Member("last", .integer(Int64(clamping: last))),
                JSON.Member("rows", .integer(Int64(counts.rows))),
                JSON.Member("totals", .integer(Int64(counts.totals))),
                JSON.Member("others", .integer(Int64(counts.others))),
                JSON.Member("difference", .null),
            ]).print()
            return
        }
        func number(_ count: Int) -> String { LoadReport.grouped(count) }
        Console.print(
            "no difference as of event \(seq): \(number(counts.rows)) rows, "
                + "\(number(counts.totals)) totals, \(number(counts.others)) others")
        if last > seq {
            Console.print(
                "events \(seq + 1) to \(last) are in no row yet: every answer folds them from the log"
            )
        }
    }
    private func tell(
        _ difference: RollupComparison.Difference, _ seq: UInt64
    ) throws(AuditFailure) {
        if format.json {
            JSON.object([
                JSON.Member("as_of", .integer(Int64(clamping: seq))),
                JSON.Member(
                    "difference",
                    .object([
                        JSON.Member("row", .string(difference.row)),
                        JSON.Member("stored", .string(difference.stored)),
                        JSON.Member("derived", .string(difference.derived)),
                    ])),
            ]).print()
        } else {
            Console.print(
                Style.output.paint("differs", .red) + Table.inOneLine("  \(difference.row)"))
            Console.print(Table.inOneLine("  stored:            \(difference.stored)"))
            Console.print(Table.inOneLine("  derived from log:  \(difference.derived)"))
        }
        throw AuditFailure(
            .damaged,
            "the roll-ups are not what event \(seq) and those before it come to: 'tollgate serve "
                + "--reindex' makes them anew from the log")
    }
}

/// The files that are compared. LMDB opens a directory once in a process, so who folds a batch and who
/// looks an earlier event up share it.
private final class RollupFiles {
    private let path: String
    private var opened: DirectoryLog?
    private var one = LogBatch(capacity: 4_096)
    var log: DirectoryLog { opened! }

    init(_ path: String) throws(AuditFailure) {
        self.path = path
        opened = try DirectoryLog(path)
    }
    func reopen() throws(AuditFailure) {
        // The old one is closed first.
        opened = nil
        opened = try DirectoryLog(path)
    }
    func read<R>(
        _ body: (borrowing ProjectionRows) throws(LMDBError) -> R
    ) throws(AuditFailure) -> R {
        do throws(JournalError) {
            return try log.inspection.readProjection(.rollups) { (rows, _) throws(LMDBError) in
                try body(rows)
            }
        } catch {
            throw AuditFailure(error)
        }
    }
    /// A damaged event counts where nothing is known of it, as with the committer.
    func copy(event seq: UInt64, into copy: inout ByteBuffer) -> Bool {
        guard let event = try? log.event(seq, into: &one) else { return false }
        copy.append(event.bytes)
        return true
    }
}

import Audit
import Events

/// One export under way: from a log to a file or to stdout.
struct ExportRun: ~Copyable {
    private let source: any LogSource
    private let job: ExportJob
    private let file: ExportFile
    private var exporter: Exporter
    private var out = ByteBuffer(capacity: 4 << 20)
    /// All that is written out, between two batches.
    private(set) var mark: ExportMark

    /// - Parameter mark: how far the file is that goes on.
    init(
        _ source: any LogSource, _ job: ExportJob, _ file: ExportFile, from mark: ExportMark? = nil
    ) {
        (self.source, self.job, self.file) = (source, job, file)
        exporter = Exporter(source, job, from: mark)
        self.mark = mark ?? ExportMark(next: job.range.lowerBound)
    }

    /// Writes the rows. What ends it early leaves the file so that it can go on.
    mutating func write() throws(CommandFailure) {
        let progress = StepProgress(
            "exporting", of: Int(clamping: job.range.upperBound - job.range.lowerBound + 1))
        defer { progress.clear() }
        do throws(CommandFailure) {
            try writeRows(progress)
        } catch {
            throw leave(error)
        }
    }
    private mutating func writeRows(_ progress: StepProgress) throws(CommandFailure) {
        if mark.bytes == 0 {
            // Nothing goes out before the log has answered.
            exporter.begin(into: &out)
            if job.level == nil { try file.keep(note) }
        }
        var batch = LogBatch()
        while mark.next <= job.range.upperBound {
            guard Interrupt.count == 0 else {
                throw CommandFailure(.interrupted, "interrupted before event \(mark.next)")
            }
            do throws(AuditFailure) { try read(&batch) } catch { throw CommandFailure(error) }
            try writeOut()
            if job.level == nil { try file.note(note) }
            progress.show(Int(clamping: mark.next - job.range.lowerBound))
        }
        exporter.end(into: &out)
        try writeOut()
    }
    private mutating func read(_ batch: inout LogBatch) throws(AuditFailure) {
        try source.read(from: mark.next, through: job.range.upperBound, into: &batch)
        guard !batch.isEmpty else {
            throw AuditFailure(.damaged, "event \(mark.next) is missing from the log")
        }
        try exporter.export(batch.page, into: &out)
    }
    private mutating func writeOut() throws(CommandFailure) {
        try file.write(&out)
        mark = exporter.mark
        mark.bytes = file.count
    }
    private var note: ExportNote {
        ExportNote(ledger: source.ledgerID, job: job, mark: mark, sha256: file.sha256)
    }

    /// Leaves a file that is not whole as one that can go on, and says how; where there is nothing to go on
    /// with, it leaves none.
    private func leave(_ error: CommandFailure) -> CommandFailure {
        guard let path = file.path else {
            return CommandFailure(error.status, error.message + "; what was written is not whole")
        }
        // Sums stand nowhere before the end.
        guard job.level == nil, mark.bytes > 0 else {
            file.discard()
            return error
        }
        file.leave(note)
        return CommandFailure(
            error.status,
            error.message + "; the same with --resume goes on with \(path) at event \(mark.next)")
    }

    // MARK: The manifest

    /// Gives the file its name and its manifest, and says so.
    ///
    /// - Parameter signer: the daemon; nil for a copy, which has no key.
    func finish(signer: ConnectionOptions?) throws(CommandFailure) {
        guard let path = file.path else {
            if mark.rows == 0 { Console.note("no event of \(events) is asked for") }
            return
        }
        do throws(CommandFailure) {
            var manifest = ExportManifest(
                file: String(path.split(separator: "/").last ?? ""), sha256: file.sha256, job: job,
                mark: mark, head: nil)
            let text: String
            if let signer {
                text = try sign(&manifest, try SocketTree(try signer.connect()))
            } else {
                text = try unsigned(&manifest)
            }
            try file.finish(manifest: text)
        } catch {
            throw leave(error)
        }
        let how =
            signer == nil
            ? "its manifest is not signed, because a copy of a log has no key"
            : "its manifest is signed"
        Console.note(
            "\(LoadReport.grouped(Int(clamping: mark.rows))) rows of \(events) are in \(path); \(how): "
                + path + ExportFile.manifestSuffix)
    }
    private var events: String {
        "events \(LoadReport.grouped(Int(clamping: job.range.lowerBound))) to "
            + LoadReport.grouped(Int(clamping: job.range.upperBound))
    }
    private func sign(
        _ manifest: inout ExportManifest, _ tree: SocketTree
    ) throws(CommandFailure) -> String {
        do throws(AuditFailure) {
            manifest.head = try TreeHead(parsing: try tree.checkpoint().text)
            return try tree.signed(manifest)
        } catch {
            throw CommandFailure(error)
        }
    }
    private func unsigned(_ manifest: inout ExportManifest) throws(CommandFailure) -> String {
        do throws(AuditFailure) {
            manifest.head = try (source as? DirectoryLog)?.treeHead()
        } catch {
            throw CommandFailure(error)
        }
        return manifest.unsigned(
            Notary.origin(of: source.ledgerID), why: "a copy of a log has no key")
    }
}

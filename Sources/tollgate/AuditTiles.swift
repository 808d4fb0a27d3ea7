import ArgumentParser
import Audit
import Events

/// `tollgate audit tiles`
struct AuditTiles: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tiles",
        abstract: "Export the log and its tree as static files that anybody can host and check.",
        discussion: """
            Examples:
              tollgate audit tiles /var/www/tollgate-log
              deploy/verify/verify.py /var/www/tollgate-log --key "$VKEY"
              tollgate audit tiles out --dir /copy/of/tollgate --checkpoint saved.checkpoint

            The files are C2SP's (c2sp.org/tlog-tiles): checkpoint, tile/<level>/…,
            tile/entries/… with every event as it is stored, and summary.jsonl with what each
            account has spent and holds. Run it again to add what is new: files that are
            there are checked and kept, and an export that was ended in the middle goes on.
            The log must begin with what was exported before.

            The events hold what the log holds: request ids, users and addresses, unless an
            org has them stored as commitments ('tollgate org privacy'). Events have at most
            65,000 bytes, so each fits the 16 bits of its length.
            """)
    @Argument(
        help: ArgumentHelp("Where to: new, empty, or an earlier export.", valueName: "out"))
    var out: String
    @Option(
        help: ArgumentHelp(
            "Export as of a saved checkpoint; a backup or copy has none of its own.",
            valueName: "file"))
    var checkpoint: String?
    @OptionGroup var log: LogOptions
    @OptionGroup var keys: KeyOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        Interrupt.catchSignals()
        let saved = try checkpoint.map { (path) throws(CommandFailure) in
            (path, try ProofFile.read(path))
        }
        let proven = try ProvenLog(log, keys)
        do throws(AuditFailure) {
            let note: SignedNote
            let head: TreeHead
            if let saved {
                head = try proven.trusted.head(of: saved.1, saved.0)
                note = try SignedNote(parsing: saved.1)
            } else {
                (note, head) = try proven.checkpoint()
                try proven.log.refresh()
            }
            try export(note, head, proven.log)
        } catch {
            throw CommandFailure(error)
        }
    }
    private func export(
        _ note: SignedNote, _ head: TreeHead, _ source: any LogSource
    ) throws(AuditFailure) {
        guard head.size <= source.lastSeq else {
            throw AuditFailure(
                .damaged,
                "the checkpoint is of \(head.size) events, and the log ends with event \(source.lastSeq)"
            )
        }
        let progress = StepProgress("exporting, events", of: Int(clamping: head.size))
        defer { progress.clear() }
        var export = try TileExport(to: out, of: source, checkpoint: note)
        let outcome = try export.run { done, _ in
            progress.show(Int(clamping: done))
            return Interrupt.count == 0
        }
        progress.clear()
        guard let outcome else {
            throw AuditFailure(
                .tryAgain, "interrupted: the same command goes on from what is in \(out)")
        }
        tell(head, outcome)
    }
    private func tell(_ head: TreeHead, _ outcome: TileExport.Outcome) {
        guard !format.json else {
            return JSON.object([
                JSON.Member("directory", .string(out)), JSON.Member("checkpoint", head.json),
                JSON.Member("before", .integer(Int64(clamping: outcome.before))),
                JSON.Member("files", .integer(Int64(outcome.files))),
                JSON.Member("kept", .integer(Int64(clamping: outcome.kept))),
                JSON.Member("mended", .integer(Int64(clamping: outcome.mended))),
            ]).print()
        }
        let events = LoadReport.grouped(Int(clamping: head.size))
        Console.print("\(out) holds the log of \(events) events")
        var facts = Facts()
        facts.add("origin", head.origin)
        facts.add("root", head.root.base64)
        facts.add(
            "before",
            outcome.before > 0 ? LoadReport.grouped(Int(clamping: outcome.before)) : nil)
        facts.add("files written", LoadReport.grouped(outcome.files))
        facts.add(
            "mended",
            outcome.mended > 0
                ? "\(LoadReport.grouped(Int(clamping: outcome.mended))) bundles were not what they should be"
                : nil)
        facts.print()
    }
}

import ArgumentParser
import Audit
import Foundation

/// `tollgate audit checkpoint`
struct AuditCheckpoint: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Print a signed checkpoint of the log: its size and its root.",
        discussion: """
            Examples:
              tollgate audit checkpoint
              tollgate audit checkpoint --out /elsewhere/tollgate.checkpoint

            Save one where the daemon's owner cannot change it: from then on nothing that was
            in the log can be rewritten or left out unseen. With --out a checkpoint that is
            already in the file is replaced only once the log is proven to begin with it; so
            a timer that does this every hour keeps watch.

            It is a C2SP signed note (c2sp.org/tlog-checkpoint), and others can verify it.
            """)
    @OptionGroup var log: LogOptions
    @OptionGroup var keys: KeyOptions
    @Option(
        name: .customLong("out"), help: ArgumentHelp("Write it to a file.", valueName: "file"))
    var out: String?
    @Flag(help: "The newest that a witness has signed, too.")
    var cosigned = false

    func run() throws {
        // A place that cannot be written says nothing of the log, so its exit code is another.
        let out = out == "-" ? nil : out
        let file = try out.map { (path) throws(CommandFailure) in try OutputPlace.file(path) }
        // Of two runs the later would put the older checkpoint in the place of the newer.
        let turn = file.flatMap { OutputPlace.turn(at: $0) }
        defer { withExtendedLifetime(turn) {} }
        let old = try file.flatMap { (path) throws(CommandFailure) in
            FileManager.default.fileExists(atPath: path) ? try ProofFile.read(path) : nil
        }
        let proven = try ProvenLog(log, keys)
        let (note, head): (SignedNote, TreeHead)
        do throws(AuditFailure) {
            (note, head) = try checkpoint(proven)
            if let out, let old { try replace(out, old, head, proven) }
        } catch {
            throw CommandFailure(error)
        }
        try ProofFile.write(note.note, to: out)
        if let out {
            Console.note("\(out) is of \(LoadReport.grouped(Int(clamping: head.size))) events")
        }
    }
    private func checkpoint(
        _ proven: ProvenLog
    ) throws(AuditFailure) -> (note: SignedNote, head: TreeHead) {
        guard cosigned else { return try proven.checkpoint() }
        guard let tree = proven.tree as? SocketTree else {
            throw AuditFailure(.usage, "--cosigned asks the daemon: leave --dir out")
        }
        let note = try tree.cosigned()
        return (note, try proven.trusted.head(of: note.note, "the cosigned checkpoint"))
    }
    /// What the file holds by now must be the beginning of the log.
    private func replace(
        _ path: String, _ text: String, _ head: TreeHead, _ proven: ProvenLog
    ) throws(AuditFailure) {
        let old = try proven.trusted.head(of: text, path)
        guard old.size <= head.size else {
            throw AuditFailure(
                .damaged,
                "\(path) is of \(old.size) events, and the log has \(head.size) now: events are missing at its "
                    + "end, or this is an older copy of it. Keep the file; it is evidence")
        }
        try proven.prove(from: old, to: head)
    }
}

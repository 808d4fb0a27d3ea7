import ArgumentParser
import Audit
import Events

/// `tollgate audit prove`
struct AuditProve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove",
        abstract: "Prove that one event is in the log, in a file that speaks for itself.",
        discussion: """
            Examples:
              tollgate audit prove 184467 --out charge.tlog-proof
              tollgate audit verify --proof charge.tlog-proof --key "$VKEY"
              tollgate audit prove 184467 --checkpoint saved.checkpoint

            The file is C2SP's tlog-proof: the event's stored bytes in its line 'extra', its
            place, the hashes up to the root, and a signed checkpoint. Whoever has the log's
            verifier key checks it without the daemon. With --checkpoint the proof is under
            that earlier checkpoint; with --size under the root of so many events, which
            nobody has signed, for whoever has a checkpoint of that size.
            """)
    @Argument(help: ArgumentHelp("The event's number.", valueName: "seq"))
    var seq: UInt64
    @Option(help: ArgumentHelp("Of how many events the tree is.", valueName: "n"))
    var size: UInt64?
    @Option(help: ArgumentHelp("A saved checkpoint, under which it is proven.", valueName: "file"))
    var checkpoint: String?
    @Option(
        name: .customLong("out"),
        help: ArgumentHelp(
            "Write it to a file; by custom its name ends in .tlog-proof.", valueName: "file"))
    var out: String?
    @OptionGroup var log: LogOptions
    @OptionGroup var keys: KeyOptions

    func run() throws {
        guard size == nil || checkpoint == nil else {
            throw CommandFailure(.usage, "say --size or --checkpoint, not both")
        }
        let saved = try checkpoint.map { (path) throws(CommandFailure) in
            (path, try ProofFile.read(path))
        }
        let proven = try ProvenLog(log, keys)
        let proof: ProofText.Inclusion
        do throws(AuditFailure) { proof = try prove(proven, saved) } catch {
            throw CommandFailure(error)
        }
        try ProofFile.write(proof.text, to: out)
        if let out { Console.note("\(out) proves event \(seq)") }
    }

    private func prove(
        _ proven: ProvenLog, _ saved: (path: String, text: String)?
    ) throws(AuditFailure) -> ProofText.Inclusion {
        let savedHead = try saved.map { saved throws(AuditFailure) in
            try proven.trusted.head(of: saved.text, saved.path)
        }
        var proof = try proven.tree.inclusion(of: seq, size: savedHead?.size ?? size)
        proof.event = try event(proven.log)
        if let saved, let savedHead {
            proof.checkpoint = saved.text
            try proof.check(under: savedHead)
        } else if size != nil {
            try proof.check(under: try TreeHead(parsing: proof.checkpoint))
        } else {
            _ = try proof.verify(proven.trusted)
        }
        return proof
    }
    private func event(_ log: any LogSource) throws(AuditFailure) -> [UInt8] {
        if seq > log.lastSeq { try log.refresh() }
        var batch = LogBatch(capacity: 4_096)
        let bytes = try log.event(seq, into: &batch).bytes
        return Array(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
    }
}

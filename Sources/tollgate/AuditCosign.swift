import ArgumentParser
import Audit

/// `tollgate audit cosign`
struct AuditCosign: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cosign",
        abstract: "Hand the daemon what a witness has signed.",
        discussion: """
            Examples:
              tollgate audit cosign answer.txt --witness "$WITNESS_VKEY"
              tollgate audit cosign answer.txt

            FILE is a checkpoint with a witness's line below the log's own, or what the witness
            answered alone, which is then of the checkpoint that was signed last. The
            signature is checked and kept; 'tollgate audit checkpoint --cosigned' shows it. An
            admin says with --witness whom the log knows from then on; an auditor may hand in
            cosignatures of those (c2sp.org/tlog-cosignature, Ed25519).
            """)
    @Argument(help: ArgumentHelp("A cosigned checkpoint, or '-' for stdin.", valueName: "file"))
    var file: String
    @Option(
        help: ArgumentHelp(
            "The witness's verifier key, or a file that holds it.", valueName: "vkey"))
    var witness: String?
    @Option(
        name: .customLong("out"),
        help: ArgumentHelp("Write the cosigned checkpoint to a file.", valueName: "file"))
    var out: String?
    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let text = try ProofFile.read(file)
        let key = try witness.map { (text) throws(CommandFailure) in try KeyOptions.parse(text) }
        let tree = try SocketTree(try connection.connect())
        let note: SignedNote
        do throws(AuditFailure) { note = try tree.cosign(text, witness: key) } catch {
            throw CommandFailure(error)
        }
        try ProofFile.write(note.note, to: out)
    }
}

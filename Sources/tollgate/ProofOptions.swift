import ArgumentParser
import Audit
import Events
import Foundation

/// Whose signatures are believed.
struct KeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The log's verifier key ('tollgate status' shows it), or a file that holds it; repeatable.",
            valueName: "vkey"))
    var key: [String] = []
    @Option(
        help: ArgumentHelp(
            "A witness that must have signed, too: its verifier key or a file; repeatable.",
            valueName: "vkey"))
    var witness: [String] = []

    /// - Parameter own: the key that the log itself shows, for whoever brings none.
    func trusted(own: VerifierKey?) throws(CommandFailure) -> TrustedKeys {
        var logs: [VerifierKey] = []
        for text in key { logs.append(try Self.parse(text)) }
        // With a key at hand the daemon's word for its own is not asked for.
        if logs.isEmpty, let own { logs.append(own) }
        var witnesses: [VerifierKey] = []
        for text in witness { witnesses.append(try Self.parse(text)) }
        return TrustedKeys(logs: logs, witnesses: witnesses)
    }
    static func parse(_ text: String) throws(CommandFailure) -> VerifierKey {
        var text = text
        if !text.contains("+") || FileManager.default.fileExists(atPath: text) {
            text = try ProofFile.read(text)
        }
        do throws(AuditFailure) {
            return try VerifierKey(
                parsing: text.trimmingCharacters(in: .whitespacesAndNewlines))
        } catch {
            throw CommandFailure(error)
        }
    }
}

/// Checkpoints and proofs as files.
enum ProofFile {
    static func read(_ path: String) throws(CommandFailure) -> String {
        let data = try InputFile.data(path)
        guard let text = String(data: data, encoding: .utf8) else {
            throw CommandFailure(.data, "\(path) is no text: checkpoints, proofs and keys are")
        }
        return text
    }
    /// Prints a text, or writes it to a file that is only ever there whole.
    static func write(_ text: String, to path: String?) throws(CommandFailure) {
        guard let path, path != "-" else {
            Console.print(text.hasSuffix("\n") ? String(text.dropLast()) : text)
            return
        }
        let file = try OutputPlace.file(path)
        try WholeWriter.replace(file, with: text, mode: 0o644)
        WholeWriter.flushDirectory(of: file)
    }
}

/// Proofs from a running daemon: what TREE answers.
final class SocketTree: TreeSource {
    private let client: Client
    /// The log's key, as the daemon itself says.
    let verifierKey: VerifierKey

    init(_ client: Client) throws(CommandFailure) {
        self.client = client
        let info = try client.info()
        guard let key = info.first(where: { $0.name == "tree_key" })?.value, !key.isEmpty else {
            let problem = info.first { $0.name == "tree_problem" }?.value ?? ""
            throw CommandFailure(
                .failure,
                problem.isEmpty
                    ? "the daemon has no signing key: it is an older one, so restart it with this version"
                    : "the daemon signs nothing: \(problem)")
        }
        do throws(AuditFailure) { verifierKey = try VerifierKey(parsing: key) } catch {
            throw CommandFailure(error)
        }
    }

    func checkpoint() throws(AuditFailure) -> SignedNote {
        try SignedNote(parsing: ask(["checkpoint"]))
    }
    func cosigned() throws(AuditFailure) -> SignedNote {
        try SignedNote(parsing: ask(["cosigned"]))
    }
    func inclusion(of seq: UInt64, size: UInt64?) throws(AuditFailure) -> ProofText.Inclusion {
        try ProofText.Inclusion(
            parsing: ask(["inclusion", "\(seq)"] + (size.map { ["\($0)"] } ?? [])))
    }
    func consistency(
        from old: UInt64, to new: UInt64
    ) throws(AuditFailure) -> ProofText.Consistency {
        try ProofText.Consistency(parsing: ask(["consistency", "\(old)", "\(new)"]))
    }
    /// From there to where the log ends now.
    func consistency(from old: UInt64) throws(AuditFailure) -> ProofText.Consistency {
        try ProofText.Consistency(parsing: ask(["consistency", "\(old)"]))
    }
    /// An export's manifest as the daemon has signed it.
    func signed(_ manifest: ExportManifest) throws(AuditFailure) -> String {
        try ask(["manifest", manifest.lines])
    }
    func cosign(_ note: String, witness: VerifierKey?) throws(AuditFailure) -> SignedNote {
        try SignedNote(parsing: ask(["cosign", note] + (witness.map { ["\($0)"] } ?? [])))
    }
    private func ask(_ words: [String]) throws(AuditFailure) -> String {
        do throws(CommandFailure) {
            guard let text = try client.call(["TREE"] + words).orFailure().text else {
                throw CommandFailure(.protocolBroken, "the daemon answers TREE with no text")
            }
            return text
        } catch {
            // The daemon signs nothing any more, since its log contradicts what it has signed: no answer to
            // a request, but what verifying is for.
            let problem = try? client.info().first { $0.name == "tree_problem" }?.value
            guard error.status == .failure, problem == error.message else {
                throw AuditFailure(error)
            }
            throw AuditFailure(.damaged, error.message)
        }
    }
}

/// A log, the tree beside it, and whose signatures are believed.
struct ProvenLog {
    let log: any LogSource
    let tree: any TreeSource
    let trusted: TrustedKeys

    init(_ options: LogOptions, _ keys: KeyOptions) throws(CommandFailure) {
        log = try options.open()
        guard let directory = options.directory, let files = log as? DirectoryLog else {
            let tree = try SocketTree(try options.connection.connect())
            trusted = try keys.trusted(own: tree.verifierKey)
            self.tree = tree
            return
        }
        tree = DirectoryTree(directory, files)
        trusted = try keys.trusted(own: try Self.key(in: directory))
    }
    private static func key(in directory: String) throws(CommandFailure) -> VerifierKey? {
        do throws(AuditFailure) { return try DirectoryTree.verifierKey(in: directory) } catch {
            throw CommandFailure(error)
        }
    }

    /// The newest checkpoint, whose signature is right.
    func checkpoint() throws(AuditFailure) -> (note: SignedNote, head: TreeHead) {
        let note = try tree.checkpoint()
        return (note, try trusted.head(of: note.note, "the log's checkpoint"))
    }
    /// Throws unless the log that the new head is of begins with the one of the old.
    @discardableResult
    func prove(
        from old: TreeHead, to new: TreeHead
    ) throws(AuditFailure) -> ProofText.Consistency {
        guard old.size <= new.size else { throw .backwards(old.size, new.size) }
        let proof = try tree.consistency(from: old.size, to: new.size)
        try proof.check(from: old, to: new)
        return proof
    }
}

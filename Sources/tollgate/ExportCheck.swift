import Audit
import CLinux
import Events
import Glibc

/// `tollgate audit export --check`: whether an export is what its manifest says, whether the daemon's key
/// has signed that, and whether the log still begins with what the manifest saw of it.
struct ExportCheck {
    private let path: String
    private let verifier: VerifierKey?
    private let takesUnsigned: Bool
    private let log: LogOptions

    init(
        _ path: String, verifier: String?, unsigned: Bool, _ log: LogOptions
    ) throws(CommandFailure) {
        guard verifier == nil || !unsigned else {
            throw CommandFailure(
                .usage,
                "--verifier asks who has signed, --unsigned is content with nobody: say one of them"
            )
        }
        guard log.directory == nil else {
            throw CommandFailure(
                .usage, "--check asks a daemon for its key, or takes one with --verifier, not --dir"
            )
        }
        self.verifier = try verifier.map { (text) throws(CommandFailure) in
            try KeyOptions.parse(text)
        }
        (self.path, self.log) = (path, log)
        takesUnsigned = unsigned
    }

    func run() throws(CommandFailure) {
        let name = path + ExportFile.manifestSuffix
        let manifest: WrittenManifest
        do throws(AuditFailure) {
            manifest = try WrittenManifest(parsing: try Self.text(name))
        } catch {
            throw CommandFailure(error.kind == .io ? .noInput : .data, "\(name): \(error.message)")
        }
        try compareBytes(manifest)
        let count = "\(LoadReport.grouped(Int(clamping: manifest.rows))) rows"
        guard manifest.isSigned else {
            try checkUnsigned(manifest)
            Console.note("\(path) is what its manifest says (\(count)); nobody has signed that")
            tell(manifest)
            return
        }
        do throws(AuditFailure) {
            try checkSignature(manifest)
            let beyond = verifier == nil ? try checkHead(manifest) : ""
            Console.note(
                "\(path) is what its manifest says (\(count)), signed by \(manifest.origin)\(beyond)"
            )
            tell(manifest)
        } catch {
            throw CommandFailure(error)
        }
    }
    /// What it is an export of: another one's name would not tell.
    private func tell(_ manifest: WrittenManifest) {
        let name = path.split(separator: "/").last.map { String($0) }
        Console.note(
            "it is of \(manifest.scope)"
                + (name == manifest.file ? "" : "; it was made as \(manifest.file)"))
    }
    /// Without a signature a manifest proves nothing: who changes the file can write another one.
    private func checkUnsigned(_ manifest: WrittenManifest) throws(CommandFailure) {
        let name = path + ExportFile.manifestSuffix
        guard let why = manifest.unsigned else {
            throw CommandFailure(
                .data,
                "\(name) has lost its signature, so the rows and the digest in it may have been changed: export "
                    + "them again")
        }
        guard takesUnsigned else {
            throw CommandFailure(
                .data,
                "\(path) is what its manifest says, but nobody has signed that (\(why)): whoever changed "
                    + "the one could change the other; export from the daemon, or say --unsigned if that "
                    + "is enough")
        }
    }
    private static func text(_ name: String) throws(AuditFailure) -> String {
        do throws(CommandFailure) { return try InputFile.text(name) } catch {
            throw AuditFailure(.io, "cannot be read; only exports with --out have one")
        }
    }

    private func compareBytes(_ manifest: WrittenManifest) throws(CommandFailure) {
        let file = try WholeWriter(path, O_RDONLY)
        var status = stat()
        guard stat(path, &status) == 0, Int(status.st_size) == manifest.bytes else {
            throw CommandFailure(
                .data,
                "\(path) has \(LoadReport.grouped(Int(status.st_size))) bytes, and its manifest says "
                    + LoadReport.grouped(manifest.bytes))
        }
        var digest = FileDigest()
        let progress = StepProgress("checking", of: manifest.bytes)
        defer { progress.clear() }
        try file.read(manifest.bytes) { bytes in
            digest.add(bytes)
            progress.show(file.count)
        }
        guard digest.value.hex == manifest.sha256 else {
            throw CommandFailure(
                .data,
                "\(path) was changed: its SHA-256 is \(digest.value.hex), and its manifest says "
                    + manifest.sha256)
        }
    }
    private func checkSignature(_ manifest: WrittenManifest) throws(AuditFailure) {
        let key = if let verifier { verifier } else { try tree().verifierKey }
        guard try key.hasSigned(manifest.note) else {
            let signers = manifest.note.signatures.map {
                "\($0.name)+\(VerifierKey.hex($0.keyID))"
            }
            throw AuditFailure(
                .damaged,
                "the manifest is not signed with \(key.name)+\(VerifierKey.hex(key.keyID)), but with "
                    + signers.joined(separator: " and ")
                    + ": give the key that its ledger had then with --verifier")
        }
    }
    private func tree() throws(AuditFailure) -> SocketTree {
        do throws(CommandFailure) {
            return try SocketTree(try log.connection.connect())
        } catch {
            throw AuditFailure(error)
        }
    }
    /// That the log as it is now begins with the one that the manifest saw.
    private func checkHead(_ manifest: WrittenManifest) throws(AuditFailure) -> String {
        guard let old = manifest.head else { return "" }
        let proof = try tree().consistency(from: old.size)
        let head = try TreeHead(parsing: try SignedNote(parsing: proof.checkpoint).text)
        guard
            MerkleProof.extends(
                old.size, old.root, to: head.size, head.root, proof: proof.hashes)
        else {
            throw AuditFailure(
                .damaged,
                "the log does not begin with the \(old.size) events that the manifest saw: it was rewritten "
                    + "since, or the manifest is another log's")
        }
        return
            "; the log still begins with the \(LoadReport.grouped(Int(clamping: old.size))) events it saw"
    }
}

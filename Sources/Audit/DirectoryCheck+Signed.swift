import Events
import Journal

// What was signed of a directory's log, and the key that signs.

extension DirectoryCheck {
    mutating func ownKey() -> VerifierKey? {
        do throws(AuditFailure) {
            if let key = try DirectoryTree.verifierKey(in: request.directory) { return key }
            guard try DirectoryTree.text("signing.key", in: request.directory) != nil else {
                return nil
            }
            foundKey("it holds no signing key")
        } catch {
            foundKey(error.message)
        }
        return nil
    }
    private mutating func foundKey(_ flaw: String) {
        found(
            "signing.key", flaw,
            fix:
                "put the key back that was there; or move it away, and the next start makes a new one, whose "
                + "verifier key everybody must then be told")
    }
    mutating func signedHead(_ name: String, _ own: VerifierKey?) -> TreeHead? {
        do throws(AuditFailure) {
            guard let text = try DirectoryTree.text(name, in: request.directory) else {
                return nil
            }
            let note = try SignedNote(parsing: text)
            let head = try TreeHead(parsing: note.text)
            if name == "tree.signed" || report.origin == nil { report.origin = head.origin }
            if request.keys.contains(where: { $0.name == head.origin }) {
                _ = try TrustedKeys(logs: request.keys).head(of: text, name)
                report.hasSigned = true
            } else {
                // A key that was made anew has signed nothing of before; what it has signed must fit, though
                // it proves nothing to others, who said other keys.
                let isOwn = try own?.hasSigned(note) ?? false
                if isOwn, request.keys.isEmpty {
                    report.hasSigned = true
                } else {
                    report.unchecked.append((name, signer(of: note, head)))
                }
            }
            if name == "tree.cosigned" { try checkWitnesses(note) }
            return head
        } catch {
            found(
                name, error.message,
                fix: (request.keys.isEmpty
                    ? "" : "if the log has had another key, say that, too, with --key; else ")
                    + "nothing was signed so, or the file was changed: get the last checkpoint from whoever saved "
                    + "it, and restore the directory from a backup")
            return nil
        }
    }
    /// As a verifier key begins, so that whoever has several finds the one to say.
    private func signer(of note: SignedNote, _ head: TreeHead) -> String {
        let own = note.signatures.filter { $0.name == head.origin }
        return own.first.map { "\($0.name)+\(VerifierKey.hex($0.keyID))+…" } ?? head.origin
    }
    /// Some witness that this log knows has signed it, and none otherwise.
    private func checkWitnesses(_ note: SignedNote) throws(AuditFailure) {
        let known = try DirectoryTree.text("tree.witnesses", in: request.directory) ?? ""
        var isSigned = false
        for line in known.split(separator: "\n") {
            if try VerifierKey(parsing: String(line)).hasSigned(note) { isSigned = true }
        }
        guard isSigned else {
            throw AuditFailure(.damaged, "no witness of those in tree.witnesses has signed it")
        }
    }
    /// What was signed here, and what signs, must be of this ledger.
    mutating func lookAtOrigins(_ log: DirectoryLog, _ own: VerifierKey?) {
        let origin = Notary.origin(of: log.ledgerID)
        func isOurs(_ name: String) -> Bool { name == origin || name.hasPrefix(origin + "/") }
        if let own, !isOurs(own.name) {
            foundKey("it is the key of \(own.name), and this ledger's log is \(origin)")
        }
        if let signed = report.origin, !isOurs(signed) {
            found(
                "tree.signed",
                "it is a checkpoint of \(signed), and this ledger's log is \(origin)",
                fix: "put this ledger's own back")
        }
    }
}

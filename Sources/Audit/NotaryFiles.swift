import Events
import Journal

/// The notary's files; see there.
struct NotaryFiles: Sendable {
    private let key: WholeFile
    private let signed: WholeFile
    private let cosigned: WholeFile
    private let witnesses: WholeFile

    init(directory: String, rig: (any DiskRig)?) {
        key = WholeFile(directory + "/signing.key", rig: rig)
        signed = WholeFile(directory + "/tree.signed", rig: rig)
        cosigned = WholeFile(directory + "/tree.cosigned", rig: rig)
        witnesses = WholeFile(directory + "/tree.witnesses", rig: rig)
    }

    func load(into state: inout Notary.State, origin: String) throws(AuditFailure) {
        let known = try text(witnesses)?.split(separator: "\n") ?? []
        for line in known {
            do throws(AuditFailure) {
                state.witnesses.append(try VerifierKey(parsing: String(line)))
            } catch {
                throw damaged(witnesses, error, "move it away and name the witnesses again")
            }
        }
        state.cosigned = try note(cosigned)
        // Where the last one is lost, what a witness has signed with us binds all the same.
        state.signed = try note(signed) ?? state.cosigned
        let key = try loadKey(origin)
        // A key that was lost and made anew has signed nothing yet, but what the old one signed still binds.
        for (file, note) in [(signed, state.signed), (cosigned, state.cosigned)] {
            guard let note else { continue }
            do throws(AuditFailure) { _ = try key.verifier.hasSigned(note) } catch {
                throw damaged(file, error)
            }
        }
        state.key = key
    }
    private func loadKey(_ origin: String) throws(AuditFailure) -> SigningKey {
        guard let text = try text(key) else {
            let fresh = SigningKey(name: origin)
            do throws(JournalError) { try write(fresh) } catch { throw AuditFailure(error) }
            return fresh
        }
        guard !key.isOpenToOthers else {
            throw AuditFailure(
                .io,
                "\(key.path) can be read by others than its owner: chmod 600 it; if others have read it, "
                    + "move it away and the next start makes a new key")
        }
        guard let found = SigningKey(parsing: String(text.prefix { $0 != "\n" })) else {
            throw AuditFailure(
                .damaged,
                "\(key.path) holds no signing key: restore it, or move it away and the next start makes a new "
                    + "one, whose verifier key everybody must then be told")
        }
        guard found.name == origin || found.name.hasPrefix(origin + "/") else {
            throw AuditFailure(
                .damaged,
                "\(key.path) is the key of \(found.name), and this ledger's log is \(origin): put its own key "
                    + "there, or move this one away")
        }
        return found
    }
    private func note(_ file: WholeFile) throws(AuditFailure) -> SignedNote? {
        guard let text = try text(file) else { return nil }
        do throws(AuditFailure) {
            let note = try SignedNote(parsing: text)
            _ = try TreeHead(parsing: note.text)
            return note
        } catch {
            throw damaged(file, error)
        }
    }
    private func damaged(
        _ file: WholeFile, _ why: AuditFailure,
        _ remedy: String = "put back the checkpoint that was there, from whoever got it"
    ) -> AuditFailure {
        AuditFailure(
            .damaged,
            "\(file.path) is not what was written (\(why.message)): restore it from a backup, or \(remedy), "
                + "and start again")
    }
    private func text(_ file: WholeFile) throws(AuditFailure) -> String? {
        do throws(JournalError) {
            return try file.read().map { String(decoding: $0, as: UTF8.self) }
        } catch {
            throw AuditFailure(error)
        }
    }

    // MARK: Writing

    func write(_ key: SigningKey) throws(JournalError) {
        try self.key.replace(with: Array((key.text + "\n").utf8))
    }
    func write(signed note: SignedNote) throws(AuditFailure) { try replace(signed, note.note) }
    func write(cosigned note: SignedNote) throws(AuditFailure) { try replace(cosigned, note.note) }
    func write(witnesses keys: [VerifierKey]) throws(AuditFailure) {
        try replace(witnesses, keys.map { "\($0)\n" }.joined())
    }
    /// Removes everything that was signed, and the key.
    func forget() {
        for file in [key, signed, cosigned] { file.remove() }
    }
    private func replace(_ file: WholeFile, _ text: String) throws(AuditFailure) {
        do throws(JournalError) { try file.replace(with: Array(text.utf8)) } catch {
            throw AuditFailure(error)
        }
    }
}

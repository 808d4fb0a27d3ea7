import Events

/// Whose signatures somebody believes: of the logs he knows, and of the witnesses that he wants to have seen
/// what a log says.
package struct TrustedKeys: Sendable {
    package var logs: [VerifierKey]
    package var witnesses: [VerifierKey]

    package init(logs: [VerifierKey], witnesses: [VerifierKey] = []) {
        self.logs = logs
        self.witnesses = witnesses
    }

    /// What a checkpoint says, once it is shown that one of the keys, and every witness, has signed it.
    ///
    /// - Parameter what: the file or the answer, for messages.
    package func head(of checkpoint: String, _ what: String) throws(AuditFailure) -> TreeHead {
        do throws(AuditFailure) {
            return try head(of: SignedNote(parsing: checkpoint))
        } catch {
            throw AuditFailure(error.kind, "\(what): \(error.message)")
        }
    }
    private func head(of note: SignedNote) throws(AuditFailure) -> TreeHead {
        let head = try TreeHead(parsing: note.text)
        let keys = logs.filter { $0.name == head.origin }
        guard !keys.isEmpty else {
            let known = logs.map(\.name).joined(separator: ", ")
            throw AuditFailure(
                .damaged,
                "it is a checkpoint of \(head.origin), and the key at hand is of \(known): it is of another "
                    + "ledger, or from before a restore; a log that was restored has several keys, so say all of "
                    + "them: --key A --key B")
        }
        var isSigned = false
        for key in keys where try key.hasSigned(note) { isSigned = true }
        guard isSigned else {
            let ids = keys.map { VerifierKey.hex($0.keyID) }.joined(separator: ", ")
            throw AuditFailure(
                .damaged,
                "\(head.origin) has not signed it with the key \(ids): if the log had another key then, say it "
                    + "with --key")
        }
        for witness in witnesses {
            guard witness.kind == .witness else {
                throw AuditFailure(
                    .usage, "\(witness.name)'s is the key of a log, not of a witness")
            }
            guard try witness.hasSigned(note) else {
                throw AuditFailure(.damaged, "the witness \(witness.name) has not signed it")
            }
        }
        return head
    }
}

extension ProofText.Inclusion {
    /// The event that it proves to be in the log, and the checkpoint's head under which it is.
    ///
    /// - Parameter checkpoint: of the same size, where the proof itself has none that is signed.
    package func verify(
        _ keys: TrustedKeys, checkpoint: String? = nil
    ) throws(AuditFailure) -> TreeHead {
        let head = try keys.head(of: checkpoint ?? self.checkpoint, "the proof's checkpoint")
        if checkpoint != nil {
            // The text of one alone, or a note; either says of which tree the proof is.
            let own = try TreeHead(parsing: self.checkpoint)
            guard own == head else {
                throw AuditFailure(
                    .damaged,
                    "the proof is of \(own.origin) with \(own.size) events, and the checkpoint beside it of "
                        + "\(head.origin) with \(head.size): they do not belong together")
            }
        }
        try check(under: head)
        return head
    }
    /// - Throws: unless the event is in the tree of that head.
    package func check(under head: TreeHead) throws(AuditFailure) {
        guard let event else {
            throw AuditFailure(
                .usage,
                "the proof holds no event (its line 'extra' is missing): prove it anew with 'tollgate audit "
                    + "prove'")
        }
        let isProven = event.withUnsafeBytes { bytes in
            MerkleProof.includes(
                .leaf(Bytes(bytes)), at: index, in: head.size, root: head.root, proof: hashes)
        }
        guard isProven else {
            throw AuditFailure(
                .damaged,
                "the proof does not hold: this event is not event \(index + 1) of the \(head.size) that the "
                    + "checkpoint is of. The event, the proof or the checkpoint was changed")
        }
        let seq = event.withUnsafeBytes { raw in
            raw.count >= EventHeader.byteCount
                ? UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) : 0
        }
        guard seq == index + 1 else {
            throw AuditFailure(
                .damaged,
                "the log has event \(seq) in the place of event \(index + 1): its numbers have a gap, or it "
                    + "was written by something else")
        }
    }
}

extension ProofText.Consistency {
    /// - Throws: unless the tree of the new head begins with the one of the old.
    package func check(from old: TreeHead, to new: TreeHead) throws(AuditFailure) {
        guard old.size == self.old,
            MerkleProof.extends(old.size, old.root, to: new.size, new.root, proof: hashes)
        else {
            throw AuditFailure(
                .damaged,
                "the log of \(new.size) events does not begin with the one of \(old.size) (\(old.root.base64)): "
                    + "what was in it then has been changed or left out since, or the proof was. Keep both "
                    + "checkpoints; they are evidence")
        }
    }
}

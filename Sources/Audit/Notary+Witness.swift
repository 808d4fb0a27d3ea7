import Events

extension Notary {
    /// Takes cosignatures (c2sp.org/tlog-cosignature) of a checkpoint that this log has signed: a whole note, or
    /// a witness's lines alone, which are then of the last one. Answers the checkpoint with what is kept.
    ///
    /// - Parameter witness: one to be known from now on.
    package func cosign(
        _ given: String, witness: VerifierKey? = nil
    ) throws(AuditFailure) -> SignedNote {
        try locked { state, key throws(AuditFailure) in
            let note = try Notary.checkpoint(in: given, state, key)
            let head = try TreeHead(parsing: note.text)
            var witnesses = state.witnesses
            if let witness {
                guard witness.kind == .witness else {
                    throw AuditFailure(
                        .usage,
                        "\(witness.name)'s is the key of a log: a witness's has a 04 byte in front, so its "
                            + "base 64 begins with B")
                }
                if !witnesses.contains(witness) { witnesses.append(witness) }
            }
            let own = note.signatures.filter { key.verifier.isOf($0) }
            let kept = state.cosigned.flatMap { $0.text == note.text ? $0.signatures : nil } ?? []
            let valid = try Notary.cosignatures(note, witnesses)
            if let kept = state.cosigned, try TreeHead(parsing: kept.text).size > head.size {
                throw AuditFailure(
                    .usage,
                    "a later checkpoint has been cosigned already: 'tollgate audit checkpoint --cosigned' (TREE "
                        + "cosigned) shows it")
            }
            let merged = SignedNote(
                text: note.text, signatures: own + Notary.newest(kept + valid, witnesses))
            if witnesses != state.witnesses {
                try store.write(witnesses: witnesses)
                state.witnesses = witnesses
            }
            try store.write(cosigned: merged)
            state.cosigned = merged
            return merged
        }
    }

    /// What was handed in, as a checkpoint with this log's own signature.
    private static func checkpoint(
        in given: String, _ state: State, _ key: SigningKey
    ) throws(AuditFailure) -> SignedNote {
        let note: SignedNote
        if given.hasPrefix("— ") {
            guard var last = state.signed else {
                throw AuditFailure(
                    .usage, "no checkpoint has been signed yet: TREE checkpoint does that")
            }
            last.signatures += try SignedNote.signatures(parsing: given)
            note = last
        } else {
            note = try SignedNote(parsing: given)
        }
        let head = try TreeHead(parsing: note.text)
        guard head.origin == key.name else {
            throw AuditFailure(
                .usage, "that is a checkpoint of \(head.origin), and this log is \(key.name)")
        }
        guard try key.verifier.hasSigned(note) else {
            throw AuditFailure(.usage, "that checkpoint is not signed by this log's key")
        }
        return note
    }
    private static func cosignatures(
        _ note: SignedNote, _ witnesses: [VerifierKey]
    ) throws(AuditFailure) -> [SignedNote.Signature] {
        var valid: [SignedNote.Signature] = []
        for signature in note.signatures {
            guard let witness = witnesses.first(where: { $0.isOf(signature) }) else { continue }
            guard witness.verifies(signature, of: note.text) else {
                throw AuditFailure(
                    .damaged,
                    "the cosignature of \(witness.name) is wrong: it is of another checkpoint, or damaged"
                )
            }
            valid.append(signature)
        }
        guard !valid.isEmpty else {
            throw AuditFailure(
                .usage,
                "none of these signatures is of a witness that this log knows: name its verifier key, "
                    + "'tollgate audit cosign FILE --witness VKEY' (TREE cosign <note> <witness>)")
        }
        return valid
    }
    /// Of each witness its latest.
    private static func newest(
        _ signatures: [SignedNote.Signature], _ witnesses: [VerifierKey]
    ) -> [SignedNote.Signature] {
        witnesses.compactMap { witness in
            signatures.filter { witness.isOf($0) }.max { $0.time ?? 0 < $1.time ?? 0 }
        }
    }

    // MARK: Manifests

    /// The first line of what is signed at somebody's request. No log's origin is spelled so, and so no manifest
    /// can pass for a checkpoint.
    package static let manifestTitle = "tollgate/export-manifest/v1"

    /// Signs a manifest of an export: the title, who asked and when, then the lines that he gave. That an
    /// export is what they say the log's hashes show; the signature says that this daemon was asked by that
    /// operator at that time.
    package func sign(
        manifest lines: String, for operatorName: String, at time: Instant
    ) throws(AuditFailure) -> SignedNote {
        guard lines.hasSuffix("\n"), !lines.contains("\n\n"), !lines.hasPrefix("\n"),
            lines.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x0A })
        else {
            throw AuditFailure(
                .usage,
                "a manifest is lines of text without control characters, none empty, each ended by a newline"
            )
        }
        return try locked { _, key throws(AuditFailure) in
            let text =
                "\(Notary.manifestTitle)\nlog \(key.name)\nsigned-for \(operatorName)\n"
                + "signed-at \(time)\n\(lines)"
            return SignedNote(text: text, signatures: [try key.sign(text)])
        }
    }
}

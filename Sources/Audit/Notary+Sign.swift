import Events
import Journal

extension Notary {
    // MARK: Checkpoints

    /// A signed checkpoint of all that is durable, with what witnesses have said of this very one.
    package func checkpoint(of journal: Journal) throws(AuditFailure) -> SignedNote {
        try locked { state, key throws(AuditFailure) in try sign(journal, &state, key) }
    }
    /// The newest checkpoint that a witness has signed, too.
    package func cosigned() throws(AuditFailure) -> SignedNote {
        try locked { state, _ throws(AuditFailure) in
            guard let note = state.cosigned else {
                throw AuditFailure(
                    .usage,
                    "no witness has signed a checkpoint yet: 'tollgate audit cosign' (TREE cosign) takes one"
                )
            }
            return note
        }
    }

    private func sign(
        _ journal: Journal, _ state: inout State, _ key: SigningKey
    ) throws(AuditFailure) -> SignedNote {
        let head: TreeHead
        do throws(AuditFailure) {
            head = try Notary.extend(state.signed, journal, origin: key.name)
        } catch {
            if error.kind == .damaged { complain(error.message) }
            throw error
        }
        complain(nil)
        if let note = state.signed, head.text == note.text, try key.verifier.hasSigned(note) {
            return withCosignatures(note, state)
        }
        let note = SignedNote(text: head.text, signatures: [try key.sign(head.text)])
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .signsBeforeKeeping {
            state.signed = note
            return note
        }
        #endif
        // Before anybody sees it: a daemon that forgets what it signed could sign something else.
        try store.write(signed: note)
        state.signed = note
        return withCosignatures(note, state)
    }
    /// As the next checkpoint would find it, and before anybody asks for one. It takes no more of the tree than
    /// a proof does; a log that cannot be read now is not said to contradict anything.
    static func check(_ state: State, against journal: Journal) throws(AuditFailure) {
        guard let key = state.key, state.signed != nil else { return }
        do throws(AuditFailure) {
            _ = try extend(state.signed, journal, origin: key.name)
        } catch {
            guard error.kind != .damaged else { throw error }
        }
    }
    /// The head of the tree as it is, which begins with the one that was signed last; or a loud refusal.
    private static func extend(
        _ signed: SignedNote?, _ journal: Journal, origin: String
    ) throws(AuditFailure) -> TreeHead {
        let last = try signed.map { note throws(AuditFailure) in
            try TreeHead(parsing: note.text)
        }
        return try Notary.read(journal) { rows, size throws(LMDBError) in
            var nodes = TreeNodes<LMDBError>()
            let root = try MerkleTree.root(rows, of: size, &nodes)
            let head = TreeHead(origin: origin, size: size, root: root)
            guard let last, last.size > 0 else { return .success(head) }
            guard last.size <= size else { return .failure(Notary.contradiction(last, head)) }
            let proof = try MerkleTree.consistency(rows, from: last.size, to: size, &nodes)
            guard MerkleProof.extends(last.size, last.root, to: size, root, proof: proof) else {
                return .failure(Notary.contradiction(last, head))
            }
            return .success(head)
        }
    }
    private static func contradiction(_ last: TreeHead, _ now: TreeHead) -> AuditFailure {
        let what =
            now.size < last.size
            ? "it ends with event \(now.size)"
            : "its first \(last.size) events have another root now"
        return AuditFailure(
            .damaged,
            "the log contradicts the checkpoint that was signed of \(last.size) events (\(last.root.hex)): "
                + "\(what). Nothing more is signed. Keep the directory as it is, find out what happened "
                + "('tollgate doctor', 'tollgate audit replay --dir'), and restore it from a backup"
        )
    }
    private func withCosignatures(_ note: SignedNote, _ state: State) -> SignedNote {
        guard let cosigned = state.cosigned, cosigned.text == note.text else { return note }
        return cosigned
    }

    // MARK: Proofs

    /// That event `seq` is in the log: under a checkpoint that is signed now; or under the head of `size`
    /// events, whose checkpoint the asker has.
    package func inclusion(
        of seq: UInt64, size: UInt64?, in journal: Journal
    ) throws(AuditFailure) -> ProofText.Inclusion {
        let (hashes, checkpoint) = try prove(under: size, journal) {
            rows, head, nodes throws(LMDBError) in
            guard seq >= 1, seq <= head.size else {
                return .failure(Notary.beyond(seq, head.size))
            }
            let proof = try MerkleTree.inclusion(rows, of: seq, in: head.size, &nodes)
            let leaf = try MerkleTree.leaf(rows, seq, head.size, &nodes)
            let isProven = MerkleProof.includes(
                leaf, at: seq - 1, in: head.size, root: head.root, proof: proof)
            return isProven ? .success(proof) : .failure(Notary.unprovable)
        }
        return ProofText.Inclusion(index: seq - 1, hashes: hashes, checkpoint: checkpoint)
    }
    /// That the log of `new` events, all of them where it is nil, begins with the one of `old`.
    package func consistency(
        from old: UInt64, to new: UInt64?, in journal: Journal
    ) throws(AuditFailure) -> ProofText.Consistency {
        let (hashes, checkpoint) = try prove(under: new, journal) {
            rows, head, nodes throws(LMDBError) in
            guard old <= head.size else {
                return .failure(
                    new == nil ? Notary.beyond(old, head.size) : .backwards(old, head.size))
            }
            let oldRoot = try MerkleTree.root(rows, of: old, &nodes)
            let proof = try MerkleTree.consistency(rows, from: old, to: head.size, &nodes)
            let isProven = MerkleProof.extends(
                old, oldRoot, to: head.size, head.root, proof: proof)
            return isProven ? .success(proof) : .failure(Notary.unprovable)
        }
        return ProofText.Consistency(old: old, hashes: hashes, checkpoint: checkpoint)
    }

    /// A proof, and the checkpoint that it is of: one that is signed now, or the head of the first `size`
    /// events without a signature. The proof is checked before it is answered.
    private func prove(
        under size: UInt64?, _ journal: Journal,
        _ proof: (borrowing ProjectionRows, TreeHead, inout TreeNodes<LMDBError>) throws(LMDBError)
            -> Result<[TreeHash], AuditFailure>
    ) throws(AuditFailure) -> (hashes: [TreeHash], checkpoint: String) {
        let note = size == nil ? try checkpoint(of: journal) : nil
        let signed = try note.map { note throws(AuditFailure) in try TreeHead(parsing: note.text) }
        let origin = status.origin
        return try Notary.read(journal) { rows, end throws(LMDBError) in
            let size = signed?.size ?? size ?? end
            guard size <= end else { return .failure(Notary.beyond(size, end)) }
            var nodes = TreeNodes<LMDBError>()
            let head: TreeHead
            if let signed {
                head = signed
            } else {
                let root = try MerkleTree.root(rows, of: size, &nodes)
                head = TreeHead(origin: origin, size: size, root: root)
            }
            return try proof(rows, head, &nodes).map { ($0, note?.note ?? head.text) }
        }
    }

    private static func beyond(_ seq: UInt64, _ end: UInt64) -> AuditFailure {
        AuditFailure(.usage, "event \(seq) is not in the log, which ends with \(end)")
    }
    private static var unprovable: AuditFailure {
        AuditFailure(
            .damaged,
            "the tree beside the log does not prove what it should: 'tollgate doctor' looks for where it "
                + "is damaged")
    }
    /// Reads the tree as far as it is durable, in one read transaction.
    private static func read<R>(
        _ journal: Journal,
        _ body: (borrowing ProjectionRows, _ size: UInt64) throws(LMDBError) ->
            Result<R, AuditFailure>
    ) throws(AuditFailure) -> R {
        let found: Result<R, AuditFailure>
        do throws(JournalError) {
            found = try journal.readProjection(.tree) { rows, _ throws(LMDBError) in
                // A commit whose outcome is open is no fact yet.
                try body(rows, min(try MerkleTree.edge(rows).size, journal.durableSeq))
            }
        } catch {
            throw AuditFailure(error)
        }
        return try found.get()
    }
}

extension MerkleTree {
    /// The root of the first `size` events; of all of them it is at hand.
    package static func root(
        _ rows: borrowing ProjectionRows, of size: UInt64, _ nodes: inout TreeNodes<LMDBError>
    ) throws(LMDBError) -> TreeHash {
        let edge = try edge(rows)
        if edge.size == size { return edge.root }
        return try MerkleProof.root(size: size) { place throws(LMDBError) in
            try node(rows, place, edge.size, &nodes)
        }
    }
    package static func inclusion(
        _ rows: borrowing ProjectionRows, of seq: UInt64, in size: UInt64,
        _ nodes: inout TreeNodes<LMDBError>
    ) throws(LMDBError) -> [TreeHash] {
        let all = try edge(rows).size
        return try MerkleProof.inclusion(of: seq - 1, in: size) { place throws(LMDBError) in
            try node(rows, place, all, &nodes)
        }
    }
    package static func consistency(
        _ rows: borrowing ProjectionRows, from old: UInt64, to new: UInt64,
        _ nodes: inout TreeNodes<LMDBError>
    ) throws(LMDBError) -> [TreeHash] {
        let all = try edge(rows).size
        return try MerkleProof.consistency(from: old, to: new) { place throws(LMDBError) in
            try node(rows, place, all, &nodes)
        }
    }
    static func leaf(
        _ rows: borrowing ProjectionRows, _ seq: UInt64, _ size: UInt64,
        _ nodes: inout TreeNodes<LMDBError>
    ) throws(LMDBError) -> TreeHash {
        try node(rows, MerkleProof.Place(level: 0, index: seq - 1), size, &nodes)
    }
    private static func node(
        _ rows: borrowing ProjectionRows, _ place: MerkleProof.Place, _ size: UInt64,
        _ nodes: inout TreeNodes<LMDBError>
    ) throws(LMDBError) -> TreeHash {
        let found = try nodes.node(place) { level, index throws(LMDBError) in
            try tile(rows, level: level, index: index, size: size)
        }
        guard let found else { throw .damagedRows("reading a node of the tree") }
        return found
    }
}

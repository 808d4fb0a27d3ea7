import Events
import Journal

/// Where proofs of a log come from: its daemon, or a directory as it lies there. Nothing that it says need be
/// believed: what asks it, checks it.
package protocol TreeSource: AnyObject {
    /// The newest checkpoint that is to be had, signed.
    func checkpoint() throws(AuditFailure) -> SignedNote
    /// That event `seq` is in the tree of so many events; of the newest checkpoint's where it is nil.
    func inclusion(
        of seq: UInt64, size: UInt64?
    ) throws(AuditFailure) -> ProofText.Inclusion
    /// That the tree of `new` events begins with the one of `old`.
    func consistency(
        from old: UInt64, to new: UInt64
    ) throws(AuditFailure) -> ProofText.Consistency
}

extension TreeSource {
    /// What the source says of its log as it was with so many events; nobody has signed that.
    package func head(of size: UInt64) throws(AuditFailure) -> TreeHead {
        guard size > 0 else {
            return TreeHead(
                origin: try TreeHead(parsing: checkpoint().text).origin, size: 0, root: .ofNothing)
        }
        return try TreeHead(parsing: inclusion(of: size, size: size).checkpoint)
    }
}

/// The tree beside the log in a data directory, or in a copy of one.
package final class DirectoryTree: TreeSource {
    private let path: String
    private let inspection: Inspection

    package init(_ path: String, _ log: DirectoryLog) {
        self.path = path
        inspection = log.inspection
    }

    /// The last checkpoint that was signed here; nil where none was.
    package static func signed(in directory: String) throws(AuditFailure) -> SignedNote? {
        try text("tree.signed", in: directory).map { text throws(AuditFailure) in
            try SignedNote(parsing: text)
        }
    }
    /// One of the notary's files; nil where there is none.
    static func text(_ name: String, in directory: String) throws(AuditFailure) -> String? {
        do throws(JournalError) {
            return try WholeFile(directory + "/" + name).read().map {
                String(decoding: $0, as: UTF8.self)
            }
        } catch {
            throw AuditFailure(error)
        }
    }

    /// The public half of the key that signs here; nil where there is none, as in a backup.
    package static func verifierKey(in directory: String) throws(AuditFailure) -> VerifierKey? {
        guard let text = try text("signing.key", in: directory) else { return nil }
        return SigningKey(parsing: String(text.prefix { $0 != "\n" }))?.verifier
    }

    package func checkpoint() throws(AuditFailure) -> SignedNote {
        guard let note = try DirectoryTree.signed(in: path) else {
            throw AuditFailure(
                .usage,
                "\(path) has no tree.signed, so nothing was signed here (a backup has no signed checkpoint): ask "
                    + "the daemon, without --dir")
        }
        return note
    }
    package func inclusion(
        of seq: UInt64, size: UInt64?
    ) throws(AuditFailure) -> ProofText.Inclusion {
        let note = try size == nil ? checkpoint() : nil
        let origin = try self.origin(note)
        let signed = try note.map { note throws(AuditFailure) in
            try TreeHead(parsing: note.text).size
        }
        return try read { rows, end throws(LMDBError) in
            let size = size ?? signed ?? end
            guard size <= end else { return .failure(Self.beyond(size, end)) }
            guard seq >= 1, seq <= size else { return .failure(Self.beyond(seq, size)) }
            var nodes = TreeNodes<LMDBError>()
            let hashes = try MerkleTree.inclusion(rows, of: seq, in: size, &nodes)
            let root = try MerkleTree.root(rows, of: size, &nodes)
            let head = TreeHead(origin: origin, size: size, root: root)
            return .success(
                ProofText.Inclusion(
                    index: seq - 1, hashes: hashes, checkpoint: note?.note ?? head.text))
        }
    }
    package func consistency(
        from old: UInt64, to new: UInt64
    ) throws(AuditFailure) -> ProofText.Consistency {
        let origin = try self.origin(nil)
        return try read { rows, end throws(LMDBError) in
            guard new <= end else { return .failure(Self.beyond(new, end)) }
            guard old <= new else { return .failure(.backwards(old, new)) }
            var nodes = TreeNodes<LMDBError>()
            let hashes = try MerkleTree.consistency(rows, from: old, to: new, &nodes)
            let root = try MerkleTree.root(rows, of: new, &nodes)
            let head = TreeHead(origin: origin, size: new, root: root)
            return .success(ProofText.Consistency(old: old, hashes: hashes, checkpoint: head.text))
        }
    }

    private func origin(_ note: SignedNote?) throws(AuditFailure) -> String {
        if let note { return try TreeHead(parsing: note.text).origin }
        guard let signed = try DirectoryTree.signed(in: path) else {
            return Notary.origin(of: inspection.ledgerID)
        }
        return try TreeHead(parsing: signed.text).origin
    }
    private func read<R>(
        _ body: (borrowing ProjectionRows, UInt64) throws(LMDBError) -> Result<R, AuditFailure>
    ) throws(AuditFailure) -> R {
        let found: Result<R, AuditFailure>
        do throws(JournalError) {
            found = try inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
                try body(rows, try MerkleTree.edge(rows).size)
            }
        } catch {
            throw AuditFailure(error)
        }
        return try found.get()
    }
    private static func beyond(_ seq: UInt64, _ end: UInt64) -> AuditFailure {
        AuditFailure(.usage, "event \(seq) is not in the log, which ends with \(end)")
    }
}

extension AuditFailure {
    package static func backwards(_ old: UInt64, _ new: UInt64) -> AuditFailure {
        AuditFailure(
            .usage,
            "a log only grows: there is no proof from \(old) events to \(new); give the smaller size first"
        )
    }
}

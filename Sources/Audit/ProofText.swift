/// Proofs as texts: C2SP's tlog-proof for an inclusion, the body of a witness's `add-checkpoint` request for a
/// consistency. Both end in a checkpoint.
package enum ProofText {
    /// `c2sp.org/tlog-proof@v1`.
    package struct Inclusion: Sendable {
        /// The event's stored bytes; without them the proof is of a hash.
        package var event: [UInt8]?
        package var index: UInt64
        package var hashes: [TreeHash]
        /// A signed note, or the text of one alone.
        package var checkpoint: String

        package init(
            event: [UInt8]? = nil, index: UInt64, hashes: [TreeHash], checkpoint: String
        ) {
            self.event = event
            self.index = index
            self.hashes = hashes
            self.checkpoint = checkpoint
        }
    }
    /// Of a tree of `old` leaves with the one of the checkpoint.
    package struct Consistency: Sendable {
        package var old: UInt64
        package var hashes: [TreeHash]
        package var checkpoint: String

        package init(old: UInt64, hashes: [TreeHash], checkpoint: String) {
            self.old = old
            self.hashes = hashes
            self.checkpoint = checkpoint
        }
    }
    /// More than any tree has levels.
    fileprivate static let hashesMax = 64
}

extension ProofText.Inclusion {
    private static let title = "c2sp.org/tlog-proof@v1"

    package var text: String {
        let extra = event.map { "extra \(Base64.encode($0))\n" } ?? ""
        return "\(Self.title)\n\(extra)index \(index)\n"
            + hashes.map { $0.base64 + "\n" }.joined() + "\n" + checkpoint
    }
    package init(parsing text: String) throws(AuditFailure) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard lines.popFirst() == Self.title[...] else {
            throw AuditFailure(.damaged, "this is no proof: it begins with \(Self.title)")
        }
        if let line = lines.first, line.hasPrefix("extra ") {
            guard let bytes = Base64.decode(line.dropFirst(6)) else {
                throw AuditFailure(.damaged, "the proof's extra line is no base 64")
            }
            event = bytes
            lines.removeFirst()
        }
        guard let line = lines.popFirst(), line.hasPrefix("index "),
            let index = line.dropFirst(6).treeSize
        else { throw AuditFailure(.damaged, "the proof has no line such as: index 41") }
        self.index = index
        hashes = try ProofText.hashes(&lines)
        checkpoint = lines.joined(separator: "\n")
    }
}

extension ProofText.Consistency {
    package var text: String {
        "old \(old)\n" + hashes.map { $0.base64 + "\n" }.joined() + "\n" + checkpoint
    }
    package init(parsing text: String) throws(AuditFailure) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard let line = lines.popFirst(), line.hasPrefix("old "),
            let old = line.dropFirst(4).treeSize
        else {
            throw AuditFailure(.damaged, "this is no proof: it begins with a line such as: old 41")
        }
        self.old = old
        hashes = try ProofText.hashes(&lines)
        checkpoint = lines.joined(separator: "\n")
    }
}

extension ProofText {
    /// The lines up to an empty one.
    fileprivate static func hashes(
        _ lines: inout ArraySlice<Substring>
    ) throws(AuditFailure) -> [TreeHash] {
        var hashes: [TreeHash] = []
        while let line = lines.popFirst() {
            // A last line that is empty only ends the one before it.
            if line.isEmpty, !lines.isEmpty { return hashes }
            if line.isEmpty { break }
            guard let hash = TreeHash(base64: line), hashes.count < hashesMax else {
                throw AuditFailure(
                    .damaged, "the proof holds a line that is no hash: \(line.prefix(80))")
            }
            hashes.append(hash)
        }
        throw AuditFailure(.damaged, "the proof ends before its checkpoint")
    }
}

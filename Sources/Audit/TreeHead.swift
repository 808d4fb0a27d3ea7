/// What a checkpoint says (c2sp.org/tlog-checkpoint): of which log, how many events, and their root.
package struct TreeHead: Equatable, Sendable {
    package var origin: String
    package var size: UInt64
    package var root: TreeHash

    package init(origin: String, size: UInt64, root: TreeHash) {
        self.origin = origin
        self.size = size
        self.root = root
    }
    /// Reads a checkpoint's text; lines behind the third are somebody else's extensions.
    package init(parsing text: String) throws(AuditFailure) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 4, !lines[0].isEmpty, let size = lines[1].treeSize,
            let root = TreeHash(base64: lines[2])
        else {
            throw AuditFailure(
                .damaged,
                "this is no checkpoint: it has a line for the log's origin, one for its size and one "
                    + "for the root in base 64")
        }
        self.init(origin: String(lines[0]), size: size, root: root)
    }
    package var text: String { "\(origin)\n\(size)\n\(root.base64)\n" }
}

extension StringProtocol {
    /// A size as proofs and checkpoints write it: decimal, without leading zeros.
    package var treeSize: UInt64? {
        guard let size = UInt64(self), String(size) == self, size <= UInt64(Int64.max) else {
            return nil
        }
        return size
    }
}

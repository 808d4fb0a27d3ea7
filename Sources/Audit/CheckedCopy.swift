import Events
import Journal

/// A copy of a ledger that has been read from end to end: every page, every event, every name; and the tree
/// over the events, made anew and compared with the one that is kept.
struct CheckedCopy {
    let inspection: Inspection
    /// Of the tree over all events, in base64.
    let root: String

    /// - Returns: nil when `watch`, which hears of the events that are read, has ended it.
    init?(
        of directory: String, _ watch: (_ done: Int, _ whole: Int) -> Bool
    ) throws(JournalError) {
        inspection = try Inspection(directory: directory, everyPage: true)
        let whole = Int(clamping: inspection.lastSeq)
        var tree = TreeBuilder()
        var goesOn = watch(0, whole)
        if goesOn {
            try inspection.readPages { page in
                tree.append(page.events) { _ in }
                goesOn = watch(Int(clamping: page.lastSeq), whole)
                return goesOn
            }
        }
        guard goesOn else { return nil }
        _ = try inspection.checkNames()
        if let kept = try CheckedCopy.kept(inspection), kept != tree.edge {
            throw JournalError(
                .damaged,
                "the tree in \(directory) is not that of its events: one of them was changed. Restore it from "
                    + "another backup")
        }
        root = tree.edge.root.base64
    }
    /// Nil where an older tollgate wrote last, which kept none.
    private static func kept(_ inspection: Inspection) throws(JournalError) -> TreeEdge? {
        do throws(JournalError) {
            return try inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
                try MerkleTree.edge(rows)
            }
        } catch {
            guard error.kind == .format else { throw error }
            return nil
        }
    }
}

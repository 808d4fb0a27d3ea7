import Events
import Journal

/// A log read from a data directory, or a copy of one, whether a daemon serves it or not.
package final class DirectoryLog: LogSource {
    package let inspection: Inspection
    package var ledgerID: LedgerID { inspection.ledgerID }
    package var lastSeq: UInt64 { inspection.lastSeq }

    package init(_ inspection: Inspection) { self.inspection = inspection }
    /// - Parameter everyPage: see `Inspection`.
    package init(_ path: String, everyPage: Bool = false) throws(AuditFailure) {
        do throws(JournalError) {
            inspection = try Inspection(directory: path, everyPage: everyPage)
        } catch {
            throw AuditFailure(error)
        }
    }
    package func refresh() {}

    package func read(
        from first: UInt64, through last: UInt64, into batch: inout LogBatch
    ) throws(AuditFailure) {
        batch.removeAll()
        guard first >= 1, first <= min(last, lastSeq) else { return }
        do throws(JournalError) {
            try inspection.readPages(from: first, through: last) { page in
                batch.append(page)
                return batch.buffer.count < LogBatch.bytes
            }
        } catch {
            throw AuditFailure(error)
        }
    }
    package func names(
        _ kind: NameKind, from number: UInt32
    ) throws(AuditFailure) -> [(number: UInt32, name: String)] {
        do throws(JournalError) {
            return try inspection.names(kind, from: number, most: 1_000)
        } catch {
            throw AuditFailure(error)
        }
    }
}

extension DirectoryLog {
    /// Whether the tree that is kept beside the log is, or begins with, the one of this edge; nil where an older
    /// tollgate wrote last, which kept none.
    package func keepsTree(_ edge: TreeEdge) throws(JournalError) -> Bool? {
        do throws(JournalError) {
            return try inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
                let kept = try MerkleTree.edge(rows)
                guard kept.size > edge.size else { return kept == edge }
                // A daemon has gone on meanwhile.
                var nodes = TreeNodes<LMDBError>()
                return try MerkleTree.root(rows, of: edge.size, &nodes) == edge.root
            }
        } catch {
            guard error.kind == .format else { throw error }
            return nil
        }
    }
}

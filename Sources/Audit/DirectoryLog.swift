import Events
import Journal

/// A log read from a data directory, or a copy of one, whether a daemon serves it or not.
package final class DirectoryLog: LogSource {
    package let inspection: Inspection
    private var path: String { inspection.path }
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
    /// The head of the tree as it lies there; nil where none covers the log.
    package func treeHead() throws(AuditFailure) -> TreeHead? {
        let edge: TreeEdge
        do throws(JournalError) {
            edge = try inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
                try MerkleTree.edge(rows)
            }
        } catch {
            throw AuditFailure(error)
        }
        guard edge.size >= lastSeq, lastSeq > 0 else { return nil }
        return TreeHead(origin: Notary.origin(of: ledgerID), size: edge.size, root: edge.root)
    }
    package func personalTexts(_ body: (PersonalText) -> Void) throws(AuditFailure) {
        let names = LogNames(self)
        do throws(JournalError) {
            guard let file = try PersonalFile(reading: path, ledger: ledgerID) else { return }
            try file.forEach { record in
                guard record.state == .kept else { return true }
                let org = record.org == .none ? nil : names.accountName(record.org)
                // Of an org that came after the copy's last event no event can be either.
                guard org != nil || record.org == .none else { return true }
                body(
                    PersonalText(
                        org: org, field: record.field, commitment: record.commitment,
                        text: record.text.string))
                return true
            }
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

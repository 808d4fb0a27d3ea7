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
        let log = DirectoryLog(inspection)
        let whole = Int(clamping: log.lastSeq)
        guard watch(0, whole) else { return nil }
        var check = LogCheck(log)
        do throws(AuditFailure) {
            let goesOn = try check.read(through: log.lastSeq) { watch(Int(clamping: $0), whole) }
            guard goesOn else { return nil }
        } catch {
            throw JournalError(.damaged, error.message)
        }
        _ = try inspection.checkNames()
        if try log.keepsTree(check.edge) == false {
            throw JournalError(
                .damaged,
                "the tree in \(directory) is not that of its events: one of them was changed. Restore it from "
                    + "another backup")
        }
        root = check.edge.root.base64
    }
}

import Events
import Journal

/// The roll-ups as the committer keeps them, in the transactions that append the events.
///
/// Unchecked: only the committer's thread, or who opens the journal before it, calls in.
package final class Rollups: Projection, @unchecked Sendable {
    package let table = ProjectionTable.rollups
    private var state: RollupFold
    private var makesAnew: Bool

    /// - Parameter makesAnew: from the whole log, whatever the table holds.
    package init(
        makesAnew: Bool = false, segmentEvents: UInt64 = RollupBounds.segmentEvents,
        placings: Int = RollupBounds.placings
    ) {
        self.makesAnew = makesAnew
        state = RollupFold(segmentEvents: segmentEvents, placings: placings)
    }

    package func resume(_ rows: borrowing ProjectionRows) throws(LMDBError) -> UInt64 {
        var seq: UInt64 = 0
        if case .rows(let last) = try RollupMeta.find(in: rows), !makesAnew {
            seq = last
        } else {
            // Of another layout, or not to be believed: the log has everything.
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current != .reindexKeepsRows { try rows.removeAll() }
            #else
            try rows.removeAll()
            #endif
        }
        makesAnew = false
        state.resume(at: seq)
        return seq
    }
    package func fold(
        _ events: EventPage, into rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        try state.fold(events, rows, writes: true)
    }
}

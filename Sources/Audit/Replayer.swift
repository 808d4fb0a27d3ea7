import Events
import Journal
import Ledger

/// Replays a log from its source: folds it from nothing in a book of its own and derives every answer
/// anew. It needs as much memory as the ledger's own book, however long the log is.
package struct Replayer: ~Copyable {
    private let source: any LogSource
    private var replay: Replay
    private let calendar: ZoneCalendar

    package init(_ source: any LogSource, calendar: ZoneCalendar) {
        self.source = source
        self.calendar = calendar
        replay = Replay(calendar: calendar)
    }

    /// The last event that is folded.
    package var seq: UInt64 { replay.seq }
    package var findings: Findings { replay.findings }
    package func withBook<R, E: Error>(_ body: (borrowing Book) throws(E) -> R) throws(E) -> R {
        try replay.withBook(body)
    }

    /// Goes on through an event, which the source must have.
    ///
    /// - Parameters:
    ///   - tick: is told now and then how far it has come, and says whether to go on.
    ///   - tell: is told of each difference before its event is folded, and says whether to go on.
    /// - Returns: whether it came so far.
    @discardableResult
    package mutating func compare(
        through last: UInt64, tick: (UInt64) -> Bool, tell: (Difference) -> Bool
    ) throws(AuditFailure) -> Bool {
        var batch = LogBatch()
        while replay.seq < last {
            let page = try next(through: last, &batch)
            do throws(EventError) {
                guard try replay.compare(page.frames, gap: EventPage.gap, tell: tell) else {
                    return false
                }
            } catch {
                throw doesNotFold(error)
            }
            guard tick(replay.seq) else { return false }
        }
        return true
    }
    private func next(
        through last: UInt64, _ batch: inout LogBatch
    ) throws(AuditFailure) -> EventPage {
        try source.read(from: replay.seq + 1, through: last, into: &batch)
        guard !batch.isEmpty else {
            throw AuditFailure(
                .damaged,
                "event \(replay.seq + 1) is missing from the log, which should end with "
                    + "\(source.lastSeq)")
        }
        return batch.page
    }
    private func doesNotFold(_ error: EventError) -> AuditFailure {
        AuditFailure(
            .damaged,
            "event \(replay.seq + 1) does not follow from the events before it: \(error.explanation). "
                + "The log was changed, or another version of tollgate wrote it")
    }

    // MARK: Books

    /// Compares a `USAGE` answer with what this book, at the event the answer is of, says of the account.
    ///
    /// - Returns: what was answered and what is derived, where they differ.
    package func compare(
        usage answer: String, of path: String, at now: Instant
    ) throws(AuditFailure) -> (answered: String, derived: String)? {
        let derived = try usage(of: path, at: now)
        return derived == answer ? nil : (answer, derived)
    }
    /// What `USAGE` would have answered at the event that was folded last.
    package func usage(of path: String, at now: Instant) throws(AuditFailure) -> String {
        var json = ByteBuffer(capacity: 2_048)
        do throws(Failure) {
            try path.withBytes { (path) throws(Failure) in
                try replay.withBook { (book) throws(Failure) in
                    try book.writeUsage(of: path, at: now, calendar: calendar, into: &json)
                }
            }
        } catch {
            throw AuditFailure(.damaged, error.text)
        }
        return json.string
    }
    /// Whether a checkpoint holds the book as it is now; nil for one of another version.
    package func isSame(as checkpoint: Checkpoint) -> Bool? {
        var reader = ByteReader(checkpoint.payload)
        guard reader.uint32() == Book.checkpointVersion else { return nil }
        return checkpoint.seq == replay.seq && Hash128(checkpoint.payload) == replay.digest()
    }
    /// The paths of accounts from a number on, at most so many.
    package func accounts(from first: Int, most: Int) -> [String] {
        replay.withBook { book in
            (first..<max(first, min(book.accountCount, first + most))).map {
                book.path(of: AccountNumber(UInt32($0)))!.string
            }
        }
    }
}

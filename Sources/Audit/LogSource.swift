import Events
import Journal

/// Where an audit reads a log: from a running daemon, or from a directory as it lies there.
///
/// A source is asked for batches and hands out no transaction, so whoever folds them may take as long as
/// it likes, and may ask for an earlier event in between. It belongs to one thread.
package protocol LogSource: AnyObject {
    var ledgerID: LedgerID { get }
    /// The last event that can be read, as of the source's opening or the last `refresh`.
    var lastSeq: UInt64 { get }
    /// Looks again how far the log goes; a directory goes no further than when it was opened.
    func refresh() throws(AuditFailure)

    /// Replaces what a batch holds by consecutive verified events, the first of them `first`, none past
    /// `last`; by none when `first` is past `last` or past the end.
    func read(
        from first: UInt64, through last: UInt64, into batch: inout LogBatch
    ) throws(AuditFailure)

    /// What numbers from this one on stand for: a page, empty when no event gave such a number.
    func names(
        _ kind: NameKind, from number: UInt32
    ) throws(AuditFailure) -> [(number: UInt32, name: String)]

    /// Goes through what commitments in the log were made of, as far as that is kept.
    func personalTexts(_ body: (PersonalText) -> Void) throws(AuditFailure)
}

/// What somebody said of a person, and what stands in the log in its place.
package struct PersonalText {
    /// The org whose people it is of; nil where the key was nobody's.
    package var org: String?
    package var field: PersonalField
    package var commitment: Commitment
    package var text: String

    package init(org: String?, field: PersonalField, commitment: Commitment, text: String) {
        self.org = org
        self.field = field
        self.commitment = commitment
        self.text = text
    }
}

/// Consecutive events, about a mebibyte of them, each verified.
package struct LogBatch: ~Copyable {
    package private(set) var buffer: ByteBuffer
    package private(set) var firstSeq: UInt64 = 0
    package private(set) var count = 0

    /// - Parameter capacity: in bytes; a batch grows when it has to.
    package init(capacity: Int = LogBatch.bytes + (80 << 10)) {
        buffer = ByteBuffer(capacity: capacity)
    }
    /// After how many bytes a source takes no further page into a batch.
    package static let bytes = 1 << 20

    package var isEmpty: Bool { count == 0 }
    package var lastSeq: UInt64 { firstSeq + UInt64(count) - 1 }
    /// What a fold takes; valid until the batch is read into again.
    package var page: EventPage {
        EventPage(firstSeq: firstSeq, count: count, frames: buffer.bytes)
    }

    package mutating func removeAll() {
        buffer.removeAll()
        count = 0
    }
    /// Adds a page that is verified and follows what is here.
    package mutating func append(_ page: EventPage) {
        if count == 0 { firstSeq = page.firstSeq }
        precondition(page.firstSeq == firstSeq + UInt64(count), "pages follow one another")
        buffer.append(page.frames)
        count += page.count
    }
    /// Takes frames that somebody else has sent, once each is the event it should be.
    package mutating func take(
        framesFrom first: UInt64, _ fill: (inout ByteBuffer) throws(AuditFailure) -> Void
    ) throws(AuditFailure) {
        removeAll()
        try fill(&buffer)
        guard !buffer.isEmpty else { return }
        do throws(JournalError) {
            count = try EventPage(verifying: buffer.bytes, from: first).count
            firstSeq = first
        } catch {
            buffer.removeAll()
            throw AuditFailure(error)
        }
    }
}

extension LogSource {
    /// Hands out the events from `first` through `last`, batch by batch, until they end or `body` returns
    /// false; returns the seq to go on from.
    @discardableResult
    package func readBatches(
        from first: UInt64 = 1, through last: UInt64 = .max,
        _ body: (EventPage) throws(AuditFailure) -> Bool
    ) throws(AuditFailure) -> UInt64 {
        var batch = LogBatch()
        var next = max(first, 1)
        let end = min(last, lastSeq)
        while next <= end {
            try read(from: next, through: end, into: &batch)
            guard !batch.isEmpty else {
                throw AuditFailure(
                    .damaged, "event \(next) is missing from the log, which should end with \(end)")
            }
            next = batch.lastSeq + 1
            guard try body(batch.page) else { break }
        }
        return next
    }

    /// Hands out what numbers of a kind stand for, in order, until they end or `body` returns false.
    package func forEachName(
        _ kind: NameKind, _ body: (_ number: UInt32, _ name: String) -> Bool
    ) throws(AuditFailure) {
        var number: UInt32 = 0
        while true {
            let page = try names(kind, from: number)
            for known in page where !body(known.number, known.name) { return }
            guard let last = page.last, last.number < .max else { return }
            number = last.number + 1
        }
    }

    /// One event, which lives as long as the batch is not read into again.
    package func event(
        _ seq: UInt64, into batch: inout LogBatch
    ) throws(AuditFailure) -> StoredEvent {
        try read(from: seq, through: seq, into: &batch)
        var events = batch.page.events
        guard !batch.isEmpty, let bytes = events.next() else {
            throw AuditFailure(.usage, "event \(seq) is not in the log, which ends with \(lastSeq)")
        }
        return try StoredEvent(audited: bytes, seq)
    }

    /// The first event at or after an instant; one past the end when there is none.
    package func firstSeq(at instant: Instant) throws(AuditFailure) -> UInt64 {
        var batch = LogBatch(capacity: 4_096)
        var (low, high) = (UInt64(1), lastSeq + 1)
        while low < high {
            let middle = low + (high - low) / 2
            if try event(middle, into: &batch).header.time < instant {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}

extension StoredEvent {
    /// An event whose checksum is right, and that this version may still not know.
    package init(audited bytes: Bytes, _ seq: UInt64) throws(AuditFailure) {
        do throws(EventError) {
            try self.init(bytes)
        } catch {
            throw AuditFailure(
                .damaged,
                "event \(seq) cannot be read: \(error.explanation); use the tollgate that wrote it")
        }
    }
}

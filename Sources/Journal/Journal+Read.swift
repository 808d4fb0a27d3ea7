import Events

/// A page of the journal: consecutive events whose checksums and seqs have been verified. Valid only
/// inside the closure it is handed to.
package struct EventPage {
    package let firstSeq: UInt64
    package let count: Int
    /// The events one behind the other, each with `gap` bytes in front: what a fold takes at once.
    package let frames: Bytes

    package init(firstSeq: UInt64, count: Int, frames: Bytes) {
        self.firstSeq = firstSeq
        self.count = count
        self.frames = frames
    }
    package static var gap: Int { Frame.overhead }

    package var lastSeq: UInt64 { firstSeq + UInt64(count) - 1 }
    /// The bytes of each event, in order.
    package var events: Events { Events(rest: frames) }

    package struct Events: Sequence, IteratorProtocol {
        fileprivate var rest: Bytes
        @inline(__always)
        package mutating func next() -> Bytes? {
            guard rest.count > 0, let frame = Frame(rest.base.unsafelyUnwrapped, count: rest.count)
            else { return nil }
            rest = rest.slice(frame.count, rest.count)
            return frame.event
        }
    }
}

extension Journal {
    /// Hands out the durable events from `first` through `last`, page by page, until the pages end
    /// or `body` returns false; returns the seq to go on from. The pages hold no event outside the
    /// range.
    ///
    /// `body` runs inside a read transaction, which is renewed every few thousand events: it must
    /// not block and must not read the journal itself. An event that is not what was once written
    /// ends the read with an error that names it.
    @discardableResult
    package func readPages(
        from first: UInt64 = 1, through last: UInt64 = .max, _ body: (EventPage) -> Bool
    ) throws(JournalError) -> UInt64 {
        // Never past what has been acknowledged: a commit whose outcome is open is no fact yet.
        try log.readPages(from: first, through: last, bound: { durableSeq }, body)
    }

    /// Hands out the durable events from `first` through `last` one by one, until they end or `body`
    /// returns false; returns the seq to go on from. The same rules hold as for `readPages`.
    @discardableResult
    package func read(
        from first: UInt64 = 1, through last: UInt64 = .max, _ body: (StoredEvent) -> Bool
    ) throws(JournalError) -> UInt64 {
        var next = max(first, 1)
        var failure: JournalError?
        try readPages(from: next, through: last) { page in
            for bytes in page.events {
                do throws(EventError) {
                    let event = try StoredEvent(bytes)
                    next += 1
                    guard body(event) else { return false }
                } catch {
                    failure = JournalError(
                        .format,
                        "event \(next) cannot be read: \(error.explanation); use the tollgate that wrote it"
                    )
                    return false
                }
            }
            return true
        }
        if let failure { throw failure }
        return next
    }

    /// The path of an account; nil when no durable event created one of that number.
    package func accountName(_ number: AccountNumber) throws(JournalError) -> String? {
        try log.name(.account, number.raw)
    }
    package func modelName(_ number: ModelNumber) throws(JournalError) -> String? {
        try log.name(.model, number.raw)
    }
    package func operatorName(_ number: UInt32) throws(JournalError) -> String? {
        try log.name(.operatorName, number)
    }
    /// The names from a number on, at most so many. Numbers are given in order, without gaps.
    package func names(
        _ kind: NameKind, from number: UInt32, most: Int
    ) throws(JournalError) -> [(number: UInt32, name: String)] {
        try log.names(kind, from: number, most: most)
    }
}

extension Log {
    /// - Parameter bound: how far may be read as of now; asked again for each transaction.
    @discardableResult
    func readPages(
        from first: UInt64, through last: UInt64, bound: () -> UInt64 = { .max },
        _ body: (EventPage) -> Bool
    ) throws(JournalError) -> UInt64 {
        var next = max(first, 1)
        while true {
            let bound = min(last, bound())
            guard next <= bound else { return next }
            let goesOn = try environment.read { txn throws(JournalError) in
                try Log.readSlice(txn, &next, bound, body)
            }
            guard goesOn else { return next }
        }
    }

    /// After how many events a read transaction is renewed: a few hundred microseconds of reading.
    private static let eventsPerTransaction: UInt64 = 4_096

    private static func readSlice(
        _ txn: borrowing ReadTransaction, _ next: inout UInt64, _ bound: UInt64,
        _ body: (EventPage) -> Bool
    ) throws(JournalError) -> Bool {
        let renewal = next + Log.eventsPerTransaction
        let cursor = try txn.cursor(.events)
        var row = try cursor.page(holding: next)
        while next <= bound, next < renewal {
            guard let found = row else { throw missing(next) }
            let page = try EventPage(verifying: found, from: next, through: bound)
            next = page.lastSeq + 1
            guard body(page) else { return false }
            row = next <= bound ? try cursor.next() : nil
        }
        return true
    }

    /// The last event in the journal; its page is verified.
    func end() throws(JournalError) -> LogEnd {
        try environment.read { txn throws(JournalError) in try Log.end(txn) }
    }
    static func end(_ txn: borrowing ReadTransaction) throws(JournalError) -> LogEnd {
        guard let row = try txn.cursor(.events).last() else { return LogEnd() }
        let page = try EventPage(verifying: row, from: row.first, through: .max)
        return lastFrame(of: page.frames)
    }
    /// The checksum of one event's frame; nil when the journal does not reach that far.
    func checksum(of seq: UInt64) throws(JournalError) -> UInt32? {
        try environment.read { txn throws(JournalError) in
            guard let row = try txn.cursor(.events).page(holding: seq),
                let page = try? EventPage(verifying: row, from: seq, through: seq)
            else { return nil }
            return Frame(page.frames.base!, count: page.frames.count)?.checksum
        }
    }
    static func lastFrame(of frames: Bytes) -> LogEnd {
        var at = 0
        var last: Frame?
        while at < frames.count, let frame = Frame(frames.base! + at, count: frames.count - at) {
            last = frame
            at += frame.count
        }
        return LogEnd(last!)
    }
}

extension EventPage {
    /// Takes frames that came from elsewhere for the events from `first` on: each is verified.
    package init(verifying frames: Bytes, from first: UInt64) throws(JournalError) {
        var at = 0
        var seq = first
        while at < frames.count {
            guard let frame = Frame(frames.base.unsafelyUnwrapped + at, count: frames.count - at),
                frame.isIntact, frame.seq == seq
            else { throw damaged(seq) }
            at += frame.count
            seq += 1
        }
        self.init(firstSeq: first, count: Int(seq - first), frames: frames)
    }
    /// Verifies every frame of a row and keeps those from `first` through `last`.
    ///
    /// All of it is looked at even when a part is asked for: damage in a page is worth knowing.
    init(
        verifying row: Cursor.Row, from first: UInt64, through last: UInt64
    ) throws(JournalError) {
        guard row.frames.count <= max(Frame.bytesMax, Log.pageBytesMax) else {
            throw damaged(row.first)
        }
        guard row.first <= first else { throw missing(first) }
        let base = row.frames.base.unsafelyUnwrapped
        var at = 0
        var seq = row.first
        var start = 0
        var end = row.frames.count
        while at < row.frames.count {
            guard let frame = Frame(base + at, count: row.frames.count - at), frame.isIntact,
                frame.seq == seq
            else { throw damaged(seq) }
            if seq == first { start = at }
            at += frame.count
            if seq == last { end = at }
            seq += 1
        }
        guard seq > first else { throw missing(first) }
        firstSeq = first
        count = Int(min(last, seq - 1) - first + 1)
        frames = row.frames.slice(start, end)
    }
}

private func damaged(_ seq: UInt64) -> JournalError {
    JournalError(
        .damaged,
        "event \(seq) in the journal is damaged: its checksum or number is wrong. Check the disk, then "
            + "restore journal/data.mdb from a backup; the events before it are intact", seq: seq)
}
private func missing(_ seq: UInt64) -> JournalError {
    JournalError(
        .damaged,
        "event \(seq) is missing from the journal; restore journal/data.mdb from a backup", seq: seq
    )
}

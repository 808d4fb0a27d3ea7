import Events

/// Folds a log from nothing and derives every answer in it anew, by the code that decides.
///
/// The book follows the log whatever it says, so that each event is judged by what stands before it: after
/// a difference the next is found as well.
package struct Replay: ~Copyable {
    private var machine: Machine
    package private(set) var findings = Findings()

    /// - Parameter calendar: by which opened windows are checked; the fold itself needs none.
    package init(calendar: ZoneCalendar) {
        machine = Machine(book: Book(), calendar: calendar)
    }

    package var seq: UInt64 { machine.book.seq }
    package var time: Instant { machine.book.time }
    /// A digest of everything the fold made; see `Book.digest`.
    package func digest() -> Hash128 { machine.book.digest() }
    package func withBook<R, E: Error>(_ body: (borrowing Book) throws(E) -> R) throws(E) -> R {
        try body(machine.book)
    }
    /// The book, to go on with by other means.
    package consuming func end() -> Book { machine.takeBook() }

    /// Why a fold goes no further.
    package enum Stop: Sendable {
        /// The next event is behind `last`, or not before `end`.
        case bound
        /// Whoever was told of a difference has seen enough; its event is not folded.
        case told
    }

    /// Compares whole stored events that lie one behind the other, and folds each.
    ///
    /// - Parameters:
    ///   - run: the events; each has `gap` bytes in front that are not its own.
    ///   - tell: is told of each difference, before its event is folded, and whether to go on.
    /// - Returns: nil when all are folded.
    /// - Throws: `EventError` for the first event that is damaged or does not continue the book; the
    ///   events before it are folded.
    package mutating func fold(
        _ run: Bytes, gap: Int, through last: UInt64 = .max, before end: Instant = .distantFuture,
        tell: (Difference) -> Bool
    ) throws(EventError) -> Stop? {
        var at = 0
        while at < run.count {
            guard let event = Book.event(run, at, gap) else { throw .truncated }
            if isBehind(event, last, end) { return .bound }
            if let difference = try machine.review(event, &findings) {
                findings.differences += 1
                guard tell(difference) else { return .told }
            }
            try machine.book.fold(event, id: .none)
            at &+= gap &+ event.count
        }
        return nil
    }
    /// Only folds them, which is several times as quick.
    package mutating func skip(
        _ run: Bytes, gap: Int, through last: UInt64 = .max, before end: Instant = .distantFuture
    ) throws(EventError) -> Stop? {
        var at = 0
        while at < run.count {
            guard let event = Book.event(run, at, gap) else { throw .truncated }
            if isBehind(event, last, end) { return .bound }
            try machine.book.fold(event, id: .none)
            at &+= gap &+ event.count
        }
        return nil
    }
    @inline(__always)
    private func isBehind(_ event: Bytes, _ last: UInt64, _ end: Instant) -> Bool {
        let at = event.base.unsafelyUnwrapped
        return at.field(UInt64.self, 8) > last || at.field(Int64.self, 16) >= end.nanoseconds
    }
}

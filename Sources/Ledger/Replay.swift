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

    /// Compares whole stored events that lie one behind the other, and folds each.
    ///
    /// - Parameters:
    ///   - run: the events; each has `gap` bytes in front that are not its own.
    ///   - tell: is told of each difference before its event is folded, and says whether to go on.
    /// - Returns: false when `tell` has said so; the event that differs is then not folded.
    /// - Throws: `EventError` for the first event that is damaged or does not continue the book; the
    ///   events before it are folded.
    package mutating func compare(
        _ run: Bytes, gap: Int, tell: (Difference) -> Bool
    ) throws(EventError) -> Bool {
        var at = 0
        while at < run.count {
            guard let event = Book.event(run, at, gap) else { throw .truncated }
            if let difference = try machine.review(event, &findings) {
                findings.differences += 1
                guard tell(difference) else { return false }
            }
            try machine.book.fold(event, id: .none)
            at &+= gap &+ event.count
        }
        return true
    }
    /// Only folds them, which is several times as quick.
    package mutating func skip(_ run: Bytes, gap: Int) throws(EventError) {
        try machine.book.fold(run, gap: gap)
    }
}

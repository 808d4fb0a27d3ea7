import Events

/// What is to happen by itself at an instant, soonest first: the daemon then appends an event, before
/// it decides anything else in that turn, so that replay needs no clock.
///
/// An entry may be stale, as when an override was ended early: nobody looks for it here, whoever takes
/// it asks the book whether it still holds.
struct Schedule {
    enum Kind: UInt8, Comparable {
        case overrideEnds = 1
        case creditExpires = 2
        case rotationDue = 3
        static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
    }
    /// Ordered by instant, then by kind and subject, so that equal books do equal things.
    struct Entry: Comparable {
        /// Nanoseconds since 1970.
        var at: Int64
        var kind: Kind
        /// An account's number, or a grant's.
        var subject: UInt32
        /// Which of the subject's: a limit's number; 0 where there is only one.
        var part: UInt32 = 0

        static func < (a: Entry, b: Entry) -> Bool {
            (a.at, a.kind, a.subject, a.part) < (b.at, b.kind, b.subject, b.part)
        }
    }
    /// A binary heap: the parent of `i` is `(i − 1) / 2`.
    private var heap: [Entry] = []

    /// When the first is due; `.max` when there is none.
    var next: Int64 { heap.isEmpty ? .max : heap[0].at }
    var count: Int { heap.count }

    mutating func add(_ entry: Entry) {
        heap.append(entry)
        var i = heap.count - 1
        while i > 0, heap[i] < heap[(i - 1) / 2] {
            heap.swapAt(i, (i - 1) / 2)
            i = (i - 1) / 2
        }
    }
    /// Takes the first entry that is due at an instant.
    mutating func takeDue(at now: Instant) -> Entry? {
        guard let first = heap.first, first.at <= now.nanoseconds else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var i = 0
        while true {
            var least = i
            for child in [2 * i + 1, 2 * i + 2]
            where child < heap.count && heap[child] < heap[least] { least = child }
            if least == i { return first }
            heap.swapAt(i, least)
            i = least
        }
    }
}

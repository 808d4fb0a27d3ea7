import Events

/// A connection that follows the log: what it wants, how far it has come, and where in its unsent answers
/// it can be cut off.
///
/// An object, so that everybody else's connection carries one empty word for it.
final class Tail {
    let descriptor: Int32
    let session: UInt64
    /// Tells a reader's answer to this TAIL from one to an earlier TAIL of the connection.
    let id: UInt64
    let filter: LogFilter
    /// The event with which to go on, behind all that stands among the answers.
    private(set) var next: UInt64
    /// A reader looks for more.
    var isReading = false
    /// The last look came to the end of what was durable.
    private(set) var isAtEnd = false
    /// Ends of events among the answers, counted as the connection counts what it has queued, and with which
    /// event to go on behind each; the last that was sent whole, and those behind it.
    private var marks: [Mark]
    fileprivate var place = 0

    struct Mark: Sendable {
        var end: UInt64
        var next: UInt64
    }

    fileprivate init(
        descriptor: Int32, session: UInt64, id: UInt64, filter: LogFilter, from: UInt64,
        queued: UInt64
    ) {
        self.descriptor = descriptor
        self.session = session
        self.id = id
        self.filter = filter
        next = from
        marks = [Mark(end: queued, next: from)]
    }

    /// Takes note of what a reader found; its marks count from the beginning of its own answer.
    func add(_ found: Readers.Followed, queued: UInt64, sent: UInt64) {
        if let whole = marks.lastIndex(where: { $0.end <= sent }) { marks.removeFirst(whole) }
        marks += found.marks.map { Mark(end: queued + $0.end, next: $0.next) }
        next = found.next
        isAtEnd = found.isAtEnd
        isReading = false
    }
    /// Where the answers may end when so much of them was sent: behind a whole event.
    func cut(sent: UInt64) -> Mark? { marks.first { $0.end >= sent } }
}

/// Which events somebody wants to see.
struct LogFilter: Sendable {
    var type: EventType?
    /// Only refusals, single and summed.
    var isDenied = false
    /// Of this account and those below it; empty for all.
    var account = ""

    func wants(_ type: EventType) -> Bool {
        isDenied ? type == .holdRefused || type == .refusalsSummed : self.type ?? type == type
    }
}

/// Everybody who follows the log, and when they are next looked after.
///
/// Who has come to the end is served in rounds, not with each commit: to wake hundreds of connections a
/// few hundred times a second would take the time that decisions need. The more there are, the longer is a
/// round.
struct Tails {
    private var all: [Tail] = []
    private var nextID: UInt64 = 1
    private var lastRound: Int64 = 0
    /// What was durable in the last round.
    private(set) var roundSeq: UInt64 = 0
    /// Somebody could not be served for want of memory.
    var isOwed = false
    /// The daemon ends: the last event that is still worth waiting for.
    var last: UInt64?

    var isEmpty: Bool { all.isEmpty }
    var count: Int { all.count }
    subscript(i: Int) -> Tail { all[i] }

    mutating func add(
        descriptor: Int32, session: UInt64, filter: LogFilter, from: UInt64, queued: UInt64
    ) -> Tail {
        let tail = Tail(
            descriptor: descriptor, session: session, id: nextID, filter: filter, from: from,
            queued: queued)
        nextID += 1
        tail.place = all.count
        all.append(tail)
        return tail
    }
    mutating func remove(_ tail: Tail) {
        let moved = all.removeLast()
        guard moved !== tail else { return }
        moved.place = tail.place
        all[tail.place] = moved
    }

    // MARK: Rounds

    private var interval: Int64 {
        max(GateLimits.tailRoundNanoseconds, Int64(count) * GateLimits.tailShareNanoseconds)
    }
    /// Nanoseconds until the next round by a clock that may have been set back meanwhile.
    private func wait(at clock: Int64) -> Int64 {
        let left = lastRound + interval - clock
        return left > interval ? 0 : left
    }
    /// Begins a round if it is time for one.
    mutating func beginRound(at clock: Int64, durable: UInt64) -> Bool {
        guard wait(at: clock) <= 0 else { return false }
        lastRound = clock
        roundSeq = durable
        isOwed = false
        return true
    }
    /// Milliseconds until a round that somebody needs; nil when nobody does.
    ///
    /// - Parameter seq: the last event there is; it may not be durable yet.
    func timeout(at clock: Int64, seq: UInt64) -> Int32? {
        guard !isEmpty, seq > roundSeq || isOwed else { return nil }
        return Int32(clamping: max(0, wait(at: clock) + 999_999) / 1_000_000)
    }
}

import CMemory
import Events

// The fold of many events at once, as a start or a checkpointer does it. One event alone would wait
// for memory: where its id's cell lies is known only from its own bytes. A run of events lets the
// processor fetch for the ones to come while it folds the ones before.

extension Book {
    /// How many events ahead memory is fetched: enough to cover a miss, few enough to stay in the
    /// nearest cache.
    private static let lookahead = 12
    /// A power of two above it.
    private static let memorySlots = 16

    /// Folds whole stored events that lie one behind the other, in order.
    ///
    /// - Parameters:
    ///   - run: the events; each has `gap` bytes in front that are not its own, such as a checksum.
    /// - Throws: `EventError` for the first event that is damaged or does not continue this book;
    ///   the events before it are folded, and `seq` tells which they are.
    package mutating func fold(_ run: Bytes, gap: Int = 0) throws(EventError) {
        let memory = UnsafeMutablePointer<IDHash>.allocate(capacity: Book.memorySlots)
        defer { memory.deallocate() }
        var ahead = 0
        var aheadCount = 0
        var at = 0
        var count = 0
        while at < run.count {
            while ahead < run.count, aheadCount &- count < Book.lookahead {
                memory[aheadCount & (Book.memorySlots - 1)] = .none
                guard let event = Book.event(run, ahead, gap) else {
                    // The fold will come to it and say what is wrong.
                    ahead = run.count
                    break
                }
                memory[aheadCount & (Book.memorySlots - 1)] = prefetch(event)
                ahead &+= gap &+ event.count
                aheadCount &+= 1
            }
            guard let event = Book.event(run, at, gap) else { throw .truncated }
            try fold(event, id: count < aheadCount ? memory[count & (Book.memorySlots - 1)] : .none)
            at &+= gap &+ event.count
            count &+= 1
        }
    }

    @inline(__always)
    static func event(_ run: Bytes, _ at: Int, _ gap: Int) -> Bytes? {
        let left = run.count &- at &- gap
        guard left >= EventHeader.byteCount else { return nil }
        let base = run.base.unsafelyUnwrapped + (at &+ gap)
        let length = Int(base.field(UInt16.self, 0))
        guard length >= EventHeader.byteCount, length <= left else { return nil }
        return Bytes(base, count: length)
    }
    /// Fetches what the fold of an event will touch; returns its id's hash, which costs as much as
    /// all the rest.
    @inline(__always)
    private func prefetch(_ event: Bytes) -> IDHash {
        let at = event.base.unsafelyUnwrapped
        switch at.field(UInt8.self, 2) {
        case EventType.holdPlaced.rawValue:
            guard event.count >= 70 else { return .none }
            let key = at.field(UInt32.self, 28)
            let before = 70 &+ Int(at.field(UInt8.self, 62)) &+ Int(at.field(UInt8.self, 63))
            let length = Int(at.field(UInt8.self, 64))
            guard length > 0, before &+ length <= event.count,
                key < UInt32(truncatingIfNeeded: accounts.rows.count)
            else { return .none }
            let account = UnsafeRawPointer(accounts.rows.pointer(key))
            // The name and limits, and the counters that a placing changes.
            for line in 0..<5 { tg_prefetch(account + line &* 64) }
            let id = IDHash(.hold, key: key, Bytes(at + before, count: length))
            holds.prefetch(id)
            return id
        case EventType.holdSettled.rawValue, EventType.holdReleased.rawValue,
            EventType.holdLapsed.rawValue, EventType.holdExtended.rawValue:
            guard event.count >= 44 else { return .none }
            holds.prefetch(
                HoldName(epoch: at.field(UInt32.self, 32), seq: at.field(UInt64.self, 36)))
            return .none
        default: return .none
        }
    }
}

import Events
import Glibc

/// The newest `hold.placed` events that were read, by seq: a hold's end tells neither who asked nor for
/// what, so its row is joined with them.
///
/// In constant memory, which is not touched before it is needed: what has been pushed out, or was placed
/// before the export begins, is read again from the log.
struct Placings: ~Copyable {
    /// Half a million usual ones: minutes of a busy log.
    static let arenaBytes = 64 << 20
    static let slotCount = 1 << 20

    private let arena = UnsafeMutableRawPointer.allocate(byteCount: arenaBytes, alignment: 16)
    private let slots: UnsafeMutablePointer<Slot>
    /// Bytes that have been put in, ever.
    private var written = 0

    private struct Slot {
        var seq: UInt64
        var at: Int
    }

    init() {
        // From `calloc`, whose zeros cost nothing until somebody looks at them; no event has seq 0.
        guard let memory = calloc(Placings.slotCount, MemoryLayout<Slot>.stride) else {
            fatalError("no memory for the placings of an export")
        }
        slots = memory.bindMemory(to: Slot.self, capacity: Placings.slotCount)
    }
    deinit {
        arena.deallocate()
        free(slots)
    }

    mutating func add(_ event: Bytes, seq: UInt64) {
        var at = written
        let start = at % Placings.arenaBytes
        // An event stands in one piece.
        if start + event.count > Placings.arenaBytes { at += Placings.arenaBytes - start }
        (arena + at % Placings.arenaBytes).copyMemory(from: event.base!, byteCount: event.count)
        written = at + event.count
        slots[Int(seq % UInt64(Placings.slotCount))] = Slot(seq: seq, at: at)
    }
    /// Valid until the next `add`.
    func find(_ seq: UInt64) -> Bytes? {
        let slot = slots[Int(seq % UInt64(Placings.slotCount))]
        guard slot.seq == seq, written - slot.at <= Placings.arenaBytes else { return nil }
        let base = UnsafeRawPointer(arena + slot.at % Placings.arenaBytes)
        return StoredEvent.length(Bytes(base, count: EventHeader.byteCount)).map {
            Bytes(base, count: $0)
        }
    }
}

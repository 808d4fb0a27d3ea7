import Events

/// Texts by handle, while they are in use: what tags say. Handle 0 is the empty text.
struct TextPool: ~Copyable {
    private var arena = ByteBuffer(capacity: 4_096)
    private var places: [(offset: Int, count: Int)] = [(0, 0)]
    private var slots: [UInt32]
    private let seed = UInt64.random(in: 0 ... .max)

    init() { slots = [UInt32](repeating: 0, count: 1 << 10) }

    var count: Int { places.count - 1 }
    /// Valid until the next text comes in.
    func text(_ handle: UInt32) -> Bytes {
        let place = places[Int(handle)]
        return arena.bytes.slice(place.offset, place.offset + place.count)
    }
    mutating func handle(_ text: Bytes) -> UInt32 {
        if text.isEmpty { return 0 }
        let mask = slots.count - 1
        var at = hash(text) & mask
        while slots[at] != 0 {
            if self.text(slots[at]) == text { return slots[at] }
            at = (at + 1) & mask
        }
        let handle = UInt32(places.count)
        places.append((arena.count, text.count))
        arena.append(text)
        slots[at] = handle
        if places.count * 2 > slots.count { grow() }
        return handle
    }
    mutating func removeAll() {
        arena.removeAll()
        places.removeLast(places.count - 1)
        for i in slots.indices { slots[i] = 0 }
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for handle in 1..<UInt32(places.count) {
            var at = hash(text(handle)) & (slots.count - 1)
            while slots[at] != 0 { at = (at + 1) & (slots.count - 1) }
            slots[at] = handle
        }
    }
    /// Seeded afresh in each process: callers choose these texts.
    private func hash(_ text: Bytes) -> Int {
        Int(truncatingIfNeeded: Hash128(text, seed: seed).low)
    }
}

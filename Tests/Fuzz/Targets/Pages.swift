import Events
import Journal

/// A page of the journal, as LMDB hands it out.
///
///     0 first seq   1 flags   2 u8 from   3 u8 through   4 … frames, or changes to a page of ours
///
/// Flags: 1, the rest are changes to a page that our own ledger would write; 2, frames get the checksum
/// and 4, the seq that make them pass, so that damage behind the checksum is reached.
enum Pages {
    static func check(_ input: Bytes) throws(Broken) {
        guard input.count > 4 else { return }
        let first = UInt64(input[0]) + 1
        let flags = input[1]
        var frames = flags & 1 == 0 ? input.from(4).array : frames(from: first)
        if flags & 1 != 0 { Edits.apply(input.from(4), to: &frames) }
        Frames.mend(&frames, from: first, checksums: flags & 2 != 0, seqs: flags & 4 != 0)
        let from = first + UInt64(input[2] & 15)
        let through = from + UInt64(input[3] & 15)
        try frames.withBytes { (bytes) throws(Broken) in
            let page: EventPage
            do throws(JournalError) {
                page = try DiskBytes.page(bytes, first: first, from: from, through: through)
            } catch { return }
            try require(
                page.firstSeq == from && page.count >= 1 && page.lastSeq <= through,
                "asked for \(from)…\(through), got \(page.firstSeq)…\(page.lastSeq)")
            var seq = from
            for event in page.events {
                try require(Frames.seq(event) == seq, "event \(seq) is another one")
                if let event = try? StoredEvent(event) { try StoredEvents.decode(event) }
                seq += 1
            }
            try require(seq == page.lastSeq + 1, "the page hands out \(seq - from) events")
        }
    }

    /// Whole frames of what a busy ledger writes, beginning with this seq.
    static func frames(from first: UInt64) -> [UInt8] {
        var frames = unnumbered
        Frames.mend(&frames, from: first, checksums: true, seqs: true)
        return frames
    }
    private static let unnumbered: [UInt8] = {
        var frames: [UInt8] = []
        for event in StoredEvents.seeds.prefix(12) { frames += [0, 0, 0, 0] + event }
        return frames
    }()

    static var seeds: [[UInt8]] {
        (0..<8).map { [0, UInt8($0), 0, 15] + ($0 & 1 == 0 ? frames(from: 1) : []) + [0] }
            + (0..<24).map { [7, 7, UInt8($0 & 3), 15, UInt8($0 * 9), 0, UInt8($0), 1, 2, 3] }
    }
}

/// Frames: `u32 checksum`, then an event, whose length stands in its first two bytes.
enum Frames {
    /// Goes through the frames as far as their lengths make sense, and makes them pass.
    static func mend(
        _ frames: inout [UInt8], from first: UInt64, checksums: Bool, seqs: Bool
    ) {
        var at = 0
        var seq = first
        while at + 4 + EventHeader.byteCount <= frames.count {
            let length = Int(frames[at + 4]) | Int(frames[at + 5]) << 8
            guard length >= EventHeader.byteCount, at + 4 + length <= frames.count else { return }
            if seqs { put(seq, 8, at + 12, &frames) }
            if checksums {
                let sum = frames[at + 4..<at + 4 + length].withUnsafeBytes {
                    DiskBytes.checksum(Bytes($0))
                }
                put(UInt64(sum), 4, at, &frames)
            }
            at += 4 + length
            seq += 1
        }
    }
    static func seq(_ event: Bytes) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(event[8 + $1]) << UInt64(8 * $1) }
    }
    private static func put(_ value: UInt64, _ count: Int, _ at: Int, _ bytes: inout [UInt8]) {
        for i in 0..<count { bytes[at + i] = UInt8(truncatingIfNeeded: value >> UInt64(8 * i)) }
    }
}

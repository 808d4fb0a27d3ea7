import CLinux
import Events
import Glibc

/// What a ring still held when it was opened.
struct RingRecovery: ~Copyable {
    /// Whole frames of consecutive events behind the journal's last.
    var frames = ByteBuffer()
    var count: UInt64 = 0
    var notes: [String] = []
    #if TOLLGATE_PLANTED_BUGS
    mutating func skipLast() {
        var at = 0
        while let frame = Frame(frames.base + at, count: frames.count - at),
            at + frame.count < frames.count
        { at += frame.count }
        frames.truncate(to: at)
        count = count > 0 ? count - 1 : 0
    }
    #endif
}

extension Ring {
    /// Reads what the ring at `path` holds behind the journal's `end`.
    ///
    /// The file is only believed as far as it proves itself: after a power cut any of its pages may
    /// be older than the others. The walk begins at the head and goes on while a frame's checksum is
    /// right, its seq follows and its epoch is the journal's last, or one that an `epoch.started` on
    /// the way begins. Records of an earlier lap fail by their seq, of an earlier run by their epoch
    /// (and every run begins with zeros).
    static func recover(
        from path: String, ledgerID: LedgerID, end: LogEnd, disk: Disk = Disk()
    ) throws(JournalError) -> RingRecovery {
        var recovery = RingRecovery()
        guard let size = fileSize(path) else {
            if end.seq > 0 {
                recovery.notes.append("there was no ring at \(path): began an empty one")
            }
            return recovery
        }
        let file = try File(opening: path, O_RDONLY)
        guard let constant = try header(of: file, size, path) else {
            let aside = path + ".damaged"
            try disk.rename(path, to: aside)
            recovery.notes.append(
                "the ring's header was damaged: kept it as \(aside) and began an empty one; events that "
                    + "were answered after seq \(end.seq) and not yet in the journal are lost")
            return recovery
        }
        guard constant.ledgerID == ledgerID else {
            throw JournalError(
                .format,
                "\(path) belongs to ledger \(constant.ledgerID), the journal is of ledger \(ledgerID): "
                    + "put the right ring back, or move this one away to go on without it")
        }
        if size < headerBytes + constant.capacity {
            recovery.notes.append(
                "\(path) is cut short: \(size) bytes of \(headerBytes + constant.capacity)")
        }
        guard let head = constant.head else {
            recovery.notes.append("the ring's head was damaged: took nothing from the ring")
            return recovery
        }
        guard head.seq <= end.seq + 1 else {
            throw JournalError(
                .damaged,
                "the ring begins at seq \(head.seq) but the journal ends at seq \(end.seq): events between "
                    + "them are missing. Restore a later journal, or move \(path) away to go on from "
                    + "seq \(end.seq)")
        }
        try walk(file, constant.capacity, head, end, path, &recovery)
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .recoverySkipsLastRecord { recovery.skipLast() }
        #endif
        return recovery
    }

    struct Head: Equatable {
        var position: UInt64
        var seq: UInt64
    }
    struct Constant {
        var ledgerID: LedgerID
        var capacity: Int
        var head: Head?
    }

    /// Nil when the header is not what was once written.
    static func header(
        of file: borrowing File, _ size: Int, _ path: String
    ) throws(JournalError) -> Constant? {
        var raw = ByteBuffer(capacity: headerBytes)
        let n = try file.read(into: &raw, count: headerBytes, at: 0)
        guard n == headerBytes else { return nil }
        var reader = ByteReader(raw.bytes)
        guard reader.uint64() == magic else { return nil }
        let format = reader.uint32()
        let crc = reader.uint32()
        guard tg_crc32c(tg_crc32c(0, raw.base, 12), raw.base + 16, 24) == crc else { return nil }
        guard format == Log.format else {
            throw JournalError(.format, Log.formatMessage(path, format))
        }
        let id = LedgerID(reading: &reader)
        let capacity = reader.uint64()
        guard capacity >= 4096, capacity <= 1 << 40, capacity.nonzeroBitCount == 1 else {
            return nil
        }
        var head: Head?
        for offset in slotOffsets {
            let slot = raw.base + offset
            guard tg_crc32c(0, slot, 16) == Frame.u32(slot + 16) else { continue }
            let found = Head(position: Frame.u64(slot), seq: Frame.u64(slot + 8))
            // Both are true; the later one saves looking at what is freed.
            if found.seq > 0, head.map({ $0.position < found.position }) ?? true { head = found }
        }
        return Constant(ledgerID: id, capacity: Int(capacity), head: head)
    }

    static func walk(
        _ file: borrowing File, _ capacity: Int, _ head: Head, _ end: LogEnd, _ path: String,
        _ recovery: inout RingRecovery
    ) throws(JournalError) {
        var records = ByteBuffer(capacity: 1 << 20)
        var at = 0
        var seq = head.seq
        var epoch = end.epoch
        while true {
            let needed = min(at + Frame.bytesMax, capacity)
            while records.count < needed {
                try unroll(file, capacity, head, into: &records)
            }
            guard let frame = Frame(records.base + at, count: records.count - at), frame.seq == seq,
                isBelievable(frame)
            else { break }
            if seq == end.seq, frame.checksum != end.checksum {
                throw JournalError(
                    .damaged,
                    "event \(seq) in the ring is not event \(seq) in the journal: one of them is from another "
                        + "history. Restore the journal that belongs to \(path), or move the ring away"
                )
            }
            if seq > end.seq {
                if frame.epoch != epoch {
                    guard frame.epoch > epoch, startsEpoch(frame) else { break }
                    epoch = frame.epoch
                }
                recovery.frames.append(Bytes(frame.base, count: frame.count))
                recovery.count += 1
            }
            at += frame.count
            seq += 1
        }
        let rest = UnsafeRawBufferPointer(
            start: records.base + at, count: min(records.count - at, 2 * Frame.bytesMax))
        if let later = intactSeq(in: rest, after: seq, epoch) {
            recovery.notes.append(
                "the ring is damaged at event \(seq): it and what stood behind it, event \(later) among it, "
                    + "are lost unless they are in the journal, which ends at seq \(end.seq). Settled "
                    + "charges are; check the disk")
        } else if let frame = Frame(records.base + at, count: rest.count), frame.seq == seq,
            !frame.isIntact
        {
            recovery.notes.append(
                "event \(seq), the last in the ring, is not whole: the process ended while it wrote it, or "
                    + "it is damaged")
        }
    }
    /// Where the walk ends, an event that must come later tells damage from the ring's true end: a short
    /// look ahead, since more than one longest event is seldom damaged at once.
    private static func intactSeq(
        in rest: UnsafeRawBufferPointer, after seq: UInt64, _ epoch: UInt32
    ) -> UInt64? {
        guard let base = rest.baseAddress else { return nil }
        var at = 0
        while rest.count - at >= Frame.bytesMin {
            let found = Frame.u64(base + at + 12)
            // A record of an earlier lap has an earlier seq.
            if found > seq, found - seq <= UInt64(Frame.bytesMax / Frame.bytesMin),
                let frame = Frame(base + at, count: rest.count - at), frame.epoch >= epoch,
                frame.isIntact
            {
                return found
            }
            at += 1
        }
        return nil
    }
    /// Adds the next piece of the records as they stand from the head on, once around. What a short
    /// file lacks reads as zeros, and no event has a length of zero.
    private static func unroll(
        _ file: borrowing File, _ capacity: Int, _ head: Head, into records: inout ByteBuffer
    ) throws(JournalError) {
        let from = Int((head.position &+ UInt64(records.count)) & UInt64(capacity - 1))
        let count = min(1 << 20, capacity - from, capacity - records.count)
        let n = try file.read(into: &records, count: count, at: headerBytes + from)
        _ = records.appendUninitialized(count - n) { rest in
            memset(rest, 0, count - n)
            return count - n
        }
    }
    private static func isBelievable(_ frame: Frame) -> Bool {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .recoveryTrustsTornRecords { return true }
        #endif
        return frame.isIntact
    }
    private static func startsEpoch(_ frame: Frame) -> Bool {
        frame.rawType == EventType.epochStarted.rawValue
            || frame.rawType == EventType.ledgerCreated.rawValue && frame.seq == 1
    }
}

import CLinux
import Events
import Glibc
import Synchronization

/// The fixed-size file between the gate and the journal, mapped so that it outlives the process.
///
///     0      header page                    4096   capacity bytes of records
///       0  u8×8 magic                         frames, each behind the other, around and around:
///       8  u32 format                         position p stands at 4096 + p mod capacity
///      12  u32 CRC-32C of 0..<12, 16..<40
///      16  u8×16 ledger id
///      32  u64 capacity
///      64, 128  two slots of the head, written in turn:
///          u64 position   u64 seq of the event there   u32 CRC-32C of these
///
/// The records are mapped twice, one after the other, so that a frame which runs over the end is
/// contiguous in memory. The gate's thread writes behind `tail`, the committer frees at `head`;
/// nothing else is shared. Unchecked for that reason: the memory has one writer at every place.
final class Ring: @unchecked Sendable {
    static let magic: UInt64 = 0x0A0D_474E_4952_4754  // "TGRING\r\n"
    static let headerBytes = 4096
    static let slotOffsets = [64, 128]

    let capacity: Int
    private let header: UnsafeMutableRawPointer
    private let records: UnsafeMutableRawPointer
    private let head = Atomic<UInt64>(0)
    private let tail = Atomic<UInt64>(0)
    /// Of the committer alone: which slot it writes next.
    private let nextSlot = Atomic<Int>(1)

    /// Begins an empty ring at `path`, whatever stood there; `nextSeq` is what will be staged first.
    /// All that the old one held must be in the journal by now.
    init(
        resetting path: String, capacity: Int, ledgerID: LedgerID, nextSeq: UInt64,
        disk: Disk = Disk()
    ) throws(JournalError) {
        precondition(capacity % 4096 == 0 && capacity.nonzeroBitCount == 1)
        self.capacity = capacity
        let file = try disk.open(path, O_RDWR | O_CREAT)
        try Ring.clear(file, Ring.headerBytes + capacity)
        let front = Ring.header(capacity, ledgerID, nextSeq)
        try file.write(front.bytes, at: 0)
        try file.sync()
        header = try Ring.map(file, capacity)
        records = header + Ring.headerBytes
    }
    deinit { munmap(header, Ring.headerBytes + 2 * capacity) }

    // MARK: The gate's side

    var freeBytes: Int { capacity - usedBytes }
    var usedBytes: Int {
        Int(tail.load(ordering: .acquiring) &- head.load(ordering: .acquiring))
    }

    /// Frames `events`, whole events of consecutive seqs behind `seq`, and publishes them together.
    /// Returns the seq of the last one.
    func stage(_ events: Bytes, after seq: UInt64) -> UInt64 {
        let start = tail.load(ordering: .relaxed)
        let room = capacity - Int(start &- head.load(ordering: .acquiring))
        let target = records + Int(start & UInt64(capacity - 1))
        var seq = seq
        var from = 0
        var to = 0
        while from < events.count {
            guard let source = events.base, events.count - from >= EventHeader.byteCount else {
                preconditionFailure("whole events are staged")
            }
            let event = source + from
            let length = Frame.u16(event)
            precondition(
                length >= EventHeader.byteCount && length <= Bounds.eventBytesMax
                    && length <= events.count - from, "whole events are staged")
            seq += 1
            precondition(
                Frame.u64(event + 8) == seq, "events are staged in the order of their seqs")
            precondition(
                to + Frame.overhead + length <= room, "what is staged must fit: see stageableBytes")
            let crc = tg_crc32c(0, event, length)
            (target + to).storeBytes(of: crc.littleEndian, as: UInt32.self)
            memcpy(target + to + Frame.overhead, event, length)
            from += length
            to += Frame.overhead + length
        }
        // Sequentially consistent: the gate next looks whether the committer sleeps, and the
        // committer looks here before it does.
        tail.store(start &+ UInt64(to), ordering: .sequentiallyConsistent)
        return seq
    }

    // MARK: The committer's side

    var isEmpty: Bool {
        tail.load(ordering: .sequentiallyConsistent) == head.load(ordering: .relaxed)
    }
    /// All frames that are staged and not freed; valid until `free`.
    var staged: Bytes {
        let start = head.load(ordering: .relaxed)
        let count = Int(tail.load(ordering: .acquiring) &- start)
        return Bytes(records + Int(start & UInt64(capacity - 1)), count: count)
    }
    /// Gives the first `count` bytes back to the gate; the next frame holds `nextSeq`.
    func free(_ count: Int, nextSeq: UInt64) {
        let position = head.load(ordering: .relaxed) &+ UInt64(count)
        // The file learns of it before the gate may write there. If the process dies in between,
        // the other slot still points at records that are whole.
        let slot = nextSlot.load(ordering: .relaxed)
        nextSlot.store(1 - slot, ordering: .relaxed)
        let bytes = Ring.slot(position, nextSeq)
        memcpy(header + Ring.slotOffsets[slot], bytes.base, bytes.count)
        head.store(position, ordering: .releasing)
    }

    /// Maps in `count` bytes of records from `offset` on for writing, which changes none of them.
    ///
    /// A first store into a page of the file costs the filesystem some 10 µs; better the committer's
    /// than the gate's. On kernels before 5.14 this does nothing and the first lap is slower.
    func warm(_ offset: Int, _ count: Int) { _ = tg_populate(records + offset, count) }

    // MARK: The file

    static func slot(_ position: UInt64, _ seq: UInt64) -> ByteBuffer {
        var slot = ByteBuffer(capacity: 32)
        slot.append(uint64: position)
        slot.append(uint64: seq)
        slot.append(uint32: tg_crc32c(0, slot.base, slot.count))
        return slot
    }
    static func header(
        _ capacity: Int, _ ledgerID: LedgerID, _ nextSeq: UInt64, format: UInt32 = Log.format
    ) -> ByteBuffer {
        var buffer = ByteBuffer(capacity: 128)
        buffer.append(uint64: magic)
        buffer.append(uint32: format)
        var rest = ByteBuffer()
        ledgerID.append(to: &rest)
        rest.append(uint64: UInt64(capacity))
        buffer.append(uint32: tg_crc32c(tg_crc32c(0, buffer.base, 12), rest.base, rest.count))
        buffer.append(rest.bytes)
        while buffer.count < slotOffsets[0] { buffer.append(0) }
        let head = slot(0, nextSeq)
        buffer.append(head.bytes)
        return buffer
    }
    /// Zeros throughout: no record of an earlier run may stand behind one of this run.
    private static func clear(_ file: borrowing File, _ size: Int) throws(JournalError) {
        if try file.size() != size {
            try file.truncate(to: 0)
            try file.allocate(size)
            return
        }
        // In place, so that a restart on a full disk needs no second ring's worth of it.
        if tg_zero_range(file.descriptor, 0, Int64(size)) == 0 { return }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var at = 0
        while at < size {
            let n = min(zeros.count, size - at)
            var failure: JournalError?
            zeros.withUnsafeBytes { raw in
                do throws(JournalError) { try file.write(Bytes(raw).slice(0, n), at: at) } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            at += n
        }
    }
    private static func map(_ file: borrowing File, _ capacity: Int) throws(JournalError)
        -> UnsafeMutableRawPointer
    {
        // One reservation of address space, then both views into it at fixed places.
        let whole = headerBytes + 2 * capacity
        let access = PROT_READ | PROT_WRITE
        guard let base = mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            base != MAP_FAILED
        else { throw systemError("cannot map \(file.path)") }
        let first = mmap(
            base, headerBytes + capacity, access, MAP_SHARED | MAP_FIXED, file.descriptor, 0)
        let second = mmap(
            base + headerBytes + capacity, capacity, access, MAP_SHARED | MAP_FIXED,
            file.descriptor,
            off_t(headerBytes))
        guard first != MAP_FAILED, second != MAP_FAILED else {
            let error = systemError("cannot map \(file.path)")
            munmap(base, whole)
            throw error
        }
        return base
    }
}

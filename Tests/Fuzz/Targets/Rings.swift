import Events
import Glibc
import Journal

/// What a ring still holds at the start, whatever a power cut made of it.
///
///     0 flags   1 u8 the journal's last seq   2 u8 its epoch   3 u8 the head's seq
///     4 u16 the head's position   6 … the records from there on, or changes to records of ours
///
/// Flags: 1, 2 and 4 as in a page; 8, the header is changed, too: the rest begins with its front; 16, the
/// file is cut short.
enum Rings {
    private static let capacity = 4_096
    private static let ledger = LedgerID(high: 1, low: 2)

    static func check(_ input: Bytes) throws(Broken) {
        guard input.count > 6 else { return }
        let flags = input[0]
        let (end, seq) = (UInt64(input[1]), UInt64(input[3]))
        let position = UInt64(input[4]) | UInt64(input[5]) << 8
        var rest = input.from(6)
        let front = DiskBytes.ringHeader(
            capacity: capacity, ledger: ledger, position: position, seq: seq)
        var file = front.bytes.array
        if flags & 8 != 0 {
            Edits.apply(rest.slice(0, min(rest.count, 12)), to: &file)
            rest = rest.from(12)
        }
        file += [UInt8](
            repeating: 0, count: max(DiskBytes.ringHeaderBytes + capacity - file.count, 0))
        var records = flags & 1 == 0 ? rest.array : Pages.frames(from: seq)
        if flags & 1 != 0 { Edits.apply(rest, to: &records) }
        Frames.mend(&records, from: seq, checksums: flags & 2 != 0, seqs: flags & 4 != 0)
        for (i, byte) in records.prefix(capacity).enumerated() {
            let at = DiskBytes.ringHeaderBytes + (Int(position) + i) & (capacity - 1)
            if at < file.count { file[at] = byte }
        }
        if flags & 16 != 0 { file.removeLast(min(file.count, 1 + Int(input[4]) * 8)) }
        try recover(file, behind: end, epoch: UInt32(input[2]))
    }

    private static func recover(
        _ file: [UInt8], behind end: UInt64, epoch: UInt32
    ) throws(Broken) {
        guard scratch >= 0, ftruncate(scratch, 0) == 0,
            pwrite(scratch, file, file.count, 0) == file.count
        else { throw Broken("no file to write a ring into") }
        var recovered = ByteBuffer()
        let count: UInt64
        do throws(JournalError) {
            // A damaged header is moved aside, which this name does not allow: an error, too.
            count = try DiskBytes.recoverRing(
                at: "/proc/self/fd/\(scratch)", ledger: ledger, behind: end, epoch: epoch,
                checksum: 0, into: &recovered)
        } catch { return }
        var at = 0
        var seq = end
        let frames = recovered.bytes
        while at < frames.count {
            seq += 1
            guard let length = StoredEvent.length(frames.from(at + 4)) else {
                throw Broken("half a frame was taken")
            }
            let event = frames.slice(at + 4, at + 4 + length)
            try require(Frames.seq(event) == seq, "event \(seq) was not the next one")
            at += 4 + length
        }
        try require(seq - end == count, "\(count) frames in \(seq - end)")
    }

    /// A file without a name, used again for each input.
    private static let scratch: Int32 = {
        var template = Array("/tmp/tg-fuzz-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        unlink(template)
        return descriptor
    }()

    static var seeds: [[UInt8]] {
        (0..<32).map { [UInt8($0), 0, 1, 1, UInt8($0 * 8), 15, UInt8($0), 0, UInt8($0), 1, 0, 0] }
            + [[6, 0, 1, 1, 0, 0] + Pages.frames(from: 1)]
    }
}

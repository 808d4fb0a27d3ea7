import CLinux
import Events
import Glibc

/// A book as of one seq, kept mapped as long as this object lives.
///
/// Unchecked: the mapping is read-only and never changes.
package final class Checkpoint: @unchecked Sendable {
    /// The last event that is in the book.
    package let seq: UInt64
    package let payload: Bytes
    /// All of its file.
    var file: Bytes { Bytes(base, count: size) }
    private let base: UnsafeMutableRawPointer
    private let size: Int

    fileprivate init(seq: UInt64, base: UnsafeMutableRawPointer, size: Int) {
        self.seq = seq
        self.base = base
        self.size = size
        payload = Bytes(base + Checkpoints.headerBytes, count: size - Checkpoints.headerBytes)
    }
    deinit { munmap(base, size) }
}

extension Journal {
    /// Writes the book as of the durable event `seq`, durably, and removes all but the newest two.
    /// One thread at a time.
    package func writeCheckpoint(seq: UInt64, _ payload: Bytes) throws(JournalError) {
        precondition(seq > 0 && seq <= durableSeq, "a checkpoint is of durable events")
        guard let checksum = try log.checksum(of: seq) else {
            throw JournalError(
                .damaged, "event \(seq) cannot be read: no checkpoint is written; check the journal"
            )
        }
        try checkpoints.write(seq: seq, eventChecksum: checksum, payload)
    }
    /// The newest checkpoint that is whole, of this ledger and of this journal's history; nil when
    /// there is none, and the fold begins at seq 1. Why others were set aside is added to `notes`.
    ///
    /// - Throws: when a whole one of this ledger is ahead of the journal: then the journal has lost
    ///   events.
    package func newestValidCheckpoint(notes: inout [String]) throws(JournalError) -> Checkpoint? {
        try checkpoints.newestValid(notes: &notes) { seq throws(JournalError) in
            seq <= durableSeq ? try log.checksum(of: seq) : nil
        }
    }
}

/// The files `checkpoints/<seq>.book`:
///
///     0 u8×8 magic   8 u32 format   12 u32 CRC-32C of everything else
///     16 u8×16 ledger id   32 u64 seq   40 u64 payload's length
///     48 u32 checksum of event seq's frame: a book of another history has another   52 zeros
///     64 … payload
struct Checkpoints: Sendable {
    static let magic: UInt64 = 0x0A0D_4B4F_4F42_4754  // "TGBOOK\r\n"
    static let headerBytes = 64
    static let kept = 2

    let directory: String
    let ledgerID: LedgerID
    var disk = Disk()

    func write(seq: UInt64, eventChecksum: UInt32, _ payload: Bytes) throws(JournalError) {
        var front = ByteBuffer(capacity: 64)
        front.append(uint64: Checkpoints.magic)
        front.append(uint32: Log.format)
        var rest = ByteBuffer(capacity: 64)
        ledgerID.append(to: &rest)
        rest.append(uint64: seq)
        rest.append(uint64: UInt64(payload.count))
        rest.append(uint32: eventChecksum)
        while rest.count < Checkpoints.headerBytes - 16 { rest.append(0) }
        var crc = tg_crc32c(0, front.base, front.count)
        crc = tg_crc32c(crc, rest.base, rest.count)
        front.append(uint32: tg_crc32c(crc, payload.base, payload.count))
        front.append(rest.bytes)

        let path = "\(directory)/\(seq).book"
        let temporary = path + ".tmp"
        var done = false
        // Half a checkpoint is only disk taken from the journal.
        defer { if !done { disk.remove(temporary) } }
        let file = try disk.open(temporary, O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(front.bytes, at: 0)
        try file.write(payload, at: Checkpoints.headerBytes)
        try file.sync()
        try disk.rename(temporary, to: path)
        done = true
        try disk.syncDirectory(directory)
        removeOld(newest: seq)
    }

    /// - Parameter checksum: of the event of that seq in the journal; nil when it has none.
    func newestValid(
        notes: inout [String], checksum: (UInt64) throws(JournalError) -> UInt32?
    ) throws(JournalError) -> Checkpoint? {
        for name in directoryEntries(directory) where name.hasSuffix(".tmp") {
            disk.remove("\(directory)/\(name)")
        }
        for seq in seqs().reversed() {
            let path = "\(directory)/\(seq).book"
            switch try load(path, seq, checksum) {
            case .success(let checkpoint): return checkpoint
            case .failure(let flaw):
                // Aside, so that it neither counts among the newest two nor comes true again when
                // the journal has grown past its seq.
                try? disk.rename(path, to: path + ".rejected")
                notes.append("\(path) \(flaw.text): set it aside as \(seq).book.rejected")
            }
        }
        return nil
    }

    struct Flaw: Error { var text: String }

    func load(
        _ path: String, _ seq: UInt64, _ checksum: (UInt64) throws(JournalError) -> UInt32?
    ) throws(JournalError) -> Result<Checkpoint, Flaw> {
        let file = try File(opening: path, O_RDONLY)
        let size = try file.size()
        guard size >= Checkpoints.headerBytes else { return .failure(Flaw(text: "is cut short")) }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0),
            base != MAP_FAILED
        else { throw systemError("cannot map \(path)") }
        let checkpoint = Checkpoint(seq: seq, base: base, size: size)
        var reader = ByteReader(Bytes(base, count: size))
        guard reader.uint64() == Checkpoints.magic else {
            return .failure(Flaw(text: "is no checkpoint"))
        }
        let format = reader.uint32()
        let crc = reader.uint32()
        let id = LedgerID(reading: &reader)
        let namedSeq = reader.uint64()
        let length = reader.uint64()
        let eventChecksum = reader.uint32()
        // The length first: a cut file should be called that and not damaged.
        guard length == UInt64(size - Checkpoints.headerBytes) else {
            return .failure(Flaw(text: "is cut short or damaged"))
        }
        guard tg_crc32c(tg_crc32c(0, base, 12), base + 16, size - 16) == crc else {
            return .failure(Flaw(text: "is damaged"))
        }
        guard format == Log.format else { return .failure(Flaw(text: "is of format \(format)")) }
        guard id == ledgerID else { return .failure(Flaw(text: "belongs to ledger \(id)")) }
        guard namedSeq == seq else { return .failure(Flaw(text: "is of seq \(namedSeq)")) }
        guard let expected = try checksum(seq) else {
            // Events were durable before the checkpoint was written, so they have been lost since.
            throw JournalError(
                .damaged,
                "\(path) is ahead of the journal: events up to \(seq) are missing. Restore the data "
                    + "directory from a backup; or delete that checkpoint to go on without them")
        }
        guard eventChecksum == expected else {
            return .failure(Flaw(text: "is of another history of this ledger"))
        }
        return .success(checkpoint)
    }
    private func removeOld(newest: UInt64) {
        for seq in seqs().filter({ $0 <= newest }).dropLast(Checkpoints.kept) {
            disk.remove("\(directory)/\(seq).book")
        }
    }
    func seqs() -> [UInt64] {
        directoryEntries(directory).compactMap { name in
            name.hasSuffix(".book") ? UInt64(name.dropLast(5)) : nil
        }.sorted()
    }
}

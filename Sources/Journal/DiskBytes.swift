import CLinux
import Events

/// The readers of what lies on disk, for bytes that no journal of ours has written: fuzzers hand them
/// damaged ones. They are the same functions that a start and a read go through.
package enum DiskBytes {
    package static let ringHeaderBytes = Ring.headerBytes

    package static func checksum(_ bytes: Bytes) -> UInt32 {
        tg_crc32c(0, bytes.base, bytes.count)
    }

    /// The events from `from` through `through` in a page whose first event should be `first`.
    package static func page(
        _ frames: Bytes, first: UInt64, from: UInt64, through: UInt64
    ) throws(JournalError) -> EventPage {
        try EventPage(
            verifying: Cursor.Row(first: first, frames: frames), from: from, through: through)
    }

    /// The front of a ring whose oldest record, event `seq`, stands at `position`.
    package static func ringHeader(
        capacity: Int, ledger: LedgerID, position: UInt64, seq: UInt64
    ) -> ByteBuffer {
        var header = Ring.header(capacity, ledger, seq)
        header.truncate(to: Ring.slotOffsets[0])
        let head = Ring.slot(position, seq)
        header.append(head.bytes)
        return header
    }
    /// Adds the frames behind a journal that ends with event `seq` of `epoch`; returns how many they are.
    package static func recoverRing(
        at path: String, ledger: LedgerID, behind seq: UInt64, epoch: UInt32, checksum: UInt32,
        into frames: inout ByteBuffer
    ) throws(JournalError) -> UInt64 {
        let end = LogEnd(
            seq: seq, epoch: epoch, time: Instant(nanoseconds: 0), checksum: checksum)
        let recovery = try Ring.recover(from: path, ledgerID: ledger, end: end)
        frames.append(recovery.frames.bytes)
        return recovery.count
    }
}

import Audit
import Events
import Journal
import TestSupport

/// A data directory whose log is another's, but for what was changed in it: every checksum is right.
enum ForgedLog {
    /// - Parameters:
    ///   - source: the directory whose log it is; nobody serves it.
    ///   - change: alters an event as it lies there.
    static func make(
        _ directory: String, from source: String, change: (UInt64, inout [UInt8]) -> Void
    ) throws {
        let log = try DirectoryLog(source)
        let journal = try Journal.open(JournalOptions(directory: directory))
        try journal.startCommitter()
        var seq: UInt64 = 0
        try log.readBatches { page in
            for bytes in page.events {
                seq += 1
                var event = Array(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
                change(seq, &event)
                event.withUnsafeBytes { journal.stage(Bytes($0)) }
            }
            return true
        }
        _ = journal.waitDurable(seq)
        journal.shutdown()
    }
}

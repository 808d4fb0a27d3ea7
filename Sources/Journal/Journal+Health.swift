import CLMDB
import Glibc

/// What whoever looks after a running journal may ask; any thread.
extension Journal {
    /// Asks the committer to come round once; the number of that round.
    ///
    /// An idle committer answers at once, a busy one after its commit, one that hangs never: that the
    /// round is answered says that what is staged can become durable. No event is written for it.
    package func askCommitterForRound() -> UInt64 { committer.askForRound() }
    /// The newest round that the committer has answered.
    package var answeredRound: UInt64 { committer.answeredRound }
    /// Becomes readable when a round is answered; `drainRound()` makes it unreadable.
    package var roundDescriptor: Int32 { committer.roundDescriptor }
    package func drainRound() { drain(committer.roundDescriptor) }

    /// Frees the pages that tools held which were killed beside the daemon; now and then.
    package func forgetDeadReaders() { log.environment.forgetDeadReaders() }

    /// How many bytes the whole checkpoints take, the oldest first.
    package var checkpointSizes: [Int] {
        directoryEntries(checkpoints.directory).compactMap { name -> (seq: UInt64, bytes: Int)? in
            guard name.hasSuffix(".book"), let seq = UInt64(name.dropLast(5)) else { return nil }
            return fileSize("\(checkpoints.directory)/\(name)").map { (seq, $0) }
        }.sorted { $0.seq < $1.seq }.map(\.bytes)
    }
    /// How many checkpoints are kept.
    package static var checkpointsKept: Int { Checkpoints.kept }

    /// Free disk in the data directory, looked at now; nil when the system does not say.
    package func lookAtFreeDisk() -> Int64? {
        checkpoints.disk.freeBytes(at: checkpoints.directory)
    }

    /// `0.9.24`: of the library that is loaded, which may be another than it was built with.
    package static var lmdbVersion: String {
        var (major, minor, patch) = (Int32(0), Int32(0), Int32(0))
        _ = mdb_version(&major, &minor, &patch)
        return "\(major).\(minor).\(patch)"
    }
}

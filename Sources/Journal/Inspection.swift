import Events
import Glibc

/// A ledger's files as they lie there, looked at and never written: for whoever checks a directory,
/// whether a daemon serves it or not. Not in the daemon's own process: LMDB's environment is opened once
/// in each.
package final class Inspection {
    package let ledgerID: LedgerID
    package let lastSeq: UInt64
    package let lastEpoch: UInt32
    package let lastTime: Instant
    /// Pages of the journal's file that are neither used nor free.
    package let lostPages: UInt64
    package let path: String
    let log: Log
    let end: LogEnd

    /// Opens the journal in a data directory and looks at its last event.
    ///
    /// - Parameter everyPage: whether every page of LMDB's is looked at before the library believes any.
    ///   A daemon beside us uses no page again in this time, so its journal grows a little faster.
    package init(directory: String, everyPage: Bool) throws(JournalError) {
        path = directory
        log = try Log(inspecting: directory, everyPage: everyPage)
        lostPages = log.environment.lostPages
        end = try log.end()
        ledgerID = log.ledgerID
        lastSeq = end.seq
        lastEpoch = end.epoch
        lastTime = end.time
    }
    deinit { log.environment.close() }

    /// Who else reads the journal just now.
    package var otherReaders: [JournalReader] {
        log.environment.readers().filter { $0.process != getpid() }
    }
    /// What a copy takes of the disk: the journal's pages and the newest checkpoint.
    package var byteCount: Int {
        let checkpoints = Checkpoints(directory: path + "/checkpoints", ledgerID: ledgerID)
        let newest = checkpoints.seqs().last.flatMap {
            fileSize("\(checkpoints.directory)/\($0).book")
        }
        return log.environment.mapUsedBytes + (newest ?? 0)
    }

    /// Verifies the checksum of every name, and says how many there are.
    package func checkNames() throws(JournalError) -> UInt64 {
        var names: UInt64 = 0
        for kind in [NameKind.account, .model, .operatorName] {
            // Numbers are given in order, from 0 or from 1.
            var number: UInt32 = try log.name(kind, 0) == nil ? 1 : 0
            while try log.name(kind, number) != nil {
                number += 1
                names += 1
            }
        }
        return names
    }
    /// Where an event stands in the journal's file.
    package struct Place {
        /// Of LMDB's pages, and the byte in the whole file.
        package var page: Int
        package var offset: Int
    }
    /// Nil when what leads there is damaged, or when a daemon beside us has moved it meanwhile. Of a directory and
    /// not of an inspection, since one whose last event is damaged cannot be opened.
    package static func place(of seq: UInt64, in directory: String) -> Place? {
        guard let place = try? findPlace(of: seq, directory) else { return nil }
        return place
    }
    private static func findPlace(
        of seq: UInt64, _ directory: String
    ) throws(JournalError) -> Place? {
        let file = try File(opening: directory + "/journal/data.mdb", O_RDONLY)
        var check = try PageCheck(file.path)
        guard let row = try check.row(holding: seq) else { return nil }
        var frames = ByteBuffer(capacity: row.count)
        try file.read(into: &frames, count: row.count, at: row.offset)
        var at = 0
        for _ in row.first..<max(seq, row.first) {
            guard let base = frames.bytes.base,
                let frame = Frame(base + at, count: frames.count - at)
            else { break }
            at += frame.count
        }
        return Place(page: (row.offset + at) / row.pageBytes, offset: row.offset + at)
    }

    /// Hands out the events from `first` through `last` page by page, as `Journal.readPages` does; returns
    /// the seq to go on from. Never past the end as it was when the directory was opened.
    @discardableResult
    package func readPages(
        from first: UInt64 = 1, through last: UInt64 = .max, _ body: (EventPage) -> Bool
    ) throws(JournalError) -> UInt64 {
        try log.readPages(from: first, through: min(last, end.seq), body)
    }
    /// Reads a projection's table, as `Journal.readProjection` does.
    package func readProjection<R>(
        _ table: ProjectionTable,
        _ body: (borrowing ProjectionRows, _ lastSeq: UInt64) throws(LMDBError) -> R
    ) throws(JournalError) -> R {
        try log.readProjection(table, body)
    }
    /// The names from a number on, at most so many. Numbers are given in order, without gaps.
    package func names(
        _ kind: NameKind, from number: UInt32, most: Int
    ) throws(JournalError) -> [(number: UInt32, name: String)] {
        try log.names(kind, from: number, most: most)
    }

    /// A checkpoint, and what is wrong with it; nil when nothing is.
    package struct CheckpointFinding {
        package var seq: UInt64
        package var flaw: String?
    }
    /// What is in `checkpoints/`, the newest first.
    package func checkpoints() throws(JournalError) -> [CheckpointFinding] {
        var findings: [CheckpointFinding] = []
        try forEachCheckpoint { seq, loaded in
            switch loaded {
            case .success: findings.append(CheckpointFinding(seq: seq))
            case .failure(let flaw):
                findings.append(CheckpointFinding(seq: seq, flaw: flaw.text))
            }
        }
        return findings.reversed()
    }

    /// The checkpoints that are whole, the oldest first.
    package func wholeCheckpoints() throws(JournalError) -> [Checkpoint] {
        var whole: [Checkpoint] = []
        try forEachCheckpoint { _, loaded in
            if case .success(let checkpoint) = loaded { whole.append(checkpoint) }
        }
        return whole
    }
    /// Loads what is in `checkpoints/`, the oldest first.
    private func forEachCheckpoint(
        _ body: (UInt64, Result<Checkpoint, Checkpoints.Flaw>) -> Void
    ) throws(JournalError) {
        let checkpoints = Checkpoints(directory: path + "/checkpoints", ledgerID: ledgerID)
        for seq in checkpoints.seqs() {
            let file = "\(checkpoints.directory)/\(seq).book"
            body(
                seq,
                try checkpoints.load(file, seq) { seq throws(JournalError) in
                    try log.checksum(of: seq)
                })
        }
    }

    /// How the ring fits the journal.
    package enum RingFinding {
        /// There is none, as in a directory that was restored from a backup.
        case none
        case damaged(String)
        /// So many events stand only there; the next start takes them over. Meaningless while a daemon
        /// stages into it.
        case whole(capacity: Int, waiting: UInt64)
    }
    package func ring() throws(JournalError) -> RingFinding {
        let file = path + "/ring"
        guard let size = fileSize(file) else { return .none }
        let opened = try Disk().open(file, O_RDONLY)
        guard let constant = try Ring.header(of: opened, size, file) else {
            return .damaged("its header is damaged")
        }
        guard constant.ledgerID == ledgerID else {
            return .damaged("it belongs to ledger \(constant.ledgerID)")
        }
        guard size >= Ring.headerBytes + constant.capacity else {
            return .damaged("it is cut short: \(size) bytes")
        }
        guard let head = constant.head else { return .damaged("its head is damaged") }
        guard head.seq <= end.seq + 1 else {
            return .damaged(
                "it begins at seq \(head.seq) and the journal ends at seq \(end.seq): events between "
                    + "them are missing")
        }
        var recovery = RingRecovery()
        try Ring.walk(opened, constant.capacity, head, end, file, &recovery)
        return .whole(capacity: constant.capacity, waiting: recovery.count)
    }
}

/// A process in the middle of reading a journal.
package struct JournalReader: Sendable, Equatable {
    package var process: Int32
    /// How many commits ago that was the newest which it reads.
    package var commits: Int
}

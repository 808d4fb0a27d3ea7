import CLinux
import Events
import Glibc
import Synchronization

/// The durable, ordered log of a ledger in a data directory.
///
/// One thread, the gate's, stages events: a copy into the ring, which outlives the process. The
/// committer takes them from there into LMDB and says how far they are durable. Any thread may read
/// what is durable.
package final class Journal: Sendable {
    package let ledgerID: LedgerID
    /// Whether the directory held no ledger before.
    package let isNew: Bool
    package let recovery: RecoveryReport
    /// The last event at the time of opening, all recovered ones included; 0 in a new ledger.
    package let lastSeq: UInt64
    package let lastEpoch: UInt32
    package let lastTime: Instant
    /// Set when this is the first start after a restore: what the backup held.
    package let restored: BackupMarker?

    let log: Log
    /// What the commitments in the log were made of.
    package let personal: PersonalFile
    let checkpoints: Checkpoints
    let committer: Committer
    private let directory: DataDirectory
    private let staged: Atomic<UInt64>
    private let thread = Mutex<pthread_t?>(nil)
    private let isShut = Atomic<Bool>(false)

    /// Opens or creates the ledger in the options' directory, takes its lock, and brings into the
    /// journal what an earlier run left in the ring. When this returns, that is durable.
    package static func open(_ options: JournalOptions) throws(JournalError) -> Journal {
        try options.check()
        return try Journal(options)
    }

    private init(_ options: JournalOptions) throws(JournalError) {
        let disk = Disk(rig: options.rig)
        restored = try BackupMarker.check(options.directory, isMeant: options.goesOnFromBackup)
        directory = try DataDirectory(options.directory, disk: disk)
        log = try Log(
            directory: directory, mapBytes: options.mapBytes,
            mayCreate: try directory.isUntouched(), newID: options.newLedgerID,
            projections: options.projections)
        try log.catchUp(batchBytesMax: options.batchBytesMax)
        var end = try log.end()
        let found = try Ring.recover(
            from: directory.ring, ledgerID: log.ledgerID, end: end, disk: disk)
        var notes = found.notes
        personal = try PersonalFile(
            directory.personal, ledger: log.ledgerID, disk: disk, notes: &notes)
        // Before the ring's events, which name what it holds, and what it holds no more.
        try personal.erase(toldBy: found.frames.bytes)
        try personal.sync()
        try Journal.append(found.frames.bytes, to: log, options, &end)
        let ring = try Ring(
            resetting: directory.ring, capacity: options.ringBytes, ledgerID: log.ledgerID,
            nextSeq: end.seq + 1, disk: disk)
        try disk.syncDirectory(options.directory)

        if let restored {
            guard restored.ledger == log.ledgerID.description, restored.seq <= end.seq else {
                throw JournalError(
                    .damaged,
                    "\(options.directory) does not hold the backup that its \(BackupMarker.fileName) tells "
                        + "of: restore it again into an empty directory")
            }
        }

        ledgerID = log.ledgerID
        isNew = log.isNew
        recovery = RecoveryReport(eventsFromRing: found.count, notes: notes)
        lastSeq = end.seq
        lastEpoch = end.epoch
        lastTime = end.time
        staged = Atomic(end.seq)
        checkpoints = Checkpoints(
            directory: directory.checkpoints, ledgerID: log.ledgerID, disk: disk)
        committer = try Committer(
            ring: ring, log: log, personal: personal, end: end, options: options)
    }
    deinit { shutdown() }

    private static func append(
        _ frames: Bytes, to log: Log, _ options: JournalOptions, _ end: inout LogEnd
    ) throws(JournalError) {
        var at = 0
        while at < frames.count {
            let rest = frames.slice(at, frames.count)
            let batch = rest.slice(0, Log.wholeFrames(rest, most: options.batchBytesMax))
            do throws(LMDBError) {
                end = try log.appendGrowing(batch).end
            } catch {
                throw JournalError(
                    .io,
                    "cannot bring the ring's events into the journal: \(error.text); make room on "
                        + "its filesystem or check the disk, then start again")
            }
            at += batch.count
        }
    }

    // MARK: The gate's thread

    /// Begins to commit. Before that, events only gather in the ring.
    package func startCommitter() throws(JournalError) {
        let thread = try committer.start()
        self.thread.withLock { held in
            precondition(held == nil, "one committer")
            held = thread
        }
    }
    /// One round of the committer on the caller's thread, in the place of the committer's own: for a
    /// simulation, in which nothing runs by itself.
    package func commitOnce() -> CommitRound {
        thread.withLock { precondition($0 == nil, "one committer") }
        return committer.round()
    }
    /// The events that stand in the ring and are not freed; valid until the next round.
    package func withStagedEvents(_ body: (Bytes) -> Void) {
        var rest = committer.ring.staged
        while let frame = rest.base.flatMap({ Frame($0, count: rest.count) }) {
            body(frame.event)
            rest = rest.slice(frame.count, rest.count)
        }
    }
    /// How many bytes of events surely fit now, whatever their lengths.
    package var stageableBytes: Int {
        // The shortest event pays the most for its checksum, relatively.
        committer.ring.freeBytes / Frame.bytesMin * EventHeader.byteCount
    }
    /// Puts whole events of consecutive seqs behind `stagedSeq` into the ring: from here on they
    /// survive the process. Once a turn; at most `stageableBytes`.
    ///
    /// - Parameter announcing: whether the committer hears of them now. Waking it from its sleep takes
    ///   longer than deciding a request, so the gate lets the answers go first and then calls
    ///   `announceStaged`.
    package func stage(_ events: Bytes, announcing: Bool = true) {
        guard !events.isEmpty else { return }
        let last = committer.ring.stage(events, after: staged.load(ordering: .relaxed))
        staged.store(last, ordering: .releasing)
        if announcing { committer.noticeStaged() }
    }
    /// Tells the committer of what was staged unannounced; before the caller sleeps.
    package func announceStaged() { committer.noticeStaged() }
    /// Asks for `wakeDescriptor` to become readable once `seq` is durable, and for a commit at once.
    /// Answers that need no disk ask for nothing. It may wake early: look at `durableSeq`.
    package func requestDurable(_ seq: UInt64) {
        precondition(
            seq <= staged.load(ordering: .relaxed), "only what is staged can become durable")
        committer.request(seq)
    }
    /// Becomes readable as asked for, and on every change of `state`; polled by the gate.
    package var wakeDescriptor: Int32 { committer.wakeDescriptor }
    /// Makes `wakeDescriptor` unreadable again; call it before looking at `durableSeq` and `state`.
    package func drainWake() { drain(committer.wakeDescriptor) }

    /// Takes the mark of a backup away, durably: from now on this directory is the ledger. Once the epoch
    /// has begun that tells it apart from its original.
    package func forgetBackup() throws(JournalError) {
        guard restored != nil else { return }
        let path = BackupMarker.path(in: directory.path)
        checkpoints.disk.remove(path)
        guard fileSize(path) == nil else { throw systemError("cannot remove \(path)") }
        try checkpoints.disk.syncDirectory(directory.path)
    }

    /// Commits all that is staged, ends the committer and closes everything. What cannot be committed
    /// stays in the ring for the next start. Once it has returned, reads fail.
    package func shutdown() {
        guard !isShut.exchange(true, ordering: .sequentiallyConsistent) else { return }
        if let thread = thread.withLock({ $0 }) {
            committer.stop()
            pthread_join(thread, nil)
        }
        committer.markStopped()
        log.environment.close()
        directory.unlock()
    }

    // MARK: Any thread

    /// The seq up to which nothing can be lost any more.
    package var durableSeq: UInt64 { committer.durableSeq }
    /// The seq up to which events survive the process.
    package var stagedSeq: UInt64 { staged.load(ordering: .acquiring) }
    package var state: JournalState { committer.state }
    /// Why the state is not `.normal`, and what to do about it; empty when it is.
    package var stateReason: String { committer.stateReason }
    package var statistics: JournalStatistics { committer.statistics }
    /// A text with the data directory's files by their names alone: `journal/data.mdb`.
    package func withoutPlace(_ text: String) -> String {
        // A relative name says nothing of the machine, and may be any word.
        guard directory.path.hasPrefix("/"), directory.path != "/" else { return text }
        return text.replacing(directory.path + "/", with: "")
            .replacing(directory.path, with: "the data directory")
    }

    /// Sleeps until `seq` is durable and returns true.
    ///
    /// With `hurry` it has the committer commit at once, and returns false if commits fail; without,
    /// it follows the log at the log's pace. Either way it returns false once the journal is shut down.
    @discardableResult
    package func waitDurable(_ seq: UInt64, hurry: Bool = true) -> Bool {
        committer.wait(for: seq, hurry: hurry)
    }
}

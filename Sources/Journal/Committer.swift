import CLinux
import Events
import Glibc
import Synchronization

/// What one round of the committer came to.
package enum CommitRound: Sendable {
    /// Nothing was staged.
    case idle
    case committed
    /// Commits fail for now: the state is `.readOnly`, the ring as it was.
    case failed
}

/// The thread that makes events durable: it takes whatever the ring holds, appends it in one LMDB
/// transaction with full sync, frees the ring and says how far the log is durable.
///
/// Unchecked: everything that two threads touch is atomic or guards itself; the `private var`s
/// belong to the committer's thread alone.
final class Committer: @unchecked Sendable {
    let ring: Ring
    private let log: Log
    private let personal: PersonalFile
    private let options: JournalOptions
    private let disk: Disk

    // What the gate and readers look at.
    private let durable: Atomic<UInt64>
    private let rawState = Atomic<UInt8>(JournalState.normal.rawValue)
    private let reason = Mutex("")
    private let counts = Counts()
    /// Becomes readable when something the gate waits for is durable, or the state changes.
    let wakeDescriptor: Int32

    // What the gate and readers ask for. The gate writes the first two.
    private let wantedFirst = Atomic<UInt64>(0)
    private let wantedLast = Atomic<UInt64>(0)
    private let waiting = Atomic<Int>(0)
    private let hurrying = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let room = WaitingRoom()
    /// Whoever doubts that the thread lives asks for a round; the thread notes which one it answered.
    private let roundAsked = Atomic<UInt64>(0)
    private let roundAnswered = Atomic<UInt64>(0)
    /// Becomes readable when a round is answered.
    let roundDescriptor: Int32

    private let parked = Atomic<UInt8>(Parked.running.rawValue)
    private let parkDescriptor: Int32
    private enum Parked: UInt8 {
        case running = 0
        /// Nothing is staged: any event wakes it.
        case idle = 1
        /// Letting lazy events gather: whoever waits wakes it.
        case lingering = 2
        /// Commits fail: only the stop wakes it before its time.
        case retrying = 3
    }

    private var journalEnd: LogEnd
    private var lastLookAtDisk: Int64 = 0
    private var bytesSinceLook: Int64 = 0
    private static let retryNanoseconds: Int64 = 1_000_000_000
    private static let diskLookNanoseconds: Int64 = 100_000_000

    private struct Counts: ~Copyable, Sendable {
        let commits = Atomic<UInt64>(0)
        let events = Atomic<UInt64>(0)
        let bytes = Atomic<UInt64>(0)
        let failures = Atomic<UInt64>(0)
        let lastNanoseconds = Atomic<UInt64>(0)
        let freeDisk = Atomic<Int64>(0)
    }

    init(
        ring: Ring, log: Log, personal: PersonalFile, end: LogEnd, options: JournalOptions
    ) throws(JournalError) {
        self.ring = ring
        self.log = log
        self.personal = personal
        self.options = options
        disk = Disk(rig: options.rig)
        journalEnd = end
        durable = Atomic(end.seq)
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        parkDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        roundDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeDescriptor >= 0, parkDescriptor >= 0, roundDescriptor >= 0 else {
            throw systemError("cannot create an eventfd")
        }
        lookAtDisk()
    }
    deinit {
        close(wakeDescriptor)
        close(parkDescriptor)
        close(roundDescriptor)
    }

    // MARK: The gate's side

    var durableSeq: UInt64 { durable.load(ordering: .sequentiallyConsistent) }
    var state: JournalState { JournalState(rawValue: rawState.load(ordering: .acquiring))! }
    var stateReason: String { reason.withLock { $0 } }

    /// Tells the committer that the ring's tail has moved: one atomic load unless it sleeps.
    func noticeStaged() {
        switch Parked(rawValue: parked.load(ordering: .sequentiallyConsistent)) {
        case .idle: unpark()
        case .lingering: if isRingFilling { unpark() }
        default: break
        }
    }
    /// Asks for a wake once `seq` is durable; seqs come in order.
    func request(_ seq: UInt64) {
        let now = durableSeq
        let last = wantedLast.load(ordering: .relaxed)
        guard seq > last else { return }
        if last <= now {
            wantedFirst.store(seq, ordering: .relaxed)
        } else if wantedFirst.load(ordering: .relaxed) <= now {
            // Some of what was asked for is still to come, and what exactly is not worth recording.
            wantedFirst.store(now + 1, ordering: .relaxed)
        }
        wantedLast.store(seq, ordering: .sequentiallyConsistent)
        if durableSeq >= seq {
            // It became durable meanwhile, and the committer may not have seen the wish.
            signal(wakeDescriptor)
        } else {
            hurry()
        }
    }
    /// Sleeps until `seq` is durable (true), commits fail and somebody is in a hurry, or the journal
    /// is shut down (false).
    func wait(for seq: UInt64, hurry inHurry: Bool) -> Bool {
        if durableSeq >= seq { return true }
        waiting.add(1, ordering: .sequentiallyConsistent)
        if inHurry {
            hurrying.add(1, ordering: .sequentiallyConsistent)
            hurry()
        }
        defer {
            waiting.subtract(1, ordering: .sequentiallyConsistent)
            if inHurry { hurrying.subtract(1, ordering: .sequentiallyConsistent) }
        }
        room.wait {
            durableSeq >= seq || hasStopped || inHurry && state == .readOnly
        }
        return durableSeq >= seq
    }
    /// Asks the thread to come round to the top of its work once, and returns the round's number. It
    /// costs no event and no disk; a thread that hangs in a commit does not answer.
    func askForRound() -> UInt64 {
        let round = roundAsked.add(1, ordering: .sequentiallyConsistent).newValue
        if Parked(rawValue: parked.load(ordering: .sequentiallyConsistent)) == .idle { unpark() }
        return round
    }
    /// The newest round that was answered.
    var answeredRound: UInt64 { roundAnswered.load(ordering: .sequentiallyConsistent) }
    var statistics: JournalStatistics {
        var all = JournalStatistics()
        all.commits = counts.commits.load(ordering: .relaxed)
        all.events = counts.events.load(ordering: .relaxed)
        all.bytes = counts.bytes.load(ordering: .relaxed)
        all.failedCommits = counts.failures.load(ordering: .relaxed)
        all.lastCommitNanoseconds = counts.lastNanoseconds.load(ordering: .relaxed)
        all.freeDiskBytes = counts.freeDisk.load(ordering: .relaxed)
        all.ringBytes = ring.capacity
        all.ringUsedBytes = ring.usedBytes
        all.mapBytes = log.environment.mapBytes
        all.mapUsedBytes = log.environment.mapUsedBytes
        return all
    }

    // MARK: The thread

    private let stopped = Atomic<Bool>(false)
    private var hasStopped: Bool { stopped.load(ordering: .sequentiallyConsistent) }

    /// Starts the thread; LMDB's write transactions belong to one, so it is no task and no actor.
    func start() throws(JournalError) -> pthread_t {
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                let committer = Unmanaged<Committer>.fromOpaque(raw!).takeRetainedValue()
                // Signals are the gate's business.
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                tg_name_thread("committer")
                committer.run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        guard code == 0 else {
            Unmanaged.passUnretained(self).release()
            throw systemError("cannot start the committer", code)
        }
        return thread
    }
    /// Lets the thread commit what is staged and end; the caller joins it.
    func stop() {
        stopping.store(true, ordering: .sequentiallyConsistent)
        unpark()
    }
    /// Frees everybody who waits; nothing becomes durable any more.
    func markStopped() {
        stopped.store(true, ordering: .sequentiallyConsistent)
        room.wakeAll()
    }

    private func run() {
        warmRing()
        while true {
            let isStopping = stopping.load(ordering: .sequentiallyConsistent)
            answerRound()
            if !ring.isEmpty, !isUrgent { linger() }
            switch round() {
            case .committed: break
            case .idle:
                if isStopping { return }
                park(.idle, for: state == .normal ? nil : Committer.retryNanoseconds) {
                    !ring.isEmpty || stopping.load(ordering: .sequentiallyConsistent)
                        || hasRoundToAnswer
                }
            case .failed:
                // What is staged stays in the ring, and there the next start finds it.
                if isStopping { return }
                park(.retrying, for: Committer.retryNanoseconds) {
                    stopping.load(ordering: .sequentiallyConsistent)
                }
            }
        }
    }
    /// What the thread does each time around, without the sleeping.
    func round() -> CommitRound {
        guard ring.isEmpty else { return commit() ? .committed : .failed }
        if state == .paused { lookAtDisk() }
        return .idle
    }

    private var hasRoundToAnswer: Bool {
        roundAsked.load(ordering: .sequentiallyConsistent)
            != roundAnswered.load(ordering: .relaxed)
    }
    private func answerRound() {
        guard hasRoundToAnswer else { return }
        // Others fill the disk, too: without this look an idle daemon would learn of it by a commit.
        if state == .normal { lookAtDisk() }
        roundAnswered.store(
            roundAsked.load(ordering: .sequentiallyConsistent), ordering: .sequentiallyConsistent)
        signal(roundDescriptor)
    }

    /// Touches the whole ring once, in pieces of about a millisecond between which commits go on.
    private func warmRing() {
        let piece = min(256 << 10, ring.capacity)
        for offset in stride(from: 0, to: ring.capacity, by: piece) {
            if stopping.load(ordering: .sequentiallyConsistent) { return }
            ring.warm(offset, piece)
            if !ring.isEmpty, isUrgent, !commit() { return }
        }
    }
    private var isUrgent: Bool {
        wantedLast.load(ordering: .sequentiallyConsistent) > durable.load(ordering: .relaxed)
            || hurrying.load(ordering: .sequentiallyConsistent) > 0
            || stopping.load(ordering: .sequentiallyConsistent) || isRingFilling
    }
    private var isRingFilling: Bool {
        ring.usedBytes > min(ring.capacity / 2, options.batchBytesMax)
    }
    private func linger() {
        let deadline = disk.monotonicNanoseconds() + options.lingerNanoseconds
        while !isUrgent {
            let rest = deadline - disk.monotonicNanoseconds()
            guard rest > 0 else { return }
            park(.lingering, for: rest) { isUrgent }
        }
    }

    // MARK: Committing

    /// Commits a batch. False when that failed for now: the state is `.readOnly`, the ring as it was.
    private func commit() -> Bool {
        let staged = ring.staged
        let batch = staged.slice(0, Log.wholeFrames(staged, most: options.batchBytesMax))
        let began = disk.monotonicNanoseconds()
        var failure = ""
        do throws(JournalError) {
            // What the events have only commitments of is not to be lost before them, and what they say is
            // erased, is.
            try personal.sync()
        } catch {
            counts.failures.add(1, ordering: .relaxed)
            enter(.readOnly, error.message)
            return false
        }
        // One more try in a fresh environment; what fails twice will not get better within a second.
        tries: for _ in 0..<2 {
            do throws(LMDBError) {
                let appended = try log.appendGrowing(batch)
                accept(batch.count, appended.end, appended.count, began)
                return true
            } catch {
                failure = error.writing
                counts.failures.add(1, ordering: .relaxed)
                switch reopen(looking: batch) {
                case .landed(let bytes, let end):
                    accept(bytes, end, end.seq - journalEnd.seq, began)
                    return true
                case .absent:
                    if isOutOfSpace(error, batch.count) {
                        failure = "the disk is full (\(error.text)): make room on its filesystem"
                        break tries
                    }
                case .unknown(let message):
                    failure = message
                    break tries
                }
            }
        }
        enter(.readOnly, failure)
        return false
    }
    private func accept(_ bytes: Int, _ end: LogEnd, _ count: UInt64, _ began: Int64) {
        let before = journalEnd.seq
        precondition(end.seq == before + count, "the journal has no gaps")
        journalEnd = end
        ring.free(bytes, nextSeq: end.seq + 1)
        bytesSinceLook += Int64(bytes)
        counts.commits.add(1, ordering: .relaxed)
        counts.events.add(count, ordering: .relaxed)
        counts.bytes.add(UInt64(bytes), ordering: .relaxed)
        counts.lastNanoseconds.store(
            UInt64(disk.monotonicNanoseconds() - began), ordering: .relaxed)
        durable.store(end.seq, ordering: .sequentiallyConsistent)
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .wakesNobody { return }
        #endif
        if wantedLast.load(ordering: .sequentiallyConsistent) > before,
            wantedFirst.load(ordering: .relaxed) <= end.seq
        {
            signal(wakeDescriptor)
        }
        if waiting.load(ordering: .sequentiallyConsistent) > 0 { room.wakeAll() }
        lookAtDisk()
    }

    private enum Outcome {
        /// That many bytes of the batch are in the journal.
        case landed(Int, LogEnd)
        case absent
        case unknown(String)
    }
    /// A failed commit may have happened all the same: only a new open can tell (LMDB writes its meta
    /// page last, and may not know whether that reached the disk).
    private func reopen(looking batch: Bytes) -> Outcome {
        do throws(JournalError) {
            try log.reopen()
            let end = try log.end()
            #if TOLLGATE_PLANTED_BUGS
            if PlantedBug.current == .failedCommitLanded, end == journalEnd {
                return .landed(batch.count, Log.lastFrame(of: batch))
            }
            #endif
            if end == journalEnd { return .absent }
            // Of an earlier round's batch, if that round could not look: this one's has grown since.
            if let bytes = Log.bytes(of: batch, through: end) {
                try log.environment.settle()
                return .landed(bytes, end)
            }
            return .unknown(
                "the journal ends at seq \(end.seq) where seq \(journalEnd.seq) was expected: stop the "
                    + "daemon and restore the journal from a backup")
        } catch {
            return .unknown(error.message)
        }
    }
    private func isOutOfSpace(_ error: LMDBError, _ batchBytes: Int) -> Bool {
        if error.code == ENOSPC || error.code == EDQUOT { return true }
        // LMDB 0.9 calls a short write EIO, which is what a full disk looks like from inside.
        guard let free = disk.freeBytes(at: options.directory) else { return false }
        return error.code == EIO && free < Int64(batchBytes) + 1 << 20
    }

    // MARK: State

    /// Looks how much disk is free: while all is well ten times a second, or as soon as an eighth of
    /// what is to be kept has been written, so that a fast disk cannot fill up between two looks.
    /// Called after a commit succeeded, at the start, and once a second while the state is `.paused`.
    private func lookAtDisk() {
        let now = disk.monotonicNanoseconds()
        let state = state
        let isDue =
            now - lastLookAtDisk >= Committer.diskLookNanoseconds
            || bytesSinceLook >= options.pauseBelowBytes / 8
        guard state != .normal || isDue else { return }
        lastLookAtDisk = now
        bytesSinceLook = 0
        guard let free = disk.freeBytes(at: options.directory) else { return enter(.normal, "") }
        counts.freeDisk.store(free, ordering: .relaxed)
        // The way back lies a quarter higher, so that the state does not flicker at the bound.
        let kept = options.pauseBelowBytes
        let bound = state == .paused ? kept + kept / 4 : kept
        if free < bound {
            enter(.paused, "\(free) bytes of disk are free and \(bound) are needed: make room")
        } else {
            enter(.normal, "")
        }
    }
    private func enter(_ new: JournalState, _ why: String) {
        reason.withLock { $0 = why }
        guard rawState.exchange(new.rawValue, ordering: .acquiringAndReleasing) != new.rawValue
        else {
            return
        }
        signal(wakeDescriptor)
        room.wakeAll()
    }

    // MARK: Sleeping

    private func park(_ how: Parked, for nanoseconds: Int64?, unless condition: () -> Bool) {
        parked.store(how.rawValue, ordering: .sequentiallyConsistent)
        // Whoever changes something first changes it and then looks at `parked`; this is the other half.
        if !condition() {
            var waited = pollfd(fd: parkDescriptor, events: Int16(POLLIN), revents: 0)
            if let nanoseconds {
                var time = timespec(
                    tv_sec: Int(nanoseconds / 1_000_000_000),
                    tv_nsec: Int(nanoseconds % 1_000_000_000))
                tg_ppoll(&waited, 1, &time)
            } else {
                tg_ppoll(&waited, 1, nil)
            }
        }
        parked.store(Parked.running.rawValue, ordering: .sequentiallyConsistent)
        drain(parkDescriptor)
    }
    private func hurry() {
        let how = Parked(rawValue: parked.load(ordering: .sequentiallyConsistent))
        if how == .idle || how == .lingering { unpark() }
    }
    private func unpark() {
        let before = parked.exchange(Parked.running.rawValue, ordering: .sequentiallyConsistent)
        if before != Parked.running.rawValue { signal(parkDescriptor) }
    }
}

/// Adds one to an eventfd.
private func signal(_ descriptor: Int32) {
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
}

/// Takes an eventfd back to zero.
func drain(_ descriptor: Int32) {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
}

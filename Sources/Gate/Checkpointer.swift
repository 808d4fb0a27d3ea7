import CLinux
import Events
import Glibc
import Journal
import Ledger
import Logging
import Synchronization

/// Follows the journal with a book of its own and writes it down now and then, so that a restart need
/// not fold the whole history. Being a second fold, it also proves the first.
final class Checkpointer: Sendable {
    private let journal: Journal
    private let every: UInt64
    private let logger: Logger
    /// After a failure it begins again this much later, and after each further one twice as late.
    private let retryMilliseconds: ClosedRange<Int64>
    private let wakeDescriptor: Int32
    private let isStopped = Atomic<Bool>(false)
    private let thread = Mutex<pthread_t?>(nil)
    private let outcome = Mutex<Outcome>(Outcome())
    /// The seq of the newest checkpoint this run knows of.
    private let newest = Atomic<UInt64>(0)

    /// What the second fold found at the end of the log.
    struct Outcome: Sendable {
        var seq: UInt64 = 0
        var digest: Hash128?
        var failure: DaemonFailure?
    }

    init(
        journal: Journal, every: Int, logger: Logger,
        retryMilliseconds: ClosedRange<Int64> = 1_000...60_000
    ) throws(DaemonFailure) {
        self.journal = journal
        self.retryMilliseconds = retryMilliseconds
        self.every = UInt64(every)
        self.logger = logger
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
        guard wakeDescriptor >= 0 else {
            throw .io("cannot make an eventfd: \(String(cString: strerror(errno)))")
        }
    }
    deinit { close(wakeDescriptor) }

    var newestSeq: UInt64 { newest.load(ordering: .relaxed) }
    /// Why there are no checkpoints for now; nil when nothing stands in their way.
    var problem: String? { outcome.withLock { $0.failure?.message } }

    private static let nice: Int32 = 5

    func start() throws(DaemonFailure) {
        // The second fold may be a little behind; decisions may not. It takes a quarter of the gate's own
        // time, which on two cores is time of the gate or its clients.
        let running = try Thread.start(name: "tg-checkpoint", nice: Checkpointer.nice) { [self] in
            follow()
        }
        thread.withLock { $0 = running }
    }
    /// Tells it that there is more to fold; the gate does so every few ten thousand events.
    func poke() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeDescriptor, &one, 8)
    }
    /// Lets it fold to the end of what is durable, write a last checkpoint, and end.
    func finish() -> Outcome {
        isStopped.store(true, ordering: .sequentiallyConsistent)
        poke()
        if let running = thread.withLock({ $0 }) { pthread_join(running, nil) }
        return outcome.withLock { $0 }
    }

    /// Whatever ends one fold may be gone a moment later: a commit fails, and until its outcome is known
    /// the journal is closed. Another fold then begins, from the newest checkpoint on.
    private func follow() {
        var pause = retryMilliseconds.lowerBound
        while true {
            // What fails after the stop fails for good.
            let isLast = isStopped.load(ordering: .sequentiallyConsistent)
            do throws(DaemonFailure) {
                return try foldUntilStopped { pause = retryMilliseconds.lowerBound }
            } catch {
                outcome.withLock { $0.failure = error }
                logger.critical(
                    "the second fold failed, and no checkpoint is written: \(error.message)")
            }
            if isLast { return }
            rest(pause)
            pause = min(2 * pause, retryMilliseconds.upperBound)
        }
    }
    private func foldUntilStopped(_ whenWell: () -> Void) throws(DaemonFailure) {
        var follower = try Follower(journal, every: every, logger: logger)
        while true {
            let ends = isStopped.load(ordering: .sequentiallyConsistent)
            newest.store(follower.written, ordering: .relaxed)
            try follower.catchUp(ends: ends)
            newest.store(follower.written, ordering: .relaxed)
            if outcome.withLock({ $0.failure.take() }) != nil {
                logger.notice("the second fold goes on, at seq \(follower.book.seq)")
            }
            whenWell()
            if ends {
                let end = Outcome(seq: follower.book.seq, digest: follower.book.digest())
                outcome.withLock { $0 = end }
                return
            }
            var count: UInt64 = 0
            _ = read(wakeDescriptor, &count, 8)
        }
    }
    /// Until the time is over or the stop is asked for, whoever else pokes.
    private func rest(_ milliseconds: Int64) {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        while !isStopped.load(ordering: .sequentiallyConsistent) {
            let left = (deadline - .now) / .milliseconds(1)
            guard left > 0 else { return }
            var entry = pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, Int32(left.rounded(.up))) > 0 else { continue }
            var count: UInt64 = 0
            _ = read(wakeDescriptor, &count, 8)
        }
    }
}

/// The second fold: a book that goes after the journal, and is written down now and then.
struct Follower: ~Copyable {
    private(set) var book: Book
    /// The seq of the newest checkpoint it knows of.
    private(set) var written: UInt64
    private let journal: Journal
    private let every: UInt64
    private let logger: Logger

    init(_ journal: Journal, every: UInt64, logger: Logger) throws(DaemonFailure) {
        self.journal = journal
        self.every = every
        self.logger = logger
        book = try Startup.loadCheckpoint(journal, logger: logger)
        written = book.seq
    }
    /// Folds what is durable, and writes a checkpoint if one is due.
    mutating func catchUp(ends: Bool) throws(DaemonFailure) {
        // Only what is durable now: under load the log's end moves on as fast as a fold can follow, and
        // a checkpoint must not wait for a quiet moment.
        try Startup.fold(journal, into: &book, through: journal.durableSeq)
        // At the end only what makes the next start quicker is worth writing.
        if book.seq - written >= every || ends && book.seq > written, write() {
            written = book.seq
        }
    }

    private func write() -> Bool {
        var bytes = ByteBuffer(capacity: 1 << 20)
        book.encode(into: &bytes)
        do throws(JournalError) {
            try journal.writeCheckpoint(seq: book.seq, bytes.bytes)
            return true
        } catch {
            // The log holds everything; only the next start will take longer.
            logger.warning("no checkpoint written: \(error.message)")
            return false
        }
    }
}

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
        var problem: String?
    }

    init(journal: Journal, every: Int, logger: Logger) throws(DaemonFailure) {
        self.journal = journal
        self.every = UInt64(every)
        self.logger = logger
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
        guard wakeDescriptor >= 0 else {
            throw .io("cannot make an eventfd: \(String(cString: strerror(errno)))")
        }
    }
    deinit { close(wakeDescriptor) }

    var newestSeq: UInt64 { newest.load(ordering: .relaxed) }

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

    private func follow() {
        do throws(DaemonFailure) {
            var follower = try Follower(journal, every: every, logger: logger)
            while true {
                let ends = isStopped.load(ordering: .sequentiallyConsistent)
                newest.store(follower.written, ordering: .relaxed)
                try follower.catchUp(ends: ends)
                newest.store(follower.written, ordering: .relaxed)
                if ends {
                    let end = Outcome(
                        seq: follower.book.seq, digest: follower.book.digest(), problem: nil)
                    outcome.withLock { $0 = end }
                    return
                }
                var count: UInt64 = 0
                _ = read(wakeDescriptor, &count, 8)
            }
        } catch {
            logger.critical("the second fold failed: \(error.message)")
            outcome.withLock { $0.problem = error.message }
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

import Audit
import CLinux
import Events
import Glibc
import Journal
import Ledger
import Logging
import Wire

/// The daemon without threads and without a kernel: its parts move one at a time, when they are told
/// to. What moves is the daemon's own code, so a simulation that drives it with a seed finds the
/// daemon's own mistakes.
///
/// Letting go of one without `stop` is what `kill -9` does: what was staged stays in the ring's file.
package final class SteppedDaemon {
    private var loop: GateLoop<HostedSystem>
    private var follower: Follower
    private var names: NameCache
    private let readers: Readers
    package let journal: Journal

    /// Opens the directory and begins an epoch, as `Daemon.run` does.
    package init(
        _ options: DaemonOptions, journal settings: JournalOptions, host: any SystemHost,
        calendar: ZoneCalendar, version: String, logger: Logger
    ) throws(DaemonFailure) {
        journal = try Daemon.openJournal(settings, logger)
        var start = try Startup.prepare(
            journal, directory: settings.directory, now: host.wallClock, calendar: calendar,
            version: version, logger: logger, random: SteppedDaemon.random(from: host.wallClock))
        journal.stage(start.machine.outbox.bytes)
        start.machine.outbox.removeAll()
        while journal.durableSeq < start.machine.book.seq {
            guard journal.commitOnce() != .failed else {
                throw .io("cannot write to the journal: \(journal.stateReason)")
            }
        }
        start.machine.isPaused = journal.state != .normal
        let notary = Notary(
            directory: settings.directory, of: journal, rig: settings.rig)
        readers = try Readers(journal: journal, notary: notary, threads: 0, logger: logger)
        names = NameCache(journal: journal)
        follower = try Follower(
            journal, every: UInt64(options.checkpointEvents), logger: logger)
        let checkpointer = try Checkpointer(
            journal: journal, every: options.checkpointEvents, logger: logger)
        loop = try GateLoop(
            system: HostedSystem(host: host), machine: start.machine, floods: start.floods,
            personal: start.personal, journal: journal, readers: readers,
            checkpointer: checkpointer,
            listeners: [Listener(descriptor: host.listener, isUnix: true, path: nil)], signals: -1,
            options: options, calendar: calendar, version: version, logger: logger)
    }

    /// Salts that the seed decides, as it does the clock.
    private static func random(from start: Instant) -> () -> UInt64 {
        var state = UInt64(bitPattern: start.nanoseconds)
        return {
            state &+= 0x9E37_79B9_7F4A_7C15
            return Hash128.fold(state, 0xA076_1D64_78BD_642F)
        }
    }

    // MARK: What moves

    /// One turn of the gate. The host's `wait` is asked to sleep as long as nothing is due.
    package func turn() { loop.takeTurn(waiting: loop.timeout()) }
    /// One round of the committer.
    package func commit() -> CommitRound { journal.commitOnce() }
    /// One look of the checkpointer at the journal.
    package func follow() throws(DaemonFailure) { try follower.catchUp(ends: false) }
    /// One question of a connection that needs the log; false when none can be answered now.
    package func read() -> Bool {
        guard let seq = readers.nextWaitsFor,
            journal.durableSeq >= seq || journal.state == .readOnly
        else { return false }
        return readers.serveNext(&names)
    }
    /// An orderly end: drains, commits all, and compares the two folds. False when not all could be
    /// committed; the rest then stands in the ring.
    package func stop() throws(DaemonFailure) -> Bool {
        loop.drain()
        while journal.durableSeq < loop.machine.book.seq {
            if journal.commitOnce() == .failed { return false }
        }
        try follower.catchUp(ends: true)
        guard follower.book.seq == loop.machine.book.seq,
            follower.book.digest() == loop.machine.book.digest()
        else {
            throw .software("the second fold disagrees at event \(loop.machine.book.seq)")
        }
        return true
    }

    // MARK: What can be seen

    package var seq: UInt64 { loop.machine.book.seq }
    /// The time of the last event, or of the last turn.
    package var now: Instant { loop.machine.now }
    package var epoch: UInt32 { loop.machine.book.epoch }
    package var digest: Hash128 { loop.machine.book.digest() }
    package var openHolds: Int { loop.machine.book.openHolds }
    package var stagedSeq: UInt64 { journal.stagedSeq }
    package var durableSeq: UInt64 { journal.durableSeq }
    package var state: JournalState { journal.state }
    package var recovered: UInt64 { journal.recovery.eventsFromRing }
    /// Whether a question waits for `read`.
    package var hasQuestions: Bool { readers.nextWaitsFor != nil }
    package var sessions: Int { loop.sessionCount }
    /// What a turn that nobody wakes would sleep, in milliseconds; -1 for ever.
    package var sleep: Int32 { loop.timeout() }
    /// The events in the ring, some of them perhaps durable by now.
    package func withStagedEvents(_ body: (Bytes) -> Void) { journal.withStagedEvents(body) }
    /// The durable events from `first` on.
    package func readDurable(
        from first: UInt64, _ body: (StoredEvent) -> Bool
    ) throws(JournalError) {
        try journal.read(from: first, body)
    }
    /// Of who signs what the log says of itself.
    package var signing: Notary.Status { readers.notary.status }
    /// What can still be told.
    package func keptCommitments() throws(JournalError) -> Set<Commitment> {
        var kept: Set<Commitment> = []
        try journal.personal.forEach { record in
            if record.state == .kept { kept.insert(record.commitment) }
            return true
        }
        return kept
    }
    /// `USAGE` of an account as of this turn.
    package func usage(of account: String) -> String? {
        var json = ByteBuffer(capacity: 1_024)
        let path = Array(account.utf8)
        return path.withUnsafeBytes { raw in
            do throws(Failure) {
                try loop.machine.book.writeUsage(
                    of: Bytes(raw), at: loop.machine.now, calendar: loop.calendar, into: &json)
                return json.bytes.string
            } catch {
                return nil
            }
        }
    }
}

/// A world that stands in for the kernel of a `SteppedDaemon`; see `GateSystem` for the manners.
package protocol SystemHost: AnyObject {
    var wallClock: Instant { get }
    /// The descriptor of the listening socket.
    var listener: Int32 { get }
    /// Descriptors and what each is ready for, as `epoll_wait` says it.
    func wait(most: Int, milliseconds: Int32, _ ready: (Int32, UInt32) -> Void)
    func watch(_ descriptor: Int32, _ interest: UInt32, _ operation: Int32)
    func accept() -> Int32?
    func peerUID(_ descriptor: Int32) -> UInt32?
    func receive(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ most: Int) -> Int
    func send(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int
    func close(_ descriptor: Int32)
}

struct HostedSystem: GateSystem {
    let host: any SystemHost

    func wallClock() -> Instant { host.wallClock }
    func wait(
        into ready: UnsafeMutablePointer<epoll_event>, most: Int32, milliseconds: Int32
    ) -> Int32 {
        var count = 0
        host.wait(most: Int(most), milliseconds: milliseconds) { descriptor, events in
            ready[count] = epoll_event()
            ready[count].events = events
            ready[count].data.fd = descriptor
            count += 1
        }
        return Int32(count)
    }
    func watch(_ descriptor: Int32, _ interest: UInt32, _ operation: Int32) {
        host.watch(descriptor, interest, operation)
    }
    func accept(_ listener: Listener) -> Int32? { host.accept() }
    func peerUID(_ descriptor: Int32) -> UInt32? { host.peerUID(descriptor) }
    func receive(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ most: Int) -> Int {
        host.receive(descriptor, target, most)
    }
    func send(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        host.send(descriptor, bytes, count)
    }
    func close(_ descriptor: Int32) { host.close(descriptor) }
    func end() {}
}

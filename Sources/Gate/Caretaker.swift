import CLinux
import Events
import Glibc
import Journal
import Logging
import Synchronization

/// Looks after the daemon from a thread of its own, so that the loop need not: gives the service
/// manager signs of life, watches the disk and the clock, and writes the state down on SIGUSR1.
///
/// A sign of life is given only after both who matter have come round since the last one: the loop,
/// which took a turn to answer, and the committer, which stood at the top of its work. While either
/// hangs there is none, and the manager ends us; what was answered is in the ring.
final class Caretaker: Sendable {
    /// What a call to the loop asks for.
    struct Call: Sendable {
        fileprivate var number: UInt64
        var wantsReport: Bool
    }
    /// What status lines and INFO say of the disk.
    struct DiskOutlook: Sendable {
        var secondsLeft: Int64?
        var growth: Double?
    }

    /// Readable when the loop is called; polled by it.
    let callDescriptor: Int32

    private let journal: Journal
    private let manager: ServiceManager
    private let options: DaemonOptions
    private let logger: Logger
    private let dump: StateDump
    /// SIGUSR1, which every thread blocks.
    private let signalDescriptor: Int32
    /// The loop has answered, or the daemon is in another phase.
    private let wakeDescriptor: Int32

    private let called = Atomic<UInt64>(0)
    private let answered = Atomic<UInt64>(0)
    private let reportWanted = Atomic<Bool>(false)
    private let phase = Atomic<UInt8>(Phase.serving.rawValue)
    private let mailbox = Mutex<(summary: GateSummary?, report: GateReport?)>((nil, nil))
    private let disk = Mutex(DiskOutlook())
    private let thread = Mutex<pthread_t?>(nil)

    private enum Phase: UInt8 {
        case serving = 0
        /// The loop still turns, and takes no more clients.
        case draining = 1
        /// The loop has ended; the committer has not.
        case ending = 2
        case over = 3
    }

    /// How often it looks, when no watchdog wants it oftener.
    private static let periodNanoseconds: Int64 = 5_000_000_000
    /// Who has not come round for this long is named in the log.
    private static let patienceNanoseconds: Int64 = 10_000_000_000
    /// A clock that was set, rather than slewed.
    private static let clockJumpNanoseconds: Int64 = 2_000_000_000
    /// How long a report may wait for a loop that may hang.
    private static let reportNanoseconds: Int64 = 2_000_000_000

    init(
        journal: Journal, manager: ServiceManager, options: DaemonOptions, logger: Logger,
        dump: StateDump
    ) throws(DaemonFailure) {
        self.journal = journal
        self.manager = manager
        self.options = options
        self.logger = logger
        self.dump = dump
        callDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        var mask = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGUSR1)
        signalDescriptor = signalfd(-1, &mask, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        guard callDescriptor >= 0, wakeDescriptor >= 0, signalDescriptor >= 0 else {
            throw .io("cannot make a descriptor: \(String(cString: strerror(errno)))")
        }
    }
    deinit {
        close(callDescriptor)
        close(wakeDescriptor)
        close(signalDescriptor)
    }

    // MARK: The daemon's life

    /// Starts the thread. READY=1 follows the first round, when the first answer is possible.
    func start() throws(DaemonFailure) {
        let running = try Thread.start(name: "tg-caretaker") { [self] in work() }
        thread.withLock { $0 = running }
    }
    /// The loop drains.
    func noteDraining() { enter(.draining) }
    /// The loop has ended.
    func noteEnding() { enter(.ending) }
    /// Ends the thread; before the journal is shut.
    func stop() {
        enter(.over)
        if let running = thread.withLock({ $0.take() }) { pthread_join(running, nil) }
    }
    private func enter(_ next: Phase) {
        phase.store(next.rawValue, ordering: .sequentiallyConsistent)
        ring(wakeDescriptor)
    }

    // MARK: The loop's side

    /// What the loop is called for.
    func takeCall() -> Call {
        unring(callDescriptor)
        let number = called.load(ordering: .sequentiallyConsistent)
        return Call(
            number: number,
            wantsReport: reportWanted.exchange(false, ordering: .sequentiallyConsistent))
    }
    /// The loop's answer: copies, nothing more, for everything else happens over here.
    func answer(_ call: Call, _ summary: GateSummary, _ report: GateReport?) {
        mailbox.withLock {
            $0.summary = summary
            if let report { $0.report = report }
        }
        answered.store(call.number, ordering: .sequentiallyConsistent)
        ring(wakeDescriptor)
    }
    var diskOutlook: DiskOutlook { disk.withLock { $0 } }

    // MARK: The thread

    /// What the thread remembers between two wakes.
    private struct Memory {
        var watch: DiskWatch
        var nextLook: Int64 = 0
        // The round under way, if there is one.
        var isAsking = false
        var gateRound: UInt64 = 0
        var committerRound: UInt64 = 0
        var askedAt: Int64 = 0
        var hasComplained = false
        var isReady = false
        var announced = Phase.serving
        var status = ""
        var reportDue: Int64?
        var isClockBehind = false
        /// The wall clock less the one that only goes forward, as of the last round.
        var clockOffset: Int64?
    }

    private func work() {
        var memory = Memory(
            watch: DiskWatch(
                pauseBelow: Int64(options.pauseBelowMebibytes) << 20,
                checkpointsKept: Journal.checkpointsKept))
        let period = min(manager.watchdogNanoseconds.map { $0 / 3 } ?? .max, Self.periodNanoseconds)
        while true {
            let now = Self.monotonic()
            let phase = Phase(rawValue: self.phase.load(ordering: .sequentiallyConsistent))!
            if phase == .over {
                // A daemon with little to do drains before anybody has looked.
                if memory.announced == .serving { announce(.ending, &memory) }
                return
            }
            announce(phase, &memory)
            takeAnswers(now, phase, &memory)
            if now >= memory.nextLook {
                memory.nextLook = now + period
                lookAtDisk(now, &memory)
                journal.forgetDeadReaders()
                if !memory.isAsking { ask(now, &memory) } else { complain(now, phase, &memory) }
            }
            sleep(until: min(memory.nextLook, memory.reportDue ?? .max))
            if takeSignal() {
                mailbox.withLock { $0.report = nil }
                reportWanted.store(true, ordering: .sequentiallyConsistent)
                memory.reportDue = Self.monotonic() + Self.reportNanoseconds
                ring(callDescriptor)
            }
        }
    }

    private func ask(_ now: Int64, _ memory: inout Memory) {
        memory.isAsking = true
        memory.askedAt = now
        memory.hasComplained = false
        memory.gateRound = called.add(1, ordering: .sequentiallyConsistent).newValue
        memory.committerRound = journal.askCommitterForRound()
        ring(callDescriptor)
    }
    private func takeAnswers(_ now: Int64, _ phase: Phase, _ memory: inout Memory) {
        unring(wakeDescriptor)
        journal.drainRound()
        let (summary, report) = mailbox.withLock { held in
            defer { held.report = nil }
            return (held.summary, held.report)
        }
        if report != nil || memory.reportDue.map({ now >= $0 }) ?? false {
            memory.reportDue = nil
            write(report, memory.watch)
        }
        guard memory.isAsking, isRound(memory, phase) else { return }
        memory.isAsking = false
        if memory.hasComplained {
            let seconds = (now - memory.askedAt) / 1_000_000_000
            logger.notice("the loop and the committer come round again, after \(seconds) s")
        }
        if let summary, phase != .ending { noticeClock(summary, &memory) }
        tellManager(summary, phase, &memory)
    }
    private func isRound(_ memory: Memory, _ phase: Phase) -> Bool {
        isGateRound(memory, phase) && journal.answeredRound >= memory.committerRound
    }
    private func isGateRound(_ memory: Memory, _ phase: Phase) -> Bool {
        // A loop that has ended well turns no more.
        phase == .ending || answered.load(ordering: .sequentiallyConsistent) >= memory.gateRound
    }
    private func complain(_ now: Int64, _ phase: Phase, _ memory: inout Memory) {
        guard !memory.hasComplained, now - memory.askedAt >= Self.patienceNanoseconds else {
            return
        }
        memory.hasComplained = true
        let seconds = (now - memory.askedAt) / 1_000_000_000
        if !isGateRound(memory, phase) {
            logger.critical("the loop has not taken a turn for \(seconds) s")
        }
        if journal.answeredRound < memory.committerRound {
            logger.critical(
                "the committer has not come round for \(seconds) s: look at the disk (dmesg, iostat)"
            )
        }
    }

    // MARK: The service manager

    private func announce(_ phase: Phase, _ memory: inout Memory) {
        guard phase != memory.announced else { return }
        if memory.announced == .serving {
            manager.notify("STOPPING=1\nSTATUS=draining: answering what was read")
        } else if phase == .ending {
            manager.notify("STATUS=drained: folding the rest of the log and writing a checkpoint")
        }
        memory.announced = phase
    }
    /// Both have come round: that, and how things stand.
    private func tellManager(_ summary: GateSummary?, _ phase: Phase, _ memory: inout Memory) {
        guard manager.isListening else { return }
        var lines: [String] = []
        let isFirst = phase == .serving && !memory.isReady
        if isFirst { lines.append("READY=1") }
        if manager.watchdogNanoseconds != nil { lines.append("WATCHDOG=1") }
        let status = phase == .serving ? summary.map(status) ?? "" : ""
        if !status.isEmpty, status != memory.status { lines.append("STATUS=" + status) }
        // What did not arrive is said again in the next round.
        guard !lines.isEmpty, manager.notify(lines.joined(separator: "\n")) else { return }
        if isFirst { memory.isReady = true }
        memory.status = status
    }
    private func status(_ summary: GateSummary) -> String {
        let durable = min(journal.durableSeq, summary.seq)
        let state: String =
            switch journal.state {
            case .normal: ""
            case .paused: "PAUSED (\(journal.stateReason)); "
            case .readOnly: "READ-ONLY (\(journal.stateReason)); "
            }
        let behind = durable < summary.seq ? ", durable \(durable)" : ", all of it durable"
        return state + "seq \(summary.seq)\(behind), \(summary.openHolds) holds open, "
            + "\(summary.connections) connections"
    }

    // MARK: Disk and clock

    private func lookAtDisk(_ now: Int64, _ memory: inout Memory) {
        guard let free = journal.lookAtFreeDisk() else { return }
        let look = DiskWatch.Look(
            at: now, free: free, logged: Int64(journal.statistics.mapUsedBytes),
            checkpoints: journal.checkpointSizes)
        for news in memory.watch.take(look) {
            let (text, isWarning) = memory.watch.sentence(news)
            logger.log(
                level: isWarning ? .warning : .notice, "\(text)",
                metadata: ["free_bytes": .stringConvertible(free)])
        }
        let (left, growth) = (memory.watch.secondsLeft, memory.watch.growth)
        disk.withLock { $0 = DiskOutlook(secondsLeft: left, growth: growth) }
    }
    /// Event time never goes back: while it is ahead of the clock it stands still, and nothing lapses.
    private func noticeClock(_ summary: GateSummary, _ memory: inout Memory) {
        let offset = summary.clock.nanoseconds - summary.monotonic
        if let before = memory.clockOffset, abs(offset - before) > Self.clockJumpNanoseconds {
            let seconds = (offset - before) / 1_000_000_000
            logger.warning(
                "the clock was set, by \(seconds > 0 ? "+" : "")\(seconds) s",
                metadata: ["seq": .stringConvertible(summary.seq)])
        }
        memory.clockOffset = offset
        let ahead = summary.eventTime.nanoseconds - summary.clock.nanoseconds
        let isBehind = ahead > 1_000_000_000
        guard isBehind != memory.isClockBehind else { return }
        memory.isClockBehind = isBehind
        if isBehind {
            logger.warning(
                """
                the clock is \(DiskWatch.text(seconds: ahead / 1_000_000_000)) behind the log's last \
                event: event time stands still until it has caught up, and no hold lapses and no \
                window turns meanwhile. Was the clock wrong, or set back?
                """,
                metadata: ["event_time": .string(summary.eventTime.description)])
        } else {
            logger.notice("the clock has caught up with the log: event time goes on")
        }
    }

    // MARK: The state

    private func write(_ report: GateReport?, _ watch: DiskWatch) {
        let problem: String
        switch dump.write(report, watch, journal) {
        case .success(let path):
            return logger.notice("SIGUSR1: the state is in \(path)")
        case .failure(let failure): problem = failure.message
        }
        logger.error("SIGUSR1: the state cannot be written: \(problem)")
    }

    // MARK: Sleeping

    private func sleep(until deadline: Int64) {
        var entries = [wakeDescriptor, signalDescriptor, journal.roundDescriptor].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        let rest = max(deadline - Self.monotonic(), 0)
        var time = timespec(
            tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        tg_ppoll(&entries, UInt(entries.count), &time)
    }
    private func takeSignal() -> Bool {
        var info = signalfd_siginfo()
        var found = false
        while read(signalDescriptor, &info, MemoryLayout<signalfd_siginfo>.size) > 0 {
            found = true
        }
        return found
    }
    private func ring(_ descriptor: Int32) {
        var one: UInt64 = 1
        _ = Glibc.write(descriptor, &one, 8)
    }
    private func unring(_ descriptor: Int32) {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }
    private static func monotonic() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}

import Audit
import CLinux
import Events
import Glibc
import Journal
import Ledger
import Logging
import Reports
import Wire

/// The daemon: everything wired together, from an open directory to an orderly end.
package enum Daemon {
    /// Serves until SIGTERM or SIGINT, then drains: stops accepting, answers what was read, commits,
    /// writes a checkpoint. Returns when all of that is done.
    ///
    /// - Parameter problems: the last warnings and errors of the log, for the state that SIGUSR1 asks for.
    /// - Throws: `DaemonFailure` when it cannot start, or when the end finds that a second fold of the
    ///   log disagrees with the book that decided.
    package static func run(
        _ options: DaemonOptions, calendar: ZoneCalendar, version: String, logger: Logger,
        problems: @escaping @Sendable () -> [String] = { [] }
    ) throws(DaemonFailure) {
        WireLimits.checkRelations()
        GateLimits.checkRelations(ringBytes: options.ringMebibytes << 20)
        signal(SIGPIPE, SIG_IGN)
        // LMDB trusts its pages: a flipped bit in one can make it read where nothing is.
        memoryFault.utf8Start.withMemoryRebound(
            to: CChar.self, capacity: memoryFault.utf8CodeUnitCount + 1
        ) { tg_explain_memory_faults($0, 65) }
        // Before any thread starts, so that all inherit the mask and only the loop hears of them.
        let signals = try blockSignals()
        defer { close(signals) }
        raiseDescriptorLimit()
        let manager = ServiceManager()
        let inherited = try SocketActivation.listeners()

        let startedAt = Kernel.wallClock()
        let opened = try open(options, calendar: calendar, version: version, logger: logger) {
            manager.notify("STATUS=\($0)")
        }
        let journal = opened.journal

        let notary = Notary(directory: options.dataDirectory, of: journal)
        if let problem = notary.status.problem {
            logger.critical("no checkpoint is signed: \(problem)")
        }
        let readers = try Readers(
            journal: journal, notary: notary, threads: options.readers, logger: logger)
        let checkpointer = try Checkpointer(
            journal: journal, every: options.checkpointEvents, logger: logger)
        try checkpointer.start()
        let caretaker = try Caretaker(
            journal: journal, manager: manager, options: options, logger: logger,
            dump: StateDump(
                directory: options.dataDirectory, version: version, startedAt: startedAt,
                options: options, checkpointer: checkpointer, problems: problems))
        let listeners = try listen(options, inherited, logger)
        let (seq, epoch) = (opened.machine.book.seq, opened.machine.book.epoch)
        var loop = try GateLoop(
            system: try Kernel(), machine: opened.machine, floods: opened.floods,
            personal: opened.personal, journal: journal, readers: readers,
            checkpointer: checkpointer, caretaker: caretaker,
            listeners: listeners, signals: signals, options: options, calendar: calendar,
            version: version, logger: logger
        )
        logger.notice(
            "serving at \(listeners.map(\.address).joined(separator: " and "))",
            metadata: [
                "epoch": .stringConvertible(epoch), "seq": .stringConvertible(seq),
                "ledger": .string(journal.ledgerID.description),
            ])
        try caretaker.start()
        loop.run()
        caretaker.noteEnding()
        try end(loop, journal, readers, checkpointer, caretaker, logger)
    }

    /// A ledger that is ready to decide.
    package struct Opened: ~Copyable {
        package let journal: Journal
        package var machine: Machine
        var floods: FloodPage
        var personal: PersonalTable
    }
    /// From what is on disk to a machine whose epoch has begun, durably; the committer runs.
    /// - Parameter progress: hears what is being done, in a few words.
    package static func open(
        _ options: DaemonOptions, calendar: ZoneCalendar, version: String, logger: Logger,
        progress: (String) -> Void = { _ in }
    ) throws(DaemonFailure) -> Opened {
        progress("opening the journal")
        let journal = try openJournal(journalOptions(options), logger)
        progress("folding the log, up to seq \(journal.lastSeq)")
        var start = try Startup.prepare(
            journal, directory: options.dataDirectory, now: Kernel.wallClock(), calendar: calendar,
            version: version, logger: logger)
        try begin(journal, &start.machine)
        if let backup = journal.restored {
            do throws(JournalError) {
                // Under a name of its own: what the lost original has signed since is not known.
                try Notary.beginAnew(
                    directory: options.dataDirectory, ledger: journal.ledgerID,
                    epoch: start.machine.book.epoch)
                try journal.forgetBackup()
            } catch {
                throw DaemonFailure(error)
            }
            logger.notice(
                "goes on from a backup of seq \(backup.seq) as epoch \(start.machine.book.epoch)")
        }
        return Opened(
            journal: journal, machine: start.machine, floods: start.floods,
            personal: start.personal)
    }

    /// Zero-terminated, as literals are, and as long-lived as the program.
    private static let memoryFault: StaticString = """
        tollgate: memory could not be read. Either a page of the journal is damaged or its disk \
        fails: 'tollgate doctor' says which, so check the disk and restore the data directory \
        from a backup. If the doctor finds nothing, this is a fault of tollgate's own: report it.

        """

    private static func journalOptions(_ options: DaemonOptions) -> JournalOptions {
        var settings = JournalOptions(directory: options.dataDirectory)
        settings.ringBytes = options.ringMebibytes << 20
        settings.goesOnFromBackup = options.goesOnFromBackup
        settings.mapBytes = options.mapGibibytes << 30
        settings.lingerNanoseconds = Int64(options.lingerMicroseconds) * 1_000
        settings.pauseBelowBytes = Int64(options.pauseBelowMebibytes) << 20
        settings.projections = projections(makesRollupsAnew: options.makesRollupsAnew)
        return settings
    }
    /// What a served ledger keeps beside its log; fresh ones for each opening.
    package static func projections(makesRollupsAnew: Bool = false) -> [any Projection] {
        [MerkleTree(), Rollups(makesAnew: makesRollupsAnew)]
    }
    static func openJournal(
        _ settings: JournalOptions, _ logger: Logger
    ) throws(DaemonFailure) -> Journal {
        do throws(JournalError) {
            let journal = try Journal.open(settings)
            for note in journal.recovery.notes { logger.warning("\(note)") }
            if journal.recovery.eventsFromRing > 0 {
                logger.notice(
                    "recovered \(journal.recovery.eventsFromRing) events that stood only in the ring"
                )
            }
            return journal
        } catch {
            throw DaemonFailure(error)
        }
    }

    /// Makes this epoch's first event durable before anybody is answered.
    private static func begin(
        _ journal: Journal, _ machine: inout Machine
    ) throws(DaemonFailure) {
        journal.stage(machine.outbox.bytes)
        machine.outbox.removeAll()
        do throws(JournalError) {
            try journal.startCommitter()
        } catch {
            throw DaemonFailure(error)
        }
        guard journal.waitDurable(machine.book.seq) else {
            throw .io("cannot write to the journal: \(journal.stateReason)")
        }
        machine.isPaused = journal.state != .normal
    }

    /// What was handed over, and what is missing of what was asked for.
    private static func listen(
        _ options: DaemonOptions, _ inherited: [Listener], _ logger: Logger
    ) throws(DaemonFailure) -> [Listener] {
        var listeners = inherited
        if !listeners.contains(where: \.isUnix) {
            listeners.append(try Listener.unix(options.effectiveSocketPath))
        }
        if let host = options.tcpHost, let port = options.tcpPort,
            listeners.allSatisfy(\.isUnix)
        {
            listeners.append(try Listener.tcp(host: host, port: port))
        }
        for listener in listeners where !listener.isUnix {
            logger.notice("TCP clients at \(listener.address) must AUTH as an operator")
        }
        return listeners
    }

    private static func end(
        _ loop: consuming GateLoop<Kernel>, _ journal: Journal, _ readers: Readers,
        _ checkpointer: Checkpointer, _ caretaker: Caretaker, _ logger: Logger
    ) throws(DaemonFailure) {
        readers.stop()
        let seq = loop.machine.book.seq
        let isDurable = journal.waitDurable(seq)
        let second = checkpointer.finish()
        let digest = loop.machine.book.digest()
        caretaker.stop()
        journal.shutdown()
        guard isDurable else {
            // The ring outlives us, and the next start takes the events from it.
            throw .io(
                "events after \(journal.durableSeq) are only in the ring: \(journal.stateReason)")
        }
        if let failure = second.failure {
            throw DaemonFailure(
                exitCode: failure.exitCode,
                message: "all that was answered is in the log, but a second fold of it fails: "
                    + failure.message)
        }
        guard second.seq == seq, second.digest == digest else {
            throw .software(
                "the book that decided and a second fold of the log disagree at event \(seq); keep the "
                    + "directory as it is and report this")
        }
        logger.notice("stopped at seq \(seq); the second fold agrees")
    }

    private static func blockSignals() throws(DaemonFailure) -> Int32 {
        var mask = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGTERM)
        sigaddset(&mask, SIGINT)
        // The caretaker's, who is not there yet: whoever asks too early is answered later.
        var blocked = mask
        sigaddset(&blocked, SIGUSR1)
        pthread_sigmask(SIG_BLOCK, &blocked, nil)
        let descriptor = signalfd(-1, &mask, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        guard descriptor >= 0 else { throw .io("signalfd: \(String(cString: strerror(errno)))") }
        return descriptor
    }
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

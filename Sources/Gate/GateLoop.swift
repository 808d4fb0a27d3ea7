import CLinux
import Events
import Glibc
import Journal
import Ledger
import Logging
import Wire

/// The decision loop: one thread that owns the book.
///
/// A turn gathers what the sockets have, decides each command, stages the turn's events in the ring
/// in one copy, and only then lets the answers go: whoever hears a yes hears of something that
/// outlives this process. Answers that were promised to be on disk wait behind a barrier until the
/// committer has got that far. No locks, no allocation and no logging a command.
struct GateLoop<System: GateSystem>: ~Copyable {
    /// The kernel; in a simulation, a world of its own.
    let system: System
    private var patience: Patience
    // Behind an address, because Swift 6.3 copies a large struct for a call that only borrows it: 1.4 KiB
    // a command it was.
    private let machineAddress: UnsafeMutablePointer<Machine>
    var machine: Machine {
        @inline(__always) unsafeAddress { UnsafePointer(machineAddress) }
        @inline(__always) nonmutating unsafeMutableAddress { machineAddress }
    }
    private var floods: FloodPage
    var personal: PersonalTable
    var parser = RequestParser()
    var seconds = SecondText()
    var memo = SecretMemo()
    var counters = Counters()
    let journal: Journal
    let readers: Readers
    let checkpointer: Checkpointer
    /// Nobody looks after a loop that runs in a test.
    let caretaker: Caretaker?
    let options: DaemonOptions
    let calendar: ZoneCalendar
    let version: String
    let logger: Logger
    let startedAt: Instant
    let ownUID = geteuid()

    let signals: Int32
    private let ready: UnsafeMutablePointer<epoll_event>
    private let readyMax = 512
    private let scratch: UnsafeMutableRawPointer
    var listeners: [Listener]
    /// Connections by descriptor.
    private(set) var sessions: UnsafeMutablePointer<UnsafeMutablePointer<Session>?>
    private(set) var sessionsCapacity = 0
    private(set) var sessionCount = 0
    private var nextSessionID: UInt64 = 1
    /// Descriptors of connections with answers to flush at the end of the turn.
    var dirty = DescriptorList()
    /// Connections whose answers wait for the disk.
    private var holding = DescriptorList()
    /// Requests that wait for room, and connections of which one was answered in this turn.
    var parking = Parking()
    var freed = DescriptorList()
    /// Connections that follow the log.
    var tails = Tails()
    /// What readers shall be asked.
    var readersQueue: [Readers.Job] = []
    /// Connections with whole requests that did not fit the ring.
    var stalled: [Int32] = []
    /// Connections with whole requests whose clients have taken enough of their answers.
    var resumable: [Int32] = []
    /// A spare descriptor, given up for a moment when there are no others (EMFILE).
    private var spare: Int32
    /// Whether the listeners are not watched, for want of descriptors.
    private var isDeaf = false
    var pressure = OutputPressure()
    private var turn: UInt64 = 0
    /// As of the last look at answers that wait for the disk.
    private var lastDurable: UInt64 = 0
    /// What the ring takes in this turn, in bytes.
    var room = 0
    private var lapsesAreDue = false
    var lastSweep: Int64 = 0
    /// Connections of which something is overdue some day.
    private(set) var unfinished = 0
    /// Connections that have no role yet.
    private(set) var strangers = 0
    private var lastPoke: UInt64 = 0
    var isDraining = false
    /// Late in a drain: what was read is answered, and nothing more is read.
    var readsNoMore = false
    private(set) var isReadOnly = false
    /// The log tells of a change once.
    private var noticedState = JournalState.normal

    init(
        system: System, machine: consuming Machine, floods: consuming FloodPage,
        personal: consuming PersonalTable, journal: Journal, readers: Readers,
        checkpointer: Checkpointer, caretaker: Caretaker? = nil,
        listeners: [Listener], signals: Int32, options: DaemonOptions, calendar: ZoneCalendar,
        version: String, logger: Logger
    ) throws(DaemonFailure) {
        self.journal = journal
        self.readers = readers
        self.checkpointer = checkpointer
        self.caretaker = caretaker
        self.listeners = listeners
        self.signals = signals
        self.options = options
        self.calendar = calendar
        self.version = version
        self.logger = logger
        startedAt = system.wallClock()
        self.system = system
        ready = .allocate(capacity: readyMax)
        scratch = .allocate(byteCount: GateLimits.readBytes, alignment: 64)
        sessionsCapacity = 1_024
        sessions = .allocate(capacity: sessionsCapacity)
        sessions.initialize(repeating: nil, count: sessionsCapacity)
        spare = open("/dev/null", O_RDONLY | O_CLOEXEC)
        lastPoke = journal.stagedSeq
        patience = Patience(spinNanoseconds: Int64(options.spinMicroseconds) * 1_000)
        machineAddress = .allocate(capacity: 1)
        machineAddress.initialize(to: machine)
        self.floods = floods
        self.personal = personal
        for descriptor in listeners.map(\.descriptor) + [
            signals, journal.wakeDescriptor, readers.mailDescriptor,
        ] {
            system.watch(descriptor, UInt32(EPOLLIN.rawValue), EPOLL_CTL_ADD)
        }
        if let caretaker {
            system.watch(caretaker.callDescriptor, UInt32(EPOLLIN.rawValue), EPOLL_CTL_ADD)
        }
    }
    deinit {
        machineAddress.deinitialize(count: 1)
        machineAddress.deallocate()
        ready.deallocate()
        scratch.deallocate()
        for i in 0..<sessionsCapacity {
            guard let session = sessions[i] else { continue }
            system.close(session.pointee.descriptor)
            session.deinitialize(count: 1)
            session.deallocate()
        }
        sessions.deallocate()
        system.end()
        if spare >= 0 { close(spare) }
    }

    // MARK: The loop

    /// Runs until a signal asks for the end, and then drains.
    mutating func run() {
        while !isDraining { takeTurn(waiting: timeout()) }
        drain()
    }

    mutating func takeTurn(waiting milliseconds: Int32) {
        let count = patience.wait(
            system, into: ready, most: Int32(readyMax), milliseconds: milliseconds)
        beginTurn()
        var accepting = false
        for i in 0..<Int(max(count, 0)) {
            let descriptor = ready[i].data.fd
            let events = ready[i].events
            if Int(descriptor) < sessionsCapacity, let session = sessions[Int(descriptor)] {
                serve(session, events)
            } else if descriptor == journal.wakeDescriptor {
                journal.drainWake()
                noticeState()
            } else if descriptor == readers.mailDescriptor {
                deliverReaderResults()
            } else if descriptor == signals {
                takeSignals()
            } else if let caretaker, descriptor == caretaker.callDescriptor {
                answerCaretaker(caretaker)
            } else {
                // After the others: a descriptor closed in this turn must not be reused in it.
                accepting = true
            }
        }
        if accepting { acceptConnections() }
        if !stalled.isEmpty { retryStalled() }
        if !resumable.isEmpty { resumeClients() }
        if !parking.isEmpty { askWaiting() }
        if !freed.isEmpty { resumeFreed() }
        endTurn()
    }

    private mutating func beginTurn() {
        turn += 1
        room = journal.stageableBytes
        // Lapses take at most half of what is free; sums and windows come on top of what the commands
        // are checked for. A log that takes nothing is not filled further.
        let mayWrite = room > 2 * GateLimits.commandEventBytesMax && !isReadOnly
        lapsesAreDue = machine.advance(
            to: system.wallClock(), mayWrite: mayWrite,
            lapsesMax: min(GateLimits.lapsesMax, room / 2 / GateLimits.lapseBytes))
        if !parking.isEmpty {
            // Before anybody who comes in this turn.
            wakeWaiting(from: 0)
            askWaiting()
        }
    }
    /// Puts what was decided where it outlives the process, before any answer tells of it.
    ///
    /// - Returns: whether there was anything; the committer has not been told of it yet.
    mutating func stageOutbox() -> Bool {
        let isAny = !machine.outbox.isEmpty
        personal.dropUnkept()
        journal.stage(machine.outbox.bytes, announcing: false)
        machine.outbox.removeAll()
        let address = machineAddress
        floods.note(address.pointee)
        return isAny
    }
    private mutating func endTurn() {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .answersBeforeStaging {
            for i in 0..<dirty.count { sessions[Int(dirty[i])].map { flush($0) } }
        }
        #endif
        let isAnyStaged = stageOutbox()
        if machine.book.seq - lastPoke >= 65_536 {
            lastPoke = machine.book.seq
            checkpointer.poke()
        }
        releaseHeld()
        for i in 0..<dirty.count {
            guard let session = sessions[Int(dirty[i])] else { continue }
            session.pointee.isDirty = false
            flush(session)
        }
        if !tails.isEmpty { feedTails() }
        dirty.removeAll()
        // Only now: waking the committer would keep the answers waiting.
        if isAnyStaged { journal.announceStaged() }
        sweepIfDue()
        askReaders()
        if isDeaf { listenAgain() }
    }

    /// Until something is due although nobody asks: a hold's deadline, a sum of refusals, a sweep.
    mutating func timeout() -> Int32 {
        var least = timeoutOfOthers()
        if let waiting = waitingTimeout() { least = least < 0 ? waiting : min(least, waiting) }
        if !tails.isEmpty, let round = tailTimeout() {
            least = least < 0 ? round : min(least, round)
        }
        return least
    }
    private func timeoutOfOthers() -> Int32 {
        if lapsesAreDue || !resumable.isEmpty { return 0 }
        if !stalled.isEmpty { return 10 }
        if isDeaf { return 1_000 }
        guard unfinished > 0 || machine.book.openHolds > 0 || machine.nextDeadline != nil else {
            return -1
        }
        // Deadlines are whole seconds, so waking just behind the next one is soon enough. The turn's own
        // reading of the clock will do: a turn takes microseconds.
        let inSecond = machine.now.nanoseconds % 1_000_000_000
        return Int32((1_000_000_000 - inSecond) / 1_000_000) + 1
    }

    private mutating func noticeState() {
        let state = journal.state
        machine.isPaused = state != .normal
        isReadOnly = state == .readOnly
        guard state != noticedState else { return }
        noticedState = state
        let seq: Logger.Metadata = ["seq": .stringConvertible(machine.book.seq)]
        switch state {
        case .normal: logger.notice("the log takes everything again", metadata: seq)
        case .paused:
            logger.warning("reserves are refused: \(journal.stateReason)", metadata: seq)
        case .readOnly: logger.critical("read-only: \(journal.stateReason)", metadata: seq)
        }
    }

    // MARK: Connections

    private mutating func acceptConnections() {
        for listener in listeners {
            while let descriptor = system.accept(listener) { admit(descriptor, listener) }
            if errno == EMFILE || errno == ENFILE { refuseForWantOfDescriptors(listener) }
        }
    }
    private mutating func refuseForWantOfDescriptors(_ listener: Listener) {
        if spare < 0 { spare = open("/dev/null", O_RDONLY | O_CLOEXEC) }
        guard spare >= 0 else {
            // Not even one to say no with: listen again when there is.
            for listener in listeners { system.watch(listener.descriptor, 0, EPOLL_CTL_DEL) }
            isDeaf = true
            return
        }
        close(spare)
        if let descriptor = system.accept(listener) {
            refuse(descriptor, "no more file descriptors; raise the daemon's limit")
        }
        spare = open("/dev/null", O_RDONLY | O_CLOEXEC)
    }
    private mutating func listenAgain() {
        if spare < 0 { spare = open("/dev/null", O_RDONLY | O_CLOEXEC) }
        guard spare >= 0 else { return }
        isDeaf = false
        for listener in listeners {
            system.watch(listener.descriptor, UInt32(EPOLLIN.rawValue), EPOLL_CTL_ADD)
        }
    }
    private mutating func refuse(_ descriptor: Int32, _ why: String) {
        counters.rejectedConnections += 1
        // However many are refused, the log has a few lines of it: its handler limits what repeats.
        logger.warning("a connection is refused: \(why)")
        var line = ByteBuffer(capacity: 128)
        line.reply(Failure(.error, why))
        _ = system.send(descriptor, line.base, line.count)
        system.close(descriptor)
    }
    private mutating func admit(_ descriptor: Int32, _ listener: Listener) {
        guard sessionCount < options.connectionsMax else {
            return refuse(descriptor, "max number of clients reached")
        }
        var address: String
        var role: Role?
        var actor = Actor.daemon
        if listener.isUnix {
            let uid = system.peerUID(descriptor)
            address = uid.map { "unix:uid=\($0)" } ?? "unix"
            actor = .uid((uid ?? .max) & 0x7FFF_FFFF)
            if let uid, uid == 0 || uid == ownUID { role = .admin }
        } else {
            address = Listener.peerAddress(descriptor)
            Listener.prepare(descriptor)
        }
        guard role != nil || strangers < options.strangersMax else {
            return refuse(descriptor, "too many connections that have not authenticated")
        }
        var fresh = Session(
            descriptor: descriptor, id: nextSessionID, address: address, connectedAt: machine.now,
            role: role, actor: actor)
        nextSessionID += 1
        fresh.interest = UInt32(EPOLLIN.rawValue)
        if Int(descriptor) >= sessionsCapacity { growSessions(to: Int(descriptor) + 1) }
        let session = UnsafeMutablePointer<Session>.allocate(capacity: 1)
        session.initialize(to: fresh)
        sessions[Int(descriptor)] = session
        noteRole(session)
        sessionCount += 1
        counters.connections += 1
        system.watch(descriptor, UInt32(EPOLLIN.rawValue), EPOLL_CTL_ADD)
    }
    private mutating func growSessions(to wanted: Int) {
        let capacity = max(wanted, sessionsCapacity * 2)
        let larger = UnsafeMutablePointer<UnsafeMutablePointer<Session>?>.allocate(
            capacity: capacity)
        larger.initialize(repeating: nil, count: capacity)
        for i in 0..<sessionsCapacity { larger[i] = sessions[i] }
        sessions.deallocate()
        sessions = larger
        sessionsCapacity = capacity
    }
    func forEachSession(_ body: (UnsafeMutablePointer<Session>) -> Void) {
        for i in 0..<sessionsCapacity { if let session = sessions[i] { body(session) } }
    }
    mutating func drop(_ session: UnsafeMutablePointer<Session>) {
        let descriptor = session.pointee.descriptor
        if session.pointee.isCounted { unfinished -= 1 }
        pressure.forget(session)
        forgetParked(session)
        forgetTail(session)
        if session.pointee.strangerSince != nil { strangers -= 1 }
        sessions[Int(descriptor)] = nil
        sessionCount -= 1
        // Closing also takes it out of epoll.
        system.close(descriptor)
        session.deinitialize(count: 1)
        session.deallocate()
    }

    /// Whoever has no role gets a while to authenticate, again after a RESET.
    mutating func noteRole(_ session: UnsafeMutablePointer<Session>) {
        let isStranger = session.pointee.role == nil
        guard isStranger != (session.pointee.strangerSince != nil) else { return }
        session.pointee.strangerSince = isStranger ? machine.now : nil
        strangers += isStranger ? 1 : -1
        recount(session)
    }

    private mutating func serve(_ session: UnsafeMutablePointer<Session>, _ events: UInt32) {
        if session.pointee.isParked { return serveParked(session, events) }
        if events & UInt32(EPOLLIN.rawValue) != 0 {
            if !readFrom(session) { return drop(session) }
        } else if events & (UInt32(EPOLLHUP.rawValue) | UInt32(EPOLLERR.rawValue)) != 0 {
            // Nothing more will come and nothing can be delivered.
            return drop(session)
        }
        if events & UInt32(EPOLLOUT.rawValue) != 0 { markDirty(session) }
    }

    /// Reads once and answers what is whole; false when the peer is gone.
    private mutating func readFrom(_ session: UnsafeMutablePointer<Session>) -> Bool {
        // Nearly always nothing is left over, and then requests are understood where they were read.
        if session.pointee.input.isEmpty {
            let count = system.receive(session.pointee.descriptor, scratch, GateLimits.readBytes)
            guard count > 0 else { return staysWithoutBytes(session, count) }
            let input = Bytes(scratch, count: count)
            let used = answerAll(session, input)
            if used < count { session.pointee.input.append(input.slice(used, count)) }
        } else {
            let descriptor = session.pointee.descriptor
            let count = session.pointee.input.appendUninitialized(GateLimits.readBytes) {
                system.receive(descriptor, $0, GateLimits.readBytes)
            }
            guard count > 0 else { return staysWithoutBytes(session, count) }
            answerLeftOver(session)
        }
        noteUnfinished(session)
        return true
    }
    /// Whether a connection goes on after a read that brought nothing. Who has only ended writing
    /// (`printf … | nc -N`) gets the answers that are due; the flush closes behind the last one.
    private mutating func staysWithoutBytes(
        _ session: UnsafeMutablePointer<Session>, _ count: Int
    ) -> Bool {
        guard count == 0 else { return errno == EAGAIN || errno == EINTR }
        session.pointee.hasEnded = true
        // Its place is free for those who are accepted in this turn.
        if session.pointee.waiting == 0, hasNothingLeft(session) { return false }
        markDirty(session)
        return true
    }
    private mutating func answerLeftOver(_ session: UnsafeMutablePointer<Session>) {
        let input = Bytes(session.pointee.input.base, count: session.pointee.input.count)
        let used = answerAll(session, input)
        session.pointee.input.removeFirst(used)
        if session.pointee.input.isEmpty { session.pointee.input.shrink(to: 16) }
    }
    private mutating func noteUnfinished(_ session: UnsafeMutablePointer<Session>) {
        let waits =
            !session.pointee.input.isEmpty && !session.pointee.isStalled
            && !session.pointee.isParked
            && !session.pointee.awaitsReader && session.pointee.waiting <= pressure.bytesMax
        if !waits {
            session.pointee.unfinishedSince = nil
        } else if session.pointee.unfinishedSince == nil {
            session.pointee.unfinishedSince = machine.now
        }
        recount(session)
    }
    /// Counts it among those that the sweep looks at, or no more. However often it is told.
    mutating func recount(_ session: UnsafeMutablePointer<Session>) {
        let isNow = session.pointee.isWatched
        if session.pointee.isCounted != isNow { unfinished += isNow ? 1 : -1 }
        session.pointee.isCounted = isNow
    }

    /// Answers whole requests at the front of `input` until they end or must wait; returns how many
    /// bytes were used.
    private mutating func answerAll(
        _ session: UnsafeMutablePointer<Session>, _ input: Bytes
    ) -> Int {
        var used = 0
        loop: while used < input.count, !session.pointee.closesAfterFlush {
            if session.pointee.awaitsReader || session.pointee.waiting > pressure.bytesMax {
                guard endTail(session) else { break }
            }
            let rest = input.slice(used, input.count)
            switch parser.next(rest, searched: &session.pointee.searched) {
            case .incomplete: break loop
            case .empty(let consumed):
                session.pointee.searched = 0
                used += consumed
            case .violation(let violation):
                appendReply(session) { $0.reply(violation.failure) }
                session.pointee.closesAfterFlush = true
                used = input.count
            case .command(let consumed, _):
                session.pointee.searched = 0
                guard perform(session, parser.arguments) else {
                    if !session.pointee.isParked { stall(session) }
                    break loop
                }
                used += consumed
                session.pointee.unfinishedSince = nil
            }
        }
        markDirty(session)
        return used
    }

    func appendReply(
        _ session: UnsafeMutablePointer<Session>, _ body: (inout ByteBuffer) -> Void
    ) {
        let before = session.pointee.output.count
        body(&session.pointee.output)
        session.pointee.queued += UInt64(session.pointee.output.count - before)
    }
    mutating func markDirty(_ session: UnsafeMutablePointer<Session>) {
        guard !session.pointee.isDirty else { return }
        session.pointee.isDirty = true
        dirty.append(session.pointee.descriptor)
    }

    // MARK: Back-pressure

    /// Whether one more command's events surely fit the ring, and what is due by itself stands there.
    mutating func hasRoom() -> Bool {
        machine.outbox.count + GateLimits.commandEventBytesMax <= room && !machine.isBehind
    }
    private mutating func stall(_ session: UnsafeMutablePointer<Session>) {
        guard !session.pointee.isStalled else { return }
        session.pointee.isStalled = true
        stalled.append(session.pointee.descriptor)
        updateInterest(session)
    }
    private mutating func retryStalled() {
        // Ask to be woken as soon as the committer has freed what is staged.
        journal.requestDurable(journal.stagedSeq)
        let waiting = stalled
        stalled.removeAll(keepingCapacity: true)
        for descriptor in waiting {
            guard let session = sessions[Int(descriptor)], session.pointee.isStalled else {
                continue
            }
            session.pointee.isStalled = false
            resume(session)
        }
    }
    private mutating func resumeClients() {
        let waiting = resumable
        resumable.removeAll(keepingCapacity: true)
        for descriptor in waiting {
            guard let session = sessions[Int(descriptor)], session.pointee.isResumable else {
                continue
            }
            session.pointee.isResumable = false
            resume(session)
        }
    }
    /// Goes on with what a connection had sent when it had to wait.
    mutating func resume(_ session: UnsafeMutablePointer<Session>) {
        if !session.pointee.input.isEmpty, !session.pointee.isParked { answerLeftOver(session) }
        noteUnfinished(session)
        markDirty(session)
        updateInterest(session)
    }
    mutating func updateInterest(_ session: UnsafeMutablePointer<Session>) {
        var wanted: UInt32 = 0
        let isFull =
            session.pointee.waiting > pressure.bytesMax
            || session.pointee.interest & UInt32(EPOLLIN.rawValue) == 0
                && session.pointee.waiting > pressure.bytesResume
        // Whole requests that wait for their turn: nothing is read on top of them.
        let isBehind = !session.pointee.input.isEmpty && session.pointee.unfinishedSince == nil
        if !session.pointee.isStalled,
            !session.pointee.awaitsReader || session.pointee.tail != nil, !isFull, !isBehind,
            !session.pointee.closesAfterFlush, !session.pointee.hasEnded, !readsNoMore
        {
            wanted |= UInt32(EPOLLIN.rawValue)
        }
        if session.pointee.stuckSince != nil { wanted |= UInt32(EPOLLOUT.rawValue) }
        if session.pointee.isParked, !session.pointee.hasEnded {
            wanted |= UInt32(EPOLLRDHUP.rawValue)
        }
        guard wanted != session.pointee.interest else { return }
        session.pointee.interest = wanted
        system.watch(session.pointee.descriptor, wanted, EPOLL_CTL_MOD)
    }

    // MARK: Answers leave

    /// Holds this connection's next answer back until what was just decided is on disk.
    mutating func holdBack(_ session: UnsafeMutablePointer<Session>) {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .answersBeforeCommit { return }
        #endif
        session.pointee.holdBack(until: machine.book.seq, turn: turn)
    }
    private mutating func releaseHeld() {
        let durable = journal.durableSeq
        guard !holding.isEmpty, durable != lastDurable else { return }
        lastDurable = durable
        // Those that still wait come back to the list when they are flushed.
        for i in 0..<holding.count {
            if let session = sessions[Int(holding[i])] {
                session.pointee.isHolding = false
                markDirty(session)
            }
        }
        holding.removeAll()
    }
    mutating func flush(_ session: UnsafeMutablePointer<Session>) {
        var writable = session.pointee.writable(durable: journal.durableSeq)
        var isStuck = false
        while writable > 0 {
            let start = session.pointee.output.count - session.pointee.waiting
            let count = system.send(
                session.pointee.descriptor, session.pointee.output.base + start, writable)
            if count < 0 {
                if errno == EINTR { continue }
                guard errno == EAGAIN else { return drop(session) }
                isStuck = true
                break
            }
            session.pointee.sent += UInt64(count)
            writable -= count
            if session.pointee.stuckSince != nil { session.pointee.stuckSince = machine.now }
        }
        if session.pointee.waiting == 0 {
            session.pointee.output.removeAll()
            if session.pointee.output.capacity > 64 << 10 {
                session.pointee.output.shrink(to: 4_096)
            }
            if session.pointee.closesAfterFlush || hasNothingLeft(session) { return drop(session) }
        } else {
            // Written bytes at the front are dropped once they are the larger part.
            let gone = session.pointee.output.count - session.pointee.waiting
            if gone > session.pointee.waiting { session.pointee.output.removeFirst(gone) }
        }
        pressure.note(session)
        if !isStuck {
            session.pointee.stuckSince = nil
        } else if session.pointee.stuckSince == nil {
            session.pointee.stuckSince = machine.now
        }
        recount(session)
        if let seq = session.pointee.awaitedSeq {
            journal.requestDurable(min(seq, journal.stagedSeq))
            if !session.pointee.isHolding {
                session.pointee.isHolding = true
                holding.append(session.pointee.descriptor)
            }
        }
        updateInterest(session)
        // Room again for a client that had to wait for its own reading. In the next turn: this one has
        // staged its events, and no answer may leave before the events it tells of are staged.
        if session.pointee.waiting <= pressure.bytesResume, !session.pointee.input.isEmpty,
            !session.pointee.isStalled, !session.pointee.isParked, !session.pointee.awaitsReader,
            !session.pointee.isResumable,
            session.pointee.unfinishedSince == nil, !session.pointee.closesAfterFlush
        {
            session.pointee.isResumable = true
            resumable.append(session.pointee.descriptor)
        }
    }
    /// Whether nothing more will come and all of what came is answered; a request without its end never
    /// will be.
    private func hasNothingLeft(_ session: UnsafeMutablePointer<Session>) -> Bool {
        session.pointee.hasEnded && !session.pointee.awaitsReader && !session.pointee.isStalled
            && !session.pointee.isParked
            && (session.pointee.input.isEmpty || session.pointee.unfinishedSince != nil)
    }
}

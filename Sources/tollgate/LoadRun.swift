import CLinux
import Events
import Glibc

/// Drives a plan against a daemon from one thread: RESERVE each request at its time, SETTLE it when
/// its simulated upstream call ends, many open at once over a few pipelined connections.
///
/// Replies of one connection keep the order of their requests, and a SETTLE's waits for the disk
/// while a RESERVE's does not. So, given two connections or more, half of them carry the RESERVEs
/// and the other half everything else, as a relay that cares for its latency would do.
final class LoadRun {
    /// One request between its RESERVE and the end of its hold.
    private struct Slot {
        var request: Int32
        var hold: HoldName
    }

    private let plan: LoadPlan
    private let connections: [LoadConnection]
    /// How many of the connections, counted from the first, carry RESERVEs.
    private let deciding: Int
    private let poller: Int32
    private let alarm: Int32
    /// The beginnings of the RESERVE lines, one a target, and of every request's id.
    private let starts: [[UInt8]]
    private let idStart: [UInt8]
    private let progress: (LoadResult) -> Void

    private var slots: [Slot] = []
    private var freeSlots: [Int32] = []
    private var timers = LoadTimers()
    private var next = 0
    private var open = 0
    private var start: Int64 = 0
    private var now: Int64 = 0
    private var lastReply: Int64 = 0
    private var silentSince: Int64 = 0
    private var nextProgress: Int64 = 0
    private var isAlarmSet = false
    private(set) var result = LoadResult()

    /// A daemon that owes replies and sends none for this long is taken for gone.
    private static let silenceNanoseconds: Int64 = 30_000_000_000
    /// The longest sleep: how soon an interrupt and the progress bar are looked after.
    private static let sleepMilliseconds: Int32 = 100
    /// A connection with this much unsent takes no more requests until it drains.
    private static let backlogBytesMax = 256 << 10
    private static let eventsMax = 64

    init(
        _ plan: LoadPlan, target: Target, connections: Int,
        progress: @escaping (LoadResult) -> Void = { _ in }
    ) throws(CommandFailure) {
        precondition(connections > 0, "a run needs a connection")
        self.plan = plan
        self.progress = progress
        starts = plan.targets.map { Array("RESERVE \($0.key) \($0.model) in=".utf8) }
        idStart = Self.freshIDStart()
        var opened: [LoadConnection] = []
        for _ in 0..<connections { opened.append(try LoadConnection(target)) }
        self.connections = opened
        deciding = max(connections / 2, 1)
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        alarm = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_NONBLOCK))
        guard poller >= 0, alarm >= 0 else {
            throw CommandFailure(.software, "no epoll: \(String(cString: strerror(errno)))")
        }
        for (i, connection) in opened.enumerated() {
            control(EPOLL_CTL_ADD, connection.descriptor, EPOLLIN.rawValue, i)
        }
        control(EPOLL_CTL_ADD, alarm, EPOLLIN.rawValue, opened.count)
        result.planned = plan.requests.count
        result.allowedByTarget = Array(repeating: 0, count: plan.targets.count)
    }
    deinit {
        close(poller)
        close(alarm)
    }

    /// Runs to the end, to the loss of the daemon, or to an interrupt, which the caller has to
    /// ``Interrupt/catchSignals()``.
    func run() -> LoadResult {
        start = monotonicNanoseconds()
        now = start
        lastReply = start
        silentSince = start
        while !isDone, result.failure == nil {
            turnOnce()
        }
        result.leftOpen = open
        result.nanoseconds = lastReply - start
        progress(result)
        return result
    }

    private var isDone: Bool {
        open == 0 && (next == plan.requests.count || result.wasInterrupted)
            || Interrupt.count > 1
    }

    private func turnOnce() {
        if Interrupt.count > 0, !result.wasInterrupted { result.wasInterrupted = true }
        if !result.wasInterrupted { sendDue() }
        endDue()
        flush()
        if result.failure == nil, !isDone { wait() }
        if now >= nextProgress {
            nextProgress = now + Int64(Self.sleepMilliseconds) * 1_000_000
            progress(result)
        }
    }
}

// MARK: - Sending

extension LoadRun {
    private func sendDue() {
        while next < plan.requests.count {
            let connection = connections[next % deciding]
            let request = plan.requests[next]
            if let openMax = plan.openMax {
                if open >= openMax { return }
                sendReserve(request, on: connection, intended: now)
            } else {
                let due = start + request.due
                if due > now { return }
                // A late request still counts from when it was due: leaving out the wait would
                // hide exactly the moments at which the daemon was slow.
                if connection.backlog > Self.backlogBytesMax { return }
                sendReserve(request, on: connection, intended: due)
            }
        }
    }

    private func sendReserve(
        _ request: LoadPlan.Request, on connection: LoadConnection, intended: Int64
    ) {
        let slot = takeSlot(for: Int32(next))
        connection.output.append(starts[Int(request.target)])
        connection.output.append(decimal: request.input)
        connection.output.append(" out=" as StaticString)
        connection.output.append(decimal: request.bound)
        connection.output.append(" id=" as StaticString)
        connection.output.append(idStart)
        connection.output.append(decimal: Int64(next))
        connection.output.append("\r\n" as StaticString)
        connection.expect(.reserve, slot: slot, intended: intended)
        next += 1
        open += 1
        result.sent += 1
    }

    /// Settles the upstream calls that have ended; after an interrupt, releases the others.
    private func endDue() {
        while let entry = timers.first, entry.due <= now || result.wasInterrupted {
            _ = timers.removeFirst()
            if entry.due <= now {
                settle(entry.slot, intended: entry.due)
            } else {
                release(entry.slot)
            }
        }
    }

    private func settle(_ slot: Int32, intended: Int64) {
        let request = plan.requests[Int(slots[Int(slot)].request)]
        let connection = endingConnection(slot)
        connection.output.append("SETTLE " as StaticString)
        connection.output.append(slots[Int(slot)].hold)
        connection.output.append(" in=" as StaticString)
        connection.output.append(decimal: request.input)
        connection.output.append(" out=" as StaticString)
        connection.output.append(decimal: request.output)
        connection.output.append("\r\n" as StaticString)
        connection.expect(.settle, slot: slot, intended: intended)
    }

    private func release(_ slot: Int32) {
        let connection = endingConnection(slot)
        connection.output.append("RELEASE " as StaticString)
        connection.output.append(slots[Int(slot)].hold)
        connection.output.append(" why=interrupted\r\n" as StaticString)
        connection.expect(.release, slot: slot, intended: now)
    }

    private func endingConnection(_ slot: Int32) -> LoadConnection {
        let others = connections.count - deciding
        return others == 0 ? connections[0] : connections[deciding + Int(slot) % others]
    }

    private func flush() {
        for (i, connection) in connections.enumerated() where connection.backlog > 0 {
            switch connection.flush() {
            case .done: awaitRoom(connection, i, false)
            case .blocked: awaitRoom(connection, i, true)
            case .ended, .lost: lose("writing: \(String(cString: strerror(errno)))")
            }
        }
    }

    private func awaitRoom(_ connection: LoadConnection, _ index: Int, _ awaits: Bool) {
        guard connection.awaitsRoom != awaits else { return }
        connection.awaitsRoom = awaits
        let events = EPOLLIN.rawValue | (awaits ? EPOLLOUT.rawValue : 0)
        control(EPOLL_CTL_MOD, connection.descriptor, events, index)
    }
}

// MARK: - Waiting and reading

extension LoadRun {
    private func wait() {
        setAlarm()
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.eventsMax) { events in
            let count = epoll_wait(
                poller, events.baseAddress!, Int32(Self.eventsMax), Self.sleepMilliseconds)
            for i in 0..<Int(max(count, 0)) {
                let index = Int(events[i].data.u64)
                if index < connections.count { read(connections[index]) }
            }
        }
        now = monotonicNanoseconds()
        // Silence means something only while replies are owed.
        if !connections.contains(where: { $0.isWaiting }) { silentSince = now }
        if now - silentSince > Self.silenceNanoseconds {
            lose("no reply within \(Self.silenceNanoseconds / 1_000_000_000) seconds")
        }
    }

    /// Sets the timer to whatever comes next: epoll's own time-out counts only milliseconds.
    private func setAlarm() {
        var due = timers.first?.due ?? .max
        if plan.openMax == nil, next < plan.requests.count, !result.wasInterrupted,
            // A full connection wakes the loop by itself once there is room.
            connections[next % deciding].backlog <= Self.backlogBytesMax
        {
            due = min(due, start + plan.requests[next].due)
        }
        guard due < .max || isAlarmSet else { return }
        isAlarmSet = due < .max
        var setting = itimerspec()
        if due < .max {
            // Zero would disarm it; a time in the past fires at once.
            let at = max(due, 1)
            setting.it_value.tv_sec = Int(at / 1_000_000_000)
            setting.it_value.tv_nsec = Int(at % 1_000_000_000)
        }
        timerfd_settime(alarm, Int32(TFD_TIMER_ABSTIME), &setting, nil)
    }

    private func read(_ connection: LoadConnection) {
        while true {
            let progress = connection.fill()
            let why = errno
            now = monotonicNanoseconds()
            connection.eachLine { take($0, from: connection) }
            switch progress {
            case .done: continue
            case .blocked: return
            case .ended: return lose("it closed the connection")
            case .lost: return lose(String(cString: strerror(why)))
            }
        }
    }

    /// One reply line.
    private func take(_ line: Bytes, from connection: LoadConnection) {
        guard let pending = connection.takePending() else {
            lose("a reply that nobody asked for: \(line.slice(0, min(line.count, 120)).string)")
            return
        }
        lastReply = now
        silentSince = now
        switch pending.verb {
        case .reserve:
            result.recordReserve(nanoseconds: now - pending.intended)
            result.decisionNanoseconds = now - start
            takeDecision(line, slot: pending.slot)
        case .settle:
            result.recordSettle(nanoseconds: now - pending.intended)
            takeSettlement(line, slot: pending.slot)
        case .release:
            if line.hasPrefix("+RELEASED ") { result.released += 1 } else { result.noteError(line) }
            freeSlot(pending.slot)
        }
    }

    private func takeDecision(_ line: Bytes, slot: Int32) {
        var words = LoadWords(line)
        let first = words.next()
        let second = words.next()
        if first == "+ALLOW", let hold = HoldName(parsing: second) {
            let index = Int(slots[Int(slot)].request)
            result.allowed += 1
            result.allowedByTarget[Int(plan.requests[index].target)] += 1
            slots[Int(slot)].hold = hold
            let upstream = plan.requests[index].upstream
            if upstream == 0, !result.wasInterrupted {
                settle(slot, intended: now)
            } else {
                timers.insert(LoadTimers.Entry(due: now + upstream, slot: slot))
            }
            return
        }
        if first == "+DENY", let reason = LoadRun.refusalIndex(words.next()) {
            result.refused[reason] += 1
        } else {
            result.noteError(line)
        }
        freeSlot(slot)
    }

    private func takeSettlement(_ line: Bytes, slot: Int32) {
        var words = LoadWords(line)
        var money: Nanodollars?
        if words.next() == "+SETTLED" {
            while money == nil, case let word = words.next(), !word.isEmpty {
                guard word.hasPrefix("usd=") else { continue }
                money = try? Nanodollars(parsing: word.slice(4, word.count))
            }
        }
        if let money {
            let request = plan.requests[Int(slots[Int(slot)].request)]
            result.settled += 1
            result.inputTokens += request.input
            result.outputTokens += request.output
            result.spent.raw += money.raw
        } else {
            result.noteError(line)
        }
        freeSlot(slot)
    }

    private static func refusalIndex(_ word: Bytes) -> Int? {
        Refusal.allCases.firstIndex { word == $0.name }
    }
}

// MARK: - Small parts

extension LoadRun {
    private func takeSlot(for request: Int32) -> Int32 {
        let empty = Slot(request: request, hold: HoldName(epoch: 0, seq: 0))
        if let free = freeSlots.popLast() {
            slots[Int(free)] = empty
            return free
        }
        slots.append(empty)
        return Int32(slots.count - 1)
    }
    private func freeSlot(_ slot: Int32) {
        freeSlots.append(slot)
        open -= 1
    }

    // Out of line: a run loses its daemon at most once.
    @inline(never) private func lose(_ why: String) {
        guard result.failure == nil else { return }
        result.failure = CommandFailure(.unavailable, "lost the daemon: \(why)")
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ index: Int) {
        var event = epoll_event()
        event.events = events
        event.data.u64 = UInt64(index)
        let code = epoll_ctl(poller, operation, descriptor, &event)
        precondition(code == 0, "epoll_ctl: \(String(cString: strerror(errno)))")
    }

    /// `k3x9q2a7-`: different for every run, because an id that comes again gets its old answer.
    private static func freshIDStart() -> [UInt8] {
        let seed = UInt64.random(in: 0..<(1 << 52))
        return Array("load-\(String(seed, radix: 36))-".utf8)
    }
}

extension ByteBuffer {
    fileprivate mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(Bytes($0)) }
    }
}

/// The words of a reply line.
private struct LoadWords {
    private var rest: Bytes
    init(_ line: Bytes) { rest = line }
    /// The next word; empty at the end.
    mutating func next() -> Bytes {
        let stop = rest.firstIndex(of: 0x20) ?? rest.count
        defer { rest = rest.slice(min(stop + 1, rest.count), rest.count) }
        return rest.slice(0, stop)
    }
}

import Events
import Journal
import Ledger
import Wire

// What clients that are slow, silent or greedy may cost: memory for answers that nobody takes, places for
// connections that nobody uses.

/// The memory that answers take while they wait for their readers.
///
/// One connection may keep a megabyte of them; ten thousand may not. Past half of
/// `GateLimits.outputTotalMax` in all, each is held to a few kilobytes and who takes nothing for a second
/// is closed; scans of the log wait until their answers surely fit. An honest reader that is merely slow
/// goes on.
struct OutputPressure {
    /// Answers that the kernel had no room for, and that wait for the disk, of all connections.
    private(set) var total = 0
    /// A connection with more answers than this waiting is not read until they have left.
    private(set) var bytesMax = GateLimits.outputBytesMax
    /// Then it is read again below this.
    private(set) var bytesResume = GateLimits.outputBytesResume
    /// Questions that readers work on; each may become the largest answer there is.
    var scans = 0
    /// Batches that readers fetch for those who follow the log.
    var tails = 0

    /// Half of it, so that the scans of others find room before it is full.
    var isHigh: Bool { total > GateLimits.outputTotalMax / 2 }
    var hasRoomForScan: Bool {
        promised + GateLimits.eventsAnswerBytesMax <= GateLimits.outputTotalMax
    }
    var hasRoomForTail: Bool { promised + GateLimits.tailAnswerBytes <= GateLimits.outputTotalMax }
    private var promised: Int {
        total + scans * GateLimits.eventsAnswerBytesMax + tails * GateLimits.tailAnswerBytes
    }

    mutating func note(_ session: UnsafeMutablePointer<Session>) {
        let waiting = session.pointee.waiting
        // Nearly always nothing is left behind.
        if waiting == 0, session.pointee.countedBytes == 0 { return }
        count(waiting - session.pointee.countedBytes)
        session.pointee.countedBytes = waiting
    }
    mutating func forget(_ session: UnsafeMutablePointer<Session>) {
        count(-session.pointee.countedBytes)
        session.pointee.countedBytes = 0
    }
    private mutating func count(_ change: Int) {
        total += change
        bytesMax = isHigh ? GateLimits.outputBytesScarce : GateLimits.outputBytesMax
        bytesResume = min(bytesMax, GateLimits.outputBytesResume)
    }
}

extension GateLoop {
    // MARK: Readers

    mutating func ask(_ session: UnsafeMutablePointer<Session>, _ question: Readers.Question) {
        session.pointee.awaitsReader = true
        // What this turn appended is staged at its end, before the reader can need it.
        readersQueue.append(
            Readers.Job(
                descriptor: session.pointee.descriptor, session: session.pointee.id,
                question: question, durableBy: machine.book.seq,
                mayKnowPersons: session.pointee.role?.mayKnowPersons ?? false))
        updateInterest(session)
    }
    /// Posts what was asked, as far as there is memory for the answers; the rest waits until some have
    /// been taken or their clients closed.
    mutating func askReaders() {
        guard !readersQueue.isEmpty else { return }
        var posted = 0
        for job in readersQueue {
            // Who has gone needs no answer.
            if isConnected(job.descriptor, job.session) {
                guard pressure.hasRoomForScan else { break }
                pressure.scans += 1
                readers.post(job)
            }
            posted += 1
        }
        readersQueue.removeFirst(posted)
    }
    mutating func deliverReaderResults() {
        for result in readers.takeResults() {
            if let found = result.followed {
                deliver(found, result)
                continue
            }
            pressure.scans -= 1
            guard isConnected(result.descriptor, result.session),
                let session = sessions[Int(result.descriptor)]
            else { continue }
            result.reply.withUnsafeBytes { raw in
                appendReply(session) { $0.append(Bytes(raw)) }
            }
            session.pointee.awaitsReader = false
            resume(session)
        }
    }
    private func isConnected(_ descriptor: Int32, _ id: UInt64) -> Bool {
        sessions[Int(descriptor)].map { $0.pointee.id == id } ?? false
    }

    // MARK: The sweep

    /// Once a second: closes connections whose unfinished request, unread answers or authentication are
    /// overdue.
    mutating func sweepIfDue() {
        guard unfinished > 0, machine.now.second > lastSweep else { return }
        lastSweep = machine.now.second
        let now = machine.now.nanoseconds
        let lines = now - Int64(options.idleLineSeconds) * 1_000_000_000
        let greetings = now - Int64(options.authSeconds) * 1_000_000_000
        let stuck = pressure.isHigh ? max(lines, now - GateLimits.scarcePatienceNanoseconds) : lines
        for i in 0..<sessionsCapacity {
            guard let session = sessions[i], session.pointee.isWatched else { continue }
            if let since = session.pointee.stuckSince, since.nanoseconds < stuck {
                giveUp(session)
            } else if let since = session.pointee.strangerSince, since.nanoseconds < greetings {
                expel(session, .noAuth, "no AUTH in \(options.authSeconds) seconds")
            } else if let since = session.pointee.unfinishedSince, since.nanoseconds < lines {
                expel(
                    session, .error,
                    "Protocol error: the request was not finished in "
                        + "\(options.idleLineSeconds) seconds")
            }
        }
    }
    private mutating func expel(
        _ session: UnsafeMutablePointer<Session>, _ code: Failure.Code, _ why: String
    ) {
        guard !session.pointee.closesAfterFlush else { return }
        appendReply(session) { $0.reply(Failure(code, why)) }
        session.pointee.closesAfterFlush = true
        session.pointee.unfinishedSince = nil
        recount(session)
        flush(session)
    }
}

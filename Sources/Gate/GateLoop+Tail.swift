import Events
import Journal
import Ledger
import Wire

// `TAIL`: a connection that is sent the log as it grows. Readers fetch the events, a batch at a time and
// only when the connection has taken nearly all of the last, so each follows at its own pace and none
// costs more memory than a batch; the log itself is the queue. Whatever the client sends ends it.

extension GateLoop {
    // MARK: Coming and going

    mutating func tail(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        let query = try TailQuery(arguments)
        guard !isDraining else { throw Failure(.unavailable, "the daemon is stopping") }
        let end = machine.book.seq
        let from = query.from ?? end + 1
        // A number from another ledger, or from before a restore, would wait for ever.
        guard from <= end + 1 else {
            throw Failure(
                .error,
                "from=\(from): the log ends with event \(end); say from=\(end + 1), or leave it out, for "
                    + "what comes next")
        }
        // Whoever sees only a part of the tree sees that part where nobody asks for less.
        var account = query.account
        if account.isEmpty, let top = machine.book.path(of: session.pointee.confinement) {
            account = top
        }
        appendReply(session) { $0.reply(tailingFrom: from) }
        session.pointee.tail = tails.add(
            descriptor: session.pointee.descriptor, session: session.pointee.id,
            filter: LogFilter(
                type: query.type, isDenied: query.isDenied, account: account.string), from: from,
            queued: session.pointee.queued)
        session.pointee.awaitsReader = true
    }
    /// Ends a TAIL because the client has sent something; false when there is none.
    @inline(never)
    mutating func endTail(_ session: UnsafeMutablePointer<Session>) -> Bool {
        guard let tail = session.pointee.tail else { return false }
        appendReply(session) { $0.reply(tailedUpTo: tail.next) }
        forgetTail(session)
        return session.pointee.waiting <= pressure.bytesMax
    }
    mutating func forgetTail(_ session: UnsafeMutablePointer<Session>) {
        guard let tail = session.pointee.tail else { return }
        tails.remove(tail)
        session.pointee.tail = nil
        session.pointee.awaitsReader = false
    }
    /// Says why, and with which event to go on; flushing it then closes.
    private mutating func closeTail(
        _ session: UnsafeMutablePointer<Session>, _ code: Failure.Code, _ why: String,
        _ next: UInt64
    ) {
        forgetTail(session)
        appendReply(session) { $0.reply(Failure(code, "\(why); resume with TAIL from=\(next)")) }
        session.pointee.closesAfterFlush = true
    }
    /// The client has taken nothing for too long. If it follows the log it loses the events that wait
    /// for it, gets as long again to read why, and finds them in the log; otherwise it is closed.
    mutating func giveUp(_ session: UnsafeMutablePointer<Session>) {
        guard let tail = session.pointee.tail, let mark = tail.cut(sent: session.pointee.sent)
        else { return drop(session) }
        // What was begun must be whole, or the message would stand in the middle of an event.
        let excess = Int(session.pointee.queued - mark.end)
        session.pointee.output.truncate(to: session.pointee.output.count - excess)
        session.pointee.queued = mark.end
        session.pointee.stuckSince = machine.now
        closeTail(session, .slow, "this client does not read what it asked for", mark.next)
        flush(session)
    }

    // MARK: Serving

    /// Asks readers for what those want that have taken what they had; at the end of a turn.
    mutating func feedTails() {
        let durable = journal.durableSeq
        for i in 0..<dirty.count {
            guard let session = sessions[Int(dirty[i])], let tail = session.pointee.tail,
                !tail.isAtEnd || tail.next <= tails.roundSeq
            else { continue }
            feed(session, tail, durable)
        }
        let isRound = tails.beginRound(at: system.wallClock().nanoseconds, durable: durable)
        guard isRound || tails.last != nil else { return }
        // Backwards, because those that end are taken out.
        for i in stride(from: tails.count - 1, through: 0, by: -1) {
            let tail = tails[i]
            guard let session = sessions[Int(tail.descriptor)] else {
                preconditionFailure("a tail goes with its connection")
            }
            if let last = tails.last, isOver(tail, last) {
                // Who reads slowly finds in the log what it did not take.
                if session.pointee.stuckSince != nil {
                    drop(session)
                } else {
                    closeTail(session, .unavailable, "the daemon is stopping", tail.next)
                    flush(session)
                }
            } else {
                feed(session, tail, durable)
            }
        }
    }
    private mutating func feed(
        _ session: UnsafeMutablePointer<Session>, _ tail: Tail, _ durable: UInt64
    ) {
        guard !tail.isReading, tail.next <= durable, !session.pointee.closesAfterFlush,
            session.pointee.waiting <= (pressure.isHigh ? 0 : GateLimits.tailBytesResume)
        else { return }
        guard pressure.hasRoomForTail else {
            tails.isOwed = true
            return
        }
        pressure.tails += 1
        tail.isReading = true
        let bytes = pressure.isHigh ? GateLimits.outputBytesScarce : GateLimits.tailBytes
        readers.post(
            Readers.Job(
                descriptor: tail.descriptor, session: tail.session,
                question: .follow(
                    tail: tail.id, from: tail.next, filter: tail.filter, bytesMax: bytes),
                durableBy: 0,
                mayKnowPersons: session.pointee.role?.mayKnowPersons ?? false))
    }
    /// What a reader found for somebody who follows the log.
    mutating func deliver(_ found: Readers.Followed, _ result: Readers.Result) {
        pressure.tails -= 1
        guard let session = sessions[Int(result.descriptor)],
            session.pointee.id == result.session, let tail = session.pointee.tail,
            tail.id == found.tail
        else { return }
        // Its operator may have been revoked since it asked.
        if let failure = forbidden(session, .tail) {
            closeTail(session, failure.code, failure.text, tail.next)
            return markDirty(session)
        }
        tail.add(found, queued: session.pointee.queued, sent: session.pointee.sent)
        result.reply.withUnsafeBytes { raw in
            appendReply(session) { $0.append(Bytes(raw)) }
        }
        if found.hasFailed {
            forgetTail(session)
            updateInterest(session)
        }
        markDirty(session)
    }
    /// How long nobody has to look at those that follow, in milliseconds; nil when nothing new can come.
    func tailTimeout() -> Int32? {
        // A log that takes nothing is looked at by the second.
        if isReadOnly, !tails.isOwed { return 1_000 }
        return tails.timeout(at: system.wallClock().nanoseconds, seq: machine.book.seq)
    }
    /// While the daemon ends: whether there is nothing more to wait for, or it would take too long.
    private func isOver(_ tail: Tail, _ last: UInt64) -> Bool {
        tail.next > last || tail.next + GateLimits.tailDrainEvents <= last || isReadOnly
            || sessions[Int(tail.descriptor)]?.pointee.stuckSince != nil
    }
}

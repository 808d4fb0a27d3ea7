import CLinux
import Events
import Glibc
import Ledger
import Wire

// `RESERVE … wait= prio=`: what is refused only for a minute or for slots stays at the front of its
// connection's input, unanswered, and is asked again when there may be room. The book knows nothing of
// it; an admission says when the request came.

extension GateLoop {
    // MARK: Coming

    /// Asks, and parks what has to wait; the answer is written otherwise.
    mutating func reserveOrPark(
        _ session: UnsafeMutablePointer<Session>, _ request: borrowing ReserveRequest,
        _ acknowledgement: Acknowledgement
    ) {
        guard let accounts = machine.book.lineage(request.key), !isDraining,
            !session.pointee.hasEnded
        else {
            return conclude(session, machine.reserve(request), acknowledgement)
        }
        let waiting = parking.waiting(of: accounts.team)
        guard waiting < options.waitingMax else {
            var answer = machine.reserve(request)
            // What never fits would not have waited, either.
            if case .denied(var denial) = answer, denial.reason.mayPass,
                denial.resets != nil || denial.limit == .concurrency && denial.amount > 0
            {
                denial.waiting = waiting
                answer = .denied(denial)
            }
            return conclude(session, answer, acknowledgement)
        }
        let ahead = parking.account(
            aheadOf: parking.rank(of: request.priority),
            among: (accounts.key, accounts.team, accounts.org))
        let answer = machine.reserve(request, waiting: ahead == nil ? .patient : .behindOthers)
        let account: UInt32
        var room = Int64.max
        if case .denied(let denial) = answer, let waitsFor = denial.waitsFor {
            account = waitsFor.raw
            room = denial.resets?.nanoseconds ?? .max
        } else if case .wouldAllow = answer, let ahead {
            account = ahead
        } else {
            return conclude(session, answer, acknowledgement)
        }
        let came = Extras.Came(at: machine.now, priority: request.priority)
        session.pointee.parked = parking.park(
            Parking.Ticket(
                descriptor: session.pointee.descriptor, account: account, team: accounts.team,
                came: came, deadline: machine.now.nanoseconds + request.wait * 1_000_000),
            room: room)
    }
    private mutating func conclude(
        _ session: UnsafeMutablePointer<Session>, _ answer: Answer,
        _ acknowledgement: Acknowledgement
    ) {
        count(answer)
        reply(session, answer, acknowledgement)
    }

    // MARK: Asked again

    /// Wakes whom the events of the outbox from an offset on may have given room.
    mutating func wakeWaiting(from start: Int) {
        var at = start
        while at < machine.outbox.count {
            let event = machine.outbox.bytes.slice(at, machine.outbox.count)
            guard let header = try? StoredEvent(event).header,
                let length = StoredEvent.length(event)
            else { preconditionFailure("the outbox holds whole events") }
            at += length
            if header.account == .none { continue }
            switch header.type {
            case .holdSettled, .holdReleased, .holdLapsed:
                guard let accounts = machine.book.lineage(header.account) else { continue }
                parking.wake(accounts.key)
                parking.wake(accounts.team)
                parking.wake(accounts.org)
            // Limits, overrides and whatever else an admin may change of an account.
            case let type where type.carriesJSON: parking.wake(header.account.raw)
            default: break
            }
        }
    }
    /// Asks those again that may have room, those whose time is up, and when nothing may wait any more,
    /// all.
    mutating func askWaiting() {
        if isDraining || machine.isPaused { return askLast(parking.inOrder) }
        while let slot = parking.due(at: machine.now) {
            if parking[slot].deadline <= machine.now.nanoseconds {
                askLast([slot])
                if parking.due(at: machine.now) == slot { return }
            } else {
                parking.wakeByAlarm(slot)
            }
        }
        while hasRoom(), let slot = parking.takeAwake() {
            let account = parking[slot].account
            // Who is behind it may have room where it has none any more.
            if askAgain(slot) { parking.wake(account) }
        }
    }
    private mutating func askLast(_ slots: [UInt32]) {
        for slot in slots {
            // Who is told that the daemon has paused needs no room.
            guard hasRoom() || machine.isPaused else { return }
            let account = parking[slot].account
            let wasFirst = parking.first(of: account) == slot
            _ = ask(slot, isLast: true)
            if wasFirst { parking.wake(account) }
        }
    }
    /// Whether the request has left its queue: answered, or gone to another account's.
    private mutating func askAgain(_ slot: UInt32) -> Bool {
        let before = parking[slot].account
        if let (account, room) = ask(slot, isLast: false) {
            parking.move(slot, to: account, room: room)
            return account != before
        }
        return true
    }
    /// Asks a parked request once more and answers it, unless it is to wait on: then for whose room, and when
    /// there is some by time alone.
    private mutating func ask(_ slot: UInt32, isLast: Bool) -> (account: UInt32, room: Int64)? {
        let ticket = parking[slot]
        let session = sessions[Int(ticket.descriptor)]!
        let input = Bytes(session.pointee.input.base, count: session.pointee.input.count)
        guard case .command(let consumed, _) = parser.next(input) else {
            preconditionFailure("a parked request is whole")
        }
        machine.actor = session.pointee.actor
        var acknowledgement = Acknowledgement.ring
        var request = ReserveRequest()
        let answer: Answer
        var decided: Int?
        defer { if let decided { settlePersons(from: decided) } }
        do throws(Failure) {
            try request.read(parser.arguments, verb: .reserve, acknowledgement: &acknowledgement)
            if let failure = forbidden(session, .reserve) { throw failure }
            if session.pointee.confinement != .none {
                try confine(session, parser.arguments, .reserve)
            }
            resolve(&request.key)
            if !machine.book.personal.isEmpty, !machine.isPaused {
                decided = try protect(&request.text, of: request.key)
            }
            if !isLast, let accounts = machine.book.lineage(request.key),
                let ahead = parking.account(
                    aheadOf: ticket.rank, among: (accounts.key, accounts.team, accounts.org))
            {
                return (ahead, .max)
            }
            answer = machine.reserve(
                request, waiting: isLast ? .last(since: ticket.came) : .since(ticket.came))
        } catch {
            answer = .failed(error)
        }
        if case .denied(let denial) = answer, let account = denial.waitsFor {
            return (account.raw, denial.resets?.nanoseconds ?? .max)
        }
        parking.remove(slot)
        session.pointee.parked = Parking.none
        count(answer)
        reply(session, answer, acknowledgement)
        session.pointee.input.removeFirst(consumed)
        markDirty(session)
        session.pointee.isFreed = true
        freed.append(ticket.descriptor)
        return nil
    }
    /// Goes on with what connections had sent behind a request that has been answered now.
    mutating func resumeFreed() {
        var i = 0
        // More may come to the list meanwhile.
        while i < freed.count {
            if let session = sessions[Int(freed[i])], session.pointee.isFreed {
                session.pointee.isFreed = false
                resume(session)
            }
            i += 1
        }
        freed.removeAll()
    }

    // MARK: Going

    /// Something happened to a connection whose request is parked. It is gone with a client that is gone.
    /// A client that has only ended writing may still read, and over TCP nobody can tell the two apart:
    /// so it is asked a last time, and no hold is placed later for somebody who is not there.
    mutating func serveParked(_ session: UnsafeMutablePointer<Session>, _ events: UInt32) {
        if events & (UInt32(EPOLLHUP.rawValue) | UInt32(EPOLLERR.rawValue)) != 0 {
            return drop(session)
        }
        if events & UInt32(EPOLLOUT.rawValue) != 0 { markDirty(session) }
        if events & UInt32(EPOLLRDHUP.rawValue) != 0 {
            session.pointee.hasEnded = true
            // At the end of this turn, or when the ring has room for what it is told.
            parking.expire(session.pointee.parked, at: machine.now)
            updateInterest(session)
        }
    }
    /// Forgets the parked request of a connection that is about to be dropped.
    mutating func forgetParked(_ session: UnsafeMutablePointer<Session>) {
        let slot = session.pointee.parked
        guard slot != Parking.none else { return }
        let account = parking[slot].account
        parking.remove(slot)
        parking.wake(account)
    }
    /// How long nobody has to look at those that wait, in milliseconds; nil when there are none.
    mutating func waitingTimeout() -> Int32? {
        guard !parking.isEmpty else { return nil }
        let left = parking.nextAlarm - machine.now.nanoseconds
        // What is due and was not asked waits for room in the ring, as `stalled` does, or for the next turn.
        if left <= 0 || parking.hasAwake { return hasRoom() ? 0 : 10 }
        return Int32(clamping: (left + 999_999) / 1_000_000)
    }
}

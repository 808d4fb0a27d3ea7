import CLinux
import Events
import Glibc
import Journal
import Ledger

/// How the loop stands, in a few numbers: copied for each round.
struct GateSummary: Sendable {
    var seq: UInt64
    var openHolds: Int
    var connections: Int
    /// The time of what is decided now, the wall clock's, and a clock's that only goes forward.
    var eventTime: Instant
    var clock: Instant
    var monotonic: Int64
}

/// What only the loop knows, copied when somebody asks for the state.
struct GateReport: Sendable {
    var at: Instant
    var seq: UInt64
    var epoch: UInt32
    var accounts: Int
    var models: Int
    var openHolds: Int
    var rememberedHolds: Int
    var isReadOnly: Bool
    var commands: UInt64
    var decisions: UInt64
    var allowed: UInt64
    var denied: UInt64
    var connectionsEver: UInt64
    var connectionsRejected: UInt64
    var connections = Connections()
    /// Those with the most unsent bytes, the most first.
    var largest: [Connection] = []

    /// How many connections are in which state; one may be in several.
    struct Connections: Sendable {
        var all = 0
        var unfinishedRequest = 0
        var awaitingDisk = 0
        var awaitingReader = 0
        var following = 0
        var awaitingRing = 0
        var awaitingRoom = 0
        var notReading = 0
        var ended = 0
        var unsentBytes = 0
    }
    struct Connection: Sendable {
        var id: UInt64
        var address: String
        var user: String
        var clientName: String
        var unsentBytes: Int
        var connectedAt: Instant
    }
    static let largestMax = 10
}

extension GateLoop {
    /// Answers the caretaker: that the loop turns, and what it asked for. It formats and writes nothing.
    mutating func answerCaretaker(_ caretaker: Caretaker) {
        let call = caretaker.takeCall()
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let summary = GateSummary(
            seq: machine.book.seq, openHolds: machine.book.openHolds, connections: sessionCount,
            eventTime: machine.now, clock: system.wallClock(),
            monotonic: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
        caretaker.answer(call, summary, call.wantsReport ? report() : nil)
    }

    private mutating func report() -> GateReport {
        var report = GateReport(
            at: machine.now, seq: machine.book.seq, epoch: machine.book.epoch,
            accounts: machine.book.accountCount, models: machine.book.modelCount,
            openHolds: machine.book.openHolds, rememberedHolds: machine.book.rememberedHolds,
            isReadOnly: isReadOnly, commands: counters.commands, decisions: counters.decisions,
            allowed: counters.allowed, denied: counters.denied,
            connectionsEver: counters.connections,
            connectionsRejected: counters.rejectedConnections)
        var counts = GateReport.Connections()
        // Most connections have nothing unsent: only what makes it into the list is described.
        var largest: [(unsent: Int, session: UnsafeMutablePointer<Session>)] = []
        forEachSession { session in
            let unsent = session.pointee.waiting
            counts.all += 1
            counts.unsentBytes += unsent
            if session.pointee.unfinishedSince != nil { counts.unfinishedRequest += 1 }
            if session.pointee.isHolding { counts.awaitingDisk += 1 }
            if session.pointee.tail != nil {
                counts.following += 1
            } else if session.pointee.awaitsReader {
                counts.awaitingReader += 1
            }
            if session.pointee.isStalled { counts.awaitingRing += 1 }
            if session.pointee.isParked { counts.awaitingRoom += 1 }
            if session.pointee.stuckSince != nil { counts.notReading += 1 }
            if session.pointee.hasEnded { counts.ended += 1 }
            guard unsent > 0 else { return }
            let place = largest.firstIndex { $0.unsent < unsent } ?? largest.count
            guard place < GateReport.largestMax else { return }
            largest.insert((unsent, session), at: place)
            if largest.count > GateReport.largestMax { largest.removeLast() }
        }
        report.connections = counts
        report.largest = largest.map { unsent, session in
            GateReport.Connection(
                id: session.pointee.id, address: session.pointee.address,
                user: session.pointee.userName, clientName: session.pointee.clientName,
                unsentBytes: unsent, connectedAt: session.pointee.connectedAt)
        }
        return report
    }
}

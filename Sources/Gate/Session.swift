import CLinux
import Events
import Wire

/// One connection: what was read and not yet understood, what is to be written and what it waits for.
struct Session: ~Copyable {
    let descriptor: Int32
    /// Never reused, unlike a descriptor.
    let id: UInt64
    /// The peer, for CLIENT LIST: `unix:uid=1000` or `127.0.0.1:5000`.
    let address: String
    let connectedAt: Instant

    // Who asks. No role: nothing but the handshake.
    var role: Role?
    var actor = Actor.daemon
    /// The org or team within which it may; none for the whole ledger.
    var confinement = AccountNumber.none
    var userName = ""
    var clientName = ""
    var version = ProtocolVersion.two
    var wrongPasswords = 0
    /// Since when it has had no role; nil when it has one.
    var strangerSince: Instant?

    /// The beginning of a request whose end has not come yet.
    var input = ByteBuffer(capacity: 16)
    var searched = 0
    /// When the unfinished request began; nil when there is none.
    var unfinishedSince: Instant?

    /// Answers not yet written.
    var output = ByteBuffer(capacity: 16)
    /// How many bytes of answers there have been, and how many the peer's kernel took.
    var queued: UInt64 = 0
    var sent: UInt64 = 0
    /// From the byte `offset` on, answers wait until `seq` is durable.
    private var barriers: [Barrier] = []
    private var firstBarrier = 0
    /// How many of the waiting bytes are in the loop's account of all of them.
    var countedBytes = 0
    /// When a write last got on, while answers wait for the peer to read.
    var stuckSince: Instant?

    /// What epoll watches for.
    var interest: UInt32 = 0
    /// A reader thread works on this connection's request; those behind it wait.
    var awaitsReader = false
    /// It follows the log; then it awaits readers all the time, but whatever it sends is read, and ends
    /// that.
    var tail: Tail?
    /// The ring was full: whole requests stand in `input`.
    var isStalled = false
    /// Its request at the front of `input` waits for room, under this ticket of the `Parking`.
    var parked = Parking.none
    var isParked: Bool { parked != Parking.none }
    /// In the list of connections whose parked request was answered in this turn.
    var isFreed = false
    /// In the list of connections that are served again in the next turn.
    var isResumable = false
    /// The peer will send nothing more, and may still read.
    var hasEnded = false
    /// In the list of connections to be flushed at the end of the turn.
    var isDirty = false
    /// In the list of connections whose answers wait for the disk.
    var isHolding = false
    var closesAfterFlush = false

    struct Barrier {
        var offset: UInt64
        var seq: UInt64
        var turn: UInt64
    }

    /// Who the peer is before any AUTH: what the kernel says of a Unix peer, nobody over TCP.
    private let peerRole: Role?
    private let peerActor: Actor

    init(
        descriptor: Int32, id: UInt64, address: String, connectedAt: Instant, role: Role?,
        actor: Actor
    ) {
        self.descriptor = descriptor
        self.id = id
        self.address = address
        self.connectedAt = connectedAt
        peerRole = role
        peerActor = actor
        self.role = role
        self.actor = actor
    }
    /// As it was on connecting: a pooled connection hands no operator's rights on.
    mutating func reset() {
        role = peerRole
        actor = peerActor
        confinement = .none
        userName = ""
        clientName = ""
        version = .two
    }

    /// Whether the sweep has to look at it: something of it is overdue some day.
    var isWatched: Bool {
        unfinishedSince != nil || stuckSince != nil || strangerSince != nil
    }
    /// Whether the loop counts it among those.
    var isCounted = false
    /// Bytes of answers that wait.
    var waiting: Int { Int(queued - sent) }

    /// Holds back what is appended from here on until `seq` is durable. One turn's answers share a
    /// barrier: its events become durable together.
    mutating func holdBack(until seq: UInt64, turn: UInt64) {
        if let last = barriers.indices.last, last >= firstBarrier, barriers[last].turn == turn {
            barriers[last].seq = max(barriers[last].seq, seq)
            return
        }
        barriers.append(Barrier(offset: queued, seq: seq, turn: turn))
    }
    /// How many of the waiting bytes may leave now that `durable` is on disk.
    mutating func writable(durable: UInt64) -> Int {
        while firstBarrier < barriers.count, barriers[firstBarrier].seq <= durable {
            firstBarrier += 1
        }
        guard firstBarrier < barriers.count else {
            if firstBarrier > 0 {
                barriers.removeAll(keepingCapacity: true)
                firstBarrier = 0
            }
            return waiting
        }
        if firstBarrier > 256 {
            barriers.removeFirst(firstBarrier)
            firstBarrier = 0
        }
        return Int(barriers[firstBarrier].offset - sent)
    }
    /// The seq that the last waiting answer needs; nil when none waits for the disk.
    var awaitedSeq: UInt64? {
        firstBarrier < barriers.count ? barriers[barriers.count - 1].seq : nil
    }
}

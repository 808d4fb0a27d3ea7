import Events

/// Requests that wait for room: each for an account's, lowest priority number first, then the oldest.
///
/// It knows neither sockets nor the ledger. Whose room may have grown is *woken*, and only the first of
/// its queue is asked again; whose time or whose minute comes is found by its *alarm*. So nobody looks
/// at all that wait, however many they are. A connection has at most one request here (those behind it
/// keep their order by waiting in its input), and a team at most `DaemonOptions.waitingMax`.
struct Parking: ~Copyable {
    struct Ticket {
        var descriptor: Int32
        /// Whose room it waits for: its key, its team or its org.
        var account: UInt32
        var team: UInt32
        var came: Extras.Came
        /// Nanoseconds of event time at which its time is up.
        var deadline: Int64
        /// Smaller is asked first: the priority in the top byte, then the order of coming.
        var rank: UInt64 = 0
    }
    private struct Queue {
        var account: UInt32 = 0
        var heap = PlacedHeap()
    }

    private var tickets: [Ticket] = []
    private var freeTickets: [UInt32] = []
    private var queues: [Queue] = []
    private var freeQueues: [UInt32] = []
    private var queueOfAccount: [UInt32: UInt32] = [:]
    private var waitingOfTeam: [UInt32: Int] = [:]
    /// By alarm, all tickets; by the rank of its first, the queues that are to be asked.
    private var alarms = PlacedHeap()
    private var awake = PlacedHeap()
    /// Where tickets stand in their queue and among the alarms, and queues among the woken.
    private var queuePlaces: [Int32] = []
    private var alarmPlaces: [Int32] = []
    private var awakePlaces: [Int32] = []
    private var orders: UInt64 = 0
    private(set) var count = 0

    static let none = UInt32.max

    var isEmpty: Bool { count == 0 }
    var hasAwake: Bool { !awake.isEmpty }
    /// The instant, in nanoseconds, at which the next is to be looked at; `.max` for none.
    var nextAlarm: Int64 { alarms.first.map { Int64($0.key) } ?? .max }
    subscript(slot: UInt32) -> Ticket { tickets[Int(slot)] }
    func waiting(of team: UInt32) -> Int { waitingOfTeam[team] ?? 0 }

    // MARK: Coming, moving, going

    /// - Parameter room: when its account has room by time alone, if it is the first to be told.
    mutating func park(_ ticket: Ticket, room: Int64) -> UInt32 {
        var ticket = ticket
        ticket.rank = rank(of: ticket.came.priority)
        orders += 1
        let slot: UInt32
        if let free = freeTickets.popLast() {
            slot = free
            tickets[Int(slot)] = ticket
        } else {
            slot = UInt32(tickets.count)
            tickets.append(ticket)
            queuePlaces.append(-1)
            alarmPlaces.append(-1)
        }
        count += 1
        waitingOfTeam[ticket.team, default: 0] += 1
        enqueue(slot)
        setAlarm(slot, room: room)
        return slot
    }
    mutating func remove(_ slot: UInt32) {
        let ticket = tickets[Int(slot)]
        dequeue(slot)
        alarms.remove(slot, &alarmPlaces)
        let others = waitingOfTeam[ticket.team]! - 1
        waitingOfTeam[ticket.team] = others > 0 ? others : nil
        freeTickets.append(slot)
        count -= 1
    }
    /// Waits for another account's room from now on, at the place that its rank has there.
    mutating func move(_ slot: UInt32, to account: UInt32, room: Int64) {
        if tickets[Int(slot)].account != account {
            dequeue(slot)
            tickets[Int(slot)].account = account
            enqueue(slot)
        }
        setAlarm(slot, room: room)
    }
    /// All of them, in the order in which they are to be asked.
    var inOrder: [UInt32] {
        alarms.slots.sorted { tickets[Int($0)].rank < tickets[Int($1)].rank }
    }

    /// Its time is up from that instant on, whatever it was to be.
    mutating func expire(_ slot: UInt32, at now: Instant) {
        tickets[Int(slot)].deadline = min(tickets[Int(slot)].deadline, now.nanoseconds)
        setAlarm(slot, room: .max)
    }

    /// Only who is first has to know when there is room: the others are asked after it.
    private mutating func setAlarm(_ slot: UInt32, room: Int64) {
        let ticket = tickets[Int(slot)]
        let isFirst = first(of: ticket.account) == slot
        alarms.remove(slot, &alarmPlaces)
        alarms.insert(
            UInt64(max(0, isFirst ? min(ticket.deadline, room) : ticket.deadline)), slot,
            &alarmPlaces)
    }
    private mutating func enqueue(_ slot: UInt32) {
        let ticket = tickets[Int(slot)]
        let queue = queueOfAccount[ticket.account] ?? newQueue(ticket.account)
        queues[Int(queue)].heap.insert(ticket.rank, slot, &queuePlaces)
    }
    private mutating func dequeue(_ slot: UInt32) {
        let account = tickets[Int(slot)].account
        let queue = queueOfAccount[account]!
        queues[Int(queue)].heap.remove(slot, &queuePlaces)
        guard queues[Int(queue)].heap.isEmpty else { return }
        awake.remove(queue, &awakePlaces)
        queueOfAccount[account] = nil
        freeQueues.append(queue)
    }
    private mutating func newQueue(_ account: UInt32) -> UInt32 {
        let queue: UInt32
        if let free = freeQueues.popLast() {
            queue = free
        } else {
            queue = UInt32(queues.count)
            queues.append(Queue())
            awakePlaces.append(-1)
        }
        queues[Int(queue)].account = account
        queueOfAccount[account] = queue
        return queue
    }

    // MARK: Order

    func first(of account: UInt32) -> UInt32? {
        queueOfAccount[account].flatMap { queues[Int($0)].heap.first?.slot }
    }
    /// The account of these for whose room somebody waits who is to be asked before this rank.
    func account(aheadOf rank: UInt64, among accounts: (UInt32, UInt32, UInt32)) -> UInt32? {
        for account in [accounts.0, accounts.1, accounts.2] {
            if let first = first(of: account), tickets[Int(first)].rank < rank { return account }
        }
        return nil
    }
    /// The rank of one that comes now.
    func rank(of priority: UInt8) -> UInt64 { UInt64(priority) << 56 | (orders + 1) }

    /// An account may have more room than it had: its first is to be asked.
    mutating func wake(_ account: UInt32) {
        guard let queue = queueOfAccount[account], awakePlaces[Int(queue)] < 0 else { return }
        awake.insert(queues[Int(queue)].heap.first!.key, queue, &awakePlaces)
    }
    /// The first of a woken queue, the best of all; the queue sleeps again.
    mutating func takeAwake() -> UInt32? {
        while let (key, queue) = awake.first {
            let first = queues[Int(queue)].heap.first!
            awake.remove(queue, &awakePlaces)
            if first.key == key { return first.slot }
            // Somebody else has become its first since it was woken.
            awake.insert(first.key, queue, &awakePlaces)
        }
        return nil
    }
    /// One whose alarm has come, the earliest; it keeps it until it is moved or removed.
    func due(at now: Instant) -> UInt32? {
        guard let first = alarms.first, Int64(first.key) <= now.nanoseconds else { return nil }
        return first.slot
    }
    /// Its account's minute has room; from here on only its time may be up.
    mutating func wakeByAlarm(_ slot: UInt32) {
        setAlarm(slot, room: .max)
        wake(tickets[Int(slot)].account)
    }
}

/// A binary heap, smallest key first, of slots that know their place, so that any can be taken out. A slot
/// that is in none has place −1.
struct PlacedHeap {
    private var entries: [(key: UInt64, slot: UInt32)] = []

    var isEmpty: Bool { entries.isEmpty }
    var first: (key: UInt64, slot: UInt32)? { entries.first }
    var slots: [UInt32] { entries.map(\.slot) }

    mutating func insert(_ key: UInt64, _ slot: UInt32, _ places: inout [Int32]) {
        entries.append((key, slot))
        rise(entries.count - 1, &places)
    }
    mutating func remove(_ slot: UInt32, _ places: inout [Int32]) {
        let at = Int(places[Int(slot)])
        guard at >= 0 else { return }
        places[Int(slot)] = -1
        let last = entries.removeLast()
        guard at < entries.count else { return }
        entries[at] = last
        rise(at, &places)
        sink(Int(places[Int(last.slot)]), &places)
    }
    private mutating func rise(_ start: Int, _ places: inout [Int32]) {
        var at = start
        while at > 0, entries[at].key < entries[(at - 1) / 2].key {
            entries.swapAt(at, (at - 1) / 2)
            places[Int(entries[at].slot)] = Int32(at)
            at = (at - 1) / 2
        }
        places[Int(entries[at].slot)] = Int32(at)
    }
    private mutating func sink(_ start: Int, _ places: inout [Int32]) {
        var at = start
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2]
            where child < entries.count && entries[child].key < entries[least].key {
                least = child
            }
            if least == at { break }
            entries.swapAt(at, least)
            places[Int(entries[at].slot)] = Int32(at)
            at = least
        }
        places[Int(entries[at].slot)] = Int32(at)
    }
}

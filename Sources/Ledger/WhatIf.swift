import Events

/// A past period once more, under other rules and in memory: beside the log's own book another one, to
/// which the other rules are added when the period begins; then each request is asked of it anew.
///
/// Both books stand at the same event all the time, and what the other one decides has the seq of the
/// event that it takes the place of. So a hold has one name in both, and with no other rules at all the
/// two are equal to the last byte.
///
/// What was admitted then and is admitted here ends as it ended: with the actual usage, released, or
/// lapsed. What was refused then and is admitted here has no usage; it holds all that it asked for as long
/// as others took, then counts with all of it, which is the most that it can have cost, and is told apart.
package struct WhatIf: ~Copyable {
    /// The log's own.
    var past = Book()
    /// With the other rules.
    var machine: Machine
    var report = WhatIfReport()
    /// The last event before the period.
    var began: UInt64 = 0
    /// What the other rules have decided, so that the period's own changes of the same are left out.
    var claims: Set<WhatIfClaim> = []  // unordered: never iterated

    /// The holds of the log that are refused here, and what each has cost there.
    var refused: [HoldName: RefusedHold] = [:]  // unordered: never iterated
    /// Those of them that have ended, the oldest first: a late settlement or a correction may follow.
    var ended: [HoldName] = []
    var hasForgotten = false
    /// What was admitted here of requests that were refused then, by its id: asked again it may have been
    /// admitted then, too, and is the same request.
    var estimates: [IDHash: Estimate] = [:]  // unordered: never iterated
    var estimateIDs: [IDHash] = []
    var runs = EstimateRuns()
    var durations = Durations()

    struct RefusedHold {
        var cause: WhatIfReport.Cause
        var usd: Int64 = 0
        var hasEnded = false
    }
    struct Estimate {
        var hold: HoldName
        var cause: WhatIfReport.Cause
        var usd: Int64
    }
    /// Of holds that have ended and of ids; what is older is forgotten, so that no log is too long.
    static let rememberedMax = 1 << 16

    package init(calendar: ZoneCalendar) {
        machine = Machine(book: Book(), calendar: calendar)
    }

    /// The last event that both books hold.
    package var seq: UInt64 { past.seq }

    /// Folds events before the period into both books, and learns from them how long requests take.
    package mutating func skip(_ run: Bytes, gap: Int) throws(EventError) {
        try machine.book.fold(run, gap: gap)
        var at = 0
        while at < run.count {
            guard let bytes = Book.event(run, at, gap) else { throw .truncated }
            try noteDuration(bytes)
            try past.fold(bytes, id: .none)
            at &+= gap &+ bytes.count
        }
    }
    /// Begins the period; what comes next is asked anew.
    package mutating func begin(at now: Instant) {
        machine.now = max(past.time, now)
        machine.book.prices.bring(to: machine.now)
        began = past.seq
        report.begin(past)
    }
    /// Adds a rule that stands from here, the period's beginning or behind one of its events, to its end.
    package mutating func add(_ type: EventType, _ payload: JSON) throws(Failure) {
        machine.actor = .daemon
        machine.epoch = past.epoch
        // As the event before the period: a minute that is counted from here on holds what comes next.
        machine.book.seq = max(past.seq, 1) - 1
        _ = try machine.append(type, payload, secret: [])
        machine.book.seq = past.seq
        machine.outbox.removeAll()
        claims.formUnion(WhatIfClaim.made(by: type, payload))
    }
    /// Runs events of the period, which lie one behind the other.
    ///
    /// - Parameter gap: bytes in front of each that are not its own.
    package mutating func run(_ run: Bytes, gap: Int) throws(EventError) {
        var at = 0
        while at < run.count {
            guard let bytes = Book.event(run, at, gap) else { throw .truncated }
            let event = try StoredEvent(bytes)
            guard event.header.seq == past.seq + 1, event.header.time >= past.time else {
                throw .malformed("sequence number or time")
            }
            endEstimates(by: event.header.time, seq: event.header.seq - 1)
            machine.stand(before: event.header)
            try ask(event)
            try past.fold(bytes, id: .none)
            machine.book.advance(event.header)
            machine.outbox.removeAll()
            at &+= gap &+ bytes.count
        }
    }
    /// What became of the period.
    package mutating func finish() -> WhatIfReport {
        endEstimates()
        report.end(past, machine.book)
        return report
    }

    // MARK: Books

    package func withPast<R, E: Error>(_ body: (borrowing Book) throws(E) -> R) throws(E) -> R {
        try body(past)
    }
    package func withOther<R, E: Error>(_ body: (borrowing Book) throws(E) -> R) throws(E) -> R {
        try body(machine.book)
    }

    private mutating func ask(_ event: StoredEvent) throws(EventError) {
        switch event.header.type {
        case .holdPlaced: place(try HoldPlaced(event))
        case .holdRefused: refuse(try HoldRefused(event))
        case .holdExtended: extend(try HoldExtended(event))
        case .holdSettled: settle(try HoldSettled(event))
        case .holdReleased: release(try HoldReleased(event))
        case .holdLapsed: lapse(try HoldLapsed(event))
        case .chargeRecorded: charge(try ChargeRecorded(event))
        case .refusalsSummed: report.summed += UInt64(try RefusalsSummed(event).refusals)
        default: try follow(try DocumentEvent(event), event.bytes)
        }
    }
}

extension Machine {
    /// Takes its place before an event of the past: what is decided next has that event's seq and time.
    mutating func stand(before header: EventHeader) {
        now = header.time
        if now.nanoseconds >= book.prices.nextChange { book.prices.bring(to: now) }
        epoch = header.epoch
        // What is due by itself is either that event, or was not due then and stands just before it.
        let back: UInt64 = header.type.isDue ? 1 : 2
        while book.schedule.next <= now.nanoseconds {
            book.seq = max(header.seq, back) - back
            perform(book.schedule.takeDue(at: now)!)
        }
        actor = header.actor
        book.seq = header.seq - 1
    }
    /// The same once more for a key's event, with the windows open that it counts in.
    mutating func open(_ org: UnsafeMutablePointer<OrgRow>, before header: EventHeader) {
        openWindows(org)
        book.seq = header.seq - 1
    }
}

extension EventType {
    /// Whether the daemon appends it when its time has come.
    fileprivate var isDue: Bool {
        switch self {
        case .overrideEnded, .creditExpired, .keyRotationDue: true
        default: false
        }
    }
}

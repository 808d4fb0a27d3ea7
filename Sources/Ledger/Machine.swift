import Events

/// The ledger as a deterministic machine: commands and the time in, answers and events out.
///
/// It decides on the book, writes what it decided as events into `outbox` and folds them at once. It
/// has no thread, socket, disk or clock; the gate (or a simulator) tells it the time once a turn,
/// moves the outbox into the ring, and only then lets the answers go.
package struct Machine: ~Copyable {
    package internal(set) var book: Book
    /// The events of this turn, whole and in order; the gate stages them and empties it.
    package var outbox = ByteBuffer(capacity: 1 << 20)
    /// The event time of this turn.
    package internal(set) var now: Instant
    /// Who asks; the gate sets it before each command.
    package var actor = Actor.daemon
    /// Whether reserves are refused because the disk is nearly full.
    package var isPaused = false

    /// How the request that is being decided waits.
    var waiting = Waiting.no
    let calendar: ZoneCalendar
    var epoch: UInt32
    var floods = RefusalFloods()
    /// What the event says that is being written besides its layout.
    var extras = Extras.Writer()
    /// A lower-case copy of the model that was asked for.
    var folded: UnsafeMutablePointer<UInt8> = .allocate(capacity: 256)
    /// While an answer of the past is derived anew: what its event says besides its layout. The event of
    /// a refusal then goes to `draft`, and nothing is folded.
    var reviewed: Extras?
    var draft = ByteBuffer()
    /// The event behind which a start may still write sums of a run before it.
    var startedAt: UInt64 = 0
    /// The names that a refusal's hint gives.
    var hints = ByteBuffer(capacity: 1_024)

    /// - Parameter book: as folded from the log; a fresh one for a new ledger.
    package init(book: consuming Book, calendar: ZoneCalendar) {
        now = book.time
        epoch = book.epoch
        self.book = book
        self.calendar = calendar
        self.book.prices.bring(to: now)
    }
    deinit { folded.deallocate() }

    /// Begins an epoch: this run's first event, and the ledger's own for a new one.
    ///
    /// - Parameters:
    ///   - ledger: 32 hexadecimal digits that name the data directory.
    ///   - restored: set when the log goes on from a backup.
    ///   - skipping: so many epochs are left out, because a copy of this log may have begun them.
    package mutating func start(
        ledger: String, version: String, pending: PendingSums? = nil,
        restored: Restoration? = nil, skipping: UInt32 = 0
    ) {
        epoch = book.epoch + 1 + skipping
        if book.seq == 0 {
            emit(
                .ledgerCreated,
                .object([
                    JSON.Member("ledger", .string(ledger)),
                    JSON.Member("version", .string(version)),
                ]))
        }
        var start = [JSON.Member("version", .string(version))]
        if let restored { start.append(JSON.Member("restored", restored.json)) }
        emit(.epochStarted, .object(start))
        for sum in pending?.sums ?? [] { write(sum, of: pending!.second) }
    }

    /// Begins a turn: time moves on, sums of refused floods are written, holds that are due lapse.
    ///
    /// - Parameters:
    ///   - mayWrite: whether the log has room; without, only the time moves.
    ///   - lapsesMax: how many lapses, and other events that are due by themselves, one turn may
    ///     write; the rest follow in the next.
    /// - Returns: whether more are due.
    @discardableResult
    package mutating func advance(
        to wall: Instant, mayWrite: Bool = true, lapsesMax: Int = 4_096
    ) -> Bool {
        now = max(now, wall)
        if now.nanoseconds >= book.prices.nextChange { book.prices.bring(to: now) }
        guard mayWrite else { return false }
        if floods.second < now.second { writeRefusalSums() }
        var written = 0
        while book.schedule.next <= now.nanoseconds {
            if written == lapsesMax { return true }
            perform(book.schedule.takeDue(at: now)!)
            written += 1
        }
        while let slot = book.holds.nextDue(at: now) {
            if written == lapsesMax { return true }
            lapse(slot)
            written += 1
        }
        return false
    }
    /// Writes the sums of the running second before it is over; at the end of a run.
    package mutating func finish() { writeRefusalSums() }
    /// The next instant at which a turn is due although nobody asks; nil when there is none.
    package var nextDeadline: Instant? {
        var second = book.holds.nextDeadline(after: now)
        if floods.hasSums { second = min(second ?? .max, floods.second + 1) }
        var deadline = second.map { Instant(seconds: $0) }
        if book.schedule.next != .max {
            deadline = min(deadline ?? .distantFuture, Instant(nanoseconds: book.schedule.next))
        }
        return deadline
    }

    // MARK: Events

    @inline(__always)
    func header(_ type: EventType, _ account: AccountNumber = .none) -> EventHeader {
        EventHeader(
            type: type, epoch: epoch, seq: book.seq + 1, time: now, actor: actor, account: account)
    }
    mutating func emit(
        _ type: EventType, account: AccountNumber = .none, number: UInt32 = 0, flags: UInt8 = 0,
        _ payload: JSON
    ) {
        var text = ByteBuffer(capacity: 512)
        text.append(canonical: payload)
        var header = header(type, account)
        header.flags = flags
        let event = DocumentEvent(header: header, number: number, json: text.bytes)
        event.encode(into: &outbox)
        do throws(EventError) {
            try book.apply(event)
        } catch {
            // It was checked before it was written, so this is our own mistake; the log must not
            // go on with a book that disagrees with it.
            preconditionFailure("a decided \(type.name) does not fold: \(error.explanation)")
        }
    }

    mutating func lapse(_ slot: UInt32) {
        let row = book.holds.row(slot)
        let chain = book.accounts.chain(ofKey: row.pointee.key)
        let (tokens, usd) = book.lapseCharge(row, chain)
        let asker = actor
        actor = .daemon
        var event = HoldLapsed(
            header: header(.holdLapsed, AccountNumber(row.pointee.key)), hold: row.pointee.name,
            tokens: tokens, usd: Nanodollars(usd))
        if usd > 0, chain.org.pointee.flags.contains(.billed) { event.extras = bill(chain, usd) }
        event.encode(into: &outbox)
        book.apply(event, to: slot)
        actor = asker
    }

    /// Opens the calendar windows of an org that are over, before an event that crosses into them.
    @inline(__always)
    mutating func openWindows(_ org: UnsafeMutablePointer<OrgRow>) {
        if now.nanoseconds >= org.pointee.nextBoundary { openElapsedWindows(org) }
    }
    // Out of line: once an hour for each org.
    @inline(never) private mutating func openElapsedWindows(_ org: UnsafeMutablePointer<OrgRow>) {
        let account = org.pointee.account
        let zone = book.accounts.zones[Int(book.accounts.rows.pointer(account).pointee.org)]
        let asker = actor
        actor = .daemon
        for cell in 0..<WindowCell.calendarCount where !org.pointee.isOpen(cell, at: now) {
            let window = WindowCell.window(cell)
            let bounds = calendar.bounds(zone, window, now)
            precondition(bounds.start <= now && now < bounds.end, "a window holds its instant")
            // A zone's rules may change between two answers; windows follow one another all the same,
            // or a hold of the window before would count as placed in this one.
            let start = max(bounds.start, Instant(nanoseconds: org.pointee.end[cell]))
            emit(
                .windowOpened, account: AccountNumber(account),
                .object([
                    JSON.Member("account", .string(book.path(of: AccountNumber(account))!.string)),
                    JSON.Member("zone", .string(zone)),
                    JSON.Member("window", .string("\(window.name)")),
                    JSON.Member("start", .string(start.description)),
                    JSON.Member("end", .string(bounds.end.description)),
                ]))
        }
        actor = asker
    }

    mutating func writeRefusalSums() {
        let asker = actor
        actor = .daemon
        for sum in pendingSums.sums { write(sum, of: floods.second) }
        floods.begin(second: now.second)
        actor = asker
    }
    private mutating func write(_ sum: PendingSums.Sum, of second: Int64) {
        let event = RefusalsSummed(
            header: header(.refusalsSummed, AccountNumber(sum.key)), reason: sum.reason,
            refusals: sum.refusals, second: second)
        event.encode(into: &outbox)
        book.advance(event.header)
    }

    /// The refusals of the running second that are counted and not yet written; the gate keeps them
    /// where a crash cannot take them.
    package var pendingSums: PendingSums {
        PendingSums(
            second: floods.second,
            sums: (0..<floods.summedCount).map {
                let entry = floods.summed($0)
                return PendingSums.Sum(key: entry.key, reason: entry.reason, refusals: entry.extra)
            })
    }
    /// Changes whenever `pendingSums` does.
    package var floodVersion: UInt64 { floods.version }
}

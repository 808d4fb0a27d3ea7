import Events
import Journal
import Wire

// The life of one request, told from the log: who placed it, what became of it, what it cost.

extension Readers {
    /// `{"request":…,"state":…,"spent":…,"events":[…],"next":…}`; `next` is with which event to go on.
    func writeLife(
        _ name: LifeQuery.Name, _ from: UInt64?, under top: String, _ names: inout NameCache,
        into json: inout ByteBuffer
    ) throws(Failure) {
        let request = try request(named: name, under: top, &names)
        let first = from ?? request.first
        let end = journal.durableSeq
        // A refusal has no further life than its own event.
        let reach = request.refusal == nil ? GateLimits.lifeEventsMax : 1
        let last = min(end, first + reach - 1)
        var life = Life(hold: request.hold)
        var copies = ByteBuffer(capacity: 4_096)
        if first <= last { try collect(&life, from: first, through: last, into: &copies) }
        if life.state == nil, from == nil, last == end {
            throw Failure(
                .unknownHold,
                "no request \(request.hold) in the log, which ends with event \(end)")
        }
        var object = ObjectWriter(opening: &json)
        if request.refusal == nil {
            object.field("request", request.hold, into: &json)
        } else {
            object.null("request", into: &json)
        }
        if let state = life.state {
            object.field("state", Bytes(state), into: &json)
        } else {
            object.null("state", into: &json)
        }
        if let spent = life.spent { object.field("spent", spent, into: &json) }
        if let billed = life.billed {
            object.field("billed", billed.amount, into: &json)
            object.field("currency", billed.currency.name, into: &json)
        }
        object.name("events", into: &json)
        json.append(UInt8(ascii: "["))
        var at = 0
        while at < copies.count,
            let event = try? StoredEvent(copies.bytes.slice(at, copies.count))
        {
            if at > 0 { json.append(UInt8(ascii: ",")) }
            try refuseOutside(event.header.account, top, &names)
            try export(event, &names, into: &json)
            at += event.bytes.count
        }
        json.append(UInt8(ascii: "]"))
        if last < end, request.refusal == nil {
            object.field("next", Int64(last + 1), into: &json)
        } else {
            object.null("next", into: &json)
        }
        json.append(UInt8(ascii: "}"))
    }

    /// Which request is meant, and the event with which its life may begin.
    private func request(
        named name: LifeQuery.Name, under top: String, _ names: inout NameCache
    ) throws(Failure) -> (hold: HoldName, first: UInt64, refusal: UInt64?) {
        switch name {
        case .hold(let hold):
            // In the running epoch its event has this number; in one that a power cut ended it may have
            // been lost, and settled since.
            return (hold, max(hold.seq, 1), nil)
        case .event(let seq):
            guard seq <= journal.durableSeq else {
                throw Failure(
                    .error, "event \(seq) is not in the log, which ends with \(journal.durableSeq)")
            }
            var copy = ByteBuffer(capacity: 1_024)
            let event = try copyEvent(seq, into: &copy)
            try refuseOutside(event.header.account, top, &names)
            if event.header.type == .holdRefused {
                return (HoldName(epoch: event.header.epoch, seq: seq), seq, seq)
            }
            guard let hold = Life.request(of: event.bytes) else {
                throw Failure(
                    .error,
                    "event \(seq) is \(event.header.type.name), which is about no single request; "
                        + "EVENTS from=\(seq) limit=1 shows it")
            }
            // A late settlement may name a hold that this log never gave out.
            return (hold, max(min(hold.seq, seq), 1), nil)
        }
    }

    /// The log knows requests that the book has forgotten, so whoever is confined is refused here.
    private func refuseOutside(
        _ account: AccountNumber, _ top: String, _ names: inout NameCache
    ) throws(Failure) {
        guard !top.isEmpty, !names.isUnder(account, top) else { return }
        throw Failure(
            .noPermission,
            "that is outside of \(top), to which this operator is confined; that needs "
                + "\(Role.permitted(.explain)) over it")
    }
    /// Copies the events of the request out of the log, page by page.
    private func collect(
        _ life: inout Life, from: UInt64, through: UInt64, into copies: inout ByteBuffer
    ) throws(Failure) {
        var failure: Failure?
        do throws(JournalError) {
            try journal.readPages(from: from, through: through) { page in
                if isStopped {
                    failure = Failure(.unavailable, "the daemon is stopping")
                    return false
                }
                for bytes in page.events where life.isAbout(bytes) {
                    do throws(EventError) {
                        life.add(try StoredEvent(bytes))
                    } catch {
                        failure = Failure(.error, error.explanation)
                        return false
                    }
                    copies.append(bytes)
                }
                return true
            }
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
        if let failure { throw failure }
    }
}

/// One request, as far as the events that were looked through tell of it.
struct Life {
    let hold: HoldName
    private(set) var state: StaticString?
    private(set) var spent: Nanodollars?
    /// Where its org is billed otherwise than list prices in dollars.
    private(set) var billed: Extras.Billed?

    init(hold: HoldName) { self.hold = hold }

    /// The request that a stored event is about; nil for what is not about one.
    static func request(of event: Bytes) -> HoldName? {
        guard let stored = try? StoredEvent(event) else { return nil }
        switch stored.header.type {
        case .holdPlaced: return HoldName(epoch: stored.header.epoch, seq: stored.header.seq)
        case .holdExtended: return (try? HoldExtended(stored))?.hold
        case .holdSettled: return (try? HoldSettled(stored))?.hold
        case .holdReleased: return (try? HoldReleased(stored))?.hold
        case .holdLapsed: return (try? HoldLapsed(stored))?.hold
        case .chargeRecorded:
            guard let charge = try? ChargeRecorded(stored) else { return nil }
            return charge.hold ?? charge.name
        case .chargeCorrected: return ChargeCorrected(stored: stored)?.charge
        default: return nil
        }
    }
    func isAbout(_ event: Bytes) -> Bool {
        // Millions of events may be looked at, so most are told apart by their number and type alone.
        let at = event.base.unsafelyUnwrapped
        switch at.field(UInt8.self, 2) {
        case EventType.holdPlaced.rawValue: return isNamed(at)
        case EventType.holdRefused.rawValue:
            // Its own, or one to an open hold that was to grow.
            return isNamed(at) || at.field(UInt8.self, 3) & Extras.flag != 0 && isGrowth(event)
        case EventType.holdExtended.rawValue, EventType.holdSettled.rawValue,
            EventType.holdReleased.rawValue, EventType.holdLapsed.rawValue,
            EventType.chargeRecorded.rawValue, EventType.chargeCorrected.rawValue:
            return Life.request(of: event) == hold
        default: return false
        }
    }
    private func isNamed(_ at: UnsafeRawPointer) -> Bool {
        at.field(UInt64.self, 8) == hold.seq && at.field(UInt32.self, 4) == hold.epoch
    }
    private func isGrowth(_ event: Bytes) -> Bool {
        guard let stored = try? StoredEvent(event), let refused = try? HoldRefused(stored) else {
            return false
        }
        return refused.extras.growing == hold
    }
    mutating func add(_ event: StoredEvent) {
        switch event.header.type {
        case .holdPlaced: state = "open"
        case .holdRefused: if state == nil { state = "refused" }
        case .holdSettled:
            state = "settled"
            let settled = try? HoldSettled(event)
            (spent, billed) = (settled?.usd, settled?.extras.billed)
        case .holdReleased:
            state = "released"
            spent = .zero
        case .holdLapsed:
            state = "lapsed"
            let lapsed = try? HoldLapsed(event)
            (spent, billed) = (lapsed?.usd, lapsed?.extras.billed)
        case .chargeRecorded:
            state = "charged"
            let charge = try? ChargeRecorded(event)
            (spent, billed) = (charge?.usd, charge?.extras.billed)
        case .chargeCorrected:
            guard let corrected = ChargeCorrected(stored: event) else { return }
            (spent, billed) = (corrected.usd, corrected.billed)
        default: break
        }
    }
}

import Events

// Who asked, of the past: what an operator did, its role allowed it at that event, and there.

extension Machine {
    /// Whether somebody may hold and settle for every key, as far as the log can tell: which of the machine's
    /// users was an admin it does not say.
    @inline(__always)
    func mayHoldAnywhere(_ actor: UInt32) -> Bool {
        if actor & 0x8000_0000 != 0 { return true }
        guard let number = Actor(raw: actor).operatorNumber.map(Int.init),
            number < book.operators.count
        else { return false }
        return !book.operators[number].isRevoked && book.operators[number].account == .none
            && book.operators[number].role.mayHold
    }

    func reviewActor(
        _ event: StoredEvent, _ sides: inout Difference.Sides
    ) throws(EventError) {
        let (type, actor) = (event.header.type, event.header.actor)
        if actor == .daemon {
            if !type.isOfItself { sides.add("actor", "the daemon", "whoever asked for it") }
            return
        }
        let name = actor.operatorNumber.map { book.operatorName($0) ?? "number \($0)" }
        let who = name.map { "operator \($0)" } ?? "user \(actor.uid ?? 0)"
        guard type.mayBeAsked else { return sides.add("actor", who, "the daemon") }
        guard let number = actor.operatorNumber.map(Int.init) else { return }
        guard number < book.operators.count else {
            return sides.add("actor", who, "none: there is no such operator")
        }
        let row = book.operators[number]
        guard !row.isRevoked else { return sides.add("actor", who, "none: it is revoked") }
        let authority = Authority(actor: actor, role: row.role, account: row.account)
        guard let objection = try objection(to: event, by: authority) else { return }
        sides.add("actor", who, objection)
    }

    private func objection(
        to event: StoredEvent, by authority: Authority
    ) throws(EventError) -> String? {
        let type = event.header.type
        let path = book.path(of: event.header.account)
        switch type {
        case .holdPlaced, .holdRefused, .holdExtended, .holdSettled, .holdReleased,
            .chargeRecorded:
            if !authority.role.mayHold { return "role \(authority.role.name) may not" }
            // Who is confined may ask for a key that nobody knows, by a secret.
            guard authority.isConfined else { return nil }
            if let path { return outside(path, authority) }
            guard type == .holdRefused else { return nil }
            let asked = try HoldRefused(event).askedKey
            return asked.isEmpty ? nil : outside(asked, authority)
        case .personalErased:
            if !authority.role.mayErase { return "role \(authority.role.name) may not" }
            return authority.isConfined ? outside(path ?? .empty, authority) : nil
        default:
            guard let payload = try? JSON(parsing: DocumentEvent(event).json) else {
                throw .malformed("payload")
            }
            return book.objection(to: type, payload, by: authority)?.text
        }
    }
    private func outside(_ path: Bytes, _ authority: Authority) -> String? {
        guard !book.isInside(path, authority) else { return nil }
        return "confined to \(book.path(of: authority.account)?.string ?? "nothing")"
    }
}

extension EventType {
    /// Whether the daemon appends such events of itself.
    fileprivate var isOfItself: Bool {
        // An end may come early, and a start tells of erasures whose telling a crash has cut off.
        !mayBeAsked || self == .overrideEnded || self == .personalErased
    }
    /// Whether anybody may have asked for it.
    fileprivate var mayBeAsked: Bool {
        switch self {
        case .ledgerCreated, .epochStarted, .windowOpened, .keyRotationDue, .creditExpired,
            .holdLapsed, .refusalsSummed:
            false
        default: true
        }
    }
}

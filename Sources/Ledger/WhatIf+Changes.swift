import Events

// What admins and the calendar have appended in the period: it stands here as it stood there, but for what
// the other rules decide.

/// One thing that the other rules say, and which the period's own changes therefore do not change.
struct WhatIfClaim: Hashable, Sendable {
    /// Events that say the same thing have the same name here.
    private var what: String
    /// An account, a model or an alias.
    private var subject: String
    /// A limit or a list; empty where the event is one thing.
    private var part = ""

    private init(_ type: EventType, _ json: JSON, part: String = "") {
        switch type {
        case .accountDisabled, .accountEnabled: what = "standing"
        default: what = "\(type.name)"
        }
        let name = type == .priceSet ? "model" : type == .aliasSet ? "alias" : "account"
        subject = json[name]?.string?.lowercased() ?? ""
        self.part = part
    }
    /// Whether the whole event is claimed, rather than parts of it.
    static func whole(_ type: EventType, _ json: JSON) -> WhatIfClaim { WhatIfClaim(type, json) }
    /// Of an event that sets several things at once: the claim on one of them.
    static func part(_ type: EventType, _ json: JSON, _ part: String) -> WhatIfClaim {
        WhatIfClaim(type, json, part: part)
    }
    static func made(by type: EventType, _ json: JSON) -> [WhatIfClaim] {
        switch type {
        case .limitsSet: (json["limits"]?.members ?? []).map { part(type, json, $0.name) }
        case .permissionsSet:
            ["models", "scopes"].filter { json[$0] != nil }.map { part(type, json, $0) }
        default: [whole(type, json)]
        }
    }
}

extension WhatIf {
    mutating func follow(_ event: DocumentEvent, _ bytes: Bytes) throws(EventError) {
        let type = event.header.type
        switch type {
        case .windowOpened: return try open(event)
        case .creditExpired, .keyRotationDue, .personalErased: return
        default: break
        }
        guard let json = try? JSON(parsing: event.json) else { throw .malformed("payload") }
        switch type {
        case .chargeCorrected: try correct(event, json)
        case .overrideEnded:
            // Unless its time had come, and it has ended here by itself.
            guard let kind = json["limit"]?.string?.withBytes({ LimitKind($0) }) else {
                throw .malformed("limit")
            }
            if machine.book.overrides.find(event.header.account.raw, kind) == nil { return }
            try machine.book.fold(bytes, id: .none)
        case .limitsSet, .permissionsSet:
            let rest = unclaimed(type, json)
            if rest == json { return try machine.book.fold(bytes, id: .none) }
            report.leftOut += 1
            guard let rest else { return }
            var text = ByteBuffer(capacity: 512)
            text.append(canonical: rest)
            var event = event
            event.json = text.bytes
            try machine.book.apply(event)
        case .priceSet:
            if claims.contains(.whole(type, json)) { return report.leftOut += 1 }
            // Models have other numbers here where the other rules price one that had no price.
            var event = event
            let model = json["model"]?.string ?? ""
            let known = model.withBytes {
                machine.book.prices.model(named: $0, in: machine.book.names)
            }
            event.number = known ?? UInt32(machine.book.modelCount)
            try machine.book.apply(event)
        default:
            if claims.contains(.whole(type, json)) { return report.leftOut += 1 }
            try machine.book.fold(bytes, id: .none)
        }
    }
    /// What an event says besides what the other rules decide; nil where that is nothing.
    private func unclaimed(_ type: EventType, _ json: JSON) -> JSON? {
        func isKept(_ name: String) -> Bool { !claims.contains(.part(type, json, name)) }
        var saysMore = false
        let members = (json.members ?? []).compactMap { (member) -> JSON.Member? in
            switch member.name {
            case "limits":
                let kept = (member.value.members ?? []).filter { isKept($0.name) }
                saysMore = saysMore || !kept.isEmpty
                return JSON.Member(member.name, .object(kept))
            case "models", "scopes":
                saysMore = saysMore || isKept(member.name)
                return isKept(member.name) ? member : nil
            default: return member
            }
        }
        return saysMore ? .object(members) : nil
    }

    /// Here the windows open when they open there, and no others.
    private mutating func open(_ event: DocumentEvent) throws(EventError) {
        let account = machine.book.accounts.rows.pointer(
            try machine.book.existing(event.header.account))
        guard account.pointee.tier == .org else { throw .malformed("account") }
        machine.open(account.pointee.orgRow, before: event.header)
    }

    /// A charge may have another price here; then it is moved by the same difference.
    private mutating func correct(_ event: DocumentEvent, _ json: JSON) throws(EventError) {
        guard
            case .chargeCorrected(var corrected)? = try? Document(
                type: .chargeCorrected, json, strict: false), let was = corrected.was?.raw
        else { throw .malformed("payload") }
        if isRefused(corrected.charge, costs: corrected.usd.raw) { return }
        let slot = machine.book.remembered(corrected.charge)
        if slot == nil {
            // Then it is of a hold that was refused here, or may be.
            let isUnknown =
                past.remembered(corrected.charge) != nil
                || hasForgotten && corrected.charge.seq > began
            if isUnknown { return report.unmatched += 1 }
        }
        let chain = machine.book.accounts.chain(ofKey: event.header.account.raw)
        machine.open(chain.orgRow, before: event.header)
        if let slot {
            let spent = machine.book.holds.row(slot).pointee.spentUSD
            let moved = max(0, spent + (corrected.usd.raw - was))
            corrected.was = Nanodollars(spent)
            corrected.usd = Nanodollars(moved)
        }
        try machine.book.apply(.chargeCorrected(corrected), event, json)
    }
}

import Events
import Journal

/// What holds and charges have counted, and were billed, before: a late settlement and a correction take its
/// place.
///
/// In bounded memory: what was forgotten, or happened before the export begins, is looked for in the log
/// between the hold's placing and its settlement. Few holds are settled late.
struct PastCharges {
    /// What a hold or charge counted.
    struct Past {
        var usd: Int64
        /// Nil where that is its list price in dollars.
        var billed: Extras.Billed?
    }
    static let countMax = 1 << 20

    private var pasts: [HoldName: Past] = [:]
    /// From this event on nothing was missed.
    private var since: UInt64
    private let first: UInt64
    private let names: LogNames
    private var terms = PastTerms()
    /// Whether `terms` knows of what stands before the export.
    private var knowsAll: Bool

    init(from first: UInt64, _ names: LogNames) {
        (since, self.first, self.names) = (first, first, names)
        knowsAll = first <= 1
    }

    /// Notes of an event what a later one may replace.
    mutating func note(_ event: StoredEvent) throws(AuditFailure) {
        let header = event.header
        switch header.type {
        case .billingSet:
            if case .billingSet(let set)? = Document(stored: event) {
                terms.add(set, of: try names.org(of: header.account), at: header.seq)
            }
        case .holdSettled:
            if let settled = try? HoldSettled(event) { note(settled) }
        case .holdLapsed:
            // One that cost nothing has nothing that could be replaced.
            if let lapsed = try? HoldLapsed(event), lapsed.usd.raw > 0 {
                note(
                    lapsed.hold, Past(usd: lapsed.usd.raw, billed: lapsed.extras.billed), header)
            }
        case .chargeRecorded:
            // Of a hold that the log does not know, by whose name a correction may call it.
            if let charge = try? ChargeRecorded(event), let hold = charge.hold,
                let billed = charge.extras.billed
            {
                note(hold, Past(usd: charge.usd.raw, billed: billed), header)
            }
        case .chargeCorrected:
            if let corrected = ChargeCorrected(stored: event) {
                note(
                    corrected.charge, Past(usd: corrected.usd.raw, billed: corrected.billed),
                    header)
            }
        default: break
        }
    }
    /// The same of a settlement. What it was billed is noted only where the terms at the placing do not say
    /// it, or are not known.
    @inline(__always)
    mutating func note(_ settled: HoldSettled) {
        let hold = settled.hold
        guard let billed = settled.extras.billed,
            settled.isLate || hold.seq < first || hold.seq < terms.lastSeq
        else { return }
        note(hold, Past(usd: settled.usd.raw, billed: billed), settled.header)
    }
    private mutating func note(_ hold: HoldName, _ past: Past, _ header: EventHeader) {
        if pasts.count >= PastCharges.countMax {
            pasts.removeAll(keepingCapacity: true)
            since = header.seq
        }
        pasts[hold] = past
    }

    /// What was charged for a hold before this event; nil for nothing.
    func of(
        _ hold: HoldName, before seq: UInt64, in source: any LogSource
    ) throws(AuditFailure) -> Past? {
        if let known = pasts[hold] { return known }
        guard hold.seq < since, since > 1 else { return nil }
        var found: Past?
        try source.readBatches(from: max(hold.seq, 1), through: min(seq, since) - 1) {
            page throws(AuditFailure) in
            for bytes in page.events {
                guard let event = try? StoredEvent(bytes) else { continue }
                if event.header.type == .holdLapsed, let lapsed = try? HoldLapsed(event),
                    lapsed.hold == hold
                {
                    found = Past(usd: lapsed.usd.raw, billed: lapsed.extras.billed)
                } else if event.header.type == .chargeCorrected,
                    let corrected = ChargeCorrected(stored: event), corrected.charge == hold
                {
                    found = Past(usd: corrected.usd.raw, billed: corrected.billed)
                }
            }
            return true
        }
        return found
    }
    /// What was billed for a charge that a correction puts right, and that counted `was`; nil where that is its
    /// list price in dollars. The log before the export is read once for all corrections.
    mutating func billed(
        _ charge: HoldName, was: Int64, of account: AccountNumber, in source: any LogSource
    ) throws(AuditFailure) -> Extras.Billed? {
        if let known = pasts[charge], known.usd == was { return known.billed }
        if !knowsAll {
            knowsAll = true
            var earlier = PastCharges(from: 1, names)
            try source.readBatches(from: 1, through: first - 1) { page throws(AuditFailure) in
                for bytes in page.events {
                    guard let event = try? StoredEvent(bytes) else { continue }
                    try earlier.note(event)
                }
                return true
            }
            pasts.merge(earlier.pasts) { later, _ in later }
            terms.add(earlier.terms)
            if let known = pasts[charge], known.usd == was { return known.billed }
        }
        return terms.bill(was, of: try names.org(of: account), placedAt: charge.seq)
    }
}

/// What orgs were billed by, and since which events.
struct PastTerms {
    private var terms: [String: [(seq: UInt64, terms: BillingTerms)]] = [:]
    /// The last event that set any.
    private(set) var lastSeq: UInt64 = 0

    mutating func add(_ set: BillingSet, of org: String, at seq: UInt64) {
        let terms = BillingTerms(markup: set.markup, rate: set.rate, currency: set.currency)
        self.terms[org, default: []].append((seq, terms))
        lastSeq = seq
    }
    /// Adds those of events before all that is known.
    mutating func add(_ earlier: PastTerms) {
        terms.merge(earlier.terms) { later, earlier in earlier + later }
        lastSeq = max(lastSeq, earlier.lastSeq)
    }
    func bill(_ usd: Int64, of org: String, placedAt seq: UInt64) -> Extras.Billed? {
        guard let held = terms[org]?.last(where: { $0.seq < seq })?.terms,
            let amount = held.bill(usd)
        else { return nil }
        return Extras.Billed(amount: Nanodollars(amount), currency: held.currency)
    }
}

extension LogNames {
    /// The path of the org that an account is in.
    fileprivate func org(of number: AccountNumber) throws(AuditFailure) -> String {
        let path = accountName(number)
        try check()
        return String((path ?? "").prefix { $0 != "/" })
    }
}

import Events
import Journal

/// What lapses and corrections have charged, by hold: a late settlement takes its place.
///
/// In bounded memory: what was forgotten, or happened before the export begins, is looked for in the log
/// between the hold's placing and its settlement. Few holds are settled late.
struct PastCharges {
    static let countMax = 1 << 20

    private var usd: [HoldName: Int64] = [:]
    /// From this event on nothing was missed.
    private var since: UInt64

    init(from first: UInt64) { since = first }

    /// - Parameter seq: the event that says so.
    mutating func note(_ hold: HoldName, _ amount: Int64, at seq: UInt64) {
        if usd.count >= PastCharges.countMax {
            usd.removeAll(keepingCapacity: true)
            since = seq
        }
        usd[hold] = amount
    }
    /// What was charged for a hold before this event.
    func of(
        _ hold: HoldName, before seq: UInt64, in source: any LogSource
    ) throws(AuditFailure) -> Int64 {
        if let known = usd[hold] { return known }
        guard hold.seq < since, since > 1 else { return 0 }
        var found: Int64 = 0
        try source.readBatches(from: max(hold.seq, 1), through: min(seq, since) - 1) {
            page throws(AuditFailure) in
            for bytes in page.events {
                guard let event = try? StoredEvent(bytes) else { continue }
                if event.header.type == .holdLapsed, let lapsed = try? HoldLapsed(event),
                    lapsed.hold == hold
                {
                    found = lapsed.usd.raw
                } else if event.header.type == .chargeCorrected,
                    let document = try? DocumentEvent(event),
                    case .chargeCorrected(let corrected)? = try? Document(
                        type: .chargeCorrected, JSON(parsing: document.json), strict: false),
                    corrected.charge == hold
                {
                    found = corrected.usd.raw
                }
            }
            return true
        }
        return found
    }
}

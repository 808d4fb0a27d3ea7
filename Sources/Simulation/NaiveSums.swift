import Events

/// What each account has asked, was refused and was charged: added up from the events one by one, and put
/// right where a later event says so.
struct NaiveSums {
    struct Sum {
        var requests: Int64 = 0
        var usd: Int64 = 0
        var refusals: [Refusal: Int64] = [:]

        mutating func add(_ other: Sum) {
            requests += other.requests
            usd += other.usd
            refusals.merge(other.refusals, uniquingKeysWith: +)
        }
    }
    /// By the account's path; nil is whoever no account is known of.
    private(set) var byAccount: [String?: Sum] = [:]
    private var paths: [UInt32: String] = [:]
    /// Whose a hold or charge is, and what it costs now.
    private var charges: [HoldName: (path: String?, usd: Int64)] = [:]

    mutating func add(_ bytes: Bytes) throws {
        let event = try StoredEvent(bytes)
        let path = paths[event.header.account.raw]
        switch event.header.type {
        case .holdPlaced:
            byAccount[path, default: Sum()].requests += 1
            charges[try HoldPlaced(event).name] = (path, 0)
        case .holdSettled:
            let settled = try HoldSettled(event)
            charge(settled.hold, settled.usd.raw)
        case .holdLapsed:
            let lapsed = try HoldLapsed(event)
            charge(lapsed.hold, lapsed.usd.raw)
        case .chargeRecorded:
            let charged = try ChargeRecorded(event)
            byAccount[path, default: Sum()].requests += 1
            charges[charged.hold ?? charged.name] = (path, 0)
            charge(charged.hold ?? charged.name, charged.usd.raw)
        case .holdRefused: refuse(path, try HoldRefused(event).reason, 1)
        case .refusalsSummed:
            let sum = try RefusalsSummed(event)
            refuse(path, sum.reason, Int64(sum.refusals))
        case .chargeCorrected, .orgCreated, .teamCreated, .keyCreated:
            let document = try DocumentEvent(event)
            let json = try JSON(parsing: document.json)
            if let name = json["charge"]?.string?.withBytes({ HoldName(parsing: $0) }),
                let usd = json["usd"]?.string.flatMap({ Oracle.scaled($0, 9) })
            {
                charge(name, usd)
            } else {
                paths[document.number] = json["account"]?.string
            }
        default: break
        }
    }
    /// It costs that from now on, whatever it cost before.
    private mutating func charge(_ name: HoldName, _ usd: Int64) {
        guard let (path, before) = charges[name] else { return }
        byAccount[path, default: Sum()].usd += usd - before
        charges[name] = (path, usd)
    }
    private mutating func refuse(_ path: String?, _ reason: Refusal, _ count: Int64) {
        byAccount[path, default: Sum()].refusals[reason, default: 0] += count
    }
}

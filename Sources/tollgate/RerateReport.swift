import Events
import Ledger

/// What a corrected price changes: a charge, a model, an org.
struct RerateReport {
    struct Rate {
        var version: Int64
        var price: PriceSet
    }
    struct Change {
        var charge: PastCharge
        var model: String
        var version: Int64
        var usd: Int64

        func payload(_ reason: String?) -> JSON {
            var payload = Payload()
            payload.set("account", charge.account)
            payload.set("charge", charge.name)
            payload["usd"] = .money(Nanodollars(usd))
            payload["was"] = .money(Nanodollars(charge.usd))
            payload.set("placed", charge.placed)
            payload.set("model", model)
            payload.set("price", version)
            // The same work is the same id; after another correction it is new work.
            payload.set("id", "rerate:\(charge.name):\(version):\(charge.correction)")
            payload.set("reason", reason)
            return payload.json
        }
    }
    /// Charges of one model or org: how many, how many change, what they count and should.
    struct Sum {
        var charges = 0
        var changed = 0
        var now: Int128 = 0
        var right: Int128 = 0
        var version: Int64?
    }
    private(set) var changes: [Change] = []
    private(set) var models: [String: Sum] = [:]
    private(set) var orgs: [String: Sum] = [:]
    private(set) var total = Sum()
    var unpriced = 0
    private(set) var truedUp = 0
    private(set) var overflowing: [String] = []
    var refused: [String] = []

    mutating func take(_ charge: PastCharge, _ model: String, _ rate: Rate) {
        guard !charge.isTruedUp else {
            truedUp += 1
            return
        }
        guard let right = rate.price.cost(charge.usage, tier: charge.tier)?.raw else {
            overflowing.append(charge.name)
            return
        }
        let org = String(charge.account.prefix { $0 != "/" })
        Self.count(&total, charge.usd, right)
        Self.count(&models[model, default: Sum()], charge.usd, right)
        Self.count(&orgs[org, default: Sum()], charge.usd, right)
        models[model]?.version = rate.version
        guard right != charge.usd else { return }
        changes.append(
            Change(charge: charge, model: model, version: rate.version, usd: right))
    }

    private static func count(_ sum: inout Sum, _ now: Int64, _ right: Int64) {
        sum.charges += 1
        sum.now += Int128(now)
        sum.right += Int128(right)
        if right != now { sum.changed += 1 }
    }

    func print(dryRun: Bool, charges: Bool) {
        if charges, !changes.isEmpty {
            var table = Table([
                .text("TIME"), .text("CHARGE"), .text("KEY"), .text("MODEL"), .number("NOW"),
                .number("RIGHT"), .number("DIFFERENCE"),
            ])
            for change in changes {
                table.add([
                    "\(change.charge.time.prefix(19))Z", change.charge.name, change.charge.account,
                    change.model, Self.money(Int128(change.charge.usd)),
                    Self.money(Int128(change.usd)),
                    Self.money(Int128(change.usd) - Int128(change.charge.usd)),
                ])
            }
            table.print()
            Console.print("")
        }
        var table = Table([
            .text(""), .number("VERSION"), .number("CHARGES"), .number("CHANGED"), .number("NOW"),
            .number("RIGHT"), .number("DIFFERENCE"),
        ])
        func add(_ name: String, _ sum: Sum) {
            table.add([
                name, sum.version.map(String.init) ?? "", "\(sum.charges)", "\(sum.changed)",
                Self.money(sum.now), Self.money(sum.right), Self.money(sum.right - sum.now),
            ])
        }
        for (name, sum) in models.sorted(by: { $0.key < $1.key }) { add("model \(name)", sum) }
        for (name, sum) in orgs.sorted(by: { $0.key < $1.key }) { add("org \(name)", sum) }
        add("all", total)
        table.print()
        if unpriced > 0 { Console.note("\(unpriced) charges of models without a price stay free") }
        if truedUp > 0 { Console.note("\(truedUp) charges were corrected by hand and stay") }
        for name in overflowing.prefix(10) {
            Console.note("\(name): its cost would overflow at this price")
        }
        for line in refused.prefix(10) { Console.note("refused: \(line)") }
        let appended = changes.count - refused.count
        Console.note(
            dryRun
                ? "\(changes.count) corrections would be appended"
                : "\(appended) corrections appended")
    }
    private static func money(_ nano: Int128) -> String {
        Nanodollars(Int64(clamping: nano)).description
    }

    var json: JSON {
        func sums(_ sums: [String: Sum]) -> JSON {
            .object(
                sums.sorted { $0.key < $1.key }.map { JSON.Member($0.key, Self.json($0.value)) })
        }
        return .object([
            JSON.Member("total", Self.json(total)),
            JSON.Member("models", sums(models)),
            JSON.Member("orgs", sums(orgs)),
            JSON.Member("charges", .array(changes.map { $0.payload(nil) })),
            JSON.Member("unpriced", .integer(Int64(unpriced))),
            JSON.Member("corrected_by_hand", .integer(Int64(truedUp))),
            JSON.Member("overflowing", .strings(overflowing)),
            JSON.Member("refused", .strings(refused)),
        ])
    }
    private static func json(_ sum: Sum) -> JSON {
        var members = [
            JSON.Member("charges", .integer(Int64(sum.charges))),
            JSON.Member("changed", .integer(Int64(sum.changed))),
            JSON.Member("now", .string(money(sum.now))),
            JSON.Member("right", .string(money(sum.right))),
            JSON.Member("difference", .string(money(sum.right - sum.now))),
        ]
        if let version = sum.version { members.append(JSON.Member("version", .integer(version))) }
        return .object(members)
    }
}

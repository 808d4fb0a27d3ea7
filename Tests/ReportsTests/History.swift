import Events
import Journal
import TestSupport

@testable import Reports

/// A made-up log with everything that roll-ups count, and beside it what they must say, found in the simplest
/// way: a dictionary of every hour.
struct History {
    struct Key: Hashable {
        var hour: Int64
        var account: UInt32
        var model: UInt32
        var tier: UInt8
    }
    struct TagRow: Hashable {
        var day: Int64
        var team: UInt32
        var tag: TagKind
        var text: String
    }
    private(set) var events: [[UInt8]] = []
    private(set) var hours: [Key: RollupCounts] = [:]
    private(set) var tags: [TagRow: RollupCounts] = [:]
    private var random: SeededGenerator
    private var now: Int64 = 1_795_000_000_000_000_000
    /// Yuan a dollar, as billed now.
    private var rate: Int64 = 7
    private var holds: [Hold] = []
    private var charges: [Hold] = []

    /// A request: where it counts, and what it counts now.
    private struct Hold {
        var name: HoldName
        var key: Key
        var rows: [TagRow]
        var usd: Int64 = 0
        /// Yuan a dollar, where it is billed in yuan.
        var rate: Int64 = 7
        var tokens: Int64 = 0
        var tier: UInt8
        var isLapse = false
        var isEnded = false
        /// A late settlement can still come.
        var mayBeLate = false
    }

    /// Two orgs: one in UTC, billed in dollars; one half an hour off, billed in yuan: at seven a dollar, or at
    /// eight and a quarter more.
    static let paths = [
        "acme", "acme/ml", "acme/ml/prod", "acme/ml/test", "zeta", "zeta/web", "zeta/web/k",
    ]
    private static let keys: [UInt32] = [2, 3, 6]
    private var dayEnd: [Int64] = [.min, .min]
    private var dayStart: [Int64] = [.min, .min]

    init(seed: UInt64, events count: Int) {
        random = SeededGenerator(seed: seed)
        for (number, path) in History.paths.enumerated() {
            let depth = path.split(separator: "/").count
            let type = [EventType.orgCreated, .teamCreated, .keyCreated][depth - 1]
            document(
                type, UInt32(number), account: UInt32(number), #"{"account":"\#(path)"}"#)
        }
        for (number, model) in ["openai/gpt-4.1", "anthropic/claude"].enumerated() {
            document(.priceSet, UInt32(number), account: .max, #"{"model":"\#(model)"}"#)
        }
        setRate(7)
        while events.count < count { step() }
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func setRate(_ yuan: Int64) {
        rate = yuan
        document(
            .billingSet, 0, account: 4,
            #"{"account":"zeta","currency":"CNY","markup_ppm":\#(yuan == 7 ? 0 : 250_000),"rate":"\#(yuan)"}"#
        )
    }
    /// With the markup that goes with a rate, rounded half up.
    private static func marked(_ usd: Int64, _ rate: Int64) -> Int64 {
        rate == 7 ? usd : (usd * 5 + 2) / 4
    }
    private mutating func step() {
        if below(40) == 0 { setRate(7 + Int64(below(2))) }
        now += Int64(below(90)) * 1_000_000_000 + Int64(below(1_000_000_000))
        let key = History.keys[below(3)]
        let org = key == 6 ? 1 : 0
        openDay(org)
        switch below(20) {
        case 0...7: place(key, org)
        case 8...12: if let i = anyHold({ !$0.isEnded }) { settle(i, isLate: false) }
        case 13: if let i = anyHold({ !$0.isEnded }) { release(i) }
        case 14: if let i = anyHold({ !$0.isEnded }) { lapse(i) }
        case 15: if let i = anyHold(\.mayBeLate) { settle(i, isLate: true) }
        case 16: charge(key, org)
        case 17: correct()
        case 18: refuse(key, org)
        default: sum(key, org)
        }
    }
    private mutating func anyHold(_ isWanted: (Hold) -> Bool) -> Int? {
        let found = holds.indices.filter { isWanted(holds[$0]) }
        return found.isEmpty ? nil : found[below(found.count)]
    }

    // MARK: Where it counts

    private static let hour: Int64 = 3_600_000_000_000
    private mutating func openDay(_ org: Int) {
        guard now >= dayEnd[org] else { return }
        // India's clock stands at half past when the others' is full.
        let offset: Int64 = org == 1 ? 18 * History.hour + History.hour / 2 : 0
        let day = 24 * History.hour
        let start = (now - offset) / day * day + offset
        (dayStart[org], dayEnd[org]) = (start, start + day)
        let (from, to) = (Instant(nanoseconds: start), Instant(nanoseconds: start + day))
        document(
            .windowOpened, 0, account: org == 1 ? 4 : 0,
            #"{"account":"\#(org == 1 ? "zeta" : "acme")","end":"\#(to)","start":"\#(from)","#
                + #""window":"day","zone":"\#(org == 1 ? "Asia/Kolkata" : "UTC")"}"#)
    }
    private func key(_ account: UInt32, _ org: Int, _ model: UInt32, _ tier: UInt8) -> Key {
        let hours = (now - dayStart[org]) / History.hour
        return Key(
            hour: dayStart[org] + hours * History.hour, account: account, model: model, tier: tier)
    }
    private mutating func texts(_ key: UInt32, _ org: Int) -> (RequestText, [TagRow]) {
        var text = RequestText()
        var rows: [TagRow] = []
        let team: UInt32 = key == 6 ? 5 : 1
        func row(_ tag: TagKind, _ said: StaticString) {
            rows.append(TagRow(day: dayStart[org], team: team, tag: tag, text: "\(said)"))
        }
        let user =
            ["", "ana", "bo", "a user of a long name, longer than a word"][below(4)] as StaticString
        if user.utf8CodeUnitCount > 0 {
            text.user = Bytes(user)
            row(.user, user)
        }
        if below(2) == 0 {
            text.project = Bytes("search")
            row(.project, "search")
        }
        if below(4) == 0 {
            text.environment = Bytes("live")
            row(.environment, "live")
        }
        return (text, rows)
    }
    private mutating func count(
        _ key: Key, _ rows: [TagRow], _ body: (inout RollupCounts) -> Void
    ) {
        body(&hours[key, default: RollupCounts()])
        for row in rows { body(&tags[row, default: RollupCounts()]) }
    }

    // MARK: What happens

    private mutating func header(_ type: EventType, _ account: UInt32) -> EventHeader {
        EventHeader(
            type: type, epoch: 1, seq: UInt64(events.count + 1), time: Instant(nanoseconds: now),
            actor: .daemon, account: AccountNumber(account))
    }
    private mutating func append(_ encode: (inout ByteBuffer) -> Void) {
        var buffer = ByteBuffer()
        encode(&buffer)
        events.append(Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count)))
    }
    private mutating func document(
        _ type: EventType, _ number: UInt32, account: UInt32, _ json: String
    ) {
        let header = header(type, account)
        json.withBytes { json in
            append { DocumentEvent(header: header, number: number, json: json).encode(into: &$0) }
        }
    }
    private mutating func place(_ account: UInt32, _ org: Int) {
        let model = UInt32(below(3))
        var header = header(.holdPlaced, account)
        header.flags = UInt8(below(2))
        let (text, rows) = texts(account, org)
        // The third has no price, and so no number of the price book's.
        let number = model == 2 ? RollupFold.firstModelNumber : model
        let key = key(account, org, number, header.flags)
        var event = HoldPlaced(
            header: header, model: model == 2 ? .none : ModelNumber(model), price: 1, input: 100,
            output: 10, usd: Nanodollars(5), until: 2_000_000_000)
        if model == 2 { event.modelText = Bytes("own/unpriced") }
        event.text = text
        append { event.encode(into: &$0) }
        holds.append(Hold(name: event.name, key: key, rows: rows, tier: header.flags))
        count(key, rows) { $0[.placed] += 1 }
    }
    private func billed(_ usd: Int64, _ account: UInt32) -> Extras.Billed? {
        account == 6
            ? Extras.Billed(
                amount: Nanodollars(History.marked(usd, rate) * rate),
                currency: Currency(Bytes("CNY"))!)
            : nil
    }
    private static let yuan = Currency(Bytes("CNY"))!
    private static func bill(
        _ counts: inout RollupCounts, _ usd: Int64, _ account: UInt32, _ rate: Int64,
        by sign: Int64 = 1
    ) {
        guard account == 6 else {
            counts[.billedUSD] += sign * usd
            return
        }
        let marked = History.marked(usd, rate)
        for (part, amount) in [
            (.billed, marked * rate), (.list, usd * rate), (.listUSD, usd), (.billedUSD, marked),
        ] as [(BilledPart, Int64)] {
            counts.add(sign * amount, under: RollupTag(History.yuan, part))
        }
    }
    private mutating func usage() -> TokenUsage {
        TokenUsage(
            input: Int64(below(1_000)) + 50, output: Int64(below(500)) + 20,
            cached: Int64(below(20)), cacheWrite: Int64(below(20)), reasoning: Int64(below(20)))
    }
    private static func use(
        _ counts: inout RollupCounts, _ usage: TokenUsage, _ usd: Int64, _ outcome: Outcome,
        _ ms: UInt32, _ account: UInt32, _ rate: Int64
    ) {
        counts[.input] += usage.input
        counts[.output] += usage.output
        counts[.cached] += usage.cached
        counts[.cacheWrite] += usage.cacheWrite
        counts[.reasoning] += usage.reasoning
        counts[.usd] += usd
        History.bill(&counts, usd, account, rate)
        switch outcome {
        case .exact: counts[.exact] += 1
        case .partial:
            counts[.partial] += 1
            counts[.partialUSD] += usd
        case .estimated:
            counts[.estimated] += 1
            counts[.estimatedUSD] += usd
        }
        if ms > 0 {
            counts[.timed] += 1
            counts[.milliseconds] += Int64(ms)
            counts.add(1, under: RollupTag(latencyBucket: LatencyHistogram.bucket(of: ms)))
        }
    }
    private mutating func settle(_ i: Int, isLate: Bool) {
        var hold = holds[i]
        let tier = below(5) == 0 ? UInt8(2) : hold.tier
        let outcome = Outcome(rawValue: UInt8(below(3)))!
        let (usage, usd, ms) = (usage(), Int64(below(10_000)), UInt32(below(3_000)))
        let rate = rate
        var header = header(.holdSettled, hold.key.account)
        header.flags = HoldSettled.flags(
            outcome: outcome, tier: ServiceTier(rawValue: tier)!, late: isLate)
        var event = HoldSettled(
            header: header, hold: hold.name, usage: usage, usd: Nanodollars(usd), price: 1,
            milliseconds: ms)
        var extras = Extras.Writer()
        if let billed = billed(usd, hold.key.account) { extras.add(billed) }
        event.extras = extras.extras
        append { event.encode(into: &$0) }
        if isLate {
            // What the lapse, or its correction, counted goes.
            count(hold.key, hold.rows) {
                $0[.usd] -= hold.usd
                History.bill(&$0, hold.usd, hold.key.account, hold.rate, by: -1)
                guard hold.isLapse else { return }
                $0[.lapsedUSD] -= hold.usd
                $0[.lapsedTokens] -= hold.tokens
            }
        }
        var key = hold.key
        key.tier = tier
        count(key, hold.rows) {
            $0[.settled] += 1
            if isLate { $0[.late] += 1 }
            History.use(&$0, usage, usd, outcome, ms, key.account, rate)
        }
        (hold.isEnded, hold.mayBeLate, hold.isLapse) = (true, false, false)
        (hold.usd, hold.key, hold.rate) = (usd, key, rate)
        holds[i] = hold
    }
    private mutating func release(_ i: Int) {
        let header = header(.holdReleased, holds[i].key.account)
        let name = holds[i].name
        append { HoldReleased(header: header, hold: name, why: .empty).encode(into: &$0) }
        count(holds[i].key, holds[i].rows) { $0[.released] += 1 }
        (holds[i].isEnded, holds[i].mayBeLate) = (true, true)
    }
    private mutating func lapse(_ i: Int) {
        var hold = holds[i]
        hold.rate = rate
        if below(2) == 0 { (hold.usd, hold.tokens) = (Int64(below(5_000)) + 1, 110) }
        var event = HoldLapsed(
            header: header(.holdLapsed, hold.key.account), hold: hold.name, tokens: hold.tokens,
            usd: Nanodollars(hold.usd))
        var extras = Extras.Writer()
        if let billed = billed(hold.usd, hold.key.account) { extras.add(billed) }
        event.extras = extras.extras
        append { event.encode(into: &$0) }
        count(hold.key, hold.rows) {
            $0[.lapsed] += 1
            $0[.usd] += hold.usd
            History.bill(&$0, hold.usd, hold.key.account, hold.rate)
            $0[.lapsedUSD] += hold.usd
            $0[.lapsedTokens] += hold.tokens
        }
        (hold.isEnded, hold.mayBeLate, hold.isLapse) = (
            true, true, hold.usd > 0 || hold.key.account == 6
        )
        holds[i] = hold
    }
    private mutating func charge(_ account: UInt32, _ org: Int) {
        let (usage, usd, ms) = (usage(), Int64(below(10_000)), UInt32(below(3_000)))
        let rate = rate
        let (text, rows) = texts(account, org)
        // Now and then of a hold that a power cut took with it.
        let isForeign = below(3) == 0
        var header = header(.chargeRecorded, account)
        header.flags = HoldSettled.flags(outcome: .exact, tier: .batch, late: isForeign)
        let named = isForeign ? HoldName(epoch: 7, seq: UInt64(events.count + 5_000)) : nil
        var event = ChargeRecorded(
            header: header, model: ModelNumber(1), price: 1, usage: usage, usd: Nanodollars(usd),
            milliseconds: ms, hold: named)
        event.text = text
        var extras = Extras.Writer()
        if let billed = billed(usd, account) { extras.add(billed) }
        event.extras = extras.extras
        append { event.encode(into: &$0) }
        let key = key(account, org, 1, 1)
        count(key, rows) {
            $0[.charged] += 1
            if isForeign { $0[.late] += 1 }
            History.use(&$0, usage, usd, .exact, ms, account, rate)
        }
        charges.append(
            Hold(
                name: named ?? event.name, key: key, rows: rows, usd: usd, rate: rate, tier: 1,
                isEnded: true))
    }
    private mutating func correct() {
        let ended = holds.indices.filter {
            holds[$0].isEnded && (!holds[$0].mayBeLate || holds[$0].isLapse)
        }
        let pick = below(ended.count + charges.count + 1)
        guard pick < ended.count + charges.count else { return }
        var charge = pick < ended.count ? holds[ended[pick]] : charges[pick - ended.count]
        // Nothing is billed alike by all terms.
        let usd = below(3) == 0 ? 0 : Int64(below(10_000))
        let account = charge.key.account
        let path = History.paths[Int(account)]
        let money = Nanodollars(usd)
        var json = #"{"account":"\#(path)","#
        if account == 6 {
            json += #""billed":"\#(Nanodollars(History.marked(usd, charge.rate) * charge.rate))","#
        }
        json += #""charge":"\#(charge.name)","#
        if account == 6 { json += #""currency":"CNY","# }
        let placed = Instant(nanoseconds: charge.key.hour)
        json +=
            #""id":"c\#(events.count)","placed":"\#(placed)","usd":"\#(money)","was":"\#(Nanodollars(charge.usd))"}"#
        document(.chargeCorrected, 0, account: account, json)
        count(charge.key, charge.rows) {
            $0[.corrected] += 1
            $0[.usd] += usd - charge.usd
            if charge.isLapse { $0[.lapsedUSD] += usd - charge.usd }
            History.bill(&$0, charge.usd, account, charge.rate, by: -1)
            History.bill(&$0, usd, account, charge.rate)
        }
        charge.usd = usd
        if pick < ended.count {
            holds[ended[pick]] = charge
        } else {
            charges[pick - ended.count] = charge
        }
    }
    private mutating func refuse(_ account: UInt32, _ org: Int) {
        let isUnknown = below(4) == 0
        let (text, rows) = texts(account, org)
        let reason: Refusal = isUnknown ? .keyUnknown : .budgetExhausted
        let header = header(.holdRefused, isUnknown ? .max : account)
        var event = HoldRefused(
            header: header, reason: reason, model: ModelNumber(0), input: 10, output: 10,
            usd: Nanodollars(77))
        event.text = text
        append { event.encode(into: &$0) }
        var key = key(account, org, 0, 0)
        if isUnknown {
            key.account = .max
            key.hour = now / History.hour * History.hour
        }
        count(key, isUnknown ? [] : rows) {
            $0[.refused] += 1
            $0[.refusedUSD] += 77
            $0.add(1, under: RollupTag(reason))
        }
    }
    private mutating func sum(_ account: UInt32, _ org: Int) {
        let header = header(.refusalsSummed, account)
        let second = now / 1_000_000_000
        append {
            RefusalsSummed(header: header, reason: .requestsPerMinute, refusals: 40, second: second)
                .encode(into: &$0)
        }
        guard second * 1_000_000_000 >= dayStart[org] else { return }
        count(key(account, org, .max, 0), []) {
            $0[.refused] += 40
            $0.add(40, under: RollupTag(.requestsPerMinute))
        }
    }
}

import Events

/// A third opinion on the ledger: a slow and literal reading of the log, written for the simulator
/// from the design alone, with which every admission, refusal, price and sum is held against.
///
/// Windows are reckoned from an event's own time (the simulation's zone is UTC), a minute is added up
/// whenever it is asked for, and nothing is ever reset.
final class Oracle {
    struct Fault: Error { let text: String }

    enum State { case open, settled, released, lapsed, charge }

    /// One hold or charge: what it counts for on its key, team and org.
    final class Spend {
        let name: HoldName
        let seq: UInt64
        let key: UInt32
        let placed: Instant
        let model: UInt32
        let price: Price?
        let asked: TokenUsage
        let tier: ServiceTier
        /// Which rule chose its model, and what that saved; nil where it was named.
        var routing: (rule: String, saved: Int64)?
        /// As it was placed, or extended last.
        var until: Instant
        var wanted: TokenUsage
        /// The events that extended it.
        var growths: [Growth] = []
        let id: String
        var state: State
        /// As it was placed, or charged.
        var placedUSD: Int64 = 0
        var heldUSD: Int64 = 0
        var heldTokens: Int64 = 0
        var usd: Int64 = 0
        /// What its end was answered with, whatever was corrected since.
        var answeredUSD: Int64 = 0
        var tokens: Int64 = 0
        /// What credit it has drawn, if there was any, and by which terms it was billed.
        var drawn: Int64 = 0
        var isDrawn = false
        var terms = Terms()
        var usage: TokenUsage?
        var outcome = Outcome.exact
        var settledTier = ServiceTier.standard
        /// The event that ended it.
        var endSeq: UInt64 = 0

        init(
            name: HoldName, _ header: EventHeader, model: UInt32, price: Price?, asked: TokenUsage,
            tier: ServiceTier, until: Instant, id: String, state: State
        ) {
            self.name = name
            seq = header.seq
            key = header.account.raw
            placed = header.time
            self.model = model
            self.price = price
            self.asked = asked
            wanted = asked
            self.tier = tier
            self.until = until
            self.id = id
            self.state = state
        }
    }
    struct Growth {
        var seq: UInt64
        var wanted: TokenUsage
        var usd: Int64
        var until: Instant
    }
    struct Price {
        /// Pico-dollars a token: in, cached, cache_write, out, reasoning.
        var classes: [Int64]
        /// Pico-dollars a request.
        var request: Int64
        var from: Instant
    }
    struct Counts {
        var usd: Int64 = 0
        var heldUSD: Int64 = 0
        var tokens: Int64 = 0
        var heldTokens: Int64 = 0
        var requests: Int64 = 0
    }
    struct WindowKey: Hashable {
        var window: Window
        var start: Int64
    }
    struct Account {
        var path: String
        /// Itself, its team, its org; shorter for those.
        var chain: [UInt32]
        /// As they are when no override stands.
        var limits: [LimitKind: Int64] = [:]
        var overrides: [LimitKind: Override] = [:]
        var models: [String]?
        var routing: Routing?
        var expires: Instant?
        var isDisabled = false
        var isRevoked = false
        var rotateEvery: Int64?
        /// When the daemon has to say that a rotation is due; nil when it has said so.
        var rotationDue: Instant?
        var onLapse = "release"
        var recordsMinute = false
        var recent: [Spend] = []
        var windows: [WindowKey: Counts] = [:]
        var open: Int64 = 0
        /// Of an org.
        var personal: PersonalFields = []
        var credit: Credit?
        var terms = Terms()

        func limit(_ kind: LimitKind) -> Int64? { overrides[kind]?.amount ?? limits[kind] }
    }

    /// One secret of a key, by its digest.
    struct SecretLife {
        var key: UInt32
        var until = Instant.distantFuture
    }

    private(set) var seq: UInt64 = 0
    private(set) var time = Instant(nanoseconds: 0)
    private(set) var epoch: UInt32 = 0
    /// The accounts that the last event which has one is about: itself and what is above it.
    private(set) var lastChain: [UInt32] = []
    var accounts: [Account] = []
    private(set) var byPath: [String: UInt32] = [:]
    private(set) var models: [String] = []
    private(set) var prices: [[Price]] = []
    private(set) var spends: [HoldName: Spend] = [:]
    private(set) var openHolds: [Spend] = []
    /// The holds that a key's id has named: `"<key> <id>"`.
    private(set) var holdsByID: [String: [Spend]] = [:]
    /// The charge of a key's id: `"<key> <id>"`.
    private(set) var charges: [String: Spend] = [:]
    var secrets: [String: SecretLife] = [:]
    /// Types of admin events by seq.
    private(set) var documents: [UInt64: EventType] = [:]
    /// Refusals by `"<key or -> <reason>"`: written in full, and summed.
    private(set) var refusals: [String: Int64] = [:]
    /// Those that waited, in the order of their admission.
    var waited: [Waited] = []
    /// What stands in the place of personal texts, by the event that had it first, until it is erased.
    var commitments: [Commitment: UInt64] = [:]
    var erased: Set<Commitment> = []
    let hurry: Hurry
    /// How often something rare was seen, for the table at the end.
    var counts: [String: Int] = [:]

    init(_ hurry: Hurry) { self.hurry = hurry }

    func fold(_ bytes: Bytes) throws(Fault) {
        let event: StoredEvent
        do throws(EventError) {
            event = try StoredEvent(bytes)
        } catch {
            throw Fault(text: "event \(seq + 1) cannot be read: \(error.explanation)")
        }
        let header = event.header
        try require(header.seq == seq + 1, "seq \(header.seq) follows \(seq)")
        try require(header.time >= time, "time runs backwards at \(header.seq)")
        if header.type == .epochStarted {
            try require(header.epoch > epoch, "epoch \(header.epoch) begins again")
        } else if header.type != .ledgerCreated {
            try require(header.epoch == epoch, "an event of epoch \(header.epoch) in \(epoch)")
        }
        seq = header.seq
        time = header.time
        epoch = header.type == .ledgerCreated ? epoch : header.epoch
        counts["\(header.type.name)", default: 0] += 1
        do {
            switch header.type {
            case .holdPlaced: try placed(try HoldPlaced(event))
            case .holdRefused: try refused(try HoldRefused(event))
            case .holdExtended: try extended(try HoldExtended(event))
            case .holdSettled: try settled(try HoldSettled(event))
            case .holdReleased:
                let released = try HoldReleased(event)
                let spend = try open(released.hold, header)
                end(spend, .released, usd: 0, tokens: 0, header)
            case .holdLapsed: try lapsed(try HoldLapsed(event))
            case .chargeRecorded: try charged(try ChargeRecorded(event))
            case .refusalsSummed:
                let sum = try RefusalsSummed(event)
                refusals[refusalKey(header.account, sum.reason), default: 0] += Int64(sum.refusals)
            default: try document(try DocumentEvent(event))
            }
            if header.account.raw < UInt32(accounts.count) {
                lastChain = accounts[Int(header.account.raw)].chain
            }
        } catch let error as Fault {
            throw error
        } catch {
            throw Fault(text: "event \(header.seq): \(error)")
        }
    }

    func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(Fault) {
        if !condition { throw Fault(text: what()) }
    }
    func refusalKey(_ account: AccountNumber, _ reason: Refusal) -> String {
        "\(account == .none ? "-" : accounts[Int(account.raw)].path) \(reason.name)"
    }

    // MARK: Requests

    private func placed(_ event: HoldPlaced) throws {
        try requirePrivate(event.text, event.header)
        let tokens = event.input + event.output
        let usage = TokenUsage(input: event.input, output: event.output)
        let price = try price(event.model, event.price)
        let chain = try chain(event.header)
        try requireNoneOverdue(chain, event.header)
        try require(
            event.usd.raw == Oracle.cost(price, usage),
            "hold \(event.name) is priced \(event.usd), not \(Nanodollars(Oracle.cost(price, usage)))"
        )
        let spend = Spend(
            name: event.name, event.header, model: event.model.raw, price: price, asked: usage,
            tier: event.tier, until: event.untilInstant, id: event.text.id.string, state: .open)
        spend.heldUSD = event.usd.raw
        spend.placedUSD = event.usd.raw
        spend.heldTokens = tokens
        try require(spends[spend.name] == nil, "hold \(spend.name) is placed twice")
        if let expires = accounts[Int(spend.key)].expires {
            try require(event.header.time < expires, "hold \(spend.name) on an expired key")
        }
        try require(!accounts[Int(spend.key)].isRevoked, "hold \(spend.name) on a revoked key")
        for account in chain where accounts[Int(account)].isDisabled {
            throw Fault(text: "hold \(spend.name): \(accounts[Int(account)].path) is disabled")
        }
        let model = event.model == .none ? event.modelText.string : models[Int(event.model.raw)]
        for account in chain {
            if let list = accounts[Int(account)].models {
                try require(
                    list.contains { Oracle.matches($0, model) },
                    "hold \(spend.name): \(accounts[Int(account)].path) does not allow \(model)")
            }
        }
        if !spend.id.isEmpty {
            holdsByID["\(spend.key) \(spend.id)", default: []].append(spend)
            for other in openHolds where other.key == spend.key && other.id == spend.id {
                throw Fault(text: "id \(spend.id) holds \(other.name) and \(spend.name)")
            }
        }
        if let came = event.extras.came { try admitted(event, came) }
        try requireRouted(spend, event)
        count(spend, usd: event.usd.raw, tokens: tokens, held: true)
        openHolds.append(spend)
        try requireCovered(spend)
        // No account over its limit by admission: with the new hold counted in, all still fit.
        for account in chain {
            for kind in LimitKind.all {
                guard let limit = accounts[Int(account)].limit(kind) else { continue }
                let (used, held) = taken(account, kind, at: time)
                try require(
                    used + held <= limit,
                    "hold \(spend.name) takes \(accounts[Int(account)].path) over \(kind.name): "
                        + "\(used) + \(held) > \(limit)")
            }
        }
    }

    private func extended(_ event: HoldExtended) throws {
        let spend = try open(event.hold, event.header)
        let chain = try chain(event.header)
        try requireNoneOverdue(chain, event.header)
        let wanted = TokenUsage(input: event.input, output: event.output)
        try require(
            event.input >= spend.wanted.input && event.output >= spend.wanted.output
                && event.untilInstant >= spend.until && event.tier == spend.tier,
            "extension \(event.header.seq) takes from \(event.hold)")
        let usd = max(spend.heldUSD, Oracle.cost(spend.price, wanted))
        try require(
            event.usd.raw == usd,
            "extension \(event.header.seq) holds \(event.usd), not \(Nanodollars(usd))")
        try require(
            event.untilInstant.second <= spend.placed.second + 86_401,
            "hold \(event.hold) may live longer than a day")
        if let expires = accounts[Int(spend.key)].expires {
            try require(event.header.time < expires, "\(event.hold) grows on an expired key")
        }
        let grows = wanted != spend.wanted
        grow(spend, to: wanted, usd: usd)
        spend.until = event.untilInstant
        spend.growths.append(
            Growth(seq: event.header.seq, wanted: wanted, usd: usd, until: spend.until))
        if grows { try requireCovered(spend) }
        // Where it grew, it still fits. Who only asked for time may be over a limit that was lowered.
        for account in chain where grows {
            for kind in LimitKind.all where counts(spend, kind, account) {
                guard let limit = accounts[Int(account)].limit(kind) else { continue }
                let (used, held) = taken(account, kind, at: time)
                try require(
                    used + held <= limit,
                    "\(event.hold) grows and takes \(accounts[Int(account)].path) over \(kind.name): "
                        + "\(used) + \(held) > \(limit)")
            }
        }
    }
    /// Whether a hold's money or tokens count for a limit now.
    private func counts(_ spend: Spend, _ kind: LimitKind, _ account: UInt32) -> Bool {
        guard let unit = kind.unit, unit != .requests, let window = kind.window else {
            return false
        }
        if window == .minute {
            return time.second - spend.placed.second < 60
                && accounts[Int(account)].recent.contains { $0 === spend }
        }
        return Oracle.start(of: window, at: spend.placed) == Oracle.start(of: window, at: time)
    }
    private func grow(_ spend: Spend, to wanted: TokenUsage, usd: Int64) {
        for account in accounts[Int(spend.key)].chain.map(Int.init) {
            for key in Oracle.windows(of: spend.placed) {
                accounts[account].windows[key]!.heldUSD += usd - spend.heldUSD
                accounts[account].windows[key]!.heldTokens += wanted.total - spend.heldTokens
            }
        }
        spend.heldUSD = usd
        spend.heldTokens = wanted.total
        spend.wanted = wanted
    }

    private func refused(_ event: HoldRefused) throws {
        try requirePrivate(event.text, event.header, event.askedKey)
        if let came = event.extras.came { try gaveUp(event, came) }
        refusals[refusalKey(event.header.account, event.reason), default: 0] += 1
        try refusedForLife(event)
        try requireRefusedRoute(event)
        if event.reason == .creditExhausted { try exhausted(event) }
        guard let kind = event.limit, let tier = event.scopeTier else { return }
        let chain = try chain(event.header)
        try requireNoneOverdue(chain, event.header)
        // Key, team, org in the chain; org, team, key in the tiers.
        let account = chain[2 - Int(tier.rawValue)]
        let (used, held) = taken(account, kind, at: time)
        let asked: Int64 =
            switch kind.unit {
            case .usd: event.usd.raw
            case .tokens: event.input + event.output
            case .requests, nil: 1
            }
        let path = accounts[Int(account)].path
        try require(
            accounts[Int(account)].limit(kind) == event.amount,
            "refusal \(event.header.seq) names a limit \(kind.name) that \(path) does not have")
        try require(
            event.used == used && event.held == held,
            "refusal \(event.header.seq): \(path) \(kind.name) used \(event.used) held "
                + "\(event.held), reckoned \(used) and \(held)")
        try require(
            used + held + asked > event.amount,
            "refusal \(event.header.seq) of what fits: \(path) \(kind.name)")
    }

    private func settled(_ event: HoldSettled) throws {
        guard let spend = spends[event.hold] else {
            throw Fault(text: "event \(event.header.seq) settles \(event.hold), which is no hold")
        }
        try require(
            spend.state != .settled && spend.state != .charge,
            "hold \(event.hold) is settled twice (\(event.header.seq))")
        try require(
            event.isLate == (spend.state != .open), "settlement \(event.header.seq): late is wrong")
        let cost = Oracle.cost(spend.price, event.usage)
        try require(
            event.usd.raw == cost, "settlement \(event.header.seq) costs \(event.usd), not \(cost)")
        if spend.state != .open { counts["late settlement", default: 0] += 1 }
        spend.usage = event.usage
        spend.outcome = event.outcome
        spend.settledTier = event.tier
        try bill(spend, usd: event.usd.raw, event.extras, event.header)
        end(spend, .settled, usd: event.usd.raw, tokens: event.usage.total, event.header)
    }
    private func lapsed(_ event: HoldLapsed) throws {
        let spend = try open(event.hold, event.header)
        try require(
            event.header.time >= spend.until, "hold \(event.hold) lapses before its time")
        let org = accounts[Int(spend.key)].chain[2]
        var usd: Int64 = 0
        var tokens: Int64 = 0
        switch accounts[Int(org)].onLapse {
        case "charge_input":
            tokens = spend.wanted.input
            usd = Oracle.cost(spend.price, TokenUsage(input: spend.wanted.input, output: 0))
        case "charge_hold":
            tokens = spend.wanted.total
            usd = spend.heldUSD
        default: break
        }
        try require(
            event.usd.raw == usd && event.tokens == tokens,
            "lapse of \(event.hold) charges \(event.usd) and \(event.tokens) tokens, not \(usd)")
        try bill(spend, usd: usd, event.extras, event.header)
        end(spend, .lapsed, usd: usd, tokens: tokens, event.header)
    }
    private func charged(_ event: ChargeRecorded) throws {
        try requirePrivate(event.text, event.header)
        _ = try chain(event.header)
        let price = try price(event.model, event.price)
        let cost = Oracle.cost(price, event.usage)
        try require(
            event.usd.raw == cost, "charge \(event.header.seq) costs \(event.usd), not \(cost)")
        let spend = Spend(
            name: event.hold ?? event.name, event.header, model: event.model.raw, price: price,
            asked: event.usage, tier: event.tier, until: event.header.time,
            id: event.text.id.string, state: event.hold == nil ? .charge : .settled)
        if event.hold != nil { counts["lost hold charged", default: 0] += 1 }
        try require(
            spends[spend.name] == nil, "\(spend.name) is charged, and was known already")
        if event.hold == nil {
            let id = "\(spend.key) \(spend.id)"
            try require(charges[id] == nil, "charge id \(spend.id) is charged twice")
            charges[id] = spend
        }
        spend.usd = event.usd.raw
        spend.answeredUSD = event.usd.raw
        spend.placedUSD = event.usd.raw
        spend.tokens = event.usage.total
        spend.usage = event.usage
        spend.outcome = event.outcome
        spend.settledTier = event.tier
        spend.endSeq = event.header.seq
        try bill(spend, usd: spend.usd, event.extras, event.header)
        count(spend, usd: spend.usd, tokens: spend.tokens, held: false)
    }

    private func open(_ name: HoldName, _ header: EventHeader) throws(Fault) -> Spend {
        guard let spend = spends[name] else {
            throw Fault(text: "event \(header.seq) ends \(name), which is no hold")
        }
        guard spend.state == .open else {
            throw Fault(text: "hold \(name) ends twice (\(header.seq)): it is \(spend.state)")
        }
        return spend
    }
    func chain(_ header: EventHeader) throws(Fault) -> [UInt32] {
        guard header.account.raw < UInt32(accounts.count),
            accounts[Int(header.account.raw)].chain.count == 3
        else { throw Fault(text: "event \(header.seq) is of no key") }
        return accounts[Int(header.account.raw)].chain
    }

    private func count(_ spend: Spend, usd: Int64, tokens: Int64, held: Bool) {
        spends[spend.name] = spend
        for account in accounts[Int(spend.key)].chain.map(Int.init) {
            for key in Oracle.windows(of: spend.placed) {
                accounts[account].windows[key, default: Counts()].requests += 1
                if held {
                    accounts[account].windows[key]!.heldUSD += usd
                    accounts[account].windows[key]!.heldTokens += tokens
                } else {
                    accounts[account].windows[key]!.usd += usd
                    accounts[account].windows[key]!.tokens += tokens
                }
            }
            if held { accounts[account].open += 1 }
            if accounts[account].recordsMinute {
                accounts[account].recent.removeAll { time.second - $0.placed.second >= 60 }
                accounts[account].recent.append(spend)
            }
        }
    }
    private func end(
        _ spend: Spend, _ state: State, usd: Int64, tokens: Int64, _ header: EventHeader
    ) {
        for account in accounts[Int(spend.key)].chain.map(Int.init) {
            for key in Oracle.windows(of: spend.placed) {
                accounts[account].windows[key]!.heldUSD -= spend.heldUSD
                accounts[account].windows[key]!.heldTokens -= spend.heldTokens
                accounts[account].windows[key]!.usd += usd - spend.usd
                accounts[account].windows[key]!.tokens += tokens - spend.tokens
            }
            if spend.state == .open { accounts[account].open -= 1 }
        }
        if spend.state == .open { openHolds.removeAll { $0 === spend } }
        spend.state = state
        spend.heldUSD = 0
        spend.heldTokens = 0
        spend.usd = usd
        spend.answeredUSD = usd
        spend.tokens = tokens
        spend.endSeq = header.seq
    }

    /// What counts against a limit at an instant.
    func taken(_ account: UInt32, _ kind: LimitKind, at now: Instant) -> (used: Int64, held: Int64)
    {
        let row = accounts[Int(account)]
        guard let unit = kind.unit, let window = kind.window else { return (row.open, 0) }
        if window == .minute {
            var sum: Int64 = 0
            for spend in row.recent where now.second - spend.placed.second < 60 {
                switch unit {
                case .usd: sum += spend.usd + spend.heldUSD
                case .tokens: sum += spend.tokens + spend.heldTokens
                case .requests: sum += 1
                }
            }
            return (sum, 0)
        }
        let key = WindowKey(window: window, start: Oracle.start(of: window, at: now))
        let counts = row.windows[key] ?? Counts()
        return switch unit {
        case .usd: (counts.usd, counts.heldUSD)
        case .tokens: (counts.tokens, counts.heldTokens)
        case .requests: (counts.requests, 0)
        }
    }

    // MARK: Time and prices

    static func windows(of time: Instant) -> [WindowKey] {
        [Window.hour, .day, .week, .month, .total].map {
            WindowKey(window: $0, start: start(of: $0, at: time))
        }
    }
    /// Seconds since 1970, of UTC.
    private static func start(of window: Window, at now: Instant) -> Int64 {
        let second = now.second
        let day = second / 86_400
        switch window {
        case .minute: return second / 60 * 60
        case .hour: return second / 3_600 * 3_600
        case .day: return day * 86_400
        // Day 4 after 1970-01-01, a Thursday, was a Monday.
        case .week: return (day - (day + 3) % 7) * 86_400
        case .month:
            var first = CivilDay(daysSince1970: day)
            first.day = 1
            return first.daysSince1970 * 86_400
        case .total: return 0
        }
    }
    /// The price an event names, which must be the one that holds at its time.
    private func price(_ model: ModelNumber, _ version: UInt32) throws(Fault) -> Price? {
        guard model != .none, version > 0 else { return nil }
        try require(
            versionInForce(of: Int(model.raw)) == Int(version) - 1,
            "event \(seq) is priced by version \(version) of \(models[Int(model.raw)])")
        return prices[Int(model.raw)][Int(version) - 1]
    }
    /// The place of a model's price that holds now: of those that have begun, the one that began last.
    func versionInForce(of model: Int) -> Int? {
        let versions = prices[model]
        let begun = versions.indices.filter { versions[$0].from <= time }
        let last = begun.map { versions[$0].from }.max()
        return begun.last { versions[$0].from == last }
    }
    static func cost(_ price: Price?, _ usage: TokenUsage) -> Int64 {
        guard let price else { return 0 }
        let counts = [
            usage.input - usage.cached - usage.cacheWrite, usage.cached, usage.cacheWrite,
            usage.output - usage.reasoning, usage.reasoning,
        ]
        var pico = Int128(price.request)
        for (count, each) in zip(counts, price.classes) { pico += Int128(count) * Int128(each) }
        return Int64((pico + 500) / 1_000)
    }
    /// A decimal string, times ten to the `digits`.
    static func scaled(_ text: String, _ digits: Int) -> Int64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = Int64(parts[0]) else { return nil }
        let fraction = parts.count == 2 ? String(parts[1]) : ""
        guard fraction.count <= digits else { return nil }
        let padded = fraction + String(repeating: "0", count: digits - fraction.count)
        var scale: Int64 = 1
        for _ in 0..<digits { scale *= 10 }
        return whole * scale + (Int64(padded) ?? 0)
    }
    static func matches(_ pattern: String, _ model: String) -> Bool {
        if pattern == "*" || pattern == model { return true }
        return pattern.hasSuffix("/*") && model.hasPrefix(String(pattern.dropLast()))
    }

    // MARK: Documents

    private func document(_ event: DocumentEvent) throws {
        let type = event.header.type
        guard let json = try? JSON(parsing: event.json) else {
            throw Fault(text: "event \(event.header.seq) has no readable JSON")
        }
        documents[event.header.seq] = type
        switch type {
        case .orgCreated, .teamCreated, .keyCreated:
            guard let path = json["account"]?.string, event.number == UInt32(accounts.count) else {
                throw Fault(text: "event \(event.header.seq) creates account \(event.number)")
            }
            let names = path.split(separator: "/").map(String.init)
            var chain = [event.number]
            for depth in stride(from: names.count - 1, to: 0, by: -1) {
                guard let parent = byPath[names.prefix(depth).joined(separator: "/")] else {
                    throw Fault(text: "\(path) has no parent")
                }
                chain.append(parent)
            }
            try require(byPath[path] == nil, "\(path) is created twice")
            byPath[path] = event.number
            accounts.append(Account(path: path, chain: chain))
            set(event.number, json["limits"])
            accounts[Int(event.number)].models = json["models"]?.array?.compactMap(\.string)
            accounts[Int(event.number)].onLapse = json["on_lapse"]?.string ?? "release"
            accounts[Int(event.number)].expires = json["expires"]?.string.flatMap { text in
                text.withBytes { Instant(parsing: $0) }
            }
            if let digest = json["secret_sha256"]?.string {
                secrets[digest] = SecretLife(key: event.number)
            }
            setRotation(of: Int(event.number), json["rotate_every"])
        case .keyRotated, .keyRevoked, .keyRotationDue, .accountDisabled, .accountEnabled:
            try life(event.header, json)
        case .limitsSet: set(event.header.account.raw, json["limits"])
        case .privacySet: setPrivacy(of: event.header.account, json)
        case .personalErased: try noteErased(json)
        case .routingSet: try setRouting(of: Int(event.header.account.raw), json)
        case .overrideGranted, .overrideEnded: try override(event.header, json)
        case .creditGranted, .creditExpired, .billingSet: try finance(event.header, json)
        case .permissionsSet:
            if let models = json["models"] {
                accounts[Int(event.header.account.raw)].models =
                    models.array?.compactMap(\.string)
            }
        case .chargeCorrected: try corrected(json, event.header)
        case .priceSet:
            guard let model = json["model"]?.string else {
                throw Fault(text: "a price of no model")
            }
            if event.number == UInt32(models.count) {
                models.append(model)
                prices.append([])
            }
            func each(_ name: String) -> Int64? {
                json[name]?.string.flatMap { Oracle.scaled($0, 6) }
            }
            let input = each("in") ?? 0
            let output = each("out") ?? 0
            let request = json["request"]?.string.flatMap { Oracle.scaled($0, 9) } ?? 0
            prices[Int(event.number)].append(
                Price(
                    classes: [
                        input, each("cached") ?? input, each("cache_write") ?? input, output,
                        each("reasoning") ?? output,
                    ], request: request * 1_000,
                    from: json["from"]?.string.flatMap { $0.withBytes { Instant(parsing: $0) } }
                        ?? event.header.time))
        default: break
        }
    }
    static func amount(_ value: JSON?, _ kind: LimitKind) -> Int64? {
        kind.isMoney ? value?.string.flatMap { scaled($0, 9) } : value?.integer
    }
    private func set(_ account: UInt32, _ limits: JSON?) {
        for member in limits?.members ?? [] {
            guard let kind = member.name.withBytes({ LimitKind($0) }) else { continue }
            let amount = Oracle.amount(member.value, kind)
            accounts[Int(account)].limits[kind] = amount
            if amount != nil, kind.window == .minute {
                accounts[Int(account)].recordsMinute = true
            }
        }
    }
}

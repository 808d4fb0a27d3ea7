import Events
import Gate

/// The tree that a seed's clients build and use, and what they may ask.
final class Catalog {
    private let plan: Plan
    let models: [String]
    let orgs: [String]
    let teams: [String]
    let keys: [String]
    /// What somebody has been told is there.
    private var there: Set<String> = []
    private var serial = 0
    /// Whom few have named.
    private var strangers: [Person] = []
    /// The newest secrets that keys were given, as far as it was asked for.
    private var secrets: [String: [String]] = [:]
    /// What somebody asked to be disabled, and nobody yet to be enabled.
    private var disabled: [String] = []

    init(_ plan: Plan, _ random: inout SeededRandom) {
        self.plan = plan
        models = (0..<3).map { "acme/m\($0)" }
        let orgs = (0..<plan.orgs).map { "o\($0)" }
        let teams = orgs.flatMap { org in (0..<plan.teams).map { "\(org)/t\($0)" } }
        keys = teams.flatMap { team in (0..<plan.keys).map { "\(team)/k\($0)" } }
        self.orgs = orgs
        self.teams = teams
    }

    func created(_ path: String) { there.insert(path) }

    /// Something to ask; a weight and how it is made.
    private typealias Maker = (
        Int, @Sendable (Catalog, SimulatedClient, inout SeededRandom) -> Ask?
    )
    private static let asks: [Maker] = [
        (40, { $0.reserve($1, &$2) }),
        (4, { $0.check(&$2) }),
        (8, { $0.extend($1, &$2) }),
        (30, { $0.settle($1, &$2) }),
        (8, { $0.release($1, &$2) }),
        (8, { $0.charge($1, &$2) }),
        (6, { $0.repeated($1, &$2) }),
        (5, { $0.limits(&$2) }),
        (2, { $0.permissions(&$2) }),
        (2, { $0.routing(&$2) }),
        (3, { $0.overrides(&$2) }),
        (3, { $0.life(&$2) }),
        (3, { $0.credit(&$2) }),
        (1, { $0.billing(&$2) }),
        (2, { $0.privacy(&$2) }),
        (3, { $0.erase(&$2) }),
        (2, { $0.price($1, &$2) }),
        (3, { $0.correction($1, &$2) }),
        (1, { $0.alias(&$2) }),
        (1, { $0.operators(&$2) }),
        (2, { $0.events($1, &$2) }),
        (2, { $0.reading(&$2) }),
        (3, { $0.tree($1, &$2) }),
    ]
    func ask(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        if let missing = creation(&random) { return missing }
        var at = random.below(Catalog.asks.reduce(0) { $0 + $1.0 })
        for (weight, make) in Catalog.asks {
            if at < weight { return make(self, client, &random) }
            at -= weight
        }
        return nil
    }

    // MARK: The tree

    /// The first thing that nobody has been told is there; now and then nothing, so that it is missed.
    private func creation(_ random: inout SeededRandom) -> Ask? {
        if random.chance(100) { return nil }
        for model in models where !there.contains(model) {
            return append(
                .priceSet, id: "create-\(model)", creates: model,
                [
                    "\"model\":\"\(model)\"", "\"in\":\"2.5\"", "\"out\":\"10\"",
                    // Somebody else may have set another one, far from this, before it was heard of.
                    "\"cached\":\"0.31\"", "\"force\":true",
                ])
        }
        for path in orgs + teams + keys where !there.contains(path) {
            // The same payload from whoever asks: the limits are drawn from the path.
            var own = SeededRandom(seed: UInt64(path.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
            let depth = path.split(separator: "/").count
            var fields = ["\"account\":\"\(path)\""]
            let limits = randomLimits(&own, depth: depth)
            if !limits.isEmpty { fields.append("\"limits\":{\(limits)}") }
            if depth == 1 {
                fields.append(
                    "\"on_lapse\":\"\(own.pick(["release", "charge_input", "charge_hold"]))\"")
            }
            let type: EventType = [.orgCreated, .teamCreated, .keyCreated][depth - 1]
            if depth == 3 {
                fields.append("\"secret_sha256\":\"\(Catalog.digest(firstSecret(path)))\"")
                if own.chance(300) { fields.append("\"rotate_every\":\(own.between(1...90))") }
            }
            return append(type, id: "create-\(path)", creates: path, fields, mayFail: true)
        }
        return nil
    }
    private func firstSecret(_ path: String) -> String {
        "sim." + path.split(separator: "/").joined(separator: ".")
    }
    static func digest(_ secret: String) -> String {
        secret.withBytes { Secret.digest($0) }.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }
    private func append(
        _ type: EventType, id: String, creates: String? = nil, _ fields: [String],
        mayFail: Bool = false
    ) -> Ask {
        let json = "{\((["\"id\":\"\(id)\""] + fields).joined(separator: ","))}"
        return Ask(
            words: ["APPEND", "\(type.name)", json], kind: .append(type, creates: creates),
            mayFail: mayFail)
    }
    private func newID(_ prefix: String) -> String {
        serial += 1
        return "\(prefix)\(serial)"
    }

    private func randomLimits(_ random: inout SeededRandom, depth: Int) -> String {
        guard plan.tightness > 0, random.chance(200 + 250 * plan.tightness) else { return "" }
        // A child's limit above its parent's is refused, so parents get the larger ones.
        let width = 4 - depth
        var limits: [String] = []
        for _ in 0..<random.between(1...3) {
            let kind = randomKind(&random)
            guard !limits.contains(where: { $0.hasPrefix("\"\(kind.name)\"") }) else { continue }
            let scale = width * (4 - plan.tightness) * random.between(1...4)
            let value =
                switch kind.unit {
                case .usd: "\"0.0\(10 + 7 * scale)\""
                case .tokens: "\(3_000 * scale)"
                case .requests: "\(4 * scale)"
                case nil: "\(scale)"
                }
            limits.append("\"\(kind.name)\":\(value)")
        }
        return limits.joined(separator: ",")
    }
    /// Where requests may wait, more often a limit for whose room they do.
    private func randomKind(_ random: inout SeededRandom) -> LimitKind {
        guard plan.waiting > 0, random.chance(600) else { return random.pick(LimitKind.all) }
        return random.pick([
            .concurrency, LimitKind(.requests, .minute), LimitKind(.tokens, .minute),
        ])
    }
    private func limits(_ random: inout SeededRandom) -> Ask? {
        let path = random.pick(orgs + teams + keys)
        var fields = randomLimits(&random, depth: path.split(separator: "/").count)
        if fields.isEmpty || random.chance(150) {
            fields = "\"\(random.pick(LimitKind.all).name)\":null"
        }
        return append(
            .limitsSet, id: newID("limits"), ["\"account\":\"\(path)\"", "\"limits\":{\(fields)}"],
            mayFail: true)
    }
    private func overrides(_ random: inout SeededRandom) -> Ask? {
        let path = random.pick(orgs + teams + keys)
        let limits = randomLimits(&random, depth: path.split(separator: "/").count)
        guard let member = limits.split(separator: ",").first else { return nil }
        let parts = member.split(separator: ":")
        var fields = ["\"account\":\"\(path)\"", "\"limit\":\(parts[0])"]
        if random.chance(200) {
            return append(.overrideEnded, id: newID("end"), fields, mayFail: true)
        }
        fields += [
            "\"amount\":\(parts[1])", "\"for\":\(random.pick([1, 1, 2, 5, 60, 3_600]))",
            "\"reason\":\"drill\"",
        ]
        return append(.overrideGranted, id: newID("override"), fields, mayFail: true)
    }
    /// Rotations, and now and then the end of a key; accounts disabled and enabled, and described.
    private func life(_ random: inout SeededRandom) -> Ask? {
        let path = random.pick(orgs + teams + keys)
        switch random.below(10) {
        case 0..<4:
            let key = random.pick(keys)
            let secret = firstSecret(key) + "." + newID("r")
            secrets[key, default: []].append(secret)
            var fields = [
                "\"account\":\"\(key)\"", "\"secret_sha256\":\"\(Catalog.digest(secret))\"",
            ]
            if random.chance(700) {
                fields.append("\"grace\":\(random.pick([0, 1, 2, 60, 3_600]))")
            }
            if random.chance(300) {
                fields.append("\"rotate_every\":\(random.pick(["1", "60", "3600", "null"]))")
            }
            return append(.keyRotated, id: newID("rotate"), fields, mayFail: true)
        case 4..<6:
            disabled.append(path)
            return append(
                .accountDisabled, id: newID("disable"), ["\"account\":\"\(path)\""], mayFail: true)
        case 6..<8:
            let enabled = disabled.isEmpty ? path : disabled.removeFirst()
            return append(
                .accountEnabled, id: newID("enable"), ["\"account\":\"\(enabled)\""],
                mayFail: true)
        case 8 where random.chance(100):
            return append(
                .keyRevoked, id: newID("revoke"), ["\"account\":\"\(random.pick(keys))\""],
                mayFail: true)
        default:
            return append(
                .accountDescribed, id: newID("describe"),
                [
                    "\"account\":\"\(path)\"", "\"owner\":\"u\(random.below(9))\"",
                    "\"labels\":{\"l\(random.below(4))\":\(random.pick(["null", "\"x\""]))}",
                ], mayFail: true)
        }
    }
    /// Most orgs never get any; the first has to live on it.
    private func credit(_ random: inout SeededRandom) -> Ask? {
        var fields = [
            "\"account\":\"\(orgs[0])\"", "\"source\":\"card\"",
            "\"usd\":\"0.\(random.between(100...999))\(random.between(0...999_999))\"",
        ]
        if random.chance(600) {
            fields.append("\"expires_in\":\(random.pick([1, 2, 30, 3_600]))")
        }
        return append(.creditGranted, id: newID("credit"), fields, mayFail: true)
    }
    private func billing(_ random: inout SeededRandom) -> Ask? {
        let markup = random.pick([0, 1, 150_000, 333_333])
        return append(
            .billingSet, id: newID("billing"),
            [
                "\"account\":\"\(random.pick(orgs))\"", "\"markup_ppm\":\(markup)",
                "\"currency\":\"\(random.pick(["CNY", "EUR"]))\"",
                "\"rate\":\"\(random.pick(["1", "7.3", "0.861234567"]))\"",
            ], mayFail: true)
    }
    /// Which texts are stored as commitments, and a person whose text is to go.
    private func privacy(_ random: inout SeededRandom) -> Ask? {
        let fields = random.pick([
            "", "\"user\"", "\"user\",\"ip\"", "\"ip\"", "\"user\",\"ip\",\"ua\"",
        ])
        return append(
            .privacySet, id: newID("privacy"),
            ["\"account\":\"\(random.pick(orgs))\"", "\"fields\":[\(fields)]"], mayFail: true)
    }
    private func erase(_ random: inout SeededRandom) -> Ask? {
        var person = person(&random)
        // Mostly one whom nobody names again meanwhile.
        if !strangers.isEmpty, random.chance(600) {
            person = strangers.remove(at: random.below(strangers.count))
        }
        let org = random.chance(300) ? random.pick(orgs) : nil
        let words = ["ERASE", "\(person.field.name)", person.text]
        return Ask(
            words: words + (org.map { ["account=\($0)"] } ?? []), kind: .erase(person, org: org),
            mayFail: true)
    }
    private func person(
        _ random: inout SeededRandom, _ field: PersonalField? = nil
    ) -> Person {
        let field = field ?? random.pick(PersonalField.allCases)
        return Person(field: field, text: Person.text(field, random.below(9)))
    }
    /// What a request says of people; now and then one of whom nobody has heard.
    private func persons(_ random: inout SeededRandom) -> [Person] {
        var persons: [Person] = []
        for field in PersonalField.allCases where random.chance(200) {
            var person = person(&random, field)
            if field != .address, random.chance(400) {
                serial += 1
                person.text = Person.text(field, 100 + serial)
                strangers.append(person)
                if strangers.count > 20 { strangers.removeFirst() }
            }
            persons.append(person)
        }
        return persons
    }
    private func words(_ persons: [Person]) -> [String] {
        persons.map { "\($0.field.name)=\($0.text)" }
    }
    /// Rules that look at the tokens and at the tier; now and then none any more.
    private func routing(_ random: inout SeededRandom) -> Ask? {
        let account = "\"account\":\"\(random.pick(orgs + teams))\""
        if random.chance(100) {
            return append(
                .routingSet, id: newID("routing"), [account, "\"rules\":null"], mayFail: true)
        }
        let rules = (0..<random.below(4)).map { number in
            let match = random.pick([
                "\"out\":\(random.below(1_000))", "\"in\":\(random.below(2_000))",
                "\"batch\":\(random.chance(500))",
            ])
            let own = random.chance(300) ? ",\"fallback\":\"\(random.pick(models))\"" : ""
            return "{\"name\":\"r\(number)\",\"match\":{\(match)},"
                + "\"model\":\"\(random.pick(models))\"\(own)}"
        }
        return append(
            .routingSet, id: newID("routing"),
            [
                account, "\"rules\":[\(rules.joined(separator: ","))]",
                "\"fallback\":\"\(random.pick(models))\"",
            ], mayFail: true)
    }
    private func permissions(_ random: inout SeededRandom) -> Ask? {
        let path = random.pick(orgs + teams + keys)
        var models = random.pick(
            [
                "null", "null", "[\"*\"]", "[\"acme/*\"]", "[\"acme/m0\"]",
                "[\"acme/m1\",\"acme/m2\"]",
            ])
        if random.chance(plan.largeDocuments) {
            // Tens of kilobytes: one such event fills a good part of the ring.
            let many = (0..<random.between(500...1_500)).map { "\"acme/unheard-of-\($0)\"" }
            models = "[\"acme/*\",\(many.joined(separator: ","))]"
        }
        return append(
            .permissionsSet, id: newID("rights"),
            ["\"account\":\"\(path)\"", "\"models\":\(models)"],
            mayFail: true)
    }
    private func price(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        var fields = [
            "\"model\":\"\(random.pick(models))\"",
            "\"in\":\"\(random.between(0...9)).\(random.between(0...99))\"",
            "\"out\":\"\(random.between(0...30)).125\"",
        ]
        if random.chance(400) { fields.append("\"cached\":\"0.\(random.between(1...999))\"") }
        if random.chance(300) { fields.append("\"reasoning\":\"\(random.between(0...50))\"") }
        if random.chance(300) { fields.append("\"request\":\"0.000\(random.between(1...99))\"") }
        if random.chance(200) {
            let from = Instant(
                seconds: client.world.wall / 1_000_000_000 + Int64(random.between(1...400)))
            fields.append("\"from\":\"\(from)\"")
        }
        // Without the word a change of more than a hundredfold is refused.
        let isForced = random.chance(800)
        if isForced { fields.append("\"force\":true") }
        return append(.priceSet, id: newID("price"), fields, mayFail: true)
    }
    /// Of a charge that the client knows; sometimes of a hold that may not have ended, or under another
    /// key.
    private func correction(
        _ client: SimulatedClient, _ random: inout SeededRandom
    ) -> Ask? {
        var charge = client.someCharge(&random)
        if random.chance(150) { charge = client.someHold(&random)?.name }
        guard let charge else { return nil }
        let oracle = client.world.checker.oracle
        var key = random.pick(keys)
        if random.chance(950), let spend = oracle.spends[charge] {
            key = oracle.accounts[Int(spend.key)].path
        }
        let usd = random.chance(100) ? "0" : "0.0\(random.between(1...99_999))"
        return append(
            .chargeCorrected, id: newID("correction"),
            ["\"account\":\"\(key)\"", "\"charge\":\"\(charge)\"", "\"usd\":\"\(usd)\""],
            mayFail: true)
    }
    private func alias(_ random: inout SeededRandom) -> Ask? {
        append(
            .aliasSet, id: newID("alias"),
            ["\"alias\":\"m\(random.below(3))\"", "\"model\":\"\(random.pick(models))\""],
            mayFail: true)
    }
    private func operators(_ random: inout SeededRandom) -> Ask? {
        let name = "relay\(random.below(3))"
        if random.chance(300) {
            return append(
                .operatorRevoked, id: newID("operator"), ["\"operator\":\"\(name)\""], mayFail: true
            )
        }
        var fields = [
            "\"operator\":\"\(name)\"", "\"role\":\"\(random.pick(Role.allCases).name)\"",
            "\"secret_sha256\":\"\(String(repeating: "a", count: 64))\"",
        ]
        if random.chance(600) { fields.append("\"account\":\"\(random.pick(orgs + teams))\"") }
        return append(.operatorCreated, id: newID("operator"), fields, mayFail: true)
    }

    // MARK: Requests

    private func reserve(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        let key = random.pick(keys)
        let (input, output) = (Int64(random.below(2_000)), Int64(random.below(1_000)))
        let waits = random.chance(plan.waiting)
        let id = waits || random.chance(850) ? newID("r") : ""
        let isAuto = random.chance(plan.routing)
        let model = isAuto ? "auto" : random.pick(models)
        var words = ["RESERVE", key, model, "in=\(input)", "out=\(output)"]
        if !id.isEmpty { words.append("id=\(id)") }
        if random.chance(700) { words.append("ttl=\(random.pick([1, 2, 10, 60, 61, 3_600]))") }
        if waits {
            let wait = random.pick([1, 30, 800, 5_000, 70_000])
            words += ["wait=\(wait)", "project=wait\(wait)"]
            if random.chance(700) { words.append("prio=\(random.between(1...10))") }
        }
        let persons = persons(&random)
        words += self.words(persons)
        if random.chance(100) { words.append("tier=batch") }
        let onDisk = random.chance(250)
        if onDisk { words.append("ack=disk") }
        var isKnown = there.contains(key)
        if random.chance(200) {
            words[1] = random.pick([firstSecret(key)] + (secrets[key] ?? []).suffix(3))
            isKnown = isKnown && words[1] == firstSecret(key)
        }
        var ask = Ask(
            words: words, kind: .reserve(key: key, input: input, output: output, id: id),
            onDisk: onDisk)
        ask.keyIsKnown = isKnown
        ask.persons = persons
        // Nobody may have set rules, and who repeats it may have been answered by others.
        ask.mayFail = isAuto
        return ask
    }
    private func check(_ random: inout SeededRandom) -> Ask? {
        Ask(words: ["CHECK", random.pick(keys), random.pick(models), "in=100"], kind: .check)
    }
    private func extend(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        guard let hold = client.someHold(&random, keeping: true) else { return nil }
        let output = Int64(random.below(2_500))
        var words = ["EXTEND", "\(hold.name)", "out=\(output)"]
        var input: Int64 = 0
        if random.chance(300) {
            input = Int64(random.below(3_000))
            words.append("in=\(input)")
        }
        if random.chance(400) { words.append("ttl=\(random.pick([1, 2, 60, 600, 86_400]))") }
        let onDisk = random.chance(250)
        if onDisk { words.append("ack=disk") }
        return Ask(
            words: words, kind: .extend(hold.name, input: input, output: output), onDisk: onDisk)
    }
    private func usage(_ random: inout SeededRandom) -> (TokenUsage, [String]) {
        var usage = TokenUsage(
            input: Int64(random.below(2_500)), output: Int64(random.below(1_200)))
        var words = ["in=\(usage.input)", "out=\(usage.output)"]
        if random.chance(300), usage.input > 0 {
            usage.cached = Int64(random.below(Int(usage.input)))
            words.append("cached=\(usage.cached)")
        }
        if random.chance(200), usage.output > 0 {
            usage.reasoning = Int64(random.below(Int(usage.output)))
            words.append("reasoning=\(usage.reasoning)")
        }
        return (usage, words)
    }
    private func settle(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        var hold = client.someHold(&random)
        let isInvented = random.chance(10)
        if isInvented {
            // A name out of the air.
            let name = HoldName(
                epoch: UInt32(random.between(1...max(1, Int(client.world.checker.oracle.epoch)))),
                seq: UInt64(random.between(1...400)))
            hold = SimulatedClient.KnownHold(name: name, key: random.pick(keys))
        }
        guard let hold else { return nil }
        var (usage, words) = usage(&random)
        var outcome = Outcome.exact
        if random.chance(100) {
            outcome = .estimated
            words.append("outcome=estimated")
        }
        let isChargeable = random.chance(700)
        if isChargeable { words += ["key=\(hold.key)", "model=\(random.pick(models))"] }
        let onDisk = !random.chance(150)
        if !onDisk { words.append("ack=ring") }
        if random.chance(30) {
            usage.input += 1
            words[0] = "in=\(usage.input)"
        }
        // Who charges an unknown hold brings its tier, or gets the standard one.
        return Ask(
            words: ["SETTLE", "\(hold.name)"] + words,
            kind: .settle(
                hold.name, usage, outcome: outcome, tier: nil,
                isChargeable: isChargeable && there.contains(hold.key) && !isInvented),
            onDisk: onDisk)
    }
    private func release(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        guard let hold = client.someHold(&random) else { return nil }
        let onDisk = !random.chance(200)
        return Ask(
            words: ["RELEASE", "\(hold.name)"] + (onDisk ? [] : ["ack=ring"]),
            kind: .release(hold.name), onDisk: onDisk)
    }
    private func charge(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        let key = random.pick(keys)
        guard there.contains(key) else { return nil }
        let (usage, words) = usage(&random)
        let id = newID("c")
        let onDisk = !random.chance(200)
        let persons = persons(&random)
        var ask = Ask(
            words: ["CHARGE", key, random.pick(models)] + words + ["id=\(id)"]
                + self.words(persons) + (onDisk ? [] : ["ack=ring"]),
            kind: .charge(key: key, usage, id: id), onDisk: onDisk)
        ask.persons = persons
        return ask
    }
    /// What was asked before, word for word or with other numbers.
    private func repeated(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        guard var ask = client.someOldAsk(&random) else { return nil }
        guard random.chance(400) else { return ask }
        guard let at = ask.words.firstIndex(where: { $0.hasPrefix("in=") }),
            let number = Int64(ask.words[at].dropFirst(3))
        else { return ask }
        // A part may not be larger than its whole, so the number only grows.
        let other = number + Int64(random.between(1...50))
        ask.words[at] = "in=\(other)"
        switch ask.kind {
        case .reserve(let key, _, let output, let id):
            ask.kind = .reserve(key: key, input: other, output: output, id: id)
        case .extend(let hold, _, let output):
            ask.kind = .extend(hold, input: other, output: output)
        case .settle(let hold, var usage, let outcome, let tier, let isChargeable):
            usage.input = other
            ask.kind = .settle(
                hold, usage, outcome: outcome, tier: tier, isChargeable: isChargeable)
        case .charge(let key, var usage, let id):
            usage.input = other
            ask.kind = .charge(key: key, usage, id: id)
        default: break
        }
        return ask
    }
    private func events(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        let from = UInt64(random.between(1...max(1, Int(client.world.checker.count) + 3)))
        let limit = random.between(1...20)
        return switch limit % 5 {
        case 1:
            Ask(
                words: ["LOG", "from=\(from)", "limit=\(limit)"],
                kind: .log(from: from, limit: limit))
        case 2: Ask(words: ["PERSONAL", "limit=\(limit)"], kind: .personal)
        case 4: Ask(words: ["TAIL", "from=\(from)"], kind: .tail(from: from))
        case 3: Ask(words: ["ROLLUPS", "by=team"], kind: .rollups)
        default:
            Ask(
                words: ["EVENTS", "from=\(from)", "limit=\(limit)"],
                kind: .events(from: from, limit: limit))
        }
    }
    private func reading(_ random: inout SeededRandom) -> Ask? {
        let words = random.pick(
            [
                ["USAGE", random.pick(orgs + teams + keys)], ["LIST", "keys"], ["PING"],
                ["GET", "account", random.pick(keys)], ["ECHO", "hello"],
            ])
        return Ask(words: words, kind: .other, mayFail: true)
    }
    /// Of as many events as there are, or a few more.
    private func tree(_ client: SimulatedClient, _ random: inout SeededRandom) -> Ask? {
        let place = random.between(1...max(1, Int(client.world.checker.count) + 3))
        return random.pick([
            Ask(words: ["TREE", "checkpoint"], kind: .tree(.checkpoint)),
            Ask(words: ["TREE", "inclusion", "\(place)"], kind: .tree(.inclusion(seq: place))),
            Ask(words: ["TREE", "consistency", "\(place)"], kind: .tree(.consistency(old: place))),
        ])
    }
}

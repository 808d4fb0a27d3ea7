/// Endless histories of commands for the engine and its naive model, from a seed alone.
///
/// The generator knows nothing of the rules; it only remembers what it asked and what was
/// answered, so that it can settle holds that exist, repeat itself, and loosen what has refused
/// too much. It draws on its own randomness: one seed and the same replies give the same history.
struct HistoryGenerator {
    private var random: SplitMix64
    private(set) var now: Int64
    private var pace = Pace.still
    private var paceLines = 0

    /// Lines that come before anything new is thought up.
    private var queue: [String] = []
    private var lastLine = ""
    private var recent: [String] = []
    private var lineCount = 0

    private var orgs: [String] = []
    private var teams: [String] = []
    private var keys: [String] = []
    /// Instants at which a scheduled price begins.
    private var scheduled: [Int64] = []
    /// How often an account's keys have been admitted.
    private var admitted: [String: Int] = [:]
    private var holds: [KnownHold] = []
    private var charges: [(name: String, key: String)] = []
    private var lastSeq: Int64 = 2
    /// Keys and secrets that were refused for what they are.
    private var deadKeys: Set<String> = []
    private var secretCount = 0
    /// Secrets that were brought, such as `s17`.
    private var secrets: [String] = []
    /// When something ends by itself, as far as it was asked for.
    private var ends: [Int64] = []
    /// Most requests are for one key for a while, so that its limits are felt.
    private var favourite = ""
    private var lastRefusal: (scope: String, limit: String)?
    /// A refused RESERVE and the limit that is to fit it to a hair, once a CHECK has named its
    /// price.
    private var fitting: Fitting?

    /// How far apart the lines are for a while.
    private enum Pace: CaseIterable {
        case still, milliseconds, seconds, minutes, hours, days
    }

    private struct KnownHold {
        let name: String
        let key: String
        var input: Int
        var output: Int
        let placed: Int64
        var ttlSeconds: Int64
        var isOpen = true
    }

    private struct Fitting {
        let line: String
        let scope: String
        let limit: String
        /// Used and held, of the limit's unit.
        let standing: Int128
    }

    private struct SplitMix64 {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }

        mutating func below(_ bound: Int) -> Int {
            Int(next() % UInt64(bound))
        }

        mutating func chance(_ percent: Int) -> Bool {
            below(100) < percent
        }

        mutating func pick<T>(_ items: [T]) -> T {
            items[below(items.count)]
        }

        mutating func pickAny<Items: Collection>(_ items: Items) -> Items.Element? {
            items.isEmpty ? nil : items[items.index(items.startIndex, offsetBy: below(items.count))]
        }
    }

    private static let second: Int64 = 1_000_000_000
    private static let orgNames = ["acme", "globex", "initech"]
    private static let teamNames = ["core", "ml-platform", "lab.1"]
    private static let keyNames = ["prod", "dev", "k_3", "night", "eval", "spare"]
    private static let pricedModels = [
        "openai/gpt-4.1", "openai/gpt-4.1-mini", "anthropic/claude-5",
    ]
    /// So dear that a few requests reach the end of an `Int64`; only the last org uses it.
    private static let dearModel = "giant/one"

    init(seed: UInt64) {
        random = SplitMix64(state: seed)
        // 2026-11-22T21:31:00Z, a Sunday, and something.
        now = 1_795_383_060 * Self.second + Int64(random.below(1_000_000_000))
        setUp()
    }

    private mutating func setUp() {
        for model in Self.pricedModels {
            queue.append(priceLine(model))
        }
        queue.append(
            #"APPEND price.set {"model":"\#(Self.dearModel)","in":"9000000000","out":"1"}"#)
        queue.append(#"APPEND alias.set {"alias":"fast","model":"openai/gpt-4.1-mini"}"#)
        queue.append(#"APPEND alias.set {"alias":"Smart","model":"Anthropic/Claude-5"}"#)
        let onLapse = ["release", "charge_input", "charge_hold"]
        let first = random.below(3)
        for (i, org) in Self.orgNames.enumerated() {
            var fields = #","on_lapse":"\#(onLapse[(first + i) % 3])""#
            if i == 1 || random.chance(20) {
                fields += #","unpriced":"allow""#
            }
            queue.append(accountLine("org.created", org, fields))
            for team in Self.teamNames.prefix(2 + random.below(2)) {
                // Without limits of their own: one above the org's, and half the tree were missing.
                queue.append(#"APPEND team.created {"account":"\#(org)/\#(team)"}"#)
                queue.append(limitsLine(of: "\(org)/\(team)"))
                for key in Self.keyNames.prefix(2 + random.below(2)) {
                    queue.append(
                        #"APPEND key.created {"account":"\#(org)/\#(team)/\#(key)"}"#)
                    queue.append(limitsLine(of: "\(org)/\(team)/\(key)"))
                }
            }
            queue.append(routingLine(of: org))
            queue.append(routingLine(of: "\(org)/\(Self.teamNames[0])"))
        }
    }

    // MARK: Next

    mutating func next() -> (line: String, time: Int64) {
        lineCount += 1
        if queue.isEmpty {
            stepTime()
        } else if fitting == nil, random.chance(20) {
            now += Int64(random.below(300_000_000))
        }
        lastLine = queue.isEmpty ? inventLine() : queue.removeFirst()
        recent.append(lastLine)
        if recent.count > 80 {
            recent.removeFirst()
        }
        return (lastLine, now)
    }

    /// Learns from the reply to the last line.
    mutating func observe(_ reply: String) {
        let words = reply.split(separator: " ").map { String($0) }
        let asked = lastLine.split(separator: " ").map { String($0) }
        guard let answer = words.first, let verb = asked.first else {
            return
        }
        switch (answer, verb) {
        case ("+ALLOW", "RESERVE"):
            rememberHold(words, asked)
        case ("+ALLOW", "CHECK"):
            fit(words)
        case ("-ERR", "CHECK"):
            fitting = nil
        case ("+DENY", _):
            fitting = nil
            learnRefusal(words, asked)
        case ("+EXTENDED", _):
            rememberGrowth(words, asked)
        case ("+SETTLED", _), ("+RELEASED", _):
            for i in holds.indices where holds[i].name == words[1] {
                holds[i].isOpen = false
            }
        case ("+CHARGED", _):
            rememberSeq(words[1])
            charges.append((words[1], asked[1]))
        case (_, "APPEND") where reply.hasPrefix("{"):
            rememberAccount(asked)
        default:
            break
        }
    }

    private mutating func rememberSeq(_ name: String) {
        if let seq = Int64(String(name.split(separator: "-")[1])) {
            lastSeq = max(lastSeq, seq)
        }
    }

    private mutating func rememberHold(_ words: [String], _ asked: [String]) {
        rememberSeq(words[1])
        guard !holds.contains(where: { $0.name == words[1] }) else {
            return
        }
        let names = asked[1].split(separator: "/")
        for depth in 1...names.count {
            admitted[names.prefix(depth).joined(separator: "/"), default: 0] += 1
        }
        holds.append(
            KnownHold(
                name: words[1],
                key: asked[1],
                input: Int(Self.option("in", asked) ?? "") ?? 0,
                output: Int(Self.option("out", asked) ?? "") ?? 1000,
                placed: now,
                ttlSeconds: Int64(Self.option("ttl", asked) ?? "") ?? 600))
        if holds.count > 150 {
            holds.removeFirst()
        }
    }

    private mutating func rememberGrowth(_ words: [String], _ asked: [String]) {
        for i in holds.indices where holds[i].name == words[1] {
            holds[i].input = max(holds[i].input, Int(Self.option("in", asked) ?? "") ?? 0)
            holds[i].output = max(holds[i].output, Int(Self.option("out", asked) ?? "") ?? 0)
            if let ttl = Self.option("ttl", asked).flatMap({ Int64($0) }) {
                let life = (now - holds[i].placed) / Self.second + ttl
                holds[i].ttlSeconds = max(holds[i].ttlSeconds, min(life, 86_400))
            }
        }
    }

    private mutating func learnRefusal(_ words: [String], _ asked: [String]) {
        guard queue.isEmpty else {
            return
        }
        if words[2] == "key_expired" || words[2] == "key_revoked" {
            deadKeys.insert(asked[1])
        }
        if let scope = Self.option("scope", words) {
            let byReason = [
                "model_denied": "models", "scope_denied": "scopes", "key_disabled": "disabled",
            ]
            if let limit = Self.option("limit", words) ?? byReason[words[2]] {
                lastRefusal = (scope, limit)
            }
        }
        guard asked[0] == "RESERVE" else {
            return
        }
        if words[2] == "credit_exhausted", random.chance(30) {
            queue.append(creditLine(Self.option("scope", words) ?? "acme"))
            return
        }
        if random.below(80) == 0 {
            // A flood: the same again, and others like it, well past what is logged in a second.
            let others = recent.filter { $0.hasPrefix("RESERVE ") }.suffix(2)
            for _ in 0..<(8 + random.below(25)) {
                queue.append(random.chance(60) ? lastLine : random.pick(Array(others)))
            }
        } else if random.chance(25) {
            beginFitting(words, asked)
        }
    }

    /// Removes the limit and asks for the price; the reply says how to set the limit again.
    private mutating func beginFitting(_ words: [String], _ asked: [String]) {
        guard let scope = Self.option("scope", words), let limit = Self.option("limit", words),
            let used = Self.option("used", words), let held = Self.option("held", words),
            let usedAmount = limit.hasPrefix("usd") ? NaiveModel.nanoDollars(used) : Int128(used),
            let heldAmount = limit.hasPrefix("usd") ? NaiveModel.nanoDollars(held) : Int128(held)
        else {
            return
        }
        fitting = Fitting(
            line: lastLine, scope: scope, limit: limit, standing: usedAmount + heldAmount)
        let check = ["CHECK"] + asked.dropFirst().filter { !$0.hasPrefix("id=") }
        queue = [loosenLine(scope, limit), check.joined(separator: " ")]
    }

    /// Sets the limit to what the refused request needs, or to one less, and asks again.
    private mutating func fit(_ words: [String]) {
        guard let fitting, queue.isEmpty else {
            return
        }
        self.fitting = nil
        let asked = fitting.line.split(separator: " ").map { String($0) }
        var amount = fitting.standing - (random.chance(40) ? 1 : 0)
        switch fitting.limit.prefix(3) {
        case "usd":
            amount += NaiveModel.nanoDollars(Self.option("usd", words) ?? "") ?? 0
        case "tok":
            amount += Int128(Self.option("in", asked) ?? "") ?? 0
            amount += Int128(Self.option("out", asked) ?? "") ?? 0
        default:
            amount += 1
        }
        guard amount >= 0 else {
            return
        }
        let text = NaiveModel.amount(amount, of: fitting.limit)
        let value = fitting.limit.hasPrefix("usd") ? "\"\(text)\"" : text
        queue = [
            #"APPEND limits.set {"account":"\#(fitting.scope)","#
                + #""limits":{"\#(fitting.limit)":\#(value)}}"#,
            fitting.line,
            fitting.line,
        ]
    }

    private mutating func rememberAccount(_ asked: [String]) {
        let texts = asked[2].split(separator: "\"").map { String($0) }
        guard let field = texts.firstIndex(of: "account"), texts.count > field + 2 else {
            return
        }
        let path = texts[field + 2]
        switch asked[1] {
        case "org.created" where !orgs.contains(path): orgs.append(path)
        case "team.created" where !teams.contains(path): teams.append(path)
        case "key.created" where !keys.contains(path): keys.append(path)
        default: break
        }
    }

    private static func option(_ name: String, _ words: [String]) -> String? {
        words.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    // MARK: Time

    private mutating func stepTime() {
        if paceLines == 0 {
            pace = random.pick([
                .still, .still, .milliseconds, .seconds, .seconds, .minutes, .minutes,
                .hours, .days,
            ])
            paceLines = pace == .days ? 5 + random.below(15) : 30 + random.below(120)
            favourite = random.pick(keys)
        }
        paceLines -= 1
        if random.chance(4) {
            jumpToBoundary()
        } else if random.chance(3) {
            jumpToDeadline()
        } else if random.chance(50) {
            let second = Int(Self.second)
            let reach =
                switch pace {
                case .still: 2
                case .milliseconds: 50_000_000
                case .seconds: 4 * second
                case .minutes: 100 * second
                case .hours: 7200 * second
                case .days: 172_800 * second
                }
            now += Int64(random.below(reach))
        }
    }

    /// To the end of a second, minute, hour, day, week or month, or a nanosecond before.
    private mutating func jumpToBoundary() {
        let minute = 60 * Self.second
        let end: Int64
        switch random.below(100) {
        case ..<50: end = (now / Self.second + 1) * Self.second
        case ..<70: end = (now / minute + 1) * minute
        case ..<85: end = NaiveModel.bounds(of: "hour", at: now).end
        case ..<94: end = NaiveModel.bounds(of: "day", at: now).end
        case ..<98: end = NaiveModel.bounds(of: "week", at: now).end
        default: end = NaiveModel.bounds(of: "month", at: now).end
        }
        now = max(now, random.chance(35) ? end - 1 : end)
    }

    /// To the deadline of a hold, to the second in which it leaves the minute, or to a new price.
    private mutating func jumpToDeadline() {
        if random.chance(30), let end = random.pickAny(ends.suffix(6)) {
            let instant = end - (random.chance(35) ? 1 : 0)
            if instant > now, instant - now < 7200 * Self.second {
                now = instant
            }
            return
        }
        if random.chance(40), let instant = random.pickAny(scheduled.suffix(3)) {
            now = max(now, instant - (random.chance(35) ? 1 : 0))
            return
        }
        guard let hold = random.pickAny(holds.suffix(20)) else {
            return
        }
        var instant = (hold.placed / Self.second + 60) * Self.second
        if random.chance(70) {
            instant = hold.placed + (hold.ttlSeconds + 1) * Self.second - 1
            instant -= instant % Self.second
        }
        instant -= random.chance(35) ? 1 : 0
        if instant > now, instant - now < 7200 * Self.second {
            now = instant
        }
    }

    // MARK: Lines

    private mutating func inventLine() -> String {
        if let (scope, limit) = lastRefusal {
            let isPermission = ["models", "scopes", "disabled"].contains(limit)
            if random.chance(isPermission || limit.hasSuffix("total") ? 12 : 4) {
                lastRefusal = nil
                return loosenLine(scope, limit)
            }
        }
        switch random.below(1000) {
        case ..<355: return reserveLine("RESERVE")
        case ..<400: return reserveLine("CHECK")
        case ..<450: return extendLine()
        case ..<655: return settleLine()
        case ..<715: return releaseLine()
        case ..<780: return chargeLine()
        case ..<845: return random.pick(Array(recent.suffix(random.chance(50) ? 12 : 80)))
        case ..<890: return changedLine()
        case ..<914: return limitsLine(of: anyAccount())
        case ..<927: return overrideLine()
        case ..<940: return lifeLine()
        case ..<954: return permissionsLine()
        case ..<956: return routingLine()
        case ..<958: return random.chance(60) ? creditLine(random.pick(orgs)) : termsLine()
        case ..<963: return random.chance(70) ? priceLine(random.pick(pricedNow)) : aliasLine()
        case ..<972: return newAccountLine()
        case ..<980: return brokenLine()
        case ..<991: return correctionLine()
        default: return brokenAppendLine()
        }
    }

    /// Now and then a model that had no price gets one.
    private var pricedNow: [String] {
        Self.pricedModels + ["mystery/model-\(1 + lineCount / 1000)"]
    }

    private mutating func anyKey() -> String {
        if random.chance(3) {
            return random.pick([
                "acme/core/none", "nobody/core/prod", "acme", "acme/core", "acme//prod",
                "acme/core/prod/x", "/", "Acme/Core/Prod", "acme/core/",
            ])
        }
        let key = random.chance(60) ? favourite : random.pick(keys)
        // Dead keys are seen a little; they refuse everything.
        let asked = random.chance(12) ? random.pickAny(secrets.suffix(8)) ?? key : key
        return deadKeys.contains(asked) && random.chance(90) ? random.pick(keys) : asked
    }

    private mutating func anyModel(of key: String) -> String {
        if random.chance(9) {
            return random.chance(90) ? "auto" : "Auto"
        }
        if key.hasPrefix("initech/"), random.chance(3) {
            return Self.dearModel
        }
        switch random.below(100) {
        case ..<70: return random.pick(Self.pricedModels)
        case ..<84: return random.pick(["fast", "smart", "SMART", "OpenAI/GPT-4.1"])
        case ..<92: return "mystery/model-\(1 + random.below(3) + lineCount / 1000)"
        case ..<94: return "nowhere/to-be-found"
        case ..<98: return "fast"
        default:
            return random.pick([
                "no-alias", "openai/", "/gpt-4.1", "Unknown", "openai//x", "gpt-4.1", "gpt-4.l",
                "GPT",
                "clade-5", "claude", "fst", "smrat", "model", "model-1", "one", "o",
            ])
        }
    }

    private mutating func tokenCount(_ most: Int) -> Int {
        random.chance(8) ? 0 : random.below(most)
    }

    private mutating func reserveLine(_ verb: String) -> String {
        let key = anyKey()
        let model = anyModel(of: key)
        var line = "\(verb) \(key) \(model)"
        if model == Self.dearModel {
            line += " in=\(random.pick([1_000_000, 500_000, 1_024_900, 1_000_000_000_000]))"
        } else if random.chance(85) {
            line += " in=\(tokenCount(random.chance(85) ? 3000 : 12_000))"
        }
        if model.lowercased() == "auto" || random.chance(3) {
            line += wishes()
        }
        if random.chance(12) {
            line += " bytes=\(tokenCount(9000))"
        }
        if random.chance(75) {
            line += " out=\(tokenCount(1500))"
        }
        if random.chance(25) {
            line += " scope=\(random.pick(["chat", "batch", "batch.eu", "admin"]))"
        }
        if random.chance(20) {
            line += " tier=\(random.pick(["standard", "batch", "flex", "priority"]))"
        }
        if verb == "RESERVE", random.chance(40) {
            // Mostly new, sometimes that of another request.
            line += " id=r\(random.chance(80) ? lineCount : max(0, lineCount - random.below(60)))"
        }
        if random.chance(60) {
            line += " ttl=\(random.pick([1, 2, 5, 30, 59, 60, 61, 600, 3600, 86_400]))"
        }
        if verb == "RESERVE", random.chance(5) {
            line += " wait=\(1 + random.below(300_000)) prio=\(1 + random.below(10))"
        }
        if random.chance(10) {
            line += " user=u\(random.below(5)) project=p env=test ip=10.0.0.1 ua=relay/1"
        }
        return line
    }

    /// What a request says of itself for rules.
    private mutating func wishes() -> String {
        var words = ""
        if random.chance(40) {
            words += " temperature=\(random.pick(["0", "0.3", "0.30000000000000004", "1", "0.7"]))"
        }
        if random.chance(30) {
            words += " batch=\(random.below(2))"
        }
        if random.chance(30) {
            words += " priority=\(random.pick(["background", "Background", "urgent"]))"
        }
        if random.chance(60) {
            words +=
                " prompt=\(random.pick(["Summarize-this", "please:implement", "TL;DR", "hello"]))"
        }
        if random.chance(20) {
            words += " capability=\(random.pick(["vision", "tools,vision", "coding"]))"
        }
        return words
    }

    /// Mostly somewhat more, sometimes far more, the same, or less than the hold has.
    private mutating func extendLine() -> String {
        guard let hold = anyHold() else {
            return reserveLine("RESERVE")
        }
        var output = hold.output
        switch random.below(100) {
        case ..<60: output += 1 + random.below(1500)
        case ..<70: output += random.pick([20_000, 400_000_000, 1_000_000_000_000])
        case ..<85: break
        default: output = random.below(output + 1)
        }
        var line = "EXTEND \(anyHoldName(hold)) out=\(min(output, 1_000_000_000_000))"
        if random.chance(25) {
            line += " in=\(hold.input + random.below(3000) - min(hold.input, 200))"
        }
        if random.chance(35) {
            line += " ttl=\(random.pick([1, 2, 30, 60, 600, 3600, 50_000, 86_400]))"
        }
        return line
    }

    private mutating func settleLine() -> String {
        guard let hold = anyHold() else {
            return reserveLine("RESERVE")
        }
        var input = hold.input
        var output = hold.output
        switch random.below(100) {
        case ..<35: output = random.below(output + 1)
        case ..<50: (input, output) = (random.below(input + 1), random.below(output + 1))
        case ..<65: (input, output) = (0, random.below(2))
        case ..<85: break
        default: (input, output) = (input + random.below(4000), output * 2 + 1)
        }
        var line = "SETTLE \(anyHoldName(hold))" + usageOptions(input, output)
        if random.chance(10) {
            line += " ms=\(random.below(90_000))"
        }
        if random.chance(30) {
            let key = random.chance(80) ? hold.key : anyKey()
            line += " key=\(key) model=\(anyModel(of: key))"
        } else if random.chance(3) {
            line += " key=\(hold.key)"
        }
        return line
    }

    private mutating func usageOptions(_ input: Int, _ output: Int) -> String {
        var options = " in=\(input) out=\(output)"
        if random.chance(25) {
            let cached = random.below(input + 1)
            options += " cached=\(cached)"
            if random.chance(50) {
                options += " cache_write=\(random.below(input - cached + 1))"
            }
        }
        if random.chance(20) {
            options += " reasoning=\(random.below(output + 1))"
        }
        if random.chance(15) {
            options += " tier=\(random.pick(["standard", "batch", "flex", "priority"]))"
        }
        if random.chance(15) {
            options += " outcome=\(random.pick(["exact", "partial", "estimated"]))"
        }
        return options
    }

    private mutating func releaseLine() -> String {
        guard let hold = anyHold() else {
            return reserveLine("RESERVE")
        }
        return "RELEASE \(anyHoldName(hold))" + (random.chance(30) ? " why=cancelled" : "")
    }

    /// Mostly one that should still be open.
    private mutating func anyHold() -> KnownHold? {
        let open = holds.filter { $0.isOpen && now < $0.placed + $0.ttlSeconds * Self.second }
        if random.chance(75), let hold = random.pickAny(open.suffix(12)) {
            return hold
        }
        return random.pickAny(holds.suffix(60))
    }

    /// Mostly the hold's own; else a foreign one, one that is still to come, or one of the
    /// seqs that are no holds.
    private mutating func anyHoldName(_ hold: KnownHold) -> String {
        switch random.below(100) {
        case ..<88: hold.name
        case ..<95: "\(2 + random.below(2))-\(random.below(8) + lineCount / 100 + 1)"
        case ..<97: "1-\(900_000_000_000 + random.below(20) + lineCount / 50)"
        default: "1-\(1 + random.below(Int(lastSeq)))"
        }
    }

    private mutating func chargeLine() -> String {
        let key = anyKey()
        let model = anyModel(of: key)
        var input = tokenCount(3000)
        if model == Self.dearModel {
            input = random.pick([1_000_000, 300_000, 1_000_000_000_000])
        }
        return "CHARGE \(key) \(model)" + usageOptions(input, tokenCount(1500))
            + " id=c\(random.chance(85) ? lineCount : max(0, lineCount - random.below(100)))"
    }

    /// An earlier line with the same identity and another content.
    private mutating func changedLine() -> String {
        let named = recent.filter { line in
            line.hasPrefix("SETTLE ") || line.hasPrefix("EXTEND ")
                || line.mentions(" id=") && !line.hasPrefix("CHECK ")
                || line.mentions(#""id":"#) && !line.mentions(#""reason":"#)
        }
        guard let line = random.pickAny(named) else {
            return reserveLine("RESERVE")
        }
        var words = line.split(separator: " ").map { String($0) }
        if words[0] == "APPEND" {
            return line.dropLast() + #","reason":"changed-\#(lineCount)"}"#
        }
        if words[0] != "SETTLE", words[0] != "EXTEND", random.chance(25) {
            words[2] = random.pick(Self.pricedModels)
            return words.joined(separator: " ")
        }
        let changeable = words.indices.filter {
            words[$0].hasPrefix("in=") || words[$0].hasPrefix("out=")
        }
        guard let i = random.pickAny(changeable) else {
            return line
        }
        let parts = words[i].split(separator: "=").map { String($0) }
        words[i] = "\(parts[0])=\((Int(parts.last!) ?? 0) + 1)"
        return words.joined(separator: " ")
    }

    // MARK: Admin lines

    /// An `id`, sometimes; one in the queue gets one that no later line has.
    private mutating func adminFields() -> String {
        random.chance(30) ? #","id":"a\#(lineCount).\#(queue.count)""# : ""
    }

    private mutating func accountLine(
        _ type: String, _ path: String, _ fields: String
    ) -> String {
        var line = #"APPEND \#(type) {"account":"\#(path)""# + fields
        if random.chance(60) {
            line += #","limits":{\#(limits(of: path, removing: false))}"#
        }
        if random.chance(15) {
            line += #","models":\#(modelList())"#
        }
        if random.chance(15) {
            line += #","scopes":\#(scopeList())"#
        }
        return line + adminFields() + "}"
    }

    private mutating func modelList() -> String {
        random.pick([
            #"["*"]"#, #"["openai/*","anthropic/*","mystery/*"]"#, #"["openai/*"]"#,
            #"["openai/gpt-4.1","anthropic/claude-5"]"#, #"["openai/gpt-4.1"]"#,
            #"["OpenAI/*"]"#, "[]",
        ])
    }

    private mutating func scopeList() -> String {
        random.pick([
            #"["*"]"#, #"["chat","batch*"]"#, #"["chat"]"#, #"["batch.eu"]"#, #"["ba*"]"#, "[]",
        ])
    }

    private static let scales: [(window: String, milliDollars: Int, requests: Int)] = [
        ("minute", 60, 6), ("hour", 200, 20), ("day", 600, 60), ("week", 1500, 150),
        ("month", 4000, 400), ("total", 0, 0),
    ]

    /// One to three members of a `limits` object.
    private mutating func limits(of path: String, removing: Bool) -> String {
        var members: [String: String] = [:]
        for _ in 0...random.below(3) {
            let (window, milliDollars, requests) = random.pick(Self.scales)
            let unit = random.pick(["usd", "usd", "tokens", "requests", "concurrency"])
            let name = unit == "concurrency" ? unit : "\(unit).\(window)"
            if removing, random.chance(35) {
                members[name] = "null"
                continue
            }
            // In percent: wider for teams and orgs, and now and then nothing at all.
            var factor = 40 + random.below(120)
            factor = factor * [100, 200, 350][3 - path.split(separator: "/").count] / 100
            factor = random.chance(8) ? 0 : factor
            let expected = window == "total" ? admitted[path, default: 0] + 30 : requests
            switch unit {
            case "usd":
                let milli = window == "total" ? expected * 10 : milliDollars
                let micro = milli * factor * 10
                let decimals = String(1_000_000 + micro % 1_000_000).dropFirst()
                members[name] = #""\#(micro / 1_000_000).\#(decimals)""#
            case "tokens": members[name] = "\(expected * factor * 30)"
            case "requests": members[name] = "\(expected * factor / 100)"
            default: members[name] = "\(3 * factor / 100)"
            }
        }
        return members.sorted { $0.key < $1.key }
            .map { #""\#($0.key)":\#($0.value)"# }.joined(separator: ",")
    }

    private mutating func anyAccount() -> String {
        random.chance(50)
            ? random.pick(NaiveModel.lineage(favourite))
            : random.pick([random.pick(orgs), random.pick(teams), random.pick(keys)])
    }

    private mutating func limitsLine(of path: String) -> String {
        let limits = limits(of: path, removing: true)
        return #"APPEND limits.set {"account":"\#(path)","limits":{\#(limits)}"# + adminFields()
            + "}"
    }

    /// Mostly a limit that is wider or narrower for a time; sometimes the early end of one.
    private mutating func overrideLine() -> String {
        let path = anyAccount()
        // One member, cut out of a `limits` object: `"usd.day":"1.5"`.
        let member = limits(of: path, removing: false).split(separator: ",")[0]
        let (name, amount) = (member.split(separator: ":")[0], member.split(separator: ":")[1])
        if random.chance(20) {
            return #"APPEND override.ended {"account":"\#(path)","limit":\#(name)"# + adminFields()
                + "}"
        }
        let seconds = random.pick([1, 2, 30, 60, 600, 3600, 7200, 172_800])
        var until = #""for":\#(seconds)"#
        ends.append(now + Int64(seconds) * Self.second)
        if random.chance(40) {
            let instant = now / Self.second + Int64(seconds)
            until = #""until":"\#(NaiveModel.instant(second: instant))""#
            ends[ends.count - 1] = instant * Self.second
        }
        return
            #"APPEND override.granted {"account":"\#(path)","limit":\#(name),"amount":\#(amount),"#
            + until + #","reason":"r\#(lineCount)""# + adminFields() + "}"
    }

    /// Rotations, and now and then the end of a key; accounts disabled and enabled, and described.
    private mutating func lifeLine() -> String {
        switch random.below(100) {
        case ..<45:
            var line = #"APPEND key.rotated {"account":"\#(random.pick(keys))""#
            if random.chance(70) {
                let grace = random.pick([0, 1, 5, 60, 600, 7200])
                line += #","grace":\#(grace)"#
                ends.append(now + Int64(grace) * Self.second)
            }
            if random.chance(30) {
                line += #","rotate_every":\#(rotateEvery())"#
            }
            return line + newSecret() + adminFields() + "}"
        case ..<48 where keys.count > 12:
            return #"APPEND key.revoked {"account":"\#(random.pick(keys))""# + adminFields() + "}"
        case ..<64:
            return #"APPEND account.disabled {"account":"\#(anyAccount())""# + adminFields() + "}"
        case ..<82:
            return #"APPEND account.enabled {"account":"\#(anyAccount())""# + adminFields() + "}"
        default:
            let member = random.pick([
                #""name":"N\#(lineCount)""#, #""owner":null"#, #""labels":{"a":"b","c.1":null}"#,
                #""labels":null,"owner":"ana""#,
            ])
            return #"APPEND account.described {"account":"\#(anyAccount())",\#(member)"#
                + adminFields() + "}"
        }
    }
    private mutating func rotateEvery() -> String {
        guard random.chance(80) else {
            return "null"
        }
        let seconds = random.pick([1, 30, 600, 7200, 86_400])
        ends.append(now + Int64(seconds) * Self.second)
        return "\(seconds)"
    }
    /// Mostly a new one; sometimes the daemon's own, or one that was there before.
    private mutating func newSecret() -> String {
        guard random.chance(85) else {
            return ""
        }
        var secret = "s\(secretCount)"
        if random.chance(4), let known = random.pickAny(secrets) {
            secret = known
        } else {
            secretCount += 1
            secrets.append(secret)
        }
        return #","secret_sha256":"\#(NaiveModel.digest(of: secret))""#
    }
    /// A top-up, of little or of much, and mostly with an end.
    private mutating func creditLine(_ org: String) -> String {
        let micro = random.pick([5_000, 60_000, 400_000, 3_000_000]) + random.below(5_000)
        let decimals = "\(1_000_000 + micro % 1_000_000)".dropFirst()
        var fields = #""account":"\#(org)","usd":"\#(micro / 1_000_000).\#(decimals)""#
        fields += #","source":"\#(random.pick(["sign-up", "card", "alipay"]))""#
        if random.chance(60) {
            fields += #","reference":"p\#(lineCount)""#
        }
        let seconds = random.pick([2, 60, 900, 7200, 172_800])
        switch random.below(3) {
        case 0: break
        case 1:
            fields += #","expires_in":\#(seconds)"#
            ends.append(now + Int64(seconds) * Self.second)
        default:
            let instant = now / Self.second + Int64(seconds)
            fields += #","expires":"\#(NaiveModel.instant(second: instant))""#
            ends.append(instant * Self.second)
        }
        return "APPEND credit.granted {" + fields + adminFields() + "}"
    }

    private mutating func termsLine() -> String {
        guard random.chance(20) else { return billingLine() }
        let fields = random.pick([#"[]"#, #"["user"]"#, #"["ip","user"]"#, #"["ua","ua","ip"]"#])
        return #"APPEND privacy.set {"account":"\#(random.pick(orgs))","fields":\#(fields)"#
            + adminFields() + "}"
    }
    private mutating func billingLine() -> String {
        let markup = random.pick([0, 150_000, 1, 333_333, 2_000_000])
        let (currency, rate) = random.pick([("CNY", "1"), ("EUR", "0.861234567"), ("USD", "1")])
        return #"APPEND billing.set {"account":"\#(random.pick(orgs))","markup_ppm":\#(markup),"#
            + #""currency":"\#(currency)","rate":"\#(rate)""# + adminFields() + "}"
    }

    private mutating func permissionsLine() -> String {
        var line = #"APPEND permissions.set {"account":"\#(anyAccount())""#
        let which = random.below(3)
        if which != 0 {
            line += #","models":\#(random.chance(35) ? "null" : modelList())"#
        }
        if which != 1 {
            line += #","scopes":\#(random.chance(35) ? "null" : scopeList())"#
        }
        return line + adminFields() + "}"
    }

    /// Removes what has refused something, lest a history end in refusals only.
    private func loosenLine(_ scope: String, _ limit: String) -> String {
        if limit == "disabled" {
            return #"APPEND account.enabled {"account":"\#(scope)"}"#
        }
        if limit == "models" || limit == "scopes" {
            return #"APPEND permissions.set {"account":"\#(scope)","\#(limit)":null}"#
        }
        return #"APPEND limits.set {"account":"\#(scope)","limits":{"\#(limit)":null}}"#
    }

    private mutating func dollars(_ mostCents: Int) -> String {
        let cents = random.below(mostCents)
        let decimals = "\(100 + cents % 100)".dropFirst()
        // Six decimals at most: the seventh were less than a pico-dollar a token.
        return "\(cents / 100).\(decimals)" + (random.chance(20) ? "\(random.below(10_000))" : "")
    }

    private mutating func rates() -> String {
        var rates = #""in":"\#(dollars(500))","out":"\#(dollars(1500))""#
        for name in ["cached", "cache_write", "reasoning"] where random.chance(40) {
            rates += #","\#(name)":"\#(dollars(400))""#
        }
        return rates
    }

    private mutating func priceLine(_ model: String) -> String {
        var line = #"APPEND price.set {"model":"\#(model)","# + rates()
        if random.chance(40) {
            line += #","max_out":\#(random.below(4000)),"context":128000"#
        }
        if !queue.isEmpty || random.chance(40) {
            // Random prices leap far; without this most changes were refused.
            line += #","force":true"#
        }
        if random.chance(15), queue.isEmpty {
            let second = now / Self.second + Int64(random.below(7_200)) - 20
            scheduled.append(second * Self.second)
            line += #","from":"\#(NaiveModel.instant(second: second))""#
        }
        if random.chance(15) {
            line += #","capabilities":\#(random.pick(["[]", #"["vision","tools"]"#]))"#
        }
        var variants: [String] = []
        // No two alike, and none that says what the base says.
        for (tier, aboves) in [
            ("", [1000]), ("standard", [2500]), ("batch", [0, 1500]), ("flex", [0]),
            ("priority", [800, 2000]),
        ] {
            for above in aboves where random.chance(30) {
                let name = tier.isEmpty ? "" : #""tier":"\#(tier)","#
                variants.append(
                    "{" + name + (above == 0 ? "" : #""above":\#(above),"#) + rates() + "}")
            }
        }
        if !variants.isEmpty {
            line += #","variants":[\#(variants.joined(separator: ","))]"#
        } else if random.chance(30) {
            line += #","request":"0.00\#(random.below(1000))""#
        }
        return line + adminFields() + "}"
    }

    /// The rules of an org or a team; of a key, now and then, which has none.
    private mutating func routingLine() -> String {
        let account = random.pick(NaiveModel.lineage(random.pick(keys)) + orgs + teams)
        return routingLine(of: account)
    }
    private mutating func routingLine(of account: String) -> String {
        if random.chance(8) {
            return #"APPEND routing.set {"account":"\#(account)","rules":null}"#
        }
        var rules: [String] = []
        for i in 0..<random.below(4) {
            var conditions: [String] = []
            if random.chance(40) {
                conditions.append(#""out":\#(100 * random.below(12))"#)
            }
            if random.chance(20) {
                conditions.append(#""in":\#(1000 * random.below(4))"#)
            }
            if random.chance(30) {
                conditions.append(random.pick([#""temperature":0.3"#, #""temperature":"0.7""#]))
            }
            if random.chance(15) {
                conditions.append(#""batch":\#(random.chance(50))"#)
            }
            if random.chance(15) {
                conditions.append(#""priority":"Background""#)
            }
            if random.chance(30) {
                conditions.append(#""prompt":["summarize","tl;dr"]"#)
            }
            if random.chance(15) || conditions.isEmpty {
                conditions.append(
                    #""capability":\#(random.pick([#"["vision"]"#, #"["vision","tools"]"#]))"#)
            }
            var rule = #"{"name":"r\#(i)","match":{\#(conditions.joined(separator: ","))},"#
            rule += #""model":"\#(random.pick(pricedNow))""#
            if random.chance(40) {
                rule += #","fallback":"\#(random.pick(Self.pricedModels))""#
            }
            rules.append(rule + "}")
        }
        let fallback = random.pick(Self.pricedModels + ["OpenAI/GPT-4.1", "fast"])
        return
            #"APPEND routing.set {"account":"\#(account)","rules":[\#(rules.joined(separator: ","))],"#
            + #""fallback":"\#(fallback)"}"#
    }

    private mutating func aliasLine() -> String {
        #"APPEND alias.set {"alias":"\#(random.pick(["fast", "smart", "Cheap"]))","#
            + #""model":"\#(random.pick(Self.pricedModels))"}"#
    }

    /// A key more, with an expiry; or a team more.
    private mutating func newAccountLine() -> String {
        let team = random.pick(teams)
        if random.chance(20) {
            return accountLine(
                "team.created", "\(random.pick(orgs))/\(random.pick(Self.teamNames))", "")
        }
        let key = random.pick(Self.keyNames)
        var expires = ""
        if keys.count > 12, random.chance(60) {
            let instant = now / Self.second + Int64(random.below(40_000)) - 300
            expires = random.pick([
                #","expires_in":\#(1 + random.below(20_000))"#,
                #","expires":"\#(NaiveModel.instant(second: instant))""#,
            ])
        }
        if random.chance(20) {
            let every = rotateEvery()
            expires += every == "null" ? "" : #","rotate_every":\#(every)"#
        }
        return accountLine("key.created", "\(team)/\(key)", expires + newSecret())
    }

    /// Of a charge or of a hold that may have ended, rarely with something that is wrong.
    private mutating func correctionLine() -> String {
        var (name, key) = random.pickAny(charges.suffix(20)) ?? ("1-1", random.pick(keys))
        if random.chance(70), let hold = random.pickAny(holds.suffix(30)) {
            (name, key) = (hold.name, hold.key)
        } else if random.chance(5) {
            name = "\(1 + random.below(3))-\(1 + random.below(Int(lastSeq) + 9))"
        }
        if random.chance(4) {
            key = random.pick(keys)
        }
        let usd = random.chance(15) ? "0" : "0.0\(random.below(90_000))"
        var line =
            #"APPEND charge.corrected {"account":"\#(key)","charge":"\#(name)","usd":"\#(usd)""#
        if random.chance(10) {
            line += #","price":\#(1 + random.below(3))"#
        }
        if random.chance(5) {
            line += #","was":"0.0\#(random.below(9))""#
        }
        if random.chance(3) {
            line += #","placed":"\#(NaiveModel.instant(second: now / Self.second))""#
        }
        return line + (random.chance(97) ? #","id":"k\#(lineCount)"}"# : "}")
    }

    // MARK: Mistakes

    private mutating func brokenLine() -> String {
        let key = random.pick(keys)
        let hold = holds.last?.name ?? "9-9"
        return random.pick([
            "RESERVE",
            "RESERVE \(key)",
            "RESERVE \(key) fast in=-5",
            "RESERVE \(key) fast in=1.5 out=3",
            "RESERVE \(key) fast in=abc",
            "RESERVE \(key) fast in=1000000000001",
            "RESERVE \(key) fast in=5 out=99999999999999999999",
            "RESERVE \(key) fast in=5 bytes=-1",
            "RESERVE \(key) fast in=5 ttl=0",
            "RESERVE \(key) fast in=5 ttl=86401",
            "RESERVE \(key) fast in=5 tier=gold",
            "RESERVE \(key) auto temperature=hot",
            "CHECK \(key) auto batch=yes",
            "CHECK \(key) auto capability=Vision",
            "RESERVE \(key) fast in=5 prio=3",
            "RESERVE \(key) fast in=5 wait=0",
            "RESERVE \(key) fast in=5 wait=300001",
            "RESERVE \(key) fast in=5 wait=10 prio=11",
            "CHECK \(key) fast in=5 wait=10",
            "RESERVE no/such/key fast in=5 tier=gold",
            "CHECK \(key) fast out=many",
            "EXTEND",
            "EXTEND \(hold)",
            "EXTEND \(hold) in=5",
            "EXTEND \(hold) out=5 ttl=0",
            "EXTEND \(hold) out=5 cached=2",
            "EXTEND 8-8 out=5",
            "SETTLE",
            "SETTLE \(hold) in=5",
            "SETTLE \(hold) out=5",
            "SETTLE \(hold) in=5 out=5 cached=3 cache_write=3",
            "SETTLE \(hold) in=5 out=5 reasoning=6",
            "SETTLE \(hold) in=5 out=5 outcome=wrong",
            "SETTLE 8-8 in=5 out=5 key=\(key) model=no-alias",
            "SETTLE 8-8 in=5 out=5 key=no/such/key model=fast",
            "SETTLE 8-8 in=5 out=5",
            "RELEASE",
            "RELEASE 8-8",
            "CHARGE \(key)",
            "CHARGE \(key) fast in=5 out=5",
            "CHARGE \(key) no-alias in=5 out=5 id=x\(lineCount)",
            "CHARGE no/such/key fast in=5 out=5 id=x\(lineCount)",
            "CHARGE \(key) fast in=5 out=5 reasoning=6 id=x\(lineCount)",
        ])
    }

    private mutating func brokenAppendLine() -> String {
        let org = random.pick(orgs)
        let team = random.pick(teams)
        let key = random.pick(keys)
        return random.pick([
            #"APPEND org.destroyed {"account":"\#(org)"}"#,
            #"APPEND org.created {"account":"\#(org)"}"#,
            #"APPEND org.created {"account":"a/b"}"#,
            #"APPEND org.created {"account":"Upper"}"#,
            #"APPEND org.created {"account":"o1","unpriced":"maybe"}"#,
            #"APPEND org.created {"account":"o1","on_lapse":"forget"}"#,
            #"APPEND org.created {"name":"nameless"}"#,
            #"APPEND team.created {"account":"nobody/t"}"#,
            #"APPEND team.created {"account":"\#(team)"}"#,
            #"APPEND team.created {"account":"\#(org)/a/b"}"#,
            #"APPEND key.created {"account":"\#(key)"}"#,
            #"APPEND key.created {"account":"\#(org)/none/k"}"#,
            #"APPEND key.created {"account":"\#(team)/k!"}"#,
            #"APPEND key.created {"account":"\#(team)/k9","expires_in":0}"#,
            #"APPEND key.created {"account":"\#(team)/k9","expires":"tomorrow"}"#,
            #"APPEND key.created {"account":"\#(team)/k9","colour":"red"}"#,
            #"APPEND key.created {"account":"\#(team)/k9","rotate_every":0}"#,
            #"APPEND key.created {"account":"\#(team)/k9","#
                + #""expires":"\#(NaiveModel.instant(second: now / Self.second))"}"#,
            #"APPEND key.created {"account":"\#(team)/k9","secret_sha256":"12"}"#,
            #"APPEND key.rotated {"account":"\#(team)"}"#,
            #"APPEND key.rotated {"account":"\#(team)/none"}"#,
            #"APPEND key.rotated {"account":"\#(key)","grace":-1}"#,
            #"APPEND key.rotated {"account":"\#(key)","grace":31622401}"#,
            #"APPEND key.rotated {"account":"\#(key)","rotate_every":"90d"}"#,
            #"APPEND key.revoked {"account":"\#(team)"}"#,
            #"APPEND account.disabled {"account":"nobody"}"#,
            #"APPEND account.described {"account":"\#(key)"}"#,
            #"APPEND account.described {"account":"\#(key)","labels":{"A":"b"}}"#,
            #"APPEND account.described {"account":"\#(key)","labels":"a"}"#,
            #"APPEND account.described {"account":"\#(key)","name":{}}"#,
            #"APPEND key.rotation_due {"account":"\#(key)"}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.day":"-1"}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.day":"1e3"}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.day":"1.0000000001"}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.day":5}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.year":"5"}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"tokens.day":"5"}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"tokens.day":-5}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"requests.day":1.5}}"#,
            #"APPEND limits.set {"account":"nobody","limits":{"requests.day":1}}"#,
            #"APPEND limits.set {"account":"\#(key)","limits":{"usd.day":"999999"}}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":"1","for":9}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":"1","#
                + #""reason":"r"}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":"1","for":9,"#
                + #""until":"2100-01-01T00:00:00Z","reason":"r"}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":"1","#
                + #""until":"\#(NaiveModel.instant(second: now / Self.second))","reason":"r"}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":1,"for":9,"#
                + #""reason":"r"}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.year","amount":"1","for":9,"#
                + #""reason":"r"}"#,
            #"APPEND override.granted {"account":"\#(key)","limit":"usd.day","amount":"999999","#
                + #""for":9,"reason":"r"}"#,
            #"APPEND override.ended {"account":"\#(key)","limit":"usd.year"}"#,
            #"APPEND credit.granted {"account":"\#(team)","usd":"1","source":"card"}"#,
            #"APPEND credit.granted {"account":"nobody","usd":"1","source":"card"}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"0","source":"card"}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"-1","source":"card"}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"9999999999","source":"card"}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"1"}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"1","source":"card","expires_in":0}"#,
            #"APPEND credit.granted {"account":"\#(org)","usd":"1","source":"card","#
                + #""expires":"\#(NaiveModel.instant(second: now / Self.second))"}"#,
            #"APPEND credit.expired {"account":"\#(org)","grant":1,"usd":"1"}"#,
            #"APPEND billing.set {"account":"\#(org)","markup_ppm":-1,"currency":"CNY","rate":"1"}"#,
            #"APPEND billing.set {"account":"\#(org)","markup_ppm":0,"currency":"cny","rate":"1"}"#,
            #"APPEND billing.set {"account":"\#(org)","markup_ppm":0,"currency":"CNY","rate":"0"}"#,
            #"APPEND billing.set {"account":"\#(team)","markup_ppm":0,"currency":"CNY","rate":"1"}"#,
            #"APPEND billing.set {"account":"\#(org)","markup_ppm":0,"currency":"CNY"}"#,
            #"APPEND permissions.set {"account":"nobody","models":null}"#,
            #"APPEND permissions.set {"account":"\#(key)","models":"openai/*"}"#,
            #"APPEND price.set {"model":"openai/gpt-4.1","in":"1"}"#,
            #"APPEND price.set {"model":"bare","in":"1","out":"1"}"#,
            #"APPEND alias.set {"alias":"Auto","model":"openai/gpt-4.1"}"#,
            #"APPEND routing.set {"account":"\#(key)","fallback":"openai/gpt-4.1"}"#,
            #"APPEND routing.set {"account":"\#(team)"}"#,
            #"APPEND routing.set {"account":"\#(team)","fallback":"no-alias"}"#,
            #"APPEND routing.set {"account":"\#(team)","fallback":"nowhere/to-be-found"}"#,
            #"APPEND routing.set {"account":"\#(team)","fallback":"fast","rules":[{"name":"x"}]}"#,
            #"APPEND routing.set {"account":"nobody","fallback":"fast"}"#,
            #"APPEND privacy.set {"account":"\#(team)","fields":["user"]}"#,
            #"APPEND privacy.set {"account":"\#(org)","fields":["project"]}"#,
            #"APPEND privacy.set {"account":"\#(org)"}"#,
            #"APPEND privacy.set {"account":"nobody","fields":[]}"#,
            #"APPEND personal.erased {"account":"\#(org)","field":"user","commitments":[]}"#,
            #"APPEND price.set {"model":"openai/x","in":"1","out":"1","from":"2026-01-01T00:00:00Z"}"#,
            #"APPEND price.set {"model":"openai/x","in":"1","out":"1","capabilities":["Vision"]}"#,
            #"APPEND price.set {"model":"openai/x","in":"1","out":"1","force":"yes"}"#,
            #"APPEND price.set {"model":"openai/gpt-4.1","in":1,"out":1}"#,
            #"APPEND price.set {"model":"openai/x","in":"1","out":"1","#
                + #""variants":[{"tier":"gold","in":"1","out":"1"}]}"#,
            #"APPEND price.set {"model":"openai/x","in":"1","out":"1","#
                + #""variants":[{"tier":"batch","in":"1"}]}"#,
            #"APPEND alias.set {"alias":"quick","model":"nowhere/to-be-found"}"#,
            #"APPEND alias.set {"alias":"quick"}"#,
            #"APPEND limits.set {"account":"\#(key)","#,
        ])
    }
}

extension String {
    /// Whether a text occurs anywhere.
    fileprivate func mentions(_ text: String) -> Bool {
        indices.contains { self[$0...].hasPrefix(text) }
    }
}

import Events

/// The events that turn what the daemon has into what a policy file says, in the order in which they
/// must be appended: a parent's rights before its children's, what is taken away last.
struct PolicyPlan {
    struct Step {
        var type: String
        var payload: Payload
        /// For people: what changes, and from what.
        var what: String
        var words: [String] { ["APPEND", type, payload.json.compact] }
    }
    private(set) var steps: [Step] = []
    /// What the file leaves out although the daemon has it: taken away only if asked to.
    private(set) var removals: [Step] = []
    /// What no event can change.
    private(set) var problems: [String] = []
    private(set) var unchanged = 0

    private let file: PolicyFile
    private let state: PolicyState
    /// The book's aliases and the file's: lists of models may name either.
    private var aliases: [String: String]

    init(_ file: PolicyFile, _ state: PolicyState) {
        self.file = file
        self.state = state
        aliases = state.aliases
        for entry in file.aliases { aliases[entry.alias] = entry.model }
        for price in file.prices { plan(price: price) }
        for entry in file.aliases { plan(alias: entry.alias, entry.model) }
        for (tier, entry) in file.accounts { plan(tier, entry) }
        for entry in file.operators { plan(operator: entry) }
        planRemovals()
    }

    // MARK: Accounts

    private static let created: [Tier: [String]] = [
        .org: ["name", "zone", "unpriced", "on_lapse", "limits", "models", "scopes"],
        .team: ["name", "limits", "models", "scopes"],
        .key: [
            "name", "owner", "environment", "expires", "rotate_every", "secret_sha256", "limits",
            "models", "scopes",
        ],
    ]

    private mutating func plan(_ tier: Tier, _ entry: PolicyFile.Entry) {
        guard state.isInside(entry.name) else { return planOutside(entry) }
        guard let now = state.accounts[entry.name] else { return create(tier, entry) }
        let before = steps.count + removals.count + problems.count
        refuseFixed(entry, now)
        describe(entry, now)
        planLimits(entry, now)
        planLists(entry, now)
        planSettings(entry, now)
        if steps.count + removals.count + problems.count == before { unchanged += 1 }
    }

    /// What a confined operator cannot see: an account above may only say what is below it.
    private mutating func planOutside(_ entry: PolicyFile.Entry) {
        let isAbove = state.confinement?.hasPrefix(entry.name + "/") ?? false
        if isAbove, entry.fields.isEmpty {
            unchanged += 1
        } else {
            refuse(entry.name, isAbove ? "leave its fields out" : "leave it out")
        }
    }
    private mutating func refuse(_ what: String, _ mend: String) {
        problems.append(
            "\(what): operator \(state.user ?? "?") is confined to \(state.confinement ?? "?") and may "
                + "not decide that: \(mend), or apply it as an admin of all")
    }

    private mutating func create(_ tier: Tier, _ entry: PolicyFile.Entry) {
        // A key that is not there can do no more than one that is revoked.
        if entry["revoked"] == .bool(true) {
            unchanged += 1
            return
        }
        var payload = Payload()
        payload.set("account", entry.name)
        for field in PolicyPlan.created[tier] ?? [] {
            guard let value = entry[field], !value.isNull else { continue }
            payload[field] = field == "limits" ? value.withoutNulls : value
        }
        let limits = payload["limits"]?.members ?? []
        if limits.isEmpty { payload["limits"] = nil }
        add("\(tier.name).created", payload, "\(tier.name) \(entry.name)" + PolicyPlan.list(limits))
        if let labels = entry["labels"], !labels.isNull {
            describe(entry.name, [JSON.Member("labels", labels)])
        }
        planSettings(entry, .object([]))
    }

    /// What an account was created with and keeps for ever.
    private mutating func refuseFixed(_ entry: PolicyFile.Entry, _ now: JSON) {
        for field in ["zone", "unpriced", "on_lapse", "environment", "expires", "rotate_every"] {
            guard let wanted = entry[field], !wanted.isNull else { continue }
            if PolicyPlan.isSame(field, wanted, now[field]) { continue }
            if field == "rotate_every" {
                problems.append(
                    "\(entry.name): rotate_every is \(now.cell(field)), the file says "
                        + "\(wanted.plain): only a rotation changes it (tollgate key rotate "
                        + "\(entry.name) --rotate-every \(wanted.plain)s)")
            } else {
                problems.append(
                    "\(entry.name): \(field) is \(now.cell(field)) and stays so, the file says "
                        + "\(wanted.plain); a path is for ever: make another account")
            }
        }
    }
    private static func isSame(_ field: String, _ wanted: JSON, _ now: JSON?) -> Bool {
        guard let now, !now.isNull else { return false }
        if field == "expires", let a = wanted.string, let b = now.string {
            return a.withBytes { Instant(parsing: $0) } == b.withBytes { Instant(parsing: $0) }
        }
        return wanted.plain == now.plain
    }

    private mutating func describe(_ entry: PolicyFile.Entry, _ now: JSON) {
        let changed = ["name", "owner", "labels"].compactMap { (field: String) -> JSON.Member? in
            guard let wanted = entry[field], wanted.settled != (now[field] ?? .null).settled else {
                return nil
            }
            return JSON.Member(field, wanted)
        }
        if !changed.isEmpty { describe(entry.name, changed) }
    }
    private mutating func describe(_ account: String, _ fields: [JSON.Member]) {
        var payload = Payload()
        payload.set("account", account)
        for field in fields { payload[field.name] = field.value }
        add(
            "account.described", payload,
            "\(account): \(fields.map { "\($0.name)=\($0.value.plain)" }.joined(separator: " "))")
    }

    private mutating func planLimits(_ entry: PolicyFile.Entry, _ now: JSON) {
        let wanted = entry["limits"]?.members ?? []
        let has = now["limits"]?.members ?? []
        func amount(_ member: JSON.Member) -> Int64? { PolicyPlan.amount(member) }
        var set: [JSON.Member] = []
        var words: [String] = []
        for limit in wanted {
            let old = has.first { $0.name == limit.name }
            if limit.value.isNull ? old == nil : old.map(amount) == amount(limit) { continue }
            set.append(limit)
            let new = limit.value.isNull ? "none" : limit.value.plain
            words.append("\(limit.name)=\(new) (was \(old?.value.plain ?? "none"))")
        }
        if !set.isEmpty {
            add(
                "limits.set", PolicyPlan.limits(entry.name, set),
                "\(entry.name): \(words.joined(separator: ", "))")
        }
        let gone = has.filter { limit in !wanted.contains { $0.name == limit.name } }
        if !gone.isEmpty {
            remove(
                "limits.set",
                PolicyPlan.limits(entry.name, gone.map { JSON.Member($0.name, .null) }),
                "\(entry.name): limits \(PolicyPlan.list(gone).dropFirst()) are not in the file")
        }
    }
    private static func limits(_ account: String, _ limits: [JSON.Member]) -> Payload {
        var payload = Payload()
        payload.set("account", account)
        payload["limits"] = .object(limits)
        return payload
    }
    private static func amount(_ limit: JSON.Member) -> Int64? {
        if let text = limit.value.string {
            return text.withBytes { try? Nanodollars(parsing: $0) }?.raw
        }
        return limit.value.integer
    }

    private mutating func planLists(_ entry: PolicyFile.Entry, _ now: JSON) {
        var set = Payload()
        var lost = Payload()
        var (words, losses): ([String], [String]) = ([], [])
        for field in ["models", "scopes"] {
            let has = now[field]?.array?.compactMap(\.string)
            let wanted = entry[field]
            let list = wanted?.array?.compactMap(\.string).map {
                field == "models" ? resolved($0) : $0
            }
            guard list.map(Set.init) != has.map(Set.init) else { continue }
            let word = "\(field) \(PolicyPlan.text(list)) (was \(PolicyPlan.text(has)))"
            if wanted == nil {
                // Not in the file: to inherit again would give rights that nobody asked for.
                lost[field] = .null
                losses.append(word)
            } else {
                set[field] = wanted
                words.append(word)
            }
        }
        if !words.isEmpty {
            set.set("account", entry.name)
            add("permissions.set", set, "\(entry.name): \(words.joined(separator: ", "))")
        }
        if !losses.isEmpty {
            lost.set("account", entry.name)
            remove("permissions.set", lost, "\(entry.name): \(losses.joined(separator: ", "))")
        }
    }
    private func resolved(_ model: String) -> String {
        let lower = model.lowercased()
        return aliases[lower] ?? lower
    }
    private static func text(_ list: [String]?) -> String {
        list.map { "[\($0.joined(separator: ", "))]" } ?? "inherited"
    }

    /// Billing, routing, disabled and revoked: events of their own.
    private mutating func planSettings(_ entry: PolicyFile.Entry, _ now: JSON) {
        planPrivacy(entry, now)
        for field in ["billing", "routing"] {
            let has = comparable(field, now[field] ?? .null)
            guard let wanted = entry[field] else {
                if has != .null, field == "routing" {
                    var payload = Payload()
                    payload.set("account", entry.name)
                    payload["rules"] = .null
                    remove("routing.set", payload, "\(entry.name): its routing is not in the file")
                } else if has != .null {
                    problems.append(
                        "\(entry.name) has \(field), which is not in the file and is for good: add it "
                            + "(tollgate export policy shows it)")
                }
                continue
            }
            guard comparable(field, wanted) != has else { continue }
            var payload = Payload()
            for member in wanted.members ?? [] { payload[member.name] = member.value }
            payload.set("account", entry.name)
            add(
                "\(field).set", payload,
                "\(entry.name): \(field)" + (has == .null ? "" : " changed"))
        }
        if entry["disabled"] == nil, now["disabled"] == .bool(true), now["revoked"] != .bool(true) {
            // Somebody stopped it for a reason: a file that does not know must not start it again.
            problems.append(
                "\(entry.name) is disabled, which is not in the file: write disabled: true, or "
                    + "disabled: false to enable it again")
        } else if let disabled = entry["disabled"],
            (disabled == .bool(true)) != (now["disabled"] == .bool(true))
        {
            let isOff = disabled == .bool(true)
            var payload = Payload()
            payload.set("account", entry.name)
            add(
                isOff ? "account.disabled" : "account.enabled", payload,
                "\(entry.name) \(isOff ? "disabled" : "enabled again")")
        }
        let isRevoked = now["revoked"] == .bool(true)
        if entry["revoked"] == .bool(true), !isRevoked {
            var payload = Payload()
            payload.set("account", entry.name)
            add("key.revoked", payload, "\(entry.name) revoked")
        } else if isRevoked, entry["revoked"] != .bool(true) {
            problems.append(
                "\(entry.name) was revoked, which is for ever: write revoked: true, or give the new "
                    + "key another name")
        }
    }

    /// Which fields are commitments: a set, in whatever order it is written.
    private mutating func planPrivacy(_ entry: PolicyFile.Entry, _ now: JSON) {
        func fields(_ json: JSON?) -> [String] {
            (json?.array ?? []).map(\.plain).sorted()
        }
        let has = fields(now["privacy"])
        var payload = Payload()
        payload.set("account", entry.name)
        guard let wanted = entry["privacy"] else {
            guard !has.isEmpty else { return }
            payload["fields"] = .array([])
            return remove(
                "privacy.set", payload,
                "\(entry.name): its privacy (\(has.joined(separator: ", "))) is not in the file")
        }
        guard fields(wanted) != has else { return }
        payload["fields"] = wanted.isNull ? .array([]) : wanted
        add("privacy.set", payload, "\(entry.name): privacy \(wanted.plain)")
    }

    /// A setting as the daemon will show it: aliases resolved, amounts in their shortest form.
    private func comparable(_ field: String, _ value: JSON) -> JSON {
        func shortest(_ json: JSON) -> JSON {
            guard let money = json.plain.withBytes({ try? Nanodollars(parsing: $0) }) else {
                return json
            }
            return .string("\(money)")
        }
        func walk(_ json: JSON) -> JSON {
            switch json {
            case .array(let items): return .array(items.map(walk))
            case .object(let members):
                return .object(
                    members.map { member in
                        switch member.name {
                        case "model", "fallback":
                            JSON.Member(
                                member.name,
                                member.value.string.map { .string(resolved($0)) } ?? member.value)
                        case "rate", "temperature": JSON.Member(member.name, shortest(member.value))
                        default: JSON.Member(member.name, walk(member.value))
                        }
                    })
            default: return json
            }
        }
        return walk(value).settled
    }

    // MARK: Prices, aliases, operators

    private mutating func plan(price entry: PolicyFile.Entry) {
        var payload = Payload()
        payload.set("model", entry.name)
        for field in entry.fields where !field.value.isNull { payload[field.name] = field.value }
        let has = state.prices[entry.name]
        if let has, let old = PriceSet(has), let new = PriceSet(payload.json),
            old.changes(to: new).isEmpty
        {
            unchanged += 1
            return
        }
        add("price.set", payload, "price of \(entry.name)" + (has == nil ? "" : " changed"))
    }
    private mutating func plan(alias: String, _ model: String) {
        let has = state.aliases[alias]
        guard has != model else {
            unchanged += 1
            return
        }
        var payload = Payload()
        payload.set("alias", alias)
        payload.set("model", model)
        add("alias.set", payload, "alias \(alias) → \(model)" + (has.map { " (was \($0))" } ?? ""))
    }
    private mutating func plan(operator entry: PolicyFile.Entry) {
        guard let has = state.operators[entry.name] else {
            var payload = Payload()
            payload.set("operator", entry.name)
            for field in entry.fields where !field.value.isNull {
                payload[field.name] = field.value
            }
            return add(
                "operator.created", payload, "operator \(entry.name) (\(payload.json.cell("role")))"
            )
        }
        let differs = ["role", "account"].first {
            (entry[$0] ?? .null).plain != (has[$0] ?? .null).plain
        }
        if has["revoked"] == .bool(true) {
            problems.append(
                "operator \(entry.name) was revoked: names are for ever, choose another")
        } else if let differs {
            problems.append(
                "operator \(entry.name): \(differs) is \(has.cell(differs)) and stays so: make another "
                    + "operator")
        } else {
            unchanged += 1
        }
    }

    // MARK: What is not in the file

    private mutating func planRemovals() {
        let named = Set(file.accounts.map(\.entry.name))
        let orgs = Set(file.accounts.filter { $0.tier == .org }.map(\.entry.name))
        for path in state.paths.reversed() where !named.contains(path) {
            guard orgs.contains(String(path.prefix { $0 != "/" })),
                let account = state.accounts[path]
            else { continue }
            let isKey = account["tier"]?.string == "key"
            if account[isKey ? "revoked" : "disabled"] == .bool(true) { continue }
            var payload = Payload()
            payload.set("account", path)
            remove(
                isKey ? "key.revoked" : "account.disabled", payload,
                "\(path) is not in the file: it would be \(isKey ? "revoked" : "disabled")")
        }
        guard !file.operators.isEmpty else { return }
        for (name, has) in state.operators.sorted(by: { $0.key < $1.key })
        where has["revoked"] != .bool(true) && !file.operators.contains(where: { $0.name == name })
        {
            var payload = Payload()
            payload.set("operator", name)
            remove(
                "operator.revoked", payload,
                "operator \(name) is not in the file: it would be revoked")
        }
    }

    private mutating func add(_ type: String, _ payload: Payload, _ what: String) {
        if state.confinement != nil, ["price.set", "alias.set", "operator.created"].contains(type),
            !state.isInside(payload["account"]?.string ?? "")
        {
            return refuse(what, "leave it out")
        }
        steps.append(Step(type: type, payload: payload, what: what))
    }
    private mutating func remove(_ type: String, _ payload: Payload, _ what: String) {
        removals.append(Step(type: type, payload: payload, what: what))
    }
    private static func list(_ limits: [JSON.Member]) -> String {
        limits.map { " \($0.name)=\($0.value.plain)" }.joined()
    }
}

extension JSON {
    /// Members that say something.
    fileprivate var withoutNulls: JSON {
        members.map { .object($0.filter { !$0.value.isNull }) } ?? self
    }
    /// What two settings are compared by: numbers and texts that say the same are the same, and what
    /// says nothing is not there.
    fileprivate var settled: JSON {
        switch self {
        case .object(let members):
            .object(
                members.map { Member($0.name, $0.value.settled) }
                    .filter {
                        !$0.value.isNull && $0.value != .array([]) && $0.value != .object([])
                    }
                    .sorted { $0.name < $1.name })
        case .array(let items): .array(items.map(\.settled))
        case .number(let text): .string(text)
        default: self
        }
    }
}

extension PriceSet {
    /// Read from a payload, or from how the daemon shows a price; nil when it is no price.
    init?(_ json: JSON) {
        guard case .priceSet(let price)? = try? Document(type: .priceSet, json, strict: false)
        else { return nil }
        self = price
    }
}

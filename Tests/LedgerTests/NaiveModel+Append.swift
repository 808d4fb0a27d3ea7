/// APPEND: what admins decide.
extension NaiveModel {
    static let payloadFields: [String: Set<String>] = [
        "org.created": [
            "account", "zone", "name", "limits", "models", "scopes", "unpriced", "on_lapse",
        ],
        "team.created": ["account", "name", "limits", "models", "scopes"],
        "key.created": [
            "account", "name", "owner", "environment", "limits", "models", "scopes",
            "expires", "expires_in", "rotate_every", "secret_sha256",
        ],
        "key.rotated": ["account", "grace", "rotate_every", "secret_sha256"],
        "key.revoked": ["account"],
        "account.disabled": ["account"],
        "account.enabled": ["account"],
        "account.described": ["account", "name", "owner", "labels"],
        "limits.set": ["account", "limits"],
        "permissions.set": ["account", "models", "scopes"],
        "override.granted": ["account", "limit", "amount", "until", "for"],
        "override.ended": ["account", "limit"],
        "credit.granted": [
            "account", "usd", "source", "reference", "expires", "expires_in",
        ],
        "billing.set": ["account", "markup_ppm", "currency", "rate"],
        "price.set": [
            "model", "in", "out", "cached", "cache_write", "reasoning",
            "request", "max_out", "context", "variants", "from", "capabilities", "force",
        ],
        "alias.set": ["alias", "model"],
        "routing.set": ["account", "rules", "fallback"],
        "privacy.set": ["account", "fields"],
        "charge.corrected": ["account", "charge", "usd", "was", "placed", "model", "price"],
    ]

    mutating func append(_ line: String, at now: Int64) throws(Failure) -> String {
        let words = line.split(separator: " ", maxSplits: 2).map { String($0) }
        guard words.count == 3, let fields = Self.payloadFields[words[1]],
            case .object(let payload)? = JSON(parsing: words[2]),
            payload.keys.allSatisfy({ fields.contains($0) || $0 == "id" || $0 == "reason" })
        else {
            throw .error
        }
        _ = try Self.text(payload["reason"])
        let id = try Self.text(payload["id"])
        var asked = payload
        if words[1] == "charge.corrected" {
            // What the daemon would say itself makes no other correction.
            for field in ["was", "placed", "model"] {
                asked[field] = nil
            }
        }
        let appending = Appended(type: words[1], payload: asked)
        if let id, let earlier = appended[id] {
            guard earlier == appending else {
                throw .conflict
            }
            return "{"
        }
        switch words[1] {
        case "org.created": try createAccount(payload, depth: 1, at: now)
        case "team.created": try createAccount(payload, depth: 2, at: now)
        case "key.created": try createAccount(payload, depth: 3, at: now)
        case "key.rotated", "key.revoked", "account.disabled", "account.enabled",
            "account.described":
            try live(words[1], payload, at: now)
        case "limits.set": try setLimits(payload)
        case "permissions.set": try setPermissions(payload)
        case "routing.set": try setRouting(payload)
        case "privacy.set": try setPrivacy(payload)
        case "charge.corrected":
            let key = try correctCharge(payload, at: now)
            appended[id!] = appending
            _ = appendEvent(of: key, at: now)
            return "{"
        case "override.granted": try grantOverride(payload, at: now)
        case "override.ended": try endOverride(payload)
        case "credit.granted": try grantCredit(payload, at: now)
        case "billing.set": try setBilling(payload)
        case "price.set": try setPrice(payload, at: now)
        default: try setAlias(payload)
        }
        if let id {
            appended[id] = appending
        }
        _ = appendEvent()
        return "{"
    }

    // MARK: Accounts

    private mutating func createAccount(
        _ payload: [String: JSON], depth: Int, at now: Int64
    ) throws(Failure) {
        guard let path = try Self.text(payload["account"]), accounts[path] == nil else {
            throw .error
        }
        let names = path.split(separator: "/", omittingEmptySubsequences: false)
        let ancestors = Array(Self.lineage(path).dropFirst())
        guard names.count == depth, names.allSatisfy({ Self.isName(String($0)) }),
            ancestors.allSatisfy({ accounts[$0] != nil })
        else {
            throw .error
        }
        for field in ["name", "owner", "environment"] {
            _ = try Self.text(payload[field])
        }
        guard [nil, "UTC"].contains(try Self.text(payload["zone"])) else {
            throw .error
        }

        var account = Account()
        switch try Self.text(payload["unpriced"]) {
        case nil, "deny": break
        case "allow": account.allowsUnpriced = true
        default: throw .error
        }
        if let onLapse = try Self.text(payload["on_lapse"]) {
            guard ["release", "charge_input", "charge_hold"].contains(onLapse) else {
                throw .error
            }
            account.onLapse = onLapse
        }
        guard payload["expires"] == nil || payload["expires_in"] == nil else {
            throw .error
        }
        if let text = try Self.text(payload["expires"]) {
            guard let instant = Self.nanoseconds(parsing: text), instant > now else {
                throw .error
            }
            account.expires = instant
        }
        if let seconds = payload["expires_in"] {
            guard case .integer(let seconds) = seconds, (1...4_000_000_000).contains(seconds) else {
                throw .error
            }
            account.expires = now + Int64(seconds) * 1_000_000_000
        }
        if let limits = payload["limits"] {
            try merge(limits, into: &account, below: ancestors)
        }
        account.models = try list("models", payload, below: ancestors) ?? nil
        account.scopes = try list("scopes", payload, below: ancestors) ?? nil
        if let every = payload["rotate_every"] {
            account.rotateEvery = try Self.span(every)
            account.rotationDue = now + account.rotateEvery!
        }
        let digest = try newDigest(payload)
        accounts[path] = account
        if let digest {
            secrets[digest] = Secret(key: path)
        }
    }

    private mutating func setLimits(_ payload: [String: JSON]) throws(Failure) {
        guard let path = try Self.text(payload["account"]), var account = accounts[path],
            let limits = payload["limits"]
        else {
            throw .error
        }
        try merge(limits, into: &account, below: Array(Self.lineage(path).dropFirst()))
        accounts[path] = account
    }

    private func merge(
        _ limits: JSON, into account: inout Account, below ancestors: [String]
    ) throws(Failure) {
        guard case .object(let limits) = limits else {
            throw .error
        }
        for (name, value) in limits {
            if value == .null, Self.isLimit(name) {
                account.limits[name] = nil
                continue
            }
            let amount = try Self.limitAmount(value, of: name)
            for ancestor in ancestors {
                if let most = accounts[ancestor]!.limits[name], amount > most {
                    throw .error
                }
            }
            account.limits[name] = amount
            if Self.window(of: name) == "minute" {
                account.recordsMinute = true
            }
        }
    }

    static func isLimit(_ name: String) -> Bool {
        limitRules.contains { $0.limits.contains(name) }
    }
    static func limitAmount(_ value: JSON, of name: String) throws(Failure) -> Amount {
        guard isLimit(name) else {
            throw .error
        }
        switch (value, unit(of: name)) {
        case (.string(let text), "usd"):
            guard let nano = nanoDollars(text) else {
                throw .error
            }
            return nano
        case (.integer(let count), "tokens"), (.integer(let count), "requests"),
            (.integer(let count), "concurrency"):
            guard count >= 0, count <= Amount(Int64.max) else {
                throw .error
            }
            return count
        default:
            throw .error
        }
    }

    private mutating func setPermissions(_ payload: [String: JSON]) throws(Failure) {
        guard let path = try Self.text(payload["account"]), var account = accounts[path] else {
            throw .error
        }
        let ancestors = Array(Self.lineage(path).dropFirst())
        if let models = try list("models", payload, below: ancestors) {
            account.models = models
        }
        if let scopes = try list("scopes", payload, below: ancestors) {
            account.scopes = scopes
        }
        accounts[path] = account
    }

    /// `nil` when the payload has no such list, `.some(nil)` when it says `null`.
    private func list(
        _ field: String, _ payload: [String: JSON], below ancestors: [String]
    ) throws(Failure) -> [String]?? {
        guard let json = payload[field] else {
            return nil
        }
        if json == .null {
            return .some(nil)
        }
        guard case .array(let items) = json else {
            throw .error
        }
        var entries: [String] = []
        for item in items {
            guard case .string(let text) = item else {
                throw .error
            }
            let entry = field == "models" ? text.lowercased() : text
            guard Self.isPattern(entry, in: field) else {
                throw .error
            }
            for ancestor in ancestors {
                let list =
                    field == "models" ? accounts[ancestor]!.models : accounts[ancestor]!.scopes
                if let list, !Self.allows(list, entry) {
                    throw .error
                }
            }
            entries.append(entry)
        }
        return entries
    }

    private static func isPattern(_ entry: String, in field: String) -> Bool {
        guard field == "models" else {
            return !entry.isEmpty && !entry.dropLast().contains("*")
        }
        return entry == "*" || isModel(entry)
            || entry.hasSuffix("/*") && isName(String(entry.dropLast(2)))
    }

    // MARK: Prices

    private mutating func setPrice(
        _ payload: [String: JSON], at now: Int64
    ) throws(Failure) {
        guard let model = try Self.text(payload["model"])?.lowercased(), Self.isModel(model) else {
            throw .error
        }
        let base = try rates(payload, requestElse: 0)
        let context = try Self.count(payload["context"])
        var capabilities: [String] = []
        var variants: [Variant] = []
        if let json = payload["variants"] {
            guard case .array(let items) = json else {
                throw .error
            }
            for item in items {
                variants.append(try variant(item, base: base))
            }
        }
        var from = now
        if let text = try Self.text(payload["from"]) {
            guard let instant = Self.nanoseconds(parsing: text), instant > now else {
                throw .error
            }
            from = instant
        }
        if let json = payload["capabilities"] {
            guard case .array(let items) = json else {
                throw .error
            }
            for item in items {
                guard case .string(let name) = item, Self.isName(name) else {
                    throw .error
                }
                capabilities.append(name)
            }
        }
        guard [nil, .null, .bool(true), .bool(false)].contains(payload["force"]) else {
            throw .error
        }
        if payload["force"] != .bool(true), let old = price(of: model, at: from) {
            let changed = old.variants.flatMap { variant in
                variants.filter { $0.tier == variant.tier && $0.above == variant.above }
                    .map { (variant.rates, $0.rates) }
            }
            guard !([(old.rates, base)] + changed).contains(where: { Self.leaps($0, $1) }) else {
                throw .error
            }
        }
        if prices[model] == nil {
            models.append(model)
        }
        prices[model, default: []].append(
            Price(
                from: from, rates: base, maxOut: try Self.count(payload["max_out"]),
                context: context, capabilities: capabilities, variants: variants))
    }

    private func variant(_ json: JSON, base: Rates) throws(Failure) -> Variant {
        let fields = [
            "tier", "above", "in", "out", "cached", "cache_write", "reasoning", "request",
        ]
        guard case .object(let payload) = json, payload.keys.allSatisfy({ fields.contains($0) }),
            payload["tier"] != nil || payload["above"] != nil
        else {
            throw .error
        }
        return Variant(
            tier: try Self.tier(try Self.text(payload["tier"])) ?? "standard",
            above: try Self.count(payload["above"]) ?? 0,
            rates: try rates(payload, requestElse: base.request))
    }

    private func rates(
        _ payload: [String: JSON], requestElse fallback: Amount
    ) throws(Failure) -> Rates {
        guard let input = try Self.rate(payload["in"]), let output = try Self.rate(payload["out"])
        else {
            throw .error
        }
        var request = fallback
        if let text = try Self.text(payload["request"]) {
            guard let nano = Self.nanoDollars(text) else {
                throw .error
            }
            request = nano
        }
        return Rates(
            input: input,
            cached: try Self.rate(payload["cached"]) ?? input,
            cacheWrite: try Self.rate(payload["cache_write"]) ?? input,
            output: output,
            reasoning: try Self.rate(payload["reasoning"]) ?? output,
            request: request)
    }

    private mutating func setAlias(_ payload: [String: JSON]) throws(Failure) {
        guard let alias = try Self.text(payload["alias"])?.lowercased(), Self.isName(alias),
            alias != "auto",
            let model = try Self.text(payload["model"])?.lowercased(), prices[model] != nil
        else {
            throw .error
        }
        aliases[alias] = model
    }

    // MARK: Fields

    /// A string that may be missing.
    static func text(_ json: JSON?) throws(Failure) -> String? {
        switch json {
        case nil: return nil
        case .string(let text)?: return text
        default: throw .error
        }
    }

    /// A count that may be missing.
    private static func count(_ json: JSON?) throws(Failure) -> Amount? {
        switch json {
        case nil: return nil
        case .integer(let count)? where (0...1_000_000_000_000).contains(count): return count
        default: throw .error
        }
    }

    /// Dollars a million tokens, as pico-dollars a token.
    private static func rate(_ json: JSON?) throws(Failure) -> Amount? {
        guard let text = try text(json) else {
            return nil
        }
        guard let nano = nanoDollars(text), nano % 1000 == 0 else {
            throw .error
        }
        return nano / 1000
    }

    static func isName(_ name: String) -> Bool {
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        return (1...63).contains(name.utf8.count) && letters.contains(name.first!)
            && name.allSatisfy { letters.contains($0) || "._-".contains($0) }
    }
}

/// What is stored of people.
extension NaiveModel {
    mutating func setPrivacy(_ payload: [String: JSON]) throws(Failure) {
        guard let org = try Self.text(payload["account"]), accounts[org] != nil,
            Self.lineage(org).count == 1, case .array(let fields)? = payload["fields"]
        else {
            throw .error
        }
        for field in fields {
            guard case .string(let name) = field, ["user", "ip", "ua"].contains(name) else {
                throw .error
            }
        }
    }
}

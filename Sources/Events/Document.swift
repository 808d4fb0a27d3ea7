/// The payloads of the rare events, which are stored as canonical JSON: what an admin appends
/// (DESIGN.md section 8) and what the daemon itself notes.
package enum Document: Sendable {
    case ledgerCreated(LedgerCreated)
    case epochStarted(EpochStarted)
    case windowOpened(WindowOpened)
    case accountCreated(AccountCreated)
    case keyRotated(KeyRotated)
    case keyRevoked(AccountNamed)
    case keyRotationDue(AccountNamed)
    case accountDisabled(AccountNamed)
    case accountEnabled(AccountNamed)
    case accountDescribed(AccountDescribed)
    case limitsSet(LimitsSet)
    case permissionsSet(PermissionsSet)
    case routingSet(RoutingSet)
    case privacySet(PrivacySet)
    case personalErased(PersonalErased)
    case overrideGranted(OverrideGranted)
    case overrideEnded(OverrideEnded)
    case creditGranted(CreditGranted)
    case creditExpired(CreditExpired)
    case billingSet(BillingSet)
    case priceSet(PriceSet)
    case aliasSet(AliasSet)
    case chargeCorrected(ChargeCorrected)
    case operatorCreated(OperatorCreated)
    case operatorRevoked(OperatorRevoked)

    /// Reads a payload.
    ///
    /// - Parameter strict: refuse unknown fields, as for an appended payload; a stored one is read
    ///   leniently, because a later version may have added fields.
    package init(type: EventType, _ json: JSON, strict: Bool) throws(Failure) {
        var fields = try FieldReader(json, of: type)
        switch type {
        case .ledgerCreated: self = .ledgerCreated(try LedgerCreated(&fields))
        case .epochStarted: self = .epochStarted(try EpochStarted(&fields))
        case .windowOpened: self = .windowOpened(try WindowOpened(&fields))
        case .orgCreated: self = .accountCreated(try AccountCreated(&fields, tier: .org))
        case .teamCreated: self = .accountCreated(try AccountCreated(&fields, tier: .team))
        case .keyCreated: self = .accountCreated(try AccountCreated(&fields, tier: .key))
        case .keyRotated: self = .keyRotated(try KeyRotated(&fields))
        case .keyRevoked: self = .keyRevoked(try AccountNamed(&fields, tier: .key))
        case .keyRotationDue: self = .keyRotationDue(try AccountNamed(&fields, tier: .key))
        case .accountDisabled: self = .accountDisabled(try AccountNamed(&fields))
        case .accountEnabled: self = .accountEnabled(try AccountNamed(&fields))
        case .accountDescribed: self = .accountDescribed(try AccountDescribed(&fields))
        case .limitsSet: self = .limitsSet(try LimitsSet(&fields))
        case .permissionsSet: self = .permissionsSet(try PermissionsSet(&fields))
        case .routingSet: self = .routingSet(try RoutingSet(&fields))
        case .privacySet: self = .privacySet(try PrivacySet(&fields))
        case .personalErased: self = .personalErased(try PersonalErased(&fields))
        case .overrideGranted: self = .overrideGranted(try OverrideGranted(&fields))
        case .overrideEnded: self = .overrideEnded(try OverrideEnded(&fields))
        case .creditGranted: self = .creditGranted(try CreditGranted(&fields))
        case .creditExpired: self = .creditExpired(try CreditExpired(&fields))
        case .billingSet: self = .billingSet(try BillingSet(&fields))
        case .priceSet: self = .priceSet(try PriceSet(&fields))
        case .aliasSet: self = .aliasSet(try AliasSet(&fields))
        case .chargeCorrected: self = .chargeCorrected(try ChargeCorrected(&fields))
        case .operatorCreated: self = .operatorCreated(try OperatorCreated(&fields))
        case .operatorRevoked: self = .operatorRevoked(try OperatorRevoked(&fields))
        case .holdPlaced, .holdRefused, .holdExtended, .holdSettled, .holdReleased, .holdLapsed,
            .chargeRecorded, .refusalsSummed:
            throw Failure(.error, "\(type.name) is not a document: its layout is fixed")
        }
        // What an admin may say with every event.
        _ = try fields.optionalText("id")
        _ = try fields.optionalText("reason", max: Bounds.longTextBytesMax)
        guard strict else { return }
        try fields.refuseUnread()
        // Stored, both may stand there: what was asked, and the instant the daemon made of it.
        switch self {
        case .overrideGranted(let granted): try granted.refuseUnclearEnd()
        case .creditGranted(let granted):
            try Document.refuseTwoEnds(granted.expires, granted.expiresInSeconds)
        case .accountCreated(let created):
            try Document.refuseTwoEnds(created.expires, created.expiresInSeconds)
        default: break
        }
    }
    private static func refuseTwoEnds(_ expires: Instant?, _ seconds: Int64?) throws(Failure) {
        guard expires == nil || seconds == nil else {
            throw Failure(.error, "give expires or expires_in, not both")
        }
    }
}

package struct LedgerCreated: Sendable {
    /// 32 hexadecimal digits; binds ring, journal and checkpoints to one another.
    package var ledger: String
    package var version: String
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        ledger = try fields.text("ledger")
        version = try fields.text("version")
    }
}

package struct EpochStarted: Sendable {
    package var version: String
    /// What the backup ended with that this epoch goes on from; nil when the log went on by itself.
    package var restored: Restoration?
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        version = try fields.text("version")
        guard let json = fields.take("restored"), !json.isNull else { return }
        guard let restored = Restoration(json) else {
            throw Failure(.error, "\"restored\" must hold seq and root")
        }
        self.restored = restored
    }
}

/// Where a ledger that was restored parts from the one it is a copy of.
package struct Restoration: Hashable, Sendable {
    /// The last event that both have.
    package var seq: UInt64
    /// The root of the tree over the events up to it, in base64.
    package var root: String

    package init(seq: UInt64, root: String) {
        self.seq = seq
        self.root = root
    }
    init?(_ json: JSON) {
        guard let seq = json["seq"]?.integer, seq > 0, let root = json["root"]?.string,
            !root.isEmpty
        else { return nil }
        self.init(seq: UInt64(seq), root: root)
    }
    package var json: JSON {
        .object([
            JSON.Member("root", .string(root)),
            JSON.Member("seq", .integer(Int64(clamping: seq))),
        ])
    }
}

/// A calendar window of an org began; `end` is the first instant that no longer belongs to it.
package struct WindowOpened: Sendable {
    package var account: String
    package var zone: String
    package var window: Window
    package var start: Instant
    package var end: Instant
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.text("account")
        zone = try fields.text("zone")
        let name = try fields.text("window")
        guard let window = name.withBytes({ Window($0) }) else {
            throw Failure(.error, "window \"\(name)\" is not one of minute … total")
        }
        self.window = window
        start = try fields.instant("start")
        end = try fields.instant("end")
    }
}

/// What a hold costs that nobody settled.
package enum LapsePolicy: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case release = 0
    case chargeInput = 1
    case chargeHold = 2

    package var name: String {
        switch self {
        case .release: "release"
        case .chargeInput: "charge_input"
        case .chargeHold: "charge_hold"
        }
    }
}

/// `org.created`, `team.created` and `key.created`.
package struct AccountCreated: Sendable {
    package var tier: Tier
    package var account: String
    package var limits: [LimitChange] = []
    /// Nil inherits; empty allows nothing.
    package var models: [String]?
    package var scopes: [String]?
    // Orgs only.
    package var zone = "UTC"
    package var allowsUnpriced = false
    package var onLapse = LapsePolicy.release
    // Keys only.
    package var expires: Instant?
    package var expiresInSeconds: Int64?
    /// How often it is to be rotated, in seconds.
    package var rotateEverySeconds: Int64?
    /// 32 bytes.
    package var secretDigest: [UInt8]?

    fileprivate init(_ fields: inout FieldReader, tier: Tier) throws(Failure) {
        self.tier = tier
        account = try fields.account("account", tier: tier)
        _ = try fields.optionalText("name")
        limits = try fields.limits("limits") ?? []
        models = try fields.optionalStrings("models")
        scopes = try fields.optionalStrings("scopes")
        switch tier {
        case .org:
            zone = try fields.optionalText("zone") ?? "UTC"
            switch try fields.optionalText("unpriced") ?? "deny" {
            case "deny": allowsUnpriced = false
            case "allow": allowsUnpriced = true
            case let other:
                throw Failure(.error, "unpriced is \"\(other)\": say \"deny\" or \"allow\"")
            }
            let lapse = try fields.optionalText("on_lapse") ?? "release"
            guard let policy = LapsePolicy.allCases.first(where: { $0.name == lapse }) else {
                throw Failure(
                    .error,
                    "on_lapse is \"\(lapse)\": say release, charge_input or charge_hold")
            }
            onLapse = policy
        case .team: break
        case .key:
            _ = try fields.optionalText("owner")
            _ = try fields.optionalText("environment")
            expires = try fields.optionalInstant("expires")
            expiresInSeconds = try fields.optionalInteger(
                "expires_in", 1...Bounds.relativeSecondsMax)
            rotateEverySeconds = try fields.optionalInteger(
                "rotate_every", 1...Bounds.relativeSecondsMax)
            secretDigest = try fields.optionalDigest("secret_sha256")
        }
    }
}

/// One limit to set; nil removes it. Money in nano-dollars, everything else a count.
package struct LimitChange: Hashable, Sendable {
    package var kind: LimitKind
    package var amount: Int64?
    package init(kind: LimitKind, amount: Int64?) {
        self.kind = kind
        self.amount = amount
    }
}

package struct LimitsSet: Sendable {
    package var account: String
    package var limits: [LimitChange]
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        guard let limits = try fields.limits("limits"), !limits.isEmpty else {
            throw Failure(
                .error, "limits is missing: {\"usd.day\":\"500\",\"requests.minute\":1200}")
        }
        self.limits = limits
    }
}

package struct PermissionsSet: Sendable {
    /// Leave a list as it is, inherit the parent's, or replace it.
    package enum Change: Sendable {
        case keep
        case inherit
        case list([String])
    }
    package var account: String
    package var models: Change
    package var scopes: Change
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        models = try fields.listChange("models")
        scopes = try fields.listChange("scopes")
        if case .keep = models, case .keep = scopes {
            throw Failure(.error, "give models, scopes or both (null inherits the parent's)")
        }
    }
}

/// Prices a token of each class, in pico-dollars, the request's own price apart.
package struct PriceClasses: Hashable, Sendable {
    package var input: PicoPrice
    package var output: PicoPrice
    package var cached: PicoPrice
    package var cacheWrite: PicoPrice
    package var reasoning: PicoPrice
    package var request: Nanodollars

    package init(
        input: PicoPrice, output: PicoPrice, cached: PicoPrice, cacheWrite: PicoPrice,
        reasoning: PicoPrice, request: Nanodollars
    ) {
        self.input = input
        self.output = output
        self.cached = cached
        self.cacheWrite = cacheWrite
        self.reasoning = reasoning
        self.request = request
    }
    fileprivate init(_ fields: inout FieldReader, request base: Nanodollars?) throws(Failure) {
        input = try fields.price("in")
        output = try fields.price("out")
        cached = try fields.optionalPrice("cached") ?? input
        cacheWrite = try fields.optionalPrice("cache_write") ?? input
        reasoning = try fields.optionalPrice("reasoning") ?? output
        request = try fields.optionalMoney("request") ?? base ?? .zero
    }
}

package struct PriceSet: Sendable {
    package struct Variant: Hashable, Sendable {
        package var tier: ServiceTier
        /// It applies to prompts of more tokens than this.
        package var above: Int64
        package var prices: PriceClasses
    }
    /// Lower case.
    package var model: String
    package var prices: PriceClasses
    /// When it comes into force; nil: with the event itself.
    package var from: Instant?
    package var maxOutput: Int64?
    package var context: Int64?
    /// What the model can do beside text, such as `vision`; each once.
    package var capabilities: [String]
    package var variants: [Variant]
    /// Whether somebody said that a change of more than a hundredfold is meant.
    package var isForced: Bool

    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        model = try fields.text("model", max: Bounds.modelBytesMax).lowercased()
        guard model.withBytes({ ModelName.isQualified($0) }) else {
            throw Failure(.error, "model \"\(model)\" is not provider/model")
        }
        prices = try PriceClasses(&fields, request: nil)
        from = try fields.optionalInstant("from")
        capabilities = try fields.optionalStrings("capabilities") ?? []
        for capability in capabilities {
            guard capability.withBytes({ AccountPath.isName($0) }) else {
                throw Failure(
                    .error,
                    "capability \"\(capability)\": a capability is [a-z0-9][a-z0-9._-]{0,62}, "
                        + "such as vision")
            }
        }
        guard capabilities.count <= 64 else { throw Failure(.error, "more than 64 capabilities") }
        isForced = try fields.optionalFlag("force") ?? false
        maxOutput = try fields.optionalInteger("max_out", 1...Bounds.tokensMax)
        context = try fields.optionalInteger("context", 1...Bounds.tokensMax)
        variants = []
        for item in try fields.optionalArray("variants") ?? [] {
            var inner = try FieldReader(item, of: .priceSet)
            var tier = ServiceTier.standard
            if let name = try inner.optionalText("tier") {
                guard let found = name.withBytes({ ServiceTier($0) }) else {
                    throw Failure(
                        .error, "tier \"\(name)\" is not standard, batch, flex or priority")
                }
                tier = found
            }
            let above = try inner.optionalInteger("above", 0...Bounds.tokensMax)
            if above == nil, tier == .standard {
                throw Failure(.error, "a variant needs tier, above or both")
            }
            let classes = try PriceClasses(&inner, request: prices.request)
            try inner.refuseUnread()
            let variant = Variant(tier: tier, above: above ?? 0, prices: classes)
            guard !variants.contains(where: { $0.tier == tier && $0.above == variant.above }) else {
                throw Failure(
                    .error, "two variants for tier \(tier.name) above \(variant.above) tokens")
            }
            variants.append(variant)
        }
        guard variants.count <= 64 else { throw Failure(.error, "more than 64 variants") }
    }
}

package struct AliasSet: Sendable {
    /// Lower case.
    package var alias: String
    package var model: String
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        alias = try fields.text("alias", max: Bounds.modelBytesMax).lowercased()
        guard alias.withBytes({ ModelName.isAlias($0) }) else {
            throw Failure(.error, "alias \"\(alias)\" must be a bare name without '/'")
        }
        model = try fields.text("model", max: Bounds.modelBytesMax).lowercased()
        guard model.withBytes({ ModelName.isQualified($0) }) else {
            throw Failure(
                .error,
                "model \"\(model)\" is not provider/model; an alias stands for a model, never for "
                    + "another alias, so none can stand for itself")
        }
    }
}

/// What a past charge or settlement costs in truth: it counts that from now on, where it counted.
package struct ChargeCorrected: Sendable {
    /// The key's.
    package var account: String
    /// The hold that was settled or lapsed, or the charge.
    package var charge: HoldName
    package var usd: Nanodollars
    /// What it counted until now, and the instant since when. The daemon adds both while it remembers
    /// the charge; of an older one only the caller, who read the log, can tell.
    package var was: Nanodollars?
    package var placed: Instant?
    /// What it was for, and the version of that model's price by which it is rated now.
    package var model: String?
    package var price: UInt32?
    /// What is billed for it now, where its org is billed otherwise than list prices in dollars; the daemon
    /// adds it.
    package var billed: Extras.Billed?

    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .key)
        let name = try fields.text("charge")
        guard let charge = name.withBytes({ HoldName(parsing: $0) }), "\(charge)" == name else {
            throw Failure(
                .error, "charge \"\(name)\" is no hold's or charge's name such as \"3-184467\"")
        }
        self.charge = charge
        guard let usd = try fields.optionalMoney("usd") else {
            throw Failure(.error, "charge.corrected needs \"usd\": all that the charge costs")
        }
        self.usd = usd
        was = try fields.optionalMoney("was")
        placed = try fields.optionalInstant("placed")
        model = try fields.optionalText("model", max: Bounds.modelBytesMax)
        price = try fields.optionalInteger("price", 1...Int64(UInt32.max)).map { UInt32($0) }
        if let amount = try fields.optionalMoney("billed") {
            billed = Extras.Billed(amount: amount, currency: try fields.currency("currency"))
        }
        // Two corrections of one charge may look alike; only an id tells a repeat from a second one.
        _ = try fields.text("id")
    }
}

extension Document {
    /// What a stored event says; nil where it is no document, or damaged.
    package init?(stored event: StoredEvent) {
        guard let document = try? DocumentEvent(event),
            let json = try? JSON(parsing: document.json),
            let said = try? Document(type: event.header.type, json, strict: false)
        else { return nil }
        self = said
    }
}

extension ChargeCorrected {
    /// What a stored correction says; nil where it is none, or damaged.
    package init?(stored event: StoredEvent) {
        guard case .chargeCorrected(let corrected)? = Document(stored: event) else { return nil }
        self = corrected
    }
    package init?(stored json: JSON) {
        guard
            case .chargeCorrected(let corrected)? = try? Document(
                type: .chargeCorrected, json, strict: false)
        else { return nil }
        self = corrected
    }
}

/// What an operator may do; see DESIGN.md section 8.
package enum Role: UInt8, CaseIterable, Sendable {
    case admin = 0
    case relay = 1
    case auditor = 2
    case finance = 3
    case developer = 4

    package var name: String {
        switch self {
        case .admin: "admin"
        case .relay: "relay"
        case .auditor: "auditor"
        case .finance: "finance"
        case .developer: "developer"
        }
    }
}

package struct OperatorCreated: Sendable {
    package var name: String
    package var role: Role
    /// The org or team within which it may do what its role may; nil for the whole ledger.
    package var account: String?
    package var secretDigest: [UInt8]?
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        name = try fields.text("operator")
        guard name.withBytes({ AccountPath.isName($0) }) else {
            throw Failure(.error, "operator \"\(name)\": names are [a-z0-9][a-z0-9._-]{0,62}")
        }
        guard name != "tollgate" else {
            throw Failure(.error, "operator \"tollgate\": that is the daemon's own name in the log")
        }
        let text = try fields.text("role")
        guard let role = Role.allCases.first(where: { $0.name == text }) else {
            throw Failure(
                .error, "role \"\(text)\" is not admin, relay, auditor, finance or developer")
        }
        self.role = role
        account = try fields.optionalAccount("account")
        if let account, account.withBytes({ AccountPath.tier($0) }) == .key {
            throw Failure(
                .error,
                "account \"\(account)\" is a key's: an operator is confined to an org or a team")
        }
        guard role != .developer || account != nil else {
            throw Failure(
                .error, "a developer needs \"account\": the org or team it is confined to")
        }
        secretDigest = try fields.optionalDigest("secret_sha256")
    }
}

package struct OperatorRevoked: Sendable {
    package var name: String
    fileprivate init(_ fields: inout FieldReader) throws(Failure) {
        name = try fields.text("operator")
    }
}

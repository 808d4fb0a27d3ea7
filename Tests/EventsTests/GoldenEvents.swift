import Events

// The events of `schemas/events.golden`, built from code.

/// Names for the numbers that the golden events use.
struct GoldenNames: EventNames {
    func accountName(_ number: AccountNumber) -> String? {
        ["acme", "acme/ml-platform", "acme/ml-platform/prod"].at(number.raw)
    }
    func modelName(_ number: ModelNumber) -> String? { ["openai/gpt-4.1"].at(number.raw) }
    func operatorName(_ number: UInt32) -> String? { ["relay-1"].at(number) }
}
extension Array {
    fileprivate func at(_ i: UInt32) -> Element? { i < UInt32(count) ? self[Int(i)] : nil }
}

private let org = AccountNumber(0)
private let team = AccountNumber(1)
private let key = AccountNumber(2)
private let gpt = ModelNumber(0)
private let relay = Actor.operatorNumber(0)
private let root = Actor.uid(0)

private func header(
    _ type: EventType, _ seq: UInt64, _ account: AccountNumber, _ actor: Actor, flags: UInt8 = 0,
    epoch: UInt32 = 3
) -> EventHeader {
    // 2026-11-22T10:00:00.123456789Z and a microsecond for each event.
    let time = Instant(nanoseconds: 1_795_341_600_123_456_789 + Int64(seq) * 1_000)
    var header = EventHeader(
        type: type, epoch: epoch, seq: seq, time: time, actor: actor, account: account)
    header.flags = flags
    return header
}
private func dollars(_ text: StaticString) -> Nanodollars {
    try! Nanodollars(parsing: Bytes(text))
}
private func billed(_ amount: Nanodollars, _ currency: StaticString) -> Extras.Billed {
    Extras.Billed(amount: amount, currency: Currency(Bytes(currency))!)
}
private func instant(_ text: StaticString) -> Instant { Instant(parsing: Bytes(text))! }
/// Ten to the twelfth: needs all forty bits of a count.
private let most = Bounds.tokensMax

/// One golden event: its name in the file, and how code writes it.
struct GoldenEvent: Sendable {
    var name: String
    var encode: @Sendable (inout ByteBuffer) -> Void
    var bytes: [UInt8] { written(encode) }

    private init(_ name: String, _ encode: @escaping @Sendable (inout ByteBuffer) -> Void) {
        self.name = name
        self.encode = encode
    }
    /// An event that carries JSON; the text is a payload as somebody might write it.
    private static func document(
        _ name: String, _ header: EventHeader, number: UInt32 = 0, _ payload: String
    ) -> GoldenEvent {
        GoldenEvent(name) { buffer in
            let json = try! JSON(payload).canonical
            json.withBytes {
                DocumentEvent(header: header, number: number, json: $0).encode(into: &buffer)
            }
        }
    }

    static let all: [GoldenEvent] =
        documents + holds + refusals + ends + charges + prices + growths + overrides + finances
        + routes + personal

    private static let documents = [
        document(
            "ledger.created", header(.ledgerCreated, 1, .none, .daemon, epoch: 1),
            #"{"version": "0.1.0", "ledger": "0123456789abcdef0123456789abcdef"}"#),
        document(
            "epoch.started", header(.epochStarted, 2, .none, .daemon, epoch: 1),
            #"{"version": "0.1.0"}"#),
        document(
            "epoch.started from a backup", header(.epochStarted, 12, .none, .daemon, epoch: 1_044),
            """
            {"version": "0.1.0", "restored": {"seq": 11, \
            "root": "tQJHcXbEs+k7OMjZag8fEWL5ZXW3Pk4ED25rHRtzpSg="}}
            """),
        document(
            "window.opened", header(.windowOpened, 3, org, .daemon),
            """
            {"account": "acme", "zone": "Europe/Berlin", "window": "day", \
            "start": "2026-11-21T23:00:00Z", "end": "2026-11-22T23:00:00Z"}
            """),
        document(
            "org.created", header(.orgCreated, 4, org, .uid(1_000)),
            """
            {"account": "acme", "zone": "Europe/Berlin", "name": "Acme \\u201cLabs”", \
            "limits": {"usd.month": "5000.00", "tokens.day": 2000000000}, \
            "models": ["openai/*", "anthropic/claude-sonnet-4.5"], "scopes": ["chat"], \
            "unpriced": "allow", "on_lapse": "charge_input", "id": "setup-1", \
            "reason": "a new customer"}
            """),
        document(
            "org.created least", header(.orgCreated, 5, org, .daemon), #"{"account": "acme"}"#),
        document(
            "org.created of a later version", header(.orgCreated, 6, org, .daemon),
            #"{"account": "acme", "seats": 12, "plan": {"tier": "gold", "since": null}}"#),
        document(
            "team.created", header(.teamCreated, 7, team, root), number: 1,
            """
            {"account": "acme/ml-platform", "name": "ML platform", \
            "limits": {"usd.day": "500", "concurrency": 150}, "models": [], "scopes": []}
            """),
        document(
            "key.created", header(.keyCreated, 8, key, root), number: 2,
            """
            {"account": "acme/ml-platform/prod", "name": "Production", "owner": "ada", \
            "environment": "live", "limits": {"requests.minute": 1200}, \
            "models": ["openai/gpt-4.1"], "scopes": ["chat"], \
            "expires": "2027-01-01T00:00:00Z", "secret_sha256": \
            "8000000000000000000000000000000000000000000000000000000000003039"}
            """),
        document(
            "limits.set", header(.limitsSet, 9, team, root),
            """
            {"account": "acme/ml-platform", "limits": \
            {"usd.month": null, "usd.day": "0.000000001", "requests.total": 0}, \
            "reason": "November's plan"}
            """),
        document(
            "permissions.set", header(.permissionsSet, 10, team, root),
            """
            {"account": "acme/ml-platform", "models": null, \
            "scopes": ["chat", "embeddings"]}
            """),
        document(
            "price.set", header(.priceSet, 11, .none, root),
            """
            {"model": "openai/gpt-4.1", "in": "8", "out": "24", "cached": "2", \
            "cache_write": "8", "reasoning": "24", "request": "0.0001", "max_out": 32768, \
            "context": 1047576, "variants": [{"tier": "batch", "in": "4", "out": "12"}, \
            {"tier": "standard", "above": 200000, "in": "16", "out": "48", "cached": "4", \
            "cache_write": "16", "reasoning": "48", "request": "0"}]}
            """),
        document(
            "alias.set", header(.aliasSet, 12, .none, root),
            #"{"model": "openai/gpt-4.1", "alias": "smart"}"#),
        document(
            "operator.created", header(.operatorCreated, 13, .none, root),
            """
            {"operator": "relay-1", "role": "relay", "secret_sha256": \
            "4000000000000000000000000000000000000000000000000000000000000007"}
            """),
        document(
            "operator.revoked", header(.operatorRevoked, 14, .none, root),
            #"{"operator": "relay-1", "id": "revoke-1"}"#),
        document(
            "operator.created confined", header(.operatorCreated, 15, team, root), number: 1,
            """
            {"account": "acme/ml-platform", "operator": "ada", "role": "developer", \
            "secret_sha256": \
            "4000000000000000000000000000000000000000000000000000000000000008"}
            """),
        document(
            "operator.revoked confined", header(.operatorRevoked, 16, team, relay), number: 1,
            #"{"operator": "ada"}"#),
    ]

    private static let overrides = [
        document(
            "override.granted", header(.overrideGranted, 60, team, root),
            """
            {"account": "acme/ml-platform", "limit": "usd.day", "amount": "1000", "for": 172800, \
            "until": "2026-11-24T10:00:00.123516789Z", "reason": \
            "incident 4711: the fallback model is dearer", "id": "override-1"}
            """),
        document(
            "override.granted of a count", header(.overrideGranted, 61, key, root),
            """
            {"account": "acme/ml-platform/prod", "limit": "concurrency", "amount": 0, \
            "until": "2026-11-22T12:00:00+01:00", "reason": "runaway"}
            """),
        document(
            "override.ended", header(.overrideEnded, 62, team, root),
            #"{"account": "acme/ml-platform", "limit": "usd.day", "reason": "all clear"}"#),
        document(
            "override.ended by itself", header(.overrideEnded, 63, key, .daemon),
            #"""
            {"account": "acme/ml-platform/prod", "limit": "concurrency", "reason": "expired"}
            """#),
        document(
            "key.rotated",
            header(.keyRotated, 60, key, relay, flags: DocumentEvent.generatedSecret),
            """
            {"account": "acme/ml-platform/prod", "grace": 86400, "rotate_every": 7776000, \
            "secret_sha256": \
            "8000000000000000000000000000000000000000000000000000000000003040", "reason": \
            "every quarter", "id": "q4"}
            """),
        document(
            "key.rotated least", header(.keyRotated, 61, key, root),
            """
            {"account": "acme/ml-platform/prod", "secret_sha256": \
            "8000000000000000000000000000000000000000000000000000000000003041"}
            """),
        document(
            "key.revoked", header(.keyRevoked, 62, key, root),
            """
            {"account": "acme/ml-platform/prod", "reason": "found on a public page"}
            """),
        document(
            "account.disabled", header(.accountDisabled, 63, org, root),
            """
            {"account": "acme", "reason": "incident 17"}
            """),
        document(
            "account.enabled", header(.accountEnabled, 64, org, root),
            """
            {"account": "acme"}
            """),
        document(
            "account.described", header(.accountDescribed, 65, team, root),
            """
            {"account": "acme/ml-platform", "name": "ML", "owner": null, "labels": \
            {"cost-centre": "1234", "old": null}}
            """),
        document(
            "key.rotation_due", header(.keyRotationDue, 66, key, .daemon),
            """
            {"account": "acme/ml-platform/prod"}
            """),
    ]
    private static let finances = [
        document(
            "credit.granted", header(.creditGranted, 64, org, root),
            """
            {"account": "acme", "usd": "100.00", "source": "alipay", "reference": \
            "2026112222001", "expires_in": 7776000, "expires": \
            "2027-02-20T10:00:00.123520789Z", "id": "acme alipay 2026112222001"}
            """),
        document(
            "credit.granted least", header(.creditGranted, 65, org, root),
            #"{"account": "acme", "usd": "0.000000001", "source": "sign-up"}"#),
        document(
            "credit.expired", header(.creditExpired, 66, org, .daemon),
            #"{"account": "acme", "grant": 64, "usd": "12.5"}"#),
        document(
            "billing.set", header(.billingSet, 67, org, root),
            """
            {"account": "acme", "markup_ppm": 150000, "currency": "CNY", "rate": "1.00", \
            "reason": "contract 17"}
            """),
        GoldenEvent("hold.refused for want of credit") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 68, key, relay), reason: .creditExhausted, model: gpt,
                input: 1_200, output: 400, usd: dollars("0.0192"))
            event.scopeTier = .org
            event.amount = dollars("100").raw
            event.used = dollars("100.01").raw
            event.held = dollars("0.000000003").raw
            event.encode(into: &buffer)
        },
    ]
    private static let prices = [
        document(
            "price.set from an instant on", header(.priceSet, 60, .none, root),
            """
            {"model": "openai/gpt-4.1", "in": "0.01", "out": "24", \
            "from": "2027-01-01T00:00:00Z", "capabilities": ["vision", "function_calling"], \
            "force": true, "reason": "the new year's list"}
            """),
        document(
            "charge.corrected", header(.chargeCorrected, 61, key, root),
            """
            {"account": "acme/ml-platform/prod", "charge": "3-20", "usd": "0.0096", \
            "was": "0.0108", "placed": "2026-11-22T10:00:00.123476789Z", \
            "model": "openai/gpt-4.1", "price": 2, "id": "rerate-3-20-2", \
            "reason": "cached tokens at half the price"}
            """),
    ]

    private static let routes = [
        document(
            "routing.set", header(.routingSet, 70, team, root),
            """
            {"account": "acme/ml-platform", "rules": [{"name": "simple-summaries", "match": \
            {"out": 500, "in": 100000, "temperature": "0.3", "batch": false, \
            "priority": "background", "prompt": ["summarize", "tl;dr"], "capability": ["vision"]}, \
            "model": "openai/gpt-4.1", "fallback": "openai/gpt-4.1"}], \
            "fallback": "openai/gpt-4.1", "reason": "cheap summaries"}
            """),
        document(
            "routing.set taken away", header(.routingSet, 71, org, root),
            #"{"account": "acme", "rules": null}"#),
        GoldenEvent("hold.refused by the routing's fallback") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 72, key, relay), reason: .modelDenied, model: gpt,
                input: 1_200, output: 400, usd: .zero)
            event.scopeTier = .team
            var writer = Extras.Writer()
            writer.add(askedModel: Bytes("auto"))
            writer.add(Extras.Routing(saved: 0, rule: Bytes(RoutingPolicy.fallbackName)))
            event.extras = writer.extras
            event.encode(into: &buffer)
        },
    ]

    private static let personal = [
        document(
            "privacy.set", header(.privacySet, 73, org, root),
            #"{"account": "acme", "fields": ["user", "ip", "ua"], "reason": "works council"}"#),
        document(
            "privacy.set to nothing", header(.privacySet, 74, org, root),
            #"{"account": "acme", "fields": []}"#),
        document(
            "personal.erased", header(.personalErased, 75, org, root),
            """
            {"account": "acme", "field": "user", "commitments": ["~AAECAwQFBgcICQoLDA0ODw"], \
            "reason": "request 17"}
            """),
        document(
            "personal.erased of no org", header(.personalErased, 76, .none, root),
            #"{"field": "ip", "commitments": ["~_____________________w"]}"#),
        GoldenEvent("hold.placed with commitments") { buffer in
            var event = HoldPlaced(
                header: header(.holdPlaced, 77, key, relay), model: gpt, price: 1, input: 1_200,
                output: 400, usd: dollars("0.0192"), until: 1_795_342_201)
            event.text.user = Bytes("~AAECAwQFBgcICQoLDA0ODw")
            event.text.address = Bytes("~_____________________w")
            event.encode(into: &buffer)
        },
    ]

    private static let holds = [
        GoldenEvent("hold.placed least") { buffer in
            HoldPlaced(
                header: header(.holdPlaced, 20, key, relay), model: gpt, price: 1, input: 1_200,
                output: 400, usd: dollars("0.0192"), until: 1_795_342_201
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.placed with every text") { buffer in
            var event = HoldPlaced(
                header: header(.holdPlaced, 21, key, relay, flags: ServiceTier.priority.rawValue),
                model: gpt, price: .max, input: 1, output: 0, usd: Nanodollars(8_000),
                until: 1_795_342_201)
            event.scope = Bytes("chat")
            event.text.id = Bytes("0193cfa0-6e5f-7bc2-a32b-6a7c7d1f0e11")
            event.text.user = Bytes("ada")
            event.text.project = Bytes("search")
            event.text.environment = Bytes("prod")
            event.text.address = Bytes("2001:db8::1")
            event.text.userAgent = Bytes("curl/8.5 “x” \\ \"q\"")
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.placed of a model without a price") { buffer in
            var event = HoldPlaced(
                header: header(
                    .holdPlaced, 22, key, .uid(1_000), flags: ServiceTier.batch.rawValue),
                model: .none, price: 0, input: most, output: most, usd: .zero, until: .max)
            event.modelText = Bytes("nobody/knows-it")
            event.text.id = Bytes("a")
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.placed after waiting, by a routing rule") { buffer in
            var event = HoldPlaced(
                header: header(.holdPlaced, 23, key, relay, flags: ServiceTier.flex.rawValue),
                model: gpt, price: 1, input: 1_200, output: 400, usd: dollars("0.0192"),
                until: 1_795_342_201)
            event.text.id = Bytes("r-7")
            var writer = Extras.Writer()
            writer.add(Extras.Came(at: instant("2026-11-22T09:59:58.5Z"), priority: 3))
            writer.add(askedModel: Bytes("auto"))
            writer.add(
                Extras.Routing(saved: -dollars("0.0021").raw, rule: Bytes("simple-summaries")))
            event.extras = writer.extras
            event.encode(into: &buffer)
        },
    ]

    private static let refusals = [
        GoldenEvent("hold.refused for an unknown key") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 30, .none, relay), reason: .keyUnknown, model: gpt,
                input: 12, output: 4_096, usd: .zero)
            event.askedKey = Bytes("acme/ml-platform/nobody")
            event.text.id = Bytes("r-1")
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.refused for a budget") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 31, key, relay), reason: .budgetExhausted, model: gpt,
                input: 1_200, output: 400, usd: dollars("0.0192"))
            event.limit = LimitKind(.usd, .day)
            event.scopeTier = .team
            event.amount = dollars("500").raw
            event.used = dollars("499.20").raw
            event.held = dollars("0.79").raw
            event.resets = instant("2026-11-22T23:00:00Z")
            event.scope = Bytes("chat")
            event.text.user = Bytes("ada")
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.refused for tokens a minute") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 32, key, root, flags: ServiceTier.flex.rawValue),
                reason: .tokensPerMinute, model: gpt, input: most, output: 1, usd: .zero)
            event.limit = LimitKind(.tokens, .minute)
            event.scopeTier = .org
            event.amount = 2_000_000
            event.used = 1_999_999
            event.resets = instant("2026-11-22T10:01:00.000000001Z")
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.refused for open holds") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 33, key, relay), reason: .concurrency, model: gpt,
                input: 1, output: 1, usd: Nanodollars(32_000))
            event.limit = .concurrency
            event.scopeTier = .key
            event.amount = 150
            event.used = 150
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.refused for a malformed model") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 34, key, relay), reason: .modelMalformed,
                model: .none, input: 0, output: 4_096, usd: .zero)
            event.modelText = Bytes("gpt")
            event.encode(into: &buffer)
        },
        GoldenEvent("refusals.summed") { buffer in
            RefusalsSummed(
                header: header(.refusalsSummed, 35, key, .daemon), reason: .budgetExhausted,
                refusals: .max, second: 1_795_341_600
            ).encode(into: &buffer)
        },
        GoldenEvent("refusals.summed of unknown keys") { buffer in
            RefusalsSummed(
                header: header(.refusalsSummed, 36, .none, .daemon), reason: .keyUnknown,
                refusals: 1, second: 0
            ).encode(into: &buffer)
        },
    ]

    private static let ends = [
        GoldenEvent("hold.settled") { buffer in
            HoldSettled(
                header: header(.holdSettled, 40, key, relay), hold: HoldName(epoch: 3, seq: 20),
                usage: TokenUsage(input: 1_200, output: 300, cached: 1_000, reasoning: 100),
                usd: dollars("0.0108"), price: 1, milliseconds: 842
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.settled late") { buffer in
            HoldSettled(
                header: header(
                    .holdSettled, 41, key, .uid(1_000),
                    flags: HoldSettled.flags(outcome: .estimated, tier: .priority, late: true)),
                hold: HoldName(epoch: 2, seq: 1 << 62 - 1),
                usage: TokenUsage(
                    input: most, output: most, cached: most / 2, cacheWrite: most / 2,
                    reasoning: most),
                usd: Nanodollars(.max), price: 7, milliseconds: 0
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.settled and billed") { buffer in
            var event = HoldSettled(
                header: header(.holdSettled, 49, key, relay), hold: HoldName(epoch: 3, seq: 23),
                usage: TokenUsage(input: 1_200, output: 300), usd: dollars("0.0108"), price: 1,
                milliseconds: 842)
            var writer = Extras.Writer()
            writer.add(billed(dollars("0.01242"), "CNY"))
            event.extras = writer.extras
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.released") { buffer in
            HoldReleased(
                header: header(.holdReleased, 42, key, relay), hold: HoldName(epoch: 3, seq: 21),
                why: .empty
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.released with a reason") { buffer in
            HoldReleased(
                header: header(.holdReleased, 43, key, relay), hold: HoldName(epoch: 3, seq: 21),
                why: Bytes("the client went away")
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.lapsed") { buffer in
            HoldLapsed(
                header: header(.holdLapsed, 44, key, .daemon), hold: HoldName(epoch: 3, seq: 22),
                tokens: 0, usd: .zero
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.lapsed and charged") { buffer in
            HoldLapsed(
                header: header(.holdLapsed, 45, key, .daemon), hold: HoldName(epoch: 3, seq: 22),
                tokens: 2 * most, usd: dollars("0.123456789")
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.lapsed, charged and billed") { buffer in
            var event = HoldLapsed(
                header: header(.holdLapsed, 50, key, .daemon), hold: HoldName(epoch: 3, seq: 22),
                tokens: 12, usd: dollars("0.2"))
            var writer = Extras.Writer()
            writer.add(billed(dollars("0.23"), "EUR"))
            event.extras = writer.extras
            event.encode(into: &buffer)
        },
    ]

    private static let charges = [
        GoldenEvent("charge.recorded") { buffer in
            var event = ChargeRecorded(
                header: header(.chargeRecorded, 46, key, relay), model: gpt, price: 2,
                usage: TokenUsage(input: 100, output: 20), usd: dollars("0.00128"),
                milliseconds: 95, hold: nil)
            event.text.id = Bytes("c-1")
            event.text.user = Bytes("ada")
            event.text.project = Bytes("search")
            event.text.environment = Bytes("prod")
            event.text.address = Bytes("192.0.2.7")
            event.text.userAgent = Bytes("batch/1")
            event.encode(into: &buffer)
        },
        GoldenEvent("charge.recorded and billed") { buffer in
            var event = ChargeRecorded(
                header: header(.chargeRecorded, 51, key, relay), model: gpt, price: 2,
                usage: TokenUsage(input: 100, output: 20), usd: dollars("0.00128"),
                milliseconds: 95, hold: nil)
            event.text.id = Bytes("c-3")
            var writer = Extras.Writer()
            writer.add(billed(dollars("0.00128"), "CNY"))
            event.extras = writer.extras
            event.encode(into: &buffer)
        },
        GoldenEvent("charge.recorded for an unknown hold") { buffer in
            ChargeRecorded(
                header: header(
                    .chargeRecorded, 47, key, relay,
                    flags: HoldSettled.flags(outcome: .partial, tier: .batch, late: true)),
                model: gpt, price: 2,
                usage: TokenUsage(input: 5, output: 5, cached: 1, cacheWrite: 2, reasoning: 3),
                usd: dollars("0.00016"), milliseconds: 0, hold: HoldName(epoch: 9, seq: 77)
            ).encode(into: &buffer)
        },
        GoldenEvent("charge.recorded of a model without a price") { buffer in
            var event = ChargeRecorded(
                header: header(.chargeRecorded, 48, key, relay), model: .none, price: 0,
                usage: TokenUsage(input: 1, output: 0), usd: .zero, milliseconds: 0, hold: nil)
            event.modelText = Bytes("nobody/knows-it")
            event.text.id = Bytes("c-2")
            event.encode(into: &buffer)
        },
    ]

    private static let growths = [
        GoldenEvent("hold.extended") { buffer in
            HoldExtended(
                header: header(.holdExtended, 49, key, relay), hold: HoldName(epoch: 3, seq: 20),
                input: 1_200, output: 900, usd: dollars("0.0312"), until: 1_795_342_201, price: 1
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.extended as far as it goes") { buffer in
            HoldExtended(
                header: header(
                    .holdExtended, 50, key, .uid(1_000), flags: ServiceTier.batch.rawValue),
                hold: HoldName(epoch: 2, seq: 1 << 62 - 1), input: most, output: most,
                usd: Nanodollars(.max), until: .max, price: 0
            ).encode(into: &buffer)
        },
        GoldenEvent("hold.refused after it waited") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 51, key, relay), reason: .concurrency, model: gpt,
                input: 1, output: 1, usd: Nanodollars(32_000))
            event.limit = .concurrency
            event.scopeTier = .team
            event.amount = 150
            event.used = 150
            event.text.id = Bytes("w-1")
            var extras = Extras.Writer()
            extras.add(
                Extras.Came(at: instant("2026-11-22T10:00:00.023456789Z"), priority: 2))
            event.extras = extras.extras
            event.encode(into: &buffer)
        },
        GoldenEvent("hold.refused to a hold that was to grow") { buffer in
            var event = HoldRefused(
                header: header(.holdRefused, 52, key, relay), reason: .budgetExhausted, model: gpt,
                input: 0, output: 500, usd: dollars("0.012"))
            event.limit = LimitKind(.usd, .day)
            event.scopeTier = .team
            event.amount = dollars("500").raw
            event.used = dollars("499.20").raw
            event.held = dollars("0.795").raw
            event.resets = instant("2026-11-22T23:00:00Z")
            var extras = Extras.Writer()
            extras.add(growing: HoldName(epoch: 3, seq: 20))
            event.extras = extras.extras
            event.encode(into: &buffer)
        },
    ]
}

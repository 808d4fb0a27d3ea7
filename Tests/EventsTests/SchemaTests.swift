import Events
import Testing

/// The payloads that APPEND takes, as somebody might write them: one with every field, one with as few
/// as possible.
private let payloads: [(type: EventType, text: String)] = [
    (.orgCreated, #"{"account":"acme"}"#),
    (
        .orgCreated,
        """
        {"account":"acme","zone":"UTC","name":"Acme","limits":{"usd.day":"5","concurrency":3,\
        "tokens.hour":null},"models":["openai/*"],"scopes":["chat"],"unpriced":"allow",\
        "on_lapse":"charge_hold","id":"a","reason":"b"}
        """
    ),
    (.teamCreated, #"{"account":"acme/ml"}"#),
    (
        .teamCreated,
        """
        {"account":"acme/ml","name":"ML","limits":{},"models":[],"scopes":null,"id":"a",\
        "reason":"b"}
        """
    ),
    (.keyCreated, #"{"account":"acme/ml/prod"}"#),
    (
        .keyCreated,
        """
        {"account":"acme/ml/prod","name":"P","owner":"o","environment":"live",\
        "limits":{"requests.minute":7},"models":["a/b"],"scopes":["x"],"id":"a","reason":"b",\
        "expires":"2027-01-01T00:00:00.5+01:00","secret_sha256":\
        "8000000000000000000000000000000000000000000000000000000000003039"}
        """
    ),
    (.keyCreated, #"{"account":"acme/ml/prod","expires_in":86400,"rotate_every":7776000}"#),
    (.keyRotated, #"{"account":"acme/ml/prod"}"#),
    (
        .keyRotated,
        """
        {"account":"acme/ml/prod","grace":0,"rotate_every":null,"id":"a","reason":"b",\
        "secret_sha256":"8000000000000000000000000000000000000000000000000000000000003039"}
        """
    ),
    (.keyRevoked, #"{"account":"acme/ml/prod","reason":"leaked"}"#),
    (.accountDisabled, #"{"account":"acme/ml"}"#),
    (.accountEnabled, #"{"account":"acme/ml/prod","id":"a"}"#),
    (.accountDescribed, #"{"account":"acme","name":"Acme"}"#),
    (
        .accountDescribed,
        #"{"account":"acme/ml","name":null,"owner":"o","labels":{"a":"b","c.d":null}}"#
    ),
    (.limitsSet, #"{"account":"acme","limits":{"usd.total":"0","requests.month":9}}"#),
    (.permissionsSet, #"{"account":"acme/ml","models":["*"]}"#),
    (.permissionsSet, #"{"account":"acme/ml","scopes":null,"models":[]}"#),
    (.routingSet, #"{"account":"acme","rules":null}"#),
    (.routingSet, #"{"account":"acme/ml","fallback":"GPT-4.1"}"#),
    (
        .routingSet,
        """
        {"account":"acme/ml","rules":[{"name":"code","match":{"out":500,"in":9,"temperature":0.3,\
        "batch":true,"priority":"Background","prompt":["write code"],"capability":["coding"]},\
        "model":"a/b","fallback":"c"},{"name":"rest","match":{"temperature":"1.0"},"model":"d"}],\
        "fallback":"openai/gpt-4.1","id":"a","reason":"b"}
        """
    ),
    (.privacySet, #"{"account":"acme","fields":["user"]}"#),
    (.privacySet, #"{"account":"acme","fields":["ua","user","ip"],"id":"a","reason":"b"}"#),
    (
        .overrideGranted,
        """
        {"account":"acme/ml","limit":"usd.day","amount":"1000","for":172800,"reason":"b","id":"a"}
        """
    ),
    (
        .overrideGranted,
        """
        {"account":"acme","limit":"concurrency","amount":3,"until":"2027-01-01T00:00:00.5+01:00",\
        "reason":"b"}
        """
    ),
    (.overrideEnded, #"{"account":"acme/ml","limit":"usd.day"}"#),
    (.creditGranted, #"{"account":"acme","usd":"5","source":"sign-up"}"#),
    (
        .creditGranted,
        """
        {"account":"acme","usd":"0.50","source":"card","reference":"r","expires_in":9,"id":"a",\
        "reason":"b"}
        """
    ),
    (
        .creditGranted,
        #"{"account":"acme","usd":"1","source":"card","expires":"2027-01-01T00:00:00Z"}"#
    ),
    (
        .billingSet,
        """
        {"account":"acme","markup_ppm":150000,"currency":"CNY","rate":"7.30","id":"a","reason":"b"}
        """
    ),
    (.overrideEnded, #"{"account":"acme","limit":"tokens.minute","id":"a","reason":"b"}"#),
    (.priceSet, #"{"model":"Openai/GPT-4.1","in":"8","out":"24"}"#),
    (
        .priceSet,
        """
        {"model":"a/b","in":"2.5","out":"10.000001","cached":"0","cache_write":"1","reasoning":"2",\
        "request":"0.000000001","max_out":1,"context":2,"from":"2027-01-01T00:00:00+01:00",\
        "capabilities":["vision","function_calling"],"force":true,"variants":[{"tier":"batch","above":5,\
        "in":"1","out":"2","cached":"3","cache_write":"4","reasoning":"5","request":"6"}]}
        """
    ),
    (.aliasSet, #"{"alias":"smart","model":"a/b"}"#),
    (
        .chargeCorrected, #"{"account":"acme/ml/prod","charge":"3-184467","usd":"0.5","id":"k-1"}"#
    ),
    (
        .chargeCorrected,
        """
        {"account":"acme/ml/prod","charge":"3-184467","usd":"0","was":"1.5","price":2,\
        "placed":"2026-11-22T10:00:00.5Z","model":"a/b","id":"k-2","reason":"the bill"}
        """
    ),
    (.operatorCreated, #"{"operator":"relay-1","role":"relay"}"#),
    (.operatorCreated, #"{"operator":"ada","role":"developer","account":"acme/ml"}"#),
    (.operatorCreated, #"{"operator":"boss","role":"admin","account":"acme"}"#),
    (.operatorRevoked, #"{"operator":"relay-1"}"#),
]

/// What stands in a schema and in code must be one thing.
@Suite struct `The schemas` {
    private let schemas = SchemaSet()

    @Test func `are there for every type, and for nothing else`() throws {
        let events = EventType.allCases.map { "\($0.name).json" } + ["common.json"]
        #expect(try Repository.files("schemas/events") == events.sorted())
        let appended = EventType.allCases.filter(\.isAppendable)
        #expect(
            try Repository.files("schemas/payloads") == appended.map { "\($0.name).json" }.sorted())
        for type in EventType.allCases {
            let schema = try schemas.document("events/\(type.name).json")
            #expect(schema["properties"]?["type"]?["const"] == .string("\(type.name)"))
            // Only documents can carry what a later version adds.
            #expect(schema["additionalProperties"] == .bool(type.carriesJSON), "\(type.name)")
        }
    }
    @Test func `name the values that code names`() throws {
        func listed(_ name: String) throws -> [JSON] {
            let common = try schemas.document("events/common.json")
            return try #require(common["$defs"]?[name]?["enum"]?.array)
        }
        func texts(_ names: [StaticString]) -> [JSON] { names.map { .string("\($0)") } }
        #expect(try listed("refusal") == texts(Refusal.allCases.map(\.name)))
        #expect(try listed("limitName") == texts(LimitKind.all.map(\.name)))
        #expect(try listed("window") == texts(Window.allCases.map(\.name)))
        #expect(try listed("calendarWindow") == texts(Window.calendar.map(\.name)))
        #expect(try listed("serviceTier") == texts(ServiceTier.allCases.map(\.name)))
        #expect(try listed("outcome") == texts(Outcome.allCases.map(\.name)))
        #expect(try listed("role") == Role.allCases.map { .string($0.name) })
        #expect(try listed("onLapse") == LapsePolicy.allCases.map { .string($0.name) } + [.null])
        let statuses = Set(Refusal.allCases.map(\.status)).sorted().map(JSON.integer)
        #expect(try listed("status") == statuses)
        let limits = try schemas.document("events/common.json")["$defs"]?["limits"]?["properties"]
        #expect(limits?.members?.map(\.name) == LimitKind.all.map { "\($0.name)" })
    }
    @Test func `have the bounds that code has`() throws {
        let common = try schemas.document("events/common.json")
        func bound(_ definition: String, _ rule: String) -> Int64? {
            common["$defs"]?[definition]?[rule]?.integer
        }
        #expect(bound("tokens", "maximum") == Bounds.tokensMax)
        #expect(bound("text", "maxLength") == Int64(Bounds.textBytesMax))
        #expect(bound("longText", "maxLength") == Int64(Bounds.longTextBytesMax))
        #expect(bound("model", "maxLength") == Int64(Bounds.modelBytesMax))
        #expect(bound("qualifiedModel", "maxLength") == Int64(Bounds.modelBytesMax))
    }

    // MARK: Exported events

    @Test(arguments: GoldenEntry.all)
    func `of events miss each member that is required`(entry: GoldenEntry) throws {
        let json = try JSON(entry.json)
        let file = "events/\(json["type"]!.string!).json"
        let required = try schemas.document(file)["required"]!.array!.map { $0.string! }
        for name in required {
            let rest = JSON.object(json.members!.filter { $0.name != name })
            #expect(try schemas.errors(rest, file) != [], "without \(name)")
        }
        let more = JSON.object(json.members! + [JSON.Member("later", .bool(true))])
        let survives = EventType.allCases.first { "\($0.name)" == json["type"]!.string! }!
            .carriesJSON
        #expect(try schemas.errors(more, file).isEmpty == survives)
    }

    // MARK: Payloads

    private func isTaken(_ type: EventType, _ json: JSON) -> Bool {
        (try? Document(type: type, json, strict: true)) != nil
    }
    @Test(arguments: payloads.indices) func `of payloads take what APPEND takes`(i: Int) throws {
        let (type, text) = payloads[i]
        let json = try JSON(text)
        #expect(isTaken(type, json))
        #expect(try schemas.errors(json, "payloads/\(type.name).json") == [])
    }
    /// Every member of every payload, taken away or replaced by something else: schema and code must give
    /// one verdict.
    @Test(arguments: payloads.indices) func `of payloads refuse what APPEND refuses`(i: Int) throws
    {
        let (type, text) = payloads[i]
        let file = "payloads/\(type.name).json"
        let long = String(repeating: "x", count: 300)
        let others: [JSON] = [
            .null, .bool(true), .integer(0), .integer(7), .integer(-1), .number("1.5"),
            .number("1e3"), .number("99999999999999999999"), .string(""), .string("x"),
            .string("7"), .string("-1"), .string("1e3"), .string("NaN"), .string("1.1234567891"),
            .string("1.50000000000"), .string(".5"), .string("5."), .string("a/b"),
            .string("A/b"), .string("a/b/c/d"), .string("a b"), .string(long), .array([]),
            .array([.string("x")]), .array([.integer(1)]), .array([.object([])]), .object([]),
            .object([JSON.Member("usd.day", .string("1"))]),
            .object([JSON.Member("usd.day", .integer(1))]),
            .object([JSON.Member("usd.dya", .string("1"))]),
            .object([JSON.Member("requests.day", .string("1"))]),
            .object([JSON.Member("requests.day", .number("1.0"))]),
        ]
        for changed in variations(of: try JSON(text), by: others) {
            let errors = try schemas.errors(changed, file)
            #expect(errors.isEmpty == isTaken(type, changed), "\(changed.canonical): \(errors)")
        }
    }
    private func variations(of json: JSON, by others: [JSON]) -> [JSON] {
        guard let members = json.members else { return others }
        var all: [JSON] = [.object(members + [JSON.Member("unknown", .null)])]
        for i in members.indices {
            var rest = members
            rest.remove(at: i)
            all.append(.object(rest))
            let inner: [JSON] =
                if case .array(let items) = members[i].value, let first = items.first?.members {
                    variations(of: .object(first), by: others).map { .array([$0]) }
                } else {
                    []
                }
            for other in others + inner {
                rest = members
                rest[i].value = other
                all.append(.object(rest))
            }
        }
        return all
    }

    // MARK: The pages

    @Test func `stand beside a page with the numbers of code`() throws {
        let page = try Repository.text("schemas/events.md")
        func expect(_ row: String) { #expect(page.contains(row), "events.md lacks \(row)") }
        for type in EventType.allCases { expect("| \(type.rawValue) | `\(type.name)` |") }
        for refusal in Refusal.allCases {
            expect("| \(refusal.rawValue) | \(refusal.status) | `\(refusal.name)` |")
        }
        for kind in LimitKind.all { expect("| \(kind.raw) | `\(kind.name)` |") }
        for tier in Tier.allCases { expect("| \(tier.rawValue) | `\(tier.name)` |") }
        for tier in ServiceTier.allCases { expect("| \(tier.rawValue) | `\(tier.name)` |") }
        for outcome in Outcome.allCases { expect("| \(outcome.rawValue) | `\(outcome.name)` |") }
    }
}

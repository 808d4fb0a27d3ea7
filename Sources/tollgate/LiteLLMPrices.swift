import Events

/// Reads LiteLLM's price file: one JSON object, model name → prices in US dollars a token.
///
/// The numbers are taken from their text and moved by powers of ten; none ever is a `Double`.
struct LiteLLMPrices {
    /// What becomes of one entry.
    enum Entry {
        case taken(Offer)
        case skipped(String)
    }
    struct Offer {
        /// `provider/model`, lower case.
        var model: String
        /// The bare name that shall stand for it; nil where the file's name is qualified.
        var alias: String?
        /// A `price.set`.
        var payload: JSON
        /// Whether a price had more than six decimals a million tokens.
        var isRounded: Bool
        /// Prices that the price book has no place for, such as audio tokens.
        var leftOut: [String]
    }

    /// Modes that read text and write text.
    static let answering: Set<String> = ["chat", "completion", "responses"]
    /// Modes that read text and write numbers or nothing: their answer may have no price.
    static let judging: Set<String> = [
        "embedding", "rerank", "moderation", "evaluation", "decisions", "extraction",
    ]

    /// All entries: qualified names first, because they say exactly which model they mean, and then
    /// bare ones; otherwise in the order of the file.
    static func entries(
        _ json: JSON, takesFree: Bool
    ) throws(CommandFailure) -> [(name: String, entry: Entry)] {
        guard let members = json.members, members.contains(where: { $0.value["mode"] != nil })
        else {
            throw CommandFailure(
                .data,
                "this is no LiteLLM price file: one JSON object, model name → {\"mode\", "
                    + "\"litellm_provider\", \"input_cost_per_token\", …}")
        }
        let qualified = members.filter { $0.name.contains("/") }
        let bare = members.filter { !$0.name.contains("/") }
        return (qualified + bare).map {
            ($0.name, entry($0.name, $0.value, takesFree: takesFree))
        }
    }

    private static func entry(_ name: String, _ fields: JSON, takesFree: Bool) -> Entry {
        guard let mode = fields["mode"]?.string else { return .skipped("no mode") }
        guard answering.contains(mode) || judging.contains(mode) else {
            return .skipped(mode.count < 32 ? "mode \(mode)" : "no mode")
        }
        var alias: String?
        var model = name.lowercased()
        if !model.contains("/") {
            guard let provider = fields["litellm_provider"]?.string else {
                return .skipped("no provider")
            }
            alias = model
            model = "\(provider.lowercased())/\(model)"
        }
        guard model.withBytes({ ModelName.isQualified($0) }) else {
            return .skipped("the name has characters that no model name may have")
        }
        let reader = LiteLLMEntry(fields)
        guard !reader.isUnreadable else { return .skipped("a price is no decimal number") }
        guard reader.has(.input) else { return .skipped("no input price a token") }
        guard judging.contains(mode) || reader.has(.output) else {
            return .skipped("no output price a token")
        }
        guard takesFree || !reader.isFree else {
            return .skipped(
                reader.leftOut.isEmpty
                    ? "priced at zero, free or unknown (take them with --with-free)"
                    : "priced by the query, image or second, not by tokens")
        }
        let payload = reader.payload(model: model)
        do throws(Failure) {
            _ = try Document(type: .priceSet, payload, strict: true)
        } catch {
            return .skipped(error.text)
        }
        return .taken(
            Offer(
                model: model, alias: alias, payload: payload, isRounded: reader.isRounded,
                leftOut: reader.leftOut))
    }
}

/// One model of the file: its prices by class, service tier and prompt size.
private struct LiteLLMEntry {
    enum PriceClass: String, CaseIterable {
        case input = "in"
        case output = "out"
        case cached = "cached"
        case cacheWrite = "cache_write"
        case reasoning = "reasoning"

        /// LiteLLM's names for it, the longest first: a name may be the start of another.
        var names: [String] {
            switch self {
            case .input: ["input_cost_per_token"]
            case .output: ["output_cost_per_token"]
            case .cached: ["cache_read_input_token_cost", "input_cost_per_token_cache_hit"]
            case .cacheWrite: ["cache_creation_input_token_cost"]
            case .reasoning: ["output_cost_per_reasoning_token"]
            }
        }
    }
    struct Variant: Hashable {
        var tier: ServiceTier
        var above: Int64
        static let base = Variant(tier: .standard, above: 0)
    }

    private var prices: [Variant: [PriceClass: PicoPrice]] = [:]
    private var request: Nanodollars?
    private let maxOutput: Int64?
    private let context: Int64?
    private let capabilities: [String]
    private(set) var isRounded = false
    private(set) var isUnreadable = false
    private(set) var leftOut: [String] = []

    init(_ fields: JSON) {
        // Zero stands for "no answer" (embeddings) and for "unknown"; both are no limit.
        maxOutput = Self.tokens(fields["max_output_tokens"]).flatMap { $0 > 0 ? $0 : nil }
        context = Self.tokens(fields["max_input_tokens"]).flatMap { $0 > 0 ? $0 : nil }
        capabilities = Self.capabilities(fields)
        for member in fields.members ?? [] { take(member) }
        takeTiers(fields["tiered_pricing"])
    }

    func has(_ price: PriceClass) -> Bool { prices[.base]?[price] != nil }
    var isFree: Bool {
        prices.values.allSatisfy { $0.values.allSatisfy { $0.raw == 0 } }
            && (request ?? .zero) == .zero
    }

    private mutating func take(_ member: JSON.Member) {
        guard member.name.contains("cost") || member.name.hasSuffix("_pricing") else { return }
        guard case .number(let text) = member.value else {
            if Self.place(member.name) != nil {
                isUnreadable = true
            } else if member.name != "tiered_pricing", !member.value.isNull {
                leftOut.append(member.name)
            }
            return
        }
        if member.name == "input_cost_per_request" {
            request = scaled(text, 9).map { Nanodollars($0) }
        } else if let (price, variant) = Self.place(member.name) {
            if let raw = scaled(text, 12) { prices[variant, default: [:]][price] = PicoPrice(raw) }
        } else if text.contains(where: { "123456789".contains($0) }) {
            leftOut.append(member.name)
        }
    }
    /// Prices by ranges of the prompt: the first range is the base, unless that is given apart, and the
    /// others are variants.
    private mutating func takeTiers(_ tiers: JSON?) {
        for tier in tiers?.array ?? [] {
            guard let above = Self.tokens(tier["range"]?.array?.first) else {
                leftOut.append("tiered_pricing")
                continue
            }
            let place = Variant(tier: .standard, above: above)
            for member in tier.members ?? [] where member.name.contains("cost") {
                guard case .number(let text) = member.value,
                    let (price, variant) = Self.place(member.name), variant == .base
                else {
                    leftOut.append("tiered_pricing \(member.name)")
                    continue
                }
                guard prices[place]?[price] == nil, let raw = scaled(text, 12) else { continue }
                prices[place, default: [:]][price] = PicoPrice(raw)
            }
        }
    }

    /// What `supports_…` says yes to, and the kind of model where it does not chat.
    private static func capabilities(_ fields: JSON) -> [String] {
        var names: Set<String> = []
        for member in fields.members ?? []
        where member.name.hasPrefix("supports_") && member.value == .bool(true) {
            names.insert(String(member.name.dropFirst(9)).lowercased())
        }
        if let mode = fields["mode"]?.string, mode != "chat" { names.insert(mode) }
        return names.filter { $0.withBytes { AccountPath.isName($0) } }.sorted()
    }

    /// What a field name prices: `input_cost_per_token_above_272k_tokens_priority`.
    private static func place(_ name: String) -> (PriceClass, Variant)? {
        for price in [PriceClass.cached, .cacheWrite, .reasoning, .input, .output] {
            for base in price.names where name.hasPrefix(base) {
                var rest = name.dropFirst(base.count)
                var variant = Variant.base
                for (ending, tier) in [
                    ("_batches", ServiceTier.batch), ("_flex", .flex), ("_priority", .priority),
                ] where rest.hasSuffix(ending) {
                    variant.tier = tier
                    rest = rest.dropLast(ending.count)
                }
                if rest.isEmpty { return (price, variant) }
                guard rest.hasPrefix("_above_"), rest.hasSuffix("k_tokens"),
                    let thousands = Int64(rest.dropFirst(7).dropLast(8))
                else { return nil }
                variant.above = thousands * 1_000
                return (price, variant)
            }
        }
        return nil
    }

    func payload(model: String) -> JSON {
        var payload = Payload()
        payload.set("model", model)
        write(.base, into: &payload)
        if let request, request != .zero { payload["request"] = .money(request) }
        payload.set("max_out", maxOutput)
        payload.set("context", context)
        if !capabilities.isEmpty { payload["capabilities"] = .strings(capabilities) }
        let others = prices.keys.filter { $0 != .base }
            .sorted { ($0.tier.rawValue, $0.above) < ($1.tier.rawValue, $1.above) }
        if !others.isEmpty {
            payload["variants"] = .array(
                others.map { variant in
                    var inner = Payload()
                    if variant.tier != .standard { inner.set("tier", "\(variant.tier.name)") }
                    if variant.above > 0 { inner.set("above", variant.above) }
                    write(variant, into: &inner)
                    return inner.json
                })
        }
        return payload.json
    }
    private func write(_ variant: Variant, into payload: inout Payload) {
        for price in PriceClass.allCases {
            let found = self.price(price, variant)
            // An embedding has no answer, and so no price for one.
            let value = found ?? (price == .output ? PicoPrice(0) : nil)
            payload.set(price.rawValue, value?.description)
        }
    }
    /// A variant that leaves a class out costs what its tier or its prompt size alone costs, and the
    /// dearer of them where both say something: a quota errs to the safe side.
    private func price(_ price: PriceClass, _ variant: Variant) -> PicoPrice? {
        if let exact = prices[variant]?[price] { return exact }
        let wider = [
            prices[Variant(tier: variant.tier, above: 0)]?[price],
            prices[Variant(tier: .standard, above: variant.above)]?[price],
        ]
        return wider.compactMap(\.self).max() ?? prices[.base]?[price]
    }

    /// A decimal number's text times 10^`power`, rounded half up.
    private mutating func scaled(_ text: String, _ power: Int) -> Int64? {
        guard let (value, isExact) = Decimal10.scaled(text, by: power) else {
            isUnreadable = true
            return nil
        }
        if !isExact { isRounded = true }
        return value
    }
    private static func tokens(_ value: JSON?) -> Int64? {
        guard case .number(let text)? = value, let (count, isExact) = Decimal10.scaled(text, by: 0),
            isExact, count <= Bounds.tokensMax
        else { return nil }
        return count
    }
}

/// Decimal numbers by their text.
enum Decimal10 {
    /// `text` (a JSON number) times 10^`power`, rounded half up; nil when it is negative, no number,
    /// or does not fit 64 bits.
    static func scaled(_ text: String, by power: Int) -> (value: Int64, isExact: Bool)? {
        let parts = text.lowercased().split(separator: "e", omittingEmptySubsequences: false)
        guard parts.count <= 2, let mantissa = parts.first else { return nil }
        guard let exponent = parts.count == 2 ? Int(parts[1]) : 0, abs(exponent) < 400 else {
            return nil
        }
        let halves = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        guard halves.count <= 2, let whole = halves.first, !whole.isEmpty else { return nil }
        let fraction = halves.count == 2 ? halves[1] : ""
        var digits = (whole + fraction).utf8.map { $0 &- 48 }
        guard digits.allSatisfy({ $0 <= 9 }) else { return nil }
        // The value is digits × 10^shift.
        let shift = exponent + power - fraction.utf8.count
        var isExact = true
        var roundsUp = false
        if shift >= 0 {
            digits += repeatElement(0, count: shift)
        } else {
            let dropped = min(-shift, digits.count)
            let tail = digits[(digits.count - dropped)...]
            isExact = tail.allSatisfy { $0 == 0 }
            roundsUp = -shift <= digits.count && (tail.first ?? 0) >= 5
            digits.removeLast(dropped)
        }
        var value: Int64 = 0
        for digit in digits {
            let (tenfold, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = tenfold.addingReportingOverflow(Int64(digit))
            guard !o1, !o2 else { return nil }
            value = sum
        }
        guard !roundsUp || value < Int64.max else { return nil }
        return (roundsUp ? value + 1 : value, isExact)
    }
}

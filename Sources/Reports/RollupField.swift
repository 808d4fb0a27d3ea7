import Events

/// What is counted in a row. The raw numbers stand in stored rows: never renumbered, never reused.
package enum RollupField: Int, CaseIterable, Sendable {
    /// Holds that were admitted, and usage recorded without one: together the requests of budgets.
    case placed = 0
    case charged = 1
    /// Answers of no, those that were only summed included.
    case refused = 2
    case settled = 3
    case released = 4
    case lapsed = 5
    /// Settlements of holds that had been released or had lapsed, or that the log does not know.
    case late = 6
    case corrected = 7
    case input = 8
    case output = 9
    case cached = 10
    case cacheWrite = 11
    case reasoning = 12
    /// Tokens that lapsed holds were charged; no class is known of them.
    case lapsedTokens = 13
    /// At list prices: settlements, charges, lapses and corrections.
    case usd = 14
    /// Billed in US dollars; other currencies stand in the row's further entries.
    case billedUSD = 15
    /// Of `usd`, what lapsed holds cost.
    case lapsedUSD = 16
    /// What refused requests would have held.
    case refusedUSD = 17
    case exact = 18
    case partial = 19
    case estimated = 20
    /// Of `usd`, what was settled as partial or estimated.
    case partialUSD = 21
    case estimatedUSD = 22
    /// Calls that said how long they took, and the sum of that.
    case timed = 23
    case milliseconds = 24
    /// What routing rules saved against their fallbacks, as of the placings.
    case saved = 25

    package static let count = 26

    /// As answers spell it.
    package var name: StaticString {
        switch self {
        case .placed: "placed"
        case .charged: "charged"
        case .refused: "refused"
        case .settled: "settled"
        case .released: "released"
        case .lapsed: "lapsed"
        case .late: "late"
        case .corrected: "corrected"
        case .input: "in"
        case .output: "out"
        case .cached: "cached"
        case .cacheWrite: "cache_write"
        case .reasoning: "reasoning"
        case .lapsedTokens: "lapsed_tokens"
        case .usd: "usd"
        case .billedUSD: "billed_usd"
        case .lapsedUSD: "lapsed_usd"
        case .refusedUSD: "refused_usd"
        case .exact: "exact"
        case .partial: "partial"
        case .estimated: "estimated"
        case .partialUSD: "partial_usd"
        case .estimatedUSD: "estimated_usd"
        case .timed: "timed"
        case .milliseconds: "ms"
        case .saved: "saved_usd"
        }
    }
    package var isMoney: Bool {
        switch self {
        case .usd, .billedUSD, .lapsedUSD, .refusedUSD, .partialUSD, .estimatedUSD, .saved: true
        default: false
        }
    }
}

/// What only some rows count, under a tag: refusals by reason, calls by how long they took, money billed in
/// other currencies than US dollars.
package struct RollupTag: Hashable, Comparable, Sendable {
    /// 1 … 255 a refusal's number; 256 … a latency bucket; above 2²⁴ a currency's three letters, and before
    /// them which part of what was billed.
    package var raw: UInt32
    package init(raw: UInt32) { self.raw = raw }
    package init(_ reason: Refusal) { raw = UInt32(reason.rawValue) }
    package init(latencyBucket bucket: Int) { raw = 256 + UInt32(bucket) }
    package init(_ currency: Currency, _ part: BilledPart = .billed) {
        raw = part.rawValue
        for letter in currency.name.utf8 { raw = raw << 8 | UInt32(letter) }
    }
    package static func < (a: RollupTag, b: RollupTag) -> Bool { a.raw < b.raw }

    package var refusal: Refusal? { raw < 256 ? Refusal(rawValue: UInt8(raw)) : nil }
    package var latencyBucket: Int? {
        raw >= 256 && raw < 256 + UInt32(LatencyHistogram.bucketCount) ? Int(raw) - 256 : nil
    }
    /// The currency in which it says what was billed.
    package var currency: Currency? { bill.flatMap { $0.part == .billed ? $0.currency : nil } }
    /// What it says of which currency; all of it is money.
    package var bill: (part: BilledPart, currency: Currency)? {
        guard let part = BilledPart(rawValue: raw >> 24) else { return nil }
        let letters = [UInt8(raw >> 16 & 0xFF), UInt8(raw >> 8 & 0xFF), UInt8(raw & 0xFF)]
        return letters.withUnsafeBytes { Currency(Bytes($0)) }.map { (part, $0) }
    }
}

/// What is known of money that was billed in another currency than US dollars. Which markup and rate it was
/// billed by no sum can say afterwards, so each side of both is summed by itself. The raw numbers stand in
/// stored rows: never renumbered, never reused.
package enum BilledPart: UInt32, CaseIterable, Sendable {
    /// With markup, in the currency.
    case billed = 1
    /// At list prices, in the currency.
    case list = 2
    /// At list prices, in US dollars: the part of `usd` that was billed in it.
    case listUSD = 3
    /// With markup, in US dollars.
    case billedUSD = 4

    /// As answers spell it.
    package var name: StaticString {
        switch self {
        case .billed: "billed"
        case .list: "list"
        case .listUSD: "list_usd"
        case .billedUSD: "billed_usd"
        }
    }
}

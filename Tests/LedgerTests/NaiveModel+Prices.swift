/// The price book, model names, and the lists that allow models and scopes.
extension NaiveModel {
    /// Pico-dollars a token; the request's fee in nano-dollars.
    struct Rates {
        var input: Amount
        var cached: Amount
        var cacheWrite: Amount
        var output: Amount
        var reasoning: Amount
        var request: Amount
    }

    struct Variant {
        let tier: String
        /// Zero applies to every prompt, anything else to prompts of more tokens.
        let above: Amount
        let rates: Rates
    }

    struct Price {
        let from: Int64
        let rates: Rates
        let maxOut: Amount?
        let context: Amount?
        let capabilities: [String]
        let variants: [Variant]

        func rates(tier: String, prompt: Amount) -> Rates {
            for tier in [tier, "standard"] {
                let applicable = variants.filter {
                    $0.tier == tier && ($0.above == 0 || $0.above < prompt)
                }
                if let best = applicable.max(by: { $0.above < $1.above }) {
                    return best.rates
                }
            }
            return rates
        }
    }

    /// The price that holds at an instant: of those that have begun the one that began last; of two
    /// that began together the later one.
    func price(of model: String, at now: Int64) -> Price? {
        var best: Price?
        for price in prices[model] ?? [] where price.from <= now {
            if best == nil || price.from >= best!.from {
                best = price
            }
        }
        return best
    }

    /// Whether a price changes by more than a factor of a hundred, which wants a word.
    static func leaps(_ old: Rates, _ new: Rates) -> Bool {
        let pairs = [
            (old.input, new.input), (old.cached, new.cached), (old.cacheWrite, new.cacheWrite),
            (old.output, new.output), (old.reasoning, new.reasoning), (old.request, new.request),
        ]
        return pairs.contains { old, new in old > 0 && (new > 100 * old || 100 * new < old) }
    }

    /// Nano-dollars, rounded half up once.
    static func cost(of usage: Usage, price: Price?) -> Amount {
        guard let price else {
            return 0
        }
        let rates = price.rates(tier: usage.tier, prompt: usage.input)
        var pico = (usage.input - usage.cached - usage.cacheWrite) * rates.input
        pico += usage.cached * rates.cached
        pico += usage.cacheWrite * rates.cacheWrite
        pico += (usage.output - usage.reasoning) * rates.output
        pico += usage.reasoning * rates.reasoning
        pico += rates.request * 1000
        return (pico + 500) / 1000
    }

    /// The model that a lower-case name means: itself or an alias's; `nil` when it is malformed.
    func resolve(_ name: String) -> String? {
        name.utf8.contains(UInt8(ascii: "/"))
            ? (Self.isModel(name) ? name : nil)
            : aliases[name]
    }

    /// `provider/model`, in lower case.
    static func isModel(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count >= 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.utf8.allSatisfy {
                        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                            || "._-:@+".utf8.contains($0)
                    }
            }
    }

    /// Whether some pattern of a list (`*`, `openai/*`, `batch*`, or the name itself) matches a
    /// name. The same function says whether a list covers a pattern of a child's: a pattern that
    /// is at least as wide matches the narrower one's text.
    static func allows(_ list: [String], _ name: String) -> Bool {
        list.contains { pattern in
            pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : pattern == name
        }
    }
}

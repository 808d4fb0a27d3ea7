import Events

/// Whom a request is for: a key, by its path or its secret, and the model it asks for.
struct LoadTarget: Hashable, Sendable {
    var key: String
    var model: String
}

/// What a run sends: every request with its time, its target and the bound of its answer.
struct LoadPlan: Sendable {
    struct Request: Sendable {
        /// Nanoseconds after the start at which it is meant to be sent; 0 in a closed loop.
        var due: Int64
        /// How long its simulated upstream call takes, in nanoseconds.
        var upstream: Int64
        var input: Int64
        var output: Int64
        /// The `out=` of its RESERVE: what the answer may use at most.
        var bound: Int64
        /// Index into ``LoadPlan/targets``.
        var target: Int32
    }
    var targets: [LoadTarget]
    var requests: [Request]
    /// Nil when every request has its own time; else how many may be open at once.
    var openMax: Int?
}

/// How a trace becomes a plan.
struct LoadShape: Sendable {
    /// How many times faster than it was recorded; 0 is as fast as it goes.
    var speed: Double = 1
    /// How many requests may be open at once at speed 0.
    var openMax = 256
    /// One bound for every answer; nil takes the next power of two, as a careful caller would.
    var outputBound: Int64?
    /// A simulated upstream time in milliseconds, the same for all and not scaled.
    var holdMilliseconds: Double?

    /// Upstream time of a request when nothing else is said: until the first token …
    private static let firstTokenNanoseconds: Double = 20_000_000
    /// … and for each token after it. About what large models took when the trace was recorded.
    private static let tokenNanoseconds: Double = 10_000_000
    /// The least bound: shorter answers than this are not worth a bound of their own.
    private static let outputBoundMin: Int64 = 16

    func plan(_ trace: Trace, over targets: [LoadTarget]) -> LoadPlan {
        precondition(!targets.isEmpty, "a plan needs a key to spend from")
        let requests = trace.rows.enumerated().map { i, row in
            LoadPlan.Request(
                due: speed > 0 ? Int64(Double(row.offset) / speed) : 0,
                upstream: upstreamNanoseconds(row),
                input: row.input, output: row.output,
                bound: outputBound ?? Self.bound(for: row.output),
                target: Int32(i % targets.count))
        }
        return LoadPlan(
            targets: targets, requests: requests, openMax: speed > 0 ? nil : max(openMax, 1))
    }

    private func upstreamNanoseconds(_ row: TraceRow) -> Int64 {
        if let holdMilliseconds { return Int64(holdMilliseconds * 1_000_000) }
        guard speed > 0 else { return 0 }
        let whole = Self.firstTokenNanoseconds + Self.tokenNanoseconds * Double(row.output)
        return Int64(min(whole / speed, 3_600e9))
    }

    /// The next power of two that is not below `output`.
    static func bound(for output: Int64) -> Int64 {
        guard output > outputBoundMin else { return outputBoundMin }
        return min(1 << (Int64.bitWidth - (output - 1).leadingZeroBitCount), Bounds.tokensMax)
    }
}

extension LoadTarget {
    /// Pairs keys and models as `--key` and `--model` give them: `key=model` stands for itself; the
    /// other keys take the models in turn, and so does the next round until every pairing recurs.
    static func pairs(keys: [String], models: [String]) throws(CommandFailure) -> [LoadTarget] {
        guard !keys.isEmpty else {
            throw CommandFailure(.usage, "say whom the requests are for: --key acme/team/prod")
        }
        let fixed = keys.filter { $0.contains("=") }
        if fixed.count == keys.count || models.isEmpty {
            return try keys.map { text throws(CommandFailure) in try LoadTarget(pair: text) }
        }
        // After the least common multiple of both counts the pairing starts over.
        let rounds = keys.count / greatestCommonDivisor(keys.count, models.count) * models.count
        return try (0..<rounds).map { i throws(CommandFailure) in
            let key = keys[i % keys.count]
            if key.contains("=") { return try LoadTarget(pair: key) }
            return try LoadTarget(key: key, model: models[i % models.count]).checked()
        }
    }

    private init(pair text: String) throws(CommandFailure) {
        guard let equals = text.firstIndex(of: "=") else {
            throw CommandFailure(
                .usage,
                "no model for the key \(text): say --model openai/gpt-4.1, or "
                    + "--key \(text)=openai/gpt-4.1")
        }
        self.init(
            key: String(text[..<equals]), model: String(text[text.index(after: equals)...]))
        self = try checked()
    }

    /// Itself, if both words can stand in a line as they are.
    private func checked() throws(CommandFailure) -> LoadTarget {
        for word in [key, model] {
            let isWord =
                !word.isEmpty
                && word.utf8.allSatisfy {
                    $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
                }
            guard isWord else {
                throw CommandFailure(.usage, "\"\(word)\" is no key and no model")
            }
        }
        return self
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }
}

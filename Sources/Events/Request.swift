/// The service tier that a request asks its provider for; prices may differ by it.
@frozen @usableFromInline
package enum ServiceTier: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case standard = 0
    case batch = 1
    case flex = 2
    case priority = 3

    package var name: StaticString {
        switch self {
        case .standard: "standard"
        case .batch: "batch"
        case .flex: "flex"
        case .priority: "priority"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = ServiceTier.allCases.first(where: { name == $0.name }) else { return nil }
        self = found
    }
}

/// How well the numbers of a settlement are known.
@frozen @usableFromInline
package enum Outcome: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case exact = 0
    case partial = 1
    case estimated = 2

    package var name: StaticString {
        switch self {
        case .exact: "exact"
        case .partial: "partial"
        case .estimated: "estimated"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = Outcome.allCases.first(where: { name == $0.name }) else { return nil }
        self = found
    }
}

/// When a reply that changed something may leave: once it is in the ring, or once it is on disk.
package enum Acknowledgement: UInt8, Sendable {
    case ring
    case disk
}

/// What a caller may say about a request for the audit; borrowed, every field optional.
@frozen @usableFromInline
package struct RequestText: Sendable {
    package var id = Bytes.empty
    package var user = Bytes.empty
    package var project = Bytes.empty
    package var environment = Bytes.empty
    package var address = Bytes.empty
    package var userAgent = Bytes.empty
    package init() {}
}

/// The tokens of one answered call, each at most `Bounds.tokensMax`.
///
/// `input` counts all prompt tokens, of which `cached` and `cacheWrite` are parts; `output` counts
/// all completion tokens, of which `reasoning` is a part.
@frozen @usableFromInline
package struct TokenUsage: Hashable, Sendable {
    @usableFromInline package var input: Int64 = 0
    @usableFromInline package var output: Int64 = 0
    @usableFromInline package var cached: Int64 = 0
    @usableFromInline package var cacheWrite: Int64 = 0
    @usableFromInline package var reasoning: Int64 = 0
    @inlinable package init() {}
    @inlinable package init(
        input: Int64, output: Int64, cached: Int64 = 0, cacheWrite: Int64 = 0, reasoning: Int64 = 0
    ) {
        self.input = input
        self.output = output
        self.cached = cached
        self.cacheWrite = cacheWrite
        self.reasoning = reasoning
    }
    /// What counts against `tokens` limits: prompt and completion.
    @inlinable package var total: Int64 { input + output }
    /// Whether the parts fit into their wholes.
    @inlinable package var isConsistent: Bool {
        cached + cacheWrite <= input && reasoning <= output
    }
}

/// How a caller names a key: by its path, or by its secret.
package enum KeyReference: Sendable {
    case path(Bytes)
    /// A secret as it came; the gate turns it into a digest and nothing behind the gate sees it.
    case secret(Bytes)
    /// The 32 bytes of the secret's SHA-256.
    case digest(Bytes)
    /// Neither a path nor a well-formed secret.
    case malformed
}

/// `RESERVE` and `CHECK`. Borrowed bytes are valid for one call.
package struct ReserveRequest: Sendable {
    package var key: KeyReference = .malformed
    package var model = Bytes.empty
    /// Prompt tokens; nil when only `bytes`, or nothing, was given.
    package var input: Int64?
    package var bytes: Int64?
    /// The most completion tokens the answer may use.
    package var output: Int64?
    package var scope = Bytes.empty
    package var tier = ServiceTier.standard
    /// Seconds; nil means `Bounds.holdSecondsDefault`.
    package var ttl: Int64?
    /// How long it waits for room in a minute or for slots, in milliseconds; 0 not at all.
    package var wait: Int64 = 0
    /// Of those that wait, 1 is asked first and 10 last.
    package var priority = ReserveRequest.priorityDefault
    package static let priorityDefault: UInt8 = 5
    package var text = RequestText()
    package var hints = RoutingHints()
    package init() {}
}

/// What a caller says of a request so that rules may choose its model; only `auto` asks for it. Borrowed,
/// every field optional, and nothing of it is stored.
package struct RoutingHints: Sendable {
    package var temperature: Temperature?
    package var batch: Bool?
    package var priority = Bytes.empty
    /// Words of the prompt, or its beginning.
    package var prompt = Bytes.empty
    /// What the model must be able to do: names, separated by commas.
    package var capability = Bytes.empty
    package init() {}

    /// Whether a capability is among those required.
    package func requires(_ name: Bytes) -> Bool { firstCapability { $0 == name } != nil }
    /// The first required capability of which something is true.
    package func firstCapability(where matches: (Bytes) -> Bool) -> Bytes? {
        var start = 0
        while start < capability.count {
            let rest = capability.slice(start, capability.count)
            let name = rest.slice(0, rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.count)
            if matches(name) { return name }
            start += name.count + 1
        }
        return nil
    }
}

/// `EXTEND`: what an open hold shall be. The numbers are its new wholes, so a repeat asks for nothing.
package struct ExtendRequest: Sendable {
    package var hold = HoldName(epoch: 0, seq: 0)
    /// The most completion tokens the answer may use.
    package var output: Int64 = 0
    /// Prompt tokens; nil leaves them.
    package var input: Int64?
    /// Seconds from now; nil leaves the deadline.
    package var ttl: Int64?
    package init() {}
}

/// `SETTLE`. `key` and `model` let an unknown hold be charged all the same.
package struct SettleRequest: Sendable {
    package var hold = HoldName(epoch: 0, seq: 0)
    package var usage = TokenUsage()
    package var tier: ServiceTier?
    package var outcome = Outcome.exact
    package var milliseconds: UInt32 = 0
    package var key: KeyReference?
    package var model = Bytes.empty
    package init() {}
}

/// `RELEASE`.
package struct ReleaseRequest: Sendable {
    package var hold = HoldName(epoch: 0, seq: 0)
    package var why = Bytes.empty
    package init() {}
}

/// `CHARGE`: usage that had no hold. `text.id` is required.
package struct ChargeRequest: Sendable {
    package var key: KeyReference = .malformed
    package var model = Bytes.empty
    package var usage = TokenUsage()
    package var tier = ServiceTier.standard
    package var outcome = Outcome.exact
    package var milliseconds: UInt32 = 0
    package var text = RequestText()
    package init() {}
}

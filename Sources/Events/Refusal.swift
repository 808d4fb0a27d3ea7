/// Why a request may not proceed.
///
/// Ordered by precedence: the first that applies is the answer. The numbers stand in the log and
/// never change meaning.
package enum Refusal: UInt8, Error, CaseIterable, Sendable {
    case paused = 1
    case keyUnknown = 10
    case keyExpired = 11
    case keyRevoked = 12
    case keyDisabled = 13
    case modelMalformed = 20
    case modelUnpriced = 21
    case scopeDenied = 22
    case modelDenied = 23
    case creditExhausted = 30
    case budgetExhausted = 31
    case tokensExhausted = 32
    case requestsExhausted = 33
    case requestsPerMinute = 40
    case tokensPerMinute = 41
    case concurrency = 42

    /// The HTTP status a relay would answer with.
    package var status: Int64 {
        switch self {
        case .paused: 503
        case .keyUnknown, .keyExpired, .keyRevoked: 401
        case .keyDisabled, .scopeDenied, .modelDenied: 403
        case .modelMalformed, .modelUnpriced: 400
        case .creditExhausted, .budgetExhausted: 402
        case .tokensExhausted, .requestsExhausted, .requestsPerMinute, .tokensPerMinute,
            .concurrency:
            429
        }
    }
    /// Whether room comes by itself within a minute or with the end of another request, so that one may
    /// wait for it.
    package var mayPass: Bool {
        switch self {
        case .requestsPerMinute, .tokensPerMinute, .concurrency: true
        default: false
        }
    }
    /// The word on the wire and in the log's exported form.
    package var name: StaticString {
        switch self {
        case .paused: "paused"
        case .keyUnknown: "key_unknown"
        case .keyExpired: "key_expired"
        case .keyRevoked: "key_revoked"
        case .keyDisabled: "key_disabled"
        case .modelMalformed: "model_malformed"
        case .modelUnpriced: "model_unpriced"
        case .scopeDenied: "scope_denied"
        case .modelDenied: "model_denied"
        case .creditExhausted: "credit_exhausted"
        case .budgetExhausted: "budget_exhausted"
        case .tokensExhausted: "tokens_exhausted"
        case .requestsExhausted: "requests_exhausted"
        case .requestsPerMinute: "requests_per_minute"
        case .tokensPerMinute: "tokens_per_minute"
        case .concurrency: "concurrency"
        }
    }
}

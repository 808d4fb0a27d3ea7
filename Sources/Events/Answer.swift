/// What the ledger says to a request. Borrowed bytes point into the book's names and stay valid
/// until the next command.
package enum Answer: Sendable {
    /// A hold was placed, or the same request had placed it before.
    case allowed(hold: HoldName, model: Bytes, usd: Nanodollars, until: Instant)
    /// `CHECK`: a hold would be placed.
    case wouldAllow(model: Bytes, usd: Nanodollars)
    /// The same for a request that left the model to the routing.
    case routed(RoutedAnswer)
    case denied(Denial)
    /// An open hold is now so large and lives so long.
    case extended(hold: HoldName, usd: Nanodollars, until: Instant)
    /// `left` is the least that any `usd` limit on the path has left; nil where none is set.
    case settled(hold: HoldName, usd: Nanodollars, left: Nanodollars?, late: Bool)
    case released(hold: HoldName)
    case charged(charge: HoldName, usd: Nanodollars, left: Nanodollars?)
    case failed(Failure)
}

/// What became of a request for `auto`, and whose doing it is.
package struct RoutedAnswer: Sendable {
    /// Nil where it was only asked.
    package var hold: HoldName?
    package var until: Instant
    package var model: Bytes
    package var usd: Nanodollars
    package var rule: Bytes
    /// Against the policy's fallback; less than nothing where that were cheaper.
    package var saved: Nanodollars

    package init(
        hold: HoldName?, until: Instant, model: Bytes, usd: Nanodollars, rule: Bytes,
        saved: Nanodollars
    ) {
        self.hold = hold
        self.until = until
        self.model = model
        self.usd = usd
        self.rule = rule
        self.saved = saved
    }
}

/// A refusal with its numbers.
package struct Denial: Sendable {
    package var reason: Refusal
    /// The account that refuses; empty where the reason has none.
    package var scope = Bytes.empty
    /// The limit that binds, with its numbers in nano-dollars, tokens or requests; nil with those of
    /// credit, too, which is no limit.
    package var limit: LimitKind?
    package var amount: Int64 = 0
    package var used: Int64 = 0
    package var held: Int64 = 0
    /// When the window opens anew, or the minute has room again; nil where nothing resets by itself.
    package var resets: Instant?
    /// The instant of the decision, from which `retry_after` counts.
    package var now: Instant
    /// The account for whose room the request may wait, if it asked to and room may come; then nothing was
    /// logged.
    package var waitsFor: AccountNumber?
    /// How many of its team wait already, where that is why the request was not let wait.
    package var waiting: Int?
    /// The model as it was understood, for the reasons that speak of one.
    package var model = Bytes.empty
    /// For a bare name that is no alias: the models whose names are nearest, with commas between.
    package var hint = Bytes.empty

    package init(_ reason: Refusal, now: Instant) {
        self.reason = reason
        self.now = now
    }
}

/// An error reply: `-CODE text`.
package struct Failure: Error, Sendable {
    package enum Code: Sendable {
        case error, conflict, unknownHold, gone, readOnly, noPermission, noAuth, wrongPassword
        case noProtocol, unavailable, slow

        package var name: StaticString {
            switch self {
            case .error: "ERR"
            case .conflict: "CONFLICT"
            case .unknownHold: "NOHOLD"
            case .gone: "GONE"
            case .readOnly: "READONLY"
            case .noPermission: "NOPERM"
            case .noAuth: "NOAUTH"
            case .wrongPassword: "WRONGPASS"
            case .noProtocol: "NOPROTO"
            case .unavailable: "UNAVAILABLE"
            case .slow: "SLOW"
            }
        }
    }
    package var code: Code
    /// One line that names the fix; it never holds a secret.
    package var text: String
    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }
}

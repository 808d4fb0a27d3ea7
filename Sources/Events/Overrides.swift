/// `override.granted`: one limit of an account is another until an instant.
package struct OverrideGranted: Sendable {
    package var account: String
    package var kind: LimitKind
    package var amount: Int64
    /// From this instant on the limit is again what it was.
    package var until: Instant?
    /// The same in seconds from now; what is stored has `until`, too.
    package var seconds: Int64?
    package var reason: String

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        kind = try fields.limitName("limit")
        amount = try fields.amount("amount", of: kind)
        until = try fields.optionalInstant("until")
        seconds = try fields.optionalInteger("for", 1...Bounds.relativeSecondsMax)
        guard let why = try fields.optionalText("reason", max: Bounds.longTextBytesMax) else {
            throw Failure(
                .error,
                "override.granted needs \"reason\": why is this limit another one for a time?")
        }
        reason = why
    }
    /// An admin says either when it ends or how long it lasts.
    func refuseUnclearEnd() throws(Failure) {
        guard (until == nil) != (seconds == nil) else {
            throw Failure(
                .error,
                until == nil
                    ? "override.granted needs \"until\" (an instant) or \"for\" (seconds)"
                    : "give until or for, not both")
        }
    }
}

/// `override.ended`: the limit is again what it was; the daemon's own at the instant that was set.
package struct OverrideEnded: Sendable {
    package var account: String
    package var kind: LimitKind

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        kind = try fields.limitName("limit")
    }
    /// The reason that stands in the daemon's own.
    package static let expired = "expired"
}

/// Why the log could not be read, proven or compared. The message is for the person who asked and says what
/// to do; it holds no secret.
package struct AuditFailure: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// What was asked for makes no sense or is not there.
        case usage
        /// Something is not what was once written, answered or signed.
        case damaged
        /// The system refused: permissions, no space, a failing disk.
        case io
        /// The daemon refused, says that it has no such thing, or cannot be reached.
        case denied, refused, unavailable, tryAgain
    }
    package let kind: Kind
    package let message: String
    /// The event that is damaged or missing, where it is one.
    package let seq: UInt64?

    package init(_ kind: Kind, _ message: String, seq: UInt64? = nil) {
        self.kind = kind
        self.message = message
        self.seq = seq
    }
    package var description: String { message }
}

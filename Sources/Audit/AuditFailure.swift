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
        /// The daemon refused, or cannot be reached.
        case denied, unavailable, tryAgain
    }
    package let kind: Kind
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
    package var description: String { message }
}

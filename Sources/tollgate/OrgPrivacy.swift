import ArgumentParser
import Events

/// `tollgate org privacy`
struct OrgPrivacy: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "privacy",
        abstract: "Choose what of an org's people is stored as commitments.",
        discussion: """
            Examples:
              tollgate org privacy acme user ip ua
              tollgate org privacy acme --none

            From then on the log has a salted commitment in the place of these texts. The
            texts themselves are kept beside it, for admins and auditors, until 'tollgate
            audit erase' erases them. What is in the log already stays as it is.
            """)
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var change: ChangeOptions
    @Argument(help: "The org.") var account: String
    @Argument(help: "Any of user, ip, ua.") var fields: [String] = []
    @Flag(help: "Store all as it comes.") var none = false

    func run() throws {
        try check(account, is: .org)
        guard none == fields.isEmpty else {
            throw CommandFailure(.usage, "say which of user, ip and ua, or --none")
        }
        try change.append(
            "privacy.set", OrgPrivacy.payload(account, fields), connection,
            none
                ? "\(account): user, ip and ua are stored as they come"
                : "\(account): \(fields.joined(separator: ", ")) stored as commitments")
    }
    static func payload(_ account: String, _ fields: [String]) -> Payload {
        var payload = Payload()
        payload.set("account", account)
        payload["fields"] = .strings(fields)
        return payload
    }
}

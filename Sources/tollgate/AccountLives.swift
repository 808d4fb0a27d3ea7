import ArgumentParser
import Events

// What happens to accounts after they are created: disabled and enabled again at every tier, described;
// and keys rotated and revoked.

/// The tier that a verb of `tollgate org`, `team` or `key` is about.
protocol AccountTier {
    static var tier: Tier { get }
    static var example: String { get }
}
enum OrgTier: AccountTier {
    static let tier = Tier.org
    static let example = "acme"
}
enum TeamTier: AccountTier {
    static let tier = Tier.team
    static let example = "acme/ml"
}
enum KeyTier: AccountTier {
    static let tier = Tier.key
    static let example = "acme/ml/prod"
}

/// `disable`
struct Disable<Of: AccountTier>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "disable",
            abstract: "Let \(Of.tier.phrase) ask for nothing until it is enabled again.",
            discussion: """
                Example:
                  tollgate \(Of.tier.name) disable \(Of.example) --reason 'incident 17'

                Its keys' requests are refused (403 key_disabled); what is under way may still be
                settled.
                """)
    }
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var change: ChangeOptions
    @Argument(help: "The path.") var account: String

    func run() throws {
        try change.append("account.disabled", Of.tier, account, Payload(), connection, "disabled")
    }
}

/// `enable`
struct Enable<Of: AccountTier>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "enable",
            abstract: "Let \(Of.tier.phrase) that was disabled ask again.",
            discussion: "Example:\n  tollgate \(Of.tier.name) enable \(Of.example)")
    }
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var change: ChangeOptions
    @Argument(help: "The path.") var account: String

    func run() throws {
        try change.append("account.enabled", Of.tier, account, Payload(), connection, "enabled")
    }
}

/// `describe`
struct Describe<Of: AccountTier>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "describe",
            abstract: "Change what people read of \(Of.tier.phrase): name, owner, labels.",
            discussion: """
                Example:
                  tollgate \(Of.tier.name) describe \(Of.example) --owner ana --label cost=1234

                What is not named stays; 'none' takes a text away.
                """)
    }
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var change: ChangeOptions
    @Argument(help: "The path.") var account: String
    @Option(help: "A name for people, or none.") var name: String?
    @Option(help: "Who answers for it, or none.") var owner: String?
    @Option(
        name: .customLong("label"),
        help: ArgumentHelp("A label, or label=none; repeatable.", valueName: "label=text"))
    var labels: [String] = []

    func run() throws {
        var payload = Payload()
        for (field, text) in [("name", name), ("owner", owner)] {
            if let text { payload[field] = text == "none" ? .null : .string(text) }
        }
        var members: [JSON.Member] = []
        for label in labels {
            let parts = label.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw CommandFailure(
                    .usage, "\"\(label)\" is no label: say cost=1234, or cost=none")
            }
            members.append(JSON.Member(parts[0], parts[1] == "none" ? .null : .string(parts[1])))
        }
        if !members.isEmpty { payload["labels"] = .object(members) }
        guard payload.json != .object([]) else {
            throw CommandFailure(.usage, "nothing to change: say --name, --owner or --label")
        }
        try change.append("account.described", Of.tier, account, payload, connection, "described")
    }
}

extension Key {
    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a key a new secret and print it, this once.",
            discussion: """
                Example:
                  secret=$(tollgate key rotate acme/ml/prod --grace 24h)

                The key's path, limits and history stay as they are. The old secret works for the
                grace (default: not at all), and then is refused as revoked.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The path: org/team/key.") var account: String
        @Option(help: ArgumentHelp("How long the old secret works on: 24h.", valueName: "span"))
        var grace: String?
        @Option(
            help: ArgumentHelp(
                "When it is to be rotated again, or none: 90d.", valueName: "span"))
        var rotateEvery: String?
        @Option(
            help: ArgumentHelp(
                "Bring a secret from elsewhere: the 64 hexadecimal digits of its SHA-256.",
                valueName: "hex"))
        var secretSha256: String?

        func run() throws {
            var payload = Payload()
            if let grace, grace != "0" {
                payload.set("grace", try Span.seconds(grace, "--grace"))
            }
            if let rotateEvery {
                payload["rotate_every"] =
                    rotateEvery == "none"
                    ? .null : .integer(try Span.seconds(rotateEvery, "--rotate-every"))
            }
            payload.set("secret_sha256", secretSha256)
            try change.append("key.rotated", .key, account, payload, connection, "rotated")
        }
    }
    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a key, at once and for good.",
            discussion: """
                Example:
                  tollgate key revoke acme/ml/prod --reason 'found on a public page'

                To stop it for a while: tollgate key disable. To replace a secret: tollgate key rotate.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The path: org/team/key.") var account: String

        func run() throws {
            try change.append("key.revoked", .key, account, Payload(), connection, "revoked")
        }
    }
}

extension ChangeOptions {
    fileprivate func append(
        _ type: String, _ tier: Tier, _ account: String, _ payload: Payload,
        _ connection: ConnectionOptions, _ done: String
    ) throws(CommandFailure) {
        try check(account, is: tier)
        var payload = payload
        payload.set("account", account)
        try append(type, payload, connection, "\(tier.name) \(account) \(done)")
    }
}

extension Tier {
    /// `an org`, `a team`, `a key`.
    fileprivate var phrase: String { "\(self == .org ? "an" : "a") \(name)" }
}

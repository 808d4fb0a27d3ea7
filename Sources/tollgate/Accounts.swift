import ArgumentParser
import Events

/// `tollgate org`
struct Org: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list, show, disable and describe organisations.",
        discussion: """
            Examples:
              tollgate org create acme --zone Europe/Berlin --limit usd.month=5000
              tollgate org list
              tollgate org show acme
              tollgate org billing acme --markup 15% --currency CNY --rate 1
              tollgate org privacy acme user ip ua
            """,
        subcommands: [
            Create.self, List.self, Show.self, Bill.self, OrgPrivacy.self,
            Disable<OrgTier>.self, Enable<OrgTier>.self, Describe<OrgTier>.self,
        ])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an organisation.",
            discussion: """
                Example:
                  tollgate org create acme --zone Europe/Berlin --limit usd.month=5000 \\
                    --models 'openai/*,anthropic/*'
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @OptionGroup var rights: RightsOptions
        @Argument(help: "The path: one name.") var account: String
        @Option(help: "A name for people.") var name: String?
        @Option(
            help: ArgumentHelp(
                "The IANA time zone of its windows (default: UTC).", valueName: "zone"))
        var zone: String?
        @Option(
            help: ArgumentHelp(
                "What happens to models without a price: deny or allow (default: deny).",
                valueName: "rule"))
        var unpriced: String?
        @Option(
            help: ArgumentHelp(
                "What a hold costs that nobody settles: release, charge_input or charge_hold "
                    + "(default: release).", valueName: "rule"))
        var onLapse: String?
        @Option(
            help: ArgumentHelp(
                "Store these as commitments: user,ip,ua (default: none).", valueName: "fields"))
        var privacy: String?

        func run() throws {
            var payload = try rights.payload()
            payload.set("name", name)
            payload.set("zone", zone)
            payload.set("unpriced", unpriced)
            payload.set("on_lapse", onLapse)
            try change.create(.org, account, payload, connection)
            // Nobody has a key of it yet, so nothing is stored in between.
            if let privacy {
                var change = change
                change.id = change.id.map { "\($0) privacy" }
                let fields = privacy.split(separator: ",").map(String.init)
                try change.append(
                    "privacy.set", OrgPrivacy.payload(account, fields), connection,
                    "\(account): \(fields.joined(separator: ", ")) stored as commitments")
            }
        }
    }
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all organisations.",
            discussion: "Example:\n  tollgate org list --json")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        func run() throws { try AccountTable.print(.org, under: nil, connection, format) }
    }
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one organisation.",
            discussion: "Example:\n  tollgate org show acme")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The path: one name.") var account: String
        func run() throws { try AccountFacts.print(.org, account, connection, format) }
    }
}

/// `tollgate team`
struct Team: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list, show, disable and describe teams.",
        discussion: """
            Examples:
              tollgate team create acme/ml --limit usd.day=500 --limit concurrency=150
              tollgate team list --under acme
              tollgate team show acme/ml
            """,
        subcommands: [
            Create.self, List.self, Show.self, Disable<TeamTier>.self, Enable<TeamTier>.self,
            Describe<TeamTier>.self,
        ])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a team.",
            discussion: """
                Example:
                  tollgate team create acme/ml --limit usd.month=5000 --limit usd.day=500 \\
                    --limit requests.minute=1200 --limit concurrency=150
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @OptionGroup var rights: RightsOptions
        @Argument(help: "The path: org/team.") var account: String
        @Option(help: "A name for people.") var name: String?

        func run() throws {
            var payload = try rights.payload()
            payload.set("name", name)
            try change.create(.team, account, payload, connection)
        }
    }
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List teams.", discussion: "Example:\n  tollgate team list --under acme")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(help: ArgumentHelp("Only those of this org.", valueName: "account"))
        var under: String?
        func run() throws { try AccountTable.print(.team, under: under, connection, format) }
    }
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one team.", discussion: "Example:\n  tollgate team show acme/ml")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The path: org/team.") var account: String
        func run() throws { try AccountFacts.print(.team, account, connection, format) }
    }
}

/// `tollgate key`
struct Key: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, import, list, show, rotate, revoke and disable keys.",
        discussion: """
            Examples:
              tollgate key create acme/ml/prod --owner ana --expires-in 90d
              tollgate key list --under acme/ml --expiring 30d
              tollgate key rotate acme/ml/prod --grace 24h
              tollgate key revoke acme/ml/prod --reason leaked
              tollgate key import keys.jsonl
            """,
        subcommands: [
            Create.self, Import.self, List.self, Show.self, Rotate.self, Revoke.self,
            Disable<KeyTier>.self, Enable<KeyTier>.self, Describe<KeyTier>.self,
        ])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a key and print its secret, this once.",
            discussion: """
                Example:
                  secret=$(tollgate key create acme/ml/prod --environment live)

                The secret is all there is on stdout. Only its SHA-256 is stored: it cannot be
                shown again.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @OptionGroup var rights: RightsOptions
        @Argument(help: "The path: org/team/key.") var account: String
        @Option(help: "A name for people.") var name: String?
        @Option(help: "Who answers for it.") var owner: String?
        @Option(help: ArgumentHelp("Stands in the secret: tg_<environment>_….", valueName: "name"))
        var environment: String?
        @Option(help: ArgumentHelp("When it ends: 2027-01-01T00:00:00Z.", valueName: "instant"))
        var expires: String?
        @Option(help: ArgumentHelp("In how long it ends: 90d.", valueName: "span"))
        var expiresIn: String?
        @Option(
            help: ArgumentHelp(
                "How often it is to be rotated; the log says when it is due: 90d.",
                valueName: "span"))
        var rotateEvery: String?
        @Option(
            help: ArgumentHelp(
                "Bring a secret from elsewhere: the 64 hexadecimal digits of its SHA-256.",
                valueName: "hex"))
        var secretSha256: String?

        func run() throws {
            var payload = try rights.payload()
            payload.set("name", name)
            payload.set("owner", owner)
            payload.set("environment", environment)
            payload.set("expires", expires)
            if let expiresIn {
                payload.set("expires_in", try Span.seconds(expiresIn, "--expires-in"))
            }
            if let rotateEvery {
                payload.set("rotate_every", try Span.seconds(rotateEvery, "--rotate-every"))
            }
            payload.set("secret_sha256", secretSha256)
            try change.create(.key, account, payload, connection)
        }
    }
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one key.", discussion: "Example:\n  tollgate key show acme/ml/prod")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The path: org/team/key.") var account: String
        func run() throws { try AccountFacts.print(.key, account, connection, format) }
    }
}

extension AccountPath {
    /// Whether a path stands before another: by names, not by bytes, so that `acme-x` does not come
    /// between `acme` and `acme/ml`.
    static func precedes(_ a: String, _ b: String) -> Bool {
        a.split(separator: "/").lexicographicallyPrecedes(b.split(separator: "/"))
    }
    /// An account behind its parents: `acme`, `acme/ml`, `acme/ml/prod`.
    static func lineage(_ account: String) -> [String] {
        let names = account.split(separator: "/")
        return names.indices.map { names[...$0].joined(separator: "/") }
    }
}

/// The tier that a verb is about must be the tier of the path it is given.
func check(_ account: String, is tier: Tier) throws(CommandFailure) {
    guard let found = account.withBytes({ AccountPath.tier($0) }) else {
        throw CommandFailure(.usage, "\"\(account)\" is no account: \(AccountPath.rule)")
    }
    guard found == tier else {
        throw CommandFailure(
            .usage,
            "\(account) is the path of \(found == .org ? "an" : "a") \(found.name): say 'tollgate \(found.name)', or a path of "
                + "\(tier.rawValue + 1) name\(tier == .org ? "" : "s")")
    }
}

extension ChangeOptions {
    fileprivate func create(
        _ tier: Tier, _ account: String, _ payload: Payload, _ connection: ConnectionOptions
    ) throws(CommandFailure) {
        try check(account, is: tier)
        var payload = payload
        payload.set("account", account)
        try append("\(tier.name).created", payload, connection, "\(tier.name) \(account) created")
    }

    /// Appends one event and tells of it: the secret or the JSON on stdout, the notice on stderr.
    func append(
        _ type: String, _ payload: Payload, _ connection: ConnectionOptions, _ notice: String
    ) throws(CommandFailure) {
        var payload = payload
        payload.set("id", id)
        payload.set("reason", reason)
        let event = try connection.connect().append(type, payload)
        if json { event.print() }
        Console.note("\(notice) (event \(event.cell("seq")))")
        if let secret = event["secret"]?.string {
            if !json { Console.print(secret) }
            Console.note("This is the only time the secret is shown: store it now.")
        } else if ["key.created", "key.rotated", "operator.created"].contains(type),
            payload["secret_sha256"] == nil
        {
            Console.note("This id was done before: its secret is not shown again.")
        }
    }
}

/// `list`: one account a line.
private enum AccountTable {
    static func print(
        _ tier: Tier, under: String?, _ connection: ConnectionOptions, _ format: FormatOptions
    ) throws(CommandFailure) {
        let items = try connection.connect().list("\(tier.name)s", under: under)
            .sorted { AccountPath.precedes($0.cell("account"), $1.cell("account")) }
        if format.json {
            JSON.array(items).print()
            return
        }
        var columns = [Table.Column.text("ACCOUNT"), .text("NAME")]
        switch tier {
        case .org: columns += [.text("ZONE"), .number("TEAMS")]
        case .team: columns += [.number("KEYS")]
        case .key: preconditionFailure("keys have a list of their own")
        }
        columns += [.text("STATE"), .number("OPEN"), .text("MODELS"), .text("LIMITS")]
        var table = Table(columns)
        for item in items {
            var cells = [item.cell("account"), item.cell("name")]
            switch tier {
            case .org: cells += [item.cell("zone"), item.cell("children")]
            case .team: cells += [item.cell("children")]
            case .key: preconditionFailure("keys have a list of their own")
            }
            let models = item["models"] ?? .null
            cells += [
                item.cell("state"), item.cell("open_holds"),
                models.isNull ? "inherited" : models.plain,
                item.cell("limits"),
            ]
            table.add(cells)
        }
        table.print()
        if table.isEmpty {
            Console.note("no \(tier.name) yet: make one with 'tollgate \(tier.name) create'")
        }
    }
}

/// `show`: all that is known of one account.
private enum AccountFacts {
    static func print(
        _ tier: Tier, _ account: String, _ connection: ConnectionOptions, _ format: FormatOptions
    ) throws(CommandFailure) {
        try check(account, is: tier)
        let found = try connection.connect().json(["GET", account])
        if format.json {
            found.print()
            return
        }
        var facts = Facts()
        for member in found.members ?? [] {
            switch member.name {
            case "limits":
                if member.value.members?.isEmpty ?? true { facts.add("limits", "none") }
                for limit in member.value.members ?? [] {
                    facts.add("limit", "\(limit.name)=\(limit.value.plain)")
                }
            case "models", "scopes":
                facts.add(member.name, member.value.isNull ? "inherited" : member.value.plain)
            default: facts.add(member.name.replacing("_", with: " "), member.value.plain)
            }
        }
        facts.print()
    }
}

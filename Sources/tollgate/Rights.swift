import ArgumentParser
import Events

/// `tollgate limits`
struct Limits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set and show the limits of an account.",
        discussion: """
            Examples:
              tollgate limits set acme/ml usd.day=500 requests.minute=1200
              tollgate limits set acme/ml tokens.hour=none
              tollgate limits show acme/ml/prod

            Units: usd, tokens, requests. Windows: minute, hour, day, week, month, total.
            And: concurrency.
            """,
        subcommands: [Set.self, Show.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set limits; 'none' removes one, what is not named stays.",
            discussion: """
                Example:
                  tollgate limits set acme/ml usd.day=500 requests.minute=none --reason budget
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String
        @Argument(help: ArgumentHelp("Limits to set.", valueName: "limit=amount"))
        var limits: [String]

        func run() throws {
            var payload = Payload()
            payload.set("account", account)
            payload["limits"] = try LimitWords.json(limits)
            try change.append("limits.set", payload, connection, "limits of \(account) set")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an account's limits beside those of its parents.",
            discussion: """
                Example:
                  tollgate limits show acme/ml/prod

                All of them hold at once: the tightest one binds.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String

        func run() throws {
            let client = try connection.connect()
            let paths = AccountPath.lineage(account)
            let accounts = try paths.map { try client.json(["GET", $0]) }
            let limits = accounts.map { $0["limits"] ?? .object([]) }
            if format.json {
                JSON.object(zip(paths, limits).map { JSON.Member($0, $1) }).print()
                return
            }
            var table = Table([.text("LIMIT")] + paths.map { .number($0) })
            for kind in LimitKind.all where limits.contains(where: { $0["\(kind.name)"] != nil }) {
                table.add(["\(kind.name)"] + limits.map { $0.cell("\(kind.name)") })
            }
            table.print()
            if table.isEmpty {
                Console.note("no limit anywhere: set one with 'tollgate limits set \(account) …'")
            }
            for (path, account) in zip(paths, accounts) {
                for over in account["overrides"]?.array ?? [] {
                    Console.print(
                        "\(over.cell("limit")) of \(path) is \(over.cell("amount")) until "
                            + "\(over.timeCell("until")): "
                            + Table.inOneLine(over.cell("reason")))
                }
            }
        }
    }
}

/// `tollgate permissions`
struct Permissions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set and show which models and scopes an account may use.",
        discussion: """
            Examples:
              tollgate permissions set acme/ml --models 'openai/*,anthropic/*'
              tollgate permissions set acme/ml/prod --inherit-models --no-scopes
              tollgate permissions show acme/ml/prod
            """,
        subcommands: [Set.self, Show.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace the allow-lists of an account; what is not named stays.",
            discussion: """
                Example:
                  tollgate permissions set acme/ml --models openai/gpt-4.1,openai/gpt-4.1-mini

                No list inherits the parent's; an empty list (--no-models) allows nothing.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @OptionGroup var lists: ListOptions
        @Flag(help: "Have no model list: inherit the parent's.") var inheritModels = false
        @Flag(help: "Have no scope list: inherit the parent's.") var inheritScopes = false
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String

        func run() throws {
            var payload = try lists.payload()
            for (name, inherit) in [("models", inheritModels), ("scopes", inheritScopes)]
            where inherit {
                guard payload[name] == nil else {
                    throw CommandFailure(.usage, "say --\(name) or --inherit-\(name), not both")
                }
                payload[name] = .null
            }
            guard payload.json != .object([]) else {
                throw CommandFailure(
                    .usage,
                    "nothing to set: say --models, --no-models or --inherit-models, or the same "
                        + "of scopes")
            }
            payload.set("account", account)
            try change.append(
                "permissions.set", payload, connection, "permissions of \(account) set")
        }
    }
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an account's allow-lists beside those of its parents.",
            discussion: """
                Example:
                  tollgate permissions show acme/ml/prod

                All of them hold at once: an account may use what every list on its path
                allows. 'inherited' is no list of its own, 'none' an empty one.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String

        func run() throws {
            let client = try connection.connect()
            var rows: [JSON] = []
            for path in AccountPath.lineage(account) {
                let item = try client.json(["GET", path])
                rows.append(
                    .object(
                        ["account", "models", "scopes"].map {
                            JSON.Member($0, item[$0] ?? .null)
                        }))
            }
            if format.json {
                JSON.array(rows).print()
                return
            }
            var table = Table([.text("ACCOUNT"), .text("MODELS"), .text("SCOPES")])
            for row in rows {
                table.add(
                    [row.cell("account")]
                        + ["models", "scopes"].map {
                            row[$0]?.isNull == true ? "inherited" : row.cell($0)
                        })
            }
            table.print()
        }
    }
}

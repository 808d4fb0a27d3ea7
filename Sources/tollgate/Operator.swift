import ArgumentParser
import Events

/// `tollgate operator`
struct Operator: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and revoke operators: who may log in, and what for.",
        discussion: """
            Examples:
              tollgate operator create relay-1 --role relay
              tollgate operator list
              tollgate operator revoke relay-1 --reason 'host retired'
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an operator and print its secret, this once.",
            discussion: """
                Example:
                  TOLLGATE_SECRET=$(tollgate operator create relay-1 --role relay)

                Roles: admin, relay, auditor, finance, developer.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The name to log in with.") var name: String
        @Option(help: "What it may do.") var role: String
        @Option(
            help: ArgumentHelp("Confines it to this org or team.", valueName: "account"))
        var account: String?

        func run() throws {
            var payload = Payload()
            payload.set("operator", name)
            payload.set("role", role)
            payload.set("account", account)
            try change.append(
                "operator.created", payload, connection, "operator \(name) created as \(role)")
        }
    }
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List operators.", discussion: "Example:\n  tollgate operator list")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions

        func run() throws {
            let items = try connection.connect().list("operators")
            if format.json {
                JSON.array(items).print()
                return
            }
            var table = Table([
                .text("OPERATOR"), .text("ROLE"), .text("ACCOUNT"), .text("REVOKED"),
            ])
            for item in items {
                table.add(["operator", "role", "account", "revoked"].map { item.cell($0) })
            }
            table.print()
            if table.isEmpty {
                Console.note("no operator yet: make one with 'tollgate operator create'")
            }
        }
    }
    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke an operator: it can log in no more.",
            discussion: "Example:\n  tollgate operator revoke relay-1")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The operator.") var name: String

        func run() throws {
            var payload = Payload()
            payload.set("operator", name)
            try change.append("operator.revoked", payload, connection, "operator \(name) revoked")
        }
    }
}

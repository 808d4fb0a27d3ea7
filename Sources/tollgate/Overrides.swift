import ArgumentParser
import Events

/// `tollgate override`
struct Override: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replace one limit for a time, and end or list such overrides.",
        discussion: """
            Examples:
              tollgate override grant acme/ml usd.day=1000 --for 48h --reason outage
              tollgate override list --under acme
              tollgate override end acme/ml usd.day --reason 'all clear'

            An override ends by itself, exactly at its instant; then the limit is again what
            it was. It may exceed a parent's limit only as far as what is in force there
            allows: override the parent first.
            """,
        subcommands: [Grant.self, End.self, List.self])

    struct Grant: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace one limit until an instant; a reason is required.",
            discussion: """
                Examples:
                  tollgate override grant acme/ml usd.day=1000 --for 48h --reason outage
                  tollgate override grant acme/ml/prod concurrency=0 \\
                    --until 2026-12-01T00:00:00Z --reason 'runaway'

                One that stands for the same limit is replaced. A limit that is not set can be
                overridden, too: then there is one for a time.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String
        @Argument(help: ArgumentHelp("The limit and its amount.", valueName: "limit=amount"))
        var limit: String
        @Option(
            name: .customLong("for"),
            help: ArgumentHelp("How long it stands: 90s, 30m, 48h, 30d, 2w.", valueName: "span"))
        var span: String?
        @Option(
            help: ArgumentHelp("Until when it stands: 2027-01-01T00:00:00Z.", valueName: "instant"))
        var until: String?

        func run() throws {
            guard change.reason != nil else {
                throw CommandFailure(
                    .usage, "say why with --reason: it stands in the log for the audit")
            }
            guard (span == nil) != (until == nil) else {
                throw CommandFailure(.usage, "say either --for or --until")
            }
            let member = try LimitWords.json([limit]).members![0]
            guard !member.value.isNull else {
                throw CommandFailure(
                    .usage,
                    "\(member.name)=none: an override needs an amount; take the limit away "
                        + "with 'tollgate limits set'")
            }
            var payload = Payload()
            payload.set("account", account)
            payload.set("limit", member.name)
            payload["amount"] = member.value
            payload.set(
                "for",
                try span.map { text throws(CommandFailure) in try Span.seconds(text, "--for") })
            payload.set("until", until)
            try change.append(
                "override.granted", payload, connection,
                "\(member.name) of \(account) is \(member.value.plain) until \(span.map { "\($0) from now" } ?? until!)"
            )
        }
    }
    struct End: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End an override before its instant.",
            discussion: "Example:\n  tollgate override end acme/ml usd.day --reason 'all clear'")
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The account: org, org/team or org/team/key.") var account: String
        @Argument(help: "The limit: usd.day, requests.minute, concurrency …") var limit: String

        func run() throws {
            var payload = Payload()
            payload.set("account", account)
            payload.set("limit", limit)
            try change.append(
                "override.ended", payload, connection,
                "\(limit) of \(account) is again what it was")
        }
    }
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the overrides that stand.",
            discussion: """
                Example:
                  tollgate override list --under acme/ml

                Those of the past: tollgate events --type override.granted
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(help: ArgumentHelp("Only those of this account and below.", valueName: "account"))
        var under: String?

        func run() throws {
            let items = try connection.connect().list("overrides", under: under)
            if format.json {
                JSON.array(items).print()
                return
            }
            var table = Table([
                .text("ACCOUNT"), .text("LIMIT"), .number("BASE"), .number("OVERRIDE"),
                .text("UNTIL"), .text("REASON"),
            ])
            for item in items {
                let base = item["base"] ?? .null
                table.add([
                    item.cell("account"), item.cell("limit"), base.isNull ? "none" : base.plain,
                    item.cell("amount"), item.timeCell("until"), item.cell("reason"),
                ])
            }
            table.print()
            if table.isEmpty { Console.note("no override stands") }
        }
    }
}

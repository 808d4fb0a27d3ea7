import ArgumentParser
import Events

/// `tollgate credit`
struct CreditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credit",
        abstract: "Grant prepaid credit to an org, and show what is left of it.",
        discussion: """
            Examples:
              tollgate credit grant acme 5 --source sign-up --expires 90d
              tollgate credit grant acme 100 --source alipay --reference 20261122-1
              tollgate credit show acme

            Once an org has credit, what it is billed draws it down, the soonest to expire
            first, and no request is admitted that it could not pay for.
            """,
        subcommands: [Grant.self, Show.self])

    struct Grant: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Grant credit: a top-up that was paid for, or a gift.",
            discussion: """
                Examples:
                  tollgate credit grant acme 5 --source sign-up --expires 90d
                  tollgate credit grant acme 100 --source alipay --reference 20261122-1

                Tollgate takes no payment; it records its reference. The same reference of
                the same source is granted once to an org, however often this runs.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var change: ChangeOptions
        @Argument(help: "The org.") var account: String
        @Argument(help: ArgumentHelp("US dollars.", valueName: "usd")) var usd: String
        @Option(help: "Where it comes from: sign-up, card, wechat, alipay …") var source: String
        @Option(help: "The payment's own number there.") var reference: String?
        @Option(
            help: ArgumentHelp(
                "When it expires: a span (90d) or an instant. Never without it.",
                valueName: "span|instant"))
        var expires: String?

        func run() throws {
            try check(account, is: .org)
            var payload = Payload()
            payload.set("account", account)
            payload.set("usd", usd)
            payload.set("source", source)
            payload.set("reference", reference)
            if let expires {
                if expires.withBytes({ Instant(parsing: $0) }) != nil {
                    payload.set("expires", expires)
                } else {
                    payload.set("expires_in", try Span.seconds(expires, "--expires"))
                }
            }
            var change = change
            if change.id == nil, let reference {
                // Who pays once and is told twice must not be granted twice.
                let id = "\(account) \(source) \(reference)"
                guard id.utf8.count <= Bounds.textBytesMax else {
                    throw CommandFailure(
                        .usage,
                        "the reference is too long to tell payments apart by: give an --id, too")
                }
                change.id = id
            }
            try change.append(
                "credit.granted", payload, connection, "\(account) has \(usd) dollars more")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an org's credit and its grants.",
            discussion: """
                Example:
                  tollgate credit show acme

                Those of the past: tollgate events --type credit.granted --account acme
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: "The org.") var account: String

        func run() throws {
            try check(account, is: .org)
            let usage = try connection.connect().json(["USAGE", account])
            let credit = usage["credit"] ?? .null
            if format.json {
                credit.print()
                return
            }
            guard !credit.isNull else {
                Console.note("\(account) has never had credit: it is not prepaid")
                return
            }
            var facts = Facts()
            for name in ["granted", "expired", "spent", "held", "left", "overdrawn"] {
                facts.add(name, credit[name].map { Money.rounded($0) })
            }
            if let billing = usage["billing"] { facts.add("billing", Bill.text(billing)) }
            facts.print()
            var table = Table([
                .text("GRANT"), .number("USD"), .number("LEFT"), .text("SOURCE"),
                .text("REFERENCE"), .text("EXPIRES"),
            ])
            for grant in credit["grants"]?.array ?? [] {
                table.add([
                    grant.cell("grant"), Money.rounded(grant["usd"] ?? .null),
                    Money.rounded(grant["left"] ?? .null), grant.cell("source"),
                    grant.cell("reference"), grant.timeCell("expires"),
                ])
            }
            guard !table.isEmpty else { return }
            Console.print("")
            table.print()
        }
    }
}

/// `tollgate org billing`
struct Bill: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "billing",
        abstract: "Set what an org pays over list price, and in which currency.",
        discussion: """
            Examples:
              tollgate org billing acme --markup 15% --currency CNY --rate 1
              tollgate org billing acme --markup 0

            Each charge carries its list price and its bill: list price and markup, times
            the fixed rate. Credit is drawn by what is billed, in dollars.
            """)
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var change: ChangeOptions
    @Argument(help: "The org.") var account: String
    @Option(help: ArgumentHelp("Over list price: 15%, 0.5%.", valueName: "percent"))
    var markup: String = "0"
    @Option(help: ArgumentHelp("In which it settles: CNY, EUR …", valueName: "code"))
    var currency: String = "USD"
    @Option(help: ArgumentHelp("Units of it for a US dollar; fixed.", valueName: "rate"))
    var rate: String?

    func run() throws {
        try check(account, is: .org)
        guard let rate = rate ?? (currency == "USD" ? "1" : nil) else {
            throw CommandFailure(.usage, "say how many \(currency) a US dollar is with --rate")
        }
        var payload = Payload()
        payload.set("account", account)
        payload.set("markup_ppm", try Bill.partsPerMillion(markup))
        payload.set("currency", currency)
        payload.set("rate", rate)
        try change.append(
            "billing.set", payload, connection, "\(account) is billed \(Bill.text(payload.json))")
    }

    /// `15%` or `15`, of at most four decimals: a millionth is the least there is.
    static func partsPerMillion(_ text: String) throws(CommandFailure) -> Int64 {
        let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
        let scaled = try? digits.withBytes { try Nanodollars(parsing: $0).raw }
        guard let scaled, scaled % 100_000 == 0 else {
            throw CommandFailure(
                .usage,
                "--markup \"\(text)\": say percents of at most four decimals, such as 15% or 0.5%")
        }
        return scaled / 100_000
    }
    /// `list price + 15% in CNY at 1`
    static func text(_ billing: JSON) -> String {
        let parts = billing["markup_ppm"]?.integer ?? 0
        let percents = Nanodollars(parts * 100_000).description
        return "list price\(parts == 0 ? "" : " + \(percents)%") in \(billing.cell("currency")) at "
            + billing.cell("rate")
    }
}

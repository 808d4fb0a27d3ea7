import ArgumentParser
import Events

extension Key {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List keys: all, or those that need somebody.",
            discussion: """
                Examples:
                  tollgate key list --under acme/ml --sort spent
                  tollgate key list --expiring 30d
                  tollgate key list --unused 90d --state active

                SPENT is this month's.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(help: ArgumentHelp("Only those of this org or team.", valueName: "account"))
        var under: String?
        @Option(
            help: ArgumentHelp("Only those that expire within this time: 30d.", valueName: "span"))
        var expiring: String?
        @Option(
            help: ArgumentHelp(
                "Only those that nobody has used for this long, and that are as old: 90d.",
                valueName: "span"))
        var unused: String?
        @Flag(help: "Only those whose rotation is due.") var due = false
        @Option(
            help: ArgumentHelp("Only those that are active, disabled, revoked or expired."))
        var state: String?
        @Option(
            help: ArgumentHelp(
                "By account, spent (most first), used (longest ago first) or expires (soonest "
                    + "first).", valueName: "order"))
        var sort = KeySelection.Order.account

        func run() throws {
            var selection = KeySelection()
            selection.expiring = try expiring.map { span throws(CommandFailure) in
                try Span.seconds(span, "--expiring")
            }
            selection.unused = try unused.map { span throws(CommandFailure) in
                try Span.seconds(span, "--unused")
            }
            if let state, !["active", "disabled", "revoked", "expired"].contains(state) {
                throw CommandFailure(
                    .usage, "--state \"\(state)\": say active, disabled, revoked or expired")
            }
            selection.state = state
            selection.isDue = due
            selection.order = sort
            let all = try connection.connect().list("keys", under: under)
            let items = selection.of(all, at: .wallClock)
            if format.json {
                JSON.array(items).print()
                return
            }
            var table = Table([
                .text("ACCOUNT"), .text("NAME"), .text("OWNER"), .text("ENVIRONMENT"),
                .text("STATE"), .text("EXPIRES"), .text("LAST USED"), .text("ROTATION DUE"),
                .number("SPENT"), .number("OPEN"), .text("MODELS"), .text("LIMITS"),
            ])
            for item in items {
                let models = item["models"] ?? .null
                table.add([
                    item.cell("account"), item.cell("name"), item.cell("owner"),
                    item.cell("environment"), item.cell("state"), item.timeCell("expires"),
                    item.timeCell("last_used"), item.timeCell("rotation_due"),
                    item.cell("spent_month"), item.cell("open_holds"),
                    models.isNull ? "inherited" : models.plain, item.cell("limits"),
                ])
            }
            table.print()
            if all.isEmpty {
                Console.note("no key yet: make one with 'tollgate key create'")
            } else if items.isEmpty {
                Console.note("none of \(all.count) keys is like that")
            }
        }
    }
}

/// Which keys are wanted, and in which order.
struct KeySelection {
    enum Order: String, ExpressibleByArgument, CaseIterable {
        case account, spent, used, expires
    }
    /// Those that expire within so many seconds.
    var expiring: Int64?
    /// Those that nobody has used for so many seconds.
    var unused: Int64?
    var isDue = false
    var state: String?
    var order = Order.account

    /// - Parameter keys: as LIST answers them.
    func of(_ keys: [JSON], at now: Instant) -> [JSON] {
        keys.filter { isWanted($0, now) }.sorted { precedes($0, $1) }
    }

    private func isWanted(_ key: JSON, _ now: Instant) -> Bool {
        if let expiring {
            // What has expired already is past saving, and in nobody's way.
            guard let end = key.instant("expires"), end > now,
                end <= now.later(bySeconds: expiring)
            else { return false }
        }
        if let unused {
            let last = key.instant("last_used") ?? key.instant("created")
            guard let last, last <= now.later(bySeconds: -unused) else { return false }
        }
        if isDue, key["is_rotation_due"] != .bool(true) { return false }
        return state == nil || key["state"]?.string == state
    }
    private func precedes(_ a: JSON, _ b: JSON) -> Bool {
        switch order {
        case .account: break
        case .spent:
            let (mine, other) = (a.money("spent_month"), b.money("spent_month"))
            if mine != other { return mine ?? .zero > other ?? .zero }
        case .used:
            let (mine, other) = (a.instant("last_used"), b.instant("last_used"))
            if mine != other { return mine ?? .distantPast < other ?? .distantPast }
        case .expires:
            let (mine, other) = (a.instant("expires"), b.instant("expires"))
            if mine != other { return mine ?? .distantFuture < other ?? .distantFuture }
        }
        return AccountPath.precedes(a.cell("account"), b.cell("account"))
    }
}

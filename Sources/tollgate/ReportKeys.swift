import ArgumentParser
import Events
import Reports

/// `tollgate report keys`
struct ReportKeys: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "What each key was used for, or which were not used at all.",
        discussion: """
            --unused lists the keys that nobody used in the time, without those that are
            revoked or expired or were made after it. A copy of a directory (--dir) does not
            say which those are. Refused requests with keys that nobody knows are a row
            without a name.

            Examples:
              tollgate report keys --period 2026-11
              tollgate report keys --unused --from 2026-08-01 --account acme/ml
            """)
    @OptionGroup var options: ReportOptions
    @Flag(help: "Only keys without a single request.") var unused = false

    func run() throws {
        try options.refuseFocus()
        guard !options.compare else {
            throw CommandFailure(
                .usage, "'report keys' compares nothing; 'report spend --by key --compare' does")
        }
        let source = try options.source()
        let period = try ReportPeriod(options, now: source.now)
        let keys = try source.keys(under: options.account)
        let (groups, agrees) = try source.checked(
            period.query(.billed), account: options.account, by: [.key], period.words)
        ReportPage(
            name: "keys", period: period, groups: groups,
            table: KeyReport(keys, groups, to: period.range.upperBound, unused: unused).table,
            agrees: agrees
        ).print(options.format)
    }
}

extension RollupSource {
    fileprivate func keys(under account: String?) throws(CommandFailure) -> [KeyReport.Facts] {
        switch self {
        case let daemon as SocketRollups:
            return try daemon.client.list("keys", under: account).map { item in
                KeyReport.Facts(
                    account: item.cell("account"), state: item["state"]?.string,
                    created: item.instant("created"), lastUsed: item.instant("last_used"))
            }
        case let directory as DirectoryRollups:
            return try directory.accounts().map(\.name).filter { path in
                path.split(separator: "/").count == 3
                    && (account == nil || path == account || path.hasPrefix(account! + "/"))
            }.map { KeyReport.Facts(account: $0) }
        default: throw CommandFailure(.software, "a source of roll-ups that lists no keys")
        }
    }
}

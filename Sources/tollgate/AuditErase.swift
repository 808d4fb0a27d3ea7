import ArgumentParser
import Events

/// `tollgate audit erase`
struct AuditErase: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Erase what a person's commitments in the log were made of.",
        discussion: """
            Examples:
              tollgate audit erase --user alice@example.com
              tollgate audit erase --user alice --ip 192.0.2.7 --account acme --yes

            Only what came in after 'tollgate org privacy' was asked for it is kept beside the
            log and can be erased. The log keeps the commitments, the tree stays valid, and
            events and exports show the commitment from then on. Backups that were made before
            still have the text. Asking twice is harmless.
            """)
    // As `ConnectionOptions` has them, but for the login: here a user is somebody else.
    @Option(help: ArgumentHelp("The daemon's Unix socket.", valueName: "path"))
    var socket: String?
    @Option(
        help: ArgumentHelp(
            "The daemon's data directory; its socket is DIR/tollgate.sock.", valueName: "dir"))
    var data: String?
    @Option(
        help: ArgumentHelp(
            "The daemon's TCP address; needs --operator and TOLLGATE_SECRET.",
            valueName: "host:port"))
    var tcp: String?
    @Option(
        help: ArgumentHelp(
            "The operator to log in as; the secret comes from TOLLGATE_SECRET.", valueName: "name"))
    var `operator`: String?
    @Option(
        help: ArgumentHelp(
            "A config file (JSON); default: DIR/tollgate.json if there is one.", valueName: "file"))
    var config: String?
    @OptionGroup var format: FormatOptions
    @Option(help: ArgumentHelp("A user; repeatable.", valueName: "text")) var user: [String] = []
    @Option(help: ArgumentHelp("An address; repeatable.", valueName: "text")) var ip: [String] = []
    @Option(help: ArgumentHelp("A user agent; repeatable.", valueName: "text"))
    var ua: [String] = []
    @Option(help: ArgumentHelp("Only of this org's people (default: of all).", valueName: "org"))
    var account: String?
    @Option(
        help: ArgumentHelp(
            "Why; it stands in the log for ever, so name nobody.", valueName: "text"))
    var reason: String?
    @Flag(name: .shortAndLong, help: "Erase without asking.") var yes = false

    func run() throws {
        let texts =
            user.map { (PersonalField.user, $0) } + ip.map { (.address, $0) }
            + ua.map { (.userAgent, $0) }
        guard !texts.isEmpty else {
            throw CommandFailure(.usage, "say what to erase with --user, --ip or --ua")
        }
        if let account { try check(account, is: .org) }
        let what = texts.map { "\($0.0.name) \"\($0.1)\"" }.joined(separator: ", ")
        try Confirmation.ask(
            "Erase \(what) of \(account ?? "all orgs")? It cannot be brought back.", yes: yes,
            doing: "erase", undone: "nothing was erased")
        let settings = try Settings(
            flags: [.socket: socket, .data: data, .tcp: tcp, .user: `operator`],
            configFile: config, mayReadDefaultFile: false)
        let client = try Client(try settings.target())
        var results: [JSON] = []
        for (field, text) in texts { results += try erase(field, text, client) }
        let erased = results.compactMap { $0["erased"]?.integer }.reduce(0, +)
        if format.json {
            JSON.array(results).print()
        } else {
            for commitment in results.flatMap({ $0["commitments"]?.array ?? [] }) {
                Console.print(commitment.plain)
            }
        }
        guard erased > 0 else {
            throw CommandFailure(
                .failure,
                "nothing is kept of \(what): it never came in under a commitment, or was erased before"
            )
        }
        Console.note("\(erased) erased; the log has their commitments only")
    }
    /// All there is, page by page: one answer covers a limited number of orgs.
    private func erase(
        _ field: PersonalField, _ text: String, _ client: Client
    ) throws(CommandFailure) -> [JSON] {
        var words = ["ERASE", "\(field.name)", text]
        if let account { words.append("account=\(account)") }
        if let reason { words.append("why=\(reason)") }
        var pages: [JSON] = []
        repeat {
            pages.append(try client.json(words))
        } while pages.last?["more"] == .bool(true)
        return pages
    }
}

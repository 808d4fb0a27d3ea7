import ArgumentParser
import Events
import Glibc

/// `tollgate demo`: a fresh machine's first minute.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a first minute: accounts, an hour of real traffic, refusals, usage.",
        discussion: """
            Starts a daemon of its own on --data unless one answers there, creates the org acme with
            three teams, six keys and four priced models, and drives an hour of real LLM requests
            through them. The daemon is stopped at the end, unless --keep leaves it running.
            Running it again on the same directory works: the accounts are there already.

            The requests are AzureLLMInferenceTrace_code.csv of Azure/AzurePublicDataset
            (© Microsoft, CC BY 4.0), recorded on 2023-11-16 and shipped inside the binary.

            Example:
              tollgate demo --data first-minute --keep
            """
    )

    @Option(
        help: ArgumentHelp(
            "The data directory (default: \(Settings.dataDefault)).", valueName: "dir"))
    var data: String = Settings.dataDefault
    @Option(
        help: ArgumentHelp(
            "How many times faster than recorded the paced traffic comes.", valueName: "factor"))
    var speed: Double = 600
    @Flag(help: "Leave the daemon running.")
    var keep = false
    @Flag(help: "Only print the policy file that the demo applies.")
    var policy = false

    func validate() throws {
        guard speed >= 1, speed <= 1e6 else {
            throw ValidationError("--speed takes a factor from 1 to 1000000")
        }
    }

    func run() throws {
        if policy { return Console.print(DemoLedger.policy) }
        Interrupt.catchSignals()
        let daemon = try DemoDaemon(directory: data)
        let end: Result<Void, CommandFailure>
        do throws(CommandFailure) {
            end = .success(try show(daemon))
        } catch {
            end = .failure(error)
        }
        try leave(daemon, afterFailure: (try? end.get()) == nil)
        try end.get()
    }

    private func leave(_ daemon: DemoDaemon, afterFailure: Bool) throws(CommandFailure) {
        guard let child = daemon.child else { return }
        if keep, !afterFailure, Interrupt.count == 0 {
            Console.print("The daemon goes on as pid \(child), log in \(daemon.log).")
            Console.print("Stop it with: kill \(child)")
            return
        }
        Console.flush()
        if let text = try daemon.stop(), !afterFailure {
            Console.print("The daemon got SIGTERM and \(text); its ledger stays in \(data).")
        }
    }
}

// MARK: - The scenes

extension Demo {
    /// The hour is that of a busy service; acme is a fifth of it, so that its limits fit.
    private static let sampling = 5
    /// How long each paced request stays open.
    private static let holdMilliseconds: Double = 200
    private static let burstOpenMax = 64
    private static let connections = 4

    private func show(_ daemon: DemoDaemon) throws(CommandFailure) {
        let start = monotonicNanoseconds()
        try head(1, "The daemon")
        if let child = daemon.child {
            Console.print("  Started as pid \(child), listening on \(daemon.socket);")
            Console.print("  ready after \(LoadReport.seconds(daemon.startNanoseconds)).")
        } else {
            Console.print("  One is running already; listening on \(daemon.socket).")
        }
        let client = try Client(daemon.target)

        try head(2, "Who may spend what, on which models")
        try accounts(client)

        try head(3, "One request")
        let scenes = DemoScenes(client)
        try scenes.oneRequest()

        let before = try DemoTree(client).spent
        let trace = Trace.demo()
        let paced = try pacedHour(trace, daemon)
        let burst = try burst(trace, daemon)

        try head(6, "No, and why")
        try scenes.refusals()

        try head(7, "What it came to")
        try totals(since: before, paced.spent.raw + burst.spent.raw, client)
        Console.print("")
        Console.print("All of it took \(LoadReport.seconds(monotonicNanoseconds() - start)).")
        whatNext(daemon)
    }

    private func head(_ number: Int, _ title: String) throws(CommandFailure) {
        Console.flush()
        guard Interrupt.count == 0 else { throw CommandFailure(.failure, "interrupted") }
        Console.print((number == 1 ? "" : "\n") + Style.output.paint("\(number)  \(title)", .bold))
        Console.flush()
    }

    private func accounts(_ client: Client) throws(CommandFailure) {
        let setup = try DemoLedger.setUp(client)
        var table = Table([
            .text("  account"), .number("$/day"), .number("$/month"), .number("req/min"),
            .number("open"), .text("models"),
        ])
        let file = try DemoLedger.file()
        for (tier, account) in file.accounts {
            let names = account.name.split(separator: "/")
            let limits = account["limits"] ?? .object([])
            let models = account["models"]?.array?.compactMap(\.string) ?? []
            table.add([
                String(repeating: " ", count: names.count * 2) + (names.last ?? ""),
                limits.cell("usd.day"), limits.cell("usd.month"), limits.cell("requests.minute"),
                limits.cell("concurrency"),
                tier == .team ? Self.names(models, file) : "",
            ])
        }
        table.print()
        Console.print("")
        var prices = Table([
            .text("  model"), .number("$/M in"), .number("$/M out"), .text("alias"),
        ])
        for model in file.prices {
            prices.add([
                "  " + model.name, model["in"]?.plain ?? "-", model["out"]?.plain ?? "-",
                Self.names([model.name], file),
            ])
        }
        prices.print()
        Console.print("")
        Console.print("  One policy file says all this: 'tollgate demo --policy' prints it.")
        if setup.wasThere {
            Console.print("  All of it was there already, so applying it again appended nothing.")
            try noteEarlierRun(client)
        } else if let secret = setup.secret {
            Console.print("  A key's secret is shown once; the ledger keeps only its SHA-256:")
            Console.print("  \(secret.key)  \(secret.text)")
        }
    }
    /// A run in the last minute leaves little room in it for this one.
    private func noteEarlierRun(_ client: Client) throws(CommandFailure) {
        let busiest = "\(DemoLedger.org)/ml-platform"
        let minute = try client.json(["USAGE", busiest])["limits"]?["requests.minute"]
        guard let used = minute?["used"]?.integer, used > 0 else { return }
        Console.print(
            "  \(busiest) had \(LoadReport.grouped(used)) requests in the last minute, "
                + "so fewer than usual get through now.")
    }
    private static func names(_ models: [String], _ file: PolicyFile) -> String {
        models.compactMap { name in file.aliases.first { $0.model == name }?.alias }
            .joined(separator: ", ")
    }

    /// A fifth of the hour as it came, only faster: nearly all of it is allowed.
    private func pacedHour(
        _ trace: Trace, _ daemon: DemoDaemon
    ) throws(CommandFailure) -> LoadResult {
        try head(4, "An hour of real traffic, \(Self.plain(speed)) times faster")
        let sample = trace.every(Self.sampling)
        let minutes = trace.nanoseconds / 60_000_000_000
        Console.print(
            "  Every \(Self.sampling)th of the \(LoadReport.grouped(trace.rows.count)) requests "
                + "that an Azure code assistant got in \(minutes) minutes")
        Console.print(
            "  of 2023-11-16, by its own clock; each call stays open for "
                + "\(Self.plain(Self.holdMilliseconds)) ms, then settles.")
        return try drive(
            sample, LoadShape(speed: speed, holdMilliseconds: Self.holdMilliseconds), daemon)
    }

    /// The whole hour at once: the sliding minutes are full, and hold.
    private func burst(
        _ trace: Trace, _ daemon: DemoDaemon
    ) throws(CommandFailure) -> LoadResult {
        try head(5, "The whole hour at once")
        Console.print(
            "  All \(LoadReport.grouped(trace.rows.count)) requests as fast as they are answered, "
                + "\(Self.burstOpenMax) open at a time.")
        Console.print(
            "  The sliding minutes have little room left: they fill up to the last request, not "
                + "one more.")
        return try drive(trace, LoadShape(speed: 0, openMax: Self.burstOpenMax), daemon)
    }

    private func drive(
        _ trace: Trace, _ shape: LoadShape, _ daemon: DemoDaemon
    ) throws(CommandFailure) -> LoadResult {
        Console.flush()
        let progress = LoadProgress(" ")
        let result = try LoadRun(
            shape.plan(trace, over: DemoLedger.targets), target: daemon.target,
            connections: Self.connections, progress: progress.show
        ).run()
        progress.clear()
        Console.print("")
        for line in LoadReport(result).lines() { Console.print(line.isEmpty ? "" : "  " + line) }
        if let failure = result.failure { throw failure }
        return result
    }

    private func totals(
        since before: Nanodollars, _ settled: Int64, _ client: Client
    ) throws(CommandFailure) {
        let tree = try DemoTree(client)
        for line in tree.lines() { Console.print("  " + line) }
        Console.print("")
        let booked = Nanodollars(tree.spent.raw - before.raw)
        Console.print("  Answers to SETTLE in 4 and 5, added up:  $\(Nanodollars(settled))")
        Console.print("  What the ledger booked meanwhile:        $\(booked)")
    }

    private func whatNext(_ daemon: DemoDaemon) {
        Console.print("")
        Console.print(Style.output.paint("Next", .bold))
        if daemon.child != nil, !keep {
            Console.print("  tollgate serve --data \(data) &")
        }
        Console.print("  tollgate usage acme --tree --data \(data)")
        Console.print("  tollgate events --data \(data)")
        Console.print("  redis-cli -s \(daemon.socket) \\")
        Console.print("    RESERVE acme/internal-tools/prod deepseek-v3.2 in=1200 out=400")
        Console.print("    (429 with retry_after: its minute is still full of the demo's requests)")
        Console.print("")
    }

    private static func plain(_ value: Double) -> String {
        value == value.rounded() ? LoadReport.grouped(Int(value)) : "\(value)"
    }
}

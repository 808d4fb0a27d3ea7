import ArgumentParser
import Events

/// `tollgate apply`: a whole policy from one file.
struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make orgs, teams, keys, limits, permissions and prices as a file says.",
        discussion: """
            Compares the file with what the daemon has, prints the events that would be
            appended, asks, and appends them. Again with the same file: nothing to do.

            What the file leaves out of the orgs it names is never taken away silently:
            that needs --prune, which revokes keys, disables teams and removes limits.
            Orgs that the file does not name are left alone. What stands disabled or revoked
            in the daemon stays so until the file says otherwise.

            Examples:
              tollgate apply -f policy.yaml --dry-run
              tollgate apply -f policy.yaml --yes --reason 'Q4 budgets' > secrets.txt
              tollgate export policy > policy.yaml

            A file:
              orgs:
                acme:
                  zone: Europe/Berlin
                  limits: {usd.month: 5000}
                  teams:
                    ml-platform:
                      limits: {usd.day: 500, requests.minute: 1200, concurrency: 150}
                      models: [openai/gpt-4.1, anthropic/*]
                      keys:
                        prod: {owner: ana, environment: production}
              prices:
                openai/gpt-4.1: {in: 8, out: 24}
              aliases:
                gpt-4.1: openai/gpt-4.1
            """)
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("The policy file (YAML); - for stdin.", valueName: "file"))
    var file: String
    @Flag(help: "Append without asking.") var yes = false
    @Flag(help: "Print the plan and stop.") var dryRun = false
    @Flag(help: "Also take away what the file leaves out of its orgs.") var prune = false
    @Flag(help: "Take prices, too, that change more than a hundredfold.") var force = false
    @Option(help: ArgumentHelp("Why; it stands in every event.", valueName: "text"))
    var reason: String?

    func run() throws {
        let policy = try PolicyFile(of: file)
        let client = try connection.connect()
        let orgs = policy.accounts.filter { $0.tier == .org }.map(\.entry.name)
        let state = try PolicyState(client, orgs: orgs)
        let plan = PolicyPlan(policy, state)
        try refuse(plan)
        let steps = plan.steps + (prune ? plan.removals : [])
        show(steps, plan)
        guard !steps.isEmpty, !dryRun else {
            if format.json { report(steps, appended: [], refused: []) }
            return
        }
        if let user = state.user, let role = state.operators[user]?["role"]?.string, role != "admin"
        {
            throw CommandFailure(
                .noPermission,
                "operator \(user) is \(role), and only an admin appends all of this: --dry-run looks"
            )
        }
        try Confirmation.ask("Append them?", yes: yes, mayAsk: file != "-")
        try append(steps, client)
    }

    /// Nothing is appended while a part of the file cannot be had.
    private func refuse(_ plan: PolicyPlan) throws(CommandFailure) {
        if !plan.problems.isEmpty {
            for problem in plan.problems.prefix(20) { Console.error(problem) }
            throw CommandFailure(
                .data,
                "\(plan.problems.count) of the file's wishes cannot be met; nothing was appended"
            )
        }
        guard plan.removals.isEmpty || prune else {
            for removal in plan.removals.prefix(20) { Console.error(removal.what) }
            throw CommandFailure(
                .data,
                "the file leaves out \(plan.removals.count) things that the daemon has; nothing was "
                    + "appended: add them (tollgate export policy shows them), or say --prune")
        }
    }

    private static let shownMax = 200

    private func show(_ steps: [PolicyPlan.Step], _ plan: PolicyPlan) {
        for step in steps.prefix(Apply.shownMax) {
            Console.note("  \(Style.errors.paint("+", .green)) \(step.type)  \(step.what)")
        }
        if steps.count > Apply.shownMax {
            Console.note("  … and \(LoadReport.grouped(steps.count - Apply.shownMax)) more")
        }
        let counts = Dictionary(grouping: steps, by: \.type).map { ($0.key, $0.value.count) }
            .sorted { $0.0 < $1.0 }.map { "\(LoadReport.grouped($0.1)) \($0.0)" }
        Console.note(
            steps.isEmpty
                ? "nothing to do: \(LoadReport.grouped(plan.unchanged)) entries are as the file says"
                : "\(LoadReport.grouped(steps.count)) events: \(counts.joined(separator: ", "))")
    }

    /// One connection keeps the order, so a child may follow its parent at once; each answer waits for
    /// the disk, and many of them share a commit.
    private func append(_ steps: [PolicyPlan.Step], _ client: Client) throws(CommandFailure) {
        let progress = StepProgress("applying", of: steps.count)
        var requests: [[String]] = []
        for step in steps {
            var step = step
            step.payload.set("reason", reason)
            if force, step.type == "price.set" { step.payload["force"] = .bool(true) }
            requests.append(step.words)
        }
        var secrets: [(name: String, secret: String)] = []
        var refused: [String] = []
        var appended: [PolicyPlan.Step] = []
        for start in stride(from: 0, to: requests.count, by: 1_000) {
            let end = min(start + 1_000, requests.count)
            let replies: [Reply]
            do throws(CommandFailure) {
                replies = try client.pipeline(Array(requests[start..<end]))
            } catch {
                progress.clear()
                show(secrets)
                throw CommandFailure(
                    error.status,
                    "\(error.message); \(appended.count) of \(steps.count) events are appended: run it "
                        + "again for the rest")
            }
            for (step, reply) in zip(steps[start..<end], replies) {
                if case .error(let code, let text) = reply {
                    refused.append("\(step.what): \(code) \(text)")
                    continue
                }
                appended.append(step)
                let event = try Client.json(reply, of: "APPEND")
                if let secret = event["secret"]?.string {
                    secrets.append((event["account"]?.string ?? event.cell("operator"), secret))
                }
            }
            progress.show(end)
        }
        progress.clear()
        if format.json {
            report(steps, appended: secrets, refused: refused)
        } else {
            show(secrets)
        }
        Console.note("\(LoadReport.grouped(appended.count)) events appended")
        guard refused.isEmpty else {
            for line in refused.prefix(20) { Console.error(line) }
            throw CommandFailure(
                .failure, "the daemon refused \(refused.count) of \(steps.count) events")
        }
    }

    /// The secrets of what was made, this once: a name and a secret a line, and nothing else, on stdout.
    private func show(_ secrets: [(name: String, secret: String)]) {
        for entry in secrets { Console.print("\(entry.name)\t\(entry.secret)") }
        if !secrets.isEmpty {
            Console.note("This is the only time these secrets are shown: store them now.")
        }
    }
    private func report(
        _ steps: [PolicyPlan.Step], appended: [(name: String, secret: String)], refused: [String]
    ) {
        JSON.object([
            JSON.Member(
                "plan",
                .array(
                    steps.map {
                        .object([
                            JSON.Member("type", .string($0.type)),
                            JSON.Member("payload", $0.payload.json),
                        ])
                    })),
            JSON.Member(
                "secrets", .object(appended.map { JSON.Member($0.name, .string($0.secret)) })),
            JSON.Member("refused", .strings(refused)),
        ]).print()
    }
}

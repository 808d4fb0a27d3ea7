import ArgumentParser
import CEcho
import Events
import Glibc

/// `tollgate bench`: the figures of DESIGN.md section 11, each beside its peer in the same run.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this machine's Tollgate beside its peers.",
        discussion: """
            Starts daemons and peers of its own in a fresh directory, measures both
            sides of each ratio in alternating rounds, and prints a Markdown table:
            medians over the rounds, least and most in brackets. A ratio is one median
            over the other. Redis stands in the table if redis-server and
            redis-benchmark are installed, PostgreSQL if its server and pgbench are. What
            runs in this process (decide, fold) is measured in processor time, all else
            by the clock. A row that fails is said, and the others go on.

            Rows:
              \(Bench.listing)

            Close everything else first, neighbours move every figure; and build with
            -c release.

            Examples:
              tollgate bench
              tollgate bench --only decide --only fold --rounds 9
              tollgate bench --dir /var/lib --json --markdown table.md > bench.json
            """,
        subcommands: [BenchCounts.self, BenchChild.self]
    )

    @Option(
        name: .customLong("only"),
        help: ArgumentHelp("Only this row, by the name above; repeatable.", valueName: "row"))
    var only: [String] = []
    @Option(
        help: ArgumentHelp(
            "Rounds of each measurement (default: 5, with --smoke 1).", valueName: "n"))
    var rounds: Int?
    @Option(
        name: .customLong("dir"),
        help: ArgumentHelp(
            "Where the fresh directory is made; its filesystem is what is measured.",
            valueName: "dir"))
    var directory: String?
    @Flag(help: "Tiny counts, a few seconds: shows that it works, not how fast.")
    var smoke = false
    @Flag(help: "What takes longer than a coffee, too: what that is, each row says.")
    var long = false
    @Option(
        help: ArgumentHelp(
            "With --long: keep restart's log in this directory, 11 GB, and use it again.",
            valueName: "dir"))
    var log: String?
    @Option(help: ArgumentHelp("Write the table to this file, too.", valueName: "file"))
    var markdown: String?
    @OptionGroup var format: FormatOptions

    /// All there is to measure, in the order of the table. A new one needs its line here.
    static let tests: [any BenchTest] = [
        BenchRoundTrip(), BenchThroughput(), BenchHalfLoad(), BenchDatabase(), BenchDecide(),
        BenchPolicy(), BenchPairs(), BenchCommitter(), BenchGrowth(.keys), BenchGrowth(.holds),
        BenchGrowth(.connections),
        BenchSpin(), BenchFold(), BenchReplay(), BenchExport(), BenchAudited(), BenchRollups(),
        BenchDisk(),
        BenchRestart(), BenchMemory(),
    ]
    private static var listing: String {
        let width = tests.map { $0.name.count }.max() ?? 0
        return tests.map {
            $0.name.padded(to: width) + "  " + $0.summary
        }.joined(separator: "\n  ")
    }

    func validate() throws {
        let names = Bench.tests.map { $0.name }
        for name in only where !names.contains(name) {
            throw ValidationError("--only \(name): say \(names.joined(separator: ", "))")
        }
        guard (1...1_000).contains(rounds ?? 1) else {
            throw ValidationError("--rounds takes 1 to 1000")
        }
        guard !(smoke && long) else {
            throw ValidationError("--smoke and --long: say one of them")
        }
        guard log == nil || long else {
            throw ValidationError("--log is of the long log: say --long, too")
        }
    }

    func run() throws {
        Interrupt.catchSignals()
        signal(SIGPIPE, SIG_IGN)
        let context = try BenchContext(
            under: directory, scale: smoke ? .smoke : long ? .long : .usual,
            rounds: rounds ?? (smoke ? 1 : 5), log: log)
        defer { context.removeDirectory() }
        let rounds = context.rounds == 1 ? "1 round" : "\(context.rounds) rounds"
        context.note("in \(context.directory), \(rounds), \(BenchMachine.line)")
        #if DEBUG
        context.note("a debug build: its figures say nothing, build with -c release")
        #endif
        var report = BenchReport(isSmoke: smoke)
        var failed: [String] = []
        for test in Bench.tests
        where (only.isEmpty || only.contains(test.name)) && Interrupt.count == 0 {
            context.note("\(test.name): \(test.summary)")
            do {
                report.rows += try test.run(context)
            } catch {
                // A signal breaks off system calls, too; what then fails is not what is wrong.
                guard Interrupt.count == 0 else { break }
                failed.append(test.name)
                context.note("\(test.name) failed: \(error.message)")
            }
        }
        // What was measured before something went wrong took minutes: it is shown all the same.
        if format.json {
            report.json.print()
        } else if !report.rows.isEmpty {
            Console.print(report.markdown)
        }
        // A table that is there already is better than an empty one.
        if let markdown, !report.rows.isEmpty {
            try BenchProcess.File.write(report.markdown + "\n", to: markdown)
        }
        try context.checkInterrupt()
        guard failed.isEmpty else {
            throw CommandFailure(.failure, "not measured: \(failed.joined(separator: ", "))")
        }
    }
}

/// One measurement: a few rows of the table.
protocol BenchTest: Sendable {
    /// What `--only` calls it.
    var name: String { get }
    var summary: String { get }
    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow]
}

/// `tollgate bench child …`: what the bench runs as processes of their own.
struct BenchChild: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "child", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run() throws {
        tg_die_with_parent(SIGKILL)
        switch words.first {
        case "echo" where words.count == 2 || words.count == 4:
            let logs = words.count == 4
            let code = tg_echo_serve(
                words[1], logs ? words[2] : nil, logs ? words[3] : nil)
            throw CommandFailure(.cannotCreate, "\(words[1]): \(String(cString: strerror(code)))")
        case "keys" where words.count == 2:
            try Console.print(String(BenchMemory.residentBytesAfter(keys: Int(words[1]) ?? 0)))
        case "work" where words.count == 2:
            // Without valgrind nobody counts, so a little of it shows that it works.
            try BenchWork.run(in: words[1], isSmoke: tg_is_counted() == 0)
        case "run" where words.count >= 2: throw Self.become(words.dropFirst())
        case "as" where words.count >= 3:
            guard let user = BenchUser(named: words[1]),
                setgroups(0, nil) == 0, setgid(user.gid) == 0, setuid(user.uid) == 0,
                chdir("/") == 0
            else {
                throw CommandFailure(
                    .noPermission,
                    "cannot become \(words[1]): \(String(cString: strerror(errno)))")
            }
            // Whoever becomes somebody else is forgotten by the kernel; and a database wants to end
            // in order.
            tg_die_with_parent(SIGINT)
            throw Self.become(words.dropFirst(2))
        default: throw CommandFailure(.usage, "this is for 'tollgate bench' to use")
        }
    }
    /// Turns this process into another program; answers only when it cannot.
    private static func become(_ words: ArraySlice<String>) -> CommandFailure {
        let copies: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        if let program = copies[0] { execvp(program, copies) }
        let program = words.first ?? ""
        return CommandFailure(
            .unavailable, "cannot run \(program): \(String(cString: strerror(errno)))")
    }
}

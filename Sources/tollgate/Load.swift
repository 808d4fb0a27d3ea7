import ArgumentParser
import Events

/// `tollgate load TRACE.csv`: real traffic from a recorded trace.
struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drive a recorded trace of LLM requests through the daemon.",
        discussion: """
            Reads TIMESTAMP,ContextTokens,GeneratedTokens (the form of the Azure LLM inference
            traces), gives the requests to the keys in turn, RESERVEs each at its time, waits as
            long as the upstream call would take, and SETTLEs it with its real tokens.

            With --speed 1 or more the requests come when the trace says (--speed times faster),
            whether or not the daemon keeps up, and latency counts from that moment. With --speed
            0 they come as fast as answers do, at most --in-flight at once, settled at once.
            Half of the connections carry RESERVEs, the others the SETTLEs, which wait for the
            disk.

            Example:
              tollgate load azure-llm-code-2023.csv --key acme/ml/prod --key acme/ml/dev \\
                --model openai/gpt-4.1 --speed 60
            """
    )

    @Argument(help: ArgumentHelp("The trace, or - for standard input.", valueName: "trace.csv"))
    var trace: String
    @Option(
        name: .customLong("key"),
        help: ArgumentHelp(
            "A key by its path or secret, or key=model; repeatable.", valueName: "key[=model]"))
    var keys: [String] = []
    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "The keys take these in turn; repeatable.", valueName: "model"))
    var models: [String] = []
    @Option(
        help: ArgumentHelp(
            "How many times faster than recorded; 0: as fast as it goes.", valueName: "factor"))
    var speed: Double = 1
    @Option(help: ArgumentHelp("Only the first N requests.", valueName: "n"))
    var limitRequests: Int?
    @Option(help: ArgumentHelp("Connections to the daemon, 1 to 32.", valueName: "n"))
    var connections: Int = 4
    @Option(help: ArgumentHelp("Open requests at --speed 0, at most.", valueName: "n"))
    var inFlight: Int = 256
    @Option(
        help: ArgumentHelp(
            "Upstream time of every request, not scaled by --speed; default: 20 ms and 10 ms a "
                + "generated token, scaled, and none at --speed 0.", valueName: "ms"))
    var holdTime: Double?
    @Option(
        help: ArgumentHelp(
            "The out= of every RESERVE; default: the next power of two.", valueName: "tokens"))
    var outBound: Int64?
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func validate() throws {
        guard speed >= 0, speed <= 1e9 else {
            throw ValidationError("--speed takes 0 (as fast as it goes) or a factor such as 60")
        }
        guard (1...32).contains(connections) else {
            throw ValidationError("--connections takes 1 to 32")
        }
        guard (1...100_000).contains(inFlight) else {
            throw ValidationError("--in-flight takes 1 to 100000")
        }
        guard limitRequests ?? 1 > 0 else {
            throw ValidationError("--limit-requests takes a number above 0")
        }
        guard (0...3_600_000).contains(holdTime ?? 0) else {
            throw ValidationError("--hold-time takes milliseconds, at most an hour of them")
        }
        guard (0...Bounds.tokensMax).contains(outBound ?? 0) else {
            throw ValidationError("--out-bound takes 0 to \(Bounds.tokensMax) tokens")
        }
    }

    func run() throws {
        let targets = try LoadTarget.pairs(keys: keys, models: models)
        let target = try connection.target()
        var trace = try Trace(path: trace)
        if let limitRequests { trace = trace.prefix(limitRequests) }
        let shape = LoadShape(
            speed: speed, openMax: inFlight, outputBound: outBound, holdMilliseconds: holdTime)
        let progress = LoadProgress("load")
        Interrupt.catchSignals()
        let result = try LoadRun(
            shape.plan(trace, over: targets), target: target, connections: connections,
            progress: progress.show
        ).run()
        progress.clear()

        let report = LoadReport(result)
        if format.json { report.json.print() } else { report.print() }
        if let failure = result.failure { throw failure }
        if result.wasInterrupted {
            Console.note(
                "interrupted after \(LoadReport.grouped(result.sent)) of "
                    + "\(LoadReport.grouped(result.planned)) requests")
        }
        if result.errors > 0 {
            throw CommandFailure(
                .failure,
                result.errors == 1
                    ? "the daemon answered an error"
                    : "the daemon answered \(LoadReport.grouped(result.errors)) errors")
        }
    }
}

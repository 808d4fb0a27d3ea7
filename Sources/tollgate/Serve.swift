import ArgumentParser
import Gate
import Ledger
import Logging

/// `tollgate serve`: the daemon itself, until SIGTERM or SIGINT.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the daemon until SIGTERM.",
        discussion: """
            Examples:
              tollgate serve
              tollgate serve --data /var/lib/tollgate --socket /run/tollgate/tollgate.sock
              TOLLGATE_RING_MIB=128 tollgate serve --tcp 127.0.0.1:7070

            Each setting is a flag, a variable (--ring-mib, TOLLGATE_RING_MIB) or a member
            of the config file ({"ring_mib": 128}); flags come before variables, variables
            before the file. On SIGTERM it stops accepting, answers what it has read,
            commits, writes a checkpoint and ends with 0.
            """
    )

    @Option(
        help: ArgumentHelp(
            "Where journal, ring and checkpoints are (default: \(Settings.dataDefault)).",
            valueName: "dir"))
    var data: String?
    @Option(help: ArgumentHelp("The Unix socket (default: DIR/tollgate.sock).", valueName: "path"))
    var socket: String?
    @Option(
        help: ArgumentHelp(
            "Listen on TCP, too; every TCP client must log in.", valueName: "host:port"))
    var tcp: String?
    @Option(
        help: ArgumentHelp(
            "A config file (JSON); default: DIR/tollgate.json if there is one.", valueName: "file"))
    var config: String?
    @Flag(
        help: """
            Go on from a restored backup, in an epoch of its own: only once, and only when \
            the original has stopped for good.
            """)
    var fromBackup = false
    @Option(help: ArgumentHelp("Size of the ring, in MiB (default: 64).", valueName: "n"))
    var ringMib: String?
    @Option(
        help: ArgumentHelp("Most the journal may grow to, in GiB (default: 1024).", valueName: "n"))
    var mapGib: String?
    @Option(
        help: ArgumentHelp(
            "Refuse reserves when less of the disk is free, in MiB (default: 64).", valueName: "n"))
    var pauseBelowMib: String?
    @Option(
        help: ArgumentHelp(
            "How long a commit may wait for company, in microseconds (default: 2000).",
            valueName: "n"))
    var lingerUs: String?
    @Option(help: ArgumentHelp("Most connections at a time (default: 10000).", valueName: "n"))
    var connectionsMax: String?
    @Option(
        help: ArgumentHelp(
            "Most requests of a team that wait for room (default: 1000).", valueName: "n"))
    var waitingMax: String?
    @Option(
        help: ArgumentHelp("Events between checkpoints (default: 1000000).", valueName: "n"))
    var checkpointEvents: String?
    @Option(
        help: ArgumentHelp(
            "Seconds that an unfinished line may take (default: 30).", valueName: "n"))
    var idleLineSeconds: String?
    @Option(
        help: ArgumentHelp(
            "Seconds that a connection may take to authenticate (default: 10).", valueName: "n"))
    var authSeconds: String?
    @Option(
        help: ArgumentHelp(
            """
            Look for the next request this long before sleeping, in microseconds \
            (default: 0, sleep at once). Adaptive: only while requests follow one another \
            within it. Saves a wake-up a request; keeps a core busy meanwhile, so it \
            needs one to spare.
            """,
            valueName: "n"))
    var spinUs: String?
    @Option(
        help: ArgumentHelp("Threads that serve what scans the log (default: 2).", valueName: "n"))
    var readers: String?
    @Option(
        help: ArgumentHelp(
            "trace, debug, info, notice, warning, error or critical (default: info).",
            valueName: "level"))
    var logLevel: String?
    @Option(
        help: ArgumentHelp(
            "Log lines for people, or JSON for machines: text or json (default: text).",
            valueName: "format"))
    var logFormat: String?
    @Flag(
        help: "Make the roll-ups anew from the whole log first.")
    var reindex = false

    func run() throws {
        let settings = try Settings(
            flags: [
                .data: data, .socket: socket, .tcp: tcp, .ringMebibytes: ringMib,
                .mapGibibytes: mapGib, .pauseBelowMebibytes: pauseBelowMib,
                .lingerMicroseconds: lingerUs, .connectionsMax: connectionsMax,
                .waitingMax: waitingMax, .checkpointEvents: checkpointEvents,
                .idleLineSeconds: idleLineSeconds,
                .authSeconds: authSeconds, .spinMicroseconds: spinUs, .readers: readers,
                .logLevel: logLevel, .logFormat: logFormat,
            ],
            configFile: config)
        var options = try Self.options(settings)
        options.makesRollupsAnew = reindex
        // No setting: what stays in a file would be said for the next restored backup, too.
        options.goesOnFromBackup = fromBackup
        let (logger, queue) = try Self.log(settings)
        // What ends us is told on stderr, too, and after all that came before it.
        defer { queue.finish() }
        do throws(DaemonFailure) {
            try Daemon.run(
                options, calendar: .foundation, version: Tollgate.version, logger: logger,
                problems: { queue.problems })
        } catch {
            throw CommandFailure(
                ExitStatus(rawValue: error.exitCode) ?? .software, error.message)
        }
    }

    private static func options(_ settings: Settings) throws(CommandFailure) -> DaemonOptions {
        var options = DaemonOptions(dataDirectory: settings.dataDirectory)
        options.socketPath = settings.socketPath
        if let (host, port) = try settings.tcpAddress() {
            options.tcpHost = host
            options.tcpPort = port
        }
        func take(
            _ setting: Setting, _ range: ClosedRange<Int>,
            _ field: WritableKeyPath<DaemonOptions, Int>
        ) throws(CommandFailure) {
            if let value = try settings.whole(setting, range) { options[keyPath: field] = value }
        }
        try take(.ringMebibytes, 1...65_536, \.ringMebibytes)
        try take(.mapGibibytes, 1...65_536, \.mapGibibytes)
        try take(.pauseBelowMebibytes, 1...1_048_576, \.pauseBelowMebibytes)
        try take(.lingerMicroseconds, 0...1_000_000, \.lingerMicroseconds)
        try take(.connectionsMax, 1...1_000_000, \.connectionsMax)
        try take(.waitingMax, 0...1_000_000, \.waitingMax)
        try take(.checkpointEvents, 1_000...1_000_000_000, \.checkpointEvents)
        try take(.idleLineSeconds, 1...86_400, \.idleLineSeconds)
        try take(.authSeconds, 1...86_400, \.authSeconds)
        try take(.spinMicroseconds, 0...1_000_000, \.spinMicroseconds)
        try take(.readers, 1...64, \.readers)
        return options
    }
    private static func log(
        _ settings: Settings
    ) throws(CommandFailure) -> (logger: Logger, queue: LogQueue) {
        let name = settings.text(.logLevel) ?? "info"
        guard let level = Logger.Level(rawValue: name) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw settings.bad(.logLevel, "say \(known)")
        }
        guard let format = LineLog.Format(rawValue: settings.text(.logFormat) ?? "text") else {
            throw settings.bad(.logFormat, "say text or json")
        }
        let queue = LogQueue(format: format)
        let handler = LineLog(level: level, format: format, queue: queue)
        return (Logger(label: "tollgate") { _ in handler }, queue)
    }
}

import ArgumentParser
import CLinux
import Events
import Glibc

/// `tollgate doctor`
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a data directory, the machine and the daemon, and say what to mend.",
        discussion: """
            Examples:
              tollgate doctor
              tollgate doctor --data /var/lib/tollgate --socket /run/tollgate/tollgate.sock
              tollgate doctor --json

            It only looks, but for a small file that it writes and removes to time the
            disk, and may run beside the daemon; run it as root or as the daemon's user.
            Unless --quick, every page of the journal and every event's checksum is
            verified. The exit code is 1 when something fails, and 0 otherwise.
            """
    )

    @Option(
        help: ArgumentHelp(
            "The data directory (default: \(Settings.dataDefault)).", valueName: "dir"))
    var data: String?
    @Option(help: ArgumentHelp("The Unix socket (default: DIR/tollgate.sock).", valueName: "path"))
    var socket: String?
    @Flag(help: "Do not read the whole journal.")
    var quick = false
    @OptionGroup var format: FormatOptions

    func run() throws {
        let settings = try Settings(
            flags: [.data: data, .socket: socket], configFile: nil, mayReadDefaultFile: false)
        // A damaged page can make LMDB read where nothing is; that is a finding, too.
        Self.memoryFault.utf8Start.withMemoryRebound(
            to: CChar.self, capacity: Self.memoryFault.utf8CodeUnitCount + 1
        ) { tg_explain_memory_faults($0, ExitStatus.failure.rawValue) }
        // Under systemd the socket is not in the data directory.
        var socket = settings.socketPath
        if self.socket == nil, access(socket, F_OK) != 0, access(Self.systemdSocket, F_OK) == 0 {
            socket = Self.systemdSocket
        }
        var examination = Examination(
            directory: settings.dataDirectory, socket: socket,
            pauseBelow: Int64(try settings.whole(.pauseBelowMebibytes, 1...1_048_576) ?? 64) << 20,
            connections: try settings.whole(.connectionsMax, 1...1_000_000) ?? 10_000,
            prints: !format.json)
        examination.lookAtDirectory(reads: !quick)
        examination.lookAtMachine()
        examination.lookAtDaemon()
        if format.json { examination.json.print() }
        let failed = examination.findings.count { $0.verdict == .fail }
        guard failed > 0 else { return }
        throw CommandFailure(.failure, failed == 1 ? "1 check fails" : "\(failed) checks fail")
    }

    /// Where deploy/systemd/tollgate.socket listens.
    private static let systemdSocket = "/run/tollgate/tollgate.sock"
    private static let memoryFault: StaticString = """
        fail  journal: a page of it could not be read, for it is damaged or the disk fails
              fix: check the disk (dmesg, smartctl), then restore the data directory from a backup

        """
}

/// One visit of the doctor: what is looked at, and what was found.
struct Examination {
    struct Finding {
        enum Verdict: String {
            case ok
            case warn
            case fail
        }
        var verdict: Verdict
        var check: String
        var text: String
        /// What to do about it; nothing when all is well.
        var fix: String?
    }
    let directory: String
    let socket: String
    /// Reserves pause when less of the disk is free, in bytes.
    let pauseBelow: Int64
    let connections: Int
    /// Each finding at once, so that what ends us early does not take the earlier ones along.
    let prints: Bool
    private(set) var findings: [Finding] = []
    /// Whether the data directory is there and can be looked into.
    var isInside = false
    /// Whether it is a backup, which no daemon ever serves.
    var isBackup = false
    /// The daemon that holds the directory's lock, once that was looked at.
    var daemon: Int32?

    init(directory: String, socket: String, pauseBelow: Int64, connections: Int, prints: Bool) {
        self.directory = directory
        self.socket = socket
        self.pauseBelow = pauseBelow
        self.connections = connections
        self.prints = prints
    }

    mutating func ok(_ check: String, _ text: String) {
        add(Finding(verdict: .ok, check: check, text: text))
    }
    mutating func warn(_ check: String, _ text: String, fix: String) {
        add(Finding(verdict: .warn, check: check, text: text, fix: fix))
    }
    mutating func fail(_ check: String, _ text: String, fix: String) {
        add(Finding(verdict: .fail, check: check, text: text, fix: fix))
    }
    private mutating func add(_ finding: Finding) {
        findings.append(finding)
        guard prints else { return }
        let ink: Style.Ink =
            switch finding.verdict {
            case .ok: .green
            case .warn: .yellow
            case .fail: .red
            }
        let verdict = finding.verdict.rawValue
        let padding = String(repeating: " ", count: 6 - verdict.count)
        Console.print(
            Style.output.paint(verdict, ink) + padding
                + Table.inOneLine("\(finding.check): \(finding.text)"))
        if let fix = finding.fix { Console.print("      fix: " + Table.inOneLine(fix)) }
        Console.flush()
    }
    /// `{"findings":[…],"ok":9,"warn":1,"fail":0}`
    var json: JSON {
        func count(_ verdict: Finding.Verdict) -> JSON {
            .integer(Int64(findings.count { $0.verdict == verdict }))
        }
        let list = findings.map { finding in
            var members = [
                JSON.Member("verdict", .string(finding.verdict.rawValue)),
                JSON.Member("check", .string(finding.check)),
                JSON.Member("finding", .string(finding.text)),
            ]
            if let fix = finding.fix { members.append(JSON.Member("fix", .string(fix))) }
            return JSON.object(members)
        }
        return .object([
            JSON.Member("findings", .array(list)), JSON.Member("ok", count(.ok)),
            JSON.Member("warn", count(.warn)), JSON.Member("fail", count(.fail)),
        ])
    }
}

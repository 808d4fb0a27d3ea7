import CLinux
import Events
import Foundation
import Glibc

/// A process that the bench started: killed when its owner lets go of it, and by the kernel should
/// the bench itself be killed.
final class BenchProcess {
    let pid: pid_t
    private var hasEnded = false
    private let output: String

    private static let pollMicroseconds: UInt32 = 1_000
    /// A ledger of a million keys has something to read, and a busy machine takes its time; what
    /// fails to start ends, and is noticed at once.
    private static let startSecondsMax: Int64 = 120

    /// - Parameter output: the file that takes its stdout and stderr.
    init(_ words: [String], output: String) throws(CommandFailure) {
        self.output = output
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(
            &files, 2, output + ".err", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let arguments = ["tollgate", "bench", "child"] + words
        let copies: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        var started: pid_t = 0
        let code = posix_spawn(&started, "/proc/self/exe", &files, nil, copies, environ)
        guard code == 0 else {
            throw CommandFailure(
                .software,
                "cannot start \(words.joined(separator: " ")): "
                    + String(cString: strerror(code)))
        }
        pid = started
    }
    deinit { end(SIGKILL) }

    /// Sends a signal and waits for the end.
    func end(_ number: Int32) {
        guard !hasEnded else { return }
        kill(pid, number)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        hasEnded = true
    }

    var isRunning: Bool {
        var status: Int32 = 0
        if !hasEnded, waitpid(pid, &status, WNOHANG) == pid { hasEnded = true }
        return !hasEnded
    }

    /// How long its threads have been on a processor.
    var busySeconds: Double {
        // The program's name, which may hold anything, ends with the last parenthesis.
        let fields =
            File.text("/proc/\(pid)/stat").split(separator: ")").last?
            .split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// What it holds of memory of its own: without the files that it maps, which the kernel may take back.
    var ownBytes: Int {
        let line = File.text("/proc/\(pid)/status").split(separator: "\n").first {
            $0.hasPrefix("RssAnon:")
        }
        return line.flatMap { Int($0.filter(\.isNumber)) }.map { $0 << 10 } ?? 0
    }

    /// Waits until it has ended by itself; an interrupt ends it.
    ///
    /// - Parameter watch: is called again and again while it runs.
    func finish(_ context: BenchContext, watch: () -> Void = {}) throws(CommandFailure) {
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            try context.checkInterrupt()
            watch()
            usleep(Self.pollMicroseconds)
        }
        hasEnded = true
        guard status == 0 else {
            let signal = status & 0x7F
            let how =
                signal == 0 ? "ended with status \(status >> 8)" : "was ended by signal \(signal)"
            let said = File.text(output + ".err").trimmingCharacters(in: .whitespacesAndNewlines)
            throw CommandFailure(.software, "a peer \(how): \(said)")
        }
    }

    /// Waits until something answers at a socket.
    func waitFor(_ socket: String, _ context: BenchContext) throws(CommandFailure) {
        let deadline = monotonicNanoseconds() + Self.startSecondsMax * 1_000_000_000
        while true {
            do throws(CommandFailure) {
                // The echo server answers a PING as well: with itself, which is no reply.
                let client = try Client(.unix(socket))
                if !socket.hasSuffix(BenchPeers.echoSuffix) { _ = try client.call(["PING"]) }
                return
            } catch {
                try context.checkInterrupt()
                guard isRunning, monotonicNanoseconds() < deadline else {
                    throw CommandFailure(
                        .unavailable,
                        "what should answer at \(socket) does not: "
                            + File.text(output + ".err") + File.text(output))
                }
            }
            usleep(Self.pollMicroseconds)
        }
    }

    /// Small files as text.
    enum File {
        static func text(_ path: String) -> String {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return "" }
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            let n = read(descriptor, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(n, 0)), as: UTF8.self)
        }
        static func size(_ path: String) -> Int {
            var status = stat()
            return stat(path, &status) == 0 ? Int(status.st_size) : 0
        }
        static func write(_ text: String, to path: String) throws(CommandFailure) {
            do {
                try text.write(toFile: path, atomically: false, encoding: .utf8)
            } catch {
                throw CommandFailure(.cannotCreate, "cannot write \(path): \(error)")
            }
        }
    }
}

/// Another user of this machine.
struct BenchUser {
    let name: String
    let uid: uid_t
    let gid: gid_t

    init?(named name: String) {
        guard let found = getpwnam(name)?.pointee else { return nil }
        self.name = name
        uid = found.pw_uid
        gid = found.pw_gid
    }
    static var current: BenchUser? {
        getpwuid(geteuid()).flatMap { BenchUser(named: String(cString: $0.pointee.pw_name)) }
    }
}

/// The servers that are measured, started in the run's directory.
enum BenchPeers {
    static let echoSuffix = "echo.sock"

    /// A running server and its socket.
    struct Server {
        let process: BenchProcess
        let socket: String
    }

    /// The C echo server; one that logs what it answers, as any ledger must, decides nothing either.
    static func echo(
        _ context: BenchContext, logging: Bool = false
    ) throws(CommandFailure) -> Server {
        let name = logging ? "logging-" : ""
        let socket = context.path(name + echoSuffix)
        unlink(socket)
        let files = logging ? [context.path("echo.bytes"), context.path("echo.ring")] : []
        let process = try BenchProcess(
            ["echo", socket] + files, output: context.path(name + "echo.log"))
        try process.waitFor(socket, context)
        return Server(process: process, socket: socket)
    }

    /// A Redis that writes nothing to disk; nil when none is installed.
    static func redis(_ context: BenchContext) throws(CommandFailure) -> Server? {
        guard isInstalled("redis-server") else { return nil }
        let socket = context.path("redis.sock")
        unlink(socket)
        let process = try BenchProcess(
            [
                "run", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                "--appendonly", "no", "--dir", context.directory,
            ], output: context.path("redis.log"))
        try process.waitFor(socket, context)
        return Server(process: process, socket: socket)
    }

    /// A daemon with its data in `directory`.
    static func tollgate(
        _ context: BenchContext, in directory: String, flags: [String] = []
    ) throws(CommandFailure) -> Server {
        let socket = directory + "/tollgate.sock"
        let process = try BenchProcess(
            ["run", "/proc/self/exe", "serve", "--data", directory] + flags,
            output: directory + ".log")
        try process.waitFor(socket, context)
        return Server(process: process, socket: socket)
    }

    static func isInstalled(_ program: String) -> Bool {
        searchPath.contains { access("\($0)/\(program)", X_OK) == 0 }
    }
    static var searchPath: [String] {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").map(String.init)
    }
    static let noRedis = "redis-server is not installed"
}

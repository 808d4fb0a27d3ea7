import CLinux
import Glibc

/// The daemon of a demo: one that runs already, or a child process of our own.
struct DemoDaemon {
    let target: Target
    let socket: String
    /// Where a child writes its log.
    let log: String
    /// Nil when the daemon was there before us.
    let child: pid_t?
    /// How long the child took until it answered.
    let startNanoseconds: Int64

    private static let startSecondsMax: Int64 = 20
    private static let stopSecondsMax: Int64 = 30
    private static let pollMicroseconds: UInt32 = 5_000
    /// POSIX_SPAWN_SETSID of <spawn.h>, the same in glibc and musl. A session of its own keeps the
    /// terminal's Ctrl-C from the daemon: the demo stops it in order, after its own last words.
    private static let newSession: Int16 = 0x80

    /// Finds a daemon in `directory` or starts one.
    init(directory: String) throws(CommandFailure) {
        let base = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
        socket = base + "/tollgate.sock"
        log = base + "/daemon.log"
        target = .unix(socket)
        do {
            let client = try Client(target)
            _ = try client.call(["PING"]).orFailure()
            child = nil
            startNanoseconds = 0
            return
        } catch  where error.status == .unavailable {
            // Nobody there: that is what a fresh machine looks like.
        }
        guard mkdir(base, 0o700) == 0 || errno == EEXIST else {
            throw CommandFailure(
                .cannotCreate, "cannot create \(base): \(String(cString: strerror(errno)))")
        }
        let start = monotonicNanoseconds()
        let pid = try Self.spawn(data: base, socket: socket, log: log)
        try Self.waitUntilItAnswers(pid, target, log)
        child = pid
        startNanoseconds = monotonicNanoseconds() - start
    }

    private static func spawn(
        data: String, socket: String, log: String
    ) throws(CommandFailure) -> pid_t {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&files, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, newSession)

        let arguments = ["tollgate", "serve", "--data", data, "--socket", socket]
        let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, words, environ)
        guard code == 0 else {
            throw CommandFailure(
                .software, "cannot start a daemon: \(String(cString: strerror(code)))")
        }
        return pid
    }

    private static func waitUntilItAnswers(
        _ pid: pid_t, _ target: Target, _ log: String
    ) throws(CommandFailure) {
        let deadline = monotonicNanoseconds() + startSecondsMax * 1_000_000_000
        while true {
            do {
                _ = try Client(target).call(["PING"]).orFailure()
                return
            } catch  where error.status == .unavailable || error.status == .tryAgain {
                // Not yet.
            }
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                throw CommandFailure(
                    .unavailable,
                    "the daemon did not start, it \(describe(status)); its log (\(log)) ends:\n"
                        + lastLines(of: log))
            }
            guard monotonicNanoseconds() < deadline, Interrupt.count == 0 else {
                kill(pid, SIGTERM)
                waitpid(pid, &status, 0)
                throw Interrupt.count > 0
                    ? CommandFailure(.failure, "interrupted")
                    : CommandFailure(
                        .unavailable,
                        "the daemon did not answer within \(startSecondsMax) seconds; see \(log)")
            }
            usleep(pollMicroseconds)
        }
    }

    /// Stops a child with SIGTERM and says how it ended; nil when the daemon is not ours.
    func stop() throws(CommandFailure) -> String? {
        guard let child else { return nil }
        kill(child, SIGTERM)
        let deadline = monotonicNanoseconds() + Self.stopSecondsMax * 1_000_000_000
        var status: Int32 = 0
        while waitpid(child, &status, WNOHANG) == 0 {
            guard monotonicNanoseconds() < deadline else {
                throw CommandFailure(
                    .software,
                    "the daemon (pid \(child)) goes on \(Self.stopSecondsMax) seconds after SIGTERM; "
                        + "see \(log)")
            }
            usleep(Self.pollMicroseconds)
        }
        let text = Self.describe(status)
        guard status == 0 else {
            throw CommandFailure(
                .software, "the daemon \(text) instead of ending in order; see \(log)")
        }
        return text
    }

    /// A wait status in words: its low seven bits are the signal, the byte above the exit code.
    private static func describe(_ status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0
            ? "exited with \((status >> 8) & 0xFF)"
            : "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
    }

    private static func lastLines(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "  (no log)" }
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        lseek(descriptor, max(end - 2_000, 0), SEEK_SET)
        var bytes = [UInt8](repeating: 0, count: 2_000)
        let n = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(n, 0)), as: UTF8.self)
            .split(separator: "\n").suffix(5).map { "  \($0)" }.joined(separator: "\n")
    }
}

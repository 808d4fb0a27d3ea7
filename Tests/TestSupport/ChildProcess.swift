internal import CLinux
internal import Foundation
internal import Glibc
internal import Synchronization

/// A program that a test starts; its three files are all that it shares with this process.
///
/// `posix_spawn` rather than Foundation's `Process`, whose waiting needs a run loop on the thread
/// that started it, and tests move between threads.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let output: String
    private let errors: String
    private let ended = Mutex<Int32?>(nil)

    /// A product of this package, by its name: it lies beside the test bundle.
    package static func built(_ name: String) -> String {
        let runner =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return [CommandLine.arguments[0], runner]
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent().path + "/" + name }
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? name
    }

    /// Starts `words`, looked up in PATH. Standard output and standard error go to files in `scratch`
    /// whose names begin with `name`; the environment is nothing but PATH, what is given, and what a
    /// sanitizer must know.
    ///
    /// - Parameter inherits: leaves it what descriptors this process happens to have; tests beside this one
    ///   open some that are not closed on exec, and a child with few to spend would find them taken.
    package init(
        _ words: [String], environment: [String: String] = [:], input: String = "/dev/null",
        in scratch: Scratch, name: String = "child", inherits: Bool = false
    ) throws {
        let unique = scratch.file("\(name)-\(UInt32.random(in: 0 ... .max))")
        output = unique + ".out"
        errors = unique + ".err"
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        let fresh = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&files, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, output, fresh, 0o600)
        posix_spawn_file_actions_addopen(&files, 2, errors, fresh, 0o600)
        if !inherits { tg_spawn_close_from(&files, 3) }
        let sanitizers = ProcessInfo.processInfo.environment.filter {
            $0.key == "ASAN_OPTIONS" || $0.key == "TSAN_OPTIONS"
        }
        let variables = ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"].merging(sanitizers) { $1 }
            .merging(environment) { $1 }
        var arguments = words.map { strdup($0) } + [nil]
        var settings = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + settings { free(text) } }
        // A test's thread may block signals, and a child inherits what its parent blocks.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let failed = posix_spawnp(&pid, words[0], &files, &attributes, &arguments, &settings)
        guard failed == 0 else { throw POSIXError(POSIXErrorCode(rawValue: failed) ?? .EIO) }
        self.pid = pid
    }
    deinit {
        if status == nil {
            Glibc.kill(pid, SIGKILL)
            _ = try? wait()
        }
    }

    package func signal(_ number: Int32) {
        if status == nil { kill(pid, number) }
    }
    /// How it ended, if it has: its exit code, or 128 and the signal that ended it.
    package var status: Int32? {
        ended.withLock { ended in
            var raw: Int32 = 0
            if ended == nil, waitpid(pid, &raw, WNOHANG) == pid {
                ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
            }
            return ended
        }
    }
    /// Waits for its end.
    @discardableResult
    package func wait(seconds: Int = 60) throws -> Int32 {
        try poll(seconds: seconds, "the end of process \(pid)") { status }
    }
    package var standardOutput: String {
        (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
    }
    package var standardError: String {
        (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
    }
}

/// What a test waited for did not come.
package struct Overdue: Error, CustomStringConvertible {
    package let description: String
}

/// By how much every deadline is longer: `TOLLGATE_PATIENCE=20` on a machine that may stand still for
/// minutes, where waiting in vain says nothing of the daemon.
package let patienceFactor =
    ProcessInfo.processInfo.environment["TOLLGATE_PATIENCE"].flatMap { Int($0) } ?? 1

/// Asks until there is an answer, for conditions that nobody announces.
package func poll<Value>(
    seconds: Int = 30, _ what: String, until condition: () throws -> Value?
) throws -> Value {
    let seconds = seconds * patienceFactor
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
        if let value = try condition() { return value }
        usleep(2_000)
    }
    throw Overdue(description: "waited \(seconds) s for \(what)")
}

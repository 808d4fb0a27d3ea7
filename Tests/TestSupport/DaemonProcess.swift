internal import Foundation
internal import Glibc

/// A running `tollgate serve` on a directory of its own; killed with its owner.
package final class DaemonProcess: Sendable {
    package let scratch: Scratch
    package let process: ChildProcess
    package let socketPath: String

    /// The data directory, the same for every daemon that is started in this scratch.
    package var dataPath: String { scratch.file("data") }

    /// Starts the built daemon and waits until its socket answers.
    ///
    /// - Parameters:
    ///   - wrapper: what comes before `tollgate`: `["prlimit", "--nofile=64"]`.
    ///   - data: the data directory, when it is not `data` in the scratch.
    ///   - inherits: leaves it this process's descriptors, for sockets that are handed over.
    ///   - binary: the program; the one beside the test bundle, or TOLLGATE_BINARY.
    package init(
        _ flags: [String] = [], in scratch: Scratch? = nil, wrapper: [String] = [],
        environment: [String: String] = [:], data: String? = nil, socket: String? = nil,
        inherits: Bool = false
    ) throws {
        let scratch = try scratch ?? Scratch()
        let data = data ?? scratch.file("data")
        self.scratch = scratch
        socketPath = socket ?? data + "/tollgate.sock"
        process = try DaemonProcess.spawn(
            flags, scratch, wrapper, environment, data, socket, inherits)
        let (process, path) = (process, socketPath)
        try poll(seconds: 60, "the socket of the daemon") {
            if let status = process.status {
                throw DaemonEnded(status: status, errors: process.standardError)
            }
            return try? Client(path)
        }.close()
    }
    /// Starts a daemon that will not serve, and says how it ended.
    package static func failure(
        _ flags: [String] = [], in scratch: Scratch, data: String? = nil, socket: String? = nil
    ) throws -> DaemonEnded {
        let process = try spawn(
            flags, scratch, [], [:], data ?? scratch.file("data"), socket, false)
        return DaemonEnded(status: try process.wait(), errors: process.standardError)
    }
    private static func spawn(
        _ flags: [String], _ scratch: Scratch, _ wrapper: [String], _ environment: [String: String],
        _ data: String, _ socket: String?, _ inherits: Bool
    ) throws -> ChildProcess {
        let named = socket.map { ["--socket", $0] } ?? []
        return try ChildProcess(
            wrapper + [binary, "serve", "--data", data] + named + flags, environment: environment,
            in: scratch, name: "daemon", inherits: inherits)
    }
    /// The `tollgate` under test: the built one, or what TOLLGATE_BINARY names.
    package static let binary =
        ProcessInfo.processInfo.environment["TOLLGATE_BINARY"] ?? ChildProcess.built("tollgate")

    /// What the daemon is run under for a disk that hangs or a clock that is wrong (Tests/CTrouble): whose
    /// files decide.
    package static func trouble(_ files: [String: String]) -> [String: String] {
        files.merging(["LD_PRELOAD": ChildProcess.built("libCTrouble.so")]) { $1 }
    }

    package func client() throws -> Client { try Client(socketPath) }
    /// What it has logged.
    package var errors: String { process.standardError }

    /// SIGTERM; the exit code once it has drained.
    @discardableResult
    package func stop() throws -> Int32 {
        process.signal(SIGTERM)
        return try process.wait()
    }
    /// SIGKILL, in the middle of whatever it does.
    package func kill() throws {
        process.signal(SIGKILL)
        try process.wait()
    }
}

/// How a daemon ended that should, or should not, have served.
package struct DaemonEnded: Error, CustomStringConvertible {
    package let status: Int32
    package let errors: String
    package var description: String { "the daemon ended with \(status): \(errors)" }
}

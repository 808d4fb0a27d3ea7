import Events
import Foundation
import Glibc
import Synchronization

/// What the terminals at our two outputs can show.
struct Style: Sendable {
    let isTerminal: Bool
    let hasColor: Bool

    static let output = Style(descriptor: STDOUT_FILENO)
    static let errors = Style(descriptor: STDERR_FILENO)

    private init(descriptor: Int32) {
        let environment = ProcessInfo.processInfo.environment
        isTerminal = isatty(descriptor) == 1
        // https://no-color.org: present and not empty, whatever its value.
        hasColor =
            isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    enum Ink: String {
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
    }
    func paint(_ text: String, _ ink: Ink) -> String {
        hasColor ? "\u{1B}[\(ink.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// The two channels: data on stdout, everything meant for a person alone on stderr.
enum Console {
    /// Lines for stdout gather here: a long listing is a few writes, not one a line.
    private static let pending = Mutex<[UInt8]>([])
    private static let pendingBytesMax = 64 << 10

    static func print(_ line: String) {
        pending.withLock { bytes in
            bytes.append(contentsOf: line.utf8)
            bytes.append(0x0A)
            if bytes.count >= pendingBytesMax { writeOut(&bytes) }
        }
    }
    /// Bytes that have their own line ends.
    static func print(raw text: Bytes) {
        pending.withLock { bytes in
            bytes.append(contentsOf: UnsafeRawBufferPointer(start: text.base, count: text.count))
            if bytes.count >= pendingBytesMax { writeOut(&bytes) }
        }
    }
    /// Writes out what is pending; due before waiting and before the end.
    static func flush() {
        pending.withLock { writeOut(&$0) }
    }
    static func note(_ line: String) {
        // What was printed before must stand before it where both go to one terminal.
        flush()
        var bytes = Array(line.utf8)
        bytes.append(0x0A)
        _ = write(&bytes, to: STDERR_FILENO)
    }
    static func error(_ message: String) {
        note(Style.errors.paint("tollgate:", .red) + " " + message)
    }

    /// A full disk must not look like success; a pipe whose reader is gone ends us by SIGPIPE.
    private static func writeOut(_ bytes: inout [UInt8]) {
        guard let failed = write(&bytes, to: STDOUT_FILENO) else { return }
        let reason = String(cString: strerror(failed))
        var message = Array("tollgate: writing to stdout: \(reason)\n".utf8)
        _ = write(&message, to: STDERR_FILENO)
        exit(ExitStatus.io.rawValue)
    }
    /// Empties `bytes` into a descriptor; answers `errno` when that fails.
    private static func write(_ bytes: inout [UInt8], to descriptor: Int32) -> Int32? {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes.withUnsafeBytes { buffer in
            var sent = 0
            while sent < buffer.count {
                let n = Glibc.write(
                    descriptor, buffer.baseAddress! + sent, buffer.count - sent)
                if n >= 0 { sent += n } else if errno != EINTR { return errno }
            }
            return nil
        }
    }
}

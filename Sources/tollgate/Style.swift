import Foundation

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
    static func print(_ line: String) {
        fputs(line + "\n", stdout)
    }
    static func note(_ line: String) {
        fputs(line + "\n", stderr)
    }
    static func error(_ message: String) {
        fputs(Style.errors.paint("tollgate:", .red) + " " + message + "\n", stderr)
    }
}

import Events
import Glibc
import Logging

/// Writes one line a message to stderr: text for people, or one JSON object for machines.
///
/// A line goes out in one `write`, so lines of different threads do not mix.
struct LineLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let json: Bool

    init(level: Logger.Level, json: Bool) {
        logLevel = level
        self.json = json
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            .sorted { $0.key < $1.key }
            .map { JSON.Member($0.key, .string("\($0.value)")) }
        let time = Self.now().description
        var line: String
        if json {
            let head = [
                JSON.Member("time", .string(time)),
                JSON.Member("level", .string(event.level.rawValue)),
                JSON.Member("message", .string("\(event.message)")),
            ]
            line = JSON.object(head + fields).compact
        } else {
            line = "\(time) \(event.level.rawValue): \(event.message)"
            for field in fields { line += " \(field.name)=\(field.value.plain)" }
            line = Table.inOneLine(line)
        }
        line += "\n"
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Milliseconds: enough to order what a person reads.
    private static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(
            nanoseconds: Int64(time.tv_sec) * 1_000_000_000
                + Int64(time.tv_nsec) / 1_000_000 * 1_000_000)
    }
}

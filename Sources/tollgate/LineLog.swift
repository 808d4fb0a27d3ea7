import CLinux
import Events
import Glibc
import Logging

/// Makes a line of each message, text for people or one JSON object for machines, and hands it to the
/// queue to stderr.
struct LineLog: LogHandler {
    enum Format: String, CaseIterable {
        case text
        case json
    }
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let format: Format
    private let queue: LogQueue

    init(level: Logger.Level, format: Format, queue: LogQueue) {
        logLevel = level
        self.format = format
        self.queue = queue
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // What a flood repeats is counted before it is formatted.
        guard let left = queue.admit(event.level, site: event.file, event.line) else { return }
        let all = event.metadata.map { metadata.merging($0) { $1 } } ?? metadata
        var fields = all.sorted { $0.key < $1.key }
            .map { JSON.Member($0.key, LineLog.json($0.value)) }
        if left > 0 { fields.append(JSON.Member("left_out", .integer(left))) }
        queue.add(
            LineLog.line(format, event.level, "\(event.message)", fields), event.level)
    }

    static func line(
        _ format: Format, _ level: Logger.Level, _ message: String, _ fields: [JSON.Member]
    ) -> String {
        let time = now().description
        switch format {
        case .json:
            let head = [
                JSON.Member("time", .string(time)), JSON.Member("level", .string(level.rawValue)),
                JSON.Member("message", .string(message)),
            ]
            return JSON.object(head + fields).compact
        case .text:
            var line = "\(time) \(level.rawValue): \(message)"
            for field in fields { line += " \(field.name)=\(field.value.plain)" }
            return Table.inOneLine(line)
        }
    }
    /// Numbers stay numbers.
    private static func json(_ value: Logger.Metadata.Value) -> JSON {
        if case .stringConvertible(let held) = value, held is any BinaryInteger {
            return .number("\(held)")
        }
        return .string("\(value)")
    }
    /// Milliseconds: enough to order what a person reads.
    private static func now() -> Instant {
        Instant(nanoseconds: Instant.wallClock.nanoseconds / 1_000_000 * 1_000_000)
    }
}

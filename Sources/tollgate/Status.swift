import ArgumentParser
import Events

/// `tollgate status`
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how the daemon is.",
        discussion: """
            Examples:
              tollgate status
              tollgate status --json

            The exit code is 0 when it works normally, 75 when it is paused or read-only,
            and 69 when none answers: fit for a health check.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        let info = try connection.connect().info()
        if format.json {
            JSON.object(info.map { JSON.Member($0.name, Self.value($0.value)) }).print()
        } else {
            Self.print(info)
        }
        let state = info.first { $0.name == "state" }?.value ?? "normal"
        guard state != "normal" else { return }
        let reason = info.first { $0.name == "state_reason" }?.value ?? ""
        throw CommandFailure(
            .tryAgain, "the daemon is \(state)" + (reason.isEmpty ? "" : ": \(reason)"))
    }

    private static func print(_ all: [(section: String, name: String, value: String)]) {
        // What only a Redis client wants to know.
        let info = all.filter { !$0.name.hasPrefix("redis_") && $0.section != "Keyspace" }
        var section: String?
        for (i, line) in info.enumerated() where line.section != section {
            if section != nil { Console.print("") }
            section = line.section
            if !line.section.isEmpty { Console.print(Style.output.paint(line.section, .bold)) }
            var facts = Facts()
            for other in info[i...].prefix(while: { $0.section == line.section })
            where !other.value.isEmpty {
                facts.add(label(other.name), readable(other.name, other.value))
            }
            facts.print()
        }
    }
    /// A name without its unit, which stands with the value.
    private static func label(_ name: String) -> String {
        var name = name
        for unit in ["_in_seconds", "_bytes_per_hour", "_bytes"] where name.hasSuffix(unit) {
            name.removeLast(unit.count)
        }
        return name.replacing("_", with: " ")
    }
    /// Bytes and seconds in units that a person can compare.
    private static func readable(_ name: String, _ value: String) -> String {
        guard let number = Int64(value) else { return value }
        if name == "used_memory" || name.hasSuffix("_bytes") { return bytes(number) }
        if name.hasSuffix("_bytes_per_hour") { return bytes(number) + " an hour" }
        if name == "uptime_in_seconds" { return seconds(number) }
        // A forecast: of when reserves pause, should all go on as it does.
        if name == "disk_full_in_seconds" { return "in about \(coarse(number)) at this rate" }
        return value
    }
    private static func bytes(_ count: Int64) -> String {
        var value = count
        var rest: Int64 = 0
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        while value >= 1_024, unit < units.count - 1 {
            rest = value % 1_024
            value /= 1_024
            unit += 1
        }
        return unit == 0 ? "\(value) B" : "\(value).\(rest * 10 / 1_024) \(units[unit])"
    }
    private static func coarse(_ count: Int64) -> String {
        switch count {
        case ..<120: "\(count) s"
        case ..<7_200: "\(count / 60) min"
        case ..<172_800: "\(count / 3_600) h"
        default: "\(count / 86_400) days"
        }
    }
    private static func seconds(_ count: Int64) -> String {
        let parts = [
            (count / 86_400, "d"), (count / 3_600 % 24, "h"), (count / 60 % 60, "min"),
            (count % 60, "s"),
        ]
        let shown = parts.drop { $0.0 == 0 }.prefix(2).map { "\($0.0) \($0.1)" }
        return shown.isEmpty ? "0 s" : shown.joined(separator: " ")
    }
    /// Whole numbers become JSON numbers; versions and states stay texts.
    private static func value(_ text: String) -> JSON {
        if let number = Int64(text), String(number) == text { return .integer(number) }
        return .string(text)
    }
}

/// Spans of time as people say them: `90s`, `30m`, `48h`, `30d`, `2w`, or plain seconds.
enum Span {
    private static let units: [Character: Int64] = [
        "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800,
    ]

    /// - Parameter flag: where it was said, for the message.
    static func seconds(_ text: String, _ flag: String) throws(CommandFailure) -> Int64 {
        let unit = text.last.flatMap { units[$0] }
        let digits = unit == nil ? Substring(text) : text.dropLast()
        let isPlain = digits.utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
        guard isPlain, let count = Int64(digits), count > 0 else {
            throw CommandFailure(
                .usage, "\(flag) \"\(text)\": say a span such as 90s, 30m, 48h, 30d or 2w")
        }
        let (seconds, overflow) = count.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow else {
            throw CommandFailure(.usage, "\(flag) \"\(text)\" is longer than a hundred years")
        }
        return seconds
    }
}

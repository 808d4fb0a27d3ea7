import Events

extension Trace {
    /// The traced hour that ships inside the binary; see `demoTraceText` for its source.
    static func demo() -> Trace {
        var rows: [TraceRow] = []
        rows.reserveCapacity(9_000)
        let text = Bytes(demoTraceText)
        var milliseconds: Int64 = 0
        var at = 0
        while at < text.count {
            let step = number(text, &at)
            let input = number(text, &at)
            let output = number(text, &at)
            milliseconds += step
            rows.append(
                TraceRow(offset: milliseconds * 1_000_000, input: input, output: output))
        }
        return Trace(rows: rows)
    }

    /// The next run of digits, and the one separator behind it.
    private static func number(_ text: Bytes, _ at: inout Int) -> Int64 {
        var value: Int64 = 0
        let start = at
        while at < text.count, text[at] >= 48, text[at] <= 57 {
            value = value * 10 + Int64(text[at] - 48)
            at += 1
        }
        // The text is ours and a test reads all of it; a hole in it would be a broken build.
        precondition(at > start, "a number expected at byte \(at) of the demo's trace")
        at += 1
        return value
    }
}

import Events
import Glibc

/// One request of a recorded hour: when it came, how long its prompt was and how long its answer.
struct TraceRow: Hashable, Sendable {
    /// Nanoseconds since the trace's first request.
    var offset: Int64
    var input: Int64
    var output: Int64
}

/// A recorded run of LLM requests, in the order of time.
///
/// Reads the published form of the Azure LLM inference traces: `TIMESTAMP,ContextTokens,
/// GeneratedTokens`, one request a line, with or without a byte-order mark, LF or CRLF.
struct Trace: Sendable {
    private(set) var rows: [TraceRow]

    init(rows: [TraceRow]) { self.rows = rows }

    /// Why a text is no trace, and at which line (the header is line 1).
    struct Mistake: Error, Hashable {
        var line: Int
        var reason: String
    }

    var inputTokens: Int64 { rows.reduce(0) { $0 + $1.input } }
    var outputTokens: Int64 { rows.reduce(0) { $0 + $1.output } }
    /// From the first request to the last.
    var nanoseconds: Int64 { rows.last?.offset ?? 0 }

    /// Every `n`th request, starting with the first: the same hour of a service an `n`th as busy.
    func every(_ n: Int) -> Trace {
        Trace(rows: stride(from: 0, to: rows.count, by: max(n, 1)).map { rows[$0] })
    }
    func prefix(_ n: Int) -> Trace { Trace(rows: Array(rows.prefix(n))) }
}

extension Trace {
    private static let header: StaticString = "TIMESTAMP,ContextTokens,GeneratedTokens"

    init(parsing text: Bytes) throws(Mistake) {
        var lines = TraceLines(text)
        guard let header = lines.next() else {
            throw Mistake(line: 1, reason: "the file is empty; the header \(Self.header) expected")
        }
        guard header.equalsIgnoringCase(Self.header) else {
            throw Mistake(
                line: 1,
                reason: "the header \(Self.header) expected, not \(Self.quoted(header))")
        }
        var timed: [(at: Int64, row: TraceRow)] = []
        timed.reserveCapacity(text.count / 36)
        var isSorted = true
        while let line = lines.next() {
            // An empty last line is only how editors end a file; elsewhere it is just as harmless.
            if line.isEmpty { continue }
            let (at, row) = try Self.row(line, number: lines.number)
            if let last = timed.last, at < last.at { isSorted = false }
            timed.append((at, row))
        }
        guard !timed.isEmpty else {
            throw Mistake(line: lines.number, reason: "no requests after the header")
        }
        if !isSorted {
            // The line number decides between equals, because `sort` does not promise to.
            let order = timed.indices.sorted {
                timed[$0].at != timed[$1].at ? timed[$0].at < timed[$1].at : $0 < $1
            }
            timed = order.map { timed[$0] }
        }
        let start = timed[0].at
        rows = timed.map { entry in
            TraceRow(offset: entry.at - start, input: entry.row.input, output: entry.row.output)
        }
    }

    private static func row(
        _ line: Bytes, number: Int
    ) throws(Mistake) -> (at: Int64, row: TraceRow) {
        guard let first = line.firstIndex(of: UInt8(ascii: ",")),
            case let rest = line.slice(first + 1, line.count),
            let second = rest.firstIndex(of: UInt8(ascii: ",")),
            case let last = rest.slice(second + 1, rest.count),
            last.firstIndex(of: UInt8(ascii: ",")) == nil
        else {
            throw Mistake(
                line: number, reason: "three fields expected, not \(quoted(line))")
        }
        let time = line.slice(0, first)
        guard let at = timestamp(time) else {
            throw Mistake(
                line: number,
                reason: "the TIMESTAMP \(quoted(time)) is not like 2023-11-16 18:17:03.9799600")
        }
        let row = TraceRow(
            offset: 0,
            input: try tokens(rest.slice(0, second), "ContextTokens", number),
            output: try tokens(last, "GeneratedTokens", number))
        return (at, row)
    }

    private static func tokens(
        _ text: Bytes, _ column: StaticString, _ line: Int
    ) throws(Mistake) -> Int64 {
        guard let value = text.unsignedDecimal, value <= UInt64(Bounds.tokensMax) else {
            throw Mistake(
                line: line,
                reason: "the \(column) \(quoted(text)) are not a whole number from 0 to "
                    + "\(Bounds.tokensMax)")
        }
        return Int64(value)
    }

    /// Nanoseconds since 1970 of `2023-11-16 18:17:03.9799600`, in UTC unless it names an offset.
    private static func timestamp(_ text: Bytes) -> Int64? {
        guard text.count >= 19, text.count <= 40 else { return nil }
        var buffer = ByteBuffer(capacity: 48)
        buffer.append(text.slice(0, 10))
        guard text[10] == UInt8(ascii: " ") || text[10] | 0x20 == UInt8(ascii: "t") else {
            return nil
        }
        buffer.append(UInt8(ascii: "T"))
        buffer.append(text.slice(11, text.count))
        let tail = text.slice(19, text.count)
        let namesOffset =
            tail.firstIndex(of: UInt8(ascii: "+")) != nil
            || tail.firstIndex(of: UInt8(ascii: "-")) != nil
            || (tail.count > 0 && tail[tail.count - 1] | 0x20 == UInt8(ascii: "z"))
        if !namesOffset { buffer.append(UInt8(ascii: "Z")) }
        return Instant(parsing: buffer.bytes)?.nanoseconds
    }

    /// A piece of the file for a message: short, and never with control characters.
    private static func quoted(_ text: Bytes) -> String {
        let piece = text.slice(0, min(text.count, 60))
        guard piece.isPlainText else { return "(unprintable bytes)" }
        return "\"\(piece.string)\(text.count > 60 ? "…" : "")\""
    }
}

extension Trace {
    /// Reads a file, or standard input when `path` is `-`.
    init(path: String) throws(CommandFailure) {
        let text = try Trace.contents(path)
        do throws(Mistake) {
            try self.init(parsing: text.bytes)
        } catch {
            let name = path == "-" ? "standard input" : path
            throw CommandFailure(.data, "\(name):\(error.line): \(error.reason)")
        }
    }

    private static func contents(_ path: String) throws(CommandFailure) -> ByteBuffer {
        let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandFailure(
                .noInput, "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var text = ByteBuffer(capacity: 1 << 20)
        while true {
            let n = text.appendUninitialized(1 << 20) { read(descriptor, $0, 1 << 20) }
            if n == 0 { return text }
            if n < 0, errno != EINTR {
                throw CommandFailure(
                    .noInput, "cannot read \(path): \(String(cString: strerror(errno)))")
            }
        }
    }
}

/// The lines of a text file: without their LF or CRLF, without a byte-order mark, counted from 1.
private struct TraceLines {
    private var rest: Bytes
    private(set) var number = 0

    init(_ text: Bytes) {
        rest = text.hasPrefix("\u{FEFF}") ? text.slice(3, text.count) : text
    }

    mutating func next() -> Bytes? {
        guard !rest.isEmpty else { return nil }
        number += 1
        let stop = rest.firstIndex(of: 0x0A) ?? rest.count
        var line = rest.slice(0, stop)
        rest = rest.slice(min(stop + 1, rest.count), rest.count)
        if line.count > 0, line[line.count - 1] == 0x0D { line = line.slice(0, line.count - 1) }
        return line
    }
}

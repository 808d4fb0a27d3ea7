import Events
import Testing
import Wire

/// What one whole input parses to, as text: a line a request, then how it ended.
func transcript(_ input: [UInt8]) -> [String] {
    var parser = RequestParser()
    var lines: [String] = []
    input.withUnsafeBytes { raw in
        let bytes = Bytes(raw)
        var at = 0
        while at < bytes.count {
            guard let step = describe(&parser, bytes.slice(at, bytes.count), &lines) else { return }
            at += step
        }
    }
    return lines
}

/// One step; adds what it was to `lines` and returns what it consumed, nil when nothing more comes.
func describe(_ parser: inout RequestParser, _ input: Bytes, _ lines: inout [String]) -> Int? {
    var searched = 0
    return describe(&parser, input, &searched, &lines)
}
func describe(
    _ parser: inout RequestParser, _ input: Bytes, _ searched: inout Int, _ lines: inout [String]
) -> Int? {
    switch parser.next(input, searched: &searched) {
    case .incomplete: return nil
    case .empty(let consumed):
        lines.append("empty")
        return consumed
    case .command(let consumed, let framed):
        let arguments = parser.arguments
        let words = (0..<arguments.count).map { "[" + arguments[$0].string + "]" }
        lines.append((framed ? "framed " : "inline ") + words.joined())
        return consumed
    case .violation(let violation):
        lines.append("violation " + violation.failure.text)
        return nil
    }
}

/// Parses one inline line and runs `body` on its arguments.
func withArguments<R>(
    _ line: String, _ body: (Arguments) throws(Failure) -> R
) throws(Failure) -> R {
    try line.appending("\n").withBytes { (bytes) throws(Failure) -> R in
        var parser = RequestParser()
        guard case .command = parser.next(bytes) else {
            throw Failure(.error, "no command: \(line)")
        }
        return try body(parser.arguments)
    }
}
extension String {
    func appending(_ other: String) -> String { self + other }
}

/// The error text of a request, or "ok".
func outcome(_ line: String) -> String {
    do throws(Failure) {
        try withArguments(line) { (arguments) throws(Failure) in
            var ack = Acknowledgement.ring
            guard let verb = Verb(arguments[0]) else { throw Handshake.unknownCommand(arguments) }
            switch verb {
            case .reserve, .check:
                _ = try ReserveRequest(arguments, verb: verb, acknowledgement: &ack)
            case .extend: _ = try ExtendRequest(arguments, acknowledgement: &ack)
            case .settle: _ = try SettleRequest(arguments, acknowledgement: &ack)
            case .release: _ = try ReleaseRequest(arguments, acknowledgement: &ack)
            case .charge: _ = try ChargeRequest(arguments, acknowledgement: &ack)
            case .append: _ = try AppendRequest(arguments)
            case .get: _ = try GetQuery(arguments)
            case .list: _ = try ListQuery(arguments)
            case .usage: _ = try UsageQuery(arguments)
            case .events: _ = try EventsQuery(arguments)
            case .tail: _ = try TailQuery(arguments)
            case .erase: _ = try EraseRequest(arguments)
            case .personal: _ = try PersonalQuery(arguments)
            case .tree: _ = try TreeQuery(arguments)
            case .log: _ = try LogQuery(arguments)
            case .names: _ = try NamesQuery(arguments)
            case .auth: _ = try Credentials(arguments)
            case .hello: _ = try HelloQuery(arguments)
            default: break
            }
        }
        return "ok"
    } catch {
        return "\(error.code.name) \(error.text)"
    }
}

/// What a handshake function writes for a line, with CRLF shown as `|`.
func written(_ line: String, _ body: (Arguments, inout ByteBuffer) -> Void) -> String {
    var out = ByteBuffer()
    do throws(Failure) { try withArguments(line) { body($0, &out) } } catch { out.reply(error) }
    return shown(out)
}
func shown(_ buffer: borrowing ByteBuffer) -> String {
    var text = ""
    for scalar in buffer.string.unicodeScalars where scalar != "\n" {
        text.unicodeScalars.append(scalar == "\r" ? "|" : scalar)
    }
    return text
}

/// SplitMix64: the same sequence for a seed on every machine.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

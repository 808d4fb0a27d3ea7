import Events
import Wire

/// The bytes of a connection: whatever a stranger sends before anybody knows who it is.
///
/// Besides not crashing: every step makes progress and stays inside what has come; a stream that
/// arrives in pieces asks what it asks in one; a request that was understood, written again as a
/// frame or as a quoted line, is understood as the same.
enum RequestStream {
    enum Kind { case line, frame }

    static func check(_ input: Bytes, _ kind: Kind) throws(Broken) {
        let whole = try cut(input)
        var dice = Dice(input)
        for most in [1, 7, 64] {
            try compare(whole, try cut(input, pieces: { 1 + dice.roll(most) }), "pieces of \(most)")
        }
        if input.count <= 64 {
            for split in 1..<max(input.count, 1) {
                var first = true
                let two = try cut(input) {
                    defer { first = false }
                    return first ? split : input.count
                }
                try compare(whole, two, "cut at \(split)")
            }
        }
        var verbs = Verbs()
        for request in whole.requests {
            let framed = frame(request)
            try again(framed, request)
            if kind == .line { try again(line(request), request) }
            try framed.withBytes { (bytes) throws(Broken) in
                var parser = RequestParser()
                guard case .command = parser.next(bytes) else { return }
                try verbs.check(parser.arguments)
            }
        }
        if case .violation(let failure) = whole.end { try Verbs.check(failure) }
    }

    /// What an ordinary day sends.
    static var lines: [[UInt8]] { Desk.day.map { Array(($0 + "\r\n").utf8) } }
    /// Frames that our own writer makes of what the schemas' transcripts say.
    static var seeds: [[UInt8]] {
        [
            ["HELLO", "3", "AUTH", "relay-1", "secret", "SETNAME", "pool-1"],
            ["RESERVE", "acme/ml/prod", "openai/gpt-4.1", "in=1200", "out=400", "id=req-1"],
            ["SETTLE", "1-12", "in=1200", "out=250", "cached=200", "reasoning=10", "ack=ring"],
            ["CHARGE", "acme/ml/prod", "openai/gpt-4.1", "in=1", "out=1", "id=c-1", "ms=20"],
            ["RELEASE", "1-12", "why=cancelled"], ["USAGE", "acme"], ["COMMAND", "DOCS", "GET"],
            ["LIST", "keys", "under=acme", "after=acme/ml", "limit=10"], ["GET", "hold", "1-12"],
            ["EVENTS", "from=1", "to=9", "limit=3", "type=hold.placed", "account=acme"],
            ["APPEND", "org.created", #"{"account":"acme","limits":{"usd.day":"5"}}"#],
            ["CONFIG", "GET", "max*", "save"], ["CLIENT", "SETINFO", "LIB-NAME", "redis-py"],
        ].map { frame($0.map { Array($0.utf8) }) }
    }

    // MARK: Cutting

    typealias Request = [[UInt8]]
    enum End {
        case incomplete(left: Int)
        case violation(Failure)
    }
    struct Requests {
        var requests: [Request] = []
        var end = End.incomplete(left: 0)
    }

    private static func cut(_ input: Bytes) throws(Broken) -> Requests {
        var found = Requests()
        var parser = RequestParser()
        var at = 0
        while at < input.count {
            let rest = input.from(at)
            guard let used = try step(parser.next(rest), parser, rest, &found) else { return found }
            at += used
        }
        return found
    }
    /// As the gate reads a socket: what could not be understood yet waits for more.
    private static func cut(
        _ input: Bytes, pieces: () -> Int
    ) throws(Broken) -> Requests {
        var found = Requests()
        var parser = RequestParser()
        var waiting = ByteBuffer()
        var searched = 0
        var arrived = 0
        while arrived < input.count {
            let more = min(pieces(), input.count - arrived)
            waiting.append(input.slice(arrived, arrived + more))
            arrived += more
            var at = 0
            while at < waiting.count {
                let rest = waiting.bytes.from(at)
                let taken = parser.next(rest, searched: &searched)
                guard let used = try step(taken, parser, rest, &found) else {
                    if case .violation = found.end { return found }
                    break
                }
                searched = 0
                at += used
            }
            waiting.removeFirst(at)
            found.end = .incomplete(left: waiting.count)
        }
        return found
    }
    /// How many bytes one step used; nil when the stream goes no further.
    private static func step(
        _ step: RequestParser.Step, _ parser: borrowing RequestParser, _ rest: Bytes,
        _ found: inout Requests
    ) throws(Broken) -> Int? {
        switch step {
        case .incomplete:
            found.end = .incomplete(left: rest.count)
            return nil
        case .violation(let violation):
            found.end = .violation(violation.failure)
            return nil
        case .empty(let used):
            try require(used > 0 && used <= rest.count, "a step of \(used) of \(rest.count) bytes")
            return used
        case .command(let used, _):
            try require(used > 0 && used <= rest.count, "a step of \(used) of \(rest.count) bytes")
            let arguments = parser.arguments
            try require(
                arguments.count > 0 && arguments.count <= WireLimits.argumentsMax,
                "\(arguments.count) arguments")
            found.requests.append((0..<arguments.count).map { arguments[$0].array })
            return used
        }
    }
    private static func compare(
        _ whole: Requests, _ parts: Requests, _ how: String
    ) throws(Broken) {
        try require(whole.requests == parts.requests, "\(how): other requests than in one piece")
        switch (whole.end, parts.end) {
        case (.incomplete(let a), .incomplete(let b)): try require(a == b, "\(how): another rest")
        case (.violation(let a), .violation(let b)):
            try require(a.text == b.text, "\(how): '\(a.text)' is now '\(b.text)'")
        default: throw Broken("\(how): another end")
        }
    }

    // MARK: Writing again

    static func frame(_ request: Request) -> [UInt8] {
        Array("*\(request.count)\r\n".utf8)
            + request.flatMap { Array("$\($0.count)\r\n".utf8) + $0 + [0x0D, 0x0A] }
    }
    /// In double quotes, with everything that is not a letter or a digit spelled in hexadecimal.
    private static func line(_ request: Request) -> [UInt8] {
        var out = ByteBuffer()
        for word in request {
            if !out.isEmpty { out.append(UInt8(ascii: " ")) }
            out.append(UInt8(ascii: "\""))
            for byte in word {
                if byte >= 48 && byte <= 57 || byte | 0x20 >= 97 && byte | 0x20 <= 122 {
                    out.append(byte)
                } else {
                    out.append("\\x" as StaticString)
                    withUnsafeBytes(of: byte) { out.append(hex: Bytes($0)) }
                }
            }
            out.append(UInt8(ascii: "\""))
        }
        out.append(UInt8(0x0A))
        return out.bytes.array
    }
    private static func again(_ bytes: [UInt8], _ request: Request) throws(Broken) {
        // Framing or quoting may take a request over the cap that it just fitted.
        guard bytes.count <= WireLimits.requestBytesMax else { return }
        let found = try bytes.withBytes { (bytes) throws(Broken) in try cut(bytes) }
        try require(found.requests == [request], "written again, it is another request")
    }
}

import Events

/// Cuts one request after the other out of a connection's input, in either grammar:
///
///     RESERVE acme/ml/prod openai/gpt-4.1 ua="curl 8"\n    inline: LF or CRLF, Redis quotes
///     *2\r\n$5\r\nUSAGE\r\n$4\r\nacme\r\n                  framed: RESP2 and RESP3 alike
///
/// A first byte `*` means framed, as in Redis; each request chooses anew. The parser keeps nothing
/// of a request it could not finish: it is called again with the same bytes and more. One parser
/// serves all connections of a thread; only the `searched` hint belongs to a connection.
///
/// Nothing is allocated a request. The first line ever that contains quotes allocates the scratch.
package struct RequestParser: ~Copyable {
    package enum Step: Sendable {
        /// No whole request yet.
        case incomplete
        /// `consumed` bytes that ask nothing: an empty line, `*0`, `*-1`.
        case empty(consumed: Int)
        /// A request, in `arguments`; there is at least one. Answer and drop `consumed` bytes.
        case command(consumed: Int, framed: Bool)
        /// Not our protocol, or over a cap: answer its failure and close. Where the next request
        /// would begin is no longer known.
        case violation(Violation)
    }

    private let slots: UnsafeMutablePointer<Bytes>
    private var count = 0
    /// Where quoted arguments are unescaped; an unescaped text is never longer than its line.
    private var scratch: UnsafeMutableRawPointer?

    package init() {
        slots = .allocate(capacity: WireLimits.argumentsMax)
        slots.initialize(repeating: .empty, count: WireLimits.argumentsMax)
    }
    deinit {
        slots.deallocate()
        scratch?.deallocate()
    }

    /// The arguments of the last `command`; valid until the next call of `next`, and as long as the
    /// input it was given stays where it is.
    package var arguments: Arguments { Arguments(slots, count: count) }

    /// Looks for the next request at the front of `input`, without a hint.
    package mutating func next(_ input: Bytes) -> Step {
        var searched = 0
        return next(input, searched: &searched)
    }

    /// Looks for the next request at the front of `input`.
    ///
    /// - Parameter searched: the connection's own counter of bytes in which no line end was found,
    ///   0 at first; it saves searching them again when a line comes in drops. Framed requests need
    ///   none: a repeated look touches at most 64 headers and none of the texts.
    package mutating func next(_ input: Bytes, searched: inout Int) -> Step {
        count = 0
        guard input.count > 0 else { return .incomplete }
        let step =
            input[at: 0] == UInt8(ascii: "*")
            ? nextFrame(input) : nextLine(input, searched: &searched)
        // A web page can make a browser send us lines; its header lines must never be commands.
        if count > 0, isWebRequest(slots[0]) { return .violation(.webRequest) }
        return step
    }

    private func isWebRequest(_ word: Bytes) -> Bool {
        switch word.count {
        case 4: word.equalsIgnoringCase("POST")
        case 5: word.equalsIgnoringCase("Host:")
        default: false
        }
    }

    // MARK: Inline lines

    private mutating func nextLine(_ input: Bytes, searched: inout Int) -> Step {
        let most = min(input.count, WireLimits.requestBytesMax + 1)
        if searched == 0, let consumed = splitPlain(input, most) { return line(consumed) }
        let from = searched <= input.count ? searched : 0
        guard from < most, let found = input.cut(from, most).firstIndex(of: 0x0A) else {
            if input.count > WireLimits.requestBytesMax { return .violation(.lineTooLong) }
            searched = input.count
            return .incomplete
        }
        searched = 0
        let end = from + found
        if from > 0, let consumed = splitPlain(input, end + 1) { return line(consumed) }
        let hasReturn = end > 0 && input[at: end - 1] == 0x0D
        if let wrong = splitQuoted(input.cut(0, hasReturn ? end - 1 : end)) {
            count = 0
            return .violation(wrong)
        }
        return line(end + 1)
    }
    private func line(_ consumed: Int) -> Step {
        count == 0 ? .empty(consumed: consumed) : .command(consumed: consumed, framed: false)
    }

    /// Finds a line's end and splits it at its spaces in one pass, eight bytes at a time, and says
    /// how long it is. Nil, having kept nothing, where that is not the whole story: quotes, control
    /// bytes, more arguments than there may be, or no end before `most`.
    @inline(__always)
    private mutating func splitPlain(_ input: Bytes, _ most: Int) -> Int? {
        guard most >= 8 else { return nil }
        let base = input.base.unsafelyUnwrapped
        let slots = slots
        var words = 0
        var start = 0
        var at = 0
        // Most words of a request hold nothing below 0x28, and all that matters is: spaces, line ends,
        // other control bytes, both quotes.
        var low = Word.bytesBelow28(Word.load(base, 0))
        while true {
            while low == 0 {
                at &+= 8
                if at &+ 8 <= most {
                    low = Word.bytesBelow28(Word.load(base, at))
                } else {
                    // The last eight bytes overlap the ones before, which have been seen.
                    let seen = at &+ 8 &- most
                    guard seen < 8 else { return nil }
                    at = most &- 8
                    low = Word.bytesBelow28(Word.load(base, at))
                    low &= ~0 &<< UInt64(truncatingIfNeeded: 8 &* seen)
                    // When nothing is left in it, the next step ends the search.
                    if low == 0 { return nil }
                }
            }
            let i = at &+ low.trailingZeroBitCount &>> 3
            low &= low &- 1
            let c = base.load(fromByteOffset: i, as: UInt8.self)
            if c != 0x20, c != 0x0D, c != 0x0A {
                if c < 0x20 || c == UInt8(ascii: "\"") || c == UInt8(ascii: "'") { return nil }
                continue
            }
            if i > start {
                guard words < WireLimits.argumentsMax else { return nil }
                slots[words] = Bytes(base + start, count: i &- start)
                words &+= 1
            }
            start = i &+ 1
            guard c != 0x20 else { continue }
            let end = c == 0x0A ? i : start
            // A return alone is a byte like any other, for the slower way to judge.
            guard end < most, base.load(fromByteOffset: end, as: UInt8.self) == 0x0A else {
                return nil
            }
            count = words
            return end &+ 1
        }
    }

    /// Redis's `sdssplitargs`, to the letter but for NUL, which is a byte like any other here
    /// (there it silently ends the line). A quote may open inside an argument; closing it ends the
    /// argument.
    @inline(never)
    private mutating func splitQuoted(_ line: Bytes) -> Violation? {
        count = 0
        var used = 0
        var at = 0
        while true {
            while at < line.count, isSpace(line[at: at]) { at += 1 }
            guard at < line.count else { return nil }
            guard count < WireLimits.argumentsMax else { return .tooManyArguments }
            let start = at
            while at < line.count, !endsWord(line[at: at]) { at += 1 }
            guard at < line.count,
                line[at: at] == UInt8(ascii: "\"") || line[at: at] == UInt8(ascii: "'")
            else {
                slots[count] = line.cut(start, at)
                count += 1
                continue
            }
            let area = room()
            let first = used
            area.advanced(by: used).copyMemory(from: line.base! + start, byteCount: at - start)
            used += at - start
            guard let end = unquote(line, at, into: area, &used) else { return .unbalancedQuotes }
            at = end
            slots[count] = Bytes(area + first, count: used - first)
            count += 1
        }
    }
    private func isSpace(_ c: UInt8) -> Bool { c == 0x20 || c >= 0x09 && c <= 0x0D }
    /// What ends the bare part of an argument; vertical tab and form feed do not, as in Redis.
    private func endsWord(_ c: UInt8) -> Bool {
        c == 0x20 || c == 0x09 || c == 0x0A || c == 0x0D || c == UInt8(ascii: "\"")
            || c == UInt8(ascii: "'")
    }
    private mutating func room() -> UnsafeMutableRawPointer {
        if let scratch { return scratch }
        let area = UnsafeMutableRawPointer.allocate(
            byteCount: WireLimits.requestBytesMax, alignment: 16)
        scratch = area
        return area
    }
    /// Copies a quoted text, whose opening quote stands at `open`, and returns where it ended; nil
    /// when it has no end, or when something other than a space follows it.
    private func unquote(
        _ line: Bytes, _ open: Int, into area: UnsafeMutableRawPointer, _ used: inout Int
    ) -> Int? {
        let quote = line[at: open]
        let isDouble = quote == UInt8(ascii: "\"")
        var at = open + 1
        while at < line.count {
            var c = line[at: at]
            if c == quote {
                return at + 1 == line.count || isSpace(line[at: at + 1]) ? at + 1 : nil
            }
            if c == UInt8(ascii: "\\"), at + 1 < line.count {
                let next = line[at: at + 1]
                if !isDouble {
                    if next == quote {
                        c = quote
                        at += 1
                    }
                } else if next == UInt8(ascii: "x"), at + 3 < line.count,
                    let high = hexValue(line[at: at + 2]), let low = hexValue(line[at: at + 3])
                {
                    c = high << 4 | low
                    at += 3
                } else {
                    c = RequestParser.escape(next)
                    at += 1
                }
            }
            area.storeBytes(of: c, toByteOffset: used, as: UInt8.self)
            used += 1
            at += 1
        }
        return nil
    }
    private static func escape(_ c: UInt8) -> UInt8 {
        switch c {
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "a"): 0x07
        default: c
        }
    }

    // MARK: RESP frames

    private mutating func nextFrame(_ input: Bytes) -> Step {
        var at = 1
        let arguments: Int
        switch RequestParser.header(input, &at) {
        case .incomplete: return .incomplete
        case .malformed: return .violation(.multibulkLength)
        case .number(let value): arguments = value
        }
        guard arguments > 0 else { return .empty(consumed: at) }
        guard arguments <= WireLimits.argumentsMax else { return .violation(.tooManyBulks) }
        let base = input.base.unsafelyUnwrapped
        for i in 0..<arguments {
            var length = RequestParser.shortBulk(input, &at)
            if length < 0 {
                guard at < input.count else { return .incomplete }
                guard input[at: at] == UInt8(ascii: "$") else {
                    return .violation(.expectedDollar(input[at: at]))
                }
                at += 1
                switch RequestParser.header(input, &at) {
                case .incomplete: return .incomplete
                case .malformed: return .violation(.bulkLength)
                case .number(let value): length = value
                }
                guard length >= 0 else { return .violation(.bulkLength) }
            }
            // Said as soon as the length is known, so that nobody makes us buffer what we refuse.
            guard length <= WireLimits.requestBytesMax - at - 2 else {
                return .violation(.frameTooLong)
            }
            guard input.count - at >= length + 2 else { return .incomplete }
            slots[i] = Bytes(base + at, count: length)
            at += length
            // Redis skips two bytes unseen; a length that lies would shift every later request.
            guard base.loadUnaligned(fromByteOffset: at, as: UInt16.self).littleEndian == 0x0A0D
            else { return .violation(.bulkLength) }
            at += 2
        }
        count = arguments
        return .command(consumed: at, framed: true)
    }

    /// Steps over `$<length>\r\n` where the length has one or two digits and at least eight bytes are
    /// there, and returns it; nearly every argument is such. −1 where that is not so.
    @inline(__always)
    private static func shortBulk(_ input: Bytes, _ at: inout Int) -> Int {
        guard input.count - at >= 8 else { return -1 }
        let word = Word.load(input.base.unsafelyUnwrapped, at)
        let first = (word &>> 8) & 0xFF ^ 0x30
        guard word & 0xFF == 0x24, first <= 9 else { return -1 }
        if (word &>> 16) & 0xFFFF == 0x0A0D {
            at += 4
            return Int(first)
        }
        let second = (word &>> 16) & 0xFF ^ 0x30
        guard second <= 9, first > 0, (word &>> 24) & 0xFFFF == 0x0A0D else { return -1 }
        at += 5
        return Int(first &* 10 &+ second)
    }

    private enum Header {
        case incomplete
        case malformed
        case number(Int)
    }
    /// Reads `<number>\r\n` at `at` and steps over it. As strict as Redis: no plus, no leading
    /// zero.
    @inline(__always)
    private static func header(_ input: Bytes, _ at: inout Int) -> Header {
        var i = at
        guard i < input.count else { return .incomplete }
        let isNegative = input[at: i] == UInt8(ascii: "-")
        if isNegative { i += 1 }
        let first = i
        var value = 0
        while i < input.count, input[at: i] != 0x0D {
            let digit = input[at: i] &- 48
            guard digit <= 9, i - first < WireLimits.headerDigitsMax, i == first || value > 0 else {
                return .malformed
            }
            value = value * 10 + Int(digit)
            i += 1
        }
        guard i < input.count else { return .incomplete }
        guard i > first, value <= Int(Int32.max), !(isNegative && value == 0) else {
            return .malformed
        }
        guard i + 1 < input.count else { return .incomplete }
        guard input[at: i + 1] == 0x0A else { return .malformed }
        at = i + 2
        return .number(isNegative ? -value : value)
    }

    // MARK: Violations

    /// What is wrong with bytes that are no request.
    package enum Violation: Sendable {
        case webRequest, lineTooLong, frameTooLong, unbalancedQuotes
        case tooManyArguments, tooManyBulks
        case multibulkLength, bulkLength
        case expectedDollar(UInt8)

        /// What the client is told. It happens once in a connection's life, and builds a String.
        package var failure: Failure {
            let most = WireLimits.requestBytesMax
            let text =
                switch self {
                case .webRequest: "this is not a web server: the connection is closed"
                case .lineTooLong: "too big inline request: a line has at most \(most) bytes"
                case .frameTooLong: "invalid bulk length: a request has at most \(most) bytes"
                case .tooManyArguments:
                    "too big inline request: a line has at most "
                        + "\(WireLimits.argumentsMax) arguments"
                case .tooManyBulks:
                    "invalid multibulk length: a request has at most "
                        + "\(WireLimits.argumentsMax) arguments"
                case .unbalancedQuotes: "unbalanced quotes in request"
                case .multibulkLength: "invalid multibulk length"
                case .bulkLength: "invalid bulk length"
                case .expectedDollar(let c): "expected '$', got '\(echo(c))'"
                }
            return Failure(.error, "Protocol error: " + text)
        }
    }
}

/// The arguments of one request, the verb first; borrowed from the parser.
@frozen @usableFromInline
package struct Arguments {
    @usableFromInline let base: UnsafePointer<Bytes>
    @usableFromInline package let count: Int

    init(_ base: UnsafePointer<Bytes>, count: Int) {
        self.base = base
        self.count = count
    }
    @inlinable package subscript(i: Int) -> Bytes {
        precondition(i >= 0 && i < count, "an argument that was given")
        return base[i]
    }
}

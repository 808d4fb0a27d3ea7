import Events
import Testing
import Wire

/// The slow and plain way to cut a line, byte for byte as Redis does: what the parser, which looks at
/// eight bytes at a time, is held against.
enum ReferenceSplitter {
    /// The line's arguments; nil where a quote has no end or something follows it.
    static func split(_ line: [UInt8]) -> [[UInt8]]? {
        var arguments: [[UInt8]] = []
        var at = 0
        while true {
            while at < line.count, line[at] == 0x20 || (0x09...0x0D).contains(line[at]) { at += 1 }
            guard at < line.count else { return arguments }
            var word: [UInt8] = []
            scan: while at < line.count {
                let c = line[at]
                switch c {
                case 0x20, 0x09, 0x0A, 0x0D: break scan
                case UInt8(ascii: "\""), UInt8(ascii: "'"):
                    guard let end = unquote(line, at, into: &word) else { return nil }
                    at = end
                    break scan
                default:
                    word.append(c)
                    at += 1
                }
            }
            arguments.append(word)
        }
    }
    private static func unquote(_ line: [UInt8], _ open: Int, into word: inout [UInt8]) -> Int? {
        let quote = line[open]
        var at = open + 1
        while at < line.count {
            let c = line[at]
            if c == quote {
                let after = at + 1 < line.count ? line[at + 1] : 0x20
                return after == 0x20 || (0x09...0x0D).contains(after) ? at + 1 : nil
            }
            guard c == UInt8(ascii: "\\"), at + 1 < line.count else {
                word.append(c)
                at += 1
                continue
            }
            let next = line[at + 1]
            if quote == UInt8(ascii: "'") {
                word.append(next == quote ? quote : c)
                at += next == quote ? 2 : 1
            } else if next == UInt8(ascii: "x"), at + 3 < line.count,
                let high = Character(UnicodeScalar(line[at + 2])).hexDigitValue,
                let low = Character(UnicodeScalar(line[at + 3])).hexDigitValue
            {
                word.append(UInt8(high << 4 | low))
                at += 4
            } else {
                let escapes: [UInt8: UInt8] = [
                    UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
                    UInt8(ascii: "b"): 0x08, UInt8(ascii: "a"): 0x07,
                ]
                word.append(escapes[next] ?? next)
                at += 2
            }
        }
        return nil
    }
}

@Suite struct `Splitting` {
    /// Lines that look like requests, with a little of everything that is not plain.
    private static func line(_ random: inout Seeded) -> [UInt8] {
        let odd = Array("\t\u{0B}\u{0C}\r\u{01}\0\"'\\!#$%&xn4=\u{7F}\u{80}\u{FF}".utf8)
        let oddness = Int.random(in: 0..<4, using: &random)
        return (0..<Int.random(in: 0..<90, using: &random)).map { _ in
            if Int.random(in: 0..<7, using: &random) == 0 { return 0x20 }
            if oddness > 0, Int.random(in: 0..<40, using: &random) < oddness {
                return odd.randomElement(using: &random)!
            }
            return UInt8.random(in: 0x61...0x7A, using: &random)
        }
    }

    @Test(arguments: 0..<32 as Range<UInt64>)
    func `a line is split as byte for byte`(seed: UInt64) {
        var random = Seeded(state: seed)
        var parser = RequestParser()
        for _ in 0..<300 {
            let line = Self.line(&random)
            let hasReturn = Bool.random(using: &random)
            // What follows the line, and where in memory it begins, must not matter.
            let before = Int.random(in: 0..<8, using: &random)
            let after = (0..<Int.random(in: 0..<12, using: &random)).map { _ in
                [0x20, 0x0A, 0x61, 0x22].randomElement(using: &random)! as UInt8
            }
            let whole = line + (hasReturn ? [0x0D, 0x0A] : [0x0A])
            let bytes = [UInt8](repeating: 0x0A, count: before) + whole + after
            var cut = line
            if !hasReturn, cut.last == 0x0D { cut.removeLast() }
            let expected = ReferenceSplitter.split(cut)
            if let word = expected?.first, word.isWebRequest { continue }
            bytes.withUnsafeBytes { raw in
                // A copy of exactly its length, so that an address sanitizer sees a read beyond it.
                let input = Bytes(raw).slice(before, bytes.count)
                switch parser.next(input) {
                case .incomplete: Issue.record("no end found, seed \(seed)")
                case .violation(let violation):
                    #expect(expected == nil, "\(violation), seed \(seed)")
                case .empty(let consumed):
                    #expect(expected == [] && consumed == whole.count, "seed \(seed)")
                case .command(let consumed, let framed):
                    let arguments = parser.arguments
                    let found = (0..<arguments.count).map { i in
                        (0..<arguments[i].count).map { arguments[i][$0] }
                    }
                    #expect(found == expected && consumed == whole.count, "seed \(seed)")
                    #expect(!framed)
                }
                for length in 0..<whole.count {
                    guard case .incomplete = parser.next(input.slice(0, length)) else {
                        Issue.record("a line of \(length) without its end, seed \(seed)")
                        return
                    }
                }
            }
        }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `frames of any length carry any bytes`(seed: UInt64) {
        var random = Seeded(state: seed)
        var parser = RequestParser()
        for _ in 0..<100 {
            let arguments = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                let lengths = [0, 1, 7, 9, 10, 11, 99, 100, 101, 1_000]
                return (0..<lengths.randomElement(using: &random)!).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            if arguments[0].isWebRequest { continue }
            var frame = Array("*\(arguments.count)\r\n".utf8)
            for argument in arguments {
                frame += Array("$\(argument.count)\r\n".utf8) + argument + [0x0D, 0x0A]
            }
            frame.withUnsafeBytes { raw in
                let input = Bytes(raw)
                guard case .command(let consumed, true) = parser.next(input) else {
                    Issue.record("no command, seed \(seed)")
                    return
                }
                #expect(consumed == frame.count)
                let found = (0..<parser.arguments.count).map { i in
                    (0..<parser.arguments[i].count).map { parser.arguments[i][$0] }
                }
                #expect(found == arguments, "seed \(seed)")
                for length in 0..<min(frame.count, 300) {
                    guard case .incomplete = parser.next(input.slice(0, length)) else {
                        Issue.record("a frame cut at \(length), seed \(seed)")
                        return
                    }
                }
            }
        }
    }

    /// Both are looked up by their letters as one number, so each number is checked.
    @Test func `every field and every verb is known by its name`() {
        for verb in Verb.allCases {
            #expect(outcome("\(verb.name) x y z q").contains("unknown command") == false)
        }
        let fields = [
            ("in", "1"), ("bytes", "1"), ("out", "1"), ("scope", "s"), ("tier", "flex"),
            ("ttl", "1"), ("ack", "disk"), ("id", "i"), ("user", "u"), ("project", "p"),
            ("env", "e"), ("ip", "::1"), ("ua", "a"),
        ]
        for (name, value) in fields {
            #expect(outcome("RESERVE a/b m \(name)=\(value)") == "ok")
            #expect(outcome("RESERVE a/b m \(name)x=\(value)").contains("no field \(name)x="))
            let short = name.dropLast()
            if !short.isEmpty {
                #expect(outcome("RESERVE a/b m \(short)=\(value)").contains("no field \(short)="))
            }
        }
        #expect(
            outcome(
                "SETTLE 3-7 in=9 out=9 cached=1 cache_write=1 reasoning=1 tier=flex ms=1 "
                    + "outcome=exact key=a/b/c model=m ack=ring") == "ok")
        #expect(outcome("RELEASE 3-7 why=x") == "ok")
        #expect(outcome("LIST keys under=a after=b limit=3") == "ok")
        #expect(outcome("EVENTS from=1 to=2 limit=3 type=key.created account=a") == "ok")
    }

    @Test func `numbers of every length are read`() {
        for digits in 1...13 {
            let least = (1..<digits).reduce(Int64(1)) { value, _ in value * 10 }
            for value in [least, least + 7, least * 9 + least - 1] {
                let isOver = value > 1_000_000_000_000
                #expect((outcome("RESERVE a/b m in=\(value)") == "ok") == !isOver)
                let padded = String(repeating: "0", count: 18 - digits) + "\(value)"
                #expect((outcome("RESERVE a/b m in=\(padded)") == "ok") == !isOver)
            }
        }
        // Each byte beside the digits, at each place of a number.
        for place in 0..<9 {
            for byte in UInt8(0x21)...0x7E where !(48...57).contains(byte) {
                var digits = Array("123456789".utf8)
                digits[place] = byte
                let text = String(decoding: digits, as: UTF8.self)
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { continue }
                #expect(outcome("RESERVE a/b m in=\(text)").contains("must be a whole number"))
                #expect(
                    outcome("RESERVE a/b m in=\(text.prefix(place + 1))")
                        .contains("must be a whole number"))
            }
        }
    }
}

extension [UInt8] {
    fileprivate var isWebRequest: Bool {
        let folded = map { $0 | 0x20 }
        return folded == Array("post".utf8) || folded == Array("host:".utf8).map { $0 | 0x20 }
    }
}

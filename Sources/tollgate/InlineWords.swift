/// Splits one line into words by Redis's inline rules, as the daemon does with a plain line.
///
/// `"…"` knows `\n \r \t \b \a \xHH \" \\`, `'…'` only `\'`; a closing quote ends its word.
enum InlineWords {
    static func split(_ line: String) throws(CommandFailure) -> [String] {
        var splitter = Splitter(line)
        var words: [String] = []
        while let word = try splitter.next() { words.append(word) }
        return words
    }

    private struct Splitter {
        private let bytes: [UInt8]
        private var at = 0

        init(_ line: String) { bytes = Array(line.utf8) }

        private var isSpace: Bool { bytes[at] == 0x20 || bytes[at] >= 0x09 && bytes[at] <= 0x0D }

        mutating func next() throws(CommandFailure) -> String? {
            while at < bytes.count, isSpace { at += 1 }
            guard at < bytes.count else { return nil }
            var word: [UInt8] = []
            while at < bytes.count, !isSpace {
                let c = bytes[at]
                at += 1
                if c == UInt8(ascii: "\"") || c == UInt8(ascii: "'") {
                    try quoted(c, into: &word)
                    guard at == bytes.count || isSpace else { throw unbalanced }
                    break
                }
                word.append(c)
            }
            return String(decoding: word, as: UTF8.self)
        }
        private mutating func quoted(
            _ quote: UInt8, into word: inout [UInt8]
        ) throws(CommandFailure) {
            while at < bytes.count {
                let c = bytes[at]
                at += 1
                if c == quote { return }
                if c == UInt8(ascii: "\\"), at < bytes.count {
                    if quote == UInt8(ascii: "\"") {
                        word.append(escape())
                        continue
                    }
                    if bytes[at] == quote {
                        word.append(quote)
                        at += 1
                        continue
                    }
                }
                word.append(c)
            }
            throw unbalanced
        }
        private mutating func escape() -> UInt8 {
            let c = bytes[at]
            at += 1
            switch c {
            case UInt8(ascii: "n"): return 0x0A
            case UInt8(ascii: "r"): return 0x0D
            case UInt8(ascii: "t"): return 0x09
            case UInt8(ascii: "b"): return 0x08
            case UInt8(ascii: "a"): return 0x07
            case UInt8(ascii: "x") where at + 2 <= bytes.count:
                let digits = String(decoding: bytes[at..<at + 2], as: UTF8.self)
                guard let value = UInt8(digits, radix: 16) else { return c }
                at += 2
                return value
            default: return c
            }
        }
        private var unbalanced: CommandFailure {
            CommandFailure(
                .usage, "unbalanced quotes: a closing quote must be followed by a space or the end")
        }
    }
}

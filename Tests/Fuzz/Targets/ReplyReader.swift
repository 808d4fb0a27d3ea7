import Events

/// Reads replies as the strictest of clients would.
package struct ReplyReader {
    private let bytes: Bytes
    private var at = 0

    /// - Throws: unless the bytes are `count` whole replies and nothing else.
    package static func check(_ bytes: Bytes, replies count: Int = 1) throws(Broken) {
        var reader = ReplyReader(bytes)
        for _ in 0..<count { try reader.reply() }
        try require(reader.at == bytes.count, "bytes behind the last reply: \(bytes.string)")
    }

    private init(_ bytes: Bytes) { self.bytes = bytes }

    private mutating func reply() throws(Broken) {
        let line = try line()
        guard let kind = line.first else { throw Broken("an empty line is no reply") }
        let rest = line.dropFirst()
        switch kind {
        case UInt8(ascii: "+"): break
        case UInt8(ascii: "-"):
            // Clients take the first word for the code.
            let code = rest.prefix { $0 != 0x20 }
            try require(
                !code.isEmpty && code.allSatisfy { $0 >= 65 && $0 <= 90 },
                "'\(Array(line).text)' has no code")
        case UInt8(ascii: ":"): _ = try number(rest)
        case UInt8(ascii: "_"): try require(rest.isEmpty, "a null with a text")
        case UInt8(ascii: "$"):
            let count = try number(rest)
            if count == -1 { return }
            try require(
                count >= 0 && count <= bytes.count - at - 2, "a bulk string is cut short")
            at += count
            let end = try self.line()
            try require(end.isEmpty, "a bulk string is longer than it says")
        case UInt8(ascii: "*"), UInt8(ascii: "~"):
            let count = try number(rest)
            if count == -1 { return }
            for _ in 0..<count { try reply() }
        case UInt8(ascii: "%"): for _ in 0..<2 * (try number(rest)) { try reply() }
        default: throw Broken("'\(Array(line).text)' begins no reply")
        }
    }
    /// Up to CR LF, without a control character in it.
    private mutating func line() throws(Broken) -> ArraySlice<UInt8> {
        let start = at
        while at < bytes.count, bytes[at] >= 0x20, bytes[at] != 0x7F { at += 1 }
        try require(
            at + 1 < bytes.count && bytes[at] == 0x0D && bytes[at + 1] == 0x0A,
            "a line without CR LF: \(bytes.from(start).string)")
        defer { at += 2 }
        return bytes.slice(start, at).array[...]
    }
    private func number(_ digits: ArraySlice<UInt8>) throws(Broken) -> Int {
        guard let number = Int(Array(digits).text), "\(number)" == Array(digits).text else {
            throw Broken("'\(Array(digits).text)' is no number")
        }
        return number
    }
}

/// A JSON value (RFC 8259) as admin payloads use it. Numbers keep their text: money is a string here,
/// and no number ever becomes a floating-point one.
package indirect enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    package struct Member: Hashable, Sendable {
        package var name: String
        package var value: JSON
        package init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    package static func integer(_ value: Int64) -> JSON { .number(String(value)) }
    package static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
    package static func money(_ value: Nanodollars) -> JSON { .string(value.description) }

    package subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }
    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var array: [JSON]? { if case .array(let items) = self { items } else { nil } }
    package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
    /// The value of an integer literal that fits 64 bits.
    package var integer: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
    package var isNull: Bool { self == .null }
}

/// Where and why a text is no JSON.
package struct JSONError: Error, Sendable {
    package var offset: Int
    package var reason: String
    package var explanation: String { "not valid JSON at byte \(offset): \(reason)" }
}

extension JSON {
    /// Parses one value; duplicate names, trailing text and more than 32 levels are refused.
    package init(parsing bytes: Bytes) throws(JSONError) {
        var parser = JSONParser(bytes)
        self = try parser.document()
    }
}

extension ByteBuffer {
    /// The canonical form: names sorted by their UTF-8 bytes, no spaces, the shortest escapes.
    package mutating func append(canonical json: JSON) { append(json, sorted: true) }
    /// The same without sorting: members stand in the order in which they were given.
    package mutating func append(_ json: JSON) { append(json, sorted: false) }

    private mutating func append(_ json: JSON, sorted: Bool) {
        switch json {
        case .null: append("null" as StaticString)
        case .bool(let value): append(value ? "true" as StaticString : "false")
        case .number(let text): append(text)
        case .string(let text): append(quoted: text)
        case .array(let items):
            append(UInt8(ascii: "["))
            for (i, item) in items.enumerated() {
                if i > 0 { append(UInt8(ascii: ",")) }
                append(item, sorted: sorted)
            }
            append(UInt8(ascii: "]"))
        case .object(var members):
            if sorted {
                members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            }
            append(UInt8(ascii: "{"))
            for (i, member) in members.enumerated() {
                if i > 0 { append(UInt8(ascii: ",")) }
                append(quoted: member.name)
                append(UInt8(ascii: ":"))
                append(member.value, sorted: sorted)
            }
            append(UInt8(ascii: "}"))
        }
    }
    package mutating func append(quoted text: String) {
        var text = text
        text.withUTF8 { append(quoted: Bytes(UnsafeRawBufferPointer($0))) }
    }
    /// A JSON string of UTF-8 bytes.
    package mutating func append(quoted text: Bytes) {
        let hex: StaticString = "0123456789abcdef"
        reserve(text.count + 2)
        append(UInt8(ascii: "\""))
        for i in 0..<text.count {
            let c = text[i]
            switch c {
            case UInt8(ascii: "\""): append("\\\"" as StaticString)
            case UInt8(ascii: "\\"): append("\\\\" as StaticString)
            case 0x0A: append("\\n" as StaticString)
            case 0x0D: append("\\r" as StaticString)
            case 0x09: append("\\t" as StaticString)
            case 0..<0x20:
                append("\\u00" as StaticString)
                append(hex.utf8Start[Int(c >> 4)])
                append(hex.utf8Start[Int(c & 15)])
            default: append(c)
            }
        }
        append(UInt8(ascii: "\""))
    }
}

private struct JSONParser {
    private let text: Bytes
    private var at = 0

    init(_ text: Bytes) { self.text = text }

    mutating func document() throws(JSONError) -> JSON {
        guard text.isUTF8 else { throw failure("the text is not UTF-8") }
        let value = try value(depth: 0)
        skipSpace()
        guard at == text.count else { throw failure("text after the value") }
        return value
    }

    private func failure(_ reason: String) -> JSONError { JSONError(offset: at, reason: reason) }
    private var next: UInt8? { at < text.count ? text[at] : nil }

    private mutating func skipSpace() {
        while let c = next, c == 0x20 || c == 0x09 || c == 0x0A || c == 0x0D { at += 1 }
    }
    private mutating func expect(_ c: UInt8) throws(JSONError) {
        guard next == c else { throw failure("'\(Character(UnicodeScalar(c)))' expected") }
        at += 1
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSON {
        guard depth < 32 else { throw failure("nested too deeply") }
        skipSpace()
        guard let first = next else { throw failure("the text ends early") }
        switch first {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("a value expected")
        }
    }
    private mutating func literal(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        guard text.slice(at, text.count).hasPrefix(word) else { throw failure("a value expected") }
        at += word.utf8CodeUnitCount
        return value
    }
    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        try expect(UInt8(ascii: "{"))
        var members: [JSON.Member] = []
        skipSpace()
        if next == UInt8(ascii: "}") {
            at += 1
            return .object([])
        }
        var names: Set<String> = []
        while true {
            skipSpace()
            let start = at
            let name = try string()
            guard names.insert(name).inserted else {
                throw JSONError(offset: start, reason: "the name \"\(name)\" stands twice")
            }
            skipSpace()
            try expect(UInt8(ascii: ":"))
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            skipSpace()
            if next == UInt8(ascii: ",") {
                at += 1
                continue
            }
            try expect(UInt8(ascii: "}"))
            return .object(members)
        }
    }
    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        try expect(UInt8(ascii: "["))
        var items: [JSON] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            at += 1
            return .array([])
        }
        while true {
            items.append(try value(depth: depth + 1))
            skipSpace()
            if next == UInt8(ascii: ",") {
                at += 1
                continue
            }
            try expect(UInt8(ascii: "]"))
            return .array(items)
        }
    }
    private mutating func number() throws(JSONError) -> JSON {
        let start = at
        if next == UInt8(ascii: "-") { at += 1 }
        let whole = try digits()
        if whole > 1, text[at - whole] == UInt8(ascii: "0") { throw failure("a leading zero") }
        if next == UInt8(ascii: ".") {
            at += 1
            _ = try digits()
        }
        if let c = next, c | 0x20 == UInt8(ascii: "e") {
            at += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
            _ = try digits()
        }
        return .number(text.slice(start, at).string)
    }
    private mutating func digits() throws(JSONError) -> Int {
        let start = at
        while let c = next, c >= 48, c <= 57 { at += 1 }
        guard at > start else { throw failure("a digit expected") }
        return at - start
    }
    private mutating func string() throws(JSONError) -> String {
        try expect(UInt8(ascii: "\""))
        var out: [UInt8] = []
        while let c = next {
            at += 1
            switch c {
            case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &out)
            case 0..<0x20: throw failure("a control character in a string")
            default: out.append(c)
            }
        }
        throw failure("the string has no end")
    }
    private mutating func escape(into out: inout [UInt8]) throws(JSONError) {
        guard let c = next else { throw failure("the string has no end") }
        at += 1
        switch c {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(c)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hex4()
            if code >= 0xD800, code < 0xDC00 {
                guard text.slice(at, text.count).hasPrefix("\\u") else {
                    throw failure("half a surrogate pair")
                }
                at += 2
                let low = try hex4()
                guard low >= 0xDC00, low < 0xE000 else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = UnicodeScalar(code) else { throw failure("half a surrogate pair") }
            out.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw failure("an unknown escape")
        }
    }
    private mutating func hex4() throws(JSONError) -> UInt32 {
        guard text.count - at >= 4 else { throw failure("four hexadecimal digits expected") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = hexValue(text[at]) else {
                throw failure("four hexadecimal digits expected")
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }
}

/// The value of a hexadecimal digit.
package func hexValue(_ c: UInt8) -> UInt8? {
    switch c {
    case 48...57: c - 48
    case 97...102: c - 87
    case 65...70: c - 55
    default: nil
    }
}
/// The bytes that hexadecimal digits spell, two each; nil for any other text.
package func hexBytes(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for i in stride(from: 0, to: digits.count, by: 2) {
        guard let high = hexValue(digits[i]), let low = hexValue(digits[i + 1]) else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}

extension Bytes {
    /// Two lower-case hexadecimal digits a byte.
    package var hex: String {
        var text = ByteBuffer(capacity: 2 * count)
        text.append(hex: self)
        return text.string
    }
}

extension ByteBuffer {
    /// Two lower-case hexadecimal digits a byte.
    package mutating func append(hex bytes: Bytes) {
        let digits: StaticString = "0123456789abcdef"
        for i in 0..<bytes.count {
            append(digits.utf8Start[Int(bytes[i] >> 4)])
            append(digits.utf8Start[Int(bytes[i] & 15)])
        }
    }
}

import Events
import Testing

private func canonical(_ text: String) -> String? { (try? JSON(text))?.canonical }
private func failure(_ text: String) -> String? {
    do throws(JSONError) {
        _ = try JSON(text)
        return nil
    } catch {
        return error.explanation
    }
}
private func nested(_ depth: Int) -> String {
    String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
}

@Suite struct `A JSON text` {
    @Test(
        arguments: [
            ("null", "null"), (" true ", "true"), ("false\n", "false"), ("\t0", "0"), ("-0", "-0"),
            ("1.50", "1.50"), ("1E+5", "1E+5"), ("123456789012345678901234567890", nil),
            ("\"\"", nil), ("[]", nil), ("{}", nil), ("[ 1 , [ ] , { } ]", "[1,[],{}]"),
            (#"{"b":1,"a":{"d":2,"c":3}}"#, #"{"a":{"c":3,"d":2},"b":1}"#),
            (#"{"a b":1,"a":2,"A":3,"é":4,"z":5}"#, #"{"A":3,"a":2,"a b":1,"z":5,"é":4}"#),
            (#"{"":1}"#, nil),
            (#""\u0041\/\b\f\n\r\t\"\\""#, #""A/\u0008\u000c\n\r\t\"\\""#),
            (#""\u00e9\uD83D\uDE00\u20ac""#, "\"é😀€\""),
            (#""\u0000\u001F\u007f""#, "\"\\u0000\\u001f\u{7F}\""),
        ] as [(String, String?)])
    func `has one canonical form`(text: String, form: String?) {
        #expect(canonical(text) == form ?? text)
        // Which is its own canonical form.
        #expect(canonical(form ?? text) == form ?? text)
    }
    @Test(arguments: [
        ("", 0, "the text ends early"), ("nul", 0, "a value expected"),
        ("True", 0, "a value expected"),
        ("1 2", 2, "text after the value"), ("{} x", 3, "text after the value"),
        ("01", 2, "a leading zero"), ("-", 1, "a digit expected"), ("-01", 3, "a leading zero"),
        ("1.", 2, "a digit expected"), (".5", 0, "a value expected"),
        ("1e", 2, "a digit expected"),
        ("1e+", 3, "a digit expected"), ("+1", 0, "a value expected"),
        ("NaN", 0, "a value expected"),
        ("Infinity", 0, "a value expected"), ("'a'", 0, "a value expected"),
        ("[1,]", 3, "a value expected"), ("[1", 2, "']' expected"), ("[", 1, "the text ends early"),
        ("{\"a\":1,}", 7, "'\"' expected"), ("{\"a\"}", 4, "':' expected"),
        ("{a:1}", 1, "'\"' expected"), ("{\"a\":}", 5, "a value expected"),
        ("{\"a\":1", 6, "'}' expected"), ("\"abc", 4, "the string has no end"),
        ("\"\\", 2, "the string has no end"), ("\"\\x\"", 3, "an unknown escape"),
        ("\"\\u12g4\"", 5, "four hexadecimal digits expected"),
        ("\"\\u12", 3, "four hexadecimal digits expected"),
        ("\"\u{1}\"", 2, "a control character in a string"),
        ("\"a\nb\"", 3, "a control character in a string"),
        ("\"\\uD800\"", 7, "half a surrogate pair"), ("\"\\uD800x\"", 7, "half a surrogate pair"),
        ("\"\\uD800\\u0041\"", 13, "half a surrogate pair"),
        ("\"\\uDC00\"", 7, "half a surrogate pair"),
        ("\"\\uDC00\\uD800\"", 7, "half a surrogate pair"),
        ("{\"a\":1,\"a\":2}", 7, "the name \"a\" stands twice"),
        ("{\"x\":{\"b\":1,\"\\u0062\":2}}", 12, "the name \"b\" stands twice"),
        ("/* */1", 0, "a value expected"), ("\u{FEFF}1", 0, "a value expected"),
    ])
    func `is refused with a place and a reason`(text: String, offset: Int, reason: String) {
        #expect(failure(text) == "not valid JSON at byte \(offset): \(reason)")
    }
    @Test func `must be UTF-8`() {
        let texts: [[UInt8]] = [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
        ]
        for bytes in texts {
            #expect(throws: JSONError.self) { try bytes.withExactBytes { try JSON(parsing: $0) } }
        }
    }
    @Test func `has 32 levels at most`() {
        #expect(canonical(nested(32)) == nested(32))
        #expect(failure(nested(33)) == "not valid JSON at byte 32: nested too deeply")
        #expect(failure(String(repeating: "[", count: 100_000)) != nil)
        #expect(failure(String(repeating: "{\"a\":", count: 100_000)) != nil)
    }
    @Test(
        arguments: [
            ("0", 0), ("-1", -1), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil), ("1.0", nil), ("1e3", nil), ("\"1\"", nil), ("null", nil),
            ("-0", 0),
        ] as [(String, Int64?)])
    func `has integers that are exact`(text: String, value: Int64?) throws {
        #expect(try JSON(text).integer == value)
    }
    @Test func `keeps its order when it is not canonical`() throws {
        let json = try JSON(#"{"b":[{"z":1,"y":2}],"a":3}"#)
        #expect(EventsTests.text { $0.append(json) } == #"{"b":[{"z":1,"y":2}],"a":3}"#)
    }

    // MARK: Seeds

    private func value(_ dice: inout Seeded, depth: Int) -> JSON {
        switch Int.random(in: 0..<(depth < 6 ? 7 : 5), using: &dice) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &dice))
        case 2: return .integer(Int64.random(in: .min ... .max, using: &dice))
        case 3: return .number(["0", "-0.5", "1e9", "2E-3"].randomElement(using: &dice)!)
        case 4: return .string(text(&dice))
        case 5:
            return .array(
                (0..<Int.random(in: 0..<4, using: &dice)).map { _ in value(&dice, depth: depth + 1)
                })
        default:
            var members: [JSON.Member] = []
            for _ in 0..<Int.random(in: 0..<5, using: &dice) {
                let name = text(&dice)
                if members.contains(where: { $0.name == name }) { continue }
                members.append(JSON.Member(name, value(&dice, depth: depth + 1)))
            }
            return .object(members)
        }
    }
    private func text(_ dice: inout Seeded) -> String {
        let alphabet: [Unicode.Scalar] = [
            "a", "b", "\"", "\\", "/", "\n", "\r", "\t", "\u{0}", "\u{8}", "\u{C}", "\u{1F}",
            "\u{7F}",
            "é", "€", "\u{2028}", "\u{FFFF}", "😀", "\u{10FFFF}",
        ]
        var text = ""
        for _ in 0..<Int.random(in: 0..<8, using: &dice) {
            text.unicodeScalars.append(alphabet.randomElement(using: &dice)!)
        }
        return text
    }
    private func sorted(_ json: JSON) -> JSON {
        switch json {
        case .array(let items): .array(items.map(sorted))
        case .object(let members):
            .object(
                members.map { JSON.Member($0.name, sorted($0.value)) }
                    .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
        default: json
        }
    }
    @Test(arguments: 0..<64 as Range<UInt64>) func `reads what it writes`(seed: UInt64) throws {
        var dice = Seeded(seed)
        for _ in 0..<50 {
            let json = value(&dice, depth: 0)
            #expect(try JSON(json.canonical) == sorted(json))
            #expect(try JSON(EventsTests.text { $0.append(json) }) == json)
        }
    }
    @Test(arguments: 0..<32 as Range<UInt64>) func `changed anywhere never traps`(seed: UInt64) {
        var dice = Seeded(seed)
        for _ in 0..<50 {
            var bytes = Array(value(&dice, depth: 0).canonical.utf8)
            guard !bytes.isEmpty else { continue }
            for _ in 0..<8 {
                let at = Int.random(in: 0..<bytes.count, using: &dice)
                bytes[at] = UInt8.random(in: 0...255, using: &dice)
                bytes.withExactBytes { _ = try? JSON(parsing: $0) }
                Array(bytes.prefix(at)).withExactBytes { _ = try? JSON(parsing: $0) }
            }
        }
    }
}

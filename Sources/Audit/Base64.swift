import Events

/// Base 64 of RFC 4648 section 4, as signed notes and proofs have it; strict, so that one value has one
/// text.
package enum Base64 {
    private static let alphabet: StaticString =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var word: UInt32 = 0
        var held = 0
        for byte in bytes {
            word = word << 8 | UInt32(byte)
            held += 1
            if held == 3 {
                append(word, digits: 4, to: &text)
                (word, held) = (0, 0)
            }
        }
        if held > 0 {
            append(word << UInt32(8 * (3 - held)), digits: held + 1, to: &text)
            for _ in held..<3 { text.append(UInt8(ascii: "=")) }
        }
        return String(decoding: text, as: UTF8.self)
    }
    /// Nil for anything that `encode` does not write.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        if padding == 2, digits[digits.count - 2] != UInt8(ascii: "=") { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3)
        var word: UInt32 = 0
        var held = 0
        for digit in digits.dropLast(padding) {
            guard let value = value(of: digit) else { return nil }
            word = word << 6 | value
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(held)))
                word &= 1 << UInt32(held) - 1
            }
        }
        // What is left over of the last digit must say nothing.
        return word == 0 && bytes.count == digits.count / 4 * 3 - padding ? bytes : nil
    }

    private static func append(_ word: UInt32, digits: Int, to text: inout [UInt8]) {
        for i in 0..<digits {
            text.append(alphabet.utf8Start[Int(word >> UInt32(18 - 6 * i) & 63)])
        }
    }
    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

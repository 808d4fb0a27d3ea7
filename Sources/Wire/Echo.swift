import Events

/// A caller's text for an error message: at most `max` of its bytes, printable ASCII as it is and
/// everything else as `\xHH`, so that it cannot break the line it is put into.
///
/// From the first `tg_` on, in either case and wherever it stands, the text is replaced by
/// `tg_***`: people paste keys into the wrong field, and error messages end in other people's logs.
package func echo(_ text: Bytes, max: Int = WireLimits.echoBytesMax) -> String {
    var out = ByteBuffer(capacity: 96)
    let secret = firstSecret(text, from: 0, atLeast: 0) ?? text.count
    for i in 0..<min(secret, max) { out.append(escaped: text[i], spaces: true) }
    if secret < text.count, secret <= max {
        out.append("tg_***" as StaticString)
    } else if text.count > max {
        out.append("..." as StaticString)
    }
    return out.string
}

func echo(_ byte: UInt8) -> String {
    var out = ByteBuffer(capacity: 16)
    out.append(escaped: byte, spaces: true)
    return out.string
}

/// Where the first `tg_` stands that is followed by at least `atLeast` bytes of a secret's
/// alphabet.
func firstSecret(_ text: Bytes, from start: Int, atLeast: Int) -> Int? {
    var at = start
    while at + 3 <= text.count {
        if text[at] | 0x20 == UInt8(ascii: "t"), text[at + 1] | 0x20 == UInt8(ascii: "g"),
            text[at + 2] == UInt8(ascii: "_"), secretLength(text, from: at + 3) >= atLeast
        {
            return at
        }
        at += 1
    }
    return nil
}

/// How many bytes from `start` on could belong to a secret: letters, digits, `_` and `-`.
func secretLength(_ text: Bytes, from start: Int) -> Int {
    var at = start
    while at < text.count {
        switch text[at] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            at += 1
        default: return at - start
        }
    }
    return at - start
}

extension Bytes {
    /// Whether it begins as our secrets do and is as long: what a request says is written into the
    /// log, and a secret that got into the wrong place must not be.
    @inline(__always)
    var isLikeSecret: Bool { count >= 41 && beginsLikeSecret }
    @inline(never)
    private var beginsLikeSecret: Bool {
        self[0] | 0x20 == UInt8(ascii: "t") && self[1] | 0x20 == UInt8(ascii: "g")
            && self[2] == UInt8(ascii: "_") && secretLength(self, from: 3) >= 38
    }
}

extension ByteBuffer {
    /// One byte of foreign text: printable ASCII as it is, anything else as `\xHH`.
    mutating func append(escaped c: UInt8, spaces: Bool) {
        if c > 0x20 && c < 0x7F || spaces && c == 0x20 {
            append(c)
        } else {
            append("\\x" as StaticString)
            withUnsafeBytes(of: c) { append(hex: Bytes($0)) }
        }
    }
}

extension Bytes {
    /// As `isPlainText`, but eight bytes at a time while they are ASCII, which ids nearly always
    /// are.
    @inline(__always)
    var isPlainTextFast: Bool { isPrintable(from: 0x20) || isPlainText }
}

import Events

/// The reply grammar a connection chose with HELLO; RESP2 until it does.
package enum ProtocolVersion: Int64, Sendable {
    case two = 2
    case three = 3
}

// The pieces of replies. A simple string ends at its line end, so nothing foreign is ever written
// into one unescaped; foreign bytes go into bulk strings, whose length says where they end.
extension ByteBuffer {
    package mutating func endLine() {
        reserve(2)
        append(UInt8(0x0D))
        append(UInt8(0x0A))
    }
    /// `+text`, for texts of our own.
    package mutating func reply(simple text: StaticString) {
        append(UInt8(ascii: "+"))
        append(text)
        endLine()
    }
    /// `:number`
    package mutating func reply(integer value: Int64) {
        append(UInt8(ascii: ":"))
        append(decimal: value)
        endLine()
    }
    /// `$length` and the bytes.
    package mutating func reply(bulk bytes: Bytes) {
        reserve(bytes.count + 16)
        header("$", bytes.count)
        append(bytes)
        endLine()
    }
    package mutating func reply(bulk text: StaticString) { reply(bulk: Bytes(text)) }
    package mutating func reply(bulk text: String) {
        var text = text
        text.withUTF8 { reply(bulk: Bytes(UnsafeRawBufferPointer($0))) }
    }
    /// Nothing: `_`, or RESP2's bulk string of length −1.
    package mutating func reply(nullFor version: ProtocolVersion) {
        append(version == .three ? "_\r\n" as StaticString : "$-1\r\n")
    }
    /// `+TAIL from=7`: events follow, each a bulk string, until something else does.
    package mutating func reply(tailingFrom seq: UInt64) {
        append("+TAIL from=" as StaticString)
        append(decimal: seq)
        endLine()
    }
    /// `+TAILED next=9`: no more events; with which to go on another time.
    package mutating func reply(tailedUpTo next: UInt64) {
        append("+TAILED next=" as StaticString)
        append(decimal: next)
        endLine()
    }
    /// Announces an array of `count` replies.
    package mutating func reply(array count: Int) { header("*", count) }
    /// Announces a map of `pairs` names and values: flat pairs to a RESP2 client.
    package mutating func reply(map pairs: Int, _ version: ProtocolVersion) {
        if version == .three { header("%", pairs) } else { header("*", pairs * 2) }
    }
    /// Announces a set of `count` replies: an array to a RESP2 client.
    package mutating func reply(set count: Int, _ version: ProtocolVersion) {
        header(version == .three ? "~" : "*", count)
    }
    private mutating func header(_ kind: Unicode.Scalar, _ count: Int) {
        append(UInt8(ascii: kind))
        append(decimal: Int64(count))
        endLine()
    }

    /// `-CODE text` in one line. Control characters become spaces, and whatever looks like a secret
    /// is masked even though no text should hold one: the last line of defence, and errors are
    /// rare.
    package mutating func reply(_ failure: Failure) {
        append(UInt8(ascii: "-"))
        append(failure.code.name)
        append(UInt8(ascii: " "))
        failure.text.withBytes { text in
            var at = 0
            while at < text.count {
                let stop = firstSecret(text, from: at, atLeast: 8) ?? text.count
                while at < stop {
                    append(text[at] < 0x20 || text[at] == 0x7F ? UInt8(ascii: " ") : text[at])
                    at += 1
                }
                if at < text.count {
                    append("tg_***" as StaticString)
                    at += 3
                    at += secretLength(text, from: at)
                }
            }
        }
        endLine()
    }
}

/// The text of the last instant that was asked for. Within a second most holds get the same `until`,
/// and calendar arithmetic costs more than the rest of the reply.
package struct SecondText: ~Copyable {
    private var instant = Instant.distantPast
    private var written = ByteBuffer(capacity: 40)

    package init() { written.append(instant) }

    /// Valid until the next call.
    @inline(__always)
    package mutating func text(of wanted: Instant) -> Bytes {
        if wanted != instant { remember(wanted) }
        return written.bytes
    }
    @inline(never) private mutating func remember(_ wanted: Instant) {
        written.removeAll()
        written.append(wanted)
        instant = wanted
    }
}

/// How deep an account stands: an org, a team of it, or a key of a team.
@frozen @usableFromInline
package enum Tier: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    case org = 0
    case team = 1
    case key = 2

    package var name: StaticString {
        switch self {
        case .org: "org"
        case .team: "team"
        case .key: "key"
        }
    }
}

/// An account's number: the order in which it was created. Inside only; outside there are paths.
@frozen @usableFromInline
package struct AccountNumber: Hashable, Sendable {
    @usableFromInline package var raw: UInt32
    @inlinable package init(_ raw: UInt32) { self.raw = raw }
    /// No account: the event concerns the ledger, or a key that does not exist.
    @inlinable package static var none: AccountNumber { AccountNumber(.max) }
}

/// A model's number: the order in which the price book first named it.
@frozen @usableFromInline
package struct ModelNumber: Hashable, Sendable {
    @usableFromInline package var raw: UInt32
    @inlinable package init(_ raw: UInt32) { self.raw = raw }
    /// A model the price book does not know; its name stands in the event's text.
    @inlinable package static var none: ModelNumber { ModelNumber(.max) }
}

/// Who caused an event.
///
/// The stored form is 32 bits: 0 is the daemon, the top bit marks a Unix peer's uid, anything else
/// is an operator's number plus one.
@frozen @usableFromInline
package struct Actor: Hashable, Sendable {
    @usableFromInline package var raw: UInt32
    @inlinable package init(raw: UInt32) { self.raw = raw }
    @inlinable package static var daemon: Actor { Actor(raw: 0) }
    package static func uid(_ uid: UInt32) -> Actor { Actor(raw: 0x8000_0000 | uid) }
    package static func operatorNumber(_ number: UInt32) -> Actor { Actor(raw: number + 1) }

    package var uid: UInt32? { raw & 0x8000_0000 != 0 ? raw & 0x7FFF_FFFF : nil }
    package var operatorNumber: UInt32? {
        raw != 0 && raw & 0x8000_0000 == 0 ? raw - 1 : nil
    }
}

/// A hold's name, `<epoch>-<seq>` of the event that placed it.
///
/// The epoch is part of the name because a power cut may lose staged sequence numbers, and the next
/// epoch then gives them to other events.
@frozen @usableFromInline
package struct HoldName: Hashable, Sendable {
    @usableFromInline package var epoch: UInt32
    @usableFromInline package var seq: UInt64
    @inlinable package init(epoch: UInt32, seq: UInt64) {
        self.epoch = epoch
        self.seq = seq
    }
    package init?(parsing text: Bytes) {
        guard let dash = text.firstIndex(of: UInt8(ascii: "-")),
            let epoch = text.slice(0, dash).unsignedDecimal,
            let seq = text.slice(dash + 1, text.count).unsignedDecimal,
            epoch > 0, epoch <= UInt64(UInt32.max), seq > 0, seq < 1 << 62
        else { return nil }
        self.init(epoch: UInt32(epoch), seq: seq)
    }
}

extension ByteBuffer {
    package mutating func append(_ hold: HoldName) {
        append(decimal: UInt64(hold.epoch))
        append(UInt8(ascii: "-"))
        append(decimal: hold.seq)
    }
}

extension HoldName: CustomStringConvertible {
    @usableFromInline package var description: String { "\(epoch)-\(seq)" }
}

/// Account paths: one, two or three names joined by `/`.
package enum AccountPath {
    /// The tier of a well-formed path; nil when it is none.
    package static func tier(_ path: Bytes) -> Tier? {
        var start = 0
        var depth = 0
        for i in 0...path.count {
            guard i == path.count || path[i] == UInt8(ascii: "/") else { continue }
            guard depth < 3, isName(path.slice(start, i)) else { return nil }
            depth += 1
            start = i + 1
        }
        return Tier(rawValue: UInt8(depth - 1))
    }
    /// The path of the parent; empty for an org.
    package static func parent(_ path: Bytes) -> Bytes {
        var i = path.count - 1
        while i >= 0, path[i] != UInt8(ascii: "/") { i -= 1 }
        return i < 0 ? .empty : path.slice(0, i)
    }
    /// `[a-z0-9][a-z0-9._-]{0,62}`
    package static func isName(_ name: Bytes) -> Bool {
        guard name.count >= 1, name.count <= Bounds.nameBytesMax, isAlphanumeric(name[0]) else {
            return false
        }
        for i in 1..<max(name.count, 1) {
            let c = name[i]
            guard
                isAlphanumeric(c) || c == UInt8(ascii: ".") || c == UInt8(ascii: "_")
                    || c == UInt8(ascii: "-")
            else { return false }
        }
        return true
    }
    private static func isAlphanumeric(_ c: UInt8) -> Bool {
        c >= UInt8(ascii: "a") && c <= UInt8(ascii: "z") || c >= 48 && c <= 57
    }
    package static let rule =
        "names are [a-z0-9][a-z0-9._-]{0,62}, joined by '/': org, org/team or org/team/key"
}

/// Model names `provider/model`, aliases, and the patterns of allow-lists.
package enum ModelName {
    /// Whether the text is `provider/model`: two or more non-empty parts of `[A-Za-z0-9._:@+-]`.
    package static func isQualified(_ name: Bytes) -> Bool {
        guard name.count <= Bounds.modelBytesMax else { return false }
        var slashes = 0
        var partLength = 0
        for i in 0..<name.count {
            if name[i] == UInt8(ascii: "/") {
                guard partLength > 0 else { return false }
                slashes += 1
                partLength = 0
            } else {
                guard isNameByte(name[i]) else { return false }
                partLength += 1
            }
        }
        return slashes >= 1 && partLength > 0
    }
    /// Whether the text may be an alias: no slash, the same bytes otherwise.
    package static func isAlias(_ name: Bytes) -> Bool {
        guard name.count >= 1, name.count <= Bounds.modelBytesMax else { return false }
        for i in 0..<name.count where !isNameByte(name[i]) { return false }
        return true
    }
    /// `*`, `provider/*`, or a qualified name.
    package static func isPattern(_ text: Bytes) -> Bool {
        if text == "*" { return true }
        if text.count >= 3, text[text.count - 1] == UInt8(ascii: "*"),
            text[text.count - 2] == UInt8(ascii: "/")
        {
            let provider = text.slice(0, text.count - 2)
            return isAlias(provider) || isQualified(provider)
        }
        return isQualified(text)
    }
    /// Whether `pattern` admits `name`, a model or a narrower pattern.
    package static func matches(pattern: Bytes, _ name: Bytes) -> Bool {
        if pattern == "*" { return true }
        guard pattern.count >= 2, pattern[pattern.count - 1] == UInt8(ascii: "*") else {
            return pattern == name
        }
        let prefix = pattern.slice(0, pattern.count - 1)
        return name.count >= prefix.count && name.slice(0, prefix.count) == prefix
    }
    private static func isNameByte(_ c: UInt8) -> Bool {
        switch c {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "+"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension Bytes {
    /// The value of a run of decimal digits; nil when it is empty, has anything else in it, or
    /// overflows 64 bits.
    package var unsignedDecimal: UInt64? {
        guard count > 0, count <= 20 else { return nil }
        var value: UInt64 = 0
        for i in 0..<count {
            let digit = self[i] &- 48
            guard digit <= 9 else { return nil }
            let (tenfold, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = tenfold.addingReportingOverflow(UInt64(digit))
            guard !o1, !o2 else { return nil }
            value = sum
        }
        return value
    }
}

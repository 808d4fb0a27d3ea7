import Events

/// What a row is about, packed into two words while it is gathered; its stored key has the same order.
///
///     first    u32 minutes since 1970 at which its hour or day begins, u32 account
///     second   u32 model, or handle of a tag's text; … u8 kind
struct RollupKey: Hashable {
    var first: UInt64
    var second: UInt64

    /// One hour of a key and model, at a service tier.
    static func hour(_ start: UInt32, account: UInt32, model: UInt32, _ tier: UInt8) -> RollupKey {
        RollupKey(
            first: UInt64(start) << 32 | UInt64(account), second: UInt64(model) << 8 | UInt64(tier))
    }
    /// The running total of one hour of an org, for a run of accounts: kept beside the rows, so that
    /// their sum can be checked.
    static func total(_ start: UInt32, org: UInt32, run: UInt32) -> RollupKey {
        RollupKey(
            first: UInt64(start) << 32 | UInt64(org), second: UInt64(run) << 8 | totalKind)
    }
    /// One day of a team and a tag's text.
    static func tag(_ day: UInt32, team: UInt32, text: UInt32, _ tag: TagKind) -> RollupKey {
        RollupKey(
            first: UInt64(day) << 32 | UInt64(team),
            second: UInt64(text) << 8 | tagKind | UInt64(tag.rawValue))
    }
    static let tagKind: UInt64 = 0x10
    static let totalKind: UInt64 = 0xFF

    var start: UInt32 { UInt32(truncatingIfNeeded: first >> 32) }
    var account: UInt32 { UInt32(truncatingIfNeeded: first) }
    var middle: UInt32 { UInt32(truncatingIfNeeded: second >> 8) }
    var kind: UInt8 { UInt8(truncatingIfNeeded: second) }
    var isTotal: Bool { kind == 0xFF }
    /// The front of its place among the stored keys: what kind of row, and `first`, whose minutes fit 30 bits
    /// for a thousand years.
    var front: UInt64 {
        let kind: UInt64 = isTotal ? 1 : tag == nil ? 0 : 2
        return kind << 62 | first & (1 << 62 - 1)
    }
    /// The rest of its place; but that texts stand in the order of their handles, not their bytes.
    var back: UInt64 {
        // Of tags, which one comes before what it says.
        tag == nil ? second : second << 56 | second >> 8
    }
    var tag: TagKind? { kind & 0xF0 == 0x10 ? TagKind(rawValue: kind & 0x0F) : nil }
}

/// What a caller says of a request for attribution.
package enum TagKind: UInt8, CaseIterable, Sendable {
    case user = 0
    case project = 1
    case environment = 2

    package var name: StaticString {
        switch self {
        case .user: "user"
        case .project: "project"
        case .environment: "env"
        }
    }
}

/// The first byte of a stored key.
enum RollupRowKind: UInt8 {
    case meta = 0
    case hour = 1
    case total = 2
    case tag = 3
    // What the fold must find again, beside the rows.
    case account = 6
    case day = 7
    case charge = 8
    case chargeTier = 9
    case foreign = 10
    case terms = 11
    case modelName = 12
    case modelNumber = 13
    case path = 14
}

extension ByteBuffer {
    /// Big-endian, so that keys are ordered by their bytes.
    mutating func append(big value: UInt32) { append(uint32: value.byteSwapped) }
    mutating func append(big value: UInt64) { append(uint64: value.byteSwapped) }

    mutating func append(_ kind: RollupRowKind) { append(kind.rawValue) }
    /// The key under which a gathered row is stored.
    mutating func append(stored key: RollupKey, text: Bytes) {
        if key.isTotal {
            append(RollupRowKind.total)
            append(big: key.start)
            append(big: key.account)
            append(big: key.middle)
        } else if let tag = key.tag {
            append(RollupRowKind.tag)
            append(big: key.start)
            append(big: key.account)
            append(tag.rawValue)
            append(text)
        } else {
            append(RollupRowKind.hour)
            append(big: key.start)
            append(big: key.account)
            append(big: key.middle)
            append(key.kind)
        }
    }
}

extension ByteReader {
    mutating func bigUInt32() -> UInt32 { uint32().byteSwapped }
}

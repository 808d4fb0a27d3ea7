/// A text about a person that a request may bring along.
package enum PersonalField: UInt8, CaseIterable, Sendable {
    case user = 0
    case address = 1
    case userAgent = 2

    package var name: StaticString {
        switch self {
        case .user: "user"
        case .address: "ip"
        case .userAgent: "ua"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = PersonalField.allCases.first(where: { name == $0.name }) else {
            return nil
        }
        self = found
    }
}

/// Which of them an org wants stored as commitments.
package struct PersonalFields: OptionSet, Hashable, BitwiseCopyable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package init(_ field: PersonalField) { rawValue = 1 << field.rawValue }

    package func contains(_ field: PersonalField) -> Bool { contains(PersonalFields(field)) }
    /// In the order of their numbers.
    package var all: [PersonalField] { PersonalField.allCases.filter { contains($0) } }
    /// Whether each bit stands for a field.
    package var isKnown: Bool { rawValue >> UInt8(PersonalField.allCases.count) == 0 }
}

/// What stands in the log in the place of a personal text: the first 128 bits of a salted SHA-256, as
/// `~` and 22 letters of base64url. Without the salt nobody can test a guess against it.
@frozen @usableFromInline
package struct Commitment: Hashable, Sendable {
    /// The digest's first sixteen bytes, the first lowest.
    package var low: UInt64
    package var high: UInt64

    package static let byteCount = 16
    package static let textBytes = 23

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
    /// Reads the text back; nil when it is none, so that a caller's own text is one only by design.
    package init?(_ text: Bytes) {
        guard text.count == Commitment.textBytes, text[0] == UInt8(ascii: "~") else { return nil }
        (low, high) = (0, 0)
        var byte = 0
        var bits: UInt32 = 0
        var have = 0
        for i in 1..<text.count {
            guard let value = Commitment.value(of: text[i]) else { return nil }
            bits = bits << 6 | UInt32(value)
            have += 6
            guard have >= 8 else { continue }
            have -= 8
            let octet = UInt64(bits >> UInt32(have) & 0xFF)
            if byte < 8 {
                low |= octet << UInt64(8 * byte)
            } else {
                high |= octet << UInt64(8 * (byte - 8))
            }
            byte += 1
        }
        // The last letter has four bits to spare, which are 0 in the one spelling that counts.
        guard bits & 0xF == 0 else { return nil }
    }
    /// Writes the text, `textBytes` long.
    package func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: UInt8(ascii: "~"), as: UInt8.self)
        var at = 1
        var bits: UInt32 = 0
        var have = 0
        for byte in 0..<Commitment.byteCount {
            let word = byte < 8 ? low >> UInt64(8 * byte) : high >> UInt64(8 * (byte - 8))
            bits = bits << 8 | UInt32(truncatingIfNeeded: word & 0xFF)
            have += 8
            while have >= 6 {
                have -= 6
                put(bits >> UInt32(have) & 0x3F)
            }
        }
        put(bits << 4 & 0x3F)

        func put(_ value: UInt32) {
            target.storeBytes(
                of: Commitment.alphabet.utf8Start[Int(value)], toByteOffset: at, as: UInt8.self)
            at += 1
        }
    }
    package var text: String {
        withUnsafeTemporaryAllocation(byteCount: Commitment.textBytes, alignment: 1) { buffer in
            write(to: buffer.baseAddress!)
            return Bytes(UnsafeRawBufferPointer(buffer)).string
        }
    }

    private static let alphabet: StaticString =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    private static func value(of letter: UInt8) -> UInt8? {
        switch letter {
        case 65...90: letter - 65
        case 97...122: letter - 71
        case 48...57: letter + 4
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

/// `privacy.set`: which texts of an org's requests are stored as commitments from now on.
package struct PrivacySet: Sendable {
    package var account: String
    package var fields: PersonalFields

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .org)
        guard let names = try fields.optionalStrings("fields") else {
            throw Failure(
                .error,
                "privacy.set needs \"fields\", a list of \(PrivacySet.known); [] stores all as they are"
            )
        }
        self.fields = []
        for name in names {
            guard let field = name.withBytes({ PersonalField($0) }) else {
                throw Failure(
                    .error,
                    "privacy.set knows no field \"\(name)\": there are \(PrivacySet.known)")
            }
            self.fields.insert(PersonalFields(field))
        }
    }
    private static var known: String {
        PersonalField.allCases.map { "\($0.name)" }.joined(separator: ", ")
    }
}

/// `personal.erased`: the daemon's, when somebody had a person's text erased. What stands in the log
/// keeps its commitment, and nobody can say any more what it was made of.
package struct PersonalErased: Sendable {
    /// The org whose requests brought it; nil for requests of keys that nobody knows.
    package var account: String?
    package var field: PersonalField
    package var commitments: [String]

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.optionalAccount("account")
        let name = try fields.text("field")
        guard let field = name.withBytes({ PersonalField($0) }) else {
            throw Failure(.error, "personal.erased knows no field \"\(name)\"")
        }
        self.field = field
        commitments = try fields.optionalStrings("commitments") ?? []
        for text in commitments where text.withBytes({ Commitment($0) }) == nil {
            throw Failure(.error, "personal.erased: \"\(text)\" is no commitment")
        }
    }
}

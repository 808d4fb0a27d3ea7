import Crypto
import Events

/// Secrets of keys and operators: `tg_<environment>_<30 base62><6 base62 of their CRC-32>`.
///
/// The prefix lets scanners find leaked ones, the checksum refuses a typo without a lookup. Only the
/// SHA-256 of the whole text is ever stored. Alphabet and a test vector: `schemas/secrets.md`.
package enum Secret {
    /// Digits, upper case, lower case; other tools order base62 differently, so the order is stated.
    static let alphabet: StaticString =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    static let randomDigits = 30
    static let checkDigits = 6
    static let environmentBytesMax = 24

    /// A fresh secret: 178 bits of randomness.
    package static func generate(environment: String?) -> String {
        var generator = SystemRandomNumberGenerator()
        let random = (0..<randomDigits).map { _ in
            alphabet.utf8Start[Int.random(in: 0..<62, using: &generator)]
        }
        return make(environment: environment, random: random)
    }
    static func make(environment: String?, random: [UInt8]) -> String {
        precondition(random.count == randomDigits)
        // Only letters and digits, so that the underscores stay what separates the parts.
        let kept = (environment ?? "").lowercased().utf8.filter {
            $0 >= 97 && $0 <= 122 || $0 >= 48 && $0 <= 57
        }
        let name = kept.isEmpty ? Array("key".utf8) : Array(kept.prefix(environmentBytesMax))
        let check = checksum(random)
        return "tg_" + String(decoding: name + [UInt8(ascii: "_")] + random + check, as: UTF8.self)
    }
    /// Whether the text has the form and its checksum is right.
    package static func isWellFormed(_ text: Bytes) -> Bool {
        let tail = randomDigits + checkDigits
        guard text.hasPrefix("tg_"), text.count >= 3 + 1 + 1 + tail,
            text.count <= 3 + environmentBytesMax + 1 + tail,
            text[text.count - tail - 1] == UInt8(ascii: "_")
        else { return false }
        for i in 3..<text.count - tail - 1 {
            guard text[i] >= 97 && text[i] <= 122 || text[i] >= 48 && text[i] <= 57 else {
                return false
            }
        }
        var crc: UInt32 = .max
        let start = text.count - tail
        for i in start..<start + randomDigits {
            guard isDigit(text[i]) else { return false }
            crc = step(crc, text[i])
        }
        var rest = ~crc
        for i in stride(from: text.count - 1, through: start + randomDigits, by: -1) {
            guard text[i] == alphabet.utf8Start[Int(rest % 62)] else { return false }
            rest /= 62
        }
        return true
    }
    /// SHA-256 of the whole text.
    package static func digest(_ text: Bytes) -> [UInt8] {
        Array(SHA256.hash(data: UnsafeRawBufferPointer(start: text.base, count: text.count)))
    }

    private static func isDigit(_ c: UInt8) -> Bool {
        c >= 48 && c <= 57 || c >= 65 && c <= 90 || c >= 97 && c <= 122
    }
    private static func checksum(_ random: [UInt8]) -> [UInt8] {
        var crc: UInt32 = .max
        for byte in random { crc = step(crc, byte) }
        var rest = ~crc
        var digits: [UInt8] = []
        for _ in 0..<checkDigits {
            digits.insert(alphabet.utf8Start[Int(rest % 62)], at: 0)
            rest /= 62
        }
        return digits
    }
    /// One byte of CRC-32 (ISO 3309, as in zlib), bit by bit: thirty bytes need no table.
    private static func step(_ crc: UInt32, _ byte: UInt8) -> UInt32 {
        var crc = crc ^ UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
        return crc
    }
}

/// Digests of secrets that were hashed before, so that the hot path hashes little and keeps no secret.
///
/// A secret is remembered under 128 bits of SipHash keyed afresh in each process: without that key a
/// memory dump does not even allow testing guesses against it. The ledger still decides what a digest
/// may, every time.
struct SecretMemo: ~Copyable {
    private static let slots = 4_096
    private struct Entry {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var digest = InlineArray<32, UInt8>(repeating: 0)
    }
    private let entries: UnsafeMutablePointer<Entry>

    init() {
        entries = .allocate(capacity: SecretMemo.slots)
        entries.initialize(repeating: Entry(), count: SecretMemo.slots)
    }
    deinit { entries.deallocate() }

    /// The secret's SHA-256, valid until the next call; nil for a text that is no secret.
    func digest(of text: Bytes) -> Bytes? {
        let bytes = UnsafeRawBufferPointer(start: text.base, count: text.count)
        let low = hash(bytes, lane: 1)
        let high = hash(bytes, lane: 2)
        let entry = entries + Int(truncatingIfNeeded: low & UInt64(SecretMemo.slots - 1))
        if entry.pointee.low != low || entry.pointee.high != high {
            // A secret of ours with a typo needs no lookup; one from elsewhere has its own form.
            guard !text.hasPrefix("tg_") || Secret.isWellFormed(text) else { return nil }
            let digest = Secret.digest(text)
            for i in 0..<32 { entry.pointee.digest[i] = digest[i] }
            entry.pointee.low = low
            entry.pointee.high = high
        }
        let offset = MemoryLayout<Entry>.offset(of: \Entry.digest)!
        return Bytes(UnsafeRawPointer(entry) + offset, count: 32)
    }
    private func hash(_ bytes: UnsafeRawBufferPointer, lane: UInt8) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(lane)
        hasher.combine(bytes: bytes)
        return UInt64(bitPattern: Int64(hasher.finalize())) | 1
    }
}

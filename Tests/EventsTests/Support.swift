import Events
import Foundation

/// The repository around this file.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
    /// The names of the files in a directory, sorted.
    static func files(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(path).path)
            .sorted()
    }
}

/// SplitMix64: the same sequence for a seed on every machine.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// What `body` wrote.
func written(_ body: (inout ByteBuffer) -> Void) -> [UInt8] {
    var buffer = ByteBuffer()
    body(&buffer)
    return Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count))
}
func text(_ body: (inout ByteBuffer) -> Void) -> String {
    String(decoding: written(body), as: UTF8.self)
}
extension Array where Element == UInt8 {
    /// The bytes of hexadecimal digits; nil when it is anything else.
    init?(hex: Substring) {
        let digits = Array(hex.utf8)
        guard digits.count % 2 == 0 else { return nil }
        self = []
        for i in stride(from: 0, to: digits.count, by: 2) {
            guard let high = hexValue(digits[i]), let low = hexValue(digits[i + 1]) else {
                return nil
            }
            append(high << 4 | low)
        }
    }
    var hex: String {
        withUnsafeBytes { raw in EventsTests.text { $0.append(hex: Bytes(raw)) } }
    }
    /// Runs `body` on a copy that ends where these bytes end, so that a read past them is found by the
    /// sanitizers.
    func withExactBytes<R>(_ body: (Bytes) throws -> R) rethrows -> R {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: self)
        return try body(Bytes(UnsafeRawBufferPointer(copy)))
    }
}
extension JSON {
    init(_ text: String) throws(JSONError) {
        self = try text.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes) }
    }
    var canonical: String { EventsTests.text { $0.append(canonical: self) } }
}

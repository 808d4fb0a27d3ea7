import CLinux
import Crypto
import TestSupport
import Testing

/// Ours against somebody else's: by the processor's instructions, by arithmetic, and two at a time.
@Suite struct `SHA-256` {
    private typealias Digest = (
        Int32, UnsafeRawPointer?, Int, UnsafeMutablePointer<UInt8>
    ) -> Void

    private static func ours(_ prefix: Int32, _ bytes: some Collection<UInt8>, _ digest: Digest)
        -> [UInt8]
    {
        var out = [UInt8](repeating: 0, count: 32)
        Array(bytes).withUnsafeBytes { digest(prefix, $0.baseAddress, $0.count, &out) }
        return out
    }
    private static func theirs(_ prefix: Int32, _ bytes: some Collection<UInt8>) -> [UInt8] {
        Array(SHA256.hash(data: (prefix < 0 ? [] : [UInt8(prefix)]) + bytes))
    }
    private static func noise(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    private static func check(_ prefix: Int32, _ bytes: some Collection<UInt8>) {
        let expected = theirs(prefix, bytes)
        #expect(ours(prefix, bytes, tg_sha256) == expected, "\(bytes.count) bytes")
        #expect(ours(prefix, bytes, tg_sha256_portable) == expected, "\(bytes.count) bytes")
    }

    @Test(arguments: [-1, 0, 1] as [Int32])
    func `is swift-crypto's for every length`(prefix: Int32) {
        var random = SeededGenerator(seed: 256)
        let bytes = Self.noise(300, &random)
        for count in 0...300 { Self.check(prefix, bytes[..<count]) }
    }
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `is swift-crypto's for random blocks`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<24 {
            let bytes = Self.noise(Int.random(in: 0...20_000, using: &random), &random)
            Self.check(Int32.random(in: -1...1, using: &random), bytes)
        }
    }
    @Test func `is what the standard says of abc`() {
        let abc = Self.ours(-1, Array("abc".utf8), tg_sha256)
        #expect(abc.prefix(4) == [0xba, 0x78, 0x16, 0xbf], "FIPS 180-4's example")
        #expect(["sha-ni", "portable"].contains(String(cString: tg_sha256_kind())))
    }

    /// Every pair of lengths around a block's end, and around the length from which nothing is copied.
    @Test(arguments: [0, 1] as [UInt8])
    func `of a pair is that of each`(prefix: UInt8) {
        var random = SeededGenerator(seed: 2)
        let lengths = [0, 1, 54, 55, 56, 62, 63, 64, 118, 119, 120, 127, 128, 250, 959, 960, 961]
        for first in lengths {
            for second in lengths {
                let a = Self.noise(first, &random)
                let b = Self.noise(second, &random)
                var out = [UInt8](repeating: 0, count: 64)
                // A message of no bytes has an address, too.
                (a + [0]).withUnsafeBytes { a in
                    (b + [0]).withUnsafeBytes { b in
                        tg_sha256_pair(
                            prefix, a.baseAddress!, first, b.baseAddress!, second, &out)
                    }
                }
                let expected = Self.theirs(Int32(prefix), a) + Self.theirs(Int32(prefix), b)
                #expect(out == expected, "\(first) and \(second) bytes")
            }
        }
    }
    @Test(arguments: [1, 2, 3, 4, 7, 128])
    func `of a row of nodes can take their place`(parents: Int) {
        var random = SeededGenerator(seed: UInt64(parents))
        var nodes = Self.noise(64 * parents, &random)
        let expected = (0..<parents).flatMap { Self.theirs(1, nodes[64 * $0..<64 * $0 + 64]) }
        nodes.withUnsafeMutableBufferPointer {
            tg_sha256_parents($0.baseAddress!, parents, $0.baseAddress!)
        }
        #expect(Array(nodes[..<(32 * parents)]) == expected)
    }
}

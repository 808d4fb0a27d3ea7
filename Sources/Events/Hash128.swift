/// A fast 128-bit hash of bytes (two multiply-fold lanes, in the manner of wyhash), the same in every
/// process: it stands in checkpoints. It guards against accidents; where an adversary chooses the
/// bytes they only ever collide with their own key's.
@frozen @usableFromInline
package struct Hash128: Hashable, Sendable {
    @usableFromInline package var low: UInt64
    @usableFromInline package var high: UInt64
    @inlinable package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
    @inlinable package static var none: Hash128 { Hash128(low: 0, high: 0) }

    /// Sixteen bytes a step: each word is one side of one lane's product and goes into the other
    /// side of the other's.
    @inlinable package init(_ bytes: Bytes, seed: UInt64 = 0) {
        // The seed is mixed before any byte meets it: added to a short text as it is, a neighbouring
        // seed and a neighbouring text would make the same hash.
        var a = Hash128.fold(seed ^ 0xA076_1D64_78BD_642F, 0x8EBC_6AF0_9C88_C6E3)
        var b = Hash128.fold(seed &+ 0xE703_7ED1_A0B4_28DB, 0x5899_65CC_7537_4CC3)
        let length = UInt64(truncatingIfNeeded: bytes.count)
        var first: UInt64 = 0
        var last: UInt64 = 0
        if bytes.count >= 16 {
            var at = bytes.base.unsafelyUnwrapped
            let end = at + (bytes.count &- 16)
            while at < end {
                let (x, y) = (Hash128.word(at), Hash128.word(at + 8))
                a = Hash128.fold(a ^ x, y ^ 0x8EBC_6AF0_9C88_C6E3)
                b = Hash128.fold(b &+ y, x ^ 0x5899_65CC_7537_4CC3)
                at += 16
            }
            // The last sixteen bytes overlap the ones before: the length tells texts apart all the same.
            first = Hash128.word(end)
            last = Hash128.word(end + 8)
        } else if bytes.count >= 8 {
            let base = bytes.base.unsafelyUnwrapped
            first = Hash128.word(base)
            last = Hash128.word(base + (bytes.count &- 8))
        } else {
            for i in 0..<bytes.count { first = first << 8 | UInt64(bytes[i]) }
        }
        a = Hash128.fold(a ^ first, last ^ 0x1D8E_4E27_C47D_124F ^ length)
        b = Hash128.fold(b &+ last, (first ^ 0xEB44_ACCA_B455_D165) &+ length)
        low = Hash128.fold(a ^ b, 0x9E37_79B9_7F4A_7C15)
        high = Hash128.fold(b, a | 1)
    }
    @inline(__always) @inlinable
    static func word(_ at: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
    }
    /// Both halves of the product: every bit of either side reaches every bit of the result.
    @inline(__always) @inlinable
    package static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let wide = x.multipliedFullWidth(by: y)
        return wide.high ^ wide.low
    }
}

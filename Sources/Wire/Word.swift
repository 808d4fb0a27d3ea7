import Events

/// Eight bytes at a time: looking at bytes one by one is most of what reading a request costs
/// (measured: 1,700 instructions a RESERVE, where this takes a quarter). The first byte is the
/// lowest on every machine.
enum Word {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The eight bytes at `at`, all of which are there.
    @inline(__always)
    static func load(_ base: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
    /// The first eight bytes of a text that has at least one; zeros behind its end.
    @inline(__always)
    static func first(_ text: Bytes) -> UInt64 {
        let base = text.base.unsafelyUnwrapped
        return text.count >= 8 ? load(base, 0) : short(base, text.count)
    }
    /// One to seven bytes; zeros behind them. Reads nothing beyond, in two loads that may overlap.
    @inline(__always)
    private static func short(_ base: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 4 {
            let low = UInt32(littleEndian: base.loadUnaligned(as: UInt32.self))
            let high = UInt32(
                littleEndian: base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            return UInt64(low) | UInt64(high) &<< UInt64(truncatingIfNeeded: 8 &* (count &- 4))
        }
        let first = UInt64(base.load(as: UInt8.self))
        let middle = UInt64(base.load(fromByteOffset: count &>> 1, as: UInt8.self))
        let last = UInt64(base.load(fromByteOffset: count &- 1, as: UInt8.self))
        return first | middle &<< UInt64(truncatingIfNeeded: 8 &* (count &>> 1))
            | last &<< UInt64(truncatingIfNeeded: 8 &* (count &- 1))
    }

    /// The top bit of every byte below 0x28; exact.
    @inline(__always)
    static func bytesBelow28(_ x: UInt64) -> UInt64 {
        ~((x | tops) &- 0x2828_2828_2828_2828) & ~x & tops
    }
    /// The top bit of every byte that is zero; exact, no byte disturbs its neighbour.
    @inline(__always)
    static func zeroBytes(_ x: UInt64) -> UInt64 {
        let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
        return ~(((x & low) &+ low) | x | low)
    }
    /// The top bit of every byte that equals `byte`; exact.
    @inline(__always)
    static func bytes(_ x: UInt64, equalTo byte: UInt8) -> UInt64 {
        zeroBytes(x ^ ones &* UInt64(byte))
    }
    /// Whether all eight bytes are printable ASCII from `least` (0x20 or 0x21) up to `~`.
    @inline(__always)
    static func isPrintable(_ x: UInt64, from least: UInt64) -> Bool {
        let delete = x ^ 0x7F7F_7F7F_7F7F_7F7F
        // High bit set, below `least`, or DEL; a borrow can only come from a byte that is itself odd.
        let odd = x | ~((x | tops) &- ones &* least) | (delete &- ones) & ~delete
        return odd & tops == 0
    }
}

extension Bytes {
    /// Whether all bytes are printable ASCII from `least` (0x20 or 0x21) up to `~`.
    @inline(__always)
    func isPrintable(from least: UInt64) -> Bool {
        guard count > 8 else {
            guard count > 0 else { return true }
            // What is missing reads as zero; a `~` in its place is as printable as any.
            let word = Word.first(self)
            guard count < 8 else { return Word.isPrintable(word, from: least) }
            let gone: UInt64 = 0x7E7E_7E7E_7E7E_7E7E &<< UInt64(truncatingIfNeeded: 8 &* count)
            return Word.isPrintable(word | gone, from: least)
        }
        let base = base.unsafelyUnwrapped
        var at = 0
        while at < count &- 8 {
            guard Word.isPrintable(Word.load(base, at), from: least) else { return false }
            at &+= 8
        }
        // The last eight overlap those before.
        return Word.isPrintable(Word.load(base, count &- 8), from: least)
    }
    /// Whether `byte` stands somewhere in it.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        guard count > 8 else {
            guard count > 0 else { return false }
            // The zeros behind a short text are no bytes of it.
            return Word.bytes(Word.first(self), equalTo: byte) != 0 && byte != 0
        }
        let base = base.unsafelyUnwrapped
        var at = 0
        while at < count &- 8 {
            if Word.bytes(Word.load(base, at), equalTo: byte) != 0 { return true }
            at &+= 8
        }
        return Word.bytes(Word.load(base, count &- 8), equalTo: byte) != 0
    }
    /// A run of 1 to 18 decimal digits, which cannot overflow; nil when it is anything else.
    var shortDecimal: Int64? {
        guard count >= 1, count <= 8 else { return longDecimal }
        return eightDigits
    }
    /// The same of 1 to 8 bytes; nil when some are no digits.
    @inline(__always)
    var eightDigits: Int64? {
        let missing = UInt64(truncatingIfNeeded: 64 &- 8 &* count)
        // Zeros in front: what the shift leaves behind becomes `0`, eight digits in all.
        let zeros = ((0x3030_3030_3030_3030 as UInt64) &>> (56 &- missing)) &>> 8
        let word = Word.first(self) &<< missing | zeros
        let isDecimal =
            word & 0xF0F0_F0F0_F0F0_F0F0
            | ((word &+ 0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0) &>> 4
        guard isDecimal == 0x3333_3333_3333_3333 else { return nil }
        // Neighbours are joined to numbers of two, four and eight digits.
        var value = word & 0x0F0F_0F0F_0F0F_0F0F
        value = (value &* 2561) &>> 8 & 0x00FF_00FF_00FF_00FF
        value = (value &* 6_553_601) &>> 16 & 0x0000_FFFF_0000_FFFF
        value = (value &* 42_949_672_960_001) &>> 32
        return Int64(truncatingIfNeeded: value)
    }
    @inline(never)
    private var longDecimal: Int64? {
        guard count >= 1, count <= 18 else { return nil }
        var value: Int64 = 0
        for i in 0..<count {
            let digit = self[at: i] &- 48
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }
}

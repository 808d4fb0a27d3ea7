import Events

/// Writes the pieces of an answer one behind the other, unchecked: whoever makes one has made room
/// for all it will write, and for eight bytes more, because numbers are stored as whole words.
///
/// An answer has ten pieces, and checking the room for each costs more than writing it.
struct Pen {
    private(set) var at: UnsafeMutableRawPointer

    init(_ start: UnsafeMutableRawPointer) { at = start }

    /// A literal, which becomes a few stores.
    @inline(__always)
    mutating func write(_ text: StaticString) {
        at.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        at += text.utf8CodeUnitCount
    }
    @inline(__always)
    mutating func write(_ text: Bytes) {
        guard text.count > 0 else { return }
        at.copyMemory(from: text.base.unsafelyUnwrapped, byteCount: text.count)
        at += text.count
    }
    mutating func write(_ hold: HoldName) {
        write(unsigned: UInt64(hold.epoch))
        write("-")
        write(unsigned: hold.seq)
    }
    mutating func write(decimal value: Int64) {
        if value < 0 { write("-") }
        write(unsigned: value.magnitude)
    }
    mutating func write(unsigned value: UInt64) {
        if value < 100_000_000 { return write(short: value) }
        let (upper, lower) = value.quotientAndRemainder(dividingBy: 100_000_000)
        write(unsigned: upper)
        store(Pen.digits(lower), 8)
    }
    /// A value inside a line of ours. Nearly always it is written as it is; a space or a line end
    /// in a model that a caller made up must not become a word or a reply of its own.
    mutating func write(token text: Bytes) {
        if text.isPrintable(from: 0x21) { write(text) } else { write(escaped: text) }
    }
    @inline(never) private mutating func write(escaped text: Bytes) {
        for i in 0..<text.count {
            let c = text[at: i]
            if c > 0x20 && c < 0x7F {
                store(UInt64(c), 1)
            } else {
                write("\\x")
                store(hexDigit(c >> 4), 1)
                store(hexDigit(c & 15), 1)
            }
        }
    }
    /// Exact dollars without trailing zeros: `5000`, `0.0136`, `-2.5`.
    mutating func write(_ money: Nanodollars) {
        if money.raw < 0 { write("-") }
        let (whole, fraction) = money.raw.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000)
        write(unsigned: whole)
        guard fraction > 0 else { return }
        write(".")
        let (upper, last) = fraction.quotientAndRemainder(dividingBy: 10)
        let digits = Pen.digits(upper)
        if last > 0 {
            store(digits, 8)
            store(last | 0x30, 1)
        } else {
            // Zeros at the end are the highest bytes.
            let zeros = (digits ^ Pen.zeros).leadingZeroBitCount &>> 3
            store(digits, 8 &- zeros)
        }
    }
    /// Three digits.
    mutating func write(thousandths value: Int64) {
        let digits = Pen.digits(UInt64(truncatingIfNeeded: value))
        store(digits &>> 40, 3)
    }

    // MARK: Digits

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    @inline(__always)
    private mutating func store(_ word: UInt64, _ count: Int) {
        at.storeBytes(of: word.littleEndian, as: UInt64.self)
        at += count
    }
    /// Less than 10⁸, without zeros in front.
    @inline(__always)
    private mutating func write(short value: UInt64) {
        let digits = Pen.digits(value)
        // Zeros in front are the lowest bytes; the last digit stays whatever it is.
        let gone = ((digits ^ Pen.zeros) | 1 &<< 56).trailingZeroBitCount &>> 3
        store(digits &>> UInt64(truncatingIfNeeded: 8 &* gone), 8 &- gone)
    }
    /// Eight decimal digits, the first lowest: the number is halved into fours, twos and ones, each
    /// half in a lane of its own, and a division by a constant is a multiplication and a shift.
    @inline(__always)
    private static func digits(_ value: UInt64) -> UInt64 {
        let upper = value / 10_000
        let fours = upper | (value &- upper &* 10_000) &<< 32
        let hundreds = (fours &* 10_486) &>> 20 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) &<< 16
        let tens = (twos &* 103) &>> 10 & 0x000F_000F_000F_000F
        return (tens | (twos &- tens &* 10) &<< 8) | zeros
    }
}

@inline(__always)
private func hexDigit(_ value: UInt8) -> UInt64 {
    UInt64(value < 10 ? value + 48 : value + 87)
}

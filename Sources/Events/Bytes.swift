#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A borrowed run of bytes: a slice of an input buffer, of the book's name arena, or of a mapped page.
///
/// It owns nothing. Whoever hands one out says how long it stays valid; the hot path uses it because
/// a `String` costs an allocation and a `Span` cannot yet be stored in a row or an answer.
@frozen @usableFromInline
package struct Bytes: @unchecked Sendable {
    @usableFromInline package let base: UnsafeRawPointer?
    @usableFromInline package let count: Int

    @inlinable package init(_ base: UnsafeRawPointer?, count: Int) {
        self.base = base
        self.count = count
    }
    @inlinable package init(_ buffer: UnsafeRawBufferPointer) {
        base = buffer.baseAddress
        count = buffer.count
    }
    /// The bytes of a literal, which live as long as the program.
    @inlinable package init(_ text: StaticString) {
        base = UnsafeRawPointer(text.utf8Start)
        count = text.utf8CodeUnitCount
    }
    @inlinable package static var empty: Bytes { Bytes(nil, count: 0) }
    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable package subscript(i: Int) -> UInt8 {
        assert(i >= 0 && i < count)
        return base.unsafelyUnwrapped.load(fromByteOffset: i, as: UInt8.self)
    }
    @inlinable package func slice(_ from: Int, _ to: Int) -> Bytes {
        assert(from >= 0 && from <= to && to <= count)
        return Bytes(base.map { $0 + from }, count: to - from)
    }
    package func firstIndex(of byte: UInt8) -> Int? {
        guard count > 0, let found = memchr(base.unsafelyUnwrapped, Int32(byte), count) else {
            return nil
        }
        return UnsafeRawPointer(found) - base.unsafelyUnwrapped
    }
    @inlinable package static func == (a: Bytes, b: Bytes) -> Bool {
        a.count == b.count && (a.count == 0 || memcmp(a.base!, b.base!, a.count) == 0)
    }
    package static func == (a: Bytes, b: StaticString) -> Bool { a == Bytes(b) }
    /// Equal when ASCII letters are folded to one case; for verbs and field names.
    package func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for i in 0..<count where self[i] | 0x20 != text.utf8Start[i] | 0x20 { return false }
        return true
    }
    package func hasPrefix(_ text: StaticString) -> Bool {
        let n = text.utf8CodeUnitCount
        return count >= n && (n == 0 || memcmp(base.unsafelyUnwrapped, text.utf8Start, n) == 0)
    }
    /// A copy as text; for messages and other cold places.
    package var string: String {
        String(decoding: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self)
    }
    package var isUTF8: Bool {
        // Nearly everything is ASCII, so look for a high byte before paying for real validation.
        for i in 0..<count where self[i] >= 0x80 {
            return String(
                validating: UnsafeRawBufferPointer(start: base, count: count), as: UTF8.self) != nil
        }
        return true
    }
    /// Whether it can be written into a log line as it is: UTF-8 without control characters.
    package var isPlainText: Bool {
        for i in 0..<count where self[i] < 0x20 || self[i] == 0x7F { return false }
        return isUTF8
    }
}

extension String {
    /// Runs `body` on this text's UTF-8 bytes, which are valid only inside it.
    package func withBytes<R, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R {
        let copy = ContiguousArray(utf8)
        var result: Result<R, E>?
        copy.withUnsafeBytes { raw in
            do throws(E) { result = .success(try body(Bytes(raw))) } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }
}

/// Growable raw memory that is written at its end: events on their way to the ring, replies on their
/// way to a socket, checkpoints on their way to disk. In steady state it never allocates.
@frozen @usableFromInline
package struct ByteBuffer: ~Copyable {
    @usableFromInline package internal(set) var base: UnsafeMutableRawPointer
    @usableFromInline package internal(set) var count = 0
    @usableFromInline package internal(set) var capacity: Int

    package init(capacity: Int = 256) {
        base = .allocate(byteCount: max(capacity, 16), alignment: 16)
        self.capacity = max(capacity, 16)
    }
    deinit { base.deallocate() }

    @inlinable package var bytes: Bytes { Bytes(base, count: count) }
    @inlinable package var isEmpty: Bool { count == 0 }
    package var string: String { bytes.string }

    /// Makes room for `extra` more bytes, so that what follows cannot move the memory.
    @inlinable package mutating func reserve(_ extra: Int) {
        if capacity - count < extra { grow(extra) }
    }
    // Out of line: growing happens a few times in a buffer's life.
    @inline(never) @usableFromInline mutating func grow(_ extra: Int) {
        let wanted = max(capacity * 2, count + extra)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
        capacity = wanted
    }
    @inlinable package mutating func removeAll() { count = 0 }
    /// Cuts back to a length it had before.
    package mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count)
        count = length
    }
    /// Drops `n` bytes at the front and moves the rest down.
    package mutating func removeFirst(_ n: Int) {
        precondition(n >= 0 && n <= count)
        if n < count { memmove(base, base + n, count - n) }
        count -= n
    }
    /// Gives back the memory of a buffer that has once been large.
    package mutating func shrink(to size: Int) {
        guard count == 0, capacity > size else { return }
        base.deallocate()
        base = .allocate(byteCount: max(size, 16), alignment: 16)
        capacity = max(size, 16)
    }
    /// Lets a system call write up to `n` bytes at the end; `body` returns how many it wrote.
    @inlinable package mutating func appendUninitialized(
        _ n: Int, _ body: (UnsafeMutableRawPointer) -> Int
    )
        -> Int
    {
        reserve(n)
        let written = body(base + count)
        precondition(written <= n)
        if written > 0 { count += written }
        return written
    }

    @inlinable package mutating func append(_ byte: UInt8) {
        reserve(1)
        (base + count).storeBytes(of: byte, as: UInt8.self)
        count += 1
    }
    @inlinable package mutating func append(_ bytes: Bytes) {
        guard bytes.count > 0 else { return }
        reserve(bytes.count)
        memcpy(base + count, bytes.base.unsafelyUnwrapped, bytes.count)
        count += bytes.count
    }
    @inlinable package mutating func append(_ text: StaticString) { append(Bytes(text)) }
    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(Bytes(UnsafeRawBufferPointer($0))) }
    }
    @inlinable package mutating func append(uint16 value: UInt16) { store(value) }
    @inlinable package mutating func append(uint32 value: UInt32) { store(value) }
    @inlinable package mutating func append(uint64 value: UInt64) { store(value) }
    @inlinable package mutating func append(int64 value: Int64) { store(value) }
    /// Five bytes, little-endian: a token count, which `Bounds.tokensMax` keeps below 2⁴⁰.
    @inlinable package mutating func append(uint40 value: Int64) {
        precondition(value >= 0 && value < 1 << 40, "a 40-bit count")
        append(uint32: UInt32(truncatingIfNeeded: value))
        append(UInt8(truncatingIfNeeded: value >> 32))
    }
    /// Makes `n` bytes more, all of which the caller writes at once; returns where they begin.
    @inlinable package mutating func appendUnwritten(_ n: Int) -> UnsafeMutableRawPointer {
        reserve(n)
        let start = base + count
        count += n
        return start
    }
    @inlinable mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        (base + count).storeBytes(of: value.littleEndian, as: T.self)
        count += MemoryLayout<T>.size
    }
    package mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }
    package mutating func append(decimal value: UInt64) {
        reserve(20)
        var rest = value
        var digits = 1
        var bound: UInt64 = 10
        while rest >= bound, digits < 20 {
            digits += 1
            let (next, overflow) = bound.multipliedReportingOverflow(by: 10)
            if overflow { break }
            bound = next
        }
        var at = count + digits
        count = at
        repeat {
            at -= 1
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
            (base + at).storeBytes(of: UInt8(truncatingIfNeeded: remainder) + 48, as: UInt8.self)
            rest = quotient
        } while rest > 0
    }
    /// `value` with exactly `width` digits, zeros in front.
    package mutating func append(decimal value: Int64, width: Int) {
        reserve(width)
        var rest = value
        var at = count + width
        count = at
        for _ in 0..<width {
            at -= 1
            (base + at).storeBytes(of: UInt8(truncatingIfNeeded: rest % 10) + 48, as: UInt8.self)
            rest /= 10
        }
    }
}

/// Reads little-endian fields from a borrowed run of bytes; every read past the end fails for good.
@frozen @usableFromInline
package struct ByteReader {
    @usableFromInline let bytes: Bytes
    @usableFromInline package internal(set) var offset = 0
    /// Set once something was missing; the values read since are zeros.
    @usableFromInline package internal(set) var failed = false

    @inlinable package init(_ bytes: Bytes) { self.bytes = bytes }
    @inlinable package var remaining: Int { bytes.count - offset }

    @inlinable package mutating func uint8() -> UInt8 {
        take(1).map { $0.load(as: UInt8.self) } ?? 0
    }
    @inlinable package mutating func uint16() -> UInt16 {
        take(2).map { UInt16(littleEndian: $0.loadUnaligned(as: UInt16.self)) } ?? 0
    }
    @inlinable package mutating func uint32() -> UInt32 {
        take(4).map { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } ?? 0
    }
    @inlinable package mutating func uint40() -> Int64 {
        let low = uint32()
        return Int64(uint8()) << 32 | Int64(low)
    }
    @inlinable package mutating func uint64() -> UInt64 {
        take(8).map { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) } ?? 0
    }
    @inlinable package mutating func int64() -> Int64 { Int64(bitPattern: uint64()) }
    @inlinable package mutating func bytes(_ n: Int) -> Bytes {
        guard n > 0 else { return .empty }
        return take(n).map { Bytes($0, count: n) } ?? .empty
    }
    @inlinable mutating func take(_ n: Int) -> UnsafeRawPointer? {
        guard n <= bytes.count - offset, !failed else {
            failed = true
            return nil
        }
        defer { offset += n }
        return bytes.base.unsafelyUnwrapped + offset
    }
}

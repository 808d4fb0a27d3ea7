/// Money in `Int64` nano-dollars: one billionth of a US dollar. Reaches about ±9.2 billion dollars.
///
/// No floating point ever touches it; text in and out is an exact decimal string.
@frozen @usableFromInline
package struct Nanodollars: Hashable, Comparable, Sendable {
    @usableFromInline package var raw: Int64
    @inlinable package init(_ raw: Int64) { self.raw = raw }
    @inlinable package static var zero: Nanodollars { Nanodollars(0) }
    @inlinable package static func < (a: Nanodollars, b: Nanodollars) -> Bool { a.raw < b.raw }
}

/// A price in pico-dollars (10⁻¹² dollars) a token. One dollar a million tokens is 1,000,000.
@frozen @usableFromInline
package struct PicoPrice: Hashable, Comparable, Sendable {
    @usableFromInline package var raw: Int64
    @inlinable package init(_ raw: Int64) { self.raw = raw }
    @inlinable package static func < (a: PicoPrice, b: PicoPrice) -> Bool { a.raw < b.raw }
}

/// An event's time: nanoseconds since 1970-01-01T00:00:00Z, never backwards within a log.
@frozen @usableFromInline
package struct Instant: Hashable, Comparable, Sendable {
    @usableFromInline package var nanoseconds: Int64
    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable package init(seconds: Int64) { self.nanoseconds = seconds * 1_000_000_000 }
    @inlinable package static func < (a: Instant, b: Instant) -> Bool {
        a.nanoseconds < b.nanoseconds
    }
    /// As far as instants reach.
    package func later(bySeconds seconds: Int64) -> Instant {
        let (span, o1) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (then, o2) = nanoseconds.addingReportingOverflow(span)
        return o1 || o2 ? .distantFuture : Instant(nanoseconds: then)
    }
    @inlinable package static var distantFuture: Instant { Instant(nanoseconds: .max) }
    @inlinable package static var distantPast: Instant { Instant(nanoseconds: .min) }

    /// Whole seconds since 1970, rounded down.
    @inlinable package var second: Int64 {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// The numbers that DESIGN.md fixes for everybody who counts tokens or writes requests.
@usableFromInline
package enum Bounds {
    /// Most tokens of one class in one request (10¹²); more is refused, so that counts fit 40 bits.
    @inlinable package static var tokensMax: Int64 { 1_000_000_000_000 }
    /// Longest account name, in bytes.
    @inlinable package static var nameBytesMax: Int { 63 }
    /// Longest model name or alias, in bytes.
    @inlinable package static var modelBytesMax: Int { 200 }
    /// Longest request id, user, project, environment or address, in bytes.
    @inlinable package static var textBytesMax: Int { 128 }
    /// Longest user agent or reason, in bytes.
    @inlinable package static var longTextBytesMax: Int { 250 }
    /// Longest stored event, in bytes: it must fit the 16-bit length of an event and of a tile's entry.
    @inlinable package static var eventBytesMax: Int { 65_000 }
    /// How long a hold lives when its request does not say, in seconds.
    @inlinable package static var holdSecondsDefault: Int64 { 600 }
    /// The longest life a request may ask for, in seconds.
    @inlinable package static var holdSecondsMax: Int64 { 86_400 }
    /// The longest that an expiry or an override may be away, in seconds: a hundred years, so that the
    /// instant stays one that can be written.
    @inlinable package static var relativeSecondsMax: Int64 { 100 * 366 * 86_400 }
    /// How long a rotated secret may live on, in seconds: a year.
    @inlinable package static var graceSecondsMax: Int64 { 366 * 86_400 }
    /// Most labels of one account.
    @inlinable package static var labelsMax: Int { 32 }
    /// Output tokens held when neither the request nor the price book says how many there may be.
    @inlinable package static var outputTokensDefault: Int64 { 4_096 }
}

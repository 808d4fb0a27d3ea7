extension Nanodollars {
    /// Reads an exact decimal such as `5000`, `0.0136` or `12.5`.
    ///
    /// Refused, with the reason: signs, exponents, `NaN`, more than nine decimals, anything above
    /// 9,223,372,036 dollars.
    package init(parsing text: Bytes) throws(MoneyError) {
        raw = try parseDecimal(text, fractionDigits: 9)
    }
}

extension PicoPrice {
    /// Reads a price in US dollars a million tokens; six decimals at most, so that it is exact.
    package init(parsingPerMillion text: Bytes) throws(MoneyError) {
        raw = try parseDecimal(text, fractionDigits: 6)
    }
}

/// Why a text is no amount of money.
package enum MoneyError: Error, Sendable {
    case notDecimal
    case tooManyDecimals(most: Int)
    case tooLarge

    package var explanation: String {
        switch self {
        case .notDecimal: "must be a plain decimal string such as \"12.50\" (no sign, no exponent)"
        case .tooManyDecimals(let most): "has more than \(most) decimals"
        case .tooLarge: "is larger than 9223372036 dollars"
        }
    }
}

private func parseDecimal(_ text: Bytes, fractionDigits: Int) throws(MoneyError) -> Int64 {
    var value: Int64 = 0
    var digits = 0
    var fraction = -1
    for i in 0..<text.count {
        let c = text[i]
        if c == UInt8(ascii: "."), fraction < 0, digits > 0 {
            fraction = 0
            continue
        }
        guard c >= 48, c <= 57 else { throw .notDecimal }
        if fraction >= 0 {
            fraction += 1
            // Zeros past the last exact place change nothing, so they are not "more decimals".
            if fraction > fractionDigits {
                guard c == 48 else { throw .tooManyDecimals(most: fractionDigits) }
                continue
            }
        }
        digits += 1
        let (tenfold, o1) = value.multipliedReportingOverflow(by: 10)
        let (sum, o2) = tenfold.addingReportingOverflow(Int64(c - 48))
        guard !o1, !o2 else { throw .tooLarge }
        value = sum
    }
    guard digits > 0, fraction != 0 else { throw .notDecimal }
    for _ in min(max(fraction, 0), fractionDigits)..<fractionDigits {
        let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
        guard !overflow else { throw .tooLarge }
        value = tenfold
    }
    return value
}

extension ByteBuffer {
    /// Exact dollars without trailing zeros: `5000`, `0.0136`, `-2.5`.
    package mutating func append(_ money: Nanodollars) {
        appendScaled(money.raw, digits: 9)
    }
    /// Dollars a million tokens without trailing zeros.
    package mutating func append(_ price: PicoPrice) {
        appendScaled(price.raw, digits: 6)
    }
    private mutating func appendScaled(_ raw: Int64, digits: Int) {
        if raw < 0 { append(UInt8(ascii: "-")) }
        let unit: UInt64 = digits == 9 ? 1_000_000_000 : 1_000_000
        let (whole, fraction) = raw.magnitude.quotientAndRemainder(dividingBy: unit)
        append(decimal: whole)
        guard fraction > 0 else { return }
        var rest = fraction
        var width = digits
        while rest % 10 == 0 {
            rest /= 10
            width -= 1
        }
        append(UInt8(ascii: "."))
        append(decimal: Int64(rest), width: width)
    }
}

extension Nanodollars: CustomStringConvertible {
    @usableFromInline package var description: String {
        var buffer = ByteBuffer(capacity: 24)
        buffer.append(self)
        return buffer.string
    }
}

extension PicoPrice: CustomStringConvertible {
    @usableFromInline package var description: String {
        var buffer = ByteBuffer(capacity: 24)
        buffer.append(self)
        return buffer.string
    }
}

import Events
import Testing

private func money(_ text: String) -> Result<Int64, MoneyError> {
    text.withBytes { bytes in
        do throws(MoneyError) { return .success(try Nanodollars(parsing: bytes).raw) } catch {
            return .failure(error)
        }
    }
}
private func price(_ text: String) -> Result<Int64, MoneyError> {
    text.withBytes { bytes in
        do throws(MoneyError) {
            return .success(try PicoPrice(parsingPerMillion: bytes).raw)
        } catch { return .failure(error) }
    }
}
private func explanation(_ result: Result<Int64, MoneyError>) -> String? {
    if case .failure(let error) = result { error.explanation } else { nil }
}

@Suite struct `Money` {
    @Test(
        arguments: [
            ("0", 0), ("5000", 5_000_000_000_000), ("5000.00", 5_000_000_000_000),
            ("0.0136", 13_600_000), ("12.5", 12_500_000_000), ("0.000000001", 1),
            ("0.0000000010", 1), ("0.00000000100000000000", 1), ("007", 7_000_000_000),
            ("9223372036.854775807", .max), ("9223372036", 9_223_372_036_000_000_000),
            ("00000000000000000000000000000001", 1_000_000_000),
        ] as [(String, Int64)])
    func `is an exact decimal`(text: String, nanodollars: Int64) throws {
        #expect(try money(text).get() == nanodollars)
    }
    @Test(arguments: [
        "", " ", " 1", "1 ", "+1", "-1", "-0", "1e3", "1E3", "1e-3", "NaN", "nan", "inf",
        "Infinity", "0x10", "1,000", "1_000", "$1", ".5", "5.", ".", "1.2.3", "1..2", "١", "½",
        "--1", "1\u{0}", "1\n",
    ])
    func `is nothing else`(text: String) {
        let expected = "must be a plain decimal string such as \"12.50\" (no sign, no exponent)"
        #expect(explanation(money(text)) == expected)
        #expect(explanation(price(text)) == expected)
    }
    @Test(arguments: ["0.0000000001", "1.1234567891", "0.00000000000000000009"])
    func `has nine decimals at most`(text: String) {
        #expect(explanation(money(text)) == "has more than 9 decimals")
    }
    @Test(arguments: [
        "9223372036.854775808", "9223372037", "10000000000", "99999999999999999999",
        "9999999999999999999999999999.5",
    ])
    func `is below 9.3 billion dollars`(text: String) {
        #expect(explanation(money(text)) == "is larger than 9223372036 dollars")
    }
    @Test(
        arguments: [
            (0, "0"), (1, "0.000000001"), (10, "0.00000001"), (13_600_000, "0.0136"),
            (12_500_000_000, "12.5"), (5_000_000_000_000, "5000"), (-2_500_000_000, "-2.5"),
            (-1, "-0.000000001"), (.max, "9223372036.854775807"), (.min, "-9223372036.854775808"),
        ] as [(Int64, String)])
    func `is written without trailing zeros`(nanodollars: Int64, text: String) {
        #expect(Nanodollars(nanodollars).description == text)
    }
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `reads what it writes`(seed: UInt64) throws {
        var dice = Seeded(seed)
        for _ in 0..<2_000 {
            // Every magnitude as often as every other.
            let shift = Int64.random(in: 0..<63, using: &dice)
            let raw = Int64.random(in: 0 ... .max, using: &dice) >> shift
            #expect(try money(Nanodollars(raw).description).get() == raw)
            #expect(try price(PicoPrice(raw).description).get() == raw)
        }
    }
}

@Suite struct `A price` {
    @Test(
        arguments: [
            ("1", 1_000_000), ("8", 8_000_000), ("2.50", 2_500_000), ("0.42", 420_000),
            ("0.000001", 1), ("0.0000010", 1), ("9223372036854.775807", .max), ("0", 0),
        ] as [(String, Int64)])
    func `is dollars a million tokens in pico-dollars a token`(text: String, pico: Int64) throws {
        #expect(try price(text).get() == pico)
    }
    @Test(arguments: [
        ("0.0000001", "has more than 6 decimals"),
        // The bound that is named is money's; a price may be larger, and is refused past its own.
        ("9223372036854.775808", "is larger than 9223372036 dollars"),
    ])
    func `is refused with a reason`(text: String, reason: String) {
        #expect(explanation(price(text)) == reason)
    }
}

@Suite struct `A count` {
    @Test(
        arguments: [
            (0, "0000000000"), (1, "0100000000"), (255, "ff00000000"), (256, "0001000000"),
            (1 << 32 - 1, "ffffffff00"), (1 << 32, "0000000001"),
            (1_000_000_000_000, "0010a5d4e8"), (1 << 40 - 1, "ffffffffff"),
        ] as [(Int64, String)])
    func `of tokens takes forty bits`(count: Int64, hex: String) throws {
        let bytes = written { $0.append(uint40: count) }
        #expect(bytes.hex == hex)
        bytes.withExactBytes {
            var reader = ByteReader($0)
            #expect(reader.uint40() == count)
            #expect(!reader.failed && reader.remaining == 0)
        }
    }
    @Test(arguments: [1 << 40, -1] as [Int64]) func `beyond forty bits stops the process`(
        count: Int64
    ) async {
        await #expect(processExitsWith: .failure) { [count] in
            _ = written { $0.append(uint40: count) }
        }
    }
    @Test func `of tokens is bounded below forty bits`() { #expect(Bounds.tokensMax < 1 << 40) }
    @Test(
        arguments: [
            ("0", 0), ("18446744073709551615", .max), ("18446744073709551616", nil), ("", nil),
            ("-1", nil), ("1 ", nil), ("000000000000000000001", nil), ("00000000000000000001", 1),
            ("1e3", nil),
        ] as [(String, UInt64?)])
    func `in decimal is digits alone`(text: String, value: UInt64?) {
        #expect(text.withBytes { $0.unsignedDecimal } == value)
    }
    @Test(arguments: 0..<4 as Range<UInt64>)
    func `is written in decimal`(seed: UInt64) {
        var dice = Seeded(seed)
        for _ in 0..<1_000 {
            let shift = UInt64.random(in: 0..<64, using: &dice)
            let value = UInt64.random(in: 0 ... .max, using: &dice) >> shift
            #expect(text { $0.append(decimal: value) } == String(value))
            let signed = Int64(bitPattern: value)
            #expect(text { $0.append(decimal: signed) } == String(signed))
        }
        for value in [0, 9, 10, 99, 100, 9_999_999_999_999_999_999, UInt64.max] as [UInt64] {
            #expect(text { $0.append(decimal: value) } == String(value))
        }
        #expect(text { $0.append(decimal: Int64.min) } == "-9223372036854775808")
    }
}

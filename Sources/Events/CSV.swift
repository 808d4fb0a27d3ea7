extension ByteBuffer {
    /// A cell of a CSV file (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in
    /// front: these texts come from whoever names a key or a user. Numbers are written elsewhere.
    package mutating func append(cell text: Bytes) {
        guard text.count > 0 else { return }
        var isPlain = true
        for i in 0..<text.count {
            let c = text[i]
            // Quotes, commas and line ends are all of them at or below a comma; so is little else.
            if c <= 0x2C, c == 0x2C || c == 0x22 || c == 0x0A || c == 0x0D { isPlain = false }
        }
        let isFormula =
            switch text[0] {
            case UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "@"), 0x09,
                0x0D:
                true
            default: false
            }
        if isPlain, !isFormula { return append(text) }
        if !isPlain { append(UInt8(ascii: "\"")) }
        if isFormula { append(UInt8(ascii: "'")) }
        for i in 0..<text.count {
            if text[i] == 0x22 { append(UInt8(ascii: "\"")) }
            append(text[i])
        }
        if !isPlain { append(UInt8(ascii: "\"")) }
    }
}

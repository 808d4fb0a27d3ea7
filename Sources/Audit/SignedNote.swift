import Events

/// A text and who signed it, in C2SP's signed-note format: checkpoints and manifests travel so.
///
///     <text, whose last line ends too>
///
///     — <key's name> <base64 of u32 key id, big-endian, and signature>
package struct SignedNote: Equatable, Sendable {
    package struct Signature: Equatable, Sendable {
        package var name: String
        package var keyID: UInt32
        package var bytes: [UInt8]

        package init(name: String, keyID: UInt32, bytes: [UInt8]) {
            self.name = name
            self.keyID = keyID
            self.bytes = bytes
        }
    }
    /// With its final newline; what is signed.
    package var text: String
    package var signatures: [Signature]

    package init(text: String, signatures: [Signature] = []) {
        self.text = text
        self.signatures = signatures
    }

    /// No note of ours has as many; one of somebody else's may have sixteen and must be read.
    static let signaturesMax = 100
    static let bytesMax = 64 << 10
}

extension SignedNote {
    package init(parsing note: String) throws(AuditFailure) {
        guard note.utf8.count <= SignedNote.bytesMax else {
            throw .note("it is longer than \(SignedNote.bytesMax) bytes")
        }
        guard note.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x0A }) else {
            throw .note("it holds control characters")
        }
        // The last empty line ends the text, which may have others.
        let lines = note.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.last == "", let gap = lines.dropLast().lastIndex(of: ""), gap > 0 else {
            throw .note("it is no text, an empty line, and signatures that begin with —")
        }
        text = lines[..<gap].map { $0 + "\n" }.joined()
        signatures = try SignedNote.signatures(lines[(gap + 1)...].dropLast())
        guard !signatures.isEmpty else { throw .note("nobody has signed it") }
    }
    /// Signature lines alone, as a witness answers them.
    package static func signatures(parsing lines: String) throws(AuditFailure) -> [Signature] {
        try signatures(lines.split(separator: "\n")[...])
    }

    private static func signatures(
        _ lines: ArraySlice<Substring>
    ) throws(AuditFailure) -> [Signature] {
        guard lines.count <= signaturesMax else {
            throw .note("it has more than \(signaturesMax) signatures")
        }
        var signatures: [Signature] = []
        for line in lines {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 3, words[0] == "—", VerifierKey.isName(words[1]),
                let bytes = Base64.decode(words[2]), bytes.count > 4
            else { throw .note("a line is no signature: \"\(line.prefix(80))\"") }
            signatures.append(
                Signature(
                    name: String(words[1]), keyID: VerifierKey.bigEndian(bytes.prefix(4)),
                    bytes: Array(bytes.dropFirst(4))))
        }
        return signatures
    }

    /// The note as it is written to files and sent.
    package var note: String { text + "\n" + signatures.map { $0.line + "\n" }.joined() }
}

extension SignedNote.Signature {
    package var line: String {
        "— \(name) " + Base64.encode(VerifierKey.bytes(keyID) + bytes)
    }
}

extension AuditFailure {
    static func note(_ what: String) -> AuditFailure {
        AuditFailure(.damaged, "this is no signed note: \(what)")
    }
}

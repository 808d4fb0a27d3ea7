import Crypto
import Events

/// The public half of a key that signs notes, as C2SP writes it: `<name>+<key id>+<base64 of type and key>`.
package struct VerifierKey: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: UInt8, Sendable {
        /// A log's own: the text is signed as it stands.
        case log = 1
        /// A witness's: `cosignature/v1`, the time, and the text.
        case witness = 4
    }
    package let name: String
    package let kind: Kind
    package let publicKey: [UInt8]
    package let keyID: UInt32

    package init(name: String, kind: Kind, publicKey: [UInt8]) {
        self.name = name
        self.kind = kind
        self.publicKey = publicKey
        let named = Array(name.utf8) + [0x0A, kind.rawValue] + publicKey
        let hash = named.withUnsafeBytes { TreeHash.sha256(Bytes($0)) }
        keyID = VerifierKey.bigEndian(hash.bytes.prefix(4))
    }
    package init(parsing text: String) throws(AuditFailure) {
        // No name holds a plus sign, but the base 64 behind it may.
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, VerifierKey.isName(parts[0]), parts[1].utf8.count == 8,
            let id = UInt32(parts[1], radix: 16), let key = Base64.decode(parts[2]),
            let kind = key.first.flatMap({ Kind(rawValue: $0) }), key.count == 33
        else {
            // It is not shown: it may be a secret.
            guard !text.hasPrefix("PRIVATE+KEY+") else {
                throw AuditFailure(
                    .usage,
                    "this is no verifier key but a signing key, which nobody else may see: say the verifier key that "
                        + "'tollgate status' shows")
            }
            throw AuditFailure(
                .usage,
                "this is no verifier key: it is written name+8 hexadecimal digits+"
                    + "base64, as 'tollgate status' shows the log's own (Ed25519 keys only)")
        }
        self.init(name: String(parts[0]), kind: kind, publicKey: Array(key.dropFirst()))
        guard keyID == id else {
            throw AuditFailure(
                .usage, "the verifier key of \(name) is misspelt: its key id does not fit the key")
        }
    }
    package var description: String {
        "\(name)+\(VerifierKey.hex(keyID))+" + Base64.encode([kind.rawValue] + publicKey)
    }

    /// Whether a name can stand in a note: not empty, no spaces, no plus sign.
    static func isName(_ name: some StringProtocol) -> Bool {
        // By scalars: a mark behind a plus sign or a space makes another character of them, not another name.
        !name.isEmpty
            && !name.unicodeScalars.contains { $0.properties.isWhitespace || $0 == "+" }
    }
    static func bigEndian(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
    static func bytes(_ id: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: id >> $0) }
    }
    package static func hex(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}

extension VerifierKey {
    /// Whether the note carries a valid signature of this key.
    ///
    /// - Throws: when it has one that is wrong; signatures of others say nothing.
    package func hasSigned(_ note: SignedNote) throws(AuditFailure) -> Bool {
        var found = false
        for signature in note.signatures where isOf(signature) {
            guard verifies(signature, of: note.text) else {
                throw AuditFailure(
                    .damaged,
                    "the signature of \(name) is wrong: this text is not what that key has signed")
            }
            found = true
        }
        return found
    }
    func isOf(_ signature: SignedNote.Signature) -> Bool {
        signature.name == name && signature.keyID == keyID
    }
    func verifies(_ signature: SignedNote.Signature, of text: String) -> Bool {
        switch kind {
        case .log:
            return isValid(signature.bytes, of: text)
        case .witness:
            guard signature.bytes.count == 72, let time = signature.time else { return false }
            return isValid(
                Array(signature.bytes.dropFirst(8)),
                of: VerifierKey.cosigned(text, at: time))
        }
    }
    private func isValid(_ signature: [UInt8], of text: String) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
            return false
        }
        return key.isValidSignature(signature, for: Array(text.utf8))
    }
    /// What a witness signs (c2sp.org/tlog-cosignature).
    static func cosigned(_ text: String, at seconds: UInt64) -> String {
        "cosignature/v1\ntime \(seconds)\n" + text
    }
}

extension SignedNote.Signature {
    /// When a witness saw it, in seconds since 1970; nil for what is no cosignature.
    package var time: UInt64? {
        guard bytes.count == 72 else { return nil }
        let seconds = bytes.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        return seconds <= UInt64(Int64.max) ? seconds : nil
    }
}

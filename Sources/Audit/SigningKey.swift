import Crypto
import Events

/// The secret half of a key that signs notes. It stands in its file as Go's note package writes one:
/// `PRIVATE+KEY+<name>+<key id>+<base64 of type and seed>`.
package struct SigningKey: Sendable {
    package let verifier: VerifierKey
    private let secret: Curve25519.Signing.PrivateKey

    package var name: String { verifier.name }

    /// A fresh one.
    package init(name: String, kind: VerifierKey.Kind = .log) {
        self.init(name, kind, Curve25519.Signing.PrivateKey())
    }
    /// Nil when the text is no such key.
    package init?(parsing text: String) {
        let parts = text.split(separator: "+", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "PRIVATE", parts[1] == "KEY",
            VerifierKey.isName(parts[2]), let id = UInt32(parts[3], radix: 16),
            let key = Base64.decode(parts[4]), key.count == 33,
            let kind = VerifierKey.Kind(rawValue: key[0]),
            let secret = try? Curve25519.Signing.PrivateKey(
                rawRepresentation: Array(key.dropFirst()))
        else { return nil }
        self.init(String(parts[2]), kind, secret)
        guard verifier.keyID == id else { return nil }
    }
    private init(
        _ name: String, _ kind: VerifierKey.Kind, _ secret: Curve25519.Signing.PrivateKey
    ) {
        self.secret = secret
        verifier = VerifierKey(
            name: name, kind: kind, publicKey: Array(secret.publicKey.rawRepresentation))
    }
    /// For its file, and nowhere else.
    var text: String {
        "PRIVATE+KEY+\(name)+\(VerifierKey.hex(verifier.keyID))+"
            + Base64.encode([verifier.kind.rawValue] + Array(secret.rawRepresentation))
    }

    /// - Parameter seconds: since 1970, for a witness's signature.
    package func sign(
        _ text: String, at seconds: UInt64 = 0
    ) throws(AuditFailure) -> SignedNote.Signature {
        let isWitness = verifier.kind == .witness
        let signed = isWitness ? VerifierKey.cosigned(text, at: seconds) : text
        let front =
            isWitness ? (0..<8).map { UInt8(truncatingIfNeeded: seconds >> (56 - 8 * $0)) } : []
        guard let bytes = try? secret.signature(for: Array(signed.utf8)) else {
            throw AuditFailure(.io, "the signing key does not sign")
        }
        return SignedNote.Signature(
            name: name, keyID: verifier.keyID, bytes: front + Array(bytes))
    }
}

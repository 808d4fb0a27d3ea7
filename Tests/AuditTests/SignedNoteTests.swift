import Crypto
import Events
import Testing

@testable import Audit

/// Notes, their keys and their base 64.
@Suite struct `A signed note` {
    // The example of golang.org/x/mod/sumdb/note (BSD 3-clause), which has the key's two halves, too.
    private static let verifier =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    private static let signer =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    private static let text = """
        If you think cryptography is the answer to your problem,
        then you don't know what your problem is.

        """
    private static let line =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    private static let note = text + "\n" + line

    @Test func `is Go's, signed and checked`() throws {
        let key = try VerifierKey(parsing: Self.verifier)
        #expect(key.description == Self.verifier && key.name == "PeterNeumann")
        let note = try SignedNote(parsing: Self.note)
        #expect(note.text == Self.text && note.note == Self.note)
        #expect(try key.hasSigned(note))
        let secret = try #require(SigningKey(parsing: Self.signer))
        #expect(secret.verifier == key && secret.text == Self.signer)
        // Ed25519 signs the same in the same way; another library may not, and then it still verifies.
        let again = SignedNote(text: Self.text, signatures: [try secret.sign(Self.text)])
        #expect(try key.hasSigned(again))
    }

    @Test func `with one bit changed is nobody's`() throws {
        let key = try VerifierKey(parsing: Self.verifier)
        let bytes = Array(Self.note.utf8)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            // Not UTF-8 any more, or no note, or not that key's, or not what it signed.
            guard let text = String(validating: changed, as: UTF8.self),
                let note = try? SignedNote(parsing: text), let isSigned = try? key.hasSigned(note)
            else { continue }
            #expect(!isSigned, "bit \(bit) of \(text)")
        }
    }

    @Test func `may hold empty lines, and other signatures`() throws {
        let secret = SigningKey(name: "example.com/log")
        let text = "one\n\nthree\n"
        let own = try secret.sign(text)
        let other = SignedNote.Signature(name: "somebody", keyID: 7, bytes: [1, 2, 3])
        let note = SignedNote(text: text, signatures: [other, own])
        #expect(try SignedNote(parsing: note.note) == note)
        #expect(try secret.verifier.hasSigned(note))
        let theirs = SignedNote(text: text, signatures: [other])
        #expect(try !secret.verifier.hasSigned(theirs), "what others sign says nothing")
        // The same name, another key; the same key's number, another name.
        #expect(try !SigningKey(name: "example.com/log").verifier.hasSigned(note))
        var wrong = note
        wrong.signatures[1].bytes[0] ^= 1
        #expect(
            message { () throws(AuditFailure) in try secret.verifier.hasSigned(wrong) }?
                .contains("the signature of example.com/log is wrong") == true)
    }

    @Test(arguments: [
        ("", "no text"), ("text\n", "no text"), ("text\n\n", "nobody has signed it"),
        ("\n— a AAAAAAAA\n", "no text"), ("text\n\n— a AAAAAAAA", "no text"),
        ("text\n\n- a AAAAAAAA\n", "no signature"), ("text\n\n— a  AAAAAAAA\n", "no signature"),
        ("text\n\n— a AAAAAA==\n", "no signature"), ("text\n\n— a AAAAAAA\n", "no signature"),
        ("text\n\n— a+b AAAAAAAA\n", "no signature"),
        ("text\n\n— a+\u{301} AAAAAAAA\n", "no signature"),
        ("text\n\n— a\u{2003}b AAAAAAAA\n", "no signature"),
        ("text\r\n\n— a AAAAAAAA\n", "control characters"),
        ("te\u{0}xt\n\n— a AAAAAAAA\n", "control characters"),
        (
            "text\n\n" + String(repeating: "— a AAAAAAAA\n", count: 101),
            "more than 100 signatures"
        ),
        (String(repeating: "x", count: 70_000) + "\n\n— a AAAAAAAA\n", "longer than"),
    ])
    func `is refused when it is none`(text: String, says: String) {
        let told = message { () throws(AuditFailure) in try SignedNote(parsing: text) }
        #expect(told?.contains("this is no signed note") == true, "\(text)")
        #expect(told?.contains(says) == true, "\(told ?? text)")
    }
    @Test func `has room for sixteen signatures and more`() throws {
        let text = "text\n\n" + String(repeating: "— a AAAAAAAA\n", count: 100)
        #expect(try SignedNote(parsing: text).signatures.count == 100)
    }

    @Test(arguments: [
        "", "x", "PeterNeumann+c74f20a3", "PeterNeumann+c74f20a3+", "+c74f20a3+AAAA",
        "PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        "PeterNeumann+c74f20a3+AhpcQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWA",
    ])
    func `of a misspelt key says so`(text: String) {
        let told = message { () throws(AuditFailure) in try VerifierKey(parsing: text) }
        #expect(told?.contains("verifier key") == true, "\(told ?? text)")
        #expect(SigningKey(parsing: "PRIVATE+KEY+" + text) == nil)
    }

    /// A witness's signature has its time in front, and is of another text than a log's.
    @Test func `of a witness says when`() throws {
        let witness = SigningKey(name: "witness.example/w", kind: .witness)
        let text = "example.com/log\n5\nAAAA\n"
        let signature = try witness.sign(text, at: 1_679_315_147)
        #expect(signature.time == 1_679_315_147 && signature.bytes.count == 72)
        let key = try Curve25519.Signing.PublicKey(rawRepresentation: witness.verifier.publicKey)
        let signed = "cosignature/v1\ntime 1679315147\n" + text
        #expect(key.isValidSignature(signature.bytes.dropFirst(8), for: Array(signed.utf8)))
        #expect(try VerifierKey(parsing: witness.verifier.description) == witness.verifier)
        #expect(witness.verifier.verifies(signature, of: text))
        for place in signature.bytes.indices {
            var changed = signature
            changed.bytes[place] ^= 0x10
            #expect(!witness.verifier.verifies(changed, of: text), "byte \(place)")
        }
        #expect(!witness.verifier.verifies(signature, of: text + "more\n"))
    }
}

@Suite struct `Base 64` {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `is RFC 4648's`(text: String, encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(text.utf8))
    }
    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "====", "=", "Zm9v\n", "Zm 9", "Zm-_", "Zg=a",
        "Z===", "Ｚm9v",
    ])
    func `has one text for one value`(text: String) { #expect(Base64.decode(text) == nil) }
}

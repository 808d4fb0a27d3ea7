import Audit
import Events

/// Notes, keys and proofs as they come from files and from other people. Whatever is read is written again
/// as it was, byte by byte: what was signed must not become something else on its way.
enum Notes {
    static func check(_ input: Bytes) throws(Broken) {
        let text = input.string
        if let note = try? SignedNote(parsing: text) {
            try same(note.note, text, "a note")
            if let head = try? TreeHead(parsing: note.text) {
                try require(
                    note.text.utf8.starts(with: head.text.utf8), "a head is another: \(text)")
            }
        }
        if let proof = try? ProofText.Inclusion(parsing: text) {
            try same(proof.text, text, "an inclusion")
        }
        if let proof = try? ProofText.Consistency(parsing: text) {
            try same(proof.text, text, "a consistency")
        }
        if let key = try? VerifierKey(parsing: text) {
            try require((try? VerifierKey(parsing: "\(key)")) == key, "a key is another: \(text)")
        }
        if let key = SigningKey(parsing: text) {
            try require((try? VerifierKey(parsing: "\(key.verifier)")) == key.verifier, text)
        }
        if let bytes = Base64.decode(text) { try same(Base64.encode(bytes), text, "base 64") }
    }
    private static func same(_ written: String, _ read: String, _ what: String) throws(Broken) {
        // By bytes: texts that look alike are not one.
        try require(written.utf8.elementsEqual(read.utf8), "\(what) is written as \(written)")
    }

    static var seeds: [[UInt8]] {
        let line = "— a.example/log AAAAAAAAAAAAAAAA\n"
        let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        let head = "a.example/log\n5\n" + hash
        let note = head + "\n" + line
        return [
            note, head, note + line, "one\n\ntwo\n\n" + line, "old 3\n" + hash + "\n" + note,
            "c2sp.org/tlog-proof@v1\nindex 4\n" + hash + "\n" + note,
            "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\n" + head, "AAAA", "AA==",
        ].map { Array($0.utf8) }
    }
}

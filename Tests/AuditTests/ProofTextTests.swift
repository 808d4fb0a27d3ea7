import Events
import Journal
import Testing

@testable import Audit

/// Proofs as they travel.
@Suite struct `A proof's text` {
    private let log: MadeUpLog
    private let notary: Notary
    private let key: VerifierKey

    init() throws {
        log = try MadeUpLog(through: 6)
        notary = log.notary()
        key = try VerifierKey(parsing: notary.status.verifierKey)
    }

    /// Whether who has the log's key believes it.
    private func isBelieved(_ text: String) -> Bool {
        message { () throws(AuditFailure) in
            try ProofText.Inclusion(parsing: text).verify(TrustedKeys(logs: [key]))
        } == nil
    }
    /// Whether who has the log's key and an earlier checkpoint believes that the later one goes on from it.
    private func isBelieved(_ text: String, from old: TreeHead) -> Bool {
        message { () throws(AuditFailure) in
            let proof = try ProofText.Consistency(parsing: text)
            let new = try TrustedKeys(logs: [key]).head(
                of: proof.checkpoint, "the proof's checkpoint")
            try proof.check(from: old, to: new)
        } == nil
    }
    private static func eachFlip(_ text: String, _ body: (String) -> Void) {
        var bytes = Array(text.utf8)
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            // What is no UTF-8 cannot even be asked.
            if let changed = String(validating: bytes, as: UTF8.self) { body(changed) }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    @Test func `of an inclusion is refused with any one bit changed`() throws {
        var proof = try notary.inclusion(of: 3, size: nil, in: log.journal)
        proof.event = MadeUpLog.event(3)
        #expect(isBelieved(proof.text))
        Self.eachFlip(proof.text) { changed in
            if isBelieved(changed) { Issue.record("believed: \(changed)") }
        }
    }
    @Test func `of consistency is refused with any one bit changed`() throws {
        let old = try TreeHead(parsing: try notary.checkpoint(of: log.journal).text)
        log.grow(through: 11)
        let text = try notary.consistency(from: 6, to: nil, in: log.journal).text
        #expect(isBelieved(text, from: old))
        Self.eachFlip(text) { changed in
            if isBelieved(changed, from: old) { Issue.record("believed: \(changed)") }
        }
        // Another ledger's, which is right there.
        let other = try MadeUpLog(through: 11)
        let foreign = try other.notary().consistency(from: 6, to: nil, in: other.journal).text
        #expect(!isBelieved(foreign, from: old))
    }

    @Test func `is read as it was written`() throws {
        for seq in 1...6 as ClosedRange<UInt64> {
            for size in [nil, seq, 6] {
                let proof = try notary.inclusion(of: seq, size: size, in: log.journal)
                let read = try ProofText.Inclusion(parsing: proof.text)
                #expect(read.text == proof.text && read.hashes == proof.hashes)
                #expect(read.index == seq - 1 && read.event == nil)
                #expect(read.checkpoint == proof.checkpoint)
            }
        }
        for old in 0...6 as ClosedRange<UInt64> {
            let proof = try notary.consistency(from: old, to: nil, in: log.journal)
            let read = try ProofText.Consistency(parsing: proof.text)
            #expect(read.text == proof.text && read.hashes == proof.hashes && read.old == old)
        }
        let event = MadeUpLog.event(2)
        var proof = try notary.inclusion(of: 2, size: nil, in: log.journal)
        proof.event = event
        #expect(try ProofText.Inclusion(parsing: proof.text).event == event)
    }

    private static let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

    @Test(arguments: [
        ("", "begins with c2sp.org/tlog-proof@v1"),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\n", "begins with c2sp.org/tlog-proof@v1"),
        ("c2sp.org/tlog-proof@v1\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nindex \n\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nindex 01\n\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nindex +1\n\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nindex -1\n\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nindex 9223372036854775808\n\n", "no line such as: index 41"),
        ("c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\n", "extra line is no base 64"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n", "ends before its checkpoint"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n\(hash)", "ends before its checkpoint"),
        ("c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n", "no hash: AAAA"),
        ("c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\n", "begins with c2sp.org/tlog-proof@v1"),
        (
            "c2sp.org/tlog-proof@v1\nindex 0\n" + String(repeating: hash + "\n", count: 65) + "\n",
            "no hash"
        ),
    ])
    func `that is no inclusion is refused`(text: String, says: String) {
        let told = message { () throws(AuditFailure) in try ProofText.Inclusion(parsing: text) }
        #expect(told?.contains(says) == true, "\(told ?? "read"): \(text)")
    }
    @Test(arguments: [
        ("", "begins with a line such as: old 41"), ("old\n\n", "old 41"), ("old x\n\n", "old 41"),
        ("old 007\n\n", "old 41"), ("old 7", "ends before its checkpoint"),
        ("old 7\n\(hash)\n", "ends before its checkpoint"), ("old 7\n\(hash) \n\n", "no hash"),
    ])
    func `that is no consistency is refused`(text: String, says: String) {
        let told = message { () throws(AuditFailure) in try ProofText.Consistency(parsing: text) }
        #expect(told?.contains(says) == true, "\(told ?? "read"): \(text)")
    }
    @Test(arguments: [
        "", "a\n", "a\n1\n", "\n1\n\(hash)\n", "a\n01\n\(hash)\n", "a\n-1\n\(hash)\n",
        "a\n1\nAAAA\n", "a\n1\n\(hash)", "a\n9223372036854775808\n\(hash)\n",
    ])
    func `of a head that is none is refused`(text: String) {
        let told = message { () throws(AuditFailure) in try TreeHead(parsing: text) }
        #expect(told?.contains("this is no checkpoint") == true, "\(text)")
    }
}

import Events
import Foundation
import Glibc
import Journal
import TestSupport
import Testing

@testable import Audit

/// What witnesses say of a checkpoint, and manifests of exports.
@Suite struct `A cosignature` {
    private let log: MadeUpLog
    private let notary: Notary
    private let witness = SigningKey(name: "witness.example/w1", kind: .witness)

    init() throws {
        log = try MadeUpLog(through: 8)
        notary = log.notary()
    }
    private func checkpoint() throws -> SignedNote { try notary.checkpoint(of: log.journal) }
    private func cosigned(
        _ note: SignedNote, _ witness: SigningKey, at seconds: UInt64 = 1_795_000_000
    ) throws -> SignedNote {
        var note = note
        note.signatures.append(try witness.sign(note.text, at: seconds))
        return note
    }
    private func refusal(
        _ notary: Notary, _ given: String, _ witness: VerifierKey? = nil
    ) -> String? {
        message { () throws(AuditFailure) in try notary.cosign(given, witness: witness) }
    }
    private func isValid(_ note: SignedNote, _ key: VerifierKey) -> Bool {
        (try? key.hasSigned(note)) == true
    }

    @Test func `is taken, shown and kept`() throws {
        #expect(
            message { () throws(AuditFailure) in try notary.cosigned() }?
                .contains("no witness has signed") == true)
        let note = try checkpoint()
        let kept = try notary.cosign(
            cosigned(note, witness).note, witness: witness.verifier)
        #expect(isValid(kept, witness.verifier))
        #expect(isValid(kept, try VerifierKey(parsing: notary.status.verifierKey)))
        #expect(try notary.cosigned() == kept)
        #expect(
            try checkpoint() == kept, "shown with the checkpoint, as long as it is the last one")
        #expect(notary.status.cosignedSize == 8)
        let next = log.notary()
        #expect(try next.cosigned() == kept)
        #expect(try next.checkpoint(of: log.journal) == kept)
        log.grow(through: 9)
        #expect(try next.checkpoint(of: log.journal).signatures.count == 1)
        #expect(try next.cosigned() == kept, "the newest that a witness has signed")
    }
    @Test func `may come as a witness answers it: the line alone`() throws {
        let note = try checkpoint()
        let line = try witness.sign(note.text, at: 7).line
        #expect(refusal(notary, line)?.contains("none of these signatures") == true)
        let kept = try notary.cosign(line + "\n", witness: witness.verifier)
        #expect(isValid(kept, witness.verifier))
        // Now it is known.
        log.grow(through: 10)
        let second = try witness.sign(try checkpoint().text, at: 8).line
        #expect(isValid(try notary.cosign(second), witness.verifier))
    }
    @Test func `of each witness the latest is kept, of several each one's`() throws {
        let note = try checkpoint()
        let other = SigningKey(name: "witness.example/w2", kind: .witness)
        _ = try notary.cosign(
            cosigned(note, witness, at: 50).note, witness: witness.verifier)
        _ = try notary.cosign(cosigned(note, other, at: 60).note, witness: other.verifier)
        for (seconds, kept) in [(40, 50), (70, 70)] as [(UInt64, UInt64)] {
            let merged = try notary.cosign(cosigned(note, witness, at: seconds).note)
            #expect(merged.signatures.count == 3)
            #expect(merged.signatures.compactMap(\.time).sorted() == [60, kept].sorted())
        }
        let reread = log.notary()
        #expect(try reread.cosigned().signatures.count == 3)
        #expect(isValid(try reread.cosigned(), other.verifier))
    }

    @Test func `is refused when it is not what it says`() throws {
        let note = try checkpoint()
        let good = try cosigned(note, witness)
        let key = witness.verifier
        // Nobody that this log knows.
        #expect(refusal(notary, good.note)?.contains("TREE cosign <note> <witness>") == true)
        // The witness signed something else; a bit of its signature, of its time.
        var wrong = good
        wrong.signatures[1] = try witness.sign(note.text + "more\n", at: 5)
        #expect(refusal(notary, wrong.note, key)?.contains("is wrong") == true)
        for place in [0, 7, 8, 40, 71] {
            wrong = good
            wrong.signatures[1].bytes[place] ^= 1
            #expect(refusal(notary, wrong.note, key)?.contains("is wrong") == true, "\(place)")
        }
        // A log's key signs no cosignature.
        let logKey = SigningKey(name: "witness.example/w1")
        #expect(
            try refusal(notary, cosigned(note, logKey).note, logKey.verifier)?
                .contains("is the key of a log") == true)
        // Our own signature is missing, or wrong.
        wrong = good
        wrong.signatures.removeFirst()
        #expect(refusal(notary, wrong.note, key)?.contains("not signed by this log's key") == true)
        wrong = good
        wrong.signatures[0].bytes[3] ^= 1
        #expect(refusal(notary, wrong.note, key)?.contains("is wrong") == true)
        // The text was changed under both signatures.
        wrong = good
        wrong.text = note.text.replacing("\n8\n", with: "\n9\n")
        #expect(refusal(notary, wrong.note, key)?.contains("is wrong") == true)
        #expect(refusal(notary, "nonsense", key)?.contains("no signed note") == true)
        #expect(refusal(notary, "— nonsense", key)?.contains("no signature") == true)
        #expect(refusal(notary, note.note, key)?.contains("none of these signatures") == true)
        #expect(notary.status.cosignedSize == 0, "nothing of that is kept")
        #expect(refusal(notary, good.note)?.contains("none of these") == true, "nor is the witness")
    }
    @Test func `of another ledger's checkpoint is refused`() throws {
        let other = try MadeUpLog(through: 8)
        let note = try other.notary().checkpoint(of: other.journal)
        let told = try refusal(notary, cosigned(note, witness).note, witness.verifier)
        #expect(
            told == "that is a checkpoint of tollgate/\(other.journal.ledgerID), and this log is "
                + "tollgate/\(log.journal.ledgerID)")
        // Under our name, by a key that is not ours.
        let head = try TreeHead(parsing: try checkpoint().text)
        let thief = SigningKey(name: head.origin)
        let forged = SignedNote(text: head.text, signatures: [try thief.sign(head.text)])
        #expect(
            try refusal(notary, cosigned(forged, witness).note, witness.verifier)?
                .contains("not signed by this log's key") == true)
    }
    @Test func `of an earlier checkpoint does not take the place of a later one's`() throws {
        let early = try cosigned(try checkpoint(), witness)
        log.grow(through: 20)
        let late = try cosigned(try checkpoint(), witness)
        _ = try notary.cosign(early.note, witness: witness.verifier)
        #expect(notary.status.cosignedSize == 8)
        _ = try notary.cosign(late.note)
        #expect(
            refusal(notary, early.note)?.contains("a later checkpoint has been cosigned") == true)
        #expect(try notary.cosigned().text == late.text)
    }
    @Test func `binds even where the last checkpoint was lost`() throws {
        let note = try cosigned(try checkpoint(), witness)
        _ = try notary.cosign(note.note, witness: witness.verifier)
        unlink(log.directory + "/tree.signed")
        #expect(log.notary().status.signedSize == 8)
    }
    @Test func `whose line comes before any checkpoint has nothing to be of`() throws {
        let told = try refusal(notary, witness.sign("x\n", at: 1).line, witness.verifier)
        #expect(told?.contains("no checkpoint has been signed yet") == true)
    }
    @Test func `of a witness file that is damaged stops the signing, not the start`() throws {
        _ = try notary.cosign(cosigned(try checkpoint(), witness).note, witness: witness.verifier)
        try "nonsense\n".write(
            toFile: log.directory + "/tree.witnesses", atomically: false, encoding: .utf8)
        let told = log.notary().status.problem
        #expect(told?.contains("tree.witnesses") == true, "\(told ?? "no problem")")
    }
}

@Suite struct `A manifest` {
    @Test func `is signed for who asked, and passes for no checkpoint`() throws {
        let log = try MadeUpLog(through: 3)
        let notary = log.notary()
        let note = try notary.sign(
            manifest: "count 3\nsha256 00\n", for: "ana", at: Instant(seconds: 1_795_000_000))
        let origin = "tollgate/\(log.journal.ledgerID)"
        #expect(
            note.text == """
                tollgate/export-manifest/v1
                log \(origin)
                signed-for ana
                signed-at 2026-11-18T11:06:40Z
                count 3
                sha256 00

                """)
        #expect(try VerifierKey(parsing: notary.status.verifierKey).hasSigned(note))
        #expect(try SignedNote(parsing: note.note) == note)
        #expect(
            message { () throws(AuditFailure) in try TreeHead(parsing: note.text) }?
                .contains("this is no checkpoint") == true)
        #expect(
            message { () throws(AuditFailure) in try notary.cosign(note.note) }?
                .contains("this is no checkpoint") == true)
    }
    @Test(arguments: ["", "\n", "count 3", "a\n\nb\n", "\na\n", "a\u{0}b\n", "a\r\n", "a\tb\n"])
    func `of other than lines is not signed`(lines: String) throws {
        let log = try MadeUpLog(through: 1)
        let told = message { () throws(AuditFailure) in
            try log.notary().sign(manifest: lines, for: "ana", at: Instant(seconds: 0))
        }
        #expect(told?.contains("a manifest is lines of text") == true)
    }
}

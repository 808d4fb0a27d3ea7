import Events
import Foundation
import Journal
import Testing

@testable import Audit

/// Whose word is believed, and what is said when it is nobody's.
@Suite struct `A proof is believed` {
    private let log: MadeUpLog
    private let notary: Notary
    private let key: VerifierKey
    private let witness = SigningKey(name: "witness.example/w", kind: .witness)

    init() throws {
        log = try MadeUpLog(through: 6)
        notary = log.notary()
        key = try VerifierKey(parsing: notary.status.verifierKey)
    }
    private func proof(_ seq: UInt64) throws -> ProofText.Inclusion {
        var proof = try notary.inclusion(of: seq, size: nil, in: log.journal)
        proof.event = MadeUpLog.event(seq)
        return proof
    }
    private func refusal(_ keys: TrustedKeys, _ checkpoint: String) -> String? {
        message { () throws(AuditFailure) in try keys.head(of: checkpoint, "saved") }
    }

    @Test func `for the log's own key, and for every witness that is asked for`() throws {
        let keys = TrustedKeys(logs: [key], witnesses: [witness.verifier])
        var note = try notary.checkpoint(of: log.journal)
        #expect(
            refusal(keys, note.note)
                == "saved: the witness witness.example/w has not signed it")
        note.signatures.append(try witness.sign(note.text, at: 5))
        #expect(try keys.head(of: note.note, "saved").size == 6)
        note.signatures[1].bytes[10] ^= 1
        #expect(refusal(keys, note.note)?.contains("is wrong") == true)
        let mistaken = TrustedKeys(logs: [key], witnesses: [key])
        #expect(refusal(mistaken, note.note)?.contains("not of a witness") == true)
        for seq in 1...6 as ClosedRange<UInt64> {
            #expect(try proof(seq).verify(TrustedKeys(logs: [key])).size == 6)
        }
    }
    @Test func `for no other ledger, and for no other key of this one`() throws {
        let other = try MadeUpLog(through: 6)
        let foreign = try other.notary().checkpoint(of: other.journal).note
        let told = refusal(TrustedKeys(logs: [key]), foreign)
        #expect(told?.contains("a checkpoint of tollgate/\(other.journal.ledgerID)") == true)
        #expect(told?.contains("another ledger") == true && told?.contains("--key") == true)
        let stranger = SigningKey(name: key.name).verifier
        let own = try notary.checkpoint(of: log.journal).note
        #expect(
            refusal(TrustedKeys(logs: [stranger]), own)?.contains("has not signed it with the key")
                == true)
        // A log that got a new key has two.
        #expect(try TrustedKeys(logs: [stranger, key]).head(of: own, "saved").size == 6)
        // Its proof of the very same event is worth nothing here.
        var proof = try other.notary().inclusion(of: 2, size: nil, in: other.journal)
        proof.event = MadeUpLog.event(2)
        let refused = message { () throws(AuditFailure) in
            try proof.verify(TrustedKeys(logs: [key]))
        }
        #expect(refused?.contains("another ledger") == true, "\(refused ?? "believed")")
    }
    @Test func `only with its event, in its place, under its own checkpoint`() throws {
        let keys = TrustedKeys(logs: [key])
        func refusal(_ proof: ProofText.Inclusion, _ checkpoint: String? = nil) -> String? {
            message { () throws(AuditFailure) in try proof.verify(keys, checkpoint: checkpoint) }
        }
        var wrong = try proof(3)
        wrong.event = nil
        #expect(refusal(wrong)?.contains("the proof holds no event") == true)
        wrong.event = MadeUpLog.event(4)
        #expect(refusal(wrong)?.contains("this event is not event 3 of the 6") == true)
        wrong.event = [1, 2, 3]
        #expect(refusal(wrong)?.contains("the proof does not hold") == true)
        wrong = try proof(3)
        wrong.index = 3
        #expect(refusal(wrong)?.contains("the proof does not hold") == true)
        // Under a size: it needs the checkpoint that the asker has, and that one alone.
        let saved = try notary.checkpoint(of: log.journal).note
        wrong = try notary.inclusion(of: 3, size: 6, in: log.journal)
        wrong.event = MadeUpLog.event(3)
        #expect(refusal(wrong) != nil, "nobody has signed it")
        #expect(refusal(wrong, saved) == nil)
        log.grow(through: 7)
        let later = try notary.checkpoint(of: log.journal).note
        #expect(refusal(wrong, later)?.contains("do not belong together") == true)
        // A log that leaves a number out: what it signs is a tree, and no log of ours.
        let text = try String(contentsOf: log, "signing.key")
        let secret = try #require(SigningKey(parsing: text))
        let event = MadeUpLog.event(5)
        let root = event.withUnsafeBytes { TreeHash.leaf(Bytes($0)) }
        let head = TreeHead(origin: key.name, size: 1, root: root).text
        let gap = ProofText.Inclusion(
            event: event, index: 0, hashes: [],
            checkpoint: SignedNote(text: head, signatures: [try secret.sign(head)]).note)
        #expect(refusal(gap)?.contains("event 5 in the place of event 1") == true)
    }
    @Test func `of consistency only between the two that it is of`() throws {
        let old = try TreeHead(parsing: try notary.checkpoint(of: log.journal).text)
        log.grow(through: 9)
        let new = try TreeHead(parsing: try notary.checkpoint(of: log.journal).text)
        let proof = try notary.consistency(from: 6, to: 9, in: log.journal)
        func refusal(_ old: TreeHead, _ new: TreeHead) -> String? {
            message { () throws(AuditFailure) in try proof.check(from: old, to: new) }
        }
        #expect(refusal(old, new) == nil)
        #expect(refusal(new, old)?.contains("does not begin with the one") == true)
        var other = old
        other.size = 5
        #expect(refusal(other, new)?.contains("they are evidence") == true)
        other = old
        other.root = new.root
        #expect(refusal(other, new)?.contains("they are evidence") == true)
    }
}

extension String {
    /// The first line of a file in a log's directory.
    fileprivate init(contentsOf log: MadeUpLog, _ name: String) throws {
        let text = try String(contentsOfFile: log.directory + "/" + name, encoding: .utf8)
        self = String(text.prefix { $0 != "\n" })
    }
}

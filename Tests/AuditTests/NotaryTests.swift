import Crypto
import Events
import Foundation
import Glibc
import Journal
import TestSupport
import Testing

@testable import Audit

/// Who signs for a log: its key, its checkpoints, and that no two of them contradict each other.
@Suite struct `The notary` {
    private static func file(_ log: MadeUpLog, _ name: String) -> String {
        log.directory + "/" + name
    }
    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }
    private static func checkpoint(_ notary: Notary, _ log: MadeUpLog) throws -> TreeHead {
        try TreeHead(parsing: try notary.checkpoint(of: log.journal).text)
    }
    /// What it answers instead of a checkpoint.
    private static func refusal(_ notary: Notary, _ log: MadeUpLog) -> String {
        message { () throws(AuditFailure) in try notary.checkpoint(of: log.journal) } ?? ""
    }

    // MARK: The key

    @Test func `makes its key at the first start, for nobody else to read`() throws {
        let log = try MadeUpLog(through: 3)
        let notary = log.notary()
        let path = Self.file(log, "signing.key")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        let key = try #require(
            SigningKey(parsing: String(try Self.text(path).dropLast()))
        ).verifier
        #expect(key.name == "tollgate/\(log.journal.ledgerID)" && key.kind == .log)
        #expect(notary.status.verifierKey == key.description)
        #expect(notary.status.origin == key.name && notary.status.problem == nil)
        let again = log.notary()
        #expect(again.status.verifierKey == key.description, "it is kept")
        #expect(try Self.checkpoint(again, log).origin == key.name)
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o620, 0o660] as [mode_t])
    func `signs nothing with a key that others can read`(mode: mode_t) throws {
        let log = try MadeUpLog(through: 3)
        _ = log.notary()
        let path = Self.file(log, "signing.key")
        chmod(path, mode)
        let notary = log.notary()
        #expect(notary.status.problem?.contains("chmod 600") == true)
        #expect(notary.status.problem?.contains(path) == true)
        let told = Self.refusal(notary, log)
        #expect(told.hasPrefix("nothing is signed: ") && told.contains("chmod 600"), "\(told)")
        chmod(path, 0o600)
        #expect(try Self.checkpoint(log.notary(), log).size == 3)
    }

    @Test(arguments: [
        ("", "holds no signing key"), ("garbage\n", "holds no signing key"),
        ("PRIVATE+KEY+x+00000000+AAAA\n", "holds no signing key"),
        ("\u{0}\u{1}\u{2}", "holds no signing key"),
        (String(repeating: "x", count: 2_000_000), "longer than"),
    ])
    func `says of a key file that is none how to go on`(text: String, says: String) throws {
        let log = try MadeUpLog(through: 3)
        _ = log.notary()
        let path = Self.file(log, "signing.key")
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o600)
        let notary = log.notary()
        #expect(notary.status.problem?.contains(says) == true, "\(notary.status)")
        #expect(notary.status.verifierKey == "")
        #expect(Self.refusal(notary, log).contains(path))
        #expect(try Self.text(path) == text, "it is left as it is")
        // What can be proven without a signature still can.
        let proof = try notary.inclusion(of: 1, size: 3, in: log.journal)
        #expect(try TreeHead(parsing: proof.checkpoint).origin == notary.status.origin)
        unlink(path)
        #expect(log.notary().status.problem == nil, "a new one is made where it was moved away")
    }
    @Test func `takes no other log's key`() throws {
        let log = try MadeUpLog(through: 3)
        let other = try MadeUpLog(through: 3)
        _ = other.notary()
        try FileManager.default.copyItem(
            atPath: Self.file(other, "signing.key"), toPath: Self.file(log, "signing.key"))
        let told = Self.refusal(log.notary(), log)
        #expect(told.contains("is the key of tollgate/\(other.journal.ledgerID)"), "\(told)")
    }

    // MARK: Checkpoints

    /// Checked with nothing of ours but the text: three lines, the key's number, Ed25519.
    @Test func `signs what the log is`() throws {
        let log = try MadeUpLog(through: 700)
        let notary = log.notary()
        let lines = try notary.checkpoint(of: log.journal).note
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let origin = "tollgate/\(log.journal.ledgerID)"
        #expect(lines.count == 6 && lines[3] == "" && lines[5] == "")
        #expect(lines[0] == origin && lines[1] == "700")
        #expect(Data(base64Encoded: lines[2]).map(Array.init) == log.tree.root(700).bytes)
        #expect(lines[4].hasPrefix("— \(origin) "))
        let signature = try #require(
            Data(base64Encoded: String(lines[4].split(separator: " ")[2])))
        let parts = notary.status.verifierKey.split(separator: "+", maxSplits: 2)
        let key = try #require(Data(base64Encoded: String(parts[2])))
        #expect(key.count == 33 && key[0] == 1)
        let id = Array(SHA256.hash(data: Data("\(origin)\n".utf8) + key)).prefix(4)
        #expect(Array(signature.prefix(4)) == Array(id))
        #expect(id.map { String(format: "%02x", $0) }.joined() == parts[1])
        let text = lines[..<3].map { $0 + "\n" }.joined()
        #expect(
            try Curve25519.Signing.PublicKey(rawRepresentation: key.dropFirst())
                .isValidSignature(signature.dropFirst(4), for: Data(text.utf8)))
    }

    @Test func `signs again only what has grown, and what begins with the last one`() throws {
        let log = try MadeUpLog(through: 10)
        var notary = log.notary()
        let first = try notary.checkpoint(of: log.journal)
        #expect(try notary.checkpoint(of: log.journal) == first)
        #expect(try Self.text(Self.file(log, "tree.signed")) == first.note, "on disk")
        #expect(notary.status.signedSize == 10)
        var last = try TreeHead(parsing: first.text)
        for size in [11, 256, 300, 513] as [UInt64] {
            log.grow(through: size)
            if size == 300 {
                try log.reopen()
                notary = log.notary()
                #expect(notary.status.signedSize == 256)
            }
            let head = try Self.checkpoint(notary, log)
            #expect(head.size == size && head.root == log.tree.root(Int(size)))
            let proof = try notary.consistency(from: last.size, to: nil, in: log.journal)
            #expect(
                MerkleProof.extends(
                    last.size, last.root, to: head.size, head.root, proof: proof.hashes))
            last = head
        }
    }
    @Test func `hands out nothing that is not on disk first`() throws {
        let log = try MadeUpLog(through: 4)
        let notary = log.notary()
        let first = try Self.checkpoint(notary, log)
        log.grow(through: 5)
        // Where the file is written before it gets its name stands something that cannot be replaced.
        let blocked = Self.file(log, "tree.signed.tmp")
        mkdir(blocked, 0o700)
        try Data().write(to: URL(fileURLWithPath: blocked + "/x"))
        #expect(Self.refusal(notary, log).contains(blocked))
        #expect(notary.status.signedSize == first.size)
        try FileManager.default.removeItem(atPath: blocked)
        #expect(try Self.checkpoint(notary, log).size == 5)
    }
    @Test func `signs no commit whose outcome is open`() throws {
        let log = try MadeUpLog(through: 4)
        MadeUpLog.event(5).withUnsafeBytes { log.journal.stage(Bytes($0)) }
        #expect(try Self.checkpoint(log.notary(), log).size == 4)
        let told = message { () throws(AuditFailure) in
            try log.notary().inclusion(of: 5, size: nil, in: log.journal)
        }
        #expect(told?.contains("event 5 is not in the log, which ends with 4") == true)
    }

    // MARK: Contradictions

    /// Somebody changed what had been signed, or what it was signed of: nothing more is signed, in words that
    /// say what to do, and that stay in the status.
    @Test(arguments: [
        ("another size", "is not what was written"), ("garbage", "is not what was written"),
        ("another root", "is not what was written"), ("of a larger log", "it ends with event 8"),
        ("of another history", "its first 8 events have another root now"),
    ])
    func `refuses loudly when what it signed does not fit`(what: String, says: String) throws {
        let log = try MadeUpLog(through: 8)
        var notary = log.notary()
        let head = try Self.checkpoint(notary, log)
        let path = Self.file(log, "tree.signed")
        let signed = try Self.text(path)
        let secret = try #require(
            SigningKey(
                parsing: String(try Self.text(Self.file(log, "signing.key")).dropLast())))
        func sign(_ size: UInt64, _ root: TreeHash) throws -> String {
            let text = TreeHead(origin: head.origin, size: size, root: root).text
            return SignedNote(text: text, signatures: [try secret.sign(text)]).note
        }
        let planted =
            switch what {
            case "another size": signed.replacing("\n8\n", with: "\n7\n")
            case "another root":
                signed.replacing(head.root.base64, with: log.tree.root(7).base64)
            case "of a larger log": try sign(9, head.root)
            case "of another history": try sign(8, log.tree.root(7))
            default: "garbage"
            }
        try planted.write(toFile: path, atomically: false, encoding: .utf8)
        notary = log.notary()
        let seen = notary.status.problem ?? "nothing"
        #expect(seen.contains(says) && seen.contains("backup"), "at the start, unasked: \(seen)")
        for _ in 0..<2 {
            let told = Self.refusal(notary, log)
            #expect(told.contains(says) && told.contains("backup"), "\(what): \(told)")
            #expect(notary.status.problem.map { told.contains($0) } == true)
        }
        log.grow(through: 12)
        #expect(Self.refusal(notary, log).contains("signed"), "nor when it has grown")
        #expect(try Self.text(path) == planted, "the evidence stays")
        // As it was, it is signed again.
        try signed.write(toFile: path, atomically: false, encoding: .utf8)
        notary = log.notary()
        #expect(try Self.checkpoint(notary, log).size == 12)
        #expect(notary.status.problem == nil)
    }
    @Test func `is bound by what a lost key has signed`() throws {
        let log = try MadeUpLog(through: 8)
        let old = log.notary().status.verifierKey
        let last = try Self.checkpoint(log.notary(), log)
        unlink(Self.file(log, "signing.key"))
        let notary = log.notary()
        #expect(notary.status.verifierKey != old && notary.status.signedSize == 8)
        // Of the same head, but by the new key.
        let note = try notary.checkpoint(of: log.journal)
        #expect(try TreeHead(parsing: note.text) == last)
        #expect(try VerifierKey(parsing: notary.status.verifierKey).hasSigned(note))
        #expect(try !VerifierKey(parsing: old).hasSigned(note))
    }

    // MARK: Proofs

    @Test func `proves nothing that is not in the log`() throws {
        let log = try MadeUpLog(through: 8)
        let notary = log.notary()
        func told(_ seq: UInt64, _ size: UInt64?) -> String? {
            message { () throws(AuditFailure) in
                try notary.inclusion(of: seq, size: size, in: log.journal)
            }
        }
        #expect(told(0, nil)?.contains("event 0 is not in the log, which ends with 8") == true)
        #expect(told(9, nil)?.contains("event 9 is not in the log, which ends with 8") == true)
        #expect(told(5, 4)?.contains("event 5 is not in the log, which ends with 4") == true)
        #expect(told(1, 9)?.contains("event 9 is not in the log, which ends with 8") == true)
        #expect(told(1, 0)?.contains("event 1 is not in the log, which ends with 0") == true)
        func told(from old: UInt64, to new: UInt64?) -> String? {
            message { () throws(AuditFailure) in
                try notary.consistency(from: old, to: new, in: log.journal)
            }
        }
        #expect(told(from: 9, to: nil)?.contains("which ends with 8") == true)
        #expect(told(from: 5, to: 9)?.contains("which ends with 8") == true)
        #expect(told(from: 5, to: 4)?.contains("give the smaller size first") == true)
        #expect(try notary.consistency(from: 0, to: 0, in: log.journal).hashes == [])
        #expect(try notary.consistency(from: 8, to: 8, in: log.journal).hashes == [])
    }
}

import Audit
import Events
import Foundation
import Glibc
import Journal
import TestSupport
import Testing

@testable import tollgate

extension ThroughTheSocket {
    /// TREE: what an auditor gets, checks, and is refused.
    @Suite struct Proofs {
        private typealias Client = TestSupport.Client

        private static func note(_ client: Client) throws -> SignedNote {
            try SignedNote(parsing: try client.ask("TREE checkpoint").text)
        }
        private static func verifier(_ client: Client) throws -> VerifierKey {
            try VerifierKey(parsing: try client.info()["tree_key"] ?? "")
        }
        /// The leaves of the log as the daemon hands it out.
        private static func leaves(_ daemon: DaemonProcess) throws -> [TreeHash] {
            let source = try SocketLog(try tollgate.Client(.unix(daemon.socketPath)))
            var leaves: [TreeHash] = []
            try source.readBatches(from: 1, through: source.lastSeq) { page in
                for event in page.events { leaves.append(.leaf(event)) }
                return true
            }
            return leaves
        }
        private static func charge(_ client: Client, _ count: Int, _ name: String) throws {
            try client.send(
                (0..<count).map { "CHARGE \(key) \(model) in=1 out=1 id=\(name)-\($0)\n" }.joined())
            for _ in 0..<count { _ = try client.reply() }
        }

        /// Nothing but the answers and the log's key: every event, and that the log only grew, over kill -9.
        @Test func `an auditor can prove every event, and that none was rewritten`() throws {
            var daemon = try ThroughTheSocket.daemon()
            var client = try daemon.client()
            let key = try Self.verifier(client)
            var heads: [TreeHead] = []
            for round in 0..<4 {
                try Self.charge(client, 90, "\(round)")
                if round == 2 {
                    try daemon.kill()
                    daemon = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
                    client = try daemon.client()
                    #expect(try Self.verifier(client) == key, "the key stays")
                }
                let note = try Self.note(client)
                #expect(try key.hasSigned(note))
                let head = try TreeHead(parsing: note.text)
                #expect(head.origin == key.name)
                #expect(try client.number("tree_signed_size") == Int(head.size))
                for old in heads {
                    let text = try client.ask("TREE consistency \(old.size) \(head.size)").text
                    let proof = try ProofText.Consistency(parsing: text)
                    #expect(
                        MerkleProof.extends(
                            old.size, old.root, to: head.size, head.root, proof: proof.hashes))
                    #expect(try TreeHead(parsing: proof.checkpoint) == head)
                }
                heads.append(head)
            }
            let head = heads[3]
            let leaves = try Self.leaves(daemon)
            #expect(head.size > 360 && leaves.count >= Int(head.size))
            for seq in 1...head.size {
                let text = try client.ask("TREE inclusion \(seq) \(head.size)").text
                let proof = try ProofText.Inclusion(parsing: text)
                #expect(proof.index == seq - 1)
                #expect(
                    MerkleProof.includes(
                        leaves[Int(seq) - 1], at: seq - 1, in: head.size, root: head.root,
                        proof: proof.hashes), "event \(seq)")
            }
            // Without a size it is under a checkpoint that is signed with it.
            let text = try client.ask("TREE inclusion 7").text
            let signed = try SignedNote(parsing: ProofText.Inclusion(parsing: text).checkpoint)
            #expect(try key.hasSigned(signed))
            #expect(try daemon.stop() == 0)
        }

        @Test func `the log's key is shown, and stands in the directory for its owner alone`()
            throws
        {
            let daemon = try ThroughTheSocket.daemon()
            let info = try daemon.client().info()
            let key = try VerifierKey(parsing: info["tree_key"] ?? "")
            #expect(info["tree_origin"] == "tollgate/" + (info["ledger"] ?? ""))
            #expect(key.name == info["tree_origin"] && info["tree_problem"] == "")
            let status = try Program.run(["status", "--socket", daemon.socketPath])
            #expect(status.output.contains(key.description), "\(status.output)")
            var file = stat()
            #expect(stat(daemon.dataPath + "/signing.key", &file) == 0)
            #expect(file.st_mode & 0o777 == 0o600)
            let secret = try String(
                contentsOfFile: daemon.dataPath + "/signing.key", encoding: .utf8)
            let seed = try #require(secret.split(separator: "+", maxSplits: 4).last?.dropLast())
            let shown = try daemon.client().ask("INFO").text + status.output
            #expect(!shown.contains(seed))
            #expect(try daemon.stop() == 0)
            #expect(!daemon.errors.contains(seed))
        }

        /// A wrong key, or a checkpoint that does not fit: nothing is signed, all say why, and decisions go on.
        @Test(arguments: ["mode", "garbage", "contradiction"])
        func `what is wrong with the signing stops no decision`(what: String) throws {
            let before = try ThroughTheSocket.daemon()
            let exported = before.scratch.file("exported.csv")
            #expect(
                try Program.run(
                    ["audit", "export", "--out", exported, "--socket", before.socketPath]
                ).status == 0)
            let scratch = try before.stopped()
            let (key, signed) = ("data/signing.key", "data/tree.signed")
            switch what {
            case "mode": chmod(scratch.file(key), 0o644)
            case "garbage": try write("garbage\n", scratch.file(key))
            default:
                let text = try String(contentsOfFile: scratch.file(key), encoding: .utf8)
                let secret = try #require(SigningKey(parsing: String(text.dropLast())))
                let head = TreeHead(origin: secret.name, size: 3, root: .ofNothing).text
                let note = SignedNote(text: head, signatures: [try secret.sign(head)])
                try write(note.note, scratch.file(signed))
            }
            let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            let client = try daemon.client()
            let says =
                switch what {
                case "mode": "chmod 600"
                case "garbage": "holds no signing key"
                default: "the log contradicts the checkpoint that was signed of 3 events"
                }
            // Before anybody asks, and in one line.
            let status = try Program.run(["status", "--socket", daemon.socketPath])
            #expect(status.status == 0 && status.output.contains(says), "\(status)")
            #expect(daemon.errors.split(separator: "\n").count { $0.contains(says) } == 1)
            let told = try client.ask("TREE checkpoint").text
            #expect(told.hasPrefix("-ERR ") && told.contains(says), "\(told)")
            let problem = try #require(client.info()["tree_problem"])
            #expect(problem.contains(says) && told.contains(problem), "\(problem)")
            // Whoever asks hears which file it is; where it lies the log says.
            #expect(!told.contains(daemon.dataPath), "\(told)")
            if what != "contradiction" {
                #expect(told.contains(": signing.key "), "\(told)")
                #expect(daemon.errors.contains(daemon.dataPath + "/signing.key "))
            }
            for words in [
                ["checkpoint"], ["export", "--out", scratch.file("more.csv")],
                ["export", "--check", exported],
            ] {
                let run = try Program.run(["audit"] + words + ["--socket", daemon.socketPath])
                #expect(run.status == (what == "contradiction" ? 65 : 1), "\(words): \(run)")
                #expect(run.errors.contains(says), "\(words): \(run)")
            }
            #expect(try client.ask("TREE inclusion 1").isError)
            #expect(try client.reserve().contains("-"))
            // What needs no signature can be had.
            #expect(
                try ProofText.Inclusion(parsing: client.ask("TREE inclusion 1 2").text).index == 0)
            #expect(try daemon.stop() == 0)
            #expect(daemon.errors.contains("critical") && daemon.errors.contains(says))
        }
        private func write(_ text: String, _ path: String) throws {
            // In place, so that the mode stays.
            try text.write(toFile: path, atomically: false, encoding: .utf8)
        }

        @Test func `a witness's cosignature is taken, shown, and there after a restart`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let witness = SigningKey(name: "witness.example/w", kind: .witness)
            var note = try Self.note(client)
            #expect(try client.ask("TREE cosigned").text.contains("no witness has signed"))
            let size = try TreeHead(parsing: note.text).size
            note.signatures.append(try witness.sign(note.text, at: 1_795_000_000))
            #expect(
                try client.ask(frame: ["TREE", "cosign", note.note]).text.contains("none of these"))
            let vkey = witness.verifier.description
            let kept = try client.ask(frame: ["TREE", "cosign", note.note, vkey]).text
            #expect(kept == note.note)
            #expect(try client.ask("TREE checkpoint").text == kept)
            #expect(try client.number("tree_cosigned_size") == Int(size))
            try daemon.kill()
            let next = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            let reader = try next.client()
            #expect(try reader.ask("TREE cosigned").text == kept)
            // Known by now: its next one needs no key. A restart is an event, so there is a new head.
            let later = try Self.note(reader)
            #expect(later.signatures.count == 1)
            let line = try witness.sign(later.text, at: 1_795_000_001).line
            let merged = try SignedNote(parsing: reader.ask(frame: ["TREE", "cosign", line]).text)
            #expect(merged.text == later.text && merged.signatures.count == 2)
            // Another ledger's checkpoint, with a signature that is right.
            let other = try ThroughTheSocket.daemon()
            var foreign = try Self.note(try other.client())
            foreign.signatures.append(try witness.sign(foreign.text, at: 1_795_000_002))
            let told = try reader.ask(frame: ["TREE", "cosign", foreign.note]).text
            #expect(told.contains("that is a checkpoint of tollgate/"), "\(told)")
            #expect(try next.stop() == 0)
            #expect(try other.stop() == 0)
        }

        @Test func `a manifest is signed for whoever asked`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            let secret = try admin.append(
                "operator.created", #"{"operator":"audit","role":"auditor"}"#
            ).text("secret")
            let auditor = try Client(port: port)
            _ = try auditor.ask("AUTH audit \(secret)")
            let key = try Self.verifier(admin)
            for (client, name) in [(admin, "uid:\(geteuid())"), (auditor, "audit")] {
                let text = try client.ask(frame: ["TREE", "manifest", "count 3\nlast 3\n"]).text
                let note = try SignedNote(parsing: text)
                #expect(try key.hasSigned(note))
                let lines = note.text.split(separator: "\n").map(String.init)
                #expect(lines[0] == Notary.manifestTitle && lines[1] == "log \(key.name)")
                #expect(lines[2] == "signed-for \(name)" && lines[3].hasPrefix("signed-at 20"))
                #expect(Array(lines[4...]) == ["count 3", "last 3"])
                #expect(throws: AuditFailure.self) { try TreeHead(parsing: note.text) }
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `who may prove, and who may name a witness`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            let stranger = try Client(port: port)
            #expect(try stranger.ask("TREE checkpoint").text.hasPrefix("-NOAUTH"))
            let questions = [
                "TREE checkpoint", "TREE inclusion 1", "TREE inclusion 1 2", "TREE consistency 1",
                #"TREE manifest "count 1\n""#,
            ]
            for role in ["admin", "auditor", "relay", "finance", "developer"] {
                for place in [nil, "acme", "acme/ml"] where place != nil || role != "developer" {
                    let name = role + "-" + (place ?? "all").replacing("/", with: "-")
                    let account = place.map { #","account":"\#($0)""# } ?? ""
                    let secret = try admin.append(
                        "operator.created",
                        #"{"operator":"\#(name)","role":"\#(role)"\#(account)}"#
                    ).text("secret")
                    let client = try Client(port: port)
                    #expect(try client.ask("AUTH \(name) \(secret)").text == "OK")
                    let may = place == nil && (role == "admin" || role == "auditor")
                    for line in questions {
                        let reply = try client.ask(line)
                        #expect(reply.isError != may, "\(name): \(line) → \(reply)")
                        #expect(may || reply.text.hasPrefix("-NOPERM "), "\(name): \(reply)")
                    }
                }
            }
            let witness = SigningKey(name: "witness.example/w", kind: .witness)
            let secret = try admin.append(
                "operator.created", #"{"operator":"eve","role":"auditor"}"#
            ).text("secret")
            let auditor = try Client(port: port)
            _ = try auditor.ask("AUTH eve \(secret)")
            var note = try Self.note(auditor)
            note.signatures.append(try witness.sign(note.text, at: 5))
            let words = ["TREE", "cosign", note.note]
            let told = try auditor.ask(frame: words + [witness.verifier.description]).text
            #expect(told.hasPrefix("-NOPERM ") && told.contains("that needs admin"), "\(told)")
            #expect(try auditor.ask(frame: words).text.contains("none of these signatures"))
            #expect(
                try !admin.ask(frame: words + [witness.verifier.description]).isError,
                "an admin may")
            #expect(try !auditor.ask(frame: words).isError, "then an auditor may hand in its own")
            #expect(try daemon.stop() == 0)
        }

        @Test func `bad input is told what is wrong with it`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let end = try TreeHead(parsing: try Self.note(client).text).size
            let syntax = "TREE does not take that: the syntax is TREE checkpoint | cosigned"
            for (words, says) in [
                ([], "wrong number of arguments"), (["frob"], syntax), (["CHECKPOINT"], syntax),
                (["checkpoint", "1"], syntax), (["cosigned", "1"], syntax), (["inclusion"], syntax),
                (["inclusion", "1", "2", "3"], syntax), (["consistency"], syntax),
                (["consistency", "1", "2", "3"], syntax), (["cosign"], syntax),
                (["cosign", "a", "b", "c"], syntax), (["manifest"], syntax),
                (["inclusion", "x"], "'x' is no event's number and no size"),
                (["inclusion", "-1"], "'-1' is no event's number"),
                (["inclusion", "1.5"], "'1.5' is no event's number"),
                (["inclusion", "99999999999999999999"], "is no event's number"),
                (["inclusion", "1", ""], "'' is no event's number"),
                (["inclusion", "0"], "event 0 is not in the log, which ends with \(end)"),
                (["inclusion", "\(end + 1)"], "event \(end + 1) is not in the log"),
                (["inclusion", "1", "\(end + 1)"], "event \(end + 1) is not in the log"),
                (["inclusion", "3", "2"], "event 3 is not in the log, which ends with 2"),
                (["inclusion", "1", "0"], "event 1 is not in the log, which ends with 0"),
                (["inclusion", "4611686018427387904"], "is no event's number"),
                (["consistency", "x"], "'x' is no event's number"),
                (["consistency", "\(end + 1)"], "event \(end + 1) is not in the log"),
                (["consistency", "3", "2"], "give the smaller size first"),
                (["consistency", "1", "\(end + 1)"], "event \(end + 1) is not in the log"),
                (["cosign", ""], "no signed note"), (["cosign", "x"], "no signed note"),
                (["cosign", "— w x"], "a line is no signature"),
                (["cosign", "a\u{0}\n\n— w AAAAAAAA\n"], "control characters"),
                (["cosign", "a\n\n— w AAAAAAAA\n"], "this is no checkpoint"),
                (["cosign", "— w AAAAAAAA", "nonsense"], "is no verifier key"),
                (["cosign", "— w AAAAAAAA", "w+00000000+AAAA"], "is no verifier key"),
                (["manifest", ""], "a manifest is lines of text"),
                (["manifest", "x"], "a manifest is lines of text"),
                (["manifest", "a\n\n— b AAAA\n"], "a manifest is lines of text"),
            ] as [([String], String)] {
                let reply = try client.ask(frame: ["TREE"] + words)
                #expect(
                    reply.isError && reply.text.contains(says), "TREE \(words) → \(reply)")
            }
            // No UTF-8: whatever is read of it, it is no note of ours.
            let bad: [UInt8] = Array("*3\r\n$4\r\nTREE\r\n$6\r\ncosign\r\n$3\r\n".utf8)
            try client.send(bad + [0xFF, 0xFE, 0x0A] + Array("\r\n".utf8))
            #expect(try client.reply().text.contains("no signed note"))
            #expect(try client.ask("TREE consistency 0").text.hasPrefix("old 0\n\ntollgate/"))
            #expect(try TreeHead(parsing: try Self.note(client).text).size == end)
            #expect(try daemon.stop() == 0)
        }
    }
}

extension DaemonProcess {
    /// Ends it in order; its directory is for the next one.
    fileprivate func stopped() throws -> Scratch {
        #expect(try stop() == 0)
        return scratch
    }
}

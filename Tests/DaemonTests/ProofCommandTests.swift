import Audit
import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate audit checkpoint | prove | consistency | verify | cosign`, as an auditor runs them.
    @Suite struct ProofCommands {
        private static func charged(_ count: Int, in scratch: Scratch? = nil) throws
            -> DaemonProcess
        {
            let scratch = try scratch ?? Scratch()
            let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            try daemon.client().furnish()
            try charge(daemon, 0..<count)
            return daemon
        }
        static func charge(_ daemon: DaemonProcess, _ ids: Range<Int>) throws {
            let lines = ids.map { "CHARGE \(key) \(model) in=1 out=1 id=c\($0)\n" }.joined()
            let replies = try daemon.client().exchange(Array(lines.utf8), replies: ids.count)
            #expect(replies.allSatisfy { $0.words.first == "CHARGED" }, "\(replies.first as Any)")
        }
        static func run(_ words: String..., daemon: DaemonProcess? = nil) throws -> Program.Run {
            try Program.run(
                ["audit"] + words + (daemon.map { ["--socket", $0.socketPath] } ?? []))
        }
        static func works(_ words: String..., daemon: DaemonProcess? = nil) throws -> String {
            let run = try Program.run(
                ["audit"] + words + (daemon.map { ["--socket", $0.socketPath] } ?? []))
            try #require(run.status == 0, "\(words): \(run)")
            return run.output
        }
        static func fails(
            _ status: Int32, _ says: String, _ words: String..., daemon: DaemonProcess? = nil
        ) throws {
            let run = try Program.run(
                ["audit"] + words + (daemon.map { ["--socket", $0.socketPath] } ?? []))
            #expect(run.status == status, "\(words): \(run)")
            #expect(run.errors.contains(says), "\(words): \(run)")
            #expect(run.errors.split(separator: "\n").count == 1, "one sentence: \(run)")
        }
        private static func verifierKey(_ daemon: DaemonProcess) throws -> String {
            try #require(daemon.client().info()["tree_key"])
        }
        /// Every text that differs from this one in one bit of one of its lines.
        private static func flipped(_ text: String) -> [[UInt8]] {
            let bytes = Array(text.utf8)
            return stride(from: 0, to: bytes.count, by: max(1, bytes.count / 60)).map { at in
                var copy = bytes
                copy[at] ^= 1 << UInt8(at % 8)
                return copy
            }
        }

        @Test func `a proof speaks for itself, and one changed bit unmakes it`() throws {
            let daemon = try Self.charged(700)
            let scratch = daemon.scratch
            let (early, proof) = (scratch.file("early"), scratch.file("p.tlog-proof"))
            let key = try Self.verifierKey(daemon)
            _ = try Self.works("checkpoint", "--out", early, daemon: daemon)
            try Self.charge(daemon, 700..<900)
            _ = try Self.works("prove", "300", "--out", proof, daemon: daemon)
            let said = try Self.works("verify", "--proof", proof, "--key", key)
            #expect(said.contains("proven: event 300 is in the log tollgate/"))
            #expect(said.contains(#""seq":300"#) && said.contains(#""id":"c"#))
            #expect(try Self.works("prove", "300", "--dir", daemon.dataPath).hasPrefix("c2sp.org/"))

            let whole = try String(contentsOfFile: proof, encoding: .utf8)
            #expect(whole.hasPrefix("c2sp.org/tlog-proof@v1\nextra "))
            let changed = scratch.file("changed")
            for bytes in Self.flipped(whole) {
                try Data(bytes).write(to: URL(fileURLWithPath: changed))
                let run = try Self.run("verify", "--proof", changed, "--key", key)
                #expect(run.status == 65, "\(String(decoding: bytes, as: UTF8.self)): \(run)")
                #expect(run.errors.split(separator: "\n").count == 1, "\(run)")
            }
            // Under a checkpoint that somebody has kept.
            _ = try Self.works("prove", "5", "--checkpoint", early, "--out", proof, daemon: daemon)
            #expect(
                try Self.works("verify", "--proof", proof, "--key", key).contains("event 5 is in"))
            let size = try TreeHead(
                parsing: SignedNote(parsing: String(contentsOfFile: early, encoding: .utf8)).text
            ).size
            _ = try Self.works("prove", "5", "--size", "\(size)", "--out", proof, daemon: daemon)
            try Self.fails(
                65, "signed note", "verify", "--proof", proof, "--key", key)
            _ = try Self.works("verify", "--proof", proof, "--key", key, "--checkpoint", early)
            try Self.fails(
                1, "not in the log", "prove", "5000", daemon: daemon)
            try Self.fails(64, "--key", "verify", "--proof", proof)
            try Self.fails(64, "no verifier key", "verify", "--proof", proof, "--key", "a+b")
            try Self.fails(66, "cannot be read", "verify", "--proof", "/none", "--key", key)
            let other = try Self.charged(0)
            try Self.fails(
                65, "another ledger", "verify", "--proof", proof, "--key",
                try Self.verifierKey(other),
                "--checkpoint", early)
        }

        @Test func `the log is shown to begin with what was kept of it`() throws {
            let daemon = try Self.charged(300)
            let scratch = daemon.scratch
            let (kept, later) = (scratch.file("kept"), scratch.file("later"))
            _ = try Self.works("checkpoint", "--out", kept, daemon: daemon)
            try Self.charge(daemon, 300..<900)
            _ = try Self.works("checkpoint", "--out", later, daemon: daemon)
            for words in [[kept], [kept, later], ["1"], ["0"], ["17", "256"], [kept, "400"]] {
                let run = try Program.run(
                    ["audit", "consistency"] + words + ["--socket", daemon.socketPath])
                #expect(run.status == 0 && run.output.hasPrefix("consistent: "), "\(words): \(run)")
            }
            _ = try Self.works(
                "consistency", kept, later, "--dir", daemon.dataPath, "--out", scratch.file("proof")
            )
            let proof = try String(contentsOfFile: scratch.file("proof"), encoding: .utf8)
            #expect(proof.hasPrefix("old 3") && proof.contains("\n\ntollgate/"))
            try Self.fails(64, "smaller size first", "consistency", later, kept, daemon: daemon)
            try Self.fails(64, "zeros in front", "consistency", "007", daemon: daemon)
            try Self.fails(1, "not in the log", "consistency", "1", "99999", daemon: daemon)

            let said = try Self.works(
                "verify", "--checkpoint", kept, "--checkpoint", later, daemon: daemon)
            #expect(said.contains("verified: 9") && said.contains("extended: the log begins"))
            // A kept one is replaced only by one that goes on from it.
            _ = try Self.works("checkpoint", "--out", kept, daemon: daemon)
            let (a, b) = try (
                String(contentsOfFile: kept, encoding: .utf8),
                String(contentsOfFile: later, encoding: .utf8)
            )
            #expect(a == b)

            for bytes in Self.flipped(b) {
                let changed = scratch.file("changed")
                try Data(bytes).write(to: URL(fileURLWithPath: changed))
                let run = try Self.run("consistency", changed, daemon: daemon)
                #expect(run.status == 65, "\(String(decoding: bytes, as: UTF8.self)): \(run)")
            }
            let other = try Self.charged(10)
            let foreign = scratch.file("foreign")
            _ = try Self.works("checkpoint", "--out", foreign, daemon: other)
            for words in [["consistency", foreign], ["verify", "--checkpoint", foreign]] {
                let run = try Program.run(["audit"] + words + ["--socket", daemon.socketPath])
                #expect(run.status == 65 && run.errors.contains("another ledger"), "\(run)")
            }
            try Self.fails(
                65, "another ledger", "checkpoint", "--out", foreign, daemon: daemon)
        }

        /// A ledger whose last events were taken away and replaced, under its own key.
        @Test func `a log that was rewritten contradicts what was kept of it`() throws {
            let daemon = try Self.charged(300)
            let scratch = daemon.scratch
            let kept = scratch.file("kept")
            #expect(try daemon.stop() == 0)
            let copy = scratch.file("copy")
            try FileManager.default.copyItem(atPath: daemon.dataPath, toPath: copy)
            let original = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            try Self.charge(original, 300..<400)
            _ = try Self.works("checkpoint", "--out", kept, daemon: original)
            #expect(try original.stop() == 0)

            let older = try DaemonProcess(ThroughTheSocket.small, in: scratch, data: copy)
            try Self.fails(65, "older copy", "verify", "--checkpoint", kept, daemon: older)
            try Self.fails(64, "smaller size first", "consistency", kept, daemon: older)
            try Self.charge(older, 1_000..<1_200)
            try Self.fails(65, "changed or left out", "verify", "--checkpoint", kept, daemon: older)
            try Self.fails(65, "does not begin with", "consistency", kept, daemon: older)
            try Self.fails(65, "does not begin with", "checkpoint", "--out", kept, daemon: older)
            #expect(try older.stop() == 0)
            let run = try Self.run("verify", "--dir", copy, "--checkpoint", kept)
            #expect(run.status == 65 && run.output.contains("wrong  \(kept): "), "\(run)")
            #expect(try Self.works("verify", "--dir", daemon.dataPath).contains("agrees"))
        }

        /// As root a rename would replace even /dev/null.
        @Test func `what is written to a file replaces nothing that is no file`() throws {
            let daemon = try Self.charged(20)
            let scratch = daemon.scratch
            let file = try scratch.file("file", holding: "")
            let pipe = scratch.file("pipe")
            #expect(mkfifo(pipe, 0o600) == 0)
            func link(_ name: String, to target: String) throws -> String {
                try FileManager.default.createSymbolicLink(
                    atPath: scratch.file(name), withDestinationPath: target)
                return scratch.file(name)
            }
            let links = [
                try link("device", to: "/dev/null"), try link("piped", to: pipe),
                try link("nothing", to: scratch.file("none")), try link("linked", to: file),
            ]
            for (place, status) in [
                (pipe, 64), (scratch.path, 64), (links[0], 64), (links[1], 64), ("/dev/stdout", 64),
                (links[2], 73), (scratch.file("none/x"), 73),
            ] as [(String, Int32)] {
                for words in [["checkpoint"], ["prove", "5"], ["consistency", "3"]] {
                    let run = try Program.run(
                        ["audit"] + words + ["--out", place, "--socket", daemon.socketPath])
                    #expect(run.status == status, "\(words) --out \(place): \(run)")
                    #expect(run.errors.split(separator: "\n").count == 1, "\(run)")
                }
            }
            // Shared memory is a device's neighbour, and its files are files.
            if access("/dev/shm", W_OK) == 0 {
                let shared = "/dev/shm/tollgate-\(getpid())-checkpoint"
                defer { unlink(shared) }
                for _ in 0..<2 {
                    _ = try Self.works("checkpoint", "--out", shared, daemon: daemon)
                }
            }
            // A key that was mistaken for another is not shown to whoever looks on.
            let secret = daemon.dataPath + "/signing.key"
            for words in [["--key", secret], ["--witness", secret]] {
                let run = try Program.run(
                    ["audit", "checkpoint", "--socket", daemon.socketPath] + words)
                #expect(run.status == 64 && !run.errors.contains("PRIVATE"), "\(run.status)")
                #expect(run.errors.contains("nobody else may see"), "\(run.status)")
            }
            for place in links {
                let run = try Self.run("export", "--out", place, "--force", daemon: daemon)
                #expect([64, 73].contains(run.status), "\(place): \(run)")
            }
            _ = try Self.works("prove", "5", "--out", links[3], daemon: daemon)
            #expect(try String(contentsOfFile: file, encoding: .utf8).hasPrefix("c2sp.org/"))
            for place in links {
                #expect(
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: place)) != nil,
                    "\(place)")
            }
            var status = stat()
            #expect(stat(pipe, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
        }

        @Test func `a witness's signature is checked, kept and shown`() throws {
            let daemon = try Self.charged(20)
            let scratch = daemon.scratch
            let note = scratch.file("note")
            let witness = SigningKey(name: "witness.example/w1", kind: .witness)
            let vkey = "\(witness.verifier)"
            _ = try Self.works("checkpoint", "--out", note, daemon: daemon)
            let text = try String(contentsOfFile: note, encoding: .utf8)
            let head = try SignedNote(parsing: text)
            let line = try witness.sign(head.text, at: 1_800_000_000).line + "\n"
            let cosigned = try scratch.file("cosigned", holding: text + line)
            try Self.fails(1, "no witness has signed", "checkpoint", "--cosigned", daemon: daemon)
            try Self.fails(1, "witness that this log knows", "cosign", cosigned, daemon: daemon)
            #expect(
                try Self.works("cosign", cosigned, "--witness", vkey, daemon: daemon).hasSuffix(
                    line))
            #expect(try Self.works("checkpoint", "--cosigned", daemon: daemon).hasSuffix(line))
            // Its line alone, once it is known.
            let alone = try scratch.file("alone", holding: line)
            #expect(try Self.works("cosign", alone, daemon: daemon).hasSuffix(line))
            _ = try Self.works(
                "prove", "3", "--checkpoint", cosigned, "--out", note, daemon: daemon)
            let key = try Self.verifierKey(daemon)
            _ = try Self.works("verify", "--proof", note, "--key", key, "--witness", vkey)
            let other = SigningKey(name: "witness.example/w2", kind: .witness).verifier
            try Self.fails(
                65, "w2 has not signed", "verify", "--proof", note, "--key", key, "--witness",
                "\(other)")
            let forged = line.replacingOccurrences(of: "A", with: "B")
            let wrong = try scratch.file("wrong", holding: text + forged)
            let run = try Self.run("cosign", wrong, daemon: daemon)
            #expect(run.status == 1 || run.status == 65, "\(run)")
        }
    }
}

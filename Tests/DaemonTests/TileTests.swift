import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate audit tiles`, and deploy/verify/verify.py, which checks what it exports with none of our code.
    @Suite struct Tiles {
        private static let verifier = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("deploy/verify/verify.py").path

        /// Nil, and said, where the verifier's library is not to be had; deploy/test installs it.
        private static let python: [String: String]? = {
            let given = ProcessInfo.processInfo.environment
            var variables = ["PATH": given["PATH"] ?? "/usr/bin:/bin"]
            variables["PYTHONPATH"] = given["TOLLGATE_CRYPTOGRAPHY"]
            guard let scratch = try? Scratch(),
                let child = try? ChildProcess(
                    ["python3", "-c", "import cryptography"], environment: variables, in: scratch),
                (try? child.wait()) == 0
            else {
                print("skipped: python3 has no cryptography here, so deploy/verify is not tried")
                return nil
            }
            return variables
        }()

        private static func export(
            _ out: String, _ words: String..., daemon: DaemonProcess
        ) throws -> Program.Run {
            try Program.run(["audit", "tiles", out, "--socket", daemon.socketPath] + words)
        }
        private static func verify(
            _ out: String, _ words: [String], in scratch: Scratch
        ) throws -> (status: Int32, output: String) {
            let child = try ChildProcess(
                ["python3", "-B", verifier, out] + words, environment: python ?? [:], in: scratch)
            return (try child.wait(), child.standardOutput + child.standardError)
        }
        private static func files(_ out: String) throws -> [String] {
            try FileManager.default.subpathsOfDirectory(atPath: out).filter { name in
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: out + "/" + name, isDirectory: &isFolder)
                return !isFolder.boolValue
            }.sorted()
        }

        /// Everything that moves money: holds that grow, end in time, late and never, charges, corrections.
        private static func furnished() throws -> DaemonProcess {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            for (type, payload) in [
                ("org.created", #"{"account":"acme","on_lapse":"charge_input"}"#),
                ("team.created", #"{"account":"acme/ml"}"#),
                ("team.created", #"{"account":"acme/web"}"#),
                ("key.created", #"{"account":"\#(key)"}"#),
                ("price.set", #"{"model":"\#(model)","in":"2","out":"8"}"#),
            ] {
                _ = try client.append(type, payload)
            }
            for account in Traffic.accounts {
                _ = try client.append("key.created", #"{"account":"\#(account)"}"#)
            }
            let lapsing = try (0..<6).map { _ in try client.reserve("in=100 out=10 ttl=1") }
            let extended = try client.reserve("in=10 out=10")
            #expect(try client.ask("EXTEND \(extended) out=500").words.first == "EXTENDED")
            let released = try client.reserve("in=10 out=10")
            #expect(try client.ask("RELEASE \(released)").words.first == "RELEASED")
            try move(daemon, seed: 7)
            for hold in lapsing {
                _ = try poll("the end of \(hold)") {
                    let state = try client.ask("GET hold \(hold)").json as? [String: Any]
                    return state?.text("state") == "open" ? nil : true
                }
            }
            // Late, in the place of a lapse, of a corrected lapse, and of a release.
            for (n, (hold, usd)) in [(2, "0.5"), (3, "0.25"), (2, "0")].enumerated() {
                _ = try client.append(
                    "charge.corrected",
                    #"{"account":"\#(key)","charge":"\#(lapsing[hold])","usd":"\#(usd)","id":"\#(n)"}"#
                )
            }
            for hold in [lapsing[0], lapsing[2], released] {
                let reply = try client.ask("SETTLE \(hold) in=7 out=7")
                #expect(reply.words.first == "SETTLED", "\(reply)")
            }
            let unknown = try client.ask("SETTLE 9-9 in=5 out=5 key=\(key) model=\(model)")
            #expect(!unknown.isError, "\(unknown)")
            return daemon
        }
        private static func move(_ daemon: DaemonProcess, seed: UInt64) throws {
            var traffic = Traffic(seed: seed, prefix: "t\(seed)")
            traffic.run(try daemon.client(), most: 600)
            #expect(traffic.exchanges.count >= 600)
        }

        @Test func `an export is added to, and verified by none of our code`() throws {
            let daemon = try Self.furnished()
            let scratch = daemon.scratch
            let (out, kept) = (scratch.file("out"), scratch.file("kept"))
            let key = try #require(daemon.client().info()["tree_key"])
            #expect(try Self.export(out, daemon: daemon).status == 0)
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            let first = try Self.files(out)
            #expect(first.contains { $0.hasPrefix("tile/entries/002.p/") }, "\(first)")
            try Self.move(daemon, seed: 8)
            let again = try Self.export(out, "--json", daemon: daemon)
            #expect(again.status == 0 && again.output.contains(#""kept":2,"mended":0"#), "\(again)")
            let second = try Self.files(out)
            #expect(second.contains("tile/entries/002"), "\(second)")
            #expect(!second.contains { $0.hasPrefix("tile/0/002.p") }, "the full one is there")

            // What is not what it should be is had anew.
            try Self.flip(out + "/tile/entries/001")
            let mended = try Self.export(out, "--json", daemon: daemon)
            #expect(mended.output.contains(#""mended":1"#), "\(mended)")
            #expect(try daemon.stop() == 0)
            // From the directory: the same files, but for those of earlier checkpoints.
            let fromDirectory = scratch.file("dir")
            let run = try Program.run(
                ["audit", "tiles", fromDirectory, "--dir", daemon.dataPath])
            #expect(run.status == 0, "\(run)")
            for name in try Self.files(fromDirectory) {
                #expect(
                    try Data(contentsOf: URL(fileURLWithPath: fromDirectory + "/" + name))
                        == Data(contentsOf: URL(fileURLWithPath: out + "/" + name)), "\(name)")
            }
            guard Self.python != nil else { return }
            let verified = try Self.verify(out, ["--key", key, "--old", kept], in: scratch)
            #expect(verified.status == 0 && verified.output.contains("1 older"), "\(verified)")
            for seq in ["1", "256", "257", "700"] {
                let one = try Self.verify(out, ["--key", key, "--event", seq], in: scratch)
                #expect(one.status == 0 && one.output.hasPrefix("ok: event \(seq)"), "\(one)")
            }
        }

        @Test func `no partial file is left of what is full by now`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let scratch = daemon.scratch
            let (out, kept) = (scratch.file("out"), scratch.file("kept"))
            for round in 0..<3 {
                try ProofCommands.charge(daemon, round * 10..<(round + 1) * 10)
                #expect(try Self.export(out, daemon: daemon).status == 0)
            }
            #expect(try Self.files(out).filter { $0.contains("entries/000.p/") }.count == 3)
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            try ProofCommands.charge(daemon, 30..<300)
            #expect(try Self.export(out, daemon: daemon).status == 0)
            let files = try Self.files(out)
            #expect(files.contains("tile/0/000") && files.contains("tile/entries/000"))
            #expect(
                !files.contains { $0.contains("000.p/") && !$0.contains("tile/1/") }, "\(files)")

            // Nor of an export that was killed before it could remove them, even where nothing has grown.
            for name in ["entries/000.p", "0/000.p", "entries/001.p"] {
                let folder = out + "/tile/" + name
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true)
                try "x".write(toFile: folder + "/7", atomically: false, encoding: .utf8)
            }
            #expect(try Self.export(out, daemon: daemon).status == 0)
            #expect(try Self.files(out) == (files + ["tile/entries/001.p/7"]).sorted())

            // The summary is of the checkpoint that is there: neither is replaced without the other.
            func pair() throws -> [String] {
                try ["summary.jsonl", "checkpoint"].map {
                    try String(contentsOfFile: out + "/" + $0, encoding: .utf8)
                }
            }
            let before = try pair()
            try ProofCommands.charge(daemon, 300..<310)
            let blocked = out + "/checkpoint.new"
            try FileManager.default.createDirectory(
                atPath: blocked, withIntermediateDirectories: false)
            #expect(try Self.export(out, daemon: daemon).status == 74)
            #expect(try pair() == before)
            try FileManager.default.removeItem(atPath: blocked)
            #expect(try Self.export(out, daemon: daemon).status == 0)
            let after = try pair()
            #expect(after[0] != before[0] && after[1] != before[1])

            // An older checkpoint is no sign that events are missing.
            let key = try #require(daemon.client().info()["tree_key"])
            let older = try Self.export(out, "--checkpoint", kept, "--key", key, daemon: daemon)
            #expect(
                older.status == 64 && older.errors.contains("leave out --checkpoint"), "\(older)")
            let signed = out + "/checkpoint"
            try "".write(toFile: signed, atomically: false, encoding: .utf8)
            let damaged = try Self.export(out, daemon: daemon)
            #expect(damaged.status == 65, "\(damaged)")
            #expect(damaged.errors.contains("\(signed) is damaged"), "\(damaged)")
            try FileManager.default.removeItem(atPath: signed)
            #expect(try Self.export(out, daemon: daemon).status == 0)
        }

        /// The tree goes on from a backup under a new key, and what was kept of before is of its beginning.
        @Test func `a checkpoint from before a restore is proven with both keys`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let scratch = daemon.scratch
            let (kept, copy, out) = (
                scratch.file("kept"), scratch.file("copy"), scratch.file("out")
            )
            let old = try #require(daemon.client().info()["tree_key"])
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            let backup = scratch.file("backup")
            #expect(try Program.run(["backup", backup, "--data", daemon.dataPath]).status == 0)
            let bare = try ProofCommands.works("verify", "--dir", backup, "--key", old)
            #expect(bare.contains("nothing signed is kept here"), "\(bare)")
            #expect(try daemon.stop() == 0)
            #expect(try Program.run(["restore", backup, copy]).status == 0)
            let next = try DaemonProcess(
                ThroughTheSocket.small + ["--from-backup"], in: scratch, data: copy)
            let new = try #require(next.client().info()["tree_key"])
            #expect(old != new)
            try ProofCommands.charge(next, 0..<20)
            #expect(try Self.export(out, daemon: next).status == 0)
            for one in [old, new] {
                try ProofCommands.fails(
                    65, "--key A --key B", "consistency", kept, "--key", one, daemon: next)
            }
            _ = try ProofCommands.works(
                "consistency", kept, "--key", old, "--key", new, daemon: next)
            #expect(try next.stop() == 0)
            let words = ["verify", "--dir", copy, "--checkpoint", kept, "--key", old]
            let half = try Program.run(["audit"] + words)
            #expect(
                half.status == 0 && half.output.contains("not checked: say the key of"), "\(half)")
            let both = try Program.run(["audit"] + words + ["--key", new])
            #expect(both.status == 0 && !both.output.contains("not checked"), "\(both)")
            guard Self.python != nil else { return }
            let one = try Self.verify(out, ["--key", new, "--old", kept], in: scratch)
            #expect(one.status == 1 && one.output.contains("before a restore"), "\(one)")
            let two = try Self.verify(
                out, ["--key", new, "--key", old, "--old", kept], in: scratch)
            #expect(two.status == 0 && two.output.contains("1 older"), "\(two)")
        }

        /// The new key has the name of the one that was lost.
        @Test func `a checkpoint of a key that was lost is proven with both, in any order`() throws
        {
            guard Self.python != nil else { return }
            let daemon = try ThroughTheSocket.daemon()
            let scratch = daemon.scratch
            let (kept, out) = (scratch.file("kept"), scratch.file("out"))
            let old = try #require(daemon.client().info()["tree_key"])
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            #expect(try daemon.stop() == 0)
            try FileManager.default.removeItem(atPath: daemon.dataPath + "/signing.key")
            let next = try DaemonProcess(
                ThroughTheSocket.small, in: scratch, data: daemon.dataPath)
            let new = try #require(next.client().info()["tree_key"])
            #expect(old != new && old.prefix { $0 != "+" } == new.prefix { $0 != "+" })
            try ProofCommands.charge(next, 0..<20)
            #expect(try Self.export(out, daemon: next).status == 0)
            for (keys, status) in [([new], 1), ([old], 1), ([old, new], 0), ([new, old], 0)] {
                let words = keys.flatMap { ["--key", $0] } + ["--old", kept]
                let run = try Self.verify(out, words, in: scratch)
                #expect(run.status == Int32(status), "\(keys): \(run)")
            }
        }

        @Test func `an export goes nowhere else, and only forward`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try ThroughTheSocket.daemon()
            let scratch = daemon.scratch
            let out = scratch.file("out")
            #expect(try Self.export(out, daemon: daemon).status == 0)
            let foreign = try Self.export(out, daemon: other)
            #expect(foreign.status == 64 && foreign.errors.contains("another directory"))
            let full = try Self.export(daemon.dataPath, daemon: daemon)
            #expect(full.status == 64 && full.errors.contains("new directory"), "\(full)")
            let nowhere = try Self.export("/none/out", daemon: daemon)
            #expect(nowhere.status == 74 && nowhere.errors.contains("parent"), "\(nowhere)")
            // A backup has signed nothing; a checkpoint that was kept stands in.
            let (backup, kept) = (scratch.file("backup"), scratch.file("kept"))
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            let key = try #require(daemon.client().info()["tree_key"])
            #expect(try Program.run(["backup", backup, "--data", daemon.dataPath]).status == 0)
            let words = ["audit", "tiles", scratch.file("out2"), "--dir", backup, "--key", key]
            let unsigned = try Program.run(words)
            #expect(unsigned.status == 64 && unsigned.errors.contains("tree.signed"))
            #expect(try Program.run(words + ["--checkpoint", kept]).status == 0)
        }

        @Test func `what was changed in an export is refused`() throws {
            guard Self.python != nil else { return }
            let daemon = try Self.furnished()
            let scratch = daemon.scratch
            let (out, key) = (scratch.file("out"), try #require(daemon.client().info()["tree_key"]))
            #expect(try Self.export(out, daemon: daemon).status == 0)
            let whole = try Self.verify(out, ["--key", key], in: scratch)
            #expect(whole.status == 0, "\(whole)")
            var seed = ThroughTheSocket.seed()

            func refused(
                _ what: String, _ words: [String] = [], _ change: (String) throws -> Void
            ) throws {
                let copy = scratch.file("copy")
                try FileManager.default.copyItem(atPath: out, toPath: copy)
                defer { try? FileManager.default.removeItem(atPath: copy) }
                try change(copy)
                let run = try Self.verify(copy, ["--key", key] + words, in: scratch)
                #expect(run.status == 1 && run.output.hasPrefix("WRONG: "), "\(what): \(run)")
                #expect(run.output.split(separator: "\n").count == 1, "\(what): \(run)")
            }
            for name in try Self.files(out) {
                try refused("a bit of \(name)") { copy in
                    try Self.flip(copy + "/" + name, &seed)
                }
                try refused("without \(name)") { copy in
                    try FileManager.default.removeItem(atPath: copy + "/" + name)
                }
            }
            let bundle = "tile/entries/001"
            try refused("two events swapped") { copy in
                try Self.change(copy + "/" + bundle) { $0.swapAt(3, 4) }
            }
            try refused("an event left out") { copy in
                try Self.change(copy + "/" + bundle) { $0.remove(at: 9) }
            }
            try refused("an event twice") { copy in
                try Self.change(copy + "/" + bundle) { $0[9] = $0[8] }
            }
            try refused("an event swapped, looked at alone", ["--event", "260"]) { copy in
                try Self.change(copy + "/" + bundle) { $0.swapAt(3, 4) }
            }
            try refused("a sum changed") { copy in
                let path = copy + "/summary.jsonl"
                let text = try String(contentsOfFile: path, encoding: .utf8)
                try text.replacingOccurrences(of: #""requests":"#, with: #""requests":1"#)
                    .write(toFile: path, atomically: false, encoding: .utf8)
            }
            // What another reader would take the other one of, or could not read at all.
            for (what, changed) in [
                ("a sum twice", #""usd":"999","usd":"#), ("a blank", #""usd": "#),
            ] {
                try refused(what) { copy in
                    let path = copy + "/summary.jsonl"
                    let text = try String(contentsOfFile: path, encoding: .utf8)
                    try text.replacingOccurrences(of: #""usd":"#, with: changed)
                        .write(toFile: path, atomically: false, encoding: .utf8)
                }
            }
            try refused("a deep summary") { copy in
                try String(repeating: "[", count: 100_000).write(
                    toFile: copy + "/summary.jsonl", atomically: false, encoding: .utf8)
            }
            for words in [["--key", key + "x"], ["--key", "none"], ["--key", out], []] {
                let run = try Self.verify(out, words, in: scratch)
                #expect(run.status == 2 && !run.output.contains("Traceback"), "\(words): \(run)")
            }
            let file = scratch.file("key")
            try key.write(toFile: file, atomically: false, encoding: .utf8)
            #expect(try Self.verify(out, ["--key", file], in: scratch).status == 0)
            let other = try ThroughTheSocket.daemon()
            let otherKey = try #require(other.client().info()["tree_key"])
            let foreign = try Self.verify(out, ["--key", otherKey], in: scratch)
            #expect(foreign.status == 1 && foreign.output.contains("another log"), "\(foreign)")
            let kept = scratch.file("kept")
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: other)
            let old = try Self.verify(out, ["--key", key, "--old", kept], in: scratch)
            #expect(old.status == 1 && old.output.contains("another log"), "\(old)")
        }

        private static func flip(_ path: String) throws {
            var generator = SeededGenerator(seed: 1)
            try flip(path, &generator)
        }
        private static func flip(_ path: String, _ seed: inout SeededGenerator) throws {
            let url = URL(fileURLWithPath: path)
            var bytes = try Data(contentsOf: url)
            let at = Int.random(in: 0..<bytes.count, using: &seed)
            bytes[at] ^= 1 << UInt8(at % 8)
            try bytes.write(to: url)
        }
        /// Takes a bundle apart and puts it together again.
        private static func change(_ path: String, _ body: (inout [Data]) -> Void) throws {
            let url = URL(fileURLWithPath: path)
            let bytes = [UInt8](try Data(contentsOf: url))
            var entries: [Data] = []
            var at = 0
            while at < bytes.count {
                let end = at + 2 + Int(bytes[at]) << 8 + Int(bytes[at + 1])
                entries.append(Data(bytes[at..<end]))
                at = end
            }
            body(&entries)
            try entries.reduce(Data(), +).write(to: url)
        }
    }
}

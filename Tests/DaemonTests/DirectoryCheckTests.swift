import Audit
import CLinux
import Events
import Foundation
import Journal
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate audit verify --dir`: what is wrong in a directory is found, and said where.
    @Suite struct DirectoryChecks {
        /// A stopped daemon's directory, and its journal's bytes.
        private final class Copy {
            let scratch: Scratch
            let path: String
            let data: String
            let journal: [UInt8]
            var last: UInt64 = 0

            init(events: Int, checkpoints: Bool = true) throws {
                scratch = try Scratch()
                let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                try daemon.client().furnish()
                try ProofCommands.charge(daemon, 0..<events)
                _ = try ProofCommands.works(
                    "checkpoint", "--out", scratch.file("kept"), daemon: daemon)
                try ProofCommands.charge(daemon, events..<events + 20)
                #expect(try daemon.stop() == 0)
                path = daemon.dataPath
                data = path + "/journal/data.mdb"
                journal = Array(try Data(contentsOf: URL(fileURLWithPath: data)))
                last = try DirectoryLog(path).lastSeq
            }
            func verify() throws -> Program.Run {
                try ProofCommands.run("verify", "--dir", path)
            }
            /// Verifies with some bytes of the journal replaced.
            func verify(_ change: (inout [UInt8]) -> Void) throws -> Program.Run {
                var bytes = journal
                change(&bytes)
                try Data(bytes).write(to: URL(fileURLWithPath: data))
                defer { try? Data(journal).write(to: URL(fileURLWithPath: data)) }
                return try verify()
            }
            func bytes(of seq: UInt64) throws -> [UInt8] {
                var batch = LogBatch(capacity: 4_096)
                let bytes = try DirectoryLog(path).event(seq, into: &batch).bytes
                return Array(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
            }
            /// Everywhere these bytes stand: LMDB leaves older copies of its pages behind.
            func offsets(of needle: [UInt8]) -> [Int] {
                let whole = Data(journal)
                var found: [Int] = []
                var from = 0
                while let next = whole.range(of: Data(needle), in: from..<whole.count) {
                    found.append(next.lowerBound)
                    from = next.lowerBound + 1
                }
                return found
            }
            /// Verifies with a change of each of these places in turn; the one that was in use is found.
            func verify(
                _ places: [Int], _ change: (inout [UInt8], Int) -> Void
            ) throws -> (place: Int, run: Program.Run) {
                let runs = try places.map { place in
                    (place: place, run: try verify { change(&$0, place) })
                }
                let found = runs.filter { $0.run.status != 0 }
                #expect(found.count == 1, "\(runs)")
                return try #require(found.first)
            }
        }
        private func expect(_ run: Program.Run, _ words: String...) {
            #expect(run.status == 65, "\(run)")
            for word in words { #expect(run.output.contains(word), "\(word) in \(run)") }
            #expect(run.output.contains("fix: "), "\(run)")
        }

        @Test func `a whole directory is whole, with its daemon and without`() throws {
            let daemon = try ThroughTheSocket.daemon()
            try ProofCommands.charge(daemon, 0..<600)
            #expect(
                try ProofCommands.works("verify", "--dir", daemon.dataPath).contains("verified: "))
            _ = try ProofCommands.works("checkpoint", daemon: daemon)
            let backup = daemon.scratch.file("backup")
            #expect(try Program.run(["backup", backup, "--data", daemon.dataPath]).status == 0)
            let said = try ProofCommands.works("verify", daemon.dataPath)
            #expect(said.contains("tree.signed, of 6"), "\(said)")
            let key = try #require(daemon.client().info()["tree_key"])
            let kept = daemon.scratch.file("kept")
            _ = try ProofCommands.works("checkpoint", "--out", kept, daemon: daemon)
            #expect(try daemon.stop() == 0)
            _ = try ProofCommands.works("verify", "--dir", daemon.dataPath)
            let copy = try ProofCommands.works(
                "verify", "--dir", backup, "--key", key, "--checkpoint", kept)
            #expect(copy.contains("verified: ") && copy.contains("kept, of 6"), "\(copy)")

            // A byte that nothing uses changes nothing but the digest.
            let file = backup + "/journal/data.mdb"
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
            try handle.seekToEnd()
            try handle.write(contentsOf: [0])
            try handle.close()
            expect(
                try ProofCommands.run("verify", "--dir", backup), "journal/data.mdb: its SHA-256")
            try ProofCommands.fails(66, "there is no", "verify", "--dir", "/none")
            try ProofCommands.fails(
                64, "say one of them", "verify", "--dir", backup, "--socket", "x")
        }

        @Test func `one flipped bit of an event is found at its place`() throws {
            let copy = try Copy(events: 700)
            #expect(try copy.verify().status == 0)
            var seed = ThroughTheSocket.seed()
            for _ in 0..<(ThroughTheSocket.isLong ? 200 : 16) {
                let seq = UInt64.random(in: 5...copy.last, using: &seed)
                let event = try copy.bytes(of: seq)
                // Of its length, too, and of the checksum in front of it.
                let at = Int.random(in: -4..<event.count, using: &seed)
                let (start, run) = try copy.verify(copy.offsets(of: event)) { bytes, start in
                    bytes[start + at] ^= 1 << UInt8(abs(at) % 8)
                }
                expect(
                    run,
                    "event \(seq) (page \((start - 4) / 4_096) of journal/data.mdb, from byte \(start - 4) on)"
                )
            }
            // What was changed with its checksum is seen by the tree and by what was signed.
            let event = try copy.bytes(of: 100)
            let (_, run) = try copy.verify(copy.offsets(of: event)) { bytes, start in
                bytes[start + 40] ^= 1
                let sum = bytes[start..<start + event.count].withUnsafeBytes {
                    tg_crc32c(0, $0.baseAddress, $0.count)
                }
                withUnsafeBytes(of: sum.littleEndian) {
                    bytes.replaceSubrange(start - 4..<start, with: $0)
                }
            }
            expect(run, "tile 0 of level 1 (events 1 to 256)", "wrong  tree.signed", "right edge")
            #expect(!run.output.contains("tile 1 of"), "\(run)")
        }

        @Test func `a flipped bit beside the events is found, too`() throws {
            let copy = try Copy(events: 700)
            // Tiles, from the events themselves.
            var check = LogCheck(try DirectoryLog(copy.path))
            var tiles: [TreeTile] = []
            #expect(
                try check.read(through: copy.last, tick: { _ in true }, tile: { tiles.append($0) }))
            #expect(tiles.count == Int(copy.last / 256))
            for tile in tiles {
                expect(
                    try copy.verify(copy.offsets(of: tile.root.bytes)) { $0[$1] ^= 4 }.run,
                    "tile \(tile.index) of level 1 (events \(tile.index * 256 + 1) to ",
                    tile.index < 2 ? "agree with tree.signed" : "level 1")
            }
            // A name, and one whose checksum was made right again.
            let name = Array("acme/ml/prod".utf8)
            let rows = copy.offsets(of: name).filter { at in
                copy.journal[at - 1] != 0x22 && copy.journal[at + name.count] != 0x22
            }
            expect(try copy.verify(rows) { $0[$1] ^= 1 }.run, "name of account 2")
            let forged = try copy.verify(rows) { bytes, row in
                bytes[row] = UInt8(ascii: "b")
                let keyed = [1, 0, 0, 0, 2] + bytes[row..<row + name.count]
                let sum = keyed.withUnsafeBytes { tg_crc32c(0, $0.baseAddress, $0.count) }
                withUnsafeBytes(of: sum.littleEndian) {
                    bytes.replaceSubrange(row - 4..<row, with: $0)
                }
            }
            expect(forged.run, "account 2 is acme/ml/prod by event 5, and bcme/ml/prod")

            func change(_ file: String, _ at: Int, _ words: String...) throws {
                let path = copy.path + "/" + file
                let whole = try Data(contentsOf: URL(fileURLWithPath: path))
                var bytes = whole
                bytes[at < 0 ? bytes.count + at : at] ^= 1
                try bytes.write(to: URL(fileURLWithPath: path))
                defer { try? whole.write(to: URL(fileURLWithPath: path)) }
                let run = try copy.verify()
                #expect(run.status == 65, "\(run)")
                for word in words { #expect(run.output.contains(word), "\(word) in \(run)") }
            }
            try change("tree.signed", -4, "wrong  tree.signed")
            try change("tree.signed", 45, "wrong  tree.signed")
            let books = try FileManager.default.contentsOfDirectory(
                atPath: copy.path + "/checkpoints")
            for book in books where book.hasSuffix(".book") {
                try change("checkpoints/\(book)", -1, "wrong  checkpoints/\(book): is damaged")
            }
            #expect(try copy.verify().status == 0)
        }

        /// Has a witness sign a checkpoint; answers the checkpoint.
        private func cosign(_ daemon: DaemonProcess) throws -> String {
            let note = daemon.scratch.file("note")
            _ = try ProofCommands.works("checkpoint", "--out", note, daemon: daemon)
            let text = try String(contentsOfFile: note, encoding: .utf8)
            let witness = SigningKey(name: "witness.example/w", kind: .witness)
            let line = try witness.sign(SignedNote(parsing: text).text, at: 1_800_000_000).line
            _ = try ProofCommands.works(
                "cosign", daemon.scratch.file("note", holding: text + line + "\n"), "--witness",
                "\(witness.verifier)", daemon: daemon)
            return text
        }

        /// As 'fix' advises for a damaged key: nothing of before is wrong by that.
        @Test func `what a key signed that was made anew since is not checked, nor called wrong`()
            throws
        {
            let scratch = try Scratch()
            let first = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            let path = first.dataPath
            try first.client().furnish()
            let old = try #require(first.client().info()["tree_key"])
            _ = try cosign(first)
            #expect(try first.stop() == 0)
            try FileManager.default.removeItem(atPath: path + "/signing.key")
            func verify(_ keys: String..., files: String?) throws {
                let run = try Program.run(
                    ["audit", "verify", "--dir", path] + keys.flatMap { ["--key", $0] })
                let said = run.output
                #expect(run.status == 0, "\(run)")
                #expect(
                    said.contains("verified: ") && said.contains("tree.cosigned, of "), "\(said)")
                let id = old.split(separator: "+")[1]
                #expect(said.contains("not checked") == (files != nil), "\(said)")
                if let files {
                    #expect(said.contains("+\(id)+…, too, with --key (\(files))"), "\(said)")
                }
            }
            try verify(files: "tree.signed, tree.cosigned")
            try verify(old, files: nil)
            let next = try DaemonProcess(ThroughTheSocket.small, in: scratch, data: path)
            let new = try #require(next.client().info()["tree_key"])
            #expect(old != new)
            try verify(files: "tree.signed, tree.cosigned")
            try ProofCommands.charge(next, 0..<20)
            _ = try ProofCommands.works("checkpoint", daemon: next)
            #expect(try next.stop() == 0)
            try verify(files: "tree.cosigned")
            try verify(old, new, files: nil)
            expect(
                try ProofCommands.run("verify", "--dir", path, "--key", new),
                "wrong  tree.cosigned: ", "if the log has had another key, say that, too")
            // Of the new key's signature one bit.
            let signed = URL(fileURLWithPath: path + "/tree.signed")
            var bytes = try Data(contentsOf: signed)
            bytes[bytes.count - 12] ^= 1
            try bytes.write(to: signed)
            expect(try ProofCommands.run("verify", "--dir", path), "wrong  tree.signed: ")
        }

        @Test func `what is damaged beside the log is found, too`() throws {
            let scratch = try Scratch()
            let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            try daemon.client().furnish()
            _ = try daemon.client().append(
                "privacy.set", #"{"account":"acme","fields":["user"]}"#)
            let (path, older) = (daemon.dataPath, scratch.file("older"))
            for n in 0..<5 {
                let line = "CHARGE \(key) \(model) in=1 out=1 id=p\(n) user=someone-\(n)"
                #expect(try daemon.client().ask(line).words.first == "CHARGED")
            }
            #expect(try Program.run(["backup", older, "--data", path]).status == 0)
            try ProofCommands.charge(daemon, 0..<20)
            let text = try cosign(daemon)
            #expect(try daemon.stop() == 0)
            let whole = try ProofCommands.works("verify", "--dir", path)
            #expect(whole.contains("tree.cosigned, of "), "\(whole)")

            func finds(_ file: String, _ change: (inout [UInt8]) -> Void) throws {
                let url = URL(fileURLWithPath: path + "/" + file)
                let whole = try Data(contentsOf: url)
                var bytes = Array(whole)
                change(&bytes)
                try Data(bytes).write(to: url)
                defer { try? whole.write(to: url) }
                expect(try ProofCommands.run("verify", "--dir", path), "wrong  \(file): ")
            }
            let garbage = Array("garbage\n".utf8)
            for file in ["tree.signed", "tree.cosigned", "signing.key", "personal"] {
                try finds(file) { $0.replaceSubrange(0..<min($0.count, 8), with: garbage) }
            }
            for file in ["tree.signed", "tree.cosigned", "signing.key"] {
                try finds(file) { $0[$0.count - 12] ^= 1 }
            }
            // The size that was signed, and what the witness has signed.
            let size = try #require(text.split(separator: "\n").first).utf8.count + 1
            try finds("tree.cosigned") { $0[size] ^= 1 }
            // A record's text, its length, and the last byte of the front.
            for at in [32 + 46, 32 + 4, 31] { try finds("personal") { $0[at] ^= 1 } }
            #expect(try ProofCommands.run("verify", "--dir", path).status == 0)

            // Where the last checkpoint is lost, the cosigned one still tells that events are missing.
            try FileManager.default.removeItem(atPath: path + "/tree.signed")
            for name in ["journal/data.mdb", "checkpoints"] {
                try FileManager.default.removeItem(atPath: path + "/" + name)
                try FileManager.default.copyItem(
                    atPath: older + "/" + name, toPath: path + "/" + name)
            }
            expect(
                try ProofCommands.run("verify", "--dir", path),
                "wrong  tree.cosigned: it was signed of")
        }

        @Test func `no flipped bit in any page makes the check fail otherwise`() throws {
            let copy = try Copy(events: 300)
            var seed = ThroughTheSocket.seed()
            var found = 0
            for _ in 0..<(ThroughTheSocket.isLong ? 1_000 : 40) {
                let at = Int.random(in: 0..<copy.journal.count, using: &seed)
                let run = try copy.verify { $0[at] ^= 1 << UInt8(at % 8) }
                // Where nothing is, nothing is damaged.
                #expect(run.status == 0 || run.status == 65, "byte \(at): \(run)")
                if run.status == 65 { found += 1 }
            }
            #expect(found > 0)
        }
    }
}

import ArgumentParser
import Audit
import Events
import Foundation
import Glibc
import Journal
import TestSupport
import Testing

@testable import tollgate

extension ThroughTheSocket {
    /// `tollgate audit export`: to files and pipes, from a daemon and from a directory.
    @Suite struct Export {
        /// A daemon with several hundred requests, half of them settled.
        private static func daemon(_ flags: [String] = []) throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon(flags)
            try fill(daemon, requests: 400)
            return daemon
        }
        private static func fill(
            _ daemon: DaemonProcess, requests: Int, from first: Int = 0
        ) throws {
            let client = try daemon.client()
            let ua = String(repeating: "x", count: 200)
            // So many at a time that neither side waits for the other to read.
            for start in stride(from: first, to: first + requests, by: 200) {
                let numbers = start..<min(start + 200, first + requests)
                for number in numbers {
                    try client.send(
                        "RESERVE \(key) \(model) in=10 out=10 id=r-\(number) user=u\(number % 7) "
                            + "ua=\(ua)\n")
                }
                let holds = try numbers.map { _ in try client.reply().words[1] }
                for hold in holds.prefix(holds.count / 2) {
                    try client.send("SETTLE \(hold) in=9 out=8\n")
                }
                for _ in 0..<holds.count / 2 { #expect(try client.reply().words[0] == "SETTLED") }
            }
        }
        private static func export(
            _ daemon: DaemonProcess, _ words: String..., wrapper: [String] = []
        ) throws -> (status: Int32, output: String, errors: String) {
            try run(
                wrapper + [DaemonProcess.binary, "audit", "export", "--socket", daemon.socketPath]
                    + words, daemon.scratch)
        }
        private static func run(
            _ words: [String], _ scratch: Scratch
        ) throws -> (status: Int32, output: String, errors: String) {
            let child = try ChildProcess(words, in: scratch)
            let status = try child.wait()
            return (status, child.standardOutput, child.standardError)
        }
        private static func connection(
            _ socket: String
        ) throws(CommandFailure) -> ConnectionOptions {
            do { return try ConnectionOptions.parse(["--socket", socket]) } catch {
                throw CommandFailure(.software, "\(error)")
            }
        }
        private static func text(_ path: String) throws -> String {
            try String(contentsOfFile: path, encoding: .utf8)
        }
        /// Puts half a row behind an unfinished export.
        private static func tear(_ path: String) throws {
            let part = try #require(FileHandle(forWritingAtPath: path + ".part"))
            try part.seekToEnd()
            try part.write(contentsOf: Data("401,2026-11-".utf8))
            try part.close()
        }
        private static func exists(_ path: String) -> Bool {
            FileManager.default.fileExists(atPath: path)
        }

        @Test func `is the same from a daemon and from a copy of its directory`() throws {
            let daemon = try Self.daemon()
            let file = daemon.scratch.file("all.csv")
            let fromDaemon = try Self.export(daemon, "--to", "700", "--out", file)
            #expect(fromDaemon.status == 0, "\(fromDaemon.errors)")
            #expect(fromDaemon.output == "" && fromDaemon.errors.contains("manifest is signed"))
            let piped = try Self.export(daemon, "--to", "700")
            #expect(piped.output == (try Self.text(file)))
            #expect(try daemon.stop() == 0)

            let copy = daemon.scratch.file("copy")
            try FileManager.default.copyItem(atPath: daemon.dataPath, toPath: copy)
            let other = daemon.scratch.file("copy.csv")
            let words = ["audit", "export", "--dir", copy, "--to", "700", "--out", other]
            let fromCopy = try Self.run([DaemonProcess.binary] + words, daemon.scratch)
            #expect(fromCopy.status == 0, "\(fromCopy.errors)")
            #expect(fromCopy.errors.contains("not signed, because a copy of a log has no key"))
            #expect(try Self.text(other) == (try Self.text(file)))
            // But for who has signed it and the name, it says the same of itself.
            let manifests = try [file, other].map { file in
                try Self.text(file + ".manifest").split(separator: "\n").filter { line in
                    ["bytes", "sha256", "rows", "first-seq", "last-seq", "fields", "range"].contains
                    {
                        line.hasPrefix($0 + " ")
                    }
                }
            }
            #expect(manifests[0].count == 7 && manifests[0] == manifests[1])
            #expect(try Self.text(other + ".manifest").contains("\nunsigned a copy of a log has"))
            func check(_ words: String...) throws -> (status: Int32, errors: String) {
                let words = [DaemonProcess.binary, "audit", "export", "--check", other] + words
                let run = try Self.run(words, daemon.scratch)
                return (run.status, run.errors)
            }
            let unsaid = try check()
            #expect(unsaid.status == 65 && unsaid.errors.contains("nobody has signed that (a copy"))
            let content = try check("--unsigned")
            #expect(content.status == 0 && content.errors.contains("nobody has signed that"))
        }

        @Test func `is nothing to believe once its signature is gone`() throws {
            let daemon = try Self.daemon()
            let file = daemon.scratch.file("export.csv")
            #expect(try Self.export(daemon, "--out", file).status == 0)
            let key = try #require(
                try tollgate.Client(.unix(daemon.socketPath)).info()
                    .first { $0.name == "tree_key" }?.value)
            // Fewer rows, and a manifest that fits them.
            let rows = try Self.text(file).split(separator: "\r\n").prefix(50)
            let short = rows.map { $0 + "\r\n" }.joined()
            let sha = short.withBytes { TreeHash.sha256($0) }.hex
            try short.write(toFile: file, atomically: false, encoding: .utf8)
            let signed = try Self.text(file + ".manifest")
            let lines = try #require(signed.firstRange(of: "\n\n")).lowerBound
            let forged = signed[..<lines].split(separator: "\n").map { line in
                if line.hasPrefix("bytes ") { return "bytes \(short.utf8.count)" }
                if line.hasPrefix("sha256 ") { return "sha256 \(sha)" }
                return line.hasPrefix("rows ") ? "rows 49" : "\(line)"
            }.joined(separator: "\n")
            for (manifest, words, status, says) in [
                (forged + "\n", [], 65, "lost its signature"),
                (forged + "\n", ["--unsigned"], 65, "lost its signature"),
                (forged + "\n", ["--verifier", key], 65, "lost its signature"),
                (forged + "\nunsigned x\n", ["--verifier", key], 65, "nobody has signed that (x)"),
                (forged + "\nunsigned x\n", [], 65, "nobody has signed that (x)"),
                (forged + "\nunsigned x\n", ["--unsigned"], 0, "nobody has signed that"),
                (forged + signed[lines...], [], 65, "the signature of"),
            ] as [(String, [String], Int32, String)] {
                try manifest.write(
                    toFile: file + ".manifest", atomically: false, encoding: .utf8)
                let run = try Self.run(
                    [
                        DaemonProcess.binary, "audit", "export", "--check", file, "--socket",
                        daemon.socketPath,
                    ] + words, daemon.scratch)
                #expect(run.status == status && run.errors.contains(says), "\(words): \(run)")
            }
        }

        @Test func `has a manifest that finds what was changed afterwards`() throws {
            let daemon = try Self.daemon()
            let file = daemon.scratch.file("november.jsonl")
            let words = ["--team", "acme/ml", "--format", "jsonl", "--type", "hold.settled"]
            let made = try Self.run(
                [
                    DaemonProcess.binary, "audit", "export", "--socket", daemon.socketPath, "--out",
                    file,
                ]
                    + words, daemon.scratch)
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.errors.contains("200 rows of events 1 to "))
            let text = try Self.text(file)
            #expect(text.split(separator: "\n").count == 200)
            let manifest = try Self.text(file + ".manifest")
            #expect(manifest.contains("\nrows 200\n") && manifest.contains("\nsigned-for uid:"))
            func check(_ words: String...) throws -> (status: Int32, output: String, errors: String)
            {
                try Self.run(
                    [
                        DaemonProcess.binary, "audit", "export", "--check", file, "--socket",
                        daemon.socketPath,
                    ] + words, daemon.scratch)
            }
            let whole = try check()
            #expect(whole.status == 0, "\(whole.errors)")
            #expect(whole.errors.contains("still begins with the"))
            #expect(whole.errors.contains("it is of range 1 "), "\(whole.errors)")
            #expect(
                whole.errors.contains(", accounts acme/ml, types hold.settled, persons as kept"))
            #expect(!whole.errors.contains("was made as"))
            let renamed = daemon.scratch.file("december.jsonl")
            for suffix in ["", ".manifest"] {
                try FileManager.default.copyItem(atPath: file + suffix, toPath: renamed + suffix)
            }
            let other = try Self.export(daemon, "--check", renamed)
            #expect(other.status == 0 && other.errors.contains("it was made as november.jsonl"))
            // Another ledger's key has not signed it.
            let stranger = try ThroughTheSocket.daemon()
            let key = try #require(
                try tollgate.Client(.unix(stranger.socketPath)).info()
                    .first { $0.name == "tree_key" }?.value)
            let foreign = try check("--verifier", key)
            #expect(foreign.status == 65 && foreign.errors.contains("not signed with tollgate/"))
            #expect(try check("--verifier", "nonsense").status == 66)
            // Without the signature anything could stand above it.
            let end = try #require(manifest.range(of: "\n\n")).lowerBound
            try (manifest[..<end] + "\n").write(
                toFile: file + ".manifest", atomically: false, encoding: .utf8)
            let cut = try check()
            #expect(cut.status == 65 && cut.errors.contains("lost its signature"), "\(cut)")
            try manifest.replacingOccurrences(of: "\nsigned-for ", with: "\nunsigned ")
                .split(separator: "\n\n")[0].appending("\n").write(
                    toFile: file + ".manifest", atomically: false, encoding: .utf8)
            #expect(try check("--verifier", key).status == 65)
            try manifest.write(toFile: file + ".manifest", atomically: false, encoding: .utf8)

            try text.replacing("\"cost_usd\":\"", with: "\"cost_usd\":\"1", maxReplacements: 1)
                .write(
                    toFile: file, atomically: false, encoding: .utf8)
            let longer = try check()
            #expect(longer.status == 65 && longer.errors.contains("bytes, and its manifest says"))
            try text.replacing("u1", with: "u2", maxReplacements: 1).write(
                toFile: file, atomically: false, encoding: .utf8)
            let changed = try check()
            #expect(changed.status == 65 && changed.errors.contains("was changed"))
            try text.write(toFile: file, atomically: false, encoding: .utf8)
            try manifest.replacing("rows 200", with: "rows 201").write(
                toFile: file + ".manifest", atomically: false, encoding: .utf8)
            let forged = try check()
            #expect(forged.status == 65 && forged.errors.contains("the signature of"))
            try manifest.replacing("\nsha256 ", with: "\nsha 256 ").write(
                toFile: file + ".manifest", atomically: false, encoding: .utf8)
            #expect(try check().status == 65)
            unlink(file + ".manifest")
            #expect(try check().status == 66)
        }

        @Test func `goes on after it was killed in the middle of a row`() throws {
            let daemon = try Self.daemon()
            let (whole, file) = (daemon.scratch.file("whole"), daemon.scratch.file("file"))
            let last = try daemon.client().number("durable_seq")
            #expect(try Self.export(daemon, "--to", "\(last)", "--out", whole).status == 0)
            // The kernel kills who writes past the limit, once all that fits is written.
            let killed = try Self.export(
                daemon, "--out", file, wrapper: ["prlimit", "--fsize=100001"])
            #expect(killed.status == 128 + SIGXFSZ, "\(killed)")
            #expect(!Self.exists(file) && !Self.exists(file + ".manifest"))
            let torn = try Self.text(file + ".part")
            let all = try Self.text(whole)
            #expect(torn.utf8.count == 100_001 && all.hasPrefix(torn))
            // It may have been killed between two rows; so another half.
            try Self.tear(file)
            // The log has grown meanwhile, and is exported as far as it was then.
            try Self.fill(daemon, requests: 10, from: 400)
            #expect(try daemon.client().number("durable_seq") >= last + 15)
            let again = try Self.export(daemon, "--out", file)
            #expect(again.status == 73 && again.errors.contains("--resume goes on with it"))
            for (flag, value, says) in [
                // Later, and longer than what was asked for then.
                ("--to", "\(last + 5)", "\"range 1 \(last)\", and this is one with \"range 1 "),
                ("--format", "jsonl", "\"format csv\", and this is one with \"format jsonl\""),
                ("--fields", "seq", "\"fields seq,timestamp,"), ("--from", "2", "\"range 1 "),
                ("--team", "acme/ml", "\"accounts all\""),
                ("--type", "org.created", "\"types all\""),
            ] {
                let other = try Self.export(daemon, "--out", file, "--resume", flag, value)
                #expect(other.status == 64 && other.errors.contains(says), "\(other)")
            }
            let rest = try Self.export(daemon, "--out", file, "--resume")
            #expect(rest.status == 0, "\(rest.errors)")
            #expect(try Self.text(file) == (try Self.text(whole)))
            #expect(!Self.exists(file + ".part") && !Self.exists(file + ".part.note"))
            #expect(try Self.export(daemon, "--check", file).status == 0)
            // It is whole now, and there is nothing to go on with.
            let done = try Self.export(daemon, "--out", file, "--resume")
            #expect(done.status == 73 && done.errors.contains("is there already"))
        }

        /// A log whose connection breaks.
        private final class Breaking: LogSource {
            let log: any LogSource
            var batches: Int
            init(_ log: any LogSource, after batches: Int) {
                (self.log, self.batches) = (log, batches)
            }
            var ledgerID: LedgerID { log.ledgerID }
            var lastSeq: UInt64 { log.lastSeq }
            func refresh() throws(AuditFailure) { try log.refresh() }
            func read(
                from first: UInt64, through last: UInt64, into batch: inout LogBatch
            ) throws(AuditFailure) {
                // Not looks at single events, of which each row may need one.
                if first < last { batches -= 1 }
                guard batches >= 0 else { throw AuditFailure(.unavailable, "lost the daemon") }
                // Small batches, so that there are many.
                try log.read(from: first, through: min(last, first + 99), into: &batch)
            }
            func names(
                _ kind: NameKind, from number: UInt32
            ) throws(AuditFailure) -> [(number: UInt32, name: String)] {
                try log.names(kind, from: number)
            }
            func personalTexts(_ body: (PersonalText) -> Void) throws(AuditFailure) {
                try log.personalTexts(body)
            }
        }

        @Test func `loses its daemon again and again, and is whole in the end`() throws {
            let daemon = try Self.daemon()
            let log = try SocketLog(try tollgate.Client(.unix(daemon.socketPath)))
            let path = daemon.scratch.file("file.csv")
            let job = ExportJob(range: 3...log.lastSeq)
            var rounds = 0
            while rounds < 50 {
                let note = try ExportFile.note(of: path)
                #expect((note == nil) == (rounds < 2), "nothing is left of what wrote nothing")
                if let note { #expect(note.difference(from: job) == nil) }
                let file =
                    if let note {
                        try ExportFile(resuming: path, note, StepProgress("", of: 0))
                    } else { try ExportFile(creating: path, replaces: false) }
                var run = ExportRun(Breaking(log, after: rounds), job, file, from: note?.mark)
                rounds += 1
                do throws(CommandFailure) {
                    try run.write()
                } catch {
                    #expect(error.message.hasPrefix("lost the daemon"))
                    guard rounds > 1 else { continue }
                    #expect(error.message.contains("with --resume goes on with \(path) at event "))
                    // What a torn write leaves behind.
                    try Self.tear(path)
                    continue
                }
                // The daemon that is lost between the last row and the signature.
                do throws(CommandFailure) {
                    let nowhere = daemon.scratch.file("nowhere")
                    try run.finish(signer: try Self.connection(nowhere))
                    Issue.record("nobody has signed that")
                } catch {
                    #expect(error.message.contains("with --resume goes on with \(path) at event "))
                }
                try run.finish(signer: try Self.connection(daemon.socketPath))
                break
            }
            #expect(rounds > 3 && rounds < 50)
            let whole = try Self.export(daemon, "--from", "3", "--to", "\(log.lastSeq)")
            #expect(try Self.text(path) == whole.output)
            #expect(try Self.export(daemon, "--check", path).status == 0)
        }

        @Test func `does not go on with what somebody has changed`() throws {
            let daemon = try Self.daemon()
            let log = try SocketLog(try tollgate.Client(.unix(daemon.socketPath)))
            let path = daemon.scratch.file("file.csv")
            var job = ExportJob(range: 1...log.lastSeq)
            job.end = "event \(log.lastSeq)"
            do {
                var run = ExportRun(
                    Breaking(log, after: 3), job, try ExportFile(creating: path, replaces: false))
                #expect(throws: CommandFailure.self) { try run.write() }
            }
            let part = try Self.text(path + ".part")
            let words = ["--to", "\(log.lastSeq)", "--out", path, "--resume"]
            func resume() throws -> (status: Int32, output: String, errors: String) {
                try Self.run(
                    [DaemonProcess.binary, "audit", "export", "--socket", daemon.socketPath]
                        + words, daemon.scratch)
            }
            // As long as before, so that only the digest tells.
            try part.replacing("u3", with: "u4", maxReplacements: 1).write(
                toFile: path + ".part", atomically: false, encoding: .utf8)
            let changed = try resume()
            #expect(changed.status == 65, "\(changed)")
            #expect(changed.errors.contains("file.csv.part is not as it was left: the SHA-256"))
            #expect(changed.errors.contains("say --force instead of --resume"))
            try part.write(toFile: path + ".part", atomically: false, encoding: .utf8)
            #expect(try resume().status == 0)
            #expect(try Self.text(path) == (try Self.export(daemon, "--to", words[1]).output))
        }

        @Test func `does not touch what is there already`() throws {
            let daemon = try Self.daemon()
            let file = try daemon.scratch.file("kept.csv", holding: "mine")
            let kept = try Self.export(daemon, "--out", file)
            #expect(
                kept.status == 73 && kept.errors.contains("is there already: say another --out"))
            #expect(try Self.text(file) == "mine" && !Self.exists(file + ".part"))
            #expect(try Self.export(daemon, "--out", file, "--force").status == 0)
            #expect(try Self.text(file).hasPrefix("seq,timestamp,"))
            let nowhere = try Self.export(daemon, "--out", daemon.scratch.file("no/where.csv"))
            #expect(nowhere.status == 73 && nowhere.errors.contains("create its directory first"))
            let device = try Self.export(daemon, "--out", "/dev/null")
            #expect(device.status == 64 && device.errors.contains("redirect the output instead"))
            // Somebody has cut an unfinished one, or lost its note.
            let part = try daemon.scratch.file("cut.part", holding: "seq\r\n")
            let lost = try Self.export(daemon, "--out", daemon.scratch.file("cut"), "--resume")
            #expect(lost.status == 65 && lost.errors.contains("--force instead of --resume"))
            #expect(Self.exists(part))
            #expect(
                try Self.export(daemon, "--out", daemon.scratch.file("cut"), "--force").status == 0)
            #expect(!Self.exists(part))
            // Sums that were killed have nothing to go on with; events that were have.
            for (name, note, status) in [("sums", nil, 0), ("events", "x", 73)]
                as [(String, String?, Int32)]
            {
                let file = daemon.scratch.file(name)
                _ = try daemon.scratch.file(name + ".part", holding: "seq\r\n")
                if let note { _ = try daemon.scratch.file(name + ".part.note", holding: note) }
                let sums = try Self.export(daemon, "--aggregate", "key", "--out", file)
                #expect(sums.status == status, "\(sums)")
                #expect(!sums.errors.contains("--resume"), "\(sums)")
                #expect(Self.exists(file + ".part") == (status != 0))
            }
        }

        /// A combining mark is one character with the blank before it in the manifest.
        @Test func `may have any name`() throws {
            let daemon = try Self.daemon()
            let file = daemon.scratch.file("\u{301}x.csv")
            #expect(try Self.export(daemon, "--out", file).status == 0)
            let check = try Self.export(daemon, "--check", file)
            #expect(check.status == 0 && !check.errors.contains("made as"), "\(check)")
        }

        @Test func `says so when there is no room, and goes on when there is`() throws {
            let daemon = try ThroughTheSocket.daemon()
            // More than is read at once, so that there is something to go on with.
            try Self.fill(daemon, requests: 4_000)
            let binary = DaemonProcess.binary
            let full = try Self.run(
                [
                    "sh", "-c", "exec \"$0\" audit export --socket \"$1\" > /dev/full", binary,
                    daemon.socketPath,
                ], daemon.scratch)
            #expect(full.status == 74)
            #expect(
                full.errors.contains("writing stdout: No space left on device; the export is not"))

            let disk = daemon.scratch.file("disk")
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
            let mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
            guard geteuid() == 0, try Self.run(mount, daemon.scratch).status == 0 else {
                print("skipped: only root may mount a small filesystem")
                return
            }
            defer { _ = try? Self.run(["umount", "-l", disk], daemon.scratch) }
            try Data(count: 2 << 20).write(to: URL(fileURLWithPath: disk + "/ballast"))
            let file = disk + "/file.csv"
            let last = "\(try daemon.client().number("durable_seq"))"
            let stopped = try Self.export(daemon, "--to", last, "--out", file)
            #expect(stopped.status == 74, "\(stopped)")
            #expect(
                stopped.errors.contains("No space left on device; the export is not whole: make"))
            #expect(
                stopped.errors.contains("the same with --resume goes on with \(file) at event "))
            #expect(!Self.exists(file))
            unlink(disk + "/ballast")
            let rest = try Self.export(daemon, "--to", last, "--out", file, "--resume")
            #expect(rest.status == 0, "\(rest.errors)")
            #expect(try Self.text(file) == (try Self.export(daemon, "--to", last).output))
        }

        @Test func `ends with the pipe that it writes into`() throws {
            let daemon = try Self.daemon()
            let script =
                "{ \"$0\" audit export --socket \"$1\"; echo \"ended with $?\" >&2; } | head -n 1"
            let run = try Self.run(
                ["sh", "-c", script, DaemonProcess.binary, daemon.socketPath], daemon.scratch)
            #expect(run.output.hasPrefix("seq,timestamp,"))
            #expect(run.errors == "ended with \(128 + SIGPIPE)\n")
        }

        @Test func `is for who may read the whole log`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            for (name, role, place) in [
                ("aud", "auditor", ""), ("some", "auditor", #","account":"acme""#),
                ("fin", "finance", ""), ("dev", "developer", #","account":"acme/ml""#),
            ] {
                let event = try admin.append(
                    "operator.created", #"{"operator":"\#(name)","role":"\#(role)"\#(place)}"#)
                let child = try ChildProcess(
                    [
                        DaemonProcess.binary, "audit", "export", "--tcp", "127.0.0.1:\(port)",
                        "--user", name, "--fields", "seq,type", "--to", "4",
                    ], environment: ["TOLLGATE_SECRET": event.text("secret")], in: daemon.scratch)
                let status = try child.wait()
                if name == "aud" {
                    #expect(status == 0, "\(child.standardError)")
                    #expect(child.standardOutput.split(separator: "\r\n").count == 5)
                } else {
                    #expect(status == 77, "\(name): \(child.standardError)")
                    #expect(child.standardError.contains("ask an admin, or an auditor who is not"))
                    #expect(child.standardOutput == "")
                }
            }
        }

        @Test func `shows of persons what is kept`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.append("privacy.set", #"{"account":"acme","fields":["user","ip"]}"#)
            for user in ["ada", "bob"] {
                let hold = try client.reserve("in=1 user=\(user) ip=192.0.2.1")
                #expect(try client.ask("SETTLE \(hold) in=1 out=1").words[0] == "SETTLED")
            }
            func users(_ words: String...) throws -> [String] {
                let run = try Self.run(
                    [DaemonProcess.binary, "audit", "export", "--fields", "user"] + words
                        + ["--type", "hold.settled"], daemon.scratch)
                #expect(run.status == 0, "\(run.errors)")
                return run.output.split(separator: "\r\n").dropFirst().map(String.init)
            }
            let socket = daemon.socketPath
            #expect(try users("--socket", socket) == ["ada", "bob"])
            #expect(try users("--dir", daemon.dataPath) == ["ada", "bob"])
            let hidden = try users("--socket", socket, "--commitments")
            #expect(hidden.count == 2 && hidden.allSatisfy { $0.hasPrefix("~") && $0.count == 23 })
            #expect(try client.ask("ERASE user ada").text.contains("\"erased\":1"))
            #expect(try users("--socket", socket) == [hidden[0], "bob"])
            #expect(try users("--dir", daemon.dataPath) == [hidden[0], "bob"])
        }

        @Test func `tells what is wrong with a range`() throws {
            let daemon = try Self.daemon()
            for (words, says) in [
                (["--from", "9", "--to", "8"], "--from 9 is after --to 8: exchange them"),
                (
                    ["--from", "2026-11-02", "--to", "2026-11-01"],
                    "--from 2026-11-02 is after --to 2026-11-01: exchange them"
                ),
                (["--from", "2026-11-02", "--to", "2026-11-02"], "say a later --to"),
                (["--team", "acme/nobody"], "no account \"acme/nobody\" was ever created"),
                (["--key", "acme/ml/nobody"], "no account \"acme/ml/nobody\" was ever created"),
                (["--account", "nobody"], "no account \"nobody\" was ever created"),
                (["--from", "1000000"], "the log has no event from event 1000000"),
                (["--period", "1999-11"], "the log has no event"),
                (["--from", "soon"], "is no instant"),
                (["--period", "2026-13"], "is no period"),
                (["--zone", "Mars", "--from", "2026-11-02"], "IANA"),
            ] {
                let run = try Self.run(
                    [DaemonProcess.binary, "audit", "export", "--socket", daemon.socketPath]
                        + words,
                    daemon.scratch)
                #expect(run.status == 64 && run.errors.contains(says), "\(words): \(run.errors)")
                #expect(run.output == "")
            }
        }
    }
}

@Suite struct `the words of an export` {
    @Test(
        arguments: [
            ("--fields seq,colour", "no field \"colour\": the fields are seq, timestamp, type,"),
            ("--fields seq,seq", "named twice"),
            ("--format xml", "say csv, jsonl, cloudevents or ocsf"),
            ("--type hold.gone", "say one of ledger.created"),
            ("--team acme", "the path of an org"),
            ("--key acme/ml", "the path of a team"), ("--account Acme", "is no account"),
            ("--aggregate model", "say key, team or org"),
            ("--aggregate key --format ocsf", "say --format csv or jsonl"),
            ("--aggregate key --fields seq", "leave out --fields"),
            ("--aggregate key --resume --out x", "nothing to --resume"),
            ("--resume", "say which with --out"), ("--force", "say which with --out"),
            ("--resume --force --out x", "say one of them"), ("--out x/", "is no name of a file"),
            ("--verifier a", "belongs to --check"), ("--unsigned", "belongs to --check"),
            ("--check x --out y", "--check looks at an export that there is"),
            ("--check x --fields seq", "--check looks at an export that there is"),
            ("--check x --verifier a --unsigned", "say one of them"),
            ("--check x --dir y", "not --dir"),
        ] as [(String, String)])
    func `are refused with the fix`(words: String, says: String) throws {
        let run = try Program.run(
            ["audit", "export"] + words.split(separator: " ").map(String.init))
        #expect(run.status == 64)
        #expect(run.errors.contains(says), "\(run.errors)")
        #expect(run.output == "")
    }
}

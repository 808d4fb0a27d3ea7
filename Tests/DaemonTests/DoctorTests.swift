import Foundation
import Glibc
import Journal
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate doctor`, with faults planted.
    @Suite struct Doctors {
        private struct Report {
            var status: Int32
            var findings: [(verdict: String, check: String, text: String, fix: String)]

            func verdict(_ check: String) -> String? {
                findings.first { $0.check == check }?.verdict
            }
            func text(_ check: String) -> String {
                findings.filter { $0.check == check }.map { $0.text + " " + $0.fix }.joined()
            }
        }
        private func visit(
            _ directory: String, _ scratch: Scratch, environment: [String: String] = [:]
        ) throws -> Report {
            let child = try ChildProcess(
                [DaemonProcess.binary, "doctor", "--json", "--data", directory],
                environment: environment, in: scratch, name: "doctor")
            let status = try child.wait()
            let json = try JSONSerialization.jsonObject(with: Data(child.standardOutput.utf8))
            let list = (json as? [String: Any])?["findings"] as? [[String: Any]] ?? []
            #expect(
                (status == 0) == !list.contains { $0.text("verdict") == "fail" },
                "the status says whether something fails: \(child.standardOutput)")
            for finding in list {
                #expect((finding["fix"] == nil) == (finding.text("verdict") == "ok"), "\(finding)")
            }
            return Report(
                status: status,
                findings: list.map {
                    ($0.text("verdict"), $0.text("check"), $0.text("finding"), $0.text("fix"))
                })
        }
        /// A directory in which a daemon has been, and is no more.
        private func used(_ charges: Int = 50) throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            for n in 0..<charges {
                _ = try client.ask("CHARGE \(key) \(model) in=1 out=1 id=d\(n)")
            }
            #expect(try daemon.stop() == 0)
            return daemon
        }

        @Test func `somebody who reads an old state of the journal and does not end`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            func doctor() throws -> Report { try visit(daemon.dataPath, daemon.scratch) }
            let inspection = try Inspection(directory: daemon.dataPath, everyPage: false)
            let began = try client.number("commits")
            try inspection.readProjection(.tree) { _, _ throws(LMDBError) in
                do {
                    #expect(try doctor().verdict("readers") == nil)
                    for n in 0..<20_000 where try client.number("commits") - began < 1_001 {
                        _ = try client.ask("CHARGE \(key) \(model) in=1 out=1 id=r\(n)")
                    }
                    let report = try doctor()
                    #expect(report.status == 0 && report.verdict("readers") == "warn")
                    #expect(report.text("readers").contains("process \(getpid()) reads"))
                } catch {
                    Issue.record(error)
                }
            }
            #expect(try doctor().verdict("readers") == nil)
            #expect(try daemon.stop() == 0)
        }
        @Test func `a directory in order`() throws {
            let daemon = try used()
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.status == 0)
            for check in ["data directory", "lock", "journal", "checkpoints", "ring", "clock"] {
                #expect(report.verdict(check) == "ok", "\(check): \(report.text(check))")
            }
            // Created, begun, four of the tree, fifty charges; and the windows that they opened.
            #expect(report.text("journal").contains("4 names"), "\(report.text("journal"))")
            #expect(report.text("ring").contains("nothing waits"))
            #expect(report.text("fdatasync").contains("24 × 4 KiB"))
            #expect(report.text("socket").contains("no daemon runs"))
            let plain = try ChildProcess(
                [DaemonProcess.binary, "doctor", "--data", daemon.dataPath], in: daemon.scratch)
            #expect(try plain.wait() == 0)
            #expect(plain.standardOutput.contains("ok    journal: "))
            #expect(!FileManager.default.fileExists(atPath: daemon.dataPath + "/doctor.tmp"))
            // And looking has changed nothing.
            let again = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            #expect(try again.stop() == 0)
        }

        @Test func `a daemon that runs is left alone and answers`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.status == 0, "\(report)")
            #expect(report.text("lock").contains("process \(daemon.process.pid)"))
            #expect(report.text("socket").contains("answers PING"))
            #expect(report.verdict("journal") == "ok")
            #expect(try daemon.client().ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }

        @Test func `after kill -9 the ring says what the next start takes`() throws {
            let daemon = try ThroughTheSocket.daemon(["--linger-us", "1000000"])
            _ = try daemon.client().reserve()
            try daemon.kill()
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.status == 0)
            #expect(report.text("ring").contains("the next start takes"), "\(report.text("ring"))")
        }

        @Test func `no directory, and none that is one`() throws {
            let scratch = try Scratch()
            let none = try visit(scratch.file("none"), scratch)
            #expect(none.status == 1 && none.text("data directory").contains("No such file"))
            let file = try scratch.file("file", holding: "")
            #expect(try visit(file, scratch).text("data directory").contains("is no directory"))
        }

        @Test(
            arguments: [
                (0o777, "fail", "others may write"), (0o755, "warn", "others may look"),
            ] as [(mode_t, String, String)])
        func `rights that are too wide`(mode: mode_t, verdict: String, text: String) throws {
            let daemon = try used(1)
            #expect(chmod(daemon.dataPath, mode) == 0)
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.verdict("data directory") == verdict)
            #expect(report.text("data directory").contains(text))
            #expect(report.text("data directory").contains("chmod 700"))
        }

        @Test func `a file that belongs to somebody else`() throws {
            let daemon = try used(1)
            guard geteuid() == 0, chown(daemon.dataPath + "/journal/data.mdb", 12_345, 0) == 0
            else {
                print("skipped: only root may give files away")
                return
            }
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.verdict("owner") == "fail")
            #expect(report.text("owner").contains("chown -R"))
        }

        @Test func `a bit that has flipped in the journal`() throws {
            let daemon = try used()
            let file = daemon.dataPath + "/journal/data.mdb"
            var data = try Data(contentsOf: URL(fileURLWithPath: file))
            // Pages that LMDB has copied and left behind hold it, too.
            var from = data.startIndex
            while let id = data.range(of: Data("d25".utf8), in: from..<data.endIndex) {
                data[id.lowerBound] ^= 2
                from = id.upperBound
            }
            try #require(from > data.startIndex)
            try data.write(to: URL(fileURLWithPath: file))
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.status == 1)
            #expect(report.verdict("journal") == "fail")
            #expect(report.text("journal").contains("is damaged"), "\(report.text("journal"))")
            #expect(report.text("journal").contains("backup"))
        }

        @Test func `a checkpoint that is damaged`() throws {
            let daemon = try used()
            let folder = daemon.dataPath + "/checkpoints"
            let name = try #require(
                FileManager.default.contentsOfDirectory(atPath: folder).first)
            let file = folder + "/" + name
            var data = try Data(contentsOf: URL(fileURLWithPath: file))
            data[data.count / 2] ^= 1
            try data.write(to: URL(fileURLWithPath: file))
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.verdict("checkpoints") == "warn")
            #expect(FileManager.default.fileExists(atPath: file), "looked at, not set aside")
        }

        @Test func `a ring that is cut short`() throws {
            let daemon = try used(1)
            #expect(truncate(daemon.dataPath + "/ring", 10_000) == 0)
            let report = try visit(daemon.dataPath, daemon.scratch)
            #expect(report.verdict("ring") == "fail", "\(report.text("ring"))")
        }

        @Test func `a clock that is behind the last event`() throws {
            let daemon = try used(1)
            _ = try daemon.scratch.file("clock", holding: "-7200")
            let report = try visit(
                daemon.dataPath, daemon.scratch,
                environment: DaemonProcess.trouble(["TROUBLE_CLOCK": daemon.scratch.file("clock")]))
            #expect(report.verdict("clock") == "fail")
            #expect(report.text("clock").contains("ahead of the clock"))
        }

        @Test func `a disk without room`() throws {
            let scratch = try Scratch()
            let disk = scratch.file("disk")
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
            let mount = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs", disk]
            guard geteuid() == 0, try ChildProcess(mount, in: scratch).wait() == 0 else {
                print("skipped: only root may mount a small filesystem")
                return
            }
            defer { _ = try? ChildProcess(["umount", "-l", disk], in: scratch).wait() }
            let report = try visit(disk, scratch)
            #expect(report.verdict("disk space") == "fail")
            #expect(report.verdict("filesystem") == "warn")
            #expect(report.text("filesystem").contains("tmpfs"))
        }
    }
}

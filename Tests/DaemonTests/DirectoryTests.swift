import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// What the daemon finds where it is to live: it starts, or says what to do.
    @Suite struct Directories {
        /// A scratch whose directory a daemon has left behind, and what its events were.
        private func used(
            _ count: Int = 200, killed: Bool = false
        ) throws -> (scratch: Scratch, events: NSArray) {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            for n in 0..<count { _ = try client.ask("CHARGE \(key) \(model) in=1 out=1 id=u\(n)") }
            let events = try client.events() as NSArray
            if killed { try daemon.kill() } else { #expect(try daemon.stop() == 0) }
            return (daemon.scratch, events)
        }
        /// Starts on a used directory again, and finds all events that were there.
        private func startsWhole(_ used: (scratch: Scratch, events: NSArray)) throws -> String {
            let daemon = try DaemonProcess(ThroughTheSocket.small, in: used.scratch)
            let events = Array(try daemon.client().events().prefix(used.events.count)) as NSArray
            #expect(events == used.events)
            #expect(try daemon.stop() == 0)
            return daemon.errors
        }
        private func fails(
            _ scratch: Scratch, _ status: Int32, _ words: String..., flags: [String] = [],
            socket: String? = nil, data: String? = nil
        ) throws {
            let end = try DaemonProcess.failure(
                ThroughTheSocket.small + flags, in: scratch, data: data, socket: socket)
            #expect(end.status == status, "\(end)")
            for word in words { #expect(end.errors.contains(word), "\(word) in: \(end.errors)") }
            #expect(end.errors.split(separator: "\n").count <= 2, "one sentence: \(end.errors)")
        }
        private func overwrite(_ path: String, _ body: (inout Data) throws -> Void) throws {
            var data = try Data(contentsOf: URL(fileURLWithPath: path))
            try body(&data)
            try data.write(to: URL(fileURLWithPath: path))
        }

        @Test func `a second daemon on the directory is told who has it`() throws {
            let first = try ThroughTheSocket.daemon()
            try fails(
                first.scratch, 75, "held by process \(first.process.pid)", "stop it",
                socket: first.scratch.file("other.sock"))
            #expect(try first.client().ask("PING").text == "PONG")
            #expect(try first.stop() == 0)
        }

        @Test func `a socket that another daemon answers is left alone`() throws {
            let first = try ThroughTheSocket.daemon()
            try fails(
                first.scratch, 69, "another process answers at \(first.socketPath)", "--socket",
                socket: first.socketPath, data: first.scratch.file("data2"))
            #expect(try first.client().ask("PING").text == "PONG")
            #expect(try first.stop() == 0)
        }

        @Test func `a stale socket is replaced and any other file is not`() throws {
            let found = try used(killed: true)
            #expect(
                FileManager.default.fileExists(atPath: found.scratch.file("data/tollgate.sock")))
            _ = try startsWhole(found)
            #expect(
                !FileManager.default.fileExists(atPath: found.scratch.file("data/tollgate.sock")))
            let file = try found.scratch.file("precious", holding: "text")
            try fails(found.scratch, 78, "is no socket", "--socket", socket: file)
            #expect(try String(contentsOfFile: file, encoding: .utf8) == "text")
        }

        @Test func `a socket path too long for the kernel is refused with its length`() throws {
            let scratch = try Scratch()
            let path = scratch.file(String(repeating: "s", count: 120))
            try fails(scratch, 78, "bytes long", "--socket", socket: path)
        }

        @Test func `bad settings are refused by name`() throws {
            let scratch = try Scratch()
            try fails(scratch, 78, "ring", flags: ["--ring-mib", "3"])
            try fails(scratch, 74, "cannot create", data: "/nonexistent/deep/data")
            try fails(scratch, 74, "/proc", data: "/proc/tollgate")
        }

        @Test func `a ring of another format version is refused with what to do`() throws {
            let found = try used(killed: true)
            try overwrite(found.scratch.file("data/ring")) { data in
                // The header: magic, format, CRC of all but itself, then 24 bytes more.
                data[8] = 99
                let bytes = [UInt8](data.prefix(40))
                let sum = tg_crc32c(tg_crc32c(0, bytes, 12), Array(bytes[16...]), 24)
                withUnsafeBytes(of: sum.littleEndian) { data.replaceSubrange(12..<16, with: $0) }
            }
            try fails(found.scratch, 65, "format 99", "tollgate")
        }

        @Test func `a journal that is no journal of this kind is refused`() throws {
            let found = try used()
            try overwrite(try #require(journal(found.scratch))) { data in
                // LMDB's magic and version, in both of its meta pages.
                for page in [0, 4_096] { data[page + 20] = data[page + 20] &+ 90 }
            }
            try fails(found.scratch, 65, "data.mdb")
        }

        @Test func `a journal that is gone is not begun anew`() throws {
            let found = try used()
            try FileManager.default.removeItem(atPath: found.scratch.file("data/journal"))
            try fails(found.scratch, 65, "is missing", "restore it from a backup")
        }

        @Test func `a ring that is cut or gone after an orderly stop costs nothing`() throws {
            for cut in [0, 10, 4_096, 100_000] {
                let found = try used()
                try overwrite(found.scratch.file("data/ring")) { $0 = $0.prefix(cut) }
                _ = try startsWhole(found)
            }
            let found = try used()
            try FileManager.default.removeItem(atPath: found.scratch.file("data/ring"))
            _ = try startsWhole(found)
        }

        @Test func `a bit that flips in the ring behind the journal is found and reported`() throws
        {
            // Settled charges are in the journal, so nothing that was promised to be there can go.
            var generator = ThroughTheSocket.seed()
            for _ in 0..<(ThroughTheSocket.isLong ? 200 : 8) {
                let found = try used(20, killed: true)
                try overwrite(found.scratch.file("data/ring")) { data in
                    let end = min(data.count, 65_536)
                    for _ in 0..<8 {
                        let at = Int.random(in: 0..<end, using: &generator)
                        data[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    }
                }
                do {
                    _ = try startsWhole(found)
                } catch let end as DaemonEnded {
                    #expect(end.status == 65 && !end.errors.contains("Fatal"), "\(end)")
                }
            }
        }

        @Test func `damaged checkpoints are passed over`() throws {
            let found = try used()
            let folder = found.scratch.file("data/checkpoints")
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            let book = try #require(
                names.first { $0.hasSuffix(".book") }, "a stop writes a checkpoint")
            let path = folder + "/" + book
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            try overwrite(path) { $0[$0.count / 2] ^= 4 }
            #expect(try startsWhole(found).contains("checkpoint"))
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try overwrite(folder + "/" + name) { $0 = $0.prefix($0.count / 3) }
            }
            _ = try startsWhole(found)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try FileManager.default.removeItem(atPath: folder + "/" + name)
            }
            _ = try startsWhole(found)
            // One of a later seq than the journal, from a directory that was restored in part.
            try whole.write(to: URL(fileURLWithPath: folder + "/99999999.book"))
            _ = try startsWhole(found)
        }

        @Test func `a bit that flips in a record of the journal is never served`() throws {
            var generator = ThroughTheSocket.seed()
            for round in 0..<(ThroughTheSocket.isLong ? 200 : 6) {
                let found = try used(100)
                try overwrite(try #require(journal(found.scratch))) { data in
                    // The id of a charge stands near the end of its record.
                    let id = try #require(data.range(of: Data("u\(30 + round % 60)".utf8)))
                    let at = id.lowerBound - Int.random(in: 0..<40, using: &generator)
                    data[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                }
                try agreesOrRefuses(found)
            }
        }

        @Test func `a bit that flips in a name is never served`() throws {
            let found = try used(10)
            // Names stand in records and in tables of their own; here all but the records' are hit.
            try overwrite(try #require(journal(found.scratch))) { data in
                let name = Data("acme/ml/prod".utf8)
                var from = data.startIndex
                while let next = data.range(of: name, in: from..<data.endIndex) {
                    let isInJSON =
                        next.lowerBound > 0 && data[next.lowerBound - 1] == UInt8(ascii: "\"")
                    if !isInJSON { data[next.upperBound - 1] ^= 1 }
                    from = next.upperBound
                }
            }
            try agreesOrRefuses(found)
        }

        /// LMDB then has the name under another number, and none under the right one.
        @Test func `a name that is lost to a flipped bit is not left out silently`() throws {
            let found = try used(10)
            try overwrite(try #require(journal(found.scratch))) { data in
                let name = Data("acme/ml/prod".utf8)
                var from = data.startIndex
                while let next = data.range(of: name, in: from..<data.endIndex) {
                    let isInJSON = data[next.lowerBound - 1] == UInt8(ascii: "\"")
                    // The last byte of the key, in front of the name's checksum.
                    if !isInJSON { data[next.lowerBound - 5] ^= 0x20 }
                    from = next.upperBound
                }
            }
            try agreesOrRefuses(found)
            let daemon = try DaemonProcess(ThroughTheSocket.small, in: found.scratch)
            let reply = try daemon.client().ask("EVENTS limit=10000")
            #expect(reply.text.contains("is missing from the journal"), "\(reply)")
            try daemon.kill()
        }

        @Test func `a journal that was cut short is never served`() throws {
            for parts in [0, 1, 4, 7] {
                let found = try used(300)
                let file = try #require(journal(found.scratch))
                try overwrite(file) { $0 = $0.prefix($0.count * parts / 8) }
                try agreesOrRefuses(found)
            }
        }

        private func journal(_ scratch: Scratch) -> String? {
            let data = scratch.file("data")
            let files = (try? FileManager.default.subpathsOfDirectory(atPath: data)) ?? []
            return files.first { $0.hasSuffix("data.mdb") }.map { data + "/" + $0 }
        }
        /// Either the damage hit nothing that is used, or the start or the read that meets it says so.
        private func agreesOrRefuses(_ found: (scratch: Scratch, events: NSArray)) throws {
            // From the checkpoint the book is right; EVENTS reads every record.
            do {
                let daemon = try DaemonProcess(ThroughTheSocket.small, in: found.scratch)
                let client = try daemon.client()
                let reply = try client.ask("EVENTS limit=10000")
                if let events = reply.json as? [[String: Any]] {
                    let old = Array(events.prefix(found.events.count)) as NSArray
                    let isRight = old == found.events
                    #expect(isRight, "damage was served")
                } else {
                    let isClear = ["checksum", "journal"].contains { reply.text.contains($0) }
                    #expect(reply.isError && isClear, "\(reply)")
                }
                try daemon.kill()
            } catch let end as DaemonEnded {
                #expect([65, 74].contains(end.status), "\(end)")
                #expect(!end.errors.contains("Fatal"), "\(end)")
            }
        }
    }
}

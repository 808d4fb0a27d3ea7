import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// A disk that fills up, and is given room again.
    @Suite struct FullDisk {
        /// A filesystem of a few MiB; nil where this process may not mount one.
        private func mount(_ scratch: Scratch) throws -> String? {
            let path = scratch.file("disk")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", path]
            return try ChildProcess(command, in: scratch, name: "mount").wait() == 0 ? path : nil
        }

        @Test func `reserves pause, settles go on, then it is read-only, and room mends all`()
            throws
        {
            let scratch = try Scratch()
            guard geteuid() == 0, let disk = try mount(scratch) else {
                print("skipped: only root may mount a small filesystem")
                return
            }
            defer {
                _ = try? ChildProcess(["umount", "-l", disk], in: scratch, name: "umount").wait()
            }
            let flags = ThroughTheSocket.small + ["--pause-below-mib", "1"]
            let daemon = try DaemonProcess(flags, in: scratch, data: disk + "/data")
            let client = try daemon.client()
            try client.furnish()
            // Ballast leaves half a MiB above the pause.
            let ballast = disk + "/ballast"
            let free = try client.number("disk_free_bytes")
            try Data(count: free - (3 << 19)).write(to: URL(fileURLWithPath: ballast))

            var told: [(line: String, reply: Reply)] = []
            var holds: [String] = []
            var count = 0
            func ask(_ line: String) throws -> Reply {
                let reply = try client.ask(line)
                told.append((line, reply))
                return reply
            }
            let text = String(repeating: "t", count: 200)
            var paused = Reply.null
            while count < 100_000, paused == .null {
                count += 1
                let reply = try ask("RESERVE \(key) \(model) in=1 out=1 id=p\(count) ua=\(text)")
                if reply.words.first == "ALLOW" {
                    holds.append(String(reply.words[1]))
                } else {
                    paused = reply
                }
            }
            #expect(paused.text.hasPrefix("DENY 503 paused"), "\(paused)")
            for hold in holds.prefix(20) {
                #expect(try ask("SETTLE \(hold) in=1 out=1").words.first == "SETTLED")
            }
            holds.removeFirst(min(20, holds.count))
            // An answer that promises the disk waits for it, so one connection asks for no such promise.
            let patient = try daemon.client()
            var (waiting, answered) = (0, 0)
            var full = Reply.null
            while count < 200_000, !full.isError {
                count += 1
                full = try ask("CHARGE \(key) \(model) in=1 out=1 id=p\(count) ua=\(text) ack=ring")
                if count % 50 == 0 {
                    waiting += 1
                    try patient.send("CHARGE \(key) \(model) in=1 out=1 id=w\(waiting)\n")
                }
            }
            #expect(full.text.hasPrefix("-READONLY"), "\(full)")
            #expect(try daemon.client().ask("RELEASE \(holds[0])").text.hasPrefix("-READONLY"))
            #expect(
                try client.ask("RESERVE \(key) \(model) in=1 out=1").text.hasPrefix(
                    "DENY 503 paused"))
            #expect(try client.ask("USAGE acme").text.hasPrefix("{"), "reading goes on")
            // USAGE counts what the disk has not taken: nothing to replay it from, and no difference.
            let replay = try Program.run(["audit", "replay", "--socket", daemon.socketPath])
            #expect(replay.status == 75, "\(replay)")
            #expect(replay.errors.contains("which the daemon cannot write: "), "\(replay)")
            #expect(replay.errors.contains("or leave balances out with --to "))
            #expect(!replay.output.contains("differs"))
            #expect(try client.ask("PING").text == "PONG")

            try FileManager.default.removeItem(atPath: ballast)
            let again = try poll("the log to take events again") {
                try client.ask("RESERVE \(key) \(model) in=1 out=1").words.first == "ALLOW"
                    ? true : nil
            }
            #expect(again)
            while answered < waiting {
                let reply = try patient.reply()
                answered += 1
                told.append(("CHARGE id=w\(answered)", reply))
            }
            for hold in holds.prefix(5) {
                #expect(try ask("SETTLE \(hold) in=1 out=1").words.first == "SETTLED")
            }
            try daemon.kill()

            let next = try DaemonProcess(flags, in: scratch, data: disk + "/data")
            let events = try next.client().events()
            let ids = Set(events.map { $0.text("id") })
            let ended = Set(events.filter { $0.type == "hold.settled" }.map { $0.text("hold") })
            let lost = told.filter { line, reply in
                switch reply.words.first {
                case "ALLOW", "CHARGED":
                    let id = line.split(separator: " ").first { $0.hasPrefix("id=") }?.dropFirst(3)
                    return !ids.contains(id.map(String.init) ?? "")
                case "SETTLED": return !ended.contains(String(reply.words[1]))
                default: return false
                }
            }
            #expect(lost.isEmpty, "\(lost.count) of \(told.count): \(lost.prefix(3))")
            #expect(try next.stop() == 0)
        }
    }
}

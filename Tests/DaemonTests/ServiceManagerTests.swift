import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// The end of a service manager: a datagram socket, and what has come to it.
final class NotifySocket {
    /// As NOTIFY_SOCKET has it.
    let name: String
    private let descriptor: Int32
    private(set) var messages: [String] = []

    /// - Parameter name: a path, or `@name` for the kernel's own name space.
    init(_ name: String) throws {
        self.name = name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = name.hasPrefix("@") ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0 else { throw POSIXError.current }
    }
    deinit { close(descriptor) }

    /// Takes what has come; the lines of all messages so far.
    var lines: [String] {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            messages.append(String(decoding: buffer.prefix(count), as: UTF8.self))
        }
        return messages.flatMap { $0.split(separator: "\n").map(String.init) }
    }
    func count(_ line: String) -> Int { lines.count { $0 == line } }
    func wait(for line: String, times: Int = 1) throws {
        _ = try poll("\(line), \(times) times; there is \(messages)") {
            count(line) >= times ? true : nil
        }
    }
}

extension ThroughTheSocket {
    /// `Type=notify` with a watchdog.
    @Suite struct ServiceManagers {
        private func daemon(
            _ manager: NotifySocket, in scratch: Scratch, _ more: [String: String] = [:]
        ) throws -> DaemonProcess {
            try DaemonProcess(
                ThroughTheSocket.small, in: scratch,
                environment: more.merging(["NOTIFY_SOCKET": manager.name]) { $1 })
        }

        @Test(arguments: [false, true])
        func `it is ready once it answers, and says when it ends`(isAbstract: Bool) throws {
            let scratch = try Scratch()
            let name = isAbstract ? "@tollgate-\(UInt64.random(in: 0 ... .max))" : nil
            let manager = try NotifySocket(name ?? scratch.file("notify"))
            let daemon = try daemon(manager, in: scratch)
            try manager.wait(for: "READY=1")
            #expect(manager.lines.first == "STATUS=opening the journal")
            #expect(try daemon.client().ask("PING").text == "PONG")
            _ = try poll("what the daemon is at, in \(manager.messages)") {
                manager.lines.contains { $0.hasPrefix("STATUS=seq 2, ") } ? true : nil
            }
            #expect(try daemon.stop() == 0)
            #expect(manager.count("READY=1") == 1)
            #expect(manager.count("STOPPING=1") == 1)
            #expect(manager.count("WATCHDOG=1") == 0, "nobody asked for it")
        }

        @Test func `the watchdog of another process is not fed`() throws {
            let scratch = try Scratch()
            let manager = try NotifySocket(scratch.file("notify"))
            let daemon = try daemon(
                manager, in: scratch, ["WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"])
            try manager.wait(for: "READY=1")
            #expect(try daemon.stop() == 0)
            #expect(manager.count("WATCHDOG=1") == 0)
        }

        @Test func `the watchdog is fed only while the committer comes round`() throws {
            let scratch = try Scratch()
            let manager = try NotifySocket(scratch.file("notify"))
            let hang = scratch.file("hang")
            let daemon = try daemon(
                manager, in: scratch,
                DaemonProcess.trouble(["TROUBLE_HANG": hang, "WATCHDOG_USEC": "90000"]))
            let client = try daemon.client()
            try client.furnish()
            try manager.wait(for: "WATCHDOG=1", times: 3)

            _ = try scratch.file("hang", holding: "")
            try client.send("CHARGE \(key) \(model) in=1 out=1 id=stuck\n")
            _ = try poll("a commit that hangs") {
                FileManager.default.fileExists(atPath: hang + ".hangs") ? true : nil
            }
            // A round that was asked for before the hang may still be told of.
            let fed = manager.count("WATCHDOG=1")
            let other = try daemon.client()
            let turns = ContinuousClock.now + .milliseconds(900)
            while ContinuousClock.now < turns {
                #expect(try other.ask("PING").text == "PONG", "the loop itself turns")
            }
            #expect(manager.count("WATCHDOG=1") <= fed + 1, "30 would have been due")

            try FileManager.default.removeItem(atPath: hang)
            #expect(try client.reply().words.first == "CHARGED")
            try manager.wait(for: "WATCHDOG=1", times: manager.count("WATCHDOG=1") + 3)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a loop that hangs is not fed for, and the state says that it hangs`() throws {
            let scratch = try Scratch()
            let manager = try NotifySocket(scratch.file("notify"))
            let hang = scratch.file("hang")
            let daemon = try daemon(
                manager, in: scratch,
                DaemonProcess.trouble(["TROUBLE_LOOP": hang, "WATCHDOG_USEC": "90000"]))
            try manager.wait(for: "WATCHDOG=1", times: 3)
            _ = try scratch.file("hang", holding: "")
            _ = try poll("a loop that hangs") {
                FileManager.default.fileExists(atPath: hang + ".hangs") ? true : nil
            }
            let fed = manager.count("WATCHDOG=1")
            // It waits for the loop for a while, in which many a round would have come.
            let state = try daemon.state()
            #expect(state.json["gate"] as? String == "the loop has not answered: it hangs")
            #expect(state.section("journal").text("state") == "normal")
            #expect(manager.count("WATCHDOG=1") <= fed + 1)
            try FileManager.default.removeItem(atPath: hang)
            try manager.wait(for: "WATCHDOG=1", times: manager.count("WATCHDOG=1") + 3)
            #expect(try daemon.state().section("gate").number("seq") == 2)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a clock that was set back is told, and that it has caught up`() throws {
            let scratch = try Scratch()
            let manager = try NotifySocket(scratch.file("notify"))
            _ = try scratch.file("clock", holding: "3600")
            let daemon = try daemon(
                manager, in: scratch,
                DaemonProcess.trouble([
                    "TROUBLE_CLOCK": scratch.file("clock"), "WATCHDOG_USEC": "60000",
                ]))
            try manager.wait(for: "READY=1")
            _ = try scratch.file("clock", holding: "0")
            _ = try poll("the warning") {
                daemon.errors.contains("event time stands still") ? true : nil
            }
            #expect(daemon.errors.contains("the clock was set, by -3"))
            _ = try scratch.file("clock", holding: "3700")
            _ = try poll("the end of it") { daemon.errors.contains("caught up") ? true : nil }
            #expect(try daemon.stop() == 0)
        }
    }
}

import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// A descriptor that a child inherits, unlike all others here.
private final class Handed {
    let descriptor: Int32

    init(_ descriptor: Int32) throws {
        guard descriptor >= 0 else { throw POSIXError.current }
        self.descriptor = descriptor
    }
    /// After the child has it; not when the last word is said of it, which may be sooner.
    func close() { Glibc.close(descriptor) }

    static func unix(_ path: String) throws -> Handed {
        let made = try Handed(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        try made.listen(at: &address)
        return made
    }
    static func tcp() throws -> (socket: Handed, port: UInt16) {
        let made = try Handed(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        try made.listen(at: &address)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(made.descriptor, $0, &length)
            }
        }
        return (made, UInt16(bigEndian: address.sin_port))
    }
    private func listen<Address>(at address: inout Address) throws {
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        guard bound == 0, Glibc.listen(descriptor, 16) == 0 else { throw POSIXError.current }
    }
}

extension ThroughTheSocket {
    /// Sockets that are handed over, as sd_listen_fds(3) has it.
    @Suite struct SocketActivation {
        /// Moves the descriptors to 3, 4 … in the process that then becomes the daemon.
        private func launcher(_ handed: [Handed], names: String = "unix") -> [String] {
            var script = ""
            // Upwards first, so that none is overwritten before it has moved.
            for (i, one) in handed.enumerated() { script += "exec \(200 + i)<&\(one.descriptor)\n" }
            for i in handed.indices { script += "exec \(3 + i)<&\(200 + i) \(200 + i)<&-\n" }
            script += "export LISTEN_PID=$$ LISTEN_FDS=\(handed.count) LISTEN_FDNAMES=\(names)\n"
            return ["bash", "-c", script + "exec \"$@\"", "launcher"]
        }
        /// Lines are written by a thread that takes its time.
        private func says(_ daemon: DaemonProcess, _ words: String) throws {
            _ = try poll("\(words) in the log") { daemon.errors.contains(words) ? true : nil }
        }
        private func fails(_ handed: Handed, _ words: String...) throws {
            defer { handed.close() }
            let scratch = try Scratch()
            let command = [DaemonProcess.binary, "serve", "--data", scratch.file("data")]
            let child = try ChildProcess(
                launcher([handed]) + command, in: scratch, inherits: true)
            #expect(try child.wait() == 78, "\(child.standardError)")
            for word in words { #expect(child.standardError.contains(word), "\(word)") }
        }

        @Test func `connections wait in a socket that is handed over, from one daemon to the next`()
            throws
        {
            let scratch = try Scratch()
            let path = scratch.file("handed.sock")
            let socket = try Handed.unix(path)
            defer { socket.close() }
            let early = try Client(path)
            try early.send("PING\r\n")
            for _ in 0..<2 {
                let waiting = try Client(path)
                try waiting.send("PING\r\n")
                let daemon = try DaemonProcess(
                    ThroughTheSocket.small, in: scratch, wrapper: launcher([socket]), socket: path,
                    inherits: true)
                #expect(try waiting.reply().text == "PONG")
                try says(daemon, "serving at \(path)")
                #expect(
                    !FileManager.default.fileExists(atPath: daemon.dataPath + "/tollgate.sock"))
                #expect(try daemon.stop() == 0)
                #expect(FileManager.default.fileExists(atPath: path), "it is not ours to remove")
            }
            #expect(try early.reply().text == "PONG")
        }

        @Test func `a Unix and a TCP socket are told apart`() throws {
            let scratch = try Scratch()
            let path = scratch.file("handed.sock")
            let (tcp, port) = try Handed.tcp()
            let unix = try Handed.unix(path)
            defer {
                tcp.close()
                unix.close()
            }
            let daemon = try DaemonProcess(
                ThroughTheSocket.small, in: scratch,
                wrapper: launcher([tcp, unix], names: "tcp:unix"), socket: path,
                inherits: true)
            #expect(try Client(path).ask("INFO").text.contains("tollgate_version"))
            #expect(try Client(port: port).ask("INFO").text.hasPrefix("-NOAUTH"))
            try says(daemon, "127.0.0.1:\(port)")
            #expect(try daemon.stop() == 0)
        }

        @Test func `what is handed over and of no use is named`() throws {
            try fails(
                try Handed(socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)), "descriptor 3 (unix)",
                "no stream socket", "ListenStream=")
            try fails(try Handed(open("/dev/null", O_RDONLY)), "is no socket")
            try fails(
                try Handed(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)), "no listening socket",
                "Accept=no")
        }

        @Test func `variables that are meant for another process mean nothing`() throws {
            let scratch = try Scratch()
            let daemon = try DaemonProcess(
                ThroughTheSocket.small, in: scratch,
                environment: ["LISTEN_PID": "1", "LISTEN_FDS": "1"])
            #expect(try daemon.client().ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }

        @Test func `systemd-socket-activate starts it with the first connection`() throws {
            let program = "/usr/bin/systemd-socket-activate"
            guard FileManager.default.isExecutableFile(atPath: program) else {
                print("skipped: systemd-socket-activate is not installed")
                return
            }
            let scratch = try Scratch()
            let path = scratch.file("handed.sock")
            let daemon = try DaemonProcess(
                ThroughTheSocket.small, in: scratch,
                wrapper: [program, "--listen", path, "--fdname=unix"], socket: path)
            #expect(try Client(path).ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }
    }
}

import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Clients that know nothing of Tollgate.
    @Suite struct ForeignClients {
        private func run(
            _ words: [String], _ scratch: Scratch, _ environment: [String: String] = [:],
            input: String? = nil
        ) throws -> (status: Int32, output: String) {
            let file = try input.map { try scratch.file("input", holding: $0) } ?? "/dev/null"
            let child = try ChildProcess(words, environment: environment, input: file, in: scratch)
            return (try child.wait(seconds: 120), child.standardOutput + child.standardError)
        }
        private func isThere(_ program: String) throws -> Bool {
            let scratch = try Scratch()
            let found = (try? run([program, "--version"], scratch))?.status == 0
            if !found { print("skipped: there is no \(program)") }
            return found
        }

        @Test(arguments: ["TOLLGATE_REDIS_PY_5", "TOLLGATE_REDIS_PY_8"])
        func `redis-py works as it comes`(variable: String) throws {
            guard let packages = ProcessInfo.processInfo.environment[variable] else {
                print("skipped: \(variable) names no folder with redis-py")
                return
            }
            let script = try #require(
                Bundle.module.path(forResource: "redis_py", ofType: "py", inDirectory: "Foreign"))
            let daemon = try ThroughTheSocket.daemon()
            let python = ProcessInfo.processInfo.environment["TOLLGATE_PYTHON"] ?? "python3"
            let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
            let end = try run(
                [python, "-B", script, daemon.socketPath], daemon.scratch,
                ["PYTHONPATH": packages, "PATH": path])
            #expect(end.status == 0 && end.output.hasPrefix("ok "), "\(end.output)")
            #expect(try daemon.stop() == 0)
        }

        @Test func `redis-cli speaks lines, frames and both protocols`() throws {
            guard try isThere("redis-cli") else { return }
            let daemon = try ThroughTheSocket.daemon()
            let cli = ["redis-cli", "-s", daemon.socketPath]
            func ask(_ words: String...) throws -> String {
                try run(cli + words, daemon.scratch).output.trimmingCharacters(in: .newlines)
            }
            #expect(try ask("ping") == "PONG")
            #expect(try ask("-3", "ping") == "PONG")
            let allowed = try ask("RESERVE", key, model, "in=1", "out=1", "id=cli")
            #expect(allowed.hasPrefix("ALLOW "))
            #expect(try ask("-3", "RESERVE", key, model, "in=1", "out=1", "id=cli") == allowed)
            #expect(try ask("USAGE", "acme").hasPrefix("{\"account\":\"acme\""))
            #expect(try ask("-3", "HELLO", "3").contains("tollgate"))
            #expect(try ask("-n", "0", "ECHO", "two words") == "two words")
            #expect(try ask("FLUSHALL").hasPrefix("ERR unknown command"))
            #expect(try run(cli + ["-e", "FLUSHALL"], daemon.scratch).status == 1)
            #expect(try ask("COMMAND", "COUNT").allSatisfy(\.isNumber))
            #expect(try ask("INFO").contains("tollgate_version:"))
            #expect(try ask("TAIL", "from=1") == "TAIL from=1")
            // Without a terminal it reads commands from its input, one a line.
            let many = (0..<200).map { "CHARGE \(key) \(model) in=1 out=1 id=cli\($0)" }.joined(
                separator: "\n")
            let lines = try run(cli, daemon.scratch, input: many + "\n").output.split(
                separator: "\n")
            #expect(lines.count { $0.hasPrefix("CHARGED ") } == 200)
            let frames = (0..<2_000).map { Client.frame(["CHECK", key, model, "in=\($0)"]) }
                .joined()
            let piped = try run(
                cli + ["--pipe"], daemon.scratch,
                input: String(decoding: Array(frames), as: UTF8.self))
            #expect(piped.output.contains("errors: 0, replies: 2000"), "\(piped.output)")
            #expect(try daemon.stop() == 0)
        }

        @Test(arguments: [[], ["-3"]])
        func `redis-benchmark runs to its end`(flags: [String]) throws {
            guard try isThere("redis-benchmark") else { return }
            let daemon = try ThroughTheSocket.daemon()
            let count = ThroughTheSocket.isLong ? "1000000" : "5000"
            let common =
                ["redis-benchmark", "-s", daemon.socketPath, "-q", "-n", count, "-c", "16"] + flags
            for words in [
                ["-t", "ping"], ["-P", "16", "RESERVE", key, model, "in=10", "out=10"],
                ["-P", "16", "CHECK", key, model, "in=10"],
                ["-r", "1000000", "CHARGE", key, model, "in=1", "out=1", "id=b-__rand_int__"],
                ["-n", "500", "EVENTS", "limit=50"],
            ] {
                let end = try run(common + words, daemon.scratch)
                #expect(end.status == 0, "\(words): \(end.output)")
                #expect(end.output.contains("requests per second"), "\(words): \(end.output)")
                #expect(!end.output.contains("Error"), "\(words): \(end.output)")
            }
            #expect(try daemon.client().number("open_holds") >= Int(count)!)
            #expect(try daemon.stop() == 0)
        }
    }
}

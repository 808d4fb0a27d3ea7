import CLinux
import Events
import Foundation
import Glibc
import Logging
import TestSupport
import Testing

@testable import tollgate

/// Log lines: whoever logs never waits, and what is written can be read.
@Suite struct `The log` {
    /// A pipe that nobody reads until somebody asks for all of it.
    private final class Pipe {
        private(set) var ends: [Int32] = [-1, -1]
        init() { pipe(&ends) }
        deinit { close(ends[0]) }
        /// Everything until the queue has nothing more.
        func lines(of queue: LogQueue) -> [String] {
            _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            func take() {
                while case let count = read(ends[0], &chunk, chunk.count), count > 0 {
                    bytes += chunk.prefix(count)
                }
            }
            // Whoever waits for the queue must read meanwhile.
            let end = ContinuousClock.now + .seconds(20)
            while !queue.finish(milliseconds: 5), ContinuousClock.now < end { take() }
            take()
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    @Test func `a reader that hangs stops nobody, and what was dropped is counted`() {
        let pipe = Pipe()
        let queue = LogQueue(to: pipe.ends[1], format: .text)
        let count = 20_000
        for n in 0..<count { queue.add("line \(n) " + String(repeating: ".", count: 40), .info) }
        // That this is reached is the test: 20,000 lines are more than pipe and queue hold.
        let lines = pipe.lines(of: queue)
        let written = lines.count { $0.hasPrefix("line ") }
        #expect(written > 1_000 && written < count)
        let dropped = lines.compactMap { line in
            line.split(separator: " ").firstIndex(of: "dropped").flatMap {
                Int(line.split(separator: " ")[$0 + 1])
            }
        }
        #expect(dropped.reduce(0, +) == count - written, "\(dropped)")
        let numbers = lines.filter { $0.hasPrefix("line ") }
            .compactMap { Int($0.split(separator: " ")[1]) }
        #expect(numbers == numbers.sorted(), "in order")
    }

    @Test func `a place that repeats itself is written ten times, and the rest is counted`() {
        let pipe = Pipe()
        let queue = LogQueue(to: pipe.ends[1], format: .json)
        let verdicts = (0..<100).map { _ in queue.admit(.warning, site: "a", 1) }
        #expect(verdicts.count { $0 != nil } == LogQueue.repeatsMax)
        #expect(queue.admit(.warning, site: "a", 2) == 0, "another place")
        #expect((0..<100).allSatisfy { _ in queue.admit(.debug, site: "a", 1) == 0 })
        #expect(queue.finish(milliseconds: 5_000))
    }

    @Test func `numbers stay numbers, texts are quoted, and the last problems are kept`() throws {
        let pipe = Pipe()
        let queue = LogQueue(to: pipe.ends[1], format: .json)
        let handler = LineLog(level: .info, format: .json, queue: queue)
        let logger = Logger(label: "test") { _ in handler }
        logger.info("plain", metadata: ["seq": .stringConvertible(UInt64.max), "who": "a \"b\"\n"])
        logger.debug("too fine")
        logger.error("bad")
        let lines = pipe.lines(of: queue)
        try #require(lines.count == 2)
        let first = try #require(
            JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any])
        #expect(first["seq"] as? UInt64 == .max)
        #expect(first["who"] as? String == "a \"b\"\n")
        #expect(first["level"] as? String == "info" && first["message"] as? String == "plain")
        #expect(first["time"] as? String != nil)
        #expect(queue.problems.count == 1 && queue.problems[0].contains("bad"))
    }
}

extension ThroughTheSocket {
    @Suite struct Logs {
        @Test func `secrets are neither in the log nor in the state`() throws {
            let daemon = try ThroughTheSocket.daemon([
                "--log-format", "json", "--log-level", "trace", "--connections-max", "3",
            ])
            let client = try daemon.client()
            let made = try client.append("key.created", #"{"account":"acme/ml/secret"}"#)
            let op = try client.append(
                "operator.created", #"{"operator":"relay-1","role":"relay"}"#)
            let secrets = [made.text("secret"), op.text("secret")]
            try #require(secrets.allSatisfy { $0.hasPrefix("tg_") })
            let other = try daemon.client()
            #expect(try other.ask("AUTH relay-1 \(secrets[1])").text == "OK")
            #expect(try other.ask("AUTH relay-1 \(secrets[1])x").isError)
            let answer = try other.ask("RESERVE \(secrets[0]) \(model) in=1 out=1")
            #expect(answer.words.first == "ALLOW")
            _ = try other.ask("FROB \(secrets[0])")
            try other.send("RESERVE \(secrets[0]) ")
            let crowd = try (0..<8).map { _ in try daemon.client() }
            _ = try poll("a connection too many") {
                daemon.errors.contains("a connection is refused: max number of clients")
                    ? true : nil
            }
            #expect(crowd.count == 8)
            let state = try daemon.state()
            #expect(try daemon.stop() == 0)
            for secret in secrets {
                #expect(!daemon.errors.contains(secret.dropFirst(12)))
                #expect(!state.text.contains(secret.dropFirst(12)))
            }
            for line in daemon.errors.split(separator: "\n") {
                let json = try JSONSerialization.jsonObject(with: Data(line.utf8))
                let object = try #require(json as? [String: Any], "\(line)")
                #expect(object["time"] != nil && object["level"] != nil, "\(line)")
            }
        }

        @Test func `SIGUSR1 writes the state down, with those who do not read`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.reserve()
            let lazy = try daemon.client()
            // More answers than the kernel's buffers take.
            try lazy.send(String(repeating: "LIST orgs\n", count: 16_000))
            let state = try poll("a client that does not read") {
                let state = try daemon.state()
                let counts = state.section("connections")
                return counts.number("not_reading") == 1 ? state : nil
            }
            #expect(state.section("gate").number("open_holds") == 1)
            #expect(state.section("gate").number("accounts") == 3)
            #expect(state.section("connections").number("open") == 2)
            #expect(state.section("journal").text("state") == "normal")
            #expect(state.section("tollgate").number("pid") == Int(daemon.process.pid))
            #expect(state.section("memory").number("resident_bytes") > 1 << 20)
            #expect(state.section("disk").number("free_bytes") > 0)
            let largest = try #require(state.json["most_unsent"] as? [[String: Any]])
            #expect(largest.first?.number("unsent_bytes") ?? 0 > 100_000)
            #expect(largest.first?.text("address") == "unix:uid=\(geteuid())")
            var info = stat()
            #expect(stat(state.path, &info) == 0 && info.st_mode & 0o777 == 0o600)
            for _ in 0..<12 { _ = try daemon.state() }
            #expect(daemon.states.count <= 8, "the older ones go")
            #expect(try daemon.stop() == 0)
        }
    }
}

/// What SIGUSR1 brings.
struct DaemonState {
    let path: String
    let text: String
    let json: [String: Any]
    func section(_ name: String) -> [String: Any] { json[name] as? [String: Any] ?? [:] }
}

extension DaemonProcess {
    var states: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: dataPath)) ?? [])
            .filter { $0.hasPrefix("state-") && $0.hasSuffix(".json") }.sorted()
    }
    /// Asks for the state, and takes it.
    func state() throws -> DaemonState {
        let before = Set(states)
        process.signal(SIGUSR1)
        return try poll("a new state in \(dataPath)") {
            guard let name = states.last(where: { !before.contains($0) }) else { return nil }
            let path = dataPath + "/" + name
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
            return DaemonState(path: path, text: text, json: try #require(json as? [String: Any]))
        }
    }
}

import CLinux
import Events
import Foundation
import Glibc
import TestSupport
import Testing

@testable import tollgate

extension ThroughTheSocket {
    /// `events --follow`, `monitor` and `top`: commands that go on while the log does.
    @Suite struct LiveCommands {
        private func start(_ words: [String], _ daemon: DaemonProcess) throws -> ChildProcess {
            try ChildProcess(
                [DaemonProcess.binary] + words,
                environment: ["TOLLGATE_SOCKET": daemon.socketPath], in: daemon.scratch,
                name: words[0])
        }
        /// As many lines of what it has printed so far, once there are.
        private func lines(_ count: Int, of child: ChildProcess) throws -> [String] {
            try poll("\(count) lines; \(child.standardError)") {
                let lines = child.standardOutput.split(separator: "\n").map(String.init)
                return lines.count >= count ? lines : nil
            }
        }

        @Test func `events --follow goes on over a restart, without a gap`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let child = try start(["events", "--follow", "--from", "1", "--json"], daemon)
            let count = try daemon.client().number("seq")
            _ = try lines(count, of: child)
            #expect(try daemon.stop() == 0)
            let again = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            _ = try again.client().reserve()
            let last = try again.client().number("seq")
            let all = try lines(last, of: child).map { try JSON(reply: $0)["seq"]?.integer }
            #expect(all == (1...Int64(last)).map { $0 })
            #expect(child.standardError.contains("the daemon is stopping"))
            #expect(child.standardError.contains("going on with event"))
            #expect(try again.stop() == 0)
        }

        @Test func `events --follow begins and ends where it is told to`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let seq = try daemon.client().number("seq")
            let last = try start(["events", "--follow", "--last", "2", "--limit", "2"], daemon)
            #expect(try last.wait() == 0)
            #expect(last.standardOutput.split(separator: "\n").count == 2)
            let late = try start(["events", "--follow", "--from", "\(seq + 9)"], daemon)
            #expect(try late.wait() == 1)
            #expect(late.standardError.contains("the log ends with event \(seq)"))
            let type = try start(["events", "--follow", "--type", "x"], daemon)
            #expect(try type.wait() == 1 && type.standardError.contains("type= must be"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `monitor tells of each answer in a line`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let from = try client.number("seq") + 1
            let hold = try client.reserve("in=1000 out=10 user=ana id=r1")
            _ = try client.ask("SETTLE \(hold) in=1000 out=5 ms=842")
            let other = try client.reserve("in=1 out=1")
            _ = try client.ask("EXTEND \(other) out=2")
            _ = try client.ask("RELEASE \(other) why=gone")
            _ = try client.append(
                "limits.set", #"{"account":"acme/ml","limits":{"usd.day":"0.01"}}"#)
            _ = try client.ask("RESERVE \(key) \(model) in=9000 out=1 id=r2")
            _ = try client.ask("RESERVE acme/ml/ghost \(model) in=1 out=1")
            _ = try client.ask("CHARGE \(key) \(model) in=1 out=1 id=r3")
            let run = try start(["monitor", "--from", "\(from)", "--limit", "8"], daemon)
            #expect(try run.wait() == 0, "\(run.standardError)")
            let lines = run.standardOutput.split(separator: "\n").map(String.init)
            try #require(lines.count == 8)
            for (line, parts) in zip(
                lines,
                [
                    ["ALLOW", key, hold, model, "1000 in, 10 out", "$0.0021", "user=ana id=r1"],
                    ["SETTLED", hold, "1000 in, 5 out", "$0.0020", "842 ms"],
                    ["ALLOW", other], ["EXTENDED", other, "1 in, 2 out"],
                    ["RELEASED", other, "why=gone"],
                    [
                        "DENY", key, "402 budget_exhausted", "usd.day of acme/ml: 0.00204 used",
                        "held of 0.01", "id=r2",
                    ],
                    ["DENY", "acme/ml/ghost", "401 key_unknown"], ["CHARGED", model, "id=r3"],
                ])
            {
                for part in parts { #expect(line.contains(part), "\(part) in \(line)") }
            }
            let denied = try start(
                ["monitor", "--from", "\(from)", "--denied", "--team", "acme/ml", "--limit", "1"],
                daemon)
            #expect(try denied.wait() == 0)
            #expect(denied.standardOutput.contains("budget_exhausted"))
            let typo = try start(["monitor", "--team", "acme/mll"], daemon)
            #expect(try typo.wait() == 1 && typo.standardError.contains("acme/mll"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `top shows who asks how much, the busiest first`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.append(
                "limits.set", #"{"account":"acme/ml","limits":{"usd.day":"1000"}}"#)
            _ = try client.append("team.created", #"{"account":"acme/web"}"#)
            _ = try client.append("key.created", #"{"account":"acme/web/k"}"#)
            let child = try start(["top", "--interval", "1", "--count", "60"], daemon)
            // Begun before it looks, and going on until it has seen it.
            let block = try poll("a look with all in it: \(child.standardError)") {
                for _ in 0..<3 {
                    let hold = try client.reserve("in=100 out=100")
                    _ = try client.ask("SETTLE \(hold) in=100 out=100 ms=250")
                }
                _ = try client.ask("RESERVE acme/web/k nobody/knows in=1 out=1")
                let blocks = child.standardOutput.components(separatedBy: "\n\n")
                return blocks.dropLast().last {
                    $0.contains("  prod") && $0.contains("  web") && $0.contains("usd.day")
                        && $0.contains("248")
                }
            }
            let lines = block.split(separator: "\n").map(String.init)
            #expect(lines[0].contains("req/s") && lines[0].contains("denied/s"))
            #expect(lines[1].hasPrefix("ACCOUNT") && lines[1].hasSuffix("P99 MS"))
            let names = lines.dropFirst(2).map { line in
                String(line.drop { $0 == " " }.prefix { $0 != " " })
            }
            #expect(names == ["acme", "ml", "prod", "web", "k"])
            let team = lines[3].split(separator: " ").map(String.init)
            #expect(team.suffix(3) == ["usd.day", "248", "248"], "\(team)")
            child.signal(SIGTERM)
            try child.wait()
            for words in [["--interval", "0"], ["--rows", "0"], ["--account", "nobody"]] {
                let wrong = try start(["top"] + words, daemon)
                #expect(try wrong.wait() != 0 && !wrong.standardError.isEmpty)
            }
            #expect(try daemon.stop() == 0)
        }
    }
}

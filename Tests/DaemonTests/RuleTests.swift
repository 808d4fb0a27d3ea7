import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// A few rules that only time and the daemon together can show.
    @Suite struct Rules {
        @Test func `a hold that nobody ends lapses and gives back its money`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let hold = try client.reserve("in=1000 out=1000 ttl=1")
            #expect(try client.money("acme", "usd.total", "held") > 0)
            // Nobody asks anything meanwhile: the daemon wakes by itself.
            let log = try daemon.client()
            let lapsed = try poll("the lapse") {
                try log.events().first { $0.type == "hold.lapsed" }
            }
            #expect(lapsed.text("hold") == hold)
            #expect(try client.money("acme", "usd.total", "held") == 0)
            let late = try client.ask("SETTLE \(hold) in=10 out=10")
            #expect(
                late.words.first == "SETTLED", "what was spent is charged all the same: \(late)")
            let settled = try client.events().last { $0.type == "hold.settled" }
            #expect(settled?["late"] as? Bool == true)
            #expect(try daemon.stop() == 0)
        }

        @Test func `concurrent clients never overshoot a budget`() throws {
            let daemon = try ThroughTheSocket.daemon()
            // A hold of in=100 out=100 is $0.001: a thousand of them and no more.
            _ = try daemon.client().append(
                "limits.set",
                #"{"account":"acme/ml","limits":{"usd.total":"1.00","concurrency":2000}}"#)
            let allowed = try concurrently(8) { index in
                let client = try daemon.client()
                let lines = (0..<500).map {
                    "RESERVE \(key) \(model) in=100 out=100 id=\(index)-\($0)\n"
                }
                let replies = try client.exchange(Array(lines.joined().utf8), replies: lines.count)
                for reply in replies where reply.words.first == "DENY" {
                    #expect(
                        reply.text.hasPrefix(
                            "DENY 402 budget_exhausted scope=acme/ml limit=usd.total"))
                }
                return replies.count { $0.words.first == "ALLOW" }
            }
            #expect(allowed.reduce(0, +) == 1_000)
            let client = try daemon.client()
            #expect(try client.money("acme/ml", "usd.total", "held") == 1)
            #expect(try client.money("acme/ml", "usd.total", "left") == 0)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a flood of refusals is summed and every one is counted`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.append(
                "limits.set", #"{"account":"\#(key)","limits":{"concurrency":0}}"#)
            let line = "RESERVE \(key) \(model) in=1 out=1\n"
            let count = 20_000
            let replies = try client.exchange(
                Array(String(repeating: line, count: count).utf8), replies: count)
            #expect(replies.allSatisfy { $0.text.hasPrefix("DENY 429 concurrency scope=\(key)") })
            // Sums come behind the second that they sum.
            let summed = try poll("the sums") {
                let events = try client.events()
                let single = events.count { $0.type == "hold.refused" }
                let sums = events.filter { $0.type == "refusals.summed" }
                let all = single + sums.reduce(0) { $0 + $1.number("count") }
                return all == count ? (single, sums.count) : nil
            }
            #expect(summed.1 > 0 && summed.0 < 200, "\(summed.0) single ones, \(summed.1) sums")
            #expect(try daemon.stop() == 0)
        }

        @Test func `the same id on two keys names two requests`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let accounts = (0..<16).map { "acme/ml/k\($0)" }
            for account in accounts {
                _ = try client.append("key.created", #"{"account":"\#(account)"}"#)
            }
            var names: [String: String] = [:]
            for account in accounts {
                for n in 0..<64 {
                    let name = try client.reserve("in=1 out=1 id=\(n)-request", key: account)
                    let before = names.updateValue("\(account) \(n)", forKey: name)
                    #expect(
                        before == nil,
                        "hold \(name) of \(before ?? "") was given to \(account) \(n)")
                }
            }
            #expect(try daemon.stop() == 0)
        }
    }
}

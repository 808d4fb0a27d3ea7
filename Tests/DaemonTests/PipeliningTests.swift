import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Many requests at once: answers in order, nothing lost, and what is promised is kept.
    @Suite struct Pipelining {
        /// Requests of all kinds, as lines and frames, whose answers hold no instant and no seq.
        static func mixed(_ count: Int, _ generator: inout SeededGenerator) -> [[UInt8]] {
            (0..<count).map { n in
                let words: [String] =
                    switch Int.random(in: 0..<10, using: &generator) {
                    case 0: ["PING", "\(n)"]
                    case 1:
                        [
                            "ECHO",
                            String(repeating: "e", count: .random(in: 0...300, using: &generator)),
                        ]
                    case 2: ["CHECK", key, model, "in=\(n)", "out=1"]
                    case 3: ["CHECK", key, "openai/none", "in=\(n)"]
                    case 4: ["NONSENSE", "\(n)"]
                    case 5: ["GET", key]
                    case 6: ["LIST", "orgs"]
                    case 7: ["EVENTS", "from=\(Int.random(in: 1...6, using: &generator))", "to=6"]
                    case 8: ["RELEASE", "9-\(n)"]
                    default: ["CHECK", key, model, "in=x"]
                    }
                guard Bool.random(using: &generator) else { return Client.frame(words) }
                // An empty word needs quotes in a line.
                let line = words.map { $0.isEmpty ? "\"\"" : $0 }.joined(separator: " ")
                return Array((line + (Bool.random(using: &generator) ? "\n" : "\r\n")).utf8)
            }
        }

        @Test func `10,000 requests in random pieces are answered as one by one`() throws {
            var generator = ThroughTheSocket.seed()
            let daemon = try ThroughTheSocket.daemon()
            let requests = Self.mixed(10_000, &generator)
            let single = try daemon.client()
            let expected = try requests.map { request in
                try single.send(request)
                return try single.reply()
            }
            let bytes = Array(requests.joined())
            let whole = try daemon.client().exchange(bytes, replies: requests.count)
            #expect(whole == expected, "in one write")
            for longest in [9, 300, 100_000] {
                // The rest after these goes out in one.
                let pieces = (0..<4_000).map { _ in Int.random(in: 1...longest, using: &generator) }
                let client = try daemon.client()
                let replies = try client.exchange(bytes, replies: requests.count, pieces: pieces)
                #expect(replies == expected, "in pieces of up to \(longest) bytes")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `answers of ring and disk on one connection keep the order of their requests`()
            throws
        {
            var generator = ThroughTheSocket.seed()
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            var lines: [String] = []
            for n in 0..<3_000 {
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: lines.append("RESERVE \(key) \(model) in=\(n) out=1 id=r\(n)")
                case 1: lines.append("RESERVE \(key) \(model) in=\(n) out=1 id=r\(n) ack=disk")
                case 2: lines.append("CHARGE \(key) \(model) in=\(n) out=1 id=c\(n)")
                case 3: lines.append("CHARGE \(key) \(model) in=\(n) out=1 id=c\(n) ack=ring")
                default: lines.append("PING \(n)")
                }
            }
            let text = lines.joined(separator: "\n") + "\n"
            let replies = try client.exchange(Array(text.utf8), replies: lines.count)
            let events = try client.events()
            let byID = Dictionary(events.map { ($0.text("id"), $0) }) { $1 }
            for (n, (line, reply)) in zip(lines, replies).enumerated() {
                if line.hasPrefix("PING") {
                    #expect(reply.text == "\(n)")
                    continue
                }
                let id = (line.hasPrefix("RESERVE") ? "r" : "c") + "\(n)"
                let event = try #require(byID[id])
                let name = event.type == "hold.placed" ? "hold" : "charge"
                #expect(
                    reply.words[1] == event.text(name) && event.number("in") == n,
                    "\(line) → \(reply)")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `an answer that promises the disk comes when the event is durable`() throws {
            // Nobody else hurries the committer, so what is not waited for is not durable for a second.
            let daemon = try ThroughTheSocket.daemon(["--linger-us", "1000000"])
            let client = try daemon.client()
            for n in 0..<50 {
                let hold = try client.reserve("in=1 out=1 id=a\(n)")
                let settled = try client.ask("SETTLE \(hold) in=1 out=1")
                #expect(settled.words.first == "SETTLED")
                #expect(try client.number("durable_seq") == client.number("seq"))
                let placed = try client.reserve("in=1 out=1 id=b\(n) ack=disk")
                let seq = try #require(Int(placed.split(separator: "-")[1]))
                #expect(try client.number("durable_seq") >= seq)
                // A repeat promises the same as the first answer did.
                _ = try client.reserve("in=1 out=1 id=c\(n)")
                let repeated = try client.reserve("in=1 out=1 id=c\(n) ack=disk")
                let again = try #require(Int(repeated.split(separator: "-")[1]))
                #expect(try client.number("durable_seq") >= again)
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `a full ring slows clients down and loses nothing`() throws {
            let daemon = try ThroughTheSocket.daemon(["--linger-us", "100000"])
            let count = ThroughTheSocket.isLong ? 200_000 : 20_000
            let results = try concurrently(4) { index in
                let client = try daemon.client()
                // Events of some 700 bytes fill one MiB within 1,500 requests.
                let text = String(repeating: "x", count: 200)
                let lines = (0..<count / 4).map {
                    "RESERVE \(key) \(model) in=1 out=1 id=\(index)-\($0) user=u\(text.prefix(100)) ua=\(text)\n"
                }
                return try client.exchange(Array(lines.joined().utf8), replies: lines.count)
            }
            let names = results.flatMap { $0.map { String($0.words[1]) } }
            #expect(Set(names).count == count)
            let client = try daemon.client()
            let placed = try client.events().filter { $0.type == "hold.placed" }
            let byID = Dictionary(
                uniqueKeysWithValues: placed.map { ($0.text("id"), $0.text("hold")) })
            #expect(byID.count == count)
            for (index, replies) in results.enumerated() {
                let inOrder = replies.enumerated().allSatisfy { n, reply in
                    byID["\(index)-\(n)"].map { $0[...] } == reply.words[1]
                }
                #expect(inOrder, "connection \(index)")
            }
            #expect(try daemon.stop() == 0)
        }
    }
}

import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `RESERVE … wait= prio=`: who waits for room, who gets it, and who is told that there was none.
    @Suite struct Waiting {
        private func daemon(limits: String, _ flags: [String] = []) throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon(flags)
            _ = try daemon.client().append(
                "limits.set", #"{"account":"acme/ml","limits":{\#(limits)}}"#)
            return daemon
        }
        private func waitFor(_ count: Int, _ admin: Client) throws {
            _ = try poll(seconds: 30, "\(count) requests to wait") {
                try admin.number("blocked_clients") == count ? true : nil
            }
        }
        private let patient = "RESERVE \(key) \(model) in=10 out=10 wait=120000"

        @Test func `a slot goes to the lowest priority number, then to the oldest`() throws {
            let daemon = try daemon(limits: #""concurrency":1"#)
            let admin = try daemon.client()
            var hold = try admin.reserve()
            let priorities = [5, 9, 1, 5, 2]
            var clients: [(priority: Int, client: Client)] = []
            for (i, priority) in priorities.enumerated() {
                let client = try daemon.client()
                try client.send("\(patient) prio=\(priority) id=w\(i)\r\n")
                try waitFor(i + 1, admin)
                clients.append((priority, client))
            }
            // Who does not wait is refused as ever.
            #expect(
                try admin.ask("RESERVE \(key) \(model)").words[1...2] == ["429", "concurrency"])
            for i in [2, 4, 0, 3, 1] {
                _ = try admin.ask("RELEASE \(hold)")
                let reply = try clients[i].client.reply()
                #expect(reply.words.first == "ALLOW", "client \(i): \(reply)")
                hold = String(reply.words[1])
            }
            #expect(try admin.number("blocked_clients") == 0)
            let placed = try admin.events().filter { $0.type == "hold.placed" }.dropFirst()
            #expect(placed.map { $0.text("id") } == ["w2", "w4", "w0", "w3", "w1"])
            #expect(placed.map { $0.number("prio") } == [1, 2, 5, 5, 9])
            #expect(placed.allSatisfy { $0.text("came") < $0.text("time") })
            #expect(try daemon.stop() == 0)
        }

        @Test func `requests behind it on the connection keep their order`() throws {
            let daemon = try daemon(limits: #""concurrency":1"#)
            let admin = try daemon.client()
            let hold = try admin.reserve()
            let client = try daemon.client()
            try client.send("PING before\r\n\(patient) id=w\r\nPING after\r\n")
            try waitFor(1, admin)
            // More that comes while it waits, too.
            try client.send("\(patient) id=w\r\nECHO last\r\n")
            #expect(try client.reply().text == "before")
            _ = try admin.ask("SETTLE \(hold) in=1 out=1")
            let reply = try client.reply()
            #expect(reply.words.first == "ALLOW")
            #expect(try client.reply().text == "after")
            // The same id has the same answer, and does not wait for it.
            #expect(try client.reply() == reply)
            #expect(try client.reply().text == "last")
            #expect(try daemon.stop() == 0)
        }

        @Test func `when its time is up it is told what binds, and that is logged once`() throws {
            let daemon = try daemon(limits: #""requests.minute":1"#)
            let client = try daemon.client()
            _ = try client.reserve()
            let reply = try client.ask("RESERVE \(key) \(model) in=1 out=1 wait=30 id=late")
            #expect(reply.words[1...2] == ["429", "requests_per_minute"])
            let refused = try client.events().filter { $0.type == "hold.refused" }
            #expect(refused.map { $0.text("id") } == ["late"])
            #expect(refused.first?.number("prio") == 5)
            #expect((refused.first?.text("came") ?? "") < (refused.first?.text("time") ?? ""))
            #expect(try daemon.stop() == 0)
        }

        @Test(arguments: [
            // What never fits, and what no minute brings back, is not waited for.
            (#""tokens.minute":10"#, "in=11 out=0", "tokens_per_minute"),
            (#""concurrency":0"#, "in=1 out=0", "concurrency"),
            (#""tokens.day":10"#, "in=11 out=0", "tokens_exhausted"),
            (#""usd.minute":"0""#, "in=11 out=0", "budget_exhausted"),
        ])
        func `what cannot pass is refused at once`(
            limits: String, asked: String, reason: String
        ) throws {
            let daemon = try daemon(limits: limits)
            let client = try daemon.client()
            let reply = try client.ask("RESERVE \(key) \(model) \(asked) wait=300000")
            #expect(reply.words[2] == Substring(reason))
            #expect(try daemon.stop() == 0)
        }

        @Test func `a larger limit lets in who waited for it`() throws {
            let daemon = try daemon(limits: #""tokens.minute":100"#)
            let admin = try daemon.client()
            _ = try admin.reserve("in=90 out=0")
            let client = try daemon.client()
            try client.send("RESERVE \(key) \(model) in=100 out=0 wait=120000\r\n")
            try waitFor(1, admin)
            // One that waits, too, and would fit, does not overtake it.
            let small = try daemon.client()
            try small.send("RESERVE \(key) \(model) in=5 out=0 wait=120000\r\n")
            try waitFor(2, admin)
            _ = try admin.append(
                "limits.set", #"{"account":"acme/ml","limits":{"tokens.minute":200}}"#)
            #expect(try client.reply().words.first == "ALLOW")
            #expect(try small.reply().words.first == "ALLOW")
            let seqs = try admin.events().filter { $0.type == "hold.placed" }.map {
                $0.number("in")
            }
            #expect(seqs == [90, 100, 5])
            #expect(try daemon.stop() == 0)
        }

        @Test func `one more than may wait is refused at once, and told why`() throws {
            let daemon = try daemon(limits: #""concurrency":1"#, ["--waiting-max", "2"])
            let admin = try daemon.client()
            let hold = try admin.reserve()
            let clients = try (1...2).map { count in
                let client = try daemon.client()
                try client.send("\(patient)\r\n")
                try waitFor(count, admin)
                return client
            }
            #expect(
                try admin.ask("\(patient) prio=1").text
                    == "DENY 429 concurrency scope=acme/ml limit=concurrency amount=1 used=1 held=0 "
                    + "waiting=2")
            // Whose client has gone takes nobody's place.
            clients[1].close()
            try waitFor(1, admin)
            let next = try daemon.client()
            try next.send("\(patient)\r\n")
            try waitFor(2, admin)
            _ = try admin.ask("RELEASE \(hold)")
            #expect(try clients[0].reply().words.first == "ALLOW")
            #expect(try daemon.stop() == 0)
        }

        @Test(arguments: [false, true])
        func `it is gone with its client`(overTCP: Bool) throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            _ = try admin.append(
                "limits.set", #"{"account":"acme/ml","limits":{"concurrency":1}}"#)
            let made = try admin.append("operator.created", #"{"operator":"r","role":"relay"}"#)
            let hold = try admin.reserve()
            let client = try overTCP ? Client(port: port) : daemon.client()
            if overTCP { _ = try client.ask("AUTH r \(made.text("secret"))") }
            try client.send("\(patient) id=gone\r\n")
            try waitFor(1, admin)
            client.close()
            try waitFor(0, admin)
            _ = try admin.ask("RELEASE \(hold)")
            _ = try admin.reserve()
            #expect(try admin.events().filter { $0.type == "hold.placed" }.count == 2)
            #expect(try daemon.stop() == 0)
        }
        @Test func `who ends writing does not wait, and reads the answer`() throws {
            let daemon = try daemon(limits: #""concurrency":1"#)
            let admin = try daemon.client()
            _ = try admin.reserve()
            let client = try daemon.client()
            try client.send("\(patient)\r\nPING behind\r\n")
            client.endWriting()
            #expect(try client.reply().words[1...2] == ["429", "concurrency"])
            #expect(try client.reply().text == "behind")
            #expect(try client.rest() == "")
            #expect(try daemon.stop() == 0)
        }

        @Test func `at the end those that wait are answered`() throws {
            let daemon = try daemon(limits: #""concurrency":1"#)
            let admin = try daemon.client()
            _ = try admin.reserve()
            let clients = try (0..<3).map { i in
                let client = try daemon.client()
                try client.send("\(patient)\r\nPING \(i)\r\n")
                return client
            }
            try waitFor(3, admin)
            #expect(try daemon.stop() == 0)
            for (i, client) in clients.enumerated() {
                #expect(try client.reply().words[1...2] == ["429", "concurrency"])
                #expect(try client.reply().text == "\(i)")
            }
        }

        /// A minute takes as long as it takes, so only in the long form; the simulation has its own clock.
        @Test(.enabled(if: ThroughTheSocket.isLong))
        func `a minute gives room back while nobody asks`() throws {
            let daemon = try daemon(limits: #""requests.minute":1"#)
            let client = try daemon.client()
            _ = try client.reserve()
            client.patience = 90
            let reply = try client.ask("\(patient) id=next")
            #expect(reply.words.first == "ALLOW", "\(reply)")
            #expect(try daemon.stop() == 0)
        }
    }
}

import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `TAIL`: connections that are sent the log as it grows.
    @Suite struct Tails {
        @Test func `what the log has comes first, word for word, and then what happens`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            try other.charge(1...50)
            let log = try other.ask("EVENTS from=1").text
            let count = try other.number("durable_seq")
            let client = try daemon.client()
            #expect(try client.ask("TAIL from=1").text == "TAIL from=1")
            let texts = try (0..<count).map { _ in try client.reply().text }
            #expect("[" + texts.joined(separator: ",") + "]" == log)
            for n in 51...60 {
                try other.charge(n...n)
                let event = try client.followed()
                #expect(event.seq == count + n - 50 && event.text("id") == "c\(n)")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `without from= it begins with what comes next`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            let client = try daemon.client()
            let next = try other.number("seq") + 1
            #expect(try client.ask("TAIL").text == "TAIL from=\(next)")
            try other.charge(1...1)
            #expect(try client.followed().seq == next)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a filter lets through what is asked for and nothing else`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            for (type, account) in [("team", "acme/web"), ("key", "acme/web/k")] {
                _ = try other.append("\(type).created", #"{"account":"\#(account)"}"#)
            }
            // Past ten a second refusals are summed.
            for _ in 0..<40 { _ = try other.ask("RESERVE acme/ml/ghost \(model) in=1 out=1") }
            try other.charge(1...3)
            _ = try other.reserve(key: "acme/web/k")
            let second = try other.number("seq")
            _ = try poll("the sum of the refusals") {
                try other.events(from: second).contains { $0.type == "refusals.summed" }
                    ? true : nil
            }
            let all = try other.events()
            for (fields, wants) in [
                ("type=charge.recorded", { $0.type == "charge.recorded" }),
                ("account=acme/web", { $0.text("account").hasPrefix("acme/web") }),
                ("denied", { ["hold.refused", "refusals.summed"].contains($0.type) }),
                (
                    "account=acme type=hold.placed",
                    { $0.type == "hold.placed" && $0.text("account").hasPrefix("acme") }
                ),
            ] as [(String, ([String: Any]) -> Bool)] {
                let client = try daemon.client()
                #expect(try client.ask("TAIL from=1 \(fields)").text == "TAIL from=1")
                let wanted = all.filter(wants)
                try #require(!wanted.isEmpty)
                for event in wanted { #expect(try client.followed().seq == event.seq, "\(fields)") }
                // What comes next is no event: nothing else was let through.
                let next = try client.ask("PING").text
                #expect(next.hasPrefix("TAILED next="), "\(fields): \(next)")
                #expect(try client.reply().text == "PONG")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test(arguments: ["line", "frame", "RESP3"])
        func `events are bulk strings whatever the client speaks`(form: String) throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            if form == "RESP3" { _ = try client.ask("HELLO 3") }
            if form == "line" {
                try client.send("tail from=1\n")
            } else {
                try client.send(Client.frame(["TAIL", "from=1"]))
            }
            #expect(try client.line() == "+TAIL from=1")
            let head = try client.line()
            let event = try client.line()
            #expect(head == "$\(event.utf8.count)")
            #expect(event.hasPrefix(#"{"seq":1,"time":""#))
            #expect(try daemon.stop() == 0)
        }

        @Test func `whatever is sent ends it, and another goes on without a gap`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            let client = try daemon.client()
            var (next, charges) = (1, 0)
            for (said, answer) in [
                ("PING", "PONG"), ("GET acme", "{"), ("TAIL from=1 x=1", "-ERR TAIL has no field"),
                ("FROB", "-ERR unknown command"), ("RESET", "RESET"),
            ] {
                try other.charge(charges + 1...charges + 30)
                charges += 30
                try client.send("TAIL from=\(next)\r\n")
                #expect(try client.reply().text == "TAIL from=\(next)")
                for _ in 0..<20 {
                    #expect(try client.followed().seq == next)
                    next += 1
                }
                try client.send(said + "\r\n")
                // What was on its way comes first.
                var end = try client.reply()
                while case .bulk = end {
                    next += 1
                    end = try client.reply()
                }
                #expect(end.text == "TAILED next=\(next)")
                let after = try client.reply().text
                #expect(after.hasPrefix(answer), "\(said) → \(after)")
            }
            // Behind one another in one write, and an empty line.
            try client.send("TAIL from=2\r\nTAIL from=3\r\n\r\nQUIT\r\n")
            let rest = try client.rest()
            #expect(rest.hasPrefix("+TAIL from=2\r\n+TAILED next=2\r\n+TAIL from=3\r\n"))
            #expect(rest.hasSuffix("+TAILED next=3\r\n+OK\r\n"), "\(rest.suffix(200))")
            #expect(try other.number("tailing_clients") == 0)
            #expect(try daemon.stop() == 0)
        }

        @Test func `who does not read is dropped with a message, and resumes where it was`() throws
        {
            let daemon = try ThroughTheSocket.daemon(["--idle-line-seconds", "3"])
            let other = try daemon.client()
            try other.charge(1...6_000)
            let last = try other.number("durable_seq")
            let before = try other.number("used_memory")
            let late = try daemon.client()
            // It never comes back.
            let gone = try daemon.client()
            for client in [late, gone] { try client.send("TAIL from=1\r\n") }
            let both = try poll("two that follow") {
                try other.number("tailing_clients") == 2 ? true : nil
            }
            #expect(both)
            let dropped = try poll("the end of two that do not read") {
                try other.number("tailing_clients") == 0 ? true : nil
            }
            #expect(dropped)
            #expect(try other.number("used_memory") - before < 8 << 20)
            var next = 1
            func take(_ client: Client) throws -> Reply {
                let first = next
                #expect(try client.reply().text == "TAIL from=\(first)")
                while true {
                    let reply = try client.reply()
                    guard case .bulk = reply, let event = reply.json as? [String: Any] else {
                        return reply
                    }
                    #expect(event.seq == next, "no gap, nothing twice")
                    next += 1
                    if next > last { return reply }
                }
            }
            let message = try take(late).text
            #expect(
                message
                    == "-SLOW this client does not read what it asked for; resume with TAIL from=\(next)"
            )
            #expect(try late.rest() == "" && next > 100 && next < last)
            let again = try daemon.client()
            try again.send("TAIL from=\(next)\r\n")
            _ = try take(again)
            #expect(next == last + 1)
            let closed = try poll("the end of its connection") {
                try other.number("connected_clients") == 2 ? true : nil
            }
            #expect(closed)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a slow reader goes on at its own pace for as long as it takes`() throws {
            let daemon = try ThroughTheSocket.daemon(["--idle-line-seconds", "1"])
            let other = try daemon.client()
            try other.charge(1...4_000)
            let last = try other.number("durable_seq")
            let client = try daemon.client()
            try client.send("TAIL from=1\r\n")
            #expect(try client.reply().text == "TAIL from=1")
            for seq in 1...last {
                #expect(try client.followed().seq == seq)
                // Something else meanwhile: three seconds of it in all.
                if seq % 1_000 == 0 { try other.charge(seq * 100...seq * 100 + 200) }
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `many follow at once, each from where it wants, and decisions go on`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            try other.charge(1...300)
            let clients = try (0..<60).map { n in
                let client = try daemon.client()
                let from = n * 5 + 1
                try client.send("TAIL from=\(from)\r\n")
                return (client, from)
            }
            for round in 0..<20 { try other.charge(1_000 + round * 50...1_049 + round * 50) }
            let last = try other.number("seq")
            #expect(try other.number("tailing_clients") == 60)
            for (client, from) in clients {
                #expect(try client.reply().text == "TAIL from=\(from)")
                for seq in from...last { #expect(try client.followed().seq == seq) }
            }
            for (client, _) in clients { client.close() }
            let gone = try poll("the end of all") {
                try other.number("tailing_clients") == 0 ? true : nil
            }
            #expect(gone)
            #expect(try daemon.stop() == 0)
        }

        @Test func `who ends writing is still sent what comes`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            let client = try daemon.client()
            try client.send("TAIL type=charge.recorded\n")
            client.endWriting()
            _ = try client.reply()
            try other.charge(1...3)
            for n in 1...3 { #expect(try client.followed().text("id") == "c\(n)") }
            client.close()
            let gone = try poll("the end of its connection") {
                try other.number("connected_clients") == 1 ? true : nil
            }
            #expect(gone)
            #expect(try daemon.stop() == 0)
        }

        @Test func `the end of the daemon comes behind its last answers, and tells where to go on`()
            throws
        {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            let client = try daemon.client()
            let quiet = try daemon.client()
            try client.send("TAIL from=1\r\n")
            try quiet.send("TAIL type=alias.set\r\n")
            _ = try (client.reply(), quiet.reply())
            // Not awaited by anybody: they become durable while the daemon ends.
            try other.charge(1...200, "ack=ring")
            #expect(try daemon.stop() == 0)
            var next = 1
            var reply = try client.reply()
            while case .bulk = reply {
                next += 1
                reply = try client.reply()
            }
            #expect(
                reply.text
                    == "-UNAVAILABLE the daemon is stopping; resume with TAIL from=\(next)")
            #expect(try client.rest() == "")
            #expect(try quiet.rest().hasPrefix("-UNAVAILABLE the daemon is stopping; resume"))
            let again = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            let resumed = try again.client()
            _ = try resumed.ask("TAIL from=\(next)")
            let first = try resumed.followed()
            #expect(first.seq == next && next >= 204)
            #expect(try again.stop() == 0)
        }

        @Test func `a stop does not wait for those who are far behind or do not read`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            try other.charge(1...20_000)
            let clients = try (0..<8).map { _ in
                let client = try daemon.client()
                try client.send("TAIL from=1\r\n")
                return client
            }
            _ = try poll("eight that follow") {
                try other.number("tailing_clients") == 8 ? true : nil
            }
            #expect(try daemon.stop() == 0)
            #expect(clients.count == 8)
        }

        @Test func `what was sent is in the log after a crash`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let other = try daemon.client()
            let client = try daemon.client()
            try client.send("TAIL from=1\r\n")
            _ = try client.reply()
            try other.charge(1...100, "ack=ring")
            let texts = try (1...80).map { _ in try client.reply().text }
            try daemon.kill()
            let again = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            let log = try again.client().ask("EVENTS from=1 to=80").text
            #expect("[" + texts.joined(separator: ",") + "]" == log)
            #expect(try again.stop() == 0)
        }

        @Test func `each role, within its part of the tree, until it is revoked`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            _ = try admin.append("team.created", #"{"account":"acme/web"}"#)
            _ = try admin.append("key.created", #"{"account":"acme/web/k"}"#)
            func client(_ name: String, _ role: String, _ account: String? = nil) throws -> Client {
                let place = account.map { #","account":"\#($0)""# } ?? ""
                let secret = try admin.append(
                    "operator.created", #"{"operator":"\#(name)","role":"\#(role)"\#(place)}"#
                ).text("secret")
                let client = try Client(port: port)
                #expect(try client.ask("AUTH \(name) \(secret)").text == "OK")
                return client
            }
            #expect(try Client(port: port).ask("TAIL").text.hasPrefix("-NOAUTH"))
            for role in ["relay", "finance", "developer"] {
                let account = role == "developer" ? "acme/ml" : nil
                let reply = try client(role + "-1", role, account).ask("TAIL from=1").text
                #expect(reply == "-NOPERM role \(role) may not TAIL; that needs admin, auditor")
            }
            let all = try client("all", "auditor")
            let part = try client("part", "auditor", "acme/web")
            #expect(try part.ask("TAIL account=acme").text.hasPrefix("-NOPERM "))
            #expect(try part.ask("TAIL account=acme/ml").text.hasPrefix("-NOPERM "))
            for watcher in [all, part] {
                #expect(try watcher.ask("TAIL from=1").text == "TAIL from=1")
            }
            try admin.charge(1...3)
            _ = try admin.reserve("in=1 out=1", key: "acme/web/k")
            let seen = try (0..<4).map { _ in try part.followed() }
            #expect(
                seen.map(\.type) == [
                    "team.created", "key.created", "operator.created", "hold.placed",
                ])
            #expect(seen.allSatisfy { $0.text("account").hasPrefix("acme/web") }, "\(seen)")
            for name in ["part", "all"] {
                _ = try admin.append("operator.revoked", #"{"operator":"\#(name)"}"#)
            }
            for watcher in [all, part] {
                let rest = try watcher.rest()
                #expect(rest.contains("-NOAUTH this operator has been revoked; resume with TAIL"))
                #expect(!rest.contains(#""operator":"all","type":"operator.revoked""#))
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `what cannot be followed is refused with what can`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let end = try client.number("seq")
            for (line, answer) in [
                (
                    "TAIL from=\(end + 2)",
                    "-ERR from=\(end + 2): the log ends with event \(end); say from=\(end + 1), or leave it "
                        + "out, for what comes next"
                ),
                ("TAIL from=0", "-ERR from= must be a whole number from 1 to 4611686018427387903"),
                ("TAIL denied type=hold.placed", "-ERR TAIL takes type= or denied, not both"),
                ("TAIL to=9", "-ERR TAIL has no field to=; the syntax is TAIL [from= type="),
                ("TAIL account=Acme", "-ERR account='Acme' is no account"),
                ("TAIL 7", "-ERR '7' is no name=value field; the syntax is TAIL"),
            ] {
                let reply = try client.ask(line).text
                #expect(reply.hasPrefix(answer), "\(line) → \(reply)")
            }
            #expect(try client.ask("TAIL from=\(end + 1)").text == "TAIL from=\(end + 1)")
            #expect(try daemon.stop() == 0)
        }
    }
}

extension Client {
    /// Charges with the ids `c1`, `c2` …, all sent before the first is awaited.
    fileprivate func charge(_ numbers: ClosedRange<Int>, _ fields: String = "") throws {
        let lines = numbers.map { "CHARGE \(key) \(model) in=1 out=1 id=c\($0) \(fields)\r\n" }
        let replies = try exchange(Array(lines.joined().utf8), replies: lines.count)
        let failed = replies.first { $0.words.first != "CHARGED" }
        try #require(failed == nil, "\(failed!)")
    }
    /// The next event of a TAIL.
    fileprivate func followed() throws -> [String: Any] {
        let reply = try reply()
        return try #require(reply.json as? [String: Any], "\(reply)")
    }
}

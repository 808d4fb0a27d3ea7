import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `privacy.set`, ERASE and PERSONAL: what is stored of people, who sees it, and how it goes away.
    @Suite struct Privacy {
        private static let people = ["CANARY-ada", "203.0.113.77", "CANARY/9 (agent)"]
        private static let about = [
            "user=CANARY-ada", "ip=203.0.113.77", "ua=CANARY/9 (agent)",
        ]

        private func privateDaemon(_ flags: [String] = []) throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon(flags)
            try choose(daemon.client())
            return daemon
        }
        private func choose(
            _ client: Client, _ account: String = "acme", _ fields: String = #""user","ip","ua""#
        ) throws {
            _ = try client.append(
                "privacy.set", #"{"account":"\#(account)","fields":[\#(fields)]}"#)
        }
        private func newOperator(
            _ admin: Client, _ name: String, _ role: String, in account: String? = nil
        ) throws -> String {
            let place = account.map { #","account":"\#($0)""# } ?? ""
            return try admin.append(
                "operator.created", #"{"operator":"\#(name)","role":"\#(role)"\#(place)}"#
            ).text("secret")
        }
        /// Files in which a text stands, but the one that is there for it.
        private func files(
            of daemon: DaemonProcess, with texts: [String], but kept: Set<String> = ["personal"]
        ) throws -> [String] {
            var found: [String] = []
            for name in try FileManager.default.subpathsOfDirectory(atPath: daemon.dataPath)
            where !kept.contains(name) {
                guard let data = FileManager.default.contents(atPath: daemon.dataPath + "/" + name)
                else { continue }
                for text in texts where data.range(of: Data(text.utf8)) != nil {
                    found.append("\(text) in \(name)")
                }
            }
            return found
        }
        private func values(_ client: Client, limit: Int = 2) throws -> [[String: Any]] {
            var all: [[String: Any]] = []
            var from = 0
            while true {
                let page = try #require(
                    try client.ask("PERSONAL from=\(from) limit=\(limit)").json as? [String: Any])
                all += try #require(page["values"] as? [[String: Any]])
                guard let next = page["next"] as? Int else { return all }
                from = next
            }
        }
        private func erase(_ client: Client, _ words: String...) throws -> [String: Any] {
            let reply = try client.ask(frame: ["ERASE"] + words)
            return try #require(reply.json as? [String: Any], "\(reply)")
        }

        @Test func `no plain text reaches the log, whatever becomes of the request`() throws {
            let port = try freePort()
            let daemon = try privateDaemon(["--tcp", "127.0.0.1:\(port)"])
            let client = try daemon.client()
            func ask(_ words: String...) throws -> Reply {
                try client.ask(frame: words + Self.about)
            }
            let placed = try ask("RESERVE", key, model, "in=1", "out=1", "id=a")
            #expect(placed.words.first == "ALLOW", "\(placed)")
            // The same id is the same request, whoever is named.
            #expect(
                try client.ask("RESERVE \(key) \(model) in=1 out=1 id=a user=CANARY-else") == placed
            )
            #expect(try ask("CHARGE", key, model, "in=1", "out=1", "id=c").words.first == "CHARGED")
            #expect(try ask("RESERVE", key, "nobody/knows").words[2] == "model_unpriced")
            #expect(try ask("RESERVE", "acme/ml/gone", model).words[2] == "key_unknown")
            #expect(try ask("RESERVE", "nobody/at/all", model).words[2] == "key_unknown")
            #expect(
                try ask("RESERVE", "tg_live_nonsense", model).words[2] == "key_unknown")
            #expect(try ask("CHECK", key, model, "in=1").words.first == "ALLOW")
            _ = try client.ask(frame: ["EXPLAIN", key, model] + Self.about)
            _ = try client.append(
                "limits.set", #"{"account":"acme/ml","limits":{"concurrency":1}}"#)
            let patient = try daemon.client()
            try patient.send(
                "RESERVE \(key) \(model) in=1 out=1 id=w wait=120000 user=CANARY-ada ip=203.0.113.77 "
                    + "ua=\"CANARY/9 (agent)\"\r\n")
            _ = try poll(seconds: 30, "a request to wait") {
                try client.number("blocked_clients") == 1 ? true : nil
            }
            _ = try client.ask("RELEASE \(placed.words[1])")
            #expect(try patient.reply().words.first == "ALLOW")
            #expect(
                try client.ask("SETTLE 9-9 in=1 out=1 key=\(key) model=\(model)").isError == false)

            // Who may know is shown what was said; nobody else.
            let events = try client.events().filter { $0["user"] != nil }
            #expect(
                events.map(\.type) == [
                    "hold.placed", "charge.recorded", "hold.refused", "hold.refused",
                    "hold.refused",
                    "hold.refused", "hold.placed",
                ])
            for event in events {
                #expect(
                    [event.text("user"), event.text("ip"), event.text("ua")] == Self.people,
                    "\(event)")
            }
            let life = "EXPLAIN \(placed.words[1])"
            #expect(try client.ask(life).text.contains("CANARY-ada"))
            for (role, sees) in [("auditor", true), ("developer", false)] {
                let secret = try newOperator(client, role, role, in: "acme")
                let other = try Client(port: port)
                _ = try other.ask("AUTH \(role) \(secret)")
                let seen = try other.ask(life).text
                #expect(seen.contains("CANARY-ada") == sees, "\(role): \(seen)")
                #expect(seen.contains("\"user\":\"~") != sees, "\(role): \(seen)")
            }
            let texts = Self.people + ["CANARY-else"]
            #expect(try files(of: daemon, with: texts) == [])
            #expect(try daemon.stop() == 0)
            #expect(try files(of: daemon, with: texts) == [])
            #expect(!daemon.errors.contains("CANARY"))
        }

        @Test func `a person of an org has one commitment, and elsewhere another`() throws {
            let daemon = try privateDaemon()
            let client = try daemon.client()
            for (type, account) in [("org", "beta"), ("team", "beta/t"), ("key", "beta/t/k")] {
                _ = try client.append("\(type).created", #"{"account":"\#(account)"}"#)
            }
            // An org that has not chosen stores what comes; one that has chosen users, only these.
            _ = try client.reserve("in=1 user=ada ip=192.0.2.1", key: "beta/t/k")
            #expect(try files(of: daemon, with: ["192.0.2.1"]).isEmpty == false)
            try choose(client, "beta", #""user""#)
            for key in ["beta/t/k", key, key] {
                _ = try client.reserve("in=1 user=ada ip=192.0.2.2", key: key)
            }
            _ = try client.reserve("in=1 user=eve")
            let kept = try values(client)
            #expect(
                kept.map { "\($0.text("account")) \($0.text("field")) \($0.text("text"))" } == [
                    "beta user ada", "acme user ada", "acme ip 192.0.2.2", "acme user eve",
                ])
            #expect(Set(kept.map { $0.text("commitment") }).count == 4)
            #expect(try client.number("personal_texts") == 4)
            #expect(
                try client.ask("GET beta").json.flatMap { ($0 as? [String: Any])?["privacy"] }
                    as? [String] == ["user"])
            // What only looks like somebody else's commitment is nobody's.
            let stolen = kept[1].text("commitment")
            try choose(client, "beta", "")
            _ = try client.reserve("in=1 user=\(stolen)", key: "beta/t/k")
            #expect(try client.events().last?.text("user") == stolen)
            #expect(try client.ask("PERSONAL from=40").isError)
            #expect(try daemon.stop() == 0)
        }

        @Test func `what leaves no event leaves no text`() throws {
            let daemon = try privateDaemon()
            let client = try daemon.client()
            var lines = ""
            for i in 0..<200 {
                lines += "CHECK \(key) \(model) in=1 user=u\(i)\r\n"
                lines += "RESERVE \(key) nobody/knows in=1 user=u\(i)\r\n"
            }
            try client.send(lines)
            for _ in 0..<400 { _ = try client.reply() }
            // Refusals beyond the first ten of a second are counted and not written.
            let written = try client.events().filter { $0.type == "hold.refused" }
            #expect(written.count < 200)
            #expect(try client.number("personal_texts") == written.count)
            #expect(
                try values(client, limit: 7).map { $0.text("text") }
                    == written.map { $0.text("user") })
            // Nor do a repeated id, a conflict, and a request that waits, each with names of its own.
            _ = try client.reserve("in=1 id=x user=bo")
            _ = try client.ask("RESERVE \(key) \(model) in=1 id=x user=CANARY-same ip=192.0.2.8")
            #expect(
                try client.ask("RESERVE \(key) \(model) in=2 id=x user=CANARY-other").text
                    .hasPrefix("-CONFLICT"))
            _ = try client.append(
                "limits.set", #"{"account":"acme/ml","limits":{"concurrency":1}}"#)
            let patient = try daemon.client()
            try patient.send(
                "RESERVE \(key) \(model) in=1 id=w wait=120000 user=CANARY-patient\r\n")
            _ = try poll(seconds: 30, "a request to wait") {
                try client.number("blocked_clients") == 1 ? true : nil
            }
            let canaries = ["CANARY-", "192.0.2.8"]
            #expect(try files(of: daemon, with: canaries, but: []) == [])
            #expect(try erase(client, "user", "CANARY-same").number("erased") == 0)
            // Nor do they where something else of the same write leaves one.
            let before = try client.number("personal_texts")
            func refusals() throws -> Int {
                try client.events().count { $0.type == "hold.refused" }
            }
            let refused = try refusals()
            var mixed = "RESERVE \(key) \(model) in=1 id=x user=CANARY-same\r\n"
            for i in 0..<40 {
                let limits = #"{"account":"acme","limits":{"requests.day":\#(1_000_000 + i)}}"#
                mixed += "APPEND limits.set '\(limits)'\r\n"
                mixed += "RESERVE \(key) nobody/knows in=1 user=flood-\(i)\r\n"
            }
            try client.send(mixed)
            let answers = try (0..<81).map { _ in try client.reply() }
            #expect(answers.count { $0.text.contains("limits.set") } == 40)
            let named = try refusals() - refused
            #expect(named < 40)
            #expect(try client.number("personal_texts") == before + named)
            let kept = try client.number("personal_texts")
            patient.close()
            #expect(try daemon.stop() == 0)
            let next = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            #expect(try next.client().number("personal_texts") == kept)
            #expect(try files(of: next, with: canaries, but: []) == [])
            #expect(try next.stop() == 0)
        }
        @Test func `a text that stands twice is erased twice`() throws {
            let daemon = try privateDaemon()
            _ = try daemon.client().reserve("in=1 user=CANARY-ada")
            try daemon.kill()
            // As a process that was killed may have left it.
            let path = URL(fileURLWithPath: daemon.dataPath + "/personal")
            var bytes = try Data(contentsOf: path)
            bytes += bytes.suffix(44 + "CANARY-ada".utf8.count)
            try bytes.write(to: path)
            let next = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            let erased = try erase(next.client(), "user", "CANARY-ada")
            #expect(erased.number("erased") == 1, "one event")
            #expect((erased["commitments"] as? [String])?.count == 2)
            #expect(try files(of: next, with: ["CANARY-ada"], but: []) == [])
            #expect(try next.stop() == 0)
        }

        @Test func `what is erased is gone from every file and every answer`() throws {
            let daemon = try privateDaemon()
            let client = try daemon.client()
            for user in ["CANARY-ada", "bo", "CANARY-ada"] {
                _ = try client.reserve("in=1 user=\(user) ip=192.0.2.1")
            }
            let before = try values(client)
            let gone = try #require(before.first { $0.text("text") == "CANARY-ada" })
                .text("commitment")
            let erased = try erase(client, "user", "CANARY-ada", "why=request 17")
            #expect(erased.number("erased") == 1)
            #expect(erased["commitments"] as? [String] == [gone])
            #expect(erased["more"] as? Bool == false)
            let event = try #require(try client.events().last)
            #expect(event.type == "personal.erased" && event.text("account") == "acme")
            #expect(event.text("field") == "user" && event.text("reason") == "request 17")
            #expect(event["commitments"] as? [String] == [gone])
            #expect(erased["events"] as? [Int] == [event.seq])

            func users() throws -> [String] {
                try client.events().filter { $0.type == "hold.placed" }.map { $0.text("user") }
            }
            #expect(try users() == [gone, "bo", gone])
            #expect(try files(of: daemon, with: ["CANARY-ada"], but: []) == [])
            // Again there is nothing; and who comes back is somebody new.
            #expect(try erase(client, "user", "CANARY-ada").number("erased") == 0)
            _ = try client.reserve("in=1 user=CANARY-ada")
            #expect(try users() == [gone, "bo", gone, "CANARY-ada"])
            #expect(try values(client).last?.text("commitment") != gone)
            #expect(try erase(client, "ip", "192.0.2.1").number("erased") == 1)
            try daemon.kill()
            #expect(try files(of: daemon, with: ["192.0.2.1"], but: []) == [])
            #expect(try files(of: daemon, with: ["CANARY-ada"]) == [])

            let next = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
            let reader = try next.client()
            #expect(
                try reader.events().filter { $0.type == "hold.placed" }.map { $0.text("user") }
                    == [gone, "bo", gone, "CANARY-ada"])
            #expect(try reader.number("personal_texts") == 2)
            #expect(try reader.events().filter { $0.type == "personal.erased" }.count == 2)
            #expect(try next.stop() == 0)
        }

        @Test func `a text that came in the same breath is erased`() throws {
            let daemon = try privateDaemon()
            let client = try daemon.client()
            // One write, so the daemon reads and decides all of it in one turn.
            try client.send(
                "RESERVE \(key) \(model) in=1 user=CANARY-swift\r\nERASE user CANARY-swift\r\n"
                    + "RESERVE \(key) \(model) in=1 user=CANARY-swift\r\n"
                    + "ERASE user CANARY-swift\r\n")
            #expect(try client.reply().words.first == "ALLOW")
            #expect((try client.reply().json as? [String: Any])?["erased"] as? Int == 1)
            #expect(try client.reply().words.first == "ALLOW")
            #expect((try client.reply().json as? [String: Any])?["erased"] as? Int == 1)
            #expect(try files(of: daemon, with: ["CANARY-swift"], but: []) == [])
            #expect(try daemon.stop() == 0)
        }

        @Test func `kill -9 loses nothing that the log names`() throws {
            var generator = ThroughTheSocket.seed()
            var daemon = try privateDaemon()
            for round in 0..<3 {
                let victim = daemon
                // The moment is random on purpose; nothing below depends on where it falls.
                let moment = UInt32.random(in: 1_000...150_000, using: &generator)
                _ = try concurrently(5) { index -> Int in
                    if index == 4 {
                        usleep(moment)
                        try victim.kill()
                        return 0
                    }
                    guard let client = try? victim.client() else { return 0 }
                    for i in 0..<100_000 {
                        // Some come from every client, some from one.
                        let user = i % 3 == 0 ? "all-\(i)" : "only-\(index)-\(i)"
                        guard
                            (try? client.ask(
                                "CHARGE \(key) \(model) in=1 out=1 id=\(round)-\(index)-\(i) "
                                    + "user=\(user) ack=ring")) != nil
                        else { return i }
                    }
                    return 0
                }
                daemon = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
                let client = try daemon.client()
                let users = try client.events().filter { $0.type == "charge.recorded" }
                    .map { $0.text("user") }
                #expect(users.allSatisfy { $0.hasPrefix("all-") || $0.hasPrefix("only-") })
                // One commitment each, however many asked at once.
                let kept = try client.number("personal_texts")
                #expect(kept >= Set(users).count)
                #expect(
                    try Set(values(client, limit: 10_000).map { $0.text("text") }).count == kept)
                #expect(try files(of: daemon, with: ["only-1-", "all-1"]) == [])
            }
            #expect(try daemon.stop() == 0)
            #expect(daemon.errors.contains("the second fold agrees"))
        }

        @Test func `an erasure that a crash kept from the log is told at the next start`() throws {
            let daemon = try privateDaemon()
            let client = try daemon.client()
            _ = try client.reserve("in=1 user=CANARY-ada")
            let path = daemon.dataPath + "/personal"
            let before = try #require(FileManager.default.contents(atPath: path))
            _ = try client.ask("PING")
            let commitment = try #require(try values(client).first).text("commitment")
            try daemon.kill()
            // As if it had been killed between the two: the text is gone, and no event says so.
            var record = before
            let text = try #require(record.range(of: Data("CANARY-ada".utf8)))
            let start = text.lowerBound - 44
            record[start + 6] = 2
            for i in start + 28..<text.upperBound { record[i] = 0 }
            record[start + 28] = 1
            record[start + 32] = 200
            let crc = crc32c(Array(record[start + 4..<text.upperBound]))
            for i in 0..<4 { record[start + i] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * i)) }
            try record.write(to: URL(fileURLWithPath: path))
            for _ in 0..<2 {
                let next = try DaemonProcess(ThroughTheSocket.small, in: daemon.scratch)
                let told = try next.client().events().filter { $0.type == "personal.erased" }
                #expect(told.count == 1 && told.first?.text("actor") == "tollgate", "\(told)")
                #expect(told.first?["commitments"] as? [String] == [commitment])
                #expect(try next.stop() == 0)
            }
        }
        private func crc32c(_ bytes: [UInt8]) -> UInt32 {
            var crc = UInt32.max
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
            }
            return ~crc
        }

        @Test func `who may erase and who may know`() throws {
            let port = try freePort()
            let daemon = try privateDaemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            for (type, account) in [("org", "beta"), ("team", "beta/t"), ("key", "beta/t/k")] {
                _ = try admin.append("\(type).created", #"{"account":"\#(account)"}"#)
            }
            try choose(admin, "beta")
            for key in [key, "beta/t/k"] { _ = try admin.reserve("in=1 user=ada", key: key) }
            func login(_ name: String, _ role: String, _ account: String? = nil) throws -> Client {
                let secret = try newOperator(admin, name, role, in: account)
                let client = try Client(port: port)
                _ = try client.ask("AUTH \(name) \(secret)")
                return client
            }
            for role in ["relay", "auditor", "finance", "developer"] {
                let client = try login(role, role, role == "developer" ? "acme" : nil)
                #expect(try client.ask("ERASE user ada").text.hasPrefix("-NOPERM"), "\(role)")
                let isAuditor = role == "auditor"
                #expect(
                    try client.ask("PERSONAL").text.hasPrefix("-NOPERM") != isAuditor, "\(role)")
            }
            let team = try login("team", "admin", "acme/ml")
            #expect(try team.ask("ERASE user ada").text.contains("acme/ml is no org"))
            #expect(try team.ask("ERASE user ada account=acme").text.hasPrefix("-NOPERM"))
            #expect(
                try team.ask(#"APPEND privacy.set '{"account":"acme","fields":[]}'"#).text
                    .hasPrefix("-NOPERM"))
            let boss = try login("boss", "admin", "beta")
            #expect(try boss.ask("PERSONAL").text.hasPrefix("-NOPERM"))
            #expect(try boss.ask("ERASE user ada account=acme").text.hasPrefix("-NOPERM"))
            // In its own org it sees, erases, and chooses.
            #expect(try boss.ask("EVENTS type=hold.placed").text.contains("\"ada\""))
            #expect(try erase(boss, "user", "ada").number("erased") == 1)
            #expect(!(try boss.ask("EVENTS type=hold.placed").text.contains("\"ada\"")))
            try choose(boss, "beta", "")
            #expect(try values(admin).map { $0.text("account") } == ["acme"])
            for (line, says) in [
                ("ERASE", "wrong number of arguments"), ("ERASE user", "wrong number"),
                ("ERASE project x", "knows no 'project'"), ("ERASE user ada acme", "no name=value"),
                ("ERASE user ada account=nobody", "no account"),
                ("ERASE user ada account=acme/ml", "no org"),
                ("PERSONAL limit=0", "limit= must be"), ("PERSONAL 1", "no name=value"),
                (
                    #"APPEND privacy.set '{"account":"acme/ml","fields":[]}'"#,
                    "is a team's path"
                ),
                (#"APPEND privacy.set '{"account":"acme"}'"#, "needs \"fields\""),
                (
                    #"APPEND privacy.set '{"account":"acme","fields":["id"]}'"#,
                    "knows no field \"id\": there are user, ip, ua"
                ),
                (
                    #"APPEND personal.erased '{"field":"user","commitments":[]}'"#,
                    "APPEND takes no 'personal.erased'"
                ),
            ] {
                let reply = try admin.ask(line)
                #expect(reply.isError && reply.text.contains(says), "\(line) → \(reply)")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `the command line chooses, keeps the choice in a policy, and erases`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let socket = ["--socket", daemon.socketPath]
            let client = try daemon.client()
            for words in [
                ["org", "create", "beta", "--privacy", "user,ip", "--id", "b"],
                ["org", "privacy", "acme", "ua", "user"],
            ] {
                let run = try Program.run(words + socket)
                #expect(run.status == 0, "\(run.errors)")
            }
            for words in [["org", "privacy", "acme"], ["org", "privacy", "acme", "ip", "--none"]] {
                #expect(try Program.run(words + socket).status == 64)
            }
            let policy = try Program.run(["export", "policy"] + socket).output
            #expect(policy.contains("privacy: [user, ua]") && policy.contains("[user, ip]"))
            func apply(_ text: String, _ flags: String...) throws -> String {
                try Program.run(["apply", "-f", "-", "--yes"] + flags + socket, input: text).errors
            }
            #expect(try apply(policy).contains("nothing to do"))
            #expect(
                try apply(policy.replacing("[user, ua]", with: "[ua, user]"))
                    .contains("nothing to do"))
            let less = policy.replacing("    privacy: [user, ua]\n", with: "")
            #expect(try apply(less).contains("its privacy (ua, user) is not in the file"))
            #expect(try client.events().last?.text("account") == "acme")
            _ = try apply(policy.replacing("[user, ua]", with: "[ip]"))
            _ = try client.reserve("in=1 user=ada ip=192.0.2.1")
            let kept = try values(client)
            #expect(kept.map { $0.text("field") } == ["ip"])
            let erase = ["audit", "erase", "--ip", "192.0.2.1", "--account", "acme"] + socket
            #expect(try Program.run(erase).status == 64, "nobody can be asked")
            let erased = try Program.run(erase + ["--yes", "--reason", "request 17"])
            #expect(erased.status == 0 && erased.lines == [kept[0].text("commitment")], "\(erased)")
            #expect(try client.events().last?.text("reason") == "request 17")
            let again = try Program.run(erase + ["--yes"])
            #expect(again.status == 1 && again.errors.contains("nothing is kept"), "\(again)")
            #expect(try Program.run(["audit", "erase", "--yes"] + socket).status == 64)
            #expect(try daemon.stop() == 0)
        }
    }
}

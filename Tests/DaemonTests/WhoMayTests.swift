import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Who may ask what, and that secrets stay secret.
    @Suite struct WhoMay {
        private func newOperator(_ client: Client, _ name: String, _ role: String) throws -> String
        {
            let event = try client.append(
                "operator.created", #"{"operator":"\#(name)","role":"\#(role)"}"#)
            return try #require(event["secret"] as? String)
        }

        @Test func `TCP answers nobody who has not logged in`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let secret = try newOperator(daemon.client(), "boss", "admin")
            let typo = secret.dropLast() + (secret.hasSuffix("x") ? "y" : "x")
            let client = try Client(port: port)
            for line in [
                "RESERVE \(key) \(model) in=1", "USAGE acme", "EVENTS", "LIST orgs", "GET acme",
                "INFO",
                "APPEND org.created '{\"account\":\"x\"}'",
                "CHARGE \(key) \(model) in=1 out=1 id=t",
                "SETTLE 1-1 in=1 out=1", "EXTEND 1-1 out=1", "RELEASE 1-1", "CHECK \(key) \(model)",
                "HELLO 3",
                "CLIENT LIST",
            ] {
                let reply = try client.ask(line)
                #expect(reply.text.hasPrefix("-NOAUTH"), "\(line) → \(reply)")
            }
            #expect(try client.ask("AUTH boss \(typo)").text.hasPrefix("-WRONGPASS"))
            #expect(try client.ask("AUTH ghost \(secret)").text.hasPrefix("-WRONGPASS"))
            #expect(try client.ask("USAGE acme").text.hasPrefix("-NOAUTH"))
            #expect(try client.ask("AUTH boss \(secret)").text == "OK")
            #expect(try client.ask("USAGE acme").text.hasPrefix("{"))
            let guesser = try Client(port: port)
            for _ in 0..<5 {
                #expect(try guesser.ask("AUTH boss wrong").text.hasPrefix("-WRONGPASS"))
            }
            #expect(try guesser.rest() == "", "five wrong passwords end the connection")
            let hello = try Client(port: port)
            let greeting = try hello.ask("HELLO 3 AUTH boss \(secret)")
            #expect(greeting.description.hasPrefix("%$server: $tollgate"), "\(greeting)")
            // Whoever is revoked is so at once, connected or not.
            _ = try daemon.client().append("operator.revoked", #"{"operator":"boss"}"#)
            #expect(try client.ask("USAGE acme").text.hasPrefix("-NOAUTH"))
            #expect(try Client(port: port).ask("AUTH boss \(secret)").text.hasPrefix("-WRONGPASS"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `each role may do its part and is told what it may not`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            let lines = [
                "RESERVE": "RESERVE \(key) \(model) in=1 out=1",
                "CHECK": "CHECK \(key) \(model) in=1",
                "CHARGE": "CHARGE \(key) \(model) in=1 out=1 id=c",
                "SETTLE": "SETTLE 1-1 in=1 out=1", "EXTEND": "EXTEND 1-1 out=1",
                "RELEASE": "RELEASE 1-1", "USAGE": "USAGE acme", "LIST orgs": "LIST orgs",
                "LIST keys": "LIST keys", "GET": "GET \(key)", "EVENTS": "EVENTS",
                "EXPLAIN": "EXPLAIN \(key) \(model)", "EXPLAIN life": "EXPLAIN 1-1",
                "APPEND": #"APPEND alias.set '{"alias":"a","model":"openai/gpt-4.1"}'"#,
            ]
            let may: [String: Set<String>] = [
                "admin": Set(lines.keys),
                "relay": ["RESERVE", "CHECK", "EXTEND", "CHARGE", "SETTLE", "RELEASE"],
                "auditor": [
                    "USAGE", "LIST orgs", "LIST keys", "GET", "EVENTS", "EXPLAIN", "EXPLAIN life",
                ],
                "finance": ["USAGE", "LIST orgs"],
            ]
            for (role, verbs) in may {
                let secret = try newOperator(admin, role + "-1", role)
                let client = try Client(port: port)
                #expect(try client.ask("AUTH \(role)-1 \(secret)").text == "OK")
                for (verb, line) in lines {
                    let reply = try client.ask(line)
                    let isAllowed = !reply.text.hasPrefix("-NOPERM")
                    #expect(
                        isAllowed == verbs.contains(verb),
                        "\(role) \(verb): \(reply.text.prefix(100))")
                }
                let event = try admin.events().last { $0.type == "charge.recorded" }
                if verbs.contains("CHARGE"), role == "relay" { #expect(event != nil) }
            }
            #expect(try daemon.stop() == 0)
        }

        /// What may be asked of an account, and where it is about the account `@` itself, and the roles that may.
        private static let requests: [(line: String, roles: Set<String>)] = [
            ("RESERVE @/k openai/gpt-4.1 in=1 out=1 id=t", ["admin", "relay"]),
            ("CHECK @/k openai/gpt-4.1 in=1 out=1", ["admin", "relay"]),
            ("CHARGE @/k openai/gpt-4.1 in=1 out=1 id=t", ["admin", "relay"]),
            ("SETTLE %settled in=1 out=1", ["admin", "relay"]),
            ("EXTEND %open out=2", ["admin", "relay"]), ("RELEASE %open", ["admin", "relay"]),
            ("SETTLE 9-9 in=1 out=1 key=@/k model=openai/gpt-4.1", ["admin", "relay"]),
            ("USAGE @", ["admin", "auditor", "finance", "developer"]),
            ("USAGE @/k", ["admin", "auditor", "finance", "developer"]),
            ("LIST teams under=@", ["admin", "auditor", "finance", "developer"]),
            ("LIST keys under=@", ["admin", "auditor", "developer"]),
            ("EXPLAIN @/k openai/gpt-4.1 in=1", ["admin", "auditor", "developer"]),
            ("EXPLAIN %settled", ["admin", "auditor", "developer"]),
            ("GET @", ["admin", "auditor"]), ("GET account @/k", ["admin", "auditor"]),
            ("GET hold %open", ["admin", "auditor"]), ("GET operator in-%", ["admin", "auditor"]),
            ("EVENTS account=@", ["admin", "auditor"]),
            (#"APPEND key.created '{"account":"@/new"}'"#, ["admin", "developer"]),
            (#"APPEND key.rotated '{"account":"@/new","grace":60}'"#, ["admin", "developer"]),
            (#"APPEND key.revoked '{"account":"@/spare-&"}'"#, ["admin", "developer"]),
            (#"APPEND account.disabled '{"account":"@/k"}'"#, ["admin"]),
            (#"APPEND account.enabled '{"account":"@/k"}'"#, ["admin"]),
            (#"APPEND account.described '{"account":"@/k","owner":"ana"}'"#, ["admin"]),
            (#"APPEND account.described '{"account":"@","labels":{"a":"b"}}'"#, ["admin"]),
            (
                #"APPEND override.granted '{"account":"@/k","limit":"usd.day","amount":"9","for":60,"reason":"r"}'"#,
                ["admin"]
            ),
            (#"APPEND override.ended '{"account":"@/k","limit":"usd.day"}'"#, ["admin"]),
            ("LIST overrides under=@", ["admin", "auditor", "developer"]),
            (#"APPEND limits.set '{"account":"@/k","limits":{"usd.day":"9"}}'"#, ["admin"]),
            (#"APPEND permissions.set '{"account":"@/k","models":["openai/*"]}'"#, ["admin"]),
            (
                #"APPEND operator.created '{"operator":"o-%-&","role":"relay","account":"@"}'"#,
                ["admin"]
            ),
            (#"APPEND operator.revoked '{"operator":"spare-%"}'"#, ["admin"]),
        ]
        /// What is nobody's who is confined, whatever the role.
        private static let wholeLedger = [
            "INFO", #"APPEND price.set '{"model":"a/b","in":"1","out":"1"}'"#,
            #"APPEND alias.set '{"alias":"a","model":"openai/gpt-4.1"}'"#,
            #"APPEND operator.created '{"operator":"all","role":"auditor"}'"#,
            #"APPEND org.created '{"account":"gamma"}'"#, "USAGE acme", "EVENTS account=acme",
            // Of the account itself: its budget comes from above.
            #"APPEND limits.set '{"account":"acme/in","limits":{"usd.day":"9"}}'"#,
            #"APPEND permissions.set '{"account":"acme/in","models":["openai/*"]}'"#,
            #"APPEND account.disabled '{"account":"acme/in"}'"#,
            #"APPEND override.ended '{"account":"acme/in","limit":"usd.day"}'"#,
            #"APPEND credit.granted '{"account":"acme","usd":"1","source":"card"}'"#,
            #"APPEND charge.corrected '{"account":"acme/in/k","charge":"1-1","usd":"0","id":"x"}'"#,
            #"APPEND billing.set '{"account":"acme","markup_ppm":0,"currency":"CNY","rate":"1"}'"#,
        ]

        /// Role × verb × inside and outside the subtree: the role says what, the account says where, and whoever
        /// is refused is told which roles may.
        @Test(arguments: ["admin", "relay", "auditor", "finance", "developer"])
        func `a confined operator does its part in its part of the tree`(role: String) throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon(["--tcp", "127.0.0.1:\(port)"])
            let admin = try daemon.client()
            for team in ["in", "out"] {
                for (type, account) in [
                    ("team", "acme/\(team)"), ("key", "acme/\(team)/k"),
                    ("key", "acme/\(team)/spare-\(role)"),
                ] {
                    _ = try admin.append("\(type).created", #"{"account":"\#(account)"}"#)
                }
                _ = try admin.append(
                    "operator.created",
                    #"{"operator":"spare-\#(team)","role":"relay","account":"acme/\#(team)"}"#)
                _ = try admin.append(
                    "operator.created",
                    #"{"operator":"in-\#(team)","role":"relay","account":"acme/\#(team)"}"#)
            }
            let secret = try #require(
                try admin.append(
                    "operator.created",
                    #"{"operator":"me","role":"\#(role)","account":"acme/in"}"#)["secret"]
                    as? String)
            let client = try Client(port: port)
            #expect(try client.ask("AUTH me \(secret)").text == "OK")
            func hold(_ team: String) throws -> String {
                let reply = try admin.ask("RESERVE acme/\(team)/k \(model) in=1 out=1").text
                return String(reply.split(separator: " ")[1])
            }
            let start = try admin.number("seq")
            for (line, roles) in Self.requests {
                for team in ["in", "out"] {
                    let settled = try hold(team)
                    _ = try admin.ask("SETTLE \(settled) in=1 out=1")
                    let asked = line.replacingOccurrences(of: "%settled", with: settled)
                        .replacingOccurrences(of: "%open", with: try hold(team))
                        .replacingOccurrences(of: "%", with: team)
                        .replacingOccurrences(of: "&", with: role)
                        .replacingOccurrences(of: "@", with: "acme/\(team)")
                    let before = try admin.number("seq")
                    let reply = try client.ask(asked).text
                    if roles.contains(role), team == "in" {
                        #expect(!reply.hasPrefix("-"), "\(role): \(asked) → \(reply)")
                        continue
                    }
                    #expect(reply.hasPrefix("-NOPERM "), "\(role): \(asked) → \(reply)")
                    for other in roles {
                        let named = reply.split(separator: ";").last ?? ""
                        #expect(named.contains(other), "\(asked) → \(reply) names \(other)")
                    }
                    #expect(try admin.number("seq") == before, "\(asked) changes nothing")
                }
            }
            for line in Self.wholeLedger {
                let reply = try client.ask(line).text
                #expect(reply.hasPrefix("-NOPERM "), "\(role): \(line) → \(reply)")
            }
            // Every event that came of it says who did it; the holds are the owner's.
            let done = try admin.events(from: start + 1)
                .filter { !$0.type.hasPrefix("hold.") && $0.type != "window.opened" }
            #expect(done.allSatisfy { $0.text("actor") == "me" }, "\(done)")
            let appended = Self.requests.filter {
                $0.line.hasPrefix("APPEND ") && $0.roles.contains(role)
            }
            let types = Set(done.map(\.type)).subtracting(["charge.recorded"])
            let asked = appended.map { String($0.line.split(separator: " ")[1]) }
            #expect(types == Set(asked), "\(role)")
            // Prices are for all who may list; a listing without a place shows one's own part.
            if role != "relay" {
                #expect(try client.ask("LIST prices").text.hasPrefix("{"))
                let teams = try client.ask("LIST teams").text
                #expect(teams.contains("acme/in") && !teams.contains("acme/out"), "\(teams)")
            }
            if role == "auditor" || role == "admin" {
                let seen = try client.ask("EVENTS").text
                #expect(seen.contains("acme/in") && !seen.contains("acme/out"), "\(seen)")
                let operators = try client.ask("LIST operators").text
                #expect(
                    operators.contains("in-in") && !operators.contains("in-out"), "\(operators)")
            }
            #expect(try daemon.stop() == 0)
        }

        @Test func `a Unix peer of another user is nobody until it logs in`() throws {
            guard geteuid() == 0 else {
                print("skipped: only root can be somebody else")
                return
            }
            let daemon = try ThroughTheSocket.daemon(socket: "sock")
            let mode = try FileManager.default.attributesOfItem(atPath: daemon.socketPath)[
                .posixPermissions]
            #expect(mode as? Int == 0o660)
            let secret = try newOperator(daemon.client(), "guest", "auditor")
            chmod(daemon.scratch.path, 0o755)
            func asNobody(_ words: [String], _ environment: [String: String] = [:]) throws -> (
                Int32, String
            ) {
                let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
                let run = try ChildProcess(
                    nobody + [DaemonProcess.binary, "call", "--socket", daemon.socketPath] + words,
                    environment: environment, in: daemon.scratch, name: "nobody")
                return (try run.wait(), run.standardOutput + run.standardError)
            }
            let shut = try asNobody(["USAGE acme"])
            #expect(
                shut.0 != 0 && !shut.1.contains("\"account\""), "the mode keeps it out: \(shut)")
            chmod(daemon.socketPath, 0o666)
            let unknown = try asNobody(["USAGE acme"])
            #expect(unknown.0 == 77 && unknown.1.contains("NOAUTH"), "\(unknown)")
            let known = try asNobody(
                ["--user", "guest", "USAGE acme"], ["TOLLGATE_SECRET": secret])
            #expect(known.0 == 0 && known.1.contains("\"account\""), "\(known)")
            let over = try asNobody(
                ["--user", "guest", "CHARGE \(key) \(model) in=1 out=1 id=n"],
                ["TOLLGATE_SECRET": secret])
            #expect(over.0 == 77, "\(over)")
            #expect(try daemon.stop() == 0)
        }

        @Test func `secrets stand in no file, no log line and no answer but the first`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small + ["--log-level", "trace"])
            let client = try daemon.client()
            try client.furnish(key: "acme/ml/first")
            let event = try client.append(
                "key.created", #"{"account":"\#(key)","environment":"live"}"#)
            let ours = try #require(event["secret"] as? String)
            #expect(ours.hasPrefix("tg_live_"))
            let boss = try newOperator(client, "boss", "admin")
            // One letter off the checksum, of the right form with a right checksum, and no form at all.
            let typo = String(ours.dropLast()) + (ours.hasSuffix("a") ? "b" : "a")
            let wrong = [
                typo, "tg_live_CANARY\(String(repeating: "0", count: 30))", "CANARY-password-42",
            ]
            var answers = ""
            _ = try client.reserve("in=1 out=1", key: ours)
            for secret in wrong {
                for line in [
                    "RESERVE \(secret) \(model) in=1 out=1", "CHECK \(secret) \(model)",
                    "CHARGE \(secret) \(model) in=1 out=1 id=\(secret.count)",
                    "AUTH boss \(secret)",
                    "SETTLE 9-9 in=1 out=1 key=\(secret) model=\(model)",
                ] {
                    answers += try client.ask(line).text + "\n"
                }
            }
            #expect(answers.contains("key_unknown"), "\(answers)")
            #expect(try daemon.client().ask("AUTH boss \(boss)").text == "OK")
            let reader = try daemon.client()
            for line in [
                "EVENTS", "GET \(key)", "LIST keys", "LIST operators", "GET operator boss", "INFO",
                "USAGE \(key)", "CLIENT LIST",
                #"APPEND key.created '{"account":"\#(key)","environment":"live"}'"#,
            ] {
                answers += try reader.ask(line).text + "\n"
            }
            let secrets = [ours, boss] + wrong
            for secret in secrets { #expect(!answers.contains(secret), "\(secret) in an answer") }
            // As it stands while running, and as it is left behind.
            try look(daemon, for: secrets)
            #expect(try daemon.stop() == 0)
            try look(daemon, for: secrets)
            for secret in secrets {
                #expect(!daemon.errors.contains(secret), "\(secret) in the log")
            }
        }
        private func look(_ daemon: DaemonProcess, for secrets: [String]) throws {
            for name in try FileManager.default.subpathsOfDirectory(atPath: daemon.dataPath) {
                guard let data = FileManager.default.contents(atPath: daemon.dataPath + "/" + name)
                else {
                    continue
                }
                for secret in secrets {
                    #expect(data.range(of: Data(secret.utf8)) == nil, "\(secret) in \(name)")
                }
            }
        }
    }
}

/// A port that was free a moment ago.
func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let found = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
        }
    }
    try #require(found)
    return UInt16(bigEndian: address.sin_port)
}

import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

@Suite struct `A policy file` {
    @Test(
        arguments: [
            ("", "policy.yaml is empty"),
            ("orgs: [a]", "policy.yaml:1: orgs must be a list of names"),
            ("orgs:\n  acme:\n  acme:\n", "two entries for \"acme\": keep one"),
            ("teams: {}", "policy.yaml:1: unknown section \"teams\""),
            ("orgs:\n  Acme: {}", "policy.yaml:2: \"Acme\" is no name of an org"),
            ("orgs:\n  acme:\n    zones: UTC", "policy.yaml:3: acme has no field \"zones\""),
            ("orgs:\n  acme:\n    limits: {usd.year: 1}", "there is no limit \"usd.year\""),
            (
                "orgs:\n  acme:\n    limits: {requests.minute: 1.5}",
                "requests.minute: 1.5 is no whole number"
            ),
            ("aliases: {a: b, b: c, c: a}", "aliases in a circle: a → b → c → a"),
            ("aliases: {fast: quick}", "neither provider/model nor an alias in this file"),
            ("prices:\n  OpenAI/x: {in: 1, out: 1}\n  openai/x: {in: 2, out: 2}", "line 2, too"),
            (
                "orgs:\n  acme: {limits: {usd.day: 1}",
                "policy.yaml:3:1: did not find expected ',' or '}'"
            ),
            ("a: *b", "undefined alias"),
        ])
    func `with a mistake says where and how to mend it`(text: String, says: String) {
        do throws(CommandFailure) {
            _ = try PolicyFile(reading: text, path: "policy.yaml")
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.status == .data)
            #expect(error.message.contains(says), "\(error.message)")
        }
    }
    /// Everything in a policy file that is an amount, in its line 7, and an amount that is none there.
    private static let amounts: [(section: String, amount: String)] = [
        (
            "orgs:\n acme:\n  zone: UTC\n  limits:\n   usd.day: 1\n   tokens.day: 1\n   usd.month: ",
            "1e3"
        ),
        (
            "orgs:\n acme:\n  teams:\n   ml:\n    limits:\n     usd.day: 1\n     usd.total: ",
            "5.0000000001"
        ),
        (
            "orgs:\n acme:\n  zone: UTC\n  limits:\n   usd.day: 1\n   usd.week: 1\n   tokens.day: ",
            "1.5"
        ),
        (
            "orgs:\n acme:\n  zone: UTC\n  limits:\n   usd.day: 1\n   usd.week: 1\n   concurrency: ",
            "many"
        ),
        (
            "orgs:\n acme:\n  zone: UTC\n  billing:\n   currency: CNY\n   markup_ppm: 0\n   rate: ",
            "0"
        ),
        (
            "orgs:\n acme:\n  zone: UTC\n  billing:\n   currency: CNY\n   rate: 7.3\n   markup_ppm: ",
            "1.5"
        ),
        ("orgs:\n acme:\n  teams:\n   ml:\n    keys:\n     a:\n      rotate_every: ", "1.5"),
        (
            "orgs:\n acme:\n  routing:\n   fallback: a/b\n   rules:\n    - {name: x, model: a/b, match: {in: 1}}\n    - {name: y, model: a/b, match: {out: X}}",
            "1.5"
        ),
        (
            "orgs:\n acme:\n  routing:\n   fallback: a/b\n   rules:\n    - {name: x, model: a/b, match: {in: 1}}\n    - {name: y, model: a/b, match: {temperature: X}}",
            "101"
        ),
        (
            "prices:\n a/a: {in: 1, out: 1}\n a/b:\n  out: 1\n  cached: 1\n  cache_write: 1\n  in: ",
            "0.0000001"
        ),
        (
            "prices:\n a/a: {in: 1, out: 1}\n a/b:\n  in: 1\n  out: 1\n  cached: 1\n  reasoning: ",
            "1e3"
        ),
        (
            "prices:\n a/a: {in: 1, out: 1}\n a/b:\n  in: 1\n  out: 1\n  cached: 1\n  request: ",
            "1e3"
        ),
        ("prices:\n a/a: {in: 1, out: 1}\n a/b:\n  in: 1\n  out: 1\n  cached: 1\n  max_out: ", "0"),
        (
            "prices:\n a/b:\n  in: 1\n  out: 1\n  variants:\n   - {tier: batch, in: 1, out: 1}\n   - {tier: flex, in: 1, out: X}",
            "1e3"
        ),
        (
            "prices:\n a/b:\n  in: 1\n  out: 1\n  variants:\n   - {tier: batch, in: 1, out: 1}\n   - {in: 1, out: 1, above: X}",
            "1.5"
        ),
    ]
    @Test(arguments: amounts)
    func `refuses each amount that cannot be read, where it stands`(
        section: String, amount: String
    ) throws {
        func text(_ amount: String) -> String {
            section.hasSuffix(" ") ? section + amount : section.replacing("X", with: amount)
        }
        _ = try PolicyFile(reading: text("1"), path: "policy.yaml")
        let bad = [
            amount, "banana", "-3", "+5", "\"5 \"", "true", "99999999999999999999", "0x5", "1,5",
            "1_000", ".inf", "[1]", "{a: 1}",
        ]
        for amount in bad {
            // In a flow a comma begins the next entry.
            let amount = amount == "1,5" ? "\"1,5\"" : amount
            let error = #expect(throws: CommandFailure.self, "\(amount)") {
                try PolicyFile(reading: text(amount), path: "policy.yaml")
            }
            #expect(error?.status == .data)
            #expect(error?.message.hasPrefix("policy.yaml:7: ") == true, "\(error?.message ?? "")")
        }
    }
    @Test(
        arguments: [
            ("models: openai/x", "\"models\" must be a list"),
            ("models: [1]", "\"models\" must be a list of texts"),
            ("scopes: chat", "\"scopes\" must be a list"),
            ("disabled: yes", "disabled wants true or false"),
            ("disabled: \"true\"", "disabled wants true or false"),
            ("privacy: user", "\"fields\" must be a list"),
            ("privacy: [name]", "there are user, ip, ua"),
            ("labels: blue", "\"labels\" must be an object"),
            ("on_lapse: keep", "say release, charge_input or charge_hold"),
            ("billing: {markup_ppm: 1, currency: yuan, rate: 1}", "three capital letters"),
            ("billing: {markup_ppm: 1, rate: 1}", "needs \"currency\""),
            ("routing: {rules: []}", "needs \"fallback\""),
        ])
    func `refuses what would pass for nothing`(field: String, says: String) {
        let error = #expect(throws: CommandFailure.self) {
            try PolicyFile(reading: "orgs:\n  acme:\n    \(field)\n", path: "policy.yaml")
        }
        #expect(error?.message.hasPrefix("policy.yaml:3: acme: ") == true)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    }
    @Test func `does not tell a secret that stands where its digest belongs`() {
        let text = "orgs: {a: {teams: {b: {keys: {c: {secret_sha256: tg_hidden}}}}}}"
        let error = #expect(throws: CommandFailure.self) {
            try PolicyFile(reading: text, path: "policy.yaml")
        }
        #expect(error?.message.contains("64 hexadecimal digits") == true)
        #expect(error?.message.contains("hidden") == false)
    }
    @Test func `does not unfold without end`() {
        var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (name, before) in zip("bcdefgh", "abcdefg") {
            let tenTimes = Array(repeating: "*\(before)", count: 10).joined(separator: ", ")
            text += "\(name): &\(name) [\(tenTimes)]\n"
        }
        #expect(throws: CommandFailure.self) {
            try PolicyFile(reading: text, path: "policy.yaml")
        }
    }
    @Test func `keeps amounts as they were written`() throws {
        let file = try PolicyFile(
            reading: """
                orgs: {acme: {limits: {usd.day: 500.10, tokens.day: 7}}}
                prices: {openai/x: {in: 0.000001, out: "2", max_out: 9}}
                aliases: {x: y, y: openai/x}
                """, path: "policy.yaml")
        #expect(
            file.accounts[0].entry["limits"]
                == .object([
                    JSON.Member("usd.day", .string("500.10")),
                    JSON.Member("tokens.day", .integer(7)),
                ]))
        #expect(file.prices[0]["in"] == .string("0.000001"))
        #expect(file.prices[0]["max_out"] == .integer(9))
        #expect(file.aliases.map(\.model) == ["openai/x", "openai/x"])
    }
    @Test(
        arguments: [
            "plain", "two words", "true", "12", "1e3", "", "- a", "a: b", "#x", "\"q\" \\ \n",
            "chat:create", "2026-01-01", "*x", "ü", "no",
        ])
    func `gives back every text that is written into it`(text: String) throws {
        var writer = PolicyWriter()
        writer.write([JSON.Member("name", .object([JSON.Member(text, .strings([text]))]))])
        let read = try PolicyNode.read(writer.text, path: "x")
        #expect(
            read.json
                == .object([
                    JSON.Member("name", .object([JSON.Member(text, .strings([text]))]))
                ]))
    }
}

extension ThroughTheSocket {
    @Suite struct Policies {
        private static let policy = """
            orgs:
              acme:
                zone: Europe/Berlin
                limits: {usd.month: 7500}
                teams:
                  ml-platform:
                    limits: {usd.month: 5000.00, usd.day: 500, requests.minute: 1200}
                    models: [gpt-4.1, google/gemini-2.5-flash]
                    keys:
                      prod: {owner: ana, environment: production, models: [gpt-4.1]}
                      dev: {limits: {usd.month: 500}}
            prices:
              openai/gpt-4.1: {in: 8, out: 24, max_out: 32768}
              google/gemini-2.5-flash: {in: 2.5, out: 10}
            aliases: {gpt-4.1: openai/gpt-4.1}
            """
        private func apply(
            _ text: String, _ daemon: DaemonProcess, _ flags: String...
        ) throws -> Program.Run {
            try Program.run(
                ["apply", "-f", "-", "--socket", daemon.socketPath] + flags, input: text)
        }

        @Test func `is applied once, and again nothing is to do`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            let before = try client.events().count
            let looked = try apply(Self.policy, daemon, "--dry-run")
            #expect(looked.status == 0)
            #expect(looked.errors.contains("7 events"))
            let unasked = try apply(Self.policy, daemon)
            #expect(unasked.status == 64)
            #expect(unasked.errors.contains("say --yes"))
            #expect(try client.events().count == before)

            let applied = try apply(Self.policy, daemon, "--yes", "--reason", "Q4")
            #expect(applied.status == 0, "\(applied.errors)")
            let secrets = applied.lines.map { $0.split(separator: "\t") }
            #expect(
                secrets.map { String($0[0]) }
                    == ["acme/ml-platform/prod", "acme/ml-platform/dev"])
            let answer = try client.ask("CHECK \(secrets[0][1]) gpt-4.1 in=1 out=1")
            #expect(answer.words.first == "ALLOW", "\(answer)")
            #expect(try client.events().last?.text("reason") == "Q4")

            let count = try client.events().count
            let again = try apply(Self.policy, daemon, "--yes")
            #expect(again.errors.contains("nothing to do"))
            let exported = try Program.run(["export", "policy", "--socket", daemon.socketPath])
            #expect(exported.status == 0)
            #expect(try apply(exported.output, daemon, "--yes").errors.contains("nothing to do"))
            #expect(try client.events().count == count)
            #expect(try daemon.stop() == 0)
        }

        @Test func `with an amount that cannot be read sets none of them`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            _ = try apply(Self.policy, daemon, "--yes")
            let (count, from) = (try client.events().count, try #require(client.events().last).seq)
            // A limit that the org does not have yet.
            let wrong = Self.policy.replacing(
                "{usd.month: 7500}", with: "{usd.month: 7600, usd.day: banana}")
            for run in [
                try apply(wrong, daemon, "--yes"),
                try Program.run(
                    [
                        "audit", "whatif", "--policy", "-", "--from", "\(from)", "--socket",
                        daemon.socketPath,
                    ], input: wrong),
            ] {
                #expect(run.status == 65)
                #expect(run.errors.contains("stdin:4: acme: \"usd.day\" must be a plain decimal"))
                #expect(run.errors.contains("the file says banana"), "\(run.errors)")
            }
            #expect(try client.events().count == count)
            #expect(try daemon.stop() == 0)
        }

        @Test func `takes nothing away silently`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            _ = try apply(Self.policy, daemon, "--yes")
            let count = try client.events().count
            let less = Self.policy
                .replacing("          dev: {limits: {usd.month: 500}}\n", with: "")
                .replacing(", usd.day: 500", with: "").replacing(
                    "        models: [gpt-4.1, google/gemini-2.5-flash]\n", with: "")
            let refused = try apply(less, daemon, "--yes")
            #expect(refused.status == 65)
            for missing in ["acme/ml-platform/dev is not in the file", "usd.day=500", "models"] {
                #expect(refused.errors.contains(missing), "\(refused.errors)")
            }
            #expect(try client.events().count == count)
            let pruned = try apply(less, daemon, "--yes", "--prune")
            #expect(pruned.status == 0, "\(pruned.errors)")
            let dev = try client.ask("CHECK acme/ml-platform/dev gpt-4.1 in=1 out=1")
            #expect(dev.text.hasPrefix("DENY 401 key_revoked"), "\(dev)")
            #expect(try apply(less, daemon, "--yes").errors.contains("nothing to do"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `changes what differs, parents first`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            _ = try apply(Self.policy, daemon, "--yes")
            let more = Self.policy.replacing("usd.month: 7500", with: "usd.month: 9000")
                .replacing("usd.month: 5000.00", with: "usd.month: 9000")
                .replacing("owner: ana", with: "owner: bo").replacing("in: 8", with: "in: 9")
            let applied = try apply(more, daemon, "--yes")
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(
                try client.events().suffix(4).map(\.type)
                    == ["price.set", "limits.set", "limits.set", "account.described"])
            let fixed = try apply(
                Self.policy.replacing("Europe/Berlin", with: "Asia/Tokyo"), daemon, "--yes")
            #expect(fixed.status == 65)
            #expect(fixed.errors.contains("zone is Europe/Berlin and stays so"))
            #expect(try daemon.stop() == 0)
        }

        /// Everything that a file may say, in the spellings that people use.
        private static let everything = """
            orgs:
              acme:
                name: Acme
                unpriced: allow
                on_lapse: charge_input
                limits: {usd.month: 100.50, concurrency: 9}
                billing: {markup_ppm: 150000, currency: CNY, rate: 7.30}
                routing:
                  rules:
                    - name: short
                      match: {out: 500, temperature: 0.30, prompt: [Summarize], batch: true}
                      model: cheap
                      fallback: Openai/GPT-4.1
                  fallback: openai/gpt-4.1
                teams:
                  off:
                    disabled: true
                    labels: {cost-centre: 0815}
                  ml:
                    scopes: [chat]
                    routing: {rules: [], fallback: cheap}
                    keys:
                      a: {owner: 12, expires: 2031-01-01T01:00:00+01:00, rotate_every: 7776000}
                      b: {revoked: true}
                      c: {disabled: true, models: [cheap, openai/*]}
            prices:
              openai/gpt-4.1:
                in: 2
                out: 8
                cached: 0.50
                capabilities: [vision, tools]
                variants: [{tier: batch, in: 1, out: 4}, {above: 200000, in: 4, out: 12}]
              deepseek/v3: {in: 0.28, out: 0.42, request: 0.001, max_out: 8192, context: 65536}
            aliases: {cheap: fast, fast: deepseek/v3}
            operators:
              relay-1: {role: relay}
              ada: {role: developer, account: acme/ml}
            """
        @Test func `says everything, is exported, and makes the same ledger elsewhere`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            let applied = try apply(Self.everything, daemon, "--yes")
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(applied.lines.count == 4, "secrets of two keys and two operators")
            let again = try apply(Self.everything, daemon, "--yes")
            #expect(again.errors.contains("nothing to do"), "\(again.errors)")
            let routed = try client.ask("CHECK acme/ml/a auto in=1 out=1 scope=chat")
            #expect(routed.text.contains("model=deepseek/v3"), "\(routed)")

            let export = ["export", "policy", "--socket", daemon.socketPath]
            let first = try Program.run(export)
            let unchanged = try apply(first.output, daemon, "--yes")
            #expect(unchanged.errors.contains("nothing to do"), "\(unchanged.errors)")
            let other = try DaemonProcess(ThroughTheSocket.small)
            let elsewhere = try apply(first.output, other, "--yes")
            #expect(elsewhere.status == 0, "\(elsewhere.errors)")
            let second = try Program.run(["export", "policy", "--socket", other.socketPath])
            #expect(second.output == first.output)

            let less = Self.everything.replacing(
                "        routing: {rules: [], fallback: cheap}\n", with: "")
            let refused = try apply(less, daemon, "--yes")
            #expect(refused.status == 65)
            #expect(refused.errors.contains("acme/ml: its routing is not in the file"))
            let pruned = try apply(less, daemon, "--yes", "--prune")
            #expect(pruned.status == 0, "\(pruned.errors)")
            let orgs = try client.ask("CHECK acme/ml/a auto in=1 out=1 scope=chat")
            #expect(orgs.text.contains("model=openai/gpt-4.1"), "\(orgs)")
            #expect(try daemon.stop() == 0)
            #expect(try other.stop() == 0)
        }

        @Test func `starts nothing again that somebody stopped`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            _ = try apply(Self.policy, daemon, "--yes")
            for account in ["acme/ml-platform", "acme/ml-platform/dev"] {
                _ = try client.append("account.disabled", #"{"account":"\#(account)"}"#)
            }
            let refused = try apply(Self.policy, daemon, "--yes", "--prune")
            #expect(refused.status == 65)
            #expect(refused.errors.contains("acme/ml-platform is disabled"), "\(refused.errors)")
            #expect(refused.errors.contains("acme/ml-platform/dev is disabled"))
            let meant = Self.policy.replacing(
                "          dev: {", with: "          dev: {disabled: true, "
            ).replacing(
                "      ml-platform:\n", with: "      ml-platform:\n        disabled: false\n")
            #expect(try apply(meant, daemon, "--yes").status == 0)
            #expect(
                try client.ask("CHECK acme/ml-platform/prod gpt-4.1 in=1 out=1").words.first
                    == "ALLOW")
            #expect(try daemon.stop() == 0)
        }

        @Test func `of an admin of one team is about that team only`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let client = try daemon.client()
            _ = try apply(Self.policy, daemon, "--yes")
            let account = #""account":"acme/ml-platform""#
            let secret = try client.append(
                "operator.created", #"{"operator":"lead","role":"admin",\#(account)}"#
            ).text("secret")
            func asLead(_ words: [String], _ input: String = "") throws -> Program.Run {
                try Program.run(
                    words + ["--user", "lead", "--socket", daemon.socketPath],
                    ["TOLLGATE_SECRET": secret], input: input)
            }
            let export = try asLead(["export", "policy"])
            #expect(export.status == 0, "\(export.errors)")
            #expect(
                export.output.contains("      ml-platform:\n") && export.output.contains("prod:"))
            #expect(!export.output.contains("Europe/Berlin"), "the org is not its to see")
            let apply = ["apply", "-f", "-", "--yes"]
            let again = try asLead(apply, export.output)
            #expect(again.errors.contains("nothing to do"), "\(again.errors)")
            let more = try asLead(
                apply,
                export.output.replacing(
                    "          prod:", with: "          new: {}\n          prod:"))
            #expect(more.status == 0, "\(more.errors)")
            #expect(more.lines.first?.hasPrefix("acme/ml-platform/new\ttg_") == true)

            // Everybody's file: nothing of it is appended, and what stands outside is named.
            let count = try client.events().count
            let whole = try asLead(
                apply,
                Self.policy.replacing("in: 8", with: "in: 9") + "\noperators: {ada: {role: relay}}")
            #expect(whole.status == 65)
            for says in [
                "acme: operator lead is confined to acme/ml-platform", "openai/gpt-4.1", "ada",
            ] {
                #expect(whole.errors.contains(says), "\(whole.errors)")
            }
            #expect(try client.events().count == count)
            #expect(try daemon.stop() == 0)
        }

        @Test func `may have many keys`() throws {
            let daemon = try DaemonProcess(ThroughTheSocket.small)
            let count = ThroughTheSocket.isLong ? 10_000 : 1_500
            let keys = (0..<count).map { "          k\($0): {owner: o\($0 % 7)}\n" }.joined()
            let text =
                "orgs:\n  acme:\n    teams:\n      ml:\n        keys:\n" + keys
            let applied = try apply(text, daemon, "--yes")
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(applied.lines.count == count)
            #expect(try apply(text, daemon, "--yes").errors.contains("nothing to do"))
            #expect(try daemon.stop() == 0)
        }
    }
}

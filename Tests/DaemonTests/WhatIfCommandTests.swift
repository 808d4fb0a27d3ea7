import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate audit whatif`: a past period under another policy file.
    @Suite struct `audit whatif` {
        private struct Past {
            var daemon: DaemonProcess
            /// The first event of the period.
            var from: Int
            /// What stood when it began, as a policy file.
            var policy: String
        }
        private static func whatIf(_ words: [String], _ policy: String) throws -> Program.Run {
            try Program.run(["audit", "whatif", "--policy", "-"] + words, input: policy)
        }
        private static func json(_ run: Program.Run) throws -> [String: Any] {
            let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
            return try #require(object as? [String: Any], "\(run)")
        }
        /// Two requests that cost 0.0001 each, one that was refused, a limit that was raised, and another
        /// request.
        private static func past() throws -> Past {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.append(
                "limits.set", #"{"account":"acme","limits":{"usd.total":"0.0002"}}"#)
            let policy = try Program.run(["export", "policy", "--socket", daemon.socketPath]).output
            let from = try #require(try client.events().last).seq + 1
            for _ in 0..<2 {
                let hold = try client.reserve("in=10 out=10")
                _ = try client.ask("SETTLE \(hold) in=10 out=10")
            }
            #expect(
                try client.ask("RESERVE \(key) \(model) in=5 out=5").words.first == "DENY")
            _ = try client.append(
                "limits.set", #"{"account":"acme","limits":{"usd.total":"0.001"}}"#)
            _ = try client.append("key.created", #"{"account":"acme/ml/later"}"#)
            let hold = try client.reserve("in=10 out=10")
            _ = try client.ask("SETTLE \(hold) in=10 out=5")
            return Past(daemon: daemon, from: from, policy: policy)
        }

        @Test func `an unchanged policy reports no difference`() throws {
            let past = try Self.past()
            let from = ["--from", "\(past.from)"]
            let run = try Self.whatIf(from + ["--socket", past.daemon.socketPath], past.policy)
            #expect(run.status == 0, "\(run)")
            #expect(run.output.contains("stdin says what stood then"), "\(run.output)")
            #expect(run.lines.contains { $0.hasPrefix("difference") && $0.hasSuffix("none") })
            let told = try Self.json(
                try Self.whatIf(from + ["--dir", past.daemon.dataPath, "--json"], past.policy))
            #expect(told["same"] as? Bool == true)
            #expect(told.number("requests") == 4 && told.number("refused_then") == 1)
            #expect(told.text("usd_then") == "0.00026" && told.text("usd_here") == "0.00026")
            #expect((told["changes"] as? [Any])?.isEmpty == true)
            #expect(try past.daemon.stop() == 0)
        }

        @Test func `another limit says who would have been refused or admitted`() throws {
            let past = try Self.past()
            let words = ["--from", "\(past.from)", "--socket", past.daemon.socketPath]
            func told(_ limit: String) throws -> [String: Any] {
                try Self.json(
                    try Self.whatIf(
                        words + ["--json"], past.policy.replacing("0.0002", with: limit)))
            }
            let tighter = try told("0.00015")
            #expect(tighter["changes"] as? [String] == ["acme: usd.total=0.00015 (was 0.0002)"])
            let refused = try #require((tighter["refused"] as? [[String: Any]])?.first)
            #expect(refused.text("account") == key && refused.text("limit") == "usd.total")
            #expect(refused.text("scope") == "acme" && refused.number("requests") == 2)
            #expect(refused.text("usd_then") == "0.00016")
            // It finds room for the small one that was refused then.
            let admitted = try #require((tighter["admitted"] as? [[String: Any]])?.first)
            #expect(admitted.text("usd_estimated") == "0.00005")
            #expect(tighter.text("usd_difference") == "-0.00011")
            #expect((tighter["not_known"] as? [String: Any])?.number("left_out") == 1)
            let accounts = try #require(tighter["accounts"] as? [[String: Any]])
            #expect(accounts.map { $0.text("account") } == ["acme", "acme/ml", key])
            #expect(accounts.allSatisfy { $0.text("usd_difference") == "-0.00011" })

            let looser = try told("1")
            #expect((looser["refused"] as? [Any])?.isEmpty == true)
            #expect(looser.text("usd_estimated") == "0.00005")
            #expect(looser.text("usd_difference") == "0.00005")
            let before = try past.daemon.client().events().count
            let people = try Self.whatIf(
                words, past.policy.replacing("0.0002", with: "0.00015"))
            for line in [
                "saves          0.00011", "refused here, admitted then",
                "\(key)  budget_exhausted  acme usd.total         2    0.00016",
            ] { #expect(people.output.contains(line), "\(line) in \(people.output)") }
            #expect(try past.daemon.client().events().count == before, "nothing is appended")
            #expect(try past.daemon.stop() == 0)
        }

        /// A period in which an org of everything is made, and one key more of a team that was there.
        private static func births() throws -> Past {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let from = try #require(try client.events().last).seq + 1
            func spend(_ key: String) throws {
                let words = try client.ask("RESERVE \(key) \(model) in=10 out=10").words
                guard words.first == "ALLOW" else { return }
                _ = try client.ask("SETTLE \(words[1]) in=10 out=10")
            }
            _ = try client.append(
                "key.created", #"{"account":"acme/ml/late","limits":{"requests.day":1}}"#)
            for _ in 0..<2 { try spend("acme/ml/late") }
            _ = try client.append(
                "limits.set",
                #"{"account":"acme/ml/late","limits":{"requests.day":9,"tokens.day":90}}"#)
            for _ in 0..<5 { try spend("acme/ml/late") }
            _ = try client.append("org.created", #"{"account":"new","zone":"Asia/Tokyo"}"#)
            _ = try client.append("team.created", #"{"account":"new/team"}"#)
            _ = try client.append(
                "key.created", #"{"account":"new/team/key","rotate_every":90000}"#)
            try spend("new/team/key")
            _ = try client.append(
                "key.rotated", #"{"account":"new/team/key","rotate_every":180000}"#)
            try spend("new/team/key")
            let policy = try Program.run(["export", "policy", "--socket", daemon.socketPath]).output
            _ = try client.append("key.revoked", #"{"account":"new/team/key"}"#)
            return Past(daemon: daemon, from: from, policy: policy)
        }

        @Test func `what is created within the period has the file's word from there on`() throws {
            let past = try Self.births()
            let socket = ["--socket", past.daemon.socketPath, "--json"]
            func told(_ policy: String, _ words: [String] = []) throws -> [String: Any] {
                let run = try Self.whatIf(["--from", "\(past.from)"] + words + socket, policy)
                #expect(run.status == 0, "\(policy): \(run)")
                return try Self.json(run)
            }
            func requests(_ told: [String: Any], _ what: String) throws -> [String] {
                try #require(told[what] as? [[String: Any]]).map {
                    "\($0.text("account")) \($0.text("reason")) \($0.number("requests"))"
                }
            }
            // Admitted then: 1 of 2 for its requests, then 3 of 5 for its tokens; and 2 of the other key.
            let late = "acme/ml/late", other = "new/team/key"
            for (policy, words, changes, refused, admitted) in [
                // What it was created with stands until the period changes it.
                (
                    "orgs: {acme: {teams: {ml: {keys: {late: {limits: {requests.day: 1}}}}}}}", [],
                    [], [], []
                ),
                // The file's word stands over the period's later change of the same limit, not of others.
                (
                    "orgs: {acme: {teams: {ml: {keys: {late: {limits: {requests.day: 2}}}}}}}", [],
                    ["\(late): requests.day=2 (was 1), from event \(past.from) on"],
                    ["\(late) requests_exhausted 3"], ["\(late) requests_exhausted 1"]
                ),
                // What creation gave and the file leaves out stays, unless it is to go.
                (
                    "orgs: {acme: {teams: {ml: {keys: {late: {}, prod: {}}}}}}", ["--prune"],
                    [
                        "\(late): limits requests.day=1 are not in the file, from event \(past.from) on"
                    ], ["\(late) tokens_exhausted 1"], ["\(late) requests_exhausted 1"]
                ),
                (
                    "orgs: {new: {disabled: true}}", [], ["new disabled"],
                    ["\(other) key_disabled 2"], []
                ),
                (
                    "orgs: {new: {teams: {team: {keys: {key: {revoked: true}}}}}}", [],
                    ["\(other) revoked"], ["\(other) key_revoked 2"], []
                ),
                (
                    "orgs: {new: {teams: {team: {models: [other/*]}}}}", [],
                    ["new/team: models [other/*] (was inherited)"],
                    ["\(other) model_denied 2"], []
                ),
            ] as [(String, [String], [String], [String], [String])] {
                let told = try told(policy, words)
                let said = try #require(told["changes"] as? [String])
                #expect(said.count == changes.count, "\(policy): \(said)")
                #expect(zip(said, changes).allSatisfy { $0.hasPrefix($1) }, "\(policy): \(said)")
                #expect(try requests(told, "refused") == refused, "\(policy): \(told)")
                #expect(try requests(told, "admitted") == admitted, "\(policy): \(told)")
            }
            // What stands at the end, of a period and of the whole log, in which a key was rotated.
            #expect(past.policy.contains("rotate_every: 180000"))
            for words in [["--from", "\(past.from)"], []] {
                let run = try Self.whatIf(words + socket, past.policy)
                #expect(run.status == 0, "\(run)")
                #expect(
                    try requests(try Self.json(run), "admitted") == ["\(late) requests_exhausted 1"]
                )
            }
            // A wish that cannot be had says where.
            let run = try Self.whatIf(
                ["--from", "\(past.from)"] + socket,
                "orgs: {new: {limits: {usd.day: 1}, teams: {team: {limits: {usd.day: 2}}}}}")
            #expect(
                run.status == 65 && run.errors.contains("exceeds org new's limit of 1"), "\(run)")
            #expect(run.errors.contains("creates new/team"), "\(run)")
            #expect(try past.daemon.stop() == 0)
        }

        @Test func `what cannot be asked names the fix`() throws {
            let past = try Self.past()
            let socket = ["--socket", past.daemon.socketPath]
            let from = ["--from", "\(past.from)"]
            let later = past.policy.replacing(
                "          prod:", with: "          later: {environment: live}\n          prod:")
            #expect(later != past.policy)
            for (words, policy, status, says) in [
                (
                    from + ["--to", "\(past.from)"], later, 65,
                    "acme/ml/later exists nowhere in the period"
                ),
                (from, "orgs: {nobody: {}}", 65, "stdin:1: nobody exists nowhere in the period"),
                (
                    from, later.replacing("live", with: "test"), 65,
                    "acme/ml/later: environment is - and stays so"
                ),
                (from, "orgs: [", 65, "did not find expected node content"),
                (from, "orgs: {acme: {zone: Asia/Tokyo}}", 65, "zone is UTC and stays so"),
                (
                    from,
                    "orgs: {acme: {teams: {ml: {limits: {usd.total: 5}}}}}", 65,
                    "exceeds org acme's limit of 0.0002"
                ),
                (
                    ["--from", "9", "--to", "8"], past.policy, 64,
                    "--from 9 is after --to 8: exchange them"
                ),
                (
                    ["--from", "2026-11-02", "--to", "2026-11-02"], past.policy, 64,
                    "are one instant"
                ),
                (["--from", "2199-01-01"], past.policy, 64, "the log has no event from"),
                (["--period", "2026-13"], past.policy, 64, "is no period"),
            ] as [([String], String, Int32, String)] {
                let run = try Self.whatIf(words + socket, policy)
                #expect(run.status == status, "\(words) \(policy): \(run)")
                #expect(run.errors.contains(says), "\(words): \(run.errors)")
                #expect(run.output == "")
            }
            let missing = try Program.run(
                ["audit", "whatif", "--policy", "/nowhere.yaml"] + from + socket)
            #expect(missing.status == 66 && missing.errors.contains("cannot be read"))
            // What the file leaves out stays, unless it is to go.
            let less = "orgs: {acme: {teams: {ml: {keys: {prod: {}}}}}}"
            let kept = try Self.whatIf(from + socket + ["--json"], less)
            #expect(try Self.json(kept)["same"] as? Bool == true)
            #expect(kept.errors.contains("left out of the file, and as it was: 1 limits"))
            let gone = try Self.json(try Self.whatIf(from + socket + ["--json", "--prune"], less))
            #expect((gone["admitted"] as? [Any])?.count == 1)
            #expect(try past.daemon.stop() == 0)
        }
    }
}

import Audit
import Events
import Foundation
import Journal
import TestSupport
import Testing

@testable import tollgate

/// `tollgate report` and `tollgate reindex` against a daemon, and against its directory.
@Suite struct `the report commands` {
    private let daemon: RunningDaemon
    private static let keys = ["acme/ml/prod", "acme/ml/test", "acme/web/site"]

    init() throws {
        daemon = try RunningDaemon()
        try daemon.ok(
            "org", "create", "acme", "--limit", "usd.month=5000", "--zone", "Europe/Berlin")
        try daemon.ok("team", "create", "acme/ml", "--limit", "usd.month=2")
        try daemon.ok("team", "create", "acme/web", "--limit", "usd.total=0.000001")
        for key in Self.keys { try daemon.ok("key", "create", key) }
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        try daemon.ok("price", "set", "google/gemini", "--in", "1", "--out", "1")
    }
    /// 1.2 dollars of prod's, 0.5 of test's; one request of the site's is refused.
    private func spend() throws {
        for (n, charge) in [
            "acme/ml/prod openai/gpt-4.1 in=100000 out=100000 ms=300 user==cmd",
            "acme/ml/prod google/gemini in=100000 out=100000 ms=900 user=ada tier=batch",
            "acme/ml/test google/gemini in=500000 out=0 ms=100",
        ].enumerated() {
            try daemon.ok("call", "CHARGE \(charge) id=c-\(n)")
        }
        _ = try daemon.run("call", "RESERVE acme/web/site openai/gpt-4.1 in=9 out=9")
    }
    private func json(_ words: String...) throws -> JSON {
        let run = try Program.run(
            ["report"] + words + ["--format", "json"], ["TOLLGATE_DATA": daemon.data.path])
        #expect(run.status == 0, "\(words): \(run.errors)")
        return try JSON(reply: run.output)
    }
    private func rows(_ json: JSON, _ names: String...) -> [String] {
        (json["rows"]?.array ?? []).map { row in names.map(row.cell).joined(separator: " ") }
    }

    @Test func `add up to what budgets have used, whichever way they are cut`() throws {
        try spend()
        let teams = try json("spend")
        #expect(
            rows(teams, "team", "requests", "refused", "usd", "share_percent") == [
                "acme/ml 3 0 1.7 100.0", "acme/web 0 1 0 0.0",
            ])
        #expect(teams["sums_agree"] == .bool(true))
        let used = try JSON(reply: try daemon.ok("usage", "acme", "--json").output)
        #expect(used["limits"]?["usd.month"]?["used"] == .string("1.7"))
        for by in [
            "org", "key", "model", "provider", "tier", "hour", "day", "user", "project", "env",
            "team,model", "key,model,tier,hour", "day,team,user", "hour,day",
        ] {
            // Of tags an org's dates: those of Berlin lag behind Tokyo's at the end of a month.
            let report = try json(
                "spend", "--by", by, "--from", "2026-11-01", "--zone", "Asia/Tokyo")
            #expect(report["total"]?["usd"] == .string("1.7"), "\(by)")
            #expect(report["total"]?["refused"] == .integer(1), "\(by)")
            #expect(report["sums_agree"] == .bool(true), "\(by)")
            #expect(report["as_of"] == teams["as_of"], "\(by)")
        }
        #expect(
            rows(try json("spend", "--by", "model", "--account", "acme/ml/prod"), "model", "usd")
                == [
                    "openai/gpt-4.1 1", "google/gemini 0.2",
                ])
        #expect(
            rows(try json("refusals", "--by", "key"), "key", "reason", "refusals", "asked") == [
                "acme/web/site budget_exhausted 1 1"
            ])
        #expect(
            rows(try json("latency", "--by", "key"), "key", "calls", "p50_ms", "p99_ms") == [
                "acme/ml/prod 2 304 928", "acme/ml/test 1 100 100",
            ])
        #expect(
            rows(try json("keys"), "key", "usd") == [
                "acme/ml/prod 1.2", "acme/ml/test 0.5", "acme/web/site 0",
            ])
    }
    @Test(arguments: ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
    func `of users are of the org's own days, wherever one looks from`(zone: String) throws {
        try spend()
        // Another org's days begin at other instants.
        try daemon.ok("org", "create", "far", "--zone", "Pacific/Auckland")
        try daemon.ok("team", "create", "far/a")
        try daemon.ok("key", "create", "far/a/k")
        try daemon.ok("call", "CHARGE far/a/k google/gemini in=250000 out=0 id=f user=ada")
        func dates(_ account: String, _ zone: String, _ by: String) throws -> Set<String> {
            Set(
                rows(
                    try json(
                        "spend", "--account", account, "--by", by, "--from", "2026-11-01", "--zone",
                        zone), "day"))
        }
        for (account, own) in [("acme", "Europe/Berlin"), ("far", "Pacific/Auckland")] {
            let days = try dates(account, own, "day")
            let named = try dates(account, zone, "day,user")
            #expect(named == days)
            // An open end has all of today in it.
            let report = try json(
                "spend", "--account", account, "--by", "user", "--from", try #require(days.min()))
            #expect(report["to"]?.isNull == true && report["sums_agree"] == .bool(true))
            #expect(report["total"]?["usd"] == .string(account == "far" ? "0.25" : "1.7"))
        }
        let all = try json("spend", "--by", "org,user", "--from", "2026-11-01")
        #expect(all["total"]?["usd"] == .string("1.95"))
        #expect(all["sums_agree"] == .bool(true) || all["sums_agree"]?.isNull == true)
    }
    @Test func `of a copy are those of the daemon`() throws {
        try spend()
        try daemon.ok("key", "create", "acme/web/idle")
        let reports = [
            ["report", "spend", "--by", "key,model"], ["report", "refusals"],
            ["report", "latency"],
            ["report", "spend", "--by", "user", "--from", "2026-11-01", "--account", "acme/ml"],
        ]
        let asked = try reports.map { words in
            try Program.run(words, ["TOLLGATE_DATA": daemon.data.path]).output
        }
        #expect(asked[0].contains("keys = teams = orgs = log: 1.7000 USD"))
        #expect(rows(try json("keys", "--unused"), "key", "state") == ["acme/web/idle active"])
        #expect(daemon.end(SIGTERM) == 0)
        for (words, output) in zip(reports, asked) {
            let run = try Program.run(words + ["--dir", daemon.data.path], [:])
            #expect(run.output == output, "\(words): \(run.errors)")
        }
        let idle = try Program.run(
            ["report", "keys", "--unused", "--format", "csv", "--dir", daemon.data.path], [:])
        #expect(idle.output.contains("\r\nacme/web/idle,,0,0,0,0.0,,\r\n"), "\(idle.output)")
        let unknown = try Program.run(
            ["report", "spend", "--account", "acme/art", "--dir", daemon.data.path], [:])
        #expect(unknown.status == 1 && unknown.errors.contains("no account \"acme/art\""))
    }
    @Test func `tell a past balance exactly`() throws {
        try spend()
        let first = try JSON(
            reply: try daemon.ok("events", "--type", "charge.recorded", "--json").output.split(
                separator: "\n"
            ).first.map(String.init) ?? "")
        let time = try #require(first["time"]?.string)
        // The instant of the first charge does not contain it; a nanosecond later does.
        let before = try json("budget", "--at", time, "--by", "team,key")
        #expect(
            rows(before, "account", "used") == [
                "acme/ml 0", "acme/ml/prod 0", "acme/ml/test 0", "acme/web 0", "acme/web/site 0",
            ])
        #expect(before["folded"] == .bool(true))
        let instant = try #require(time.withBytes { Instant(parsing: $0) })
        let after = Instant(nanoseconds: instant.nanoseconds + 1)
        #expect(
            rows(try json("budget", "--at", "\(after)", "--by", "org,team"), "account", "used") == [
                "acme 1", "acme/ml 1", "acme/web 0",
            ])
        let now = try json("budget", "--by", "team", "--limit", "usd.month,usd.total")
        #expect(
            rows(now, "account", "limit", "amount", "used", "left", "used_percent") == [
                "acme/ml usd.month 2 1.7 0.3 85.0", "acme/ml usd.total - 1.7 - -",
                "acme/web usd.month - 0 - -", "acme/web usd.total 0.000001 0 0.000001 0.0",
            ])
        let usage = try JSON(reply: try daemon.ok("usage", "acme/ml", "--json").output)
        // To the cent, the projection falls by the second.
        #expect(rows(now, "projected")[0].prefix(3) == usage.cell("projected_month_end").prefix(3))
    }
    @Test func `are CSV and FOCUS for other programs`() throws {
        try spend()
        let csv = try daemon.ok(
            "report", "spend", "--by", "user", "--from", "2026-11-01", "--format", "csv")
        let lines = csv.output.components(separatedBy: "\r\n")
        #expect(lines.last == "" && lines.count == 5)
        #expect(lines[0].hasPrefix("user,requests,refused,") && lines[1].hasPrefix("'=cmd,1,0,"))
        #expect(csv.errors.contains("keys = teams = orgs = log: 1.7000 USD"))
        let focus = try daemon.ok("report", "spend", "--format", "focus")
        let rows = focus.output.components(separatedBy: "\r\n")
        #expect(rows[0].hasPrefix("BilledCost,BillingAccountId,") && rows.count == 5)
        #expect(rows[1].hasPrefix("1,acme,acme,Organization,USD,"))
    }

    /// Command lines that make no report, and what they are told.
    private static let refused: [([String], String)] = [
        (["spend", "--by", "colour"], "--by knows no \"colour\""),
        (["spend", "--by", "team,team"], "names team twice"),
        (
            ["spend", "--by", "user,model"],
            "user is counted by day, org and team, not by model"
        ),
        (["spend", "--by", "user,project"], "one of user, project and env at a time"),
        (["spend", "--by", ""], "--by knows no \"\""),
        (["spend", "--zone", "Mars/Base"], "no IANA time zone"),
        (["spend", "--period", "2026-13"], "is no period"),
        (["spend", "--period", "2026-11", "--from", "2026-11-01"], "not both"),
        (["spend", "--from", "2026-11-02", "--to", "2026-11-01"], "exchange them"),
        (["spend", "--from", "2026-11-02", "--to", "2026-11-02"], "are one instant"),
        (["spend", "--from", "2199-01-01"], "has not come yet"),
        (["spend", "--from", "soon"], "is no instant"),
        (["spend", "--by", "day", "--compare"], "leave hour and day out"),
        (["spend", "--format", "focus", "--by", "key"], "day or hour, not key"),
        (["spend", "--format", "focus", "--compare"], "leave --compare out"),
        (["spend", "--dir", "x", "--socket", "y"], "say one of them"),
        (["refusals", "--format", "focus"], "with 'report spend'"),
        (["latency", "--by", "mood"], "--by knows no \"mood\""),
        (["keys", "--compare"], "report spend --by key --compare"),
        (
            ["spend", "--by", "user", "--from", "2026-11-01T10:00:00Z"],
            "with it --from is a date, such as 2026-11-01"
        ),
        (["spend", "--by", "env", "--account", "acme/ml/prod"], "say --account acme/ml"),
        (["spend", "--to", "2026-11-01T10:07:00Z"], "lies inside of an hour"),
        (["spend", "--period", "1970", "--compare"], "no period to --compare with"),
        (["budget", "--by", "team", "--account", "acme/ml/prod"], "say --by key"),
        (["budget", "--by", "team,team"], "names team twice"),
        (["budget", "--limit", "usd.day,usd.day"], "names usd.day twice"),
        (["budget", "--zone", "Mars"], "no IANA time zone"),
        (["budget", "--by", "model"], "say some of org, team and key"),
        (["budget", "--limit", "usd.decade"], "there is no limit \"usd.decade\""),
        (["budget", "--at", "1971-01-01"], "no event before --at"),
        (["budget", "--at", "2199-01-01"], "has not come yet"),
        (["budget", "--at", "noon"], "is no instant"),
    ]
    @Test func `refuse what makes no report, and say what would`() throws {
        for (words, why) in Self.refused {
            let run = try Program.run(["report"] + words, ["TOLLGATE_DATA": daemon.data.path])
            #expect(run.status == 64, "\(words): \(run.errors)")
            #expect(run.errors.contains(why), "\(words): \(run.errors)")
            #expect(run.output == "")
        }
    }
    @Test func `tell finance and developers what is theirs`() throws {
        try spend()
        let log: (String) throws -> [String: String] = { account in
            let made = try JSON(
                reply: try daemon.ok(
                    "call",
                    "APPEND operator.created '{\"operator\":\"o-\(account.count)\",\"role\":\"finance\",\"account\":\"\(account)\"}'"
                ).output)
            return [
                "TOLLGATE_DATA": daemon.data.path, "TOLLGATE_SECRET": made.cell("secret"),
            ]
        }
        let team = try log("acme/web")
        let own = try Program.run(
            ["report", "spend", "--by", "org,team", "--user", "o-8", "--format", "json"], team)
        #expect(own.status == 0, "\(own.errors)")
        #expect(rows(try JSON(reply: own.output), "team", "usd", "refused") == ["acme/web 0 1"])
        let others = try Program.run(
            ["report", "spend", "--account", "acme/ml", "--user", "o-8"], team)
        #expect(others.status == 77 && others.errors.contains("confined to acme/web"))
        let past = try Program.run(
            ["report", "budget", "--at", "2026-01-01", "--user", "o-8"], team)
        #expect(past.status == 77, "\(past.errors)")
        let budget = try Program.run(
            ["report", "budget", "--by", "team", "--user", "o-8", "--format", "csv"], team)
        #expect(budget.output.contains("\r\nacme/web,usd.month,,0,"), "\(budget.errors)")
    }

    @Test func `reindex finds the rows that the log comes to, and one that was changed`() throws {
        // Rows are written at every 32,768th event.
        let client = try TestSupport.Client(daemon.data.path + "/tollgate.sock")
        for round in 0..<264 {
            try client.send(
                (0..<64).map {
                    "CHARGE acme/ml/prod google/gemini in=\($0 + 1) out=1 id=\(round)-\($0)\n"
                }.joined())
            for _ in 0..<64 { _ = try client.reply() }
            try client.send(
                String(repeating: "RESERVE acme/web/site openai/gpt-4.1 in=9 out=9\n", count: 64))
            for _ in 0..<64 { _ = try client.reply() }
            try client.send(
                (0..<64).map {
                    "RESERVE acme/ml/test google/gemini in=1 out=1 id=r\(round)-\($0)\n"
                }
                .joined())
            for _ in 0..<64 { _ = try client.reply() }
        }
        let live = try daemon.ok("reindex")
        #expect(live.output.contains("no difference as of event 32768: "), "\(live.output)")
        #expect(daemon.end(SIGTERM) == 0)
        let json = try JSON(
            reply: try Program.run(["reindex", "--json", "--dir", daemon.data.path], [:]).output)
        #expect(json["as_of"] == .integer(32_768) && json["difference"]?.isNull == true)
        #expect((json["totals"]?.integer ?? 0) > 0 && (json["rows"]?.integer ?? 0) > 1)

        try change(rowOf: 1)
        let run = try Program.run(["reindex", "--dir", daemon.data.path], [:])
        #expect(run.status == 65, "\(run.errors)")
        #expect(run.output.contains("differs  hour 20"), "\(run.output)")
        #expect(run.output.contains("stored:            a row whose checksum is wrong"))
        #expect(run.errors.contains("serve --reindex' makes them anew"), "\(run.errors)")
        let report = try Program.run(["report", "spend", "--dir", daemon.data.path], [:])
        #expect(report.status == 65, "\(report.errors)")
    }
    /// Flips a bit in the first row of a kind.
    private func change(rowOf kind: UInt8) throws {
        let last = try DirectoryLog(daemon.data.path).lastSeq
        var options = JournalOptions(directory: daemon.data.path)
        options.pauseBelowBytes = 0
        options.projections = [BitFlip(kind: kind, last: last)]
        try Journal.open(options).shutdown()
    }
    /// A projection of the roll-ups' table that folds nothing and changes one row.
    private final class BitFlip: Projection, Sendable {
        let table = ProjectionTable.rollups
        private let kind: UInt8
        private let last: UInt64
        init(kind: UInt8, last: UInt64) { (self.kind, self.last) = (kind, last) }

        func resume(_ rows: borrowing ProjectionRows) throws(LMDBError) -> UInt64 {
            var key = ByteBuffer()
            var row = ByteBuffer()
            try rows.forEach { (found, value) throws(LMDBError) in
                guard found[0] == kind else { return true }
                key.append(found)
                row.append(value.slice(0, value.count - 1))
                row.append(value[value.count - 1] ^ 1)
                return false
            }
            try rows.put(key.bytes, row.bytes)
            return last
        }
        func fold(_ events: EventPage, into rows: borrowing ProjectionRows) {}
    }
}

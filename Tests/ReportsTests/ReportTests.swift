import Events
import TestSupport
import Testing

@testable import Journal
@testable import Reports

extension ReportTable {
    var csv: String {
        var out = ByteBuffer()
        writeCSV(into: &out)
        return out.string
    }
    /// The rows as CSV has them, heading and line ends left out.
    var lines: [String] { csv.split(separator: "\r\n").dropFirst().map(String.init) }
}

/// Groups as a question by `by` would be answered, each from what was used.
private func groups(
    _ by: [RollupQuery.Dimension], _ rows: [([String?], RollupCounts)]
) -> RollupGroups {
    var groups = RollupGroups(by: by)
    var page = RollupAnswer()
    page.asOf = 7
    for (labels, counts) in rows {
        page.groups.append(RollupAnswer.Group(labels: labels, counts: counts))
        page.total.add(counts)
    }
    groups.add(page, asked: by, day: { _ in "" })
    return groups
}
private func used(
    _ requests: Int64, _ input: Int64 = 0, _ output: Int64 = 0, usd: Int64 = 0, refused: Int64 = 0,
    _ more: (inout RollupCounts) -> Void = { _ in }
) -> RollupCounts {
    var counts = RollupCounts()
    counts[.placed] = requests
    counts[.settled] = requests
    counts[.input] = input
    counts[.output] = output
    counts[.usd] = usd
    counts[.billedUSD] = usd
    counts[.refused] = refused
    more(&counts)
    return counts
}
private let dollar: Int64 = 1_000_000_000

@Suite struct `A report` {
    @Test(arguments: 0..<3 as Range<UInt64>)
    func `is made of what ROLLUPS answers, to the last digit`(seed: UInt64) throws {
        let history = History(seed: seed, events: 1_500)
        let ledger = try RollupLedger()
        ledger.commit(history.events[...])
        for by in [[.hour, .key, .model, .tier], [], [.day, .user], [.provider]]
            as [[RollupQuery.Dimension]]
        {
            var query = RollupQuery()
            query.by = by
            let answer = try ledger.ask(query)
            var json = ByteBuffer(capacity: 65_536)
            answer.write(by, into: &json)
            let read = try RollupAnswer(try JSON(parsing: json.bytes), by: by)
            #expect(read.asOf == answer.asOf && read.next == nil)
            #expect(read.groups.count == answer.groups.count)
            #expect(read.total.differences(from: answer.total).isEmpty)
            for (a, b) in zip(read.groups, answer.groups) {
                #expect(a.labels == b.labels)
                #expect(a.counts.differences(from: b.counts).isEmpty)
            }
            var groups = RollupGroups(by: by)
            groups.add(read, asked: by, day: { "\($0)" })
            #expect(groups.disagreement == nil)
        }
    }
    @Test(arguments: [
        ("{}", "names no as_of"),
        (#"{"as_of":1,"by":["org"],"rows":[],"total":{},"next":null}"#, "names no as_of, by"),
        (#"{"as_of":1,"by":["key"],"rows":[{}],"total":{},"next":null}"#, "a row has no key"),
        (
            #"{"as_of":1,"by":["key"],"rows":[],"total":{"usd":"1e3"},"next":null}"#,
            "no amount of money"
        ),
        (
            #"{"as_of":1,"by":["key"],"rows":[],"total":{"reasons":{"mood":1}},"next":null}"#,
            "mood is no reason"
        ),
    ])
    func `takes no other answer`(text: String, why: String) throws {
        let json = try text.withBytes { try JSON(parsing: $0) }
        let failure = #expect(throws: Failure.self) { try RollupAnswer(json, by: [.key]) }
        #expect(failure?.text.contains(why) == true, "\(failure?.text ?? "")")
    }

    @Test(
        arguments: [
            (1, 3, "33.3"), (2, 3, "66.7"), (1, 2_000, "0.1"), (1, 2_001, "0.0"), (0, 5, "0.0"),
            (-1, 3, "-33.3"), (5, 0, ""), (.max, .max, "100.0"), (3, 1, "300.0"),
        ] as [(Int64, Int64, String)])
    func `says parts in tenths of percents`(part: Int64, whole: Int64, text: String) {
        #expect(ReportCell.share(part, of: whole).plain == text)
    }

    @Test(arguments: [([1, 1], false), ([1, 1, 1], true), ([0, 7], false), ([], false)])
    func `says where rounded parts do not add up`(parts: [Int64], isSaid: Bool) {
        let sums = groups(
            [.team], parts.enumerated().map { (["a/\($0.offset)"], used(1, usd: $0.element)) })
        #expect(SpendReport(sums).table.hasRoundedShares == isSaid)
    }
    @Test(arguments: [(2, [[nil], ["ada"]]), (3, [["ada"]])] as [(Int64, [[String?]])])
    func `takes off what said nothing, page by page`(said: Int64, labels: [[String?]]) {
        var groups = RollupGroups(by: [.user])
        var page = RollupAnswer()
        (page.groups, page.total) = (
            [RollupAnswer.Group(labels: [nil], counts: used(3, usd: 30))], used(3, usd: 30)
        )
        groups.add(page, asked: [.user], day: { _ in "" })
        var taken = RollupCounts()
        taken.subtract(used(said, usd: said * 10))
        (page.groups, page.total) = (
            [
                RollupAnswer.Group(labels: [nil], counts: taken),
                RollupAnswer.Group(labels: ["ada"], counts: used(said, usd: said * 10)),
            ], RollupCounts()
        )
        groups.add(page, asked: [.user], day: { _ in "" })
        #expect(groups.disagreement == nil)
        #expect(Set(groups.rows.keys) == Set(labels))
        groups.add(page, asked: [.user], day: { _ in "" })
        #expect(groups.disagreement?.contains("there are more") == true)
    }
    @Test func `adds hours up to days, and tells pages that do not add up`() {
        #expect(RollupGroups.asked(for: [.day, .team]) == [.day, .team])
        #expect(RollupGroups.asked(for: [.hour, .day]) == [.hour])
        #expect(RollupGroups.asked(for: [.day, .user]) == [.day, .user])
        var groups = RollupGroups(by: [.day, .team])
        var page = RollupAnswer()
        for hour in ["2026-11-22T22:00:00Z", "2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z"] {
            page.groups.append(
                RollupAnswer.Group(labels: [hour, "acme/ml"], counts: used(1, usd: dollar)))
        }
        page.total = used(3, usd: 3 * dollar)
        // Where the clock is an hour ahead.
        groups.add(page, asked: [.hour, .team]) {
            String($0.later(bySeconds: 3_600).description.prefix(10))
        }
        #expect(
            groups.ordered.map(\.labels) == [
                ["2026-11-22", "acme/ml"], ["2026-11-23", "acme/ml"],
            ])
        #expect(groups.ordered.map { $0.counts.requests } == [1, 2])
        #expect(groups.disagreement == nil)
        page.groups.removeLast()
        groups.add(page, asked: [.hour, .team]) { _ in "2026-11-24" }
        #expect(groups.disagreement?.contains("usd 5 and 6") == true)
        var other = RollupGroups(by: [.org])
        other.add(page, asked: [.org], day: { _ in "" })
        #expect(
            groups.disagreement(with: other)?.hasPrefix("the sums by day,team and by org: ") == true
        )
    }
}

@Suite struct `A spend report` {
    private let now = groups(
        [.team, .model],
        [
            (["acme/web", "google/gemini"], used(1, 10, 5, usd: dollar / 4)),
            (["acme/ml", "openai/gpt"], used(3, 300, 60, usd: 3 * dollar / 4, refused: 2)),
        ])

    @Test func `has the most expensive first, and its part of the whole`() {
        let table = SpendReport(now).table
        let shown = table.columns.indices.filter { table.columns[$0].isShown }
        #expect(
            shown.map { table.columns[$0].name } == [
                "team", "model", "requests", "refused", "in", "out", "usd", "share_percent",
            ])
        let rows = (table.rows + [table.total!]).map { row in
            shown.map { row[$0].plain }.joined(separator: " ")
        }
        #expect(
            rows == [
                "acme/ml openai/gpt 3 2 300 60 0.75 75.0",
                "acme/web google/gemini 1 0 10 5 0.25 25.0", "  4 2 310 65 1 100.0",
            ])
    }
    @Test func `beside the period before it has what came, stayed and went`() {
        let before = groups(
            [.team, .model],
            [
                (["acme/ml", "openai/gpt"], used(1, usd: dollar)),
                (["acme/old", "openai/gpt"], used(1, usd: 2 * dollar)),
            ])
        let table = SpendReport(now, before: before).table
        let at = ["usd", "usd_before", "change", "change_percent"].map { table.index(of: $0)! }
        let rows = (table.rows + [table.total!]).map { row in
            row[0].plain + " " + at.map { row[$0].plain }.joined(separator: " ")
        }
        #expect(
            rows == [
                "acme/ml 0.75 1 -0.25 -25.0", "acme/web 0.25 0 0.25 ", "acme/old 0 2 -2 -100.0",
                " 1 3 -2 -66.7",
            ])
    }
    @Test func `is CSV that no spreadsheet computes`() {
        let table = SpendReport(
            groups(
                [.user],
                [
                    (["=1+1"], used(1, 1, 1, usd: 6)), (["a,\"b\""], used(1, usd: 5)),
                    (["@x"], used(0, usd: 4)), (["-2"], used(0, usd: -3)), ([nil], used(0, usd: 2)),
                    (["\tx"], used(0, usd: 1)), (["+\r\n"], used(0)),
                ])
        ).table
        #expect(
            table.csv.hasPrefix("user,requests,refused,settled,released,lapsed,late,corrected,"))
        #expect(table.csv.hasSuffix("\r\n") && !table.csv.contains("total"))
        let users = table.rows.map { row -> String in
            var out = ByteBuffer()
            if case .text(let text) = row[0] { text.withBytes { out.append(cell: $0) } }
            return out.string
        }
        #expect(
            users == [
                "'=1+1", "\"a,\"\"b\"\"\"", "'@x", "", "'\tx", "\"'+\r\n\"", "'-2",
            ])
        // A number that we wrote is no formula.
        #expect(table.lines.last?.hasSuffix("-0.000000003,-20.0") == true, "\(table.lines)")
    }
    @Test func `has a column for each currency that was billed`() {
        let yuan = Currency(Bytes("CNY"))!
        let table = SpendReport(
            groups(
                [.org],
                [
                    (
                        ["zeta"],
                        used(1, usd: dollar) {
                            $0[.billedUSD] = 0
                            $0.add(7 * dollar, under: RollupTag(yuan))
                        }
                    ), (["acme"], used(1, usd: 2 * dollar)),
                ])
        ).table
        #expect(table.columns.suffix(2).map(\.name) == ["billed_usd", "billed_cny"])
        #expect(
            table.rows.map { $0.suffix(2).map(\.plain).joined(separator: " ") } == ["2 0", "0 7"])
    }
}

@Suite struct `Other reports` {
    @Test func `refusals are by reason, of all and of what was asked`() {
        func refused(_ reasons: [(Refusal, Int64)]) -> (inout RollupCounts) -> Void {
            { counts in
                for (reason, count) in reasons { counts.add(count, under: RollupTag(reason)) }
            }
        }
        let table = RefusalReport(
            groups(
                [.team],
                [
                    (
                        ["acme/ml"],
                        used(6, refused: 4, refused([(.budgetExhausted, 3), (.concurrency, 1)]))
                    ), (["acme/web"], used(9, refused: 1, refused([(.budgetExhausted, 1)]))),
                    (["acme/ok"], used(5)),
                ])
        ).table
        #expect(
            table.lines == [
                "acme/ml,budget_exhausted,3,60.0,30.0,10", "acme/ml,concurrency,1,20.0,10.0,10",
                "acme/web,budget_exhausted,1,20.0,10.0,10",
            ])
        #expect(table.total?.map(\.plain) == ["", "", "5", "100.0", "20.0", "25"])
    }
    @Test func `latencies of a sum are its parts' calls, not their percentiles`() {
        func took(_ calls: [(UInt32, Int64)]) -> (inout RollupCounts) -> Void {
            { counts in
                for (ms, times) in calls {
                    counts[.timed] += times
                    counts[.milliseconds] += Int64(ms) * times
                    counts.add(
                        times, under: RollupTag(latencyBucket: LatencyHistogram.bucket(of: ms)))
                }
            }
        }
        let table = LatencyReport(
            groups(
                [.model],
                [
                    (["fast"], used(99, usd: 2, took([(4, 99)]))),
                    (["slow"], used(1, usd: 1, took([(1_000, 1)]))), (["silent"], used(5)),
                ])
        ).table
        #expect(table.lines == ["fast,99,4,4,4,4", "slow,1,992,992,992,1000"])
        #expect(table.total?.map(\.plain) == ["", "100", "4", "4", "4", "13"])
    }
    @Test func `unused keys are those that nobody tried, and that are still there`() {
        let keys: [KeyReport.Facts] = [
            .init(account: "a/b/used", state: "active"), .init(account: "a/b/idle"),
            .init(account: "a/b/tried", state: "active"),
            .init(account: "a/b/gone", state: "revoked"),
            .init(account: "a/b/off", state: "disabled"),
            .init(account: "a/b/new", state: "active", created: Instant(seconds: 1_000)),
        ]
        let end = Instant(seconds: 1_000)
        let sums = groups(
            [.key],
            [
                (["a/b/used"], used(1, usd: 5)), (["a/b/tried"], used(0, refused: 1)),
                ([nil], used(0, refused: 3)),
            ])
        #expect(
            KeyReport(keys, sums, to: end, unused: true).table.rows.map { $0[0].plain } == [
                "a/b/idle", "a/b/off",
            ])
        #expect(
            KeyReport(keys, sums, to: end, unused: false).table.rows.map { $0[0].plain } == [
                "a/b/used", "a/b/gone", "a/b/idle", "a/b/new", "a/b/off", "a/b/tried", "",
            ])
        // Keys that nobody knows are refused, too.
        let all = KeyReport(keys, sums, to: end, unused: false).table
        #expect(all.total?[all.index(of: "refused")!] == .count(4))
    }
}

@Suite struct `A budget` {
    private static func at(_ text: String) -> Instant {
        text.withBytes { Instant(parsing: $0) }!
    }
    /// Ten days of thirty are over.
    private let outlook = BudgetOutlook(
        window: at("2026-11-01T00:00:00Z")..<at("2026-12-01T00:00:00Z"),
        now: at("2026-11-11T00:00:00Z"))

    @Test(
        arguments: [
            (100, 0, 300, nil), (100, 0, 299, "2026-11-30"), (100, 0, 200, "2026-11-21"),
            (100, 100, 200, "2026-11-11"), (200, 0, 100, "2026-11-11"), (0, 0, 100, nil),
            (0, 100, 100, "2026-11-11"),
        ] as [(Int64, Int64, Int64, String?)])
    func `runs out on the day on which its pace reaches it`(
        used: Int64, held: Int64, limit: Int64, day: String?
    ) {
        let instant = outlook.runsOut(used: used, held: held, limit: limit)
        #expect(instant.map { String($0.description.prefix(10)) } == day)
        #expect(outlook.projected(used) == used * 3)
        #expect(outlook.daysLeft == 200)
    }
    private func usage(_ account: String, _ used: String, seq: Int = 9) throws -> JSON {
        let text =
            #"{"account":"\#(account)","at":"2026-11-11T00:00:00Z","seq":\#(seq),"zone":"Europe/Berlin","#
            + #""limits":{"#
            + #""usd.month":{"limit":"1000","used":"\#(used)","held":"10","left":"590","#
            + #""resets_at":"2026-11-30T23:00:00Z","opened_at":"2026-10-31T23:00:00Z"},"tokens.day":{"limit":5000,"used":100,"held":0,"#
            + #""left":4900,"resets_at":"2026-11-11T23:00:00Z","opened_at":"2026-11-10T23:00:00Z"},"#
            + #""usd.total":{"limit":null,"used":"\#(used)","held":"10"}},"#
            + #""projected_month_end":"1196.02"}"#
        return try text.withBytes { try JSON(parsing: $0) }
    }
    /// Summer time ends on 2026-10-25 at 01:00 in UTC.
    private func berlin(_ zone: String, _ at: Instant) -> CivilDay {
        #expect(zone == "Europe/Berlin")
        let hours: Int64 = at.second < 1_792_890_000 ? 2 : 1
        return CivilDay(daysSince1970: (at.second + hours * 3_600) / 86_400)
    }
    /// The day of 25 hours, and the month that holds it: opened, now, ends, then what 1 of 24 comes to.
    @Test(
        arguments: [
            (
                "usd.day", "2026-10-24T22:00:00Z", "2026-10-24T22:30:00Z", "2026-10-25T23:00:00Z",
                "50", "2026-10-25"
            ),
            (
                "usd.month", "2026-09-30T22:00:00Z", "2026-10-01T22:00:00Z", "2026-10-31T23:00:00Z",
                "31.041666666", "2026-10-25"
            ),
        ] as [(String, String, String, String, String, String)])
    func `goes from the window's opening to its end, on the org's clock`(
        limit: String, opened: String, now: String, end: String, projected: String, out: String
    ) throws {
        let usage =
            #"{"account":"acme","at":"\#(now)","seq":9,"zone":"Europe/Berlin","limits":{"\#(limit)":"#
            + #"{"limit":"24","used":"1","held":"0","left":"23","resets_at":"\#(end)","#
            + #""opened_at":"\#(opened)"}}}"#
        let report = try BudgetReport(
            [try usage.withBytes { try JSON(parsing: $0) }], limits: nil, date: berlin)
        let row = report.table.rows[0].map(\.plain)
        #expect(row[8] == projected && row[9] == out, "\(row)")
    }
    @Test func `is told with its outlook, each limit by itself`() throws {
        let report = try BudgetReport([try usage("acme", "400")], limits: nil, date: berlin)
        #expect(
            report.table.lines == [
                "acme,usd.month,1000,400,10,590,41.0,20.0,1195.020746887,2026-11-26,2026-11-30T23:00:00Z,",
                "acme,tokens.day,5000,100,0,4900,2.0,1.0,2400,,2026-11-11T23:00:00Z,",
            ])
        #expect(report.asOf == 9...9 && report.disagreement == nil)
        let total = try BudgetReport(
            [try usage("acme", "400")], limits: [LimitKind(.usd, .total)], date: berlin)
        #expect(total.table.lines == ["acme,usd.total,,400,10,,,,,,,"])
    }
    @Test(
        arguments: [("150", 9, nil), ("151", 9, "acme is 400"), ("151", 8, nil)]
            as [(
                String, Int, String?
            )])
    func `is the sum of what stands below it, at one event`(
        web: String, seq: Int, difference: String?
    ) throws {
        let report = try BudgetReport(
            [
                try usage("acme", "400"), try usage("acme/ml", "250"),
                try usage("acme/web", web, seq: seq),
            ], limits: [LimitKind(.usd, .month)], date: berlin)
        #expect((report.disagreement == nil) == (difference == nil))
        if let difference { #expect(report.disagreement?.contains(difference) == true) }
    }
}

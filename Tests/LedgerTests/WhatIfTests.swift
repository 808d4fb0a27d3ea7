import Events
import Ledger
import Testing

/// A past period asked anew under other rules.
@Suite struct WhatIfTests {
    private static let second: Int64 = 1_000_000_000
    /// 2026-11-22T21:31:00Z, a Sunday.
    private static let start = 1_795_383_060 * second

    private struct Outcome {
        var report: WhatIfReport
        var isSameBook: Bool
        /// In words, sorted.
        var causes: [String]
    }
    private static func run(
        _ log: [[UInt8]], from first: Int, _ rules: [(String, String)] = []
    ) throws -> Outcome {
        var whatIf = WhatIf(calendar: .utc)
        for event in log[..<first] {
            try event.withUnsafeBytes { try whatIf.skip(Bytes($0), gap: 0) }
        }
        whatIf.begin(at: Instant(nanoseconds: 0))
        for (type, payload) in rules {
            let type = try #require(type.withBytes { EventType($0) })
            try whatIf.add(type, try payload.withBytes { try JSON(parsing: $0) })
        }
        for event in log[first...] {
            try event.withUnsafeBytes { try whatIf.run(Bytes($0), gap: 0) }
        }
        let report = whatIf.finish()
        func words(
            _ what: String, _ causes: [WhatIfReport.Cause: WhatIfReport.Tally]
        ) -> [String] {
            causes.map { cause, tally in
                whatIf.withPast { book in
                    var text = "\(what) \(book.path(of: cause.key)?.string ?? "?")"
                    text += " \(cause.reason.map { "\($0.name)" } ?? "too_large")"
                    if let scope = book.path(of: cause.scope) { text += " \(scope.string)" }
                    if let limit = cause.limit { text += " \(limit.name)" }
                    return text + " \(tally.requests)× \(Nanodollars(tally.usd))"
                }
            }
        }
        return Outcome(
            report: report,
            isSameBook: whatIf.withPast { $0.digest() } == whatIf.withOther { $0.digest() },
            causes: words("refuses", report.refused).sorted()
                + words("admits", report.admitted).sorted())
    }

    @Test(arguments: TestScale.isLong ? 200..<300 : 200..<204 as Range<UInt64>)
    func `no other rules make no other book`(seed: UInt64) throws {
        let log = HistoryGenerator.history(seed: seed, lines: 2_000).log
        for first in [0, log.count / 3, log.count - 100] {
            let outcome = try Self.run(log, from: first)
            #expect(outcome.report.isSame, "seed \(seed) from \(first): \(outcome.causes)")
            #expect(outcome.isSameBook, "seed \(seed) from \(first)")
            #expect(outcome.report.past == outcome.report.other)
        }
    }
    @Test(arguments: 204..<208 as Range<UInt64>)
    func `whatever the rules, accounts and causes say the same`(seed: UInt64) throws {
        let log = HistoryGenerator.history(seed: seed, lines: 2_000).log
        let rules = [
            ("limits.set", #"{"account":"acme","limits":{"usd.day":"0.01","concurrency":2}}"#),
            ("limits.set", #"{"account":"globex","limits":{"requests.minute":null}}"#),
            ("permissions.set", #"{"account":"initech","models":["openai/gpt-4.1"]}"#),
        ]
        let outcome = try Self.run(log, from: log.count / 2, rules)
        let report = outcome.report
        #expect(report.refusedCount + report.admittedCount > 0)
        let estimated = report.admitted.values.reduce(0) { $0 + $1.usd }
        #expect(report.estimated == estimated)
        #expect(report.unmatched == 0)
        for tier in [Tier.team, .key] {
            let spends = report.spends.filter { $0.tier == tier }
            #expect(spends.reduce(0) { $0 + $1.past - $1.other } == report.past - report.other)
            #expect(spends.reduce(0) { $0 + $1.estimated } == estimated)
        }
        // No price is another one, so money differs by who asked for it, and by what a hold that was not
        // to grow costs when it lapses.
        let saved = report.refused.values.reduce(0) { $0 + $1.usd }
        if report.growthRefused + report.growthAdmitted == 0 {
            #expect(report.past - report.other == saved - estimated, "seed \(seed)")
        }
    }

    // MARK: In words

    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// What was asked before it.
        var history: [(Int64, String)] = []
        /// Seconds after the start, and what was asked then.
        var period: [(Int64, String)]
        var rules: [(String, String)]
        var causes: [String]
        var spent: (then: String, here: String, estimated: String)
        var also: @Sendable (WhatIfReport) -> Bool = { _ in true }
    }
    /// One model for a dollar a million tokens either way; acme may spend a dollar a day.
    private static let setUp = [
        #"APPEND org.created {"account":"acme","limits":{"usd.day":"1"},"on_lapse":"charge_hold"}"#,
        #"APPEND team.created {"account":"acme/ml"}"#,
        #"APPEND key.created {"account":"acme/ml/a"}"#,
        #"APPEND key.created {"account":"acme/ml/b"}"#,
        #"APPEND price.set {"model":"m/x","in":"1","out":"1"}"#,
        "RESERVE acme/ml/b m/x in=100000 out=0 ttl=3000 id=before",
    ]
    /// The hold of the last line of `setUp`.
    private static let before = "1-12"
    private static func hold(_ n: Int) -> String { "1-\(12 + n)" }

    static let cases: [Case] = [
        Case(
            testDescription: "a tighter budget refuses what no longer fits, and saves what it cost",
            period: [
                (1, "RESERVE acme/ml/a m/x in=300000 out=100000"),
                (2, "SETTLE \(hold(1)) in=300000 out=50000"),
                (3, "RESERVE acme/ml/b m/x in=100000 out=0"),
                (4, "SETTLE \(hold(3)) in=90000 out=0"),
                (5, "SETTLE \(before) in=100000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"0.3"}}"#)],
            causes: ["refuses acme/ml/a budget_exhausted acme usd.day 1× 0.35"],
            spent: ("0.54", "0.19", "0")),
        Case(
            testDescription: "a looser budget admits what was refused, for all that it asked",
            period: [
                (1, "RESERVE acme/ml/a m/x in=900000 out=100000"),
                (2, "RESERVE acme/ml/a m/x in=500000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"1.2"}}"#)],
            causes: [
                // It would have been in the way of the next.
                "refuses acme/ml/a budget_exhausted acme usd.day 1× 0",
                "admits acme/ml/a budget_exhausted acme usd.day 1× 1",
            ],
            spent: ("0", "1", "1"),
            also: {
                $0.requests == 2 && $0.refusedThen == 1 && $0.openThen == 2 && $0.openHere == 1
            }),
        Case(
            testDescription: "one more slot admits one at a time",
            period: [
                // The one before is open; this one tells how long the key's requests take.
                (1, #"APPEND limits.set {"account":"acme/ml","limits":{"concurrency":2}}"#),
                (1, "RESERVE acme/ml/a m/x in=1000 out=0"), (3, "SETTLE \(hold(2)) in=1000 out=0"),
                (4, #"APPEND limits.set {"account":"acme/ml","limits":{"concurrency":1}}"#),
            ]
                + (0..<3).flatMap { _ in
                    [(5, "RESERVE acme/ml/a m/x in=1000 out=0")] as [(Int64, String)]
                } + [
                    (6, "RESERVE acme/ml/a m/x in=1000 out=0"),
                    (7, "RESERVE acme/ml/a m/x in=1000 out=0"),
                ],
            rules: [("limits.set", #"{"account":"acme/ml","limits":{"concurrency":2}}"#)],
            // At 5 one of three, at 6 its slot is taken, at 7 it is free again.
            causes: ["admits acme/ml/a concurrency acme/ml concurrency 2× 0.002"],
            spent: ("0.001", "0.003", "0.002"),
            also: { $0.refusedThen == 5 && $0.openHere == 1 && $0.leftOut == 2 }),
        Case(
            testDescription: "how long a key's requests take is known from before the period",
            history: [
                (1, "RESERVE acme/ml/a m/x in=1000 out=0"),
                (1, "RESERVE acme/ml/b m/x in=1000 out=0"),
                // The other key's request is the longer one.
                (3, "SETTLE \(hold(1)) in=1000 out=0"), (50, "RELEASE \(hold(2))"),
                (60, #"APPEND limits.set {"account":"acme/ml","limits":{"concurrency":1}}"#),
            ],
            period: [
                (61, "RESERVE acme/ml/a m/x in=1000 out=0"),
                (62, "RESERVE acme/ml/a m/x in=1000 out=0"),
                (63, "RESERVE acme/ml/a m/x in=1000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme/ml","limits":{"concurrency":2}}"#)],
            causes: ["admits acme/ml/a concurrency acme/ml concurrency 2× 0.002"],
            spent: ("0", "0.002", "0.002"), also: { $0.untimed == 0 }),
        Case(
            testDescription: "where no request has ended yet, that is said",
            history: [
                (1, #"APPEND limits.set {"account":"acme/ml","limits":{"concurrency":1}}"#)
            ],
            period: [
                (2, "RESERVE acme/ml/a m/x in=1000 out=0"),
                (601, "RESERVE acme/ml/a m/x in=1000 out=0"),
                (602, "RESERVE acme/ml/a m/x in=1000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme/ml","limits":{"concurrency":2}}"#)],
            causes: ["admits acme/ml/a concurrency acme/ml concurrency 2× 0.002"],
            spent: ("0", "0.002", "0.002"), also: { $0.untimed == 2 }),
        Case(
            testDescription: "another price is paid by those that ask from then on",
            period: [
                (1, "RESERVE acme/ml/a m/x in=100000 out=0"),
                (2, "SETTLE \(hold(1)) in=100000 out=0"),
                (3, "SETTLE \(before) in=100000 out=0"),
            ],
            rules: [("price.set", #"{"model":"m/x","in":"3","out":"1"}"#)],
            causes: [], spent: ("0.2", "0.4", "0")),
        Case(
            testDescription: "a price where there was none admits",
            period: [(1, "RESERVE acme/ml/a n/y in=100000 out=0")],
            rules: [("price.set", #"{"model":"n/y","in":"2","out":"2"}"#)],
            causes: ["admits acme/ml/a model_unpriced 1× 0.2"], spent: ("0", "0.2", "0.2")),
        Case(
            testDescription: "models that the period prices later have their own numbers",
            period: [
                (1, #"APPEND price.set {"model":"o/z","in":"4","out":"4"}"#),
                (2, "RESERVE acme/ml/a o/z in=100000 out=0"),
                (3, "SETTLE \(hold(2)) in=100000 out=0"),
                (4, "CHARGE acme/ml/a o/z in=10000 out=0 id=c"),
            ],
            rules: [("price.set", #"{"model":"n/y","in":"2","out":"2"}"#)],
            causes: [], spent: ("0.44", "0.44", "0")),
        Case(
            testDescription: "a shorter list of models refuses the others",
            period: [
                (1, "RESERVE acme/ml/a m/x in=100000 out=0"),
                (2, "SETTLE \(hold(1)) in=100000 out=0"),
            ],
            rules: [("permissions.set", #"{"account":"acme/ml/a","models":["n/*"]}"#)],
            causes: ["refuses acme/ml/a model_denied acme/ml/a 1× 0.1"], spent: ("0.1", "0", "0")),
        Case(
            testDescription: "a team that is disabled asks for nothing; holds that it has end",
            period: [
                (1, "RESERVE acme/ml/a m/x in=100000 out=0"), (2, "RELEASE \(hold(1))"),
                (3, "SETTLE \(before) in=100000 out=0"),
                // What was used all the same is recorded.
                (4, "CHARGE acme/ml/a m/x in=10000 out=0 id=c"),
            ],
            rules: [("account.disabled", #"{"account":"acme/ml"}"#)],
            causes: ["refuses acme/ml/a key_disabled acme/ml 1× 0"], spent: ("0.11", "0.11", "0")),
        Case(
            testDescription: "what the rules say, the period does not change; the rest it does",
            period: [
                (
                    1,
                    #"APPEND limits.set {"account":"acme","limits":{"usd.day":"9","requests.day":2}}"#
                ),
                (2, "RESERVE acme/ml/a m/x in=100000 out=0"),
                (3, "RESERVE acme/ml/a m/x in=100000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"0.15"}}"#)],
            causes: ["refuses acme/ml/a budget_exhausted acme usd.day 1× 0"],
            spent: ("0", "0", "0"),
            also: { $0.leftOut == 1 && $0.refusedThen == 1 && $0.admittedCount == 0 }),
        Case(
            testDescription: "a charge that took the place of another is counted once",
            period: [
                (1, "RESERVE acme/ml/a m/x in=200000 out=0 ttl=5"),
                // It lapses for what it held, and is settled late.
                (10, "RESERVE acme/ml/b m/x in=1000 out=0"),
                (11, "SETTLE \(hold(1)) in=150000 out=0"),
                (
                    12,
                    #"APPEND charge.corrected {"account":"acme/ml/a","charge":"\#(hold(1))","usd":"0.12","id":"k"}"#
                ),
            ],
            rules: [("limits.set", #"{"account":"acme/ml/a","limits":{"usd.day":"0.1"}}"#)],
            causes: ["refuses acme/ml/a budget_exhausted acme/ml/a usd.day 1× 0.12"],
            spent: ("0.12", "0", "0")),
        Case(
            testDescription: "a request that was asked again until it was admitted is one request",
            period: [
                (1, "RESERVE acme/ml/b m/x in=800000 out=0 id=b"),
                (2, "RESERVE acme/ml/a m/x in=200000 out=0 id=again"),
                (3, "RESERVE acme/ml/a m/x in=200000 out=0 id=again"),
                (4, "RELEASE \(hold(1))"),
                (5, "RESERVE acme/ml/a m/x in=200000 out=0 id=again"),
                (6, "SETTLE \(hold(5)) in=180000 out=0"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"2"}}"#)],
            causes: [], spent: ("0.18", "0.18", "0"), also: { $0.retries == 1 }),
        Case(
            testDescription: "a hold that may not grow counts what it came to all the same",
            period: [
                (1, "RESERVE acme/ml/a m/x in=100000 out=100000"),
                (2, "EXTEND \(hold(1)) out=200000"),
                (3, "SETTLE \(hold(1)) in=100000 out=200000"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"0.35"}}"#)],
            causes: [], spent: ("0.3", "0.3", "0"),
            also: { $0.growthRefused == 1 && !$0.isSame }),
        Case(
            testDescription: "growth that was refused may be had",
            period: [
                (1, "RESERVE acme/ml/a m/x in=100000 out=700000"),
                (2, "EXTEND \(hold(1)) out=900000"),
                (3, "SETTLE \(hold(1)) in=100000 out=700000"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"2"}}"#)],
            causes: [], spent: ("0.8", "0.8", "0"), also: { $0.growthAdmitted == 1 }),
        Case(
            testDescription: "what no file changes is not asked",
            period: [
                (1, "RESERVE acme/ml/none m/x in=1 out=1"),
                (2, #"APPEND key.revoked {"account":"acme/ml/a"}"#),
                (3, "RESERVE acme/ml/a m/x in=1 out=1"),
            ],
            rules: [("limits.set", #"{"account":"acme","limits":{"usd.day":"2"}}"#)],
            causes: [], spent: ("0", "0", "0"),
            also: { $0.notAsked == 2 && $0.refusedThen == 2 && $0.isSame }),
    ]
    @Test(arguments: cases) func `in words`(_ row: Case) throws {
        let machine = MachineDriver()
        for line in Self.setUp { machine.answer(line, at: Self.start) }
        for (time, line) in row.history {
            machine.answer(line, at: Self.start + time * Self.second)
        }
        let first = machine.log.count
        for (time, line) in row.period {
            machine.answer(line, at: Self.start + time * Self.second)
        }
        #expect(try Self.run(machine.log, from: first).isSameBook)
        let outcome = try Self.run(machine.log, from: first, row.rules)
        #expect(outcome.causes == row.causes)
        #expect("\(Nanodollars(outcome.report.past))" == row.spent.then)
        #expect("\(Nanodollars(outcome.report.other))" == row.spent.here)
        #expect("\(Nanodollars(outcome.report.estimated))" == row.spent.estimated)
        #expect(row.also(outcome.report), "\(outcome.report)")
    }

    @Test func `a rule that breaks a parent's limit is refused, and says which`() throws {
        let machine = MachineDriver()
        for line in Self.setUp { machine.answer(line, at: Self.start) }
        let failure = #expect(throws: Failure.self) {
            try Self.run(
                machine.log, from: machine.log.count,
                [("limits.set", #"{"account":"acme/ml","limits":{"usd.day":"5"}}"#)])
        }
        #expect(failure?.text == "usd.day 5 exceeds org acme's limit of 1")
    }
}

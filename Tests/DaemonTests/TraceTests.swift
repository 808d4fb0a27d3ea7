import Events
import Glibc
import TestSupport
import Testing

@testable import tollgate

private func parse(_ text: String) throws(Trace.Mistake) -> Trace {
    try text.withBytes { (bytes) throws(Trace.Mistake) in try Trace(parsing: bytes) }
}

private let header = "TIMESTAMP,ContextTokens,GeneratedTokens"

@Suite struct `A trace` {
    private static let two = [
        "2023-11-16 18:17:03.9799600,4808,10", "2023-11-16 18:17:04.0319600,3180,8",
    ]
    private static let rows = [
        TraceRow(offset: 0, input: 4_808, output: 10),
        TraceRow(offset: 52_000_000, input: 3_180, output: 8),
    ]

    @Test(arguments: [
        header + "\n" + two.joined(separator: "\n") + "\n",
        header + "\n" + two.joined(separator: "\n"),
        header + "\r\n" + two.joined(separator: "\r\n") + "\r\n",
        "\u{FEFF}" + header + "\r\n" + two.joined(separator: "\r\n"),
        header.lowercased() + "\n" + two.joined(separator: "\n") + "\n\n\n",
        // Out of order: time decides.
        header + "\n" + two.reversed().joined(separator: "\n"),
        // As the traces of 2024 write it, and RFC 3339.
        header + "\n2024-05-10 00:00:01.000000+00:00,4808,10\n2024-05-10 00:00:01.052+00:00,3180,8",
        header + "\n2024-05-10T00:00:01Z,4808,10\n2024-05-10T02:00:01.052+02:00,3180,8",
    ])
    func `is read however its file was written`(text: String) throws {
        #expect(try parse(text).rows == Self.rows)
    }

    @Test(
        arguments: [
            ("", 1, "empty"),
            ("\u{FEFF}", 1, "empty"),
            ("time,in,out\n", 1, "the header TIMESTAMP"),
            ("\n\(header)\n", 1, "the header TIMESTAMP"),
            ("\(header)\n", 1, "no requests"),
            ("\(header)\n\n", 2, "no requests"),
            ("\(header)\n2023-11-16 18:17:03,5\n", 2, "three fields"),
            ("\(header)\n2023-11-16 18:17:03,5,6,7\n", 2, "three fields"),
            ("\(header)\n2023-11-16 18:17:03,5,6\nnonsense\n", 3, "expected, not \"nonsense\""),
            ("\(header)\r\n2023-11-16 18:17:03,5,6\r\n\r\n2023-11-16,5,6", 4, "\"2023-11-16\""),
            ("\(header)\n2023-02-30 18:17:03,5,6\n", 2, "TIMESTAMP"),
            ("\(header)\n2023-11-16 24:17:03,5,6\n", 2, "TIMESTAMP"),
            ("\(header)\n2023-11-16 18:17:03.,5,6\n", 2, "TIMESTAMP"),
            ("\(header)\n2023-11-16 18:17:03,-5,6\n", 2, "ContextTokens \"-5\""),
            ("\(header)\n2023-11-16 18:17:03,,6\n", 2, "ContextTokens \"\""),
            ("\(header)\n2023-11-16 18:17:03,1e3,6\n", 2, "ContextTokens \"1e3\""),
            ("\(header)\n2023-11-16 18:17:03,5,6 \n", 2, "GeneratedTokens \"6 \""),
            ("\(header)\n2023-11-16 18:17:03,5,1000000000001\n", 2, "GeneratedTokens"),
            ("\(header)\n2023-11-16 18:17:03,5,99999999999999999999999\n", 2, "GeneratedTokens"),
            ("\(header)\n\u{1B}[31m,5,6\n", 2, "(unprintable bytes)"),
        ] as [(String, Int, String)])
    func `with a bad line is refused with its number`(text: String, line: Int, reason: String) {
        do {
            _ = try parse(text)
            Issue.record("it was accepted")
        } catch {
            #expect(error.line == line)
            #expect(error.reason.contains(reason), "\(error.reason)")
        }
    }

    @Test func `that ships in the binary has every request of its source`() {
        let trace = Trace.demo()
        #expect(trace.rows.count == 8_819)
        #expect(trace.inputTokens == 18_059_974)
        #expect(trace.outputTokens == 245_896)
        #expect(trace.rows.first == TraceRow(offset: 0, input: 4_808, output: 10))
        #expect(trace.rows.last?.input == 549)
        #expect(trace.rows.last?.output == 173)
    }

    private static let source = SharedData.path("azure-llm-code-2023.csv")

    @Test(.enabled(if: access(source, R_OK) == 0, "the source is not on this machine"))
    func `that ships in the binary is its source to the millisecond`() throws {
        let source = try Trace(path: Self.source).rows
        let shipped = Trace.demo().rows
        try #require(source.count == shipped.count)
        for (a, b) in zip(source, shipped) {
            #expect(a.input == b.input && a.output == b.output)
            #expect(abs(a.offset - b.offset) <= 1_000_000)
        }
    }

    @Test func `thinned out keeps its shape`() {
        let trace = Trace.demo().every(5)
        #expect(trace.rows.count == 1_764)
        #expect(trace.rows[1] == Trace.demo().rows[5])
        #expect(Trace.demo().every(1).rows.count == 8_819)
        #expect(Trace.demo().prefix(3).rows.count == 3)
    }
}

@Suite struct `A plan` {
    @Test(
        arguments: [
            (0, 16), (1, 16), (16, 16), (17, 32), (32, 32), (33, 64), (1_899, 2_048),
            (4_096, 4_096),
            (4_097, 8_192), (1_000_000_000_000, 1_000_000_000_000),
        ] as [(Int64, Int64)])
    func `bounds an answer by the next power of two`(output: Int64, bound: Int64) {
        #expect(LoadShape.bound(for: output) == bound)
    }

    @Test func `scales the trace's times and the upstream times`() {
        let trace = Trace(rows: [
            TraceRow(offset: 0, input: 1, output: 0),
            TraceRow(offset: 6_000_000_000, input: 1, output: 100),
        ])
        let targets = [LoadTarget(key: "a/b/c", model: "m/m")]
        let paced = LoadShape(speed: 60).plan(trace, over: targets)
        #expect(paced.requests.map(\.due) == [0, 100_000_000])
        #expect(paced.requests.map(\.upstream) == [333_333, 17_000_000])
        #expect(paced.openMax == nil)
        let fast = LoadShape(speed: 0, openMax: 9).plan(trace, over: targets)
        #expect(fast.requests.map(\.due) == [0, 0])
        #expect(fast.requests.map(\.upstream) == [0, 0])
        #expect(fast.openMax == 9)
        let held = LoadShape(speed: 60, outputBound: 77, holdMilliseconds: 2.5)
            .plan(trace, over: targets)
        #expect(held.requests.map(\.upstream) == [2_500_000, 2_500_000])
        #expect(held.requests.map(\.bound) == [77, 77])
    }

    @Test(
        arguments: [
            (["a/b/c"], ["m/x"], ["a/b/c m/x"]),
            (["a/b/c", "a/b/d"], ["m/x"], ["a/b/c m/x", "a/b/d m/x"]),
            (["k"], ["m/x", "m/y"], ["k m/x", "k m/y"]),
            (["k", "l"], ["m/x", "m/y"], ["k m/x", "l m/y"]),
            (["k", "l"], ["x", "y", "z"], ["k x", "l y", "k z", "l x", "k y", "l z"]),
            (["k=m/x", "l=m/y"], [], ["k m/x", "l m/y"]),
            (["k=m/x", "l"], ["m/y"], ["k m/x", "l m/y"]),
        ] as [([String], [String], [String])])
    func `pairs keys and models in turn`(keys: [String], models: [String], pairs: [String]) throws {
        let targets = try LoadTarget.pairs(keys: keys, models: models)
        #expect(targets.map { "\($0.key) \($0.model)" } == pairs)
    }

    @Test(
        arguments: [
            ([], ["m"]), (["k"], []), (["k", "l=m"], []), (["k=", "l"], ["m"]), (["=m"], []),
            (["a b"], ["m"]), (["k"], ["m\r\nSETTLE"]), (["k\"x"], ["m"]),
        ] as [([String], [String])])
    func `refuses keys and models that are none`(keys: [String], models: [String]) {
        do {
            _ = try LoadTarget.pairs(keys: keys, models: models)
            Issue.record("it was accepted")
        } catch {
            #expect(error.status == .usage)
        }
    }
}

@Suite struct `The load generator's parts` {
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `timers come in the order of their time`(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var timers = LoadTimers()
        var expected: [Int64] = []
        for slot in 0..<500 as Range<Int32> {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let due = Int64(state >> 40)
            timers.insert(LoadTimers.Entry(due: due, slot: slot))
            expected.append(due)
        }
        expected.sort()
        for due in expected { #expect(timers.removeFirst().due == due) }
        #expect(timers.isEmpty)
    }

    @Test func `the queue of pending replies keeps its order while it grows`() {
        var queue = LoadQueue()
        var next: Int32 = 0
        var taken: Int32 = 0
        // Three in, one out: it grows with its head anywhere.
        for step in 0..<4_000 {
            if step % 4 != 3 {
                queue.append(LoadConnection.Pending(slot: next, verb: .settle, intended: 0))
                next += 1
            } else {
                #expect(queue.removeFirst().slot == taken)
                taken += 1
            }
        }
        while !queue.isEmpty {
            #expect(queue.removeFirst().slot == taken)
            taken += 1
        }
        #expect(taken == next)
    }

    @Test func `numbers read well`() {
        #expect(LoadReport.grouped(0) == "0")
        #expect(LoadReport.grouped(999) == "999")
        #expect(LoadReport.grouped(8_819) == "8,819")
        #expect(LoadReport.grouped(-1_234_567) == "-1,234,567")
        #expect(LoadReport.percent(1) == "100.0 %")
        #expect(LoadReport.percent(0.99999) == "99.9 %")
        #expect(LoadReport.percent(0.00001) == "0.1 %")
        #expect(LoadReport.percent(0) == "0.0 %")
        #expect(LoadReport.duration(999) == "999 ns")
        #expect(LoadReport.duration(1_040) == "1.04 µs")
        #expect(LoadReport.duration(17_449) == "17.4 µs")
        #expect(LoadReport.duration(231_000_000) == "231 ms")
        #expect(LoadReport.duration(5_700_000_000) == "5.70 s")
        #expect(DemoTree.dollars(Nanodollars(20_907_489_260)) == "$20.91")
        #expect(DemoTree.dollars(Nanodollars(49_973_700)) == "$0.0500")
        #expect(DemoTree.dollars(.zero) == "$0.00")
    }

    @Test func `the demo's targets keep to the teams' lists and weights`() throws {
        let accounts = try DemoLedger.file().accounts.map(\.entry)
        #expect(DemoLedger.targets.count == 25)
        for target in DemoLedger.targets {
            let team = target.key.split(separator: "/").prefix(2).joined(separator: "/")
            let models = accounts.first { $0.name == team }?["models"]?.array ?? []
            #expect(models.contains(.string(target.model)))
        }
        let prod = DemoLedger.targets.count { $0.key == "acme/ml-platform/prod" }
        #expect(prod == 12)
    }
}

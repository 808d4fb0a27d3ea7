import Events
import Foundation
import TestSupport
import Testing

@testable import tollgate

/// `tollgate bench`, in its small form: that it works, not how fast.
@Suite struct `The bench` {
    @Test func `measures every row and prints a table`() throws {
        let scratch = try Scratch()
        let table = scratch.file("table.md")
        // Peers that need a user of their own are found in their usual places, not through PATH.
        let run = try ChildProcess(
            [DaemonProcess.binary, "bench", "--smoke", "--json", "--markdown", table],
            environment: ["TMPDIR": "/tmp"], in: scratch)
        #expect(try run.wait(seconds: 600) == 0, "\(run.standardError)")
        let json = try run.standardOutput.withBytes { bytes throws(JSONError) in
            try JSON(parsing: bytes)
        }
        let rows = try #require(json["rows"]?.array)
        for test in Bench.tests {
            let own = rows.filter {
                $0["name"]?.string?.split(separator: ".").first ?? "" == test.name
            }
            #expect(!own.isEmpty, "\(test.name) has no row: \(run.standardError)")
        }
        for row in rows {
            let name = row["name"]?.string ?? "?"
            let sides = [row["ours"], row["peer"]].compactMap { $0 }
            #expect(!sides.isEmpty && sides.allSatisfy(Self.isMeasured), "\(name): \(row)")
        }
        try expectTable(String(contentsOfFile: table, encoding: .utf8), rows: rows.count)
    }
    private static func isMeasured(_ side: JSON) -> Bool {
        let values = ["min", "median", "max"].compactMap { name -> Double? in
            guard case .number(let text) = side[name] else { return nil }
            return Double(text)
        }
        return values.count == 3 && values[0] > 0 && values[0] <= values[1]
            && values[1] <= values[2]
    }
    private func expectTable(_ text: String, rows: Int) throws {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("|") }
        let cells = lines.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(cells.first == ["what", "ours", "peer", "ratio", "budget", "met"])
        #expect(cells.dropFirst().first?.allSatisfy { $0.allSatisfy { $0 == "-" } } == true)
        #expect(cells.count == rows + 2)
        #expect(cells.allSatisfy { $0.count == 6 && $0.allSatisfy { !$0.isEmpty } })
    }

    @Test func `has work for callgrind that needs no callgrind`() throws {
        let scratch = try Scratch()
        let run = try ChildProcess(
            [DaemonProcess.binary, "bench", "child", "work", scratch.path], in: scratch)
        #expect(try run.wait() == 0, "\(run.standardError)")
    }
}

/// What `deploy/counts` makes of counts and thresholds.
@Suite struct `Counts` {
    private static func file(_ counts: [Count], compiler: String = "Swift 6.3.1") -> CountThresholds
    {
        CountThresholds(architecture: CountThresholds.here, compiler: compiler, counts: counts)
    }

    @Test(arguments: [
        (1_000, 0, CountThresholds.Verdict.same), (1_030, 0, .same), (1_031, 0, .worse),
        (970, 0, .same), (969, 0, .better), (1_000, 1, .worse), (900, 1, .worse),
    ])
    func `are compared with their thresholds`(
        instructions: Int, mallocs: Int, verdict: CountThresholds.Verdict
    ) {
        let thresholds = Self.file([Count(name: "reserve", instructions: 1_000, mallocs: 0)])
        let counted = Self.file([
            Count(name: "reserve", instructions: instructions, mallocs: mallocs),
            Count(name: "settle", instructions: 7, mallocs: 0),
        ])
        #expect(counted.verdicts(thresholds).map(\.verdict) == [verdict, .new])
    }
    @Test func `are compared with those of the same compiler only`() {
        let here = Self.file([])
        var elsewhere = here
        elsewhere.architecture = "vax"
        #expect(here.isComparable(to: here))
        #expect(!here.isComparable(to: elsewhere))
        #expect(!here.isComparable(to: Self.file([], compiler: "Swift 6.4")))
    }
    @Test func `are read as they were written`() {
        let written = Self.file([
            Count(name: "reserve", instructions: 1_234, mallocs: 0),
            Count(name: "fold", instructions: 56, mallocs: 9),
        ])
        #expect(CountThresholds(text: written.text) == written)
        #expect(CountThresholds(text: #"{"counts": {}}"#) == nil)
    }
    @Test func `of every work are committed`() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Counts/thresholds.json")
        let thresholds = try CountThresholds(path: file.path)
        #expect(thresholds.counts.map(\.name) == BenchWork.allCases.map(\.rawValue))
        for count in thresholds.counts where count.name != BenchWork.fold.rawValue {
            #expect(count.mallocs == 0, "\(count.name): the hot path allocates nothing")
        }
    }
    @Test func `are found in callgrind's files`() {
        let text = """
            # callgrind format
            desc: Trigger: Client Request: reserve
            events: Ir
            summary: 4242
            fn=take
            12 3
            cfn=malloc
            calls=3 0
            12 900
            cfn=free
            calls=5 0
            12 50
            fn=malloc
            cfn=_int_malloc
            calls=3 0
            cfn=calloc
            calls=1 0
            totals: 4243
            """
        let found = Callgrind.read(text)
        #expect(found?.name == "reserve")
        #expect(found?.instructions == 4_243)
        #expect(found?.mallocs == 4)
        #expect(Callgrind.read("events: Ir\ntotals: 1") == nil)
    }
}

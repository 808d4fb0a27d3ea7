import ArgumentParser
import Events
import Foundation
import Glibc

/// `tollgate bench counts`: instructions and allocations a command, against committed thresholds.
struct BenchCounts: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counts",
        abstract: "Count instructions and allocations, and compare them with thresholds.",
        discussion: """
            Runs the same work under valgrind's callgrind, about a minute, and compares
            what each command took with the file. Fails when one takes more, tolerance
            apart. Another compiler makes other code: then nothing is compared, and that
            is said.

            Example, as deploy/counts does it:
              tollgate bench counts --compiler "$(swift --version 2>&1)" \\
                Tests/Counts/thresholds.json
            """)

    @Argument(help: ArgumentHelp("The thresholds.", valueName: "file"))
    var file: String
    @Flag(help: "Write what is counted into the file instead of comparing.")
    var write = false
    @Option(
        help: ArgumentHelp(
            "What this program was compiled with; its first line counts.", valueName: "text"))
    var compiler: String

    func run() throws {
        Interrupt.catchSignals()
        let context = try BenchContext(under: nil, scale: .usual, rounds: 1)
        defer { context.removeDirectory() }
        let counted = CountThresholds(
            architecture: CountThresholds.here,
            compiler: compiler.split(separator: "\n").first.map(String.init) ?? "",
            counts: try Callgrind.count(context))
        if write {
            try BenchProcess.File.write(counted.text, to: file)
            for line in counted.table(nil) { Console.print(line) }
            return
        }
        let thresholds = try CountThresholds(path: file)
        guard thresholds.isComparable(to: counted) else {
            for line in counted.table(nil) { Console.print(line) }
            Console.note(
                "not compared: \(file) is of \(thresholds.compiler) on \(thresholds.architecture), "
                    + "this is \(counted.compiler) on \(counted.architecture)")
            return
        }
        for line in counted.table(thresholds) { Console.print(line) }
        let better = counted.verdicts(thresholds).filter { $0.verdict == .better }
        if !better.isEmpty {
            Console.note(
                "lower the thresholds, so that it stays so: deploy/counts --write "
                    + "(\(better.map(\.name).joined(separator: ", ")))")
        }
        let worse = counted.verdicts(thresholds).filter { $0.verdict == .worse }
        guard worse.isEmpty else {
            throw CommandFailure(
                .failure, "over the thresholds: \(worse.map(\.name).joined(separator: ", "))")
        }
    }
}

/// What a command took.
struct Count: Equatable, Sendable {
    var name: String
    var instructions: Int
    /// Allocations in a thousand commands.
    var mallocs: Int
}

/// What commands may take, on one architecture and as one compiler compiles them.
struct CountThresholds: Equatable, Sendable {
    var architecture: String
    var compiler: String
    var tolerancePercent = 3
    var counts: [Count]

    enum Verdict: String, Sendable { case same, better, worse, new }

    #if arch(x86_64)
    static let here = "x86_64"
    #elseif arch(arm64)
    static let here = "arm64"
    #else
    static let here = "unknown"
    #endif

    init(architecture: String, compiler: String, counts: [Count]) {
        self.architecture = architecture
        self.compiler = compiler
        self.counts = counts
    }
    init(path: String) throws(CommandFailure) {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(.noInput, "cannot read \(path)")
        }
        guard let read = CountThresholds(text: text) else {
            throw CommandFailure(
                .data, "\(path) does not hold thresholds: write them anew with --write")
        }
        self = read
    }
    init?(text: String) {
        guard
            let json = text.withBytes({ try? JSON(parsing: $0) }),
            let architecture = json["architecture"]?.string,
            let compiler = json["compiler"]?.string,
            let tolerance = json["tolerance_percent"]?.integer,
            let members = json["counts"]?.members
        else { return nil }
        self.init(architecture: architecture, compiler: compiler, counts: [])
        tolerancePercent = Int(tolerance)
        for member in members {
            guard
                let instructions = member.value["instructions"]?.integer,
                let mallocs = member.value["mallocs_per_1000"]?.integer
            else { return nil }
            counts.append(
                Count(name: member.name, instructions: Int(instructions), mallocs: Int(mallocs)))
        }
    }

    /// A line a count, so that a change shows as what it is in a diff.
    var text: String {
        let lines = counts.map {
            "    \"\($0.name)\": {\"instructions\": \($0.instructions), "
                + "\"mallocs_per_1000\": \($0.mallocs)}"
        }
        return """
            {
              "architecture": "\(architecture)",
              "compiler": "\(compiler)",
              "tolerance_percent": \(tolerancePercent),
              "counts": {
            \(lines.joined(separator: ",\n"))
              }
            }

            """
    }

    func isComparable(to other: CountThresholds) -> Bool {
        architecture == other.architecture && compiler == other.compiler
    }
    /// How each of these counts stands to its threshold.
    func verdicts(_ thresholds: CountThresholds) -> [(name: String, verdict: Verdict)] {
        counts.map { ($0.name, thresholds.verdict($0)) }
    }
    private func verdict(_ count: Count) -> Verdict {
        guard let own = counts.first(where: { $0.name == count.name }) else { return .new }
        let (least, most) = (100 - tolerancePercent, 100 + tolerancePercent)
        // An allocation more is worse however many there were: the hot path has none.
        if count.mallocs > own.mallocs || count.instructions * 100 > own.instructions * most {
            return .worse
        }
        let isBetter =
            count.mallocs < own.mallocs || count.instructions * 100 < own.instructions * least
        return isBetter ? .better : .same
    }

    func table(_ thresholds: CountThresholds?) -> [String] {
        var table = Table([
            .text(""), .number("instructions"), .number("threshold"), .number("change"),
            .number("mallocs/1000"), .text(""),
        ])
        for count in counts {
            let own = thresholds?.counts.first { $0.name == count.name }
            table.add([
                BenchWork(rawValue: count.name)?.what ?? count.name,
                LoadReport.grouped(count.instructions),
                own.map { LoadReport.grouped($0.instructions) } ?? "-",
                own.map {
                    BenchRow.decimal(
                        (Double(count.instructions) / Double($0.instructions) - 1) * 100, 1) + " %"
                } ?? "-",
                LoadReport.grouped(count.mallocs),
                thresholds.map { $0.verdict(count).rawValue } ?? "",
            ])
        }
        return table.lines()
    }
}

/// valgrind's instruction counter, run on this program.
enum Callgrind {
    /// Those of the C library that Swift calls.
    private static let allocators: Set<Substring> = [
        "malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign",
    ]

    static func count(_ context: BenchContext) throws(CommandFailure) -> [Count] {
        guard BenchPeers.isInstalled("valgrind") else {
            throw CommandFailure(.unavailable, "valgrind is not installed")
        }
        let program = try strippedCopy(context)
        let work = try context.makeDirectory("work")
        let files = context.path("callgrind.out")
        context.note("counting, about a minute")
        try BenchProcess(
            [
                "run", "env", "SWIFT_DETERMINISTIC_HASHING=1", "valgrind", "--tool=callgrind",
                "--instr-atstart=no", "--collect-atstart=no", "--separate-threads=yes",
                "--compress-strings=no", "--callgrind-out-file=\(files)",
                program, "bench", "child", "work", work,
            ], output: context.path("valgrind.log")
        ).finish(context)
        var counts: [Count] = []
        for (i, work) in BenchWork.allCases.enumerated() {
            // The dump's number and the thread's: this one of ours does all that is counted.
            let path = "\(files).\(i + 1)-01"
            guard
                let text = try? String(contentsOfFile: path, encoding: .utf8),
                let found = read(text), found.name == work.rawValue, found.instructions > 0
            else {
                throw CommandFailure(
                    .software,
                    "valgrind did not count \(work.rawValue): "
                        + BenchProcess.File.text(context.path("valgrind.log.err")))
            }
            counts.append(
                Count(
                    name: work.rawValue,
                    instructions: (found.instructions + work.times / 2) / work.times,
                    mallocs: (found.mallocs * 1_000 + work.times - 1) / work.times))
        }
        return counts
    }

    /// valgrind reads all that is known about a program before it runs it, and gives up on some of
    /// what Swift writes down for debuggers; names alone are enough.
    private static func strippedCopy(_ context: BenchContext) throws(CommandFailure) -> String {
        let copy = context.path("tollgate")
        let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        guard let program else {
            throw CommandFailure(.software, "no /proc: where is this program?")
        }
        guard BenchPeers.isInstalled("strip") else { return program }
        try BenchProcess(
            ["run", "strip", "-g", "-o", copy, program], output: context.path("strip.log")
        ).finish(context)
        return copy
    }

    /// Name, instructions and allocations of one of callgrind's files.
    static func read(_ text: String) -> (name: String, instructions: Int, mallocs: Int)? {
        var name: String?
        var instructions: Int?
        var mallocs = 0
        var isAllocator = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("cfn=") {
                isAllocator = allocators.contains(line.dropFirst(4))
            } else if line.hasPrefix("calls="), isAllocator {
                mallocs += Int(line.dropFirst(6).prefix { $0 != " " }) ?? 0
            } else if line.hasPrefix("desc: Trigger: Client Request: ") {
                name = String(line.dropFirst(31))
            } else if line.hasPrefix("totals: ") {
                instructions = Int(line.dropFirst(8))
            } else if line.hasPrefix("summary: "), instructions == nil {
                instructions = Int(line.dropFirst(9))
            }
        }
        guard let name, let instructions else { return nil }
        return (name, instructions, mallocs)
    }
}

import Events
import Glibc

/// How fast `tollgate audit export` writes a log, and what memory it takes.
struct BenchExport: BenchTest {
    let name = "export"
    let summary =
        "audit export as CSV and JSON lines, from a directory and a daemon, and its memory"

    private struct Side {
        var words: [String]
        var peaks: [Double] = []
    }

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let log = try context.historyLog()
        let daemon = try BenchPeers.tollgate(context, in: log.directory)
        let most = min(log.events, 2_000_000)
        let file = context.path("export")
        defer { for suffix in ["", ".manifest"] { unlink(file + suffix) } }
        let whole = ["--to", "\(most)"]
        let directory = ["--dir", log.directory]
        var sides = [
            Side(words: directory + whole), Side(words: directory + whole + ["--format", "jsonl"]),
            Side(words: ["--socket", daemon.socket] + whole),
            // Both are of more requests than are remembered for their settlements.
            Side(words: directory + ["--to", "\(log.events / 2)"]),
            Side(words: directory),
        ]
        let rates = try context.alternate(sides: sides.count) { side throws(CommandFailure) in
            let command = try BenchCommand(
                ["audit", "export", "--out", file, "--force"] + sides[side].words, context)
            sides[side].peaks.append(Double(command.peakBytes))
            return Double(BenchProcess.File.size(file)) / command.seconds
        }
        withExtendedLifetime(daemon) {}
        let memory = sides.map { Spread(Array($0.peaks.dropFirst())) }
        let size = "\(LoadReport.grouped(most)) events"
        func row(_ name: String, _ what: String, _ side: Int) -> BenchRow {
            BenchRow(
                name: "export.\(name)", what: "audit export, \(what)", measure: .bytesPerSecond,
                ours: Spread(rates[side]), note: size)
        }
        return [
            row("csv", "CSV from a directory", 0), row("jsonl", "JSON lines from a directory", 1),
            row("daemon", "CSV from a daemon", 2),
            BenchRow(
                name: "export.memory", what: "audit export, peak of its own memory",
                measure: .bytes, ours: memory[4],
                peer: ("\(LoadReport.grouped(log.events / 2)) events", memory[3]), note: log.size),
        ]
    }
}

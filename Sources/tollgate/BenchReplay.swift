import Events
import Glibc

/// How fast `tollgate audit replay` derives a log's answers anew, and what memory it takes.
struct BenchReplay: BenchTest {
    let name = "replay"
    let summary = "audit replay of 10 M events, from a directory and a daemon, and its memory"

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let log = try context.historyLog()
        let daemon = try BenchPeers.tollgate(context, in: log.directory)
        // Both are of more requests than a book remembers.
        let (half, most) = (log.events / 2, log.events - log.events / 8)
        let sides = [
            ["--dir", log.directory], ["--socket", daemon.socket],
            ["--dir", log.directory, "--to", "\(half)"],
            ["--dir", log.directory, "--to", "\(most)"],
        ]
        var peaks: [[Double]] = sides.map { _ in [] }
        let rates = try context.alternate(sides: sides.count) { side throws(CommandFailure) in
            let command = try BenchCommand(["audit", "replay", "--json"] + sides[side], context)
            let answer = try? command.output.withBytes { try JSON(parsing: $0) }
            guard let events = answer?["events"]?.integer, events > 0,
                answer?["difference_count"]?.integer == 0
            else { throw CommandFailure(.software, "no replay: \(command.output)") }
            peaks[side].append(Double(command.peakBytes))
            return Double(events) / command.seconds
        }
        withExtendedLifetime(daemon) {}
        let memory = peaks.map { Spread(Array($0.dropFirst())) }
        return [
            BenchRow(
                name: "replay.directory", what: "audit replay, from a directory",
                measure: .perSecond, ours: Spread(rates[0]), note: log.size),
            BenchRow(
                name: "replay.daemon", what: "audit replay, from a daemon, with its balances",
                measure: .perSecond, ours: Spread(rates[1]),
                peer: ("from a directory", Spread(rates[0])), note: log.size),
            BenchRow(
                name: "replay.memory", what: "audit replay, peak of its own memory",
                measure: .bytes, ours: memory[3],
                peer: ("\(LoadReport.grouped(half)) events", memory[2]),
                note: "\(LoadReport.grouped(most)) events"),
            BenchRow(
                name: "replay.memory.compared",
                what: "the same, with the last checkpoint's book to compare",
                measure: .bytes, ours: memory[0], peer: ("without", memory[3]), note: log.size),
        ]
    }
}

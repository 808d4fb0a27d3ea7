import Events
import Glibc
import Journal
import Reports

/// What the tables beside the log take of the disk, and what they save whoever asks for a report.
struct BenchRollups: BenchTest {
    let name = "rollups"
    let summary = "a month's report over 10 M events, and the size of tree and roll-ups"

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let log = try context.historyLog()
        let sizes = try sizes(log)
        let daemon = try BenchPeers.tollgate(context, in: log.directory)
        let client = try Client(.unix(daemon.socket))
        let questions = ["team,model", "hour,team", "user,team"]
        let times = try context.alternate(sides: questions.count + 1) {
            side throws(CommandFailure) in
            guard side < questions.count else { return try fold(log, context) }
            let start = monotonicNanoseconds()
            let answer = try client.json([
                "ROLLUPS", "by=\(questions[side])", "from=2026-11-01T00:00:00Z",
                "to=2026-12-01T00:00:00Z",
            ])
            guard answer["rows"]?.array?.isEmpty == false else {
                throw CommandFailure(.software, "ROLLUPS answered no rows")
            }
            return Double(monotonicNanoseconds() - start)
        }
        withExtendedLifetime(daemon) {}
        let folded = Spread(times[questions.count])
        return questions.indices.map { i in
            BenchRow(
                name: "rollups.by.\(questions[i].replacing(",", with: "."))",
                what: "ROLLUPS of a month by \(questions[i].replacing(",", with: " and "))",
                measure: .nanoseconds, ours: Spread(times[i]),
                peer: ("folding the log", folded), note: log.size)
        } + sizes
    }

    private func sizes(_ log: BenchHistoryLog) throws(CommandFailure) -> [BenchRow] {
        try benchJournal { () throws(JournalError) in
            let inspection = try Inspection(directory: log.directory, everyPage: false)
            var rows: [BenchRow] = []
            for table in ProjectionTable.allCases {
                let (own, events) = try inspection.readProjection(table) {
                    (rows, _) throws(LMDBError) in (rows.bytes, rows.eventBytes)
                }
                let share = BenchRow.decimal(Double(own) / Double(events) * 100, 2)
                rows.append(
                    BenchRow(
                        name: "rollups.size.\(table)",
                        what: table == .tree ? "the tree on disk" : "the roll-ups on disk",
                        measure: .bytes, ours: Spread([Double(own)]),
                        peer: ("the log's events", Spread([Double(events)])),
                        note: "\(share) % of the log, \(log.size)"))
            }
            return rows
        }
    }
    /// What a report would take without rows: every event of the log, read and folded into roll-ups in
    /// memory; in nanoseconds.
    private func fold(
        _ log: BenchHistoryLog, _ context: BenchContext
    ) throws(CommandFailure) -> Double {
        let inspection = try benchJournal { () throws(JournalError) in
            try Inspection(directory: log.directory, everyPage: false)
        }
        let table = MemoryRollups { seq, copy in
            let count = copy.count
            _ = try? inspection.readPages(from: seq, through: seq) { page in
                for event in page.events { copy.append(event) }
                return false
            }
            return copy.count > count
        }
        var fold = RollupFold()
        var failed = false
        let start = monotonicNanoseconds()
        _ = try benchJournal { () throws(JournalError) in
            try inspection.readPages { page in
                failed = (try? fold.fold(page, table, writes: true)) == nil
                return !failed && Interrupt.count == 0
            }
        }
        let time = Double(monotonicNanoseconds() - start)
        try context.checkInterrupt()
        guard !failed, fold.seq >= log.events else {
            throw CommandFailure(.software, "the bench's own log does not fold: this is a bug")
        }
        return time
    }
}

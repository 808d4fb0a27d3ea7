import Events
import Glibc
import Journal

/// What the tables beside the log take of the disk, and what they save whoever asks for a report.
struct BenchRollups: BenchTest {
    let name = "report"
    let summary = "reports of a month of 10 M events, and the size of tree and roll-ups"

    /// What each is called, and what it is asked for.
    private static let reports = [
        ("spend by team and model", ["spend", "--by", "team,model"]),
        ("spend by key and model", ["spend", "--by", "key,model"]),
        ("spend by user", ["spend", "--by", "user"]),
        ("spend by day, key and model as FOCUS", ["spend", "--format", "focus"]),
    ]

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let log = try context.historyLog()
        let daemon = try BenchPeers.tollgate(context, in: log.directory)
        let reports = Self.reports
        let times = try context.alternate(sides: reports.count + 1) {
            side throws(CommandFailure) in
            // Without rows, a report would have to do what this does: fold the log.
            let words =
                side == reports.count
                ? ["reindex", "--dir", log.directory]
                : ["report"] + reports[side].1 + [
                    "--period", BenchHistory.period, "--socket", daemon.socket,
                ]
            let command = try BenchCommand(words, context)
            guard !command.output.isEmpty else {
                throw CommandFailure(.software, "\(words.joined(separator: " ")) said nothing")
            }
            return command.seconds * 1e9
        }
        withExtendedLifetime(daemon) {}
        let folded = Spread(times[reports.count])
        return try reports.indices.map { i in
            BenchRow(
                name: "report.\(reports[i].1.last ?? "")", what: "report \(reports[i].0)",
                measure: .nanoseconds, ours: Spread(times[i]),
                peer: ("folding the log: reindex", folded), note: log.size)
        } + sizes(log)
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
                        name: "report.size.\(table)",
                        what: table == .tree ? "the tree on disk" : "the roll-ups on disk",
                        measure: .bytes, ours: Spread([Double(own)]),
                        peer: ("the log's events", Spread([Double(events)])),
                        note: "\(share) % of the log, \(log.size)"))
            }
            return rows
        }
    }
}

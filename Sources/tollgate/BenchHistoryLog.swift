import Audit
import Events
import Glibc
import Journal
import Reports

/// A history in a data directory, as a daemon would have left it there. It is made once a run, by the first
/// that wants to read it.
struct BenchHistoryLog {
    let directory: String
    /// When it was made; daemons that were started on it have added theirs.
    let events: UInt64

    var size: String { "\(LoadReport.grouped(events)) events" }

    /// Staged at once.
    private static let stride = 1 << 14

    /// - Parameter requests: how many there are, placed or refused.
    static func make(
        _ requests: Int, in directory: String, _ context: BenchContext
    ) throws(CommandFailure) -> BenchHistoryLog {
        let journal = try benchJournal { () throws(JournalError) in
            var options = JournalOptions(directory: directory)
            options.projections = [MerkleTree(), Rollups()]
            let journal = try Journal.open(options)
            try journal.startCommitter()
            return journal
        }
        defer { journal.shutdown() }
        var history = try BenchHistory.make(ledger: journal.ledgerID.description)
        for first in Swift.stride(from: 0, to: requests, by: stride) {
            try context.checkInterrupt()
            try history.ask(min(stride, requests - first))
            try history.drain { events throws(CommandFailure) in
                if journal.stageableBytes < events.count {
                    try waitDurable(journal)
                }
                journal.stage(events)
            }
        }
        try waitDurable(journal)
        return BenchHistoryLog(directory: directory, events: journal.durableSeq)
    }
    private static func waitDurable(_ journal: Journal) throws(CommandFailure) {
        guard journal.waitDurable(journal.stagedSeq) else {
            throw CommandFailure(.io, "\(journal.stateReason); say another place with --dir")
        }
    }
}

extension BenchContext {
    /// Ten million events of a history.
    func historyLog() throws(CommandFailure) -> BenchHistoryLog {
        if let history { return history }
        let requests = count(5_060_000, smoke: 16_384)
        note("making a log of \(LoadReport.grouped(requests)) requests")
        let made = try BenchHistoryLog.make(requests, in: makeDirectory("history"), self)
        history = made
        return made
    }
}

/// A command of this program's, run to its end in a process of its own.
struct BenchCommand {
    let seconds: Double
    /// The most it held of memory of its own.
    let peakBytes: Int
    let output: String

    init(_ words: [String], _ context: BenchContext) throws(CommandFailure) {
        let file = context.path("command.txt")
        let start = monotonicNanoseconds()
        let process = try BenchProcess(["run", "/proc/self/exe"] + words, output: file)
        var peak = 0
        try process.finish(context) { peak = max(peak, process.ownBytes) }
        seconds = Double(monotonicNanoseconds() - start) / 1e9
        peakBytes = peak
        output = BenchProcess.File.text(file)
    }
}

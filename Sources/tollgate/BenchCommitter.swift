import Audit
import Events
import Glibc
import Journal
import Reports

/// What an event costs the committer, with the tree and the roll-ups that it keeps in the same transaction
/// and without.
struct BenchCommitter: BenchTest {
    let name = "committer"
    let summary = "ns and bytes an event in the committer, with tree and roll-ups and without"

    /// What is kept beside the log.
    private enum Kept: Int, CaseIterable {
        case nothing, tree, rollups, both

        var projections: [any Projection] {
            switch self {
            case .nothing: []
            case .tree: [MerkleTree()]
            case .rollups: [Rollups()]
            case .both: [MerkleTree(), Rollups()]
            }
        }
        var what: String {
            switch self {
            case .nothing: "log"
            case .tree: "log and tree"
            case .rollups: "log and roll-ups"
            case .both: "log, tree and roll-ups"
            }
        }
    }
    /// In the order of the values that a run answers.
    private static let measures = ["time", "written", "kept"]

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        var log = ByteBuffer(capacity: 1 << 20)
        var history = try BenchHistory.make(ledger: String(repeating: "0", count: 32))
        try history.ask(context.count(131_072, smoke: 8_192))
        try history.drain { events in log.append(events) }
        var rows: [BenchRow] = []
        for (batch, share) in [(4_096, 1), (128, 4)] {
            var values = Kept.allCases.map { _ in Self.measures.map { _ in [Double]() } }
            for round in 0...context.rounds {
                for kept in Kept.allCases {
                    try context.checkInterrupt()
                    let found = try commit(
                        log.bytes.slice(0, log.count), share, kept, batch, context)
                    guard round > 0 else { continue }
                    for (i, value) in found.enumerated() { values[kept.rawValue][i].append(value) }
                }
            }
            rows += Self.rows(values.map { $0.map(Spread.init) }, batch)
        }
        // It owns the bytes that were committed, so it lives until here.
        log.removeAll()
        return rows
    }

    /// Appends the first part of a log to a journal of its own, so many events a commit; the processor's
    /// nanoseconds, the bytes given to the disk and those that the file grew by, for each event.
    private func commit(
        _ log: Bytes, _ share: Int, _ kept: Kept, _ batch: Int, _ context: BenchContext
    ) throws(CommandFailure) -> [Double] {
        let directory = try context.makeDirectory("committer")
        defer { context.removeDirectory(directory) }
        let journal = try benchJournal { () throws(JournalError) in
            var options = JournalOptions(directory: directory)
            options.mapBytes = 8 << 30
            options.projections = kept.projections
            return try Journal.open(options)
        }
        defer { journal.shutdown() }
        var time: Int64 = 0
        var at = 0
        let used = journal.statistics.mapUsedBytes
        let written = Self.writtenBytes
        while at < log.count / share {
            let start = at
            var count = 0
            while count < batch, let length = StoredEvent.length(log.slice(at, log.count)) {
                at += length
                count += 1
            }
            journal.stage(log.slice(start, at), announcing: false)
            let began = threadNanoseconds()
            guard journal.commitOnce() == .committed else {
                throw CommandFailure(.io, "\(journal.stateReason); say another place with --dir")
            }
            time += threadNanoseconds() - began
        }
        let events = Double(journal.durableSeq)
        return [
            Double(time) / events, Double(Self.writtenBytes - written) / events,
            Double(journal.statistics.mapUsedBytes - used) / events,
        ]
    }
    /// What this process has handed to `write` and its like so far.
    private static var writtenBytes: Int {
        let line = BenchProcess.File.text("/proc/self/io").split(separator: "\n").first {
            $0.hasPrefix("wchar:")
        }
        return line.flatMap { Int($0.dropFirst(6).drop { $0 == " " }) } ?? 0
    }

    private static func rows(_ values: [[Spread]], _ batch: Int) -> [BenchRow] {
        func row(_ kept: Kept, _ i: Int, _ what: String, _ measure: BenchRow.Measure) -> BenchRow {
            BenchRow(
                name: "committer.\(batch).\(kept).\(measures[i])",
                what: "\(what), \(LoadReport.grouped(batch)) a commit: \(kept.what)",
                measure: measure, ours: values[kept.rawValue][i],
                peer: ("log alone", values[Kept.nothing.rawValue][i]))
        }
        return [Kept.tree, .rollups, .both].map {
            row($0, 0, "an event in the committer", .nanoseconds)
        } + [
            row(.both, 1, "written an event", .bytes), row(.both, 2, "disk an event", .bytes),
        ]
    }
}

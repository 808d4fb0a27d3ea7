import Events
import Journal
import Ledger

/// How fast a log becomes a book: what a restart without a checkpoint has to do.
struct BenchFold: BenchTest {
    let name = "fold"
    let summary = "events/s into a fresh book, from memory and journal"

    private static let keys = 256
    private static let burst = 256

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let bursts = context.count(4_000, smoke: 8)
        var log = ByteBuffer(capacity: 1 << 20)
        try write(bursts, into: &log, context)
        let directory = try context.makeDirectory("fold")
        defer { context.removeDirectory(directory) }
        let journal = try benchJournal { () throws(JournalError) in
            var options = JournalOptions(directory: directory)
            // So small that valgrind can map it, too; it grows when it must.
            options.mapBytes = 8 << 30
            return try Journal.open(options)
        }
        let bytes = log.bytes
        let events = try fill(journal, with: bytes)

        var digest: Hash128?
        func perSecond(since start: Int64) -> Double {
            Double(events) / (Double(threadNanoseconds() - start) / 1e9)
        }
        let values = try context.alternate(sides: 3) { side throws(CommandFailure) in
            if side == 2 {
                let start = threadNanoseconds()
                _ = try benchJournal { () throws(JournalError) in
                    try journal.readPages { _ in true }
                }
                return perSecond(since: start)
            }
            var book = Book()
            let start = threadNanoseconds()
            if side == 0 {
                guard Self.fold(bytes, into: &book) else { throw Self.broken }
            } else {
                try Self.fold(journal, into: &book)
            }
            let rate = perSecond(since: start)
            let found = book.digest()
            guard book.seq == events, digest == nil || digest == found else {
                throw CommandFailure(.software, "two folds of one log disagree: this is a bug")
            }
            digest = found
            return rate
        }
        journal.shutdown()
        // It owns the bytes that were folded, so it lives until here.
        log.removeAll()
        let size = "\(LoadReport.grouped(events)) events"
        return [
            BenchRow(
                name: "fold.memory", what: "fold on replay, from memory", measure: .perSecond,
                ours: Spread(values[0]), budget: .atLeast(10e6), note: size),
            BenchRow(
                name: "fold.journal", what: "fold on replay, through the journal",
                measure: .perSecond, ours: Spread(values[1]),
                peer: ("reading alone", Spread(values[2])), budget: .atLeast(10e6), note: size),
        ]
    }

    private func write(
        _ bursts: Int, into log: inout ByteBuffer, _ context: BenchContext
    ) throws(CommandFailure) {
        var ledger = try BenchLedger.make(keys: Self.keys, directory: nil)
        for _ in 0..<bursts {
            try context.checkInterrupt()
            _ = try ledger.run(requests: Self.burst)
            log.append(ledger.machine.outbox.bytes)
            ledger.machine.outbox.removeAll()
        }
    }
    /// Puts the log into the journal, as the gate would; how many events it has.
    private func fill(_ journal: Journal, with log: Bytes) throws(CommandFailure) -> UInt64 {
        try benchJournal { () throws(JournalError) in try journal.startCommitter() }
        var from = 0
        var at = 0
        while from < log.count {
            let room = min(journal.stageableBytes, 1 << 20)
            while at < log.count, let length = StoredEvent.length(log.slice(at, log.count)),
                at + length - from <= room
            { at += length }
            if at == from {
                journal.waitDurable(journal.stagedSeq)
            } else {
                journal.stage(log.slice(from, at))
                from = at
            }
        }
        guard journal.waitDurable(journal.stagedSeq) else {
            throw CommandFailure(.io, "\(journal.stateReason); say another place with --dir")
        }
        return journal.stagedSeq
    }

    @inline(never)
    static func fold(_ log: Bytes, into book: inout Book) -> Bool {
        do throws(EventError) {
            try book.fold(log)
            return true
        } catch {
            return false
        }
    }
    /// As the daemon does at its start.
    @inline(never)
    private static func fold(
        _ journal: Journal, into book: inout Book
    ) throws(CommandFailure) {
        var isWhole = true
        try benchJournal { () throws(JournalError) in
            try journal.readPages { page in
                do throws(EventError) {
                    try book.fold(page.frames, gap: EventPage.gap)
                    return true
                } catch {
                    isWhole = false
                    return false
                }
            }
            return
        }
        guard isWhole else { throw Self.broken }
    }
    static let broken = CommandFailure(
        .software, "the bench's own log does not fold: this is a bug")
}

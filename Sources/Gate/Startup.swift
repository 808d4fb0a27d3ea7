import Events
import Journal
import Ledger
import Logging

/// From what is on disk to a book.
enum Startup {
    /// A machine that has decided this epoch's first events; nobody has been told of them yet.
    struct Prepared: ~Copyable {
        var machine: Machine
        var floods: FloodPage
        var personal: PersonalTable
    }
    static func prepare(
        _ journal: Journal, directory: String, now: Instant, calendar: ZoneCalendar,
        version: String, logger: Logger, random: (() -> UInt64)? = nil
    ) throws(DaemonFailure) -> Prepared {
        var machine = Machine(book: try loadBook(journal, logger), calendar: calendar)
        machine.advance(to: now, lapsesMax: 0)
        let floods = try FloodPage(directory: directory, ledger: journal.ledgerID)
        let restored = journal.restored
        machine.start(
            ledger: journal.ledgerID.description, version: version,
            pending: try floods.recover(journal, accounts: machine.book.accountCount),
            restored: restored.map { Restoration(seq: $0.seq, root: $0.root) },
            skipping: restored == nil ? 0 : .random(in: skippedEpochs))
        let personal = try PersonalTable(journal, random: random)
        for erased in personal.untold
        where erased.org == .none || machine.book.path(of: erased.org) != nil {
            machine.noteErased(erased.field, of: erased.org, [erased.commitment], reason: nil)
        }
        return Prepared(machine: machine, floods: floods, personal: personal)
    }

    /// How many epochs are left out behind a backup: more than its original may have begun since, and
    /// never the same, for one backup may be restored twice. So no hold's name is given out again.
    private static let skippedEpochs: ClosedRange<UInt32> = 1_000...99_999

    private static func loadBook(
        _ journal: Journal, _ logger: Logger
    ) throws(DaemonFailure) -> Book {
        var book = try loadCheckpoint(journal, logger: logger)
        guard book.seq <= journal.lastSeq else {
            throw .dataError(
                "the newest checkpoint is ahead of the journal; delete the checkpoints folder")
        }
        let from = book.seq
        try fold(journal, into: &book)
        if book.seq > from {
            let behind = from == 0 ? "without a checkpoint" : "behind checkpoint \(from)"
            logger.info("folded \(book.seq - from) events \(behind)")
        }
        return book
    }

    /// The newest checkpoint that is whole; an empty book when there is none.
    static func loadCheckpoint(_ journal: Journal, logger: Logger) throws(DaemonFailure) -> Book {
        var notes: [String] = []
        let found: Checkpoint?
        do throws(JournalError) {
            found = try journal.newestValidCheckpoint(notes: &notes)
        } catch {
            throw DaemonFailure(error)
        }
        for note in notes { logger.warning("\(note)") }
        if let found {
            if let book = Book(decoding: found.payload), book.seq == found.seq { return book }
            logger.warning(
                "checkpoint \(found.seq) is of another version; folding the log from its beginning")
        }
        return Book()
    }

    /// Folds everything durable that the book has not seen, up to a seq.
    static func fold(
        _ journal: Journal, into book: inout Book, through last: UInt64 = .max
    ) throws(DaemonFailure) {
        var failure: DaemonFailure?
        do throws(JournalError) {
            try journal.readPages(from: book.seq + 1, through: last) { page in
                do throws(EventError) {
                    try book.fold(page.frames, gap: EventPage.gap)
                    return true
                } catch {
                    failure = .dataError(
                        "event \(book.seq + 1) of the journal does not fold: \(error.explanation); "
                            + "restore the directory from a backup")
                    return false
                }
            }
        } catch {
            throw DaemonFailure(error)
        }
        if let failure { throw failure }
    }
}

extension DaemonFailure {
    init(_ error: JournalError) {
        let code: Int32 =
            switch error.kind {
            case .busy: 75
            case .format, .damaged: 65
            case .io: 74
            case .usage: 78
            }
        self.init(exitCode: code, message: error.message)
    }
}

import ArgumentParser
import Audit
import Events
import Journal
import Ledger

/// `tollgate audit replay`
struct AuditReplay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Derive every answer in the log anew, and compare.",
        discussion: """
            Folds the log from its first event into an empty book. Before each event the
            ledger's own rules are asked what they make of the same question: allowed or
            refused, for which reason, at which price, for which amount. Then the balances
            of every account are compared with the running daemon's, each as of the event
            that USAGE names, or with --dir the book with the directory's checkpoints.

            Whether an operator who asked had the role for it is derived; who of the
            machine's users was an admin is not, nor what is an input: a tier, an outcome, an
            admin's amounts, how many refusals were only counted. Nor is it derived how late
            a hold lapsed, as a busy daemon does it when it can, and that a text which was
            erased had been in use: that would take every commitment of the log in memory.
            That none of it was changed since is what 'tollgate audit verify' proves.

            Ends at the first difference and shows both sides, with exit code 65. --diff
            goes on and lists them all.

            Examples:
              tollgate audit replay
              tollgate audit replay --to 2026-11-01 --zone Europe/Berlin
              tollgate audit replay --dir /backup/tollgate --diff --json
            """)
    @OptionGroup var log: LogOptions
    @OptionGroup var format: FormatOptions
    // Whatever it is, a number below zero too, is answered in our own words.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The instant before which it ends, or the last event's number.", valueName: "when"))
    var to: String?
    @Option(
        help: ArgumentHelp("The zone in which a date begins; UTC by default.", valueName: "zone"))
    var zone: String?
    @Flag(help: "Go on after a difference, and list all of them.") var diff = false

    func run() throws {
        Interrupt.catchSignals()
        if let zone, to == nil {
            throw CommandFailure(
                .usage, "--zone \(zone) says where the date of --to begins: say --to, too")
        }
        let source = try log.open()
        let last = try end(source)
        var run = ReplayRun(source, calendar: .foundation, lists: diff, prints: !format.json)
        do throws(AuditFailure) {
            let checkpoints = try checkpoints(source, through: last)
            if try run.compare(through: last, checkpoints), to == nil,
                let live = source as? SocketLog
            {
                try run.compareBalances(live, try asker())
            }
        } catch {
            run.finish()
            throw CommandFailure(error)
        }
        run.finish()
        if format.json { run.json.print() } else { run.summary(isPast: to != nil) }
        try run.judge()
    }

    private func end(_ source: any LogSource) throws(CommandFailure) -> UInt64 {
        guard let to else { return source.lastSeq }
        switch try CalendarWords(zone: zone ?? "UTC").place(to, "--to") {
        case .event(let seq):
            guard seq <= source.lastSeq else {
                throw CommandFailure(
                    .usage, "--to \(seq) is behind the log's end, event \(source.lastSeq)")
            }
            return seq
        case .instant(let instant):
            let first: UInt64
            do throws(AuditFailure) { first = try source.firstSeq(at: instant) } catch {
                throw CommandFailure(error)
            }
            guard first > 1 else {
                throw CommandFailure(
                    .usage, "the log has no event before --to \(to): say a later one")
            }
            return first - 1
        case .start, .end: return source.lastSeq
        }
    }
    private func checkpoints(
        _ source: any LogSource, through last: UInt64
    ) throws(AuditFailure) -> [Checkpoint] {
        guard let directory = source as? DirectoryLog else { return [] }
        do throws(JournalError) {
            return try directory.inspection.wholeCheckpoints().filter { $0.seq <= last }
        } catch {
            throw AuditFailure(error)
        }
    }
    /// A connection of its own for USAGE: the log's has answers on the way.
    private func asker() throws(AuditFailure) -> Client {
        do throws(CommandFailure) { return try log.connection.connect() } catch {
            throw AuditFailure(error)
        }
    }
}

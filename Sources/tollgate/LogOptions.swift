import ArgumentParser
import Audit
import Events

/// Which log is read: a running daemon's, or that of a directory with or without one.
struct LogOptions: ParsableArguments {
    @Option(
        name: .customLong("dir"),
        help: ArgumentHelp(
            "Read a data directory, a backup or a copy of one, and ask no daemon.",
            valueName: "dir"))
    var directory: String?
    @OptionGroup var connection: ConnectionOptions

    func open() throws(CommandFailure) -> any LogSource {
        try checkAlone()
        guard let directory else { return try SocketLog(try connection.connect()) }
        do throws(AuditFailure) { return try DirectoryLog(directory) } catch {
            throw CommandFailure(error)
        }
    }
    /// Throws where a directory is named and a daemon, too.
    func checkAlone() throws(CommandFailure) {
        guard directory != nil else { return }
        for (name, value) in [
            ("socket", connection.socket), ("data", connection.data), ("tcp", connection.tcp),
        ] where value != nil {
            throw CommandFailure(
                .usage, "--dir reads files, --\(name) asks a daemon: say one of them")
        }
    }
}

/// A part of the log, as people say it.
struct LogRangeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The first instant (2026-11-22, 2026-11-22T10:00:00Z) or the first event's number.",
            valueName: "when"))
    var from: String?
    @Option(
        help: ArgumentHelp(
            "The instant before which it ends, or the last event's number.", valueName: "when"))
    var to: String?
    @OptionGroup var calendar: CalendarOptions

    /// The events meant, of a log as it is now.
    func seqs(in source: any LogSource) throws(CommandFailure) -> ClosedRange<UInt64> {
        let range = try range()
        let (first, last): (UInt64, UInt64)
        do throws(AuditFailure) {
            first =
                switch range.from {
                case .start: 1
                case .event(let seq): seq
                case .instant(let instant): try source.firstSeq(at: instant)
                case .end: source.lastSeq
                }
            last =
                switch range.to {
                case .start: 0
                case .event(let seq): min(seq, source.lastSeq)
                case .instant(let instant): try source.firstSeq(at: instant) - 1
                case .end: source.lastSeq
                }
        } catch {
            throw CommandFailure(error)
        }
        guard first <= last else { throw CommandFailure.noEvents(range, source.lastSeq) }
        return first...last
    }
    /// Both ends, in order.
    func range() throws(CommandFailure) -> LogRange {
        if let period = calendar.period {
            guard from == nil, to == nil else {
                throw CommandFailure(.usage, "say --period, or --from and --to, not both")
            }
            let period = try calendar.words().period(period, "--period")
            return LogRange(from: .instant(period.lowerBound), to: .instant(period.upperBound))
        }
        let words = try calendar.words()
        let range = LogRange(
            from: try from.map { (text) throws(CommandFailure) in try words.place(text, "--from") }
                ?? .start,
            to: try to.map { (text) throws(CommandFailure) in try words.place(text, "--to") }
                ?? .end)
        switch (range.from, range.to) {
        case (.instant(let a), .instant(let b)) where a >= b:
            throw CommandFailure(
                .usage,
                a == b
                    ? "--from \(from ?? "") and --to \(to ?? "") are one instant, and --to is left out: "
                        + "say a later --to"
                    : "--from \(from ?? "") is after --to \(to ?? ""): exchange them")
        case (.event(let a), .event(let b)) where a > b:
            throw CommandFailure(
                .usage, "--from \(a) is after --to \(b): exchange them")
        default: return range
        }
    }
}

/// A part of the log: from a place, which belongs to it, to another. An instant at the end does not
/// belong to it, an event does.
struct LogRange {
    enum Place {
        case start, end
        case event(UInt64)
        case instant(Instant)
    }
    var from: Place
    var to: Place
}

extension LogRange.Place: CustomStringConvertible {
    var description: String {
        switch self {
        case .start: "its start"
        case .end: "its end"
        case .event(let seq): "event \(seq)"
        case .instant(let instant): "\(instant)"
        }
    }
}

extension CommandFailure {
    fileprivate static func noEvents(_ range: LogRange, _ last: UInt64) -> CommandFailure {
        CommandFailure(
            .usage,
            "the log has no event from \(range.from) to \(range.to); it ends with event "
                + "\(last): say another --from and --to")
    }
}

import Audit
import Events
import Foundation
import Gate
import Journal
import Ledger
import Logging
import Simulation
import TestSupport

/// What is wrong with a directory after a power cut.
struct Flaw: Error {
    enum Kind: String, CaseIterable {
        /// What had been promised is not there.
        case lost
        /// The daemon does not start.
        case refused
        /// It starts, and serves what never was.
        case wrong
        /// It dies.
        case died
    }
    var kind: Kind
    var text: String
}

/// Opens a directory as the daemon does and compares what it holds with what was recorded.
enum Reopening {
    /// What a start may write behind the log that it finds.
    private static let written: Set<EventType> = [
        .ledgerCreated, .epochStarted, .windowOpened, .refusalsSummed, .holdLapsed,
    ]

    /// - Parameters:
    ///   - least: the last event that must be there.
    ///   - isWhole: whether nothing was lost but the process, so that every answer must hold.
    static func examine(
        _ data: String, _ recording: borrowing Recording, _ promises: borrowing Promises,
        isWhole: Bool
    ) throws(Flaw) {
        let opened = try open(data)
        defer { opened.journal.shutdown() }
        let readSide = ReadSide(calendar: .utc)
        let found = try read(opened.journal, recording.log, into: readSide)
        let least = isWhole ? max(promises.process, promises.disk) : promises.disk
        guard found.whole >= least else {
            throw Flaw(kind: .lost, text: "event \(least) was promised, \(found.whole) are there")
        }
        let epoch = opened.machine.book.epoch
        guard found.strange == nil else { throw Flaw(kind: .wrong, text: found.strange!) }
        guard epoch > promises.epoch else {
            throw Flaw(kind: .wrong, text: "epoch \(epoch) begins again; clients know its holds")
        }
        guard found.refusals <= promises.refusalsAsked else {
            throw Flaw(
                kind: .wrong,
                text: "\(found.refusals) refusals of \(promises.refusalsAsked) that were asked for")
        }
        guard !isWhole || found.refusals >= promises.refusalsTold else {
            throw Flaw(
                kind: .lost,
                text: "\(promises.refusalsTold) refusals were answered, \(found.refusals) are there"
            )
        }
        try compare(data, opened, readSide, told: promises.checkpoint.map { [$0] } ?? [])
    }
    /// Of a directory whose log is not known otherwise: a start finds all that the log says, and what was
    /// signed of it.
    ///
    /// - Parameter told: signed checkpoints that clients had been told.
    static func examine(_ data: String, told: [String] = []) throws(Flaw) {
        let opened = try open(data)
        defer { opened.journal.shutdown() }
        let readSide = ReadSide(calendar: .utc)
        _ = try read(opened.journal, [], into: readSide)
        try compare(data, opened, readSide, told: told)
    }
    /// The book, the tree, the roll-ups and what was signed are what the log says, decided anew.
    private static func compare(
        _ data: String, _ opened: borrowing Daemon.Opened, _ readSide: ReadSide, told: [String]
    ) throws(Flaw) {
        guard readSide.digest == opened.machine.book.digest() else {
            throw Flaw(kind: .wrong, text: "the book is not what the log folds to")
        }
        do {
            for note in told { try readSide.publish(note) }
            try readSide.compare(with: opened.journal)
            let notary = Notary(directory: data, of: opened.journal)
            try readSide.compare(with: notary.status)
            try readSide.publish(notary.checkpoint(of: opened.journal).note)
        } catch {
            throw Flaw(kind: .wrong, text: "\((error as? Violation)?.text ?? "\(error)")")
        }
    }

    private static func open(_ data: String) throws(Flaw) -> Daemon.Opened {
        var options = DaemonOptions(dataDirectory: data)
        options.ringMebibytes = 1
        options.mapGibibytes = 1
        options.pauseBelowMebibytes = 1
        let logger = Logger(label: "") { _ in SwiftLogNoOpLogHandler() }
        do throws(DaemonFailure) {
            return try Daemon.open(options, calendar: .utc, version: "0", logger: logger)
        } catch {
            throw Flaw(kind: .refused, text: "\(error.exitCode): \(error.message)")
        }
    }

    private struct Found {
        /// Up to this event the log is the recorded one.
        var whole: UInt64 = 0
        var strange: String?
        var refusals = 0
    }
    private static func read(
        _ journal: Journal, _ log: [[UInt8]], into readSide: ReadSide
    ) throws(Flaw) -> Found {
        var found = Found()
        var failure: String?
        do throws(JournalError) {
            try journal.read { event in
                do {
                    try readSide.append(event.bytes)
                    try note(event, log, &found)
                    return true
                } catch {
                    let text = (error as? Violation)?.text
                    failure = text ?? "event \(event.header.seq): \(error)"
                    return false
                }
            }
        } catch {
            failure = error.message
        }
        if let failure { throw Flaw(kind: .wrong, text: failure) }
        return found
    }
    private static func note(
        _ event: StoredEvent, _ log: [[UInt8]], _ found: inout Found
    ) throws(EventError) {
        let seq = event.header.seq
        if found.whole == seq - 1, seq <= log.count,
            log[Int(seq) - 1].elementsEqual(UnsafeRawBufferPointer(event.bytes))
        {
            found.whole = seq
        } else if !log.isEmpty, found.strange == nil, !written.contains(event.header.type) {
            found.strange = "event \(seq) (\(event.header.type.name)) was never recorded"
        }
        switch event.header.type {
        case .holdRefused: found.refusals += 1
        case .refusalsSummed: found.refusals += Int(try RefusalsSummed(event).refusals)
        default: break
        }
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: Bytes) { self.init(start: bytes.base, count: bytes.count) }
}

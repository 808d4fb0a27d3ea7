import Foundation
import Ledger
import Logging
import TestSupport
import Testing

@testable import Gate
@testable import Journal

/// The second fold, and what ends one of them.
@Suite struct `The checkpointer` {
    @Test func `goes on after a fold that failed`() throws {
        let scratch = try Scratch()
        var options = DaemonOptions(dataDirectory: scratch.file("data"))
        options.ringMebibytes = 1
        options.mapGibibytes = 1
        options.pauseBelowMebibytes = 1
        let log = Lines()
        let logger = Logger(label: "") { _ in log }
        let opened = try Daemon.open(options, calendar: .utc, version: "0", logger: logger)
        let journal = opened.journal
        let checkpointer = try Checkpointer(
            journal: journal, every: 1, logger: logger, retryMilliseconds: 1...2)

        // What a failed commit does to whoever reads meanwhile.
        journal.log.environment.close()
        try checkpointer.start()
        log.waitFor("the second fold failed")
        #expect(checkpointer.problem?.contains("closed") == true)
        #expect(try !journal.log.environment.open())
        log.waitFor("the second fold goes on")

        // A problem that is over is none at the end, and a checkpoint is there.
        #expect(checkpointer.problem == nil)
        #expect(checkpointer.newestSeq == opened.machine.book.seq)
        let end = checkpointer.finish()
        #expect(end.failure == nil)
        #expect(end.seq == opened.machine.book.seq)
        #expect(end.digest == opened.machine.book.digest())
        journal.shutdown()
    }

    @Test func `says at the end what still stands in its way`() throws {
        let scratch = try Scratch()
        var options = DaemonOptions(dataDirectory: scratch.file("data"))
        options.ringMebibytes = 1
        options.mapGibibytes = 1
        options.pauseBelowMebibytes = 1
        let logger = Logger(label: "") { _ in Lines() }
        let opened = try Daemon.open(options, calendar: .utc, version: "0", logger: logger)
        let checkpointer = try Checkpointer(
            journal: opened.journal, every: 1, logger: logger, retryMilliseconds: 1...2)
        opened.journal.log.environment.close()
        try checkpointer.start()
        let end = checkpointer.finish()
        #expect(end.failure?.exitCode == 74)
        opened.journal.shutdown()
    }
}

/// A log that can be waited for.
private struct Lines: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    private let state = State()

    private final class State: @unchecked Sendable {
        private let condition = NSCondition()
        private var lines: [String] = []

        func add(_ line: String) {
            condition.lock()
            lines.append(line)
            condition.broadcast()
            condition.unlock()
        }
        func wait(for text: String) {
            condition.lock()
            while !lines.contains(where: { $0.contains(text) }) { condition.wait() }
            condition.unlock()
        }
    }
    func waitFor(_ text: String) { state.wait(for: text) }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { state.add("\(event.message)") }
}

import Events
import Glibc
import Testing

@testable import Journal

@Suite struct `A copy of the journal` {
    let scratch = Scratch()

    /// Fills a journal in so many commits, so that its newest meta page is the first or the second.
    private func fill(commits: UInt64) throws {
        let journal = try scratch.open()
        try journal.startCommitter()
        for n in 1...commits {
            journal.stage(through: n * 20)
            journal.waitDurable(n * 20)
        }
        journal.shutdown()
    }
    private func copy(to name: String) throws -> Inspection {
        let source = try Inspection(directory: scratch.data, everyPage: false)
        let target = scratch.path + "/" + name
        try BackupFiles.makeDirectory(target)
        try BackupFiles.makeDirectory(target + "/journal")
        var handed: [UInt8] = []
        var whole = 0
        let isCopied = try source.copyJournal(to: target + "/journal/data.mdb") {
            handed += array($0)
            whole = $1
            return true
        }
        #expect(isCopied && handed.count == whole)
        #expect(handed == readFile(target + "/journal/data.mdb"))
        return try Inspection(directory: target, everyPage: true)
    }

    @Test(arguments: [6, 7] as [UInt64])
    func `holds every event, whichever meta page is the newest`(commits: UInt64) throws {
        try fill(commits: commits)
        let copied = try copy(to: "copy")
        #expect(copied.lastSeq == commits * 20 && copied.lostPages == 0)
        #expect(try copied.readThrough() == commits * 20)
        // And a daemon can go on from it.
        var options = scratch.options()
        options.directory = scratch.path + "/copy"
        let journal = try Journal.open(options)
        try journal.startCommitter()
        for more in 1...4 as ClosedRange<UInt64> {
            journal.stage(through: commits * 20 + more)
            #expect(journal.waitDurable(commits * 20 + more))
        }
        #expect(try journal.allEvents() == (1...commits * 20 + 4).map { makeEvent($0) })
    }

    @Test func `ends where it is told to, and overwrites nothing`() throws {
        try fill(commits: 40)
        let source = try Inspection(directory: scratch.data, everyPage: false)
        let target = scratch.path + "/data.mdb"
        #expect(try !source.copyJournal(to: target) { _, _ in false })
        let refused = failure { () throws(JournalError) in
            _ = try source.copyJournal(to: target) { _, _ in true }
        }
        #expect(refused?.message.contains("File exists") == true)
    }

    @Test func `takes along the newest checkpoint that it reaches`() throws {
        let journal = try scratch.open()
        try journal.startCommitter()
        journal.stage(through: 100)
        journal.waitDurable(100)
        for seq in [40, 80] as [UInt64] {
            try "book of \(seq)".withBytes { book throws(JournalError) in
                try journal.writeCheckpoint(seq: seq, book)
            }
        }
        journal.shutdown()
        let copied = try copy(to: "copy")
        let folder = scratch.path + "/copy/checkpoints"
        try BackupFiles.makeDirectory(folder)
        func take() throws -> UInt64? {
            try copied.copyCheckpoint(from: scratch.data, to: folder) { _ in true }
        }
        let newest = scratch.data + "/checkpoints/80.book"
        var damaged = readFile(newest)
        damaged[70] ^= 1
        writeFile(newest, damaged)
        #expect(try take() == 40)
        damaged[70] ^= 1
        writeFile(newest, damaged)
        #expect(try take() == 80)
        // One that is ahead of the copy was written after it.
        shell("mv '\(newest)' '\(scratch.data)/checkpoints/120.book'; rm '\(folder)'/*")
        #expect(try take() == 40)
        #expect(directoryEntries(folder) == ["40.book"])
    }
}

import CLinux
import Events
import Glibc
import Testing

@testable import Journal

/// A filesystem of a few MiB, which only root can mount.
private final class SmallFilesystem {
    let scratch = Scratch()
    init?(bytes: Int) {
        guard getuid() == 0,
            shell("mount -t tmpfs -o size=\(bytes) tollgate-test '\(scratch.path)' 2>/dev/null")
        else { return nil }
    }
    deinit { shell("umount -l '\(scratch.path)'") }
    var filler: String { scratch.path + "/filler" }
    /// Leaves `bytes` free.
    func fill(leaving bytes: Int) {
        let free = Int(Disk().freeBytes(at: scratch.path)!)
        shell("head -c \(free - bytes) /dev/zero > '\(filler)'")
    }
    func makeRoom() { unlink(filler) }
}

@Suite struct `A full disk` {
    @Test func `pauses, then makes read-only, and loses nothing`() throws {
        guard let small = SmallFilesystem(bytes: 8 << 20) else {
            print("skipped: a full disk needs root and the right to mount a tmpfs")
            return
        }
        var options = small.scratch.options(ring: 512 << 10)
        options.pauseBelowBytes = 1 << 20
        let journal = try Journal.open(options)
        try journal.startCommitter()
        journal.stage(through: 500)
        #expect(journal.waitDurable(500) && journal.state == .normal)

        small.fill(leaving: 400 << 10)
        // A commit looks at the disk now and then; these go on until one has.
        while journal.state == .normal {
            journal.stage(through: journal.stagedSeq + 1)
            #expect(journal.waitDurable(journal.stagedSeq))
        }
        #expect(journal.state == .paused && journal.stateReason.contains("make room"))

        // What ends holds goes on into the last room there is.
        while journal.state == .paused {
            journal.stage(through: journal.stagedSeq + 50)
            journal.waitDurable(journal.stagedSeq)
        }
        #expect(journal.state == .readOnly && journal.stateReason.contains("the disk is full"))
        let durable = journal.durableSeq
        let staged = journal.stagedSeq
        #expect(durable < staged)
        #expect(try journal.allEvents() == (1...durable).map { makeEvent($0) })

        // A crash now: the ring has what the journal had no room for.
        small.makeRoom()
        #expect(journal.waitDurable(staged, hurry: false))
        while journal.state != .normal { _ = journal.isAwake(within: 1_000) }
        #expect(try journal.allEvents() == (1...staged).map { makeEvent($0) })
        journal.shutdown()
        #expect(try Journal.open(options).lastSeq == staged)
    }

    @Test func `keeps in the ring what an orderly stop cannot commit`() throws {
        guard let small = SmallFilesystem(bytes: 8 << 20) else {
            print("skipped: a full disk needs root and the right to mount a tmpfs")
            return
        }
        let options = small.scratch.options(ring: 512 << 10)
        let journal = try Journal.open(options)
        small.fill(leaving: 0)
        journal.stage(through: 2_000)
        try journal.startCommitter()
        #expect(!journal.waitDurable(2_000))
        journal.shutdown()
        let refused = failure { () throws(JournalError) in try Journal.open(options) }
        #expect(refused?.kind == .io && refused?.message.contains("make room") == true)
        small.makeRoom()
        let again = try Journal.open(options)
        #expect(
            again.lastSeq == 2_000 && again.recovery.eventsFromRing == 2_000 - journal.durableSeq)
        #expect(try again.allEvents() == (1...2_000).map { makeEvent($0) })
    }
}

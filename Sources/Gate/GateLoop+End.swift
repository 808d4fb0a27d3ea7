import CLinux
import Events
import Glibc
import Journal
import Ledger
import Logging

// The end of the loop: what was read is answered, what was answered is on disk.

extension GateLoop {
    mutating func takeSignals() {
        var info = signalfd_siginfo()
        while read(signals, &info, MemoryLayout<signalfd_siginfo>.size) > 0 {
            logger.notice(
                "draining on \(info.ssi_signo == UInt32(SIGTERM) ? "SIGTERM" : "SIGINT")")
            isDraining = true
            caretaker?.noteDraining()
        }
    }

    /// Stops accepting, answers what was read, waits until all of it is on disk, and lets the answers
    /// out.
    mutating func drain() {
        isDraining = true
        for listener in listeners {
            system.watch(listener.descriptor, 0, EPOLL_CTL_DEL)
            system.close(listener.descriptor)
            if let path = listener.path { unlink(path) }
        }
        listeners = []
        let start = system.wallClock().nanoseconds
        var remaining = GateLimits.drainMilliseconds
        // What has arrived was read in the last turn; one more picks up what was on its way.
        takeTurn(waiting: 0)
        readsNoMore = true
        for i in 0..<sessionsCapacity { if let session = sessions[i] { updateInterest(session) } }
        tails.last = machine.book.seq
        while remaining > 0, hasWork() {
            takeTurn(waiting: Int32(min(remaining, 50)))
            let elapsed = (system.wallClock().nanoseconds - start) / 1_000_000
            remaining = GateLimits.drainMilliseconds - Int(elapsed)
        }
        for i in 0..<sessionsCapacity { if let session = sessions[i] { drop(session) } }
        // What the last turn staged is no room any more.
        room = journal.stageableBytes
        if !isReadOnly, hasRoom() {
            machine.finish()
            if stageOutbox() { journal.announceStaged() }
        }
    }
    private func hasWork() -> Bool {
        if !stalled.isEmpty || !resumable.isEmpty || !readersQueue.isEmpty || !parking.isEmpty {
            return true
        }
        for i in 0..<sessionsCapacity {
            guard let session = sessions[i] else { continue }
            if session.pointee.waiting > 0 || session.pointee.awaitsReader { return true }
        }
        return false
    }
}

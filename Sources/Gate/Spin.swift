import CLinux
import Events
import Glibc

/// How the loop waits for its next turn: it sleeps, or first looks a while without sleeping.
///
/// Waking a thread costs more than deciding a request, so where requests follow one another closely,
/// looking again and again saves that (`--spin-us`), at the price of a core that is never idle while
/// they come. It is adaptive: only when the last wait was shorter than the spin is the next one spun,
/// so one fruitless spin is all that a quiet daemon pays.
struct Spin {
    private let nanoseconds: Int64
    private var lastWaitWasShort = false

    init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inline(__always)
    mutating func wait(
        _ system: some GateSystem, into ready: UnsafeMutablePointer<epoll_event>, most: Int32,
        milliseconds: Int32
    ) -> Int32 {
        guard nanoseconds > 0, milliseconds != 0 else {
            return system.wait(into: ready, most: most, milliseconds: milliseconds)
        }
        return lookAndSleep(system, ready, most, milliseconds)
    }
    @inline(never)
    private mutating func lookAndSleep(
        _ system: some GateSystem, _ ready: UnsafeMutablePointer<epoll_event>, _ most: Int32,
        _ milliseconds: Int32
    ) -> Int32 {
        let start = Spin.clock()
        let end = start + nanoseconds
        if lastWaitWasShort {
            while true {
                let count = system.wait(into: ready, most: most, milliseconds: 0)
                if count != 0 { return count }
                if Spin.clock() >= end { break }
            }
        }
        let count = system.wait(into: ready, most: most, milliseconds: milliseconds)
        lastWaitWasShort = Spin.clock() < end
        return count
    }
    private static func clock() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}

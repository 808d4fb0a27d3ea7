import CLinux
import Events
import Glibc

/// How the loop waits for its next turn: it sleeps, or first looks a while without sleeping.
///
/// Waking a thread costs more than deciding a request, so where requests follow one another closely,
/// looking again and again saves that (`--spin-us`), at the price of a core that is never idle while
/// they come. It is adaptive: only when the last wait was shorter than the spin is the next one spun,
/// so one fruitless spin is all that a quiet daemon pays.
struct Patience {
    private let spinNanoseconds: Int64
    private var lastWaitWasShort = false

    init(spinNanoseconds: Int64) { self.spinNanoseconds = spinNanoseconds }

    @inline(__always)
    mutating func wait(
        _ system: some GateSystem, into ready: UnsafeMutablePointer<epoll_event>, most: Int32,
        milliseconds: Int32
    ) -> Int32 {
        guard spinNanoseconds > 0, milliseconds != 0 else {
            return system.wait(into: ready, most: most, milliseconds: milliseconds)
        }
        return spin(system, ready, most, milliseconds)
    }
    @inline(never)
    private mutating func spin(
        _ system: some GateSystem, _ ready: UnsafeMutablePointer<epoll_event>, _ most: Int32,
        _ milliseconds: Int32
    ) -> Int32 {
        let start = Patience.clock()
        let end = start + spinNanoseconds
        if lastWaitWasShort {
            while true {
                let count = system.wait(into: ready, most: most, milliseconds: 0)
                if count != 0 { return count }
                if Patience.clock() >= end { break }
            }
        }
        let count = system.wait(into: ready, most: most, milliseconds: milliseconds)
        lastWaitWasShort = Patience.clock() < end
        return count
    }
    private static func clock() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}

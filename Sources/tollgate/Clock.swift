import CLinux
import Events
import Glibc

extension Instant {
    /// What the clock of this machine says.
    static var wallClock: Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

/// Nanoseconds of a clock that never jumps.
func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
func monotonicMilliseconds() -> Int64 { monotonicNanoseconds() / 1_000_000 }

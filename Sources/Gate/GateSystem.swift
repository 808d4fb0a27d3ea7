import CLinux
import Events
import Glibc

/// What the loop asks of the operating system: who is ready, their bytes, and the time.
///
/// The daemon's loop is made for `Kernel`, so that nothing stands between it and its system calls; a
/// simulation puts a world of its own here, with pipes in memory and a clock that jumps. The calls
/// keep the kernel's manners: a negative count is a failure and `errno` says which.
protocol GateSystem {
    func wallClock() -> Instant
    /// Sleeps until a watched descriptor is ready or the time is over (-1: for ever); returns how many are.
    func wait(
        into ready: UnsafeMutablePointer<epoll_event>, most: Int32, milliseconds: Int32
    ) -> Int32
    func watch(_ descriptor: Int32, _ interest: UInt32, _ operation: Int32)
    /// The next connection; nil when there is none, or none can be had now.
    func accept(_ listener: Listener) -> Int32?
    /// The user behind a Unix connection; nil when the system does not say.
    func peerUID(_ descriptor: Int32) -> UInt32?
    func receive(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ most: Int) -> Int
    func send(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int
    func close(_ descriptor: Int32)
    /// The loop has ended and asks no more.
    func end()
}

/// Linux.
struct Kernel: GateSystem {
    private let poll: Int32

    init() throws(DaemonFailure) {
        poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poll >= 0 else { throw .io("epoll: \(String(cString: strerror(errno)))") }
    }
    static func wallClock() -> Instant {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Instant(nanoseconds: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
    }
    @inline(__always) func wallClock() -> Instant { Kernel.wallClock() }
    @inline(__always) func wait(
        into ready: UnsafeMutablePointer<epoll_event>, most: Int32, milliseconds: Int32
    ) -> Int32 {
        epoll_wait(poll, ready, most, milliseconds)
    }
    func watch(_ descriptor: Int32, _ interest: UInt32, _ operation: Int32) {
        var event = epoll_event()
        event.events = interest
        event.data.fd = descriptor
        epoll_ctl(poll, operation, descriptor, &event)
    }
    func accept(_ listener: Listener) -> Int32? { listener.accept() }
    func peerUID(_ descriptor: Int32) -> UInt32? {
        var (pid, uid, gid) = (Int32(0), UInt32.max, UInt32(0))
        return tg_peer_credentials(descriptor, &pid, &uid, &gid) == 0 ? uid : nil
    }
    @inline(__always) func receive(
        _ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ most: Int
    ) -> Int {
        recv(descriptor, target, most, 0)
    }
    @inline(__always) func send(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int
    ) -> Int {
        Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
    }
    func close(_ descriptor: Int32) { Glibc.close(descriptor) }
    func end() { Glibc.close(poll) }
}

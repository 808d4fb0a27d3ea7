import CLinux
import Events
import Gate
import Glibc

/// What stands in for the kernel: descriptors, readiness and bytes, with short reads, short writes and
/// interruptions wherever a kernel may have them.
final class SimulatedKernel: SystemHost {
    unowned let world: World
    /// No number that a real eventfd can have.
    let listener: Int32 = .max
    private(set) var backlog: [Pipe] = []
    private(set) var open: [Int32: Pipe] = [:]
    /// What the daemon watches, by descriptor, and which of it are its own eventfds: those have real
    /// numbers, on which nothing may depend.
    private var watched: [Int32: UInt32] = [:]
    private var eventfds: [Int32] = []
    /// When the gate will wake by itself, on the monotonic clock; nil for never.
    var wakesAt: Int64?

    init(world: World) { self.world = world }

    // MARK: The world's side

    func connect(_ pipe: Pipe) { backlog.append(pipe) }
    /// The process is gone, and its descriptors with it.
    func processEnded() {
        for pipe in backlog { pipe.serverClosed = true }
        for pipe in open.values {
            pipe.serverClosed = true
            pipe.descriptor = nil
        }
        backlog = []
        open = [:]
        watched = [:]
        eventfds = []
        wakesAt = nil
    }
    /// What `epoll_wait` would say now, in the order of descriptors.
    var ready: [(Int32, UInt32)] {
        var found: [(Int32, UInt32)] = []
        for descriptor in open.keys.sorted() {
            guard let interest = watched[descriptor] else { continue }
            let events = events(open[descriptor]!, interest)
            if events != 0 { found.append((descriptor, events)) }
        }
        let readable = UInt32(EPOLLIN.rawValue)
        if watched[listener] != nil, !backlog.isEmpty { found.append((listener, readable)) }
        for descriptor in eventfds where isSignalled(descriptor) {
            found.append((descriptor, readable))
        }
        return found
    }
    private func events(_ pipe: Pipe, _ interest: UInt32) -> UInt32 {
        let (readable, writable) = (UInt32(EPOLLIN.rawValue), UInt32(EPOLLOUT.rawValue))
        var events: UInt32 = 0
        if !pipe.toServer.isEmpty || pipe.clientEnded || pipe.clientClosed { events |= readable }
        if pipe.space > 0 || pipe.clientClosed { events |= writable }
        if pipe.clientEnded || pipe.clientClosed { events |= UInt32(EPOLLRDHUP.rawValue) }
        events &= interest
        if pipe.clientClosed { events |= UInt32(EPOLLHUP.rawValue) }
        if pipe.wasReset { events |= UInt32(EPOLLERR.rawValue) }
        return events
    }
    /// The daemon's own eventfds are real ones.
    private func isSignalled(_ descriptor: Int32) -> Bool {
        var asked = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&asked, 1, 0) == 1
    }

    // MARK: The daemon's side

    var wallClock: Instant { Instant(nanoseconds: world.wall) }

    func wait(most: Int, milliseconds: Int32, _ ready: (Int32, UInt32) -> Void) {
        guard !world.isDead else {
            // A drain must find its end, even in a process that is none any more.
            return world.pass(milliseconds: Int64(max(milliseconds, 1)))
        }
        var found = self.ready
        if found.isEmpty, world.isDraining {
            world.whileGateSleeps(milliseconds: milliseconds)
            found = self.ready
        }
        found.shuffle(using: &world.random)
        for (descriptor, events) in found.prefix(most) { ready(descriptor, events) }
    }
    func watch(_ descriptor: Int32, _ interest: UInt32, _ operation: Int32) {
        guard descriptor >= 0 else { return }
        watched[descriptor] = operation == EPOLL_CTL_DEL ? nil : interest
        if operation == EPOLL_CTL_ADD, descriptor != listener, open[descriptor] == nil {
            eventfds.append(descriptor)
        }
    }
    func accept() -> Int32? {
        guard !world.isDead, world.mayGoOn("accept"), !backlog.isEmpty else {
            errno = EAGAIN
            return nil
        }
        if world.random.chance(world.plan.acceptFailures) {
            errno = world.random.chance(500) ? EMFILE : EAGAIN
            world.story.tell("accept fails: \(errno == EMFILE ? "no descriptors" : "not now")")
            return nil
        }
        let pipe = backlog.removeFirst()
        // The lowest free number, as a kernel gives it: reuse is where mistakes hide.
        var descriptor: Int32 = 4
        while open[descriptor] != nil || watched[descriptor] != nil { descriptor += 1 }
        open[descriptor] = pipe
        pipe.descriptor = descriptor
        return descriptor
    }
    func peerUID(_ descriptor: Int32) -> UInt32? { 0 }

    func receive(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ most: Int) -> Int {
        guard !world.isDead, world.mayGoOn("receive"), let pipe = open[descriptor] else {
            errno = EAGAIN
            return -1
        }
        if pipe.wasReset {
            errno = ECONNRESET
            return -1
        }
        if pipe.toServer.isEmpty {
            if pipe.clientEnded || pipe.clientClosed { return 0 }
            errno = EAGAIN
            return -1
        }
        if world.random.chance(20) {
            errno = EINTR
            return -1
        }
        var count = min(most, pipe.toServer.count)
        if world.random.chance(200) { count = world.random.between(1...count) }
        pipe.toServer.withUnsafeBytes { raw in
            target.copyMemory(from: raw.baseAddress!, byteCount: count)
        }
        pipe.toServer.removeFirst(count)
        return count
    }
    func send(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        guard !world.isDead, world.mayGoOn("send"), let pipe = open[descriptor] else {
            return count
        }
        if pipe.clientClosed {
            errno = EPIPE
            return -1
        }
        if world.random.chance(20) {
            errno = EINTR
            return -1
        }
        guard pipe.space > 0 else {
            errno = EAGAIN
            return -1
        }
        var fitting = min(count, pipe.space)
        if world.random.chance(150) { fitting = world.random.between(1...fitting) }
        pipe.push(
            UnsafeRawBufferPointer(start: bytes, count: fitting), staged: world.stagedSeq,
            durable: world.durableSeq)
        return fitting
    }
    func close(_ descriptor: Int32) {
        if descriptor == listener {
            for pipe in backlog { pipe.serverClosed = true }
            backlog = []
        }
        watched[descriptor] = nil
        guard let pipe = open.removeValue(forKey: descriptor) else { return }
        pipe.serverClosed = true
        pipe.descriptor = nil
    }
}

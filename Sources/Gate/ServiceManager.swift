import CLinux
import Glibc

/// What the process that started us wants to hear: the notification protocol of sd_notify(3).
///
/// A message is one datagram to the socket that NOTIFY_SOCKET names. Nobody named one on a kernel
/// without systemd, and then every message is nothing at all.
struct ServiceManager: Sendable {
    /// How soon a sign of life must follow the last one, in nanoseconds; nil when nobody waits for one.
    let watchdogNanoseconds: Int64?
    private let socketName: [UInt8]

    /// - Parameter environment: what a variable holds; nil when it is not set.
    init(environment: (String) -> String? = ServiceManager.variable) {
        socketName = environment("NOTIFY_SOCKET").map { Array($0.utf8) } ?? []
        // WATCHDOG_PID names the process that is meant, so that a child that inherits the variables does
        // not speak for its parent.
        let isMeant = environment("WATCHDOG_PID").map { $0 == String(getpid()) } ?? true
        let microseconds = environment("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
        watchdogNanoseconds =
            isMeant && microseconds > 0 && microseconds <= .max / 1_000
            ? microseconds * 1_000 : nil
    }
    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    var isListening: Bool { !socketName.isEmpty }

    /// Sends one message, lines of `NAME=value`. False when it did not arrive; nothing depends on that
    /// but what the manager believes of us.
    @discardableResult
    func notify(_ message: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !socketName.isEmpty, socketName.count < room else { return false }
        var name = socketName
        // `@name` is in the kernel's own name space: its first byte is a zero, and its length counts.
        let isAbstract = name[0] == UInt8(ascii: "@")
        if isAbstract { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(
            MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count + (isAbstract ? 0 : 1))
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // A manager that does not read must not hold us up for ever.
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var text = message
        let sent = text.withUTF8 { bytes in
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
                }
            }
        }
        return sent == message.utf8.count
    }
}

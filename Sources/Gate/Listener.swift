import CLinux
import Events
import Glibc

/// A listening socket.
struct Listener {
    let descriptor: Int32
    let isUnix: Bool
    /// The Unix socket's file, to be removed at the end.
    let path: String?

    /// Binds a Unix socket with mode 0660; a stale one of a daemon that is gone is replaced.
    static func unix(_ path: String) throws(DaemonFailure) -> Listener {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        let bytes = Array(path.utf8)
        guard bytes.count < room else {
            throw .config(
                "the socket's path is \(bytes.count) bytes long and may have \(room - 1): say a shorter "
                    + "one with --socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        func withAddress<R>(_ body: (UnsafePointer<sockaddr>) -> R) -> R {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
            }
        }
        // Does anybody answer there?
        let probe = try makeSocket(AF_UNIX)
        let answered = withAddress { connect(probe, $0, size) } == 0
        let code = errno
        close(probe)
        if answered || code == EAGAIN {
            throw .unavailable(
                "another process answers at \(path): stop it, or say another --socket")
        }
        var info = stat()
        if lstat(path, &info) == 0 {
            guard info.st_mode & S_IFMT == S_IFSOCK else {
                throw .config("\(path) is there and is no socket: say another --socket")
            }
            unlink(path)
        }
        let descriptor = try makeSocket(AF_UNIX)
        // Nobody may connect between bind and chmod, so the mode comes from the mask.
        let mask = umask(0o117)
        let bound = withAddress { bind(descriptor, $0, size) }
        let bindError = errno
        umask(mask)
        guard bound == 0, listen(descriptor, 4_096) == 0 else {
            close(descriptor)
            throw .io("cannot listen at \(path): \(String(cString: strerror(bindError)))")
        }
        return Listener(descriptor: descriptor, isUnix: true, path: path)
    }

    /// Binds a TCP address.
    static func tcp(host: String, port: UInt16) throws(DaemonFailure) -> Listener {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0, let first = found else {
            throw .config("--tcp \(host):\(port): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        let descriptor = try makeSocket(first.pointee.ai_family)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0,
            listen(descriptor, 4_096) == 0
        else {
            let text = String(cString: strerror(errno))
            close(descriptor)
            throw .unavailable("cannot listen at \(host):\(port): \(text)")
        }
        return Listener(descriptor: descriptor, isUnix: false, path: nil)
    }

    private static func makeSocket(_ family: Int32) throws(DaemonFailure) -> Int32 {
        let type =
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else {
            throw .io("cannot make a socket: \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    /// The next connection, not blocking; nil when there is none, or none can be had now.
    func accept() -> Int32? {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = tg_accept4(self.descriptor, nil, nil, flags)
        return descriptor >= 0 ? descriptor : nil
    }
    /// Makes a TCP connection prompt, and finds out when its peer has vanished.
    static func prepare(_ descriptor: Int32) {
        let tcp = Int32(IPPROTO_TCP)
        let silence =
            GateLimits.probeAfterSeconds + GateLimits.probes * GateLimits.probeEverySeconds
        for (level, option, value) in [
            (tcp, TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 1),
            (tcp, TCP_KEEPIDLE, GateLimits.probeAfterSeconds),
            (tcp, TCP_KEEPINTVL, GateLimits.probeEverySeconds),
            (tcp, TCP_KEEPCNT, GateLimits.probes), (tcp, TCP_USER_TIMEOUT, silence * 1_000),
        ] {
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }
    /// `127.0.0.1:5000` of a TCP peer.
    static func peerAddress(_ descriptor: Int32) -> String { name(of: descriptor, getpeername) }

    /// Host and port as one of the kernel's two questions about a TCP socket answers them.
    static func name(
        of descriptor: Int32,
        _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var host = [CChar](repeating: 0, count: 64)
        var port = [CChar](repeating: 0, count: 16)
        let known = withUnsafeMutablePointer(to: &storage) { raw in
            raw.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                ask(descriptor, address, &length) == 0
                    && getnameinfo(
                        address, length, &host, socklen_t(host.count), &port, socklen_t(port.count),
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0
            }
        }
        guard known else { return "unknown" }
        func text(_ bytes: [CChar]) -> String {
            String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return "\(text(host)):\(text(port))"
    }
}

import CLinux
import Glibc

/// Sockets that the process that started us has opened for us: the protocol of sd_listen_fds(3).
///
/// They stay open over there, so that while one daemon ends and the next one starts, connections wait
/// in the kernel instead of being refused.
enum SocketActivation {
    /// The first descriptor that is handed over; 0, 1 and 2 keep their meaning.
    private static let firstDescriptor: Int32 = 3

    /// What was handed over; empty when nothing was, or when it was meant for another process.
    ///
    /// The variables are removed, so that no child takes them for its own.
    static func listeners(
        environment: (String) -> String? = ServiceManager.variable
    ) throws(DaemonFailure) -> [Listener] {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
        guard environment("LISTEN_PID") == String(getpid()), let text = environment("LISTEN_FDS")
        else { return [] }
        guard let count = Int32(text), (0...1_024).contains(count) else {
            throw .config("LISTEN_FDS is \"\(text)\": the sockets handed over cannot be counted")
        }
        let names = (environment("LISTEN_FDNAMES") ?? "")
            .split(separator: ":", omittingEmptySubsequences: false)
        var listeners: [Listener] = []
        for i in 0..<count {
            let name = Int(i) < names.count ? String(names[Int(i)]) : ""
            listeners.append(try take(firstDescriptor + i, name))
        }
        return listeners
    }

    private static func take(_ descriptor: Int32, _ name: String) throws(DaemonFailure) -> Listener
    {
        let who = "descriptor \(descriptor)" + (name.isEmpty ? "" : " (\(name))")
        var info = stat()
        guard fstat(descriptor, &info) == 0 else {
            throw .config("\(who) was to be handed over and is not open: start us anew")
        }
        guard info.st_mode & S_IFMT == S_IFSOCK else {
            throw .config("\(who) is no socket: hand over listening sockets only (ListenStream=)")
        }
        guard option(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue) else {
            throw .config("\(who) is no stream socket: say ListenStream= in the socket unit")
        }
        guard option(descriptor, SO_ACCEPTCONN) == 1 else {
            throw .config(
                "\(who) is a connection and no listening socket: say Accept=no in the socket unit")
        }
        let family = option(descriptor, SO_DOMAIN)
        guard [AF_UNIX, AF_INET, AF_INET6].contains(family) else {
            throw .config("\(who) is neither a Unix nor a TCP socket: listen on one of these")
        }
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, tg_set_nonblocking(descriptor) == 0
        else { throw .io("cannot take over \(who): \(String(cString: strerror(errno)))") }
        // Its file, if it has one, belongs to whoever made it and stays at the end.
        return Listener(descriptor: descriptor, isUnix: family == AF_UNIX, path: nil)
    }
    private static func option(_ descriptor: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : -1
    }
}

extension Listener {
    /// Where it listens, for people: a path, `@name` in the kernel's own name space, or host and port.
    var address: String {
        guard isUnix else { return Listener.name(of: descriptor, getsockname) }
        if let path { return path }
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let known = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length) == 0
            }
        }
        let count = Int(length) - MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        guard known, count > 0 else { return "a Unix socket without a name" }
        return withUnsafeBytes(of: &address.sun_path) { raw in
            let bytes = raw.prefix(count)
            if bytes.first == 0 { return "@" + String(decoding: bytes.dropFirst(), as: UTF8.self) }
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

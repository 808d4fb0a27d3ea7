import CLinux
import Events
import Glibc

/// Where a daemon listens, and as whom to speak to it.
struct Target: Sendable {
    enum Address: Sendable {
        case unix(path: String)
        case tcp(host: String, port: UInt16)
    }
    struct Credentials: Sendable {
        var name: String
        var secret: String
    }
    var address: Address
    /// Nil where the kernel vouches for us: a Unix socket and the daemon's own user, or root.
    var credentials: Credentials?

    static func unix(_ path: String) -> Target { Target(address: .unix(path: path)) }
    static func tcp(host: String, port: UInt16, name: String, secret: String) -> Target {
        Target(
            address: .tcp(host: host, port: port),
            credentials: Credentials(name: name, secret: secret))
    }

    /// The place as a person would write it.
    var description: String {
        switch address {
        case .unix(let path): path
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

/// One reply of the daemon, RESP2 or RESP3.
enum Reply: Sendable {
    case simple(String)
    case error(code: String, text: String)
    case bulk(String)
    case integer(Int64)
    case array([Reply])
    case map([(Reply, Reply)])
    case null

    /// The text of a simple or bulk string.
    var text: String? {
        switch self {
        case .simple(let text), .bulk(let text): text
        default: nil
        }
    }
    /// Itself, unless it is an error: then that error as a failure.
    func orFailure() throws(CommandFailure) -> Reply {
        guard case .error(let code, let text) = self else { return self }
        throw CommandFailure(code: code, text: text)
    }
}

/// A blocking connection to the daemon: one request, one reply, in order; requests may be pipelined.
///
/// Requests go out as RESP arrays, so that any byte may stand in an argument. Nothing here is
/// thread-safe: a connection belongs to whoever made it.
final class Client {
    /// For whoever wants to `poll` several connections.
    let descriptor: Int32
    private let target: Target
    /// The operator that it speaks as; nil where the kernel vouches for us.
    var user: String? { target.credentials?.name }
    private var output: [UInt8] = []
    private var input: ReplyBuffer

    /// A reply that takes longer than this is no reply: commits and scans take milliseconds.
    private static let answerSecondsMax = 60
    /// A pipeline that nobody flushes is sent by itself at this size.
    private static let outputBytesMax = 64 << 10

    init(_ target: Target) throws(CommandFailure) {
        self.target = target
        descriptor =
            switch target.address {
            case .unix(let path): try Self.connectUnix(path)
            case .tcp(let host, let port): try Self.connectTCP(host, port, target.description)
            }
        input = ReplyBuffer()
        allow(seconds: 0)
        if let credentials = target.credentials {
            _ = try call(["AUTH", credentials.name, credentials.secret]).orFailure()
        }
    }
    deinit { close(descriptor) }

    /// How much longer than usual the next reply may take, because what is asked waits for something.
    func allow(seconds: Int) {
        var limit = timeval(tv_sec: Self.answerSecondsMax + seconds, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends one request and waits for its reply.
    func call(_ words: [String]) throws(CommandFailure) -> Reply {
        try send(words)
        return try receive()
    }

    /// Adds a request to the output; it goes out with ``flush()`` or the next ``receive()``.
    func send(_ words: [String]) throws(CommandFailure) {
        append(UInt8(ascii: "*"), words.count)
        for var word in words {
            word.withUTF8 { bytes in
                append(UInt8(ascii: "$"), bytes.count)
                output.append(contentsOf: bytes)
                output.append(0x0D)
                output.append(0x0A)
            }
        }
        if output.count >= Self.outputBytesMax { try flush() }
    }

    /// Writes out what ``send(_:)`` gathered.
    func flush() throws(CommandFailure) {
        var sent = 0
        while sent < output.count {
            let n = output.withUnsafeBytes { bytes in
                Glibc.send(
                    descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if n >= 0 {
                sent += n
            } else if errno != EINTR {
                throw lost("writing: \(reason())")
            }
        }
        output.removeAll(keepingCapacity: true)
    }

    /// Waits for the next reply; flushes first.
    func receive() throws(CommandFailure) -> Reply {
        if !output.isEmpty { try flush() }
        while true {
            if let reply = try input.next() { return reply }
            try fill()
        }
    }

    /// Waits for the next reply, which must be a bulk string, and adds its bytes to `target`: for what is
    /// no text. An error reply is thrown.
    func receive(bulkInto target: inout ByteBuffer) throws(CommandFailure) {
        if !output.isEmpty { try flush() }
        while true {
            if let reply = try input.next(bulkInto: &target) {
                guard case .bulk = try reply.orFailure() else {
                    throw CommandFailure(
                        .protocolBroken,
                        "the daemon at \(self.target.description) answers with no bulk string")
                }
                return
            }
            try fill()
        }
    }

    /// The next reply if it is here or comes within `milliseconds`; nil otherwise. Flushes first.
    func receive(within milliseconds: Int32) throws(CommandFailure) -> Reply? {
        if !output.isEmpty { try flush() }
        while true {
            if let reply = try input.next() { return reply }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, milliseconds) > 0 else { return nil }
            try fill()
        }
    }

    private func append(_ mark: UInt8, _ count: Int) {
        output.append(mark)
        output.append(contentsOf: String(count).utf8)
        output.append(0x0D)
        output.append(0x0A)
    }

    private func fill() throws(CommandFailure) {
        let n = input.fill { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if n > 0 { return }
        if n == 0 { throw lost("the daemon closed the connection") }
        switch errno {
        case EINTR: return
        case EAGAIN: throw lost("no reply within \(Self.answerSecondsMax) seconds")
        default: throw lost("reading: \(reason())")
        }
    }

    private func lost(_ what: String) -> CommandFailure {
        CommandFailure(.unavailable, "lost the daemon at \(target.description): \(what)")
    }
}

extension Client {
    private static func connectUnix(_ path: String) throws(CommandFailure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room, !path.isEmpty else {
            throw CommandFailure(
                .usage,
                "socket path \"\(path)\" has \(path.utf8.count) bytes; Unix sockets take 1 to "
                    + "\(room - 1): say a shorter one with --socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            throw CommandFailure(.software, "no socket: \(reason())")
        }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let why = errno
            close(descriptor)
            throw noDaemon(unix: path, why)
        }
        return descriptor
    }

    private static func noDaemon(unix path: String, _ why: Int32) -> CommandFailure {
        switch why {
        case EACCES, EPERM:
            CommandFailure(
                .noPermission,
                "not permitted to open \(path): be the daemon's user, be in the socket's group, "
                    + "or reach it with --tcp")
        case ENOENT, ECONNREFUSED:
            CommandFailure(
                .unavailable,
                "no daemon answers at \(path): start one with 'tollgate serve' or say --socket")
        default:
            CommandFailure(.unavailable, "cannot reach \(path): \(String(cString: strerror(why)))")
        }
    }

    private static func connectTCP(
        _ host: String, _ port: UInt16, _ place: String
    ) throws(CommandFailure) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let failed = getaddrinfo(host, String(port), &hints, &found)
        guard failed == 0 else {
            throw CommandFailure(
                .unavailable, "host \"\(host)\": \(String(cString: gai_strerror(failed)))")
        }
        defer { freeaddrinfo(found) }
        var why: Int32 = ECONNREFUSED
        var entry = found
        while let info = entry?.pointee {
            let descriptor = socket(info.ai_family, info.ai_socktype | O_CLOEXEC, info.ai_protocol)
            if descriptor >= 0 {
                if connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 {
                    var yes: Int32 = 1
                    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4)
                    return descriptor
                }
                why = errno
                close(descriptor)
            }
            entry = info.ai_next
        }
        throw CommandFailure(
            .unavailable,
            "no daemon answers at \(place) (\(String(cString: strerror(why)))): "
                + "start one with 'tollgate serve --tcp \(place)'")
    }
}

/// The current `errno` in words; call it at once.
private func reason() -> String { String(cString: strerror(errno)) }

/// Bytes from the daemon, and where the next reply in them starts.
private struct ReplyBuffer {
    private var bytes = [UInt8](repeating: 0, count: 64 << 10)
    private var start = 0
    private var end = 0
    /// A reply this large is none of ours: the peer speaks something else.
    private static let replyBytesMax = 512 << 20
    private static let depthMax = 16

    /// Reads into the free room at the end; answers what `read` answers.
    mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        if start == end {
            start = 0
            end = 0
        } else if end == bytes.count {
            // Move the unfinished reply to the front; only if it is all there is, make room.
            if start > bytes.count / 2 {
                bytes.replaceSubrange(0..<end - start, with: bytes[start..<end])
                end -= start
                start = 0
            } else {
                bytes.append(contentsOf: repeatElement(0, count: bytes.count))
            }
        }
        let n = bytes.withUnsafeMutableBytes { buffer in
            read(UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
        }
        if n > 0 { end += n }
        return n
    }

    /// The next reply, or nil while it is not complete.
    mutating func next() throws(CommandFailure) -> Reply? {
        var at = start
        guard let reply = try value(&at, depth: 0) else {
            guard end - start < Self.replyBytesMax else { throw notOurs("a reply without an end") }
            return nil
        }
        start = at
        return reply
    }

    /// The same, but that the bytes of a bulk string go to `target`, and it answers as an empty one.
    mutating func next(bulkInto target: inout ByteBuffer) throws(CommandFailure) -> Reply? {
        guard start < end, bytes[start] == UInt8(ascii: "$") else { return try next() }
        var at = start
        guard let line = line(&at) else { return nil }
        let length = try count(line.dropFirst())
        guard length >= 0, length < Self.replyBytesMax else { return try next() }
        guard end - at >= length + 2 else { return nil }
        bytes.withUnsafeBytes { raw in
            target.append(Bytes(UnsafeRawBufferPointer(rebasing: raw[at..<at + length])))
        }
        start = at + length + 2
        return .bulk("")
    }

    private func value(_ at: inout Int, depth: Int) throws(CommandFailure) -> Reply? {
        guard depth < Self.depthMax else { throw notOurs("replies nested too deeply") }
        guard let line = line(&at) else { return nil }
        guard let mark = line.first else { throw notOurs("an empty reply") }
        let rest = line.dropFirst()
        switch mark {
        case UInt8(ascii: "+"): return .simple(text(rest))
        case UInt8(ascii: "-"):
            let words = text(rest).split(separator: " ", maxSplits: 1)
            return .error(code: String(words.first ?? "ERR"), text: String(words.last ?? ""))
        case UInt8(ascii: ":"): return .integer(Int64(try count(rest)))
        case UInt8(ascii: ","), UInt8(ascii: "("): return .simple(text(rest))
        case UInt8(ascii: "#"): return .integer(rest.first == UInt8(ascii: "t") ? 1 : 0)
        case UInt8(ascii: "_"): return .null
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            return try bulk(rest, &at)
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"):
            let length = try count(rest)
            guard length >= 0 else { return .null }
            guard let items = try values(length, &at, depth) else { return nil }
            return .array(items)
        case UInt8(ascii: "%"):
            guard let items = try values(try count(rest) * 2, &at, depth) else { return nil }
            return .map(
                stride(from: 0, to: items.count, by: 2).map { (items[$0], items[$0 + 1]) })
        default: throw notOurs("a reply that starts with byte \(mark)")
        }
    }
    private func bulk(
        _ length: ArraySlice<UInt8>, _ at: inout Int
    ) throws(CommandFailure) -> Reply? {
        let length = try count(length)
        guard length >= 0 else { return .null }
        guard length < Self.replyBytesMax else { throw notOurs("a reply of \(length) bytes") }
        guard end - at >= length + 2 else { return nil }
        defer { at += length + 2 }
        return .bulk(text(bytes[at..<at + length]))
    }
    private func values(
        _ length: Int, _ at: inout Int, _ depth: Int
    ) throws(CommandFailure) -> [Reply]? {
        var items: [Reply] = []
        for _ in 0..<length {
            guard let item = try value(&at, depth: depth + 1) else { return nil }
            items.append(item)
        }
        return items
    }
    private func line(_ at: inout Int) -> ArraySlice<UInt8>? {
        guard let stop = bytes[at..<end].firstIndex(of: 0x0A) else { return nil }
        defer { at = stop + 1 }
        return stop > at && bytes[stop - 1] == 0x0D ? bytes[at..<stop - 1] : bytes[at..<stop]
    }
    private func count(_ digits: ArraySlice<UInt8>) throws(CommandFailure) -> Int {
        guard let value = Int(text(digits)), value < Int.max / 4 else {
            throw notOurs("the length \"\(text(digits))\"")
        }
        return value
    }
    private func text(_ slice: ArraySlice<UInt8>) -> String {
        String(decoding: slice, as: UTF8.self)
    }
    private func notOurs(_ what: String) -> CommandFailure {
        CommandFailure(
            .protocolBroken, "whoever answers does not speak tollgate's protocol: \(what)")
    }
}

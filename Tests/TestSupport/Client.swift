internal import CLinux
internal import Foundation
internal import Glibc

/// A connection to a daemon, blocking with a deadline. It reads whole replies of RESP2 and RESP3 and
/// leaves raw bytes to whoever wants them.
package final class Client {
    package let descriptor: Int32
    /// What has come; from `at` on, nobody has asked for it yet.
    private var received: [UInt8] = []
    private var at = 0
    private var isOpen = true
    /// How long one wait may take, in seconds.
    package var patience = 30 * patienceFactor

    /// Connects to a Unix socket.
    package init(_ path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw POSIXError(.ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        descriptor = try Client.connected(AF_UNIX, &address)
    }
    /// Connects to TCP at a numeric address.
    package init(address host: String = "127.0.0.1", port: UInt16) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw POSIXError(.EINVAL) }
        descriptor = try Client.connected(AF_INET, &address)
    }
    deinit { close() }

    private static func connected<Address>(
        _ family: Int32, _ address: inout Address
    ) throws -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw POSIXError.current }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        guard result == 0 else {
            let failure = POSIXError.current
            Glibc.close(descriptor)
            throw failure
        }
        _ = tg_set_nonblocking(descriptor)
        return descriptor
    }

    package func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }
    /// Says that nothing more will be sent; answers may still come.
    package func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    // MARK: Bytes

    /// Sends all of it; a peer that does not read in time is an error.
    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            sent += try sendSome(bytes[sent...])
            if sent < bytes.count { try wait(for: POLLOUT) }
        }
    }
    package func send(_ text: String) throws { try send(Array(text.utf8)) }
    /// Sends what the socket takes at once; 0 when it takes nothing.
    package func sendSome(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return count }
        guard errno == EAGAIN || errno == EINTR else { throw POSIXError.current }
        return 0
    }
    /// Takes what is there without waiting; false at the end of the stream.
    @discardableResult
    package func receiveSome() throws -> Bool {
        if at == received.count || at > 1 << 20 {
            received.removeFirst(at)
            at = 0
        }
        let chunk = try [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            let taken = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            guard taken >= 0 || errno == EAGAIN || errno == EINTR else { throw POSIXError.current }
            count = max(taken, 0)
            if taken == 0 { throw EndOfStream() }
        }
        received += chunk
        return true
    }
    private func receiveMore() throws {
        try wait(for: POLLIN)
        try receiveSome()
    }
    private func wait(for interest: Int32) throws {
        var entry = pollfd(fd: descriptor, events: Int16(interest), revents: 0)
        while true {
            let count = Glibc.poll(&entry, 1, Int32(patience * 1_000))
            if count > 0 { return }
            if count == 0 { throw Overdue(description: "waited \(patience) s for the daemon") }
            guard errno == EINTR else { throw POSIXError.current }
        }
    }
    /// Everything until the daemon closes the connection; a reset counts as closing.
    package func rest() throws -> String {
        do {
            while true { try receiveMore() }
        } catch is EndOfStream {
        } catch let error as POSIXError where error.code == .ECONNRESET || error.code == .EPIPE {
        }
        defer { at = received.count }
        return String(decoding: received[at...], as: UTF8.self)
    }
    /// The next line without its end.
    package func line() throws -> String {
        var searched = at
        while true {
            if let end = received[searched...].firstIndex(of: 0x0A) {
                defer { at = end + 1 }
                let last = end > at && received[end - 1] == 0x0D ? end - 1 : end
                return String(decoding: received[at..<last], as: UTF8.self)
            }
            let (unread, base) = (received.count, at)
            try receiveMore()
            searched = unread - (base - at)
        }
    }

    // MARK: Replies

    /// Sends a line and takes its reply.
    package func ask(_ line: String) throws -> Reply {
        try send(line + "\r\n")
        return try reply()
    }
    /// Sends a RESP frame and takes its reply.
    package func ask(frame words: [String]) throws -> Reply {
        try send(Client.frame(words))
        return try reply()
    }
    package static func frame(_ words: [String]) -> [UInt8] {
        Array("*\(words.count)\r\n".utf8)
            + words.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
    }
    package func reply() throws -> Reply {
        let head = try line()
        let rest = String(head.dropFirst())
        switch head.first {
        case "+": return .simple(rest)
        case "-": return .error(rest)
        case ":": return .integer(Int64(rest) ?? .min)
        case ",", "(": return .simple(rest)
        case "#": return .boolean(rest == "t")
        case "_": return .null
        case "$", "=": return try bulk(Int(rest) ?? -1)
        case "*", "~", ">": return try array(Int(rest) ?? -1)
        case "%":
            let count = Int(rest) ?? 0
            return .map(try (0..<count).map { _ in (try reply(), try reply()) })
        default: throw Overdue(description: "'\(head)' begins no reply")
        }
    }
    private func bulk(_ count: Int) throws -> Reply {
        guard count >= 0 else { return .null }
        while received.count - at < count + 2 { try receiveMore() }
        defer { at += count + 2 }
        return .bulk(String(decoding: received[at..<at + count], as: UTF8.self))
    }
    private func array(_ count: Int) throws -> Reply {
        count < 0 ? .null : .array(try (0..<count).map { _ in try reply() })
    }

    /// Sends all of it while reading, so that neither side can wait for the other, and takes `count`
    /// replies. `pieces` are the lengths of the single writes; the whole in one without.
    package func exchange(
        _ bytes: [UInt8], replies count: Int, pieces: [Int] = []
    ) throws -> [Reply] {
        var (sent, piece) = (0, 0)
        while sent < bytes.count {
            let end = piece < pieces.count ? min(sent + pieces[piece], bytes.count) : bytes.count
            piece += 1
            while sent < end {
                sent += try sendSome(bytes[sent..<end])
                if sent < end { try wait(for: POLLOUT | POLLIN) }
                try receiveSome()
            }
        }
        return try (0..<count).map { _ in try reply() }
    }
}

/// The daemon has closed the connection.
package struct EndOfStream: Error {
    package init() {}
}

/// What a daemon answered.
package indirect enum Reply: Equatable, Sendable, CustomStringConvertible {
    case simple(String), error(String), bulk(String), integer(Int64), boolean(Bool), null
    case array([Reply])
    case map([(Reply, Reply)])

    package static func == (left: Reply, right: Reply) -> Bool {
        left.description == right.description
    }

    /// The text of a simple string, a bulk or an error with its dash.
    package var text: String {
        switch self {
        case .simple(let text), .bulk(let text): text
        case .error(let text): "-" + text
        default: description
        }
    }
    package var description: String {
        switch self {
        case .simple(let text): "+" + text
        case .error(let text): "-" + text
        case .bulk(let text): "$" + text
        case .integer(let value): ":\(value)"
        case .boolean(let value): value ? "#t" : "#f"
        case .null: "_"
        case .array(let items): "*\(items)"
        case .map(let pairs): "%" + pairs.map { "\($0.0): \($0.1)" }.joined(separator: ", ")
        }
    }
    package var isError: Bool { if case .error = self { true } else { false } }
    package var words: [Substring] { text.split(separator: " ") }
    /// `usd=0.0136` of an answer's line.
    package subscript(name: String) -> String? {
        words.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }
    /// The JSON that a bulk holds.
    package var json: Any? {
        guard case .bulk(let text) = self else { return nil }
        return try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }
}

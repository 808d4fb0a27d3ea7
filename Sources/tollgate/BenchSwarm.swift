import CLinux
import Events
import Glibc

/// Many connections from one thread, each sending its next requests once all it sent are answered.
final class BenchSwarm {
    private let links: [Link]
    private var entries: [pollfd]
    private let pipelined: Int
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 64)
    private static let bufferBytes = 64 << 10

    private final class Link {
        let client: Client
        var message: BenchMessage
        var output: ByteBuffer
        var waiting = 0

        init(_ socket: String, _ message: BenchMessage) throws(CommandFailure) {
            client = try Client(.unix(socket))
            self.message = message
            output = ByteBuffer(capacity: 16 << 10)
        }
        /// Sends as many requests as a connection may have under way; they fit the socket.
        func sendBatch(_ count: Int) -> Bool {
            output.removeAll()
            for _ in 0..<count {
                message.next()
                message.bytes.withUnsafeBytes { output.append(Bytes($0)) }
            }
            waiting = count
            return send(client.descriptor, output.base, output.count, Int32(MSG_NOSIGNAL))
                == output.count
        }
    }

    /// - Parameter words: one request, answered with one line.
    init(
        _ socket: String, connections: Int, pipelined: Int, words: [String]
    ) throws(CommandFailure) {
        self.pipelined = pipelined
        var made: [Link] = []
        for i in 0..<connections {
            made.append(try Link(socket, BenchMessage(words: words, from: i * 1_000_000_000)))
        }
        links = made
        entries = made.map { pollfd(fd: $0.client.descriptor, events: Int16(POLLIN), revents: 0) }
    }
    deinit { buffer.deallocate() }

    /// Goes on for a while, or until it has had as many answers; the answers a second.
    func run(
        for nanoseconds: Int64, atMost: Int = .max, _ context: BenchContext
    ) throws(CommandFailure) -> Double {
        var answers = 0
        var busy = links.count
        let start = monotonicNanoseconds()
        var now = start
        for link in links { guard link.sendBatch(pipelined) else { throw lost() } }
        while busy > 0 {
            // Not epoll: for so few connections the difference does not show.
            let count = poll(&entries, nfds_t(entries.count), 1_000)
            now = monotonicNanoseconds()
            if count <= 0 { try context.checkInterrupt() }
            for i in links.indices where count > 0 && entries[i].revents != 0 {
                let link = links[i]
                let n = recv(link.client.descriptor, buffer, Self.bufferBytes, 0)
                guard n > 0 else { throw lost() }
                let lines = Bytes(buffer, count: n).lineCount
                answers += lines
                link.waiting -= lines
                guard link.waiting == 0 else { continue }
                if now - start < nanoseconds, answers < atMost {
                    guard link.sendBatch(pipelined) else { throw lost() }
                } else {
                    busy -= 1
                }
            }
        }
        return Double(answers) / (Double(now - start) / 1e9)
    }
    private func lost() -> CommandFailure {
        CommandFailure(.io, "lost a connection: \(String(cString: strerror(errno)))")
    }
}

import CLinux
import Events
import Glibc
import Histogram
import TestSupport
import Testing

@testable import Gate
@testable import tollgate

/// What makes the open loop's figures true: it sends when a request is due, and counts from then.
@Suite struct `The open loop` {
    /// A server that answers nothing until the last request is there: whoever waited for an answer
    /// would wait for ever. Each request is late by all the time that was left at its own.
    @Test func `sends without waiting, and counts from when a request was due`() throws {
        let (count, interval) = (200, UInt64(1_000_000))
        let scratch = try Scratch()
        let socket = scratch.file("socket")
        let server = try StubbornServer(socket, requests: count)
        let histogram = try measured(socket, scratch, count, interval)
        server.join()
        #expect(histogram.totalCount == UInt64(count))
        // The last is sent when it is due or later, and no answer is before that.
        let total = UInt64(count - 1) * interval
        #expect(histogram.maxRecorded >= total - total / 100)
        #expect(histogram.valueAtPercentile(50) >= total / 2 - total / 50)
    }
    /// The connection ends with the loop, and only then does the server.
    private func measured(
        _ socket: String, _ scratch: Scratch, _ count: Int, _ interval: UInt64
    ) throws -> Histogram<UInt64> {
        let loop = try BenchOpenLoop(
            socket, connections: 1, words: ["SET", "bench:#", "x"], expected: "+OK")
        let context = try BenchContext(under: scratch.path, scale: .smoke, rounds: 1)
        return try loop.run(
            perSecond: 1e9 / Double(interval), for: Int64(interval) * Int64(count), context)
    }
}

/// Takes one connection and so many lines; then answers all of them.
private final class StubbornServer: Sendable {
    private let thread: pthread_t

    init(_ path: String, requests: Int) throws {
        let listener = try Listener.unix(path)
        thread = try Gate.Thread.start(name: "stubborn") {
            var entry = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, -1)
            let peer = accept(listener.descriptor, nil, nil)
            var lines = 0
            var bytes = [UInt8](repeating: 0, count: 4_096)
            while lines < requests {
                let n = read(peer, &bytes, bytes.count)
                guard n > 0 else { break }
                lines += bytes[..<n].count { $0 == UInt8(ascii: "*") }
            }
            let answers = [UInt8](String(repeating: "+OK\r\n", count: lines).utf8)
            _ = send(peer, answers, answers.count, Int32(MSG_NOSIGNAL))
            // Until the client has gone, so that it loses nothing.
            while read(peer, &bytes, bytes.count) > 0 {}
            close(peer)
        }
    }
    func join() { pthread_join(thread, nil) }
}

import CLinux
import Events
import Glibc

/// The ledger that every measurement over the socket asks of, and the requests it is asked.
enum BenchLedgerSetup {
    static let key = "bench/ml/prod"
    static let model = "openai/gpt-4.1"
    /// The largest there are: each is checked, none binds.
    static let limits = JSON.object([
        JSON.Member("usd.day", .string("9000000000")),
        JSON.Member("usd.month", .string("9000000000")),
        JSON.Member("requests.minute", .integer(1_000_000_000_000)),
        JSON.Member("concurrency", .integer(1_000_000_000_000)),
    ])
    static let prices: [JSON.Member] = [
        JSON.Member("model", .string(model)), JSON.Member("in", .string("8")),
        JSON.Member("out", .string("24")),
    ]

    /// Org, team, key and price, with limits on all three tiers.
    static func create(_ client: Client) throws(CommandFailure) {
        for (type, account) in [
            ("org.created", "bench"), ("team.created", "bench/ml"), ("key.created", key),
        ] {
            var payload = Payload()
            payload["account"] = .string(account)
            payload["limits"] = limits
            _ = try client.append(type, payload)
        }
        var price = Payload()
        for member in prices { price[member.name] = member.value }
        _ = try client.append("price.set", price)
    }
}

/// A request as bytes, with a number in it that is another one each time.
struct BenchMessage {
    private(set) var bytes: [UInt8]
    /// Where the number's twelve digits stand; nil where nothing changes.
    private let digits: Int?
    static let digitCount = 12

    /// - Parameter text: `#` in it becomes the number.
    init(_ text: String, from number: Int = 0) {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        bytes = Array(parts[0].utf8)
        guard parts.count == 2 else {
            digits = nil
            return
        }
        digits = bytes.count
        let decimal = Array(String(number).utf8)
        bytes += [UInt8](repeating: 48, count: Self.digitCount - decimal.count) + decimal
        bytes += Array(parts[1].utf8)
    }
    /// The same as a RESP array, as client libraries send it.
    init(words: [String], from number: Int = 0) {
        let frames = words.map { word in
            let count = word.utf8.count + (word.contains("#") ? Self.digitCount - 1 : 0)
            return "$\(count)\r\n\(word)\r\n"
        }
        self.init("*\(words.count)\r\n" + frames.joined(), from: number)
    }
    /// One RESERVE; the id has 36 characters.
    static func reserve(_ run: Int) -> [String] {
        let prefix = "bench-" + String(run, radix: 36) + "-000000000000000000000000"
        return [
            "RESERVE", BenchLedgerSetup.key, BenchLedgerSetup.model, "in=1200", "out=400",
            "id=\(prefix.prefix(24))#",
        ]
    }
    static func reserveLine(_ run: Int) -> String {
        reserve(run).joined(separator: " ") + "\r\n"
    }

    /// Counts the number up, in place.
    @inline(__always)
    mutating func next() {
        guard let digits else { return }
        var at = digits + Self.digitCount - 1
        while at >= digits {
            if bytes[at] < 57 {
                bytes[at] += 1
                return
            }
            bytes[at] = 48
            at -= 1
        }
    }
}

/// A blocking connection that knows lines only: the same few instructions for whoever is measured.
final class BenchLink {
    private let client: Client
    private let descriptor: Int32
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 64)
    private static let bufferBytes = 64 << 10

    init(_ socket: String) throws(CommandFailure) {
        client = try Client(.unix(socket))
        descriptor = client.descriptor
    }
    deinit { buffer.deallocate() }

    /// Sends the message and waits for one line, `count` times; the times in nanoseconds.
    func roundTrips(
        _ message: inout BenchMessage, count: Int
    ) throws(CommandFailure) -> [Int64] {
        var times = [Int64](repeating: 0, count: count)
        for i in 0..<count {
            message.next()
            let start = monotonicNanoseconds()
            guard exchange(message.bytes) else { throw lost() }
            times[i] = monotonicNanoseconds() - start
        }
        return times
    }
    /// The same with each of some messages once.
    func roundTrips(_ messages: inout [BenchMessage]) throws(CommandFailure) -> [Int64] {
        var times = [Int64](repeating: 0, count: messages.count)
        for i in messages.indices {
            messages[i].next()
            let start = monotonicNanoseconds()
            guard exchange(messages[i].bytes) else { throw lost() }
            times[i] = monotonicNanoseconds() - start
        }
        return times
    }
    @inline(__always)
    private func exchange(_ message: [UInt8]) -> Bool {
        guard send(descriptor, message, message.count, Int32(MSG_NOSIGNAL)) == message.count else {
            return false
        }
        var end = 0
        repeat {
            let n = recv(descriptor, buffer + end, Self.bufferBytes - end, 0)
            guard n > 0 else { return false }
            end += n
        } while buffer.load(fromByteOffset: end - 1, as: UInt8.self) != 0x0A
        return true
    }

    /// The answer to one more message; to look at it before it is repeated.
    func answer(_ message: inout BenchMessage) throws(CommandFailure) -> String {
        message.next()
        guard exchange(message.bytes) else { throw lost() }
        return Bytes(buffer, count: 16).string
    }

    /// Sends requests that are answered with one line each, and waits for the lines.
    func pipeline(_ requests: borrowing ByteBuffer, answers: Int) throws(CommandFailure) {
        var sent = 0
        while sent < requests.count {
            let n = send(
                descriptor, requests.base + sent, requests.count - sent, Int32(MSG_NOSIGNAL))
            guard n > 0 else { throw lost() }
            sent += n
        }
        var left = answers
        while left > 0 {
            let n = recv(descriptor, buffer, Self.bufferBytes, 0)
            guard n > 0 else { throw lost() }
            left -= Bytes(buffer, count: n).lineCount
        }
    }
    private func lost() -> CommandFailure {
        CommandFailure(.io, "lost a connection: \(String(cString: strerror(errno)))")
    }
}

extension Bytes {
    /// How many lines end in these bytes.
    var lineCount: Int {
        var count = 0
        var at = 0
        while at < self.count, let stop = slice(at, self.count).firstIndex(of: 0x0A) {
            count += 1
            at += stop + 1
        }
        return count
    }
}

/// Gives back the holds of a round, outside of its time, so that the book stays as small as it was.
struct BenchHolds {
    private let control: Client
    private let link: BenchLink
    private let epoch: Int64
    private var seq: Int64
    private static let pipelined: Int64 = 256

    init(_ socket: String) throws(CommandFailure) {
        control = try Client(.unix(socket))
        link = try BenchLink(socket)
        epoch = try control.info("epoch") ?? 1
        seq = try control.info("seq") ?? 0
    }
    /// Releases every hold since the last time and waits until all of it is on disk; answers how
    /// many events there were since then.
    mutating func release(_ context: BenchContext) throws(CommandFailure) -> Int64 {
        let last = try control.info("seq") ?? 0
        let count = last - seq
        var at = seq + 1
        while at <= last {
            try context.checkInterrupt()
            let end = min(at + Self.pipelined - 1, last)
            var requests = ByteBuffer(capacity: 16 << 10)
            for hold in at...end {
                // Seqs that name no hold are answered with an error, which is a line as well.
                requests.append("RELEASE " as StaticString)
                requests.append(decimal: epoch)
                requests.append("-" as StaticString)
                requests.append(decimal: hold)
                requests.append(hold == last ? "\r\n" as StaticString : " ack=ring\r\n")
            }
            try link.pipeline(requests, answers: Int(end - at + 1))
            at = end + 1
        }
        seq = try control.info("seq") ?? 0
        return count
    }
}

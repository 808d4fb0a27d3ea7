import CEcho
import CLinux
import Events
import Glibc
import Histogram

/// Sends requests at the times of a fixed schedule, whether or not answers keep up, and counts each
/// one's time from when it was meant to be sent.
///
/// A client that waits for an answer before it asks again asks least while the server is slowest, and
/// so hardly ever sees it slow. Here a server that stops for 10 ms is late for everything that was due
/// in those 10 ms, and all of it stands in the histogram.
final class BenchOpenLoop {
    private let connections: [LoadConnection]
    private var messages: [BenchMessage]
    private let expected: StaticString
    private let poller: Int32
    private var histogram = LoadResult.histogram()
    private var waiting = 0
    /// Connections that could not take all that was due.
    private var full: Set<Int> = []

    /// Closer to the next request than this, sleeping would take longer than is left.
    private static let spinNanoseconds: Int64 = 50_000
    private static let sleepNanosecondsMax: Int64 = 100_000_000
    private static let silenceNanoseconds: Int64 = 30_000_000_000
    private static let eventsMax = 256

    /// - Parameters:
    ///   - words: one request, answered with one line.
    ///   - expected: how that line begins.
    init(
        _ socket: String, connections count: Int, words: [String], expected: StaticString
    ) throws(CommandFailure) {
        self.expected = expected
        var connections: [LoadConnection] = []
        var messages: [BenchMessage] = []
        for i in 0..<count {
            connections.append(try LoadConnection(.unix(socket)))
            messages.append(BenchMessage(words: words, from: i * 100_000_000))
        }
        self.connections = connections
        self.messages = messages
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poller >= 0 else {
            throw CommandFailure(.software, "no epoll: \(String(cString: strerror(errno)))")
        }
        for (i, connection) in connections.enumerated() {
            var event = epoll_event()
            event.events = EPOLLIN.rawValue
            event.data.u64 = UInt64(i)
            guard epoll_ctl(poller, EPOLL_CTL_ADD, connection.descriptor, &event) == 0 else {
                throw CommandFailure(.software, "no epoll: \(String(cString: strerror(errno)))")
            }
        }
        tg_sleep_precisely()
    }
    deinit { close(poller) }

    /// Runs the schedule, the connections in turn, and waits for the last answers.
    func run(
        perSecond rate: Double, for nanoseconds: Int64, _ context: BenchContext
    ) throws(CommandFailure) -> Histogram<UInt64> {
        histogram = LoadResult.histogram()
        let interval = 1e9 / rate
        let count = max(Int(Double(nanoseconds) / interval), 1)
        let start = monotonicNanoseconds() + 1_000_000
        var sent = 0
        var now = start
        var heard = start
        while sent < count || waiting > 0 {
            while sent < count, case let due = start + Int64(Double(sent) * interval), due <= now {
                try send(sent % connections.count, intended: due)
                sent += 1
                if sent % 64 == 0 { break }  // Answers wait, too.
            }
            for i in full { try flush(i) }
            let due = sent < count ? start + Int64(Double(sent) * interval) : .max
            if try receive(until: due, now) { heard = monotonicNanoseconds() }
            now = monotonicNanoseconds()
            guard now - max(heard, start) < Self.silenceNanoseconds else {
                throw CommandFailure(.unavailable, "no answer within 30 seconds")
            }
            try context.checkInterrupt()
        }
        return histogram
    }

    private func send(_ i: Int, intended: Int64) throws(CommandFailure) {
        messages[i].next()
        messages[i].bytes.withUnsafeBytes { connections[i].output.append(Bytes($0)) }
        connections[i].expect(.reserve, slot: 0, intended: intended)
        waiting += 1
        try flush(i)
    }
    private func flush(_ i: Int) throws(CommandFailure) {
        switch connections[i].flush() {
        case .done: if !full.isEmpty { full.remove(i) }
        case .blocked: full.insert(i)
        case .ended, .lost: throw lost()
        }
    }

    /// Takes what has come, or comes until the next request is due; whether anything did.
    private func receive(until due: Int64, _ now: Int64) throws(CommandFailure) -> Bool {
        let left = min(max(due - now, 0), Self.sleepNanosecondsMax)
        var patience = timespec(
            tv_sec: 0, tv_nsec: full.isEmpty && left > Self.spinNanoseconds ? Int(left) : 0)
        var failure: CommandFailure?
        let count = withUnsafeTemporaryAllocation(
            of: epoll_event.self, capacity: Self.eventsMax
        ) { events in
            let count = epoll_pwait2(
                poller, events.baseAddress!, Int32(Self.eventsMax), &patience, nil)
            for i in 0..<Int(max(count, 0)) {
                do throws(CommandFailure) {
                    try take(connections[Int(events[i].data.u64)])
                } catch { failure = error }
            }
            return count
        }
        if let failure { throw failure }
        return count > 0
    }
    private func take(_ connection: LoadConnection) throws(CommandFailure) {
        var more = true
        while more {
            switch connection.fill() {
            case .done: break
            case .blocked: more = false
            case .ended, .lost: throw lost()
            }
            let now = monotonicNanoseconds()
            var wrong: String?
            connection.eachLine { line in
                guard let pending = connection.takePending(), line.hasPrefix(expected) else {
                    wrong = line.string
                    return
                }
                waiting -= 1
                let time = UInt64(max(now - pending.intended, 1))
                histogram.record(min(time, LoadResult.latencyNanosecondsMax))
            }
            if let wrong { throw CommandFailure(.software, "a request was answered \(wrong)") }
        }
    }
    private func lost() -> CommandFailure {
        CommandFailure(.io, "lost a connection: \(String(cString: strerror(errno)))")
    }
}

/// The quantiles that a table shows.
enum BenchQuantiles {
    static let names = ["p50", "p99", "p99.9", "max"]

    static func values(of histogram: Histogram<UInt64>) -> [Double] {
        let most = histogram.maxRecorded
        // The histogram knows a bucket's upper edge only, which may lie above the largest value.
        return [50, 99, 99.9].map { Double(min(histogram.valueAtPercentile($0), most)) }
            + [Double(most)]
    }
}

import CLinux
import Events
import Glibc

/// The log as it grows, over as many connections as it takes.
///
/// A connection that is lost, or that the daemon closed because we read too slowly, is followed by another
/// that goes on behind the last event that came: none is missed, and none comes twice.
final class LiveLog {
    private let target: Target
    private let filter: [String]
    private var client: Client?
    /// The event with which to go on.
    private(set) var next: Int64
    /// How long to wait before the next attempt to connect, in milliseconds.
    private var pause: Int32 = 0

    private static let pauseMax: Int32 = 2_000

    /// - Parameters:
    ///   - from: the first event; nil for what happens from now on.
    ///   - filter: TAIL's further words.
    init(_ target: Target, from: Int64?, filter: [String] = []) throws(CommandFailure) {
        self.target = target
        self.filter = filter
        next = from ?? 0
        try connect()
    }

    /// The next event; nil when none comes within `milliseconds`.
    func event(within milliseconds: Int32) throws(CommandFailure) -> JSON? {
        let end = LiveLog.clock() + Int64(milliseconds)
        while true {
            let left = Int32(clamping: max(0, end - LiveLog.clock()))
            do throws(CommandFailure) {
                if client == nil {
                    guard try reconnect(within: left) else { return nil }
                }
                guard let reply = try client?.receive(within: left) else { return nil }
                return try event(reply)
            } catch  where error.status == .unavailable || error.status == .tryAgain {
                lose(error)
            }
        }
    }
    /// Goes on with what happens from now on, and with nothing in between.
    func skipToEnd() throws(CommandFailure) {
        next = 0
        client = nil
        try connect()
    }

    private func event(_ reply: Reply) throws(CommandFailure) -> JSON {
        guard case .bulk(let text) = try reply.orFailure() else {
            throw CommandFailure(.protocolBroken, "the daemon ended the TAIL unasked")
        }
        let event = try JSON(reply: text)
        guard let seq = event["seq"]?.integer else {
            throw CommandFailure(.protocolBroken, "an event without seq: \(text.prefix(80))")
        }
        next = seq + 1
        return event
    }

    // MARK: Connections

    private func connect() throws(CommandFailure) {
        let client = try Client(target)
        LiveLog.probe(client, target)
        let from = next > 0 ? ["from=\(next)"] : []
        let reply = try client.call(["TAIL"] + from + filter).orFailure()
        // Known from now on, so that nothing is missed should this connection be lost at once.
        guard let text = reply.text, text.hasPrefix("TAIL from="),
            let from = Int64(text.dropFirst("TAIL from=".count))
        else { throw CommandFailure(.protocolBroken, "the daemon does not know TAIL") }
        next = from
        self.client = client
        pause = 0
    }
    /// Tries again, with growing pauses; false when the time is over before the next attempt.
    private func reconnect(within milliseconds: Int32) throws(CommandFailure) -> Bool {
        if pause > 0 {
            // Longer than we may wait: the next call waits for the rest.
            let now = min(pause, max(milliseconds, 1))
            _ = poll(nil, 0, now)
            if pause > now {
                pause -= now
                return false
            }
        }
        do throws(CommandFailure) {
            let tries = attempts
            try connect()
            attempts = 0
            if tries > 0 { Console.note("tollgate: going on with event \(next)") }
            return true
        } catch  where error.status == .unavailable || error.status == .tryAgain {
            attempts += 1
            pause = min(LiveLog.pauseMax, 50 << Int32(min(attempts, 6)))
            return false
        }
    }
    private var attempts = 0

    private func lose(_ why: CommandFailure) {
        client = nil
        attempts += 1
        pause = 50
        Console.note("tollgate: \(why.message); trying again")
    }
    /// A daemon's machine that is gone without a word is found out; who only listens would wait for ever.
    private static func probe(_ client: Client, _ target: Target) {
        guard case .tcp = target.address else { return }
        for (level, option, value) in [
            (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 30),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 10), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3),
        ] {
            var value = Int32(value)
            setsockopt(client.descriptor, level, option, &value, 4)
        }
    }
    private static func clock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

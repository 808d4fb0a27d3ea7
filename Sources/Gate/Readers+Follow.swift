import Events
import Journal
import Wire

// Batches of events for those who follow the log: each event a bulk string of its own.

extension Readers {
    /// How far a batch goes.
    struct Followed: Sendable {
        /// Whose it is.
        var tail: UInt64
        /// The event with which to go on.
        var next: UInt64
        /// Whether nothing more was durable.
        var isAtEnd = false
        /// Whether an error stands at the end of the batch, and nothing can come behind it.
        var hasFailed = false
        /// Where each event ends, and with which to go on behind it.
        var marks: [Tail.Mark] = []
    }

    func follow(
        _ tail: UInt64, _ from: UInt64, _ filter: LogFilter, _ bytesMax: Int,
        _ names: inout NameCache
    ) -> (reply: [UInt8], Followed) {
        var reply = ByteBuffer(capacity: 4_096)
        var found = Followed(tail: tail, next: from)
        do throws(Failure) {
            try collect(&found, filter, bytesMax, &names, into: &reply)
        } catch {
            reply.reply(error)
            found.hasFailed = true
        }
        return (Array(UnsafeRawBufferPointer(start: reply.base, count: reply.count)), found)
    }

    private func collect(
        _ found: inout Followed, _ filter: LogFilter, _ bytesMax: Int, _ names: inout NameCache,
        into reply: inout ByteBuffer
    ) throws(Failure) {
        // Events are some three times as long in JSON; what is copied and does not fit is read again.
        var copies = ByteBuffer(capacity: 4_096)
        var isFull = false
        var seen = 0
        let end = try scan(from: found.next, through: .max) { event in
            if filter.wants(event.header.type) { copies.append(event.bytes) }
            seen += 1
            isFull = seen >= GateLimits.tailEventsMax || copies.count >= bytesMax / 3
            return !isFull
        }
        var json = ByteBuffer(capacity: 1_024)
        var at = 0
        while at < copies.count {
            guard let event = try? StoredEvent(copies.bytes.slice(at, copies.count)) else {
                throw Failure(.error, "event \(found.next) cannot be read")
            }
            found.next = event.header.seq
            at += event.bytes.count
            if !filter.account.isEmpty {
                let isUnder = names.isUnder(event.header.account, filter.account)
                if let damage = names.damage { throw Failure(.error, damage) }
                if !isUnder { continue }
            }
            json.removeAll()
            try export(event, &names, into: &json)
            reply.reply(bulk: json.bytes)
            found.next += 1
            found.marks.append(Tail.Mark(end: UInt64(reply.count), next: found.next))
            if reply.count >= bytesMax, at < copies.count { return }
        }
        found.next = end
        found.isAtEnd = !isFull
    }
}

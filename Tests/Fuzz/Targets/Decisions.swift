import Events
import Ledger

/// Requests of an admin to a furnished ledger, in either grammar. Whatever they are: every answer is one
/// whole reply, every event decodes, the log folds to the book that decided, and that book survives being
/// written down.
enum Decisions {
    static func check(_ input: Bytes) throws(Broken) {
        var desk = Desk.furnished()
        var at = 0
        while at < input.count, let (used, reply) = desk.answer(input.from(at)) {
            if !reply.isEmpty { try ReplyReader.check(reply) }
            at += used
        }
        desk.finish()
        for event in desk.log {
            try event.withBytes { (bytes) throws(Broken) in
                guard let event = try? StoredEvent(bytes) else { throw Broken("no event") }
                try StoredEvents.decode(event)
            }
        }
        var folded = Book()
        for event in desk.log {
            try event.withBytes { (bytes) throws(Broken) in
                do throws(EventError) {
                    try folded.apply(try StoredEvent(bytes))
                } catch {
                    throw Broken("an event that was decided does not fold: \(error.explanation)")
                }
            }
        }
        var live = ByteBuffer(capacity: 16 << 10)
        desk.machine.book.encode(into: &live)
        var second = ByteBuffer(capacity: 16 << 10)
        folded.encode(into: &second)
        try require(live.bytes == second.bytes, "a second fold makes another book")
        // Reading a book is dear beside the rest, so not every input pays for it.
        if live.bytes.byte(live.count / 2) & 3 == 0 { try Checkpoints.read(live.bytes) }
    }

    /// The day behind the furniture, whole and in parts.
    static var seeds: [[UInt8]] {
        var desk = Desk.furnished()
        let lines = Desk.day.dropFirst(Desk.furniture.count).map { Array(desk.ask($0).utf8) }
        return [Array(lines.joined())] + lines
            + lines.indices.dropLast(3).map { Array(lines[$0..<$0 + 4].joined()) }
    }
}

import Events
import Ledger
import Wire

/// Drives the machine as the gate does, but with text and times handed in: no thread, no socket, no
/// disk, no clock.
final class MachineDriver {
    private var machine: Machine
    private var parser = RequestParser()
    private var seconds = SecondText()
    /// Every event so far, as stored.
    private(set) var log: [[UInt8]] = []

    init(calendar: ZoneCalendar = .utc) {
        machine = Machine(book: Book(), calendar: calendar)
        machine.start(ledger: String(repeating: "0", count: 32), version: "test")
        collect()
    }
    /// Goes on with a book that was folded elsewhere.
    init(book: consuming Book, calendar: ZoneCalendar = .utc) {
        machine = Machine(book: book, calendar: calendar)
    }

    var seq: UInt64 { machine.book.seq }
    func digest() -> Hash128 { machine.book.digest() }
    func withBook<R>(_ body: (borrowing Book) throws -> R) rethrows -> R { try body(machine.book) }
    func pause(_ isPaused: Bool) { machine.isPaused = isPaused }

    /// One line as a client sends it; the reply without its line end.
    @discardableResult
    func answer(_ line: String, at nanoseconds: Int64 = 0) -> String {
        machine.advance(to: Instant(nanoseconds: nanoseconds))
        defer { collect() }
        return (line + "\n").withBytes { answer($0) }
    }
    func usage(_ account: String, at nanoseconds: Int64) throws -> JSON {
        var json = ByteBuffer()
        try account.withBytes { (path) throws(Failure) in
            try machine.book.writeUsage(
                of: path, at: Instant(nanoseconds: nanoseconds), calendar: .utc, into: &json)
        }
        return try JSON(parsing: json.bytes)
    }

    private func answer(_ line: Bytes) -> String {
        var reply = ByteBuffer()
        // JSON stands unquoted in these histories, so APPEND is cut by hand.
        if line.hasPrefix("APPEND ") {
            return append(line.slice(7, line.count - 1))
        }
        guard case .command = parser.next(line) else { return "-ERR no whole line" }
        let arguments = parser.arguments
        var acknowledgement = Acknowledgement.ring
        do throws(Failure) {
            let answer: Answer
            switch Verb(arguments[0]) {
            case .explain:
                machine.explain(
                    try ReserveRequest(
                        arguments, verb: .explain, acknowledgement: &acknowledgement), into: &reply)
                return reply.string
            case .reserve:
                answer = machine.reserve(
                    try ReserveRequest(arguments, acknowledgement: &acknowledgement))
            case .check:
                answer = machine.check(
                    try ReserveRequest(arguments, verb: .check, acknowledgement: &acknowledgement))
            case .extend:
                answer = machine.extend(
                    try ExtendRequest(arguments, acknowledgement: &acknowledgement))
            case .settle:
                answer = machine.settle(
                    try SettleRequest(arguments, acknowledgement: &acknowledgement))
            case .release:
                answer = machine.release(
                    try ReleaseRequest(arguments, acknowledgement: &acknowledgement))
            case .charge:
                answer = machine.charge(
                    try ChargeRequest(arguments, acknowledgement: &acknowledgement))
            default: throw Failure(.error, "no such verb in these histories")
            }
            reply.reply(answer, &seconds)
        } catch {
            reply.reply(error)
        }
        reply.truncate(to: reply.count - 2)
        return reply.string
    }
    private func append(_ rest: Bytes) -> String {
        let space = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.count
        do throws(Failure) {
            guard let type = EventType(rest.slice(0, space)) else {
                throw Failure(.error, "no such type")
            }
            let payload: JSON
            do throws(JSONError) {
                payload = try JSON(parsing: rest.slice(min(space + 1, rest.count), rest.count))
            } catch {
                throw Failure(.error, error.explanation)
            }
            let digest = (0..<32).map { UInt8(truncatingIfNeeded: Int(machine.book.seq) * 31 + $0) }
            switch try machine.append(type, payload, secret: digest) {
            case .stored(let seq): return "{\"seq\":\(seq)}"
            case .repeated(let seq): return "{\"seq\":\(seq)}"
            }
        } catch {
            return "-\(error.code.name) \(error.text)"
        }
    }
    private func collect() {
        var at = 0
        while at < machine.outbox.count {
            guard let event = try? StoredEvent(machine.outbox.bytes.slice(at, machine.outbox.count))
            else { fatalError("the machine wrote what is no event") }
            log.append((0..<event.bytes.count).map { event.bytes[$0] })
            at += event.bytes.count
        }
        machine.outbox.removeAll()
    }
}

/// Folds stored events into a book.
func fold(_ log: some Sequence<[UInt8]>, into book: inout Book) throws {
    for bytes in log {
        try bytes.withUnsafeBytes { raw in try book.apply(try StoredEvent(Bytes(raw))) }
    }
}

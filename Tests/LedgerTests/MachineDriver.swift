import Events
import Ledger
import Wire

/// Drives the machine as the gate does, but with text and times handed in: no thread, no socket, no
/// disk, no clock.
final class MachineDriver {
    private var machine: Machine
    private var parser = RequestParser()
    private var seconds = SecondText()
    /// Of the secret in the request under way.
    private let digestBytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)
    /// Every event so far, as stored.
    private(set) var log: [[UInt8]] = []
    /// Who asks.
    var actor = Actor.uid(0)

    init(calendar: ZoneCalendar = .utc) {
        machine = Machine(book: Book(), calendar: calendar)
        machine.start(ledger: String(repeating: "0", count: 32), version: "test")
        collect()
    }
    /// Goes on with a book that was folded elsewhere.
    init(book: consuming Book, calendar: ZoneCalendar = .utc) {
        machine = Machine(book: book, calendar: calendar)
    }

    deinit { digestBytes.deallocate() }

    var seq: UInt64 { machine.book.seq }
    func digest() -> Hash128 { machine.book.digest() }
    func withBook<R>(_ body: (borrowing Book) throws -> R) rethrows -> R { try body(machine.book) }
    func pause(_ isPaused: Bool) { machine.isPaused = isPaused }

    /// One line as a client sends it; the reply without its line end.
    @discardableResult
    func answer(_ line: String, at nanoseconds: Int64 = 0) -> String {
        machine.advance(to: Instant(nanoseconds: nanoseconds))
        machine.actor = actor
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
                var request = try ReserveRequest(
                    arguments, verb: .explain, acknowledgement: &acknowledgement)
                resolve(&request.key)
                machine.explain(request, into: &reply)
                return reply.string
            case .reserve:
                var request = try ReserveRequest(arguments, acknowledgement: &acknowledgement)
                resolve(&request.key)
                answer = machine.reserve(request)
            case .check:
                var request = try ReserveRequest(
                    arguments, verb: .check, acknowledgement: &acknowledgement)
                resolve(&request.key)
                answer = machine.check(request)
            case .extend:
                answer = machine.extend(
                    try ExtendRequest(arguments, acknowledgement: &acknowledgement))
            case .settle:
                var request = try SettleRequest(arguments, acknowledgement: &acknowledgement)
                if var key = request.key {
                    resolve(&key)
                    request.key = key
                }
                answer = machine.settle(request)
            case .release:
                answer = machine.release(
                    try ReleaseRequest(arguments, acknowledgement: &acknowledgement))
            case .charge:
                var request = try ChargeRequest(arguments, acknowledgement: &acknowledgement)
                resolve(&request.key)
                answer = machine.charge(request)
            default: throw Failure(.error, "no such verb in these histories")
            }
            reply.reply(answer, &seconds)
        } catch {
            reply.reply(error)
        }
        reply.truncate(to: reply.count - 2)
        return reply.string
    }
    /// What GET shows of an account.
    ///
    /// - Parameter nanoseconds: nil for the machine's own instant.
    func account(_ path: String, at nanoseconds: Int64? = nil) throws -> JSON {
        var json = ByteBuffer()
        let now = nanoseconds.map { Instant(nanoseconds: $0) } ?? machine.now
        try path.withBytes { (path) throws(Failure) in
            try machine.book.writeAccount(path, at: now, into: &json)
        }
        return try JSON(parsing: json.bytes)
    }
    /// A secret such as `s17` has the digest 17aa…, as the naive model has it.
    private func resolve(_ key: inout KeyReference) {
        guard case .secret(let text) = key, text.count >= 1, text.count < 32 else { return }
        let digits = text.string.dropFirst().utf8
        guard text[0] == UInt8(ascii: "s"), digits.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
            return
        }
        let hex = Array(digits) + [UInt8](repeating: UInt8(ascii: "a"), count: 64 - digits.count)
        for i in 0..<32 { digestBytes[i] = hexValue(hex[2 * i])! << 4 | hexValue(hex[2 * i + 1])! }
        key = .digest(Bytes(UnsafeRawPointer(digestBytes), count: 32))
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
            case .stored(let seq, let at):
                // The gate answers with what stands there.
                let event = try? StoredEvent(machine.outbox.bytes.slice(at, machine.outbox.count))
                precondition(event?.header.seq == seq && event?.header.type == type)
                return "{\"seq\":\(seq)}"
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

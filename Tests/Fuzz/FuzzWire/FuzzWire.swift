import Events
import Wire

// Everything a stranger can reach before authentication: framing, verbs, typed arguments, the pure
// handshake replies. Built only with TOLLGATE_FUZZ=1; the README says how. Besides not crashing:
// every step makes progress, a split input parses as the whole, every reply is whole lines, and no
// secret comes back in an error.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafeRawPointer?, _ size: Int) -> CInt {
    guard let start, size > 0 else { return 0 }
    let split = Int(start.load(as: UInt8.self))
    run(Bytes(start + 1, count: size - 1), split: split)
    return 0
}

private func run(_ input: Bytes, split: Int) {
    var parser = RequestParser()
    var other = RequestParser()
    var seconds = SecondText()
    var searched = 0
    var at = 0
    while at < input.count {
        let rest = input.slice(at, input.count)
        // A first look at a part only must change nothing but the hint.
        let early = other.next(rest.slice(0, min(split, rest.count)), searched: &searched)
        let step = parser.next(rest)
        if case .incomplete = early {
            let late = other.next(rest, searched: &searched)
            precondition(describe(step) == describe(late), "a split changes nothing")
        }
        searched = 0
        switch step {
        case .incomplete: return
        case .violation(let violation):
            check(violation.failure)
            return
        case .empty(let consumed):
            precondition(consumed > 0 && consumed <= rest.count)
            at += consumed
        case .command(let consumed, _):
            precondition(consumed > 0 && consumed <= rest.count)
            precondition(parser.arguments.count > 0)
            answer(parser.arguments, &seconds)
            at += consumed
        }
    }
}

private func describe(_ step: RequestParser.Step) -> String { "\(step)" }

private func answer(_ arguments: Arguments, _ seconds: inout SecondText) {
    var out = ByteBuffer()
    var ack = Acknowledgement.ring
    do throws(Failure) {
        guard let verb = Verb(arguments[0]) else { throw Handshake.unknownCommand(arguments) }
        switch verb {
        case .reserve, .check:
            let request = try ReserveRequest(arguments, verb: verb, acknowledgement: &ack)
            precondition((request.input ?? 0) >= 0 && request.text.id.count <= 128)
            var denial = Denial(.modelMalformed, now: Instant(seconds: 1))
            denial.model = request.model
            denial.scope = request.scope
            denial.resets = Instant(nanoseconds: request.input ?? .max)
            out.reply(.denied(denial), &seconds)
            precondition(isOneLine(out.bytes))
        case .settle:
            let request = try SettleRequest(arguments, acknowledgement: &ack)
            precondition(request.usage.isWithinBounds)
        case .release: _ = try ReleaseRequest(arguments, acknowledgement: &ack)
        case .charge:
            let request = try ChargeRequest(arguments, acknowledgement: &ack)
            precondition(request.usage.isWithinBounds && !request.text.id.isEmpty)
        case .append: _ = try AppendRequest(arguments)
        case .get: _ = try GetQuery(arguments)
        case .list: _ = try ListQuery(arguments)
        case .usage: _ = try UsageQuery(arguments)
        case .events: _ = try EventsQuery(arguments)
        case .auth: _ = try Credentials(arguments)
        case .hello: _ = try HelloQuery(arguments)
        case .ping: Handshake.ping(arguments, into: &out)
        case .echo: Handshake.echo(arguments, into: &out)
        case .select: Handshake.select(arguments, into: &out)
        case .command: Handshake.command(arguments, .three, into: &out)
        case .config: Handshake.config(arguments, clientsMax: 1, .two, into: &out)
        case .client:
            let client = Handshake.Client(
                id: 1, name: "", version: .three, address: "", user: "", ageSeconds: 0)
            _ = Handshake.client(arguments, client, into: &out)
        case .info, .quit, .reset: break
        }
    } catch {
        check(error)
    }
}

/// One line, no control characters, and nothing that looks like a whole secret.
private func check(_ failure: Failure) {
    var out = ByteBuffer()
    out.reply(failure)
    precondition(isOneLine(out.bytes), "an error is one line")
    let bytes = Array(failure.text.utf8)
    for i in bytes.indices where bytes[i...].starts(with: "tg_".utf8) {
        precondition(bytes[(i + 3)...].first == UInt8(ascii: "*"), "a secret is masked")
    }
}
private func isOneLine(_ bytes: Bytes) -> Bool {
    guard bytes.count >= 2 else { return false }
    for i in 0..<bytes.count - 2 where bytes[i] < 0x20 { return false }
    return bytes[bytes.count - 2] == 0x0D && bytes[bytes.count - 1] == 0x0A
}

// SwiftPM makes `main` an alias of this symbol, so libFuzzer is started from here, not by its own
// main.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutableRawPointer,
    _ body: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

@_cdecl("FuzzWire_main")
public func start(_ argc: CInt, _ argv: UnsafeMutableRawPointer) -> CInt {
    var argc = argc
    var argv = argv
    return runDriver(&argc, &argv, fuzzWire)
}

import CMallocCount
import Events
import Ledger
import Testing
import Wire

/// Steady state allocates nothing: parse, decide, apply, write the events and the reply.
@Suite(.enabled(if: tg_can_count_mallocs() != 0)) struct AllocationTests {
    private static let commands = 1_000

    @Test func `a thousand RESERVEs and RELEASEs allocate nothing`() throws {
        var bench = try HotLoop()
        // The first rounds grow tables, buffers and chunks.
        for _ in 0..<(TestScale.isLong ? 1_100 : 40) { bench.run(Self.commands) }
        #expect(bench.run(Self.commands) == Self.commands, "every one is allowed")
        tg_count_mallocs()
        let allowed = bench.run(Self.commands)
        let mallocs = tg_counted_mallocs()
        #expect(allowed == Self.commands)
        // Until the million ended holds that are remembered is full, their rows still grow, by a chunk
        // of 1,024 at a time; the long form fills it first.
        let growth = TestScale.isLong ? 0 : 1
        #expect(mallocs <= growth, "\(mallocs) allocations in \(Self.commands) commands")
    }

    @Test func `a flood of refusals allocates nothing`() throws {
        var bench = try HotLoop(dailyDollars: "0")
        for _ in 0..<10 { bench.run(Self.commands) }
        tg_count_mallocs()
        let allowed = bench.run(Self.commands)
        let mallocs = tg_counted_mallocs()
        #expect(allowed == 0)
        #expect(mallocs == 0, "\(mallocs) allocations in \(Self.commands) commands")
    }
}

/// The gate's work a command without its sockets.
private struct HotLoop: ~Copyable {
    private var machine = Machine(book: Book(), calendar: .utc)
    private var parser = RequestParser()
    private var seconds = SecondText()
    private var reply = ByteBuffer(capacity: 4_096)
    private var line = ByteBuffer(capacity: 256)
    private var number: Int64 = 0

    init(dailyDollars: String = "1000000") throws {
        machine.start(ledger: "test", version: "test")
        for (type, json) in [
            (EventType.orgCreated, #"{"account":"acme"}"#),
            (
                .teamCreated,
                #"{"account":"acme/ml","limits":{"usd.day":"\#(dailyDollars)","concurrency":99}}"#
            ),
            (.keyCreated, #"{"account":"acme/ml/prod","limits":{"requests.minute":100000000}}"#),
            (.priceSet, #"{"model":"openai/gpt-4.1","in":"8","out":"24"}"#),
        ] {
            let payload = try json.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes)
            }
            _ = try machine.append(type, payload, secret: Array(repeating: 7, count: 32))
        }
        // A queue of ended holds and the id index at their full size.
        machine.outbox.removeAll()
    }

    /// RESERVE and RELEASE; returns how many were allowed.
    @discardableResult
    mutating func run(_ commands: Int) -> Int {
        var allowed = 0
        for _ in 0..<commands {
            number += 1
            machine.advance(to: Instant(nanoseconds: 1_795_000_000_000_000_000 + number * 1_000))
            line.removeAll()
            line.append(
                "RESERVE acme/ml/prod openai/gpt-4.1 in=1200 out=400 user=u\n" as StaticString)
            guard case .command = parser.next(line.bytes) else { return -1 }
            var acknowledgement = Acknowledgement.ring
            guard
                let request = try? ReserveRequest(
                    parser.arguments, acknowledgement: &acknowledgement)
            else { return -1 }
            reply.removeAll()
            let answer = machine.reserve(request)
            reply.reply(answer, &seconds)
            if case .allowed(let hold, _, _, _) = answer {
                allowed += 1
                var release = ReleaseRequest()
                release.hold = hold
                reply.reply(machine.release(release), &seconds)
            }
            machine.outbox.removeAll()
        }
        return allowed
    }
}

import Events
import Testing
import Wire

@testable import Gate

/// In which order readers answer.
@Suite struct `What waits for a reader` {
    private func job(_ session: UInt64, follows: Bool = false) throws -> Readers.Job {
        Readers.Job(
            descriptor: 0, session: session,
            question: follows
                ? .follow(tail: session, from: 1, filter: LogFilter(), bytesMax: 1)
                : .event(seq: session), durableBy: session, mayKnowPersons: false)
    }
    private func order(_ queue: inout ReaderQueue) -> [UInt64] {
        var order: [UInt64] = []
        while let first = queue.first {
            let taken = queue.removeFirst()
            #expect(taken?.session == first.session)
            order.append(first.session)
        }
        return order
    }

    @Test func `is answered before those who follow are served, each kind in its order`() throws {
        var queue = ReaderQueue()
        for n in 1...5 as ClosedRange<UInt64> { queue.append(try job(n, follows: true)) }
        for n in 11...13 as ClosedRange<UInt64> { queue.append(try job(n)) }
        #expect(order(&queue) == [11, 12, 13, 1, 2, 3, 4, 5])
        #expect(queue.removeFirst() == nil)
    }
    @Test func `never keeps those who follow from being served`() throws {
        var queue = ReaderQueue()
        let most = UInt64(ReaderQueue.questionsInRow)
        // None waits yet that they could hold up.
        for n in 0..<most { queue.append(try job(100 + n)) }
        for _ in 0..<most { _ = queue.removeFirst() }
        for n in 1...3 as ClosedRange<UInt64> { queue.append(try job(n, follows: true)) }
        for n in 0..<2 * most + 1 { queue.append(try job(200 + n)) }
        let expected =
            Array(200..<200 + most) + [1] + Array(200 + most..<200 + 2 * most) + [
                2, 200 + 2 * most, 3,
            ]
        #expect(order(&queue) == expected)
    }
}

import Events
import TestSupport
import Testing

@testable import Ledger

@Suite struct `A schedule` {
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `gives back what is due, soonest first, whatever the order it came in`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var schedule = Schedule()
        var entries = (0..<200).map { i in
            Schedule.Entry(
                at: Int64.random(in: 0..<50, using: &random),
                kind: [.overrideEnds, .creditExpires, .rotationDue][i % 3],
                subject: UInt32.random(in: 0..<4, using: &random), part: UInt32(i))
        }
        for entry in entries { schedule.add(entry) }
        entries.sort()
        var taken: [Schedule.Entry] = []
        for now in stride(from: Int64(0), to: 60, by: 7) {
            while let due = schedule.takeDue(at: Instant(nanoseconds: now)) {
                #expect(due.at <= now)
                taken.append(due)
            }
            #expect(schedule.next > now)
        }
        #expect(taken == entries)
        #expect(schedule.count == 0)
    }
}

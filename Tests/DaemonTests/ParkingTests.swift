import Events
import TestSupport
import Testing

@testable import Gate

/// Who waits, in which order, and whom an instant or an account wakes: against a list that is sorted anew
/// for each question.
@Suite struct ParkingTests {
    private struct Waiting {
        var slot: UInt32
        var account: UInt32
        var team: UInt32
        var priority: UInt8
        var order: Int
        var deadline: Int64
        var rank: (UInt8, Int) { (priority, order) }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `first is the lowest priority number, then the oldest, of each account`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var parking = Parking()
        var list: [Waiting] = []
        for order in 0..<600 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let team = UInt32.random(in: 0..<3, using: &random)
                let new = Waiting(
                    slot: 0, account: .random(in: 0..<6, using: &random), team: team,
                    priority: .random(in: 1...10, using: &random), order: order,
                    deadline: .random(in: 1...1_000, using: &random))
                list.append(new)
                list[list.count - 1].slot = parking.park(
                    Parking.Ticket(
                        descriptor: Int32(order), account: new.account, team: team,
                        came: Extras.Came(at: Instant(nanoseconds: 0), priority: new.priority),
                        deadline: new.deadline), room: .max)
            case 5..<8:
                guard let i = list.indices.randomElement(using: &random) else { continue }
                parking.remove(list.remove(at: i).slot)
            default:
                guard let i = list.indices.randomElement(using: &random) else { continue }
                list[i].account = .random(in: 0..<6, using: &random)
                parking.move(list[i].slot, to: list[i].account, room: .max)
            }
            #expect(parking.count == list.count)
            for account in 0..<6 as Range<UInt32> {
                let first = list.filter { $0.account == account }.min { $0.rank < $1.rank }
                #expect(parking.first(of: account) == first?.slot, "seed \(seed), step \(order)")
            }
            for team in 0..<3 as Range<UInt32> {
                #expect(parking.waiting(of: team) == list.count { $0.team == team })
            }
            #expect(parking.nextAlarm == list.map(\.deadline).min() ?? .max)
            #expect(parking.inOrder == list.sorted { $0.rank < $1.rank }.map(\.slot))
        }
    }

    private func ticket(_ account: UInt32, priority: UInt8, deadline: Int64) -> Parking.Ticket {
        Parking.Ticket(
            descriptor: 0, account: account, team: 0,
            came: Extras.Came(at: Instant(nanoseconds: 0), priority: priority), deadline: deadline)
    }

    @Test func `of the woken accounts the best of all is asked first, each once`() {
        var parking = Parking()
        let late = parking.park(ticket(1, priority: 5, deadline: 90), room: .max)
        let first = parking.park(ticket(2, priority: 5, deadline: 90), room: .max)
        let urgent = parking.park(ticket(3, priority: 1, deadline: 90), room: .max)
        _ = parking.park(ticket(4, priority: 1, deadline: 90), room: .max)
        for account in [3, 2, 1, 3, 9] as [UInt32] { parking.wake(account) }
        // It was the first of account 1 when that was woken, and is not any more.
        let better = parking.park(ticket(1, priority: 2, deadline: 90), room: .max)
        #expect(parking.takeAwake() == urgent)
        #expect(parking.takeAwake() == better)
        #expect(parking.takeAwake() == first)
        #expect(parking.takeAwake() == nil)
        parking.remove(better)
        parking.wake(1)
        #expect(parking.takeAwake() == late)
        #expect(parking.takeAwake() == nil)
    }
    @Test func `an account that nobody waits for any more sleeps`() {
        var parking = Parking()
        let only = parking.park(ticket(1, priority: 5, deadline: 90), room: .max)
        parking.wake(1)
        parking.remove(only)
        #expect(parking.takeAwake() == nil)
        // Its place is another account's now.
        let other = parking.park(ticket(2, priority: 5, deadline: 90), room: .max)
        #expect(parking.takeAwake() == nil)
        parking.wake(2)
        #expect(parking.takeAwake() == other)
    }
    @Test func `the first looks when there is room, the others when their time is up`() {
        var parking = Parking()
        let second = parking.park(ticket(1, priority: 5, deadline: 900), room: 500)
        #expect(parking.nextAlarm == 500)
        let first = parking.park(ticket(1, priority: 1, deadline: 800), room: 400)
        #expect(parking.nextAlarm == 400)
        #expect(parking.due(at: Instant(nanoseconds: 399)) == nil)
        #expect(parking.due(at: Instant(nanoseconds: 400)) == first)
        parking.wakeByAlarm(first)
        #expect(parking.takeAwake() == first)
        // There was none after all, and not before its time is up.
        parking.move(first, to: 1, room: 2_000)
        #expect(parking.nextAlarm == 500)
        parking.wakeByAlarm(second)
        #expect(parking.nextAlarm == 800)
    }
    @Test func `whose time is cut short is due at that instant, and room does not put it off`() {
        var parking = Parking()
        let slot = parking.park(ticket(1, priority: 5, deadline: 900), room: 500)
        parking.expire(slot, at: Instant(nanoseconds: 100))
        #expect(parking.nextAlarm == 100)
        #expect(parking[slot].deadline == 100)
        parking.expire(slot, at: Instant(nanoseconds: 700))
        #expect(parking[slot].deadline == 100)
    }
    @Test func `somebody is behind those of its accounts that are to be asked before`() {
        var parking = Parking()
        _ = parking.park(ticket(7, priority: 4, deadline: 9), room: .max)
        #expect(parking.account(aheadOf: parking.rank(of: 4), among: (1, 2, 7)) == 7)
        #expect(parking.account(aheadOf: parking.rank(of: 3), among: (1, 2, 7)) == nil)
        #expect(parking.account(aheadOf: parking.rank(of: 10), among: (1, 2, 3)) == nil)
    }
}

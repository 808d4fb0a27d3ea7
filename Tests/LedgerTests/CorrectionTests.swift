import Events
import Ledger
import Testing

/// charge.corrected: what was charged wrongly counts rightly from then on, exactly where it counted.
@Suite struct `A correction` {
    /// 2026-11-22T10:00:00Z, a Sunday.
    private static let morning: Int64 = 1_795_341_600_000_000_000
    private static let second: Int64 = 1_000_000_000
    private static let day: Int64 = 86_400 * second
    private static let path = ["acme/ml/prod", "acme/ml", "acme"]

    /// A million tokens cost a dollar.
    private static func furnished(_ onLapse: String = "release") -> MachineDriver {
        let machine = MachineDriver()
        for line in [
            #"APPEND price.set {"model":"a/b","in":"1","out":"1"}"#,
            #"APPEND org.created {"account":"acme","on_lapse":"\#(onLapse)","limits":{"usd.minute":"1000"}}"#,
            #"APPEND team.created {"account":"acme/ml"}"#,
            #"APPEND key.created {"account":"acme/ml/prod"}"#,
        ] {
            #expect(machine.answer(line, at: morning).hasPrefix("{"))
        }
        return machine
    }
    private static func name(_ answer: String) -> String {
        let words = answer.split(separator: " ")
        return words.count > 1 ? String(words[1]) : answer
    }
    private static func settled(_ machine: MachineDriver, at time: Int64) -> String {
        let hold = name(machine.answer("RESERVE acme/ml/prod a/b in=5000000 out=0", at: time))
        #expect(machine.answer("SETTLE \(hold) in=4000000 out=0", at: time).hasPrefix("+SETTLED"))
        return hold
    }
    private static func correct(
        _ charge: String, to usd: String, id: String, _ more: String = ""
    ) -> String {
        #"APPEND charge.corrected {"account":"acme/ml/prod","charge":"\#(charge)","usd":"\#(usd)","id":"\#(id)"\#(more)}"#
    }
    private func expect(
        _ limits: [String: String], _ machine: MachineDriver, at time: Int64,
        _ place: SourceLocation = #_sourceLocation
    ) throws {
        for account in Self.path {
            let usage = try machine.usage(account, at: time)["limits"]
            for (limit, used) in limits where limit != "usd.minute" || account == "acme" {
                #expect(
                    usage?[limit]?["used"]?.string == used, "\(account) \(limit)",
                    sourceLocation: place)
            }
        }
        // The fold of the log says the same.
        var copy = Book()
        try fold(machine.log, into: &copy)
        #expect(copy.digest() == machine.digest(), sourceLocation: place)
    }

    @Test func `moves the difference on key, team and org`() throws {
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        try expect(
            ["usd.day": "4", "usd.total": "4", "usd.minute": "4"], machine, at: Self.morning)
        machine.answer(Self.correct(hold, to: "1.5", id: "k1"), at: Self.morning + Self.second)
        try expect(
            ["usd.day": "1.5", "usd.month": "1.5", "usd.total": "1.5", "usd.minute": "1.5"],
            machine,
            at: Self.morning + Self.second)
        machine.answer(Self.correct(hold, to: "6", id: "k2"), at: Self.morning + Self.second)
        try expect(
            ["usd.day": "6", "usd.total": "6", "usd.minute": "6"], machine,
            at: Self.morning + Self.second)
    }
    @Test func `counts in the windows in which the charge counted, as far as they are open`() throws
    {
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        let tomorrow = Self.morning + Self.day
        machine.answer("CHARGE acme/ml/prod a/b in=1000000 out=0 id=c1", at: tomorrow)
        try expect(["usd.day": "1", "usd.month": "5", "usd.total": "5"], machine, at: tomorrow)
        machine.answer(Self.correct(hold, to: "3", id: "k1"), at: tomorrow)
        // Its day is over, and its week was Sunday's; the month goes on.
        try expect(
            ["usd.day": "1", "usd.month": "4", "usd.total": "4", "usd.minute": "1"], machine,
            at: tomorrow)
        let december = Self.morning + 12 * Self.day
        machine.answer(Self.correct(hold, to: "0", id: "k2"), at: december)
        try expect(["usd.day": "0", "usd.month": "0", "usd.total": "1"], machine, at: december)
    }
    @Test func `gives room under a limit, and takes it`() {
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        let set =
            #"APPEND limits.set {"account":"acme/ml","limits":{"usd.day":"4.5","usd.month":"4.5"}}"#
        machine.answer(set, at: Self.morning)
        let check = "CHECK acme/ml/prod a/b in=1000000 out=0"
        #expect(machine.answer(check, at: Self.morning).hasPrefix("+DENY 402"))
        machine.answer(Self.correct(hold, to: "3.5", id: "k1"), at: Self.morning)
        #expect(machine.answer(check, at: Self.morning) == "+ALLOW - model=a/b usd=1")
        machine.answer(Self.correct(hold, to: "3.500000001", id: "k2"), at: Self.morning)
        #expect(machine.answer(check, at: Self.morning).hasPrefix("+DENY 402"))
    }
    @Test func `is made once an id, and repeats are answered as the first time`() throws {
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        let first = machine.answer(Self.correct(hold, to: "1", id: "k1"), at: Self.morning)
        let again = machine.answer(Self.correct(hold, to: "1", id: "k1"), at: Self.morning)
        #expect(first.hasPrefix("{") && again == first)
        #expect(
            machine.answer("SETTLE \(hold) in=4000000 out=0", at: Self.morning)
                == "+SETTLED \(hold) usd=4")
        #expect(machine.answer("RELEASE \(hold)", at: Self.morning) == "+SETTLED \(hold) usd=4")
        #expect(
            machine.answer(Self.correct(hold, to: "2", id: "k1"), at: Self.morning)
                .hasPrefix("-CONFLICT id \"k1\""))
        #expect(
            machine.answer(
                Self.correct(hold, to: "2", id: "k2", #","was":"4""#), at: Self.morning
            ).hasPrefix("-CONFLICT charge \(hold) counts 1, not 4"))
        try expect(["usd.total": "1"], machine, at: Self.morning)
    }
    @Test func `of a charge without a hold works the same`() throws {
        let machine = Self.furnished()
        let charge = Self.name(
            machine.answer("CHARGE acme/ml/prod a/b in=2000000 out=0 id=c1", at: Self.morning))
        machine.answer(Self.correct(charge, to: "0.25", id: "k1"), at: Self.morning)
        try expect(["usd.day": "0.25", "usd.minute": "0.25"], machine, at: Self.morning)
        #expect(
            machine.answer("CHARGE acme/ml/prod a/b in=2000000 out=0 id=c1", at: Self.morning)
                == "+CHARGED \(charge) usd=2")
        // Its name is no hold's, now as before.
        #expect(machine.answer("RELEASE \(charge)", at: Self.morning).hasPrefix("-GONE"))
    }
    @Test func `of a lapse gives way to a late settlement`() throws {
        let machine = Self.furnished("charge_hold")
        let hold = Self.name(
            machine.answer("RESERVE acme/ml/prod a/b in=5000000 out=0 ttl=60", at: Self.morning))
        let later = Self.morning + 120 * Self.second
        machine.answer("CHECK acme/ml/prod a/b in=1", at: later)
        try expect(["usd.total": "5"], machine, at: later)
        machine.answer(Self.correct(hold, to: "2", id: "k1"), at: later)
        try expect(["usd.total": "2"], machine, at: later)
        #expect(
            machine.answer("SETTLE \(hold) in=3000000 out=0", at: later)
                == "+SETTLED \(hold) usd=3 late=1")
        #expect(
            machine.answer("SETTLE \(hold) in=3000000 out=0", at: later)
                == "+SETTLED \(hold) usd=3 late=1")
        try expect(["usd.total": "3"], machine, at: later)
        machine.answer(Self.correct(hold, to: "1", id: "k2"), at: later)
        try expect(["usd.total": "1"], machine, at: later)
    }
    @Test func `of a hold that nobody placed waits until its minute is over`() throws {
        let machine = Self.furnished()
        let settle = "SETTLE 7-7 in=2000000 out=0 key=acme/ml/prod model=a/b"
        #expect(machine.answer(settle, at: Self.morning) == "+SETTLED 7-7 usd=2 late=1")
        let correct = Self.correct("7-7", to: "1", id: "k1")
        #expect(
            machine.answer(correct, at: Self.morning + 59 * Self.second)
                == "-ERR charge 7-7 is not a minute old; correct it from 2026-11-22T10:01:00Z on")
        #expect(machine.answer(correct, at: Self.morning + 60 * Self.second).hasPrefix("{"))
        try expect(["usd.total": "1"], machine, at: Self.morning + 60 * Self.second)
    }
    @Test func `goes on from a checkpoint`() throws {
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        let charge = Self.name(
            machine.answer("CHARGE acme/ml/prod a/b in=2000000 out=0 id=c1", at: Self.morning))
        machine.answer(Self.correct(hold, to: "1", id: "k1"), at: Self.morning)
        var bytes = ByteBuffer()
        machine.withBook { $0.encode(into: &bytes) }
        guard let book = Book(decoding: bytes.bytes) else {
            Issue.record("a book is read back")
            return
        }
        let other = MachineDriver(book: book)
        for line in [
            "SETTLE \(hold) in=4000000 out=0", Self.correct(hold, to: "1", id: "k1"),
            Self.correct(hold, to: "9", id: "k2", #","was":"4""#),
            Self.correct(charge, to: "1", id: "k3"), "USAGE acme",
        ] {
            #expect(machine.answer(line, at: Self.morning) == other.answer(line, at: Self.morning))
        }
        #expect(machine.digest() == other.digest())
    }
    /// More than a million ends later nothing but the log, and who read it, knows the charge.
    @Test func `of a charge that is forgotten takes the caller's word, within reason`() throws {
        guard TestScale.isLong else { return }
        let machine = Self.furnished()
        let hold = Self.settled(machine, at: Self.morning)
        let other = Self.settled(machine, at: Self.morning)
        machine.answer(Self.correct(other, to: "3", id: "k0"), at: Self.morning)
        for _ in 0..<(1 << 20) {
            let next = Self.name(machine.answer("RESERVE acme/ml/prod a/b in=1", at: Self.morning))
            machine.answer("RELEASE \(next)", at: Self.morning)
        }
        let later = Self.morning + 90 * Self.second
        func tried(_ charge: String, _ usd: String, _ more: String) -> String {
            machine.answer(Self.correct(charge, to: usd, id: "k1", more), at: later)
        }
        let placed = #","placed":"2026-11-22T10:00:00Z""#
        #expect(tried(hold, "1", "").hasPrefix("-ERR charge \(hold) is not remembered any more"))
        #expect(tried(hold, "1", placed + #","was":"40""#).hasPrefix("-ERR acme/ml/prod has not"))
        #expect(tried(other, "1", placed + #","was":"4""#).hasPrefix("-CONFLICT"))
        #expect(tried("1-99999999", "1", placed + #","was":"1""#).hasPrefix("-NOHOLD"))
        #expect(tried(hold, "1", placed + #","was":"4""#).hasPrefix("{"))
        try expect(["usd.day": "4", "usd.total": "4"], machine, at: later)

        // In a day that no event has opened yet nothing was charged, whoever says so.
        let next = Self.morning + Self.day
        func lied(_ usd: String, _ more: String) -> String {
            machine.answer(Self.correct(hold, to: usd, id: "k2", more), at: next + Self.day / 4)
        }
        #expect(
            lied("0", #","placed":"2026-11-23T10:00:00Z","was":"1""#).hasPrefix(
                "-ERR acme/ml/prod has not"))
        #expect(lied("0", placed + #","was":"1""#).hasPrefix("{"), "where it counted it is taken")
        try expect(["usd.day": "0", "usd.total": "3"], machine, at: next + Self.day / 4)
    }
}

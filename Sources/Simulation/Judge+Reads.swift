import Events
import Journal
import Ledger

// What readers are told: of the events that are on disk these, and all that they come to.

extension Judge {
    /// Each event in its exported form, word for word; of people an admin may be shown what a commitment was
    /// made of.
    func events(_ from: UInt64, _ limit: Int, _ text: String) throws {
        guard let events = try? JSON(text: text).array else {
            throw Violation(text: "EVENTS answers what is no array: \(text.prefix(200))")
        }
        try require(events.count, from, limit)
        for (i, event) in events.enumerated() { try require(event, is: from + UInt64(i)) }
    }
    /// What TAIL sends next.
    func followed(_ seq: UInt64, _ text: String) throws {
        guard seq <= min(mark.durable, checker.count) else {
            throw Violation(text: "\(ask.text) → event \(seq), and \(mark.durable) are durable")
        }
        try require(JSON(text: text), is: seq)
    }
    private func require(_ event: JSON, is seq: UInt64) throws {
        var told = event
        let expected = try checker.readSide.exported(seq)
        for field in PersonalField.allCases.map({ "\($0.name)" }) {
            guard let kept = expected[field]?.string,
                let commitment = kept.withBytes({ Commitment($0) }),
                let shown = event[field]?.string, shown != kept
            else { continue }
            guard let known = checker.persons.text(of: commitment), known.text == shown else {
                throw Violation(
                    text: "event \(seq) shows \(shown) for \(kept), which is another's")
            }
            try require(mayShow: known)
            told = told.setting(field, .string(kept))
        }
        guard told == expected else {
            throw Violation(
                text: "\(ask.text) tells \(event.compact) of event \(seq), which is "
                    + expected.compact)
        }
    }
    /// Each event as it is stored, behind its checksum.
    func log(_ from: UInt64, _ limit: Int, _ bytes: [UInt8]) throws {
        var seq = from
        try bytes.withUnsafeBytes { raw throws in
            let all = Bytes(raw)
            var at = 0
            while at < all.count {
                let left = all.slice(at, all.count)
                let length = left.count < 6 ? 0 : Int(left.base!.field(UInt16.self, 4))
                guard length >= EventHeader.byteCount, length + 4 <= left.count else {
                    throw Violation(text: "LOG from \(from) ends within event \(seq)")
                }
                let event = left.slice(4, 4 + length)
                guard DiskBytes.checksum(event) == left.base!.field(UInt32.self, 0),
                    seq <= checker.count,
                    checker.readSide.event(seq).elementsEqual(UnsafeRawBufferPointer(event))
                else { throw Violation(text: "LOG tells another event \(seq) than there is") }
                seq += 1
                at += 4 + length
            }
        }
        try require(Int(seq - from), from, limit)
    }
    /// As many as were asked for, or all that were there.
    private func require(_ count: Int, _ from: UInt64, _ limit: Int) throws {
        let there = ask.durable < from ? 0 : Int(clamping: ask.durable - from + 1)
        guard count <= limit, count >= min(limit, there) else {
            throw Violation(
                text: "\(ask.text) → \(count) events, and \(there) of them were durable before")
        }
        guard count == 0 || from + UInt64(count) - 1 <= min(mark.durable, checker.count) else {
            throw Violation(
                text: "\(ask.text) → \(count) events, of which not all are durable")
        }
    }

    /// What was erased before this was asked, and nobody has brought since, is told nobody.
    private func require(mayShow person: Person) throws {
        guard ask.gone.contains(person), checker.persons.gone.contains(person) else { return }
        throw Violation(text: "\(ask.text) → \(person.text), which was erased before")
    }
    /// A text belongs to its commitment for ever, and stands under it as long as it is kept.
    func personal(_ text: String) throws {
        guard let values = (try? JSON(text: text))?["values"]?.array else {
            throw wrong(.bulk(text))
        }
        for value in values {
            guard let commitment = value["commitment"]?.string?.withBytes({ Commitment($0) }),
                let known = checker.persons.text(of: commitment),
                value["text"]?.string == known.text,
                value["field"]?.string == "\(known.field.name)"
            else { throw Violation(text: "PERSONAL tells \(value.compact), which is another's") }
            try require(mayShow: known)
        }
    }

    /// By team, as of the event that it names.
    func rollups(_ text: String) throws {
        guard let json = try? JSON(text: text), let rows = json["rows"]?.array,
            let seq = json["as_of"]?.integer.map({ UInt64($0) }), json["next"]?.isNull == true
        else { throw wrong(.bulk(text)) }
        guard seq <= min(mark.durable, checker.count) else {
            throw Violation(
                text: "ROLLUPS is as of event \(seq), and \(mark.durable) are durable")
        }
        var expected: [String?: NaiveSums.Sum] = [:]
        for (path, sum) in try checker.readSide.sums(through: seq).byAccount {
            let team = path?.split(separator: "/").prefix(2).joined(separator: "/")
            expected[team, default: NaiveSums.Sum()].add(sum)
        }
        for row in rows {
            let sum = expected.removeValue(forKey: row["team"]?.string) ?? NaiveSums.Sum()
            guard row["requests"]?.integer == sum.requests,
                row["usd"]?.string.flatMap({ Oracle.scaled($0, 9) }) == sum.usd,
                row["refused"]?.integer ?? 0 == sum.refusals.values.reduce(0, +)
            else {
                throw Violation(
                    text: "ROLLUPS as of event \(seq) tells \(row.compact), added up \(sum)")
            }
        }
        if let (path, sum) = expected.first(where: {
            $0.value.requests != 0 || !$0.value.refusals.isEmpty
        }) {
            throw Violation(
                text: "ROLLUPS as of event \(seq) says nothing of \(path ?? "nobody"): \(sum)")
        }
    }
}

extension JSON {
    /// An object with another value of a member that it has.
    fileprivate func setting(_ name: String, _ value: JSON) -> JSON {
        guard case .object(let members) = self else { return self }
        return .object(members.map { $0.name == name ? Member(name, value) : $0 })
    }
}

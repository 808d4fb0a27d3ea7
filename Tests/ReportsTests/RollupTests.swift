import Events
import TestSupport
import Testing

@testable import Journal
@testable import Reports

extension History {
    /// The sums of what a question would be answered, by its labels.
    func expected(
        _ query: RollupQuery, _ labels: (Key) -> [String?]?
    ) -> [[String?]: RollupCounts] {
        var found: [[String?]: RollupCounts] = [:]
        for (key, counts) in hours {
            guard let labels = labels(key) else { continue }
            found[labels, default: RollupCounts()].add(counts)
        }
        return found
    }
}

/// A journal that keeps roll-ups, fed with a history.
final class RollupLedger {
    let scratch: Scratch
    private(set) var journal: Journal
    private let segment: UInt64

    init(segment: UInt64 = 64) throws {
        scratch = try Scratch()
        self.segment = segment
        journal = try RollupLedger.open(scratch, segment)
    }
    private static func open(
        _ scratch: Scratch, _ segment: UInt64, makesAnew: Bool = false
    ) throws -> Journal {
        var options = JournalOptions(directory: scratch.file("data"))
        options.ringBytes = 1 << 20
        options.mapBytes = 1 << 30
        options.pauseBelowBytes = 0
        options.projections = [Rollups(makesAnew: makesAnew, segmentEvents: segment)]
        return try Journal.open(options)
    }
    func reopen(makesAnew: Bool = false) throws {
        journal.shutdown()
        journal = try RollupLedger.open(scratch, segment, makesAnew: makesAnew)
    }
    func commit(_ events: ArraySlice<[UInt8]>) {
        for event in events { event.withUnsafeBytes { journal.stage(Bytes($0)) } }
        #expect(journal.commitOnce() == .committed)
    }
    func failNextCommit() { journal.log.environment.commitFaults = [.init(code: 5, lands: false)] }

    func page(_ query: RollupQuery) throws -> RollupAnswer {
        try journal.readProjection(.rollups) { (rows, last) throws(LMDBError) in
            var reader = RollupReader()
            return try reader.answer(query, rows, last: last)
        }.get()
    }
    /// All pages of an answer.
    func ask(_ query: RollupQuery) throws -> RollupAnswer {
        var query = query
        var all = RollupAnswer()
        repeat {
            let page = try page(query)
            all.groups += page.groups
            all.total.add(page.total)
            all.asOf = page.asOf
            all.spans += page.spans
            query.after = page.next
        } while query.after != nil
        return all
    }
    /// Every row of the table.
    func rows() throws -> [[UInt8]: [UInt8]] {
        try journal.readProjection(.rollups) { (rows, _) throws(LMDBError) in
            var found: [[UInt8]: [UInt8]] = [:]
            try rows.forEach { (key, value) throws(LMDBError) in
                found[Array(key)] = Array(value)
                return true
            }
            return found
        }
    }
}

@Suite struct `Roll-ups` {
    /// Commits of any size, failing ones among them, and restarts.
    private func ledger(_ history: History, seed: UInt64) throws -> RollupLedger {
        let ledger = try RollupLedger()
        var random = SeededGenerator(seed: seed)
        var at = 0
        while at < history.events.count {
            let next = min(at + Int.random(in: 1...150, using: &random), history.events.count)
            if Int.random(in: 0..<6, using: &random) == 0 { ledger.failNextCommit() }
            ledger.commit(history.events[at..<next])
            if Int.random(in: 0..<8, using: &random) == 0 { try ledger.reopen() }
            at = next
        }
        return ledger
    }
    private func compare(
        _ answer: RollupAnswer, _ expected: [[String?]: RollupCounts],
        _ location: SourceLocation = #_sourceLocation
    ) {
        var seen: Set<[String?]> = []
        for group in answer.groups {
            #expect(seen.insert(group.labels).inserted, sourceLocation: location)
            let differences = group.counts.differences(
                from: expected[group.labels] ?? RollupCounts())
            #expect(differences.isEmpty, "\(group.labels)", sourceLocation: location)
        }
        for (labels, counts) in expected where !seen.contains(labels) {
            #expect(counts.isZero, "\(labels) is missing", sourceLocation: location)
        }
    }
    private static let models: [UInt32: String] = [
        0: "openai/gpt-4.1", 1: "anthropic/claude", RollupFold.firstModelNumber: "own/unpriced",
    ]
    private func path(_ account: UInt32, _ depth: Int) -> String? {
        guard account != .max else { return nil }
        return History.paths[Int(account)].split(separator: "/").prefix(depth).joined(
            separator: "/")
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func `say what a dictionary of every hour says`(seed: UInt64) throws {
        let history = History(seed: seed, events: 3_000)
        let ledger = try ledger(history, seed: seed)
        var query = RollupQuery()
        query.by = [.hour, .key, .model, .tier]
        compare(
            try ledger.ask(query),
            history.expected(query) { key in
                [
                    Instant(nanoseconds: key.hour).description, path(key.account, 3),
                    Self.models[key.model], "\((ServiceTier(rawValue: key.tier)!).name)",
                ]
            })
        query.by = [.team, .provider]
        let byTeam = try ledger.ask(query)
        compare(
            byTeam,
            history.expected(query) { key in
                [
                    path(key.account, 2),
                    Self.models[key.model].map { String($0.prefix { $0 != "/" }) },
                ]
            })
        query.by = [.key]
        let byKey = try ledger.ask(query)
        compare(byKey, history.expected(query) { [path($0.account, 3)] })
        query.by = []
        let all = try ledger.ask(query)
        #expect(all.groups.count == 1)
        #expect(all.groups[0].counts == all.total)
        #expect(all.total.differences(from: byKey.total).isEmpty)
        #expect(all.total.differences(from: byTeam.total).isEmpty)
        query.account = AccountNumber(1)
        query.by = [.key]
        compare(
            try ledger.ask(query),
            history.expected(query) { [2, 3].contains($0.account) ? [path($0.account, 3)] : nil })
        #expect(all.asOf == UInt64(history.events.count))
    }

    @Test(arguments: 0..<3 as Range<UInt64>)
    func `count tags by the org's own day, and what said nothing`(seed: UInt64) throws {
        let history = History(seed: seed, events: 2_000)
        let ledger = try ledger(history, seed: seed)
        var query = RollupQuery()
        for tag in TagKind.allCases {
            let dimension = RollupQuery.Dimension.allCases.first { $0.tag == tag }!
            query.by = [.day, .team, dimension]
            var expected: [[String?]: RollupCounts] = [:]
            for (row, counts) in history.tags where row.tag == tag {
                let day = Instant(nanoseconds: row.day).description
                expected[[day, path(row.team, 2), row.text], default: RollupCounts()].add(counts)
            }
            let answer = try ledger.ask(query)
            compare(
                RollupAnswer(groups: answer.groups.filter { $0.labels[2] != nil }), expected)
            // With those that said nothing it is all there is.
            var sum = RollupCounts()
            for group in answer.groups { sum.add(group.counts) }
            let all = history.hours.values.reduce(into: RollupCounts()) { $0.add($1) }
            #expect(sum.differences(from: all).isEmpty)
        }
    }

    /// How a page ends does not change what all pages come to, whatever part of it is written.
    @Test(
        arguments: [
            [.user], [.day, .team, .user], [.org, .project], [.day, .env], [.team, .model],
            [.key, .model, .tier], [.hour, .key], [.day, .key, .model, .tier], [.day], [.tier],
        ] as [[RollupQuery.Dimension]], [1, 3, 40])
    func `come to the same in pages of any size`(by: [RollupQuery.Dimension], size: Int) throws {
        let history = History(seed: 11, events: 2_500)
        // A third of it stands in no row yet.
        let ledger = try RollupLedger(segment: 1_700)
        ledger.commit(history.events[...])
        var query = RollupQuery()
        query.by = by
        func groups(_ size: Int) throws -> (RollupGroups, pages: Int) {
            var groups = RollupGroups(by: by)
            query.groupsPerPage = size
            query.after = nil
            var pages = 0
            repeat {
                let page = try ledger.page(query)
                pages += 1
                groups.add(page, asked: by, day: { _ in "" })
                query.after = page.next
            } while query.after != nil
            return (groups, pages)
        }
        let (whole, few) = try groups(.max)
        let (paged, many) = try groups(size)
        #expect(many > few || size > 1 || by == [.tier])
        #expect(paged.disagreement == nil && whole.disagreement == nil)
        #expect(paged.disagreement(with: whole) == nil)
        let labels = Set(whole.rows.keys).union(paged.rows.keys)
        for label in labels {
            let (a, b) = (whole.rows[label] ?? RollupCounts(), paged.rows[label] ?? RollupCounts())
            #expect(a.differences(from: b).isEmpty, "\(label)")
        }
        #expect(paged.spans.count == whole.spans.count)
    }
    @Test func `of a zone's days are of the hours that begin on them`() throws {
        let history = History(seed: 12, events: 1_500)
        let ledger = try RollupLedger()
        ledger.commit(history.events[...])
        var query = RollupQuery()
        (query.by, query.zone) = ([.day, .key], "Pacific/Marquesas")
        @Sendable func date(_ second: Int64) -> CivilDay {
            CivilDay(daysSince1970: (second - 34_200) / 86_400)
        }
        query.dates = OrgDates(
            date: { date($0 == "Pacific/Marquesas" ? $1.second : 0) },
            start: { _, _ in .distantFuture })
        let answer = try ledger.ask(query)
        compare(
            answer,
            history.expected(query) { key in
                [date(key.hour / 1_000_000_000).text, path(key.account, 3)]
            })
        // What is not asked for is left out, and nothing else.
        query.parts = [.reasons]
        let part = try ledger.ask(query)
        for (all, some) in zip(answer.groups, part.groups) {
            #expect(all.labels == some.labels)
            #expect(all.counts.only(.reasons) == some.counts)
            #expect(RollupField.allCases.allSatisfy { all.counts[$0] == some.counts[$0] })
        }
        #expect(part.groups.contains { !$0.counts.tagged.isEmpty })
    }

    @Test func `of dates are of each org's own days, and of the hours of these`() throws {
        let history = History(seed: 4, events: 3_000)
        let ledger = try ledger(history, seed: 4)
        func offset(_ zone: String) -> Int64 { zone == "Asia/Kolkata" ? 19_800 : 0 }
        var query = RollupQuery()
        query.by = [.day, .org, .user]
        query.dates = OrgDates(
            date: { zone, at in
                CivilDay(
                    daysSince1970: (at.second + (zone == "Asia/Kolkata" ? 19_800 : 0)) / 86_400)
            },
            start: { zone, day in
                Instant(
                    seconds: day.daysSince1970 * 86_400 - (zone == "Asia/Kolkata" ? 19_800 : 0))
            })
        let days = Set(history.hours.keys.map { $0.hour / 86_400_000_000_000 }).sorted()
        #expect(days.count > 1)
        for day in days {
            query.from = Instant(seconds: day * 86_400)
            query.to = Instant(seconds: (day + 1) * 86_400)
            let answer = try ledger.ask(query)
            let date = CivilDay(daysSince1970: day).text
            #expect(answer.groups.allSatisfy { $0.date == date })
            var expected: [String: RollupCounts] = [:]
            var all = RollupCounts()
            for (row, counts) in history.tags where row.tag == .user {
                let zone = row.team == 5 ? "Asia/Kolkata" : "UTC"
                guard (row.day / 1_000_000_000 + offset(zone)) / 86_400 == day else { continue }
                expected["\(path(row.team, 1)!) \(row.text)", default: RollupCounts()].add(counts)
            }
            for (key, counts) in history.hours {
                let zone = key.account == 6 ? "Asia/Kolkata" : "UTC"
                if (key.hour / 1_000_000_000 + offset(zone)) / 86_400 == day { all.add(counts) }
            }
            for group in answer.groups {
                guard let user = group.labels[2] else { continue }
                let found = expected.removeValue(forKey: "\(group.labels[1]!) \(user)")
                #expect(group.counts.differences(from: found ?? RollupCounts()).isEmpty)
            }
            #expect(expected.values.allSatisfy { $0.isZero })
            #expect(answer.total.differences(from: all).isEmpty)
            #expect(answer.spans.allSatisfy { $0.isExact })
            for span in answer.spans {
                #expect(span.from == query.from.later(bySeconds: -offset(span.zone)))
                #expect(span.to == query.to.later(bySeconds: -offset(span.zone)))
            }
        }
        query.to = query.to.later(bySeconds: 3_600)
        let failure = #expect(throws: Failure.self) { try ledger.ask(query) }
        #expect(failure?.text.contains("whole days of each org's own calendar") == true)
    }

    @Test func `are the same rows however the log was cut, and made anew from it`() throws {
        let history = History(seed: 9, events: 3_000)
        let first = try ledger(history, seed: 1).rows()
        let second = try ledger(history, seed: 2).rows()
        #expect(first == second)

        let memory = MemoryRollups { seq, copy in
            guard seq >= 1, seq <= UInt64(history.events.count) else { return false }
            history.events[Int(seq) - 1].withUnsafeBytes { copy.append(Bytes($0)) }
            return true
        }
        var fold = RollupFold(isReader: true, segmentEvents: 64)
        for (i, event) in history.events.enumerated() {
            let frame = [0, 0, 0, 0] + event
            try frame.withUnsafeBytes {
                try fold.fold(
                    EventPage(firstSeq: UInt64(i + 1), count: 1, frames: Bytes($0)), memory,
                    writes: true)
            }
        }
        #expect(memory.rows == first)
    }

    @Test func `of a time hold the hours that begin in it`() throws {
        let history = History(seed: 4, events: 2_000)
        let ledger = try ledger(history, seed: 4)
        let hours = history.hours.keys.map(\.hour).sorted()
        let (from, to) = (hours[hours.count / 3], hours[hours.count / 2])
        var query = RollupQuery()
        query.from = Instant(nanoseconds: from)
        query.to = Instant(nanoseconds: to)
        query.by = [.org]
        compare(
            try ledger.ask(query),
            history.expected(query) {
                $0.hour >= from && $0.hour < to ? [path($0.account, 1)] : nil
            })
    }

    @Test func `with a bit flipped are refused, and made anew at the next start`() throws {
        let history = History(seed: 5, events: 1_000)
        let ledger = try ledger(history, seed: 5)
        let before = try ledger.rows()
        let key = before.keys.filter { $0[0] == RollupRowKind.hour.rawValue }.sorted {
            $0.lexicographicallyPrecedes($1)
        }[0]
        var damaged = before[key]!
        damaged[damaged.count - 1] ^= 4
        try ledger.journal.log.environment.write { (txn) throws(LMDBError) in
            var name = ByteBuffer()
            var value = ByteBuffer()
            key.withUnsafeBytes { name.append(Bytes($0)) }
            damaged.withUnsafeBytes { value.append(Bytes($0)) }
            try txn.rows(of: .rollups).put(name.bytes, value.bytes)
        }
        let failure = #expect(throws: Failure.self) { try ledger.ask(RollupQuery()) }
        #expect(failure?.text.hasPrefix("of the roll-ups a row is damaged (hour 2026-") == true)
        try ledger.reopen(makesAnew: true)
        #expect(try ledger.rows() == before)
    }

    @Test(arguments: [true, false])
    func `that do not say which events they hold are not folded upon`(isThere: Bool) throws {
        let ledger = try RollupLedger()
        ledger.commit(History(seed: 5, events: 1_000).events[...])
        let key: [UInt8] = [RollupRowKind.meta.rawValue]
        var meta = try #require(try ledger.rows()[key])
        meta[6] ^= 1
        try ledger.journal.log.environment.write { (txn) throws(LMDBError) in
            var name = ByteBuffer()
            var value = ByteBuffer()
            key.withUnsafeBytes { name.append(Bytes($0)) }
            meta.withUnsafeBytes { value.append(Bytes($0)) }
            let rows = txn.rows(of: .rollups)
            if isThere {
                try rows.put(name.bytes, value.bytes)
            } else {
                try rows.remove(name.bytes)
            }
        }
        let failure = #expect(throws: Failure.self) { try ledger.ask(RollupQuery()) }
        #expect(failure?.text.contains("'tollgate serve --reindex' makes them anew") == true)
        let verdict = try ledger.journal.readProjection(.rollups) { rows, _ throws(LMDBError) in
            try RollupComparison(events: { _, _ in false }).compare(rows)
        }
        guard case .damaged = verdict else { throw Failure(.error, "\(verdict)") }
    }
    @Test func `are answered by every two dimensions that go together`() throws {
        let ledger = try RollupLedger()
        ledger.commit(History(seed: 6, events: 1_000).events[...])
        let all = try ledger.ask(RollupQuery()).total
        var asked = 0
        for a in RollupQuery.Dimension.allCases {
            for b in RollupQuery.Dimension.allCases where a != b {
                var query = RollupQuery()
                guard let by = try? RollupQuery.dimensions("\(a.name),\(b.name)") else { continue }
                query.by = by
                let answer = try ledger.ask(query)
                #expect(answer.total.differences(from: all).isEmpty, "\(a), \(b)")
                asked += 1
                guard by == [.model, .provider] else { continue }
                for labels in answer.groups.map(\.labels) {
                    #expect(labels[0].map { String($0.prefix { $0 != "/" }) } == labels[1])
                }
            }
        }
        #expect(asked > 50)
    }
    @Test(
        arguments: [
            ("0", .number(0)), ("4294967295", .number(.max)), ("r3-29", .runFrom(3, 29)),
            ("d29", .dayRows(29)), ("t00ff", .tagRows([0, 255])), ("t", .tagRows([])),
            ("", nil), ("-1", nil), ("4294967296", nil), ("r3", nil), ("r3-", nil), ("d", nil),
            ("d1-2", nil), ("t0", nil), ("tzz", nil), ("x1", nil),
            ("t" + String(repeating: "00", count: 265), nil),
        ] as [(String, RollupCursor?)])
    func `go on only where a page can have ended`(text: String, cursor: RollupCursor?) {
        #expect(RollupCursor(text) == cursor)
        if let cursor { #expect("\(cursor)" == text) }
    }
    @Test(
        arguments: [
            ([.key], "1048576", nil, "after=1048576 is no answer's next"),
            ([.key], "d7", nil, "after=d7 is no answer's next"),
            ([.team], "r1-7", nil, "after=r1-7 is no answer's next"),
            ([.user], "7", nil, "after=7 is no answer's next"),
            ([.user], nil, 2, "user is counted by team, not by key"),
        ] as [([RollupQuery.Dimension], String?, UInt32?, String)])
    func `refuse what they do not count`(
        by: [RollupQuery.Dimension], after: String?, account: UInt32?, why: String
    ) throws {
        let ledger = try RollupLedger()
        ledger.commit(History(seed: 6, events: 100).events[...])
        var query = RollupQuery()
        query.by = by
        query.after = after.flatMap { RollupCursor($0) }
        query.account = account.map(AccountNumber.init)
        let failure = #expect(throws: Failure.self) { try ledger.ask(query) }
        #expect(failure?.text.contains(why) == true, "\(failure?.text ?? "")")
    }

    @Test(
        arguments: [
            ("team,model", nil), ("user,day", nil), ("", nil),
            ("day", "by=day, without user, project or env, needs zone="),
            ("colour", "by= knows no 'colour'"), ("team,team", "by= names team twice"),
            ("user,project", "one of user, project and env at a time"),
            ("user,model", "user is counted by day, org and team, not by model"),
        ] as [(String, String?)])
    func `are asked for by what they are counted by`(text: String, refusal: String?) {
        do throws(Failure) {
            _ = try RollupQuery.dimensions(text)
            #expect(refusal == nil)
        } catch {
            #expect(refusal.map { error.text.contains($0) } == true, "\(error.text)")
        }
    }
}

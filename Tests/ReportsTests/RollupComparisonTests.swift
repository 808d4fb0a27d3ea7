import Events
import TestSupport
import Testing

@testable import Journal
@testable import Reports

/// Stored rows against those that the log comes to.
@Suite struct `A comparison with the log` {
    private let history = History(seed: 11, events: 2_000)

    private func comparison(through last: Int) throws -> RollupComparison {
        let events = history.events
        var comparison = RollupComparison(segmentEvents: 64) { seq, copy in
            guard seq >= 1, seq <= UInt64(events.count) else { return false }
            events[Int(seq) - 1].withUnsafeBytes { copy.append(Bytes($0)) }
            return true
        }
        for (i, event) in events.prefix(last).enumerated() {
            let frame = [0, 0, 0, 0] + event
            try frame.withUnsafeBytes {
                try comparison.fold(
                    EventPage(firstSeq: UInt64(i + 1), count: 1, frames: Bytes($0)))
            }
        }
        return comparison
    }
    private func ledger() throws -> RollupLedger {
        let ledger = try RollupLedger()
        ledger.commit(history.events[...])
        return ledger
    }
    private func verdict(
        _ ledger: RollupLedger, through last: Int = 1_984
    ) throws -> RollupComparison.Verdict {
        let comparison = try comparison(through: last)
        return try ledger.journal.readProjection(.rollups) { (rows, _) throws(LMDBError) in
            try comparison.compare(rows)
        }
    }
    private func difference(_ ledger: RollupLedger) throws -> RollupComparison.Difference? {
        guard case .differs(let difference) = try verdict(ledger) else { return nil }
        return difference
    }
    /// Changes a row as somebody would who knows how they are sealed.
    private func change(
        _ ledger: RollupLedger, _ key: [UInt8], _ body: (inout RollupCounts) -> Void
    ) throws {
        let stored = try #require(try ledger.rows()[key])
        var counts = RollupCounts()
        let isWhole = stored.withUnsafeBytes { counts.add(stored: Bytes($0).slice(4, $0.count)) }
        #expect(isWhole)
        body(&counts)
        var value = ByteBuffer()
        RollupSeal.begin(&value)
        counts.encode(into: &value)
        key.withUnsafeBytes { RollupSeal.end(&value, key: Bytes($0)) }
        try put(ledger, key, Array(value.bytes))
    }
    private func put(_ ledger: RollupLedger, _ key: [UInt8], _ row: [UInt8]?) throws {
        try ledger.journal.log.environment.write { (txn) throws(LMDBError) in
            var name = ByteBuffer()
            var value = ByteBuffer()
            key.withUnsafeBytes { name.append(Bytes($0)) }
            row?.withUnsafeBytes { value.append(Bytes($0)) }
            if row == nil {
                try txn.rows(of: .rollups).remove(name.bytes)
            } else {
                try txn.rows(of: .rollups).put(name.bytes, value.bytes)
            }
        }
    }
    private func keys(_ ledger: RollupLedger, _ kind: RollupRowKind) throws -> [[UInt8]] {
        try ledger.rows().keys.filter { $0[0] == kind.rawValue }
            .sorted { $0.lexicographicallyPrecedes($1) }
    }

    @Test func `finds the same rows, and says up to which event they are`() throws {
        let ledger = try ledger()
        guard case .same(let counts) = try verdict(ledger) else {
            Issue.record("\(try verdict(ledger))")
            return
        }
        let rows = try ledger.rows()
        #expect(counts.rows + counts.totals + counts.others == rows.count)
        #expect(try keys(ledger, .total).count == counts.totals && counts.totals > 0)
        guard case .areOf(let seq) = try verdict(ledger, through: 64) else {
            Issue.record("rows of other events were compared")
            return
        }
        #expect(seq == 1_984)
    }
    @Test func `finds a changed row, and shows both sides of it`() throws {
        let ledger = try ledger()
        let key = try keys(ledger, .hour)[3]
        try change(ledger, key) { $0[.usd] += 1 }
        let found = try #require(try difference(ledger))
        #expect(found.row.hasPrefix("hour 2026-11-") && found.row.contains("account "))
        #expect(found.stored.hasPrefix("usd ") && found.derived.hasPrefix("usd "))
        #expect(found.stored != found.derived)
    }
    @Test func `finds a changed total`() throws {
        let ledger = try ledger()
        try change(ledger, try keys(ledger, .total)[0]) { $0[.refused] += 2 }
        let found = try #require(try difference(ledger))
        #expect(found.row.hasPrefix("total of hour "), "\(found)")
        #expect(found.stored.hasPrefix("refused "), "\(found)")
    }
    @Test func `finds a row that is gone, and one that nothing comes to`() throws {
        let ledger = try ledger()
        let key = try keys(ledger, .tag)[0]
        let row = try ledger.rows()[key]!
        try put(ledger, key, nil)
        let gone = try #require(try difference(ledger))
        #expect(gone.stored == "no such row" && gone.row.contains("team account"), "\(gone)")
        try put(ledger, key, row)
        #expect(try difference(ledger) == nil)
        try put(ledger, key + Array("x".utf8), row)
        let extra = try #require(try difference(ledger))
        #expect(extra.derived == "no such row", "\(extra)")
        #expect(extra.stored == "a row whose checksum is wrong", "\(extra)")
    }
    @Test func `finds a flipped bit`() throws {
        let ledger = try ledger()
        let key = try keys(ledger, .hour)[0]
        var row = try ledger.rows()[key]!
        row[row.count - 1] ^= 1
        try put(ledger, key, row)
        #expect(try difference(ledger)?.stored == "a row whose checksum is wrong")
    }
}

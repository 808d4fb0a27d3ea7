import Audit
import Events
import Journal
import Ledger
import Reports

/// What the read side must say of a log, found once more from the log's events: the tree by RFC 6962's own
/// recursion, the roll-ups by a fold from nothing that never stopped and by plain sums, every answer by
/// deciding it again.
package final class ReadSide {
    private(set) var tree = NaiveTree()
    private var sums = NaiveSums()
    private var replay: Replay
    private let calendar: ZoneCalendar
    /// The events, each behind a gap as in the log's pages, and where each ends.
    private var frames: [UInt8] = []
    private var ends: [Int] = []

    /// The roll-ups made from nothing; behind the events, which not all may be there to stay.
    private var rollups: MemoryRollups!
    private var fold: RollupFold
    private var reader = RollupReader()

    /// - Parameter segmentEvents: as the roll-ups that are compared have it.
    package init(
        calendar: ZoneCalendar, segmentEvents: UInt64 = RollupBounds.segmentEvents
    ) {
        self.calendar = calendar
        replay = Replay(calendar: calendar)
        fold = RollupFold(isReader: true, segmentEvents: segmentEvents)
        rollups = emptyRollups()
    }

    /// The largest checkpoint that somebody was told: for ever the log begins with what it is of.
    private(set) var published = 0
    private var publishedRoot: [UInt8] = []

    package var count: Int { ends.count }
    /// Of the book that the replay has made.
    package var digest: Hash128 { replay.digest() }

    // MARK: What readers are told

    /// - Parameter seq: of an event that there is.
    func event(_ seq: UInt64) -> [UInt8] {
        Array(frames[start(Int(seq) - 1) + EventPage.gap..<ends[Int(seq) - 1]])
    }
    func exported(_ seq: UInt64) throws -> JSON {
        var text = ByteBuffer(capacity: 1_024)
        try event(seq).withUnsafeBytes { raw throws in
            try replay.withBook { (book) throws(EventError) in
                try text.append(exported: StoredEvent(Bytes(raw)), names: book)
            }
        }
        return try JSON(parsing: text.bytes)
    }
    /// As they were when that was the last event.
    func sums(through seq: UInt64) throws -> NaiveSums {
        var sums = NaiveSums()
        for i in 0..<Int(seq) {
            try frames[start(i) + EventPage.gap..<ends[i]].withUnsafeBytes {
                try sums.add(Bytes($0))
            }
        }
        return sums
    }

    // MARK: The log

    /// Takes the log's next event, whose answer must be the one that is derived from those before it.
    package func append(_ event: Bytes) throws {
        let start = frames.count
        frames.append(contentsOf: repeatElement(0, count: EventPage.gap))
        frames.append(contentsOf: UnsafeRawBufferPointer(event))
        ends.append(frames.count)
        try take(start..<frames.count)
    }
    /// Forgets the events behind `kept` of them.
    func truncate(to kept: Int) throws {
        guard kept >= published else {
            throw Violation(
                text: "\(published) events were signed for, and \(kept) of them are left")
        }
        frames.removeLast(frames.count - start(kept))
        ends.removeLast(ends.count - kept)
        if fold.seq > kept {
            fold.resume(at: 0)
            rollups = emptyRollups()
        }
        tree = NaiveTree()
        sums = NaiveSums()
        replay = Replay(calendar: calendar)
        for i in 0..<kept { try take(start(i)..<ends[i]) }
    }
    private func take(_ frame: Range<Int>) throws {
        try frames.withUnsafeBytes { raw in
            let run = Bytes(raw.baseAddress! + frame.lowerBound, count: frame.count)
            let event = run.slice(EventPage.gap, run.count)
            tree.append(event)
            try sums.add(event)
            var found: Difference?
            do throws(EventError) {
                _ = try replay.compare(run, gap: EventPage.gap) {
                    found = $0
                    return false
                }
            } catch {
                throw Violation(
                    text: "event \(replay.seq + 1) does not fold: \(error.explanation)")
            }
            if let found { throw Violation(text: "decided again: \(found.text)") }
        }
    }
    private func start(_ i: Int) -> Int { i == 0 ? 0 : ends[i - 1] }
    private func emptyRollups() -> MemoryRollups {
        MemoryRollups { [unowned self] seq, copy in
            guard seq >= 1, seq <= ends.count else { return false }
            let frame = start(Int(seq) - 1) + EventPage.gap..<ends[Int(seq) - 1]
            frames[frame].withUnsafeBytes { copy.append(Bytes($0)) }
            return true
        }
    }

    // MARK: What was signed

    /// Somebody is told of a checkpoint. Returns its size.
    @discardableResult
    package func publish(_ note: String) throws -> Int {
        let head = try TreeHead(parsing: SignedNote(parsing: note).text)
        guard head.size <= count, head.root.bytes == tree.root(of: Int(head.size)) else {
            throw Violation(
                text: "a checkpoint of \(head.size) events with the root \(head.root.hex), "
                    + "which the log of \(count) does not have")
        }
        if head.size >= published {
            (published, publishedRoot) = (Int(head.size), head.root.bytes)
        }
        return Int(head.size)
    }
    /// A notary that has taken up a directory binds itself to all that was published of it.
    package func compare(with status: Notary.Status) throws {
        guard published > 0 else { return }
        guard tree.root(of: published) == publishedRoot else {
            throw Violation(text: "the log contradicts its checkpoint of \(published) events")
        }
        guard status.problem == nil, status.signedSize >= published else {
            throw Violation(
                text: "\(published) events were signed for, and the notary knows of "
                    + "\(status.signedSize): \(status.problem ?? "")")
        }
    }

    // MARK: What a journal keeps beside it

    /// Compares the projections of a journal, which has these events and no others.
    package func compare(with journal: Journal) throws {
        try compareTree(journal)
        try compareRollups(journal)
        try compareSums(journal)
    }

    private func rows(
        _ table: ProjectionTable, _ journal: Journal
    ) throws -> [[UInt8]: [UInt8]] {
        try journal.readProjection(table) { rows, last throws(LMDBError) in
            var found: [[UInt8]: [UInt8]] = [:]
            try rows.forEach { key, value throws(LMDBError) in
                found[Array(UnsafeRawBufferPointer(key))] = Array(UnsafeRawBufferPointer(value))
                return true
            }
            return found
        }
    }

    /// The edge stands for all events, and every full tile has its row, and nothing else has one.
    func compareTree(_ journal: Journal) throws {
        let (edge, end) = try journal.readProjection(.tree) { rows, last throws(LMDBError) in
            (try MerkleTree.edge(rows), last)
        }
        guard edge.size == end, end == count else {
            throw Violation(text: "the tree has \(edge.size) events, the log \(end) of \(count)")
        }
        guard edge.root.bytes == tree.root(of: count) else {
            throw Violation(text: "the tree of \(count) events has the root \(edge.root.hex)")
        }
        var rows = try rows(.tree, journal)
        rows[[0]] = nil
        for level in 1..<8 {
            for index in 0..<count >> (8 * level) {
                let key = [UInt8(level)] + withUnsafeBytes(of: UInt64(index).bigEndian, Array.init)
                guard rows.removeValue(forKey: key) == tree.subtree(level: 8 * level, index: index)
                else {
                    throw Violation(text: "tile \(index) of level \(level) of the tree is wrong")
                }
            }
        }
        guard rows.isEmpty else {
            throw Violation(text: "the tree has rows of no tile: \(rows.keys)")
        }
    }

    private func compareRollups(_ journal: Journal) throws {
        let first = start(Int(fold.seq))
        try frames.withUnsafeBytes { raw throws in
            let rest = Bytes(raw.baseAddress! + first, count: raw.count - first)
            try fold.fold(
                EventPage(firstSeq: fold.seq + 1, count: count - Int(fold.seq), frames: rest),
                rollups, writes: true)
        }
        let kept = try rows(.rollups, journal)
        guard kept != rollups.rows else { return }
        let keys = Set(kept.keys).union(rollups.rows.keys).sorted {
            $0.lexicographicallyPrecedes($1)
        }
        let key = keys.first { kept[$0] != rollups.rows[$0] }!
        throw Violation(
            text:
                "roll-ups of \(count) events: row \(key) is \(kept[key].map { "\($0)" } ?? "missing"), "
                + "made anew \(rollups.rows[key].map { "\($0)" } ?? "none")")
    }

    private func compareSums(_ journal: Journal) throws {
        var expected = sums.byAccount
        for group in try groups(by: [.key], journal) {
            let counts = group.counts
            let sum = expected.removeValue(forKey: group.labels[0]) ?? NaiveSums.Sum()
            let refused = sum.refusals.values.reduce(0, +)
            guard counts.requests == sum.requests, counts[.usd] == sum.usd,
                counts[.refused] == refused,
                Refusal.allCases.allSatisfy({ counts[RollupTag($0)] == sum.refusals[$0] ?? 0 })
            else {
                throw Violation(
                    text:
                        "roll-ups of \(group.labels[0] ?? "nobody"): \(counts.requests) requests, "
                        + "\(counts[.usd]) nano-dollars, \(counts[.refused]) refused; added up \(sum)"
                )
            }
        }
        for (path, sum) in expected where sum.requests != 0 || !sum.refusals.isEmpty {
            throw Violation(text: "roll-ups say nothing of \(path ?? "nobody"): added up \(sum)")
        }
    }
    /// What the roll-ups answer, page by page.
    func groups(
        by dimensions: [RollupQuery.Dimension], _ journal: Journal
    ) throws -> [RollupAnswer.Group] {
        var query = RollupQuery()
        query.by = dimensions
        var groups: [RollupAnswer.Group] = []
        repeat {
            let page = try journal.readProjection(.rollups) { rows, last throws(LMDBError) in
                try reader.answer(query, rows, last: last)
            }
            switch page {
            case .success(let page):
                groups += page.groups
                query.after = page.next
            case .failure(let failure):
                throw Violation(text: "the roll-ups answer nothing: \(failure.text)")
            }
        } while query.after != nil
        return groups
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: Bytes) { self.init(start: bytes.base, count: bytes.count) }
}

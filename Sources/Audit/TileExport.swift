import Events
import Journal
import Ledger

/// Writes a log as static files that anybody can host and check: c2sp.org/tlog-tiles, and `summary.jsonl`, what
/// the ledger's own rules make of the same events.
///
/// What an earlier export, or one that was ended in the middle, has left is read, checked and kept, so a later
/// one costs the daemon only the events that are new. The checkpoint is written last: what it is of is there.
package struct TileExport: ~Copyable {
    package struct Outcome: Sendable {
        package var files = 0
        /// Full bundles that were there, and how many of those were not what they should be.
        package var kept: UInt64 = 0
        package var mended: UInt64 = 0
        /// Of the checkpoint that was there before.
        package var before: UInt64 = 0
    }
    private var files: TileFiles
    private let log: any LogSource
    private let checkpoint: SignedNote
    private let head: TreeHead
    private var outcome = Outcome()

    private var book = Book()
    /// Of each level, the hashes of the tile at the right edge.
    private var levels: [[TreeHash]] = [[]]
    private var bundle = ByteBuffer(capacity: 64 << 10)
    private var bytes = ByteBuffer(capacity: 16 << 10)
    private var batch = LogBatch()
    /// What of the batch comes next.
    private var events: (next: UInt64, rest: EventPage.Events)?

    private static let checkpointName = "checkpoint"
    private static let summaryName = "summary.jsonl"

    /// - Parameters:
    ///   - directory: new, empty, or an earlier export of the same log.
    ///   - checkpoint: under which it is exported; its signature is right.
    package init(
        to directory: String, of log: any LogSource, checkpoint: SignedNote
    ) throws(AuditFailure) {
        let head = try TreeHead(parsing: checkpoint.text)
        files = try TileFiles(directory)
        self.log = log
        self.checkpoint = checkpoint
        self.head = head
    }

    /// - Parameter watch: hears how many of how many events are done, and says whether to go on.
    /// - Returns: nil when `watch` has ended it; what is there by then is used by the next.
    package mutating func run(
        _ watch: (_ done: UInt64, _ of: UInt64) -> Bool
    ) throws(AuditFailure) -> Outcome? {
        let old = try earlier()
        outcome.before = old?.size ?? 0
        let width = TreeTile.width
        for index in 0..<(head.size + width - 1) / width {
            let count = Int(min(width, head.size - index * width))
            let leaves = try leaves(index, count)
            if let old, old.size > index * width, old.size <= index * width + UInt64(count) {
                try compare(old, leaves.prefix(Int(old.size - index * width)))
            }
            try fold()
            try add(leaves, below: index)
            guard watch(index * width + UInt64(count), head.size) else { return nil }
        }
        guard root(levels) == head.root else { throw differs("the checkpoint", head) }
        try writeEdge()
        try prepareSummary()
        bytes.removeAll()
        bytes.append(checkpoint.note)
        try files.prepare(bytes.bytes, of: Self.checkpointName)
        try files.publish(Self.summaryName, Self.checkpointName)
        // Others stay, as they must: somebody may still have an earlier checkpoint of the same edge.
        files.removePartial(below: head.size)
        outcome.files = files.fileCount
        return outcome
    }

    /// What was exported here before.
    private mutating func earlier() throws(AuditFailure) -> TreeHead? {
        bytes.removeAll()
        guard try files.read(Self.checkpointName, into: &bytes) else { return nil }
        let old: TreeHead
        do throws(AuditFailure) {
            old = try TreeHead(parsing: SignedNote(parsing: bytes.string).text)
        } catch {
            throw AuditFailure(
                .damaged,
                "\(files.root)/\(Self.checkpointName) is damaged (\(error.message)): put it back from a mirror, or "
                    + "remove it and run the same command again, which checks all that is there")
        }
        guard old.origin == head.origin else {
            throw AuditFailure(
                .usage,
                "\(files.root) is an export of \(old.origin), and this log is \(head.origin): name another directory"
            )
        }
        guard old.size <= head.size else {
            // An older checkpoint was named, and the log itself has lost nothing.
            guard log.lastSeq < old.size else {
                throw AuditFailure(
                    .usage,
                    "the checkpoint is of \(head.size) events, and \(files.root) has \(old.size) already: leave out "
                        + "--checkpoint, or name another directory")
            }
            throw AuditFailure(
                .damaged,
                "\(files.root) has \(old.size) events, and the log \(head.size): events are missing at its end, or "
                    + "this is an older copy of it. Keep the export; it is evidence")
        }
        return old
    }
    private func compare(
        _ old: TreeHead, _ leaves: ArraySlice<TreeHash>
    ) throws(AuditFailure) {
        guard root([Array(leaves)] + levels.dropFirst()) == old.root else {
            throw differs("the checkpoint that was exported here before", old)
        }
    }
    private func differs(_ what: String, _ head: TreeHead) -> AuditFailure {
        AuditFailure(
            .damaged,
            "the first \(head.size) events do not have the root of \(what) (\(head.root.base64)): "
                + (outcome.kept > 0
                    ? "\(files.root) holds files of another log, or the log was rewritten. Export to a new directory to "
                        + "see which" : "'tollgate audit verify' says more"))
    }

    // MARK: Bundles

    /// The leaves of a bundle's events, which stand in `bundle` then: from the files if they are what they should
    /// be, else from the log.
    private mutating func leaves(
        _ index: UInt64, _ count: Int
    ) throws(AuditFailure) -> [TreeHash] {
        let isFull = count == Int(TreeTile.width)
        let name = TileFiles.path(level: nil, index: index, width: count)
        let tileName = TileFiles.path(level: 0, index: index, width: count)
        if isFull {
            bundle.removeAll()
            bytes.removeAll()
            if try files.read(name, into: &bundle), try files.read(tileName, into: &bytes) {
                if let leaves = exported(index, count), encode(leaves) { return leaves }
                outcome.mended += 1
            }
        }
        let leaves = try read(index, count)
        try files.write(bundle.bytes, to: name)
        if !isFull { return leaves }
        bytes.removeAll()
        for leaf in leaves { bytes.append(leaf) }
        try files.write(bytes.bytes, to: tileName)
        return leaves
    }
    /// Whether `bytes`, a tile that was there, holds these hashes.
    private mutating func encode(_ leaves: [TreeHash]) -> Bool {
        guard bytes.count == leaves.count * TreeHash.byteCount else { return false }
        for (i, leaf) in leaves.enumerated() {
            let at = i * TreeHash.byteCount
            guard TreeHash(bytes.bytes.slice(at, at + TreeHash.byteCount)) == leaf else {
                return false
            }
        }
        outcome.kept += 1
        return true
    }
    /// The leaves of what `bundle` holds; nil when these are not the events that they should be.
    private func exported(_ index: UInt64, _ count: Int) -> [TreeHash]? {
        var leaves: [TreeHash] = []
        leaves.reserveCapacity(count)
        var reader = ByteReader(bundle.bytes)
        while reader.remaining > 0 {
            let event = reader.bytes(Int(UInt16(byteSwapping: reader.uint16())))
            guard !reader.failed, let length = StoredEvent.length(event), length == event.count
            else { return nil }
            leaves.append(.leaf(event))
        }
        return leaves.count == count ? leaves : nil
    }
    private mutating func read(
        _ index: UInt64, _ count: Int
    ) throws(AuditFailure) -> [TreeHash] {
        var leaves: [TreeHash] = []
        leaves.reserveCapacity(count)
        bundle.removeAll()
        let first = index * TreeTile.width + 1
        for seq in first..<first + UInt64(count) {
            let event = try event(seq)
            // Events end at 65,000 bytes, so each fits the format's 16 bits.
            bundle.append(uint16: UInt16(event.count).byteSwapped)
            bundle.append(event)
            leaves.append(.leaf(event))
        }
        return leaves
    }
    private mutating func event(_ seq: UInt64) throws(AuditFailure) -> Bytes {
        if let (next, rest) = events, next == seq {
            var rest = rest
            if let event = rest.next() {
                events = (seq + 1, rest)
                return event
            }
        }
        try log.read(from: seq, through: head.size, into: &batch)
        var rest = batch.page.events
        guard !batch.isEmpty, let event = rest.next() else {
            throw AuditFailure(
                .damaged,
                "event \(seq) is missing from the log, whose checkpoint is of \(head.size)",
                seq: seq)
        }
        events = (seq + 1, rest)
        return event
    }
    /// The length in front of each event is the gap that the fold passes over.
    private mutating func fold() throws(AuditFailure) {
        do throws(EventError) { try book.fold(bundle.bytes, gap: 2) } catch {
            throw AuditFailure(
                .damaged,
                "event \(book.seq + 1) does not follow from the events before it: \(error.explanation). Another version "
                    + "of tollgate wrote it, or it was changed: 'tollgate audit verify' says more",
                seq: book.seq + 1)
        }
    }

    // MARK: Tiles

    private mutating func add(
        _ leaves: [TreeHash], below index: UInt64
    ) throws(AuditFailure) {
        levels[0] = leaves
        var level = 0
        var index = index
        while levels[level].count == Int(TreeTile.width) {
            if level > 0 { try writeTile(level, index) }
            if level + 1 == levels.count { levels.append([]) }
            levels[level + 1].append(Self.root(levels[level]))
            levels[level].removeAll(keepingCapacity: true)
            level += 1
            index /= TreeTile.width
        }
    }
    private mutating func writeTile(_ level: Int, _ index: UInt64) throws(AuditFailure) {
        let hashes = levels[level]
        bytes.removeAll()
        for hash in hashes { bytes.append(hash) }
        try files.write(
            bytes.bytes, to: TileFiles.path(level: level, index: index, width: hashes.count))
    }
    /// The tiles that are not full.
    private mutating func writeEdge() throws(AuditFailure) {
        for level in levels.indices where !levels[level].isEmpty {
            try writeTile(level, head.size >> UInt64(TreeTile.height * (level + 1)))
        }
    }
    /// Of a whole tree, from what is left over at the right edge of each level, the leaves first.
    private func root(_ levels: [[TreeHash]]) -> TreeHash {
        var carried: TreeHash?
        for hashes in levels where carried != nil || !hashes.isEmpty {
            carried = Self.root(hashes + (carried.map { [$0] } ?? []))
        }
        return carried ?? .ofNothing
    }
    /// Of one or more nodes side by side, the last of which may be of fewer leaves.
    private static func root(_ hashes: [TreeHash]) -> TreeHash {
        var hashes = hashes
        while hashes.count > 1 {
            let pairs = hashes.count / 2
            for i in 0..<pairs { hashes[i] = .node(hashes[2 * i], hashes[2 * i + 1]) }
            if hashes.count % 2 == 1 { hashes[pairs] = hashes[hashes.count - 1] }
            hashes.removeLast(pairs)
        }
        return hashes[0]
    }

    // MARK: The summary

    /// A line of what the file is of, then a line an account that has spent, held or asked for anything.
    private mutating func prepareSummary() throws(AuditFailure) {
        var text = ByteBuffer(capacity: 64 << 10)
        func line(_ members: [JSON.Member]) {
            text.append(canonical: .object(members))
            text.append(UInt8(ascii: "\n"))
        }
        line([
            JSON.Member("origin", .string(head.origin)),
            JSON.Member("root", .string(head.root.base64)),
            JSON.Member("size", .integer(Int64(clamping: head.size))),
        ])
        for number in 0..<UInt32(book.accountCount) {
            let account = AccountNumber(number)
            guard let path = book.path(of: account), let totals = book.totals(of: account),
                !totals.isZero
            else { continue }
            line([
                JSON.Member("account", .string(path.string)),
                JSON.Member("held", .string(Nanodollars(totals.held).description)),
                JSON.Member("open_holds", .integer(totals.openHolds)),
                JSON.Member("requests", .integer(totals.requests)),
                JSON.Member("usd", .string(Nanodollars(totals.used).description)),
            ])
        }
        try files.prepare(text.bytes, of: Self.summaryName)
    }
}

extension UInt16 {
    fileprivate init(byteSwapping value: UInt16) { self = value.byteSwapped }
}

import Events
import Journal

/// Reads a log from its first event on and makes its tree anew, to be compared with what was kept and signed.
///
/// Checksums and numbers are verified by the source. What they cannot show is seen here: that time and epochs
/// never go back, that numbers have the names that the events gave them, and what it all hashes to.
package struct LogCheck: ~Copyable {
    private let source: any LogSource
    private var tree = TreeBuilder()
    private var batch = LogBatch()
    private var names = NameCheck()
    private var time = Instant.distantPast
    package private(set) var epoch: UInt32 = 0

    package init(_ source: any LogSource) { self.source = source }

    /// The tree over what was read.
    package var edge: TreeEdge { tree.edge }
    package var seq: UInt64 { tree.edge.size }
    package var nameCount: Int { names.count }

    /// Goes on through an event, which the source must have.
    ///
    /// - Parameters:
    ///   - tick: is told now and then how far it has come, and says whether to go on.
    ///   - tile: hears of each tile of the tree when it is full.
    /// - Returns: whether it came so far.
    package mutating func read(
        through last: UInt64, tick: (UInt64) -> Bool,
        tile: (TreeTile) throws(AuditFailure) -> Void = { _ in }
    ) throws(AuditFailure) -> Bool {
        while seq < last {
            try source.read(from: seq + 1, through: last, into: &batch)
            guard !batch.isEmpty else {
                throw AuditFailure(
                    .damaged,
                    "event \(seq + 1) is missing from the log, which should end with "
                        + "\(source.lastSeq)", seq: seq + 1)
            }
            for event in batch.page.events { try look(at: event) }
            try tree.append(batch.page.events, tile: tile)
            guard tick(seq) else { return false }
        }
        try names.compare(with: source)
        return true
    }

    private mutating func look(at event: Bytes) throws(AuditFailure) {
        let base = event.base.unsafelyUnwrapped
        let epoch = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let time = Int64(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        guard epoch >= self.epoch, time >= self.time.nanoseconds else {
            let seq = UInt64(
                littleEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            throw AuditFailure(
                .damaged,
                "event \(seq) is older than the one before it, though time and epochs never go back: the log "
                    + "was changed. Restore it from a backup", seq: seq)
        }
        self.epoch = epoch
        self.time = Instant(nanoseconds: time)
        if event[2] < EventType.holdPlaced.rawValue { try names.note(event, source) }
    }
}

/// Compares the names of a source with the events that gave them, a page at a time.
private struct NameCheck {
    private struct Given {
        var kind: NameKind
        var number: UInt32
        var name: String
        var seq: UInt64
    }
    private var waiting: [Given] = []
    /// By kind, how many numbers were given; they are given in order, from 0.
    private var next: [NameKind: UInt32] = [:]
    private static let waitingMax = 1_000

    var count: Int { next.values.reduce(0) { $0 + Int($1) } }

    mutating func note(_ bytes: Bytes, _ source: any LogSource) throws(AuditFailure) {
        // What this version does not know has given no name that it could.
        guard let (kind, field) = NameKind.named(by: bytes[2]),
            let event = try? StoredEvent(bytes), let document = try? DocumentEvent(event),
            let name = (try? JSON(parsing: document.json))?[field]?.string
        else { return }
        let number = document.number
        let next = next[kind] ?? 0
        // A model is priced more than once.
        guard number >= next else { return }
        guard number == next else {
            throw AuditFailure(
                .damaged,
                "event \(event.header.seq) gives \(kind) number \(number), and number \(next) was never "
                    + "given: the log was changed. Restore it from a backup")
        }
        self.next[kind] = number + 1
        waiting.append(Given(kind: kind, number: number, name: name, seq: event.header.seq))
        if waiting.count == Self.waitingMax { try compare(with: source) }
    }
    mutating func compare(with source: any LogSource) throws(AuditFailure) {
        for kind in NameKind.allCases {
            let given = waiting.filter { $0.kind == kind }
            var at = 0
            while at < given.count {
                let page = try source.names(kind, from: given[at].number)
                guard let first = page.first, first.number == given[at].number else {
                    throw Self.differs(given[at], nil)
                }
                for (_, name) in page.prefix(given.count - at) {
                    guard name == given[at].name else { throw Self.differs(given[at], name) }
                    at += 1
                }
            }
        }
        waiting.removeAll(keepingCapacity: true)
    }
    private static func differs(_ given: Given, _ name: String?) -> AuditFailure {
        AuditFailure(
            .damaged,
            "\(given.kind) \(given.number) is \(given.name) by event \(given.seq), and "
                + (name.map { "\($0) in the table of names" } ?? "has no name in its table")
                + ": the table was changed. Restore the directory from a backup")
    }
}

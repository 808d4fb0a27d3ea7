import CLinux
import Events
import Glibc

/// The log of events in LMDB: pages of frames under their first seq, the names of what events only
/// number, and what holds for the whole ledger.
///
/// Unchecked: `environment` guards itself, `leaf` belongs to whoever appends, which one thread does
/// at a time, and the rest never changes after `open`.
final class Log: @unchecked Sendable {
    /// The layout of journal, ring and checkpoints together.
    static let format: UInt32 = 1
    /// Four overflow pages of LMDB, less their header: what large batches are cut into.
    static let pageBytesMax = 4 * 4096 - 16
    /// The largest value two of which share a 4 KiB leaf: what the rest of a batch is cut into. One
    /// byte more would cost a whole overflow page.
    static let inlineBytesMax = 2_022

    let environment: Environment
    let ledgerID: LedgerID
    let isNew: Bool
    /// What the last leaf has room for. The next batch begins by filling it: half a leaf left empty
    /// behind each small commit was a fifth of the disk.
    private var leaf = LeafRoom()
    /// What is folded in the transaction that appends; whether its memory is what its tables say.
    let projections: [any Projection]
    private var projectionsAreCurrent = true

    /// - Parameter mayCreate: whether an empty directory is a new ledger rather than a lost one.
    init(
        directory: borrowing DataDirectory, mapBytes: Int, mayCreate: Bool,
        newID: LedgerID? = nil, projections: [any Projection] = []
    ) throws(JournalError) {
        isNew = mayCreate
        self.projections = projections
        let rig = directory.disk.rig
        if mayCreate {
            let place = try directory.beginJournal()
            let fresh = Environment(directory: place, mapBytes: mapBytes, rig: rig)
            guard try fresh.open() else {
                throw JournalError(.io, "cannot empty \(place): remove it, then start again")
            }
            try Log.create(fresh, newID ?? .random())
            fresh.close()
            try directory.nameJournal()
        }
        environment = Environment(directory: directory.journal, mapBytes: mapBytes, rig: rig)
        if try environment.open() {
            throw JournalError(
                .damaged, "\(directory.journalData) holds no journal; restore it from a backup")
        }
        ledgerID = try Log.readMeta(environment, directory.path)
    }

    /// Opens the log of a data directory to look at it, whether a daemon serves it or not.
    init(inspecting path: String, everyPage: Bool) throws(JournalError) {
        // Here something is to be read: nobody is to make the directory first.
        guard fileSize(path + "/journal/data.mdb") != nil || errno != ENOENT else {
            throw JournalError(
                .io,
                "cannot open \(path)/journal/data.mdb: No such file or directory; name a data directory, a "
                    + "backup, or a copy of one")
        }
        environment = Environment(directory: path + "/journal", mapBytes: 1 << 40)
        isNew = false
        projections = []
        guard try !environment.open(readOnly: true, everyPage: everyPage) else {
            throw JournalError(
                .damaged, "\(path)/journal/data.mdb holds no journal; restore it from a backup")
        }
        ledgerID = try Log.readMeta(environment, path)
    }

    /// Opens the environment again after a failed commit.
    func reopen() throws(JournalError) {
        environment.close()
        if try environment.open() {
            environment.close()
            throw JournalError(
                .damaged, "the journal has lost its tables; restore it from a backup")
        }
    }

    private static let formatKey = Bytes("format")
    private static let ledgerKey = Bytes("ledger")
    private static let createdKey = Bytes("created")

    private static func create(_ environment: Environment, _ id: LedgerID) throws(JournalError) {
        do throws(LMDBError) {
            try environment.create { txn throws(LMDBError) in
                var format = ByteBuffer()
                format.append(uint32: Log.format)
                try txn.put(.meta, key: formatKey, format.bytes)
                var ledger = ByteBuffer()
                id.append(to: &ledger)
                try txn.put(.meta, key: ledgerKey, ledger.bytes)
                var created = ByteBuffer()
                created.append(int64: Int64(time(nil)) * 1_000_000_000)
                try txn.put(.meta, key: createdKey, created.bytes)
            }
        } catch {
            throw JournalError(.io, "cannot create the journal: \(error.text)")
        }
    }
    private static func readMeta(
        _ environment: Environment, _ path: String
    ) throws(JournalError) -> LedgerID {
        try environment.read { txn throws(JournalError) in
            var format = ByteReader(try txn.value(.meta, key: formatKey) ?? .empty)
            let number = format.uint32()
            guard number == Log.format else {
                throw JournalError(.format, formatMessage(path, number))
            }
            var ledger = ByteReader(try txn.value(.meta, key: ledgerKey) ?? .empty)
            let id = LedgerID(reading: &ledger)
            guard !ledger.failed else {
                throw JournalError(
                    .damaged, "the journal in \(path) names no ledger; restore it from a backup")
            }
            return id
        }
    }
    static func formatMessage(_ path: String, _ number: UInt32) -> String {
        "\(path) is a data directory of format \(number); this tollgate reads format \(Log.format): "
            + (number > Log.format
                ? "run the tollgate that wrote it, or a later one"
                : "run the tollgate that wrote it, or restore it from a backup")
    }
}

/// How full the last leaf of the events is, as far as is known: LMDB does not say, but it says how
/// many leaves there are, and a value that began a new one is alone in it.
private struct LeafRoom {
    /// A leaf without its header.
    private static let leafBytes = 4096 - 16
    /// A row beside its value: its place in the leaf, its header and its key.
    private static let rowBytes = 2 + 8 + 8
    /// A value that stands in pages of its own leaves their number.
    private static let numberBytes = 8

    private var free = 0
    private var leaves: Int?

    /// What the next value is cut to; its first event's `frame` goes in whole wherever it fits.
    func valueBytesMax(_ frame: Int) -> Int {
        let most = min(free - LeafRoom.rowBytes, Log.inlineBytesMax)
        return most >= frame ? most : Log.inlineBytesMax
    }
    mutating func note(_ valueBytes: Int, leaves now: Int) {
        let stored = valueBytes <= Log.inlineBytesMax ? valueBytes : LeafRoom.numberBytes
        let row = LeafRoom.rowBytes + (stored + 1) & ~1
        if let leaves { free = (now == leaves ? free : LeafRoom.leafBytes) - row }
        leaves = now
    }
}

/// What one transaction added.
struct Appended {
    var end: LogEnd
    var count: UInt64
}

extension Log {
    /// Appends whole frames of consecutive events in one durable transaction, and the names that
    /// their events give.
    func append(_ frames: Bytes) throws(LMDBError) -> Appended {
        var leaf = self.leaf
        // Of a transaction that fails nothing is known any more.
        self.leaf = LeafRoom()
        let appended = try environment.write { txn throws(LMDBError) in
            var at = 0
            var count: UInt64 = 0
            var last: Frame?
            while at < frames.count {
                let rest = frames.count - at
                let start = at
                let first = Log.frame(frames, at)
                let most =
                    rest >= Log.pageBytesMax ? Log.pageBytesMax : leaf.valueBytesMax(first.count)
                var next = first
                repeat {
                    if Log.givesName(next.rawType) { try Log.putName(next, txn) }
                    at += next.count
                    count += 1
                    last = next
                    guard at < frames.count else { break }
                    next = Log.frame(frames, at)
                } while at - start + next.count <= most
                try txn.appendPage(first: first.seq, frames.slice(start, at))
                leaf.note(at - start, leaves: txn.eventLeaves)
            }
            try project(frames, count, txn)
            return Appended(end: LogEnd(last!), count: count)
        }
        self.leaf = leaf
        projectionsAreCurrent = true
        return appended
    }
    private func project(
        _ frames: Bytes, _ count: UInt64, _ txn: borrowing WriteTransaction
    ) throws(LMDBError) {
        guard !projections.isEmpty else { return }
        let events = EventPage(
            firstSeq: Log.frame(frames, 0).seq, count: Int(count), frames: frames)
        let resumes = !projectionsAreCurrent
        // Until this transaction is there, what they remember may never have been.
        projectionsAreCurrent = false
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .projectionsKeepFailedCommits { projectionsAreCurrent = true }
        #endif
        for projection in projections {
            let rows = txn.rows(of: projection.table)
            if resumes {
                let seq = try projection.resume(rows)
                precondition(seq < events.firstSeq, "a projection is never ahead of the log")
                // What it had folded without writing its rows.
                try rows.pages(from: seq + 1, through: events.firstSeq - 1) {
                    (page) throws(LMDBError) in
                    try projection.fold(page, into: rows)
                    return true
                }
            }
            try projection.fold(events, into: rows)
        }
    }
    /// The same, with a larger map each time the map is full.
    func appendGrowing(_ frames: Bytes) throws(LMDBError) -> Appended {
        while true {
            do throws(LMDBError) {
                return try append(frames)
            } catch {
                guard error.isMapFull else { throw error }
                try environment.resizeMap(to: environment.mapBytes * 2)
            }
        }
    }
    /// How many bytes at the front of `frames` are whole frames and together at most `most`.
    static func wholeFrames(_ frames: Bytes, most: Int) -> Int {
        guard frames.count > most else { return frames.count }
        var at = 0
        while true {
            let next = frame(frames, at).count
            if at + next > most { return at }
            at += next
        }
    }

    /// How many bytes of `frames` end with the event that `end` tells of; nil when none is that event.
    static func bytes(of frames: Bytes, through end: LogEnd) -> Int? {
        var at = 0
        while at < frames.count {
            let next = frame(frames, at)
            at += next.count
            if next.seq == end.seq { return LogEnd(next) == end ? at : nil }
        }
        return nil
    }

    private static func frame(_ frames: Bytes, _ at: Int) -> Frame {
        guard let frame = Frame(frames.base.unsafelyUnwrapped + at, count: frames.count - at) else {
            preconditionFailure("the ring holds whole frames")
        }
        return frame
    }
}

/// What a number in an event's header or body stands for.
package enum NameKind: UInt8, CaseIterable, Sendable {
    case account = 1
    case model = 2
    case operatorName = 3

    /// What an event of a type gives a name to, and in which member of its document; nil where it names nothing.
    package static func named(by rawType: UInt8) -> (kind: NameKind, field: String)? {
        switch EventType(rawValue: rawType) {
        case .orgCreated, .teamCreated, .keyCreated: (.account, "account")
        case .priceSet: (.model, "model")
        case .operatorCreated: (.operatorName, "operator")
        default: nil
        }
    }
}

extension Log {
    func name(_ kind: NameKind, _ number: UInt32) throws(JournalError) -> String? {
        try environment.read { txn throws(JournalError) in
            try Log.withNameKey(kind, number) { key throws(JournalError) in
                guard let value = try txn.value(.names, key: key) else { return nil }
                guard let name = Log.checkedName(key, value) else {
                    throw JournalError(
                        .damaged,
                        "the name of \(kind) \(number) fails its checksum; restore the directory from a backup"
                    )
                }
                return name.string
            }
        }
    }
    /// LMDB has no checksums of its own, so a name carries one, as events do; nil when it is wrong.
    static func checkedName(_ key: Bytes, _ value: Bytes) -> Bytes? {
        guard value.count > 4, let base = value.base,
            nameChecksum(key, value.slice(4, value.count))
                == UInt32(littleEndian: base.loadUnaligned(as: UInt32.self))
        else { return nil }
        return value.slice(4, value.count)
    }

    func names(
        _ kind: NameKind, from first: UInt32, most: Int
    ) throws(JournalError) -> [(number: UInt32, name: String)] {
        var names: [(number: UInt32, name: String)] = []
        // Numbers begin with 0 or with 1.
        var number = first
        if first == 0, try name(kind, 0) == nil { number = 1 }
        while names.count < most, let name = try name(kind, number) {
            names.append((number, name))
            number += 1
        }
        return names
    }

    @inline(__always)
    private static func givesName(_ rawType: UInt8) -> Bool { NameKind.named(by: rawType) != nil }
    // Out of line: few events give a name, and reading JSON must not dilute the loop above.
    @inline(never)
    private static func putName(
        _ frame: Frame, _ txn: borrowing WriteTransaction
    ) throws(LMDBError) {
        // The gate has validated what it stages; an event without its name still belongs in the log.
        guard let (kind, field) = NameKind.named(by: frame.rawType),
            let event = try? StoredEvent(frame.event), let document = try? DocumentEvent(event),
            let name = (try? JSON(parsing: document.json))?[field]?.string, !name.isEmpty
        else { return }
        try withNameKey(kind, document.number) { key throws(LMDBError) in
            var value = ByteBuffer(capacity: 256)
            name.withBytes { name in
                value.append(uint32: nameChecksum(key, name))
                value.append(name)
            }
            try txn.put(.names, key: key, value.bytes)
        }
    }
    /// CRC-32C of the key and the name.
    private static func nameChecksum(_ key: Bytes, _ name: Bytes) -> UInt32 {
        tg_crc32c(tg_crc32c(0, key.base, key.count), name.base, name.count)
    }
    static func withNameKey<R, E: Error>(
        _ kind: NameKind, _ number: UInt32, _ body: (Bytes) throws(E) -> R
    ) throws(E) -> R {
        var key = ByteBuffer(capacity: 16)
        key.append(kind.rawValue)
        key.append(uint32: number.byteSwapped)
        return try body(key.bytes)
    }
}

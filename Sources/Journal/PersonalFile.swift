import CLinux
import Events
import Glibc
import Synchronization

/// What commitments were made of: beside the log, the one place where personal texts stand that their
/// org does not want in it.
///
///     0  u64 "TGPERSN1"   8 ledger id (16)   24 u32 version   28 u32 CRC-32C of bytes 0 to 27
///     32 records, one behind the other:
///        0 u32 CRC-32C of the rest   4 u16 length   6 u8 state (1 kept, 2 erased)   7 u8 field
///        8 u32 org (2³²−1: of keys that nobody knows)   12 commitment (16)
///        28 salt (16), erased: u32 epoch, u64 seq of the event that tells of it, u32 0   44 text
///
/// Records are appended and never move; erasing one overwrites its salt and text where they stand. The
/// gate's thread alone writes, and does so before it decides what names a record, so that a killed process
/// leaves at most records that nothing names. What comes to nothing is cut off at the end of the turn.
/// The committer makes the file durable before the events. Anybody may read up to `end`.
package final class PersonalFile: Sendable {
    static let name = "personal"
    package static let headerBytes = 32
    static let recordBytesMin = 44
    static let recordBytesMax = recordBytesMin + 255
    private static let magic: UInt64 = 0x314E_5352_4550_4754  // "TGPERSN1"
    private static let version: UInt32 = 1

    private let file: File
    private let written: Atomic<Int>
    /// Behind which nothing was put: more than `end` while something lies there that is nobody's. The
    /// gate's thread alone looks at it.
    private let reached: Atomic<Int>
    /// Whether something was cut off that may not be durably gone. The gate's, too.
    private let owesSync = Atomic<Bool>(false)
    /// Whether nobody else may be writing meanwhile.
    private let isOwn: Bool
    /// What an earlier process wrote may not be durable either.
    private let isDirty = Atomic<Bool>(true)

    /// Creates what is missing, and mends what a power cut left: see `mend`.
    init(
        _ path: String, ledger: LedgerID, disk: Disk, notes: inout [String]
    ) throws(JournalError) {
        isOwn = true
        file = try disk.open(path, O_RDWR | O_CREAT)
        let size = try file.size()
        // Nothing else is ever written to a file that has no header yet.
        if size <= Self.headerBytes, (try? Self.check(file, ledger)) == nil {
            try file.truncate(to: 0)
            let header = Self.header(ledger)
            try file.write(header.bytes, at: 0)
            try file.sync()
            written = Atomic(Self.headerBytes)
            reached = Atomic(Self.headerBytes)
            return
        }
        try Self.check(file, ledger)
        let end = try Self.mend(file, size, &notes)
        written = Atomic(end)
        reached = Atomic(end)
    }
    /// Opens it to read beside whoever writes it, or in a copy; nil where there is none.
    package init?(reading directory: String, ledger: LedgerID) throws(JournalError) {
        let path = directory + "/" + Self.name
        guard fileSize(path) != nil else { return nil }
        isOwn = false
        file = try File(opening: path, O_RDONLY)
        try Self.check(file, ledger)
        let size = try file.size()
        written = Atomic(size)
        reached = Atomic(size)
    }

    /// How far it can be read.
    package var end: Int { written.load(ordering: .acquiring) }

    // MARK: The gate's side

    /// Writes whole records behind `end`, where they outlive the process but are nobody's yet.
    package func put(_ records: Bytes) throws(JournalError) {
        let end = written.load(ordering: .relaxed)
        let next = end + records.count
        // What reaches further would stand behind these records as if it had been kept.
        if reached.load(ordering: .relaxed) > next { try dropUnkept() }
        reached.store(max(reached.load(ordering: .relaxed), next), ordering: .relaxed)
        try file.write(records, at: end)
        isDirty.store(true, ordering: .sequentiallyConsistent)
    }
    /// Moves `end` behind what was put last; without it, the next is put over it.
    package func keep(_ count: Int) {
        written.store(written.load(ordering: .relaxed) + count, ordering: .releasing)
    }
    /// Whether something lies behind `end`.
    package var hasUnkept: Bool {
        reached.load(ordering: .relaxed) > written.load(ordering: .relaxed)
    }
    /// Cuts off what was put and not kept: texts of requests that came to nothing.
    package func dropUnkept() throws(JournalError) {
        guard hasUnkept else { return }
        let end = written.load(ordering: .relaxed)
        // An earlier one may be on the disk already.
        owesSync.store(true, ordering: .relaxed)
        try file.truncate(to: end)
        reached.store(end, ordering: .relaxed)
        isDirty.store(true, ordering: .sequentiallyConsistent)
    }
    /// The same for good: what was ever cut off is gone from the disk, too, when this returns.
    package func dropUnkeptDurably() throws(JournalError) {
        try dropUnkept()
        guard owesSync.load(ordering: .relaxed) else { return }
        try file.sync()
        owesSync.store(false, ordering: .relaxed)
    }
    /// Erases the text of the record at an offset, whatever can still be read of it; the event of that
    /// number will tell of it.
    package func erase(
        at offset: Int, _ commitment: Commitment, _ field: PersonalField, of org: AccountNumber,
        textBytes: Int, epoch: UInt32, seq: UInt64
    ) throws(JournalError) {
        precondition(offset >= Self.headerBytes && offset < end, "a record that was written")
        let blank = Self.erased(
            commitment, field, org, Self.recordBytesMin + textBytes, epoch, seq)
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .erasesNothing { return }
        #endif
        try file.write(blank.bytes, at: offset)
        isDirty.store(true, ordering: .sequentiallyConsistent)
    }

    /// Erases again what events of the ring say is erased: a power cut may have left them there and taken the
    /// erasing, which nobody had made durable yet.
    func erase(toldBy frames: Bytes) throws(JournalError) {
        var told: [Commitment: (epoch: UInt32, seq: UInt64)] = [:]
        var at = 0
        while at < frames.count,
            let frame = Frame(frames.base.unsafelyUnwrapped + at, count: frames.count - at)
        {
            at += frame.count
            guard frame.rawType == EventType.personalErased.rawValue,
                let event = try? StoredEvent(frame.event),
                let document = try? DocumentEvent(event)
            else { continue }
            for text in (try? JSON(parsing: document.json))?["commitments"]?.array ?? [] {
                guard let found = text.string?.withBytes({ Commitment($0) }) else { continue }
                told[found] = (event.header.epoch, event.header.seq)
            }
        }
        guard !told.isEmpty else { return }
        var left: [(offset: Int, commitment: Commitment, PersonalField, AccountNumber, Int)] = []
        try forEach { record in
            if record.state == .kept, told[record.commitment] != nil {
                left.append(
                    (
                        record.offset, record.commitment, record.field, record.org,
                        record.text.count
                    ))
            }
            return true
        }
        for (offset, commitment, field, org, count) in left {
            let event = told[commitment]!
            try erase(
                at: offset, commitment, field, of: org, textBytes: count, epoch: event.epoch,
                seq: event.seq)
        }
    }

    // MARK: The committer's side

    /// Makes durable what has been written, if anything has.
    func sync() throws(JournalError) {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .leavesPersonsUnsynced { return }
        #endif
        guard isDirty.exchange(false, ordering: .sequentiallyConsistent) else { return }
        do throws(JournalError) {
            try file.sync()
        } catch {
            isDirty.store(true, ordering: .sequentiallyConsistent)
            throw error
        }
    }

    // MARK: Any thread

    /// Goes through the records from an offset on, until `body` returns false; returns the next offset.
    ///
    /// A record that is being erased meanwhile may be passed over.
    @discardableResult
    package func forEach(
        from offset: Int = headerBytes, _ body: (PersonalRecord) -> Bool
    ) throws(JournalError) -> Int {
        let end = end
        var at = offset
        var chunk = ByteBuffer(capacity: 256 << 10)
        while at < end {
            chunk.removeAll()
            try file.read(into: &chunk, count: min(end - at, 256 << 10), at: at)
            var used = 0
            while let length = PersonalRecord.length(chunk.bytes.slice(used, chunk.count)) {
                if let record = PersonalRecord(
                    chunk.bytes.slice(used, used + length), at: at + used),
                    !body(record)
                {
                    return at + used + length
                }
                used += length
            }
            // Half a record at the chunk's end is read again; nothing at all is what a writer beside us is
            // about to write, or has cut off.
            guard used > 0 else {
                guard isOwn else { break }
                throw JournalError(
                    .damaged,
                    "\(file.path) is damaged at byte \(at): restart the daemon, which cuts off what cannot be "
                        + "read, or restore it from a backup")
            }
            at += used
        }
        return at
    }
    /// Where a record begins that cannot be read, though others stand behind it; nil where there is none. What
    /// cannot be read at the end may be what a power cut has left.
    package func firstUnreadable() throws(JournalError) -> Int? {
        var next = Self.headerBytes
        var found: Int?
        try forEach { record in
            if record.offset != next { found = next }
            next = record.offset + Self.recordBytesMin + record.text.count
            return found == nil
        }
        guard found == nil, next < end else { return found }
        return try Self.next(file, behind: next, end) == nil ? nil : next
    }
    /// The record at an offset, which lives as long as `bytes`; nil when it cannot be read any more.
    package func read(
        at offset: Int, into bytes: inout ByteBuffer
    ) throws(JournalError) -> PersonalRecord? {
        bytes.removeAll()
        guard offset >= Self.headerBytes, offset < end else { return nil }
        try file.read(into: &bytes, count: min(end - offset, Self.recordBytesMax), at: offset)
        guard let length = PersonalRecord.length(bytes.bytes) else { return nil }
        bytes.truncate(to: length)
        return PersonalRecord(bytes.bytes, at: offset)
    }

    // MARK: Bytes

    /// A record that is to be appended.
    package static func record(
        _ commitment: Commitment, _ field: PersonalField, org: AccountNumber,
        salt: (UInt64, UInt64), _ text: Bytes, into buffer: inout ByteBuffer
    ) {
        var body = ByteBuffer(capacity: recordBytesMax)
        body.append(uint16: UInt16(recordBytesMin + text.count))
        body.append(PersonalRecord.State.kept.rawValue)
        body.append(field.rawValue)
        body.append(uint32: org.raw)
        body.append(uint64: commitment.low)
        body.append(uint64: commitment.high)
        body.append(uint64: salt.0)
        body.append(uint64: salt.1)
        body.append(text)
        buffer.append(uint32: DiskBytes.checksum(body.bytes))
        buffer.append(body.bytes)
    }
    static func erased(
        _ commitment: Commitment, _ field: PersonalField, _ org: AccountNumber, _ length: Int,
        _ epoch: UInt32, _ seq: UInt64
    ) -> ByteBuffer {
        var body = ByteBuffer(capacity: recordBytesMax)
        body.append(uint16: UInt16(length))
        body.append(PersonalRecord.State.erased.rawValue)
        body.append(field.rawValue)
        body.append(uint32: org.raw)
        body.append(uint64: commitment.low)
        body.append(uint64: commitment.high)
        body.append(uint32: epoch)
        body.append(uint64: seq)
        body.append(uint32: 0)
        for _ in recordBytesMin..<length { body.append(0) }
        var whole = ByteBuffer(capacity: recordBytesMax)
        whole.append(uint32: DiskBytes.checksum(body.bytes))
        whole.append(body.bytes)
        return whole
    }
    private static func header(_ ledger: LedgerID) -> ByteBuffer {
        var header = ByteBuffer(capacity: headerBytes)
        header.append(uint64: magic)
        ledger.append(to: &header)
        header.append(uint32: version)
        header.append(uint32: DiskBytes.checksum(header.bytes))
        return header
    }
    private static func check(_ file: borrowing File, _ ledger: LedgerID) throws(JournalError) {
        var bytes = ByteBuffer(capacity: headerBytes)
        try file.read(into: &bytes, count: headerBytes, at: 0)
        var reader = ByteReader(bytes.bytes)
        let found = (magic: reader.uint64(), ledger: LedgerID(reading: &reader))
        let (format, checksum) = (reader.uint32(), reader.uint32())
        guard !reader.failed, found.magic == magic,
            checksum == DiskBytes.checksum(bytes.bytes.slice(0, headerBytes - 4))
        else {
            throw JournalError(
                .damaged,
                "\(file.path) is damaged at its front: restore it from a backup. Moved away, the log "
                    + "stays whole, but its commitments cannot be told any more")
        }
        guard format == version else {
            throw JournalError(
                .format,
                "\(file.path) has format \(format), and this version reads \(version): start the "
                    + "version that wrote it")
        }
        guard found.ledger == ledger else {
            throw JournalError(
                .format,
                "\(file.path) belongs to ledger \(found.ledger), not to \(ledger): put this ledger's "
                    + "own back from its backup")
        }
    }
}

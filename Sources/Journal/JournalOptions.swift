import Events

/// Where a journal lives and how it paces itself.
package struct JournalOptions: Sendable {
    /// The data directory; created (0700) when it is not there, but not its parents.
    package var directory: String
    /// Bytes of records the ring holds: a power of two, at least 128 KiB. What is staged and not yet
    /// durable must fit; a full ring is back-pressure, never loss.
    package var ringBytes = 64 << 20
    /// Address space that LMDB maps. Not disk: only a bound, doubled when it is reached.
    package var mapBytes = 1 << 40
    /// How long events that nobody waits for may gather before they are committed.
    package var lingerNanoseconds: Int64 = 2_000_000
    /// Free disk below which the state becomes `.paused`; 1.25 times that ends it.
    package var pauseBelowBytes: Int64 = 64 << 20
    /// Most bytes one transaction appends; bounds how long a commit can take.
    package var batchBytesMax = 8 << 20
    /// What is folded from the events in the transactions that append them. One that was left out for a
    /// while is caught up when it is there again.
    package var projections: [any Projection] = []
    /// Whether somebody has said that the directory, restored from a backup, is to go on as the ledger.
    package var goesOnFromBackup = false
    /// For simulations: what stands between the journal and its disk, and a new ledger's name.
    package var rig: (any DiskRig)?
    package var newLedgerID: LedgerID?

    package init(directory: String) { self.directory = directory }
}

/// Why a journal cannot be opened, read or written. The message is for the person who runs it and
/// says what to do.
package struct JournalError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// Another process serves the directory.
        case busy
        /// Written by a version whose format this one does not read, or of another ledger.
        case format
        /// Bytes that were once right are not any more.
        case damaged
        /// The system refused: permissions, no space, a failing disk.
        case io
        /// The options make no sense.
        case usage
    }
    package let kind: Kind
    package let message: String
    /// The event that is damaged or missing, where it is one.
    package let seq: UInt64?

    package init(_ kind: Kind, _ message: String, seq: UInt64? = nil) {
        self.kind = kind
        self.message = message
        self.seq = seq
    }
    package var description: String { message }
}

/// Whether the journal takes events.
package enum JournalState: UInt8, Sendable {
    case normal = 0
    /// Disk space runs low: refuse what asks for more (reserves), take what ends it (settles).
    case paused = 1
    /// Commits fail. What is staged stays in the ring and is retried every second.
    case readOnly = 2
}

/// What the start found.
package struct RecoveryReport: Sendable {
    /// Events that stood only in the ring and are now in the journal.
    package var eventsFromRing: UInt64 = 0
    /// Sentences for the log; empty after an orderly stop.
    package var notes: [String] = []
}

/// Counts since the start, for `INFO`.
package struct JournalStatistics: Sendable {
    package var commits: UInt64 = 0
    package var events: UInt64 = 0
    /// Frame bytes: events plus four bytes of checksum each.
    package var bytes: UInt64 = 0
    package var failedCommits: UInt64 = 0
    package var lastCommitNanoseconds: UInt64 = 0
    package var ringBytes: Int = 0
    package var ringUsedBytes: Int = 0
    package var mapBytes: Int = 0
    package var mapUsedBytes: Int = 0
    /// Free disk as of the last look (at most ten a second, with commits).
    package var freeDiskBytes: Int64 = 0
}

/// Sixteen random bytes that name a ledger for ever; ring, journal and checkpoints carry them.
package struct LedgerID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// Reads 32 hexadecimal digits; nil when it is anything else.
    package init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 32, digits.allSatisfy({ hexValue($0) != nil }),
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
    static func random() -> LedgerID {
        LedgerID(high: .random(in: 1 ... .max), low: .random(in: 0 ... .max))
    }

    init(reading reader: inout ByteReader) {
        high = reader.uint64()
        low = reader.uint64()
    }
    func append(to buffer: inout ByteBuffer) {
        buffer.append(uint64: high)
        buffer.append(uint64: low)
    }

    /// 32 hexadecimal digits.
    package var description: String {
        var buffer = ByteBuffer(capacity: 32)
        for word in [high.bigEndian, low.bigEndian] {
            withUnsafeBytes(of: word) { buffer.append(hex: Bytes($0)) }
        }
        return buffer.string
    }
}

extension JournalOptions {
    func check() throws(JournalError) {
        func require(_ condition: Bool, _ message: String) throws(JournalError) {
            if !condition { throw JournalError(.usage, message) }
        }
        try require(!directory.isEmpty, "no data directory is named")
        try require(
            ringBytes >= 128 << 10 && ringBytes.nonzeroBitCount == 1,
            "the ring must be a power of two of at least 131072 bytes, not \(ringBytes)")
        try require(mapBytes >= 1 << 20, "the journal's map must be at least 1 MiB")
        try require(lingerNanoseconds >= 0 && pauseBelowBytes >= 0, "a negative option")
        try require(batchBytesMax >= Frame.bytesMax, "a batch must hold the longest event")
    }
}

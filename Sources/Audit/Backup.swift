import Crypto
import Events
import Glibc
import Journal

/// Takes a copy of a data directory beside the daemon that serves it.
///
/// What makes it a backup: it is of one instant, it is on the disk when it has its name, and it has been
/// opened and read from end to end before. It has no ring and no signing key.
package enum Backup {
    /// What is being done, for whoever waits.
    package enum Step: Sendable {
        case copying
        case verifying
    }
    /// Hears how many of how many bytes or events are done; false ends it.
    package typealias Watch = (_ step: Step, _ done: Int, _ whole: Int) -> Bool

    package struct Request {
        /// The daemon's data directory.
        package var source: String
        /// Must not exist.
        package var target: String
        /// Whether a daemon serves the source.
        package var isServed: Bool
        package var now: Instant
        /// Bytes that must stay free on the source's disk.
        package var keepFree: Int64

        package init(
            source: String, target: String, isServed: Bool, now: Instant, keepFree: Int64
        ) {
            self.source = source
            self.target = target
            self.isServed = isServed
            self.now = now
            self.keepFree = keepFree
        }
    }

    /// - Returns: what the backup says of itself; nil when `watch` has ended it, and nothing is left.
    package static func take(
        _ request: Request, _ watch: Watch
    ) throws(JournalError) -> BackupMarker? {
        try BackupFiles.check(target: request.target, outside: request.source)
        if let marker = try BackupMarker.read(in: request.source) {
            throw JournalError(
                .usage,
                marker.stage == .copying
                    ? "\(request.source) is what a backup has left that did not come to its end: say --data "
                        + "with the daemon's directory"
                    : "\(request.source) is itself a backup, of seq \(marker.seq), or fresh from one: copy "
                        + "it with 'cp -a'")
        }
        let source = try Inspection(directory: request.source, everyPage: false)
        try checkRing(source, request)
        let staged = try StagedDirectory(request.target)
        var isDone = false
        defer { if !isDone { staged.abandon() } }
        guard let marker = try fill(staged.place, from: source, request, watch) else { return nil }
        try staged.finish()
        isDone = true
        return marker
    }

    private static func fill(
        _ place: String, from source: Inspection, _ request: Request, _ watch: Watch
    ) throws(JournalError) -> BackupMarker? {
        try BackupFiles.checkRoom(
            for: source.byteCount, at: place, beside: request.source, keep: request.keepFree)
        // First: whatever ends us, nobody serves the half that is left as a ledger of its own.
        try BackupMarker(
            stage: .copying, ledger: source.ledgerID.description, seq: source.lastSeq,
            epoch: source.lastEpoch, time: source.lastTime, root: "", taken: request.now, files: []
        ).write(in: place)
        var files: [BackupMarker.File] = []
        var hash = FileHash()
        let journal = "\(place)/\(BackupFiles.journal)"
        let isCopied = try source.copyJournal(to: journal) { bytes, whole in
            hash.add(bytes)
            return watch(.copying, hash.count, whole)
        }
        guard isCopied else { return nil }
        files.append(hash.file(BackupFiles.journal))

        guard let copy = try CheckedCopy(of: place, { watch(.verifying, $0, $1) }) else {
            return nil
        }
        hash = FileHash()
        let checkpoint = try copy.inspection.copyCheckpoint(
            from: request.source, to: "\(place)/checkpoints"
        ) { bytes in
            hash.add(bytes)
            return true
        }
        if let checkpoint { files.append(hash.file("checkpoints/\(checkpoint).book")) }

        // After the journal: a value stands there before the event that stands for it.
        let personal = "\(request.source)/\(BackupFiles.personal)"
        if BackupFiles.exists(personal) {
            hash = FileHash()
            _ = try BackupFiles.copy(
                personal, to: "\(place)/\(BackupFiles.personal)", mayEnd: true
            ) { bytes in
                hash.add(bytes)
                return true
            }
            files.append(hash.file(BackupFiles.personal))
        }
        let marker = BackupMarker(
            stage: .backup, ledger: copy.inspection.ledgerID.description,
            seq: copy.inspection.lastSeq, epoch: copy.inspection.lastEpoch,
            time: copy.inspection.lastTime, root: copy.root, taken: request.now, files: files)
        try marker.write(in: place)
        return marker
    }

    /// Without a daemon nobody brings into the journal what stands only in the ring.
    private static func checkRing(
        _ source: Inspection, _ request: Request
    ) throws(JournalError) {
        guard !request.isServed, case .whole(_, let waiting) = try source.ring(), waiting > 0 else {
            return
        }
        throw JournalError(
            .usage,
            "no daemon serves \(request.source), and \(waiting) events stand only in its ring: start the "
                + "daemon once, which brings them into the journal, then take the backup")
    }
}

/// The digest of a file, piece by piece.
struct FileHash {
    private var hash = SHA256()
    private(set) var count = 0

    mutating func add(_ bytes: Bytes) {
        hash.update(bufferPointer: UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
        count += bytes.count
    }
    func file(_ name: String) -> BackupMarker.File {
        var text = ByteBuffer(capacity: 64)
        hash.finalize().withUnsafeBytes { text.append(hex: Bytes($0)) }
        return BackupMarker.File(name: name, byteCount: count, digest: text.string)
    }
}

extension BackupMarker.File {
    /// Whether a file is, byte for byte, what was backed up.
    func isWhole(in directory: String) throws(JournalError) -> Bool {
        var hash = FileHash()
        try BackupFiles.read("\(directory)/\(name)") { hash.add($0) }
        return hash.file(name) == self
    }
}

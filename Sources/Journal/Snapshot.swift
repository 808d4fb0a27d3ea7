import CLinux
import Events
import Glibc

extension Inspection {
    /// Copies the journal's file as one read transaction sees it, beside a daemon that goes on writing.
    ///
    /// Not by `mdb_env_copy2`, which holds the writers' mutex while it writes its first pages: a target
    /// that hangs would then stop the daemon's commits. A reader's pages stay as they are as long as it
    /// holds its transaction, so they can simply be read; whatever else is in the file comes along as
    /// it is, and nothing in use leads there. The daemon uses no page again meanwhile, so its file grows
    /// by what it replaces.
    ///
    /// - Parameters:
    ///   - path: must not exist.
    ///   - watch: is handed the bytes in order and how many there will be; false ends the copying.
    /// - Returns: whether all was copied. The bytes are durable then; the file's name is not.
    package func copyJournal(
        to path: String, _ watch: (_ bytes: Bytes, _ whole: Int) -> Bool
    ) throws(JournalError) -> Bool {
        let source = try File(opening: self.path + "/journal/data.mdb", O_RDONLY)
        var failure: JournalError?
        // A busy daemon may write over the meta page before it is read; then a newer transaction.
        for _ in 0..<100 {
            let copied = try log.environment.read { txn throws(JournalError) -> Bool? in
                let front: PageCheck.Front
                do throws(JournalError) {
                    front = try PageCheck.front(of: source, transaction: txn.number)
                } catch {
                    failure = error
                    return nil
                }
                let whole = front.byteCount
                let target = try SteadyFile(path, byteCount: whole)
                try target.write(front.pages.bytes, at: 0)
                guard watch(front.pages.bytes, whole),
                    try target.take(
                        source, from: front.pages.count, to: whole, { watch($0, whole) })
                else { return false }
                try target.finish()
                return true
            }
            if let copied { return copied }
        }
        throw failure ?? JournalError(.io, "\(source.path) cannot be copied; try again")
    }

    /// Writes the newest whole checkpoint that is not ahead of this journal's end, as it lies in another
    /// directory of the same ledger.
    ///
    /// - Parameter folder: where to, as `<seq>.book`.
    /// - Returns: its seq; nil when there is none.
    package func copyCheckpoint(
        from directory: String, to folder: String, _ watch: (Bytes) -> Bool
    ) throws(JournalError) -> UInt64? {
        let checkpoints = Checkpoints(directory: directory + "/checkpoints", ledgerID: ledgerID)
        for seq in checkpoints.seqs().reversed() where seq <= end.seq {
            let source = "\(checkpoints.directory)/\(seq).book"
            let loaded: Result<Checkpoint, Checkpoints.Flaw>
            do throws(JournalError) {
                loaded = try checkpoints.load(source, seq) { seq throws(JournalError) in
                    try log.checksum(of: seq)
                }
            } catch {
                // A daemon beside us keeps the newest two, so an older one may just have gone.
                if fileSize(source) == nil { continue }
                throw error
            }
            guard case .success(let checkpoint) = loaded else { continue }
            let target = try SteadyFile(
                "\(folder)/\(seq).book", byteCount: checkpoint.file.count)
            try target.write(checkpoint.file, at: 0)
            guard watch(checkpoint.file) else { return nil }
            try target.finish()
            return seq
        }
        return nil
    }
}

/// A large file that is written from front to end beside a daemon which shares its disk.
///
/// Its room is taken at once, so a disk that is too small says so before anything is copied; and what is
/// written leaves the page cache at once, or a flush of the daemon's would wait for all of it.
struct SteadyFile: ~Copyable {
    private let file: File
    private static let pieceBytes = 4 << 20

    init(_ path: String, byteCount: Int) throws(JournalError) {
        let file = try File(opening: path, O_RDWR | O_CREAT | O_EXCL)
        if byteCount > 0 { try file.allocate(byteCount) }
        self.file = file
    }
    func write(_ bytes: Bytes, at offset: Int) throws(JournalError) {
        try file.write(bytes, at: offset)
    }
    /// Takes the same range of another file; false when `watch` has ended it.
    ///
    /// - Parameter mayEnd: whether the other may have become shorter meanwhile, and this one is, too.
    func take(
        _ source: borrowing File, from start: Int, to end: Int, mayEnd: Bool = false,
        _ watch: (Bytes) -> Bool
    ) throws(JournalError) -> Bool {
        let piece = UnsafeMutableRawPointer.allocate(
            byteCount: SteadyFile.pieceBytes, alignment: 4_096)
        defer { piece.deallocate() }
        var at = start
        while at < end {
            let wanted = min(SteadyFile.pieceBytes, end - at)
            let count = try source.read(into: piece, count: wanted, at: at)
            guard mayEnd || count == wanted else {
                throw JournalError(.damaged, "\(source.path) is cut short; take another copy of it")
            }
            let bytes = Bytes(piece, count: count)
            guard watch(bytes) else { return false }
            try file.write(bytes, at: at)
            _ = tg_write_out(file.descriptor, Int64(at), Int64(count))
            posix_fadvise(file.descriptor, off_t(at), off_t(count), POSIX_FADV_DONTNEED)
            at += count
            guard count == wanted else {
                try file.truncate(to: at)
                break
            }
        }
        return true
    }
    /// Flushes it, and has it read from the disk when it is read again.
    func finish() throws(JournalError) {
        try file.sync()
        posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }
}

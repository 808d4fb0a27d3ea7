import CLinux
import Events
import Glibc

/// A data directory, held by this process alone:
///
///     lock            flock; the holder's pid in decimal
///     ring            what is staged
///     journal/        data.mdb, lock.mdb: the log
///     journal.new/    a first journal until it is whole
///     checkpoints/    <seq>.book
///     personal        what the log has only commitments of
struct DataDirectory: ~Copyable {
    let path: String
    var ring: String { path + "/ring" }
    var journal: String { path + "/journal" }
    var journalData: String { path + "/journal/data.mdb" }
    var checkpoints: String { path + "/checkpoints" }
    var personal: String { path + "/" + PersonalFile.name }
    let disk: Disk
    private let lock: File

    /// Creates what is missing and takes the lock, which lasts until this value ends.
    init(_ path: String, disk: Disk = Disk()) throws(JournalError) {
        let isNew = try DataDirectory.make(path)
        let lock = try DataDirectory.lock(path + "/lock")
        if try DataDirectory.make(path + "/checkpoints") { try disk.syncDirectory(path) }
        if isNew { try disk.syncDirectory(path + "/..") }
        self.path = path
        self.disk = disk
        self.lock = lock
    }

    /// Whether there is neither a journal nor anything that only a journal leaves behind.
    ///
    /// LMDB takes an empty data.mdb for a new one, so a log cut to nothing would quietly begin again
    /// from seq 1; what else lies in the directory tells the two apart.
    func isUntouched() throws(JournalError) -> Bool {
        if let size = fileSize(journalData), size > 0 { return false }
        let traces =
            fileSize(ring) != nil
            || directoryEntries(checkpoints).contains { $0.hasSuffix(".book") }
        guard traces else { return true }
        throw JournalError(
            .damaged,
            "\(journalData) is missing or empty although this directory has been in use: restore it "
                + "from a backup, or move \(path) away to begin a new ledger")
    }

    /// Makes a place for a first journal, which has no name before it is whole: what a first start
    /// leaves when the power fails is otherwise a journal that nobody can tell from a damaged one.
    func beginJournal() throws(JournalError) -> String {
        let place = path + "/journal.new"
        if try !DataDirectory.make(place) {
            for name in directoryEntries(place) { disk.remove(place + "/" + name) }
        }
        return place
    }
    /// Gives it its name, durably.
    func nameJournal() throws(JournalError) {
        let place = path + "/journal.new"
        try disk.syncDirectory(place)
        // Neither is more than what an emptied directory holds: see `isUntouched`.
        disk.remove(journalData)
        disk.remove(journal + "/lock.mdb")
        try disk.rename(place, to: journal)
        try disk.syncDirectory(path)
    }

    /// Lets another process have the directory.
    func unlock() { flock(lock.descriptor, LOCK_UN) }

    private static func make(_ path: String) throws(JournalError) -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        guard errno == EEXIST else { throw systemError("cannot create \(path)") }
        return false
    }

    private static func lock(_ path: String) throws(JournalError) -> File {
        let file = try File(opening: path, O_RDWR | O_CREAT)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw systemError("cannot lock \(path)") }
            throw JournalError(
                .busy,
                "\(path) is held by process \(pid(in: file)): another tollgate serves this directory; "
                    + "stop it, or name another directory")
        }
        var text = ByteBuffer()
        text.append(decimal: Int64(getpid()))
        text.append(UInt8(ascii: "\n"))
        try file.truncate(to: 0)
        try file.write(text.bytes, at: 0)
        return file
    }
    private static func pid(in file: borrowing File) -> String {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { buffer in
            let n = (try? file.read(into: buffer.baseAddress!, count: 32, at: 0)) ?? 0
            let digits = Bytes(buffer.baseAddress, count: n)
            guard let end = digits.firstIndex(of: 0x0A),
                let pid = digits.slice(0, end).unsignedDecimal
            else { return "(unknown)" }
            return String(pid)
        }
    }
}

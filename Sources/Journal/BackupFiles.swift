import CLinux
import Events
import Glibc

/// What backups and restores need of the filesystem. Every failure says which file and what to do.
package enum BackupFiles {
    package static let journal = "journal/data.mdb"
    /// Plain values behind the commitments that stand in the log in their place.
    package static let personal = "personal"
    package static let folders = ["journal", "checkpoints"]

    /// Whether a backup may hold a file of that name. Never the ring, whose events belong to the daemon
    /// that staged them, nor a signing key, which only one log may have.
    package static func isOurs(_ name: String) -> Bool {
        if name == journal || name == personal { return true }
        guard name.hasPrefix("checkpoints/"), name.hasSuffix(".book") else { return false }
        return UInt64(name.dropFirst(12).dropLast(5)) != nil
    }

    package static func exists(_ path: String) -> Bool { fileSize(path) != nil }
    package static func entries(_ path: String) -> [String] { directoryEntries(path) }

    package static func contents(_ path: String) throws(JournalError) -> ByteBuffer {
        let file = try File(opening: path, O_RDONLY)
        let count = try file.size()
        var buffer = ByteBuffer(capacity: max(count, 1))
        var failure: JournalError?
        _ = buffer.appendUninitialized(count) { target in
            do throws(JournalError) {
                return try file.read(into: target, count: count, at: 0)
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return buffer
    }
    /// Hands out a file, however long, from front to end.
    package static func read(_ path: String, _ body: (Bytes) -> Void) throws(JournalError) {
        let file = try File(opening: path, O_RDONLY)
        let size = try file.size()
        var piece = ByteBuffer(capacity: 1 << 20)
        for at in stride(from: 0, to: size, by: 1 << 20) {
            piece.removeAll()
            try file.read(into: &piece, count: min(1 << 20, size - at), at: at)
            body(piece.bytes)
        }
    }
    /// Writes a small file under its name at once and whole. `syncDirectory` makes the name durable.
    package static func write(_ bytes: Bytes, to path: String) throws(JournalError) {
        let temporary = path + ".tmp"
        var done = false
        defer { if !done { unlink(temporary) } }
        let file = try File(opening: temporary, O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(bytes, at: 0)
        try file.sync()
        try Disk().rename(temporary, to: path)
        done = true
    }
    /// Copies a file to a new one, durably but for its name; false when `watch` has ended it.
    ///
    /// - Parameter mayEnd: whether whoever writes it may cut something off its end meanwhile.
    package static func copy(
        _ source: String, to target: String, mayEnd: Bool = false, _ watch: (Bytes) -> Bool
    ) throws(JournalError) -> Bool {
        let from = try File(opening: source, O_RDONLY)
        let count = try from.size()
        let to = try SteadyFile(target, byteCount: count)
        guard try to.take(from, from: 0, to: count, mayEnd: mayEnd, watch) else { return false }
        try to.finish()
        return true
    }
    package static func syncDirectory(_ path: String) throws(JournalError) {
        try Disk().syncDirectory(path)
    }
    package static func makeDirectory(_ path: String) throws(JournalError) {
        guard mkdir(path, 0o700) == 0 else { throw systemError("cannot create \(path)") }
    }

    /// Gives what lies in a directory to the directory's owner, who is the daemon's user where root restores.
    package static func giveToOwner(of directory: String) throws(JournalError) {
        var owner = stat()
        guard stat(directory, &owner) == 0 else { throw systemError("cannot look at \(directory)") }
        guard geteuid() == 0, owner.st_uid != 0 else { return }
        var paths = [BackupMarker.path(in: directory), "\(directory)/\(personal)"]
        for folder in folders {
            paths.append("\(directory)/\(folder)")
            paths += directoryEntries("\(directory)/\(folder)").map {
                "\(directory)/\(folder)/\($0)"
            }
        }
        for path in paths where exists(path) {
            guard chown(path, owner.st_uid, owner.st_gid) == 0 else {
                throw systemError("cannot give \(path) to the owner of \(directory)")
            }
        }
    }

    /// Removes what a backup or a restore has written below a directory, and nothing else; with it the lock
    /// files that a start leaves which was refused there.
    ///
    /// Only while its `DirectoryLock` is held.
    package static func clear(_ directory: String) {
        for folder in folders {
            for name in directoryEntries("\(directory)/\(folder)") {
                let file = "\(folder)/\(name)"
                if isOurs(file) || file == lockFile { unlink("\(directory)/\(file)") }
            }
            rmdir("\(directory)/\(folder)")
        }
        for name in leftovers { unlink("\(directory)/\(name)") }
    }
    private static let lockFile = "journal/lock.mdb"
    private static let leftovers = [
        personal, BackupMarker.fileName, BackupMarker.fileName + ".tmp", "lock",
    ]
    /// Whether a directory holds nothing but what `clear` takes. A daemon's has a ring.
    static func holdsLeftoversOnly(_ directory: String) -> Bool {
        directoryEntries(directory).allSatisfy { folders.contains($0) || leftovers.contains($0) }
    }

    /// Refuses a target without a name, and one inside what is copied there.
    package static func check(
        target: String, outside source: String
    ) throws(JournalError) {
        guard !target.isEmpty else {
            throw JournalError(.usage, "the name of the target is empty: name a directory")
        }
        // What is not there yet will lie in its parent.
        guard let inner = realPath(target) ?? realPath(target.parentDirectory),
            let outer = realPath(source), inner == outer || inner.hasPrefix(outer + "/")
        else { return }
        throw JournalError(
            .usage, "\(target) lies inside \(source): name a directory that is not in it")
    }
    private static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// What is asked of the target's filesystem: enough room, and beside a daemon not its last.
    ///
    /// - Parameter keep: bytes that must stay free where the source lies.
    package static func checkRoom(
        for byteCount: Int, at target: String, beside source: String, keep: Int64
    ) throws(JournalError) {
        guard let free = Disk().freeBytes(at: target) else { return }
        let needed = Int64(byteCount)
        guard free >= needed else {
            throw JournalError(
                .io,
                "\(target) has room for \(free >> 20) MiB and needs \((needed >> 20) + 1): make room there, "
                    + "or name a place on another disk")
        }
        var (here, there) = (stat(), stat())
        guard stat(source, &here) == 0, stat(target, &there) == 0, here.st_dev == there.st_dev,
            free - needed < keep
        else { return }
        throw JournalError(
            .io,
            "that would leave \((free - needed) >> 20) MiB on the daemon's own disk, where "
                + "\(keep >> 20) must stay free for it to go on admitting: name a place on another "
                + "disk, where a backup belongs")
    }
}

/// A directory into which one process at a time copies, as long as this value lives.
package struct DirectoryLock: ~Copyable {
    private let file: File

    /// - Parameter holder: who else may hold it, for the message.
    package init(_ path: String, holder: String) throws(JournalError) {
        var info = stat()
        guard stat(path, &info) != 0 || info.st_mode & S_IFMT == S_IFDIR else {
            throw JournalError(.usage, "\(path) is no directory: name one, or a new name")
        }
        let file = try File(opening: path, O_RDONLY | O_DIRECTORY)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw systemError("cannot lock \(path)") }
            throw JournalError(.busy, "\(path) is in use: \(holder) is under way")
        }
        self.file = file
    }
}

/// A directory that stands under another name until it is whole.
package struct StagedDirectory: ~Copyable {
    /// Where it will stand.
    package let path: String
    /// Where it is made.
    package let place: String
    private let lock: DirectoryLock

    /// Makes `path.partial`, or empties the one that an earlier try left behind.
    package init(_ path: String) throws(JournalError) {
        var info = stat()
        // A link that leads nowhere is in the way, too.
        guard lstat(path, &info) != 0 else {
            throw JournalError(
                .usage,
                "\(path) is there already: name a directory that is not, such as one with a date")
        }
        let place = path + ".partial"
        if mkdir(place, 0o700) != 0, errno != EEXIST { throw systemError("cannot create \(place)") }
        let lock = try DirectoryLock(place, holder: "another backup to \(path)")
        // Looked at before anything is removed: it may be a daemon's by now.
        if BackupFiles.holdsLeftoversOnly(place) { BackupFiles.clear(place) }
        guard directoryEntries(place).isEmpty else {
            throw JournalError(
                .usage,
                "\(place) holds what no backup has left there: move it away, or name another place")
        }
        for folder in BackupFiles.folders { try BackupFiles.makeDirectory("\(place)/\(folder)") }
        self.path = path
        self.place = place
        self.lock = lock
    }
    /// Gives it its name, durably; everything in it is flushed.
    package func finish() throws(JournalError) {
        for folder in BackupFiles.folders {
            try BackupFiles.syncDirectory("\(place)/\(folder)")
        }
        try BackupFiles.syncDirectory(place)
        // Whoever has made the name meanwhile keeps it, unless it is an empty directory.
        try Disk().rename(place, to: path)
        try BackupFiles.syncDirectory(path + "/..")
    }
    /// Leaves nothing behind.
    package func abandon() {
        BackupFiles.clear(place)
        rmdir(place)
    }
}

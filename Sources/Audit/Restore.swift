import Events
import Glibc
import Journal

/// Makes a data directory of a backup. It is marked until `serve --from-backup` goes on from it, so that
/// nobody starts a second copy of a ledger that still runs.
package enum Restore {
    package struct Request {
        package var backup: String
        /// Empty, or not there yet.
        package var target: String

        package init(backup: String, target: String) {
            self.backup = backup
            self.target = target
        }
    }

    /// - Parameter notes: hears what is wrong with the backup though its log is whole.
    /// - Returns: the mark that stands in the directory now; nil when `watch` has ended it, and nothing is
    ///   left.
    package static func run(
        _ request: Request, notes: inout [String], _ watch: Backup.Watch
    ) throws(JournalError) -> BackupMarker? {
        try BackupFiles.check(target: request.target, outside: request.backup)
        guard var marker = try BackupMarker.read(in: request.backup) else {
            throw JournalError(
                .usage,
                "\(request.backup) has no \(BackupMarker.fileName), so it is no backup that came to its end: "
                    + "name a directory that 'tollgate backup' has made")
        }
        guard marker.stage == .backup else {
            throw JournalError(
                .usage,
                marker.stage == .copying
                    ? "\(request.backup) is a backup that did not come to its end: name one that has"
                    : "\(request.backup) was itself restored from a backup: name the backup, or move that "
                        + "directory to where it is needed")
        }
        let target = try Target(request.target)
        var isDone = false
        defer { if !isDone { target.abandon() } }
        // First and last: what lies between two marks is not whole.
        marker.stage = .restoring
        try marker.write(in: request.target)
        for folder in BackupFiles.folders {
            try BackupFiles.makeDirectory("\(request.target)/\(folder)")
        }
        let whole = marker.files.reduce(0) { $0 + $1.byteCount }
        try BackupFiles.checkRoom(
            for: whole, at: request.target, beside: request.target, keep: 0)
        var copied: [BackupMarker.File] = []
        var before = 0
        for file in marker.files {
            defer { before += file.byteCount }
            if file.isCheckpoint, let flaw = try file.flaw(in: request.backup) {
                notes.append(
                    "\(flaw): it is left out, and the first start folds the log without it")
                continue
            }
            if let loss = try file.loss(in: request.backup) {
                notes.append(loss)
                continue
            }
            guard let taken = try copy(file, request, { watch(.copying, before + $0, whole) })
            else { return nil }
            if taken != file { notes.append(try explain(file, in: request.backup)) }
            copied.append(taken)
        }
        marker.files = copied
        guard let copy = try CheckedCopy(of: request.target, { watch(.verifying, $0, $1) }) else {
            return nil
        }
        try marker.compare(with: copy, of: request.backup)
        for folder in BackupFiles.folders {
            try BackupFiles.syncDirectory("\(request.target)/\(folder)")
        }
        marker.stage = .restored
        try marker.write(in: request.target)
        try BackupFiles.giveToOwner(of: request.target)
        if target.isNew { try BackupFiles.syncDirectory(request.target + "/..") }
        isDone = true
        return marker
    }

    /// - Returns: what was copied; nil when `watch` has ended it.
    private static func copy(
        _ file: BackupMarker.File, _ request: Request, _ watch: (Int) -> Bool
    ) throws(JournalError) -> BackupMarker.File? {
        var hash = FileHash()
        let isCopied = try BackupFiles.copy(
            "\(request.backup)/\(file.name)", to: "\(request.target)/\(file.name)"
        ) { bytes in
            hash.add(bytes)
            return watch(hash.count)
        }
        return isCopied ? hash.file(file.name) : nil
    }
    /// What it means that a file is not what was backed up. It may be the only copy there is, so a log that
    /// reads whole, to the root of its tree, is taken in spite of it.
    private static func explain(
        _ file: BackupMarker.File, in backup: String
    ) throws(JournalError) -> String {
        let changed = file.changed(in: backup)
        guard file.name == BackupFiles.journal else {
            return "\(changed): the first start wipes what cannot be read of it"
        }
        do throws(JournalError) {
            _ = try CheckedCopy(of: backup) { _, _ in true }
        } catch {
            throw JournalError(error.kind, "\(changed): \(error.message)")
        }
        return
            "\(changed), though every event, every name and the tree in it are whole: check the disk it "
            + "lies on (dmesg, smartctl)"
    }
}

/// What is restored into; nobody else restores there meanwhile.
private struct Target: ~Copyable {
    let path: String
    /// Whether it was not there.
    let isNew: Bool
    private let lock: DirectoryLock

    init(_ path: String) throws(JournalError) {
        let isNew = !BackupFiles.exists(path)
        if isNew { try BackupFiles.makeDirectory(path) }
        let lock = try DirectoryLock(path, holder: "another restore")
        // What a restore left behind that was ended in the middle may be begun anew.
        if try BackupMarker.read(in: path)?.stage == .restoring { BackupFiles.clear(path) }
        // A fresh ext4 has one.
        guard BackupFiles.entries(path).allSatisfy({ $0 == "lost+found" }) else {
            throw JournalError(
                .usage, "\(path) is not empty: name a directory that is, or that is not there yet"
            )
        }
        self.path = path
        self.isNew = isNew
        self.lock = lock
    }
    /// Leaves nothing behind.
    func abandon() {
        BackupFiles.clear(path)
        if isNew { rmdir(path) }
    }
}

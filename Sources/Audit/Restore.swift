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

    /// - Returns: the mark that stands in the directory now; nil when `watch` has ended it, and nothing is
    ///   left.
    package static func run(
        _ request: Request, _ watch: Backup.Watch
    ) throws(JournalError) -> BackupMarker? {
        guard var marker = try BackupMarker.read(in: request.backup) else {
            throw JournalError(
                .usage,
                "\(request.backup) has no \(BackupMarker.fileName), so it is no backup that came to its end: "
                    + "name a directory that 'tollgate backup' has made")
        }
        guard marker.stage == .backup else {
            throw JournalError(
                .usage,
                "\(request.backup) was itself restored from a backup: name the backup, or move that directory "
                    + "to where it is needed")
        }
        let isNew = try prepare(request.target)
        var isDone = false
        defer {
            if !isDone {
                BackupFiles.clear(request.target)
                if isNew { rmdir(request.target) }
            }
        }
        // First and last: what lies between two marks is not whole.
        marker.stage = .restoring
        try marker.write(in: request.target)
        for folder in BackupFiles.folders {
            try BackupFiles.makeDirectory("\(request.target)/\(folder)")
        }
        let whole = marker.files.reduce(0) { $0 + $1.byteCount }
        try BackupFiles.checkRoom(
            for: whole, at: request.target, beside: request.target, keep: 0)
        var before = 0
        for file in marker.files {
            let isCopied = try copy(file, request) { watch(.copying, before + $0, whole) }
            guard isCopied else { return nil }
            before += file.byteCount
        }
        guard let copy = try CheckedCopy(of: request.target, { watch(.verifying, $0, $1) }) else {
            return nil
        }
        try compare(copy, marker, request)
        for folder in BackupFiles.folders {
            try BackupFiles.syncDirectory("\(request.target)/\(folder)")
        }
        marker.stage = .restored
        try marker.write(in: request.target)
        try BackupFiles.giveToOwner(of: request.target)
        if isNew { try BackupFiles.syncDirectory(request.target + "/..") }
        isDone = true
        return marker
    }

    /// True when the directory was not there.
    private static func prepare(_ target: String) throws(JournalError) -> Bool {
        guard BackupFiles.exists(target) else {
            try BackupFiles.makeDirectory(target)
            return true
        }
        // What a restore left behind that was ended in the middle may be begun anew.
        if try BackupMarker.read(in: target)?.stage == .restoring { BackupFiles.clear(target) }
        // A fresh ext4 has one.
        guard BackupFiles.entries(target).allSatisfy({ $0 == "lost+found" }) else {
            throw JournalError(
                .usage, "\(target) is not empty: name a directory that is, or that is not there yet"
            )
        }
        return false
    }

    private static func copy(
        _ file: BackupMarker.File, _ request: Request, _ watch: (Int) -> Bool
    ) throws(JournalError) -> Bool {
        let source = "\(request.backup)/\(file.name)"
        var hash = FileHash()
        let isCopied = try BackupFiles.copy(source, to: "\(request.target)/\(file.name)") { bytes in
            hash.add(bytes)
            return watch(hash.count)
        }
        guard isCopied else { return false }
        guard hash.file(file.name) == file else {
            throw JournalError(
                .damaged, "\(source) is not what was backed up\(flaw(request.backup))")
        }
        return true
    }
    /// What is wrong where, if that can be told.
    private static func flaw(_ backup: String) -> String {
        do throws(JournalError) {
            _ = try CheckedCopy(of: backup) { _, _ in true }
        } catch {
            return ": \(error.message)"
        }
        return
            ", though nothing in it contradicts itself: somebody has changed it. Take another backup"
    }
    private static func compare(
        _ copy: CheckedCopy, _ marker: BackupMarker, _ request: Request
    ) throws(JournalError) {
        let inspection = copy.inspection
        for (what, found, said) in [
            ("ledger", inspection.ledgerID.description, marker.ledger),
            ("last event", String(inspection.lastSeq), String(marker.seq)),
            ("epoch", String(inspection.lastEpoch), String(marker.epoch)),
            ("tree's root", copy.root, marker.root),
        ] where found != said {
            throw JournalError(
                .damaged,
                "\(request.backup) contradicts itself: its \(what) is \(found), and its "
                    + "\(BackupMarker.fileName) says \(said). Take another backup")
        }
    }
}

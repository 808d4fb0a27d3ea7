import Audit
import CLinux
import Events
import Foundation
import Glibc
import Journal

/// What lies in the data directory.
extension Examination {
    /// - Parameter reads: whether the whole journal is read.
    mutating func lookAtDirectory(reads: Bool) {
        var info = stat()
        guard stat(directory, &info) == 0 else {
            let code = errno
            return fail(
                "data directory", "\(directory): \(String(cString: strerror(code)))",
                fix: code == ENOENT
                    ? "say --data with the daemon's directory; 'tollgate serve' makes a new one"
                    : "run the doctor as root or as the daemon's user")
        }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            return fail(
                "data directory", "\(directory) is no directory",
                fix: "say --data with the daemon's directory")
        }
        // Whoever cannot look inside must not report that nothing is there.
        guard access(directory, R_OK | X_OK) == 0 else {
            let code = errno
            return fail(
                "data directory",
                "\(directory), owner \(Self.name(info.st_uid)): \(String(cString: strerror(code))); "
                    + "nothing in it was looked at",
                fix: "run the doctor as root or as the daemon's user")
        }
        isInside = true
        lookAtRights(info)
        lookAtFileSystem()
        lookAtBackup(reads: reads)
        lookAtLock()
        lookAtFiles(reads: reads)
    }

    private mutating func lookAtRights(_ info: stat) {
        let mode = String(info.st_mode & 0o7777, radix: 8)
        if info.st_mode & 0o022 != 0 {
            fail(
                "data directory", "\(directory) has mode \(mode): others may write into it",
                fix: "chmod 700 \(directory)")
        } else if info.st_mode & 0o077 != 0 {
            warn(
                "data directory", "\(directory) has mode \(mode): others may look into it",
                fix: "chmod 700 \(directory)")
        } else {
            ok("data directory", "\(directory), mode \(mode), owner \(Self.name(info.st_uid))")
        }
        // One `sudo tollgate serve` leaves files behind that the daemon's user cannot write.
        for file in ["lock", "ring", "journal", "journal/data.mdb", "journal/lock.mdb"] {
            var inside = stat()
            guard stat("\(directory)/\(file)", &inside) == 0, inside.st_uid != info.st_uid else {
                continue
            }
            fail(
                "owner",
                "\(file) belongs to \(Self.name(inside.st_uid)) and its directory to "
                    + Self.name(info.st_uid),
                fix: "chown -R \(Self.name(info.st_uid)) \(directory)")
            break
        }
    }
    private static func name(_ uid: uid_t) -> String {
        getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? "uid \(uid)"
    }

    private mutating func lookAtFileSystem() {
        guard let kind = Self.fileSystem(of: directory) else {
            return warn(
                "filesystem", "of an unknown kind",
                fix: "keep the data directory on a local ext4 or xfs")
        }
        switch kind {
        case "nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs":
            fail(
                "filesystem", "\(kind): LMDB's locks and maps do not work over a network",
                fix: "move the data directory to a local ext4 or xfs")
        case "tmpfs", "ramfs":
            warn(
                "filesystem", "\(kind): nothing outlives a restart of the machine",
                fix: "move the data directory to a disk, unless this is a trial")
        case "overlay", "aufs", "9p", "virtiofs", "fuse", "fuseblk", "fuse.gcsfuse", "fuse.s3fs":
            warn(
                "filesystem", "\(kind): what fdatasync promises here is not known",
                fix: "mount a volume of the host (ext4, xfs) at the data directory")
        default: ok("filesystem", kind)
        }
    }
    /// The type of the filesystem that a path is on: of the longest mount point above it.
    static func fileSystem(of path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        let place = String(cString: real)
        guard let mounts = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        else { return nil }
        var best: (point: String, kind: String)?
        for line in mounts.split(separator: "\n") {
            let halves = line.components(separatedBy: " - ")
            let fields = halves[0].split(separator: " ")
            guard halves.count == 2, fields.count > 4,
                let kind = halves[1].split(separator: " ").first
            else { continue }
            let point = fields[4].replacingOccurrences(of: "\\040", with: " ")
            let isAbove = point == "/" || place == point || place.hasPrefix(point + "/")
            // Of two at one point the later one covers the earlier.
            if isAbove, point.count >= best?.point.count ?? 0 { best = (point, String(kind)) }
        }
        return best?.kind
    }

    private mutating func lookAtLock() {
        let path = directory + "/lock"
        var info = stat()
        guard stat(path, &info) == 0 else {
            guard !isBackup else { return }
            return ok("lock", "no daemon has ever held this directory, or its lock was removed")
        }
        guard let holder = Self.holder(of: info.st_ino) else {
            return ok("lock", "free: no daemon runs on this directory")
        }
        daemon = holder
        ok("lock", "held by process \(holder): a daemon runs on this directory")
    }
    /// Whether a daemon serves a directory; true when that cannot be known.
    static func isServed(_ directory: String) -> Bool {
        var info = stat()
        guard stat(directory + "/lock", &info) == 0 else { return false }
        return access("/proc/locks", R_OK) != 0 || holder(of: info.st_ino) != nil
    }
    /// Who holds an exclusive flock on the file; nil when nobody does. The kernel's list is asked, for to
    /// try the lock could make a daemon fail that starts in this moment.
    private static func holder(of inode: ino_t) -> Int32? {
        let locks = (try? String(contentsOfFile: "/proc/locks", encoding: .utf8)) ?? ""
        for line in locks.split(separator: "\n") {
            // 1: FLOCK  ADVISORY  WRITE 4242 fe:00:1234567 0 EOF
            let fields = line.split(separator: " ")
            guard fields.count > 5, fields[1] == "FLOCK", fields[3] == "WRITE",
                fields[5].split(separator: ":").last.map({ UInt64($0) }) == UInt64(inode)
            else { continue }
            return Int32(fields[4])
        }
        return nil
    }

    private mutating func lookAtBackup(reads: Bool) {
        let found: BackupMarker?
        do throws(JournalError) {
            found = try BackupMarker.read(in: directory)
        } catch {
            return fail(
                "backup", error.message, fix: "restore a backup into an empty directory")
        }
        guard let marker = found else { return }
        let what = "of ledger \(marker.ledger) up to seq \(marker.seq), taken \(marker.taken)"
        isBackup = [.copying, .backup].contains(marker.stage)
        switch marker.stage {
        case .copying:
            fail(
                "backup", "one \(what), that is under way or was ended in the middle",
                fix: "never serve it: say 'tollgate backup' again, which removes it")
        case .backup:
            warn(
                "backup", "this is one, \(what)",
                fix: "keep it as it is; 'tollgate restore' makes a directory of it that can serve")
            if reads { compare(with: marker) }
        case .restoring:
            fail(
                "backup", "a restore from one \(what), was ended in the middle",
                fix: "say 'tollgate restore' again")
        case .restored:
            warn(
                "backup", "restored from one \(what), and not served yet",
                fix:
                    "when the original has stopped for good, 'tollgate serve --data \(directory) "
                    + "--from-backup' goes on")
        }
    }
    private mutating func compare(with marker: BackupMarker) {
        do throws(JournalError) {
            for note in try Backup.check(directory, marker) {
                warn(
                    "backup", note,
                    fix:
                        "the log is whole, so 'tollgate restore' goes on in spite of it; take another backup "
                        + "and check the disk (dmesg, smartctl)")
            }
        } catch {
            fail(
                "backup", error.message,
                fix: "use another backup: 'tollgate restore' refuses this one")
        }
    }

    private mutating func lookAtFiles(reads: Bool) {
        guard FileManager.default.fileExists(atPath: directory + "/journal/data.mdb") else {
            return ok("journal", "none yet: the first start makes it")
        }
        do throws(JournalError) {
            let inspection = try Inspection(directory: directory, everyPage: reads)
            lookAtClock(inspection)
            lookAtReaders(inspection)
            lookAtJournal(inspection, reads: reads)
            lookAtCheckpoints(inspection)
            lookAtRing(inspection)
        } catch {
            journalFails(error.message)
        }
    }
    /// A backup is at it for as long as it copies; one that was suspended keeps pages for ever.
    private mutating func lookAtReaders(_ inspection: Inspection) {
        for reader in inspection.otherReaders where reader.commits >= Self.readerCommitsMax {
            warn(
                "readers",
                "process \(reader.process) reads the journal as it was \(reader.commits) commits ago: until it "
                    + "ends, no page that was freed since is used again, and the file grows",
                fix:
                    "let it come to its end if it is at work ('ps \(reader.process)'); continue it (kill -CONT) or "
                    + "end it (kill) if it is suspended")
        }
    }
    private static let readerCommitsMax = 1_000
    private mutating func journalFails(_ message: String) {
        guard access(directory + "/journal/data.mdb", R_OK) == 0 else {
            return warn(
                "journal", message,
                fix: "run the doctor as root or as the daemon's user")
        }
        fail(
            "journal", message,
            fix: "stop the daemon, keep the directory as it is, and restore it from a backup")
    }
    private mutating func lookAtJournal(_ inspection: Inspection, reads: Bool) {
        if inspection.lostPages > 0 {
            warn(
                "pages", "\(inspection.lostPages) of the journal's are neither used nor free",
                fix:
                    "nothing is missing, so there is time: a copy by 'mdb_copy -c' while no daemon runs "
                    + "has none of them. Tell us, for LMDB should lose none")
        }
        guard reads else {
            return ok(
                "journal",
                "ends at seq \(inspection.lastSeq), epoch \(inspection.lastEpoch); not read")
        }
        let began = ContinuousClock.now
        let read: (names: UInt64, hasTree: Bool)
        do throws(AuditFailure) { read = try readJournal(inspection) } catch {
            return journalFails(error.message)
        }
        let took = ContinuousClock.now - began
        ok(
            "journal",
            "\(inspection.lastSeq) events and \(read.names) names are whole"
                + (read.hasTree ? ", and the tree is theirs" : "") + " (\(Self.text(took)))")
    }
    /// As 'tollgate audit verify' reads it, which says where a flaw is.
    private func readJournal(
        _ inspection: Inspection
    ) throws(AuditFailure) -> (names: UInt64, hasTree: Bool) {
        let log = DirectoryLog(inspection)
        var check = LogCheck(log)
        _ = try check.read(through: log.lastSeq, tick: { _ in true })
        do throws(JournalError) {
            let names = try inspection.checkNames()
            let isSame = try log.keepsTree(check.edge)
            guard isSame != false else {
                throw JournalError(
                    .damaged,
                    "the tree that is kept is not that of the events: 'tollgate audit verify --dir \(directory)' "
                        + "says where")
            }
            return (names, isSame != nil)
        } catch {
            throw AuditFailure(error)
        }
    }
    private mutating func lookAtCheckpoints(_ inspection: Inspection) {
        let found: [Inspection.CheckpointFinding]
        do throws(JournalError) {
            found = try inspection.checkpoints()
        } catch {
            return fail(
                "checkpoints", error.message,
                fix: "restore the data directory from a backup; the journal has lost events")
        }
        guard let newest = found.first else {
            return ok("checkpoints", "none: the next start folds \(inspection.lastSeq) events")
        }
        if let flaw = newest.flaw {
            warn(
                "checkpoints", "the newest, \(newest.seq).book, \(flaw)",
                fix: "none is needed: the next start sets it aside and folds from an older one, or "
                    + "from the beginning; check the disk (dmesg, smartctl)")
        } else {
            let behind = inspection.lastSeq - min(newest.seq, inspection.lastSeq)
            ok("checkpoints", "\(newest.seq).book is whole, \(behind) events behind the journal")
        }
    }
    private mutating func lookAtRing(_ inspection: Inspection) {
        let found: Inspection.RingFinding
        do throws(JournalError) {
            found = try inspection.ring()
        } catch {
            return fail(
                "ring", error.message,
                fix: "stop the daemon, keep the directory as it is, and restore it from a backup")
        }
        switch found {
        case .none: ok("ring", "none: the next start makes it")
        case .damaged(let flaw) where daemon == nil:
            fail(
                "ring", flaw,
                fix: "the next start keeps it aside and goes on without what stood only there; "
                    + "check the disk (dmesg, smartctl)")
        // A daemon stages and frees while we look: what does not fit may only be younger.
        case .damaged(let flaw): ok("ring", "in use by process \(daemon ?? 0) (\(flaw))")
        case .whole(let capacity, let waiting):
            let size = "\(capacity >> 20) MiB"
            if daemon != nil {
                ok("ring", "\(size), in use")
            } else if waiting == 0 {
                ok("ring", "\(size), nothing waits in it")
            } else {
                ok("ring", "\(size); the next start takes \(waiting) events from it")
            }
        }
    }
    private mutating func lookAtClock(_ inspection: Inspection) {
        let ahead =
            (inspection.lastTime.nanoseconds - Instant.wallClock.nanoseconds) / 1_000_000_000
        guard ahead >= 1 else {
            return ok("clock", "the last event is of \(inspection.lastTime.description)")
        }
        let text =
            "the last event, of \(inspection.lastTime.description), is \(ahead) s ahead of the clock: "
            + "until then no hold lapses and no window turns"
        let fix =
            "set the clock right (timedatectl); if it is right, it was wrong when that was logged"
        if ahead > 60 { fail("clock", text, fix: fix) } else { warn("clock", text, fix: fix) }
    }
    static func text(_ duration: Duration) -> String {
        let microseconds =
            duration.components.seconds * 1_000_000
            + duration.components.attoseconds / 1_000_000_000_000
        return switch microseconds {
        case ..<10_000: "\(microseconds) µs"
        case ..<10_000_000: "\(microseconds / 1_000) ms"
        default: "\(microseconds / 1_000_000) s"
        }
    }
}

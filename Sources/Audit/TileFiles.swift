import CLinux
import Events
import Glibc
import Journal

/// A directory of static files in the layout of c2sp.org/tlog-tiles:
///
///     checkpoint                    the signed note
///     tile/<level>/<number>         256 hashes; level 0 has the leaves
///     tile/entries/<number>         the 256 events below a tile of level 0, each behind its u16 length, big-endian
///     ….p/<width>                   one that is not full
///
/// A number is written in groups of three digits, all but the last behind an x: x001/x234/067.
struct TileFiles: ~Copyable {
    let root: String
    private let lock: Int32
    /// The folder that exists; most files go into the one that the last went into.
    private var folder = ""
    private var writes = 0

    /// Makes the directory, or takes up one that an earlier export has made.
    init(_ path: String) throws(AuditFailure) {
        var root = path
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        if mkdir(root, 0o755) != 0, errno != EEXIST { throw TileFiles.failure("create", root) }
        let lock = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard lock >= 0 else { throw TileFiles.failure("open", root) }
        let isOurs = TileFiles.isOurs(root)
        guard isOurs, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw isOurs
                ? AuditFailure(.tryAgain, "\(root) is in use: another export to it is under way")
                : AuditFailure(
                    .usage,
                    "\(root) holds something, and no tiles: name a new directory, or an empty one")
        }
        self.root = root
        self.lock = lock
    }
    deinit { close(lock) }

    /// Whether an export may write there: into one of ours, or where nothing is.
    private static func isOurs(_ root: String) -> Bool {
        guard access("\(root)/tile", F_OK) != 0 else { return true }
        return BackupFiles.entries(root).allSatisfy { ["lost+found", temporary].contains($0) }
    }

    /// - Parameter level: nil for a bundle of events.
    static func path(level: Int?, index: UInt64, width: Int) -> String {
        var digits = String(index)
        while digits.utf8.count % 3 != 0 { digits = "0" + digits }
        var path = "tile/" + (level.map(String.init) ?? "entries") + "/"
        for (i, digit) in digits.enumerated() {
            if i % 3 == 0 {
                if i > 0 { path += "/" }
                if i + 3 < digits.count { path += "x" }
            }
            path.append(digit)
        }
        return width == Int(TreeTile.width) ? path : path + ".p/\(width)"
    }

    /// Appends a file's bytes; false when there is no such file, or one longer than any of ours.
    func read(_ name: String, into buffer: inout ByteBuffer) throws(AuditFailure) -> Bool {
        let path = "\(root)/\(name)"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            guard errno == ENOENT else { throw TileFiles.failure("read", path) }
            return false
        }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_size <= TileFiles.bytesMax else { return false }
        var failed = false
        let size = Int(info.st_size)
        let count = buffer.appendUninitialized(size) { target in
            var done = 0
            while done < size {
                let n = Glibc.read(file, target + done, size - done)
                if n < 0, errno == EINTR { continue }
                failed = n < 0
                guard n > 0 else { break }
                done += n
            }
            return done
        }
        guard !failed else { throw TileFiles.failure("read", path) }
        return count == size
    }
    /// 256 of the longest events there are, and more than any tile.
    private static let bytesMax = 256 * 65_537

    /// Writes a file, which is there whole or not at all.
    mutating func write(_ bytes: Bytes, to name: String) throws(AuditFailure) {
        try makeFolder(of: name)
        try put(bytes, TileFiles.temporary, as: name)
        try rename(TileFiles.temporary, to: name)
    }
    /// Writes a file that is there only once it is published.
    mutating func prepare(_ bytes: Bytes, of name: String) throws(AuditFailure) {
        try put(bytes, name + TileFiles.prepared, as: name)
    }
    /// Replaces files that tell of each other, in this order. Whatever was written is on the disk before the
    /// first of them gets its name, so that nothing but a kill comes between two.
    func publish(_ names: String...) throws(AuditFailure) {
        try flush()
        for name in names { try rename(name + TileFiles.prepared, to: name) }
        try flush()
    }
    private mutating func put(
        _ bytes: Bytes, _ temporary: String, as name: String
    ) throws(AuditFailure) {
        let temporary = "\(root)/\(temporary)"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw TileFiles.failure("write", temporary) }
        var done = 0
        while done < bytes.count {
            let n = Glibc.write(file, bytes.base! + done, bytes.count - done)
            if n < 0, errno == EINTR { continue }
            guard n > 0 else {
                let failure = TileFiles.failure("write", "\(root)/\(name)")
                close(file)
                unlink(temporary)
                throw failure
            }
            done += n
        }
        guard close(file) == 0 else { throw TileFiles.failure("write", "\(root)/\(name)") }
        writes += 1
    }
    private func rename(_ temporary: String, to name: String) throws(AuditFailure) {
        guard Glibc.rename("\(root)/\(temporary)", "\(root)/\(name)") == 0 else {
            throw TileFiles.failure("write", "\(root)/\(name)")
        }
    }
    private static let prepared = ".new"
    private static let temporary = "tile.tmp"

    private mutating func makeFolder(of name: String) throws(AuditFailure) {
        let parts = name.split(separator: "/").dropLast()
        let wanted = parts.joined(separator: "/")
        guard wanted != folder else { return }
        var path = root
        for part in parts {
            path += "/" + part
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
                throw TileFiles.failure("create", path)
            }
        }
        folder = wanted
    }
    var fileCount: Int { writes }

    /// Puts on the disk what was written until now: one flush for any number of files.
    func flush() throws(AuditFailure) {
        guard tg_sync_filesystem(lock) == 0 else { throw TileFiles.failure("flush", root) }
    }

    private static func failure(_ action: String, _ path: String) -> AuditFailure {
        let code = errno
        let remedy =
            switch code {
            case ENOSPC, EDQUOT:
                ": make room and run the same command again, which goes on from what is there"
            case EACCES, EPERM, EROFS: ": name a directory that can be written"
            case ENOENT: ": create its parent directory first"
            default: ""
            }
        return AuditFailure(
            .io, "cannot \(action) \(path): \(String(cString: strerror(code)))\(remedy)")
    }
}

extension TileFiles {
    /// Removes the partial files of every tile and bundle that is full in a log of `size` events, whoever left
    /// them: an export that was killed before it could knew of others than the next one does.
    mutating func removePartial(below size: UInt64) {
        for name in BackupFiles.entries("\(root)/tile") {
            guard let level = name == "entries" ? 0 : Int(name), (0..<8).contains(level) else {
                continue
            }
            let full = size >> UInt64(TreeTile.height * (level + 1))
            removePartial(in: "\(root)/tile/\(name)", 0, full: full)
        }
        folder = ""
    }
    /// - Parameters:
    ///   - group: the digits that the folder stands for.
    ///   - full: how many tiles of the level are.
    private func removePartial(in folder: String, _ group: UInt64, full: UInt64) {
        for name in BackupFiles.entries(folder) {
            let isGroup = name.hasPrefix("x")
            guard isGroup || name.hasSuffix(".p") else { continue }
            let digits = isGroup ? name.dropFirst() : name.dropLast(2)
            guard digits.utf8.count == 3, let number = UInt64(digits) else { continue }
            // A group is less than what is in it.
            let index = group * 1_000 + number
            guard index < full else { continue }
            let path = "\(folder)/\(name)"
            if isGroup {
                removePartial(in: path, index, full: full)
            } else {
                for width in BackupFiles.entries(path) where Int(width) != nil {
                    unlink("\(path)/\(width)")
                }
                rmdir(path)
            }
        }
    }
}

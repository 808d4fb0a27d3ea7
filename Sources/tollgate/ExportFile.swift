import Audit
import CLinux
import Events
import Glibc

/// Where an export goes.
///
/// A file is FILE.part until it is whole. FILE.part.note says of which job it is and how far it is on the
/// disk; what stands behind that, a torn row among it, is cut off when the export goes on.
final class ExportFile {
    let path: String?
    private let part: WholeWriter
    private var digest = FileDigest()
    private var noted = 0

    /// After how many bytes the note is written anew: what a killed export has to do again at most.
    private static let noteBytes = 64 << 20

    /// Writes to stdout, where nothing can be taken back.
    init() {
        path = nil
        part = WholeWriter(descriptor: STDOUT_FILENO, "stdout")
    }
    /// Begins a file.
    init(creating path: String, replaces: Bool) throws(CommandFailure) {
        try Self.check(path, replaces: replaces)
        self.path = path
        part = try WholeWriter(
            path + Self.partSuffix, O_RDWR | O_CREAT | (replaces ? 0 : O_EXCL))
        try part.lock()
        unlink(path + Self.noteSuffix)
        try part.cut(to: 0)
    }
    /// Goes on with a file, behind what its note says is whole.
    init(
        resuming path: String, _ note: ExportNote, _ progress: StepProgress
    ) throws(CommandFailure) {
        let mark = note.mark
        self.path = path
        part = try WholeWriter(path + Self.partSuffix, O_RDWR)
        try part.lock()
        try part.read(mark.bytes) { bytes in
            digest.add(bytes)
            progress.show(part.count)
        }
        // What is there will be signed, so it must be what was written.
        guard digest.value.hex == note.sha256 else {
            throw CommandFailure(
                .data,
                "\(path)\(Self.partSuffix) is not as it was left: the SHA-256 of its first \(mark.bytes) "
                    + "bytes is \(digest.value.hex), and its note says \(note.sha256); say --force instead "
                    + "of --resume, which begins anew")
        }
        try part.cut(to: mark.bytes)
        noted = mark.bytes
    }
    private static let partSuffix = ".part"
    private static let noteSuffix = ".part.note"
    static let manifestSuffix = ".manifest"

    /// The note of an unfinished export of that name; nil where there is none.
    static func note(of path: String) throws(CommandFailure) -> ExportNote? {
        guard access(path + partSuffix, F_OK) == 0 else { return nil }
        // Without its note, nobody knows how far it is either.
        let text = (try? InputFile.text(path + noteSuffix)) ?? ""
        do throws(AuditFailure) { return try ExportNote(parsing: text, path + noteSuffix) } catch {
            throw CommandFailure(error)
        }
    }

    var sha256: TreeHash { digest.value }
    var count: Int { part.count }

    /// Writes out and empties a buffer.
    func write(_ buffer: inout ByteBuffer) throws(CommandFailure) {
        try part.write(buffer.bytes)
        if path != nil { digest.add(buffer.bytes) }
        buffer.removeAll()
    }
    /// Notes how far the export is, when it has come far since the last time.
    func note(_ note: ExportNote) throws(CommandFailure) {
        if part.count - noted >= Self.noteBytes { try keep(note) }
    }
    func keep(_ note: ExportNote) throws(CommandFailure) {
        guard let path else { return }
        try part.flush()
        try WholeWriter.replace(path + Self.noteSuffix, with: note.text)
        noted = note.mark.bytes
    }
    /// Leaves an export that ends early as its note says; where there is no room for a new one, the last one
    /// holds.
    func leave(_ note: ExportNote) {
        guard path != nil else { return }
        // What is cut off may be the room that the note needs.
        try? part.cut(to: note.mark.bytes)
        try? keep(note)
    }
    /// Takes a file away of which nothing is written yet.
    func discard() {
        guard let path else { return }
        unlink(path + Self.partSuffix)
        unlink(path + Self.noteSuffix)
    }
    /// Writes the manifest and gives the file its name.
    func finish(manifest: String) throws(CommandFailure) {
        guard let path else { return }
        try part.flush()
        try WholeWriter.replace(path + Self.manifestSuffix, with: manifest)
        try part.rename(to: path)
        unlink(path + Self.noteSuffix)
        WholeWriter.flushDirectory(of: path)
    }

    private static func check(_ path: String, replaces: Bool) throws(CommandFailure) {
        // Its note and its manifest stand beside it, so behind a symlink nobody would find them.
        guard try OutputPlace.file(path) == path else {
            throw CommandFailure(.usage, "--out \(path) is a symbolic link: name the file itself")
        }
        guard !replaces else { return }
        // One that was killed at its very end has its manifest, and not yet its name.
        for there in [path, path + partSuffix, path + manifestSuffix]
        where access(there, F_OK) == 0 {
            throw CommandFailure(
                .cannotCreate,
                there == path + partSuffix
                    ? "\(there) is an export that did not come to its end: --resume goes on with it, "
                        + "--force begins anew"
                    : "\(there) is there already: say another --out, or --force")
        }
    }
}

/// Where something may be written that comes in the place of what was there.
enum OutputPlace {
    /// The file that a path names, through symbolic links: its name is given to another file then, so it must
    /// be no device, pipe or directory, and root would replace even those.
    static func file(_ path: String) throws(CommandFailure) -> String {
        var status = stat()
        guard lstat(path, &status) == 0 else { return path }
        // What stands there leads to what the process has open, whatever that is.
        let isOpen = path.hasPrefix("/dev/") || path.hasPrefix("/proc/")
        guard status.st_mode & S_IFMT == S_IFLNK, !isOpen else {
            guard status.st_mode & S_IFMT == S_IFREG, !isOpen else { throw noFile(path) }
            return path
        }
        guard let found = realpath(path, nil) else {
            guard errno == ENOENT else { throw noFile(path) }
            throw CommandFailure(
                .cannotCreate,
                "--out \(path) is a symbolic link to nothing: name the file itself, or remove the link"
            )
        }
        defer { free(found) }
        let real = String(cString: found)
        guard stat(real, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw noFile(path)
        }
        return real
    }
    private static func noFile(_ path: String) -> CommandFailure {
        CommandFailure(
            .usage,
            "--out \(path) is no ordinary file: leave out --out and redirect the output instead")
    }
}

/// A file that is written from front to end; every failure says which and what to do.
final class WholeWriter {
    private let descriptor: Int32
    private let name: String
    private(set) var count = 0

    /// Takes over a descriptor that somebody else closes.
    init(descriptor: Int32, _ name: String) {
        self.descriptor = descriptor
        self.name = name
    }
    init(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(CommandFailure) {
        name = path
        descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Self.failure("cannot create", path, .cannotCreate) }
    }
    deinit { if descriptor > STDERR_FILENO { close(descriptor) } }

    func lock() throws(CommandFailure) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw CommandFailure(
                .tryAgain, "another export is writing \(name): wait for it, or say another --out")
        }
    }
    func write(_ bytes: Bytes) throws(CommandFailure) {
        var sent = 0
        while sent < bytes.count {
            let n = Glibc.write(descriptor, bytes.base! + sent, bytes.count - sent)
            if n >= 0 { sent += n } else if errno != EINTR { throw Self.failure("writing", name) }
        }
        count += bytes.count
    }
    func cut(to bytes: Int) throws(CommandFailure) {
        guard ftruncate(descriptor, off_t(bytes)) == 0,
            lseek(descriptor, off_t(bytes), SEEK_SET) == off_t(bytes)
        else { throw Self.failure("cutting", name) }
        count = bytes
    }
    func flush() throws(CommandFailure) {
        guard fsync(descriptor) == 0 else { throw Self.failure("flushing", name) }
    }
    /// Hands out the first bytes, piece by piece.
    func read(_ bytes: Int, _ body: (Bytes) -> Void) throws(CommandFailure) {
        var piece = ByteBuffer(capacity: 1 << 20)
        count = 0
        while count < bytes {
            piece.removeAll()
            let n = piece.appendUninitialized(min(bytes - count, 1 << 20)) {
                pread(descriptor, $0, min(bytes - count, 1 << 20), off_t(count))
            }
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw Self.failure("reading", name) }
            guard n > 0 else {
                throw CommandFailure(
                    .data,
                    "\(name) is shorter than its note says, so somebody has cut it: say --force instead of "
                        + "--resume, which begins anew")
            }
            count += n
            body(piece.bytes)
        }
    }
    func rename(to path: String) throws(CommandFailure) {
        guard Glibc.rename(name, path) == 0 else { throw Self.failure("naming", path) }
    }

    /// Writes a small file whole, in the place of what it was.
    static func replace(
        _ path: String, with text: String, mode: mode_t = 0o600
    ) throws(CommandFailure) {
        let fresh = try WholeWriter(
            path + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
        do throws(CommandFailure) {
            try text.withBytes { (bytes) throws(CommandFailure) in try fresh.write(bytes) }
            try fresh.flush()
            try fresh.rename(to: path)
        } catch {
            unlink(path + ".new")
            throw error
        }
    }
    static func flushDirectory(of path: String) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
    private static func failure(
        _ what: String, _ name: String, _ status: ExitStatus = .io
    ) -> CommandFailure {
        let code = errno
        let remedy =
            switch code {
            case ENOSPC, EDQUOT, EFBIG: "; the export is not whole: make room first"
            case ENOENT: "; create its directory first"
            default: ""
            }
        return CommandFailure(
            status, "\(what) \(name): \(String(cString: strerror(code)))\(remedy)")
    }
}

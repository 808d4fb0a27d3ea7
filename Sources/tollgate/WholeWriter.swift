import CLinux
import Events
import Glibc

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
    /// Waits for its turn; where the filesystem has no locks there are no turns.
    func wait() {
        while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
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
    static func directory(of path: String) -> String {
        let slash = path.lastIndex(of: "/")
        return slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }
    static func flushDirectory(of path: String) {
        let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
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

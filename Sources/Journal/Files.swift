import CLinux
import Events
import Glibc

/// An open file, closed when it goes out of scope; every failure says which file and what to do.
struct File: ~Copyable {
    let descriptor: Int32
    let path: String

    init(opening path: String, _ flags: Int32, mode: mode_t = 0o600) throws(JournalError) {
        let descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw systemError("cannot open \(path)") }
        self.descriptor = descriptor
        self.path = path
    }
    deinit { close(descriptor) }

    func size() throws(JournalError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw systemError("cannot look at \(path)") }
        return Int(status.st_size)
    }
    /// Writes all of `bytes`.
    func write(_ bytes: Bytes, at offset: Int) throws(JournalError) {
        var done = 0
        while done < bytes.count {
            let n = pwrite(descriptor, bytes.base! + done, bytes.count - done, off_t(offset + done))
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw systemError("cannot write \(path)") }
            done += n
        }
    }
    /// Reads until `count` bytes are there or the file ends; returns how many there were.
    func read(into target: UnsafeMutableRawPointer, count: Int, at offset: Int) throws(JournalError)
        -> Int
    {
        var done = 0
        while done < count {
            let n = pread(descriptor, target + done, count - done, off_t(offset + done))
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw systemError("cannot read \(path)") }
            if n == 0 { break }
            done += n
        }
        return done
    }
    func truncate(to size: Int) throws(JournalError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw systemError("cannot resize \(path)")
        }
    }
    /// Takes the file's blocks from the disk now, so that a store into a mapping can never find it full.
    func allocate(_ size: Int) throws(JournalError) {
        let code = posix_fallocate(descriptor, 0, off_t(size))
        guard code == 0 else {
            throw systemError("cannot take \(size) bytes of disk for \(path)", code)
        }
    }
    func sync() throws(JournalError) {
        guard fsync(descriptor) == 0 else { throw systemError("cannot flush \(path)") }
    }
}

/// `what` and the reason of a failed system call, with the remedy where there is a plain one.
func systemError(_ what: String, _ code: Int32 = errno) -> JournalError {
    let reason = String(cString: strerror(code))
    let remedy =
        switch code {
        case EACCES, EPERM: "; give the daemon's user the right to it"
        case ENOSPC, EDQUOT: "; make room on its filesystem"
        case ENOENT: "; create its parent directory first"
        case EIO: "; check the disk (dmesg, smartctl)"
        case EMFILE, ENFILE: "; raise LimitNOFILE"
        default: ""
        }
    return JournalError(.io, "\(what): \(reason)\(remedy)")
}

/// Makes created and renamed names in a directory durable.
func syncDirectory(_ path: String) throws(JournalError) {
    try File(opening: path, O_RDONLY | O_DIRECTORY).sync()
}

/// Whether there is something of that name, and its size.
func fileSize(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
}

/// The names in a directory, sorted; empty when it cannot be read.
func directoryEntries(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
            String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Nanoseconds of a clock that only goes forward.
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}

/// Bytes of disk a process without privileges may still take; nil when the system does not say.
func freeDiskBytes(at path: String) -> Int64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return Int64(
        clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
            .partialValue)
}

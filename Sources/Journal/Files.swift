import CLinux
import Events
import Glibc

/// An open file, closed when it goes out of scope; every failure says which file and what to do.
struct File: ~Copyable {
    let descriptor: Int32
    let path: String
    private let rig: (any DiskRig)?

    init(
        opening path: String, _ flags: Int32, mode: mode_t = 0o600, rig: (any DiskRig)? = nil
    ) throws(JournalError) {
        self.rig = rig
        let creates = flags & O_CREAT != 0
        if creates, let code = rig?.before(.create, path).errno, code != 0 {
            throw systemError("cannot open \(path)", code)
        }
        let descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw systemError("cannot open \(path)", creating: creates) }
        self.descriptor = descriptor
        self.path = path
        if creates { rig?.after(.create, path) }
    }
    deinit { close(descriptor) }

    func size() throws(JournalError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw systemError("cannot look at \(path)") }
        return Int(status.st_size)
    }
    /// Writes all of `bytes`.
    func write(_ bytes: Bytes, at offset: Int) throws(JournalError) {
        let operation = DiskOperation.write(offset: offset, count: bytes.count)
        var most = bytes.count
        let verdict = rig?.before(operation, path) ?? .happens
        switch verdict {
        case .happens: break
        case .fails: most = 0
        case .tears(let count, _): most = min(count, most)
        }
        var done = 0
        while done < most {
            let n = pwrite(descriptor, bytes.base! + done, most - done, off_t(offset + done))
            if n < 0, errno == EINTR { continue }
            guard n > 0 else { throw systemError("cannot write \(path)") }
            done += n
        }
        if verdict.errno != 0 { throw systemError("cannot write \(path)", verdict.errno) }
        rig?.after(operation, path)
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
    /// Reads the same to the end of a buffer.
    @discardableResult
    func read(
        into buffer: inout ByteBuffer, count: Int, at offset: Int
    ) throws(JournalError) -> Int {
        var failure: JournalError?
        let read = buffer.appendUninitialized(count) { target in
            do throws(JournalError) {
                return try self.read(into: target, count: count, at: offset)
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return read
    }
    func truncate(to size: Int) throws(JournalError) {
        try ask(.truncate(size: size), "cannot resize \(path)")
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw systemError("cannot resize \(path)")
        }
        rig?.after(.truncate(size: size), path)
    }
    /// Takes the file's blocks from the disk now, so that a store into a mapping can never find it full.
    func allocate(_ size: Int) throws(JournalError) {
        let code = posix_fallocate(descriptor, 0, off_t(size))
        guard code == 0 else {
            throw systemError("cannot take \(size) bytes of disk for \(path)", code)
        }
    }
    func sync() throws(JournalError) {
        try ask(.sync, "cannot flush \(path)")
        guard fsync(descriptor) == 0 else { throw systemError("cannot flush \(path)") }
        rig?.after(.sync, path)
    }
    private func ask(_ operation: DiskOperation, _ what: String) throws(JournalError) {
        let code = rig?.before(operation, path).errno ?? 0
        if code != 0 { throw systemError(what, code) }
    }
}

/// `what` and the reason of a failed system call, with the remedy where there is a plain one.
///
/// - Parameter creating: whether what is missing must be the parent directory.
func systemError(
    _ what: String, _ code: Int32 = errno, creating: Bool = true
) -> JournalError {
    let reason = String(cString: strerror(code))
    let remedy =
        switch code {
        case EACCES, EPERM: "; give the daemon's user the right to it"
        case ENOSPC, EDQUOT: "; make room on its filesystem"
        case ENOENT where creating: "; create its parent directory first"
        case EIO: "; check the disk (dmesg, smartctl)"
        case EMFILE, ENFILE: "; raise LimitNOFILE"
        default: ""
        }
    return JournalError(.io, "\(what): \(reason)\(remedy)")
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

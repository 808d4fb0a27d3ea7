import CLinux
import Events
import Glibc

/// A small file of the data directory, readable by its owner alone, that is only ever replaced as a whole
/// and durably: after a crash it is what it was or what it was to become.
package struct WholeFile: Sendable {
    package let path: String
    private let disk: Disk

    package init(_ path: String, rig: (any DiskRig)? = nil) {
        self.path = path
        disk = Disk(rig: rig)
    }

    /// Nil when there is none.
    package func read(bytesMax: Int = 1 << 20) throws(JournalError) -> [UInt8]? {
        guard let size = fileSize(path) else { return nil }
        guard size <= bytesMax else {
            throw JournalError(
                .damaged, "\(path) is longer than \(bytesMax) bytes: it is none of ours")
        }
        let file = try disk.open(path, O_RDONLY)
        var bytes = ByteBuffer(capacity: size)
        try file.read(into: &bytes, count: size, at: 0)
        return Array(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
    }
    package func replace(with bytes: [UInt8]) throws(JournalError) {
        let temporary = path + ".tmp"
        var done = false
        defer { if !done { disk.remove(temporary) } }
        // What an earlier run left might be readable by others.
        if fileSize(temporary) != nil { disk.remove(temporary) }
        let file = try disk.open(temporary, O_WRONLY | O_CREAT | O_TRUNC)
        var copy = ByteBuffer(capacity: bytes.count)
        bytes.withUnsafeBytes { copy.append(Bytes($0)) }
        try file.write(copy.bytes, at: 0)
        try file.sync()
        try disk.rename(temporary, to: path)
        done = true
        try disk.syncDirectory(path.parentDirectory)
    }
    package func remove() { disk.remove(path) }
    /// Whether anybody but its owner may read or write it; false when there is none.
    package var isOpenToOthers: Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & 0o077 != 0
    }
}

extension String {
    /// The directory of a path.
    var parentDirectory: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }
}

import CLinux
import Glibc

/// Where something may be written that comes in the place of what was there.
enum OutputPlace {
    /// The file that a path names, through symbolic links: its name is given to another file then, so it must
    /// be no device, pipe or directory, and root would replace even those.
    static func file(_ path: String) throws(CommandFailure) -> String {
        var status = stat()
        guard lstat(path, &status) == 0 else { return path }
        // What stands there leads to what the process has open, whatever that is.
        let isOpen = ["/dev/fd/", "/dev/std", "/proc/"].contains { path.hasPrefix($0) }
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
    /// Waits until no other run replaces a file in that directory, and keeps others waiting as long as the
    /// returned writer lives. Where a filesystem has no such locks there is none.
    static func turn(at file: String) -> WholeWriter? {
        let writer = try? WholeWriter(WholeWriter.directory(of: file), O_RDONLY | O_DIRECTORY)
        writer?.wait()
        return writer
    }
    private static func noFile(_ path: String) -> CommandFailure {
        CommandFailure(
            .usage,
            "--out \(path) is no ordinary file: leave out --out and redirect the output instead")
    }
}

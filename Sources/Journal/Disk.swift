import CLinux
import Events
import Glibc

/// The disk under a journal, and the clock beside it. Cold calls only: what the gate does a turn goes
/// through the ring's mapping and never comes here.
struct Disk: Sendable {
    /// What a simulation lets go wrong; nil in a daemon.
    var rig: (any DiskRig)?

    func open(_ path: String, _ flags: Int32) throws(JournalError) -> File {
        try File(opening: path, flags, rig: rig)
    }
    func rename(_ from: String, to path: String) throws(JournalError) {
        let code = rig?.before(.rename(to: path), from).errno ?? 0
        guard code == 0 else { throw systemError("cannot rename \(from)", code) }
        guard Glibc.rename(from, path) == 0 else { throw systemError("cannot rename \(from)") }
        rig?.after(.rename(to: path), from)
    }
    /// Removes a file, if that can be done.
    func remove(_ path: String) {
        guard rig?.before(.remove, path).errno ?? 0 == 0 else { return }
        unlink(path)
        rig?.after(.remove, path)
    }
    /// Makes created and renamed names in a directory durable.
    func syncDirectory(_ path: String) throws(JournalError) {
        try open(path, O_RDONLY | O_DIRECTORY).sync()
    }
    /// Bytes a process without privileges may still take; nil when the system does not say.
    func freeBytes(at path: String) -> Int64? {
        if let rig { return rig.freeBytes }
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(
                by: UInt64(status.f_frsize)
            ).partialValue)
    }
    /// Nanoseconds of a clock that only goes forward.
    func monotonicNanoseconds() -> Int64 {
        if let rig { return rig.monotonicNanoseconds }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}

/// Stands between a journal and its disk: a simulation decides here what fails, tears or is the last
/// that a process did. It sees every change of a file and every commit, on the thread that makes it.
package protocol DiskRig: AnyObject, Sendable {
    /// Before the operation, which happens only if the verdict says so.
    func before(_ operation: DiskOperation, _ path: String) -> DiskVerdict
    /// After it has happened.
    func after(_ operation: DiskOperation, _ path: String)
    /// Before LMDB commits: nil lets it, otherwise what it answers and whether it happens all the same.
    func beforeCommit() -> CommitFault?
    /// After a commit has happened, whatever it will answer.
    func afterCommit()
    var freeBytes: Int64 { get }
    var monotonicNanoseconds: Int64 { get }
}

package enum DiskOperation: Sendable, Equatable {
    case create
    case write(offset: Int, count: Int)
    case truncate(size: Int)
    case sync
    case rename(to: String)
    case remove
}

package enum DiskVerdict: Sendable {
    case happens
    case fails(errno: Int32)
    /// A write gets that many bytes down and then fails.
    case tears(after: Int, errno: Int32)

    var errno: Int32 {
        switch self {
        case .happens: 0
        case .fails(let code), .tears(_, let code): code
        }
    }
}

/// What a commit answers instead of success.
package struct CommitFault: Sendable {
    package var code: Int32
    /// Whether the transaction is durable all the same: a failed meta write leaves that open.
    package var lands: Bool
    package init(code: Int32, lands: Bool) {
        self.code = code
        self.lands = lands
    }
}

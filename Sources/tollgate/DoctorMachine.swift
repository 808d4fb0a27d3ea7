import CLinux
import Events
import Foundation
import Glibc
import Journal

/// The machine under the daemon, and the daemon itself.
extension Examination {
    mutating func lookAtMachine() {
        if isInside {
            lookAtDiskSpace()
            lookAtSync()
        }
        lookAtLimits()
        lookAtKernel()
        ok("liblmdb", Journal.lmdbVersion)
    }

    private mutating func lookAtDiskSpace() {
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else { return }
        let free = Int64(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
        let text = "\(free >> 20) MiB are free, and reserves pause below \(pauseBelow >> 20) MiB"
        let fix = "make room on the filesystem of \(directory), or move it to a larger one"
        if free < pauseBelow {
            fail("disk space", text, fix: fix)
        } else if free < 4 * pauseBelow {
            warn("disk space", text, fix: fix)
        } else {
            ok("disk space", text)
        }
        if info.f_files > 0, info.f_favail < 100 {
            fail("inodes", "\(info.f_favail) are left: no checkpoint can be written", fix: fix)
        }
    }

    /// What an acknowledged settle costs: the time of an fdatasync in that directory.
    private mutating func lookAtSync() {
        let path = directory + "/doctor.\(getpid()).tmp"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            let reason = String(cString: strerror(errno))
            return warn(
                "fdatasync", "not measured: \(directory) cannot be written (\(reason))",
                fix: "run the doctor as root or as the daemon's user")
        }
        defer {
            close(file)
            unlink(path)
        }
        let page = [UInt8](repeating: 0x5A, count: 4_096)
        var times: [Duration] = []
        for i in 0..<24 {
            let began = ContinuousClock.now
            guard pwrite(file, page, page.count, off_t(i * page.count)) == page.count,
                fdatasync(file) == 0
            else {
                return fail(
                    "fdatasync", String(cString: strerror(errno)),
                    fix: "check the disk (dmesg, smartctl) and its free space")
            }
            times.append(ContinuousClock.now - began)
        }
        times.sort()
        let (median, worst) = (times[times.count / 2], times[times.count - 1])
        let text = "\(Self.text(median)), at worst \(Self.text(worst)), of 24 × 4 KiB"
        if median > .milliseconds(20) {
            warn(
                "fdatasync", text,
                fix:
                    "every settle waits for one: use a disk with a write cache that survives a power "
                    + "cut, and see who else writes (iostat -x)")
        } else {
            ok("fdatasync", text)
        }
    }

    /// The daemon's own limits where one runs; else ours, which it would inherit from the same place.
    private mutating func lookAtLimits() {
        let owner = daemon.map { "\($0)" } ?? "self"
        guard let text = try? String(contentsOfFile: "/proc/\(owner)/limits", encoding: .utf8)
        else { return }
        func hard(_ name: String) -> UInt64? {
            guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else {
                return nil
            }
            let values = line.dropFirst(name.count).split(separator: " ")
            guard values.count > 1 else { return nil }
            return values[1] == "unlimited" ? .max : UInt64(values[1])
        }
        func shown(_ value: UInt64) -> String { value == .max ? "unlimited" : "\(value)" }
        if let files = hard("Max open files") {
            // Beside the connections: journal, ring, lock, event descriptors, a checkpoint.
            if files < UInt64(connections) + 64 {
                warn(
                    "open files", "\(shown(files)) for up to \(connections) connections",
                    fix: "LimitNOFILE=65536 in the unit, ulimit -n, or a smaller --connections-max")
            } else {
                ok("open files", shown(files))
            }
        }
        if let space = hard("Max address space"), space != .max {
            fail(
                "address space", "limited to \(space) bytes; the journal's map is larger",
                fix: "remove LimitAS= or ulimit -v, or serve with a smaller --map-gib")
        }
    }

    private mutating func lookAtKernel() {
        func line(_ path: String) -> String? {
            (try? String(contentsOfFile: path, encoding: .utf8))?
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        if line("/proc/sys/vm/overcommit_memory") == "2" {
            warn(
                "overcommit", "vm.overcommit_memory is 2: memory may be refused while some is free",
                fix: "sysctl vm.overcommit_memory=0")
        } else {
            ok(
                "overcommit",
                "vm.overcommit_memory is \(line("/proc/sys/vm/overcommit_memory") ?? "?")")
        }
        if let pages = line("/sys/kernel/mm/transparent_hugepage/enabled") {
            if pages.contains("[always]") {
                warn(
                    "huge pages",
                    "transparent huge pages are always on: a decision may wait while "
                        + "the kernel makes one",
                    fix: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
            } else {
                ok("huge pages", "transparent huge pages: \(pages)")
            }
        }
        let swapped = daemon.flatMap { line("/proc/\($0)/status") }?
            .split(separator: "\n").first { $0.hasPrefix("VmSwap:") }?
            .split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
        if let swapped, swapped > 0 {
            warn(
                "swap",
                "\(swapped) KiB of the daemon are swapped out: each is a wait when it is needed",
                fix: "give the machine more memory, or MemorySwapMax=0 in the unit")
        } else {
            let total = line("/proc/meminfo")?.split(separator: "\n")
                .first { $0.hasPrefix("SwapTotal:") }?
                .split(whereSeparator: \.isWhitespace).dropFirst().first
            ok("swap", "\(total ?? "?") KiB, none of it the daemon's")
        }
    }

    mutating func lookAtDaemon() {
        switch Self.ping(socket) {
        case .answered(let times):
            ok(
                "socket",
                "\(socket) answers PING in \(Self.text(times[times.count / 2])), at worst "
                    + "\(Self.text(times[times.count - 1])) of \(times.count)")
        case .refused(let reason) where !isInside:
            warn(
                "socket", "\(socket): \(reason)",
                fix: "say --data or --socket with the daemon's; a user needs the right to connect")
        case .refused where isBackup: break
        case .refused(let reason) where daemon == nil:
            warn(
                "socket", "\(socket): \(reason); no daemon runs on this directory",
                fix: "start one: 'tollgate serve', or 'systemctl start tollgate'")
        case .refused(let reason):
            fail(
                "socket", "\(socket): \(reason), though a daemon runs",
                fix: "say --socket with the daemon's; a user needs the right to connect (its group)"
            )
        case .silent(let reason):
            fail(
                "socket", "\(socket): \(reason)",
                fix:
                    "kill -USR1 \(daemon.map { "\($0)" } ?? "the daemon") writes its state into the "
                    + "data directory; then look at its log and its disk")
        }
        lookAtUnits()
    }
    private enum Ping {
        case answered([Duration])
        case refused(String)
        case silent(String)
    }
    private static func ping(_ path: String) -> Ping {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return .refused("the path is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let peer = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard peer >= 0 else { return .refused(String(cString: strerror(errno))) }
        defer { close(peer) }
        var patience = timeval(tv_sec: 3, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(peer, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return .refused(String(cString: strerror(errno))) }
        var times: [Duration] = []
        var reply = [UInt8](repeating: 0, count: 256)
        for _ in 0..<50 {
            let began = ContinuousClock.now
            guard send(peer, "PING\r\n", 6, Int32(MSG_NOSIGNAL)) == 6 else {
                return .silent("it takes no request")
            }
            let count = recv(peer, &reply, reply.count, 0)
            guard count > 0 else {
                return .silent(count == 0 ? "it hangs up" : "no answer within 3 s")
            }
            // Who may not ask is answered all the same.
            guard reply[0] == UInt8(ascii: "+") || reply.starts(with: Array("-NOAUTH".utf8)) else {
                return .silent("what answers there is no Tollgate")
            }
            times.append(ContinuousClock.now - began)
        }
        return .answered(times.sorted())
    }

    private mutating func lookAtUnits() {
        guard FileManager.default.fileExists(atPath: "/run/systemd/system") else {
            return ok("systemd", "not the init system here; nothing of it is needed")
        }
        let places = ["/etc", "/usr/local/lib", "/usr/lib", "/lib"].map { $0 + "/systemd/system/" }
        let missing = ["tollgate.service", "tollgate.socket"].filter { unit in
            !places.contains { FileManager.default.fileExists(atPath: $0 + unit) }
        }
        if missing.isEmpty {
            ok("systemd", "tollgate.service and tollgate.socket are installed")
        } else {
            warn(
                "systemd",
                "\(missing.joined(separator: " and ")) not installed: nobody starts the "
                    + "daemon again",
                fix: "run deploy/install")
        }
    }
}

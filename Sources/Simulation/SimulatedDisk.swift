import CLinux
import Glibc
import Journal

/// The disk under a simulated daemon: real files in a scratch directory, and beside them what of
/// their content a power cut would leave.
///
/// The log is LMDB's and taken at its word: a commit is there or not there as a whole (how LMDB's
/// pages bear power cuts is tried on a real one elsewhere). Everything else may be old or new by
/// pages and sectors, from the last sync on. Unchecked: a simulation is one thread.
final class SimulatedDisk: DiskRig, @unchecked Sendable {
    typealias Image = [String: [UInt8]]

    unowned let world: World
    let directory: String
    /// Whether operations fail now, and with what.
    var failure: Int32 = 0
    var freeBytes: Int64 = 1 << 40
    var monotonicNanoseconds: Int64 { world.monotonic }

    /// What is surely on disk of the two mapped files and of the personal one, and whether the ring's name
    /// is.
    private var settled: Image = [:]
    private var ringIsNamed = false

    private final class Inode {
        var content: [UInt8] = []
        var isSynced = false
    }
    /// Of files that are written beside their place and then renamed: their directory as it is, as it surely
    /// is on disk, and the changes between the two.
    private final class Folder {
        /// Below the data directory, with its slash.
        let path: String
        var names: [String: Inode] = [:]
        var durableNames: [String: Inode] = [:]
        var pending: [(name: String, inode: Inode?)] = []

        init(_ path: String) { self.path = path }
        func change(_ name: String, _ inode: Inode?) {
            names[name] = inode
            pending.append((name, inode))
        }
        func sync() {
            durableNames = names
            pending = []
        }
    }
    private let checkpoints = Folder("checkpoints/")
    /// The key and what was signed with it, in the data directory itself.
    private let signed = Folder("")
    private var folders: [Folder] { [checkpoints, signed] }
    /// Crash after the commit that is going on, or at the next step after a torn write.
    private var diesAfterCommit = false
    private var diesNext = false

    init(world: World, directory: String) {
        self.world = world
        self.directory = directory
    }

    // MARK: The rig

    func before(_ operation: DiskOperation, _ path: String) -> DiskVerdict {
        dieIfTorn()
        if world.isDead { return .fails(errno: EIO) }
        if case .write(_, let count) = operation, world.isAboutToDie, world.random.chance(500) {
            diesNext = true
            noteTorn(path)
            return .tears(after: world.random.below(count), errno: EIO)
        }
        guard world.mayGoOn("\(word(operation)) \(name(path))") else { return .fails(errno: EIO) }
        if failure != 0, world.random.chance(700) {
            if case .write(_, let count) = operation, world.random.chance(500) {
                noteTorn(path)
                return .tears(after: world.random.below(count), errno: failure)
            }
            return .fails(errno: failure)
        }
        if case .remove = operation { keepContent(of: path) }
        return .happens
    }
    var personalBytes: Int {
        var status = stat()
        return stat(directory + "/personal", &status) == 0 ? Int(status.st_size) : 0
    }
    private func noteTorn(_ path: String) {
        if path == directory + "/personal" { world.checker.noteTornPersons() }
    }
    func after(_ operation: DiskOperation, _ path: String) {
        guard !world.isDead else { return }
        switch operation {
        case .sync:
            if path == directory {
                ringIsNamed = true
                signed.sync()
            }
            if path == directory + "/ring" { settled["ring"] = File.bytes(path) }
            if path == directory + "/personal" { settled["personal"] = File.bytes(path) }
            if path == directory + "/checkpoints" { checkpoints.sync() }
            if let inode = folder(of: path)?.names[name(path)] {
                inode.content = File.bytes(path) ?? []
                inode.isSynced = true
            }
        case .create: folder(of: path)?.change(name(path), Inode())
        case .rename(let target):
            if let folder = folder(of: path) {
                folder.change(name(target), folder.names[name(path)])
                folder.change(name(path), nil)
            }
        case .remove: folder(of: path)?.change(name(path), nil)
        case .write, .truncate: folder(of: path)?.names[name(path)]?.isSynced = false
        }
        _ = world.mayGoOn("after \(word(operation)) \(name(path))")
    }
    func beforeCommit() -> CommitFault? {
        if world.isDead { return CommitFault(code: EIO, lands: false) }
        if world.isAboutToDie, world.random.chance(500) {
            diesAfterCommit = true
            return nil
        }
        guard world.mayGoOn("commit") else { return CommitFault(code: EIO, lands: false) }
        world.duringCommit()
        if world.isDead { return CommitFault(code: EIO, lands: false) }
        guard failure != 0 else { return nil }
        // A commit that fails for want of space has not happened; any other may have.
        let lands = failure != ENOSPC && world.random.chance(300)
        world.story.tell("a commit fails\(lands ? " and lands" : "")")
        return CommitFault(code: failure, lands: lands)
    }
    func afterCommit() {
        guard !world.isDead else { return }
        if diesAfterCommit {
            diesAfterCommit = false
            world.die("after a commit landed")
        } else {
            _ = world.mayGoOn("after commit")
        }
    }

    /// A torn write is the last thing a process did, also when it asks nothing more of the disk.
    func dieIfTorn() {
        guard diesNext else { return }
        diesNext = false
        world.die("after a torn write")
    }

    // MARK: Time

    /// The system writes some pages of the mapped files back, as it does now and then.
    func writeBack() {
        for file in ["ring", "floods"] {
            guard let now = File.bytes(directory + "/" + file) else { continue }
            settled[file] = mixed(settled[file] ?? [], now, unit: 4_096) {
                world.random.chance(300)
            }
        }
    }

    // MARK: Crashes

    /// What the next process finds, by path below the directory.
    func crashImage(powerCut: Bool) -> Image {
        var image: Image = [:]
        image["journal/data.mdb"] = File.bytes(directory + "/journal/data.mdb")
        if !powerCut {
            for file in ["ring", "floods", "personal"] {
                image[file] = File.bytes(directory + "/" + file)
            }
            for folder in folders {
                for name in files(in: folder) {
                    image[folder.path + name] = File.bytes(directory + "/" + folder.path + name)
                }
            }
            return image
        }
        if ringIsNamed || world.random.chance(500) { image["ring"] = torn("ring") }
        if world.random.chance(800) { image["floods"] = torn("floods") }
        if settled["personal"] != nil { image["personal"] = torn("personal") }
        for folder in folders {
            for (name, content) in torn(folder) { image[folder.path + name] = content }
        }
        return image
    }
    /// Puts the image in the place of what there is.
    func restore(_ image: Image) {
        for part in ["", "/journal", "/checkpoints"] {
            for name in File.names(directory + part) { unlink(directory + part + "/" + name) }
        }
        for (path, content) in image.sorted(by: { $0.key < $1.key }) {
            File.write(directory + "/" + path, content)
        }
        settled = image
        ringIsNamed = image["ring"] != nil
        for folder in folders {
            folder.names = [:]
            for name in files(in: folder) {
                let inode = Inode()
                inode.content = image[folder.path + name] ?? []
                inode.isSynced = true
                folder.names[name] = inode
            }
            folder.sync()
        }
        diesNext = false
        diesAfterCommit = false
    }

    private func torn(_ file: String) -> [UInt8]? {
        guard let now = File.bytes(directory + "/" + file) else { return nil }
        let old = settled[file] ?? [UInt8](repeating: 0, count: now.count)
        switch world.random.below(5) {
        case 0: return old
        case 1: return now
        case 2: return mixed(old, now, unit: 512) { world.random.chance(500) }
        case 3:
            // Only one page made it, or only one did not.
            let lucky = world.random.chance(500)
            let which = world.random.below(max(now.count / 4_096, 1))
            var at = -1
            return mixed(old, now, unit: 4_096) {
                at += 1
                return (at == which) == lucky
            }
        default: return mixed(old, now, unit: 4_096) { world.random.chance(500) }
        }
    }
    private func mixed(
        _ old: [UInt8], _ new: [UInt8], unit: Int, takesNew: () -> Bool
    ) -> [UInt8] {
        var mixed = old
        if mixed.count < new.count {
            mixed.append(contentsOf: [UInt8](repeating: 0, count: new.count - mixed.count))
        }
        for start in stride(from: 0, to: new.count, by: unit) where takesNew() {
            let end = min(start + unit, new.count)
            mixed.replaceSubrange(start..<end, with: new[start..<end])
        }
        return mixed
    }
    /// The names that reached the disk are some first of those that were changed since the last sync.
    private func torn(_ folder: Folder) -> [(String, [UInt8])] {
        var there = folder.durableNames
        for change in folder.pending.prefix(world.random.below(folder.pending.count + 1)) {
            there[change.name] = change.inode
        }
        return there.sorted { $0.key < $1.key }.map { name, inode in
            if inode.isSynced { return (name, inode.content) }
            // Whatever name it has now.
            let now = folder.names.filter { $0.value === inode }.keys.sorted().first
            let content = now.flatMap { File.bytes(directory + "/" + folder.path + $0) } ?? []
            let length = world.random.below(content.count + 1)
            let part = Array(content.prefix(length))
            let zeros = [UInt8](repeating: 0, count: part.count)
            return (name, mixed(zeros, part, unit: 4_096) { world.random.chance(600) })
        }
    }

    private func keepContent(of path: String) {
        guard let inode = folder(of: path)?.names[name(path)], !inode.isSynced else { return }
        inode.content = File.bytes(path) ?? []
    }
    private func files(in folder: Folder) -> [String] {
        let path = directory + "/" + folder.path
        return File.names(path).filter { self.folder(of: path + $0) === folder }
    }
    private func folder(of path: String) -> Folder? {
        if path.hasPrefix(directory + "/checkpoints/") { return checkpoints }
        let isSigned = ["/signing.key", "/tree.signed"].contains {
            path == directory + $0 || path == directory + $0 + ".tmp"
        }
        return isSigned ? signed : nil
    }
    private func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }
    private func word(_ operation: DiskOperation) -> String {
        switch operation {
        case .create: "create"
        case .write: "write"
        case .truncate: "truncate"
        case .sync: "sync"
        case .rename: "rename"
        case .remove: "remove"
        }
    }
}

/// Whole files.
enum File {
    static func bytes(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return nil }
        let size = Int(status.st_size)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = size == 0 ? 0 : max(0, pread(file, buffer.baseAddress, size, 0))
        }
    }
    static func write(_ path: String, _ bytes: [UInt8]) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(file >= 0, "the scratch directory takes files: \(path)")
        defer { close(file) }
        let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        precondition(written == bytes.count, "the scratch directory is full")
    }
    static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_REG) else { continue }
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                    String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names.sorted()
    }
}

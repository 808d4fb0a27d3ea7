import Foundation
import Glibc

/// The files under a directory, replayed from a trace: what the page cache has of them, what the disk
/// surely has, and so every state in which a power cut can leave them.
///
/// Stricter than filesystems are: syncing a file does not make its name durable, only syncing its
/// directory does, and names may come in any order.
struct Disk {
    /// What a disk may say it did and did not do; to prove that the rig notices.
    enum Lie: String, CaseIterable {
        case none
        /// No sync is one.
        case syncs
        /// Writes that are to be durable when they return are like any others.
        case durableWrites = "durable-writes"
        /// Syncing a directory does nothing.
        case directories
    }

    private enum Node {
        case file(DiskFile)
        case directory(DiskDirectory)
    }
    private final class DiskDirectory {
        var cached: [String: Node] = [:]
        var durable: [String: Node] = [:]
        /// Changes that are not synced, each of one or two names at once.
        var pending: [[(name: String, node: Node?)]] = []
        let number: UInt64
        init(number: UInt64) { self.number = number }

        func change(_ names: [(name: String, node: Node?)]) {
            for (name, node) in names { cached[name] = node }
            pending.append(names)
        }
        func sync() {
            durable = cached
            pending = []
        }
        func entries(_ survival: Survival) -> [String: Node] {
            switch survival {
            case .nothing: return durable
            case .everything: return cached
            case .blocks(_, let chance):
                var entries = durable
                for (i, names) in pending.enumerated()
                where chance.keeps(name: i, of: pending.count, directory: number) {
                    for (name, node) in names { entries[name] = node }
                }
                return entries
            }
        }
    }

    private let rootPath: String
    private let lie: Lie
    private let root = DiskDirectory(number: 0)
    private var count: UInt64 = 0
    private var handles: [UInt32: Node] = [:]

    init(root: String, lie: Lie = .none) {
        rootPath = root
        self.lie = lie
    }

    // MARK: Replaying

    mutating func replay(_ record: Trace.Record, _ trace: borrowing Trace) throws {
        switch record.kind {
        case .process: handles = [:]
        case .open: try open(record, trace)
        case .write, .store: try file(record).write(trace, record.payload, at: record.offset)
        case .truncate: try file(record).truncate(to: record.size, trace)
        case .allocate: try file(record).allocate(record.offset, record.size, trace)
        case .zero: try file(record).zero(record.offset, record.size, trace)
        case .sync: try sync(record, trace)
        case .rename:
            let paths = trace.text(record).split(separator: "\0").map(String.init)
            let (from, old) = try place(paths[0])
            let (to, new) = try place(paths[1])
            guard from === to, let node = from.cached[old] else {
                throw RigFailure("\(paths) is no rename within a directory")
            }
            from.change([(old, nil), (new, node)])
        case .unlink:
            let (directory, name) = try place(trace.text(record))
            directory.change([(name, nil)])
        case .mkdir:
            let (directory, name) = try place(trace.text(record))
            count += 1
            directory.change([(name, .directory(DiskDirectory(number: count)))])
        case .accept, .sent, .received: break
        }
    }
    /// The second half of a write that is durable when it returns; between the two the power may fail.
    mutating func finish(_ record: Trace.Record) throws {
        guard record.kind == .write, record.isDurable else { return }
        let range = record.offset..<record.offset + record.payload.count
        if record.failed {
            try file(record).failSync(of: range)
        } else if lie == .none || lie == .directories {
            try file(record).syncPages(of: range)
        }
    }

    private mutating func open(_ record: Trace.Record, _ trace: borrowing Trace) throws {
        let path = trace.text(record)
        guard let names = names(path) else { throw RigFailure("\(path) lies outside") }
        if names.isEmpty {
            handles[record.handle] = .directory(root)
            return
        }
        let (directory, name) = try place(path)
        if directory.cached[name] == nil, record.creates {
            count += 1
            directory.change([(name, .file(DiskFile(number: count)))])
        }
        guard let node = directory.cached[name] else {
            throw RigFailure("\(path) was opened and never created: the recorder missed something")
        }
        if record.empties, case .file(let file) = node { file.truncate(to: 0, trace) }
        handles[record.handle] = node
    }
    private func sync(_ record: Trace.Record, _ trace: borrowing Trace) throws {
        switch handles[record.handle] {
        case .directory(let directory):
            if lie != .syncs, lie != .directories, !record.failed { directory.sync() }
        case .file(let file):
            if record.failed { return file.failSync() }
            if lie != .syncs { file.sync(trace) }
        case nil: throw RigFailure("a sync of handle \(record.handle), which was never opened")
        }
    }
    private func file(_ record: Trace.Record) throws -> DiskFile {
        guard case .file(let file) = handles[record.handle] else {
            throw RigFailure("a write to handle \(record.handle), which is no open file")
        }
        return file
    }
    /// The names below the root, `..` resolved.
    private func names(_ path: String) -> [String]? {
        guard path.hasPrefix(rootPath) else { return nil }
        var names: [String] = []
        for name in path.dropFirst(rootPath.count).split(separator: "/") where name != "." {
            if name == ".." {
                guard names.popLast() != nil else { return nil }
            } else {
                names.append(String(name))
            }
        }
        return names
    }
    private func place(_ path: String) throws -> (DiskDirectory, String) {
        guard var names = names(path), let last = names.popLast() else {
            throw RigFailure("\(path) lies outside")
        }
        var directory = root
        for name in names {
            guard case .directory(let next) = directory.cached[name] else {
                throw RigFailure("\(path): there is no directory \(name)")
            }
            directory = next
        }
        return (directory, last)
    }

    // MARK: After the cut

    /// Writes the files as the cut left them below `path`, which exists.
    func write(to path: String, _ survival: Survival, _ trace: borrowing Trace) throws {
        try Disk.write(root, to: path, survival, trace)
    }
    private static func write(
        _ directory: DiskDirectory, to path: String, _ survival: Survival, _ trace: borrowing Trace
    ) throws {
        for (name, node) in directory.entries(survival) {
            let below = path + "/" + name
            switch node {
            case .directory(let inner):
                guard Glibc.mkdir(below, 0o700) == 0 else {
                    throw RigFailure("cannot create \(below)")
                }
                try write(inner, to: below, survival, trace)
            case .file(let file):
                try file.image(survival, trace).withUnsafeBytes { try write($0, to: below) }
            }
        }
    }
    private static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw RigFailure("cannot create \(path)") }
        defer { close(file) }
        var done = 0
        while done < bytes.count {
            let n = Glibc.write(file, bytes.baseAddress! + done, bytes.count - done)
            guard n > 0 else { throw RigFailure("cannot write \(path)") }
            done += n
        }
    }

    /// Where the files below `path` are not what the trace says: a recorder that misses a call would
    /// prove nothing. Mapped files may have changed after the last record.
    func differences(from path: String, mapped: Set<String>) -> [String] {
        Disk.differences(root, path, mapped)
    }
    private static func differences(
        _ directory: DiskDirectory, _ path: String, _ mapped: Set<String>
    ) -> [String] {
        let manager = FileManager.default
        let there = Set((try? manager.contentsOfDirectory(atPath: path)) ?? [])
        let known = Set(directory.cached.keys)
        return there.symmetricDifference(known).map { "\(path)/\($0) is in one of the two only" }
            + directory.cached.flatMap { name, node -> [String] in
                let below = path + "/" + name
                switch node {
                case .directory(let inner): return differences(inner, below, mapped)
                case .file(let file):
                    if mapped.contains(name) { return [] }
                    let bytes = manager.contents(atPath: below).map { [UInt8]($0) }
                    return bytes == file.cached ? [] : ["\(below) has other contents"]
                }
            }
    }
}

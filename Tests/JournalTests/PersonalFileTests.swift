import CLinux
import Events
import Glibc
import Testing

@testable import Journal

@Suite struct `The file of personal texts` {
    private let ledger = LedgerID(high: 7, low: 9)
    private let scratch = Scratch()
    private var path: String { scratch.path + "/" + PersonalFile.name }

    private func open() throws -> (file: PersonalFile, notes: [String]) {
        var notes: [String] = []
        let file = try PersonalFile(path, ledger: ledger, disk: Disk(), notes: &notes)
        return (file, notes)
    }
    private func commitment(_ i: Int) -> Commitment { Commitment(low: UInt64(i), high: ~UInt64(i)) }
    private func add(_ numbers: Range<Int>, to file: PersonalFile) throws {
        var records = ByteBuffer()
        for i in numbers {
            "text-\(i)".withBytes {
                PersonalFile.record(
                    commitment(i), .user, org: AccountNumber(UInt32(i)), salt: (1, 2), $0,
                    into: &records)
            }
        }
        try file.put(records.bytes)
        file.keep(records.count)
    }
    private func texts(_ file: PersonalFile) throws -> [String] {
        var texts: [String] = []
        try file.forEach { record in
            texts.append(
                record.state == .kept ? record.text.string : "erased by \(record.erasedBy.seq)")
            return true
        }
        return texts
    }
    private func offset(of i: Int, in file: PersonalFile) throws -> Int {
        var offset = -1
        try file.forEach { record in
            guard record.commitment == commitment(i) else { return true }
            offset = record.offset
            return false
        }
        return offset
    }
    private func bytes() throws -> [UInt8] {
        var buffer = ByteBuffer(capacity: 1 << 20)
        let file = try File(opening: path, O_RDONLY)
        let size = try file.size()
        _ = buffer.appendUninitialized(size) { (try? file.read(into: $0, count: size, at: 0)) ?? 0 }
        return Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count))
    }
    private func put(_ bytes: [UInt8]) throws {
        let file = try File(opening: path, O_WRONLY | O_CREAT)
        // Not through a closure that throws: 6.3's compiler dies of one with a typed error here.
        var buffer = ByteBuffer(capacity: bytes.count)
        for byte in bytes { buffer.append(byte) }
        try file.write(buffer.bytes, at: 0)
    }
    private func mode() -> mode_t {
        var status = stat()
        stat(path, &status)
        return status.st_mode & 0o777
    }

    @Test func `keeps what is added, also over a start, for its owner alone`() throws {
        do {
            let file = try open().file
            try add(0..<3, to: file)
            try add(3..<4, to: file)
        }
        #expect(mode() == 0o600)
        let (file, notes) = try open()
        #expect(notes == [])
        #expect(try texts(file) == ["text-0", "text-1", "text-2", "text-3"])
        var bytes = ByteBuffer()
        let record = try #require(try file.read(at: try offset(of: 2, in: file), into: &bytes))
        #expect(record.text.string == "text-2" && record.org.raw == 2 && record.field == .user)
        // More than one chunk of reading.
        try add(4..<9_000, to: file)
        #expect(try texts(file) == (0..<9_000).map { "text-\($0)" })
        var seen = 0
        let next = try file.forEach { _ in
            seen += 1
            return seen < 5_000
        }
        var rest = 0
        try file.forEach(from: next) { _ in
            rest += 1
            return true
        }
        #expect(seen + rest == 9_000)
        // A copy, or beside its writer.
        let reading = try #require(try PersonalFile(reading: scratch.path, ledger: ledger))
        #expect(try texts(reading).count == 9_000)
        #expect(try PersonalFile(reading: scratch.path + "/nowhere", ledger: ledger) == nil)
    }
    @Test func `forgets what the ring says is erased, where a power cut took the erasing`() throws {
        let journal = try scratch.open()
        defer { journal.shutdown() }
        try add(0..<3, to: journal.personal)
        for event in [makeEvent(1), makeEvent(2)] {
            event.withUnsafeBytes { journal.stage(Bytes($0)) }
        }
        #expect(journal.commitOnce() == .committed)
        let before = scratch.copy()
        try journal.personal.erase(
            at: try offset(of: 1, in: journal.personal), commitment(1), .user,
            of: AccountNumber(1), textBytes: 6, epoch: 1, seq: 3)
        let json = #"{"commitments":["\#(commitment(1).text)"],"field":"user"}"#
        let erased = json.withBytes { makeDocument(.personalErased, 3, 1, number: 0, $0) }
        erased.withUnsafeBytes { journal.stage(Bytes($0)) }
        // The ring's page was written back, the personal file's was not.
        #expect(shell("cp '\(scratch.data)/ring' '\(before.data)/ring'"))
        for _ in 0..<2 {
            let next = try before.open()
            #expect(next.lastSeq == 3)
            #expect(try texts(next.personal) == ["text-0", "erased by 3", "text-2"])
            next.shutdown()
        }
    }
    @Test func `has nothing left of what was erased`() throws {
        let file = try open().file
        try add(0..<3, to: file)
        try file.erase(
            at: try offset(of: 1, in: file), commitment(1), .user, of: AccountNumber(1),
            textBytes: 6, epoch: 3, seq: 44)
        #expect(try texts(file) == ["text-0", "erased by 44", "text-2"])
        #expect(try texts(open().file) == ["text-0", "erased by 44", "text-2"])
        let text = Array("text-1".utf8)
        let bytes = try bytes()
        #expect(!bytes.indices.contains { bytes[$0...].starts(with: text) })
        #expect(try offset(of: 1, in: file) > 0, "its commitment stays")
    }
    @Test func `has nothing left of what was put and not kept`() throws {
        let file = try open().file
        func put(_ numbers: Range<Int>) throws -> Int {
            var records = ByteBuffer()
            for i in numbers {
                "text-\(i)".withBytes {
                    PersonalFile.record(
                        commitment(i), .user, org: AccountNumber(1), salt: (1, 2), $0,
                        into: &records)
                }
            }
            try file.put(records.bytes)
            return records.count
        }
        try add(0..<1, to: file)
        let one = try bytes().count
        _ = try put(1..<4)
        #expect(file.hasUnkept && file.end == one)
        // A shorter one over it: what stood behind it would be whole.
        file.keep(try put(4..<5))
        #expect(!file.hasUnkept)
        #expect(try texts(open().file) == ["text-0", "text-4"])
        _ = try put(5..<7)
        try file.dropUnkeptDurably()
        #expect(try bytes().count == file.end && !file.hasUnkept)
        #expect(try texts(open().file) == ["text-0", "text-4"])
    }
    @Test func `wipes two that cannot be read side by side, and keeps what follows`() throws {
        try add(0..<4, to: open().file)
        var damaged = try bytes()
        let length = (damaged.count - PersonalFile.headerBytes) / 4
        for i in [1, 2] { damaged[PersonalFile.headerBytes + i * length + 44] ^= 0x10 }
        try put(damaged)
        let (file, notes) = try open()
        #expect(notes.count == 1)
        #expect(try texts(file) == ["text-0", "erased by 0", "text-3"])
    }
    /// Whatever length the power leaves, all whole records before it are there, and more can be added.
    @Test func `loses only a torn end`() throws {
        try add(0..<3, to: open().file)
        let whole = try bytes()
        let length = (whole.count - PersonalFile.headerBytes) / 3
        for size in stride(from: whole.count - 1, through: 0, by: -1) {
            unlink(path)
            try put(Array(whole[..<size]))
            let (file, notes) = try open()
            let left = max(0, size - PersonalFile.headerBytes) / length
            #expect(try texts(file) == (0..<left).map { "text-\($0)" }, "\(size) bytes")
            let isTorn =
                size > PersonalFile.headerBytes && (size - PersonalFile.headerBytes) % length > 0
            #expect(notes.isEmpty != isTorn, "\(size) bytes: \(notes)")
            try add(7..<8, to: file)
            #expect(try texts(open().file).last == "text-7")
        }
    }
    @Test func `wipes a record that cannot be read between others`() throws {
        try add(0..<3, to: open().file)
        let whole = try bytes()
        let length = (whole.count - PersonalFile.headerBytes) / 3
        // Those of its length, which says where the next begins, too.
        for at in 0..<length {
            var damaged = whole
            damaged[PersonalFile.headerBytes + length + at] ^= 0x10
            try put(damaged)
            let (file, notes) = try open()
            #expect(notes.count == 1, "byte \(at)")
            #expect(try texts(file) == ["text-0", "erased by 0", "text-2"], "byte \(at)")
            let text = Array("text-1".utf8)
            let after = try bytes()
            #expect(!after.indices.contains { after[$0...].starts(with: text) })
            #expect(try open().notes == [])
        }
    }
    /// One of many, or what is longer than any record.
    @Test(arguments: [1, 8, 2_000]) func `wipes what lies between others, whatever its length`(
        count: Int
    ) throws {
        try add(0..<3_000, to: open().file)
        var damaged = try bytes()
        let (first, next) = try {
            let file = try #require(try PersonalFile(reading: scratch.path, ledger: ledger))
            return (try offset(of: 500, in: file), try offset(of: 500 + count, in: file))
        }()
        for at in first..<next { damaged[at] ^= 0xA5 }
        try put(damaged)
        let reading = try #require(try PersonalFile(reading: scratch.path, ledger: ledger))
        #expect(try reading.firstUnreadable() == first)
        let (file, notes) = try open()
        #expect(notes.count == 1 && notes.first?.contains("\(next - first) bytes") == true)
        let left = try texts(file)
        #expect(
            left.filter { $0 != "erased by 0" }
                == ((0..<500).map { "text-\($0)" } + (500 + count..<3_000).map { "text-\($0)" }))
        #expect(left.contains("erased by 0"))
        #expect(try open().notes == [])
    }
    @Test func `is refused when its front is damaged or another ledger's`() throws {
        try add(0..<1, to: open().file)
        let whole = try bytes()
        for at in 0..<PersonalFile.headerBytes {
            var damaged = whole
            damaged[at] ^= 1
            try put(damaged)
            #expect(throws: JournalError.self, "byte \(at)") { try open() }
            #expect(throws: JournalError.self, "byte \(at)") {
                try PersonalFile(reading: scratch.path, ledger: ledger)
            }
        }
        try put(whole)
        var notes: [String] = []
        let error = #expect(throws: JournalError.self) {
            try PersonalFile(
                path, ledger: LedgerID(high: 1, low: 2), disk: Disk(), notes: &notes)
        }
        #expect(error?.message.contains("belongs to ledger") == true)
    }
    @Test func `is durable before the events that name it`() throws {
        let rig = SyncOrder()
        var options = scratch.options()
        options.rig = rig
        let journal = try Journal.open(options)
        try add(0..<1, to: journal.personal)
        rig.steps = []
        let event = makeEvent(1)
        event.withUnsafeBytes { journal.stage(Bytes($0)) }
        #expect(journal.commitOnce() == .committed)
        #expect(rig.steps == ["sync personal", "commit"])
        // Nothing new there, nothing to sync.
        rig.steps = []
        makeEvent(2).withUnsafeBytes { journal.stage(Bytes($0)) }
        #expect(journal.commitOnce() == .committed)
        #expect(rig.steps == ["commit"])
        // What cannot be made durable is waited for, as the log is.
        try add(1..<2, to: journal.personal)
        rig.fails = true
        makeEvent(3).withUnsafeBytes { journal.stage(Bytes($0)) }
        #expect(journal.commitOnce() == .failed)
        #expect(journal.state == .readOnly && journal.durableSeq == 2)
        rig.fails = false
        #expect(journal.commitOnce() == .committed)
        #expect(journal.durableSeq == 3)
        journal.shutdown()
    }
}

/// Notes in which order things become durable. Unchecked: one test's thread alone uses it.
private final class SyncOrder: DiskRig, @unchecked Sendable {
    var steps: [String] = []
    var fails = false
    func before(_ operation: DiskOperation, _ path: String) -> DiskVerdict {
        guard operation == .sync, path.hasSuffix("/personal") else { return .happens }
        if fails { return .fails(errno: EIO) }
        steps.append("sync personal")
        return .happens
    }
    func after(_ operation: DiskOperation, _ path: String) {}
    func beforeCommit() -> CommitFault? {
        steps.append("commit")
        return nil
    }
    func afterCommit() {}
    var freeBytes: Int64 { 1 << 40 }
    var monotonicNanoseconds: Int64 { 0 }
}

import CLinux
import Events
import Glibc
import Testing

@testable import Journal

/// What LMDB links its pages with has no checksum; here every bit of it gets its turn.
@Suite struct `The journal's pages` {
    /// Small commits and large ones, so that there are branches, values of their own pages, and a list
    /// of free pages.
    private func used(_ scratch: Scratch) throws -> [[UInt8]] {
        let journal = try scratch.open()
        try journal.startCommitter()
        for last in stride(from: 20 as UInt64, through: 400, by: 20) {
            journal.stage(through: last)
            journal.waitDurable(last)
        }
        for last: UInt64 in [1_400, 2_400] {
            journal.stage(through: last)
            journal.waitDurable(last)
        }
        let events = try journal.allEvents()
        journal.shutdown()
        return events
    }

    @Test func `are each in one place, and none is lost`() throws {
        let scratch = Scratch()
        for round in 1...20 as ClosedRange<UInt64> {
            let journal = try scratch.open()
            try journal.startCommitter()
            let last = journal.lastSeq + round * 13
            journal.stage(through: last, urgently: round % 3 == 0)
            journal.shutdown()
            let inspection = try Inspection(directory: scratch.data, everyPage: true)
            #expect(inspection.lostPages == 0)
            #expect(try inspection.readThrough() == last)
        }
    }

    /// A bit flips where LMDB keeps its links. Either that is found, or it means nothing: then what was
    /// there is there, and stays when more is written.
    @Test func `tell of a flipped bit, or it changes nothing`() throws {
        let scratch = Scratch()
        let events = try used(scratch)
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        var random = SeededGenerator(seed: 23)
        let bits = linkingBits(whole)
        var found = 0
        let isLong = getenv("TOLLGATE_LONG").map { String(cString: $0) == "1" } ?? false
        for bit in bits.shuffled(using: &random).prefix(isLong ? 10_000 : 400) {
            var broken = whole
            broken[bit / 8] ^= 1 << UInt8(bit % 8)
            writeFile(path, broken)
            let flaw = failure { () throws(JournalError) in
                _ = try Inspection(directory: scratch.data, everyPage: true).readThrough()
            }
            if let flaw {
                found += 1
                #expect(flaw.kind == .damaged || flaw.kind == .format, "bit \(bit): \(flaw)")
                #expect(flaw.message.contains("backup") || flaw.kind == .format, "\(flaw)")
                continue
            }
            let journal = try scratch.open()
            try journal.startCommitter()
            let last = journal.lastSeq + 30
            journal.stage(through: last, urgently: true)
            #expect(
                try journal.allEvents() == events + (2_401...last).map { makeEvent($0) },
                "bit \(bit) was passed over and did harm")
            journal.shutdown()
            // It goes on from there, and the journal goes back.
            unlink(scratch.data + "/ring")
        }
        #expect(found > 100, "\(found) of \(bits.count)")
    }

    /// The tables that writing trusts are looked at before anything is written.
    @Test func `keep a daemon from writing over what is in use`() throws {
        let scratch = Scratch()
        _ = try used(scratch)
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        let newest = u64(whole, 144) > u64(whole, 4_096 + 144) ? 0 : 4_096
        for (offset, what) in [(136, "the last page"), (144, "the transaction"), (80, "the root")] {
            var broken = whole
            broken[newest + offset] ^= 8
            writeFile(path, broken)
            let error = failure { () throws(JournalError) in _ = try scratch.open() }
            #expect(error?.kind == .damaged, "\(what): \(error?.message ?? "nothing")")
        }
        writeFile(path, whole)
        #expect(try scratch.open().lastSeq == 2_400)
    }

    /// What LMDB believes of a whole table at once: one bit, and it sorts and links in another way. And
    /// the number of the transaction, of which it asks us before anything is looked at.
    @Test func `tell of every bit that says how a table is kept`() throws {
        let scratch = Scratch()
        _ = try used(scratch)
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        var places: [(what: String, at: Int)] = []
        for page in [0, 4_096] {
            places.append(("the free pages of page \(page / 4_096)", page + 44))
            places.append(("the databases of page \(page / 4_096)", page + 92))
            // One of the lowest bits may only tell of the commit before, which is whole.
            places += (1..<4).map { ("the transaction", page + 144 + 2 * $0) }
        }
        let newest = u64(whole, 144) > u64(whole, 4_096 + 144) ? 0 : 4_096
        let list = Int(u64(whole, newest + 128)) * 4_096
        for at in stride(from: 16, to: u16(whole, list + 12), by: 2) {
            let node = list + u16(whole, list + at)
            places.append(("a database", node + 8 + u16(whole, node + 6) + 4))
        }
        #expect(places.count == 10 + 5)
        for (what, at) in places {
            for bit in 0..<16 {
                var broken = whole
                broken[at + bit / 8] ^= 1 << UInt8(bit % 8)
                writeFile(path, broken)
                let looked = failure { () throws(JournalError) in
                    _ = try Inspection(directory: scratch.data, everyPage: true)
                }
                #expect(looked?.kind == .damaged, "bit \(bit) of \(what): \(looked?.message ?? "")")
                let opened = failure { () throws(JournalError) in _ = try scratch.open() }
                #expect(opened?.kind == .damaged, "bit \(bit) of \(what): \(opened?.message ?? "")")
            }
        }
    }

    /// A row of a leaf is a value or leads to one, and only the list of databases holds databases: a row
    /// of another kind can be read, and the first commit that meets it fails for ever.
    @Test func `tell of every bit that says what a row is`() throws {
        let scratch = Scratch()
        _ = try used(scratch)
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        let newest = u64(whole, 144) > u64(whole, 4_096 + 144) ? 0 : 4_096
        var kinds = ["free": leaves(whole, newest + 40), "list": leaves(whole, newest + 88)]
        for row in kinds["list"]! {
            let count = u16(whole, row + 6)
            let name = String(decoding: whole[row + 8..<row + 8 + count], as: UTF8.self)
            kinds[name] = leaves(whole, row + 8 + count)
        }
        kinds["long events"] = kinds["events"]?.filter { whole[$0 + 4] == 1 }
        kinds["events"]?.removeAll { whole[$0 + 4] == 1 }
        let nodes = kinds.compactMapValues(\.last)
        #expect(nodes.keys.contains("free") && nodes.keys.contains("list"), "\(nodes)")
        #expect(nodes.keys.contains("long events") && nodes.count >= 4, "\(nodes)")
        for (kind, node) in nodes {
            for bit in 0..<16 {
                var broken = whole
                broken[node + 4 + bit / 8] ^= 1 << UInt8(bit % 8)
                writeFile(path, broken)
                let flaw = failure { () throws(JournalError) in
                    _ = try Inspection(directory: scratch.data, everyPage: true)
                }
                #expect(
                    flaw?.kind == .damaged && flaw?.message.contains("page ") == true,
                    "bit \(bit) of \(kind): \(flaw?.message ?? "nothing")")
            }
        }
    }
    /// Where the nodes of a tree's leaves begin, whose record stands there.
    private func leaves(_ bytes: [UInt8], _ record: Int) -> [Int] {
        func descend(_ page: UInt64, _ depth: Int) -> [Int] {
            let page = Int(page) * 4_096
            let nodes = stride(from: 16, to: u16(bytes, page + 12), by: 2).map {
                page + u16(bytes, page + $0)
            }
            guard depth > 1 else { return nodes }
            return nodes.flatMap { descend(u64(bytes, $0) & 0xFFFF_FFFF_FFFF, depth - 1) }
        }
        let depth = u16(bytes, record + 6)
        return depth == 0 ? [] : descend(u64(bytes, record + 40), depth)
    }

    /// LMDB itself refuses these, and does not say where.
    @Test(arguments: [0, 4_096]) func `name the meta page that is none any more`(page: Int) throws {
        let scratch = Scratch()
        _ = try used(scratch)
        let path = scratch.data + "/journal/data.mdb"
        let whole = readFile(path)
        func flaw(flipping places: [Int]) -> JournalError? {
            var broken = whole
            for at in places { broken[at] ^= 8 }
            writeFile(path, broken)
            return failure { () throws(JournalError) in
                _ = try Inspection(directory: scratch.data, everyPage: false)
            }
        }
        // The kind of the page, the magic and the version.
        for at in [10, 16, 19, 20] {
            let flaw = flaw(flipping: [page + at])
            #expect(flaw?.kind == .damaged, "\(at): \(flaw?.message ?? "nothing")")
            #expect(
                flaw?.message.contains("page \(page / 4_096): it is no meta page") == true,
                "\(at): \(flaw?.message ?? "nothing")")
        }
        // Both would hardly be hit in the same way.
        #expect(flaw(flipping: [20, 4_096 + 20])?.kind == .format)
    }

    @Test func `tell of a file that holds nothing`() throws {
        let scratch = Scratch()
        _ = try used(scratch)
        writeFile(scratch.data + "/journal/data.mdb", [])
        let flaw = failure { () throws(JournalError) in
            _ = try Inspection(directory: scratch.data, everyPage: true)
        }
        #expect(
            flaw?.kind == .damaged && flaw?.message.contains("is empty") == true, "\(flaw as Any)")
    }

    /// The bits of meta pages, of the headers of pages, of offsets and of the fronts of nodes, and of
    /// the list of free pages; in pages that are in use or were.
    private func linkingBits(_ bytes: [UInt8]) -> [Int] {
        var places: Set<Int> = []
        for page in stride(from: 0, to: bytes.count, by: 4_096) {
            let flags = bytes[page + 10] & 15
            if flags == 8 { places.formUnion(page..<page + 152) }
            guard flags == 1 || flags == 2 || flags == 4 else { continue }
            places.formUnion(page..<page + 16)
            if flags == 4 { continue }
            let lower = min(u16(bytes, page + 12), 4_096)
            for at in stride(from: 16, to: lower, by: 2) {
                let node = page + u16(bytes, page + at)
                places.formUnion(page + at..<page + at + 2)
                // A leaf's values carry checksums of their own, but for small ones: lists of free pages.
                places.formUnion(node..<max(node, min(node + 32, page + 4_096)))
            }
        }
        return places.sorted().flatMap { place in (0..<8).map { place * 8 + $0 } }
    }
    private func u16(_ bytes: [UInt8], _ at: Int) -> Int {
        Int(bytes[at]) | Int(bytes[at + 1]) << 8
    }
    private func u64(_ bytes: [UInt8], _ at: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << (8 * UInt64($1)) }
    }
}

import Glibc
import TestSupport

/// How much of what was not synced a power cut leaves.
enum Survival {
    case nothing
    case everything
    /// By chance, block for block.
    case blocks(of: Int, chance: Chance)
}

/// A file as the page cache has it and as the disk surely has it, and what lies between the two.
///
/// A block on the disk is what the page cache held at some moment since it was last synced; no two
/// blocks need be of the same moment. Sizes, holes and zeroed ranges are the inode's own, and of one
/// moment together.
final class DiskFile {
    /// What a change does, of one page at most when it writes.
    private struct Change {
        enum Kind { case write, truncate, allocate, zero }
        var kind: Kind
        var offset: Int
        var size: Int
        /// Of the trace, when it writes.
        var source = 0
        /// Its write-back has failed: the page counts as clean, so no later sync brings it.
        var isAdrift = false
    }
    static let pageBytes = 4096
    static let sectorBytes = 512

    private(set) var cached: [UInt8] = []
    private var durable: [UInt8] = []
    private var pending: [Change] = []
    /// Tells the files apart for chance.
    let number: UInt64

    init(number: UInt64) { self.number = number }

    // MARK: What happens to it

    func write(_ trace: borrowing Trace, _ source: Range<Int>, at offset: Int) {
        var done = 0
        while done < source.count {
            let at = offset + done
            let n = min(source.count - done, DiskFile.pageBytes - at % DiskFile.pageBytes)
            let change = Change(
                kind: .write, offset: at, size: n, source: source.lowerBound + done)
            pending.append(change)
            DiskFile.apply(change, to: &cached, trace)
            done += n
        }
    }
    func truncate(to size: Int, _ trace: borrowing Trace) { change(.truncate, 0, size, trace) }
    func allocate(_ offset: Int, _ size: Int, _ trace: borrowing Trace) {
        change(.allocate, offset, size, trace)
    }
    func zero(_ offset: Int, _ size: Int, _ trace: borrowing Trace) {
        change(.zero, offset, size, trace)
    }
    private func change(
        _ kind: Change.Kind, _ offset: Int, _ size: Int, _ trace: borrowing Trace
    ) {
        let change = Change(kind: kind, offset: offset, size: size)
        pending.append(change)
        DiskFile.apply(change, to: &cached, trace)
    }

    /// All of it reaches the disk, but for pages whose write-back failed and that were not written
    /// again since.
    func sync(_ trace: borrowing Trace) {
        var pages: Set<Int> = []
        for change in pending where !change.isAdrift {
            if change.kind == .write {
                pages.insert(change.offset / DiskFile.pageBytes)
            } else {
                DiskFile.apply(change, to: &durable, trace)
            }
        }
        bring(pages)
        if durable.count > cached.count { durable.removeLast(durable.count - cached.count) }
        pending.removeAll {
            !$0.isAdrift || pages.contains($0.offset / DiskFile.pageBytes)
        }
    }
    /// A write that is durable when it returns brings its own pages, and nothing else.
    func syncPages(of range: Range<Int>) {
        let pages = Set(
            stride(from: range.lowerBound, to: range.upperBound, by: 1).map {
                $0 / DiskFile.pageBytes
            })
        bring(pages)
        pending.removeAll {
            $0.kind == .write && pages.contains($0.offset / DiskFile.pageBytes)
        }
    }
    private func bring(_ pages: Set<Int>) {
        for page in pages {
            let start = page * DiskFile.pageBytes
            let end = min(start + DiskFile.pageBytes, cached.count)
            guard start < end else { continue }
            DiskFile.grow(&durable, to: end)
            durable.replaceSubrange(start..<end, with: cached[start..<end])
        }
    }
    /// A sync has failed: nobody knows what of it is on the disk, and the kernel forgets that it is
    /// not.
    func failSync() {
        for i in pending.indices where pending[i].kind == .write { pending[i].isAdrift = true }
    }
    /// The same of one write that was to be durable.
    func failSync(of range: Range<Int>) {
        for i in pending.indices
        where pending[i].kind == .write && range.contains(pending[i].offset) {
            pending[i].isAdrift = true
        }
    }

    // MARK: What a power cut leaves of it

    func image(_ survival: Survival, _ trace: borrowing Trace) -> [UInt8] {
        let (bytes, chance): (Int, Chance)
        switch survival {
        case .nothing: return durable
        case .everything: return cached
        case .blocks(let of, let chosen): (bytes, chance) = (of, chosen)
        }
        var image = durable
        let ofInode = chance.moment(file: number, block: .max, of: pending.count)
        for (moment, change) in pending.enumerated() {
            guard change.kind == .write else {
                if moment < ofInode { DiskFile.apply(change, to: &image, trace) }
                continue
            }
            var at = change.offset
            let end = change.offset + change.size
            while at < end {
                let next = min(end, (at / bytes + 1) * bytes)
                let block = UInt64(at / bytes)
                if moment < chance.moment(file: number, block: block, of: pending.count) {
                    var piece = change
                    piece.offset = at
                    piece.size = next - at
                    piece.source += at - change.offset
                    DiskFile.apply(piece, to: &image, trace)
                }
                at = next
            }
        }
        // The size may have got there before what it was for.
        if image.count < cached.count, chance.isHeads(file: number) {
            DiskFile.grow(&image, to: cached.count)
        }
        return image
    }

    private static func apply(_ change: Change, to image: inout [UInt8], _ trace: borrowing Trace) {
        let end = change.offset + change.size
        switch change.kind {
        case .truncate:
            if image.count > change.size { image.removeLast(image.count - change.size) }
            grow(&image, to: change.size)
        case .allocate: grow(&image, to: end)
        case .zero:
            grow(&image, to: end)
            image.withUnsafeMutableBytes { bytes in
                _ = memset(bytes.baseAddress! + change.offset, 0, change.size)
            }
        case .write:
            grow(&image, to: end)
            image.withUnsafeMutableBytes { target in
                trace.bytes.withUnsafeBytes { source in
                    _ = memcpy(
                        target.baseAddress! + change.offset, source.baseAddress! + change.source,
                        change.size)
                }
            }
        }
    }
    private static func grow(_ image: inout [UInt8], to size: Int) {
        if image.count < size { image += repeatElement(0, count: size - image.count) }
    }
}

/// One throw of the dice for a whole crash state: for each block the moment it is of.
///
/// Independent halves of a thousand blocks would never be nearly all or nearly none, and those are the
/// states in which one block is missing; so each state leans its own way.
struct Chance {
    private let seed: UInt64
    private let none: UInt64
    private let all: UInt64

    init(seed: UInt64) {
        self.seed = seed
        // Of 256: blocks that are old, blocks that are new; the rest is of a moment in between.
        let leanings: [(UInt64, UInt64)] = [
            (13, 230), (230, 13), (102, 102), (26, 26), (3, 251), (1, 254), (64, 180),
        ]
        (none, all) = leanings[Int(Chance.mix(seed) % UInt64(leanings.count))]
    }
    /// How many of `count` changes the block has seen.
    func moment(file: UInt64, block: UInt64, of count: Int) -> Int {
        let roll = Chance.mix(seed ^ Chance.mix(file &* 0x9E37_79B9 ^ block &* 0xC2B2_AE3D_27D4))
        let side = roll & 0xFF
        if side < none { return 0 }
        if side < none + all { return count }
        return Int((roll >> 8) % UInt64(count + 1))
    }
    func isHeads(file: UInt64) -> Bool { Chance.mix(seed ^ file << 17 ^ 1) & 1 == 0 }
    /// Which of the unsynced changes of names are there: each for itself, or all up to a moment.
    func keeps(name: Int, of count: Int, directory: UInt64) -> Bool {
        let roll = Chance.mix(seed ^ directory << 29 ^ 3)
        if roll & 1 == 0 { return name < Int((roll >> 1) % UInt64(count + 1)) }
        return Chance.mix(roll ^ UInt64(name)) & 1 == 0
    }
    private static func mix(_ value: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: value)
        return generator.next()
    }
}

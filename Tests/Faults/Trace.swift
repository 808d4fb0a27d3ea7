import Foundation

/// What a daemon did to the files of its directory and told its clients, in one order, as the library
/// in Tests/CFaults wrote it down over one or more runs.
struct Trace {
    enum Kind: UInt32 {
        case process = 1
        case open, write, truncate, allocate, zero, sync, rename, unlink, mkdir, store
        case accept, sent, received

        /// Whether what a power cut leaves may differ before and after.
        var changesFiles: Bool { rawValue <= Kind.store.rawValue && self != .process }
    }
    struct Record {
        var kind: Kind
        var handle: UInt32
        var failed: Bool
        var flags: UInt32
        var offset: Int
        var size: Int
        /// Of `Trace.bytes`.
        var payload: Range<Int>

        var creates: Bool { flags & 1 != 0 }
        var empties: Bool { flags & 2 != 0 }
        /// A write that is on the disk when it returns.
        var isDurable: Bool { flags & 4 != 0 }
    }

    let bytes: [UInt8]
    private(set) var records: [Record] = []

    init(reading path: String) throws {
        bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var at = 0
        // A process that was killed may have left half a record.
        while at + 40 <= bytes.count {
            func u32(_ offset: Int) -> UInt32 { load(at + offset) }
            func u64(_ offset: Int) -> Int { Int(load(at + offset) as UInt64) }
            let count = Int(u32(32))
            guard let kind = Kind(rawValue: u32(0)), at + 40 + count <= bytes.count else {
                throw RigFailure("\(path) is no trace at byte \(at)")
            }
            records.append(
                Record(
                    kind: kind, handle: u32(4), failed: u32(8) != 0, flags: u32(12),
                    offset: u64(16), size: u64(24), payload: at + 40..<at + 40 + count))
            at += 40 + (count + 7) / 8 * 8
        }
    }
    private func load<Number: FixedWidthInteger>(_ offset: Int) -> Number {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }

    func text(_ record: Record) -> String {
        String(decoding: bytes[record.payload], as: UTF8.self)
    }
}

/// The rig itself does not work; says nothing about the daemon.
struct RigFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Prints at once: who waits for a long run reads along, and a run that is cut off has said how far it
/// got.
func say(_ words: String...) {
    print(words.joined(separator: " "))
    fflush(nil)
}

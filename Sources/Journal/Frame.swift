import CLinux
import Events

/// How an event stands in the ring and in the journal's pages:
///
///     0 u32 CRC-32C of the event's bytes    4 … the event, its length in its first two bytes
///
/// Both hold the same frames, so the committer copies and never computes.
struct Frame {
    static let overhead = 4
    static let bytesMax = overhead + Bounds.eventBytesMax
    static let bytesMin = overhead + EventHeader.byteCount

    let base: UnsafeRawPointer
    /// Of the whole frame.
    let count: Int

    /// The frame at the front of `count` bytes; nil when its length makes no sense there. The
    /// checksum is not looked at.
    @inline(__always)
    init?(_ base: UnsafeRawPointer, count: Int) {
        guard count >= Frame.bytesMin else { return nil }
        let length = Frame.u16(base + Frame.overhead)
        guard length >= EventHeader.byteCount, length <= Bounds.eventBytesMax,
            length <= count - Frame.overhead
        else { return nil }
        self.base = base
        self.count = Frame.overhead + length
    }

    @inline(__always) var checksum: UInt32 { Frame.u32(base) }
    @inline(__always) var isIntact: Bool {
        tg_crc32c(0, base + Frame.overhead, count - Frame.overhead) == checksum
    }
    @inline(__always) var event: Bytes {
        Bytes(base + Frame.overhead, count: count - Frame.overhead)
    }

    // The header's fields by their offsets (see `EventHeader`), for code that must not depend on
    // whether this version knows the event's type.
    @inline(__always) var rawType: UInt8 { base.load(fromByteOffset: 6, as: UInt8.self) }
    @inline(__always) var epoch: UInt32 { Frame.u32(base + 8) }
    @inline(__always) var seq: UInt64 { Frame.u64(base + 12) }
    @inline(__always) var time: Instant {
        Instant(nanoseconds: Int64(bitPattern: Frame.u64(base + 20)))
    }

    @inline(__always) static func u16(_ p: UnsafeRawPointer) -> Int {
        Int(UInt16(littleEndian: p.loadUnaligned(as: UInt16.self)))
    }
    @inline(__always) static func u32(_ p: UnsafeRawPointer) -> UInt32 {
        UInt32(littleEndian: p.loadUnaligned(as: UInt32.self))
    }
    @inline(__always) static func u64(_ p: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: p.loadUnaligned(as: UInt64.self))
    }
}

/// What is known of the last event of a log.
struct LogEnd: Equatable, Sendable {
    var seq: UInt64 = 0
    var epoch: UInt32 = 0
    var time = Instant(nanoseconds: 0)
    /// The frame's checksum: tells two histories apart that reached the same seq.
    var checksum: UInt32 = 0
}

extension LogEnd {
    init(_ frame: Frame) {
        self.init(seq: frame.seq, epoch: frame.epoch, time: frame.time, checksum: frame.checksum)
    }
}

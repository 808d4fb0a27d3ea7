import CLinux
import Events
import Glibc

@testable import Journal

/// A directory of its own for one test, removed with everything in it.
final class Scratch: Sendable {
    let path: String
    var data: String { path + "/data" }

    init() {
        var template = Array("/tmp/tollgate-journal-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit { shell("rm -rf '\(path)'") }

    func options(ring: Int = 1 << 20, map: Int = 1 << 30) -> JournalOptions {
        var options = JournalOptions(directory: data)
        options.ringBytes = ring
        options.mapBytes = map
        options.pauseBelowBytes = 0
        return options
    }
    func open(ring: Int = 1 << 20, map: Int = 1 << 30) throws(JournalError) -> Journal {
        try Journal.open(options(ring: ring, map: map))
    }
    /// What a crash leaves: a copy of the directory while the journal in it goes on.
    func copy() -> Scratch {
        let other = Scratch()
        shell("cp -r '\(data)' '\(other.data)'")
        return other
    }
}

@discardableResult
func shell(_ command: String) -> Bool { system(command) == 0 }

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// The event of one seq, always the same: its length and text follow from seq and epoch.
func makeEvent(_ seq: UInt64, epoch: UInt32 = 1, bytes length: Int? = nil) -> [UInt8] {
    var random = SeededGenerator(seed: seq << 8 ^ UInt64(epoch))
    let type: EventType = seq == 1 ? .ledgerCreated : .limitsSet
    let count = length.map { $0 - EventHeader.byteCount - 4 } ?? Int(2 + random.next() % 160)
    let offset = Int(random.next() % 10_000)
    return letters.withUnsafeBytes { letters in
        makeDocument(type, seq, epoch, number: 0, Bytes(letters).slice(offset, offset + count))
    }
}
func makeEpoch(_ seq: UInt64, _ epoch: UInt32) -> [UInt8] {
    makeDocument(.epochStarted, seq, epoch, number: 0, Bytes("{}"))
}
func makeDocument(
    _ type: EventType, _ seq: UInt64, _ epoch: UInt32, number: UInt32, _ json: Bytes
) -> [UInt8] {
    let header = EventHeader(
        type: type, epoch: epoch, seq: seq, time: Instant(nanoseconds: 1_000_000 * Int64(seq)),
        actor: .daemon, account: .none)
    var buffer = ByteBuffer()
    DocumentEvent(header: header, number: number, json: json).encode(into: &buffer)
    return array(buffer.bytes)
}
/// What events are filled from; making each one's text anew would be most of the tests' time.
private let letters: [UInt8] = {
    var random = SeededGenerator(seed: 0)
    return (0..<80_000).map { _ in UInt8(97 + random.next() % 26) }
}()
func makeEvents(_ seqs: ClosedRange<UInt64>, epoch: UInt32 = 1) -> [UInt8] {
    seqs.flatMap { makeEvent($0, epoch: epoch) }
}
func frame(_ event: [UInt8]) -> [UInt8] {
    let crc = event.withUnsafeBytes { tg_crc32c(0, $0.baseAddress, $0.count) }
    return withUnsafeBytes(of: crc.littleEndian, Array.init) + event
}
func array(_ bytes: Bytes) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
}

extension Journal {
    func stage(_ events: [UInt8]) { events.withUnsafeBytes { stage(Bytes($0)) } }
    /// Stages the standard events up to `last`, in batches that fit.
    func stage(through last: UInt64, epoch: UInt32 = 1, urgently: Bool = false) {
        while stagedSeq < last {
            let event = makeEvent(stagedSeq + 1, epoch: epoch)
            if event.count > stageableBytes { waitDurable(stagedSeq) }
            stage(event)
            if urgently { waitDurable(stagedSeq) }
        }
    }
    func allEvents(from: UInt64 = 1, through: UInt64 = .max) throws(JournalError) -> [[UInt8]] {
        var all: [[UInt8]] = []
        try read(from: from, through: through) { event in
            all.append(array(event.bytes))
            return true
        }
        return all
    }
    /// Whether the wake descriptor is readable, or becomes so within `milliseconds`.
    func isAwake(within milliseconds: Int32) -> Bool {
        var waited = pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waited, 1, milliseconds) == 1
    }
}

func readFile(_ path: String) -> [UInt8] {
    let file = fopen(path, "r")!
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: fileSize(path) ?? 0)
    let n = fread(&bytes, 1, bytes.count, file)
    precondition(n == bytes.count)
    return bytes
}
func writeFile(_ path: String, _ bytes: some Collection<UInt8>) {
    let file = fopen(path, "w")!
    defer { fclose(file) }
    let bytes = Array(bytes)
    let n = fwrite(bytes, 1, bytes.count, file)
    precondition(n == bytes.count)
}

/// The error a journal operation is expected to throw.
func failure<R>(_ body: () throws(JournalError) -> R) -> JournalError? {
    do throws(JournalError) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}

extension Inspection {
    /// Verifies every event and every name; the number of the last event.
    func readThrough() throws(JournalError) -> UInt64 {
        let next = try readPages { _ in true }
        _ = try checkNames()
        return next - 1
    }
}

import Events
import Testing

/// An entry of `schemas/events.golden`.
struct GoldenEntry: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var json: String
    var testDescription: String { name }

    static let all: [GoldenEntry] = try! read(Repository.text("schemas/events.golden"))

    private struct Malformed: Error { var entry: String }
    private static func read(_ text: String) throws -> [GoldenEntry] {
        var entries: [GoldenEntry] = []
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        for start in stride(from: 0, to: lines.count, by: 3) {
            let entry = lines[start...].prefix(3).map { $0.drop { $0 != " " }.drop { $0 == " " } }
            guard entry.count == 3, lines[start].hasPrefix("event "),
                lines[start + 1].hasPrefix("bytes "), lines[start + 2].hasPrefix("json "),
                let bytes = [UInt8](hex: entry[1])
            else { throw Malformed(entry: String(lines[start])) }
            entries.append(
                GoldenEntry(name: String(entry[0]), bytes: bytes, json: String(entry[2])))
        }
        return entries
    }
}

/// Reads stored bytes into the event's own type and writes them again.
func reencoded(_ bytes: Bytes) throws -> [UInt8] {
    let event = try StoredEvent(bytes)
    var buffer = ByteBuffer()
    switch event.header.type {
    case .holdPlaced: try HoldPlaced(event).encode(into: &buffer)
    case .holdRefused: try HoldRefused(event).encode(into: &buffer)
    case .refusalsSummed: try RefusalsSummed(event).encode(into: &buffer)
    case .holdSettled: try HoldSettled(event).encode(into: &buffer)
    case .holdExtended: try HoldExtended(event).encode(into: &buffer)
    case .holdReleased: try HoldReleased(event).encode(into: &buffer)
    case .holdLapsed: try HoldLapsed(event).encode(into: &buffer)
    case .chargeRecorded: try ChargeRecorded(event).encode(into: &buffer)
    default:
        // Through the value and back: unknown fields must survive, and the order is canonical.
        let document = try DocumentEvent(event)
        let json = try JSON(parsing: document.json).canonical
        json.withBytes {
            DocumentEvent(header: document.header, number: document.number, json: $0)
                .encode(into: &buffer)
        }
    }
    return Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count))
}
func exported(_ bytes: Bytes) throws -> String {
    var buffer = ByteBuffer()
    try buffer.append(exported: StoredEvent(bytes), names: GoldenNames())
    return buffer.string
}

@Suite struct `A golden event` {
    @Test func `has an event from code, in the same order`() {
        #expect(GoldenEntry.all.map(\.name) == GoldenEvent.all.map(\.name))
    }
    @Test func `is there for every type`() {
        let types = Set(GoldenEntry.all.map { $0.bytes[2] })
        #expect(EventType.allCases.filter { !types.contains($0.rawValue) } == [])
    }
    @Test(arguments: zip(GoldenEntry.all, GoldenEvent.all))
    func `is what code writes`(entry: GoldenEntry, event: GoldenEvent) throws {
        #expect(event.bytes.hex == entry.bytes.hex)
        #expect(try event.bytes.withExactBytes { try exported($0) } == entry.json)
    }
    @Test(arguments: GoldenEntry.all)
    func `is what code reads`(entry: GoldenEntry) throws {
        #expect(try entry.bytes.withExactBytes { try reencoded($0) } == entry.bytes)
        #expect(try entry.bytes.withExactBytes { try exported($0) } == entry.json)
        // What follows an event in a page is none of its business.
        let longer = entry.bytes + [0xFF, 0, 1]
        #expect(try longer.withExactBytes { try reencoded($0) } == entry.bytes)
        #expect(entry.bytes.withExactBytes { StoredEvent.length($0) } == entry.bytes.count)
    }
    @Test(arguments: GoldenEntry.all)
    func `obeys its schema`(entry: GoldenEntry) throws {
        let json = try JSON(entry.json)
        let file = "events/\(try #require(json["type"]?.string)).json"
        #expect(try SchemaSet().errors(json, file) == [])
        #expect(entry.name.hasPrefix(try #require(json["type"]?.string)))
    }
    /// A document's stored form has no number but its own, so its fields must be what a later fold reads.
    @Test(arguments: GoldenEntry.all.filter { $0.bytes[2] < 50 })
    func `is read by the fold`(entry: GoldenEntry) throws {
        try entry.bytes.withExactBytes { bytes in
            let event = try DocumentEvent(StoredEvent(bytes))
            let json = try JSON(parsing: event.json)
            _ = try Document(type: event.header.type, json, strict: false)
            // The account stands in the stored payload too, although it is exported once.
            // A revocation names its operator alone; where that was confined, only the header says.
            if event.header.account != .none, event.header.type != .operatorRevoked {
                #expect(json["account"]?.string != nil)
            }
        }
    }

    // MARK: Damage

    @Test(arguments: GoldenEntry.all)
    func `cut anywhere is an error`(entry: GoldenEntry) {
        for length in 0..<entry.bytes.count {
            var cut = Array(entry.bytes.prefix(length))
            #expect(throws: EventError.self) { try cut.withExactBytes { try exported($0) } }
            guard length >= EventHeader.byteCount else { continue }
            // The same with a length that agrees: now the body is too short.
            cut[0] = UInt8(length & 0xFF)
            cut[1] = UInt8(length >> 8)
            #expect(throws: EventError.self, "\(length) bytes") {
                try cut.withExactBytes { try exported($0) }
            }
        }
    }
    /// Anything but a crash: the checksum finds what decoding cannot. What decodes must be written as it
    /// was read.
    @Test(arguments: GoldenEntry.all)
    func `with one byte changed never traps`(entry: GoldenEntry) {
        for at in entry.bytes.indices {
            for change: UInt8 in [0x01, 0x80, 0xFF, 0x7F] {
                var changed = entry.bytes
                changed[at] ^= change
                let read = changed.withExactBytes { bytes -> (type: EventType, again: [UInt8])? in
                    _ = try? exported(bytes)
                    guard let event = try? StoredEvent(bytes), !event.header.type.carriesJSON,
                        let again = try? reencoded(bytes)
                    else { return nil }
                    return (event.header.type, again)
                }
                guard let (type, again) = read else { continue }
                // A charge that names no hold has 0-0 there; another epoch with seq 0 is as good.
                let isPlainCharge =
                    type == .chargeRecorded && (77..<81).contains(at)
                    && again[77..<89].allSatisfy { $0 == 0 }
                if isPlainCharge { changed[at] = 0 }
                #expect(again == Array(changed.prefix(again.count)), "byte \(at) ^ \(change)")
            }
        }
    }
    @Test(arguments: 0..<64 as Range<UInt64>)
    func `of noise never traps`(seed: UInt64) {
        var dice = Seeded(seed)
        for _ in 0..<200 {
            var noise = (0..<Int.random(in: 0..<160, using: &dice)).map { _ in
                UInt8.random(in: 0...255, using: &dice)
            }
            if noise.count >= 4 {
                noise[0] = UInt8(noise.count)
                noise[1] = 0
                noise[2] = EventType.allCases.randomElement(using: &dice)!.rawValue
            }
            noise.withExactBytes { _ = try? exported($0) }
        }
    }
    @Test func `of an unknown type says so`() {
        var bytes = GoldenEntry.all[0].bytes
        bytes[2] = 200
        let error = #expect(throws: EventError.self) {
            try bytes.withExactBytes { try StoredEvent($0) }
        }
        #expect(error?.explanation == "event type 200 is not known to this version of tollgate")
    }
}

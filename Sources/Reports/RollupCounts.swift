import Events

/// What a row of the roll-ups says: every field, and what stands under tags, in order of the tags.
package struct RollupCounts: Sendable, Equatable {
    package struct Tagged: Sendable, Equatable {
        package var tag: RollupTag
        package var value: Int64
    }
    private(set) var fields = [Int64](repeating: 0, count: RollupField.count)
    package internal(set) var tagged: [Tagged] = []

    package init() {}

    package subscript(field: RollupField) -> Int64 {
        get { fields[field.rawValue] }
        set { fields[field.rawValue] = newValue }
    }
    package subscript(tag: RollupTag) -> Int64 {
        let i = place(of: tag)
        return i < tagged.count && tagged[i].tag == tag ? tagged[i].value : 0
    }
    package mutating func add(_ value: Int64, under tag: RollupTag) {
        let i = place(of: tag)
        if i < tagged.count, tagged[i].tag == tag {
            tagged[i].value &+= value
        } else {
            tagged.insert(Tagged(tag: tag, value: value), at: i)
        }
    }
    /// Wrapping: no sum is larger than the org's total, which a decision keeps inside 64 bits.
    package mutating func add(_ other: RollupCounts) {
        for i in 0..<RollupField.count { fields[i] &+= other.fields[i] }
        for item in other.tagged { add(item.value, under: item.tag) }
    }
    mutating func add(_ cells: UnsafePointer<Int64>) {
        fields.withUnsafeMutableBufferPointer { fields in
            for i in 0..<RollupField.count { fields[i] &+= cells[i] }
        }
    }
    /// Adds entries in the order of their tags, each tag once.
    mutating func add(inOrder items: ArraySlice<RollupSegment.Tagged>) {
        guard !items.isEmpty else { return }
        items.withUnsafeBufferPointer { items in
            var old = 0
            var new = 0
            for item in items {
                while old < tagged.count, tagged[old].tag.raw < item.tag { old += 1 }
                if old == tagged.count || tagged[old].tag.raw != item.tag { new += 1 }
            }
            old = tagged.count - 1
            for _ in 0..<new { tagged.append(Tagged(tag: RollupTag(raw: 0), value: 0)) }
            tagged.withUnsafeMutableBufferPointer { tagged in
                // From behind, so that each entry moves once, to where it stays.
                var at = tagged.count - 1
                for item in items.reversed() {
                    while old >= 0, tagged[old].tag.raw > item.tag {
                        tagged[at] = tagged[old]
                        old -= 1
                        at -= 1
                    }
                    var entry = Tagged(tag: RollupTag(raw: item.tag), value: item.value)
                    if old >= 0, tagged[old].tag == entry.tag {
                        entry.value &+= tagged[old].value
                        old -= 1
                    }
                    tagged[at] = entry
                    at -= 1
                }
            }
        }
    }
    package mutating func removeAll() {
        for i in 0..<RollupField.count { fields[i] = 0 }
        tagged.removeAll(keepingCapacity: true)
    }
    private func place(of tag: RollupTag) -> Int {
        if let last = tagged.last, last.tag < tag { return tagged.count }
        var low = 0
        var high = tagged.count
        while low < high {
            let middle = (low + high) / 2
            if tagged[middle].tag < tag { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension RollupCounts {
    /// Requests as budgets count them.
    package var requests: Int64 { self[.placed] &+ self[.charged] }
    package var tokens: Int64 { self[.input] &+ self[.output] &+ self[.lapsedTokens] }
    package var latency: LatencyHistogram {
        var histogram = LatencyHistogram()
        for item in tagged {
            guard let bucket = item.tag.latencyBucket, item.value > 0 else { continue }
            histogram.add(UInt64(item.value), toBucket: bucket)
        }
        return histogram
    }
    /// Currencies other than US dollars in which any of it was billed, by their names.
    var foreignCurrencies: [Currency] {
        let all = tagged.compactMap { $0.value == 0 ? nil : $0.tag.bill?.currency }
        return Set(all).sorted { $0.name < $1.name }
    }
    enum Part: Equatable {
        case field(RollupField)
        case tag(RollupTag)
    }
    /// The parts in which two rows differ; empty when they say the same.
    func differing(from other: RollupCounts) -> [Part] {
        let tags = Set(tagged.map(\.tag)).union(other.tagged.map(\.tag)).sorted()
        return RollupField.allCases.filter { self[$0] != other[$0] }.map { .field($0) }
            + tags.filter { self[$0] != other[$0] }.map { .tag($0) }
    }
    /// The same in words.
    package func differences(from other: RollupCounts) -> [String] {
        differing(from: other).map { "\(text(of: $0)) and \(other.amount(of: $0))" }
    }
    /// `usd 1.5`, `refused as budget_exhausted 3`
    func text(of part: Part) -> String {
        switch part {
        case .field(let field): "\(field.name) \(amount(of: part))"
        case .tag(let tag): "\(tag.words) \(amount(of: part))"
        }
    }
    private func amount(of part: Part) -> String {
        switch part {
        case .field(let field):
            field.isMoney ? "\(Nanodollars(self[field]))" : "\(self[field])"
        case .tag(let tag): tag.bill == nil ? "\(self[tag])" : "\(Nanodollars(self[tag]))"
        }
    }
}

extension RollupTag {
    fileprivate var words: String {
        if let refusal { return "refused as \(refusal.name)" }
        if let latencyBucket {
            return "calls from \(LatencyHistogram.lowest(of: latencyBucket)) ms on"
        }
        guard let bill else { return "entry \(raw)" }
        return switch bill.part {
        case .billed: "billed in \(bill.currency.name)"
        case .list: "at list prices in \(bill.currency.name)"
        case .listUSD: "usd of what was billed in \(bill.currency.name)"
        case .billedUSD: "usd with markup of what was billed in \(bill.currency.name)"
        }
    }
}

// A row's value, as `schemas/rollups.md` has it.
extension RollupCounts {
    func encode(into buffer: inout ByteBuffer) {
        // Room for all of it at once: rows are written by the thousand.
        let most = (2 + fields.count + 2 * tagged.count) * Varint.bytesMax
        _ = buffer.appendUninitialized(most) { start in
            var at = start
            var present: UInt64 = 0
            fields.withUnsafeBufferPointer { fields in
                for i in fields.indices where fields[i] != 0 { present |= 1 << UInt64(i) }
                Varint.write(present, to: &at)
                for field in fields where field != 0 { Varint.write(zigzag: field, to: &at) }
            }
            tagged.withUnsafeBufferPointer { tagged in
                var count: UInt64 = 0
                for item in tagged where item.value != 0 { count += 1 }
                Varint.write(count, to: &at)
                var before: UInt32 = 0
                for item in tagged where item.value != 0 {
                    Varint.write(UInt64(item.tag.raw &- before), to: &at)
                    Varint.write(zigzag: item.value, to: &at)
                    before = item.tag.raw
                }
            }
            return at - start
        }
    }
    /// Adds a stored row, of its tags those of some parts; false when it is none.
    mutating func add(stored bytes: Bytes, only parts: RollupParts = .all) -> Bool {
        var reader = ByteReader(bytes)
        guard let present = reader.varint(), present >> UInt64(RollupField.count) == 0 else {
            return false
        }
        var bits = present
        while bits != 0 {
            guard let value = reader.zigzag() else { return false }
            fields[bits.trailingZeroBitCount] &+= value
            bits &= bits &- 1
        }
        guard let count = reader.varint(), count < 1 << 16 else { return false }
        var tag: UInt32 = 0
        for _ in 0..<count {
            guard let step = reader.varint(), let value = reader.zigzag(),
                let next = UInt32(exactly: UInt64(tag) &+ step), next > tag
            else { return false }
            tag = next
            guard parts.contains(RollupTag(raw: tag).parts) else { continue }
            if tagged.last.map({ $0.tag.raw < tag }) ?? true {
                tagged.append(Tagged(tag: RollupTag(raw: tag), value: value))
            } else {
                add(value, under: RollupTag(raw: tag))
            }
        }
        return !reader.failed && reader.remaining == 0
    }
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
private enum Varint {
    static let bytesMax = 10

    @inline(__always)
    static func write(_ value: UInt64, to at: inout UnsafeMutableRawPointer) {
        var rest = value
        while rest >= 0x80 {
            at.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            at += 1
            rest >>= 7
        }
        at.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        at += 1
    }
    /// Small numbers of either sign become small numbers.
    @inline(__always)
    static func write(zigzag value: Int64, to at: inout UnsafeMutableRawPointer) {
        write(UInt64(bitPattern: value << 1 ^ value >> 63), to: &at)
    }
}

extension ByteReader {
    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let byte = uint8()
            guard !failed else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
    mutating func zigzag() -> Int64? {
        varint().map { Int64(bitPattern: $0 >> 1) ^ -Int64(bitPattern: $0 & 1) }
    }
}

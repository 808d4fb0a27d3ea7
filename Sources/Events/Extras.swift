/// What a hot event says besides its fixed layout: how many extras there are (u8), and each as
/// `u8 tag, u8 length, bytes`, at the event's end. They are there when bit 7 of the header's flags is
/// set, so that most events pay nothing.
///
/// What a tag means stands in `schemas/events.md`. Unknown tags survive a round trip.
@frozen @usableFromInline
package struct Extras: Sendable {
    /// The bit of a header's flags that says that extras follow.
    @inlinable package static var flag: UInt8 { 0x80 }

    package enum Tag: UInt8, CaseIterable, Sendable {
        case came = 1
        case routing = 2
        case billed = 3
        case askedModel = 4
        case growing = 5
    }
    /// When a request that had to wait came in, and with which priority (1 to 10) it waited.
    package struct Came: Hashable, Sendable {
        package var at: Instant
        package var priority: UInt8
        package init(at: Instant, priority: UInt8) {
            self.at = at
            self.priority = priority
        }
    }
    /// The rule that chose the model, and what that saves against the policy's fallback: negative where
    /// the choice is the dearer one.
    package struct Routing: Sendable {
        package var saved: Int64
        package var rule: Bytes
        package init(saved: Int64, rule: Bytes) {
            self.saved = saved
            self.rule = rule
        }
    }
    /// What a charge costs in the currency in which the org settles, in 10⁻⁹ of its unit.
    package struct Billed: Hashable, Sendable {
        package var amount: Nanodollars
        /// Three capital letters (ISO 4217).
        package var currency: Currency
        package init(amount: Nanodollars, currency: Currency) {
            self.amount = amount
            self.currency = currency
        }
    }

    /// All of them as they are stored; empty for none.
    @usableFromInline package private(set) var bytes: Bytes

    @inlinable package static var none: Extras { Extras() }
    @inlinable package init() { bytes = .empty }
    /// Those a stored event ends with.
    @usableFromInline package init(_ bytes: Bytes) throws(EventError) {
        guard Extras.isWellFormed(bytes) else { throw .malformed("extras") }
        self.bytes = bytes
    }
    @inlinable package var isEmpty: Bool { bytes.isEmpty }

    /// Whether count, tags and lengths fill the bytes exactly, and known tags have the length they must have.
    package static func isWellFormed(_ bytes: Bytes) -> Bool {
        guard !bytes.isEmpty, bytes[0] > 0 else { return false }
        var at = 1
        for _ in 0..<bytes[0] {
            guard at + 2 <= bytes.count else { return false }
            let length = Int(bytes[at + 1])
            guard at + 2 + length <= bytes.count else { return false }
            switch Tag(rawValue: bytes[at]) {
            case .came: guard length == 9 else { return false }
            case .routing: guard length >= 9 else { return false }
            case .billed:
                guard length == 11, Currency(bytes.slice(at + 10, at + 13)) != nil else {
                    return false
                }
            case .askedModel: guard length >= 1 else { return false }
            case .growing: guard length == 12 else { return false }
            case nil: break
            }
            at += 2 + length
        }
        return at == bytes.count
    }

    package var came: Came? {
        find(.came).map {
            var reader = ByteReader($0)
            let at = Instant(nanoseconds: reader.int64())
            return Came(at: at, priority: reader.uint8())
        }
    }
    package var routing: Routing? {
        find(.routing).map {
            var reader = ByteReader($0)
            let saved = reader.int64()
            return Routing(saved: saved, rule: reader.bytes(reader.remaining))
        }
    }
    package var billed: Billed? {
        find(.billed).flatMap {
            var reader = ByteReader($0)
            let amount = Nanodollars(reader.int64())
            return Currency(reader.bytes(3)).map { Billed(amount: amount, currency: $0) }
        }
    }
    /// The word the caller asked with where it was no model's name, such as `auto`.
    package var askedModel: Bytes? { find(.askedModel) }

    /// The open hold that was to grow.
    package var growing: HoldName? {
        find(.growing).map {
            var reader = ByteReader($0)
            return reader.hold()
        }
    }

    private func find(_ tag: Tag) -> Bytes? {
        var at = 1
        while at < bytes.count {
            let end = at + 2 + Int(bytes[at + 1])
            if bytes[at] == tag.rawValue { return bytes.slice(at + 2, end) }
            at = end
        }
        return nil
    }
}

extension Extras {
    /// Puts extras together for an event that is about to be written.
    package struct Writer: ~Copyable {
        private var buffer = ByteBuffer(capacity: 64)
        package init() {}

        /// Valid until the next change.
        package var extras: Extras { buffer.isEmpty ? .none : try! Extras(buffer.bytes) }

        package mutating func add(_ came: Came) {
            begin(.came, 9)
            buffer.append(int64: came.at.nanoseconds)
            buffer.append(came.priority)
        }
        package mutating func add(_ routing: Routing) {
            begin(.routing, 8 + routing.rule.count)
            buffer.append(int64: routing.saved)
            buffer.append(routing.rule)
        }
        package mutating func add(_ billed: Billed) {
            begin(.billed, 11)
            buffer.append(int64: billed.amount.raw)
            billed.currency.append(to: &buffer)
        }
        package mutating func add(askedModel name: Bytes) {
            begin(.askedModel, name.count)
            buffer.append(name)
        }
        package mutating func add(growing hold: HoldName) {
            begin(.growing, 12)
            buffer.append(uint32: hold.epoch)
            buffer.append(uint64: hold.seq)
        }
        package mutating func removeAll() { buffer.removeAll() }

        private mutating func begin(_ tag: Tag, _ length: Int) {
            precondition(length <= 255, "an extra's length is one byte")
            if buffer.isEmpty { buffer.append(0 as UInt8) }
            buffer.base.storeBytes(of: buffer.bytes[0] + 1, as: UInt8.self)
            buffer.append(tag.rawValue)
            buffer.append(UInt8(length))
        }
    }
}

/// Three capital letters, as in ISO 4217.
package struct Currency: Hashable, Sendable {
    private var letters: InlineArray<3, UInt8>

    package init?(_ text: Bytes) {
        guard text.count == 3 else { return nil }
        letters = [text[0], text[1], text[2]]
        for i in 0..<3 where letters[i] < UInt8(ascii: "A") || letters[i] > UInt8(ascii: "Z") {
            return nil
        }
    }
    package static let usd = Currency(Bytes("USD"))!

    package var name: String {
        String(decoding: [letters[0], letters[1], letters[2]], as: UTF8.self)
    }
    package func append(to buffer: inout ByteBuffer) {
        for i in 0..<3 { buffer.append(letters[i]) }
    }
    package static func == (a: Currency, b: Currency) -> Bool { a.number == b.number }
    package func hash(into hasher: inout Hasher) { hasher.combine(number) }
    private var number: UInt32 {
        UInt32(letters[0]) << 16 | UInt32(letters[1]) << 8 | UInt32(letters[2])
    }
}

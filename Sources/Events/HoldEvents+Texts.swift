// What the layouts of the hot events share: token counts, hold names, texts and extras.

extension EventHeader {
    /// The extras from an offset to the event's end, and the flag that says so taken back: an event that
    /// is written sets it by itself.
    mutating func takeExtras(_ event: Bytes, at offset: Int) throws(EventError) -> Extras {
        guard event.count > offset else {
            guard event.count == offset, flags & Extras.flag == 0 else { throw .truncated }
            return .none
        }
        guard flags & Extras.flag != 0 else { throw .truncated }
        flags &= ~Extras.flag
        return try Extras(event.slice(offset, event.count))
    }
}

extension Extras {
    /// Writes them into an event at its address, and the flag into its header.
    func store(to event: UnsafeMutableRawPointer, at offset: Int) {
        bytes.copy(to: event + offset)
        event.put(event.load(fromByteOffset: 3, as: UInt8.self) | Extras.flag, at: 3)
    }
}

extension TokenUsage {
    @inlinable package var isWithinBounds: Bool {
        let most = Bounds.tokensMax
        return input >= 0 && output >= 0 && cached >= 0 && cacheWrite >= 0 && reasoning >= 0
            && input <= most && output <= most && cached <= most && cacheWrite <= most
            && reasoning <= most && isConsistent
    }
}

extension ByteReader {
    mutating func hold() -> HoldName {
        let epoch = uint32()
        return HoldName(epoch: epoch, seq: uint64())
    }
    mutating func usage() -> TokenUsage {
        var usage = TokenUsage()
        usage.input = uint40()
        usage.output = uint40()
        usage.cached = uint40()
        usage.cacheWrite = uint40()
        usage.reasoning = uint40()
        return usage
    }
    mutating func texts(
        model: inout Bytes, scope: inout Bytes, _ text: inout RequestText
    ) {
        let lengths = uint64()
        guard remaining == StoredTexts.total(lengths) else {
            // Neither shorter nor longer is right, and reading past the end says so.
            _ = bytes(remaining + 1)
            return
        }
        var texts = StoredTexts(lengths: lengths, rest: bytes(remaining))
        texts.read(model: &model, scope: &scope, &text)
    }
}

/// The texts of a stored event: eight lengths, a byte each, and the bytes behind them.
@frozen @usableFromInline
package struct StoredTexts {
    @usableFromInline var lengths: UInt64
    @usableFromInline var rest: Bytes

    init(lengths: UInt64, rest: Bytes) {
        self.lengths = lengths
        self.rest = rest
    }
    /// Those of an event whose length has been checked.
    init(_ event: Bytes, at offset: Int) {
        lengths = event.base!.field(UInt64.self, offset)
        rest = event.slice(offset + 8, event.count)
    }
    /// The sum of the eight lengths.
    @inline(__always) @inlinable
    package static func total(_ lengths: UInt64) -> Int {
        // Neighbours first, which makes four sums of at most 510; the product's top one is all four's.
        let pairs = lengths & 0x00FF_00FF_00FF_00FF &+ (lengths >> 8 & 0x00FF_00FF_00FF_00FF)
        return Int(truncatingIfNeeded: (pairs &* 0x0001_0001_0001_0001) >> 48)
    }
    private mutating func next() -> Bytes {
        let length = Int(lengths & 0xFF)
        lengths >>= 8
        guard length > 0 else { return .empty }
        defer { rest = rest.slice(length, rest.count) }
        return rest.slice(0, length)
    }
    mutating func read(
        model: inout Bytes, scope: inout Bytes, _ text: inout RequestText
    ) {
        guard lengths != 0 else { return }
        model = next()
        scope = next()
        text.id = next()
        text.user = next()
        text.project = next()
        text.environment = next()
        text.address = next()
        text.userAgent = next()
    }
}

extension Bytes {
    @inline(__always)
    func copy(to target: UnsafeMutableRawPointer) {
        if count > 0 { target.copyMemory(from: base.unsafelyUnwrapped, byteCount: count) }
    }
    @inline(__always)
    func append(to target: inout UnsafeMutableRawPointer) {
        copy(to: target)
        target += count
    }
}

extension RequestText {
    /// The eight lengths as they are stored.
    @inline(__always)
    func lengths(model: Bytes, scope: Bytes) -> UInt64 {
        let most =
            model.count | scope.count | id.count | user.count | project.count | environment.count
            | address.count | userAgent.count
        precondition(most >= 0 && most <= 255, "short texts")
        func length(_ bytes: Bytes, _ i: UInt64) -> UInt64 {
            UInt64(truncatingIfNeeded: bytes.count) << (i * 8)
        }
        return length(model, 0) | length(scope, 1) | length(id, 2) | length(user, 3)
            | length(project, 4) | length(environment, 5) | length(address, 6)
            | length(userAgent, 7)
    }
    @inline(__always)
    func store(model: Bytes, scope: Bytes, to target: UnsafeMutableRawPointer) {
        var at = target
        model.append(to: &at)
        scope.append(to: &at)
        id.append(to: &at)
        user.append(to: &at)
        project.append(to: &at)
        environment.append(to: &at)
        address.append(to: &at)
        userAgent.append(to: &at)
    }
}

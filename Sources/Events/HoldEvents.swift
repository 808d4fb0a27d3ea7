// The hot events: fixed layouts, written and read without allocation. `schemas/events.md` mirrors
// them and golden files hold both together.

/// `hold.placed`: money, tokens and a slot set aside.
///
///     32 u32 model   36 u32 price version   40 u40 in   45 u40 out   50 i64 usd
///     58 u32 until (s since 1970)   62 texts
///
/// flags: service tier. Texts are eight lengths (u8 each: model, scope, id, user, project, env, ip,
/// ua) and then their bytes; the model's stands there only where it has no number.
package struct HoldPlaced: Sendable {
    package var header: EventHeader
    package var model: ModelNumber
    package var price: UInt32
    package var input: Int64
    package var output: Int64
    package var usd: Nanodollars
    /// Whole seconds since 1970.
    package var until: UInt32
    package var modelText = Bytes.empty
    package var scope = Bytes.empty
    package var text = RequestText()

    package var name: HoldName { HoldName(epoch: header.epoch, seq: header.seq) }
    package var tier: ServiceTier { ServiceTier(rawValue: header.flags) ?? .standard }
    package var untilInstant: Instant { Instant(seconds: Int64(until)) }

    package init(
        header: EventHeader, model: ModelNumber, price: UInt32, input: Int64, output: Int64,
        usd: Nanodollars, until: UInt32
    ) {
        self.header = header
        self.model = model
        self.price = price
        self.input = input
        self.output = output
        self.usd = usd
        self.until = until
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        model = ModelNumber(reader.uint32())
        price = reader.uint32()
        input = reader.uint40()
        output = reader.uint40()
        usd = Nanodollars(reader.int64())
        until = reader.uint32()
        reader.texts(model: &modelText, scope: &scope, &text)
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard input <= Bounds.tokensMax, output <= Bounds.tokensMax, usd.raw >= 0,
            header.flags < ServiceTier.allCases.count
        else { throw .malformed("amount") }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(uint32: model.raw)
        buffer.append(uint32: price)
        buffer.append(uint40: input)
        buffer.append(uint40: output)
        buffer.append(int64: usd.raw)
        buffer.append(uint32: until)
        buffer.appendTexts(model: modelText, scope: scope, text)
        buffer.endEvent(from: start)
    }
}

/// `hold.refused`: an answer of no, with the numbers that were answered.
///
///     32 u8 refusal   33 u8 limit kind (255: none)   34 u8 tier of the refusing account (255: none)
///     35 u32 model    39 u40 in   44 u40 out   49 i64 usd asked
///     57 i64 amount   65 i64 used   73 i64 held   81 i64 resets (ns; 0: never)   89 u8+bytes asked key
///     … texts
///
/// flags: service tier. The asked key stands there only where the header has no account and the
/// text is a well-formed path, so that a secret can never get in.
package struct HoldRefused: Sendable {
    package var header: EventHeader
    package var reason: Refusal
    package var limit: LimitKind?
    package var scopeTier: Tier?
    package var model: ModelNumber
    package var input: Int64
    package var output: Int64
    package var usd: Nanodollars
    package var amount: Int64 = 0
    package var used: Int64 = 0
    package var held: Int64 = 0
    package var resets: Instant?
    package var askedKey = Bytes.empty
    package var modelText = Bytes.empty
    package var scope = Bytes.empty
    package var text = RequestText()

    package init(
        header: EventHeader, reason: Refusal, model: ModelNumber, input: Int64, output: Int64,
        usd: Nanodollars
    ) {
        self.header = header
        self.reason = reason
        self.model = model
        self.input = input
        self.output = output
        self.usd = usd
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        let rawReason = reader.uint8()
        let rawLimit = reader.uint8()
        let rawTier = reader.uint8()
        model = ModelNumber(reader.uint32())
        input = reader.uint40()
        output = reader.uint40()
        usd = Nanodollars(reader.int64())
        amount = reader.int64()
        used = reader.int64()
        held = reader.int64()
        let rawResets = reader.int64()
        resets = rawResets == 0 ? nil : Instant(nanoseconds: rawResets)
        askedKey = reader.bytes(Int(reader.uint8()))
        reader.texts(model: &modelText, scope: &scope, &text)
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard let reason = Refusal(rawValue: rawReason) else { throw .malformed("refusal") }
        guard rawLimit == 255 || LimitKind(stored: rawLimit) != nil,
            rawTier == 255 || Tier(rawValue: rawTier) != nil
        else { throw .malformed("limit") }
        self.reason = reason
        limit = LimitKind(stored: rawLimit)
        scopeTier = Tier(rawValue: rawTier)
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(reason.rawValue)
        buffer.append(limit?.raw ?? 255)
        buffer.append(scopeTier?.rawValue ?? 255)
        buffer.append(uint32: model.raw)
        buffer.append(uint40: input)
        buffer.append(uint40: output)
        buffer.append(int64: usd.raw)
        buffer.append(int64: amount)
        buffer.append(int64: used)
        buffer.append(int64: held)
        buffer.append(int64: resets?.nanoseconds ?? 0)
        buffer.append(shortText: askedKey)
        buffer.appendTexts(model: modelText, scope: scope, text)
        buffer.endEvent(from: start)
    }
}

/// `refusals.summed`: refusals of one key and reason within one second that were only counted.
///
///     32 u8 refusal   33 u32 count   37 i64 second (s since 1970)
package struct RefusalsSummed: Sendable {
    package var header: EventHeader
    package var reason: Refusal
    package var refusals: UInt32
    package var second: Int64

    package init(header: EventHeader, reason: Refusal, refusals: UInt32, second: Int64) {
        self.header = header
        self.reason = reason
        self.refusals = refusals
        self.second = second
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        let rawReason = reader.uint8()
        refusals = reader.uint32()
        second = reader.int64()
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard let reason = Refusal(rawValue: rawReason) else { throw .malformed("refusal") }
        // 2³³ seconds still fit an `Instant`, which counts nanoseconds.
        guard second >= 0, second < 1 << 33 else { throw .malformed("second") }
        self.reason = reason
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(reason.rawValue)
        buffer.append(uint32: refusals)
        buffer.append(int64: second)
        buffer.endEvent(from: start)
    }
}

/// `hold.settled`: a hold ended with its actual usage.
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 u40 in   49 u40 out   54 u40 cached
///     59 u40 cache_write    64 u40 reasoning    69 i64 usd  77 u32 price version   81 u32 ms
///
/// flags: bits 0–1 outcome, bits 2–3 service tier, bit 4 late.
package struct HoldSettled: Sendable {
    package var header: EventHeader
    package var hold: HoldName
    package var usage: TokenUsage
    package var usd: Nanodollars
    package var price: UInt32
    package var milliseconds: UInt32

    package var outcome: Outcome { Outcome(rawValue: header.flags & 3) ?? .exact }
    package var tier: ServiceTier { ServiceTier(rawValue: header.flags >> 2 & 3) ?? .standard }
    package var isLate: Bool { header.flags & 16 != 0 }
    package static func flags(outcome: Outcome, tier: ServiceTier, late: Bool) -> UInt8 {
        outcome.rawValue | tier.rawValue << 2 | (late ? 16 : 0)
    }

    package init(
        header: EventHeader, hold: HoldName, usage: TokenUsage, usd: Nanodollars, price: UInt32,
        milliseconds: UInt32
    ) {
        self.header = header
        self.hold = hold
        self.usage = usage
        self.usd = usd
        self.price = price
        self.milliseconds = milliseconds
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        hold = reader.hold()
        usage = reader.usage()
        usd = Nanodollars(reader.int64())
        price = reader.uint32()
        milliseconds = reader.uint32()
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard usd.raw >= 0, usage.isWithinBounds else { throw .malformed("amount") }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(stored: hold)
        buffer.append(stored: usage)
        buffer.append(int64: usd.raw)
        buffer.append(uint32: price)
        buffer.append(uint32: milliseconds)
        buffer.endEvent(from: start)
    }
}

/// `hold.released`: a hold ended with nothing spent.
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 u8+bytes why
package struct HoldReleased: Sendable {
    package var header: EventHeader
    package var hold: HoldName
    package var why: Bytes

    package init(header: EventHeader, hold: HoldName, why: Bytes) {
        self.header = header
        self.hold = hold
        self.why = why
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        hold = reader.hold()
        why = reader.bytes(Int(reader.uint8()))
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(stored: hold)
        buffer.append(shortText: why)
        buffer.endEvent(from: start)
    }
}

/// `hold.lapsed`: a hold ran out of time. What it then costs is the org's choice (`on_lapse`).
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 i64 tokens charged   52 i64 usd charged
package struct HoldLapsed: Sendable {
    package var header: EventHeader
    package var hold: HoldName
    package var tokens: Int64
    package var usd: Nanodollars

    package init(header: EventHeader, hold: HoldName, tokens: Int64, usd: Nanodollars) {
        self.header = header
        self.hold = hold
        self.tokens = tokens
        self.usd = usd
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        hold = reader.hold()
        tokens = reader.int64()
        usd = Nanodollars(reader.int64())
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard usd.raw >= 0, tokens >= 0, tokens <= 2 * Bounds.tokensMax else {
            throw .malformed("amount")
        }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(stored: hold)
        buffer.append(int64: tokens)
        buffer.append(int64: usd.raw)
        buffer.endEvent(from: start)
    }
}

/// `charge.recorded`: usage without a hold, or of a hold the log does not know.
///
///     32 u32 model   36 u32 price version   40 u40 in   45 u40 out   50 u40 cached
///     55 u40 cache_write   60 u40 reasoning   65 i64 usd   73 u32 ms
///     77 u32 named hold's epoch   81 u64 named hold's seq (0-0: none)   89 texts
///
/// flags as in `hold.settled`.
package struct ChargeRecorded: Sendable {
    package var header: EventHeader
    package var model: ModelNumber
    package var price: UInt32
    package var usage: TokenUsage
    package var usd: Nanodollars
    package var milliseconds: UInt32
    /// The hold a caller settled although the log does not know it; nil for a plain charge.
    package var hold: HoldName?
    package var modelText = Bytes.empty
    package var text = RequestText()

    package var name: HoldName { HoldName(epoch: header.epoch, seq: header.seq) }
    package var outcome: Outcome { Outcome(rawValue: header.flags & 3) ?? .exact }
    package var tier: ServiceTier { ServiceTier(rawValue: header.flags >> 2 & 3) ?? .standard }

    package init(
        header: EventHeader, model: ModelNumber, price: UInt32, usage: TokenUsage,
        usd: Nanodollars, milliseconds: UInt32, hold: HoldName?
    ) {
        self.header = header
        self.model = model
        self.price = price
        self.usage = usage
        self.usd = usd
        self.milliseconds = milliseconds
        self.hold = hold
    }
    package init(_ event: StoredEvent) throws(EventError) {
        var reader = ByteReader(event.body)
        header = event.header
        model = ModelNumber(reader.uint32())
        price = reader.uint32()
        usage = reader.usage()
        usd = Nanodollars(reader.int64())
        milliseconds = reader.uint32()
        let named = reader.hold()
        hold = named.seq == 0 ? nil : named
        var scope = Bytes.empty
        reader.texts(model: &modelText, scope: &scope, &text)
        guard !reader.failed, reader.remaining == 0 else { throw .truncated }
        guard usd.raw >= 0, usage.isWithinBounds else { throw .malformed("amount") }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.beginEvent(header)
        buffer.append(uint32: model.raw)
        buffer.append(uint32: price)
        buffer.append(stored: usage)
        buffer.append(int64: usd.raw)
        buffer.append(uint32: milliseconds)
        buffer.append(stored: hold ?? HoldName(epoch: 0, seq: 0))
        buffer.appendTexts(model: modelText, scope: .empty, text)
        buffer.endEvent(from: start)
    }
}

extension TokenUsage {
    package var isWithinBounds: Bool {
        let most = Bounds.tokensMax
        return input >= 0 && output >= 0 && cached >= 0 && cacheWrite >= 0 && reasoning >= 0
            && input <= most && output <= most && cached <= most && cacheWrite <= most
            && reasoning <= most && isConsistent
    }
}

extension ByteReader {
    fileprivate mutating func hold() -> HoldName {
        let epoch = uint32()
        return HoldName(epoch: epoch, seq: uint64())
    }
    fileprivate mutating func usage() -> TokenUsage {
        var usage = TokenUsage()
        usage.input = uint40()
        usage.output = uint40()
        usage.cached = uint40()
        usage.cacheWrite = uint40()
        usage.reasoning = uint40()
        return usage
    }
    fileprivate mutating func texts(
        model: inout Bytes, scope: inout Bytes, _ text: inout RequestText
    ) {
        let lengths = uint64()
        func length(_ i: UInt64) -> Int { Int(lengths >> (i * 8) & 0xFF) }
        guard lengths != 0 else { return }
        model = bytes(length(0))
        scope = bytes(length(1))
        text.id = bytes(length(2))
        text.user = bytes(length(3))
        text.project = bytes(length(4))
        text.environment = bytes(length(5))
        text.address = bytes(length(6))
        text.userAgent = bytes(length(7))
    }
}

extension ByteBuffer {
    fileprivate mutating func append(stored hold: HoldName) {
        append(uint32: hold.epoch)
        append(uint64: hold.seq)
    }
    fileprivate mutating func append(stored usage: TokenUsage) {
        append(uint40: usage.input)
        append(uint40: usage.output)
        append(uint40: usage.cached)
        append(uint40: usage.cacheWrite)
        append(uint40: usage.reasoning)
    }
    fileprivate mutating func append(shortText text: Bytes) {
        precondition(text.count <= 255, "a short text")
        append(UInt8(truncatingIfNeeded: text.count))
        append(text)
    }
    fileprivate mutating func appendTexts(model: Bytes, scope: Bytes, _ text: RequestText) {
        let lengths =
            length(model, 0) | length(scope, 1) | length(text.id, 2) | length(text.user, 3)
            | length(text.project, 4) | length(text.environment, 5) | length(text.address, 6)
            | length(text.userAgent, 7)
        append(uint64: lengths)
        guard lengths != 0 else { return }
        append(model)
        append(scope)
        append(text.id)
        append(text.user)
        append(text.project)
        append(text.environment)
        append(text.address)
        append(text.userAgent)
    }
    private func length(_ bytes: Bytes, _ i: UInt64) -> UInt64 {
        precondition(bytes.count <= 255, "a short text")
        return UInt64(bytes.count) << (i * 8)
    }
}

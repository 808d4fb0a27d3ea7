// The hot events: fixed layouts, written and read without allocation. `schemas/events.md` mirrors
// them and golden files hold both together.

/// `hold.placed`: money, tokens and a slot set aside.
///
///     32 u32 model   36 u32 price version   40 u40 in   45 u40 out   50 i64 usd
///     58 u32 until (s since 1970)   62 texts
///
/// flags: service tier; bit 7 extras. Texts are eight lengths (u8 each: model, scope, id, user, project,
/// env, ip, ua) and then their bytes; the model's stands there only where it has no number. `Extras`
/// follow them.
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
    package var extras = Extras.none

    package var name: HoldName { HoldName(epoch: header.epoch, seq: header.seq) }
    package var tier: ServiceTier { ServiceTier(rawValue: header.flags & 3) ?? .standard }
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
        let stored = try StoredHoldPlaced(event.bytes)
        header = event.header
        model = ModelNumber(stored.model)
        price = stored.price
        input = stored.input
        output = stored.output
        usd = Nanodollars(stored.usd)
        until = stored.until
        var reader = StoredTexts(event.bytes, at: 62)
        reader.read(model: &modelText, scope: &scope, &text)
        extras = stored.extras
        header.flags &= ~Extras.flag
    }
    package func encode(into buffer: inout ByteBuffer) {
        HoldPlaced.encode(
            header, model: model.raw, price: price, input: input, output: output, usd: usd.raw,
            until: until, modelText: modelText, scope: scope, text, extras, into: &buffer)
    }
    /// The same from its parts, for who has no such struct: it is so large that building one and
    /// copying it about cost more than writing the event.
    package static func encode(
        _ header: EventHeader, model: UInt32, price: UInt32, input: Int64, output: Int64,
        usd: Int64, until: UInt32, modelText: Bytes, scope: Bytes, _ text: borrowing RequestText,
        _ extras: Extras = .none, into buffer: inout ByteBuffer
    ) {
        let lengths = text.lengths(model: modelText, scope: scope)
        let texts = 70 + StoredTexts.total(lengths)
        let length = texts + extras.bytes.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        if !extras.isEmpty { extras.store(to: at, at: texts) }
        at.put(model, at: 32)
        at.put(price, at: 36)
        at.put(uint40: input, at: 40)
        at.put(uint40: output, at: 45)
        at.put(usd, at: 50)
        at.put(until, at: 58)
        at.put(lengths, at: 62)
        if lengths != 0 { text.store(model: modelText, scope: scope, to: at + 70) }
    }
}

/// A stored `hold.placed` as it lies there, its length and amounts checked once: what a fold reads,
/// without a copy of what it does not need.
@frozen @usableFromInline
package struct StoredHoldPlaced {
    @usableFromInline let at: UnsafeRawPointer

    /// - Parameter bytes: exactly one event, of the type `hold.placed`.
    @inline(__always) @inlinable
    package init(_ bytes: Bytes) throws(EventError) {
        guard bytes.count >= 70 else { throw .truncated }
        at = bytes.base.unsafelyUnwrapped
        let texts = 70 &+ StoredTexts.total(at.field(UInt64.self, 62))
        if bytes.count != texts || flags >= 4 { try StoredHoldPlaced.checkExtras(bytes, texts) }
        guard input <= Bounds.tokensMax, output <= Bounds.tokensMax, usd >= 0 else {
            throw .malformed("amount")
        }
    }
    // Out of line: few events have any.
    @inline(never) @usableFromInline
    static func checkExtras(_ bytes: Bytes, _ texts: Int) throws(EventError) {
        let flags = bytes[3]
        guard flags & Extras.flag != 0, flags & ~Extras.flag < 4 else {
            throw flags < 4 ? .truncated : .malformed("flags")
        }
        guard bytes.count > texts else { throw .truncated }
        _ = try Extras(bytes.slice(texts, bytes.count))
    }
    @inlinable package var flags: UInt8 { at.field(UInt8.self, 3) }
    @inlinable package var tier: ServiceTier { ServiceTier(rawValue: flags & 3) ?? .standard }
    /// Checked when it was read.
    package var extras: Extras {
        guard flags & Extras.flag != 0 else { return .none }
        let texts = 70 + StoredTexts.total(at.field(UInt64.self, 62))
        let length = Int(at.field(UInt16.self, 0))
        return (try? Extras(Bytes(at + texts, count: length - texts))) ?? .none
    }
    @inlinable package var epoch: UInt32 { at.field(UInt32.self, 4) }
    @inlinable package var seq: UInt64 { at.field(UInt64.self, 8) }
    @inlinable package var time: Int64 { at.field(Int64.self, 16) }
    @inlinable package var account: UInt32 { at.field(UInt32.self, 28) }
    @inlinable package var model: UInt32 { at.field(UInt32.self, 32) }
    @inlinable package var price: UInt32 { at.field(UInt32.self, 36) }
    @inlinable package var input: Int64 { at.uint40(40) }
    @inlinable package var output: Int64 { at.uint40(45) }
    @inlinable package var usd: Int64 { at.field(Int64.self, 50) }
    @inlinable package var until: UInt32 { at.field(UInt32.self, 58) }
    @inlinable package var modelText: Bytes {
        Bytes(at + 70, count: Int(at.field(UInt8.self, 62)))
    }
    @inlinable package var scope: Bytes {
        let before = Int(at.field(UInt8.self, 62))
        return Bytes(at + (70 &+ before), count: Int(at.field(UInt8.self, 63)))
    }
    @inlinable package var id: Bytes {
        let before = Int(at.field(UInt8.self, 62)) &+ Int(at.field(UInt8.self, 63))
        return Bytes(at + (70 &+ before), count: Int(at.field(UInt8.self, 64)))
    }
}

/// `hold.refused`: an answer of no, with the numbers that were answered.
///
///     32 u8 refusal   33 u8 limit kind (255: none)   34 u8 tier of the refusing account (255: none)
///     35 u32 model    39 u40 in   44 u40 out   49 i64 usd asked
///     57 i64 amount   65 i64 used   73 i64 held   81 i64 resets (ns; 0: never)   89 u8+bytes asked key
///     … texts
///
/// flags: service tier; bit 7 extras, which follow the texts. The asked key stands there only where the header has no account and the
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
    package var extras = Extras.none

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
        let texts = event.bytes.count - reader.remaining
        guard !reader.failed, reader.remaining >= 8 else { throw .truncated }
        let end = texts + 8 + StoredTexts.total(event.bytes.base!.field(UInt64.self, texts))
        extras = try header.takeExtras(event.bytes, at: end)
        var textReader = ByteReader(event.bytes.slice(texts, end))
        textReader.texts(model: &modelText, scope: &scope, &text)
        guard let reason = Refusal(rawValue: rawReason) else { throw .malformed("refusal") }
        guard rawLimit == 255 || LimitKind(stored: rawLimit) != nil,
            rawTier == 255 || Tier(rawValue: rawTier) != nil
        else { throw .malformed("limit") }
        self.reason = reason
        limit = LimitKind(stored: rawLimit)
        scopeTier = Tier(rawValue: rawTier)
    }
    package func encode(into buffer: inout ByteBuffer) {
        let lengths = text.lengths(model: modelText, scope: scope)
        precondition(askedKey.count <= 255, "a short text")
        let texts = 90 + askedKey.count
        let end = texts + 8 + StoredTexts.total(lengths)
        let length = end + extras.bytes.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        if !extras.isEmpty { extras.store(to: at, at: end) }
        at.put(reason.rawValue, at: 32)
        at.put(limit?.raw ?? 255, at: 33)
        at.put(scopeTier?.rawValue ?? 255, at: 34)
        at.put(model.raw, at: 35)
        at.put(uint40: input, at: 39)
        at.put(uint40: output, at: 44)
        at.put(usd.raw, at: 49)
        at.put(amount, at: 57)
        at.put(used, at: 65)
        at.put(held, at: 73)
        at.put(resets?.nanoseconds ?? 0, at: 81)
        at.put(UInt8(truncatingIfNeeded: askedKey.count), at: 89)
        askedKey.copy(to: at + 90)
        at.put(lengths, at: texts)
        text.store(model: modelText, scope: scope, to: at + texts + 8)
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
        let length = 45
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        at.put(reason.rawValue, at: 32)
        at.put(refusals, at: 33)
        at.put(second, at: 37)
    }
}

/// `hold.settled`: a hold ended with its actual usage.
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 u40 in   49 u40 out   54 u40 cached
///     59 u40 cache_write    64 u40 reasoning    69 i64 usd  77 u32 price version   81 u32 ms
///
/// flags: bits 0–1 outcome, bits 2–3 service tier, bit 4 late, bit 7 extras, which stand at 85.
@frozen @usableFromInline
package struct HoldSettled: Sendable {
    @usableFromInline package var header: EventHeader
    @usableFromInline package var hold: HoldName
    @usableFromInline package var usage: TokenUsage
    @usableFromInline package var usd: Nanodollars
    @usableFromInline package var price: UInt32
    @usableFromInline package var milliseconds: UInt32
    package var extras = Extras.none

    package var outcome: Outcome { Outcome(rawValue: header.flags & 3) ?? .exact }
    package var tier: ServiceTier { ServiceTier(rawValue: header.flags >> 2 & 3) ?? .standard }
    package var isLate: Bool { header.flags & 16 != 0 }
    @inlinable package static func flags(outcome: Outcome, tier: ServiceTier, late: Bool) -> UInt8 {
        outcome.rawValue | tier.rawValue << 2 | (late ? 16 : 0)
    }

    @inlinable package init(
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
        let stored = try StoredHoldSettled(event.bytes)
        header = event.header
        hold = stored.hold
        usage = stored.usage
        usd = Nanodollars(stored.usd)
        price = stored.at.field(UInt32.self, 77)
        milliseconds = stored.at.field(UInt32.self, 81)
        extras = try header.takeExtras(event.bytes, at: 85)
    }
    package func encode(into buffer: inout ByteBuffer) {
        let length = 85 + extras.bytes.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        if !extras.isEmpty { extras.store(to: at, at: 85) }
        at.put(hold, at: 32)
        at.put(usage, at: 44)
        at.put(usd.raw, at: 69)
        at.put(price, at: 77)
        at.put(milliseconds, at: 81)
    }
}

/// A stored `hold.settled` as it lies there, its length and amounts checked once.
@frozen @usableFromInline
package struct StoredHoldSettled {
    @usableFromInline let at: UnsafeRawPointer

    /// - Parameter bytes: exactly one event, of the type `hold.settled`.
    @inline(__always) @inlinable
    package init(_ bytes: Bytes) throws(EventError) {
        guard bytes.count >= 85 else { throw .truncated }
        at = bytes.base.unsafelyUnwrapped
        if bytes.count != 85 || flags & Extras.flag != 0 {
            try StoredHoldSettled.checkExtras(bytes)
        }
        guard usd >= 0, usage.isWithinBounds else { throw .malformed("amount") }
    }
    // Out of line: few events have any.
    @inline(never) @usableFromInline
    static func checkExtras(_ bytes: Bytes) throws(EventError) {
        guard bytes[3] & Extras.flag != 0, bytes.count > 85 else { throw .truncated }
        _ = try Extras(bytes.slice(85, bytes.count))
    }
    @inlinable package var flags: UInt8 { at.field(UInt8.self, 3) }
    @inlinable package var epoch: UInt32 { at.field(UInt32.self, 4) }
    @inlinable package var seq: UInt64 { at.field(UInt64.self, 8) }
    @inlinable package var time: Int64 { at.field(Int64.self, 16) }
    @inlinable package var account: UInt32 { at.field(UInt32.self, 28) }
    @inlinable package var outcome: Outcome { Outcome(rawValue: flags & 3) ?? .exact }
    @inlinable package var tier: ServiceTier {
        ServiceTier(rawValue: flags >> 2 & 3) ?? .standard
    }
    @inlinable package var isLate: Bool { flags & 16 != 0 }
    @inlinable package var hold: HoldName {
        HoldName(epoch: at.field(UInt32.self, 32), seq: at.field(UInt64.self, 36))
    }
    @inlinable package var usage: TokenUsage {
        TokenUsage(
            input: at.uint40(44), output: at.uint40(49), cached: at.uint40(54),
            cacheWrite: at.uint40(59), reasoning: at.uint40(64))
    }
    @inlinable package var usd: Int64 { at.field(Int64.self, 69) }
    @inlinable package var price: UInt32 { at.field(UInt32.self, 77) }
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
        precondition(why.count <= 255, "a short text")
        let length = 45 + why.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        at.put(hold, at: 32)
        at.put(UInt8(truncatingIfNeeded: why.count), at: 44)
        why.copy(to: at + 45)
    }
}

/// `hold.lapsed`: a hold ran out of time. What it then costs is the org's choice (`on_lapse`).
///
///     32 u32 hold's epoch   36 u64 hold's seq   44 i64 tokens charged   52 i64 usd charged   60 extras
///
/// flags: bit 7 extras.
package struct HoldLapsed: Sendable {
    package var header: EventHeader
    package var hold: HoldName
    package var tokens: Int64
    package var usd: Nanodollars
    package var extras = Extras.none

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
        guard !reader.failed else { throw .truncated }
        extras = try header.takeExtras(event.bytes, at: 60)
        guard usd.raw >= 0, tokens >= 0, tokens <= 2 * Bounds.tokensMax else {
            throw .malformed("amount")
        }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let length = 60 + extras.bytes.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        if !extras.isEmpty { extras.store(to: at, at: 60) }
        at.put(hold, at: 32)
        at.put(tokens, at: 44)
        at.put(usd.raw, at: 52)
    }
}

/// `charge.recorded`: usage without a hold, or of a hold the log does not know.
///
///     32 u32 model   36 u32 price version   40 u40 in   45 u40 out   50 u40 cached
///     55 u40 cache_write   60 u40 reasoning   65 i64 usd   73 u32 ms
///     77 u32 named hold's epoch   81 u64 named hold's seq (0-0: none)   89 texts
///
/// flags as in `hold.settled`; extras follow the texts.
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
    package var extras = Extras.none

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
        // Not before they are known to be there: a damaged event may end anywhere.
        guard !reader.failed, reader.remaining >= 8 else { throw .truncated }
        let texts = StoredTexts.total(event.bytes.base!.field(UInt64.self, 89))
        guard reader.remaining >= 8 + texts else { throw .truncated }
        extras = try header.takeExtras(event.bytes, at: 97 + texts)
        var textReader = ByteReader(event.bytes.slice(89, 97 + texts))
        textReader.texts(model: &modelText, scope: &scope, &text)
        guard usd.raw >= 0, usage.isWithinBounds else { throw .malformed("amount") }
    }
    package func encode(into buffer: inout ByteBuffer) {
        let lengths = text.lengths(model: modelText, scope: .empty)
        let texts = 97 + StoredTexts.total(lengths)
        let length = texts + extras.bytes.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        if !extras.isEmpty { extras.store(to: at, at: texts) }
        at.put(model.raw, at: 32)
        at.put(price, at: 36)
        at.put(usage, at: 40)
        at.put(usd.raw, at: 65)
        at.put(milliseconds, at: 73)
        at.put(hold ?? HoldName(epoch: 0, seq: 0), at: 77)
        at.put(lengths, at: 89)
        text.store(model: modelText, scope: .empty, to: at + 97)
    }
}

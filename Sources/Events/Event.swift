/// What happened. The raw numbers stand in the log: never renumbered, never reused.
@frozen @usableFromInline
package enum EventType: UInt8, CaseIterable, Sendable {
    case ledgerCreated = 1
    case epochStarted = 2
    case windowOpened = 3

    case orgCreated = 10
    case teamCreated = 11
    case keyCreated = 12
    case keyRotated = 13
    case keyRevoked = 14
    case accountDisabled = 15
    case accountEnabled = 16
    case accountDescribed = 17
    case keyRotationDue = 18

    case limitsSet = 20
    case permissionsSet = 21
    case overrideGranted = 22
    case overrideEnded = 23
    case creditGranted = 24
    case creditExpired = 25
    case billingSet = 26
    case routingSet = 27
    case privacySet = 28
    case personalErased = 29

    case priceSet = 30
    case aliasSet = 31
    case chargeCorrected = 33

    case operatorCreated = 40
    case operatorRevoked = 41

    case holdPlaced = 50
    case holdRefused = 51
    case holdExtended = 52
    case holdSettled = 53
    case holdReleased = 54
    case holdLapsed = 55
    case chargeRecorded = 56
    case refusalsSummed = 58

    package var name: StaticString {
        switch self {
        case .ledgerCreated: "ledger.created"
        case .epochStarted: "epoch.started"
        case .windowOpened: "window.opened"
        case .orgCreated: "org.created"
        case .teamCreated: "team.created"
        case .keyCreated: "key.created"
        case .keyRotated: "key.rotated"
        case .keyRevoked: "key.revoked"
        case .accountDisabled: "account.disabled"
        case .accountEnabled: "account.enabled"
        case .accountDescribed: "account.described"
        case .keyRotationDue: "key.rotation_due"
        case .limitsSet: "limits.set"
        case .permissionsSet: "permissions.set"
        case .routingSet: "routing.set"
        case .privacySet: "privacy.set"
        case .personalErased: "personal.erased"
        case .overrideGranted: "override.granted"
        case .overrideEnded: "override.ended"
        case .creditGranted: "credit.granted"
        case .creditExpired: "credit.expired"
        case .billingSet: "billing.set"
        case .priceSet: "price.set"
        case .aliasSet: "alias.set"
        case .chargeCorrected: "charge.corrected"
        case .operatorCreated: "operator.created"
        case .operatorRevoked: "operator.revoked"
        case .holdPlaced: "hold.placed"
        case .holdRefused: "hold.refused"
        case .holdExtended: "hold.extended"
        case .holdSettled: "hold.settled"
        case .holdReleased: "hold.released"
        case .holdLapsed: "hold.lapsed"
        case .chargeRecorded: "charge.recorded"
        case .refusalsSummed: "refusals.summed"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = EventType.allCases.first(where: { name == $0.name }) else { return nil }
        self = found
    }
    /// Whether the body is `u32 number` and then canonical JSON, rather than a fixed layout.
    package var carriesJSON: Bool { rawValue < EventType.holdPlaced.rawValue }
    /// Whether somebody may append it; the other documents are the daemon's own to write.
    package var isAppendable: Bool {
        switch self {
        case .ledgerCreated, .epochStarted, .windowOpened, .keyRotationDue, .creditExpired,
            .personalErased:
            false
        default: carriesJSON
        }
    }
}

/// The first 32 bytes of every stored event, little-endian:
///
///     0  u16 length of the whole event    2  u8 type    3  u8 flags, by type
///     4  u32 epoch    8  u64 seq    16  i64 time (ns since 1970)
///     24 u32 actor    28 u32 account (2³²−1: none)    32 … body
@frozen @usableFromInline
package struct EventHeader: Hashable, Sendable {
    @inlinable package static var byteCount: Int { 32 }

    @usableFromInline package var type: EventType
    @usableFromInline package var flags: UInt8
    @usableFromInline package var epoch: UInt32
    @usableFromInline package var seq: UInt64
    @usableFromInline package var time: Instant
    @usableFromInline package var actor: Actor
    @usableFromInline package var account: AccountNumber

    @inlinable package init(
        type: EventType, epoch: UInt32, seq: UInt64, time: Instant, actor: Actor,
        account: AccountNumber
    ) {
        self.type = type
        flags = 0
        self.epoch = epoch
        self.seq = seq
        self.time = time
        self.actor = actor
        self.account = account
    }
}

/// Why bytes are no event.
@frozen @usableFromInline
package enum EventError: Error, Sendable {
    case truncated
    case unknownType(UInt8)
    case malformed(StaticString)

    package var explanation: String {
        switch self {
        case .truncated: "the event is cut short"
        case .unknownType(let raw): "event type \(raw) is not known to this version of tollgate"
        case .malformed(let what): "the event has a malformed \(what)"
        }
    }
}

/// A stored event, borrowed: its header read, its body still bytes.
package struct StoredEvent: Sendable {
    package var header: EventHeader
    package var body: Bytes
    /// The whole event, header included: what is hashed and proven.
    package var bytes: Bytes

    /// Reads the event that starts at the front of `bytes`; longer input is allowed.
    package init(_ bytes: Bytes) throws(EventError) {
        guard bytes.count >= EventHeader.byteCount else { throw .truncated }
        let base = bytes.base.unsafelyUnwrapped
        let length = Int(UInt16(littleEndian: base.loadUnaligned(as: UInt16.self)))
        guard length >= EventHeader.byteCount, length <= bytes.count else { throw .truncated }
        let rawType = base.load(fromByteOffset: 2, as: UInt8.self)
        guard let type = EventType(rawValue: rawType) else { throw .unknownType(rawType) }
        func u32(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func u64(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        header = EventHeader(
            type: type, epoch: u32(4), seq: u64(8),
            time: Instant(nanoseconds: Int64(bitPattern: u64(16))),
            actor: Actor(raw: u32(24)), account: AccountNumber(u32(28)))
        header.flags = base.load(fromByteOffset: 3, as: UInt8.self)
        self.bytes = bytes.slice(0, length)
        body = bytes.slice(EventHeader.byteCount, length)
    }

    /// The length that stands at the front of a stored event; nil when there are too few bytes.
    package static func length(_ bytes: Bytes) -> Int? {
        guard bytes.count >= EventHeader.byteCount else { return nil }
        return Int(
            UInt16(littleEndian: bytes.base.unsafelyUnwrapped.loadUnaligned(as: UInt16.self)))
    }
}

extension EventHeader {
    /// Writes the header of an event of `length` bytes at the event's beginning.
    @inline(__always)
    func store(to at: UnsafeMutableRawPointer, length: Int) {
        precondition(length <= Bounds.eventBytesMax, "an event must fit its 16-bit length")
        at.put(UInt16(truncatingIfNeeded: length), at: 0)
        at.put(type.rawValue, at: 2)
        at.put(flags, at: 3)
        at.put(epoch, at: 4)
        at.put(seq, at: 8)
        at.put(time.nanoseconds, at: 16)
        at.put(actor.raw, at: 24)
        at.put(account.raw, at: 28)
    }
}

extension UnsafeMutableRawPointer {
    /// Writes a field in its place, little-endian.
    @inline(__always)
    func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    /// Five bytes: a token count, which `Bounds.tokensMax` keeps below 2⁴⁰.
    @inline(__always)
    func put(uint40 value: Int64, at offset: Int) {
        precondition(UInt64(bitPattern: value) < 1 << 40, "a 40-bit count")
        put(UInt32(truncatingIfNeeded: value), at: offset)
        put(UInt8(truncatingIfNeeded: value >> 32), at: offset + 4)
    }
    @inline(__always)
    func put(_ hold: HoldName, at offset: Int) {
        put(hold.epoch, at: offset)
        put(hold.seq, at: offset + 4)
    }
    @inline(__always)
    func put(_ usage: TokenUsage, at offset: Int) {
        put(uint40: usage.input, at: offset)
        put(uint40: usage.output, at: offset + 5)
        put(uint40: usage.cached, at: offset + 10)
        put(uint40: usage.cacheWrite, at: offset + 15)
        put(uint40: usage.reasoning, at: offset + 20)
    }
}

extension UnsafeRawPointer {
    /// Reads a field from its place.
    @inline(__always) @inlinable
    package func field<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    @inline(__always) @inlinable
    package func uint40(_ offset: Int) -> Int64 {
        Int64(field(UInt8.self, offset + 4)) << 32 | Int64(field(UInt32.self, offset))
    }
}

/// An event whose body is a number that the fold assigned (an account's, a model's, an operator's;
/// 0 where there is none) and canonical JSON.
package struct DocumentEvent: Sendable {
    package var header: EventHeader
    package var number: UInt32
    package var json: Bytes

    package init(header: EventHeader, number: UInt32, json: Bytes) {
        self.header = header
        self.number = number
        self.json = json
    }
    package init(_ event: StoredEvent) throws(EventError) {
        guard event.header.type.carriesJSON, event.body.count >= 6 else { throw .malformed("body") }
        var reader = ByteReader(event.body)
        header = event.header
        number = reader.uint32()
        json = reader.bytes(reader.remaining)
    }
    /// Flag of a stored key or operator whose secret the daemon made, rather than the caller.
    package static let generatedSecret: UInt8 = 1

    package func encode(into buffer: inout ByteBuffer) {
        let length = EventHeader.byteCount + 4 + json.count
        let at = buffer.appendUnwritten(length)
        header.store(to: at, length: length)
        at.put(number, at: 32)
        if json.count > 0 { (at + 36).copyMemory(from: json.base!, byteCount: json.count) }
    }
}

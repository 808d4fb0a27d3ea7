import Events

/// What an event says, field by field: filled by `ExportReader`, written out by `ExportWriter`.
///
/// It borrows its texts, so it lives as long as the event and the reader's memory. One row is used over and
/// over; only which fields are there is forgotten in between.
struct ExportRow: ~Copyable {
    private var present: UInt64 = 0
    private var numbers = InlineArray<48, Int64>(repeating: 0)
    private var texts = InlineArray<48, Bytes>(repeating: .empty)
    /// The name's first part; its second is the number of the field `hold`.
    private(set) var holdEpoch: UInt32 = 0
    /// The key's, team's or org's, by number.
    var account = AccountNumber.none
    var type = EventType.ledgerCreated

    init() { precondition(ExportField.allCases.count <= 48, "a place for each field") }

    @inline(__always)
    mutating func removeAll() { present = 0 }
    @inline(__always)
    mutating func set(_ field: ExportField, _ number: Int64) {
        numbers[Int(field.rawValue)] = number
        present |= 1 &<< UInt64(field.rawValue)
    }
    @inline(__always)
    mutating func set(_ field: ExportField, _ text: Bytes) {
        guard text.count > 0 else { return }
        texts[Int(field.rawValue)] = text
        present |= 1 &<< UInt64(field.rawValue)
    }
    @inline(__always)
    mutating func set(_ field: ExportField, _ text: StaticString) { set(field, Bytes(text)) }
    @inline(__always)
    mutating func set(_ hold: HoldName) {
        holdEpoch = hold.epoch
        set(.hold, Int64(bitPattern: hold.seq))
    }

    @inline(__always)
    func has(_ field: ExportField) -> Bool { present & 1 &<< UInt64(field.rawValue) != 0 }
    @inline(__always)
    func number(_ field: ExportField) -> Int64 { numbers[Int(field.rawValue)] }
    @inline(__always)
    func text(_ field: ExportField) -> Bytes { texts[Int(field.rawValue)] }
    var hold: HoldName { HoldName(epoch: holdEpoch, seq: UInt64(bitPattern: number(.hold))) }
    /// The account's whole path, as deep as it goes.
    var path: Bytes {
        if has(.key) { return text(.key) }
        if has(.team) { return text(.team) }
        return has(.org) ? text(.org) : .empty
    }
    /// A number where there is one, else 0.
    func sum(_ field: ExportField) -> Int64 { has(field) ? number(field) : 0 }
}

extension ExportRow {
    mutating func set(_ usage: TokenUsage) {
        set(.inputTokens, usage.input)
        set(.outputTokens, usage.output)
        if usage.cached > 0 { set(.cachedTokens, usage.cached) }
        if usage.cacheWrite > 0 { set(.cacheWriteTokens, usage.cacheWrite) }
        if usage.reasoning > 0 { set(.reasoningTokens, usage.reasoning) }
    }
}

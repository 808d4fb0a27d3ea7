import CLinux
import Events
import Journal

@testable import Audit

/// A log of events that a test makes up.
final class MemoryLog: LogSource {
    let ledgerID = LedgerID("0123456789abcdef0123456789abcdef")!
    var lastSeq: UInt64 { UInt64(events.count) }
    private(set) var events: [[UInt8]] = []
    private(set) var persons: [PersonalText] = []
    /// How often somebody read a batch, and asked for what is kept of persons.
    private(set) var reads = 0
    private(set) var personReads = 0
    /// At most so many events in a batch.
    var batchEvents = 1_000

    static let paths = [
        "acme", "acme/ml", "acme/ml/prod", "acme/ml/test", "zeta", "zeta/web", "zeta/web/k",
    ]
    static let models = ["openai/gpt-4.1", "anthropic/claude-sonnet-4.5"]
    static let operators = ["relay-1"]
    static let prod = AccountNumber(2)
    static let test = AccountNumber(3)
    static let web = AccountNumber(6)

    // MARK: Making it up

    /// The header of the next event, which stands a quarter of a second after the one before.
    func next(
        _ type: EventType, _ account: AccountNumber = .none, _ actor: Actor = .operatorNumber(0),
        flags: UInt8 = 0
    ) -> EventHeader {
        // 2026-11-22T10:00:00.123456789Z
        let time = Instant(nanoseconds: 1_795_341_600_123_456_789 + Int64(lastSeq) * 250_000_000)
        var header = EventHeader(
            type: type, epoch: 1, seq: lastSeq + 1, time: time, actor: actor, account: account)
        header.flags = flags
        return header
    }
    @discardableResult
    func add(_ encode: (inout ByteBuffer) -> Void) -> HoldName {
        var buffer = ByteBuffer()
        encode(&buffer)
        events.append(Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count)))
        return HoldName(epoch: 1, seq: lastSeq)
    }
    func document(
        _ type: EventType, of account: AccountNumber = .none, number: UInt32 = 0, _ json: String
    ) throws {
        let header = next(type, account, .uid(0))
        var text = ByteBuffer()
        text.append(canonical: try json.withBytes { try JSON(parsing: $0) })
        let event = DocumentEvent(header: header, number: number, json: text.bytes)
        add { event.encode(into: &$0) }
    }
    @discardableResult
    func place(
        _ account: AccountNumber = prod, model: UInt32 = 0, usd: Int64 = 19_200_000,
        _ text: (inout RequestText) -> Void = { _ in }
    ) -> HoldName {
        var event = HoldPlaced(
            header: next(.holdPlaced, account), model: ModelNumber(model), price: 1, input: 1_200,
            output: 400, usd: Nanodollars(usd), until: 1_795_342_201)
        text(&event.text)
        return add { event.encode(into: &$0) }
    }
    func settle(
        _ hold: HoldName, _ account: AccountNumber = prod, usd: Int64 = 10_800_000,
        late: Bool = false
    ) {
        let flags = HoldSettled.flags(outcome: .exact, tier: .standard, late: late)
        let event = HoldSettled(
            header: next(.holdSettled, account, flags: flags), hold: hold,
            usage: TokenUsage(input: 1_200, output: 300, cached: 1_000, reasoning: 100),
            usd: Nanodollars(usd), price: 1, milliseconds: 842)
        add { event.encode(into: &$0) }
    }
    func lapse(_ hold: HoldName, _ account: AccountNumber = prod, usd: Int64) {
        let event = HoldLapsed(
            header: next(.holdLapsed, account, .daemon), hold: hold, tokens: usd > 0 ? 1_200 : 0,
            usd: Nanodollars(usd))
        add { event.encode(into: &$0) }
    }
    /// Keeps what a commitment was made of; returns the commitment's text.
    func keep(_ text: String, _ field: PersonalField, of org: String?) -> StaticString {
        let spelt: [StaticString] = [
            "~AAECAwQFBgcICQoLDA0ODw", "~AQECAwQFBgcICQoLDA0ODw", "~AgECAwQFBgcICQoLDA0ODw",
        ]
        let commitment = spelt[persons.count]
        persons.append(
            PersonalText(
                org: org, field: field, commitment: Commitment(Bytes(commitment))!, text: text))
        return commitment
    }

    // MARK: Reading it

    func refresh() {}
    func read(
        from first: UInt64, through last: UInt64, into batch: inout LogBatch
    ) throws(AuditFailure) {
        reads += 1
        batch.removeAll()
        let end = min(last, lastSeq, first + UInt64(batchEvents) - 1)
        guard first >= 1, first <= end else { return }
        try batch.take(framesFrom: first) { buffer in
            for event in events[Int(first - 1)..<Int(end)] {
                event.withUnsafeBytes { raw in
                    buffer.append(uint32: tg_crc32c(0, raw.baseAddress, raw.count))
                    buffer.append(Bytes(raw))
                }
            }
        }
    }
    func names(_ kind: NameKind, from number: UInt32) -> [(number: UInt32, name: String)] {
        let names =
            switch kind {
            case .account: MemoryLog.paths
            case .model: MemoryLog.models
            case .operatorName: MemoryLog.operators
            }
        return names.enumerated().map { (UInt32($0.offset), $0.element) }
            .filter { $0.0 >= number }
    }
    func personalTexts(_ body: (PersonalText) -> Void) {
        personReads += 1
        persons.forEach(body)
    }
}

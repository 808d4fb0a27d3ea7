import Events

@testable import Audit

extension MemoryLog {
    /// Something of everything that an export tells apart: what `schemas/exports` shows.
    static func story() throws -> MemoryLog {
        let log = MemoryLog()
        try log.document(.ledgerCreated, #"{"ledger": "0123456789abcdef0123456789abcdef"}"#)
        try log.document(
            .orgCreated, of: AccountNumber(0), #"{"account": "acme", "name": "Acme, Inc."}"#)
        try log.document(.teamCreated, of: AccountNumber(1), number: 1, #"{"account": "acme/ml"}"#)
        try log.document(.keyCreated, of: prod, number: 2, #"{"account": "acme/ml/prod"}"#)
        try log.document(.keyCreated, of: test, number: 3, #"{"account": "acme/ml/test"}"#)
        try log.document(.priceSet, #"{"model": "openai/gpt-4.1", "in": "8", "out": "24"}"#)
        try log.document(.operatorCreated, #"{"operator": "relay-1", "role": "relay"}"#)

        let user = log.keep("ada@example.com", .user, of: "acme")
        let first = log.place { text in
            text.id = Bytes("0193cfa0-6e5f-7bc2-a32b-6a7c7d1f0e11")
            text.user = Bytes(user)
            text.project = Bytes("=HYPERLINK(\"http://x\",\"y\")")
            text.environment = Bytes("live")
            text.address = Bytes("2001:db8::1")
            text.userAgent = Bytes("curl/8.5 \"x\", y")
        }
        log.settle(first)
        let forgotten = log.place(test, model: 1) { text in
            text.user = Bytes("+49 30 1234")
            text.address = Bytes("~____________________-w")
        }
        log.lapse(forgotten, test, usd: 9_600_000)
        log.settle(forgotten, test, usd: 12_000_000, late: true)
        log.refuse()
        let given = log.place()
        let released = HoldReleased(
            header: log.next(.holdReleased, prod), hold: given, why: Bytes("client gone"))
        log.add { released.encode(into: &$0) }
        log.charge()
        try log.document(
            .chargeCorrected, of: prod,
            """
            {"account": "acme/ml/prod", "charge": "1-8", "id": "rerate-1", "usd": "0.0096", "was": "0.0108", \
            "placed": "2026-11-22T10:00:01Z", "model": "openai/gpt-4.1", "price": 2}
            """)
        let summed = RefusalsSummed(
            header: log.next(.refusalsSummed, prod, .daemon), reason: .requestsPerMinute,
            refusals: 40, second: 1_795_341_603)
        log.add { summed.encode(into: &$0) }
        let grown = log.place()
        let extended = HoldExtended(
            header: log.next(.holdExtended, prod), hold: grown, input: 1_200,
            output: 800, usd: Nanodollars(28_800_000), until: 1_795_342_300, price: 1)
        log.add { extended.encode(into: &$0) }
        return log
    }

    private func refuse() {
        var known = HoldRefused(
            header: next(.holdRefused, MemoryLog.prod), reason: .budgetExhausted,
            model: ModelNumber(0), input: 1_200, output: 400, usd: Nanodollars(19_200_000))
        known.limit = LimitKind(.usd, .day)
        known.scopeTier = .team
        (known.amount, known.used, known.held) = (500_000_000_000, 499_200_000_000, 790_000_000)
        known.resets = Instant(nanoseconds: 1_795_392_000_000_000_000)
        known.text.id = Bytes("r-2")
        add { known.encode(into: &$0) }
        var unknown = HoldRefused(
            header: next(.holdRefused), reason: .keyUnknown, model: .none, input: 12,
            output: 4_096, usd: .zero)
        unknown.askedKey = Bytes("acme/ml/\"nobody\"")
        unknown.modelText = Bytes("gpt")
        add { unknown.encode(into: &$0) }
    }
    private func charge() {
        let flags = HoldSettled.flags(outcome: .estimated, tier: .batch, late: false)
        var event = ChargeRecorded(
            header: next(.chargeRecorded, MemoryLog.prod, flags: flags), model: ModelNumber(1),
            price: 1, usage: TokenUsage(input: 500, output: 20), usd: Nanodollars(4_000_000),
            milliseconds: 0, hold: nil)
        event.text.id = Bytes("batch-7")
        var extras = Extras.Writer()
        extras.add(
            Extras.Billed(amount: Nanodollars(28_000_000), currency: Currency(Bytes("CNY"))!))
        event.extras = extras.extras
        add { event.encode(into: &$0) }
    }
}

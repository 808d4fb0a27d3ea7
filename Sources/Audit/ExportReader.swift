import Events
import Journal

/// Makes rows of events, each joined with what an earlier event says of the same request.
struct ExportReader: ~Copyable {
    private let source: any LogSource
    private let wantsAll: Bool
    private let showsPersons: Bool
    private var persons: PersonalTexts
    private var names: ExportNames
    private var placings = Placings()
    private var charges: PastCharges
    /// An event that had to be read again.
    private var fetched = LogBatch(capacity: 4_096)
    private var details = ByteBuffer(capacity: 1_024)
    private var resource = ByteBuffer(capacity: 256)
    private var currency = ByteBuffer(capacity: 16)
    private var replacedCurrency = ByteBuffer(capacity: 16)
    private let ledger: String

    /// - Parameter first: the first event that will be read.
    init(_ source: any LogSource, _ job: ExportJob, first: UInt64) {
        self.source = source
        wantsAll = job.filter.accounts.isEmpty
        showsPersons = job.showsPersons
        persons = PersonalTexts(source)
        let logNames = LogNames(source)
        names = ExportNames(logNames, job.filter)
        charges = PastCharges(from: first, logNames)
        ledger = "\(source.ledgerID)"
    }

    /// Whether an account's events are wanted; those of no account are when all are.
    @inline(__always)
    mutating func wants(_ number: AccountNumber) throws(AuditFailure) -> Bool {
        if wantsAll { return true }
        guard number != .none else { return false }
        return try names.account(number).isWanted
    }
    func path(_ number: AccountNumber) -> String {
        names.knownPath(number)?.string ?? ""
    }

    /// Notes what later rows are joined with, of an event that has no row itself.
    mutating func pass(_ event: StoredEvent) throws(AuditFailure) {
        switch event.header.type {
        case .holdPlaced: placings.add(event.bytes, seq: event.header.seq)
        case .holdSettled, .holdLapsed, .chargeRecorded, .chargeCorrected, .billingSet:
            try charges.note(event)
        default: break
        }
    }
    /// The same of an account's whose events are not wanted: how its org is billed concerns those that are.
    @inline(__always)
    mutating func passOther(_ event: StoredEvent) throws(AuditFailure) {
        if event.header.type == .billingSet { try charges.note(event) }
    }

    /// Fills a row; what it borrows is valid until the next call.
    mutating func read(_ event: StoredEvent, into row: inout ExportRow) throws(AuditFailure) {
        row.removeAll()
        row.type = event.header.type
        row.account = event.header.account
        row.set(.seq, Int64(bitPattern: event.header.seq))
        row.set(.timestamp, event.header.time.nanoseconds)
        row.set(.epoch, Int64(event.header.epoch))
        let type = Bytes(event.header.type.name)
        row.set(.type, type)
        if let dot = type.firstIndex(of: UInt8(ascii: ".")) {
            row.set(.action, type.slice(dot + 1, type.count))
        }
        row.set(.actor, try names.actor(event.header.actor))
        if event.header.account != .none { try setAccount(event.header.account, &row) }
        switch event.header.type {
        case .holdPlaced: try placed(event, &row)
        case .holdRefused: try refused(event, &row)
        case .holdExtended: try extended(event, &row)
        case .holdSettled: try settled(event, &row)
        case .holdReleased: try released(event, &row)
        case .holdLapsed: try lapsed(event, &row)
        case .chargeRecorded: try charged(event, &row)
        case .refusalsSummed:
            let summed = try decode(event) { (event) throws(EventError) in try RefusalsSummed(event)
            }
            row.set(.status, summed.reason.status)
            row.set(.reason, summed.reason.name)
            row.set(.count, Int64(summed.refusals))
        default: try document(event, &row)
        }
    }

    private mutating func setAccount(
        _ number: AccountNumber, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let account = try names.account(number)
        let path = names.path(account)
        row.set(.org, path.slice(0, account.orgEnd))
        guard account.tier != .org else { return }
        row.set(.team, path.slice(0, account.teamEnd))
        guard account.tier == .key else { return }
        row.set(.key, path)
        row.set(.keyName, path.slice(account.teamEnd + 1, path.count))
    }
    private mutating func setModel(
        _ number: ModelNumber, _ text: Bytes, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let model = number != .none ? try names.model(number) : text
        row.set(.model, model)
        row.set(.resourceType, "model")
        row.set(.resourceID, model)
    }

    private mutating func set(
        _ text: RequestText, _ row: inout ExportRow
    ) throws(AuditFailure) {
        row.set(.requestID, text.id)
        row.set(.project, text.project)
        row.set(.environment, text.environment)
        let account = row.path
        try set(.user, text.user, .user, of: account, &row)
        try set(.ip, text.address, .address, of: account, &row)
        try set(.userAgent, text.userAgent, .userAgent, of: account, &row)
    }
    @inline(__always)
    private mutating func set(
        _ field: ExportField, _ text: Bytes, _ personal: PersonalField, of account: Bytes,
        _ row: inout ExportRow
    ) throws(AuditFailure) {
        let plain = showsPersons ? try persons.plain(text, personal, of: account) : nil
        row.set(field, plain ?? text)
    }

    // MARK: Requests

    private mutating func placed(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        placings.add(event.bytes, seq: event.header.seq)
        let placed = try decode(event) { (event) throws(EventError) in try HoldPlaced(event) }
        row.set(placed.name)
        try set(placed, &row)
        row.set(.tier, placed.tier.name)
        row.set(.price, Int64(placed.price))
        row.set(.scope, placed.scope)
        row.set(.status, 200)
        row.set(.count, 1)
        setDetails(placed.extras, &row)
    }
    /// What a hold's placing says of all the rest of its life.
    private mutating func set(
        _ placed: HoldPlaced, _ row: inout ExportRow
    ) throws(AuditFailure) {
        try setModel(placed.model, placed.modelText, &row)
        row.set(.askedInputTokens, placed.input)
        row.set(.askedOutputTokens, placed.output)
        row.set(.askedCost, placed.usd.raw)
        try set(placed.text, &row)
    }
    private mutating func refused(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let refused = try decode(event) { (event) throws(EventError) in try HoldRefused(event) }
        if event.header.account == .none { row.set(.key, refused.askedKey) }
        try setModel(refused.model, refused.modelText, &row)
        row.set(.askedInputTokens, refused.input)
        row.set(.askedOutputTokens, refused.output)
        row.set(.askedCost, refused.usd.raw)
        try set(refused.text, &row)
        row.set(.status, refused.reason.status)
        row.set(.reason, refused.reason.name)
        row.set(.count, 1)
        if let hold = refused.extras.growing { row.set(hold) }
        if let tier = refused.scopeTier, event.header.account != .none {
            let account = try names.account(event.header.account)
            let end = [account.orgEnd, account.teamEnd, account.count][Int(tier.rawValue)]
            row.set(.scope, names.path(account).slice(0, end))
        }
        details.removeAll()
        var object = ObjectWriter(opening: &details)
        if let limit = refused.limit {
            row.set(.limit, limit.name)
            object.field("amount", amount: refused.amount, of: limit, into: &details)
            object.field("used", amount: refused.used, of: limit, into: &details)
            object.field("held", amount: refused.held, of: limit, into: &details)
        } else if refused.reason == .creditExhausted {
            object.field("amount", Nanodollars(refused.amount), into: &details)
            object.field("used", Nanodollars(refused.used), into: &details)
            object.field("held", Nanodollars(refused.held), into: &details)
        }
        if let resets = refused.resets { object.field("resets_at", resets, into: &details) }
        if !refused.scope.isEmpty { object.field("asked_scope", refused.scope, into: &details) }
        object.extras(refused.extras, into: &details)
        close(&row)
    }
    private mutating func extended(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let extended = try decode(event) { (event) throws(EventError) in try HoldExtended(event) }
        row.set(extended.hold)
        try join(extended.hold, &row)
        row.set(.askedInputTokens, extended.input)
        row.set(.askedOutputTokens, extended.output)
        row.set(.askedCost, extended.usd.raw)
        row.set(.tier, extended.tier.name)
        row.set(.price, Int64(extended.price))
    }
    private mutating func settled(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let settled = try decode(event) { (event) throws(EventError) in try HoldSettled(event) }
        row.set(settled.hold)
        try join(settled.hold, &row)
        row.set(settled.usage)
        row.set(.cost, settled.usd.raw)
        row.set(.price, Int64(settled.price))
        row.set(.tier, settled.tier.name)
        row.set(.outcome, settled.outcome.name)
        if settled.milliseconds > 0 { row.set(.latency, Int64(settled.milliseconds)) }
        set(settled.extras.billed, &row)
        if settled.isLate,
            let past = try charges.of(settled.hold, before: event.header.seq, in: source)
        {
            setReplaced(past.usd, past.billed, &row)
        }
        charges.note(settled)
    }
    private mutating func released(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let released = try decode(event) { (event) throws(EventError) in try HoldReleased(event) }
        row.set(released.hold)
        try join(released.hold, &row)
        row.set(.cost, 0)
        row.set(.reason, released.why)
    }
    private mutating func lapsed(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let lapsed = try decode(event) { (event) throws(EventError) in try HoldLapsed(event) }
        row.set(lapsed.hold)
        try charges.note(event)
        try join(lapsed.hold, &row)
        row.set(.cost, lapsed.usd.raw)
        set(lapsed.extras.billed, &row)
        guard lapsed.tokens > 0 else { return }
        details.removeAll()
        var object = ObjectWriter(opening: &details)
        object.field("tokens", lapsed.tokens, into: &details)
        close(&row)
    }
    private mutating func charged(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let charge = try decode(event) { (event) throws(EventError) in try ChargeRecorded(event) }
        row.set(charge.hold ?? charge.name)
        if charge.hold != nil { try charges.note(event) }
        try setModel(charge.model, charge.modelText, &row)
        row.set(charge.usage)
        row.set(.cost, charge.usd.raw)
        row.set(.price, Int64(charge.price))
        row.set(.tier, charge.tier.name)
        row.set(.outcome, charge.outcome.name)
        if charge.milliseconds > 0 { row.set(.latency, Int64(charge.milliseconds)) }
        try set(charge.text, &row)
        row.set(.count, 1)
        set(charge.extras.billed, &row)
    }

    /// Adds to a row what the hold's placing says, where the log knows it.
    @inline(__always)
    private mutating func join(
        _ hold: HoldName, _ row: inout ExportRow
    ) throws(AuditFailure) {
        var found = placings.find(hold.seq)
        if found == nil { found = try fetch(hold.seq) }
        guard let bytes = found else { return }
        let event = try StoredEvent(audited: bytes, hold.seq)
        // A seq that a power cut took back may be another event's now.
        guard event.header.epoch == hold.epoch else { return }
        switch event.header.type {
        case .holdPlaced:
            try set(try decode(event) { (event) throws(EventError) in try HoldPlaced(event) }, &row)
        case .chargeRecorded:
            let charge = try decode(event) { (event) throws(EventError) in
                try ChargeRecorded(event)
            }
            try setModel(charge.model, charge.modelText, &row)
            try set(charge.text, &row)
        default: return
        }
    }
    // Out of line: only what was placed long ago, or before the export begins.
    @inline(never)
    private mutating func fetch(_ seq: UInt64) throws(AuditFailure) -> Bytes? {
        guard seq >= 1, seq <= source.lastSeq else { return nil }
        return try source.event(seq, into: &fetched).bytes
    }

    // MARK: Documents

    private mutating func document(
        _ event: StoredEvent, _ row: inout ExportRow
    ) throws(AuditFailure) {
        let document = try decode(event) { (event) throws(EventError) in try DocumentEvent(event) }
        row.set(.details, document.json)
        if event.header.type == .billingSet { try charges.note(event) }
        let type = Bytes(event.header.type.name)
        if event.header.type == .chargeCorrected {
            let corrected = try correction(event)
            row.set(corrected.charge)
            try join(corrected.charge, &row)
            row.set(.cost, corrected.usd.raw)
            if let was = corrected.was, was.raw > 0 {
                // Of an org that is billed list prices in dollars no correction says what is billed.
                let billed =
                    corrected.billed == nil
                    ? nil
                    : try charges.billed(
                        corrected.charge, was: was.raw, of: event.header.account,
                        in: source)
                setReplaced(was.raw, billed, &row)
            }
            try charges.note(event)
            if let price = corrected.price { row.set(.price, Int64(price)) }
            set(corrected.billed, &row)
            return
        }
        for (prefix, name) in [("price.", "model"), ("alias.", "alias"), ("operator.", "operator")]
            as [(StaticString, String)]
        where type.hasPrefix(prefix) {
            let json = try? JSON(parsing: document.json)
            resource.removeAll()
            resource.append(json?[name]?.string ?? "")
            row.set(.resourceType, type.slice(0, prefix.utf8CodeUnitCount - 1))
            row.set(.resourceID, resource.bytes)
            if name == "model" { row.set(.model, resource.bytes) }
            return
        }
        if event.header.account != .none {
            let account = try names.account(event.header.account)
            row.set(.resourceType, account.tier.name)
            row.set(.resourceID, names.path(account))
        } else {
            resource.removeAll()
            resource.append(ledger)
            row.set(.resourceType, "ledger")
            row.set(.resourceID, resource.bytes)
        }
    }
    private func correction(_ event: StoredEvent) throws(AuditFailure) -> ChargeCorrected {
        guard let corrected = ChargeCorrected(stored: event) else {
            throw AuditFailure(
                .damaged,
                "event \(event.header.seq) cannot be read: it is no correction of a charge")
        }
        return corrected
    }

    // MARK: Pieces

    private mutating func set(_ billed: Extras.Billed?, _ row: inout ExportRow) {
        guard let billed else { return }
        row.set(.billed, billed.amount.raw)
        currency.removeAll()
        billed.currency.append(to: &currency)
        row.set(.currency, currency.bytes)
    }
    private mutating func setReplaced(
        _ usd: Int64, _ billed: Extras.Billed?, _ row: inout ExportRow
    ) {
        guard usd > 0 else { return }
        row.set(.replaced, usd)
        guard let billed else { return }
        row.set(.replacedBilled, billed.amount.raw)
        replacedCurrency.removeAll()
        billed.currency.append(to: &replacedCurrency)
        row.set(.replacedCurrency, replacedCurrency.bytes)
    }
    private mutating func setDetails(_ extras: Extras, _ row: inout ExportRow) {
        guard !extras.isEmpty else { return }
        details.removeAll()
        var object = ObjectWriter(opening: &details)
        object.extras(extras, into: &details)
        close(&row)
    }
    /// Ends the object of the details; an empty one is left out.
    private mutating func close(_ row: inout ExportRow) {
        guard details.count > 1 else { return }
        details.append(UInt8(ascii: "}"))
        row.set(.details, details.bytes)
    }
    @inline(__always)
    private func decode<T>(
        _ event: StoredEvent, _ body: (StoredEvent) throws(EventError) -> T
    ) throws(AuditFailure) -> T {
        do throws(EventError) { return try body(event) } catch {
            throw AuditFailure(
                .damaged, "event \(event.header.seq) cannot be read: \(error.explanation)")
        }
    }
}

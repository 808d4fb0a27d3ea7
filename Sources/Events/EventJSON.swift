/// Turns the numbers in stored events back into names; what it does not know reads `#<number>`.
package protocol EventNames: ~Copyable {
    func accountName(_ number: AccountNumber) -> String?
    func modelName(_ number: ModelNumber) -> String?
    func operatorName(_ number: UInt32) -> String?
    /// What a commitment was made of; nil for who may not know, or when nobody can tell any more.
    func personalText(_ commitment: Commitment, _ field: PersonalField) -> String?
}
extension EventNames where Self: ~Copyable {
    package func personalText(_ commitment: Commitment, _ field: PersonalField) -> String? { nil }
}

extension ByteBuffer {
    /// The exported form of an event: one JSON object in one line, with names and without numbers of
    /// ours, money as strings. `schemas/events/` describes every type.
    package mutating func append(
        exported event: StoredEvent, names: borrowing some EventNames & ~Copyable
    ) throws(EventError) {
        let start = count
        do throws(EventError) {
            var writer = ObjectWriter(opening: &self)
            writer.head(event.header, names, into: &self)
            switch event.header.type {
            case .holdPlaced: writer.body(try HoldPlaced(event), names, into: &self)
            case .holdRefused: writer.body(try HoldRefused(event), names, into: &self)
            case .refusalsSummed: writer.body(try RefusalsSummed(event), into: &self)
            case .holdSettled: writer.body(try HoldSettled(event), into: &self)
            case .holdExtended: writer.body(try HoldExtended(event), into: &self)
            case .holdReleased: writer.body(try HoldReleased(event), into: &self)
            case .holdLapsed: writer.body(try HoldLapsed(event), into: &self)
            case .chargeRecorded: writer.body(try ChargeRecorded(event), names, into: &self)
            default: try writer.body(try DocumentEvent(event), into: &self)
            }
            append(UInt8(ascii: "}"))
        } catch {
            truncate(to: start)
            throw error
        }
    }
}

/// Writes the members of one JSON object in the order in which they are named.
package struct ObjectWriter {
    private var first = true

    package init(opening buffer: inout ByteBuffer) { buffer.append(UInt8(ascii: "{")) }

    package mutating func name(_ name: StaticString, into buffer: inout ByteBuffer) {
        if !first { buffer.append(UInt8(ascii: ",")) }
        first = false
        buffer.append(UInt8(ascii: "\""))
        buffer.append(name)
        buffer.append("\":" as StaticString)
    }
    package mutating func field(_ name: StaticString, _ value: Int64, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(decimal: value)
    }
    package mutating func field(_ name: StaticString, _ text: Bytes, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(quoted: text)
    }
    package mutating func field(_ name: StaticString, _ text: String, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(quoted: text)
    }
    package mutating func field(_ name: StaticString, _ flag: Bool, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(flag ? "true" as StaticString : "false")
    }
    package mutating func field(_ name: StaticString, _ m: Nanodollars, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(UInt8(ascii: "\""))
        b.append(m)
        b.append(UInt8(ascii: "\""))
    }
    package mutating func field(
        _ name: StaticString, _ time: Instant, full: Bool = false, into b: inout ByteBuffer
    ) {
        self.name(name, into: &b)
        b.append(UInt8(ascii: "\""))
        b.append(time, full: full)
        b.append(UInt8(ascii: "\""))
    }
    package mutating func field(_ name: StaticString, _ hold: HoldName, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append(UInt8(ascii: "\""))
        b.append(hold)
        b.append(UInt8(ascii: "\""))
    }
    package mutating func null(_ name: StaticString, into b: inout ByteBuffer) {
        self.name(name, into: &b)
        b.append("null" as StaticString)
    }
    /// An amount of a limit: money as a string, a count as a number, null for none.
    package mutating func field(
        _ name: StaticString, amount: Int64?, of kind: LimitKind, into b: inout ByteBuffer
    ) {
        guard let amount else { return null(name, into: &b) }
        if kind.isMoney {
            field(name, Nanodollars(amount), into: &b)
        } else {
            field(name, amount, into: &b)
        }
    }
}

extension ObjectWriter {
    fileprivate mutating func head(
        _ header: EventHeader, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        field("seq", Int64(bitPattern: header.seq), into: &b)
        field("time", header.time, full: true, into: &b)
        field("epoch", Int64(header.epoch), into: &b)
        field("type", Bytes(header.type.name), into: &b)
        if header.account != .none {
            field(
                "account", names.accountName(header.account) ?? "#\(header.account.raw)", into: &b)
        }
        let actor: String =
            if let uid = header.actor.uid {
                "uid:\(uid)"
            } else if let number = header.actor.operatorNumber {
                names.operatorName(number) ?? "#\(number)"
            } else {
                "tollgate"
            }
        field("actor", actor, into: &b)
    }
    fileprivate mutating func body(
        _ event: HoldPlaced, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        field("hold", event.name, into: &b)
        model(event.model, event.modelText, names, into: &b)
        field("in", event.input, into: &b)
        field("out", event.output, into: &b)
        field("tier", Bytes(event.tier.name), into: &b)
        field("usd", event.usd, into: &b)
        field("price", Int64(event.price), into: &b)
        field("until", event.untilInstant, into: &b)
        texts(event.scope, event.text, names, into: &b)
        extras(event.extras, into: &b)
    }
    fileprivate mutating func body(
        _ event: HoldRefused, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        if !event.askedKey.isEmpty { field("key", event.askedKey, into: &b) }
        field("status", event.reason.status, into: &b)
        field("reason", Bytes(event.reason.name), into: &b)
        if let tier = event.scopeTier {
            let path = names.accountName(event.header.account) ?? "#\(event.header.account.raw)"
            let parts = path.split(separator: "/").prefix(Int(tier.rawValue) + 1)
            field("scope", parts.joined(separator: "/"), into: &b)
        }
        if let limit = event.limit {
            field("limit", Bytes(limit.name), into: &b)
            field("amount", amount: event.amount, of: limit, into: &b)
            field("used", amount: event.used, of: limit, into: &b)
            field("held", amount: event.held, of: limit, into: &b)
        } else if event.reason == .creditExhausted {
            field("amount", Nanodollars(event.amount), into: &b)
            field("used", Nanodollars(event.used), into: &b)
            field("held", Nanodollars(event.held), into: &b)
        }
        if let resets = event.resets { field("resets_at", resets, into: &b) }
        model(event.model, event.modelText, names, into: &b)
        field("in", event.input, into: &b)
        field("out", event.output, into: &b)
        field("usd", event.usd, into: &b)
        texts(event.scope, event.text, names, into: &b)
        extras(event.extras, into: &b)
    }
    fileprivate mutating func body(_ event: RefusalsSummed, into b: inout ByteBuffer) {
        field("status", event.reason.status, into: &b)
        field("reason", Bytes(event.reason.name), into: &b)
        field("count", Int64(event.refusals), into: &b)
        field("second", Instant(seconds: event.second), into: &b)
    }
    fileprivate mutating func body(_ event: HoldSettled, into b: inout ByteBuffer) {
        field("hold", event.hold, into: &b)
        usage(event.usage, into: &b)
        field("usd", event.usd, into: &b)
        field("price", Int64(event.price), into: &b)
        field("tier", Bytes(event.tier.name), into: &b)
        field("outcome", Bytes(event.outcome.name), into: &b)
        field("late", event.isLate, into: &b)
        if event.milliseconds > 0 { field("ms", Int64(event.milliseconds), into: &b) }
        extras(event.extras, into: &b)
    }
    fileprivate mutating func body(_ event: HoldExtended, into b: inout ByteBuffer) {
        field("hold", event.hold, into: &b)
        field("in", event.input, into: &b)
        field("out", event.output, into: &b)
        field("tier", Bytes(event.tier.name), into: &b)
        field("usd", event.usd, into: &b)
        field("price", Int64(event.price), into: &b)
        field("until", event.untilInstant, into: &b)
    }
    fileprivate mutating func body(_ event: HoldReleased, into b: inout ByteBuffer) {
        field("hold", event.hold, into: &b)
        if !event.why.isEmpty { field("why", event.why, into: &b) }
    }
    fileprivate mutating func body(_ event: HoldLapsed, into b: inout ByteBuffer) {
        field("hold", event.hold, into: &b)
        field("tokens", event.tokens, into: &b)
        field("usd", event.usd, into: &b)
        extras(event.extras, into: &b)
    }
    fileprivate mutating func body(
        _ event: ChargeRecorded, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        field("charge", event.name, into: &b)
        if let hold = event.hold { field("hold", hold, into: &b) }
        model(event.model, event.modelText, names, into: &b)
        usage(event.usage, into: &b)
        field("usd", event.usd, into: &b)
        field("price", Int64(event.price), into: &b)
        field("tier", Bytes(event.tier.name), into: &b)
        field("outcome", Bytes(event.outcome.name), into: &b)
        if event.milliseconds > 0 { field("ms", Int64(event.milliseconds), into: &b) }
        texts(.empty, event.text, names, into: &b)
        extras(event.extras, into: &b)
    }
    fileprivate mutating func body(
        _ event: DocumentEvent, into b: inout ByteBuffer
    ) throws(EventError) {
        guard let json = try? JSON(parsing: event.json), let members = json.members else {
            throw .malformed("JSON")
        }
        for member in members
        where member.name != "account" || event.header.account == .none {
            b.append(UInt8(ascii: ","))
            b.append(quoted: member.name)
            b.append(UInt8(ascii: ":"))
            b.append(canonical: member.value)
        }
    }
    /// Those with a meaning; what a later version added is not ours to explain.
    package mutating func extras(_ extras: Extras, into b: inout ByteBuffer) {
        guard !extras.isEmpty else { return }
        if let came = extras.came {
            field("came", came.at, full: true, into: &b)
            field("prio", Int64(came.priority), into: &b)
        }
        if let hold = extras.growing { field("hold", hold, into: &b) }
        if let asked = extras.askedModel { field("asked_model", asked, into: &b) }
        if let routing = extras.routing {
            field("rule", routing.rule, into: &b)
            field("saved", signed: routing.saved, into: &b)
        }
        if let billed = extras.billed {
            field("billed", billed.amount, into: &b)
            field("currency", billed.currency.name, into: &b)
        }
    }
    /// Money that may be less than nothing: a difference.
    package mutating func field(
        _ name: StaticString, signed amount: Int64, into b: inout ByteBuffer
    ) {
        self.name(name, into: &b)
        b.append(amount < 0 ? "\"-" as StaticString : "\"")
        b.append(Nanodollars(Int64(clamping: amount.magnitude)))
        b.append(UInt8(ascii: "\""))
    }
    private mutating func model(
        _ number: ModelNumber, _ text: Bytes, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        if number != .none {
            field("model", names.modelName(number) ?? "#\(number.raw)", into: &b)
        } else if !text.isEmpty {
            field("model", text, into: &b)
        }
    }
    private mutating func usage(_ usage: TokenUsage, into b: inout ByteBuffer) {
        field("in", usage.input, into: &b)
        field("out", usage.output, into: &b)
        if usage.cached > 0 { field("cached", usage.cached, into: &b) }
        if usage.cacheWrite > 0 { field("cache_write", usage.cacheWrite, into: &b) }
        if usage.reasoning > 0 { field("reasoning", usage.reasoning, into: &b) }
    }
    private mutating func texts(
        _ scope: Bytes, _ text: RequestText, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        if !scope.isEmpty { field("asked_scope", scope, into: &b) }
        if !text.id.isEmpty { field("id", text.id, into: &b) }
        if !text.user.isEmpty { personal(.user, text.user, names, into: &b) }
        if !text.project.isEmpty { field("project", text.project, into: &b) }
        if !text.environment.isEmpty { field("env", text.environment, into: &b) }
        if !text.address.isEmpty { personal(.address, text.address, names, into: &b) }
        if !text.userAgent.isEmpty { personal(.userAgent, text.userAgent, names, into: &b) }
    }
    private mutating func personal(
        _ field: PersonalField, _ text: Bytes, _ names: borrowing some EventNames & ~Copyable,
        into b: inout ByteBuffer
    ) {
        if let commitment = Commitment(text), let plain = names.personalText(commitment, field) {
            self.field(field.name, plain, into: &b)
        } else {
            self.field(field.name, text, into: &b)
        }
    }
}

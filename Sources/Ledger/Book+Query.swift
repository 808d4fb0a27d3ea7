import Events

// What people and programs read of the book, as JSON. Each is bounded work, so the gate answers it
// between decisions; what scans the log goes to the readers instead.

extension Book: EventNames {
    package func accountName(_ number: AccountNumber) -> String? { path(of: number)?.string }
    package func modelName(_ number: ModelNumber) -> String? { name(of: number)?.string }
    package func operatorName(_ number: UInt32) -> String? {
        number < UInt32(operators.count) ? operators[Int(number)].name : nil
    }
}

/// A listing of one kind of thing.
package enum Listing: Sendable {
    case orgs
    case teams
    case keys
    case prices
    case aliases
    case operators
    case overrides
}

/// Sums over a whole log; money in nano-dollars.
package struct AccountTotals: Sendable, Equatable {
    package var used: Int64
    package var held: Int64
    package var requests: Int64
    package var openHolds: Int64
    package var isZero: Bool { self == AccountTotals(used: 0, held: 0, requests: 0, openHolds: 0) }
}

extension Book {
    /// The number that events give an account.
    package func number(of path: Bytes) throws(Failure) -> AccountNumber {
        AccountNumber(try account(path))
    }
    func account(_ path: Bytes) throws(Failure) -> UInt32 {
        guard AccountPath.tier(path) != nil else {
            throw Failure(.error, "an account is a path: \(AccountPath.rule)")
        }
        guard let account = accounts.find(path, names) else {
            throw Failure(.error, "no account \"\(path.string)\"; LIST orgs shows what there is")
        }
        return account
    }

    /// What an account has used since its first event, and what it holds; nil where there is no such account.
    package func totals(of account: AccountNumber) -> AccountTotals? {
        guard account.raw < UInt32(accounts.rows.count) else { return nil }
        let row = accounts.rows.pointer(account.raw)
        let org = accounts.orgs.pointer(row.pointee.org)
        let money = taken(row, org, LimitKind(.usd, .total), at: time)
        return AccountTotals(
            used: money.used, held: money.held,
            requests: taken(row, org, LimitKind(.requests, .total), at: time).used,
            openHolds: row.pointee.openHolds)
    }

    // MARK: USAGE

    /// The usage of an account at an instant: every limit that is set, and `usd.day`, `usd.month` and
    /// `usd.total` always; and as of which event, so that it can be reckoned again from the log.
    package func writeUsage(
        of path: Bytes, at now: Instant, calendar: ZoneCalendar, into b: inout ByteBuffer
    ) throws(Failure) {
        let number = try account(path)
        let row = accounts.rows.pointer(number)
        let org = accounts.orgs.pointer(row.pointee.org)
        var object = ObjectWriter(opening: &b)
        object.field("account", path, into: &b)
        object.field("at", now, full: true, into: &b)
        object.field("seq", Int64(seq), into: &b)
        object.field("zone", accounts.zones[Int(row.pointee.org)], into: &b)
        object.name("limits", into: &b)
        var limits = ObjectWriter(opening: &b)
        for kind in LimitKind.all {
            let always =
                kind == LimitKind(.usd, .day) || kind == LimitKind(.usd, .month)
                || kind == LimitKind(.usd, .total)
            let limit = accounts.limit(row, kind)
            guard limit != nil || always else { continue }
            let (used, held) = taken(row, org, kind, at: now)
            limits.name(kind.name, into: &b)
            var entry = ObjectWriter(opening: &b)
            entry.field("limit", amount: limit, of: kind, into: &b)
            if row.pointee.flags.contains(.overridden), let over = overrides.find(number, kind) {
                write(over, amount: "override", &entry, into: &b)
            }
            entry.field("used", amount: used, of: kind, into: &b)
            let keepsHeld = kind.unit != .requests && kind.unit != nil && kind.window != .minute
            if keepsHeld { entry.field("held", amount: held, of: kind, into: &b) }
            if let limit {
                entry.field("left", amount: max(0, limit - used - held), of: kind, into: &b)
            }
            if let window = kind.window, window != .minute,
                let bounds = bounds(org, window, at: now, calendar: calendar)
            {
                entry.field("resets_at", bounds.end, into: &b)
                entry.field("opened_at", bounds.start, into: &b)
            }
            b.append(UInt8(ascii: "}"))
        }
        b.append(UInt8(ascii: "}"))
        object.field("open_holds", row.pointee.openHolds, into: &b)
        object.field(
            "projected_month_end", projectedMonth(row, org, at: now, calendar: calendar), into: &b)
        writeFinances(of: row, &object, into: &b)
        b.append(UInt8(ascii: "}"))
    }

    /// This month's spend, carried on at its pace to the end of the month; rounded to a cent.
    private func projectedMonth(
        _ row: UnsafeMutablePointer<AccountRow>, _ org: UnsafeMutablePointer<OrgRow>,
        at now: Instant, calendar: ZoneCalendar
    ) -> Nanodollars {
        let month = LimitKind(.usd, .month)
        let used = taken(row, org, month, at: now).used
        let zone = accounts.zones[Int(row.pointee.org)]
        let bounds = calendar.bounds(zone, .month, now)
        let elapsed = max(now.nanoseconds - bounds.start.nanoseconds, 1_000_000_000)
        let whole = bounds.end.nanoseconds - bounds.start.nanoseconds
        let projected = Int128(used) * Int128(whole) / Int128(elapsed)
        let cent: Int128 = 10_000_000
        let rounded = (projected + cent / 2) / cent * cent
        return Nanodollars(Int64(clamping: rounded))
    }

    // MARK: GET

    package func writeAccount(
        _ path: Bytes, at now: Instant, into b: inout ByteBuffer
    ) throws(Failure) {
        write(account: try account(path), at: now, into: &b)
    }

    private func write(account number: UInt32, at now: Instant, into b: inout ByteBuffer) {
        let row = accounts.rows.pointer(number)
        var object = ObjectWriter(opening: &b)
        object.field("account", names[row.pointee.name], into: &b)
        object.field("tier", Bytes(row.pointee.tier.name), into: &b)
        object.field("created", Instant(nanoseconds: row.pointee.createdAt), into: &b)
        let details = names[row.pointee.details]
        if details.count > 2 {
            // Stored as a small object of its own: its members are copied without the braces.
            b.append(UInt8(ascii: ","))
            b.append(details.slice(1, details.count - 1))
        }
        if row.pointee.tier == .org {
            let org = accounts.orgs.pointer(row.pointee.org)
            object.field("zone", accounts.zones[Int(row.pointee.org)], into: &b)
            object.field("unpriced", org.pointee.allowsUnpriced ? "allow" : "deny", into: &b)
            object.field("on_lapse", org.pointee.onLapse.name, into: &b)
            writeBilling(of: row, &object, into: &b)
            writePrivacy(of: org, &object, into: &b)
        }
        object.name("limits", into: &b)
        var limits = ObjectWriter(opening: &b)
        for kind in LimitKind.all {
            if let limit = baseLimit(number, kind) {
                limits.field(kind.name, amount: limit, of: kind, into: &b)
            }
        }
        b.append(UInt8(ascii: "}"))
        if row.pointee.flags.contains(.overridden) {
            object.name("overrides", into: &b)
            writeOverrides(of: number, into: &b)
        }
        writeList("models", row.pointee.models, &object, into: &b)
        writeList("scopes", row.pointee.scopes, &object, into: &b)
        if let routing = routes.policies[number] {
            object.name("routing", into: &b)
            b.append(names[routing.json])
        }
        writeLife(of: number, at: now, &object, into: &b)
        if row.pointee.tier != .key {
            object.field("children", Int64(row.pointee.children), into: &b)
        }
        object.field("open_holds", row.pointee.openHolds, into: &b)
        b.append(UInt8(ascii: "}"))
    }
    private func writeList(
        _ name: StaticString, _ list: UInt32, _ object: inout ObjectWriter,
        into b: inout ByteBuffer
    ) {
        guard let entries = lists.entries(list, names) else {
            object.null(name, into: &b)
            return
        }
        object.name(name, into: &b)
        b.append(.strings(entries))
    }

    package func writeHold(_ name: HoldName, into b: inout ByteBuffer) throws(Failure) {
        guard let slot = remembered(name) else {
            throw Failure(
                .unknownHold, "no hold \(name) is open or remembered; EVENTS has the past")
        }
        let row = holds.row(slot)
        var object = ObjectWriter(opening: &b)
        object.field("hold", name, into: &b)
        object.field("state", Bytes(row.pointee.state.name), into: &b)
        object.field(
            "account", names[accounts.rows.pointer(row.pointee.key).pointee.name], into: &b)
        object.field("model", modelName(of: row), into: &b)
        object.field("in", row.pointee.input, into: &b)
        object.field("out", row.pointee.output, into: &b)
        object.field("usd", Nanodollars(row.pointee.usd), into: &b)
        object.field("placed", Instant(nanoseconds: row.pointee.placedAt), into: &b)
        if row.pointee.until > 0 {
            object.field("until", Instant(seconds: Int64(row.pointee.until)), into: &b)
        }
        if row.pointee.state != .open {
            object.field("spent", Nanodollars(row.pointee.spentUSD), into: &b)
            if let corrected = corrections[name] {
                object.field("first_charged", Nanodollars(corrected.answered), into: &b)
            }
        }
        writeBill(of: row, &object, into: &b)
        b.append(UInt8(ascii: "}"))
    }

    /// - Parameter version: nil for the one in force.
    package func writePrice(
        _ model: Bytes, version: UInt32?, into b: inout ByteBuffer
    ) throws(Failure) {
        let name = model.string.lowercased()
        let number = name.withBytes { bytes in
            prices.model(named: bytes, in: names)
                ?? prices.alias(named: bytes, in: names).map {
                    prices.aliases.pointer($0).pointee.model
                }
        }
        guard let number else {
            throw Failure(.error, "no price for \"\(name)\"; append price.set or run price import")
        }
        guard let version else { return write(model: number, into: &b) }
        guard let price = prices.row(model: number, version: version) else {
            let latest = prices.prices.pointer(prices.models.pointer(number).pointee.latest)
            throw Failure(
                .error, "\"\(name)\" has price versions 1 to \(latest.pointee.version)")
        }
        var object = ObjectWriter(opening: &b)
        write(price, &object, into: &b)
        b.append(UInt8(ascii: "}"))
    }
    /// The version in force, and those that are to come; before any is in force, the first of those.
    private func write(model: UInt32, into b: inout ByteBuffer) {
        let upcoming = prices.upcoming.filter { prices.prices.pointer($0).pointee.model == model }
        let current = prices.models.pointer(model).pointee.price
        var object = ObjectWriter(opening: &b)
        write(current == .max ? upcoming[0] : current, &object, into: &b)
        if !upcoming.isEmpty {
            object.name("scheduled", into: &b)
            b.append(UInt8(ascii: "["))
            for (i, price) in upcoming.enumerated() {
                if i > 0 { b.append(UInt8(ascii: ",")) }
                var inner = ObjectWriter(opening: &b)
                write(price, &inner, into: &b)
                b.append(UInt8(ascii: "}"))
            }
            b.append(UInt8(ascii: "]"))
        }
        b.append(UInt8(ascii: "}"))
    }
    private func write(
        _ number: UInt32, _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        let price = prices.prices.pointer(number)
        object.field(
            "model", names[prices.models.pointer(price.pointee.model).pointee.name], into: &b)
        object.field("version", Int64(price.pointee.version), into: &b)
        object.field("from", Instant(nanoseconds: price.pointee.from), into: &b)
        write(price.pointee.classes, &object, into: &b)
        if price.pointee.maxOutput > 0 {
            object.field("max_out", price.pointee.maxOutput, into: &b)
        }
        if price.pointee.context > 0 { object.field("context", price.pointee.context, into: &b) }
        if price.pointee.variantCount > 0 {
            object.name("variants", into: &b)
            b.append(UInt8(ascii: "["))
            for i in 0..<price.pointee.variantCount {
                if i > 0 { b.append(UInt8(ascii: ",")) }
                let variant = prices.variants.pointer(price.pointee.firstVariant + i)
                var inner = ObjectWriter(opening: &b)
                inner.field("tier", Bytes(variant.pointee.tier.name), into: &b)
                inner.field("above", variant.pointee.above, into: &b)
                write(variant.pointee.classes, &inner, into: &b)
                b.append(UInt8(ascii: "}"))
            }
            b.append(UInt8(ascii: "]"))
        }
        if price.pointee.capabilityCount > 0 {
            object.name("capabilities", into: &b)
            let first = price.pointee.firstCapability
            let range = first..<first + price.pointee.capabilityCount
            b.append(.strings(range.map { names[prices.capabilities.pointer($0).pointee].string }))
        }
    }
    private func write(
        _ amounts: PriceAmounts, _ object: inout ObjectWriter, into b: inout ByteBuffer
    ) {
        func field(_ name: StaticString, _ price: Int64, _ b: inout ByteBuffer) {
            object.name(name, into: &b)
            b.append(UInt8(ascii: "\""))
            b.append(PicoPrice(price))
            b.append(UInt8(ascii: "\""))
        }
        field("in", amounts.input, &b)
        field("out", amounts.output, &b)
        field("cached", amounts.cached, &b)
        field("cache_write", amounts.cacheWrite, &b)
        field("reasoning", amounts.reasoning, &b)
        object.field("request", Nanodollars(amounts.request), into: &b)
    }

    package func writeAlias(_ alias: Bytes, into b: inout ByteBuffer) throws(Failure) {
        let name = alias.string.lowercased()
        guard let number = name.withBytes({ prices.alias(named: $0, in: names) }) else {
            throw Failure(.error, "no alias \"\(name)\"; LIST aliases shows them")
        }
        write(alias: number, into: &b)
    }
    private func write(alias number: UInt32, into b: inout ByteBuffer) {
        let row = prices.aliases.pointer(number)
        var object = ObjectWriter(opening: &b)
        object.field("alias", names[row.pointee.name], into: &b)
        object.field(
            "model", names[prices.models.pointer(row.pointee.model).pointee.name], into: &b)
        b.append(UInt8(ascii: "}"))
    }

    package func writeOperator(_ name: Bytes, into b: inout ByteBuffer) throws(Failure) {
        guard let i = operators.firstIndex(where: { $0.name.withBytes { $0 == name } }) else {
            throw Failure(.error, "no operator of that name; LIST operators shows them")
        }
        write(operator: i, into: &b)
    }
    private func write(operator i: Int, into b: inout ByteBuffer) {
        var object = ObjectWriter(opening: &b)
        object.field("operator", operators[i].name, into: &b)
        object.field("role", operators[i].role.name, into: &b)
        if let path = path(of: operators[i].account) {
            object.field("account", path, into: &b)
        } else {
            object.null("account", into: &b)
        }
        object.field("revoked", operators[i].isRevoked, into: &b)
        b.append(UInt8(ascii: "}"))
    }

    // MARK: LIST

    /// A page of a listing: `{"items":[…],"next":…}`; `next` is what to give as `after`.
    package func writeListing(
        _ listing: Listing, under: Bytes, after: Bytes, limit: Int, for authority: Authority,
        at now: Instant, into b: inout ByteBuffer
    ) throws(Failure) {
        var page = Page(limit: limit)
        if !under.isEmpty, [.prices, .aliases, .operators].contains(listing) {
            throw Failure(
                .error,
                "LIST \(listing) has no field under=; only accounts and what they have "
                    + "stand in the tree")
        }
        // Whoever sees only a part of the tree sees that part where nobody asks for less.
        let top = under.isEmpty ? path(of: authority.account) ?? under : under
        b.append("{\"items\":[" as StaticString)
        switch listing {
        case .orgs, .teams, .keys:
            try list(listing, under: top, after: after, at: now, &page, into: &b)
        case .prices:
            let start = try position(after) { prices.model(named: $0, in: names) }
            var i = start
            while i < prices.models.count, page.begin(into: &b) {
                write(model: UInt32(i), into: &b)
                page.last = names[prices.models.pointer(i).pointee.name].string
                i += 1
            }
            page.hasMore = i < prices.models.count
        case .aliases:
            var i = try position(after) { prices.alias(named: $0, in: names) }
            while i < prices.aliases.count, page.begin(into: &b) {
                write(alias: UInt32(i), into: &b)
                page.last = names[prices.aliases.pointer(i).pointee.name].string
                i += 1
            }
            page.hasMore = i < prices.aliases.count
        case .operators:
            var i = try position(after) { name in
                operators.firstIndex { $0.name.withBytes { $0 == name } }.map { UInt32($0) }
            }
            while i < operators.count {
                if operators[i].name.withBytes({ isInside(operator: $0, authority) }) {
                    guard page.begin(into: &b) else { break }
                    write(operator: i, into: &b)
                    page.last = operators[i].name
                }
                i += 1
            }
            page.hasMore = i < operators.count
        case .overrides: try listOverrides(under: top, after: after, &page, into: &b)
        }
        b.append("],\"next\":" as StaticString)
        if page.hasMore {
            b.append(quoted: page.last)
        } else {
            b.append("null" as StaticString)
        }
        b.append(UInt8(ascii: "}"))
    }

    struct Page {
        let limit: Int
        var count = 0
        var last = ""
        var hasMore = false
        init(limit: Int) { self.limit = limit }
        mutating func begin(into b: inout ByteBuffer) -> Bool {
            guard count < limit else { return false }
            if count > 0 { b.append(UInt8(ascii: ",")) }
            count += 1
            return true
        }
    }
    private func position(_ after: Bytes, _ find: (Bytes) -> UInt32?) throws(Failure) -> Int {
        if after.isEmpty { return 0 }
        guard let found = find(after) else {
            throw Failure(.error, "after= names nothing in this list; start again without it")
        }
        return Int(found) + 1
    }

    /// Accounts that one page looks at besides those it shows: teams without keys must not keep the gate
    /// from deciding. A page that ends for it may be short, or empty, and still says what is next.
    static var listVisitsMax: Int { 4_096 }

    /// Walks the tree in creation order, resuming behind `after`.
    private func list(
        _ listing: Listing, under: Bytes, after: Bytes, at now: Instant, _ page: inout Page,
        into b: inout ByteBuffer
    ) throws(Failure) {
        let wanted: Tier = listing == .orgs ? .org : listing == .teams ? .team : .key
        let top = under.isEmpty ? nil : try account(under)
        var at: UInt32?
        if after.isEmpty {
            at = top ?? (accounts.firstOrg == .max ? nil : accounts.firstOrg)
        } else {
            let resumed = try account(after)
            let tier = accounts.rows.pointer(resumed).pointee.tier
            // An account above the wanted tier is where a page ended that found nothing for long.
            if tier.rawValue > wanted.rawValue
                || top.map({ !accounts.lineage(resumed).contains($0) }) ?? false
            {
                throw Failure(.error, "after= names nothing in this list; start again without it")
            }
            at = next(resumed, in: top, descending: tier.rawValue < wanted.rawValue)
        }
        var visits = 0
        while let number = at {
            let tier = accounts.rows.pointer(number).pointee.tier
            visits += 1
            if visits > Book.listVisitsMax, tier != wanted {
                page.hasMore = true
                page.last = names[accounts.rows.pointer(number).pointee.name].string
                return
            }
            if tier == wanted {
                guard page.begin(into: &b) else {
                    page.hasMore = true
                    return
                }
                write(account: number, at: now, into: &b)
                page.last = names[accounts.rows.pointer(number).pointee.name].string
            }
            at = next(number, in: top, descending: tier.rawValue < wanted.rawValue)
        }
    }
    /// The account after this one in the tree below `top`; into its children only if asked.
    private func next(_ number: UInt32, in top: UInt32?, descending: Bool) -> UInt32? {
        var row = accounts.rows.pointer(number)
        if descending, row.pointee.firstChild != .max { return row.pointee.firstChild }
        var at = number
        while true {
            if at == top { return nil }
            if row.pointee.nextSibling != .max { return row.pointee.nextSibling }
            if row.pointee.tier == .org { return nil }
            at = row.pointee.parent
            row = accounts.rows.pointer(at)
        }
    }
}

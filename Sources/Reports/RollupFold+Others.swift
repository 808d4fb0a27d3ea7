import Events
import Journal

// The rest of the log: refusals, ends without a settlement, charges, and what the fold must know of the tree.

extension RollupFold {
    @inline(never)
    mutating func other<Table: RollupTable & ~Copyable>(
        _ bytes: Bytes, _ table: borrowing Table
    ) throws(LMDBError) {
        guard let event = try? StoredEvent(bytes) else { return }
        switch event.header.type {
        case .holdRefused: if let refused = try? HoldRefused(event) { try count(refused, table) }
        case .refusalsSummed:
            if let summed = try? RefusalsSummed(event) { try count(summed, table) }
        case .holdReleased:
            guard let released = try? HoldReleased(event) else { return }
            let placing = try placing(of: released.hold, table)
            add(1, to: .released, rows(placing, placing.pointee.tier))
        case .holdLapsed: if let lapsed = try? HoldLapsed(event) { try count(lapsed, table) }
        case .chargeRecorded:
            if let charge = try? ChargeRecorded(event) { try count(charge, table) }
        case .chargeCorrected: try correct(event, table)
        case .orgCreated, .teamCreated, .keyCreated: try place(event, table)
        case .windowOpened: try open(event, table)
        case .billingSet: try setTerms(event, table)
        default: break
        }
    }

    mutating func add(_ value: Int64, to field: RollupField, _ rows: RowList) {
        for i in 0..<rows.count { segment.counters(rows.list[i])[field.rawValue] &+= value }
    }
    /// Notes under a tag in all rows but the total's.
    private mutating func note(_ tag: RollupTag, _ value: Int64, _ rows: RowList) {
        for i in 0..<rows.count where i != 1 { segment.note(rows.list[i], tag.raw, value) }
    }

    // MARK: Refused

    private mutating func count<Table: RollupTable & ~Copyable>(
        _ refused: HoldRefused, _ table: borrowing Table
    ) throws(LMDBError) {
        var placing = Placing.none
        placing.seq = refused.header.seq
        // A name that nobody has priced may be anything, and gets no row of its own.
        placing.model = refused.model.raw
        placing.tier = refused.header.flags & 3
        try locate(
            &placing, account: refused.header.account.raw, time: refused.header.time.nanoseconds,
            table)
        if refused.header.account != .none {
            placing.user = texts.handle(refused.text.user)
            placing.project = texts.handle(refused.text.project)
            placing.environment = texts.handle(refused.text.environment)
        }
        let rows = withUnsafeMutablePointer(to: &placing) { self.rows($0, $0.pointee.tier) }
        add(1, to: .refused, rows)
        add(max(refused.usd.raw, 0), to: .refusedUSD, rows)
        note(RollupTag(refused.reason), 1, rows)
    }
    private mutating func count<Table: RollupTable & ~Copyable>(
        _ summed: RefusalsSummed, _ table: borrowing Table
    ) throws(LMDBError) {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .rollupsSkipCountedRefusals { return }
        #endif
        var placing = Placing.none
        placing.seq = summed.header.seq
        try locate(
            &placing, account: summed.header.account.raw,
            time: Instant(seconds: summed.second).nanoseconds, table)
        let rows = withUnsafeMutablePointer(to: &placing) { self.rows($0, $0.pointee.tier) }
        add(Int64(summed.refusals), to: .refused, rows)
        note(RollupTag(summed.reason), Int64(summed.refusals), rows)
    }

    // MARK: Lapsed, and settled late

    private mutating func count<Table: RollupTable & ~Copyable>(
        _ lapsed: HoldLapsed, _ table: borrowing Table
    ) throws(LMDBError) {
        let placing = try placing(of: lapsed.hold, table)
        let rows = rows(placing, placing.pointee.tier)
        add(1, to: .lapsed, rows)
        let billed = lapsed.extras.billed
        guard lapsed.usd != .zero || lapsed.tokens != 0 || billed != nil else { return }
        let org = placing.pointee.org
        var standing = StandingCharge(
            try bill(billed, usd: lapsed.usd.raw, org: org, table), tokens: lapsed.tokens)
        standing.isLapse = true
        try move(standing, by: 1, org: org, rows, table)
        // A late settlement takes its place.
        note(standing, of: lapsed.hold)
    }
    /// Adds what a charge counts, or takes it away.
    private mutating func move<Table: RollupTable & ~Copyable>(
        _ standing: StandingCharge, by sign: Int64, org: UInt32, _ rows: RowList,
        _ table: borrowing Table
    ) throws(LMDBError) {
        add(sign &* standing.usd, to: .usd, rows)
        if standing.isLapse {
            add(sign &* standing.usd, to: .lapsedUSD, rows)
            add(sign &* standing.tokens, to: .lapsedTokens, rows)
        }
        bill(try bill(of: standing, org: org, table), by: sign, rows)
    }
    private mutating func bill(_ bill: RollupBill, by sign: Int64, _ rows: RowList) {
        if bill.currency == .usd {
            add(sign &* bill.amount, to: .billedUSD, rows)
        } else {
            note(bill, by: sign, rows)
        }
    }
    /// Before a late settlement counts: what its hold's lapse, or the correction of that, has counted.
    @inline(never)
    mutating func giveBack<Table: RollupTable & ~Copyable>(
        _ hold: HoldName, _ placing: UnsafeMutablePointer<Placing>, _ table: borrowing Table
    ) throws(LMDBError) {
        var damage = false
        let standing = try standing(hold, table, &damage)
        if damage { foundDamage = true }
        guard let standing else { return }
        let rows = rows(placing, placing.pointee.tier)
        try move(standing, by: -1, org: placing.pointee.org, rows, table)
        sides.remove(SideRows.key(.charge, hold))
    }
    @inline(never)
    mutating func noteTier(_ tier: UInt8, of hold: HoldName) {
        var row = ByteBuffer()
        row.append(tier)
        sides.put(SideRows.key(.chargeTier, hold), row.bytes)
    }

    // MARK: Charged, and corrected

    private mutating func count<Table: RollupTable & ~Copyable>(
        _ charge: ChargeRecorded, _ table: borrowing Table
    ) throws(LMDBError) {
        let placing = placings.put(try placing(of: charge, table))
        var bill: RollupBill?
        if let billed = charge.extras.billed {
            bill = try self.bill(billed, usd: charge.usd.raw, org: placing.pointee.org, table)
        }
        count(
            charge.usage, usd: charge.usd.raw, charge.outcome, ms: charge.milliseconds, bill,
            isLate: charge.header.flags & 16 != 0, as: .charged,
            rows(placing, placing.pointee.tier))
        guard let hold = charge.hold else { return }
        // A correction may call it by the name of that hold, which stands nowhere else.
        var row = ByteBuffer()
        row.append(uint32: charge.header.epoch)
        row.append(uint64: charge.header.seq)
        sides.put(SideRows.key(.foreign, hold), row.bytes)
    }

    private mutating func correct<Table: RollupTable & ~Copyable>(
        _ event: StoredEvent, _ table: borrowing Table
    ) throws(LMDBError) {
        guard let corrected = ChargeCorrected(stored: event), let was = corrected.was,
            let placed = corrected.placed
        else { return }
        let name = corrected.charge
        var damage = false
        var placing = placings.find(name)?.pointee
        if placing == nil { placing = try lookUp(name, table, &damage) }
        if placing == nil {
            // Its placing is lost; where and when it counts stands in the correction.
            var unknown = Placing.none
            unknown.seq = event.header.seq
            try locate(
                &unknown, account: event.header.account.raw, time: placed.nanoseconds, table)
            placing = unknown
        }
        var at = placing!
        var tier = at.tier
        try sides.value(SideRows.key(.chargeTier, name), table, &damage) { tier = $0[0] }
        let rows = withUnsafeMutablePointer(to: &at) { self.rows($0, tier) }

        let before = try standing(name, table, &damage)
        let old =
            if let before {
                try bill(of: before, org: at.org, table)
            } else {
                try bill(
                    was, isBilled: corrected.billed != nil, org: at.org, at: at.seq, table)
            }
        let new = try bill(
            corrected.billed, usd: corrected.usd.raw, after: old, org: at.org, table)
        add(1, to: .corrected, rows)
        add(corrected.usd.raw &- was.raw, to: .usd, rows)
        if before?.isLapse == true { add(corrected.usd.raw &- was.raw, to: .lapsedUSD, rows) }
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .rollupsKeepOldBills { bill(old, by: 1, rows) }
        #endif
        bill(old, by: -1, rows)
        bill(new, by: 1, rows)
        var standing = StandingCharge(new, tokens: before?.tokens ?? 0)
        standing.isLapse = before?.isLapse ?? false
        note(standing, of: name)
        if damage { foundDamage = true }
    }
    /// The placing of a charge that is corrected, from the log.
    private mutating func lookUp<Table: RollupTable & ~Copyable>(
        _ name: HoldName, _ table: borrowing Table, _ damage: inout Bool
    ) throws(LMDBError) -> Placing? {
        if let found = try placingInLog(name, table) { return found }
        var charge: HoldName?
        try sides.value(SideRows.key(.foreign, name), table, &damage) {
            var reader = ByteReader($0)
            let epoch = reader.uint32()
            charge = HoldName(epoch: epoch, seq: reader.uint64())
        }
        guard let charge else { return nil }
        return try placingInLog(charge, table)
    }

    // MARK: The tree and its clocks

    private mutating func place<Table: RollupTable & ~Copyable>(
        _ event: StoredEvent, _ table: borrowing Table
    ) throws(LMDBError) {
        guard let document = try? DocumentEvent(event),
            let path = (try? JSON(parsing: document.json))?["account"]?.string
        else { return }
        let number = document.number
        let names = path.split(separator: "/")
        func parent(_ count: Int) throws(LMDBError) -> UInt32 {
            var found = UInt32.max
            let parent = names.prefix(count).joined(separator: "/")
            let key = parent.withBytes { SideRows.key(.path, $0) }
            var damage = false
            let isThere = try sides.value(key, table, &damage) {
                found = $0.base!.field(UInt32.self, 0)
            }
            if damage || !isThere { foundDamage = true }
            return found
        }
        let org = names.count == 1 ? number : try parent(1)
        let team = names.count == 1 ? .max : names.count == 2 ? number : try parent(2)
        var row = ByteBuffer()
        row.append(uint32: org)
        row.append(uint32: team)
        sides.put(SideRows.key(.account, number), row.bytes)
        if names.count < 3 {
            row.removeAll()
            row.append(uint32: number)
            path.withBytes { sides.put(SideRows.key(.path, $0), row.bytes) }
        }
    }

    /// Notes a day of an org under each day of UTC that it touches.
    private mutating func open<Table: RollupTable & ~Copyable>(
        _ event: StoredEvent, _ table: borrowing Table
    ) throws(LMDBError) {
        guard case .windowOpened(let opened)? = Document(stored: event), opened.window == .day
        else { return }
        let account = event.header.account.raw
        let first = opened.start.nanoseconds / OrgPlace.dayNanoseconds
        let last = (opened.end.nanoseconds - 1) / OrgPlace.dayNanoseconds
        guard first <= last, last - first < 4 else { return }
        for day in first...last {
            let key = SideRows.key(.day, account, UInt32(truncatingIfNeeded: day))
            var row = ByteBuffer(capacity: 64)
            try sides.value(key, table, &foundDamage) { row.append($0) }
            row.append(
                uint32: UInt32(
                    truncatingIfNeeded: opened.start.nanoseconds / OrgPlace.minuteNanoseconds))
            row.append(
                uint32: UInt32(
                    truncatingIfNeeded: opened.end.nanoseconds / OrgPlace.minuteNanoseconds))
            row.append(uint64: event.header.seq)
            sides.put(key, row.bytes)
        }
        let org = places.pointer(places.number(ofOrg: account))
        org.pointee.daySeq = event.header.seq
        (org.pointee.hourStart, org.pointee.hourEnd) = (0, 0)
    }
}

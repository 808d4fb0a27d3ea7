import Events
import Journal

// Where a request counts. All of this is found again in the same way when the request's event is read a
// second time: nothing here depends on what happened to be remembered.

extension RollupFold {
    /// Of an event that is being folded, or read again.
    @inline(__always)
    mutating func placing<Table: RollupTable & ~Copyable>(
        of event: StoredHoldPlaced, _ bytes: Bytes, _ table: borrowing Table
    ) throws(LMDBError) -> Placing {
        var placing = Placing.none
        placing.seq = event.seq
        placing.epoch = event.epoch
        placing.model = event.model
        placing.tier = event.tier.rawValue
        try locate(&placing, account: event.account, time: event.time, table)
        let lengths = bytes.base!.field(UInt64.self, 62)
        // Bytes 3, 4 and 5 are the lengths of user, project and environment.
        if lengths & 0x0000_FFFF_FF00_0000 != 0 {
            func length(_ i: UInt64) -> Int { Int(truncatingIfNeeded: lengths >> (8 * i) & 0xFF) }
            let user = 70 + length(0) + length(1) + length(2)
            let project = user + length(3)
            let environment = project + length(4)
            placing.user = texts.handle(bytes.slice(user, project))
            placing.project = texts.handle(bytes.slice(project, environment))
            placing.environment = texts.handle(
                bytes.slice(environment, environment + length(5)))
        }
        if event.model == .max { placing.model = try number(ofModel: event.modelText, table) }
        return placing
    }
    /// The hour, day, team and org of an account at an instant, as far as the log said before `placing.seq`.
    @inline(__always)
    mutating func locate<Table: RollupTable & ~Copyable>(
        _ placing: inout Placing, account: UInt32, time: Int64, _ table: borrowing Table
    ) throws(LMDBError) {
        placing.account = account
        let place = try place(of: account, table)
        placing.org = place.org
        placing.team = place.team
        let org = places.pointer(placing.org)
        if time < org.pointee.hourStart || time >= org.pointee.hourEnd
            || placing.seq <= org.pointee.daySeq
        {
            (placing.hour, placing.day) = try findHour(placing.org, time, placing.seq, table)
        } else {
            placing.hour = org.pointee.hour
            placing.day = org.pointee.day
        }
    }

    @inline(__always)
    mutating func place<Table: RollupTable & ~Copyable>(
        of account: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> AccountPlaces.Place {
        if let known = places.known(account) { return known }
        return try findPlace(of: account, table)
    }

    /// Of the request that a hold's name names; what nothing is known of counts under no account.
    @inline(__always)
    mutating func placing<Table: RollupTable & ~Copyable>(
        of hold: HoldName, _ table: borrowing Table
    ) throws(LMDBError) -> UnsafeMutablePointer<Placing> {
        if let found = placings.find(hold) { return found }
        return try readPlacing(of: hold, table)
    }
    @inline(never)
    private mutating func readPlacing<Table: RollupTable & ~Copyable>(
        of hold: HoldName, _ table: borrowing Table
    ) throws(LMDBError) -> UnsafeMutablePointer<Placing> {
        var placing = try placingInLog(hold, table)
        if placing == nil { foundDamage = true }
        placing?.seq = hold.seq
        placing?.epoch = hold.epoch
        return placings.put(placing ?? .none)
    }
    /// Of the event with that name: a placing, or a charge without a hold.
    mutating func placingInLog<Table: RollupTable & ~Copyable>(
        _ name: HoldName, _ table: borrowing Table
    ) throws(LMDBError) -> Placing? {
        copy.removeAll()
        // A damaged page costs these sums their key, and must not cost the ledger its commits.
        guard (try? table.event(name.seq, into: &copy)) == true,
            let event = try? StoredEvent(copy.bytes), event.header.seq == name.seq,
            event.header.epoch == name.epoch
        else { return nil }
        switch event.header.type {
        case .holdPlaced:
            guard let placed = try? StoredHoldPlaced(event.bytes) else { return nil }
            return try placing(of: placed, event.bytes, table)
        case .chargeRecorded:
            guard let charge = try? ChargeRecorded(event) else { return nil }
            return try placing(of: charge, table)
        default: return nil
        }
    }
    mutating func placing<Table: RollupTable & ~Copyable>(
        of charge: ChargeRecorded, _ table: borrowing Table
    ) throws(LMDBError) -> Placing {
        var placing = Placing.none
        placing.seq = charge.header.seq
        placing.epoch = charge.header.epoch
        placing.model = charge.model.raw
        placing.tier = charge.tier.rawValue
        try locate(
            &placing, account: charge.header.account.raw, time: charge.header.time.nanoseconds,
            table)
        placing.user = texts.handle(charge.text.user)
        placing.project = texts.handle(charge.text.project)
        placing.environment = texts.handle(charge.text.environment)
        if charge.model == .none { placing.model = try number(ofModel: charge.modelText, table) }
        return placing
    }

    // MARK: Out of line

    @inline(never)
    private mutating func findPlace<Table: RollupTable & ~Copyable>(
        of account: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> AccountPlaces.Place {
        guard account != .max else { return AccountPlaces.Place(org: 0, team: .max) }
        var found = (org: UInt32.max, team: UInt32.max)
        let row = try sides.value(SideRows.key(.account, account), table, &foundDamage) {
            var reader = ByteReader($0)
            found = (reader.uint32(), reader.uint32())
        }
        guard row else {
            foundDamage = true
            return AccountPlaces.Place(org: 0, team: .max)
        }
        return places.note(account, org: found.org, team: found.team)
    }
    /// Minutes at which the hour and the day begin that hold an instant.
    @inline(never)
    private mutating func findHour<Table: RollupTable & ~Copyable>(
        _ number: UInt32, _ time: Int64, _ seq: UInt64, _ table: borrowing Table
    ) throws(LMDBError) -> (hour: UInt32, day: UInt32) {
        let org = places.pointer(number)
        let utcDay = time / OrgPlace.dayNanoseconds
        var day = (start: utcDay * OrgPlace.dayNanoseconds, end: Int64.max, seq: UInt64(0))
        day.end = day.start + OrgPlace.dayNanoseconds
        if number != 0 {
            try sides.value(
                SideRows.key(.day, org.pointee.account, UInt32(truncatingIfNeeded: utcDay)), table,
                &foundDamage
            ) {
                var reader = ByteReader($0)
                while reader.remaining >= 16 {
                    let start = Int64(reader.uint32()) * OrgPlace.minuteNanoseconds
                    let end = Int64(reader.uint32()) * OrgPlace.minuteNanoseconds
                    let opened = reader.uint64()
                    // Of what was said later nothing was known then.
                    if time >= start, time < end, opened < seq { day = (start, end, opened) }
                }
            }
        }
        let hours = (time - day.start) / OrgPlace.hourNanoseconds
        let start = day.start + hours * OrgPlace.hourNanoseconds
        let hour = UInt32(truncatingIfNeeded: start / OrgPlace.minuteNanoseconds)
        let dayStart = UInt32(truncatingIfNeeded: day.start / OrgPlace.minuteNanoseconds)
        // Remembered only where every later event finds the same: in the day that was opened last, or
        // where there are none.
        if day.seq > org.pointee.daySeq { org.pointee.daySeq = day.seq }
        if number == 0 || day.seq > 0 && day.seq == org.pointee.daySeq {
            org.pointee.hourStart = start
            org.pointee.hourEnd = min(start + OrgPlace.hourNanoseconds, day.end)
            org.pointee.hour = hour
            org.pointee.day = dayStart
        }
        return (hour, dayStart)
    }
    /// A model that has no number gets one of ours, by its name.
    @inline(never)
    private mutating func number<Table: RollupTable & ~Copyable>(
        ofModel name: Bytes, _ table: borrowing Table
    ) throws(LMDBError) -> UInt32 {
        guard !name.isEmpty else { return .max }
        var key = ByteBuffer(capacity: 256)
        key.append(RollupRowKind.modelNumber)
        key.append(name)
        var number: UInt32?
        try sides.value(Array(key.bytes), table, &foundDamage) {
            number = $0.base!.field(UInt32.self, 0)
        }
        if let number { return number }
        var next: UInt32 = RollupFold.firstModelNumber
        let counter = SideRows.key(.modelName, UInt32.max)
        try sides.value(counter, table, &foundDamage) { next = $0.base!.field(UInt32.self, 0) }
        var word = ByteBuffer()
        word.append(uint32: next)
        sides.put(Array(key.bytes), word.bytes)
        sides.put(SideRows.key(.modelName, next), name)
        word.removeAll()
        word.append(uint32: next + 1)
        sides.put(counter, word.bytes)
        return next
    }
    /// Above every number that the price book gives.
    static let firstModelNumber: UInt32 = 0x8000_0000
}

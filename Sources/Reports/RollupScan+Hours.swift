import Events
import Journal

// Rows by hour, key, model and tier.

extension RollupScan {
    /// All rows of a time; it may end early, with an hour.
    mutating func scan(
        _ range: Range<UInt32>, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        var end = range.upperBound
        var hour = range.lowerBound
        let damaged = try RollupScan.forEachRow(
            from: RollupScan.key(.hour, range.lowerBound), rows, query.parts
        ) {
            (reader, row) throws(LMDBError) in
            let start = reader.bigUInt32()
            guard start < range.upperBound else { return false }
            if start != hour {
                if sums.count >= query.groupsPerPage {
                    end = start
                    return false
                }
                hour = start
            }
            let (account, model, tier) = (reader.bigUInt32(), reader.bigUInt32(), reader.uint8())
            try take(start, account, model, tier, row, &fold, rows)
            return damage == nil
        }
        if let damaged { damage = damaged }
        let taken = range.lowerBound..<end
        try addSegment(taken, &fold, rows)
        try addTotals(taken, rows, &fold)
        if end < range.upperBound { next = .number(end) }
    }
    /// A run of accounts in every hour of the time; it may end early, with an hour.
    mutating func scanRun(
        _ run: UInt32, from begin: UInt32 = 0, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) {
        var range = query.minutes
        range = min(max(begin, range.lowerBound), range.upperBound)..<range.upperBound
        let first = run << RollupBounds.accountsPerTotalBits
        let last = first + (RollupBounds.accountsPerTotal - 1)
        var hour: UInt32? = range.lowerBound
        while let start = hour, damage == nil {
            guard sums.count < query.groupsPerPage else {
                range = range.lowerBound..<start
                next = .runFrom(run, start)
                break
            }
            hour = nil
            let damaged = try RollupScan.forEachRow(
                from: RollupScan.key(.hour, start, first), rows, query.parts
            ) {
                (reader, row) throws(LMDBError) in
                let found = reader.bigUInt32()
                guard found < range.upperBound else { return false }
                let account = reader.bigUInt32()
                if found != start {
                    hour = found
                    return false
                }
                guard account <= last else {
                    hour = found + 1
                    return false
                }
                let (model, tier) = (reader.bigUInt32(), reader.uint8())
                try take(found, account, model, tier, row, &fold, rows)
                return damage == nil
            }
            if let damaged { damage = damaged }
        }
        try addSegment(range, &fold, rows, accounts: first...last)
        try addTotals(range, rows, &fold, run: run)
        // Behind the last account there are the requests of none.
        if next == nil, run < RollupScan.noAccountRun {
            let isMore = try highestAccount(&fold, rows) > last
            next = .number(isMore ? run + 1 : RollupScan.noAccountRun)
        }
    }
    static let noAccountRun = UInt32.max >> RollupBounds.accountsPerTotalBits

    /// The greatest account number there is.
    private func highestAccount(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> UInt32 {
        // Numbers have no gaps: doubled until there is none, then halved.
        func exists(_ number: UInt32) throws(LMDBError) -> Bool {
            try rows.name(.account, number) != nil
        }
        var low: UInt32 = 0
        var high: UInt32 = 1
        while try exists(high) {
            low = high
            high *= 2
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if try exists(middle) { low = middle } else { high = middle }
        }
        return low
    }

    /// The date in the question's zone on which an hour begins.
    mutating func date(of hour: UInt32) -> Int32 {
        if let known = dates[hour] { return known }
        let instant = Instant(seconds: Int64(hour) * 60)
        let date = Int32(clamping: query.dates.date(query.zone, instant).daysSince1970)
        dates[hour] = date
        return date
    }
}

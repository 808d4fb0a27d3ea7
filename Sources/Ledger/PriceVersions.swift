import Events

// Which version of a price holds when. It is a plain comparison with an event's time, so no event marks
// the change; what a model's row says is only remembered for the instant the book was brought to.

extension PriceBook {
    /// The version in force at an instant; `.max` before the first one.
    ///
    /// Of the versions that have begun it is the one that began last, and of two that began together
    /// the one that was set last: so a scheduled version can be called off.
    func inForce(_ model: UInt32, at time: Instant) -> UInt32 {
        var best = UInt32.max
        var at = models.pointer(model).pointee.latest
        while at != .max {
            let row = prices.pointer(at)
            if row.pointee.from <= time.nanoseconds,
                best == .max || row.pointee.from > prices.pointer(best).pointee.from
            {
                best = at
            }
            at = row.pointee.previous
        }
        return best
    }

    /// Puts a version that was just added into force, or among those to come.
    mutating func schedule(_ number: UInt32, at time: Instant) {
        let row = prices.pointer(number)
        guard row.pointee.from > time.nanoseconds else {
            // It begins with this event: whatever else has begun began before, or at the same instant
            // and was set before.
            models.pointer(row.pointee.model).pointee.price = number
            return
        }
        let place = upcoming.firstIndex { prices.pointer($0).pointee.from > row.pointee.from }
        upcoming.insert(number, at: place ?? upcoming.count)
    }
    /// The instant at which a version comes into force next; `.max` for never.
    var nextChange: Int64 { upcoming.first.map { prices.pointer($0).pointee.from } ?? .max }

    /// Puts into force what has begun by an instant, once it is reached.
    mutating func bring(to time: Instant) {
        var begun = 0
        while begun < upcoming.count,
            prices.pointer(upcoming[begun]).pointee.from <= time.nanoseconds
        {
            let number = upcoming[begun]
            let row = prices.pointer(number)
            let model = models.pointer(row.pointee.model)
            let current = model.pointee.price
            // One that was set at once meanwhile, and so began later, stays.
            if current == .max
                || (prices.pointer(current).pointee.from, current) < (row.pointee.from, number)
            {
                model.pointee.price = number
            }
            begun += 1
        }
        upcoming.removeFirst(begun)
    }
    /// The same for all of a book that was read from a checkpoint of this instant.
    mutating func restoreVersions(at time: Instant) {
        for model in 0..<UInt32(models.count) {
            models.pointer(model).pointee.price = inForce(model, at: time)
        }
        for number in 0..<UInt32(prices.count)
        where prices.pointer(number).pointee.from > time.nanoseconds {
            schedule(number, at: time)
        }
    }

    /// Whether the model of a version can do something.
    func has(_ capability: Bytes, _ price: UInt32, _ names: borrowing NameArena) -> Bool {
        let row = prices.pointer(price)
        for i in 0..<row.pointee.capabilityCount
        where names[capabilities.pointer(row.pointee.firstCapability + i).pointee] == capability {
            return true
        }
        return false
    }

    /// The prices that a new version changes more than a hundredfold, against the one it follows: a
    /// slip of the decimal point, which would make a quota worthless or shut everybody out.
    func leaps(_ set: PriceSet, from old: UInt32) -> [String] {
        let row = prices.pointer(old)
        var found = row.pointee.classes.leaps(to: PriceAmounts(set.prices), "")
        for i in 0..<row.pointee.variantCount {
            let variant = variants.pointer(row.pointee.firstVariant + i)
            let new = set.variants.first {
                $0.tier == variant.pointee.tier && $0.above == variant.pointee.above
            }
            guard let new else { continue }
            let above = variant.pointee.above > 0 ? " above \(variant.pointee.above)" : ""
            found += variant.pointee.classes.leaps(
                to: PriceAmounts(new.prices), " (\(variant.pointee.tier.name)\(above))")
        }
        return found
    }
}

extension PriceAmounts {
    /// What differs by more than a factor of a hundred; nothing rises from nothing by a factor.
    fileprivate func leaps(to new: PriceAmounts, _ variant: String) -> [String] {
        var found: [String] = []
        func compare(_ name: String, _ old: Int64, _ new: Int64, _ text: (Int64) -> String) {
            let (most, o1) = old.multipliedReportingOverflow(by: 100)
            let (least, o2) = new.multipliedReportingOverflow(by: 100)
            if old > 0, !o1 && new > most || !o2 && least < old {
                found.append("\(name)\(variant) \(text(old)) → \(text(new))")
            }
        }
        let price = { (raw: Int64) in PicoPrice(raw).description }
        compare("in", input, new.input, price)
        compare("out", output, new.output, price)
        compare("cached", cached, new.cached, price)
        compare("cache_write", cacheWrite, new.cacheWrite, price)
        compare("reasoning", reasoning, new.reasoning, price)
        compare("request", request, new.request) { Nanodollars($0).description }
        return found
    }
}

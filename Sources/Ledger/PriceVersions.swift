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

    /// What a new version changes more than a hundredfold, against the one it follows.
    func leaps(_ set: PriceSet, from old: UInt32) -> [PriceChange] {
        let row = prices.pointer(old)
        var found = row.pointee.classes.asSet.changes(to: set.prices)
        for i in 0..<row.pointee.variantCount {
            let variant = variants.pointer(row.pointee.firstVariant + i)
            let new = set.variants.first {
                $0.tier == variant.pointee.tier && $0.above == variant.pointee.above
            }
            guard let new else { continue }
            found += variant.pointee.classes.asSet.changes(to: new.prices, " (\(new.label))")
        }
        return found.filter(\.isLeap)
    }
}

extension PriceAmounts {
    fileprivate var asSet: PriceClasses {
        PriceClasses(
            input: PicoPrice(input), output: PicoPrice(output), cached: PicoPrice(cached),
            cacheWrite: PicoPrice(cacheWrite), reasoning: PicoPrice(reasoning),
            request: Nanodollars(request))
    }
}

extension PriceSet {
    /// What the usage costs at these prices; nil when it does not fit.
    package func cost(_ usage: TokenUsage, tier: ServiceTier) -> Nanodollars? {
        for wanted in [tier, .standard] {
            let best = variants.filter {
                $0.tier == wanted && ($0.above == 0 ? wanted != .standard : usage.input > $0.above)
            }.max { $0.above < $1.above }
            if let best { return PriceAmounts(best.prices).cost(usage).map { Nanodollars($0) } }
        }
        return PriceAmounts(prices).cost(usage).map { Nanodollars($0) }
    }
}

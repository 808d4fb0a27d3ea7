import Events

/// Prices of one version, or of one variant of it; see `PriceClasses`.
struct PriceRow: BitwiseCopyable {
    var model: UInt32
    /// 1, 2, 3 … within the model.
    var version: UInt32
    /// The version before it, so that an event's version finds its row; `.max` for the first.
    var previous: UInt32
    var classes: PriceAmounts
    var maxOutput: Int64
    var context: Int64
    var firstVariant: UInt32
    var variantCount: UInt32
    var firstCapability: UInt32
    var capabilityCount: UInt32
    /// The instant from which it holds.
    var from: Int64
}

struct PriceAmounts: BitwiseCopyable {
    var input: Int64
    var output: Int64
    var cached: Int64
    var cacheWrite: Int64
    var reasoning: Int64
    var request: Int64

    init(_ classes: PriceClasses) {
        input = classes.input.raw
        output = classes.output.raw
        cached = classes.cached.raw
        cacheWrite = classes.cacheWrite.raw
        reasoning = classes.reasoning.raw
        request = classes.request.raw
    }
    init() {
        input = 0
        output = 0
        cached = 0
        cacheWrite = 0
        reasoning = 0
        request = 0
    }

    /// What the usage costs, rounded half up to a nano-dollar once; nil when it does not fit.
    @inline(__always) func cost(_ usage: TokenUsage) -> Int64? {
        let plain = usage.input - usage.cached - usage.cacheWrite
        let visible = usage.output - usage.reasoning
        // Nearly always each product and the sum fit 64 bits, and then one division does.
        var sum = CheckedSum(500)
        sum.add(plain, input)
        sum.add(visible, output)
        if usage.cached != 0 { sum.add(usage.cached, cached) }
        if usage.cacheWrite != 0 { sum.add(usage.cacheWrite, cacheWrite) }
        if usage.reasoning != 0 { sum.add(usage.reasoning, reasoning) }
        guard !sum.overflowed else { return wideCost(usage) }
        let (cost, overflow) = (sum.value / 1_000).addingReportingOverflow(request)
        return overflow ? nil : cost
    }
    // Out of line: only absurd prices or counts come here.
    @inline(never) private func wideCost(_ usage: TokenUsage) -> Int64? {
        let plain = usage.input - usage.cached - usage.cacheWrite
        let visible = usage.output - usage.reasoning
        // Each product is below 2^40 × 2^63, so five of them fit 128 bits.
        let pico =
            Int128(plain) * Int128(input) + Int128(visible) * Int128(output)
            + Int128(usage.cached) * Int128(cached) + Int128(usage.cacheWrite) * Int128(cacheWrite)
            + Int128(usage.reasoning) * Int128(reasoning)
        return Int64(exactly: (pico + 500) / 1_000 + Int128(request))
    }
}

/// A sum of products that remembers whether it ever left 64 bits.
private struct CheckedSum {
    var value: Int64
    var overflowed = false
    init(_ value: Int64) { self.value = value }
    @inline(__always) mutating func add(_ tokens: Int64, _ price: Int64) {
        let (product, o1) = tokens.multipliedReportingOverflow(by: price)
        let (total, o2) = value.addingReportingOverflow(product)
        value = total
        overflowed = overflowed || o1 || o2
    }
}

struct VariantRow: BitwiseCopyable {
    var tier: ServiceTier
    var above: Int64
    var classes: PriceAmounts
}

struct ModelRow: BitwiseCopyable {
    var name: NameRef
    /// The version in force at the instant to which the book was brought; `.max` while the first is
    /// still to come.
    var price: UInt32
    /// The version that was set last, in force or not.
    var latest: UInt32
}

struct AliasRow: BitwiseCopyable {
    var name: NameRef
    var model: UInt32
}

/// The price book: models by name, their versions, and aliases.
struct PriceBook: ~Copyable {
    var models = Rows<ModelRow>()
    var prices = Rows<PriceRow>()
    var variants = Rows<VariantRow>()
    var capabilities = Rows<NameRef>()
    /// Versions that are not in force yet, the earliest first.
    var upcoming: [UInt32] = []
    var aliases = Rows<AliasRow>()
    var spellings = Rows<Spelling>()
    private var modelIndex = SlotIndex()
    /// The model that was asked for last: the next request often means it again.
    private var lastModel: UInt32 = .max
    private var aliasIndex = SlotIndex()
    /// Names of models without a price that were asked for all the same, each kept once.
    private var unpriced = Rows<NameRef>()
    private var unpricedIndex = SlotIndex()

    func model(named name: Bytes, in names: borrowing NameArena) -> UInt32? {
        modelIndex.find(Hash128(name).low) { names[models.pointer($0).pointee.name] == name }
    }
    /// The same; comparing with the last answer costs a third of a hash and a probe.
    @inline(__always)
    mutating func requestedModel(named name: Bytes, in names: borrowing NameArena) -> UInt32? {
        if lastModel != .max, names[models.pointer(lastModel).pointee.name] == name {
            return lastModel
        }
        guard let found = model(named: name, in: names) else { return nil }
        lastModel = found
        return found
    }
    func alias(named name: Bytes, in names: borrowing NameArena) -> UInt32? {
        aliasIndex.find(Hash128(name).low) { names[aliases.pointer($0).pointee.name] == name }
    }
    /// Most distinct names without a price that a ledger remembers; a typo generator must not fill
    /// the memory.
    static let unpricedMax = 65_536
    func mayIntern(unpriced name: Bytes, _ names: borrowing NameArena) -> Bool {
        unpriced.count < PriceBook.unpricedMax
            || unpricedIndex.find(
                Hash128(name).low, where: { names[unpriced.pointer($0).pointee] == name }) != nil
    }
    mutating func intern(unpriced name: Bytes, names: inout NameArena) -> NameRef {
        let hash = Hash128(name).low
        if let known = unpricedIndex.find(
            hash, where: { names[unpriced.pointer($0).pointee] == name })
        {
            return unpriced.pointer(known).pointee
        }
        let ref = names.add(name)
        unpricedIndex.insert(hash, unpriced.append(ref))
        return ref
    }
    mutating func addModel(_ name: NameRef, in names: borrowing NameArena) -> UInt32 {
        let number = models.append(ModelRow(name: name, price: .max, latest: .max))
        modelIndex.insert(Hash128(names[name]).low, number)
        addSpelling(name, model: number, in: names)
        return number
    }
    mutating func addAlias(_ name: NameRef, model: UInt32, in names: borrowing NameArena) {
        let number = aliases.append(AliasRow(name: name, model: model))
        aliasIndex.insert(Hash128(names[name]).low, number)
        addSpelling(name, alias: number, in: names)
    }
    /// Adds a version that an event of this time sets.
    mutating func addPrice(
        _ set: PriceSet, model: UInt32, at time: Instant, names: inout NameArena
    ) {
        let before = models.pointer(model).pointee.latest
        let version = before == .max ? 1 : prices.pointer(before).pointee.version + 1
        let row = PriceRow(
            model: model, version: version, previous: before,
            classes: PriceAmounts(set.prices), maxOutput: set.maxOutput ?? 0,
            context: set.context ?? 0, firstVariant: UInt32(variants.count),
            variantCount: UInt32(set.variants.count), firstCapability: UInt32(capabilities.count),
            capabilityCount: UInt32(set.capabilities.count),
            from: max(set.from ?? time, time).nanoseconds)
        for capability in set.capabilities { _ = capabilities.append(names.add(capability)) }
        for variant in set.variants {
            _ = variants.append(
                VariantRow(
                    tier: variant.tier, above: variant.above, classes: PriceAmounts(variant.prices))
            )
        }
        let number = prices.append(row)
        models.pointer(model).pointee.latest = number
        schedule(number, at: time)
    }
    /// The row of a model's version; nil when there is none.
    func row(model: UInt32, version: UInt32) -> UInt32? {
        guard model < UInt32(models.count) else { return nil }
        var at = models.pointer(model).pointee.price
        // Nearly always it is the one in force.
        if at == .max || prices.pointer(at).pointee.version < version {
            at = models.pointer(model).pointee.latest
        }
        while at != .max, prices.pointer(at).pointee.version != version {
            at = prices.pointer(at).pointee.previous
        }
        return at == .max ? nil : at
    }

    /// What `usage` costs under a price row; nil when it does not fit. `.max` is an unpriced model.
    @inline(__always) func cost(_ price: UInt32, tier: ServiceTier, _ usage: TokenUsage) -> Int64? {
        guard price != .max else { return 0 }
        let row = prices.pointer(price)
        if row.pointee.variantCount == 0 { return row.pointee.classes.cost(usage) }
        return variantCost(row, tier: tier, usage)
    }
    @inline(never) private func variantCost(
        _ row: UnsafeMutablePointer<PriceRow>, tier: ServiceTier, _ usage: TokenUsage
    ) -> Int64? {
        variant(row, tier: tier, prompt: usage.input).cost(usage)
    }
    private func variant(
        _ row: UnsafeMutablePointer<PriceRow>, tier: ServiceTier, prompt: Int64
    ) -> PriceAmounts {
        var best: PriceAmounts?
        for wanted in [tier, .standard] {
            var above: Int64 = -1
            if wanted == .standard {
                best = row.pointee.classes
                above = 0
            }
            for i in 0..<row.pointee.variantCount {
                let variant = variants.pointer(row.pointee.firstVariant + i)
                let applies = variant.pointee.above == 0 || prompt > variant.pointee.above
                if variant.pointee.tier == wanted, applies, variant.pointee.above > above {
                    best = variant.pointee.classes
                    above = variant.pointee.above
                }
            }
            if let best { return best }
        }
        return row.pointee.classes
    }
}

/// What one version of a price has otherwise than another.
package struct PriceChange: Hashable, Sendable {
    /// `in`, `out (batch above 200000)`, `context` …
    package var name: String
    package var old: String
    package var new: String
    /// By more than a hundredfold: a slip of the decimal point, which would make a quota worthless or
    /// shut everybody out.
    package var isLeap: Bool
    package var text: String { "\(name) \(old) → \(new)" }
}

extension PriceClasses {
    /// - Parameter variant: what stands behind each name; empty for the base.
    package func changes(to new: PriceClasses, _ variant: String = "") -> [PriceChange] {
        var found: [PriceChange] = []
        func compare(_ name: String, _ old: Int64, _ new: Int64, _ text: (Int64) -> String) {
            guard old != new else { return }
            let (most, o1) = old.multipliedReportingOverflow(by: 100)
            let (least, o2) = new.multipliedReportingOverflow(by: 100)
            // Nothing rises from nothing by a factor.
            let isLeap = old > 0 && (!o1 && new > most || !o2 && least < old)
            found.append(
                PriceChange(
                    name: name + variant, old: text(old), new: text(new), isLeap: isLeap))
        }
        let price = { (raw: Int64) in PicoPrice(raw).description }
        compare("in", input.raw, new.input.raw, price)
        compare("out", output.raw, new.output.raw, price)
        compare("cached", cached.raw, new.cached.raw, price)
        compare("cache_write", cacheWrite.raw, new.cacheWrite.raw, price)
        compare("reasoning", reasoning.raw, new.reasoning.raw, price)
        compare("request", request.raw, new.request.raw) { Nanodollars($0).description }
        return found
    }
}

extension PriceSet {
    /// Everything that differs, prices first; a variant that only one of them has is told as a whole.
    package func changes(to new: PriceSet) -> [PriceChange] {
        var found = prices.changes(to: new.prices)
        for variant in variants {
            if let other = new.variant(like: variant) {
                found += variant.prices.changes(to: other.prices, " (\(variant.label))")
            } else {
                found.append(whole("variant", variant.label, "none"))
            }
        }
        for variant in new.variants where self.variant(like: variant) == nil {
            found.append(whole("variant", "none", variant.label))
        }
        let text = { (count: Int64?) in count.map(String.init) ?? "none" }
        if maxOutput != new.maxOutput {
            found.append(whole("max_out", text(maxOutput), text(new.maxOutput)))
        }
        if context != new.context {
            found.append(whole("context", text(context), text(new.context)))
        }
        let (had, has) = (Set(capabilities), Set(new.capabilities))
        for gone in capabilities where !has.contains(gone) {
            found.append(whole("capability", gone, "none"))
        }
        for added in new.capabilities where !had.contains(added) {
            found.append(whole("capability", "none", added))
        }
        return found
    }
    private func whole(_ name: String, _ old: String, _ new: String) -> PriceChange {
        PriceChange(name: name, old: old, new: new, isLeap: false)
    }
    private func variant(like other: Variant) -> Variant? {
        variants.first { $0.tier == other.tier && $0.above == other.above }
    }
}

extension PriceSet.Variant {
    /// `batch above 200000`
    package var label: String { above > 0 ? "\(tier.name) above \(above)" : "\(tier.name)" }
}

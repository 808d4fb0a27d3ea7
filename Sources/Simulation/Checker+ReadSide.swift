import Audit
import Events
import Gate
import Journal
import Reports

// What the read side keeps beside the log, as a daemon finds it when it starts.

extension Checker {
    func checkReadSide(_ daemon: SteppedDaemon) throws {
        try readSide.compare(with: daemon.journal)
        try compareSpends(daemon.journal)
        try checkSigner(daemon.signing)
        try readSide.compare(with: daemon.signing)
    }

    private struct Row: Hashable {
        var hour: String?
        var key: String?
        var model: String?
        var tier: String?
    }
    private struct Sum: Equatable {
        var requests: Int64 = 0
        var usd: Int64 = 0
        var tokens: Int64 = 0
        var billed: [Currency: Int64] = [:]
    }
    /// The roll-ups say hour by hour what the oracle knows of each hold and charge.
    private func compareSpends(_ journal: Journal) throws {
        var expected: [Row: Sum] = [:]
        for spend in oracle.spends.values {
            let hour = Instant(seconds: spend.placed.second / 3_600 * 3_600).description
            var row = Row(
                hour: hour, key: oracle.accounts[Int(spend.key)].path,
                model: oracle.models[Int(spend.model)], tier: "\(spend.tier.name)")
            expected[row, default: Sum()].requests += 1
            // What it cost counts at the tier it was served at.
            if spend.usage != nil { row.tier = "\(spend.settledTier.name)" }
            expected[row, default: Sum()].usd += spend.usd
            expected[row, default: Sum()].tokens += spend.tokens
            guard let (currency, amount) = bill(spend) else { continue }
            expected[row, default: Sum()].billed[currency, default: 0] += amount
        }
        for group in try readSide.groups(by: [.hour, .key, .model, .tier], journal) {
            let row = Row(
                hour: group.labels[0], key: group.labels[1], model: group.labels[2],
                tier: group.labels[3])
            let sum = expected.removeValue(forKey: row) ?? Sum()
            let counts = group.counts
            let currencies = Set(counts.tagged.compactMap(\.tag.currency)).union(sum.billed.keys)
            let isBilled = currencies.allSatisfy { currency in
                let billed = currency == .usd ? counts[.billedUSD] : counts[RollupTag(currency)]
                return billed == sum.billed[currency] ?? 0
            }
            guard counts.requests == sum.requests, counts[.usd] == sum.usd,
                counts.tokens == sum.tokens, isBilled
            else {
                let said = counts.differences(from: RollupCounts()).joined(separator: ", ")
                throw Violation(text: "roll-ups of \(row): \(said); the oracle has \(sum)")
            }
        }
        if let (row, sum) = expected.first(where: { $0.value != Sum() }) {
            throw Violation(text: "roll-ups say nothing of \(row): the oracle has \(sum)")
        }
    }
    private func bill(_ spend: Oracle.Spend) -> (Currency, Int64)? {
        switch spend.state {
        case .open, .released: return nil
        case .settled, .lapsed, .charge: break
        }
        guard let name = spend.terms.currency else { return (.usd, spend.usd) }
        let currency = name.withBytes { Currency($0) }
        return currency.map { ($0, spend.terms.settled(spend.usd)) }
    }
}

import Events

/// What happened on each account in the last minute, second by second: sums of the events as they came.
struct Activity {
    /// Of one account.
    struct Sum {
        var requests = 0
        var denied = 0
        /// Nano-dollars settled and charged.
        var usd: Int64 = 0
        /// Upstream milliseconds, of as many as `latenciesMax` settlements a second.
        var latencies: [Int64] = []

        mutating func add(_ other: Sum) {
            requests += other.requests
            denied += other.denied
            usd = usd.addingReportingOverflow(other.usd).partialValue
            latencies += other.latencies
        }
        /// The latency that so many percent were not longer than; nil without any.
        func latency(percent: Int) -> Int64? {
            guard !latencies.isEmpty else { return nil }
            let sorted = latencies.sorted()
            return sorted[min(sorted.count - 1, (sorted.count * percent + 99) / 100 - 1)]
        }
    }
    static let seconds: Int64 = 60
    private static let latenciesMax = 500
    /// Sums by account, the oldest second first; seconds without an event are left out.
    private var buckets: [(second: Int64, sums: [String: Sum])] = []

    /// Counts an event on its key and on all accounts above it.
    mutating func add(_ event: JSON, at second: Int64) {
        var sum = Sum()
        switch event.cell("type") {
        case "hold.placed": sum.requests = 1
        case "hold.refused": (sum.requests, sum.denied) = (1, 1)
        case "refusals.summed":
            let count = Int(event["count"]?.integer ?? 0)
            (sum.requests, sum.denied) = (count, count)
        case "hold.settled", "charge.recorded":
            sum.usd = event.money("usd")?.raw ?? 0
            if let ms = event["ms"]?.integer { sum.latencies = [ms] }
            if event.cell("type") == "charge.recorded" { sum.requests = 1 }
        default: return
        }
        if buckets.last?.second != second { buckets.append((second, [:])) }
        let last = buckets.count - 1
        for account in Activity.lineage(event["account"]?.string) {
            var known = buckets[last].sums[account] ?? Sum()
            if known.latencies.count >= Activity.latenciesMax { sum.latencies = [] }
            known.add(sum)
            buckets[last].sums[account] = known
        }
    }
    /// Forgets what is older than a minute.
    mutating func advance(to second: Int64) {
        buckets.removeAll { $0.second <= second - Activity.seconds || $0.second > second }
    }
    /// Sums of the last `count` seconds before `second`, by account.
    func sums(before second: Int64, last count: Int64) -> [String: Sum] {
        var all: [String: Sum] = [:]
        for bucket in buckets where bucket.second >= second - count && bucket.second < second {
            for (account, sum) in bucket.sums { all[account, default: Sum()].add(sum) }
        }
        return all
    }

    /// The key, its team and its org; what belongs to no account is counted under "".
    private static func lineage(_ account: String?) -> [String] {
        guard let account else { return [""] }
        let names = account.split(separator: "/")
        return (1...names.count).map { names.prefix($0).joined(separator: "/") }
    }
}

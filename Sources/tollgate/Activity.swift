import Events
import Reports

/// What happened on each account in the last minute, second by second: sums of the events as they came.
struct Activity {
    /// Of one account.
    struct Sum {
        var requests = 0
        var denied = 0
        /// Nano-dollars settled and charged.
        var usd: Int64 = 0
        /// Upstream calls by the bucket of `LatencyHistogram` that their time is in; few are ever used.
        var latencies: [Int: UInt64] = [:]

        mutating func add(_ other: Sum) {
            requests += other.requests
            denied += other.denied
            usd = usd.addingReportingOverflow(other.usd).partialValue
            latencies.merge(other.latencies, uniquingKeysWith: +)
        }
        /// Upstream milliseconds that this share was not longer than, to an eighth; nil without any.
        func latency(percent: UInt64) -> UInt32? {
            var histogram = LatencyHistogram()
            for (bucket, count) in latencies { histogram.add(count, toBucket: bucket) }
            return histogram.percentile(perMille: percent * 10)
        }
    }
    static let seconds: Int64 = 60
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
            if let ms = event["ms"]?.integer {
                sum.latencies = [LatencyHistogram.bucket(of: UInt32(clamping: ms)): 1]
            }
            if event.cell("type") == "charge.recorded" { sum.requests = 1 }
        default: return
        }
        if buckets.last?.second != second { buckets.append((second, [:])) }
        let last = buckets.count - 1
        // What belongs to no account is counted under "".
        for account in event["account"]?.string.map(AccountPath.lineage) ?? [""] {
            buckets[last].sums[account, default: Sum()].add(sum)
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
}

/// How long upstream calls took, in milliseconds: counts in buckets whose bounds grow by an eighth, so that
/// two histograms are merged by adding, and a percentile is right to within an eighth of its value.
///
/// Below eight milliseconds each bucket is one; above, each power of two is cut into eight. Everything from
/// 2²⁰ ms (17 minutes) on is in the last.
package struct LatencyHistogram: Hashable, Sendable {
    package static let bucketCount = 8 + 17 * 8 + 1

    package private(set) var counts = [UInt64](repeating: 0, count: bucketCount)

    package init() {}

    package static func bucket(of milliseconds: UInt32) -> Int {
        guard milliseconds >= 8 else { return Int(milliseconds) }
        let power = 31 - milliseconds.leadingZeroBitCount
        guard power < 20 else { return bucketCount - 1 }
        return 8 + (power - 3) * 8 + Int(milliseconds >> UInt32(power - 3)) - 8
    }
    /// The least that a bucket holds.
    package static func lowest(of bucket: Int) -> UInt32 {
        guard bucket >= 8 else { return UInt32(bucket) }
        let (power, eighth) = (bucket - 8).quotientAndRemainder(dividingBy: 8)
        return UInt32(8 + eighth) << UInt32(power)
    }

    package mutating func record(_ milliseconds: UInt32, times: UInt64 = 1) {
        counts[Self.bucket(of: milliseconds)] += times
    }
    package mutating func add(_ count: UInt64, toBucket bucket: Int) { counts[bucket] += count }
    package mutating func merge(_ other: LatencyHistogram) {
        for i in counts.indices { counts[i] += other.counts[i] }
    }
    package var total: UInt64 { counts.reduce(0, +) }

    /// The value that this share of all calls did not exceed, as the middle of its bucket; nil without calls.
    /// - Parameter perMille: 500 for the median, 990 for the 99th percentile.
    package func percentile(perMille: UInt64) -> UInt32? {
        let total = total
        guard total > 0 else { return nil }
        let rank = max(1, (total * perMille + 999) / 1_000)
        var seen: UInt64 = 0
        for bucket in counts.indices {
            seen += counts[bucket]
            guard seen >= rank else { continue }
            let lowest = Self.lowest(of: bucket)
            guard bucket + 1 < Self.bucketCount else { return lowest }
            return lowest + (Self.lowest(of: bucket + 1) - lowest) / 2
        }
        return nil
    }
}

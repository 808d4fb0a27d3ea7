import Reports
import Testing

@Suite struct `A latency histogram` {
    @Test func `has buckets that touch and grow by an eighth`() {
        for bucket in 0..<LatencyHistogram.bucketCount - 1 {
            let lowest = LatencyHistogram.lowest(of: bucket)
            let next = LatencyHistogram.lowest(of: bucket + 1)
            #expect(LatencyHistogram.bucket(of: lowest) == bucket)
            #expect(LatencyHistogram.bucket(of: next - 1) == bucket)
            #expect(next - lowest <= max(1, lowest / 8))
        }
        #expect(LatencyHistogram.bucket(of: .max) == LatencyHistogram.bucketCount - 1)
    }

    @Test(
        arguments: [
            ([], 500, nil), ([7], 500, 7), ([1, 2, 3, 4], 500, 2), ([1, 2, 3, 4], 990, 4),
            ([5, 5, 5, 1_000], 500, 5),
        ] as [([UInt32], UInt64, UInt32?)])
    func `answers the value that a share did not exceed`(
        calls: [UInt32], perMille: UInt64, expected: UInt32?
    ) {
        var histogram = LatencyHistogram()
        for call in calls { histogram.record(call) }
        #expect(histogram.percentile(perMille: perMille) == expected)
    }

    @Test func `merged with another counts what both counted`() {
        var one = LatencyHistogram()
        var two = LatencyHistogram()
        var both = LatencyHistogram()
        for call in 0..<4_000 as Range<UInt32> {
            if call % 3 == 0 { one.record(call * 7) } else { two.record(call * 7) }
            both.record(call * 7)
        }
        one.merge(two)
        #expect(one == both)
    }
}

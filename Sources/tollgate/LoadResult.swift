import Events
import Histogram

/// What a run saw.
struct LoadResult: Sendable {
    /// Requests the plan had, and how many of them were sent.
    var planned = 0
    var sent = 0
    var allowed = 0
    /// Refusals by reason, in the order of their numbers.
    var refused = [Int](repeating: 0, count: Refusal.allCases.count)
    var settled = 0
    /// Holds given back because the run was interrupted.
    var released = 0
    /// Holds whose end was never answered: the daemon lets them lapse.
    var leftOpen = 0
    var errors = 0
    /// The first few different error replies, with how often each came.
    var errorTexts: [(text: String, count: Int)] = []
    /// The tokens and the money of what was settled.
    var inputTokens: Int64 = 0
    var outputTokens: Int64 = 0
    var spent = Nanodollars.zero
    /// Allowed requests by target, in the plan's order of targets.
    var allowedByTarget: [Int] = []
    /// From the start to the last answer, and to the last answer of a RESERVE.
    var nanoseconds: Int64 = 0
    var decisionNanoseconds: Int64 = 0
    var reserve = LoadResult.histogram()
    var settle = LoadResult.histogram()
    var wasInterrupted = false
    /// Why the run ended early.
    var failure: CommandFailure?

    var refusedTotal: Int { refused.reduce(0, +) }
    /// Requests that were answered, with yes or no.
    var decisions: Int { allowed + refusedTotal }
    var decisionsPerSecond: Int {
        decisionNanoseconds > 0 ? Int(Double(decisions) * 1e9 / Double(decisionNanoseconds)) : 0
    }

    /// The different error texts that are kept.
    static let errorTextsMax = 5
    /// Latencies above this are counted as this.
    static let latencyNanosecondsMax: UInt64 = 600_000_000_000

    static func histogram() -> Histogram<UInt64> {
        Histogram(
            highestTrackableValue: latencyNanosecondsMax, numberOfSignificantValueDigits: .three)
    }

    mutating func recordReserve(nanoseconds: Int64) { Self.record(&reserve, nanoseconds) }
    mutating func recordSettle(nanoseconds: Int64) { Self.record(&settle, nanoseconds) }
    private static func record(_ histogram: inout Histogram<UInt64>, _ nanoseconds: Int64) {
        histogram.record(min(UInt64(max(nanoseconds, 0)), latencyNanosecondsMax))
    }

    mutating func noteError(_ line: Bytes) {
        errors += 1
        let text = line.slice(min(1, line.count), line.count).string
        if let known = errorTexts.firstIndex(where: { $0.text == text }) {
            errorTexts[known].count += 1
        } else if errorTexts.count < Self.errorTextsMax {
            errorTexts.append((text, 1))
        }
    }
}

import Events
import Ledger
import Testing

/// Every answer of a log derived anew: a true log has no difference, and what was changed in one is found,
/// with both sides.
@Suite struct ReplayTests {
    static func history(seed: UInt64, lines: Int) -> MachineDriver {
        let machine = MachineDriver()
        var generator = HistoryGenerator(seed: seed)
        for _ in 0..<lines {
            let (line, time) = generator.next()
            generator.observe(machine.answer(line, at: time))
        }
        return machine
    }
    static func replay(_ log: [[UInt8]]) throws -> (Findings, Hash128) {
        var replay = Replay(calendar: .utc)
        for event in log {
            try event.withUnsafeBytes { (raw) throws in
                _ = try replay.fold(Bytes(raw), gap: 0)
            }
        }
        return (replay.findings, replay.digest())
    }

    @Test(arguments: TestScale.isLong ? 100..<300 : 100..<112 as Range<UInt64>)
    func `a true log has no difference`(seed: UInt64) throws {
        let machine = Self.history(seed: seed, lines: 2_000)
        let (findings, digest) = try Self.replay(machine.log)
        for difference in findings.differences.prefix(5) {
            Issue.record("seed \(seed): \(difference)")
        }
        #expect(findings.differenceCount == 0)
        #expect(findings.comparedCount == UInt64(machine.log.count))
        #expect(digest == machine.digest())
    }
}

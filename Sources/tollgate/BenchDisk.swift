import Events
import Journal

/// What a request (placed with an id of 36 characters, and settled) takes on disk, indexes included.
struct BenchDisk: BenchTest {
    let name = "disk"
    let summary = "bytes a request in the journal, by size of commit"

    private static let keys = 256

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let large = try bytes(
            context, "disk-large", requests: context.count(131_072, smoke: 4_096), at: 4_096)
        let small = try bytes(
            context, "disk-small", requests: context.count(4_096, smoke: 256),
            at: BenchLedger.turn)
        let single = try bytes(
            context, "disk-single", requests: context.count(4_096, smoke: 128), at: 1)
        func row(_ name: String, _ what: String, _ value: Double) -> BenchRow {
            BenchRow(
                name: "disk.\(name)", what: "disk a request, \(what)", measure: .bytes,
                ours: Spread([value]), budget: .atMost(256))
        }
        return [
            row("large", "4,096 requests a commit", large),
            row("small", "\(BenchLedger.turn) requests a commit", small),
            row("single", "one request a commit", single),
        ]
    }

    private func bytes(
        _ context: BenchContext, _ name: String, requests: Int, at batch: Int
    ) throws(CommandFailure) -> Double {
        let directory = try context.makeDirectory(name)
        defer { context.removeDirectory(directory) }
        var ledger = try BenchLedger.make(keys: Self.keys, directory: directory)
        try ledger.waitDurable()
        let before = used(ledger)
        for _ in 0..<requests / batch {
            try context.checkInterrupt()
            _ = try ledger.run(requests: batch)
            try ledger.waitDurable()
        }
        return Double(used(ledger) - before) / Double(requests)
    }
    private func used(_ ledger: borrowing BenchLedger) -> Int {
        ledger.journal?.statistics.mapUsedBytes ?? 0
    }
}

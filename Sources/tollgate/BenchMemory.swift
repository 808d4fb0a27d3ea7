import Events
import Glibc
import Ledger

/// Resident memory a key, in a fresh process of its own.
struct BenchMemory: BenchTest {
    let name = "memory"
    let summary = "resident bytes a key"

    func run(_ context: BenchContext) throws(CommandFailure) -> [BenchRow] {
        let keys = context.count(100_000, smoke: 1_000)
        let values = try context.alternate(sides: 1) { _ throws(CommandFailure) in
            let output = context.path("keys.txt")
            try BenchProcess(["keys", "\(keys)"], output: output).finish(context)
            let text = BenchProcess.File.text(output)
            guard let bytes = Double(text.prefix { $0 != "\n" }) else {
                throw CommandFailure(.software, "no figure: \(text)")
            }
            return bytes / Double(keys)
        }
        return [
            BenchRow(
                name: "memory.key", what: "memory a key", measure: .bytes, ours: Spread(values[0]),
                budget: .atMost(512),
                note: "\(LoadReport.grouped(keys)) keys, no limits of their own")
        ]
    }

    /// What `keys` more keys take of this process; for the child.
    static func residentBytesAfter(keys: Int) throws(CommandFailure) -> Int {
        do {
            // What the first key ever needs is not what a key needs.
            let first = try BenchLedger.make(keys: 1, directory: nil, limits: .none)
            _ = first.machine.book.accountCount
        }
        let before = residentBytes()
        let ledger = try BenchLedger.make(keys: keys, directory: nil, limits: .none)
        let logged = ledger.machine.outbox.capacity
        let after = residentBytes()
        precondition(ledger.machine.book.accountCount > keys)
        // The events stand in the outbox here; in a daemon they are on disk by now.
        return after - before - min(logged, ledger.machine.outbox.count)
    }
    private static func residentBytes() -> Int {
        let fields = BenchProcess.File.text("/proc/self/statm").split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

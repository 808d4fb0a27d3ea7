import CLinux
import Events
import Glibc
import Journal
import Ledger

/// The refusals of the running second that are only counted, in a mapped page that outlives the
/// process: they were answered, so a crash must not forget them.
///
///     0  u64 magic ^ ledger id's halves   8  i64 second   16  u64 seq when it was written   24  u32 count
///     32 entries of 12 bytes: u32 key, u32 reason, u32 refusals
///
/// Before any answer of a turn leaves, its counts stand here. The next start writes as sums what the
/// log does not have yet. After a power cut the page may be stale: then its sums are older than the
/// log's last, or lost with the answers themselves.
struct FloodPage: ~Copyable {
    private static let bytes = 4_096
    private static let magic: UInt64 = 0x3130_444F_4F4C_4654  // "TFLOOD01"
    private let base: UnsafeMutableRawPointer
    /// Magic and ledger in one: a page of another ledger is nobody's.
    private let mark: UInt64
    private var written: UInt64 = 0

    init(directory: String, ledger: LedgerID) throws(DaemonFailure) {
        mark = FloodPage.magic ^ ledger.high ^ ledger.low
        precondition(32 + RefusalFloods.sumsMax * 12 <= FloodPage.bytes, "all sums fit the page")
        let path = directory + "/floods"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FloodPage.failure(path) }
        defer { close(file) }
        // Allocated now: a store into a hole of a full disk would end the process.
        let code = posix_fallocate(file, 0, off_t(FloodPage.bytes))
        guard code == 0 else {
            errno = code
            throw FloodPage.failure(path)
        }
        let mapped = mmap(nil, FloodPage.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let mapped, mapped != MAP_FAILED else { throw FloodPage.failure(path) }
        base = mapped
    }
    deinit { munmap(base, FloodPage.bytes) }

    private static func failure(_ path: String) -> DaemonFailure {
        .io("cannot use \(path): \(String(cString: strerror(errno)))")
    }

    /// What an earlier run counted and did not write any more.
    ///
    /// - Parameter accounts: how many accounts there are; an entry beyond them is damage.
    func recover(_ journal: Journal, accounts: Int) throws(DaemonFailure) -> PendingSums {
        var pending = PendingSums(second: base.load(fromByteOffset: 8, as: Int64.self), sums: [])
        guard base.load(as: UInt64.self) == mark, (0..<1 << 33).contains(pending.second) else {
            return pending
        }
        let since = base.load(fromByteOffset: 16, as: UInt64.self)
        let count = min(Int(base.load(fromByteOffset: 24, as: UInt32.self)), RefusalFloods.sumsMax)
        for i in 0..<count {
            let entry = base + 32 + i * 12
            guard
                let reason = Refusal(
                    rawValue: UInt8(
                        truncatingIfNeeded: entry.load(fromByteOffset: 4, as: UInt32.self)))
            else { continue }
            let key = entry.load(as: UInt32.self)
            guard key == .max || key < UInt32(accounts) else { continue }
            pending.sums.append(
                PendingSums.Sum(
                    key: key, reason: reason,
                    refusals: entry.load(fromByteOffset: 8, as: UInt32.self)))
        }
        guard !pending.sums.isEmpty else { return pending }
        // Some may have been staged just before the end.
        do throws(JournalError) {
            try journal.read(from: since + 1) { event in
                guard event.header.type == .refusalsSummed, let sum = try? RefusalsSummed(event),
                    sum.second == pending.second
                else { return true }
                pending.sums.removeAll {
                    $0.key == sum.header.account.raw && $0.reason == sum.reason
                }
                return true
            }
        } catch {
            throw DaemonFailure(error)
        }
        return pending
    }

    /// Writes the counts down, if they have changed since the last time.
    mutating func note(_ machine: borrowing Machine) {
        #if TOLLGATE_PLANTED_BUGS
        if PlantedBug.current == .forgetsCountedRefusals { return }
        #endif
        guard machine.floodVersion != written else { return }
        written = machine.floodVersion
        let pending = machine.pendingSums
        // No entry may be read with another second's count: first none, then the rest, then how many.
        base.storeBytes(of: 0, toByteOffset: 24, as: UInt32.self)
        base.storeBytes(of: mark, as: UInt64.self)
        base.storeBytes(of: pending.second, toByteOffset: 8, as: Int64.self)
        base.storeBytes(of: machine.book.seq, toByteOffset: 16, as: UInt64.self)
        for (i, sum) in pending.sums.enumerated() {
            let entry = base + 32 + i * 12
            entry.storeBytes(of: sum.key, as: UInt32.self)
            entry.storeBytes(of: UInt32(sum.reason.rawValue), toByteOffset: 4, as: UInt32.self)
            entry.storeBytes(of: sum.refusals, toByteOffset: 8, as: UInt32.self)
        }
        base.storeBytes(of: UInt32(pending.sums.count), toByteOffset: 24, as: UInt32.self)
    }
}

import ArgumentParser
import Foundation
import Glibc
import TestSupport

/// `tollgate-faults failing-disk`.
struct FailingDisk: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fail every single call to the disk: once, twice in a row, and for ever.",
        discussion: """
            A short run of a daemon under traffic, again and again: each time another one of
            its calls that change files fails. It may refuse to start, go read-only or carry
            on; what it told clients must be there after a start on a sound disk, and what
            it refused must not. Where a flush failed, the power is then cut as well: the
            page cache may have what the disk never will.

            Faults: eio (any call), enospc (calls that take room), short (half of a write),
            late (a flush that is done and yet reports EIO): each once, which one more try
            overcomes, twice, which makes the daemon read-only for a second, and for ever.
            """)

    @Option(help: "How many faults, evenly over all; all when 0.") var times = 0
    @Option(help: "Power cuts behind each failed flush.") var cuts = 12
    @Option(help: "Where chance begins.") var seed: UInt64 = .random(in: 1...1 << 40)
    @Flag(help: "Leave what a fault was found in.") var keep = false

    func run() throws {
        say("failing-disk --seed \(seed) --times \(times) --cuts \(cuts)")
        var cases = try FaultyRun.cases(seed: seed)
        say("  \(cases.count) faults in one run")
        if times > 0, times < cases.count {
            cases = (0..<times).map { cases[$0 * cases.count / times] }
        }
        var total = Tally()
        var ends: [FaultyRun.End: Int] = [:]
        var cut = Tally()
        for (number, fault) in cases.enumerated() {
            let run = try FaultyRun(fault, seed: seed &+ UInt64(number), keeps: keep)
            let (end, flaws) = try run.take()
            ends[end, default: 0] += 1
            total.states += 1
            for flaw in flaws { total.note(flaw.kind, "\(fault), \(end): \(flaw.text)") }
            if cuts > 0, fault.mayDivide, end != .missed, end != .refused {
                cut += try run.cutPower(times: cuts)
            }
            if number % 50 == 49 { say("  \(number + 1) of \(cases.count)") }
        }
        say("failing disk: \(total)")
        let names = ends.map { "\($0.value) \($0.key.rawValue)" }.sorted()
        say("  \(names.joined(separator: ", "))")
        say("with the power cut behind it: \(cut)")
        if total.flaws + cut.flaws > 0 { throw ExitCode(1) }
    }
}

/// One call that fails.
struct Fault: CustomStringConvertible {
    var kind: Interposer.Kind
    var at: Int
    /// How many in a row; 0: for ever.
    var times: Int
    /// Whether memory and disk may disagree after it, and the daemon go on.
    var mayDivide: Bool { times > 0 && (kind == .late || kind == .eio) }
    var description: String {
        "\(kind) at \(at), \(times == 0 ? "for ever" : "\(times) in a row")"
    }
}

/// A daemon on a disk that fails, and after it one on a disk that does not.
final class FaultyRun {
    enum End: String {
        /// The call was never made.
        case missed = "not reached"
        case refused = "did not start"
        case readOnly = "went read-only"
        case carriedOn = "carried on"
    }

    private let fault: Fault
    private let seed: UInt64
    private let scratch: Scratch
    private let folder: Folder
    private let root: String
    /// The trace of it begins here; before that is a run without faults.
    private var begins = 0

    init(_ fault: Fault, seed: UInt64, keeps: Bool) throws {
        self.fault = fault
        self.seed = seed
        scratch = try Scratch()
        folder = try Folder(keeps: keeps)
        root = scratch.file("disk")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    /// Every fault there can be in such a run.
    static func cases(seed: UInt64) throws -> [Fault] {
        let run = try FaultyRun(
            Fault(kind: .eio, at: .max, times: 1), seed: seed, keeps: false)
        _ = try run.take()
        let counts = run.counts()
        let kinds: [(Interposer.Kind, Int)] = [
            (.eio, counts[0]), (.enospc, counts[1]), (.short, counts[2]), (.late, counts[3]),
        ]
        return kinds.flatMap { kind, count in
            (1...max(count, 1)).flatMap { at in
                [1, 2, 0].map { Fault(kind: kind, at: at, times: $0) }
            }
        }
    }
    private var report: String { scratch.file("report") }
    /// `tg_report`: calls, room, writes, flushes, hits.
    private func counts() -> [Int] {
        let bytes = [UInt8](FileManager.default.contents(atPath: report) ?? Data(count: 40))
        return bytes.withUnsafeBytes { raw in
            (0..<5).map {
                Int(raw.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
            }
        }
    }

    // MARK: The run

    func take() throws -> (End, [Flaw]) {
        var past = Past(mayBePaused: true)
        var flaws: [Flaw] = []
        var interposer = Interposer(root: root)
        interposer.trace = folder.path + "/trace"
        let flags = ["--ring-mib", "1"]
        let (data, socket) = (root + "/data", scratch.file("socket"))
        // Half of the runs find a ledger there, half begin one.
        var told: [Traffic.Exchange] = []
        if seed % 2 == 0 {
            let daemon = try DaemonProcess(
                flags, in: scratch, environment: interposer.environment, data: data, socket: socket)
            told = try Furniture.placed(daemon.client())
            guard try daemon.stop() == 0 else { throw RigFailure(daemon.errors) }
            begins = try Trace(reading: folder.path + "/trace").records.count
        }
        interposer.report = report
        interposer.kind = fault.kind
        interposer.at = fault.at
        interposer.times = fault.times
        var end = End.refused
        do {
            let daemon = try DaemonProcess(
                flags, in: scratch, environment: interposer.environment, data: data, socket: socket)
            (end, told) = try serve(daemon, told, &flaws)
        } catch let ended as DaemonEnded {
            if !isOrderly(ended.status, ended.errors) {
                flaws.append(Flaw(kind: .died, text: "start: \(ended.status) \(ended.errors)"))
            }
        }
        if counts()[4] == 0 { end = .missed }
        // The sound disk.
        do {
            let next = try DaemonProcess(flags, in: scratch, data: data, socket: socket)
            let client = try next.client()
            // Nobody was told anything, and whatever was asked may have happened: this has not.
            let fresh = try client.ask(#"APPEND org.created '{"account":"fresh"}'"#)
            if fresh.json == nil { flaws.append(Flaw(kind: .refused, text: "\(fresh)")) }
            try past.read(client)
            past.check(told)
            if !past.events.isEmpty, told.contains(where: { $0.verb != .append }) {
                try past.checkLaws(client)
            }
            for problem in past.problems { flaws.append(Flaw(kind: .lost, text: problem)) }
            told.append(Traffic.checkpoint(client))
            let status = try next.stop()
            if status != 0 || !next.errors.contains("the second fold agrees") {
                flaws.append(Flaw(kind: .wrong, text: "the end: \(status) \(next.errors)"))
            }
            try Reopening.examine(data, told: told.checkpoints)
        } catch let flaw as Flaw {
            flaws.append(flaw)
        } catch let ended as DaemonEnded {
            flaws.append(Flaw(kind: .refused, text: "\(ended.status) \(ended.errors)"))
        }
        return (end, flaws)
    }

    /// Traffic until it is answered or the daemon takes no more, then its end.
    private func serve(
        _ daemon: DaemonProcess, _ before: [Traffic.Exchange], _ flaws: inout [Flaw]
    ) throws -> (End, [Traffic.Exchange]) {
        var told = before
        var isReadOnly = false
        if told.isEmpty {
            let asking = Asking {
                guard let client = try? daemon.client() else { return [] }
                return Furniture.insist(client)
            }
            isReadOnly = try watch(daemon, asking)
            if isReadOnly { try daemon.kill() }
            told = asking.result()
        }
        if !isReadOnly, Furniture.isPlaced(told) {
            let seed = seed
            let asking = Asking {
                let all = try? concurrently(2) { index -> [Traffic.Exchange] in
                    var traffic = Traffic(seed: seed &+ UInt64(index), prefix: "\(index)")
                    guard let client = try? daemon.client() else { return [] }
                    traffic.run(client, most: 16)
                    return traffic.exchanges + [Traffic.checkpoint(client)]
                }
                return (all ?? []).flatMap { $0 }
            }
            isReadOnly = try watch(daemon, asking)
            // Answers that wait for a disk that is gone do not come.
            if isReadOnly { try daemon.kill() }
            told += asking.result()
        }
        guard !isReadOnly else { return (.readOnly, told) }
        let status = try daemon.stop()
        if !isOrderly(status, daemon.errors) {
            flaws.append(Flaw(kind: .died, text: "\(status) \(daemon.errors)"))
        }
        return (.carriedOn, told)
    }
    /// Until all is asked or the daemon is read-only for good; whether it is.
    private func watch(_ daemon: DaemonProcess, _ asking: Asking) throws -> Bool {
        let observer = try daemon.client()
        return try poll("the end of the traffic") {
            if asking.isDone { return false }
            // Gone: whoever asked has been hung up on, and `stop` sees how it ended.
            guard let info = try? observer.info() else { return false }
            return info["state"] == "readonly" && fault.times == 0 ? true : nil
        }
    }
    /// Whether it ended as it should: with 0, or a failure to reach its disk that it explains.
    private func isOrderly(_ status: Int32, _ errors: String) -> Bool {
        status == 0 || status > 64 && status < 80 && errors.contains("tollgate: ")
    }

    // MARK: Then the power

    func cutPower(times: Int) throws -> Tally {
        let recording = try Recording.finish(folder: folder.path, root: root)
        let records = recording.trace.records.count
        let first = recording.trace.records.firstIndex { $0.failed } ?? records
        guard first < records else { return Tally() }
        return try Cuts.open(
            CutPlan(
                folder: folder.path, lie: .none, seed: seed, times: times, keeps: false,
                from: max(begins, first)))
    }
}

/// Questions asked on a thread of their own, since their answers may never come.
private final class Asking: @unchecked Sendable {
    private let done = NSCondition()
    /// Guarded by `done`.
    private var exchanges: [Traffic.Exchange]?

    init(_ body: @escaping @Sendable () -> [Traffic.Exchange]) {
        let thread = Thread { [self] in
            let result = body()
            done.withLock {
                exchanges = result
                done.broadcast()
            }
        }
        thread.start()
    }
    var isDone: Bool { done.withLock { exchanges != nil } }
    func result() -> [Traffic.Exchange] {
        done.withLock {
            while exchanges == nil { done.wait() }
            return exchanges!
        }
    }
}

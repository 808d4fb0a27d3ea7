import Events
import Foundation
import Journal
import TestSupport

/// Runs of a daemon under traffic, as a trace, and the log they left: no crash state of them may hold
/// any other.
struct Recording {
    let trace: Trace
    /// The directory whose files the trace is about; the data directory is `data` in it.
    let root: String
    /// The bytes of each event, from seq 1 on.
    private(set) var log: [[UInt8]] = []
    /// The event that ended each hold.
    private(set) var ends: [HoldName: UInt64] = [:]

    /// What changes without a call that could be recorded.
    private static let mapped: Set<String> = ["ring", "floods", "lock.mdb"]

    /// Records four runs: a new ledger until SIGTERM, one that is killed while the ring holds events,
    /// one that recovers them and is killed early, one until SIGTERM again.
    static func make(seed: UInt64, in folder: String) throws -> Recording {
        let scratch = try Scratch()
        let root = scratch.file("disk")
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        var generator = SeededGenerator(seed: seed)
        for run in 0..<4 {
            var faults = Interposer(root: root)
            faults.trace = folder + "/trace"
            let isKilled = run == 1 || run == 2
            if isKilled {
                // Behind the start, which makes about thirty calls; a checkpoint makes five.
                faults.kind = .kill
                faults.at = .random(in: 45...110, using: &generator)
            }
            let daemon = try DaemonProcess(
                // Long enough that a ring is not empty when its daemon is killed.
                ["--ring-mib", "1", "--linger-us", isKilled ? "50000" : "500"], in: scratch,
                environment: faults.environment, data: root + "/data",
                socket: scratch.file("socket"))
            if run == 0 { try Furniture.place(daemon.client()) }
            let seeds = (0..<2).map { _ in generator.next() }
            _ = try concurrently(4) { index in
                // A killed daemon hangs up on everybody.
                guard let client = try? daemon.client() else { return }
                if index == 2 { return Furniture.flood(client) }
                if index == 3 { return Furniture.audit(client) }
                var traffic = Traffic(seed: seeds[index], prefix: "\(run)-\(index)")
                traffic.run(client, most: isKilled ? .max : 60)
            }
            if isKilled {
                try daemon.process.wait()
            } else {
                guard try daemon.stop() == 0 else { throw RigFailure(daemon.errors) }
            }
            try checkRecorder(folder, root)
        }
        return try finish(folder: folder, root: root)
    }
    /// Of a trace that is written; reads the log that its runs left, and saves all of it.
    static func finish(folder: String, root: String) throws -> Recording {
        var recording = try Recording(trace: Trace(reading: folder + "/trace"), root: root)
        try recording.readLog(root + "/data")
        try recording.save(to: folder)
        return recording
    }
    private init(trace: Trace, root: String) throws {
        self.trace = trace
        self.root = root
    }
    private static func checkRecorder(_ folder: String, _ root: String) throws {
        let trace = try Trace(reading: folder + "/trace")
        var disk = Disk(root: root)
        for record in trace.records {
            try disk.replay(record, trace)
            try disk.finish(record)
        }
        let differences = disk.differences(from: root, mapped: mapped)
        guard differences.isEmpty else {
            throw RigFailure("the recorder is blind: \(differences.joined(separator: "; "))")
        }
    }
    private mutating func readLog(_ data: String) throws {
        var options = JournalOptions(directory: data)
        options.ringBytes = 1 << 20
        options.pauseBelowBytes = 0
        let journal = try Journal.open(options)
        defer { journal.shutdown() }
        var bytes: [[UInt8]] = []
        try journal.read { event in
            bytes.append(Array(UnsafeRawBufferPointer(event.bytes)))
            return true
        }
        try take(bytes)
    }
    private mutating func take(_ bytes: [[UInt8]]) throws {
        log = bytes
        for bytes in bytes {
            let event = try bytes.withUnsafeBytes { try EndedHold(StoredEvent(Bytes($0))) }
            if let name = event.name { ends[name] = event.seq }
        }
    }

    // MARK: In a folder

    /// Leaves what another process needs beside the trace.
    private func save(to folder: String) throws {
        var all = Data()
        for event in log {
            withUnsafeBytes(of: UInt32(event.count)) { all.append(contentsOf: $0) }
            all.append(contentsOf: event)
        }
        try all.write(to: URL(fileURLWithPath: folder + "/log"))
        try root.write(toFile: folder + "/root", atomically: false, encoding: .utf8)
    }
    init(reading folder: String) throws {
        let root = try String(contentsOfFile: folder + "/root", encoding: .utf8)
        try self.init(trace: Trace(reading: folder + "/trace"), root: root)
        let all = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/log")))
        var events: [[UInt8]] = []
        var at = 0
        while at < all.count {
            let count = all.withUnsafeBytes {
                Int($0.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            }
            events.append(Array(all[at + 4..<at + 4 + count]))
            at += 4 + count
        }
        try take(events)
    }
}

/// Which hold an event ended, if any.
private struct EndedHold {
    var name: HoldName?
    var seq: UInt64
    init(_ event: StoredEvent) throws {
        seq = event.header.seq
        switch event.header.type {
        case .holdSettled: name = try HoldSettled(event).hold
        case .holdReleased: name = try HoldReleased(event).hold
        case .holdLapsed: name = try HoldLapsed(event).hold
        default: break
        }
    }
}

/// How the library in Tests/CFaults is told what to do.
struct Interposer {
    enum Kind: String, CaseIterable {
        case eio, enospc, short, late, kill
    }
    var root: String
    var trace: String?
    var report: String?
    var kind: Kind?
    var at = 0
    /// How many calls in a row; 0: from there on for ever.
    var times = 1

    init(root: String) { self.root = root }

    var environment: [String: String] {
        var all = [
            "LD_PRELOAD": ChildProcess.built("libCFaults.so"), "TOLLGATE_FAULTS_ROOT": root,
        ]
        all["TOLLGATE_FAULTS_TRACE"] = trace
        all["TOLLGATE_FAULTS_REPORT"] = report
        if let kind {
            all["TOLLGATE_FAULTS_KIND"] = kind.rawValue
            all["TOLLGATE_FAULTS_AT"] = String(at)
            all["TOLLGATE_FAULTS_TIMES"] = String(times)
        }
        return all
    }
}

/// What traffic needs around it, asked for in single lines, which a trace can be read by.
enum Furniture {
    /// A model without a price: who asks for it is refused.
    static let refusedModel = "openai/unpriced"

    static let lines: [String] =
        [#"APPEND org.created '{"account":"acme"}'"#]
        + ["ml", "web"].map { #"APPEND team.created '{"account":"acme/\#($0)"}'"# }
        + Traffic.accounts.map { #"APPEND key.created '{"account":"\#($0)"}'"# }
        + [#"APPEND price.set '{"model":"\#(Traffic.model)","in":"2.13","out":"8.77"}'"#]

    static func place(_ client: Client) throws { _ = try placed(client) }
    /// What was told.
    static func placed(_ client: Client) throws -> [Traffic.Exchange] {
        try lines.map { line in
            guard let exchange = ask(line, client), exchange.reply?.json != nil else {
                throw Unexpected(description: "\(line) was not stored")
            }
            return exchange
        }
    }
    /// Nil when no answer came.
    static func ask(_ line: String, _ client: Client) -> Traffic.Exchange? {
        guard let reply = try? client.ask(line) else { return nil }
        return Traffic.Exchange(verb: .append, line: line, name: "", reply: reply)
    }
    /// All of it, and again what a daemon without its disk refuses for a moment. Each refusal is part of
    /// what was told; it ends where no answer comes.
    static func insist(_ client: Client) -> [Traffic.Exchange] {
        var told: [Traffic.Exchange] = []
        for line in lines {
            let isDone = try? poll("a disk that takes \(line)") { () -> Bool? in
                guard let exchange = ask(line, client) else { return false }
                told.append(exchange)
                return exchange.reply?.text.hasPrefix("-READONLY") == true ? nil : true
            }
            guard isDone == true else { break }
        }
        return told
    }
    /// Whether the daemon said of each line that it is stored.
    static func isPlaced(_ told: [Traffic.Exchange]) -> Bool {
        told.count { $0.verb == .append && $0.reply?.json != nil } == lines.count
    }
    /// Checkpoints while the log grows, signed one after the other.
    static func audit(_ client: Client) {
        for _ in 0..<6 { _ = Traffic.checkpoint(client) }
    }
    /// Refusals, too many for each to be written; until the daemon is gone.
    static func flood(_ client: Client) {
        for _ in 0..<60 {
            let asked = try? client.ask("RESERVE acme/ml/k0 \(refusedModel) in=1 out=1")
            if asked == nil { return }
        }
    }
}

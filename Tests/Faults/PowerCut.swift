import ArgumentParser
import Foundation
import TestSupport

/// `tollgate-faults power-cut`.
struct PowerCut: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cut the power at every moment of recorded runs, and open what is left.",
        discussion: """
            Records runs of a daemon under traffic, and writes down states in which a power
            cut could have left its disk: nothing of what was not synced, all of it, or by
            chance block for block of 512 bytes and of 4 KiB. Each is opened as the daemon
            opens it and compared with what was recorded and what clients had been told.

            Then the same with a disk that lies: syncs that are none, writes that only
            claim to be durable, directories that are not synced. If that goes unnoticed,
            the rig is worth nothing, and the command fails.
            """)

    @Option(help: "How many states; a tenth of that, 24 at least, until a lie shows.") var times =
        2_000
    @Option(help: "Recordings to spread them over.") var recordings = 1
    @Option(help: "Where chance begins.") var seed: UInt64 = .random(in: 1...1 << 40)
    @Flag(help: "Leave the recordings and the states in which something was found.") var keep =
        false

    /// So many times a lie's states are opened, each at other moments, before it counts as unnoticed.
    private static let triesOfLie = 12

    func run() throws {
        say("power-cut --seed \(seed) --times \(times) --recordings \(recordings)")
        var honest = Tally()
        var lying: [Disk.Lie: Tally] = [:]
        for n in 0..<recordings {
            let folder = try Folder(keeps: keep)
            let recording = try Recording.make(seed: seed &+ UInt64(n), in: folder.path)
            let kinds = Dictionary(grouping: recording.trace.records, by: \.kind).mapValues(\.count)
            say(
                "  recorded \(recording.log.count) events, \(kinds[.write] ?? 0) writes,",
                "\(kinds[.store] ?? 0) stores, \(kinds[.sync] ?? 0) syncs,",
                "\(kinds[.sent] ?? 0) answers")
            for lie in Disk.Lie.allCases {
                var plan = CutPlan(
                    folder: folder.path, lie: lie, seed: seed &+ UInt64(n),
                    times: lie == .none ? times / recordings : max(times / recordings / 10, 24))
                plan.keeps = keep
                var tally = try Cuts.open(plan)
                // Some lies show in one state of ten: chance alone must not call the rig dead.
                var tries = 1
                while lie != .none, tally.flaws == 0, tries < Self.triesOfLie {
                    plan.seed &+= UInt64(times)
                    tally += try Cuts.open(plan)
                    tries += 1
                }
                if lie == .none { honest += tally } else { lying[lie, default: Tally()] += tally }
            }
        }
        say("power cut: \(honest)")
        for (lie, tally) in lying.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            say("the same, lying about \(lie.rawValue): \(tally)")
        }
        let unnoticed = lying.filter { $0.value.flaws == 0 }.map(\.key.rawValue)
        guard honest.flaws == 0, honest.states > 0 else { throw ExitCode(1) }
        guard unnoticed.isEmpty else {
            say("the rig is dead: it did not notice lies about \(unnoticed.sorted())")
            throw ExitCode(2)
        }
    }
}

/// How many states were opened and what was wrong with them.
struct Tally: CustomStringConvertible {
    var states = 0
    var byKind: [Flaw.Kind: Int] = [:]
    var first: [String] = []
    var flaws: Int { byKind.values.reduce(0, +) }

    static func += (left: inout Tally, right: Tally) {
        left.states += right.states
        left.byKind.merge(right.byKind, uniquingKeysWith: +)
        left.first += right.first
    }
    mutating func note(_ kind: Flaw.Kind, _ text: String) {
        byKind[kind, default: 0] += 1
        if first.count < 5 { first.append("    \(kind): \(text)") }
    }
    var description: String {
        let counts = Flaw.Kind.allCases.map { "\(byKind[$0] ?? 0) \($0)" }.joined(separator: ", ")
        return "\(states) states: \(counts)" + first.map { "\n" + $0 }.joined()
    }
}

/// Which states of a recording are opened; the same seed, the same states.
struct CutPlan {
    var folder: String
    var lie: Disk.Lie
    var seed: UInt64
    var times: Int
    var keeps = false
    /// The first record at which the power may fail.
    var from = 0

    struct State {
        /// The power fails during this record: before it, or, of a durable write, within it.
        var record: Int
        var survival: Survival
        var seed: UInt64
        var isWhole: Bool { if case .everything = survival { true } else { false } }
    }

    /// In the order of the trace. A quarter each: nothing, everything, sectors, pages; each spread
    /// evenly over what changes files.
    func states(_ trace: borrowing Trace) -> [State] {
        var moments = trace.records.indices.filter {
            $0 >= from && trace.records[$0].kind.changesFiles
        }
        moments.append(trace.records.count)
        var generator = SeededGenerator(seed: seed)
        return (0..<times).map { n in
            let seed = generator.next()
            let chance = Chance(seed: seed)
            let share = n * moments.count / times
            let survival: Survival =
                switch n % 4 {
                case 0: .nothing
                case 1: .everything
                case 2: .blocks(of: DiskFile.sectorBytes, chance: chance)
                default: .blocks(of: DiskFile.pageBytes, chance: chance)
                }
            // Within a share of the trace any moment will do.
            let width = max(moments.count / times, 1)
            let moment = min(share + Int(seed >> 40) % width, moments.count - 1)
            return State(record: moments[moment], survival: survival, seed: seed)
        }.sorted { $0.record < $1.record }
    }
}

enum Cuts {
    /// Opens the plan's states in a process of their own: what lies on a disk that lied can end it.
    static func open(_ plan: CutPlan) throws -> Tally {
        var tally = Tally()
        let scratch = try Scratch()
        var next = 0
        while next < plan.times {
            var words = [
                ChildProcess.built("tollgate-faults"), "reopen", "--folder", plan.folder, "--lie",
                plan.lie.rawValue, "--seed", String(plan.seed), "--times", String(plan.times),
                "--next", String(next), "--from", String(plan.from),
            ]
            if plan.keeps { words.append("--keep") }
            let worker = try ChildProcess(words, in: scratch, name: "worker")
            let status = try worker.wait(seconds: 7_200)
            // One line a state, written as it is done.
            for line in worker.standardOutput.split(separator: "\n") {
                let words = line.split(separator: " ", maxSplits: 2).map(String.init)
                guard let kind = words.dropFirst().first else { continue }
                tally.states += 1
                next += 1
                if let kind = Flaw.Kind(rawValue: kind) {
                    tally.note(kind, "\(plan.name(words[0])): \(words.last ?? "")")
                }
            }
            guard next < plan.times else { break }
            guard status != 0, status != 70 else {
                throw RigFailure("the worker ended with \(status): \(worker.standardError)")
            }
            tally.states += 1
            let said = worker.standardError.split(separator: "\n").last ?? ""
            tally.note(.died, "\(plan.name(String(next))): status \(status) \(said)")
            next += 1
        }
        return tally
    }
}
extension CutPlan {
    fileprivate func name(_ state: String) -> String { "state \(state) of seed \(seed)" }
}

/// `tollgate-faults reopen`: the process that opens the states.
struct Reopen: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open the crash states of a recording.", shouldDisplay: false)

    @Option var folder: String
    @Option var lie: String
    @Option var seed: UInt64
    @Option var times: Int
    @Option var next = 0
    @Option var from = 0
    @Flag var keep = false

    func run() throws {
        do {
            try reopen()
        } catch let failure as RigFailure {
            say("the rig: \(failure)")
            throw ExitCode(70)
        }
    }
    private func reopen() throws {
        guard let lie = Disk.Lie(rawValue: lie) else { throw ExitCode(70) }
        let recording = try Recording(reading: folder)
        let trace = recording.trace
        let plan = CutPlan(folder: folder, lie: lie, seed: seed, times: times, from: from)
        let states = plan.states(trace)
        var disk = Disk(root: recording.root, lie: lie)
        var promises = Promises(ends: recording.ends)
        var next = next
        for index in 0...trace.records.count where next < states.count {
            let isWithin =
                index < trace.records.count && trace.records[index].kind == .write
                && trace.records[index].isDurable
            if isWithin { try disk.replay(trace.records[index], trace) }
            while next < states.count, states[next].record == index {
                let flaw = try open(states[next], disk, recording, promises)
                // At once: the next state may be this process's last.
                let line = "\(next) \(flaw.map { "\($0.kind) \($0.text)" } ?? "sound")\n"
                FileHandle.standardOutput.write(Data(line.utf8))
                next += 1
            }
            guard index < trace.records.count else { break }
            if !isWithin { try disk.replay(trace.records[index], trace) }
            try disk.finish(trace.records[index])
            try promises.follow(trace.records[index], trace)
        }
    }

    private func open(
        _ state: CutPlan.State, _ disk: Disk, _ recording: Recording, _ promises: Promises
    ) throws -> Flaw? {
        let scratch = try Folder(keeps: false)
        try disk.write(to: scratch.path, state.survival, recording.trace)
        do throws(Flaw) {
            let data = scratch.path + "/data"
            try Reopening.examine(data, recording, promises, isWhole: state.isWhole)
            if state.seed % 4 == 0 { try Reopening.examine(data) }
            return nil
        } catch {
            guard keep else { return error }
            let kept = "\(folder)/\(lie)-\(state.record)-\(state.seed)"
            guard mkdir(kept, 0o700) == 0 else { throw RigFailure("cannot create \(kept)") }
            try disk.write(to: kept, state.survival, recording.trace)
            return Flaw(kind: error.kind, text: error.text + " (kept as \(kept))")
        }
    }
}

/// A directory in memory where there is one: thousands of states go through it.
final class Folder {
    let path: String
    private let keeps: Bool

    init(keeps: Bool) throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/tg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw RigFailure("cannot write \(base)") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        self.keeps = keeps
        if keeps { say("  kept in \(path)") }
    }
    deinit { if !keeps { try? FileManager.default.removeItem(atPath: path) } }
}

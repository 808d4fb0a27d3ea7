import ArgumentParser
import Foundation
import Glibc
import Synchronization
import TestSupport

/// `tollgate-faults kill`.
struct Kills: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill",
        abstract: "kill -9 at random moments under load, and at every single call to the disk.",
        discussion: """
            Four clients keep a daemon busy until it is killed; every third time the next
            ones are killed while they start, as long as chance likes. Then what the clients
            were told is compared with the log, and what they were not told is asked again,
            twice.

            With --each-call a short run, from its start to the checkpoint at its end, is
            killed in front of each of its calls that change files, and the start after it
            in front of one of its own, until one start is let through.
            """)

    @Option(help: "How often; with --each-call, how many calls of the run, all when 0.")
    var times = 20
    @Option(help: "Where chance begins.") var seed: UInt64 = .random(in: 1...1 << 40)
    @Option(help: "Kills on one ledger before the next one begins.") var perLedger = 100
    @Flag(help: "In front of calls rather than at random moments.") var eachCall = false

    static let flags = ["--ring-mib", "1"]

    func run() throws {
        say(
            "kill --seed \(seed) --times \(times) --per-ledger \(perLedger)",
            eachCall ? "--each-call" : "")
        let tally = eachCall ? try killAtCalls() : try killUnderLoad()
        say("kill -9: \(tally.kills) kills, \(tally.starts) of them while it started;")
        say(
            "  \(tally.events) events, \(tally.answers) answers compared: \(tally.flaws.count) lost"
        )
        for flaw in tally.flaws.prefix(5) { say("    \(flaw)") }
        if !tally.flaws.isEmpty { throw ExitCode(1) }
    }

    private struct Count {
        var kills = 0
        var starts = 0
        var events = 0
        var answers = 0
        var flaws: [String] = []
    }

    // MARK: At random moments

    private func killUnderLoad() throws -> Count {
        var generator = SeededGenerator(seed: seed)
        var count = Count()
        while count.kills < times, count.flaws.isEmpty {
            let scratch = try Scratch()
            var past = Past()
            var notes: [String] = []
            var daemon = try DaemonProcess(Kills.flags, in: scratch)
            try Traffic.furnish(daemon.client())
            for round in 1...perLedger where count.kills < times {
                let (all, told) = try killOnce(daemon, round, &generator)
                count.kills += 1
                notes += told
                count.flaws += try examineCopy(of: scratch.file("data"), notes)
                if round % 3 == 0 { count.starts += try killStarts(scratch, &generator) }
                daemon = try DaemonProcess(Kills.flags, in: scratch)
                let client = try daemon.client()
                let before = past.events.count
                try past.read(client)
                for traffic in all {
                    past.check(traffic)
                    count.answers += traffic.exchanges.count { $0.reply != nil }
                }
                // What was never answered is asked again, twice: one effect, one answer.
                for doubtful in all.flatMap(\.exchanges) where doubtful.reply == nil {
                    let first = try client.ask(doubtful.line)
                    let second = try client.ask(doubtful.line)
                    if first.isError || first != second {
                        count.flaws.append("\(doubtful.line): \(first), then \(second)")
                    }
                }
                try past.read(client)
                try past.checkLaws(client)
                count.events += past.events.count - before
                count.flaws += past.problems
                guard count.flaws.isEmpty else { return count }
            }
            if try daemon.stop() != 0 || !daemon.errors.contains("the second fold agrees") {
                count.flaws.append("the end: \(daemon.errors)")
            }
            say("  \(count.kills) kills, \(count.events) events")
        }
        count.kills += count.starts
        return count
    }
    /// What a start finds as the kill left it.
    private func examineCopy(of data: String, _ notes: [String]) throws -> [String] {
        let manager = FileManager.default
        let copy = data + ".copy"
        try manager.createDirectory(atPath: copy, withIntermediateDirectories: true)
        defer { try? manager.removeItem(atPath: copy) }
        for name in try manager.contentsOfDirectory(atPath: data) where !name.hasSuffix(".sock") {
            try manager.copyItem(atPath: "\(data)/\(name)", toPath: "\(copy)/\(name)")
        }
        do throws(Flaw) {
            try Reopening.examine(copy, told: notes)
            return []
        } catch {
            return ["\(error.kind): \(error.text)"]
        }
    }
    private func killOnce(
        _ daemon: DaemonProcess, _ round: Int, _ generator: inout SeededGenerator
    ) throws -> (all: [Traffic], notes: [String]) {
        let seeds = (0..<4).map { _ in generator.next() }
        // Random on purpose; nothing depends on where it falls.
        let moment = UInt32.random(in: 1_000...250_000, using: &generator)
        let notes = Mutex<[String]>([])
        let all = try concurrently(6) { index -> Traffic? in
            if index == 4 {
                usleep(moment)
                try daemon.kill()
                return nil
            }
            if index == 5 {
                let client = try? daemon.client()
                let told = (0..<5).map { _ in Traffic.checkpoint(client) }
                notes.withLock { $0 = told.checkpoints }
                return nil
            }
            var traffic = Traffic(seed: seeds[index], prefix: "\(round)-\(index)")
            // Who comes when it is dead already has asked nothing.
            if let client = try? daemon.client() { traffic.run(client) }
            return traffic
        }.compactMap { $0 }
        return (all, notes.withLock { $0 })
    }
    /// Starts that do not get far; how many.
    private func killStarts(_ scratch: Scratch, _ generator: inout SeededGenerator) throws -> Int {
        let starts = Int.random(in: 1...3, using: &generator)
        for _ in 0..<starts {
            let process = try ChildProcess(
                [DaemonProcess.binary, "serve", "--data", scratch.file("data")] + Kills.flags,
                in: scratch, name: "start")
            usleep(UInt32.random(in: 1_000...60_000, using: &generator))
            process.signal(SIGKILL)
            try process.wait()
        }
        return starts
    }

    // MARK: In front of every call

    private func killAtCalls() throws -> Count {
        var count = Count()
        var generator = SeededGenerator(seed: seed)
        let scratch = try Scratch()
        let whole = try KilledRun(in: scratch, "whole", at: .max, seed: seed)
        guard whole.flaws.isEmpty else {
            throw RigFailure("the run that is not killed: \(whole.flaws)")
        }
        let chosen = times > 0 ? min(times, whole.calls) : whole.calls
        say("  \(whole.calls) calls in one run")
        for n in 0..<chosen {
            let at = 1 + n * whole.calls / chosen
            let run = try KilledRun(in: scratch, "run\(n)", at: at, seed: generator.next())
            count.kills += run.kills
            count.starts += run.starts
            count.events += run.events
            count.answers += run.answers
            count.flaws += run.flaws.map { "call \(at): \($0)" }
        }
        return count
    }
}

/// A daemon that is killed in front of one call, and then the starts after it.
private struct KilledRun {
    var calls = 0
    var kills = 0
    var starts = 0
    var events = 0
    var answers = 0
    var flaws: [String] = []

    init(in scratch: Scratch, _ name: String, at: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let root = scratch.file(name)
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let data = root + "/data"
        let socket = scratch.file(name + ".socket")
        var interposer = Interposer(root: root)
        interposer.kind = .kill
        interposer.at = at
        interposer.report = scratch.file(name + ".report")
        var told: [Traffic.Exchange] = []
        do {
            let daemon = try DaemonProcess(
                Kills.flags, in: scratch, environment: interposer.environment, data: data,
                socket: socket)
            told = KilledRun.ask(daemon, seed)
            // Killed on its way to the end at the latest.
            daemon.process.signal(SIGTERM)
            note(try daemon.process.wait(), daemon.errors)
        } catch let ended as DaemonEnded {
            note(ended.status, ended.errors)
        }
        calls = (FileManager.default.contents(atPath: interposer.report!) ?? Data()).prefix(8)
            .reversed().reduce(0) { $0 << 8 | Int($1) }
        // Again and again within the start, ever later in it.
        interposer.report = nil
        var next = Int.random(in: 1...12, using: &generator)
        while kills > 0, next < 45 {
            interposer.at = next
            let start = try ChildProcess(
                [DaemonProcess.binary, "serve", "--data", data, "--socket", socket] + Kills.flags,
                environment: interposer.environment, in: scratch, name: name)
            // One that makes fewer calls than that is up, and waits.
            let status = try poll("a start to be killed") {
                start.status ?? (start.standardError.contains("serving at") ? 0 : nil)
            }
            if status == 0 { break }
            starts += 1
            note(status, start.standardError)
            next += Int.random(in: 1...15, using: &generator)
        }
        try compare(told, data, socket, scratch)
    }
    private mutating func note(_ status: Int32, _ errors: String) {
        if status == 128 + SIGKILL {
            kills += 1
        } else if status != 0 {
            flaws.append("ended with \(status): \(errors)")
        }
    }
    private static func ask(_ daemon: DaemonProcess, _ seed: UInt64) -> [Traffic.Exchange] {
        var told: [Traffic.Exchange] = []
        guard let client = try? daemon.client() else { return [] }
        for line in Furniture.lines {
            guard let exchange = Furniture.ask(line, client) else { return told }
            told.append(exchange)
        }
        var traffic = Traffic(seed: seed, prefix: "t")
        traffic.run(client, most: 30)
        told.append(Traffic.checkpoint(client))
        Furniture.flood(client)
        return told + traffic.exchanges
    }
    private mutating func compare(
        _ told: [Traffic.Exchange], _ data: String, _ socket: String, _ scratch: Scratch
    ) throws {
        do {
            let daemon = try DaemonProcess(Kills.flags, in: scratch, data: data, socket: socket)
            let client = try daemon.client()
            var past = Past()
            try past.read(client)
            past.check(told)
            if told.contains(where: { $0.verb != .append }) { try past.checkLaws(client) }
            flaws += past.problems
            events = past.events.count
            answers = told.count { $0.reply != nil }
            if try daemon.stop() != 0 || !daemon.errors.contains("the second fold agrees") {
                flaws.append("the end: \(daemon.errors)")
            }
            try Reopening.examine(data, told: told.checkpoints)
        } catch let flaw as Flaw {
            flaws.append("\(flaw.kind): \(flaw.text)")
        } catch let ended as DaemonEnded {
            flaws.append("does not start: \(ended.status) \(ended.errors)")
        }
    }
}

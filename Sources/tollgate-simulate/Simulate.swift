import ArgumentParser
import Glibc
import Simulation

#if TOLLGATE_PLANTED_BUGS
import Events
#endif

/// Runs seeds of the simulation; the whole story of a seed that finds something goes to standard
/// output.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tollgate-simulate",
        abstract:
            "The daemon, its clients, its disk and its clock as one program, driven by a seed.")

    @Option(help: "The first seed.")
    var seed: UInt64 = 1
    @Option(help: "How many seeds, one after the other.")
    var seeds: UInt64 = 1
    @Option(help: "Steps each; afterwards everything comes to rest and is compared once more.")
    var steps = 3_000
    @Option(help: "Stop after so many seconds.")
    var seconds: Int?
    @Flag(help: "Tell the story while it happens.")
    var story = false
    @Flag(help: "Say only whether and where something was found.")
    var quiet = false
    @Flag(help: "Count what was seen: how often each event and some rare things happened.")
    var seen = false

    #if TOLLGATE_PLANTED_BUGS
    @Option(
        help: """
            Plant a mistake: \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")); or all, \
            one after the other.
            """)
    var planted: String?

    func validate() throws {
        guard let planted, planted != "all" else { return }
        guard let bug = PlantedBug(rawValue: planted) else {
            throw ValidationError("no planted bug is called \(planted)")
        }
        PlantedBug.current = bug
    }
    #endif

    func run() throws {
        #if TOLLGATE_PLANTED_BUGS
        if planted == "all" { return try PlantedTrials.run(seeds: seeds, steps: steps) }
        #endif
        LastWords.install()
        let began = time(nil)
        var total = Total()
        for seed in seed..<seed + seeds {
            if let seconds, time(nil) - began >= seconds { break }
            LastWords.seed = seed
            let outcome = Simulation.run(
                seed: seed, steps: steps, scratch: Simulation.scratch,
                listener: story ? { say($0) } : nil)
            total.add(outcome)
            guard let violation = outcome.violation else { continue }
            if !story, !quiet {
                // The same once more, for its story.
                _ = Simulation.run(
                    seed: seed, steps: steps, scratch: Simulation.scratch, listener: { say($0) })
            }
            say("FOUND by seed \(seed) within \(steps) steps: \(violation)")
            if quiet { break }
        }
        if seen {
            for (what, count) in total.seen.sorted(by: { $0.key < $1.key }) {
                say("\(count)  \(what)")
            }
        }
        say(
            "\(total.ran) seeds of \(steps) steps in \(time(nil) - began) s: \(total.events) events, "
                + "\(total.answers) answers, \(total.lost) unpromised events lost to power cuts, "
                + "\(total.found) seeds found something")
        if total.found > 0 { throw ExitCode(1) }
    }
}

private struct Total {
    var ran = 0
    var found = 0
    var events: UInt64 = 0
    var answers = 0
    var lost = 0
    var seen: [String: Int] = [:]

    mutating func add(_ outcome: Simulation.Outcome) {
        ran += 1
        if outcome.violation != nil { found += 1 }
        events += outcome.events
        answers += outcome.answers
        lost += outcome.lost
        seen.merge(outcome.seen, uniquingKeysWith: +)
    }
}

/// One line at once, so that nothing is missing when the process ends in a trap.
private func say(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
}

/// Says which seed a trap ended: the daemon's own preconditions find mistakes too.
private enum LastWords {
    nonisolated(unsafe) static var seed: UInt64 = 0

    static func install() {
        for trap in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(trap) { number in
                say("FOUND by seed \(LastWords.seed): a trap, signal \(number)")
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}

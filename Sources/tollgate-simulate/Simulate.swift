import ArgumentParser
import Glibc
import Simulation

/// Runs seeds of the simulation; the whole story of a seed that finds something goes to standard
/// output.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tollgate-simulate",
        abstract: "The daemon, its clients, its disk and its clock as one program, driven by a seed.")

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

    func run() throws {
        let began = time(nil)
        var found = 0
        var ran: UInt64 = 0
        var events: UInt64 = 0
        var answers = 0
        var lost = 0
        for seed in seed..<seed + seeds {
            if let seconds, time(nil) - began >= seconds { break }
            LastWords.seed = seed
            LastWords.install()
            let outcome = Simulation.run(
                seed: seed, steps: steps, scratch: Simulation.scratch,
                listener: story ? { say($0) } : nil)
            ran += 1
            events += outcome.events
            answers += outcome.answers
            lost += outcome.lost
            guard let violation = outcome.violation else { continue }
            found += 1
            if !story {
                // The same once more, for its story.
                _ = Simulation.run(
                    seed: seed, steps: steps, scratch: Simulation.scratch, listener: { say($0) })
            }
            say("seed \(seed), \(steps) steps: \(violation)")
        }
        say(
            "\(ran) seeds of \(steps) steps in \(time(nil) - began) s: \(events) events, \(answers) answers, "
                + "\(lost) unpromised events lost to power cuts, \(found) seeds found something")
        if found > 0 { throw ExitCode(1) }
    }
}

/// One line at once, so that nothing is missing when the process ends in a trap.
private func say(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
}

/// Says which seed a trap ended.
enum LastWords {
    nonisolated(unsafe) static var seed: UInt64 = 0

    static func install() {
        for trap in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(trap) { number in
                var text = "\nseed \(LastWords.seed) ended in signal \(number)\n"
                text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}

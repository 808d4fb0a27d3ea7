import Glibc

/// A whole daemon, its clients, its disk and its clock as one deterministic program: the same seed and
/// number of steps always tell the same story.
package enum Simulation {
    package struct Outcome: Sendable {
        package var seed: UInt64
        package var steps: Int
        /// What must never be, if it was; the story leads up to it.
        package var violation: String?
        package var story: [String]
        package var digest: UInt64
        package var events: UInt64
        package var answers: Int
        /// Events that power cuts took, none of them promised.
        package var lost: Int
        /// How often each event, and some rare thing, was seen.
        package var seen: [String: Int]
    }

    /// - Parameters:
    ///   - scratch: a directory on a memory filesystem if there is one; a new one below it is used.
    ///   - keepsStory: whether the outcome has the story's lines.
    ///   - listener: hears the story while it happens.
    package static func run(
        seed: UInt64, steps: Int, scratch: String, keepsStory: Bool = false,
        listener: ((String) -> Void)? = nil
    ) -> Outcome {
        var template = Array((scratch + "/tollgate-simulation-XXXXXX").utf8CString)
        precondition(mkdtemp(&template) != nil, "cannot make a directory in \(scratch)")
        let directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let story = Story(keeps: keepsStory, listener: listener)
        let world = World(seed: seed, story: story, directory: directory + "/data")
        world.run(steps: steps)
        for part in ["/data/journal", "/data/checkpoints", "/data"] {
            for name in File.names(directory + part) { unlink("\(directory)\(part)/\(name)") }
            rmdir(directory + part)
        }
        rmdir(directory)
        return Outcome(
            seed: seed, steps: steps, violation: world.violation?.text, story: story.lines,
            digest: story.digest, events: world.checker.count, answers: world.checker.answers,
            lost: world.checker.lost, seen: world.checker.oracle.counts)
    }

    /// A place for scratch directories that no disk is behind, where there is one.
    package static var scratch: String { access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp" }
}

import Logging

/// What happened in a simulation, line by line, and a digest that two runs of one seed share.
package final class Story {
    package private(set) var lines: [String] = []
    package private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private let listener: ((String) -> Void)?
    private let keeps: Bool
    var step = 0

    /// - Parameters:
    ///   - keeps: whether the lines are kept; the digest is made either way.
    ///   - listener: hears each line as it is told.
    init(keeps: Bool, listener: ((String) -> Void)? = nil) {
        self.keeps = keeps
        self.listener = listener
    }
    /// A directory's path differs from run to run.
    static func withoutPaths(_ text: String) -> String {
        text.split(separator: " ").map { word in
            word.hasPrefix("/") ? "…" + (word.split(separator: "/").last ?? "") : word
        }.joined(separator: " ")
    }
    func tell(_ what: String) {
        for byte in what.utf8 { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        guard keeps || listener != nil else { return }
        let line = "\(step)  \(what)"
        if keeps { lines.append(line) }
        listener?(line)
    }
}

/// The daemon's own log lines become part of the story.
struct StoryLog: LogHandler {
    // Unchecked: a simulation is one thread.
    private struct Held: @unchecked Sendable { let story: Story }
    private let held: Held
    var logLevel = Logger.Level.notice
    var metadata: Logger.Metadata = [:]

    init(_ story: Story) { held = Held(story: story) }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
        held.story.tell("daemon: \(Story.withoutPaths("\(event.message)"))")
    }
}

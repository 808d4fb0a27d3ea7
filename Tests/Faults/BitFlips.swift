import ArgumentParser
import Foundation
import Journal
import TestSupport

/// `tollgate-faults bit-flip`.
struct BitFlips: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bit-flip",
        abstract: "Flip one bit of what lies on the disk, start on it, and read everything.",
        discussion: """
            A directory as a killed daemon leaves it is copied again and again, each time with
            one bit of the journal, the ring, the counted refusals or a checkpoint flipped,
            anywhere in the file. A daemon that starts on it may refuse or name the damage; what
            it serves must be the log as it was. In the ring, whose events only wait for the
            journal, a flip may cost the events behind it, and the daemon must say so.
            """)

    @Option(help: "How many flips.") var times = 2_000
    @Option(help: "Where chance begins.") var seed: UInt64 = .random(in: 1...1 << 40)

    func run() throws {
        say("bit-flip --seed \(seed) --times \(times)")
        let template = try FlippedRun.Template(seed: seed)
        say("  \(template.events) events, \(template.durable) of them in the journal")
        var generator = SeededGenerator(seed: seed)
        var ends: [FlippedRun.End: Int] = [:]
        var byFile: [String: Int] = [:]
        var flaws: [String] = []
        for number in 1...times {
            let flip = template.flip(&generator)
            let (end, flaw) = try FlippedRun(template, flip).take()
            ends[end, default: 0] += 1
            byFile[flip.kind, default: 0] += 1
            if let flaw { flaws.append("\(flip): \(flaw)") }
            if number % 500 == 0 { say("  \(number) of \(times)") }
        }
        say("bit flip: \(times) flips: \(flaws.count) served or lost unsaid")
        for flaw in flaws.prefix(5) { say("    \(flaw)") }
        for counts in [byFile, ends.reduce(into: [:]) { $0[$1.key.rawValue] = $1.value }] {
            say("  \(counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", "))")
        }
        guard flaws.isEmpty else { throw ExitCode(1) }
        guard times < 20 || ends[.refused, default: 0] + ends[.named, default: 0] > 0 else {
            say("the rig is dead: no flip was ever noticed")
            throw ExitCode(2)
        }
    }
}

/// One bit.
struct Flip: CustomStringConvertible {
    /// Below the data directory.
    var file: String
    var byte: Int
    var bit: Int

    var kind: String { file.hasPrefix("checkpoints") ? "checkpoint" : file }
    var isInRing: Bool { file == "ring" }
    var description: String { "bit \(bit) of byte \(byte) of \(file)" }
}

/// A daemon on a directory in which a bit has flipped.
struct FlippedRun {
    enum End: String {
        case refused = "did not start"
        case named = "named when it was read"
        case setAside = "noticed and done without"
        case harmless = "hit nothing that is used"
    }

    /// A directory as `kill -9` left it, and what a daemon serves of it.
    final class Template {
        private let scratch: Scratch
        let path: String
        private let files: [String]
        /// What EVENTS says of a sound copy, up to where the killed daemon was.
        let log: NSArray
        /// How many events the journal has; the others are in the ring.
        let durable: Int
        var events: Int { log.count }

        init(seed: UInt64) throws {
            scratch = try Scratch()
            path = scratch.file("template")
            let socket = scratch.file("socket")
            // The first run leaves a checkpoint, the second one a tail, a ring and counted refusals.
            for run in 0..<2 {
                let daemon = try DaemonProcess(
                    FlippedRun.flags + ["--linger-us", "50000"], in: scratch, data: path,
                    socket: socket)
                let client = try daemon.client()
                if run == 0 { try Furniture.place(client) }
                var traffic = Traffic(seed: seed &+ UInt64(run), prefix: "\(run)")
                traffic.run(client, most: 200)
                guard run == 1 else {
                    guard try daemon.stop() == 0 else { throw RigFailure(daemon.errors) }
                    continue
                }
                Furniture.flood(client)
                _ = try client.ask(
                    "RESERVE acme/ml/k0 \(Traffic.model) in=1 out=1 id=last ttl=3600")
                try daemon.kill()
            }
            durable = Int(try Inspection(directory: path, everyPage: true).lastSeq)
            files = try FileManager.default.subpathsOfDirectory(atPath: path).filter { file in
                file == "journal/data.mdb" || file == "ring" || file == "floods"
                    || file.hasSuffix(".book")
            }.sorted()
            let copy = scratch.file("copy")
            try FileManager.default.copyItem(atPath: path, toPath: copy)
            let daemon = try DaemonProcess(
                FlippedRun.flags, in: scratch, data: copy, socket: socket)
            let all = try daemon.client().events()
            let epoch = all.map { $0.number("epoch") }.max() ?? 0
            log = Array(all.prefix { $0.number("epoch") < epoch }) as NSArray
            try daemon.kill()
            guard log.count >= durable, durable > 100, files.count >= 4 else {
                throw RigFailure("a poor directory: \(log.count) events, \(durable), \(files)")
            }
        }

        /// Any bit of any file; mostly one where something is written.
        func flip(_ generator: inout SeededGenerator) -> Flip {
            let books = files.filter { $0.hasSuffix(".book") }
            let file =
                switch Int.random(in: 0..<20, using: &generator) {
                case 0..<11: "journal/data.mdb"
                case 11..<15: "ring"
                case 15: "floods"
                default: books.randomElement(using: &generator)!
                }
            let bytes = FileManager.default.contents(atPath: path + "/" + file) ?? Data()
            var at = Int.random(in: 0..<bytes.count, using: &generator)
            if Int.random(in: 0..<4, using: &generator) > 0 {
                at = bytes[at...].firstIndex { $0 != 0 } ?? at
            }
            return Flip(file: file, byte: at, bit: .random(in: 0..<8, using: &generator))
        }
    }

    private static let flags = ["--ring-mib", "1"]
    private let template: Template
    private let flip: Flip
    private let scratch: Scratch
    private let data: String

    init(_ template: Template, _ flip: Flip) throws {
        self.template = template
        self.flip = flip
        scratch = try Scratch()
        data = scratch.file("data")
        try FileManager.default.copyItem(atPath: template.path, toPath: data)
        let url = URL(fileURLWithPath: data + "/" + flip.file)
        var bytes = try Data(contentsOf: url)
        bytes[flip.byte] ^= 1 << UInt8(flip.bit)
        try bytes.write(to: url)
    }

    /// How it went, and what was served or lost without a word.
    func take() throws -> (End, String?) {
        do {
            let daemon = try DaemonProcess(FlippedRun.flags, in: scratch, data: data)
            return try read(daemon)
        } catch let ended as DaemonEnded {
            return (.refused, isOrderly(ended.status, ended.errors) ? nil : "start: \(ended)")
        }
    }
    private func read(_ daemon: DaemonProcess) throws -> (End, String?) {
        var past = Past(mayBePaused: true)
        do {
            let client = try daemon.client()
            try past.read(client)
            let found = Array(past.events.prefix(template.events)) as NSArray
            let same = zip(found, template.log).prefix {
                ($0 as? NSDictionary) == ($1 as? NSDictionary)
            }.count
            // The last of the ring cannot be told from one that was never written.
            let isNoted = daemon.errors.contains("ring") || same == template.events - 1
            if same < template.durable { return (.named, "event \(same + 1) is another or none") }
            if same < template.events, !flip.isInRing || !isNoted {
                return (.named, "event \(same + 1), which was in the ring, is lost unsaid")
            }
            try past.checkLaws(client)
            if let problem = past.problems.first { return (.named, problem) }
        } catch let error as Unexpected {
            // An answer that is an error must say what is wrong with which file.
            let isClear = ["checksum", "journal"].contains { error.description.contains($0) }
            try daemon.kill()
            return (.named, isClear ? nil : "it answers \(error)")
        } catch {
            // It hung up: how it ended says why.
            let status = try daemon.process.wait()
            return (.named, isOrderly(status, daemon.errors) ? nil : "\(error): \(status)")
        }
        let status = try daemon.stop()
        guard isOrderly(status, daemon.errors) else { return (.named, "the end: \(status)") }
        if status != 0 { return (.named, nil) }
        let isNoticed = [" aside", "damaged", "not whole"].contains { daemon.errors.contains($0) }
        return (isNoticed ? .setAside : .harmless, nil)
    }
    /// Whether it ended with 0, or with a code of its own and a reason.
    private func isOrderly(_ status: Int32, _ errors: String) -> Bool {
        status == 0 || status > 64 && status < 80 && errors.contains("tollgate: ")
    }
}

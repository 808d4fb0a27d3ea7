import CLinux
import Events
import Foundation
import Glibc
import TestSupport
import Testing

/// Replays `schemas/transcripts/*.txt`, each against a fresh daemon; `schemas/wire.md` says how they
/// are written.
@Suite struct `A transcript` {
    static let names: [String] = {
        let files = try! FileManager.default.contentsOfDirectory(atPath: Transcript.folder.path)
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    @Test(arguments: names) func `is what the daemon answers`(name: String) throws {
        let transcript = try Transcript(name)
        #expect(transcript.steps.contains { if case .reply = $0.what { true } else { false } })
        try Replay(transcript).run()
    }
    @Test func `is there`() { #expect(Self.names.count >= 12) }

    /// The verbs that the daemon itself lists must stand in the grammar and on its page.
    @Test func `stands beside a grammar of every verb`() throws {
        let schemas = Transcript.folder.deletingLastPathComponent()
        let grammar = try String(
            contentsOf: schemas.appendingPathComponent("wire.abnf"), encoding: .utf8)
        let page = try String(
            contentsOf: schemas.appendingPathComponent("wire.md"), encoding: .utf8)
        let daemon = try DaemonProcess()
        defer { withExtendedLifetime(daemon) {} }
        guard case .array(let verbs) = try daemon.client().ask("COMMAND") else {
            Issue.record("COMMAND answers an array")
            return
        }
        for verb in verbs {
            guard case .array(let fields) = verb, let name = fields.first?.text.uppercased() else {
                Issue.record("COMMAND lists \(verb)")
                continue
            }
            #expect(grammar.contains("\"\(name)\""), "wire.abnf lacks \(name)")
            #expect(page.contains("`\(name)"), "wire.md lacks \(name)")
        }
    }
}

/// A conversation as it stands in a file.
private struct Transcript {
    enum What {
        case serve([String])
        case connection(String, isTCP: Bool)
        case send(String)
        case sendRaw(String)
        case reply(String)
        case rawLine(String)
        case wait(Double)
        case daemon(String)
    }
    struct Step {
        var line: Int
        var what: What
    }
    struct Mistake: Error { var text: String }

    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("schemas/transcripts")

    let name: String
    private(set) var steps: [Step] = []

    init(_ name: String) throws {
        self.name = name
        let text = try String(contentsOf: Self.folder.appendingPathComponent(name), encoding: .utf8)
        for (i, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        {
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            let rest = parts.count > 1 ? String(parts[1]) : ""
            let words = rest.split(separator: " ").map(String.init)
            let what: What =
                switch parts[0] {
                case ">": .send(rest)
                case ">>": .sendRaw(rest)
                case "<": .reply(rest)
                case "<<": .rawLine(rest)
                case "~": .wait(Double(rest)!)
                case "!": .daemon(rest)
                case "$": .serve(Array(words.dropFirst()))
                case "@": .connection(words[0], isTCP: words.last == "tcp")
                default: throw Mistake(text: "\(name):\(i + 1): \(line)")
                }
            steps.append(Step(line: i + 1, what: what))
        }
    }
}

/// A transcript being replayed.
private final class Replay {
    private let transcript: Transcript
    private let scratch: Scratch
    private let port: UInt16
    private var flags: [String] = []
    private var daemon: DaemonProcess?
    private var clients: [String: Client] = [:]
    private var client: Client?
    /// What placeholders with a name stood for.
    private var bound: [String: String] = [:]
    private var pending: [UInt8] = []

    init(_ transcript: Transcript) throws {
        self.transcript = transcript
        scratch = try Scratch()
        port = try Replay.freePort()
        bound["port"] = String(port)
    }

    func run() throws {
        for step in transcript.steps {
            do {
                try perform(step)
            } catch {
                report(step, "\(error); the daemon logged: \(daemon?.errors.suffix(600) ?? "")")
                return
            }
        }
        if let daemon { #expect(try daemon.stop() == 0, "\(transcript.name): the daemon drains") }
    }
    private func report(_ step: Transcript.Step, _ text: String) {
        Issue.record("\(transcript.name):\(step.line): \(text)")
    }

    private func perform(_ step: Transcript.Step) throws {
        switch step.what {
        case .serve(let flags): self.flags = flags.map { substituted($0) }
        case .connection(let name, let isTCP):
            try flush()
            try startIfNeeded()
            if clients[name] == nil {
                clients[name] = isTCP ? try Client(port: port) : try daemon!.client()
            }
            client = clients[name]
        case .send(let text): pending += Array(substituted(text).utf8) + [0x0A]
        case .sendRaw(let text): pending += try Replay.unescaped(substituted(text))
        case .reply(let expected):
            try flush()
            try expect(expected, step)
        case .rawLine(let expected):
            try flush()
            let line = try client!.line()
            if !matches(line, expected) { report(step, "the next line is \(line)") }
        case .wait(let seconds):
            try flush()
            usleep(UInt32(seconds * 1_000_000))
        case .daemon(let order):
            try flush()
            switch order {
            case "stop": #expect(try daemon!.stop() == 0)
            case "kill": try daemon!.kill()
            case "start": daemon = try DaemonProcess(flags, in: scratch)
            default: throw Transcript.Mistake(text: "no order \(order)")
            }
            client = nil
            clients = [:]
        }
    }
    private func startIfNeeded() throws {
        if daemon == nil { daemon = try DaemonProcess(flags, in: scratch) }
    }
    private func flush() throws {
        guard !pending.isEmpty else { return }
        try startIfNeeded()
        if client == nil {
            client = try daemon!.client()
            clients["first"] = client
        }
        defer { pending = [] }
        try client!.send(pending)
    }
    private func expect(_ expected: String, _ step: Transcript.Step) throws {
        let reply: Reply
        do {
            reply = try client!.reply()
        } catch {
            let isReset = (error as? POSIXError)?.code == .ECONNRESET
            guard error is EndOfStream || isReset else { throw error }
            if expected != "(closed)" { report(step, "the connection is closed") }
            return
        }
        switch reply {
        case .bulk(let text) where expected.hasPrefix("{") || expected.hasPrefix("["):
            let found = try text.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes) }
            let wanted = try expected.withBytes { (bytes) throws(JSONError) in
                try JSON(parsing: bytes)
            }
            if let difference = difference(found, wanted, "$") {
                report(step, "\(difference) in \(text)")
            }
        case .bulk(let text):
            guard expected.hasPrefix("\""), expected.hasSuffix("\"") else {
                return report(step, "got the bulk string \(text)")
            }
            let wanted = String(
                decoding: try Replay.unescaped(String(expected.dropFirst().dropLast())),
                as: UTF8.self)
            if !matches(text, wanted) { report(step, "got the bulk string \(text)") }
        case .null: if expected != "(nil)" { report(step, "got a null") }
        default:
            if !matches(reply.description, expected) { report(step, "got \(reply)") }
        }
    }

    // MARK: Placeholders

    private static let kinds = [
        "hold": "[0-9]+-[0-9]+", "seq": "[0-9]+", "number": "[0-9]+",
        "instant": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]{1,9})?Z",
        "seconds": "[0-9]+\\.[0-9]{3}", "money": "[0-9]+(?:\\.[0-9]{1,9})?",
        "secret": "tg_[a-z0-9]{1,24}_[0-9A-Za-z]{36}", "hex": "[0-9a-f]+", "any": ".*",
    ]
    private func substituted(_ text: String) -> String {
        var text = text
        for (name, value) in bound {
            text = text.replacingOccurrences(of: "<\(name)>", with: value)
        }
        return text
    }
    /// Whether the text is what was expected; remembers what named placeholders stood for.
    private func matches(_ text: String, _ expected: String) -> Bool {
        var pattern = "(?s)^"
        var names: [String] = []
        var rest = substituted(expected)[...]
        while let open = rest.firstMatch(of: /<([a-z]+)(:[a-z0-9-]+)?>/) {
            let whole = open.output.0
            pattern += Replay.escaped(rest[..<whole.startIndex])
            rest = rest[whole.endIndex...]
            guard let kind = Replay.kinds[String(open.output.1)] else {
                pattern += Replay.escaped(whole)
                continue
            }
            pattern += open.output.2 == nil ? "(?:\(kind))" : "(\(kind))"
            if open.output.2 != nil { names.append(String(whole.dropFirst().dropLast())) }
        }
        pattern += Replay.escaped(rest) + "$"
        guard let regex = try? NSRegularExpression(pattern: pattern),
            let match = regex.firstMatch(
                in: text, range: NSRange(text.startIndex..., in: text))
        else { return false }
        for (i, name) in names.enumerated() {
            if let range = Range(match.range(at: i + 1), in: text) {
                bound[name] = String(text[range])
            }
        }
        return true
    }
    private static func escaped(_ text: Substring) -> String {
        NSRegularExpression.escapedPattern(for: String(text))
    }
    private static func unescaped(_ text: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let c = rest.popFirst() {
            guard c == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                bytes.append(c)
                continue
            }
            switch next {
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "x"):
                let digits = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let byte = UInt8(digits, radix: 16) else {
                    throw Transcript.Mistake(text: "\\x\(digits)")
                }
                bytes.append(byte)
                rest = rest.dropFirst(2)
            default: bytes.append(next)
            }
        }
        return bytes
    }

    // MARK: JSON

    /// What is wrong with the value; only the members that were written down are compared. The text
    /// `<none>` means that the member is not there, and a last item `<more>` any further items.
    private func difference(_ found: JSON?, _ wanted: JSON, _ at: String) -> String? {
        if wanted == .string("<none>") { return found == nil ? nil : "\(at) should not be there" }
        guard let found else { return "\(at) is missing" }
        switch (found, wanted) {
        case (.object, .object(let members)):
            for member in members {
                if let wrong = difference(found[member.name], member.value, "\(at).\(member.name)")
                {
                    return wrong
                }
            }
            return nil
        case (.array(let items), .array(var expected)):
            let isOpen = expected.last == .string("<more>")
            if isOpen { expected.removeLast() }
            guard isOpen ? items.count >= expected.count : items.count == expected.count else {
                return "\(at) has \(items.count) items"
            }
            for (i, item) in expected.enumerated() {
                if let wrong = difference(items[i], item, "\(at)[\(i)]") { return wrong }
            }
            return nil
        case (.string(let text), .string(let pattern)), (.number(let text), .string(let pattern)):
            return matches(text, pattern) ? nil : "\(at) is \(text)"
        default:
            return found == wanted ? nil : "\(at) is another value"
        }
    }

    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard result == 0 else { throw POSIXError.current }
        return UInt16(bigEndian: address.sin_port)
    }
}

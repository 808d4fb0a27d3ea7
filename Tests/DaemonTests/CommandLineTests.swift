import CLinux
import Events
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import tollgate

/// Runs of the built `tollgate`, as a person or a script starts it.
enum Program {
    struct Run {
        var status: Int32
        var output: String
        var errors: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// It lies beside the test bundle, whose runner this process is.
    static let path: String = {
        let runner = try! FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let places = [beside, URL(fileURLWithPath: runner).deletingLastPathComponent()]
        return places.map { $0.appendingPathComponent("tollgate").path }
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "tollgate"
    }()

    /// Starts a run; its three files are all that it shares with this process.
    ///
    /// `posix_spawn` rather than Foundation's `Process`, whose waiting needs a run loop on the
    /// thread that started it, and tests move between threads.
    static func spawn(
        _ words: [String], _ environment: [String: String], input: String = "/dev/null",
        output: String = "/dev/null", errors: String = "/dev/null"
    ) throws -> pid_t {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&files, 2, errors, O_WRONLY, 0)
        // What a sanitizer must know, and nothing else of ours.
        let sanitizers = ProcessInfo.processInfo.environment.filter {
            $0.key == "ASAN_OPTIONS" || $0.key == "TSAN_OPTIONS"
        }
        let variables = ["PATH": "/usr/bin:/bin"].merging(sanitizers) { $1 }
            .merging(environment) { $1 }
        var words = ([path] + words).map { strdup($0) } + [nil]
        var settings = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in words + settings { free(text) } }
        // A test's thread may block signals, and a child inherits what its parent blocks.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let failed = posix_spawn(&pid, path, &files, &attributes, &words, &settings)
        guard failed == 0 else { throw POSIXError(POSIXErrorCode(rawValue: failed) ?? .EIO) }
        return pid
    }
    /// The exit code of a run, or 128 and the signal that ended it.
    static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }
    static func run(
        _ words: [String], _ environment: [String: String] = [:], input: String = ""
    ) throws -> Run {
        let files = try CommandFiles()
        let output = files.file("out")
        let errors = files.file("err")
        let pid = try spawn(
            words, environment, input: files.file("in", input), output: output, errors: errors)
        return Run(
            status: wait(pid), output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }
}

/// A directory of a command's files, which are there before the command is. It goes with its owner.
final class CommandFiles: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/tollgate-cli-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ text: String = "") -> String {
        let file = path + "/" + name
        _ = FileManager.default.createFile(atPath: file, contents: Data(text.utf8))
        return file
    }
}

@Suite struct `a command line without a daemon` {
    struct Case: CustomTestStringConvertible, Sendable {
        var words: [String]
        var environment: [String: String] = [:]
        var status: Int32
        var says: String
        var testDescription: String { words.joined(separator: " ") }
    }
    static let cases = [
        Case(
            words: ["call", "--socket", "/nonexistent/t.sock", "PING"], status: 69,
            says: "no daemon answers at /nonexistent/t.sock: start one with 'tollgate serve'"),
        Case(
            words: ["status"], environment: ["TOLLGATE_DATA": "/nonexistent"], status: 69,
            says: "/nonexistent/tollgate.sock"),
        Case(
            words: ["status", "--data", "/nonexistent/flag"],
            environment: ["TOLLGATE_SOCKET": "/nonexistent/variable.sock"], status: 69,
            says: "/nonexistent/flag/tollgate.sock"),
        Case(
            words: ["status", "--socket", "/" + String(repeating: "x", count: 108)], status: 64,
            says: "say a shorter one"),
        Case(words: ["status", "--tcp", "127.0.0.1:1"], status: 64, says: "TOLLGATE_SECRET"),
        Case(
            words: ["status", "--tcp", "127.0.0.1:1", "--user", "u"],
            environment: ["TOLLGATE_SECRET": "s"], status: 69, says: "127.0.0.1:1"),
        Case(
            words: ["status", "--tcp", "7070", "--user", "u"],
            environment: ["TOLLGATE_SECRET": "s"], status: 64, says: "HOST:PORT"),
        Case(
            words: ["status", "--tcp", "a:1", "--socket", "b"], status: 64, says: "say one of them"),
        Case(words: ["call", "x \"y"], status: 64, says: "unbalanced quotes"),
        Case(words: ["call", ""], status: 64, says: "an empty request"),
        Case(words: ["team", "create", "acme"], status: 64, says: "the path of an org"),
        Case(words: ["org", "create", "Acme"], status: 64, says: "names are"),
        Case(
            words: ["limits", "set", "acme", "usd.dy=4"], status: 64, says: "no limit \"usd.dy\""),
        Case(words: ["limits", "set", "acme", "usd.day=4e3"], status: 64, says: "no exponent"),
        Case(words: ["limits", "set", "acme", "usd.day=-4"], status: 64, says: "no sign"),
        Case(
            words: ["limits", "set", "acme", "requests.day=1.5"], status: 64, says: "whole number"),
        Case(
            words: ["limits", "set", "acme", "requests.day=1", "requests.day=2"], status: 64,
            says: "given twice"),
        Case(
            words: ["override", "grant", "acme", "usd.day=4", "--for", "48h"], status: 64,
            says: "say why with --reason"),
        Case(
            words: ["override", "grant", "acme", "usd.day=4", "--reason", "r"], status: 64,
            says: "--for or --until"),
        Case(
            words: ["override", "grant", "acme", "usd.day=4", "--for", "2 days", "--reason", "r"],
            status: 64, says: "say a span such as 90s, 30m, 48h, 30d or 2w"),
        Case(
            words: ["override", "grant", "acme", "usd.day=none", "--for", "1h", "--reason", "r"],
            status: 64, says: "an override needs an amount"),
        Case(
            words: ["credit", "grant", "acme/ml", "5", "--source", "card"], status: 64,
            says: "the path of a team"),
        Case(
            words: ["org", "billing", "acme", "--markup", "15.00001%"], status: 64,
            says: "at most four decimals"),
        Case(
            words: ["org", "billing", "acme", "--currency", "CNY"], status: 64,
            says: "say how many CNY a US dollar is with --rate"),
        Case(words: ["permissions", "set", "acme"], status: 64, says: "nothing to set"),
        Case(
            words: ["permissions", "set", "acme", "--models", "a/b", "--no-models"], status: 64,
            says: "not both"),
        Case(words: ["events", "--follow", "--to", "9"], status: 64, says: "--follow has no end"),
        Case(words: ["price", "import", "/nonexistent.json"], status: 66, says: "cannot be read"),
        Case(words: ["frobnicate"], status: 64, says: "frobnicate"),
        Case(words: ["serve", "--ring-mib", "x"], status: 64, says: "--ring-mib is \"x\""),
        Case(
            words: ["serve"], environment: ["TOLLGATE_RING_MIB": "0"], status: 78,
            says: "TOLLGATE_RING_MIB is \"0\": say a whole number from 1"),
        Case(
            words: ["serve", "--config", "/nonexistent.json"], status: 78, says: "name another"),
    ]
    @Test(arguments: cases) func `names the fix`(_ row: Case) throws {
        let run = try Program.run(row.words, row.environment)
        #expect(run.status == row.status)
        #expect(run.output == "")
        #expect(run.errors.contains(row.says), "\(run.errors)")
    }

    @Test(arguments: [
        (#"{"ring":64}"#, "has no setting \"ring\""), (#"{"ring_mib":"#, "not valid JSON"),
        (#"{"ring_mib":[1]}"#, "must be a text"), (#"{"data":"x"}"#, "remove it"),
        (#"{"log_level":"loud"}"#, "say trace"), ("[]", "one JSON object"),
        (#"{"ring_mib":64,"ring_mib":65}"#, "stands twice"),
    ])
    func `a wrong config file ends serve with 78`(text: String, says: String) throws {
        let data = try CommandFiles()
        _ = data.file("tollgate.json", text)
        let run = try Program.run(["serve", "--data", data.path])
        #expect(run.status == 78)
        #expect(run.errors.contains(says), "\(run.errors)")
        #expect(run.errors.contains(data.path + "/tollgate.json"))
    }

    @Test func `a text that is no price file ends an import with 65`() throws {
        #expect(try Program.run(["price", "import", "-"], input: "{").status == 65)
        #expect(try Program.run(["price", "import", "-"], input: "{\"a\":1}").status == 65)
    }

    @Test func `the root help documents every exit code`() throws {
        let help = try Program.run(["--help"])
        #expect(help.status == 0)
        for status in ExitStatus.allCases {
            #expect(help.output.contains("\n  \(status.rawValue) "), "\(status)")
        }
    }

    @Test func `every verb's help shows an example and fits 80 columns`() throws {
        var verbs = try Self.verbs(below: [])
        var seen = 0
        while let verb = verbs.popLast() {
            let lines = try Program.run(["help"] + verb).lines
            let text = lines.prefix { !$0.hasPrefix("USAGE:") }
            #expect(text.contains { $0.hasPrefix("Example") }, "\(verb)")
            #expect(text.contains { $0.contains("tollgate \(verb[0])") }, "\(verb)")
            // A wrapped line would tear an example or a paragraph in two.
            #expect(text.allSatisfy { $0.count < 80 }, "\(verb)")
            verbs += try Self.verbs(below: verb)
            seen += 1
        }
        #expect(seen > 30)
    }
    /// The verbs that a help page lists: lines of two spaces and a name.
    private static func verbs(below verb: [String]) throws -> [[String]] {
        let lines = try Program.run(["help"] + verb).lines.drop { $0 != "SUBCOMMANDS:" }
        return lines.compactMap { line in
            guard line.hasPrefix("  "), let name = line.dropFirst(2).split(separator: " ").first,
                line.dropFirst(2).first != " ", name != "See"
            else { return nil }
            return verb + [String(name)]
        }
    }
}

@Suite struct `texts of the command line` {
    @Test(
        arguments: [
            ("2e-06", 12, 2_000_000, true), ("2.5e-07", 12, 250_000, true), ("0.0", 12, 0, true),
            ("0.00000015", 12, 150_000, true), ("1", 0, 1, true), ("1e6", 0, 1_000_000, true),
            ("1.0", 0, 1, true), ("2.9999999999999997e-07", 12, 300_000, false),
            ("4.5e-13", 12, 0, false), ("5e-13", 12, 1, false), ("4.9999e-14", 12, 0, false),
            ("9.223372036854775807", 18, Int64.max, true),
        ] as [(String, Int, Int64, Bool)])
    func `decimal numbers move by powers of ten`(
        text: String, power: Int, value: Int64, isExact: Bool
    ) throws {
        let found = try #require(Decimal10.scaled(text, by: power))
        #expect(found.value == value)
        #expect(found.isExact == isExact)
    }
    @Test(arguments: ["-1", "1e", "e5", "", ".5", "1.2.3", "NaN", "1e30", "9.3e18", "1e9999"])
    func `what is no such number has no value`(text: String) {
        #expect(Decimal10.scaled(text, by: 1) == nil)
    }

    @Test(
        arguments: [
            ("", []), ("  PING \t", ["PING"]), (#"a "b c" d"#, ["a", "b c", "d"]),
            (#"a 'b "c" \'d'"#, ["a", #"b "c" 'd"#]), (#""\x41\n\\\"""#, ["A\n\\\""]),
            (#"a=b'c d'"#, ["a=bc d"]), (#""""#, [""]),
        ] as [(String, [String])])
    func `a line is split by Redis's inline rules`(line: String, words: [String]) throws {
        #expect(try InlineWords.split(line) == words)
    }
    @Test(arguments: [#""a"#, "'a", #""a"b"#, #"'a'b"#])
    func `unbalanced quotes are refused`(line: String) {
        #expect(throws: CommandFailure.self) { try InlineWords.split(line) }
    }

    @Test(arguments: [
        ("5000", "5000.0000"), ("0.0136", "0.0136"), ("0.00005", "0.0001"), ("0.00004", "0.0000"),
        ("-2.5", "-2.5000"), ("-0.00001", "0.0000"), ("9223372036.854775807", "9223372036.8548"),
    ])
    func `money in tables has four decimals`(exact: String, shown: String) {
        #expect(Money.rounded(.string(exact)) == shown)
    }
    @Test func `a table aligns its columns and ends no line with spaces`() {
        var table = Table([.text("A"), .number("USD"), .text("C")])
        table.add(["ü", "1.5", "x"])
        table.add(["long", "12.25", ""])
        table.add(["\u{1B}[31m", "0", "z"])
        #expect(
            table.lines() == [
                "A        USD  C", "ü        1.5  x", "long   12.25", "?[31m      0  z",
            ])
    }
    @Test func `JSON for people keeps the order of its members`() throws {
        let json = try JSON(reply: #"{"b":{"z":1,"a":[1,"x"]},"a":[{"c":null}],"e":{},"f":[]}"#)
        #expect(
            json.pretty() == """
                {
                  "b": {
                    "z": 1,
                    "a": [1, "x"]
                  },
                  "a": [
                    {
                      "c": null
                    }
                  ],
                  "e": {},
                  "f": []
                }
                """)
    }
}

@Suite struct `LiteLLM's price file` {
    private static func payload(_ text: String, free: Bool = false) throws -> String {
        let entries = try LiteLLMPrices.entries(try JSON(reply: text), takesFree: free)
        return switch entries[0].entry {
        case .taken(let offer): offer.payload.compact + (offer.isRounded ? " rounded" : "")
        case .skipped(let why): why
        }
    }
    @Test(arguments: [
        (
            #""GPT-4.1":{"mode":"chat","litellm_provider":"openai","input_cost_per_token":2e-06,"#
                + #""output_cost_per_token":8e-06,"cache_read_input_token_cost":5e-07,"#
                + #""input_cost_per_token_batches":1e-06,"output_cost_per_token_batches":4e-06,"#
                + #""max_input_tokens":1047576,"max_output_tokens":32768,"#
                + #""supports_vision":true,"supports_pdf_input":false,"#
                + #""supports_function_calling":true}"#,
            #"{"model":"openai/gpt-4.1","in":"2","out":"8","cached":"0.5","max_out":32768,"#
                + #""context":1047576,"capabilities":["function_calling","vision"],"variants":[{"tier":"batch","in":"1","out":"4","#
                + #""cached":"0.5"}]}"#
        ),
        (
            #""a/b":{"mode":"embedding","input_cost_per_token":1.23456789e-06,"#
                + #""max_output_tokens":0}"#,
            #"{"model":"a/b","in":"1.234568","out":"0","capabilities":["embedding"]} rounded"#
        ),
        (
            #""a/b":{"mode":"chat","input_cost_per_token":1e-06,"output_cost_per_token":2e-06,"#
                + #""input_cost_per_token_above_200k_tokens":3e-06,"#
                + #""input_cost_per_token_above_200k_tokens_priority":6e-06,"#
                + #""output_cost_per_token_priority":4e-06}"#,
            #"{"model":"a/b","in":"1","out":"2","variants":[{"above":200000,"in":"3","out":"2"},"#
                + #"{"tier":"priority","in":"1","out":"4"},"#
                + #"{"tier":"priority","above":200000,"in":"6","out":"4"}]}"#
        ),
        (
            #""q/f":{"mode":"chat","tiered_pricing":[{"input_cost_per_token":5e-08,"#
                + #""output_cost_per_token":4e-07,"range":[0,256000.0]},"#
                + #"{"input_cost_per_token":2.5e-07,"output_cost_per_token":2e-06,"#
                + #""range":[256000.0,1000000.0]}]}"#,
            #"{"model":"q/f","in":"0.05","out":"0.4","variants":"#
                + #"[{"above":256000,"in":"0.25","out":"2"}]}"#
        ),
        (#""a/b":{"mode":"image_generation","input_cost_per_token":1}"#, "mode image_generation"),
        (#""a/b":{"mode":"chat"}"#, "no input price a token"),
        (#""a/b":{"mode":"chat","input_cost_per_token":1e-06}"#, "no output price a token"),
        (
            #""a/b":{"mode":"chat","input_cost_per_token":0.0,"output_cost_per_token":0}"#,
            "priced at zero, free or unknown (take them with --with-free)"
        ),
        (#""b":{"mode":"chat","input_cost_per_token":1e-06}"#, "no provider"),
        (
            #""a/*/b":{"mode":"chat","input_cost_per_token":1e-06}"#,
            "the name has characters that no model name may have"
        ),
        (
            #""a/b":{"mode":"chat","input_cost_per_token":-1,"output_cost_per_token":1}"#,
            "a price is no decimal number"
        ),
    ])
    func `becomes exact prices`(entry: String, payload: String) throws {
        let found = try Self.payload("{\(entry)}")
        if payload == "a price is no decimal number" {
            // A price that cannot be read is as good as none; either reason is the truth.
            #expect(found.contains("price"))
        } else {
            #expect(found == payload)
        }
    }
}

@Suite struct `calendar windows of a zone` {
    private static let rules = ZoneRules()
    private static func instant(_ text: String) -> Instant {
        text.withBytes { Instant(parsing: $0) }!
    }
    @Test(
        arguments: [
            (
                "UTC", Window.hour, "2026-11-22T10:59:59.999999999Z", "2026-11-22T10:00:00Z",
                "2026-11-22T11:00:00Z"
            ),
            ("UTC", .day, "2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("UTC", .week, "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("UTC", .week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("UTC", .week, "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            ("UTC", .month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (
                "UTC", .month, "2026-12-31T23:59:59.9Z", "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z"
            ),
            // Berlin: a day of 23 hours, one of 25, and the month they belong to.
            (
                "Europe/Berlin", .day, "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z"
            ),
            (
                "Europe/Berlin", .day, "2026-10-25T10:00:00Z", "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z"
            ),
            (
                "Europe/Berlin", .month, "2026-03-29T10:00:00Z", "2026-02-28T23:00:00Z",
                "2026-03-31T22:00:00Z"
            ),
            (
                "Europe/Berlin", .hour, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z",
                "2026-10-25T02:00:00Z"
            ),
            // New Year in a zone that is ahead: still the old year in UTC.
            (
                "Pacific/Auckland", .month, "2026-12-31T12:00:00Z", "2026-12-31T11:00:00Z",
                "2027-01-31T11:00:00Z"
            ),
            // Kathmandu is 5:45 ahead: its hours start at a quarter past UTC's.
            (
                "Asia/Kathmandu", .hour, "2026-11-22T10:10:00Z", "2026-11-22T09:15:00Z",
                "2026-11-22T10:15:00Z"
            ),
            (
                "Asia/Kathmandu", .day, "2026-11-22T18:15:00Z", "2026-11-22T18:15:00Z",
                "2026-11-23T18:15:00Z"
            ),
            // Lord Howe moves by half an hour: a day of 24½ hours, and half an hour on its own.
            (
                "Australia/Lord_Howe", .day, "2026-04-04T20:00:00Z", "2026-04-04T13:00:00Z",
                "2026-04-05T13:30:00Z"
            ),
            (
                "Australia/Lord_Howe", .hour, "2026-04-04T14:45:00Z", "2026-04-04T14:00:00Z",
                "2026-04-04T15:00:00Z"
            ),
            (
                "Australia/Lord_Howe", .hour, "2026-04-04T15:10:00Z", "2026-04-04T15:00:00Z",
                "2026-04-04T15:30:00Z"
            ),
        ] as [(String, Window, String, String, String)])
    func `begin and end by its clock`(
        zone: String, window: Window, at: String, start: String, end: String
    ) {
        let bounds = Self.rules.bounds(zone, window, Self.instant(at))
        #expect(bounds.start == Self.instant(start))
        #expect(bounds.end == Self.instant(end))
    }

    @Test(arguments: [
        "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Africa/Cairo",
        "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham",
        "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll",
    ])
    func `follow one another without a gap or an overlap`(zone: String) {
        let end = Self.instant("2027-02-01T00:00:00Z")
        for window in Window.calendar {
            var at = Self.instant("2025-12-20T00:00:00Z")
            var last: (start: Instant, end: Instant)?
            while at < end {
                let bounds = Self.rules.bounds(zone, window, at)
                #expect(bounds.start <= at && at < bounds.end)
                if let last { #expect(bounds.start == last.end, "\(zone) \(window) \(at)") }
                // Whoever asks inside the window, at its last nanosecond too, gets the same one.
                let late = Instant(nanoseconds: bounds.end.nanoseconds - 1)
                let again = Self.rules.bounds(zone, window, late)
                #expect(again == bounds, "\(zone) \(window) \(late)")
                last = bounds
                at = bounds.end
            }
        }
    }

    @Test func `are known by IANA's names`() {
        for zone in [
            "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata",
            "Asia/Calcutta",
        ] {
            #expect(Self.rules.knows(zone))
        }
        for zone in ["", "Mars/Olympus", "europe/berlin", "+02:00", "../etc/passwd"] {
            #expect(!Self.rules.knows(zone))
        }
    }
}

/// Answers one connection with prepared bytes, one at a time, whatever is asked.
private final class CannedDaemon: Sendable {
    private let scratch: Scratch
    let path: String

    init(_ replies: String) throws {
        let scratch = try Scratch()
        self.scratch = scratch
        path = scratch.path + "/s"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(listener, 1) == 0 else { throw POSIXError(.EIO) }
        let bytes = Array(replies.utf8)
        Thread.detachNewThread {
            let peer = accept(listener, nil, nil)
            for byte in bytes { _ = [byte].withUnsafeBytes { send(peer, $0.baseAddress, 1, 0) } }
            close(peer)
            close(listener)
        }
    }
}

@Suite struct `a client` {
    @Test func `reads every kind of reply, however it is cut`() throws {
        let daemon = try CannedDaemon(
            "+OK\r\n-ERR no such thing\r\n$5\r\na\r\nbc\r\n$-1\r\n:-7\r\n"
                + "*2\r\n+a\r\n*1\r\n_\r\n%1\r\n+k\r\n#t\r\n$0\r\n\r\n")
        let client = try Client(.unix(daemon.path))
        guard case .simple("OK") = try client.receive() else { throw POSIXError(.EBADMSG) }
        guard case .error("ERR", "no such thing") = try client.receive() else {
            throw POSIXError(.EBADMSG)
        }
        #expect(try client.receive().text == "a\r\nbc")
        guard case .null = try client.receive() else { throw POSIXError(.EBADMSG) }
        guard case .integer(-7) = try client.receive() else { throw POSIXError(.EBADMSG) }
        guard case .array(let items) = try client.receive(), items.count == 2,
            case .array(let inner) = items[1], case .null? = inner.first
        else { throw POSIXError(.EBADMSG) }
        guard case .map(let pairs) = try client.receive(), pairs[0].0.text == "k" else {
            throw POSIXError(.EBADMSG)
        }
        #expect(try client.receive().text == "")
        let failure = #expect(throws: CommandFailure.self) { try client.receive() }
        #expect(failure?.status == .unavailable)
    }
    @Test(arguments: ["HTTP/1.1 400\r\n", "$x\r\n", "\r\n", "$999999999999\r\n"])
    func `refuses what is not the protocol`(reply: String) throws {
        let daemon = try CannedDaemon(reply)
        let client = try Client(.unix(daemon.path))
        let failure = #expect(throws: CommandFailure.self) { try client.receive() }
        #expect(failure?.status == .protocolBroken)
    }
}

/// A daemon of the built program on a directory of its own, ended with its owner.
final class RunningDaemon: Sendable {
    let data: CommandFiles
    private let pid: Mutex<pid_t?>

    init() throws {
        data = try CommandFiles()
        pid = Mutex(
            try Program.spawn(["serve", "--data", data.path], [:], errors: data.file("log")))
        let socket = data.path + "/tollgate.sock"
        for _ in 0..<200 where !FileManager.default.fileExists(atPath: socket) { usleep(50_000) }
    }
    deinit { end(SIGKILL) }

    /// Ends it by a signal; answers how.
    @discardableResult
    func end(_ signal: Int32) -> Int32? {
        pid.withLock { pid in
            guard let running = pid.take() else { return nil }
            kill(running, signal)
            return Program.wait(running)
        }
    }
    func run(_ words: String..., environment: [String: String] = [:], input: String = "") throws
        -> Program.Run
    {
        try Program.run(
            words, ["TOLLGATE_DATA": data.path].merging(environment) { $1 }, input: input)
    }
    /// What must work.
    @discardableResult
    func ok(_ words: String..., location: SourceLocation = #_sourceLocation) throws -> Program.Run {
        let run = try Program.run(words, ["TOLLGATE_DATA": data.path])
        #expect(run.status == 0, "\(words): \(run.errors)", sourceLocation: location)
        return run
    }
}

@Suite struct `a command line with a daemon` {
    private let daemon: RunningDaemon

    init() throws {
        daemon = try RunningDaemon()
        try daemon.ok("org", "create", "acme", "--limit", "usd.month=5000.00")
        try daemon.ok(
            "team", "create", "acme/ml", "--limit", "usd.day=500", "--limit", "concurrency=150")
        try daemon.ok("team", "create", "acme/a-b", "--no-models")
    }

    @Test func `a key's secret stands alone on stdout, this once`() throws {
        let run = try daemon.ok("key", "create", "acme/ml/prod", "--environment", "live")
        #expect(run.lines.count == 1)
        let secret = run.lines.first ?? ""
        #expect(secret.hasPrefix("tg_live_"))
        #expect(run.errors.contains("only time"))
        #expect(!run.errors.contains(secret))
        let all =
            try daemon.ok("events", "--json").output
            + daemon.ok("key", "show", "acme/ml/prod", "--json").output
            + daemon.ok("key", "list").output
        #expect(!all.contains(secret))
    }

    @Test func `a key is rotated, disabled, enabled, described and revoked`() throws {
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        let old = try daemon.ok(
            "key", "create", "acme/ml/prod", "--environment", "live", "--expires-in", "90d",
            "--rotate-every", "30d"
        ).lines[0]
        func ask(_ secret: String) throws -> String {
            try daemon.run("call", "CHECK \(secret) openai/gpt-4.1 in=1 out=1").output
        }
        let new = try daemon.ok("key", "rotate", "acme/ml/prod", "--grace", "24h", "--id", "r1")
        #expect(new.lines.count == 1 && new.lines[0].hasPrefix("tg_live_") && new.lines[0] != old)
        #expect(try ask(old).hasPrefix("ALLOW") && ask(new.lines[0]).hasPrefix("ALLOW"))
        let again = try daemon.ok("key", "rotate", "acme/ml/prod", "--grace", "24h", "--id", "r1")
        #expect(again.output == "" && again.errors.contains("not shown again"))
        let third = try daemon.ok("key", "rotate", "acme/ml/prod").lines[0]
        #expect(try ask(old) == "DENY 401 key_revoked scope=acme/ml/prod\n")
        #expect(try ask(new.lines[0]) == "DENY 401 key_revoked scope=acme/ml/prod\n")

        for (tier, account) in [("key", "acme/ml/prod"), ("team", "acme/ml"), ("org", "acme")] {
            try daemon.ok(tier, "disable", account, "--reason", "drill")
            #expect(try ask(third) == "DENY 403 key_disabled scope=\(account)\n")
            #expect(try daemon.run(tier, "disable", account).status == 1)
            try daemon.ok(tier, "enable", account)
            #expect(try ask(third).hasPrefix("ALLOW"))
        }
        try daemon.ok("key", "describe", "acme/ml/prod", "--owner", "ana", "--label", "cost=1234")
        let shown = try daemon.ok("key", "show", "acme/ml/prod").output
        #expect(shown.contains("ana") && shown.contains("cost=1234"), "\(shown)")
        #expect(try daemon.run("key", "describe", "acme/ml/prod").status == 64)
        #expect(try daemon.run("key", "rotate", "acme/ml").status == 64)

        try daemon.ok("key", "revoke", "acme/ml/prod", "--reason", "leaked")
        #expect(try ask(third) == "DENY 401 key_revoked scope=acme/ml/prod\n")
        let refused = try daemon.run("key", "rotate", "acme/ml/prod")
        #expect(refused.status == 1 && refused.errors.contains("revoked, for good"))
        let all = try daemon.ok("events", "--json").output
        for secret in [old, new.lines[0], third] { #expect(!all.contains(secret)) }
    }

    @Test func `keys are listed by what they need`() throws {
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        try daemon.ok("key", "create", "acme/ml/a", "--expires-in", "10d")
        try daemon.ok("key", "create", "acme/ml/b", "--expires-in", "40d")
        try daemon.ok("key", "create", "acme/ml/c")
        try daemon.ok("key", "revoke", "acme/ml/a")
        for (key, output) in [("b", 10), ("c", 500)] {
            try daemon.ok(
                "call", "CHARGE acme/ml/\(key) openai/gpt-4.1 in=1 out=\(output) id=\(key)")
        }
        func list(_ words: String...) throws -> [String] {
            let run = try Program.run(
                ["key", "list", "--json"] + words, ["TOLLGATE_DATA": daemon.data.path])
            return try JSON(reply: run.output).array?.compactMap { $0["account"]?.string } ?? []
        }
        #expect(try list("--expiring", "30d") == ["acme/ml/a"])
        #expect(try list("--expiring", "60d") == ["acme/ml/a", "acme/ml/b"])
        #expect(try list("--unused", "90d") == [])
        #expect(try list("--state", "revoked") == ["acme/ml/a"])
        #expect(try list("--sort", "spent") == ["acme/ml/c", "acme/ml/b", "acme/ml/a"])
        #expect(try daemon.run("key", "list", "--expiring", "soon").status == 64)
        #expect(try daemon.run("key", "list", "--state", "gone").status == 64)
        #expect(try daemon.ok("key", "list", "--due").errors.contains("none of 3 keys"))
        let table = try daemon.ok("key", "list", "--sort", "used").lines
        #expect(table[0].contains("LAST USED") && table[1].hasPrefix("acme/ml/a"))
    }

    @Test func `keys from elsewhere come in a file, by the hashes of their secrets`() throws {
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        // SHA-256 of "password" and of "abc".
        let first = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
        let second = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        func line(_ key: String, _ digest: String) -> String {
            #"{"account":"\#(key)","owner":"ana","secret_sha256":"\#(digest)"}"#
        }
        func take(_ lines: String..., flags: [String] = []) throws -> Program.Run {
            let file = daemon.data.file("keys.jsonl", lines.joined(separator: "\n"))
            return try Program.run(
                ["key", "import", file, "--json"] + flags, ["TOLLGATE_DATA": daemon.data.path])
        }
        func said(_ run: Program.Run, _ name: String) throws -> Int64? {
            try JSON(reply: run.output)[name]?.integer
        }
        let dry = try take(line("acme/ml/a", first), flags: ["--dry-run"])
        #expect(try dry.status == 0 && said(dry, "would_take") == 1 && said(dry, "taken") == 0)
        let good = try take(line("acme/ml/a", first), "", flags: ["--reason", "moved"])
        #expect(try good.status == 0 && said(good, "taken") == 1, "\(good)")
        #expect(
            try daemon.ok("call", "CHECK password openai/gpt-4.1 in=1 out=1").output
                .hasPrefix("ALLOW"))
        let events = try daemon.ok("events", "--json").output
        #expect(events.contains(first) && events.contains("moved"))

        // Again, with another: the first changes nothing. What the daemon refuses has its line.
        let again = try take(
            line("acme/ml/a", first), line("acme/ml/b", second),
            line("acme/no/c", "0" + second.dropFirst()),
            flags: ["--reason", "moved"])
        #expect(again.status == 1)
        #expect(try said(again, "taken") == 1 && said(again, "unchanged") == 1, "\(again)")
        #expect(again.output.contains("line 3, acme/no/c") && again.output.contains("acme/no"))

        let moved = try take(line("acme/ml/d", first), flags: ["--reason", "moved"])
        #expect(moved.output.contains("line 1, acme/ml/d: this secret was imported before"))

        // A file that cannot be meant appends nothing.
        for (lines, says) in [
            ([line("acme/ml/x", second), line("acme/ml/x", first)], "line 2: account acme/ml/x"),
            ([line("acme/ml/x", second), line("acme/ml/y", second)], "stands in line 1 already"),
            ([line("acme/ml/x", "password")], "64 hexadecimal digits"),
            ([#"{"account":"acme/ml/x"}"#], "line 1 has no text \"secret_sha256\""),
            (["[]"], "line 1 is no JSON object"), (["{"], "line 1 is"), ([""], "names no key"),
        ] {
            let run = try take(lines.joined(separator: "\n"))
            #expect(run.status == 65 && run.errors.contains(says), "\(lines): \(run)")
        }
        #expect(try daemon.run("key", "show", "acme/ml/x").status != 0)
        #expect(try daemon.run("key", "import", "/nonexistent").status == 66)
    }

    @Test func `a key named twice, or without a parent, is refused with 1`() throws {
        try daemon.ok("key", "create", "acme/ml/prod")
        #expect(try daemon.run("key", "create", "acme/ml/prod").status == 1)
        #expect(try daemon.run("team", "create", "nobody/ml").status == 1)
        #expect(try daemon.run("key", "show", "acme/ml/none").status == 1)
    }

    @Test func `limits are set, removed and shown beside the parents'`() throws {
        try daemon.ok("limits", "set", "acme/ml", "usd.day=none", "requests.minute=1200")
        #expect(
            try daemon.ok("limits", "show", "acme/ml").lines == [
                "LIMIT            acme  acme/ml", "usd.month        5000        -",
                "requests.minute     -     1200", "concurrency         -      150",
            ])
        #expect(
            try daemon.ok("limits", "show", "acme/ml", "--json").output
                == #"{"acme":{"usd.month":"5000"},"acme/ml":{"requests.minute":1200,"#
                + #""concurrency":150}}"# + "\n")
    }

    @Test func `a list left out inherits, an empty one allows nothing`() throws {
        try daemon.ok("permissions", "set", "acme/ml", "--models", "openai/*,anthropic/*")
        let rows = try daemon.ok("team", "list").lines
        #expect(rows.count == 3)
        #expect(rows[1].contains("acme/a-b") && rows[1].contains("none"))
        #expect(rows[2].contains("acme/ml") && rows[2].contains("openai/*,anthropic/*"))
        #expect(
            try daemon.ok("permissions", "show", "acme/ml").lines == [
                "ACCOUNT  MODELS                SCOPES", "acme     inherited             inherited",
                "acme/ml  openai/*,anthropic/*  inherited",
            ])
        try daemon.ok("permissions", "set", "acme/ml", "--inherit-models")
        #expect(try daemon.ok("team", "list").lines[2].contains("inherited"))
    }

    @Test func `a denied request ends with 3, an allowed one with 0`() throws {
        try daemon.ok("key", "create", "acme/ml/denied", "--no-models")
        try daemon.ok("key", "create", "acme/ml/prod")
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        let no = try daemon.run("call", "RESERVE acme/ml/denied openai/gpt-4.1 in=10 out=10")
        #expect(no.status == 3)
        #expect(no.output.hasPrefix("DENY "))
        let yes = try daemon.ok(
            "call", "RESERVE", "acme/ml/prod", "openai/gpt-4.1", "in=1", "out=1")
        #expect(yes.output.hasPrefix("ALLOW "))
        let wrong = try daemon.run("call", "FROBNICATE")
        #expect(wrong.status == 1)
        #expect(wrong.errors.contains("unknown command"))
    }

    @Test func `usage has a line an account, as a tree`() throws {
        try daemon.ok("key", "create", "acme/ml/prod")
        try daemon.ok("key", "create", "acme/a-b/one")
        let labels = try daemon.ok("usage", "acme", "--tree").lines.map {
            String($0.prefix(10))
        }
        #expect(labels.count == 6)
        #expect(labels[1].hasPrefix("acme"))
        #expect(labels[2].hasPrefix("├─ a-b"))
        #expect(labels[3].hasPrefix("│  └─ one"))
        #expect(labels[4].hasPrefix("└─ ml"))
        #expect(labels[5].hasPrefix("   └─ prod"))
        let json = try JSON(reply: try daemon.ok("usage", "acme/ml", "--json").output)
        #expect(json["limits"]?["usd.day"]?["limit"] == .string("500"))
    }

    @Test func `explain tells of a decision and of a life`() throws {
        try daemon.ok("key", "create", "acme/ml/prod")
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8")
        let asked = ["explain", "acme/ml/prod", "openai/gpt-4.1", "out=0"]
        func explain(_ words: String...) throws -> [String] {
            try Program.run(asked + words, ["TOLLGATE_DATA": daemon.data.path]).lines
        }
        let yes = try explain("in=1000000")
        #expect(
            yes.first == "allowed: 150 such requests fit before concurrency of acme/ml refuses")
        #expect(yes.contains { $0.hasPrefix("31  budget_exhausted  ") && $0.contains("passes") })
        let no = try explain("in=1000000000")
        #expect(no.first?.hasPrefix("refused: 402 budget_exhausted: ") == true)
        #expect(no.contains { $0.hasPrefix("no ") && $0.contains("usd.day") })
        let json = try JSON(reply: try explain("in=1", "--json").joined())
        #expect(json["answer"] == .string("allowed"))

        let allow = try daemon.ok("call", "RESERVE acme/ml/prod openai/gpt-4.1 in=5 out=5").output
        let hold = String(allow.split(separator: " ")[1])
        try daemon.ok("call", "SETTLE \(hold) in=5 out=1")
        let life = try daemon.ok("explain", hold).lines
        #expect(life.contains("state    settled"))
        #expect(life.last?.contains(" hold.settled ") == true)
        let told = try JSON(reply: try daemon.ok("explain", hold, "--json").output)
        #expect(told["events"]?.array?.count == 2 && told["state"] == .string("settled"))
        #expect(try daemon.run("explain", "9-999999").status == 1)
    }

    @Test func `an override is granted, shown and ended`() throws {
        try daemon.ok(
            "override", "grant", "acme/ml", "usd.day=1000", "--for", "48h", "--reason", "outage")
        let row = try daemon.ok("override", "list", "--under", "acme").lines[1]
        #expect(
            row.split(separator: " ").prefix(4).map { String($0) } == [
                "acme/ml", "usd.day", "500", "1000",
            ])
        #expect(row.hasSuffix("outage"))
        let items = try JSON(reply: try daemon.ok("override", "list", "--json").output)
        let until = try #require(items.array?.first?["until"]?.string)
        #expect(until.withBytes { Instant(parsing: $0) } != nil)
        let usage = try daemon.ok("usage", "acme/ml").lines
        #expect(usage.last?.hasPrefix("usd.day is overridden until ") == true)
        #expect(
            try daemon.ok("limits", "show", "acme/ml").lines.last?.hasPrefix(
                "usd.day of acme/ml is 1000 until ") == true)
        #expect(usage.last?.hasSuffix("(outage); then it is again 500") == true)
        #expect(
            try daemon.run(
                "override", "grant", "acme/ml", "usd.day=1", "--until", "2020-01-01T00:00:00Z",
                "--reason", "r"
            ).status == 1)
        try daemon.ok("override", "end", "acme/ml", "usd.day", "--reason", "all clear")
        #expect(try daemon.run("override", "end", "acme/ml", "usd.day").status == 1)
        #expect(try daemon.ok("override", "list").lines.count <= 1)
    }

    @Test func `credit is granted once for a payment, and drawn by what is billed`() throws {
        try daemon.ok("key", "create", "acme/ml/prod")
        try daemon.ok("price", "set", "openai/gpt-4.1", "--in", "10", "--out", "20")
        try daemon.ok(
            "org", "billing", "acme", "--markup", "15%", "--currency", "CNY", "--rate", "1")
        for _ in 1...2 {
            try daemon.ok(
                "credit", "grant", "acme", "100", "--source", "alipay", "--reference", "77")
        }
        try daemon.ok("credit", "grant", "acme", "5", "--source", "sign-up", "--expires", "90d")
        try daemon.ok("call", "CHARGE acme/ml/prod openai/gpt-4.1 in=100000 out=0 id=c1")
        let rows = try daemon.ok("credit", "show", "acme").lines
        let words = rows.map { $0.split(separator: " ").map { String($0) } }
        #expect(words.contains(["left", "103.8500"]))
        #expect(rows.contains { $0.hasPrefix("billing") && $0.hasSuffix("+ 15% in CNY at 1") })
        let gift = try #require(words.firstIndex { $0.contains("sign-up") })
        #expect(words[gift][1...2] == ["5.0000", "3.8500"])
        #expect(words[gift + 1][1...4] == ["100.0000", "100.0000", "alipay", "77"])
        let json = try JSON(reply: try daemon.ok("credit", "show", "acme", "--json").output)
        #expect(json["spent"] == .string("1.15") && json["grants"]?.array?.count == 2)
        let charge = try daemon.ok("events", "--type", "charge.recorded").lines
        #expect(charge.last?.contains(" usd=1 billed=1.15 currency=CNY") == true)
        #expect(try daemon.ok("usage", "acme").output.contains("103.8500"))
    }

    @Test func `prices and aliases are set, listed and shown`() throws {
        try daemon.ok(
            "price", "set", "openai/gpt-4.1", "--in", "2", "--out", "8", "--cached", "0.5",
            "--variant", "tier=batch,in=1,out=4")
        try daemon.ok("alias", "set", "gpt", "openai/gpt-4.1")
        let row = try daemon.ok("price", "list").lines[1].split(separator: " ").map(String.init)
        #expect(row.prefix(4) == ["openai/gpt-4.1", "2", "8", "0.5"])
        let rows = try daemon.ok("price", "show", "openai/gpt-4.1").lines
        #expect(rows.contains { $0.hasPrefix("batch ") })
        #expect(try daemon.ok("alias", "list").lines[1] == "gpt    openai/gpt-4.1")
        let wrong = try daemon.run("price", "set", "openai/x", "--in", "1e3", "--out", "8")
        #expect(wrong.status == 1)
    }

    @Test func `a second import of the same file changes nothing`() throws {
        let file = daemon.data.file(
            "prices.json",
            #"{"gpt-x":{"mode":"chat","litellm_provider":"openai","input_cost_per_token":2e-06,"#
                + #""output_cost_per_token":8e-06,"input_cost_per_token_flex":1e-06},"#
                + #""p":{"mode":"ocr"}}"#)
        let first = try JSON(reply: try daemon.ok("price", "import", file, "--json").output)
        #expect(first["prices_set"] == .integer(1) && first["aliases_set"] == .integer(1))
        #expect(first["skipped"]?["mode ocr"] == .integer(1))
        let second = try JSON(reply: try daemon.ok("price", "import", file, "--json").output)
        #expect(second["prices_set"] == .integer(0) && second["prices_unchanged"] == .integer(1))
        #expect(second["aliases_set"] == .integer(0))
    }

    @Test(
        .enabled(
            if: FileManager.default.fileExists(
                atPath: SharedData.path("litellm-model-prices.json")),
            "the whole price file is not on this machine"))
    func `the whole price file is taken, and taken once`() throws {
        let file = SharedData.path("litellm-model-prices.json")
        let first = try JSON(reply: try daemon.ok("price", "import", file, "--json").output)
        let taken = try #require(first["prices_set"]?.integer)
        #expect(taken > 3_000)
        #expect(first["refused"] == .array([]))
        let second = try JSON(reply: try daemon.ok("price", "import", file, "--json").output)
        #expect(second["prices_unchanged"] == .integer(taken))
        #expect(second["prices_set"] == .integer(0))
    }

    @Test func `operators are created, listed and revoked`() throws {
        let secret = try daemon.ok("operator", "create", "relay-1", "--role", "relay").lines
        #expect(secret.count == 1)
        #expect(try daemon.ok("operator", "list").lines[1].hasPrefix("relay-1   relay"))
        try daemon.ok("operator", "revoke", "relay-1")
        #expect(try daemon.run("operator", "revoke", "nobody").status == 1)
        let login = try daemon.run(
            "call", "--user", "relay-1", "PING", environment: ["TOLLGATE_SECRET": "wrong"])
        #expect(login.status == 77)
    }

    @Test func `events are one a line, in order and filtered`() throws {
        let all = try daemon.ok("events", "--json").lines.map { try JSON(reply: $0) }
        #expect(all.map { $0["seq"]?.integer ?? 0 } == Array(1...Int64(all.count)))
        let teams = try daemon.ok("events", "--type", "team.created").lines
        #expect(teams.count == 2 && teams.allSatisfy { $0.contains(" team.created ") })
        #expect(try daemon.ok("events", "--last", "2").lines.count == 2)
        #expect(
            try daemon.ok("events", "--from", "1", "--to", "2", "--limit", "1").lines.count == 1)
        let behind = try daemon.ok("events", "--from", "1000000")
        #expect(behind.output == "" && behind.errors.contains("the log ends with event"))
        let backwards = try daemon.run("events", "--from", "2", "--to", "1")
        #expect(backwards.status == 64 && backwards.errors.contains("exchange them"))
        let before = try daemon.run("events", "--last", "2", "--to", "1")
        #expect(before.status == 64 && before.output == "", "\(before.output)")
        #expect(before.errors.contains("behind --to 1: say --from, or a larger --last"))
        let key = try daemon.run("top", "--account", "acme/ml/prod", "--count", "1")
        #expect(key.status == 64 && key.errors.contains("is a key"))
        let zone = try daemon.run("audit", "replay", "--zone", "Mars/X")
        #expect(zone.status == 64 && zone.errors.contains("say --to"))
    }

    @Test func `status says how the daemon is`() throws {
        let json = try JSON(reply: try daemon.ok("status", "--json").output)
        #expect(json["state"] == .string("normal"))
        #expect(json["tollgate_version"] == .string(Tollgate.version))
        #expect(try daemon.ok("status").output.contains("durable seq"))
    }

    @Test func `a full disk behind stdout is an error`() throws {
        let pid = try Program.spawn(
            ["events"], ["TOLLGATE_DATA": daemon.data.path], output: "/dev/full")
        #expect(Program.wait(pid) == 74)
    }

    @Test func `SIGTERM ends the daemon with 0, and then none answers`() throws {
        #expect(daemon.end(SIGTERM) == 0)
        #expect(try daemon.run("status").status == 69)
    }
}

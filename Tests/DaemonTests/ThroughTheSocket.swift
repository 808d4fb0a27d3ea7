import Foundation
import TestSupport
import Testing

/// Everything that starts daemons and talks to them; one test after the other, because each takes the
/// machine for itself.
@Suite(.serialized) enum ThroughTheSocket {
    /// The long forms: more rounds of the same.
    static let isLong = ProcessInfo.processInfo.environment["TOLLGATE_LONG"] == "1"

    /// Set by `deploy/test --sanitize`.
    static let isSanitized =
        ProcessInfo.processInfo.environment["TOLLGATE_SANITIZER"] != nil

    /// A small ring starts fast.
    static let small = ["--ring-mib", "1"]

    /// A daemon with acme, its team, a key and a price; its socket in the data directory, or by this
    /// name beside it.
    static func daemon(_ flags: [String] = [], socket: String? = nil) throws -> DaemonProcess {
        let scratch = try Scratch()
        let daemon = try DaemonProcess(
            small + flags, in: scratch, socket: socket.map { scratch.file($0) })
        try daemon.client().furnish()
        return daemon
    }
    /// A seed that a failure names, so that it can be run again with TOLLGATE_SEED.
    static func seed() -> SeededGenerator {
        let given = ProcessInfo.processInfo.environment["TOLLGATE_SEED"].flatMap { UInt64($0) }
        let seed = given ?? .random(in: 1 ... .max)
        print("TOLLGATE_SEED=\(seed)")
        return SeededGenerator(seed: seed)
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

let key = "acme/ml/prod"
let model = "openai/gpt-4.1"

extension Client {
    /// One org, one team, one key and a price, as an admin.
    func furnish(key account: String = key) throws {
        for (type, payload) in [
            ("org.created", #"{"account":"acme"}"#),
            ("team.created", #"{"account":"acme/ml"}"#),
            ("key.created", #"{"account":"\#(account)"}"#),
            ("price.set", #"{"model":"\#(model)","in":"2","out":"8"}"#),
        ] {
            _ = try append(type, payload)
        }
    }
    func append(_ type: String, _ payload: String) throws -> [String: Any] {
        let reply = try ask(frame: ["APPEND", type, payload])
        return try #require(reply.json as? [String: Any], "\(type): \(reply)")
    }
    /// A hold's name.
    func reserve(_ fields: String = "in=10 out=10", key account: String = key) throws -> String {
        let reply = try ask("RESERVE \(account) \(model) \(fields)")
        try #require(reply.words.first == "ALLOW", "\(reply)")
        return String(reply.words[1])
    }
    /// All events from a seq on, page by page.
    func events(from: Int = 1) throws -> [[String: Any]] {
        var all: [[String: Any]] = []
        while true {
            let reply = try ask("EVENTS from=\(from + all.count) limit=10000")
            let page = try #require(reply.json as? [[String: Any]], "\(reply)")
            if page.isEmpty { return all }
            all += page
        }
    }
    /// `INFO` by name.
    func info() throws -> [String: String] {
        let lines = try ask("INFO").text.split(whereSeparator: \.isNewline)
        let pairs = lines.compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), String(line[line.index(after: colon)...]))
        }
        return Dictionary(pairs) { $1 }
    }
    func number(_ name: String) throws -> Int {
        try #require(Int(info()[name] ?? ""), "\(name) of INFO")
    }
    /// What an account has used, is held and may: all of USAGE but the instants in it.
    func usage(_ account: String) throws -> NSDictionary {
        let reply = try ask("USAGE \(account)")
        var all = try #require(reply.json as? [String: Any], "\(reply)")
        all["at"] = nil
        all["projected_month_end"] = nil
        return all as NSDictionary
    }
    /// One unit and window of USAGE: `money("acme", "usd.total", "used")`.
    func money(_ account: String, _ limit: String, _ field: String) throws -> Decimal {
        let limits = try #require(usage(account)["limits"] as? [String: [String: Any]])
        let text = try #require(limits[limit]?[field] as? String)
        return try #require(Decimal(string: text))
    }
}

extension [String: Any] {
    func text(_ name: String) -> String { self[name] as? String ?? "" }
    func number(_ name: String) -> Int { self[name] as? Int ?? -1 }
    var type: String { text("type") }
    var seq: Int { number("seq") }
}

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

let key = "acme/ml/prod"
let model = Traffic.model

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
    /// A hold's name.
    func reserve(_ fields: String = "in=10 out=10", key account: String = key) throws -> String {
        let reply = try ask("RESERVE \(account) \(model) \(fields)")
        try #require(reply.words.first == "ALLOW", "\(reply)")
        return String(reply.words[1])
    }
}

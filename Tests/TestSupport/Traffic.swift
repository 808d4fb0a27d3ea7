/// One client's traffic: what it asked, what it was told, and what was never answered.
package struct Traffic: Sendable {
    package enum Verb: Sendable { case reserve, settle, release, charge, append, checkpoint }
    package struct Exchange: Sendable {
        package var verb: Verb
        package var line: String
        /// The caller's id, or the hold.
        package var name: String
        package var reply: Reply?

        package init(verb: Verb, line: String, name: String, reply: Reply? = nil) {
            (self.verb, self.line, self.name, self.reply) = (verb, line, name, reply)
        }
    }
    package private(set) var exchanges: [Exchange] = []
    /// Holds that it was granted and has not ended.
    private var open: [String] = []
    private var generator: SeededGenerator
    private let prefix: String
    private var count = 0

    package init(seed: UInt64, prefix: String) {
        generator = SeededGenerator(seed: seed)
        self.prefix = prefix
    }

    /// Asks in pipelines of random length until the daemon is gone, or `most` were answered.
    package mutating func run(_ client: Client, most: Int = .max) {
        do {
            while exchanges.count < most {
                let first = exchanges.count
                for _ in 0..<Int.random(in: 1...8, using: &generator) { exchanges.append(next()) }
                try client.send(exchanges[first...].map { $0.line + "\n" }.joined())
                for n in first..<exchanges.count {
                    let reply = try client.reply()
                    exchanges[n].reply = reply
                    if exchanges[n].verb == .reserve, reply.words.first == "ALLOW" {
                        open.append(String(reply.words[1]))
                    }
                }
            }
        } catch {
            // The daemon is gone, and what has no reply here is in doubt.
        }
    }
    private mutating func next() -> Exchange {
        count += 1
        let id = "\(prefix)-\(count)"
        let (a, b) = (
            Int.random(in: 0...900, using: &generator), Int.random(in: 0...90, using: &generator)
        )
        let account = "acme/\(["ml", "web"][a % 2])/k\(b % 3)"
        let roll = Int.random(in: 0..<100, using: &generator)
        if roll < 40, !open.isEmpty {
            let hold = open.remove(at: .random(in: 0..<open.count, using: &generator))
            return roll < 30
                ? Exchange(verb: .settle, line: "SETTLE \(hold) in=\(a) out=\(b)", name: hold)
                : Exchange(verb: .release, line: "RELEASE \(hold)", name: hold)
        }
        switch roll {
        case 40..<50:
            let ack = ["", " ack=ring"].randomElement(using: &generator)!
            let line = "CHARGE \(account) \(Traffic.model) in=\(a) out=\(b) id=\(id)\(ack)"
            return Exchange(verb: .charge, line: line, name: id)
        case 50..<53:
            let payload = #"{"alias":"\#(id)","id":"\#(id)","model":"\#(Traffic.model)"}"#
            return Exchange(verb: .append, line: "APPEND alias.set '\(payload)'", name: id)
        default:
            let ack = ["", "", " ack=disk"].randomElement(using: &generator)!
            let line =
                "RESERVE \(account) \(Traffic.model) in=\(a) out=\(b) id=\(id) ttl=3600\(ack)"
            return Exchange(verb: .reserve, line: line, name: id)
        }
    }

    /// The one model that is asked for, and the keys that ask.
    package static let model = "openai/gpt-4.1"
    package static let accounts = ["ml", "web"].flatMap { team in
        (0..<3).map { "acme/\(team)/k\($0)" }
    }

    /// Asks for a signed checkpoint of the log; without a reply when the daemon is gone.
    package static func checkpoint(_ client: Client?) -> Exchange {
        let line = "TREE checkpoint"
        return Exchange(
            verb: .checkpoint, line: line, name: "", reply: try? client?.ask(line))
    }
    package static func furnish(_ client: Client) throws {
        _ = try client.append("org.created", #"{"account":"acme"}"#)
        for team in ["ml", "web"] {
            _ = try client.append("team.created", #"{"account":"acme/\#(team)"}"#)
        }
        for account in accounts {
            _ = try client.append("key.created", #"{"account":"\#(account)"}"#)
        }
        _ = try client.append("price.set", #"{"model":"\#(model)","in":"2.13","out":"8.77"}"#)
    }
}

extension [Traffic.Exchange] {
    /// The signed checkpoints that were told.
    package var checkpoints: [String] {
        filter { $0.verb == .checkpoint }.compactMap(\.reply).filter { !$0.isError }.map(\.text)
    }
}

import Foundation
import TestSupport

/// One client's traffic: what it asked, what it was told, and what was never answered.
struct Traffic: Sendable {
    enum Verb: Sendable { case reserve, settle, release, charge, append }
    struct Exchange: Sendable {
        var verb: Verb
        var line: String
        /// The caller's id, or the hold.
        var name: String
        var reply: Reply?
    }
    private(set) var exchanges: [Exchange] = []
    /// Holds that it was granted and has not ended.
    private var open: [String] = []
    private var generator: SeededGenerator
    private let prefix: String
    private var count = 0

    init(seed: UInt64, prefix: String) {
        generator = SeededGenerator(seed: seed)
        self.prefix = prefix
    }

    /// Asks in pipelines of random length until the daemon is gone, or `most` were answered.
    mutating func run(_ client: Client, most: Int = .max) {
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
            let line = "CHARGE \(account) \(model) in=\(a) out=\(b) id=\(id)\(ack)"
            return Exchange(verb: .charge, line: line, name: id)
        case 50..<53:
            let payload = #"{"alias":"\#(id)","id":"\#(id)","model":"\#(model)"}"#
            return Exchange(verb: .append, line: "APPEND alias.set '\(payload)'", name: id)
        default:
            let ack = ["", "", " ack=disk"].randomElement(using: &generator)!
            let line = "RESERVE \(account) \(model) in=\(a) out=\(b) id=\(id)\(ack)"
            return Exchange(verb: .reserve, line: line, name: id)
        }
    }

    static let accounts = ["ml", "web"].flatMap { team in (0..<3).map { "acme/\(team)/k\($0)" } }

    static func furnish(_ client: Client) throws {
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

/// What a log tells: the past of each hold, charge and id, kept across restarts so that each event is
/// read once.
struct Past {
    private(set) var events: [[String: Any]] = []
    private(set) var placed: [String: [String: Any]] = [:]
    private(set) var outcomes: [String: [[String: Any]]] = [:]
    /// Effects by the caller's id: placed holds, charges, admin events.
    private(set) var effects: [String: [[String: Any]]] = [:]
    /// Money spent and held, by key.
    private var spent: [String: Decimal] = [:]
    private var held: [String: Decimal] = [:]
    private(set) var problems: [String] = []

    /// Reads what is new.
    mutating func read(_ client: Client) throws {
        for event in try client.events(from: events.count + 1) {
            if event.seq != events.count + 1 {
                problems.append("seq \(event.seq) where \(events.count + 1) was expected")
            }
            events.append(event)
            let hold = event.text("hold")
            let usd = Decimal(string: event.text("usd")) ?? 0
            switch event.type {
            case "hold.placed":
                placed[hold] = event
                held[event.text("account"), default: 0] += usd
            case "hold.settled", "hold.released", "hold.lapsed":
                outcomes[hold, default: []].append(event)
                if outcomes[hold]!.count > 1 { problems.append("hold \(hold) has two outcomes") }
                let account = placed[hold]?.text("account") ?? "?"
                held[account, default: 0] -=
                    Decimal(string: placed[hold]?.text("usd") ?? "") ?? .nan
                if event.type == "hold.settled" { spent[account, default: 0] += usd }
            case "charge.recorded": spent[event.text("account"), default: 0] += usd
            default: break
            }
            if event["id"] == nil { continue }
            let id = event.text("id")
            effects[id, default: []].append(event)
            if effects[id]!.count > 1 { problems.append("id \(id) had two effects") }
        }
    }
    /// Compares everything a client was told with what the log says.
    mutating func check(_ traffic: Traffic) {
        for exchange in traffic.exchanges {
            guard let reply = exchange.reply else { continue }
            if let problem = disagreement(exchange, reply) {
                problems.append("\(exchange.line) → \(reply): \(problem)")
            }
        }
    }
    private func disagreement(_ exchange: Traffic.Exchange, _ reply: Reply) -> String? {
        let told = reply.words.count > 1 ? String(reply.words[1]) : ""
        switch exchange.verb {
        case .reserve:
            guard reply.words.first == "ALLOW" else { return "not allowed" }
            guard let event = placed[told] else { return "no such hold in the log" }
            guard event.text("id") == exchange.name, effects[exchange.name]?.count == 1 else {
                return "the log has \(effects[exchange.name] ?? [])"
            }
            return event.text("usd") == reply["usd"] && event.text("until") == reply["until"]
                ? nil : "other numbers in \(event)"
        case .settle, .release:
            guard let events = outcomes[exchange.name] else { return "no end in the log" }
            guard events.count == 1 else { return "ended \(events.count) times" }
            let word = exchange.verb == .settle ? "SETTLED" : "RELEASED"
            guard reply.words.first.map({ $0 == word }) == true, told == exchange.name else {
                return "not \(word)"
            }
            guard "hold." + word.lowercased() == events[0].type else { return "\(events[0])" }
            return exchange.verb == .release || events[0].text("usd") == reply["usd"]
                ? nil : "other numbers in \(events[0])"
        case .charge:
            guard reply.words.first == "CHARGED" else { return "not charged" }
            guard let events = effects[exchange.name], events.count == 1 else {
                return "not once in the log"
            }
            return events[0].text("charge") == told && events[0].text("usd") == reply["usd"]
                ? nil : "other numbers in \(events[0])"
        case .append:
            guard let event = reply.json as? [String: Any] else { return "not stored" }
            guard event.seq <= events.count else { return "not in the log" }
            return events[event.seq - 1] as NSDictionary == event as NSDictionary
                ? nil : "another event"
        }
    }
    /// Compares USAGE with the sums of the log, and of each tier with those below it.
    mutating func checkLaws(_ client: Client) throws {
        for (field, sums) in [("used", spent), ("held", held)] {
            var all = Decimal(0)
            for team in ["acme/ml", "acme/web"] {
                var whole = Decimal(0)
                for account in Traffic.accounts where account.hasPrefix(team) {
                    let shown = try client.money(account, "usd.total", field)
                    if shown != sums[account] ?? 0 {
                        problems.append("\(account) \(field): \(shown), log \(sums[account] ?? 0)")
                    }
                    whole += shown
                }
                let shown = try client.money(team, "usd.total", field)
                if shown != whole {
                    problems.append("\(team) \(field): \(shown), its keys \(whole)")
                }
                all += whole
            }
            let shown = try client.money("acme", "usd.total", field)
            if shown != all { problems.append("acme \(field): \(shown), its keys \(all)") }
        }
    }
}

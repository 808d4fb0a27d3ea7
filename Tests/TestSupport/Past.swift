internal import Foundation

/// What a log tells: the past of each hold, charge and id, kept across restarts so that each event is
/// read once.
package struct Past {
    /// Whether the daemon may have had no room, or no disk, and have said so.
    package var mayBePaused = false

    package init(mayBePaused: Bool = false) { self.mayBePaused = mayBePaused }

    package private(set) var events: [[String: Any]] = []
    package private(set) var placed: [String: [String: Any]] = [:]
    package private(set) var outcomes: [String: [[String: Any]]] = [:]
    /// Effects by the caller's id: placed holds, charges, admin events.
    package private(set) var effects: [String: [[String: Any]]] = [:]
    /// Money spent and held, by key.
    private var spent: [String: Decimal] = [:]
    private var held: [String: Decimal] = [:]
    package private(set) var problems: [String] = []

    /// Reads what is new.
    package mutating func read(_ client: Client) throws {
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
    package mutating func check(_ traffic: Traffic) { check(traffic.exchanges) }
    package mutating func check(_ exchanges: [Traffic.Exchange]) {
        for exchange in exchanges {
            guard let reply = exchange.reply else { continue }
            if let problem = disagreement(exchange, reply) {
                problems.append("\(exchange.line) → \(reply): \(problem)")
            }
        }
    }
    private func disagreement(_ exchange: Traffic.Exchange, _ reply: Reply) -> String? {
        let told = reply.words.count > 1 ? String(reply.words[1]) : ""
        if mayBePaused, ["-READONLY", "DENY 503 paused"].contains(where: reply.text.hasPrefix) {
            // A caller's id may read like a hold's name.
            let isAboutHold = exchange.verb == .settle || exchange.verb == .release
            let happened = (isAboutHold ? outcomes : effects)[exchange.name] ?? []
            return happened.isEmpty ? nil : "happened all the same: \(happened)"
        }
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
        // Whether it is right the stored bytes say.
        case .checkpoint: return nil
        case .append:
            guard var event = reply.json as? [String: Any] else { return "not stored" }
            // Told this once, and never stored.
            event["secret"] = nil
            guard event.seq <= events.count else { return "not in the log" }
            return events[event.seq - 1] as NSDictionary == event as NSDictionary
                ? nil : "another event"
        }
    }
    /// Compares USAGE with the sums of the log, and of each tier with those below it.
    package mutating func checkLaws(_ client: Client) throws {
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

import Audit
import Events

/// Whether an answer may be one to what was asked.
struct Judge {
    let world: World
    let ask: Ask
    let mark: Pipe.Mark
    var checker: Checker { world.checker }
    private var oracle: Oracle { world.checker.oracle }

    init(world: World, ask: Ask, mark: Pipe.Mark) {
        self.world = world
        self.ask = ask
        self.mark = mark
    }

    func judge(_ reply: Reply) throws {
        checker.noteAnswer()
        switch (ask.kind, reply) {
        case (.other, _), (.check, _): return
        case (.events(let from, let limit), .bulk(let text)):
            return try events(from, limit, text)
        case (.log(let from, let limit), .bytes(let bytes)): return try log(from, limit, bytes)
        case (.personal, .bulk(let text)): return try personal(text)
        case (.rollups, .bulk(let text)): return try rollups(text)
        case (.tree(let what), .bulk(let text)): return try proven(what, text)
        case (.erase(let person, _), .bulk(let text)): return try erased(person, text)
        case (.append(let type, let creates), .bulk(let text)):
            return try appended(type, creates, text)
        case (_, .bulk), (_, .bytes): throw wrong(reply)
        case (_, .line(let line)):
            if line.hasPrefix("-") { return try failure(line) }
            let words = line.split(separator: " ").map(String.init)
            switch ask.kind {
            case .reserve(let key, let input, let output, let id):
                try reserve(words, key, input, output, id)
            case .extend(let hold, let input, let output):
                try extended(words, hold, input, output)
            case .settle(let hold, let usage, let outcome, let tier, _):
                guard words[0] == "+SETTLED" else { throw wrong(reply) }
                let spend = try ended(words, hold)
                guard spend.usage == usage, spend.outcome == outcome,
                    spend.settledTier == tier ?? spend.tier
                else { throw Violation(text: "\(ask.text) → \(line): settled with other numbers") }
            case .release(let hold):
                guard words[0] == "+RELEASED" || words[0] == "+SETTLED" else { throw wrong(reply) }
                _ = try ended(words, hold)
            case .charge(let key, let usage, let id): try charge(words, key, usage, id)
            default: throw wrong(reply)
            }
        }
    }
    func wrong(_ reply: Reply) -> Violation {
        Violation(text: "\(ask.text) → \(reply.text): no answer to that")
    }
    private func field(_ words: [String], _ name: String) -> String? {
        words.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }
    private func money(_ words: [String], _ name: String) -> Int64? {
        field(words, name).flatMap { Oracle.scaled($0, 9) }
    }
    private func known(_ word: String) throws -> Oracle.Spend {
        guard let name = word.withBytes({ HoldName(parsing: $0) }), let spend = oracle.spends[name]
        else { throw Violation(text: "\(ask.text) → \(word), which is not in the log") }
        return spend
    }

    private func reserve(
        _ words: [String], _ key: String, _ input: Int64, _ output: Int64, _ id: String
    ) throws {
        if words[0] == "+DENY" {
            switch words[2] {
            case "paused": try requireTrouble(words.joined(separator: " "))
            case "key_unknown":
                if ask.keyIsKnown { throw Violation(text: "\(ask.text): the key was there before") }
                checker.noteRefusal("- key_unknown")
            case "key_revoked":
                checker.noteRefusal("\(key) \(words[2])")
                try requireRevoked(key)
            default: checker.noteRefusal("\(key) \(words[2])")
            }
            return
        }
        guard words[0] == "+ALLOW" else { throw wrong(.line(words.joined(separator: " "))) }
        let spend = try known(words[1])
        guard oracle.accounts[Int(spend.key)].path == key, spend.asked.input == input,
            spend.asked.output == output, spend.id == id, spend.placedUSD == money(words, "usd")
        else { throw Violation(text: "\(ask.text) → \(words[1]), which is another hold") }
        let saved = spend.routing.map { Nanodollars($0.saved).description }
        guard field(words, "rule") == spend.routing?.rule, field(words, "saved") == saved,
            (ask.words[2] == "auto") == (spend.routing != nil)
        else { throw Violation(text: "\(ask.text) → \(words[1]), which was routed otherwise") }
        if let secret = askedSecret {
            // It may have been rotated away since, at the very instant or later.
            guard secret.key == spend.key, spend.placed <= secret.until else {
                throw Violation(text: "\(ask.text): that secret opened nothing")
            }
        }
        try checker.promise(spend.seq, onDisk: ask.onDisk, mark, ask.text)
    }
    /// The secret that was asked with, if the log knows it; nil for a path.
    private var askedSecret: Oracle.SecretLife? {
        guard !ask.words[1].contains("/") else { return nil }
        return oracle.secrets[Catalog.digest(ask.words[1])]
    }
    private func requireRevoked(_ key: String) throws {
        let account = oracle.byPath[key].map { oracle.accounts[Int($0)] }
        let isRevoked = account?.isRevoked ?? false
        let isOld = askedSecret.map { $0.until <= oracle.time } ?? false
        guard isRevoked || isOld else {
            throw Violation(text: "\(ask.text): neither key nor secret is revoked")
        }
    }
    private func extended(
        _ words: [String], _ hold: HoldName, _ input: Int64, _ output: Int64
    ) throws {
        let line = words.joined(separator: " ")
        if words[0] == "+DENY" {
            if words[2] == "paused" { return try requireTrouble(line) }
            guard let spend = oracle.spends[hold] else {
                throw Violation(text: "\(ask.text) → \(line), of a hold that is not in the log")
            }
            return checker.noteRefusal("\(oracle.accounts[Int(spend.key)].path) \(words[2])")
        }
        guard words[0] == "+EXTENDED" else { throw wrong(.line(line)) }
        let spend = try known(words[1])
        // As it was placed or as one of its extensions left it; any covers what was asked.
        let placed = Oracle.Growth(
            seq: spend.seq, wanted: spend.asked, usd: spend.placedUSD, until: spend.until)
        let grown = ([placed] + spend.growths).first {
            $0.usd == money(words, "usd") && $0.wanted.input >= input && $0.wanted.output >= output
        }
        guard spend.name == hold, let grown else {
            throw Violation(text: "\(ask.text) → \(line), which the log does not say")
        }
        try checker.promise(grown.seq, onDisk: ask.onDisk, mark, ask.text)
    }
    /// The hold that the answer says has ended.
    private func ended(_ words: [String], _ hold: HoldName) throws -> Oracle.Spend {
        let spend = try known(words[1])
        guard spend.name == hold, spend.state != .open else {
            throw Violation(text: "\(ask.text) → \(words[0]) \(words[1]), which is \(spend.state)")
        }
        if words[0] == "+SETTLED" {
            guard spend.state == .settled, spend.answeredUSD == money(words, "usd") else {
                throw Violation(
                    text: "\(ask.text) → \(words), but it cost \(Nanodollars(spend.answeredUSD))")
            }
        } else if spend.state == .settled {
            // Given back when this was answered, and settled late since.
            return spend
        }
        try checker.promise(spend.endSeq, onDisk: ask.onDisk, mark, ask.text)
        return spend
    }
    private func charge(
        _ words: [String], _ key: String, _ usage: TokenUsage, _ id: String
    ) throws {
        guard words[0] == "+CHARGED" else { throw wrong(.line(words.joined(separator: " "))) }
        let spend = try known(words[1])
        guard spend.state == .charge, oracle.accounts[Int(spend.key)].path == key, spend.id == id,
            spend.usage == usage, spend.answeredUSD == money(words, "usd")
        else { throw Violation(text: "\(ask.text) → \(words[1]), which is another charge") }
        try checker.promise(spend.seq, onDisk: ask.onDisk, mark, ask.text)
    }
    private func appended(_ type: EventType, _ creates: String?, _ text: String) throws {
        guard let json = try? JSON(text: text), let seq = json["seq"]?.integer.map(UInt64.init),
            oracle.documents[seq] == type
        else { throw Violation(text: "\(ask.text) → \(text.prefix(200)): no such event") }
        try checker.promise(seq, onDisk: true, mark, ask.text)
        if let creates { world.catalog.created(creates) }
    }
    /// What is said to be erased is, by events that are on disk; and then it stands nowhere any more.
    private func erased(_ person: Person, _ text: String) throws {
        guard let json = try? JSON(text: text), let isMore = json["more"],
            let seqs = json["events"]?.array?.compactMap({ $0.integer.map(UInt64.init) }),
            let told = json["commitments"]?.array?.compactMap({
                $0.string?.withBytes { Commitment($0) }
            }), json["erased"]?.integer == Int64(seqs.count), told.count >= seqs.count
        else { throw wrong(.bulk(text)) }
        for seq in seqs {
            guard oracle.documents[seq] == .personalErased else {
                throw Violation(text: "\(ask.text) → event \(seq), which erases nothing")
            }
            try checker.promise(seq, onDisk: true, mark, ask.text)
        }
        for commitment in told {
            guard oracle.erased.contains(commitment),
                checker.persons.text(of: commitment) ?? person == person
            else { throw Violation(text: "\(ask.text) → \(commitment.text), which is another's") }
        }
        guard isMore == .bool(false) else { return }
        checker.persons.note(erased: person, ask)
        try world.requireErased()
    }
    private func proven(_ what: Ask.TreeAsk, _ text: String) throws {
        let (note, told, derived): (String, [TreeHash], (Int) -> [NaiveTree.Hash])
        switch what {
        case .checkpoint: (note, told, derived) = (text, [], { _ in [] })
        case .inclusion(let seq):
            let proof = try ProofText.Inclusion(parsing: text)
            guard proof.index == seq - 1 else {
                throw Violation(text: "\(ask.text) → a proof of event \(proof.index + 1)")
            }
            (note, told) = (proof.checkpoint, proof.hashes)
            derived = { checker.readSide.tree.inclusion(of: seq - 1, in: $0) }
        case .consistency(let old):
            let proof = try ProofText.Consistency(parsing: text)
            (note, told) = (proof.checkpoint, proof.hashes)
            derived = { checker.readSide.tree.consistency(from: old, to: $0) }
        }
        let size = try checker.publish(note)
        guard size <= mark.durable else {
            throw Violation(
                text: "\(ask.text) → \(size) events, of which \(mark.durable) are durable")
        }
        guard told.map(\.bytes) == derived(size) else {
            throw Violation(
                text: "\(ask.text) → a proof for \(size) events that RFC 6962 does not make")
        }
    }

    // MARK: Errors

    private func failure(_ line: String) throws {
        if ask.mayFail { return }
        let code = line.prefix { $0 != " " }
        switch (code, ask.kind) {
        case ("-READONLY", _): return try requireTrouble(line)
        case ("-UNAVAILABLE", .tail):
            if world.stoppedAt >= ask.step { return }
        case ("-ERR", .tail(let from)):
            // Further than what comes next.
            if from > ask.durable + 1 { return }
        case ("-ERR", .tree(let what)):
            // Of events that were not there yet.
            switch what {
            case .inclusion(let place), .consistency(let place):
                guard line.contains("only grows") || line.contains("is not in the log") else {
                    break
                }
                if UInt64(place) > ask.seq { return }
                // While commits fail nobody waits for what is only staged.
                if UInt64(place) > ask.durable { return try requireTrouble(line) }
            case .checkpoint: break
            }
            if line.contains("nothing is signed"), !world.isSigning { return }
            if line.contains("cannot") { return try requireTrouble(line) }
        case ("-CONFLICT", .reserve(let key, let input, let output, let id)):
            let holds = oracle.byPath[key].flatMap { oracle.holdsByID["\($0) \(id)"] } ?? []
            if holds.contains(where: { $0.asked.input != input || $0.asked.output != output }) {
                return
            }
        case ("-CONFLICT", .settle(let hold, let usage, let outcome, let tier, _)):
            if let spend = oracle.spends[hold], spend.state == .settled {
                let same =
                    spend.usage == usage && spend.outcome == outcome
                    && spend.settledTier == tier ?? spend.tier
                if !same { return }
            }
        case ("-CONFLICT", .charge(let key, let usage, let id)):
            let other = oracle.byPath[key].flatMap { oracle.charges["\($0) \(id)"] }
            if let other, other.usage != usage { return }
        case ("-NOHOLD", .settle(let hold, _, _, _, let isChargeable)):
            if !isChargeable, isUnknown(hold) { return }
        case ("-NOHOLD", .release(let hold)), ("-GONE", .settle(let hold, _, _, _, _)),
            ("-GONE", .release(let hold)), ("-NOHOLD", .extend(let hold, _, _)):
            if isUnknown(hold) { return }
        case ("-GONE", .extend(let hold, _, _)):
            if isUnknown(hold) || oracle.spends[hold]?.state != .open { return }
        default: break
        }
        throw Violation(text: "\(ask.text) → \(line)")
    }
    /// Whether the log did not know the hold when this was asked.
    private func isUnknown(_ hold: HoldName) -> Bool {
        guard let spend = oracle.spends[hold] else { return true }
        return spend.seq > ask.seq || spend.state == .charge
    }
    private func requireTrouble(_ line: String) throws {
        // The gate hears of a change of state a little later.
        if world.troubledAt + 400 < ask.step {
            throw Violation(text: "\(ask.text) → \(line), and nothing is wrong")
        }
    }
}

import Events

/// Rules of an org or a team as the book keeps them: numbers of models, texts in the arena.
struct RoutingRow {
    struct Rule {
        var name: NameRef
        var match: Match
        var model: UInt32
        /// `.max` for none.
        var fallback: UInt32
    }
    struct Match {
        var output: Int64?
        var input: Int64?
        var temperature: Temperature?
        var batch: Bool?
        /// In lower case, as the words.
        var priority: NameRef?
        var prompt: [NameRef]
        var capability: [NameRef]
    }
    var rules: [Rule]
    var fallback: UInt32
    /// The policy as it was set: a small JSON object for people, and for checkpoints.
    var json: NameRef
}

/// How a hold for `auto` was answered, for its repeats.
struct RoutedHold {
    var hold: HoldName
    var rule: NameRef
    var saved: Int64
}

/// Routing policies by account, and what is remembered of the holds that were routed.
struct RoutingBook {
    var policies: [UInt32: RoutingRow] = [:]  // unordered: never iterated
    /// By the hold's slot. An entry of a hold that has been forgotten is stale until its slot is routed
    /// anew, so that forgetting costs nothing; its hold's name tells.
    private var holds: [UInt32: RoutedHold] = [:]  // unordered: never iterated
    private var ruleNames: [String: NameRef] = [:]  // unordered: never iterated

    /// The name of a rule in the arena, kept once however many holds it chose a model for.
    mutating func intern(rule: Bytes, _ names: inout NameArena) -> NameRef {
        let text = rule.string
        if let known = ruleNames[text] { return known }
        let added = names.add(rule)
        ruleNames[text] = added
        return added
    }
    mutating func remember(_ slot: UInt32, _ routed: RoutedHold) { holds[slot] = routed }
    /// What is remembered of the hold in a slot; nil for one that named its model.
    func routed(_ slot: UInt32, _ hold: HoldName) -> RoutedHold? {
        guard let routed = holds[slot], routed.hold == hold else { return nil }
        return routed
    }
    var accounts: [UInt32] { policies.keys.sorted() }
    var slots: [UInt32] { holds.keys.sorted() }
}

extension Book {
    /// The routing that holds for a key, and whose it is: the team's, else the org's.
    func routing(_ chain: AccountChain) -> (account: UInt32, policy: RoutingRow)? {
        let team = chain.key.pointee.parent
        if chain.team.pointee.flags.contains(.routes), let policy = routes.policies[team] {
            return (team, policy)
        }
        let org = chain.team.pointee.parent
        if chain.org.pointee.flags.contains(.routes), let policy = routes.policies[org] {
            return (org, policy)
        }
        return nil
    }

    // MARK: The fold

    mutating func apply(
        _ set: RoutingSet, to account: UInt32, _ json: JSON
    ) throws(EventError) {
        let row = accounts.rows.pointer(account)
        guard row.pointee.tier != .key else { throw .malformed("account") }
        guard let policy = set.policy else {
            routes.policies[account] = nil
            row.pointee.flags.remove(.routes)
            return
        }
        let kept = (json.members ?? []).filter { ["rules", "fallback"].contains($0.name) }
        try restore(policy, of: account, .object(kept))
    }
    /// - Parameter json: the policy alone.
    mutating func restore(
        _ policy: RoutingPolicy, of account: UInt32, _ json: JSON
    ) throws(EventError) {
        var rules: [RoutingRow.Rule] = []
        for rule in policy.rules {
            rules.append(
                RoutingRow.Rule(
                    name: rule.name.withBytes { routes.intern(rule: $0, &names) },
                    match: RoutingRow.Match(rule.match, &names), model: try model(rule.model),
                    fallback: try rule.fallback.map { (name) throws(EventError) in
                        try model(name)
                    } ?? .max))
        }
        var text = ByteBuffer()
        text.append(canonical: json)
        routes.policies[account] = RoutingRow(
            rules: rules, fallback: try model(policy.fallback), json: names.add(text.bytes))
        accounts.rows.pointer(account).pointee.flags.insert(.routes)
    }
    private func model(_ name: String) throws(EventError) -> UInt32 {
        guard let model = name.withBytes({ prices.model(named: $0, in: names) }) else {
            throw .malformed("model")
        }
        return model
    }

    /// Remembers how the model of a hold that was just placed was chosen.
    // Out of line: most requests name their model.
    @inline(never)
    mutating func remember(_ routing: Extras.Routing, of hold: HoldName) {
        guard let slot = holds.find(hold) else { return }
        let rule = routes.intern(rule: routing.rule, &names)
        routes.remember(slot, RoutedHold(hold: hold, rule: rule, saved: routing.saved))
    }

    // MARK: Checkpoints

    func encodeRouting(into b: inout ByteBuffer) {
        b.append(uint32: UInt32(routes.policies.count))
        for account in routes.accounts {
            b.append(uint32: account)
            b.append(text: names[routes.policies[account]!.json])
        }
        let live = routes.slots.filter { routed($0) != nil }
        b.append(uint32: UInt32(live.count))
        for slot in live {
            let routed = routed(slot)!
            b.append(uint32: slot)
            b.append(int64: routed.saved)
            b.append(text: names[routed.rule])
        }
    }
    private func routed(_ slot: UInt32) -> RoutedHold? {
        let row = holds.row(slot)
        guard row.pointee.isNamed else { return nil }
        return routes.routed(slot, row.pointee.name)
    }
    /// Reads what `encodeRouting` wrote, once accounts, prices and holds are there.
    mutating func decodeRouting(_ r: inout ByteReader) -> Bool {
        for _ in 0..<r.count(of: 8) {
            let account = r.uint32()
            let text = r.text()
            guard !r.failed, account < UInt32(accounts.rows.count),
                accounts.rows.pointer(account).pointee.tier != .key,
                let json = try? JSON(parsing: text), let policy = try? RoutingPolicy(json),
                (try? restore(policy, of: account, json)) != nil
            else { return false }
        }
        for _ in 0..<r.count(of: 16) {
            let slot = r.uint32()
            let saved = r.int64()
            let rule = r.text()
            guard !r.failed, slot < UInt32(holds.rows.count), holds.row(slot).pointee.isNamed else {
                return false
            }
            let hold = holds.row(slot).pointee.name
            let name = routes.intern(rule: rule, &names)
            routes.remember(slot, RoutedHold(hold: hold, rule: name, saved: saved))
        }
        return !r.failed
    }
}

extension RoutingRow.Match {
    fileprivate init(_ match: RoutingMatch, _ names: inout NameArena) {
        output = match.output
        input = match.input
        temperature = match.temperature
        batch = match.batch
        if let text = match.priority { priority = names.add(text) }
        prompt = []
        for word in match.prompt { prompt.append(names.add(word)) }
        capability = []
        for word in match.capability { capability.append(names.add(word)) }
    }
}

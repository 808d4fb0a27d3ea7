import Events
import Foundation

/// What a policy file wants: prices, aliases, operators and the tree of accounts, each with its line.
struct PolicyFile {
    struct Entry {
        /// A path, a model, an alias or an operator's name.
        var name: String
        var line: Int
        var fields: [JSON.Member]
        subscript(field: String) -> JSON? { fields.first { $0.name == field }?.value }
    }
    /// Parents before their children.
    var accounts: [(tier: Tier, entry: Entry)] = []
    var prices: [Entry] = []
    /// Each with the model it finally stands for.
    var aliases: [(alias: String, model: String, line: Int)] = []
    var operators: [Entry] = []

    private let path: String

    /// Fields of an account in a policy file, by tier; how each becomes an event, `PolicyPlan` says.
    static func fields(of tier: Tier) -> [String] {
        let all = ["name", "labels", "disabled", "limits", "models", "scopes"]
        return switch tier {
        case .org: all + ["zone", "unpriced", "on_lapse", "billing", "routing", "privacy", "teams"]
        case .team: all + ["routing", "keys"]
        case .key:
            all + ["owner", "environment", "expires", "rotate_every", "secret_sha256", "revoked"]
        }
    }

    /// - Parameter file: its name, `-` for stdin.
    init(of file: String) throws(CommandFailure) {
        guard let text = String(bytes: try InputFile.data(file), encoding: .utf8) else {
            throw CommandFailure(.data, "\(file) is not UTF-8")
        }
        try self.init(reading: text, path: file == "-" ? "stdin" : file)
    }
    init(reading text: String, path: String) throws(CommandFailure) {
        self.path = path
        let root = try PolicyNode.read(text, path: path)
        for section in try map(root, "the file", "orgs:") {
            switch section.name {
            case "orgs":
                for org in try map(section.node, "orgs", "acme:") { try take(.org, nil, org) }
            case "prices":
                for price in try map(section.node, "prices", "openai/gpt-4.1:") {
                    try take(price: price)
                }
            case "aliases": try take(aliases: section)
            case "operators":
                for entry in try map(section.node, "operators", "relay-1:") {
                    let entry = Entry(
                        name: entry.name, line: entry.line, fields: entry.node.json.members ?? [])
                    try check(operator: entry)
                    operators.append(entry)
                }
            default:
                throw failure(
                    section.line,
                    "unknown section \"\(section.name)\": there are orgs, prices, aliases, operators"
                )
            }
        }
        try refuseTwice()
    }

    // MARK: Accounts

    private mutating func take(
        _ tier: Tier, _ parent: String?, _ node: PolicyNode.Entry
    ) throws(CommandFailure) {
        let account = parent.map { "\($0)/\(node.name)" } ?? node.name
        guard account.withBytes({ AccountPath.tier($0) }) == tier else {
            throw failure(
                node.line,
                "\"\(node.name)\" is no name of \(tier == .org ? "an" : "a") \(tier.name): "
                    + AccountPath.rule)
        }
        var entry = Entry(name: account, line: node.line, fields: [])
        var children: PolicyNode.Entry?
        let known = PolicyFile.fields(of: tier)
        for field in node.node.isNull ? [] : try map(node.node, account, "limits:") {
            guard known.contains(field.name) else {
                throw failure(
                    field.line,
                    "\(account) has no field \"\(field.name)\": a \(tier.name) has "
                        + known.joined(separator: ", "))
            }
            if field.name == "teams" || field.name == "keys" {
                children = field
                continue
            }
            if field.node.isNull, PolicyFile.saidOrNot.contains(field.name) { continue }
            let value =
                switch field.name {
                case "limits": try limits(field.node, account)
                case "labels", "billing": PolicyFile.texts(field.node)
                case "disabled", "revoked", "rotate_every", "models", "scopes", "routing",
                    "privacy":
                    field.node.json
                default: field.node.text.map { .string($0) } ?? field.node.json
                }
            try check(tier, account, field, value)
            entry.fields.append(JSON.Member(field.name, value))
        }
        accounts.append((tier, entry))
        guard let children, !children.node.isNull else { return }
        let below: Tier = tier == .org ? .team : .key
        for child in try map(children.node, "\(account)'s \(children.name)", "\(below.name)-1:") {
            try take(below, account, child)
        }
    }
    /// Fields that say nothing where they are empty; others then take something away.
    private static let saidOrNot = ["disabled", "revoked", "billing", "routing"]

    /// Labels and a rate of exchange are texts, also where they look like numbers.
    private static func texts(_ node: PolicyNode) -> JSON {
        guard let map = node.map else { return node.json }
        return .object(
            map.map { entry in
                let text = entry.name == "markup_ppm" ? nil : entry.node.text
                return JSON.Member(entry.name, text.map { .string($0) } ?? entry.node.json)
            })
    }
    /// Money may be written as a number; it stays the text that was written.
    private func limits(_ node: PolicyNode, _ account: String) throws(CommandFailure) -> JSON {
        if node.isNull { return .object([]) }
        var members: [JSON.Member] = []
        for limit in try map(node, "\(account)'s limits", "usd.day: 500") {
            guard let kind = limit.name.withBytes({ LimitKind($0) }) else {
                throw failure(
                    limit.line,
                    "there is no limit \"\(limit.name)\": say usd, tokens or requests with "
                        + ".minute, .hour, .day, .week, .month or .total, or concurrency")
            }
            guard let text = limit.node.text else {
                throw failure(limit.line, "\(limit.name) wants an amount; leave it out for none")
            }
            if kind.isMoney {
                members.append(JSON.Member(limit.name, .string(text)))
            } else if let count = PolicyFile.count(text) {
                members.append(JSON.Member(limit.name, .integer(count)))
            } else {
                throw failure(limit.line, "\(limit.name): \(text) is no whole number, 0 or more")
            }
        }
        return .object(members)
    }

    /// Digits alone: nobody means to write a sign.
    private static func count(_ text: String) -> Int64? {
        text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } ? Int64(text) : nil
    }

    // MARK: Prices and aliases

    private mutating func take(price node: PolicyNode.Entry) throws(CommandFailure) {
        var fields: [JSON.Member] = []
        for field in try map(node.node, node.name, "in: \"2\"") {
            fields.append(JSON.Member(field.name, PolicyFile.price(field.name, field.node)))
        }
        try check(price: node, .object(fields))
        prices.append(Entry(name: node.name.lowercased(), line: node.line, fields: fields))
    }
    private static let counts = ["max_out", "context", "above"]
    /// Prices are strings in an event; in a file they may be written as numbers.
    private static func price(_ name: String, _ node: PolicyNode) -> JSON {
        switch node.value {
        case .text(let text, _) where counts.contains(name) && count(text) != nil: .number(text)
        case .text(let text, _): .string(text)
        case .list(let items): .array(items.map { price(name, $0) })
        case .map(let entries):
            .object(entries.map { JSON.Member($0.name, price($0.name, $0.node)) })
        case .null: .null
        }
    }

    /// An alias may name another alias of the file; what it finally stands for is a model.
    private mutating func take(aliases section: PolicyNode.Entry) throws(CommandFailure) {
        let entries = try map(section.node, "aliases", "gpt-4.1: openai/gpt-4.1")
        var targets: [String: String] = [:]
        for entry in entries {
            guard let target = entry.node.text else {
                throw failure(entry.line, "alias \(entry.name) wants the model it stands for")
            }
            targets[entry.name.lowercased()] = target.lowercased()
        }
        for entry in entries {
            var chain = [entry.name.lowercased()]
            while let next = targets[chain.last!] {
                guard !chain.contains(next) else {
                    throw failure(
                        entry.line,
                        "aliases in a circle: \((chain + [next]).joined(separator: " → ")); one of "
                            + "them must name a provider/model")
                }
                chain.append(next)
            }
            guard chain.last!.contains("/") else {
                throw failure(
                    entry.line,
                    "alias \(entry.name) stands for \"\(chain.last!)\", which is neither "
                        + "provider/model nor an alias in this file")
            }
            try check(alias: chain[0], chain.last!, entry.line)
            aliases.append((chain[0], chain.last!, entry.line))
        }
    }

    // MARK: Help

    /// YAML tells the same name twice in one place; here are those that only become the same.
    private func refuseTwice() throws(CommandFailure) {
        func check(_ names: [(String, Int)], _ what: String) throws(CommandFailure) {
            var lines: [String: Int] = [:]
            for (name, line) in names {
                if let first = lines[name] {
                    throw failure(line, "\(what) \(name) stands in line \(first), too: keep one")
                }
                lines[name] = line
            }
        }
        try check(accounts.map { ($0.entry.name, $0.entry.line) }, "account")
        try check(prices.map { ($0.name, $0.line) }, "price")
        try check(aliases.map { ($0.alias, $0.line) }, "alias")
    }
    func map(
        _ node: PolicyNode, _ what: String, _ example: String
    ) throws(CommandFailure) -> [PolicyNode.Entry] {
        guard let map = node.map else {
            throw failure(node.line, "\(what) must be a list of names such as \"\(example)\"")
        }
        return map
    }
    func failure(_ line: Int, _ text: String) -> CommandFailure {
        CommandFailure(.data, "\(path):\(line): \(text)")
    }
}

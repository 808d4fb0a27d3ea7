import ArgumentParser
import Events

/// `tollgate export`
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write what the daemon has as a file.",
        discussion: "Example:\n  tollgate export policy > policy.yaml",
        subcommands: [PolicyOut.self])

    /// `tollgate export policy`
    struct PolicyOut: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "policy",
            abstract: "Write orgs, teams, keys, rights and prices as 'tollgate apply' reads them.",
            discussion: """
                Examples:
                  tollgate export policy > policy.yaml
                  tollgate export policy --org acme --no-prices

                Applying it again appends nothing. Secrets are not in it: the daemon does not
                know them. Neither are overrides and credit, which are granted, not declared.
                An operator that is confined to an org or a team gets what it may see.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Option(
            name: .customLong("org"),
            help: ArgumentHelp("Only this org; repeatable.", valueName: "org"))
        var orgs: [String] = []
        @Flag(inversion: .prefixedNo, help: "Prices and aliases, too.") var prices = true

        func run() throws {
            let state = try PolicyState(
                try connection.connect(), orgs: orgs.isEmpty ? nil : orgs)
            for org in orgs where !state.orgs.contains(org) {
                throw CommandFailure(.failure, "no org \"\(org)\": 'tollgate org list' shows them")
            }
            let policy = PolicyExport(state)
            var sections = [JSON.Member("orgs", policy.orgs)]
            if prices {
                sections += [
                    JSON.Member("prices", policy.prices), JSON.Member("aliases", policy.aliases),
                ]
            }
            if orgs.isEmpty { sections.append(JSON.Member("operators", policy.operators)) }
            sections.removeAll { $0.value.members?.isEmpty ?? false }
            if format.json {
                JSON.object(sections).print()
                return
            }
            var writer = PolicyWriter()
            writer.comment("Tollgate's policy: change it and run 'tollgate apply -f' with it.")
            for section in sections {
                writer.blank()
                writer.write([section])
            }
            Console.print(String(writer.text.dropLast()))
        }
    }
}

/// The sections of a policy file, from what the daemon has.
private struct PolicyExport {
    let state: PolicyState
    init(_ state: PolicyState) { self.state = state }

    var orgs: JSON {
        .object(state.orgs.map { JSON.Member($0, account($0, .org)) })
    }
    private func account(_ path: String, _ tier: Tier) -> JSON {
        let has = state.accounts[path] ?? .object([])
        var members: [JSON.Member] = []
        for field in PolicyFile.fields(of: tier) {
            let value: JSON
            switch field {
            case "teams", "keys":
                let below: Tier = tier == .org ? .team : .key
                let children = state.children(of: path)
                guard !children.isEmpty else { continue }
                value = .object(
                    children.map {
                        JSON.Member(String($0.dropFirst(path.count + 1)), account($0, below))
                    })
            // Whoever holds a secret brings it; a digest in a file tells nobody anything.
            case "secret_sha256": continue
            default: value = has[field] ?? .null
            }
            // Nothing said and nothing wanted are the same: inherited lists, no limits, not disabled.
            if value.isNull || value == .bool(false) || value == .object([]) { continue }
            members.append(JSON.Member(field, value))
        }
        return .object(members)
    }
    var prices: JSON {
        .object(
            state.prices.sorted { $0.key < $1.key }.map { model, price in
                JSON.Member(model, .object((price.members ?? []).filter { says($0, price) }))
            })
    }
    /// Whether a price's field says more than what it would be without it.
    private func says(_ field: JSON.Member, _ price: JSON) -> Bool {
        switch field.name {
        case "model", "version", "from", "scheduled": false
        case "cached", "cache_write": field.value != price["in"]
        case "reasoning": field.value != price["out"]
        case "request": field.value != .string("0")
        default: !field.value.isNull && field.value != .array([])
        }
    }
    var aliases: JSON {
        .object(
            state.aliases.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) })
    }
    var operators: JSON {
        .object(
            state.operators.sorted { $0.key < $1.key }
                .filter { $0.value["revoked"] != .bool(true) }
                .map { name, has in
                    JSON.Member(
                        name,
                        .object(
                            (has.members ?? []).filter {
                                ["role", "account"].contains($0.name) && !$0.value.isNull
                            }))
                })
    }
}

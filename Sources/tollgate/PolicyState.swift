import Events

/// What the daemon has, as a policy file would say it: read once, compared with the file.
struct PolicyState {
    var accounts: [String: JSON] = [:]
    /// In the order of the tree, parents before their children.
    var paths: [String] = []
    var prices: [String: JSON] = [:]
    var aliases: [String: String] = [:]
    var operators: [String: JSON] = [:]

    /// - Parameter orgs: only these; nil for all.
    init(_ client: Client, orgs: [String]? = nil) throws(CommandFailure) {
        for org in try client.list("orgs") {
            guard let path = org["account"]?.string, orgs?.contains(path) ?? true else { continue }
            let teams = try client.list("teams", under: path)
            let keys = Dictionary(grouping: try client.list("keys", under: path)) {
                $0["account"]?.string.map { $0.withBytes { AccountPath.parent($0).string } } ?? ""
            }
            add(path, org)
            for team in teams {
                guard let teamPath = team["account"]?.string else { continue }
                add(teamPath, team)
                for key in keys[teamPath] ?? [] { add(key["account"]?.string ?? "", key) }
            }
        }
        for item in try client.list("prices") {
            if let model = item["model"]?.string { prices[model] = item }
        }
        for item in try client.list("aliases") {
            if let alias = item["alias"]?.string { aliases[alias] = item["model"]?.string }
        }
        for item in try client.list("operators") {
            if let name = item["operator"]?.string { operators[name] = item }
        }
    }
    private mutating func add(_ path: String, _ account: JSON) {
        accounts[path] = account
        paths.append(path)
    }

    func children(of path: String) -> [String] {
        paths.filter { $0.hasPrefix(path + "/") && !$0.dropFirst(path.count + 1).contains("/") }
    }
}

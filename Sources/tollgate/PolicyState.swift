import Events

/// What the daemon has, as a policy file would say it: read once, compared with the file.
struct PolicyState {
    var accounts: [String: JSON] = [:]
    /// In the order of the tree, parents before their children.
    var paths: [String] = []
    var prices: [String: JSON] = [:]
    var aliases: [String: String] = [:]
    var operators: [String: JSON] = [:]
    /// The operator that looks; nil for who is admin without a login.
    let user: String?
    /// The org or team that it is confined to: it sees nothing else.
    var confinement: String? { user.flatMap { operators[$0]?["account"]?.string } }

    /// - Parameter orgs: only these; nil for all.
    init(_ client: Client, orgs: [String]? = nil) throws(CommandFailure) {
        try self.init(user: client.user, orgs: orgs) { (what, under) throws(CommandFailure) in
            try client.list(what, under: under)
        }
    }
    /// - Parameter list: answers `LIST`, of what is below an account.
    init(
        user: String?, orgs: [String]?,
        list: (_ what: String, _ under: String?) throws(CommandFailure) -> [JSON]
    ) throws(CommandFailure) {
        self.user = user
        for item in try list("operators", nil) {
            if let name = item["operator"]?.string { operators[name] = item }
        }
        if let top = confinement, top.contains("/"),
            orgs?.contains(String(top.prefix { $0 != "/" })) ?? true
        {
            for team in try list("teams", nil) { add(team["account"]?.string ?? "", team) }
            for key in try list("keys", nil) { add(key["account"]?.string ?? "", key) }
        }
        for org in try list("orgs", nil) {
            guard let path = org["account"]?.string, orgs?.contains(path) ?? true else { continue }
            let teams = try list("teams", path)
            let keys = Dictionary(grouping: try list("keys", path)) {
                $0["account"]?.string.map { $0.withBytes { AccountPath.parent($0).string } } ?? ""
            }
            add(path, org)
            for team in teams {
                guard let teamPath = team["account"]?.string else { continue }
                add(teamPath, team)
                for key in keys[teamPath] ?? [] { add(key["account"]?.string ?? "", key) }
            }
        }
        for item in try list("prices", nil) {
            if let model = item["model"]?.string { prices[model] = item }
        }
        for item in try list("aliases", nil) {
            if let alias = item["alias"]?.string { aliases[alias] = item["model"]?.string }
        }
    }
    private mutating func add(_ path: String, _ account: JSON) {
        accounts[path] = account
        paths.append(path)
    }

    /// The orgs that stand in a path, whether they can be seen or only what is below.
    var orgs: [String] {
        var seen = Set<String>()
        return paths.map { String($0.prefix { $0 != "/" }) }.filter { seen.insert($0).inserted }
    }
    /// Whether the operator that looks can see an account at all.
    func isInside(_ path: String) -> Bool {
        guard let confinement else { return true }
        return path == confinement || path.hasPrefix(confinement + "/")
    }
    func children(of path: String) -> [String] {
        paths.filter { $0.hasPrefix(path + "/") && !$0.dropFirst(path.count + 1).contains("/") }
    }
}

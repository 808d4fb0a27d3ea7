import Events

/// Names as bytes, by number: what `LogNames` knows as Strings, ready to be copied into a row.
struct ExportNames: ~Copyable {
    private let names: LogNames
    private let filter: ExportFilter
    private var accounts: [Account?] = []
    private var paths = ByteBuffer(capacity: 4_096)
    private var models = NumberedTexts()
    private var operators = NumberedTexts()

    /// A path, and where its org and its team end in it.
    struct Account {
        fileprivate var start: Int
        var count: Int
        var orgEnd: Int
        var teamEnd: Int
        var tier: Tier
        var isWanted: Bool
    }

    init(_ names: LogNames, _ filter: ExportFilter) {
        self.names = names
        self.filter = filter
    }

    mutating func account(_ number: AccountNumber) throws(AuditFailure) -> Account {
        let i = Int(number.raw)
        if i < accounts.count, let known = accounts[i] { return known }
        return try learn(number)
    }
    /// Valid until another account is learnt.
    func path(_ account: Account) -> Bytes {
        paths.bytes.slice(account.start, account.start + account.count)
    }
    /// The path of an account that has been asked for.
    func knownPath(_ number: AccountNumber) -> Bytes? {
        let i = Int(number.raw)
        guard i < accounts.count, let account = accounts[i] else { return nil }
        return path(account)
    }
    // Out of line: once an account.
    @inline(never)
    private mutating func learn(_ number: AccountNumber) throws(AuditFailure) -> Account {
        let path = names.accountName(number)
        try names.check()
        let parts = (path ?? "").split(separator: "/").map(\.utf8.count)
        let count = path?.utf8.count ?? 0
        let orgEnd = parts.first ?? 0
        let account = Account(
            start: paths.count, count: count, orgEnd: orgEnd,
            teamEnd: parts.count > 1 ? orgEnd + 1 + parts[1] : orgEnd,
            tier: Tier(rawValue: UInt8(clamping: parts.count - 1)) ?? .org,
            isWanted: filter.wants(account: path ?? ""))
        paths.append(path ?? "")
        while accounts.count <= Int(number.raw) { accounts.append(nil) }
        accounts[Int(number.raw)] = account
        return account
    }

    mutating func model(_ number: ModelNumber) throws(AuditFailure) -> Bytes {
        if let known = models.text(number.raw) { return known }
        let name = names.modelName(number)
        try names.check()
        return models.add(number.raw, name ?? "")
    }
    /// Who caused an event, as other answers write it.
    mutating func actor(_ actor: Actor) throws(AuditFailure) -> Bytes {
        guard let number = actor.operatorNumber else {
            guard let uid = actor.uid else { return Bytes("tollgate") }
            return operators.add(.max, "uid:\(uid)")
        }
        if let known = operators.text(number) { return known }
        let name = names.operatorName(number)
        try names.check()
        return operators.add(number, name ?? "")
    }
}

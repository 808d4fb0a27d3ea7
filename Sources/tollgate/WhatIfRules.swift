import Audit
import Events
import Journal
import Ledger

/// What a policy file changes in a past period: as the period begins, and of accounts of the file that are
/// created within it, as they are.
struct WhatIfRules {
    struct Birth {
        var seq: UInt64
        var account: String
    }
    /// The creations of accounts of the file within the period, in order.
    private(set) var births: [Birth] = []
    /// What changes, for people.
    private(set) var told: [String] = []

    private var file: PolicyFile
    private let prune: Bool
    private var aliases: [String: String] = [:]
    private var leftOut = 0

    init(_ file: PolicyFile, prune: Bool) {
        self.file = file
        self.prune = prune
        // When a secret is due to be changed changes no answer, and rotations may have moved it since.
        for i in self.file.accounts.indices {
            self.file.accounts[i].entry.fields.removeAll { $0.name == "rotate_every" }
        }
    }

    /// Makes in the book of that instant what the file says, and finds what is created later.
    mutating func begin(
        _ whatIf: inout WhatIf, at now: Instant, _ source: any LogSource,
        _ seqs: ClosedRange<UInt64>
    ) throws(AuditFailure) {
        let orgs = file.accounts.filter { $0.tier == .org }.map(\.entry.name)
        let state = try whatIf.withOther { (book) throws(AuditFailure) in
            do throws(CommandFailure) {
                return try PolicyState(book, orgs: orgs, at: now)
            } catch {
                throw AuditFailure(error)
            }
        }
        let later = file.accounts.map(\.entry).filter { state.accounts[$0.name] == nil }
        births = try WhatIfRules.births(of: Set(later.map(\.name)), source, seqs)
        guard Interrupt.count == 0 else { return }
        let found = Set(births.map(\.account))
        // A key that is never there can do no more than one that is revoked.
        let unknown = later.filter { !found.contains($0.name) && $0["revoked"] != .bool(true) }
        for entry in unknown.prefix(20) {
            let text = "\(entry.name) exists nowhere in the period"
            Console.error(file.failure(entry.line, text).message)
        }
        guard unknown.isEmpty else {
            throw AuditFailure(
                .damaged,
                "\(unknown.count) accounts of the file neither exist at \(now), when the period begins, "
                    + "nor are created within it: leave them out, or say a later --to")
        }
        aliases = state.aliases
        for entry in file.aliases { aliases[entry.alias] = entry.model }
        var standing = file
        standing.accounts.removeAll { state.accounts[$0.entry.name] == nil }
        try apply(PolicyPlan(standing, state), &whatIf, "at \(now)")
    }
    /// Makes what the file says of an account that has just been created.
    mutating func apply(to birth: Birth, _ whatIf: inout WhatIf) throws(AuditFailure) {
        let state = try whatIf.withOther { (book) throws(AuditFailure) in
            try PolicyState(birth.account, book, aliases: aliases)
        }
        var own = file
        own.accounts.removeAll { $0.entry.name != birth.account }
        (own.prices, own.operators) = ([], [])
        try apply(
            PolicyPlan(own, state), &whatIf, "when event \(birth.seq) creates \(birth.account)",
            since: birth.seq)
    }
    /// Says what the file leaves out and nobody has taken away.
    func note() {
        guard leftOut > 0, !prune else { return }
        Console.note(
            "left out of the file, and as it was: \(LoadReport.grouped(leftOut)) limits, "
                + "lists or accounts (--prune takes them away)")
    }

    private mutating func apply(
        _ plan: PolicyPlan, _ whatIf: inout WhatIf, _ place: String, since seq: UInt64? = nil
    ) throws(AuditFailure) {
        for problem in plan.problems.prefix(20) { Console.error(problem) }
        guard plan.problems.isEmpty else {
            throw AuditFailure(
                .damaged, "\(plan.problems.count) of the file's wishes cannot be met \(place)")
        }
        leftOut += plan.removals.count
        // Who may look changes no answer.
        let steps = (plan.steps + (prune ? plan.removals : [])).filter {
            !$0.type.hasPrefix("operator.")
        }
        for step in steps {
            var payload = step.payload
            if step.type == "price.set" { payload["force"] = .bool(true) }
            guard let type = step.type.withBytes({ EventType($0) }) else { continue }
            do throws(Failure) {
                try whatIf.add(type, payload.json)
            } catch {
                throw AuditFailure(.damaged, "\(step.what), \(place): \(error.text)")
            }
            told.append(step.what + (seq.map { ", from event \($0) on" } ?? ""))
        }
    }

    /// Where accounts are created within a period.
    private static func births(
        of accounts: Set<String>, _ source: any LogSource, _ seqs: ClosedRange<UInt64>
    ) throws(AuditFailure) -> [Birth] {
        var births: [Birth] = []
        guard !accounts.isEmpty else { return births }
        try source.readBatches(from: seqs.lowerBound, through: seqs.upperBound) {
            page throws(AuditFailure) in
            var seq = page.firstSeq
            for bytes in page.events {
                let event = try StoredEvent(audited: bytes, seq)
                seq += 1
                guard [.orgCreated, .teamCreated, .keyCreated].contains(event.header.type),
                    let json = (try? DocumentEvent(event))?.json,
                    let account = (try? JSON(parsing: json))?["account"]?.string,
                    accounts.contains(account)
                else { continue }
                births.append(Birth(seq: event.header.seq, account: account))
            }
            return births.count < accounts.count && Interrupt.count == 0
        }
        return births
    }
}

extension PolicyState {
    /// One account as a book in memory has it, and nothing else.
    fileprivate init(
        _ account: String, _ book: borrowing Book, aliases: [String: String]
    ) throws(AuditFailure) {
        var text = ByteBuffer(capacity: 4_096)
        do throws(Failure) {
            try account.withBytes { (path) throws(Failure) in
                try book.writeAccount(path, at: book.time, into: &text)
            }
        } catch {
            throw AuditFailure(.damaged, error.text)
        }
        let shown: JSON
        do throws(CommandFailure) {
            shown = try InputFile.json(text.string, of: "an account of the book")
        } catch {
            throw AuditFailure(error)
        }
        user = nil
        self.aliases = aliases
        paths = [account]
        accounts = [account: shown]
    }
    /// What a book in memory has.
    ///
    /// - Parameter orgs: only these.
    init(_ book: borrowing Book, orgs: [String], at now: Instant) throws(CommandFailure) {
        let kinds: [String: Listing] = [
            "operators": .operators, "orgs": .orgs, "teams": .teams, "keys": .keys,
            "prices": .prices, "aliases": .aliases,
        ]
        let authority = Authority(actor: .daemon, role: .admin)
        var pages: [String: [JSON]] = [:]
        for org in [nil] + orgs.map({ Optional($0) }) {
            for (kind, listing) in kinds {
                let isBelow = kind == "teams" || kind == "keys"
                guard isBelow == (org != nil) else { continue }
                if let org, org.withBytes({ (try? book.number(of: $0)) == nil }) { continue }
                pages["\(kind) \(org ?? "")"] = try PolicyState.list(
                    listing, under: org ?? "", authority, book, at: now)
            }
        }
        try self.init(user: nil, orgs: orgs) { what, under in
            pages["\(what) \(under ?? "")"] ?? []
        }
    }
    private static func list(
        _ listing: Listing, under: String, _ authority: Authority, _ book: borrowing Book,
        at now: Instant
    ) throws(CommandFailure) -> [JSON] {
        var items: [JSON] = []
        var after = ""
        while true {
            var text = ByteBuffer(capacity: 64 << 10)
            do throws(Failure) {
                try under.withBytes { (under) throws(Failure) in
                    try after.withBytes { (after) throws(Failure) in
                        try book.writeListing(
                            listing, under: under, after: after, limit: 1_000, for: authority,
                            at: now, into: &text)
                    }
                }
            } catch {
                throw CommandFailure(.data, error.text)
            }
            let page = try InputFile.json(text.string, of: "a listing of the book")
            items += page["items"]?.array ?? []
            guard let next = page["next"]?.string else { return items }
            after = next
        }
    }
}

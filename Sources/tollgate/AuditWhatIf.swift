import ArgumentParser
import Audit
import Events
import Journal
import Ledger

/// `tollgate audit whatif`
struct AuditWhatIf: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whatif",
        abstract: "Run a past period again under another policy.",
        discussion: """
            Folds the log up to --from, makes in memory what the policy file says, and asks
            each request of the period anew: who would have been refused or admitted, and
            what that would have saved or cost. Nothing is appended anywhere.

            What the file changes stands from --from to the end, and the period's own changes
            of the same are left out. What it does not name, and what it says as it was then,
            changes as it did.

            A request that was admitted then ends here as it ended then, with its actual
            usage. One that was refused then has no usage: it counts with all that it asked
            for, which is the most that it can have cost, and is marked as an estimate. It
            takes a slot of a concurrency limit for as long as the key's requests of the
            period had taken until then, on average.

            What no log can tell: what callers would have done after another answer (asked
            again, or not at all), what refusals asked that were only counted, which model
            rules or an alias would have chosen, or how much a refused growth would have cut
            off. Requests that waited are asked when they were answered.

            Examples:
              tollgate export policy > changed.yaml
              tollgate audit whatif --policy changed.yaml --period 2026-11
              tollgate audit whatif --policy changed.yaml --from 2026-11-01 --to 2026-11-08
              tollgate audit whatif --policy changed.yaml --period 2026-W48 --dir copy --json
            """)
    @OptionGroup var log: LogOptions
    @OptionGroup var range: LogRangeOptions
    @OptionGroup var format: FormatOptions
    @Option(help: ArgumentHelp("The policy file (YAML); - for stdin.", valueName: "file"))
    var policy: String
    @Flag(help: "Also take away what the file leaves out of its orgs.") var prune = false

    func run() throws {
        Interrupt.catchSignals()
        guard range.from != nil || range.calendar.period != nil else {
            throw CommandFailure(
                .usage, "say --from (or --period): before the log's first event no account exists")
        }
        let file = try PolicyFile(of: policy)
        let source = try log.open()
        let seqs = try range.seqs(in: source)
        var whatIf = WhatIf(calendar: .foundation)
        let progress = StepProgress("folding", of: Int(clamping: seqs.upperBound))
        let times: ClosedRange<Instant>
        let rules: [PolicyPlan.Step]
        let report: WhatIfReport
        do throws(AuditFailure) {
            defer { progress.clear() }
            times = try AuditWhatIf.times(of: seqs, source)
            try source.readBatches(through: seqs.lowerBound - 1) { page throws(AuditFailure) in
                do throws(EventError) {
                    try whatIf.skip(page.frames, gap: EventPage.gap)
                } catch {
                    throw .doesNotFold(whatIf.seq + 1, error)
                }
                return go(on: whatIf.seq, progress)
            }
            if Interrupt.count == 0 {
                whatIf.begin(at: times.lowerBound)
                do throws(CommandFailure) {
                    rules = try change(&whatIf, file, at: times.lowerBound)
                } catch {
                    throw AuditFailure(error)
                }
            } else {
                rules = []
            }
            try source.readBatches(from: seqs.lowerBound, through: seqs.upperBound) {
                page throws(AuditFailure) in
                guard Interrupt.count == 0 else { return false }
                do throws(EventError) {
                    try whatIf.run(page.frames, gap: EventPage.gap)
                } catch {
                    throw .doesNotFold(whatIf.seq + 1, error)
                }
                return go(on: whatIf.seq, progress)
            }
            report = whatIf.finish()
        } catch {
            throw CommandFailure(error)
        }
        guard whatIf.seq == seqs.upperBound else {
            throw CommandFailure(
                .failure,
                "interrupted at event \(whatIf.seq) of \(seqs.upperBound): nothing can be told yet")
        }
        let text = whatIf.withPast { (book) in
            WhatIfText(
                report, policy: policy == "-" ? "stdin" : policy, rules: rules.map(\.what),
                seqs: seqs, times: times, book)
        }
        if format.json { text.json.print() } else { text.print() }
    }

    /// When the first and the last event of the period were.
    private static func times(
        of seqs: ClosedRange<UInt64>, _ source: any LogSource
    ) throws(AuditFailure) -> ClosedRange<Instant> {
        var batch = LogBatch(capacity: 4_096)
        let first = try source.event(seqs.lowerBound, into: &batch).header.time
        return first...max(first, try source.event(seqs.upperBound, into: &batch).header.time)
    }
    private func go(on seq: UInt64, _ progress: StepProgress) -> Bool {
        progress.show(Int(clamping: seq))
        return Interrupt.count == 0
    }

    /// Makes in the book of that instant what the file says; answers what it changes.
    private func change(
        _ whatIf: inout WhatIf, _ file: PolicyFile, at now: Instant
    ) throws(CommandFailure) -> [PolicyPlan.Step] {
        let orgs = file.accounts.filter { $0.tier == .org }.map(\.entry.name)
        let state = try whatIf.withOther { (book) throws(CommandFailure) in
            try PolicyState(book, orgs: orgs, at: now)
        }
        let unknown = file.accounts.filter {
            state.accounts[$0.entry.name] == nil && $0.entry["revoked"] != .bool(true)
        }
        for entry in unknown.map(\.entry).prefix(20) {
            Console.error(file.failure(entry.line, "\(entry.name) does not exist yet").message)
        }
        guard unknown.isEmpty else {
            throw CommandFailure(
                .data,
                "\(unknown.count) accounts of the file do not exist at \(now), when the period begins: "
                    + "leave them out, or say a later --from")
        }
        let plan = PolicyPlan(file, state)
        for problem in plan.problems.prefix(20) { Console.error(problem) }
        guard plan.problems.isEmpty else {
            throw CommandFailure(
                .data, "\(plan.problems.count) of the file's wishes cannot be met at \(now)")
        }
        if !plan.removals.isEmpty, !prune {
            Console.note(
                "left out of the file, and as it was: \(LoadReport.grouped(plan.removals.count)) limits, "
                    + "lists or accounts (--prune takes them away)")
        }
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
                throw CommandFailure(.data, "\(step.what): \(error.text)")
            }
        }
        return steps
    }
}

extension PolicyState {
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

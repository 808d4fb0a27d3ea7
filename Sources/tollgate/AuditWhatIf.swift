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
            changes as it did. An account that is created within the period is compared with
            what it was created with, and what the file changes of it stands from there on.

            A request that was admitted then ends here as it ended then, with its actual
            usage. One that was refused then has no usage: it counts with all that it asked
            for, which is the most that it can have cost, and is marked as an estimate. It
            takes a slot of a concurrency limit for as long as the key's requests had taken
            until then, on average, from the log's first event on; else as all keys' had.

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
        let source = try log.open()
        let seqs = try range.seqs(in: source)
        var rules = WhatIfRules(try PolicyFile(of: policy), prune: prune)
        var whatIf = WhatIf(calendar: .foundation)
        let times: ClosedRange<Instant>
        let report: WhatIfReport
        do throws(AuditFailure) {
            let progress = StepProgress("folding", of: Int(clamping: seqs.upperBound))
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
            whatIf.begin(at: times.lowerBound)
            if Interrupt.count == 0 {
                try rules.begin(&whatIf, at: times.lowerBound, source, seqs)
            }
            // Up to each account of the file that is created, and from the last of them to the end.
            for birth in rules.births {
                try run(&whatIf, through: birth.seq, source, progress)
                if Interrupt.count == 0 { try rules.apply(to: birth, &whatIf) }
            }
            try run(&whatIf, through: seqs.upperBound, source, progress)
            report = whatIf.finish()
        } catch {
            throw CommandFailure(error)
        }
        guard whatIf.seq == seqs.upperBound else {
            throw CommandFailure(
                .failure,
                "interrupted at event \(whatIf.seq) of \(seqs.upperBound): nothing can be told yet")
        }
        rules.note()
        let text = whatIf.withPast { (book) in
            WhatIfText(
                report, policy: policy == "-" ? "stdin" : policy, rules: rules.told,
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
    /// Runs what follows, as far as `last`.
    private func run(
        _ whatIf: inout WhatIf, through last: UInt64, _ source: any LogSource,
        _ progress: StepProgress
    ) throws(AuditFailure) {
        guard Interrupt.count == 0 else { return }
        try source.readBatches(from: whatIf.seq + 1, through: last) { page throws(AuditFailure) in
            do throws(EventError) {
                try whatIf.run(page.frames, gap: EventPage.gap)
            } catch {
                throw .doesNotFold(whatIf.seq + 1, error)
            }
            return go(on: whatIf.seq, progress)
        }
    }
    private func go(on seq: UInt64, _ progress: StepProgress) -> Bool {
        progress.show(Int(clamping: seq))
        return Interrupt.count == 0
    }
}

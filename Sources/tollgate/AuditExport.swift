import ArgumentParser
import Audit
import Events
import Journal

/// `tollgate audit export`
struct AuditExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a part of the log for an auditor or a SIEM.",
        discussion: """
            Examples:
              tollgate audit export --period 2026-11 --team acme/ml --out november.csv
              tollgate audit export --from 2026-11-22 --fields timestamp,key,model,cost_usd
              tollgate audit export --format ocsf --dir /backup/ledger | gzip > ocsf.gz
              tollgate audit export --period 2026-11 --aggregate key
              tollgate audit export --check november.csv

            A row is an event; what ends a request tells who asked and for what, too. Without
            --out rows go to stdout. A file has its name only when it is whole, and beside it
            stands FILE.manifest, signed by the daemon: how many rows of which events, their
            SHA-256, and the log's checkpoint. One that was interrupted goes on with --resume
            and the same flags, and is the same file in the end.

            For admins and auditors of the whole ledger, who are shown personal texts as long
            as they are kept; --commitments leaves them out.
            """)
    @OptionGroup var log: LogOptions
    @OptionGroup var range: LogRangeOptions
    @Option(help: ArgumentHelp("csv, jsonl, cloudevents or ocsf.", valueName: "format"))
    var format: String = "csv"
    @Option(
        help: ArgumentHelp("Which fields, and in which order; all by default.", valueName: "a,b"))
    var fields: String?
    @Option(
        help: ArgumentHelp(
            "Only an org, a team or a key and what stands below it; repeatable.",
            valueName: "account"))
    var account: [String] = []
    @Option(help: ArgumentHelp("Only this team; repeatable.", valueName: "team"))
    var team: [String] = []
    @Option(help: ArgumentHelp("Only this key; repeatable.", valueName: "key"))
    var key: [String] = []
    @Option(help: ArgumentHelp("Only events of this type; repeatable.", valueName: "type"))
    var type: [String] = []
    @Option(help: ArgumentHelp("Sums by key, team or org instead of events.", valueName: "level"))
    var aggregate: String?
    @Flag(help: "Show commitments even where what they were made of is kept.")
    var commitments = false
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var out: String?
    @Flag(help: "Go on with a file that an earlier run did not bring to its end.")
    var resume = false
    @Flag(help: "Replace a file that is there.") var force = false
    @Option(
        help: ArgumentHelp("Compare an export with its manifest instead.", valueName: "file"))
    var check: String?
    @Option(
        help: ArgumentHelp(
            "With --check: the key that must have signed, or its file; the running daemon's by default.",
            valueName: "vkey"))
    var verifier: String?
    @Flag(help: "With --check: be content with what nobody has signed, as of a copy's export.")
    var unsigned = false

    func run() throws {
        if let check {
            try checkAlone()
            return try ExportCheck(check, verifier: verifier, unsigned: unsigned, log).run()
        }
        // What is wrong with the words is told before anything is opened.
        var job = try words()
        job.end = "\(try range.range().to)"
        try checkFlags(job)
        Interrupt.catchSignals()
        do throws(CommandFailure) {
            let source = try log.open()
            try checkNames(job.filter.accounts, in: source)
            job.range = try range.seqs(in: source)
            var run = try begin(source, job)
            try run.write()
            try run.finish(signer: source is SocketLog ? log.connection : nil)
        } catch {
            guard error.status == .noPermission else { throw error }
            throw CommandFailure(
                .noPermission,
                error.message
                    + "; an export reads the whole log: ask an admin, or an auditor who is not "
                    + "confined to an org or a team")
        }
    }
    private func begin(
        _ source: any LogSource, _ job: ExportJob
    ) throws(CommandFailure) -> ExportRun {
        guard let out else { return ExportRun(source, job, ExportFile()) }
        guard resume, let note = try ExportFile.note(of: out) else {
            let file = try ExportFile(
                creating: out, replaces: force, canResume: job.level == nil)
            return ExportRun(source, job, file)
        }
        let job = try rest(of: note, source, job)
        let progress = StepProgress("checking", of: note.mark.bytes)
        defer { progress.clear() }
        let file = try ExportFile(resuming: out, note, progress)
        return ExportRun(source, job, file, from: note.mark)
    }
    /// The job of an unfinished export, which must be this one. The log may have grown since, and what came
    /// later is no part of it, where the same end is asked for as then.
    private func rest(
        of note: ExportNote, _ source: any LogSource, _ wanted: ExportJob
    ) throws(CommandFailure) -> ExportJob {
        let path = out ?? ""
        guard note.ledger == source.ledgerID else {
            throw CommandFailure(
                .usage,
                "\(path).part is an export of ledger \(note.ledger), and this is \(source.ledgerID): say "
                    + "another --out, or --force")
        }
        var job = wanted
        if note.end == wanted.end, let range = note.range,
            range.lowerBound == wanted.range.lowerBound,
            range.upperBound <= wanted.range.upperBound
        {
            job.range = range
        }
        if let (here, there) = note.difference(from: job) {
            throw CommandFailure(
                .usage,
                "\(path).part is an export with \"\(here)\", and this is one with \"\(there)\": give the same "
                    + "flags as then, or --force")
        }
        return job
    }

    // MARK: Words

    private func words() throws(CommandFailure) -> ExportJob {
        // Which events they are only the log can tell.
        var job = ExportJob(range: 1...1)
        guard let format = ExportFormat(rawValue: format) else {
            throw CommandFailure(
                .usage, "--format \"\(format)\": say csv, jsonl, cloudevents or ocsf")
        }
        job.format = format
        if let fields {
            do throws(AuditFailure) { job.columns = try ExportField.columns(fields) } catch {
                throw CommandFailure(error)
            }
        }
        job.filter = try filter()
        job.level = try level(format)
        job.showsPersons = !commitments
        return job
    }
    private func filter() throws(CommandFailure) -> ExportFilter {
        var filter = ExportFilter()
        for path in account {
            guard path.withBytes({ AccountPath.tier($0) }) != nil else {
                throw CommandFailure(.usage, "\"\(path)\" is no account: \(AccountPath.rule)")
            }
        }
        for path in team { try tollgate.check(path, is: .team) }
        for path in key { try tollgate.check(path, is: .key) }
        filter.accounts = account + team + key
        for text in type {
            guard let type = text.withBytes({ EventType($0) }) else {
                throw CommandFailure(
                    .usage,
                    "--type \"\(text)\": say one of "
                        + EventType.allCases.map { "\($0.name)" }.joined(separator: ", "))
            }
            filter.types.append(type)
        }
        return filter
    }
    /// A name that no account has ever had is a slip, and its export would say that nothing happened.
    private func checkNames(
        _ accounts: [String], in source: any LogSource
    ) throws(CommandFailure) {
        var unknown = Set(accounts)
        guard !unknown.isEmpty else { return }
        do throws(AuditFailure) {
            try source.forEachName(.account) { _, name in
                unknown.remove(name)
                return !unknown.isEmpty
            }
        } catch {
            throw CommandFailure(error)
        }
        guard let name = accounts.first(where: unknown.contains) else { return }
        throw CommandFailure(
            .usage,
            "no account \"\(name)\" was ever created, so no event is of it: 'tollgate usage' shows those there "
                + "are, and --type hold.refused what keys asked that nobody knows"
        )
    }
    private func level(_ format: ExportFormat) throws(CommandFailure) -> ExportTotals.Level? {
        guard let aggregate else { return nil }
        guard let level = ExportTotals.Level(rawValue: aggregate) else {
            throw CommandFailure(.usage, "--aggregate \"\(aggregate)\": say key, team or org")
        }
        guard format == .csv || format == .jsonl else {
            throw CommandFailure(
                .usage, "--aggregate writes sums, not events: say --format csv or jsonl")
        }
        guard fields == nil else {
            throw CommandFailure(.usage, "--aggregate has fields of its own: leave out --fields")
        }
        return level
    }
    private func checkAlone() throws(CommandFailure) {
        let isSaid =
            out != nil || fields != nil || aggregate != nil || commitments || resume || force
            || !(account + team + key + type).isEmpty || range.from != nil || range.to != nil
            || range.calendar.period != nil
        guard !isSaid else {
            throw CommandFailure(
                .usage,
                "--check looks at an export that there is, and its manifest says of what: leave out what "
                    + "belongs to making one")
        }
    }
    private func checkFlags(_ job: ExportJob) throws(CommandFailure) {
        for (flag, isGiven) in [("--verifier", verifier != nil), ("--unsigned", unsigned)]
        where isGiven {
            throw CommandFailure(.usage, "\(flag) belongs to --check")
        }
        guard let out else {
            for (flag, isGiven) in [("--resume", resume), ("--force", force)] where isGiven {
                throw CommandFailure(.usage, "\(flag) is about a file: say which with --out")
            }
            return
        }
        guard !resume || !force else {
            throw CommandFailure(
                .usage, "--resume goes on with a file, --force begins anew: say one of them")
        }
        guard !resume || job.level == nil else {
            throw CommandFailure(
                .usage,
                "--aggregate writes nothing before its end, so there is nothing to --resume: leave it out"
            )
        }
        // It stands in a line of the manifest.
        guard out.utf8.allSatisfy({ $0 >= 0x20 }), !out.hasSuffix("/"), !out.isEmpty else {
            throw CommandFailure(.usage, "--out \"\(out)\" is no name of a file")
        }
    }
}

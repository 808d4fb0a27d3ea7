import Audit
import CLinux
import Events
import Journal

/// `audit verify` of a running daemon: its whole log, read through the socket.
struct LogVerification {
    private let proven: ProvenLog
    private let saved: [(name: String, head: TreeHead)]
    private let format: FormatOptions

    init(
        _ log: LogOptions, _ keys: KeyOptions, _ checkpoints: [String], _ format: FormatOptions
    ) throws(CommandFailure) {
        proven = try ProvenLog(log, keys)
        saved = try SavedCheckpoints.read(checkpoints, proven.trusted)
        self.format = format
    }

    func run() throws(CommandFailure) {
        do throws(AuditFailure) { try compare() } catch { throw CommandFailure(error) }
    }
    private func compare() throws(AuditFailure) {
        let (_, signed) = try proven.checkpoint()
        // What is signed is durable, and so can be read.
        try proven.log.refresh()
        for (name, head) in saved where head.size > signed.size {
            throw AuditFailure(
                .damaged,
                "\(name) is of \(head.size) events, and the log has \(signed.size): events are missing at its "
                    + "end, or this daemon serves an older copy. Keep the file; it is evidence")
        }
        var check = LogCheck(proven.log)
        let progress = StepProgress("verifying, events", of: Int(clamping: signed.size))
        defer { progress.clear() }
        var agreed: [(name: String, head: TreeHead)] = []
        let heads = (saved + [("the daemon's checkpoint", signed)]).sorted {
            $0.head.size < $1.head.size
        }
        for (name, head) in heads {
            let goesOn = try check.read(through: head.size) { seq in
                progress.show(Int(clamping: seq))
                return Interrupt.count == 0
            }
            guard goesOn else {
                throw AuditFailure(
                    .tryAgain, "interrupted at event \(check.seq); nothing is wrong until there")
            }
            guard check.edge.root == head.root else {
                throw AuditFailure(
                    .damaged,
                    "\(name) of \(head.size) events has the root \(head.root.base64), and the log's own events "
                        + "have \(check.edge.root.base64): one of them was changed or left out"
                        + (agreed.last.map { ", behind event \($0.head.size) of \($0.name)" } ?? "")
                        + ". 'tollgate audit verify --dir' on the daemon's machine locates it")
            }
            agreed.append((name, head))
        }
        progress.clear()
        tell(signed, names: check.nameCount, epoch: check.epoch)
    }
    private func tell(_ signed: TreeHead, names: Int, epoch: UInt32) {
        guard !format.json else {
            return JSON.object([
                JSON.Member("verified", .bool(true)),
                JSON.Member("events", .integer(Int64(clamping: signed.size))),
                JSON.Member("names", .integer(Int64(names))),
                JSON.Member("checkpoint", signed.json),
                JSON.Member("extends", .array(saved.map { .string($0.name) })),
            ]).print()
        }
        Console.print(
            "verified: \(LoadReport.grouped(Int(clamping: signed.size))) events make the root that the daemon "
                + "has signed")
        for (name, head) in saved {
            Console.print(
                "extended: the log begins with the \(LoadReport.grouped(Int(clamping: head.size))) events of "
                    + name)
        }
        var facts = Facts()
        facts.add("origin", signed.origin)
        facts.add("root", signed.root.base64)
        facts.add("names", LoadReport.grouped(names))
        facts.add("last epoch", LoadReport.grouped(Int(epoch)))
        facts.print()
    }
}

/// Checkpoints that somebody has kept.
enum SavedCheckpoints {
    static func read(
        _ paths: [String], _ trusted: TrustedKeys
    ) throws(CommandFailure) -> [(name: String, head: TreeHead)] {
        var saved: [(name: String, head: TreeHead)] = []
        for path in paths {
            let text = try ProofFile.read(path)
            do throws(AuditFailure) { saved.append((path, try trusted.head(of: text, path))) } catch
            {
                throw CommandFailure(error)
            }
        }
        return saved
    }
}

/// `audit verify --dir`: files as they lie there.
struct DirectoryVerification {
    private let request: DirectoryCheck.Request
    private var saved: Bool { !request.saved.isEmpty }
    private let format: FormatOptions

    init(
        _ log: LogOptions, _ keys: KeyOptions, _ checkpoints: [String], _ format: FormatOptions
    ) throws(CommandFailure) {
        try log.checkAlone()
        let directory = CopyWork.withoutSlash(log.directory ?? "")
        try CopyWork.checkReadable(
            directory, holding: BackupFiles.journal,
            missing: "name a data directory, a backup or a copy of one")
        do throws(AuditFailure) {
            let own = try DirectoryTree.verifierKey(in: directory)
            var trusted: TrustedKeys
            do throws(CommandFailure) { trusted = try keys.trusted(own: own) } catch {
                throw AuditFailure(error)
            }
            guard checkpoints.isEmpty || !trusted.logs.isEmpty else {
                throw AuditFailure(
                    .usage,
                    "say with --key whose checkpoints these are: \(directory) has no key of its own"
                )
            }
            let saved: [(name: String, head: TreeHead)]
            do throws(CommandFailure) {
                saved = try SavedCheckpoints.read(checkpoints, trusted)
            } catch {
                throw AuditFailure(error)
            }
            request = DirectoryCheck.Request(
                directory: directory, isServed: Examination.isServed(directory),
                keys: keys.key.isEmpty ? [] : trusted.logs, saved: saved)
        } catch {
            throw CommandFailure(error)
        }
        self.format = format
    }

    func run() throws(CommandFailure) {
        // A damaged page can make LMDB read where nothing is; that is a finding, too.
        Self.memoryFault.utf8Start.withMemoryRebound(
            to: CChar.self, capacity: Self.memoryFault.utf8CodeUnitCount + 1
        ) { tg_explain_memory_faults($0, ExitStatus.data.rawValue) }
        var shown = UInt64.max
        var progress = StepProgress("verifying, events", of: 0)
        let report: DirectoryCheck.Report
        do throws(AuditFailure) {
            report = try DirectoryCheck.run(request) { done, whole in
                if shown != whole {
                    progress = StepProgress("verifying, events", of: Int(clamping: whole))
                    shown = whole
                }
                progress.show(Int(clamping: done))
                return Interrupt.count == 0
            }
        } catch {
            progress.clear()
            throw CommandFailure(error)
        }
        progress.clear()
        if format.json { json(report).print() } else { tell(report) }
        guard report.findings.isEmpty else {
            throw CommandFailure(
                .data,
                report.findings.count == 1
                    ? "1 thing in \(request.directory) is wrong"
                    : "\(report.findings.count) things in \(request.directory) are wrong")
        }
        guard !report.wasEnded else {
            throw CommandFailure(
                .failure, "interrupted at event \(report.events); nothing is wrong until there")
        }
    }
    private static let memoryFault: StaticString = """
        wrong  journal/data.mdb: a page of it could not be read, for it is damaged or the disk fails
               fix: check the disk (dmesg, smartctl), then restore the directory from a backup

        """

    private func tell(_ report: DirectoryCheck.Report) {
        for finding in report.findings {
            Console.print(
                Style.output.paint("wrong", .red)
                    + Table.inOneLine("  \(finding.place): \(finding.flaw)"))
            Console.print(Table.inOneLine("       fix: \(finding.fix)"))
        }
        if let root = report.root, report.findings.isEmpty {
            Console.print("verified: every page, event and name of \(request.directory) is whole")
            var facts = Facts()
            facts.add("ledger", report.ledger)
            facts.add("events", LoadReport.grouped(Int(clamping: report.events)))
            facts.add("names", LoadReport.grouped(report.names))
            facts.add("root", root.base64)
            facts.print()
        }
        var facts = Facts()
        for (name, size) in report.agreed {
            facts.add("agrees", "\(name), of \(LoadReport.grouped(Int(clamping: size))) events")
        }
        facts.add(
            "tree",
            report.hasTree
                ? "\(LoadReport.grouped(report.tiles)) tiles compared"
                : "none is kept: an older tollgate wrote last")
        facts.add("checkpoints", "\(report.books) read")
        if let unchecked = unchecked(report) { facts.add("signature", unchecked) }
        if report.waiting > 0 {
            facts.add(
                "ring",
                "\(LoadReport.grouped(Int(clamping: report.waiting))) events wait in it for the next start, and "
                    + "are in no tree yet")
        }
        facts.print()
    }
    private func unchecked(_ report: DirectoryCheck.Report) -> String? {
        if let first = report.unchecked.first {
            let names = report.unchecked.map(\.name).joined(separator: ", ")
            return "not checked: say the key of \(first.signer), too, with --key (\(names))"
        }
        guard report.origin == nil else { return nil }
        return saved
            ? "those of the saved checkpoints"
            : "nothing signed is kept here: say --checkpoint with a saved one"
    }
    private func json(_ report: DirectoryCheck.Report) -> JSON {
        func number(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }
        return .object([
            JSON.Member("verified", .bool(report.findings.isEmpty && report.root != nil)),
            JSON.Member("ledger", .string(report.ledger)),
            JSON.Member("events", number(report.events)),
            JSON.Member("names", .integer(Int64(report.names))),
            JSON.Member("tiles", .integer(Int64(report.tiles))),
            JSON.Member("root", report.root.map { .string($0.base64) } ?? .null),
            JSON.Member(
                "agrees",
                .array(
                    report.agreed.map {
                        .object([
                            JSON.Member("name", .string($0.name)),
                            JSON.Member("size", number($0.size)),
                        ])
                    })),
            JSON.Member("signature_checked", .bool(report.isSignatureChecked)),
            JSON.Member("waiting", number(report.waiting)),
            JSON.Member(
                "findings",
                .array(
                    report.findings.map {
                        .object([
                            JSON.Member("place", .string($0.place)),
                            JSON.Member("flaw", .string($0.flaw)),
                            JSON.Member("fix", .string($0.fix)),
                        ])
                    })),
        ])
    }
}

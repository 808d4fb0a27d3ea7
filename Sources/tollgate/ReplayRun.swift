import Audit
import Events
import Glibc
import Journal
import Ledger

/// One replay under way: what it has compared, and what it found.
struct ReplayRun: ~Copyable {
    private let source: any LogSource
    private var replayer: Replayer
    /// Whether it goes on after a difference.
    private let lists: Bool
    private let prints: Bool
    private let began = ContinuousClock.now
    private var took = Duration.zero

    private var differences: [Difference] = []
    private var differenceCount: UInt64 = 0
    private var balances: [(account: String, answered: String, derived: String)] = []
    private var balanceCount = 0
    /// How many accounts were compared, and as of which event the last of them.
    private var compared: (accounts: Int, seq: UInt64)?
    private var checkpoints: [(seq: UInt64, isSame: Bool?)] = []
    private var wasInterrupted = false

    /// Differences that `json` holds; all are counted, and printed.
    private static let keptMax = 10_000

    init(_ source: any LogSource, calendar: ZoneCalendar, lists: Bool, prints: Bool) {
        self.source = source
        self.lists = lists
        self.prints = prints
        replayer = Replayer(source, calendar: calendar)
    }

    // MARK: Comparing

    /// Goes through an event, and looks at each checkpoint when it comes by.
    ///
    /// - Returns: whether it came to the end.
    mutating func compare(
        through last: UInt64, _ checkpoints: [Checkpoint]
    ) throws(AuditFailure) -> Bool {
        for checkpoint in checkpoints {
            guard try compare(through: checkpoint.seq) else { return false }
            let isSame = replayer.isSame(as: checkpoint)
            self.checkpoints.append((checkpoint.seq, isSame))
            if isSame == false, !lists { return false }
        }
        return try compare(through: last)
    }
    private mutating func compare(through last: UInt64) throws(AuditFailure) -> Bool {
        let progress = StepProgress("replaying", of: Int(clamping: source.lastSeq))
        var (found, count) = (differences, differenceCount)
        var wasInterrupted = false
        // Whatever ends it early, what was found until then stands.
        defer {
            progress.clear()
            (differences, differenceCount) = (found, count)
            self.wasInterrupted = self.wasInterrupted || wasInterrupted
        }
        let (prints, lists) = (prints, lists)
        return try replayer.compare(
            through: last,
            tick: { seq in
                progress.show(Int(clamping: seq))
                wasInterrupted = Interrupt.count > 0
                return !wasInterrupted
            },
            tell: { difference in
                count += 1
                if found.count < Self.keptMax { found.append(difference) }
                if prints {
                    progress.clear()
                    Self.show(difference)
                }
                return lists
            })
    }
    private static func show(_ difference: Difference) {
        let account = difference.account.map { " of \($0)" } ?? ""
        Console.print(
            Style.output.paint("differs", .red)
                + Table.inOneLine(
                    "  event \(difference.seq)  \(difference.time)  \(difference.type.name)\(account)"
                ))
        for part in difference.parts {
            Console.print(Table.inOneLine("  \(part.field), in the log:  \(part.logged)"))
            Console.print(Table.inOneLine("  \(part.field), derived:     \(part.derived)"))
        }
        Console.flush()
    }

    /// Compares every account with the live book's, each as of the event that its answer names.
    mutating func compareBalances(
        _ source: SocketLog, _ client: Client
    ) throws(AuditFailure) {
        try source.refresh()
        guard try compare(through: source.lastSeq) else { return }
        let progress = StepProgress(
            "balances", of: replayer.withBook { (book) in book.accountCount })
        defer { progress.clear() }
        var first = 0
        while true {
            let paths = replayer.accounts(from: first, most: 256)
            guard !paths.isEmpty, Interrupt.count == 0 else { break }
            let answers: [String]
            do throws(CommandFailure) {
                answers = try client.pipeline(paths.map { ["USAGE", $0] }).map {
                    (reply) throws(CommandFailure) in try reply.orFailure().text ?? ""
                }
            } catch {
                throw AuditFailure(error)
            }
            for (path, answer) in zip(paths, answers) {
                guard try compare(path, answer, source) else { return }
            }
            first += paths.count
            compared = (first, replayer.seq)
            progress.show(first)
        }
        wasInterrupted = wasInterrupted || Interrupt.count > 0
    }
    /// - Returns: whether to go on.
    private mutating func compare(
        _ path: String, _ answer: String, _ source: SocketLog
    ) throws(AuditFailure) -> Bool {
        guard let json = try? answer.withBytes({ try JSON(parsing: $0) }),
            let seq = json["seq"]?.integer.flatMap({ UInt64(exactly: $0) }),
            let at = json["at"]?.string?.withBytes({ Instant(parsing: $0) })
        else {
            throw AuditFailure(
                .damaged,
                "USAGE of \(path) does not say of which event it is: the daemon is an older one, so "
                    + "restart it with this version")
        }
        // An answer may be of events that are on their way to the disk.
        while source.lastSeq < seq {
            if Interrupt.count > 0 {
                wasInterrupted = true
                return false
            }
            try source.refresh()
            if source.lastSeq < seq, let reason = source.readOnlyReason {
                throw AuditFailure(
                    .tryAgain,
                    "the balance of \(path) is as of event \(seq), which the daemon cannot write: "
                        + "\(reason); mend that and replay again, or leave balances out with --to "
                        + "\(source.lastSeq)")
            }
            // Longer while the daemon's disk takes nothing.
            if source.lastSeq < seq { _ = poll(nil, 0, 10) }
        }
        guard try compare(through: seq) else { return false }
        guard let (answered, derived) = try replayer.compare(usage: answer, of: path, at: at) else {
            return true
        }
        balanceCount += 1
        if balances.count < Self.keptMax { balances.append((path, answered, derived)) }
        if prints {
            Console.print(
                Style.output.paint("differs", .red) + "  the balance of \(path) as of event \(seq)")
            Console.print("  answered:  \(answered)")
            Console.print("  derived:   \(derived)")
            Console.flush()
        }
        return lists
    }

    // MARK: What is told

    mutating func finish() { took = ContinuousClock.now - began }

    private var differing: Int {
        Int(clamping: differenceCount) + balanceCount + checkpoints.count { $0.isSame == false }
    }
    /// Throws unless all of it was compared and nothing differs.
    func judge() throws(CommandFailure) {
        guard differing == 0 else {
            throw CommandFailure(
                .data,
                lists
                    ? "\(LoadReport.grouped(differing)) differences"
                    : "the log differs from what its own rules derive; --diff lists all differences"
            )
        }
        guard !wasInterrupted else {
            throw CommandFailure(
                .failure, "interrupted at event \(replayer.seq); nothing differs until there")
        }
    }

    func summary(isPast: Bool) {
        let findings = replayer.findings
        let seconds = max(took / .seconds(1), 0.000_001)
        let rate = LoadReport.grouped(Int(Double(replayer.seq) / seconds))
        var facts = Facts()
        facts.add(
            "replayed",
            "\(LoadReport.grouped(Int(replayer.seq))) events at \(rate) a second")
        for type in EventType.allCases where findings.compared(type) > 0 {
            facts.add("  \(type.name)", LoadReport.grouped(Int(findings.compared(type))))
        }
        for what in Unproven.allCases where findings.unproven(what) > 0 {
            facts.add(
                "not derived",
                "\(LoadReport.grouped(Int(findings.unproven(what)))) \(what.explanation)")
        }
        for (seq, isSame) in checkpoints {
            let text =
                switch isSame {
                case true?: "the same book"
                case false?: "ANOTHER BOOK: delete that file, and the next start folds the log"
                case nil: "of another version, not compared"
                }
            facts.add("checkpoint \(seq)", text)
        }
        if let (accounts, seq) = compared {
            facts.add(
                "balances",
                "\(LoadReport.grouped(accounts)) accounts are as the daemon says, as of event \(seq)"
            )
        } else if isPast {
            facts.add("balances", "not compared: the daemon's are of now, leave --to out")
        } else if !(source is SocketLog) {
            facts.add("balances", "not compared: a directory has no live book")
        }
        facts.print()
        if differing == 0, !wasInterrupted { Console.print("no difference") }
    }
    var json: JSON {
        let findings = replayer.findings
        func number(_ value: UInt64) -> JSON { .integer(Int64(clamping: value)) }
        var members = [
            JSON.Member("events", number(replayer.seq)),
            JSON.Member("seconds", .number("\(took / .seconds(1))")),
            JSON.Member(
                "compared",
                .object(
                    EventType.allCases.filter { findings.compared($0) > 0 }.map {
                        JSON.Member("\($0.name)", number(findings.compared($0)))
                    })),
            JSON.Member(
                "not_derived",
                .array(
                    Unproven.allCases.filter { findings.unproven($0) > 0 }.map {
                        .object([
                            JSON.Member("count", number(findings.unproven($0))),
                            JSON.Member("why", .string($0.explanation)),
                        ])
                    })),
            JSON.Member(
                "checkpoints",
                .array(
                    checkpoints.map {
                        .object([
                            JSON.Member("seq", number($0.seq)),
                            JSON.Member("same", $0.isSame.map { .bool($0) } ?? .null),
                        ])
                    })),
        ]
        if let (accounts, seq) = compared {
            members.append(JSON.Member("accounts", .integer(Int64(accounts))))
            members.append(JSON.Member("accounts_at", number(seq)))
        }
        members.append(JSON.Member("difference_count", .integer(Int64(differing))))
        members.append(JSON.Member("differences", .array(differences.map(\.json))))
        members.append(
            JSON.Member(
                "balances",
                .array(
                    balances.map {
                        .object([
                            JSON.Member("account", .string($0.account)),
                            JSON.Member("answered", .string($0.answered)),
                            JSON.Member("derived", .string($0.derived)),
                        ])
                    })))
        members.append(JSON.Member("interrupted", .bool(wasInterrupted)))
        return .object(members)
    }
}

extension Difference {
    var json: JSON {
        .object([
            JSON.Member("seq", .integer(Int64(clamping: seq))),
            JSON.Member("time", .string("\(time)")),
            JSON.Member("type", .string("\(type.name)")),
            JSON.Member("account", account.map { .string($0) } ?? .null),
            JSON.Member(
                "fields",
                .array(
                    parts.map {
                        .object([
                            JSON.Member("field", .string($0.field)),
                            JSON.Member("logged", .string($0.logged)),
                            JSON.Member("derived", .string($0.derived)),
                        ])
                    })),
        ])
    }
}

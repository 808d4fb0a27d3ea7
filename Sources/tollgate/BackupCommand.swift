import ArgumentParser
import Audit
import CLinux
import Events
import Glibc
import Journal

/// `tollgate backup`
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy a data directory while the daemon serves it.",
        discussion: """
            Examples:
              tollgate backup /backup/tollgate-2026-11-26
              tollgate backup /mnt/nas/tollgate --data /var/lib/tollgate

            The copy is of one instant; requests go on meanwhile. It is flushed, then opened
            and read from end to end, and only then gets its name: a DIR that is there is
            whole. DIR.partial is what a backup left that was ended in the middle, and the
            next one to DIR removes it. Run it as root or as the daemon's user on the
            daemon's machine.

            Besides the log it holds hashes of secrets, and personal data where an org keeps
            any: guard it as you guard the data directory. It holds no signing key and no
            config file. Check it at any time with 'tollgate doctor --data DIR', and use it
            with 'tollgate restore DIR NEW'.
            """
    )
    @Argument(help: ArgumentHelp("Where to; it must not exist.", valueName: "dir"))
    var target: String
    @Option(
        help: ArgumentHelp(
            "The daemon's data directory (default: \(Settings.dataDefault)).", valueName: "dir"))
    var data: String?
    @OptionGroup var format: FormatOptions

    func run() throws {
        let settings = try Settings(
            flags: [.data: data], configFile: nil, mayReadDefaultFile: false)
        let source = settings.dataDirectory
        try CopyWork.checkReadable(
            source, holding: BackupFiles.journal,
            missing: "say --data with the daemon's directory")
        // Reserves go on again a quarter above the bound, so that much is kept free.
        let pauseBelow = Int64(try settings.whole(.pauseBelowMebibytes, 1...1_048_576) ?? 64) << 20
        let request = Backup.Request(
            source: source, target: CopyWork.withoutSlash(target),
            isServed: Examination.isServed(source), now: .wallClock,
            keepFree: pauseBelow + pauseBelow / 4)
        let marker = try CopyWork.run("backup") { watch throws(JournalError) in
            try Backup.take(request, watch)
        }
        guard !format.json else { return marker.summary(at: request.target).print() }
        Console.print(
            "\(request.target) holds ledger \(marker.ledger) up to seq \(marker.seq), and reads whole"
        )
        marker.facts.print()
    }
}

/// What backup and restore have in common: a long copy that a person waits for.
enum CopyWork {
    /// Runs `body`, shows how far it is and ends it on Ctrl-C.
    static func run(
        _ what: String, _ body: (Backup.Watch) throws(JournalError) -> BackupMarker?
    ) throws(CommandFailure) -> BackupMarker {
        Interrupt.catchSignals()
        // A damaged page can make LMDB read where nothing is; and a disk may fail under its map.
        memoryFault.utf8Start.withMemoryRebound(
            to: CChar.self, capacity: memoryFault.utf8CodeUnitCount + 1
        ) { tg_explain_memory_faults($0, ExitStatus.data.rawValue) }
        var shown = (step: Backup.Step?.none, part: -1)
        var progress = StepProgress(what, of: 0)
        defer { progress.clear() }
        let marker: BackupMarker?
        do throws(JournalError) {
            marker = try body { step, done, whole in
                let part = whole > 0 ? done * 200 / whole : 0
                if shown.step != step || shown.part != part {
                    // Mebibytes, or events.
                    let unit = step == .copying ? 20 : 0
                    progress = StepProgress(
                        step == .copying ? "copying, MiB" : "verifying, events", of: whole >> unit)
                    progress.show(done >> unit)
                    shown = (step, part)
                }
                return Interrupt.count == 0
            }
        } catch {
            throw CommandFailure(error)
        }
        guard let marker else {
            throw CommandFailure(.failure, "interrupted: the \(what) has left nothing behind")
        }
        return marker
    }
    private static let memoryFault: StaticString = """
        tollgate: a page of the journal could not be read, for it is damaged or the disk fails: check \
        the disk (dmesg, smartctl); 'tollgate doctor' says more.

        """

    /// Whoever cannot look inside must not be told that nothing is there.
    static func checkReadable(
        _ directory: String, holding file: String, missing fix: String
    ) throws(CommandFailure) {
        guard access(directory, F_OK) == 0 || errno != ENOENT else {
            throw CommandFailure(.noInput, "there is no \(directory): \(fix)")
        }
        guard access(directory, R_OK | X_OK) == 0, access("\(directory)/\(file)", R_OK) == 0 else {
            guard errno == ENOENT else {
                throw CommandFailure(
                    .noPermission,
                    "\(directory): \(String(cString: strerror(errno))); run this as root or as the "
                        + "daemon's user")
            }
            throw CommandFailure(.noInput, "\(directory) has no \(file): \(fix)")
        }
    }
    static func withoutSlash(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }
}

extension BackupMarker {
    var facts: Facts {
        var facts = Facts()
        facts.add("epoch", String(epoch))
        facts.add("last event", time.description)
        facts.add("root of the tree", root)
        facts.add("bytes", LoadReport.grouped(files.reduce(0) { $0 + $1.byteCount }))
        return facts
    }
    func summary(at path: String) -> JSON {
        .object([
            JSON.Member("directory", .string(path)),
            JSON.Member("ledger", .string(ledger)),
            JSON.Member("seq", .integer(Int64(clamping: seq))),
            JSON.Member("epoch", .integer(Int64(epoch))),
            JSON.Member("time", .string(time.description)),
            JSON.Member("root", .string(root)),
            JSON.Member("taken", .string(taken.description)),
            JSON.Member("bytes", .integer(Int64(files.reduce(0) { $0 + $1.byteCount }))),
        ])
    }
}

extension CommandFailure {
    /// The failure of a command that works on a directory itself, without a daemon.
    init(_ error: JournalError) {
        let status: ExitStatus =
            switch error.kind {
            case .busy: .tryAgain
            case .format, .damaged: .data
            case .io: .io
            case .usage: .usage
            }
        self.init(status, error.message)
    }
}

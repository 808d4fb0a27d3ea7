import ArgumentParser
import Audit
import CLinux
import Events

/// `tollgate audit verify`
struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify the log, a copy of it, or a saved proof.",
        discussion: """
            Examples:
              tollgate audit verify --checkpoint saved.checkpoint --key "$VKEY"
              tollgate audit verify --dir /backup/tollgate
              tollgate audit verify --proof charge.tlog-proof --key "$VKEY"

            Without --dir or --proof it reads a running daemon's whole log through the socket,
            makes the tree anew and compares its root with the checkpoint that the daemon
            signs; --checkpoint proves that the log begins with an earlier one.

            --dir reads a data directory, a backup or a copy of one, beside its daemon or
            without one: every page, the checksum, number and order of every event, every
            name, every tile of the tree that is kept, what was signed, the checkpoints and
            the ring. What is wrong is located, with what to do about it; whose signature no
            key at hand has made, 'not checked' says.

            --proof checks what 'tollgate audit prove' wrote, with no daemon and no log.

            Exit code 65: something is not what was once written or signed.
            """)
    @Argument(help: ArgumentHelp("The same as --dir.", valueName: "dir"))
    var copy: String?
    @Option(help: ArgumentHelp("A saved proof; needs --key.", valueName: "file"))
    var proof: String?
    @Option(
        help: ArgumentHelp(
            "A saved checkpoint with which the log must begin; repeatable.", valueName: "file"))
    var checkpoint: [String] = []
    @OptionGroup var log: LogOptions
    @OptionGroup var keys: KeyOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        var log = log
        if let copy {
            guard log.directory == nil else {
                throw CommandFailure(.usage, "name one directory: \(copy) or --dir")
            }
            log.directory = copy
        }
        if let proof {
            guard log.directory == nil else {
                throw CommandFailure(
                    .usage, "--proof needs no log, and --dir is one: say one of them")
            }
            return try verify(proof: proof)
        }
        Interrupt.catchSignals()
        if log.directory != nil {
            try DirectoryVerification(log, keys, checkpoint, format).run()
        } else {
            try LogVerification(log, keys, checkpoint, format).run()
        }
    }

    private func verify(proof path: String) throws(CommandFailure) {
        guard !keys.key.isEmpty else {
            throw CommandFailure(
                .usage,
                "say with --key whose log it is from: 'tollgate status' of that log shows its key")
        }
        guard checkpoint.count <= 1 else {
            throw CommandFailure(.usage, "a proof is under one checkpoint: say --checkpoint once")
        }
        let trusted = try keys.trusted(own: nil)
        let text = try ProofFile.read(path)
        let saved = try checkpoint.first.map { (path) throws(CommandFailure) in
            try ProofFile.read(path)
        }
        let (inclusion, head): (ProofText.Inclusion, TreeHead)
        do throws(AuditFailure) {
            inclusion = try ProofText.Inclusion(parsing: text)
            head = try inclusion.verify(trusted, checkpoint: saved)
        } catch {
            throw CommandFailure(error)
        }
        tell(inclusion, head)
    }
    private func tell(_ proof: ProofText.Inclusion, _ head: TreeHead) {
        let event = (proof.event ?? []).withUnsafeBytes { raw -> JSON in
            var text = ByteBuffer(capacity: 1_024)
            guard let event = try? StoredEvent(Bytes(raw)),
                (try? text.append(exported: event, names: Numbers())) != nil,
                let json = try? JSON(parsing: text.bytes)
            else { return .null }
            return json
        }
        guard !format.json else {
            return JSON.object([
                JSON.Member("proven", .bool(true)), JSON.Member("event", event),
                JSON.Member("checkpoint", head.json),
            ]).print()
        }
        Console.print(
            "proven: event \(proof.index + 1) is in the log \(head.origin), under its signed checkpoint of "
                + "\(head.size) events")
        // Names stand in other events, so here are the numbers that this one has.
        Console.print(event.compact)
    }
}

/// What stands for names where only the event itself is at hand.
private struct Numbers: EventNames {
    func accountName(_ number: AccountNumber) -> String? { "#\(number.raw)" }
    func modelName(_ number: ModelNumber) -> String? { "#\(number.raw)" }
    func operatorName(_ number: UInt32) -> String? { "#\(number)" }
}

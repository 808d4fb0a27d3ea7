import ArgumentParser
import Audit
import Events

/// `tollgate audit consistency`
struct AuditConsistency: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consistency",
        abstract: "Prove that the log begins with what it was before.",
        discussion: """
            Examples:
              tollgate audit consistency saved.checkpoint
              tollgate audit consistency monday.checkpoint friday.checkpoint
              tollgate audit consistency 1000 184467 --out proof

            OLD and NEW are saved checkpoints or numbers of events; NEW is the log as it is
            now if it is left out. Of a number only the log itself says what its root was, so
            a saved checkpoint proves more. --out writes the proof as a witness wants it
            (c2sp.org/tlog-witness, add-checkpoint). Exit code 65: it does not begin with it.
            """)
    @Argument(help: ArgumentHelp("A saved checkpoint or a number of events.", valueName: "old"))
    var old: String
    @Argument(
        help: ArgumentHelp("The same, and not smaller (default: the log now).", valueName: "new"))
    var new: String?
    @Option(
        name: .customLong("out"),
        help: ArgumentHelp("Write the proof to a file.", valueName: "file"))
    var out: String?
    @OptionGroup var log: LogOptions
    @OptionGroup var keys: KeyOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        let (old, new) = (
            try Tree(old), try new.map { (text) throws(CommandFailure) in try Tree(text) }
        )
        let proven = try ProvenLog(log, keys)
        var proof: ProofText.Consistency
        let (before, after): (TreeHead, TreeHead)
        do throws(AuditFailure) {
            let newest = try new == nil ? proven.checkpoint() : nil
            if let newest { after = newest.head } else { after = try (new ?? old).head(proven) }
            before = try old.head(proven)
            proof = try proven.prove(from: before, to: after)
            proof.checkpoint = newest?.note.note ?? new?.text ?? after.text
        } catch {
            throw CommandFailure(error)
        }
        if let out { try ProofFile.write(proof.text, to: out) }
        tell(before, after, proof)
    }
    private func tell(_ old: TreeHead, _ new: TreeHead, _ proof: ProofText.Consistency) {
        guard !format.json else {
            return JSON.object([
                JSON.Member("old", old.json), JSON.Member("new", new.json),
                JSON.Member("consistent", .bool(true)),
                JSON.Member("proof", .array(proof.hashes.map { .string($0.base64) })),
            ]).print()
        }
        Console.print(
            "consistent: the log of \(new.size) events begins with the one of \(old.size)")
        var facts = Facts()
        facts.add("origin", new.origin)
        facts.add("root then", old.root.base64)
        facts.add("root now", new.root.base64)
        facts.print()
    }

    /// A tree as somebody names it.
    private enum Tree {
        case size(UInt64)
        case saved(path: String, text: String)

        init(_ word: String) throws(CommandFailure) {
            guard word.allSatisfy(\.isASCIIDigit) else {
                self = .saved(path: word, text: try ProofFile.read(word))
                return
            }
            guard let size = word.treeSize else {
                throw CommandFailure(
                    .usage,
                    "\"\(word)\" is no number of events: say one such as 1000, without zeros in front"
                )
            }
            self = .size(size)
        }
        var text: String? {
            guard case .saved(_, let text) = self else { return nil }
            return text
        }
        func head(_ proven: ProvenLog) throws(AuditFailure) -> TreeHead {
            switch self {
            case .size(let size): try proven.tree.head(of: size)
            case .saved(let path, let text): try proven.trusted.head(of: text, path)
            }
        }
    }
}

extension TreeHead {
    var json: JSON {
        .object([
            JSON.Member("origin", .string(origin)),
            JSON.Member("size", .integer(Int64(clamping: size))),
            JSON.Member("root", .string(root.base64)),
        ])
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}

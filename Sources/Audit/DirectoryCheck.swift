import Events
import Journal

/// Checks a ledger's files as they lie there, with no daemon or beside one: every page, every event and name, the
/// tree made anew from the events, and all that was signed or kept of it. What is wrong is located.
package struct DirectoryCheck {
    package struct Request {
        package var directory: String
        /// Whether a daemon serves it.
        package var isServed: Bool
        /// Whose signatures are believed, if not those of the directory's own key.
        package var keys: [VerifierKey]
        /// Checkpoints that somebody has saved, with what to call them.
        package var saved: [(name: String, head: TreeHead)]

        package init(
            directory: String, isServed: Bool, keys: [VerifierKey] = [],
            saved: [(name: String, head: TreeHead)] = []
        ) {
            self.directory = directory
            self.isServed = isServed
            self.keys = keys
            self.saved = saved
        }
    }
    /// One thing that is not what it should be.
    package struct Finding: Sendable {
        /// Which page, event, tile or file.
        package var place: String
        package var flaw: String
        package var fix: String
    }
    package struct Report: Sendable {
        package var findings: [Finding] = []
        package var ledger = ""
        /// What was read whole.
        package var events: UInt64 = 0
        package var names = 0
        package var tiles = 0
        package var root: TreeHash?
        /// The checkpoints whose roots are those of the events, by their names.
        package var agreed: [(name: String, size: UInt64)] = []
        /// Files whose signature says something, with whose it is, where no key at hand has made it.
        package var unchecked: [(name: String, signer: String)] = []
        /// Of the checkpoint that was signed here; nil where none was.
        package var origin: String?
        package var isSignatureChecked: Bool { hasSigned && unchecked.isEmpty }
        var hasSigned = false
        package var hasTree = true
        package var isBackup = false
        package var books = 0
        /// Events that stand in the ring and not yet in the journal.
        package var waiting: UInt64 = 0
        package var wasEnded = false
    }
    let request: Request
    var report = Report()

    /// More of one kind say nothing new.
    private static let findingsMax = 100
    private static let restore = "keep the directory as it is, and restore it from a backup"

    /// - Parameter watch: hears how many of how many events are read, and says whether to go on.
    package static func run(
        _ request: Request, _ watch: (_ done: UInt64, _ of: UInt64) -> Bool
    ) throws(AuditFailure) -> Report {
        var check = DirectoryCheck(request: request)
        try check.run(watch)
        return check.report
    }
    private init(request: Request) { self.request = request }

    private mutating func run(_ watch: (UInt64, UInt64) -> Bool) throws(AuditFailure) {
        // Before the log, which only grows meanwhile.
        var heads = request.saved
        let own = ownKey()
        for name in ["tree.signed", "tree.cosigned"] {
            if let head = signedHead(name, own) { heads.append((name, head)) }
        }
        let log: DirectoryLog
        do throws(AuditFailure) {
            log = try DirectoryLog(request.directory, everyPage: true)
        } catch {
            guard error.kind == .damaged else { throw error }
            return locate(error)
        }
        report.ledger = log.ledgerID.description
        try readEvents(log, heads, watch)
        lookAtMarker(log)
        lookAtOrigins(log, own)
        lookAtPersonal(log)
        lookAtNames(log)
        // They are held against the events, which must be whole for that.
        if report.root != nil { lookAtBooks(log) }
        lookAtRing(log)
    }
    mutating func found(_ place: String, _ flaw: String, fix: String) {
        guard report.findings.count < Self.findingsMax else { return }
        report.findings.append(Finding(place: place, flaw: flaw, fix: fix))
    }

    // MARK: The events and their tree

    private mutating func readEvents(
        _ log: DirectoryLog, _ heads: [(name: String, head: TreeHead)],
        _ watch: (UInt64, UInt64) -> Bool
    ) throws(AuditFailure) {
        var check = LogCheck(log)
        var tiles: [(tile: TreeTile, kept: KeptTile)] = []
        let last = log.lastSeq
        var sizes = heads.filter { $0.head.size <= last }.sorted { $0.head.size < $1.head.size }
        sizes.append(("", TreeHead(origin: "", size: last, root: .ofNothing)))
        do throws(AuditFailure) {
            for (name, head) in sizes {
                let goesOn = try check.read(through: head.size, tick: { watch($0, last) }) { tile in
                    let kept = KeptTile(log, tile)
                    if kept != .same, tiles.count < Self.findingsMax { tiles.append((tile, kept)) }
                    if kept != .none { report.tiles += 1 }
                }
                guard goesOn else {
                    report.wasEnded = true
                    break
                }
                if !name.isEmpty { compare(name, head, check.edge.root) }
            }
        } catch {
            guard error.kind == .damaged else { throw error }
            locate(error)
        }
        report.events = check.seq
        report.names = check.nameCount
        let isWhole = check.seq == last
        if isWhole { report.root = check.edge.root }
        for (name, head) in heads where head.size > last {
            found(
                name,
                "it was signed of \(head.size) events, and the log ends with event \(last): events were "
                    + "left out at its end",
                fix: Self.restore)
        }
        lookAtTiles(tiles)
        if isWhole { compareEdge(log, check.edge) }
    }
    private mutating func locate(_ failure: AuditFailure) {
        var place = failure.seq.map { "event \($0)" } ?? "journal/data.mdb"
        if let at = failure.seq.flatMap({ Inspection.place(of: $0, in: request.directory) }) {
            place += " (page \(at.page) of journal/data.mdb, from byte \(at.offset) on)"
        }
        found(place, failure.message, fix: Self.restore)
    }
    private mutating func compare(_ name: String, _ head: TreeHead, _ root: TreeHash) {
        guard root != head.root else { return report.agreed.append((name, head.size)) }
        found(
            name,
            "it is of \(head.size) events with the root \(head.root.base64), and the first \(head.size) "
                + "events here have the root \(root.base64): one of them was changed since, or left out",
            fix: Self.restore)
    }

    /// How a tile in the table compares with the events.
    private enum KeptTile: Equatable {
        case same, none, missing, another

        init(_ log: DirectoryLog, _ tile: TreeTile) {
            do throws(JournalError) {
                self = try log.inspection.readProjection(.tree) { rows, _ throws(LMDBError) in
                    let kept = try MerkleTree.root(rows, level: tile.level, index: tile.index)
                    return kept == nil ? .missing : kept == tile.root ? .same : .another
                }
            } catch {
                // A ledger that an older tollgate wrote last keeps no tree.
                self = error.kind == .format ? .none : .another
            }
        }
    }
    private mutating func lookAtTiles(_ tiles: [(tile: TreeTile, kept: KeptTile)]) {
        for (tile, kept) in tiles {
            guard kept != .none else {
                report.hasTree = false
                return
            }
            let seqs = tile.seqs
            // Whoever signed the events as they are cannot have had this row.
            let witness = report.agreed.first { $0.size >= seqs.upperBound }
            let flaw =
                kept == .missing
                ? "its root is missing from the table of the tree"
                : "the root that is kept of it is not that of its events"
            found(
                "tile \(tile.index) of level \(tile.level) (events \(seqs.lowerBound) to \(seqs.upperBound))",
                witness.map {
                    "\(flaw). The events agree with \($0.name), so it is the table that was changed"
                }
                    ?? "\(flaw): one of them was changed together with its checksum, or the table was",
                fix: Self.restore)
        }
    }
    private mutating func compareEdge(_ log: DirectoryLog, _ edge: TreeEdge) {
        let place = "the right edge of the tree (events up to \(edge.size))"
        do throws(JournalError) {
            guard let isSame = try log.keepsTree(edge) else {
                report.hasTree = false
                return
            }
            guard !isSame else { return }
            found(place, "what is kept of it is not what the events make", fix: Self.restore)
        } catch {
            found(place, error.message, fix: Self.restore)
        }
    }

    // MARK: What stands beside the events

    /// What a backup says of itself: of its journal and its other files, down to the last byte.
    private mutating func lookAtMarker(_ log: DirectoryLog) {
        do throws(JournalError) {
            guard let marker = try BackupMarker.read(in: request.directory) else { return }
            report.isBackup = true
            for (what, found, said) in [
                ("ledger", log.ledgerID.description, marker.ledger),
                ("last event", String(log.lastSeq), String(marker.seq)),
                ("root", report.root?.base64 ?? marker.root, marker.root),
            ] where found != said {
                self.found(
                    BackupMarker.fileName,
                    "it says that the \(what) is \(said), and here it is \(found)",
                    fix:
                        "this is no backup any more, or its files are of different ones: use another"
                )
            }
            // What was restored has been opened for writing since.
            guard marker.stage == .backup else { return }
            for file in marker.files where try !file.isWhole(in: request.directory) {
                found(
                    file.name, "its SHA-256 is not the one in \(BackupMarker.fileName)",
                    fix:
                        "a byte of it was changed since the backup, perhaps one that nothing uses: use another "
                        + "backup, and check the disk (dmesg, smartctl)")
            }
        } catch {
            found(BackupMarker.fileName, error.message, fix: "use another backup")
        }
    }
    private mutating func lookAtPersonal(_ log: DirectoryLog) {
        // What a daemon is just writing cannot be read yet.
        guard !request.isServed else { return }
        let flaw: String?
        do throws(JournalError) {
            flaw = try PersonalFile(reading: request.directory, ledger: log.ledgerID)?
                .firstUnreadable().map { "the record at byte \($0) cannot be read" }
        } catch {
            flaw = error.message
        }
        guard let flaw else { return }
        found(
            "personal", flaw,
            fix:
                "the log is whole; but what its commitments stand for cannot be told without it: put it back from "
                + "a backup, and check the disk (dmesg, smartctl)")
    }
    private mutating func lookAtNames(_ log: DirectoryLog) {
        do throws(JournalError) { _ = try log.inspection.checkNames() } catch {
            found("the table of names", error.message, fix: Self.restore)
        }
    }
    private mutating func lookAtBooks(_ log: DirectoryLog) {
        do throws(JournalError) {
            for book in try log.inspection.checkpoints() {
                report.books += 1
                guard let flaw = book.flaw else { continue }
                found(
                    "checkpoints/\(book.seq).book", flaw,
                    fix:
                        "nothing is lost: remove the file, and the next start folds from an older one or from "
                        + "the first event; check the disk (dmesg, smartctl)")
            }
        } catch {
            found("checkpoints", error.message, fix: Self.restore)
        }
    }
    /// A daemon stages into the ring while we look, so what does not fit then says nothing.
    private mutating func lookAtRing(_ log: DirectoryLog) {
        guard !request.isServed else { return }
        do throws(JournalError) {
            switch try log.inspection.ring() {
            case .none: break
            case .whole(_, let waiting): report.waiting = waiting
            case .damaged(let flaw):
                found(
                    "ring", flaw,
                    fix:
                        "the next start keeps it aside and goes on without what stood only there; check the disk "
                        + "(dmesg, smartctl)")
            }
        } catch {
            found("ring", error.message, fix: Self.restore)
        }
    }
}

extension TreeTile {
    /// The events below it.
    var seqs: ClosedRange<UInt64> {
        let width = UInt64(1) << UInt64(TreeTile.height * level)
        return index * width + 1...(index + 1) * width
    }
}

import Journal

extension Backup {
    /// Reads a backup as a restore does.
    ///
    /// - Returns: what a restore goes on in spite of.
    /// - Throws: what it refuses the backup for.
    package static func check(
        _ directory: String, _ marker: BackupMarker
    ) throws(JournalError) -> [String] {
        guard let copy = try CheckedCopy(of: directory, { _, _ in true }) else { return [] }
        try marker.compare(with: copy, of: directory)
        var notes: [String] = []
        for file in marker.files {
            if let flaw = try file.flaw(in: directory) { notes.append(flaw) }
        }
        return notes
    }
}

extension BackupMarker {
    /// - Throws: when the log is not the one of which the marker tells.
    func compare(with copy: CheckedCopy, of directory: String) throws(JournalError) {
        let inspection = copy.inspection
        for (what, found, said) in [
            ("ledger", inspection.ledgerID.description, ledger),
            ("last event", String(inspection.lastSeq), String(seq)),
            ("epoch", String(inspection.lastEpoch), String(epoch)),
            ("tree's root", copy.root, root),
        ] where found != said {
            throw JournalError(
                .damaged,
                "\(directory) contradicts itself: its \(what) is \(found), and its "
                    + "\(BackupMarker.fileName) says \(said). Use another backup")
        }
    }
}

extension BackupMarker.File {
    /// A book can be folded anew from the log, so none is needed.
    var isCheckpoint: Bool { name.hasPrefix("checkpoints/") }

    /// That it is gone, where the log can be read without it; nil when it is there.
    ///
    /// - Throws: when it is gone and is the log.
    func loss(in directory: String) throws(JournalError) -> String? {
        let path = "\(directory)/\(name)"
        guard !BackupFiles.exists(path) else { return nil }
        guard name != BackupFiles.journal else {
            throw JournalError(.damaged, "\(path) is gone, and with it the log: use another backup")
        }
        guard name == BackupFiles.personal else { return "\(path) is gone" }
        return byteCount <= PersonalFile.headerBytes
            ? "\(path) is gone, which held nothing"
            : "\(path) is gone: what the log has only commitments of cannot be told without it"
    }
    /// What is wrong with it, though the log may be whole; nil when nothing is.
    ///
    /// - Throws: when it is needed and cannot be read.
    func flaw(in directory: String) throws(JournalError) -> String? {
        if let loss = try loss(in: directory) { return loss }
        do throws(JournalError) {
            return try isWhole(in: directory) ? nil : changed(in: directory)
        } catch {
            guard isCheckpoint else { throw error }
            return error.message
        }
    }
    func changed(in directory: String) -> String {
        "\(directory)/\(name) is not byte for byte what was backed up"
    }
}

import Events
import Glibc

/// `backup.json`: what a backup holds, and in a directory that was restored from one, that nobody has
/// begun to serve it yet.
///
/// It is written last, so a directory that has it is whole. While it is there no daemon starts by
/// accident: two that went on from one log would give out the same names and count apart.
package struct BackupMarker: Sendable, Equatable {
    package enum Stage: String, Sendable {
        /// A backup, never served itself.
        case backup
        /// A restore is under way, or was ended in the middle.
        case restoring
        /// Whole, and waits for `serve --from-backup`.
        case restored
    }
    package struct File: Sendable, Equatable {
        /// From the directory on: `journal/data.mdb`.
        package var name: String
        package var byteCount: Int
        /// SHA-256 in hexadecimal.
        package var digest: String
        package init(name: String, byteCount: Int, digest: String) {
            self.name = name
            self.byteCount = byteCount
            self.digest = digest
        }
    }
    package var stage: Stage
    /// 32 hexadecimal digits.
    package var ledger: String
    /// The last event, its epoch and its time.
    package var seq: UInt64
    package var epoch: UInt32
    package var time: Instant
    /// Of the tree over all its events, in base64.
    package var root: String
    /// When it was taken, by the clock of the machine that took it.
    package var taken: Instant
    package var files: [File]

    package init(
        stage: Stage, ledger: String, seq: UInt64, epoch: UInt32, time: Instant, root: String,
        taken: Instant, files: [File]
    ) {
        self.stage = stage
        self.ledger = ledger
        self.seq = seq
        self.epoch = epoch
        self.time = time
        self.root = root
        self.taken = taken
        self.files = files
    }

    package static let fileName = "backup.json"
    private static let format: Int64 = 1
    private static let bytesMax = 1 << 20

    package static func path(in directory: String) -> String { "\(directory)/\(fileName)" }

    /// The marker of a directory; nil when it has none.
    package static func read(in directory: String) throws(JournalError) -> BackupMarker? {
        let path = path(in: directory)
        guard let size = fileSize(path) else { return nil }
        let broken = JournalError(
            .damaged, "\(path) is damaged or not ours: restore another copy of the backup")
        guard size <= bytesMax else { throw broken }
        let text = try BackupFiles.contents(path)
        guard let json = try? JSON(parsing: text.bytes) else { throw broken }
        guard json["format"]?.integer == format else {
            guard let number = json["format"]?.integer else { throw broken }
            throw JournalError(
                .format,
                "\(path) is of format \(number): use the tollgate that wrote it, or a later one")
        }
        guard let marker = BackupMarker(json) else { throw broken }
        return marker
    }
    private init?(_ json: JSON) {
        func instant(_ name: String) -> Instant? {
            json[name]?.string?.withBytes { Instant(parsing: $0) }
        }
        guard let stage = json["stage"]?.string.flatMap(Stage.init(rawValue:)),
            let ledger = json["ledger"]?.string, let root = json["root"]?.string,
            let seq = json["seq"]?.integer.flatMap(UInt64.init(exactly:)),
            let epoch = json["epoch"]?.integer.flatMap(UInt32.init(exactly:)),
            let time = instant("time"), let taken = instant("taken"),
            let list = json["files"]?.array
        else { return nil }
        var files: [File] = []
        for item in list {
            guard let name = item["name"]?.string, BackupFiles.isOurs(name),
                let bytes = item["bytes"]?.integer, bytes >= 0,
                let digest = item["sha256"]?.string
            else { return nil }
            files.append(File(name: name, byteCount: Int(bytes), digest: digest))
        }
        guard files.contains(where: { $0.name == BackupFiles.journal }) else { return nil }
        self.init(
            stage: stage, ledger: ledger, seq: seq, epoch: epoch, time: time, root: root,
            taken: taken, files: files)
    }

    /// Writes it durably, in the place of the one that is there.
    package func write(in directory: String) throws(JournalError) {
        var text = ByteBuffer(capacity: 1_024)
        text.append(
            canonical: .object([
                JSON.Member("format", .integer(BackupMarker.format)),
                JSON.Member("stage", .string(stage.rawValue)),
                JSON.Member("ledger", .string(ledger)),
                JSON.Member("seq", .integer(Int64(clamping: seq))),
                JSON.Member("epoch", .integer(Int64(epoch))),
                JSON.Member("time", .string(time.description)),
                JSON.Member("root", .string(root)),
                JSON.Member("taken", .string(taken.description)),
                JSON.Member(
                    "files",
                    .array(
                        files.map {
                            .object([
                                JSON.Member("name", .string($0.name)),
                                JSON.Member("bytes", .integer(Int64($0.byteCount))),
                                JSON.Member("sha256", .string($0.digest)),
                            ])
                        })),
            ]))
        text.append("\n")
        try BackupFiles.write(text.bytes, to: BackupMarker.path(in: directory))
        try BackupFiles.syncDirectory(directory)
    }
}

extension BackupMarker {
    /// What a start finds: nil for an ordinary directory, the marker for one that begins anew from a
    /// backup.
    ///
    /// - Parameter isMeant: whether somebody has said that it is to go on from a backup.
    static func check(_ directory: String, isMeant: Bool) throws(JournalError) -> BackupMarker? {
        guard let marker = try read(in: directory) else {
            guard !isMeant else {
                throw JournalError(
                    .usage,
                    "\(directory) is not fresh from a backup: leave out --from-backup, which is for the "
                        + "first start after 'tollgate restore'")
            }
            return nil
        }
        let what = "a backup of ledger \(marker.ledger) that ends at seq \(marker.seq)"
        switch marker.stage {
        case .backup:
            throw JournalError(
                .usage,
                "\(directory) is \(what), and stays one: say 'tollgate restore \(directory) DIR' and "
                    + "serve that DIR")
        case .restoring:
            throw JournalError(
                .usage,
                "restoring \(directory) from \(what) did not come to its end: say 'tollgate restore' again"
            )
        case .restored:
            guard isMeant else {
                throw JournalError(
                    .usage,
                    "\(directory) was restored from \(what). Two copies must not run as one ledger: make "
                        + "sure that the original has stopped for good, then say --from-backup, this once"
                )
            }
            return marker
        }
    }
}

import Audit
import CLinux
import Events
import Glibc

/// Where an export goes.
///
/// A file is FILE.part until it is whole. FILE.part.note says of which job it is and how far it is on the
/// disk; what stands behind that, a torn row among it, is cut off when the export goes on.
final class ExportFile {
    let path: String?
    private let part: WholeWriter
    private var digest = FileDigest()
    private var noted = 0

    /// After how many bytes the note is written anew: what a killed export has to do again at most.
    private static let noteBytes = 64 << 20

    /// Writes to stdout, where nothing can be taken back.
    init() {
        path = nil
        part = WholeWriter(descriptor: STDOUT_FILENO, "stdout")
    }
    /// Begins a file.
    ///
    /// - Parameter canResume: whether what is left of it would be any use.
    init(creating path: String, replaces: Bool, canResume: Bool = true) throws(CommandFailure) {
        // What is there without a note cannot go on.
        let takesPart = !canResume && access(path + Self.noteSuffix, F_OK) != 0
        try Self.check(path, replaces: replaces, takesPart: takesPart, canResume: canResume)
        self.path = path
        part = try WholeWriter(
            path + Self.partSuffix, O_RDWR | O_CREAT | (replaces || takesPart ? 0 : O_EXCL))
        try part.lock()
        unlink(path + Self.noteSuffix)
        try part.cut(to: 0)
    }
    /// Goes on with a file, behind what its note says is whole.
    init(
        resuming path: String, _ note: ExportNote, _ progress: StepProgress
    ) throws(CommandFailure) {
        let mark = note.mark
        self.path = path
        part = try WholeWriter(path + Self.partSuffix, O_RDWR)
        try part.lock()
        try part.read(mark.bytes) { bytes in
            digest.add(bytes)
            progress.show(part.count)
        }
        // What is there will be signed, so it must be what was written.
        guard digest.value.hex == note.sha256 else {
            throw CommandFailure(
                .data,
                "\(path)\(Self.partSuffix) is not as it was left: the SHA-256 of its first \(mark.bytes) "
                    + "bytes is \(digest.value.hex), and its note says \(note.sha256); say --force instead "
                    + "of --resume, which begins anew")
        }
        try part.cut(to: mark.bytes)
        noted = mark.bytes
    }
    private static let partSuffix = ".part"
    private static let noteSuffix = ".part.note"
    static let manifestSuffix = ".manifest"

    /// The note of an unfinished export of that name; nil where there is none.
    static func note(of path: String) throws(CommandFailure) -> ExportNote? {
        guard access(path + partSuffix, F_OK) == 0 else { return nil }
        // Without its note, nobody knows how far it is either.
        let text = (try? InputFile.text(path + noteSuffix)) ?? ""
        do throws(AuditFailure) { return try ExportNote(parsing: text, path + noteSuffix) } catch {
            throw CommandFailure(error)
        }
    }

    var sha256: TreeHash { digest.value }
    var count: Int { part.count }

    /// Writes out and empties a buffer.
    func write(_ buffer: inout ByteBuffer) throws(CommandFailure) {
        try part.write(buffer.bytes)
        if path != nil { digest.add(buffer.bytes) }
        buffer.removeAll()
    }
    /// Notes how far the export is, when it has come far since the last time.
    func note(_ note: ExportNote) throws(CommandFailure) {
        if part.count - noted >= Self.noteBytes { try keep(note) }
    }
    func keep(_ note: ExportNote) throws(CommandFailure) {
        guard let path else { return }
        try part.flush()
        try WholeWriter.replace(path + Self.noteSuffix, with: note.text)
        noted = note.mark.bytes
    }
    /// Leaves an export that ends early as its note says; where there is no room for a new one, the last one
    /// holds.
    func leave(_ note: ExportNote) {
        guard path != nil else { return }
        // What is cut off may be the room that the note needs.
        try? part.cut(to: note.mark.bytes)
        try? keep(note)
    }
    /// Takes a file away of which nothing is written yet.
    func discard() {
        guard let path else { return }
        unlink(path + Self.partSuffix)
        unlink(path + Self.noteSuffix)
    }
    /// Writes the manifest and gives the file its name.
    func finish(manifest: String) throws(CommandFailure) {
        guard let path else { return }
        try part.flush()
        try WholeWriter.replace(path + Self.manifestSuffix, with: manifest)
        try part.rename(to: path)
        unlink(path + Self.noteSuffix)
        WholeWriter.flushDirectory(of: path)
    }

    private static func check(
        _ path: String, replaces: Bool, takesPart: Bool, canResume: Bool
    ) throws(CommandFailure) {
        // Its note and its manifest stand beside it, so behind a symlink nobody would find them.
        guard try OutputPlace.file(path) == path else {
            throw CommandFailure(.usage, "--out \(path) is a symbolic link: name the file itself")
        }
        guard !replaces else { return }
        // One that was killed at its very end has its manifest, and not yet its name.
        for there in [path, path + partSuffix, path + manifestSuffix]
        where access(there, F_OK) == 0 && !(takesPart && there == path + partSuffix) {
            throw CommandFailure(
                .cannotCreate,
                there == path + partSuffix && canResume
                    ? "\(there) is an export that did not come to its end: --resume goes on with it, "
                        + "--force begins anew"
                    : "\(there) is there already: say another --out, or --force")
        }
    }
}

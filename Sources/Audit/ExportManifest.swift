import Crypto
import Events

/// What an export says of itself, in a file of its own beside it: by which bytes it is known, which part of
/// which log it is, and under which root of the log's tree. `schemas/export.md` describes it.
package struct ExportManifest {
    package var file: String
    package var bytes: Int
    package var sha256: TreeHash
    package var rows: UInt64
    package var job: ExportJob
    package var firstSeq: UInt64
    package var lastSeq: UInt64
    /// Of all that could be read when the export was made; nil in a copy that has no tree.
    package var head: TreeHead?

    package init(
        file: String, sha256: TreeHash, job: ExportJob, mark: ExportMark, head: TreeHead?
    ) {
        (self.file, self.sha256, self.job, self.head) = (file, sha256, job, head)
        (bytes, rows) = (mark.bytes, mark.rows)
        (firstSeq, lastSeq) = (mark.firstSeq, mark.lastSeq)
    }

    /// The lines that a daemon is asked to sign.
    package var lines: String {
        """
        file \(file)
        bytes \(bytes)
        sha256 \(sha256.hex)
        rows \(rows)
        first-seq \(firstSeq)
        last-seq \(lastSeq)
        \(job.text)
        """ + (head.map { "checkpoint \($0.size) \($0.root.base64)\n" } ?? "")
    }
    /// The same, where there is nobody to sign it.
    package func unsigned(_ origin: String, why: String) -> String {
        "\(Notary.manifestTitle)\nlog \(origin)\nunsigned \(why)\n\(lines)"
    }
}

/// A manifest that was read back, to be compared with its export.
package struct WrittenManifest {
    package let note: SignedNote
    package let origin: String
    package let bytes: Int
    package let sha256: String
    package let rows: UInt64
    /// The log's head that it names.
    package let head: TreeHead?
    /// What the export is called and what it is of, for people.
    package let file: String
    package let scope: String
    /// Why nobody has signed it, where it says that itself: it was made of a copy.
    package let unsigned: String?

    package init(parsing text: String) throws(AuditFailure) {
        // A note ends its text with an empty line; a manifest that nobody has signed has none.
        note = text.contains("\n\n") ? try SignedNote(parsing: text) : SignedNote(text: text)
        let lines = NamedLines(note.text)
        guard note.text.hasPrefix(Notary.manifestTitle + "\n"), let origin = lines["log"],
            let bytes = lines["bytes"].flatMap({ Int($0) }), let sha256 = lines["sha256"],
            let rows = lines.number("rows")
        else {
            throw AuditFailure(
                .damaged,
                "this is no manifest of an export: it begins with \(Notary.manifestTitle) and has "
                    + "lines for log, bytes, sha256 and rows")
        }
        self.origin = String(origin)
        unsigned = lines["unsigned"].map { String($0) }
        file = String(lines["file"] ?? "")
        scope =
            ["range", "accounts", "types", "persons", "signed-for", "signed-at"].compactMap {
                name in
                lines[name].map { "\(name) \($0)" }
            }.joined(separator: ", ")
        (self.bytes, self.sha256, self.rows) = (bytes, String(sha256), rows)
        let words = (lines["checkpoint"] ?? "").split(separator: " ")
        head =
            if words.count == 2, let size = words[0].treeSize, let root = TreeHash(base64: words[1])
            { TreeHead(origin: self.origin, size: size, root: root) } else { nil }
    }
    package var isSigned: Bool { !note.signatures.isEmpty }
}

/// SHA-256 of a file as it is written, or read.
package struct FileDigest {
    private var hash = SHA256()

    package init() {}

    package mutating func add(_ bytes: Bytes) {
        hash.update(bufferPointer: UnsafeRawBufferPointer(start: bytes.base, count: bytes.count))
    }
    package var value: TreeHash {
        let digest = Array(hash.finalize())
        return digest.withUnsafeBytes { TreeHash(Bytes($0)) } ?? .ofNothing
    }
}

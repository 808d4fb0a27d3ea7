import Events
import Journal

package enum ExportFormat: String, CaseIterable, Sendable {
    case csv, jsonl, cloudevents, ocsf
}

/// Which events are exported.
package struct ExportFilter: Sendable {
    /// Accounts of which, and of what stands below them, events are wanted; empty for all.
    package var accounts: [String] = []
    /// Empty for all.
    package var types: [EventType] = []

    package init() {}

    package func wants(account path: String) -> Bool {
        accounts.isEmpty
            || accounts.contains { path == $0 || path.hasPrefix($0 + "/") }
    }
}

/// All that decides which bytes an export has, but the log itself: one job has one result, however often it
/// was interrupted.
package struct ExportJob: Sendable {
    /// The events that are looked at.
    package var range: ClosedRange<UInt64>
    /// The end as it was asked for; `range` has what the log had of it then.
    package var end = "its end"
    package var format = ExportFormat.csv
    package var columns = ExportField.columns
    package var filter = ExportFilter()
    /// Sums instead of events.
    package var level: ExportTotals.Level?
    /// Whether what commitments were made of is shown as long as it is kept.
    package var showsPersons = true

    package init(range: ClosedRange<UInt64>) { self.range = range }

    /// As manifests and the notes of unfinished exports have it: a line each.
    package var text: String {
        let fields = columns.map { "\($0.name)" }.joined(separator: ",")
        let types = filter.types.map { "\($0.name)" }.joined(separator: " ")
        return """
            format \(format.rawValue)
            fields \(level == nil ? fields : "sums by \(level?.rawValue ?? "")")
            accounts \(filter.accounts.isEmpty ? "all" : filter.accounts.joined(separator: " "))
            types \(types.isEmpty ? "all" : types)
            persons \(showsPersons ? "as kept" : "commitments")
            range \(range.lowerBound) \(range.upperBound)

            """
    }
}

/// How far an export is whole.
package struct ExportMark: Equatable, Sendable {
    package var bytes = 0
    /// The event to go on with.
    package var next: UInt64
    package var rows: UInt64 = 0
    /// Of the events that have rows; 0 while there is none.
    package var firstSeq: UInt64 = 0
    package var lastSeq: UInt64 = 0

    package init(next: UInt64) { self.next = next }
}

/// What is kept beside an unfinished export: which job it is of, and how far it is whole.
package struct ExportNote {
    package var ledger: LedgerID
    package var job: String
    package var mark: ExportMark
    /// As in the job.
    package var end: String
    /// Of the bytes that are whole, in hexadecimal digits: what goes on with them is signed with them.
    package var sha256: String

    private static let title = "tollgate/unfinished-export/v1\n"
    /// Of the digest over all that stands before it.
    private static let last = "note "

    package init(ledger: LedgerID, job: ExportJob, mark: ExportMark, sha256: TreeHash) {
        self.ledger = ledger
        self.job = job.text
        self.mark = mark
        end = job.end
        self.sha256 = sha256.hex
    }
    package var text: String {
        let lines = """
            \(Self.title)\(job)ledger \(ledger)
            asked-to \(end)
            bytes \(mark.bytes)
            sha256 \(sha256)
            next \(mark.next)
            rows \(mark.rows)
            first-seq \(mark.firstSeq)
            last-seq \(mark.lastSeq)

            """
        return lines + Self.last + Self.digest(lines) + "\n"
    }
    private static func digest(_ lines: String) -> String {
        lines.withBytes { TreeHash.sha256($0) }.hex
    }
    /// The lines, if they are as they were written.
    private static func whole(_ text: String) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count > 2, lines[lines.count - 1].isEmpty else { return nil }
        let body = lines.dropLast(2).map { $0 + "\n" }.joined()
        return lines[lines.count - 2] == last + digest(body) ? body : nil
    }
    package init(parsing text: String, _ name: String) throws(AuditFailure) {
        let fields = NamedLines(text)
        guard text.hasPrefix(Self.title), Self.whole(text) != nil,
            let cut = text.firstRange(of: "\nledger "),
            let ledger = fields["ledger"].flatMap({ LedgerID(String($0)) }),
            let asked = fields["asked-to"], let sha256 = fields["sha256"],
            let bytes = fields["bytes"].flatMap({ Int($0) }), bytes >= 0,
            let next = fields.number("next"), let rows = fields.number("rows"),
            let first = fields.number("first-seq"), let last = fields.number("last-seq")
        else {
            throw AuditFailure(
                .damaged,
                "\(name) cannot be read, so nobody knows how far the export is: say --force instead of "
                    + "--resume, which begins anew")
        }
        self.ledger = ledger
        job = text[..<cut.lowerBound].dropFirst(Self.title.count) + "\n"
        (end, self.sha256) = (String(asked), String(sha256))
        mark = ExportMark(next: next)
        (mark.bytes, mark.rows, mark.firstSeq, mark.lastSeq) = (bytes, rows, first, last)
    }

    /// The events that the job looks at.
    package var range: ClosedRange<UInt64>? {
        let words = (NamedLines(job)["range"] ?? "").split(separator: " ")
        guard words.count == 2, let first = UInt64(words[0]), let last = UInt64(words[1]),
            first <= last
        else { return nil }
        return first...last
    }
    /// The first thing in which another job differs.
    package func difference(from other: ExportJob) -> (here: String, there: String)? {
        let pairs = zip(job.split(separator: "\n"), other.text.split(separator: "\n"))
        return pairs.first { $0 != $1 }.map { (String($0), String($1)) }
    }
}

/// Lines of a name, a space and a value.
struct NamedLines {
    private let lines: [Substring]

    // By bytes: a combining mark that a name begins with is one character with the blank before it.
    init(_ text: String) {
        lines = text.utf8.split(separator: UInt8(ascii: "\n")).map { Substring($0) }
    }

    subscript(_ name: String) -> Substring? {
        lines.first { $0.utf8.starts(with: "\(name) ".utf8) }
            .map { Substring($0.utf8.dropFirst(name.utf8.count + 1)) }
    }
    func number(_ name: String) -> UInt64? { self[name]?.treeSize }
}

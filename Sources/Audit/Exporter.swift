import Events
import Journal

/// Turns a log, batch by batch, into the rows of an export.
package struct Exporter: ~Copyable {
    private let job: ExportJob
    private var reader: ExportReader
    private var writer: ExportWriter
    private var totals = ExportTotals()
    private var row = ExportRow()
    /// Which raw event types have rows; all when the filter names none.
    private let types: Set<UInt8>
    /// How far it is; whoever writes the rows says how many bytes they are.
    package private(set) var mark: ExportMark

    /// - Parameter mark: how far an earlier run has come; what its rows are joined with may be older.
    package init(_ source: any LogSource, _ job: ExportJob, from mark: ExportMark? = nil) {
        let mark = mark ?? ExportMark(next: job.range.lowerBound)
        self.mark = mark
        self.job = job
        reader = ExportReader(source, job, first: mark.next)
        writer = ExportWriter(job, ledger: "\(source.ledgerID)")
        types = Set(job.filter.types.map(\.rawValue))
    }

    /// Adds what stands before the first row.
    package func begin(into out: inout ByteBuffer) {
        if job.level == nil { writer.head(into: &out) }
    }
    /// Adds the rows of a batch's events, or adds the events up.
    package mutating func export(
        _ page: EventPage, into out: inout ByteBuffer
    ) throws(AuditFailure) {
        precondition(page.firstSeq == mark.next, "no event is left out")
        let isSummed = job.level != nil
        var seq = page.firstSeq
        for bytes in page.events {
            let event = try StoredEvent(audited: bytes, seq)
            seq += 1
            guard try reader.wants(event.header.account) else {
                try reader.passOther(event)
                continue
            }
            guard types.isEmpty || types.contains(event.header.type.rawValue) else {
                try reader.pass(event)
                continue
            }
            try reader.read(event, into: &row)
            if isSummed { totals.add(row) } else { writer.write(row, into: &out) }
            mark.rows += 1
            if mark.firstSeq == 0 { mark.firstSeq = event.header.seq }
            mark.lastSeq = event.header.seq
        }
        mark.next = seq
    }
    /// Adds the sums, where they are what is asked for.
    package mutating func end(into out: inout ByteBuffer) {
        guard let level = job.level else { return }
        let rows = totals.write(
            by: level, as: job.format, paths: { reader.path($0) }, into: &out)
        mark.rows = UInt64(rows)
    }
}

import Events
import Journal

/// Turns a log, batch by batch, into rows of an export.
package struct Exporter: ~Copyable {
    private let filter: ExportFilter
    private var reader: ExportReader
    private var writer: ExportWriter
    private var row = ExportRow()
    /// Which raw event types have rows; all when the filter names none.
    private let types: Set<UInt8>

    package private(set) var rows: UInt64 = 0
    package private(set) var firstSeq: UInt64?
    package private(set) var lastSeq: UInt64?

    /// - Parameter first: the first event that will be exported; what it is joined with may be older.
    package init(
        _ source: any LogSource, format: ExportFormat,
        columns: [ExportField.Column] = ExportField.columns, filter: ExportFilter = ExportFilter(),
        from first: UInt64
    ) {
        self.filter = filter
        reader = ExportReader(source, LogNames(source), filter, first: first)
        writer = ExportWriter(format, columns, ledger: "\(source.ledgerID)")
        types = Set(filter.types.map(\.rawValue))
    }

    /// What an earlier run has written already.
    package mutating func resume(rows: UInt64, firstSeq: UInt64?, lastSeq: UInt64?) {
        (self.rows, self.firstSeq, self.lastSeq) = (rows, firstSeq, lastSeq)
    }
    package func writeHead(into out: inout ByteBuffer) { writer.head(into: &out) }

    /// Adds the rows of a batch's events.
    package mutating func export(
        _ page: EventPage, into out: inout ByteBuffer
    ) throws(AuditFailure) {
        try each(page) { (row, writer) in writer.write(row, into: &out) }
    }
    /// Adds up a batch's events instead.
    package mutating func count(
        _ page: EventPage, into totals: inout ExportTotals
    ) throws(AuditFailure) {
        try each(page) { (row, _) in totals.add(row) }
    }
    /// The path of an account that was counted.
    package func path(_ number: AccountNumber) -> String { reader.path(number) }

    @inline(__always)
    private mutating func each(
        _ page: EventPage, _ body: (borrowing ExportRow, inout ExportWriter) -> Void
    ) throws(AuditFailure) {
        var seq = page.firstSeq
        for bytes in page.events {
            let event = try StoredEvent(audited: bytes, seq)
            seq += 1
            guard try reader.wants(event.header.account, filter) else { continue }
            guard types.isEmpty || types.contains(event.header.type.rawValue) else {
                try reader.pass(event)
                continue
            }
            try reader.read(event, into: &row)
            body(row, &writer)
            rows += 1
            if firstSeq == nil { firstSeq = event.header.seq }
            lastSeq = event.header.seq
        }
    }
}

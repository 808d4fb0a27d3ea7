import Events
import Glibc

extension ExportField {
    enum Kind { case number, money, text, time, hold, json }

    @inline(__always)
    var kind: Kind {
        switch self {
        case .seq, .inputTokens, .outputTokens, .cachedTokens, .cacheWriteTokens, .reasoningTokens,
            .latency, .askedInputTokens, .askedOutputTokens, .status, .count, .epoch, .price:
            .number
        case .cost, .replaced, .billed, .replacedBilled, .askedCost: .money
        case .timestamp: .time
        case .hold: .hold
        case .details: .json
        default: .text
        }
    }
    /// What OCSF has a place for, so that it does not stand among the unmapped, too.
    fileprivate var hasPlaceInOCSF: Bool {
        switch self {
        case .seq, .timestamp, .type, .action, .user, .resourceType, .resourceID, .status, .reason,
            .requestID, .ip, .userAgent, .latency, .key, .hold, .actor:
            true
        default: false
        }
    }
}

/// Writes rows in one of the formats.
struct ExportWriter: ~Copyable {
    let format: ExportFormat
    private let columns: [ExportField.Column]
    /// A bit for each field that was chosen, also of those that have no column of their own.
    private let chosen: UInt64
    /// `"name":` of each column, one behind the other.
    private var keys = ByteBuffer(capacity: 1_024)
    private var keyEnds: [Int] = []
    private let ledger: String
    private var time = TimeText()

    init(_ job: ExportJob, ledger: String) {
        format = job.format
        columns =
            format == .ocsf ? job.columns.filter { !$0.field.hasPlaceInOCSF } : job.columns
        chosen = job.columns.reduce(0) { $0 | 1 << UInt64($1.field.rawValue) }
        self.ledger = ledger
        for column in columns {
            keys.append(UInt8(ascii: "\""))
            keys.append(column.name)
            keys.append("\":" as StaticString)
            keyEnds.append(keys.count)
        }
    }

    /// Whether a row has a field, and the export may say it: what was left out stands in no other place either.
    private func shows(_ field: ExportField, _ row: borrowing ExportRow) -> Bool {
        chosen & 1 << UInt64(field.rawValue) != 0 && row.has(field)
    }

    /// What stands before the first row.
    func head(into out: inout ByteBuffer) {
        guard format == .csv else { return }
        for (i, column) in columns.enumerated() {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            out.append(column.name)
        }
        out.append("\r\n" as StaticString)
    }
    mutating func write(_ row: borrowing ExportRow, into out: inout ByteBuffer) {
        switch format {
        case .csv: csv(row, into: &out)
        case .jsonl:
            object(row, into: &out)
            out.append(UInt8(ascii: "\n"))
        case .cloudevents: cloudEvent(row, into: &out)
        case .ocsf: ocsf(row, into: &out)
        }
    }

    // MARK: CSV

    private mutating func csv(_ row: borrowing ExportRow, into out: inout ByteBuffer) {
        for i in columns.indices {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            let field = columns[i].field
            guard row.has(field) else { continue }
            switch field.kind {
            case .number: out.append(decimal: row.number(field))
            case .money: out.append(Nanodollars(row.number(field)))
            case .time: time.append(row.number(field), to: &out)
            case .hold: out.append(row.hold)
            case .text, .json: out.append(cell: row.text(field))
            }
        }
        out.append("\r\n" as StaticString)
    }

    // MARK: JSON

    private mutating func object(_ row: borrowing ExportRow, into out: inout ByteBuffer) {
        out.append(UInt8(ascii: "{"))
        var start = 0
        var isFirst = true
        for i in columns.indices {
            let (key, field) = (keys.bytes.slice(start, keyEnds[i]), columns[i].field)
            start = keyEnds[i]
            guard row.has(field) else { continue }
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            out.append(key)
            value(row, field, into: &out)
        }
        out.append(UInt8(ascii: "}"))
    }
    @inline(__always)
    private mutating func value(
        _ row: borrowing ExportRow, _ field: ExportField, into out: inout ByteBuffer
    ) {
        switch field.kind {
        case .number: out.append(decimal: row.number(field))
        case .text: out.append(jsonText: row.text(field))
        case .json: out.append(row.text(field))
        case .money:
            out.append(UInt8(ascii: "\""))
            out.append(Nanodollars(row.number(field)))
            out.append(UInt8(ascii: "\""))
        case .time:
            out.append(UInt8(ascii: "\""))
            time.append(row.number(field), to: &out)
            out.append(UInt8(ascii: "\""))
        case .hold:
            out.append(UInt8(ascii: "\""))
            out.append(row.hold)
            out.append(UInt8(ascii: "\""))
        }
    }
    /// `,"name":` and the value, where the row has one.
    private mutating func member(
        _ name: StaticString, _ field: ExportField, _ row: borrowing ExportRow,
        into out: inout ByteBuffer
    ) {
        guard shows(field, row) else { return }
        out.append(",\"" as StaticString)
        out.append(name)
        out.append("\":" as StaticString)
        value(row, field, into: &out)
    }

    /// CloudEvents 1.0 in its JSON format, one event a line: `id` is the seq, unique within its `source`.
    private mutating func cloudEvent(_ row: borrowing ExportRow, into out: inout ByteBuffer) {
        out.append(#"{"specversion":"1.0","id":""# as StaticString)
        out.append(decimal: row.number(.seq))
        out.append(#"","source":"/tollgate/"# as StaticString)
        out.append(ledger)
        out.append(#"","type":"tollgate."# as StaticString)
        out.append(row.text(.type))
        out.append(#"","time":""# as StaticString)
        time.append(row.number(.timestamp), to: &out)
        out.append(UInt8(ascii: "\""))
        let field: ExportField = row.has(.key) ? .key : row.has(.team) ? .team : .org
        if shows(field, row) {
            out.append(#","subject":"# as StaticString)
            // The path of a key that nobody knows may hold anything.
            out.append(jsonText: row.path)
        }
        out.append(#","datacontenttype":"application/json","data":"# as StaticString)
        object(row, into: &out)
        out.append("}\n" as StaticString)
    }

    /// OCSF 1.1.0, class 6003 (API Activity): schema.ocsf.io/1.1.0/classes/api_activity.
    private mutating func ocsf(_ row: borrowing ExportRow, into out: inout ByteBuffer) {
        let activity = OCSFActivity(row.type)
        out.append(
            #"{"class_uid":6003,"class_name":"API Activity","category_uid":6,"category_name":"Application Activity","severity_id":1,"severity":"Informational","activity_id":"#
                as StaticString)
        out.append(decimal: activity.rawValue)
        out.append(#","activity_name":"# as StaticString)
        if activity == .other {
            out.append(jsonText: row.text(.action))
        } else {
            out.append(jsonText: Bytes(activity.name))
        }
        out.append(#","type_uid":"# as StaticString)
        out.append(decimal: 600_300 + activity.rawValue)
        out.append(#","time":"# as StaticString)
        out.append(decimal: row.number(.timestamp) / 1_000_000)
        let isRefused = row.type == .holdRefused || row.type == .refusalsSummed
        out.append(
            isRefused
                ? #","status_id":2,"status":"Failure""# as StaticString
                : #","status_id":1,"status":"Success""#)
        if shows(.status, row) {
            out.append(#","status_code":""# as StaticString)
            out.append(decimal: row.number(.status))
            out.append(UInt8(ascii: "\""))
        }
        member("status_detail", .reason, row, into: &out)
        member("duration", .latency, row, into: &out)
        out.append(
            #","metadata":{"version":"1.1.0","product":{"name":"Tollgate","vendor_name":"Tollgate"},"log_name":""#
                as StaticString)
        out.append(ledger)
        out.append(#"","uid":""# as StaticString)
        out.append(ledger)
        out.append(UInt8(ascii: "-"))
        out.append(decimal: row.number(.seq))
        out.append(#"","sequence":"# as StaticString)
        out.append(decimal: row.number(.seq))
        member("original_time", .timestamp, row, into: &out)
        member("event_code", .type, row, into: &out)
        member("correlation_uid", .hold, row, into: &out)
        out.append(#"},"actor":{"user":{"name":"# as StaticString)
        // The class demands somebody; where the caller told nobody it is whoever spoke to the daemon.
        let actor = shows(.actor, row) ? row.text(.actor) : Bytes("unknown")
        out.append(jsonText: shows(.user, row) ? row.text(.user) : actor)
        member("credential_uid", .key, row, into: &out)
        out.append(UInt8(ascii: "}"))
        member("invoked_by", .actor, row, into: &out)
        out.append(#"},"api":{"operation":"# as StaticString)
        out.append(jsonText: row.text(.type))
        out.append(#","service":{"name":"tollgate"}"# as StaticString)
        if shows(.requestID, row) {
            out.append(#","request":{"uid":"# as StaticString)
            out.append(jsonText: row.text(.requestID))
            out.append(UInt8(ascii: "}"))
        }
        if shows(.status, row) {
            out.append(#","response":{"code":"# as StaticString)
            out.append(decimal: row.number(.status))
            if isRefused { member("error", .reason, row, into: &out) }
            out.append(UInt8(ascii: "}"))
        }
        out.append(#"},"src_endpoint":{"# as StaticString)
        // As of the actor.
        let address = shows(.ip, row) ? row.text(.ip) : actor
        out.append(address.isAddress ? #""ip":"# as StaticString : #""name":"#)
        out.append(jsonText: address)
        out.append(UInt8(ascii: "}"))
        if shows(.userAgent, row) {
            out.append(#","http_request":{"user_agent":"# as StaticString)
            out.append(jsonText: row.text(.userAgent))
            out.append(UInt8(ascii: "}"))
        }
        if shows(.resourceID, row) {
            out.append(#","resources":[{"name":"# as StaticString)
            out.append(jsonText: row.text(.resourceID))
            member("type", .resourceType, row, into: &out)
            out.append("}]" as StaticString)
        } else if shows(.resourceType, row) {
            out.append(#","resources":[{"type":"# as StaticString)
            out.append(jsonText: row.text(.resourceType))
            out.append("}]" as StaticString)
        }
        out.append(#","unmapped":"# as StaticString)
        object(row, into: &out)
        out.append("}\n" as StaticString)
    }
}

extension Bytes {
    /// A caller's text may be anything, and may be a commitment.
    fileprivate var isAddress: Bool {
        // The longest is one of IPv6 that ends as one of IPv4.
        guard let base, count > 0, count <= 45 else { return false }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 46) { text in
            UnsafeMutableRawPointer(text.baseAddress!).copyMemory(from: base, byteCount: count)
            text[count] = 0
            var address = in6_addr()
            return inet_pton(AF_INET, text.baseAddress, &address) == 1
                || inet_pton(AF_INET6, text.baseAddress, &address) == 1
        }
    }
}

/// What OCSF's API Activity calls the things that are done.
enum OCSFActivity: Int64 {
    case create = 1
    case update = 3
    case delete = 4
    case other = 99

    var name: StaticString {
        switch self {
        case .create: "Create"
        case .update: "Update"
        case .delete: "Delete"
        case .other: "Other"
        }
    }
    init(_ type: EventType) {
        switch type {
        case .ledgerCreated, .orgCreated, .teamCreated, .keyCreated, .operatorCreated, .holdPlaced,
            .holdRefused, .refusalsSummed, .chargeRecorded, .creditGranted, .overrideGranted:
            self = .create
        case .keyRevoked, .operatorRevoked, .overrideEnded, .creditExpired, .holdReleased,
            .holdLapsed:
            self = .delete
        case .epochStarted, .windowOpened, .keyRotationDue: self = .other
        default: self = .update
        }
    }
}

/// RFC 3339 with nine decimals, as the log's JSON form has it. The calendar's part is the same for all
/// events of a second, and dear.
private struct TimeText: ~Copyable {
    private var second = Int64.min
    private var text = ByteBuffer(capacity: 40)

    mutating func append(_ nanoseconds: Int64, to out: inout ByteBuffer) {
        let now = Instant(nanoseconds: nanoseconds).second
        if now != second { remember(now) }
        out.append(text.bytes)
        out.append(decimal: nanoseconds &- now &* 1_000_000_000, width: 9)
        out.append(UInt8(ascii: "Z"))
    }
    @inline(never) private mutating func remember(_ now: Int64) {
        text.removeAll()
        text.append(Instant(seconds: now))
        // Without the Z, and a point instead.
        text.truncate(to: text.count - 1)
        text.append(UInt8(ascii: "."))
        second = now
    }
}

extension ByteBuffer {
    /// A JSON string; most need no escape, and are copied as they are.
    mutating func append(jsonText text: Bytes) {
        for i in 0..<text.count where text[i] < 0x20 || text[i] == 0x22 || text[i] == 0x5C {
            return append(quoted: text)
        }
        append(UInt8(ascii: "\""))
        append(text)
        append(UInt8(ascii: "\""))
    }
}

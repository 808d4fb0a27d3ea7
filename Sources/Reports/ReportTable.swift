import Events

/// One value of a report. Numbers stay exact until somebody prints them.
package enum ReportCell: Hashable, Sendable {
    case none
    case text(String)
    case count(Int64)
    /// In nano-dollars, or billionths of the unit of another currency.
    case money(Int64)
    /// Percents with one decimal, in tenths.
    case tenths(Int64)
    case instant(Instant)
}

/// What a report says: columns with names, and rows of as many cells.
package struct ReportTable: Sendable {
    package struct Column: Sendable {
        /// As CSV and JSON have it: `usd`.
        package var name: String
        package var isNumber: Bool
        /// Whether a table for people shows it; the other formats have every column.
        package var isShown: Bool

        package init(_ name: String, isNumber: Bool = false, isShown: Bool = true) {
            self.name = name
            self.isNumber = isNumber
            self.isShown = isShown
        }
        package static func number(_ name: String, isShown: Bool = true) -> Column {
            Column(name, isNumber: true, isShown: isShown)
        }
    }
    package var columns: [Column]
    package private(set) var rows: [[ReportCell]] = []
    /// The sum of the rows, where they have one; it stands in no CSV, whose readers add up themselves.
    package private(set) var total: [ReportCell]?

    package init(_ columns: [Column]) { self.columns = columns }

    package mutating func add(_ row: [ReportCell]) {
        precondition(row.count == columns.count, "one cell a column")
        rows.append(row)
    }
    package mutating func setTotal(_ row: [ReportCell]) {
        precondition(row.count == columns.count, "one cell a column")
        total = row
    }
    /// Whether the rows' shares do not add up to the total's.
    package var hasRoundedShares: Bool {
        guard let i = index(of: "share_percent"), case .tenths(let whole)? = total?[i] else {
            return false
        }
        let sum = rows.reduce(Int64(0)) { sum, row in
            if case .tenths(let tenths) = row[i] { sum &+ tenths } else { sum }
        }
        return sum != whole
    }
    package func index(of name: String) -> Int? { columns.firstIndex { $0.name == name } }
}

// MARK: CSV

extension ReportTable {
    /// RFC 4180: a heading, lines that end with CR LF, quotes where they are needed.
    package func writeCSV(into out: inout ByteBuffer) {
        for (i, column) in columns.enumerated() {
            if i > 0 { out.append(UInt8(ascii: ",")) }
            column.name.withBytes { out.append(cell: $0) }
        }
        out.append("\r\n" as StaticString)
        for row in rows {
            for (i, cell) in row.enumerated() {
                if i > 0 { out.append(UInt8(ascii: ",")) }
                switch cell {
                case .none: break
                case .text(let text): text.withBytes { out.append(cell: $0) }
                case .count, .money, .tenths, .instant: out.append(cell.plain)
                }
            }
            out.append("\r\n" as StaticString)
        }
    }
}

extension ReportCell {
    /// As CSV has it, unquoted; empty for none.
    package var plain: String {
        switch self {
        case .none: ""
        case .text(let text): text
        case .count(let count): "\(count)"
        case .money(let amount): Nanodollars(amount).description
        case .tenths(let tenths): ReportCell.decimal(tenths)
        case .instant(let instant): instant.description
        }
    }
    private static func decimal(_ tenths: Int64) -> String {
        let (whole, tenth) = tenths.magnitude.quotientAndRemainder(dividingBy: 10)
        return "\(tenths < 0 ? "-" : "")\(whole).\(tenth)"
    }
    /// Money as a string, so that nobody rounds it; counts and percents as numbers.
    package var json: JSON {
        switch self {
        case .none: .null
        case .text(let text): .string(text)
        case .count(let count): .integer(count)
        case .money, .instant: .string(plain)
        case .tenths: .number(plain)
        }
    }
    /// What part of a whole something is, rounded half away from nothing; none of nothing.
    package static func share(_ part: Int64, of whole: Int64) -> ReportCell {
        guard whole != 0 else { return .none }
        let scaled = Int128(part) * 1_000
        let half = Int128(whole.magnitude) / 2
        let sign: Int128 = (scaled < 0) == (whole < 0) ? 1 : -1
        let tenths = sign * ((Int128(scaled.magnitude) + half) / Int128(whole.magnitude))
        return .tenths(Int64(clamping: tenths))
    }
}

// MARK: JSON

extension ReportTable {
    package var json: JSON { .array(rows.map(object)) }
    package var totalJSON: JSON { total.map(object) ?? .null }

    private func object(_ row: [ReportCell]) -> JSON {
        .object(zip(columns, row).map { JSON.Member($0.name, $1.json) })
    }
}

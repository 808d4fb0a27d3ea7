/// An aligned table of texts: two spaces between columns, none at line ends.
struct Table {
    enum Alignment {
        case left
        case right
    }
    struct Column {
        var title: String
        var alignment: Alignment
        static func text(_ title: String) -> Column { Column(title: title, alignment: .left) }
        /// Money and counts: their last digits stand above one another.
        static func number(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }
    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    var isEmpty: Bool { rows.isEmpty }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "one cell a column")
        rows.append(cells.map(Table.inOneLine))
    }

    /// The lines, headings first.
    func lines(_ style: Style = .output) -> [String] {
        var widths = columns.map(\.title.count)
        for row in rows {
            for (i, cell) in row.enumerated() { widths[i] = max(widths[i], cell.count) }
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (i, cell) in cells.enumerated() {
                if i > 0 { text += "  " }
                text += cell.padded(to: widths[i], right: columns[i].alignment == .right)
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        return [style.paint(line(columns.map(\.title)), .bold)] + rows.map(line)
    }

    func print() {
        for line in lines() { Console.print(line) }
    }

    /// Names come from whoever may append them: no control character of theirs reaches a terminal.
    static func inOneLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
    }
}

/// Names and values, one pair a line; for one thing instead of many.
struct Facts {
    private var pairs: [(String, String)] = []

    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        pairs.append((name, Table.inOneLine(value)))
    }
    func print() {
        let width = pairs.map(\.0.count).max() ?? 0
        for (name, value) in pairs {
            let label = name.padded(to: width)
            Console.print(Style.output.paint(label, .dim) + "  " + value)
        }
    }
}

extension String {
    /// - Parameter right: whether it stands at the right end.
    func padded(to width: Int, right: Bool = false) -> String {
        let padding = String(repeating: " ", count: max(0, width - count))
        return right ? padding + self : self + padding
    }
}

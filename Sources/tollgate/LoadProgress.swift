import Glibc

/// A bar on stderr while a run is under way; nothing where stderr is no terminal.
struct LoadProgress {
    private let style = Style.errors
    private let title: String
    static let barCells = 28

    init(_ title: String) { self.title = title }

    func show(_ result: LoadResult) {
        guard style.isTerminal else { return }
        let answered = result.decisions
        let cells = result.planned > 0 ? Self.barCells * answered / result.planned : 0
        let bar = Self.bar(cells, of: Self.barCells)
        let text =
            "\(title) \(style.paint(bar, .green)) \(LoadReport.grouped(answered))"
            + "/\(LoadReport.grouped(result.planned))"
            + "  allowed \(LoadReport.grouped(result.allowed))"
            + "  refused \(LoadReport.grouped(result.refusedTotal))"
        Console.rewrite(text)
    }
    func clear() {
        guard style.isTerminal else { return }
        Console.rewrite("")
    }

    static func bar(_ full: Int, of cells: Int) -> String {
        let full = min(max(full, 0), cells)
        return String(repeating: "█", count: full) + String(repeating: "░", count: cells - full)
    }
}

/// How many of so many steps are done: a bar on stderr; nothing where stderr is no terminal.
struct StepProgress {
    private let title: String
    private let total: Int

    init(_ title: String, of total: Int) {
        self.title = title
        self.total = total
    }
    func show(_ done: Int) {
        guard Style.errors.isTerminal, total > 0 else { return }
        let bar = LoadProgress.bar(LoadProgress.barCells * done / total, of: LoadProgress.barCells)
        Console.rewrite(
            "\(title) \(Style.errors.paint(bar, .green)) \(LoadReport.grouped(done))"
                + "/\(LoadReport.grouped(total))")
    }
    func clear() { if Style.errors.isTerminal { Console.rewrite("") } }
}

extension Console {
    /// Replaces the current line of stderr and leaves the cursor in it.
    fileprivate static func rewrite(_ text: String) {
        let line = Array(("\r\u{1B}[K" + text).utf8)
        // A progress bar that cannot be written is no reason to stop.
        _ = Glibc.write(STDERR_FILENO, line, line.count)
    }
}

import Glibc

/// Asks before many events are appended at once.
enum Confirmation {
    /// Throws unless somebody said yes, with `--yes` or at the terminal.
    ///
    /// - Parameter mayAsk: false where stdin is taken by something else.
    static func ask(
        _ question: String, yes: Bool, mayAsk: Bool = true, doing: String = "append",
        undone: String = "nothing was appended"
    ) throws(CommandFailure) {
        if yes { return }
        guard mayAsk, isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                .usage,
                "nobody can be asked here: say --yes to \(doing)"
                    + (doing == "append" ? ", --dry-run to only look" : ""))
        }
        Console.note("\(question) [y/N]")
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
            throw CommandFailure(.failure, undone)
        }
    }
}

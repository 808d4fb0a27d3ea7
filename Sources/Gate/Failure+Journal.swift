import Events
import Journal

extension Failure {
    /// For what goes wrong with a ledger's files: whoever asks hears which file it is, and not where on this
    /// machine it lies, which the daemon's own log says.
    init(_ code: Code, _ text: String, of journal: Journal) {
        self.init(code, journal.withoutPlace(text))
    }
}

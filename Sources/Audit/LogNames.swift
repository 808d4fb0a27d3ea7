import Events
import Journal

/// What the numbers in events stand for, asked of a source a page at a time and remembered.
package final class LogNames: EventNames {
    private let source: any LogSource
    private var accounts = Known()
    private var models = Known()
    private var operators = Known()
    /// Why a name could not be had; who writes names out looks here before it believes them.
    package private(set) var failure: AuditFailure?

    package init(_ source: any LogSource) { self.source = source }

    package func accountName(_ number: AccountNumber) -> String? {
        name(.account, number.raw, \.accounts)
    }
    package func modelName(_ number: ModelNumber) -> String? {
        name(.model, number.raw, \.models)
    }
    package func operatorName(_ number: UInt32) -> String? {
        name(.operatorName, number, \.operators)
    }
    /// Throws what kept a name from being found.
    package func check() throws(AuditFailure) { if let failure { throw failure } }

    /// Names by number: numbers are dense, so pages of them are arrays.
    private struct Known {
        static let pageCount: UInt32 = 1_000
        var pages: [[String?]] = []
    }

    private func name(
        _ kind: NameKind, _ number: UInt32, _ known: ReferenceWritableKeyPath<LogNames, Known>
    ) -> String? {
        let (page, at) = (Int(number / Known.pageCount), Int(number % Known.pageCount))
        if page < self[keyPath: known].pages.count, at < self[keyPath: known].pages[page].count,
            let name = self[keyPath: known].pages[page][at]
        {
            return name
        }
        // An account may have been created since its page was asked for.
        do throws(AuditFailure) {
            let first = UInt32(page) * Known.pageCount
            var names: [String?] = []
            for (number, name) in try source.names(kind, from: first)
            where number >= first && number - first < Known.pageCount {
                while names.count < Int(number - first) { names.append(nil) }
                names.append(name)
            }
            while self[keyPath: known].pages.count <= page {
                self[keyPath: known].pages.append([])
            }
            self[keyPath: known].pages[page] = names
            if at < names.count, let name = names[at] { return name }
            failure = AuditFailure(
                .damaged,
                "the name of \(kind) \(number) is missing from the journal; restore it from a backup"
            )
        } catch {
            failure = error
        }
        return nil
    }
}

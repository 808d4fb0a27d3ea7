import Audit
import Events
import Gate
import Journal
import Ledger
import Reports

/// Where a report reads the roll-ups: from a running daemon, or from a directory as it lies there.
protocol RollupSource: AnyObject {
    /// What it takes for now.
    var now: Instant { get }
    /// One page. `account` is a path; nil for all that whoever asks may see.
    func page(
        _ query: RollupQuery, account: String?
    ) throws(CommandFailure) -> RollupAnswer
}

/// A daemon's, through its socket.
final class SocketRollups: RollupSource {
    let client: Client
    var now: Instant { .wallClock }

    init(_ client: Client) { self.client = client }

    func page(
        _ query: RollupQuery, account: String?
    ) throws(CommandFailure) -> RollupAnswer {
        var words = ["ROLLUPS", "from=\(query.from)"]
        if query.to != .distantFuture { words.append("to=\(query.to)") }
        if !query.by.isEmpty {
            words.append("by=" + query.by.map { "\($0.name)" }.joined(separator: ","))
        }
        if query.isByDaysOfZone { words.append("zone=\(query.zone)") }
        if query.parts != .all { words.append("with=\(query.parts.text)") }
        if let account { words.append("account=\(account)") }
        if let after = query.after { words.append("after=\(after)") }
        let json = try client.json(words)
        do throws(Failure) { return try RollupAnswer(json, by: query.by) } catch {
            throw CommandFailure(.protocolBroken, error.text)
        }
    }
}

/// Those of a data directory or a copy of one.
final class DirectoryRollups: RollupSource {
    let log: DirectoryLog
    /// A copy may be old: its present is its last event.
    var now: Instant { log.inspection.lastTime }
    private var numbers: [String: AccountNumber]?

    init(_ log: DirectoryLog) { self.log = log }

    func page(
        _ query: RollupQuery, account: String?
    ) throws(CommandFailure) -> RollupAnswer {
        var query = query
        query.dates = OrgDates(ZoneCalendar.foundation)
        query.account = try account.map { (path) throws(CommandFailure) in try number(of: path) }
        let result: Swift.Result<RollupAnswer, Failure>
        do throws(JournalError) {
            result = try log.inspection.readProjection(.rollups) {
                (rows, last) throws(LMDBError) in
                var reader = RollupReader()
                return try reader.answer(query, rows, last: last)
            }
        } catch {
            throw CommandFailure(AuditFailure(error))
        }
        do throws(Failure) { return try result.get() } catch {
            throw CommandFailure(.data, error.text)
        }
    }
    private func number(of path: String) throws(CommandFailure) -> AccountNumber {
        if numbers == nil {
            var found: [String: AccountNumber] = [:]
            for (number, name) in try accounts() { found[name] = number }
            numbers = found
        }
        guard let number = numbers?[path] else {
            throw CommandFailure(
                .failure,
                "no account \"\(path)\" in that directory; 'report spend --by org' shows orgs")
        }
        return number
    }
    /// All that the log names.
    func accounts() throws(CommandFailure) -> [(number: AccountNumber, name: String)] {
        var all: [(number: AccountNumber, name: String)] = []
        do throws(AuditFailure) {
            try log.forEachName(.account) { number, name in
                all.append((AccountNumber(number), name))
                return true
            }
            return all
        } catch {
            throw CommandFailure(error)
        }
    }
}

extension RollupSource {
    /// The hours of the very instants that dates are for each org, by org and one thing more: what days of a
    /// tag are held against.
    func hours(
        of spans: [RollupAnswer.Span], in query: RollupQuery, account: String?,
        by other: RollupQuery.Dimension
    ) throws(CommandFailure) -> RollupGroups {
        let by: [RollupQuery.Dimension] = other == .org ? [.org] : [.org, other]
        var groups = RollupGroups(by: by)
        guard let first = spans.map(\.from).min(), let last = spans.map(\.to).max() else {
            return groups
        }
        var query = query
        func ask(
            _ from: Instant, _ to: Instant, _ asked: [RollupQuery.Dimension]
        ) throws(CommandFailure) {
            guard from < to else { return }
            (query.from, query.to, query.by, query.after) = (from, to, asked, nil)
            repeat {
                let page = try page(query, account: account)
                if asked == by {
                    groups.add(page, asked: by, day: { _ in "" })
                } else {
                    groups.add(page, within: spans)
                }
                query.after = page.next
            } while query.after != nil
        }
        // Where all orgs' dates are over the hours need not be told apart.
        let inner = spans.map(\.from).max()!
        let outer = max(inner, spans.map(\.to).min()!)
        try ask(first, inner, [.hour] + by)
        try ask(inner, outer, by)
        try ask(outer, last, [.hour] + by)
        return groups
    }
    /// All pages of what is asked, summed as it is shown.
    func groups(
        _ query: RollupQuery, account: String?, by: [RollupQuery.Dimension], _ words: CalendarWords
    ) throws(CommandFailure) -> RollupGroups {
        var query = query
        query.by = RollupGroups.asked(for: by)
        query.zone = words.zone
        var groups = RollupGroups(by: by)
        var days: [Int64: String] = [:]
        func day(_ instant: Instant) -> String {
            let hour = instant.second / 900
            if let known = days[hour] { return known }
            let date = words.date(of: instant)
            days[hour] = date
            return date
        }
        repeat {
            let page = try page(query, account: account)
            groups.add(page, asked: query.by, day: day)
            query.after = page.next
        } while query.after != nil
        return groups
    }
}

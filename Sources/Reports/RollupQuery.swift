import Events

/// What a report wants to know of the roll-ups: of which time and accounts, and by what.
package struct RollupQuery: Sendable {
    package enum Dimension: CaseIterable, Sendable {
        case hour, day, org, team, key, model, provider, tier, user, project, env

        package var name: StaticString {
            switch self {
            case .hour: "hour"
            case .day: "day"
            case .org: "org"
            case .team: "team"
            case .key: "key"
            case .model: "model"
            case .provider: "provider"
            case .tier: "tier"
            case .user: "user"
            case .project: "project"
            case .env: "env"
            }
        }
        package var tag: TagKind? {
            switch self {
            case .user: .user
            case .project: .project
            case .env: .environment
            default: nil
            }
        }
    }
    /// Hours that begin from here on. Tags are counted by whole days of each org's own calendar: with them
    /// it is a date, as its midnight in UTC, and so is `to`.
    package var from = Instant(nanoseconds: 0)
    /// … and before this.
    package var to = Instant.distantFuture
    package var by: [Dimension] = []
    /// Only what stands at or below this account; nil for all.
    package var account: AccountNumber?
    /// Where a page left off: its `next`.
    package var after: RollupCursor?
    /// When dates begin in zones.
    package var dates = OrgDates.utc
    /// In which hours are summed to days, unless it is by a tag.
    package var zone = "UTC"
    /// What beside the fields is asked for.
    package var parts = RollupParts.all
    /// Tests ask for smaller pages.
    var groupsPerPage = RollupBounds.groupsPerPage

    package init() {}

    /// Reads `team,model`; nil, with the reason, when it is no list of dimensions or they do not go together.
    ///
    /// - Parameter hasZone: whether it is said in which zone hours are summed to days.
    package static func dimensions(
        _ text: String, hasZone: Bool = false
    ) throws(Failure) -> [Dimension] {
        var found: [Dimension] = []
        guard !text.isEmpty else { return found }
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let dimension = Dimension.allCases.first(where: { word == "\($0.name)" }) else {
                let known = Dimension.allCases.map { "\($0.name)" }.joined(separator: ", ")
                throw Failure(.error, "by= knows no '\(word)': say some of \(known)")
            }
            guard !found.contains(dimension) else {
                throw Failure(.error, "by= names \(word) twice")
            }
            found.append(dimension)
        }
        let tags = found.filter { $0.tag != nil }
        guard tags.count <= 1 else {
            throw Failure(
                .error,
                "by= takes one of user, project and env at a time: each is counted by itself")
        }
        if let tag = tags.first {
            for other in found where ![tag, .day, .org, .team].contains(other) {
                throw Failure(
                    .error,
                    "\(tag.name) is counted by day, org and team, not by \(other.name)")
            }
        } else if found.contains(.day), !hasZone {
            throw Failure(
                .error,
                "by=day, without user, project or env, needs zone=, whose days they are, such as "
                    + "zone=Europe/Berlin")
        }
        guard !hasZone || tags.isEmpty && found.contains(.day) else {
            throw Failure(
                .error,
                "zone= says whose days by=day are; leave it out where there are none of a zone"
            )
        }
        return found
    }
    package var tag: TagKind? { by.lazy.compactMap(\.tag).first }
    /// Whether hours are summed to days.
    package var isByDaysOfZone: Bool { tag == nil && by.contains(.day) }
    var isByTime: Bool { by.contains(.hour) || by.contains(.day) }

    /// The accounts that a group stands for.
    var depth: Tier? {
        by.contains(.key) ? .key : by.contains(.team) ? .team : by.contains(.org) ? .org : nil
    }
    /// In minutes since 1970, as rows begin.
    var minutes: Range<UInt32> {
        func minute(_ instant: Instant) -> UInt32 {
            let minute = OrgPlace.minuteNanoseconds
            let up = instant.nanoseconds / minute + (instant.nanoseconds % minute > 0 ? 1 : 0)
            return UInt32(clamping: up)
        }
        let from = minute(from)
        return from..<max(from, minute(to))
    }
}

/// What was found: sums by what was asked, and how far the log went.
package struct RollupAnswer: Sendable {
    package struct Group: Sendable {
        /// In the order of the question's dimensions; nil for requests that said nothing of it.
        package var labels: [String?]
        package var counts: RollupCounts
        /// Of a tag's day: which of its org's it is, `2026-11-22`.
        package var date: String?

        package init(labels: [String?], counts: RollupCounts, date: String? = nil) {
            self.labels = labels
            self.counts = counts
            self.date = date
        }
    }
    /// What the asked dates are for an org, so that they can be compared with its hours.
    package struct Span: Sendable {
        /// Nil for requests of no account, whose days are UTC's.
        package var org: String?
        package var zone: String
        package var from: Instant
        package var to: Instant
        /// False where a day was opened by other rules than the zone has now, so that it crosses an end of
        /// the time: it is in it as a whole, or not at all.
        package var isExact: Bool
    }
    /// The last event that is in it, and that event's time.
    package var asOf: UInt64 = 0
    package var groups: [Group] = []
    /// Kept beside the rows, or without a filter their independent sum.
    package var total = RollupCounts()
    /// Where the next page begins.
    package var next: RollupCursor?
    /// With a tag: of every org of which there is anything near the time, on the pages that add up hours.
    package var spans: [Span] = []
}

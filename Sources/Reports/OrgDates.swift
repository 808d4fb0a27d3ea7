import Events

/// The dates of orgs: what a zone database says of them. Handed in, because the rows know no zones.
package struct OrgDates: Sendable {
    /// The date that a zone's clock shows.
    package let date: @Sendable (_ zone: String, _ at: Instant) -> CivilDay
    /// When a date begins there.
    package let start: @Sendable (_ zone: String, _ day: CivilDay) -> Instant

    package init(
        date: @escaping @Sendable (_ zone: String, _ at: Instant) -> CivilDay,
        start: @escaping @Sendable (_ zone: String, _ day: CivilDay) -> Instant
    ) {
        self.date = date
        self.start = start
    }
    /// For who knows no zones.
    package static let utc = OrgDates(
        date: { CivilDay(daysSince1970: $1.second / 86_400) },
        start: { Instant(seconds: $1.daysSince1970 * 86_400) })
}

import Events

/// Every bound of the roll-ups, with its relations.
package enum RollupBounds {
    /// The layout of the table; another one is made anew from the log.
    static let version: UInt32 = 3
    /// Rows are written each time so many events are folded, at the same events whatever the
    /// transactions were: so the table is a function of the log, a row that many events touch is
    /// written once for all of them, and a commit of a few events writes no row at all. A
    /// quarter of this costs the committer 535 ns an event instead of 345; more would keep readers, who
    /// fold what came since, busy for longer than 8 ms.
    package static let segmentEvents: UInt64 = 32_768
    /// Most rows that one event touches: its hour's, the hour's total, and one a tag.
    static let rowsPerEventMax = 5
    /// Recent placings that are remembered; of an older one the event is read again.
    package static let placings = 1 << 16
    /// The same for a reader, which folds less than a segment.
    static let placingsOfReader = 1 << 13
    /// Texts of tags that are remembered between segments.
    static let textsMax = 1 << 16
    /// The longest key of a row: a kind, a day, a team, and the longest text.
    static let keyBytesMax = 1 + 4 + 4 + 1 + 255
    /// A totals row is for so many accounts (a power of two), so that a page of keys can be checked.
    static let accountsPerTotal: UInt32 = 1 << accountsPerTotalBits
    static let accountsPerTotalBits: UInt32 = 12
    /// Groups after which a page of an answer ends where it can: with the hour it is in, or of a tag with the
    /// row. A page is made in memory as a whole.
    static let groupsPerPage = 16_384
    /// More groups than this of one page are refused: so many of one hour that they must be asked for by less.
    static let groupsMax = 65_536

    static func check() {
        precondition(groupsPerPage <= groupsMax)
        precondition(segmentEvents > 0 && placings.nonzeroBitCount == 1)
        precondition(placingsOfReader.nonzeroBitCount == 1)
        precondition(keyBytesMax <= 511, "LMDB's longest key")
    }
}

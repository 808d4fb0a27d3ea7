import Events
import Journal

/// Answers questions from the table and from what the log says beyond it. One thread's own.
///
/// Every answer is checked before it is given: the rows' sum must be the totals that were kept beside them.
package struct RollupReader: ~Copyable {
    private var fold = RollupFold(isReader: true)

    package init() {}

    /// - Parameter last: the last event of the transaction.
    package mutating func answer(
        _ query: RollupQuery, _ rows: borrowing ProjectionRows, last: UInt64
    ) throws(LMDBError) -> Result<RollupAnswer, Failure> {
        switch try RollupMeta.find(in: rows) {
        case .nothing: fold.resume(at: 0)
        case .rows(let through): fold.resume(at: through)
        case .damaged: return .failure(RollupReader.damaged)
        case .otherLayout(let version):
            return .failure(
                Failure(
                    .error,
                    "the roll-ups have layout \(version), this program reads \(RollupBounds.version): "
                        + "'tollgate serve' makes them anew from the log"))
        }
        // Rows are written a segment at a time; what came since is folded here.
        try foldTail(rows, through: last)
        var scan = RollupScan(query)
        if let failure = try scan.run(&fold, rows) { return .failure(failure) }
        var answer = try scan.answer(&fold, rows)
        // By what was read on the way: of a day, a tier, a standing charge.
        if fold.foundDamage { return .failure(RollupReader.damaged) }
        answer.asOf = last
        return .success(answer)
    }

    private mutating func foldTail(
        _ rows: borrowing ProjectionRows, through last: UInt64
    ) throws(LMDBError) {
        try rows.pages(from: fold.seq + 1, through: last) { (page) throws(LMDBError) in
            try fold.fold(page, rows, writes: false)
            return true
        }
        fold.segment.sortTagged()
    }
    static let damaged = Failure(
        .error,
        "the roll-ups are damaged, the log is not: 'tollgate serve --reindex' makes them anew from it"
    )
    static func damaged(row key: [UInt8]) -> Failure {
        Failure(
            .error,
            "of the roll-ups a row is damaged (\(RollupRowText.name(of: key))), the log is not: "
                + "'tollgate serve --reindex' makes them anew from it")
    }
}

extension RollupFold {
    /// An account's org and team by their account numbers.
    mutating func lineage<Table: RollupTable & ~Copyable>(
        of account: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> (org: UInt32, team: UInt32) {
        let place = try place(of: account, table)
        return (places.orgs[Int(place.org)].account, place.team)
    }
    /// The day, in minutes since 1970, that holds an hour of an org.
    mutating func day<Table: RollupTable & ~Copyable>(
        of account: UInt32, hour: UInt32, _ table: borrowing Table
    ) throws(LMDBError) -> UInt32 {
        var placing = Placing.none
        placing.seq = .max
        try locate(
            &placing, account: account, time: Int64(hour) * OrgPlace.minuteNanoseconds, table)
        return placing.day
    }
}

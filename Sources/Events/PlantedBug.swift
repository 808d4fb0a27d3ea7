#if TOLLGATE_PLANTED_BUGS
/// Mistakes put in on purpose, to prove that the simulation finds mistakes: one at a time, chosen
/// at run time, and compiled only with `TOLLGATE_PLANTED_BUGS=1 swift build`. A release knows none.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// An answer may leave before the events it tells of are in the ring.
    case answersBeforeStaging
    /// An answer that promises the disk does not wait for it.
    case answersBeforeCommit
    /// The last record in the ring is left behind at the start.
    case recoverySkipsLastRecord
    /// Records in the ring are believed without a look at their checksum.
    case recoveryTrustsTornRecords
    /// A settlement that is sent again counts again.
    case settlesTwice
    /// A hold that is given back or lapses stays held on its org.
    case orgKeepsItsHolds
    /// A book read from a checkpoint has forgotten what its open holds hold.
    case checkpointForgetsHolds
    /// A window still holds the first instant of the next.
    case windowEndsLate
    /// A limit admits one more than it says.
    case admitsOneMore
    /// A commit that failed counts as one that happened.
    case failedCommitLanded
    /// Nobody wakes the gate when what it waits for is durable.
    case wakesNobody
    /// Refusals that are only counted do not outlive the process.
    case forgetsCountedRefusals
    /// A repeated reserve with the same id holds again.
    case holdsAgain
    /// What is folded beside the log goes on, after a commit that failed, from what it remembers.
    case projectionsKeepFailedCommits
    /// The tree's edge goes on, and its full tiles are not written.
    case treeLosesTiles
    /// The tree leaves an event out where a batch has several.
    case treeSkipsEvents
    /// Some rows of the roll-ups are not written at the end of a segment.
    case rollupsLoseRows
    /// Refusals that are only counted are missing from the roll-ups.
    case rollupsSkipCountedRefusals
    /// A corrected charge is still billed what it was billed before.
    case rollupsKeepOldBills
    /// Roll-ups that are made anew keep the rows that were there.
    case reindexKeepsRows
    /// A refusal is logged for another reason than the one that was decided.
    case logsAnotherReason
    /// A checkpoint is told before it is kept.
    case signsBeforeKeeping
    /// Of what an org wants hidden only users are.
    case hidesUsersOnly
    /// An erasure is answered, and what it erased may still be on the disk.
    case answersErasuresEarly
    /// An erasure is told, and the text stays where it stands.
    case erasesNothing
    /// Texts of requests that came to nothing stay in the file.
    case keepsUnkeptTexts
    /// What events have only commitments of is not made durable before them.
    case leavesPersonsUnsynced

    /// The one that is planted now. Set before anything runs.
    nonisolated(unsafe) package static var current: PlantedBug?

    /// What finds it says one of these: something else went wrong otherwise, and was found by that.
    package var signs: [String] {
        switch self {
        case .answersBeforeStaging: ["answered before it was staged", "which is not in the log"]
        case .answersBeforeCommit: ["acknowledged before it was on disk"]
        case .recoverySkipsLastRecord: ["had to survive is lost"]
        case .recoveryTrustsTornRecords: ["it does not start: event"]
        case .settlesTwice: ["is settled twice"]
        case .orgKeepsItsHolds: ["USAGE says"]
        case .checkpointForgetsHolds: ["of the log disagree at"]
        case .windowEndsLate: ["USAGE says", "before it: the log says nothing", Self.trap]
        case .admitsOneMore: [" over "]
        case .failedCommitLanded: ["is missing from the journal"]
        case .wakesNobody: ["is never answered", "never lapse"]
        case .forgetsCountedRefusals: ["were answered, "]
        case .holdsAgain: ["id: the log says a new hold", " holds "]
        case .projectionsKeepFailedCommits: ["the tree has ", "the events behind a projection"]
        case .treeSkipsEvents: ["the tree has "]
        case .treeLosesTiles: ["of the tree is wrong"]
        case .rollupsLoseRows: ["do not add up", "roll-ups of", "ROLLUPS"]
        case .rollupsSkipCountedRefusals, .rollupsKeepOldBills, .reindexKeepsRows:
            ["roll-ups of", "ROLLUPS"]
        case .logsAnotherReason: ["answer: the log says refused"]
        case .signsBeforeKeeping: ["were signed for"]
        case .hidesUsersOnly: ["says that it was"]
        case .answersErasuresEarly: ["acknowledged before it was on disk: ERASE"]
        case .erasesNothing: ["was erased, and stands in the file"]
        case .keepsUnkeptTexts: ["came to nothing are kept"]
        case .leavesPersonsUnsynced: ["nobody can tell whom it means"]
        }
    }
    /// As a finding, where one of the daemon's own preconditions ends the process.
    package static let trap = "a trap"
}
#endif

import Events

// Refusals that were only counted, of the past: a sum says nothing that its second did not have.

extension Machine {
    /// A refusal that was written in full, although enough of its kind stood there in that second.
    mutating func reviewFlood(_ event: HoldRefused, _ sides: inout Difference.Sides) {
        let key = event.header.account.raw
        guard !floods.mayLog(key: key, event.reason, at: now.second) else { return }
        sides.add(
            "event", "written in full",
            "only counted: \(RefusalFloods.loggedMax) of that account and reason stand in this second"
        )
    }
    mutating func review(
        _ event: RefusalsSummed, _ sides: inout Difference.Sides, _ findings: inout Findings
    ) throws(EventError) {
        findings.note(.sum, UInt64(event.refusals))
        let key = event.header.account
        guard key == .none || book.isKey(key.raw) else { throw .malformed("account") }
        // A power cut may have taken the events of a run that ended, and left what it had counted.
        let isOfRunBefore = floods.second == .min
        if isOfRunBefore {
            if event.header.seq != startedAt + 1 {
                return sides.add("sum", "of second \(event.second)", "none: nothing was refused")
            }
            startedAt += 1
            sides.compare("second", event.second, min(event.second, now.second))
        } else {
            sides.compare("second", event.second, floods.second)
            if event.refusals == 0 { sides.add("count", "0", "1 or more") }
        }
        let (logged, isFirst) = floods.take(key: key.raw, event.reason)
        if !isOfRunBefore, logged < RefusalFloods.loggedMax {
            sides.add(
                "sum", "of \(event.reason.name)",
                "none: \(logged) were refused in that second, and none was only counted")
        }
        if !isFirst { sides.add("sum", "of \(event.reason.name)", "none: one stands before it") }
    }
}

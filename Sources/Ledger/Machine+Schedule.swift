import Events

extension Machine {
    /// Whether something is due that the log had no room for: nothing may be decided before it.
    package var isBehind: Bool { book.schedule.next <= now.nanoseconds }

    /// Appends what is due by itself, if it still holds.
    mutating func perform(_ due: Schedule.Entry) {
        let asker = actor
        actor = .daemon
        defer { actor = asker }
        switch due.kind {
        case .overrideEnds: endOverride(of: due.subject, limit: due.part)
        case .rotationDue: remindOfRotation(AccountNumber(due.subject))
        case .creditExpires: expireCredit(of: due.subject)
        }
    }
}

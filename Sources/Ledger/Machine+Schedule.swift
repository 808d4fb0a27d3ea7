import Events

extension Machine {
    /// Appends what is due by itself, if it still holds.
    mutating func perform(_ due: Schedule.Entry) {
        switch due.kind {
        case .overrideEnds, .creditExpires, .rotationDue: break
        }
    }
}

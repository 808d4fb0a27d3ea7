import Events

/// What the log must say of requests that waited for room.
extension Oracle {
    /// What a log does not tell: who had to be asked a last time before its time was up.
    final class Hurry {
        /// The requests of clients that ended writing.
        var ids: Set<String> = []
        /// While the daemon drains it is everybody; what was seen then is so for ever.
        var isForAll = false
        private var seqs: Set<UInt64> = []

        func isExcuse(_ seq: UInt64, id: String) -> Bool {
            if isForAll { seqs.insert(seq) }
            return ids.contains(id) || seqs.contains(seq)
        }
    }
    /// A request that waited, as its admission tells it.
    struct Waited {
        var key: UInt32
        var id: String
        var came: Extras.Came
        var admitted: Instant
        /// By then it is asked a last time, and so may overtake.
        var deadline: Instant
        var name: HoldName
    }

    /// The order in which those that wait get room: nobody overtakes another of the same key that is to be
    /// asked before, unless it was asked for the last time.
    func admitted(_ event: HoldPlaced, _ came: Extras.Came) throws {
        counts["admitted after a wait", default: 0] += 1
        let time = event.header.time
        try require(
            came.at <= time && (1...10).contains(came.priority),
            "hold \(event.name) came at \(came.at), after its admission")
        let deadline = try deadline(of: event.text, came, "hold \(event.name)")
        let request = Waited(
            key: event.header.account.raw, id: event.text.id.string, came: came, admitted: time,
            deadline: deadline, name: event.name)
        for other in waited.reversed() where other.key == request.key {
            // It was admitted while this one was already there, and is to come after it.
            guard other.admitted > came.at else { break }
            let isAfter =
                other.came.priority > came.priority
                || other.came.priority == came.priority && other.came.at > came.at
            try require(
                !isAfter || other.admitted >= other.deadline || hurry.ids.contains(other.id),
                "hold \(other.name) (prio \(other.came.priority)) overtook \(event.name) "
                    + "(prio \(came.priority))")
        }
        waited.append(request)
    }

    /// Whoever waited is refused when its time is up, or for what no waiting changes.
    func gaveUp(_ event: HoldRefused, _ came: Extras.Came) throws {
        counts["refused after a wait", default: 0] += 1
        let deadline = try deadline(of: event.text, came, "refusal \(event.header.seq)")
        switch event.reason {
        case .requestsPerMinute, .tokensPerMinute, .concurrency:
            try require(
                event.header.time >= deadline
                    || hurry.isExcuse(event.header.seq, id: event.text.id.string),
                "refusal \(event.header.seq) of \(event.text.id.string) before its time is up")
        default: break
        }
    }
    /// When its time is up: whoever waits says as its project how long, such as `wait250`.
    private func deadline(
        of text: RequestText, _ came: Extras.Came, _ what: String
    ) throws(Fault) -> Instant {
        let project = text.project.string
        guard project.hasPrefix("wait"), let wait = Int64(project.dropFirst(4)) else {
            throw Fault(text: "\(what) waited and was not to")
        }
        return Instant(nanoseconds: came.at.nanoseconds + wait * 1_000_000)
    }
}

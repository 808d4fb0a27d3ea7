import Events

// Requests that were refused then and are admitted here. Nobody knows what they would have used or how long
// they would have taken; so they hold all that they asked for, and their slot, for as long as the key's
// requests had taken until then, and then count with all of it.

extension WhatIf {
    /// Admits a request for which there is room; false where it cannot be placed.
    mutating func admit(
        _ request: borrowing ReserveRequest, _ cause: WhatIfReport.Cause, _ id: IDHash
    ) -> Bool {
        guard case .allowed(let hold, _, let usd, _) = machine.reserve(request) else {
            return false
        }
        report.admit(cause, usd: usd.raw)
        let usual = durations.mean(cause.key.raw)
        if usual == nil { report.untimed += 1 }
        let end = machine.now.nanoseconds + (usual ?? Bounds.holdSecondsDefault * 1_000_000_000)
        runs.add(EstimateRuns.Run(end: end, hold: hold))
        remember(Estimate(hold: hold, cause: cause, usd: usd.raw), id)
        return true
    }
    private mutating func remember(_ estimate: Estimate, _ id: IDHash) {
        guard !id.isNone else { return }
        estimates[id] = estimate
        estimateIDs.append(id)
        guard estimateIDs.count >= 2 * Self.rememberedMax else { return }
        for old in estimateIDs.prefix(Self.rememberedMax) { estimates[old] = nil }
        estimateIDs.removeFirst(Self.rememberedMax)
    }
    /// The request that was estimated was asked again then and admitted: its usage is known after all. Of
    /// the estimate only the count of a request stays.
    mutating func withdrawEstimate(_ header: EventHeader, _ id: Bytes) {
        guard !id.isEmpty else { return }
        let hash = IDHash(.hold, key: header.account.raw, id)
        guard let estimate = estimates.removeValue(forKey: hash) else { return }
        open(header)
        guard takeBack(estimate.hold, at: header) else { return report.unmatched += 1 }
        report.withdraw(estimate.cause, usd: estimate.usd)
    }
    private mutating func takeBack(_ hold: HoldName, at header: EventHeader) -> Bool {
        guard isOpen(hold) else { return machine.book.takeBack(hold, at: header.time) }
        var request = ReleaseRequest()
        request.hold = hold
        guard case .released = machine.release(request) else { return false }
        machine.book.seq = header.seq - 1
        return true
    }
    private func isOpen(_ hold: HoldName) -> Bool {
        machine.book.holds.find(hold).map { machine.book.holds.row($0).pointee.state == .open }
            ?? false
    }

    // MARK: Ends

    /// Ends those whose time has come by then; what comes next has the seq behind `seq`.
    mutating func endEstimates(by end: Instant, seq: UInt64) {
        while let run = runs.next(by: end.nanoseconds) {
            machine.now = max(machine.now, Instant(nanoseconds: run.end))
            finish(run.hold, seq: seq)
        }
    }
    /// Ends all of them, with the period.
    mutating func endEstimates() {
        let seq = machine.book.seq
        while let run = runs.next(by: .max) { finish(run.hold, seq: seq) }
        machine.book.seq = seq
        machine.outbox.removeAll()
    }
    private mutating func finish(_ hold: HoldName, seq: UInt64) {
        // It may have been withdrawn.
        guard isOpen(hold), let slot = machine.book.holds.find(hold) else { return }
        let row = machine.book.holds.row(slot)
        (machine.actor, machine.book.seq) = (.daemon, seq)
        var request = SettleRequest()
        request.hold = hold
        request.usage = TokenUsage(input: row.pointee.input, output: row.pointee.output)
        request.outcome = .estimated
        if case .settled = machine.settle(request) { return }
        report.unmatched += 1
    }

    // MARK: How long

    /// Notes how long a hold has been open that an event before the period ends.
    mutating func noteDuration(_ bytes: Bytes) throws(EventError) {
        switch EventType(rawValue: bytes.base.unsafelyUnwrapped.field(UInt8.self, 2)) {
        case .holdSettled:
            let event = try HoldSettled(StoredEvent(bytes))
            noteDuration(of: event.hold, event.header)
        case .holdReleased:
            let event = try HoldReleased(StoredEvent(bytes))
            noteDuration(of: event.hold, event.header)
        case .holdLapsed:
            let event = try HoldLapsed(StoredEvent(bytes))
            noteDuration(of: event.hold, event.header)
        default: break
        }
    }
    /// Notes how long a hold of the log has been open that ends.
    mutating func noteDuration(of hold: HoldName, _ header: EventHeader) {
        guard let slot = past.holds.find(hold) else { return }
        let row = past.holds.row(slot)
        guard row.pointee.state == .open else { return }
        durations.add(row.pointee.key, header.time.nanoseconds - row.pointee.placedAt)
    }
}

/// Estimates that have not ended, in the order in which they will.
struct EstimateRuns {
    struct Run {
        var end: Int64
        var hold: HoldName
    }
    private var runs: [Run] = []
    private var first = 0

    mutating func add(_ run: Run) {
        // Nearly always behind the last.
        var at = runs.count
        while at > first, runs[at - 1].end > run.end { at -= 1 }
        runs.insert(run, at: at)
    }
    mutating func next(by end: Int64) -> Run? {
        guard first < runs.count, runs[first].end <= end else { return nil }
        first += 1
        let run = runs[first - 1]
        if first >= 1_024, 2 * first >= runs.count {
            runs.removeFirst(first)
            first = 0
        }
        return run
    }
}

/// How long requests were open, so far.
struct Durations {
    private var byKey: [UInt32: (count: Int64, sum: Int128)] = [:]  // unordered: never iterated
    private var all: (count: Int64, sum: Int128) = (0, 0)

    mutating func add(_ key: UInt32, _ nanoseconds: Int64) {
        let old = byKey[key] ?? (0, 0)
        byKey[key] = (old.count + 1, old.sum + Int128(nanoseconds))
        all = (all.count + 1, all.sum + Int128(nanoseconds))
    }
    /// Of a key's requests, else of all; nil before any has ended.
    func mean(_ key: UInt32) -> Int64? {
        let (count, sum) = byKey[key] ?? all
        return count == 0 ? nil : Int64(sum / Int128(count))
    }
}

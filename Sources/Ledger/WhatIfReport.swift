import Events

/// What a period would have been under other rules.
package struct WhatIfReport: Sendable {
    /// Whose requests, and why they were refused: here, or then.
    package struct Cause: Hashable, Sendable {
        package var key: AccountNumber
        /// Nil where the request failed: what it asked for was more than can be counted.
        package var reason: Refusal?
        /// The account that refused; none where the reason has none.
        package var scope = AccountNumber.none
        package var limit: LimitKind?
    }
    package struct Tally: Sendable {
        package var requests: UInt64 = 0
        /// What they cost then, or would have cost here.
        package var usd: Int64 = 0
    }
    /// An account that has spent another amount.
    package struct Spend: Sendable {
        package var account: AccountNumber
        package var tier: Tier
        package var past: Int64
        package var other: Int64
        /// What of the other is the estimate of requests that were refused then.
        package var estimated: Int64
    }

    /// Requests of the period that stand one by one in the log.
    package internal(set) var requests: UInt64 = 0
    /// Of those, the ones that were refused then.
    package internal(set) var refusedThen: UInt64 = 0
    /// Admitted then and refused here; the money is what they cost then.
    package internal(set) var refused: [Cause: Tally] = [:]  // unordered: never iterated
    /// Refused then and admitted here; the money is an estimate.
    package internal(set) var admitted: [Cause: Tally] = [:]  // unordered: never iterated
    package private(set) var refusedCount: UInt64 = 0
    package private(set) var admittedCount: UInt64 = 0
    /// Holds that grew then and may not here, and the other way round.
    package internal(set) var growthRefused: UInt64 = 0
    package internal(set) var growthAdmitted: UInt64 = 0

    // What cannot be known, or was left as it was.

    /// Refusals that were only counted then: what they asked is not in the log.
    package internal(set) var summed: UInt64 = 0
    /// Refusals that no other rule changes, or of something that the log does not hold.
    package internal(set) var notAsked: UInt64 = 0
    /// Requests whose model rules had chosen; here they ask for that model.
    package internal(set) var routed: UInt64 = 0
    /// Retries of a request that is admitted here at its first try.
    package internal(set) var retries: UInt64 = 0
    /// Changes of the period that say something else of what the other rules decide.
    package internal(set) var leftOut: UInt64 = 0
    /// Estimates of which nobody knows how long they take, as nothing had ended before them.
    package internal(set) var untimed: UInt64 = 0
    /// Ends and corrections that find nothing here any more.
    package internal(set) var unmatched: UInt64 = 0

    /// What all orgs have spent in the period.
    package private(set) var past: Int64 = 0
    package private(set) var other: Int64 = 0
    package private(set) var estimated: Int64 = 0
    /// Requests that have not ended with the period, and so cost nothing yet.
    package private(set) var openThen = 0
    package private(set) var openHere = 0
    /// Accounts that have spent another amount, in the order in which they were created.
    package private(set) var spends: [Spend] = []

    /// What each account had spent when the period began.
    private var before: [Int64] = []
    /// By key.
    private var estimates: [UInt32: Int64] = [:]  // unordered: never iterated

    package init() {}

    /// Whether everything was as it was then.
    package var isSame: Bool {
        refusedCount == 0 && admittedCount == 0 && growthRefused == 0 && growthAdmitted == 0
            && spends.isEmpty && unmatched == 0
    }

    // MARK: Counting

    mutating func begin(_ book: borrowing Book) {
        before = (0..<book.accountCount).map { book.spent(UInt32($0)) }
    }
    /// A request that was admitted then; what it cost is added as it becomes known.
    mutating func refuse(_ cause: Cause) {
        refusedCount += 1
        refused[cause, default: Tally()].requests += 1
    }
    mutating func save(_ cause: Cause, usd: Int64) { refused[cause, default: Tally()].usd += usd }
    mutating func admit(_ cause: Cause, usd: Int64) {
        admittedCount += 1
        admitted[cause, default: Tally()].requests += 1
        admitted[cause, default: Tally()].usd += usd
        estimates[cause.key.raw, default: 0] += usd
    }
    /// A request that was admitted here was admitted then, too, only later.
    mutating func withdraw(_ cause: Cause, usd: Int64) {
        guard var tally = admitted[cause] else { return }
        admittedCount -= 1
        tally.requests -= 1
        tally.usd -= usd
        admitted[cause] = tally.requests == 0 ? nil : tally
        estimates[cause.key.raw, default: 0] -= usd
    }

    mutating func end(_ then: borrowing Book, _ here: borrowing Book) {
        openThen = then.openHolds
        openHere = here.openHolds
        var byAccount = [Int64](repeating: 0, count: then.accountCount)
        for key in 0..<UInt32(then.accountCount) {
            guard let usd = estimates[key], let line = then.lineage(AccountNumber(key)) else {
                continue
            }
            for account in [line.key, line.team, line.org] { byAccount[Int(account)] += usd }
        }
        var (sumThen, sumHere, sumEstimated) = (Int128(0), Int128(0), Int128(0))
        spends = []
        for account in 0..<then.accountCount {
            let start = account < before.count ? before[account] : 0
            let spend = Spend(
                account: AccountNumber(UInt32(account)), tier: then.tier(UInt32(account)),
                past: then.spent(UInt32(account)) - start,
                other: here.spent(UInt32(account)) - start, estimated: byAccount[account])
            if spend.tier == .org {
                sumThen += Int128(spend.past)
                sumHere += Int128(spend.other)
                sumEstimated += Int128(spend.estimated)
            }
            if spend.past != spend.other { spends.append(spend) }
        }
        // Each org's total fits; the sum of many might not.
        past = Int64(clamping: sumThen)
        other = Int64(clamping: sumHere)
        estimated = Int64(clamping: sumEstimated)
    }
}

extension Book {
    /// All that an account has ever spent, in nano-dollars.
    fileprivate func spent(_ account: UInt32) -> Int64 {
        accounts.rows.pointer(account).pointee.usage.cells[
            UsageCells.index(.spentUSD, WindowCell.total)]
    }
    fileprivate func tier(_ account: UInt32) -> Tier {
        accounts.rows.pointer(account).pointee.tier
    }
}

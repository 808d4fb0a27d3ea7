import Events

// Prepaid money of an org: what was granted, what spend has drawn of it, and what is left. All of it is
// in nano-dollars as they are billed, which is list price and the org's markup.

/// One grant that has not expired.
struct CreditGrant {
    /// The seq of its event, which names it.
    var seq: UInt64
    var usd: Int64
    var left: Int64
    /// Nanoseconds since 1970; `.max` for never.
    var expires: Int64
    var source: String
    var reference: String?
}

/// The credit of one org.
///
/// `granted − expired − spent` is what is left of the grants; below zero it is what has been overdrawn,
/// since a settlement is recorded whatever it costs. A new grant pays for that first.
struct CreditLedger {
    /// The org's own account.
    let account: UInt32
    /// In the order in which they are spent: the soonest to expire first, then the oldest.
    private(set) var grants: [CreditGrant] = []
    /// The first that has something left; before it all are used up.
    private var first = 0
    private(set) var granted: Int64 = 0
    private(set) var expired: Int64 = 0
    /// All that was billed since the first grant, covered or not.
    private(set) var spent: Int64 = 0

    init(account: UInt32) { self.account = account }
    /// From a checkpoint; nil when the numbers do not belong together.
    init?(
        account: UInt32, granted: Int64, expired: Int64, spent: Int64, _ grants: [CreditGrant]
    ) {
        self.account = account
        self.granted = granted
        self.expired = expired
        self.spent = spent
        self.grants = grants
        var sum: Int64 = 0
        for (i, grant) in grants.enumerated() {
            let (next, overflow) = sum.addingReportingOverflow(grant.left)
            guard grant.left >= 0, grant.left <= grant.usd, !overflow,
                i == 0 || grants[i - 1].expires <= grant.expires
            else { return nil }
            sum = next
        }
        guard granted >= 0, expired >= 0, expired <= granted, spent >= 0, sum == left else {
            return nil
        }
        first = grants.firstIndex { $0.left > 0 } ?? grants.count
    }

    /// What came in and has not expired: what spend is held against.
    var amount: Int64 { granted - expired }
    var left: Int64 { max(0, amount - spent) }
    var overdrawn: Int64 { max(0, spent - amount) }

    mutating func grant(_ grant: CreditGrant) {
        var grant = grant
        grant.left = grant.usd - min(grant.usd, overdrawn)
        granted += grant.usd
        insert(grant)
    }
    private mutating func insert(_ grant: CreditGrant) {
        var i = grants.count
        while i > 0, grants[i - 1].expires > grant.expires { i -= 1 }
        grants.insert(grant, at: i)
        if i <= first { first = i }
    }
    /// What is billed more is taken from the grants, as far as they go.
    mutating func draw(_ billed: Int64) {
        let sum = spent.addingReportingOverflow(billed)
        spent = sum.overflow ? .max : sum.partialValue
        var rest = billed
        while rest > 0, first < grants.count {
            let taken = min(rest, grants[first].left)
            grants[first].left -= taken
            rest -= taken
            if grants[first].left == 0 { first += 1 }
        }
    }
    /// What turns out not to be billed goes where it came from, the last spent first. Where that grant
    /// has expired, it is gone with it.
    mutating func giveBack(_ billed: Int64) {
        var rest = billed - min(billed, overdrawn)
        spent -= billed
        var i = grants.count - 1
        while rest > 0, i >= 0 {
            let returned = min(rest, grants[i].usd - grants[i].left)
            if returned > 0 {
                grants[i].left += returned
                rest -= returned
                first = min(first, i)
            }
            i -= 1
        }
        expired += rest
    }
    /// Ends a grant; nil when no such grant stands.
    mutating func expire(_ seq: UInt64) -> CreditGrant? {
        guard let i = grants.firstIndex(where: { $0.seq == seq }) else { return nil }
        let grant = grants.remove(at: i)
        expired += grant.left
        if i < first { first -= 1 }
        return grant
    }
}

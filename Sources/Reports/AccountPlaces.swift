import Events

/// Where accounts stand in the tree, by number, as far as they have been met: eight bytes each.
struct AccountPlaces: ~Copyable {
    struct Place {
        /// The org's place among `orgs`; 0 for requests of no account.
        var org: UInt32
        /// The team's account number; none for an org itself.
        var team: UInt32
    }
    /// By account number; an org of `.max` says that the account was not met.
    private var places: [Place] = []
    private(set) var orgs: [OrgPlace] = []
    private var orgByAccount: [UInt32: UInt32] = [:]

    init() { removeAll() }

    @inline(__always) func known(_ account: UInt32) -> Place? {
        guard account < UInt32(truncatingIfNeeded: places.count) else { return nil }
        let place = places[Int(account)]
        return place.org == .max ? nil : place
    }
    @inline(__always) mutating func pointer(_ org: UInt32) -> UnsafeMutablePointer<OrgPlace> {
        orgs.withUnsafeMutableBufferPointer { $0.baseAddress.unsafelyUnwrapped + Int(org) }
    }
    /// - Parameter org: its account number.
    mutating func note(_ account: UInt32, org: UInt32, team: UInt32) -> Place {
        let place = Place(org: number(ofOrg: org), team: team)
        // Numbers are given one by one, so the log has named everything in between.
        while places.count <= Int(account) { places.append(Place(org: .max, team: .max)) }
        places[Int(account)] = place
        return place
    }
    mutating func number(ofOrg account: UInt32) -> UInt32 {
        if let known = orgByAccount[account] { return known }
        let number = UInt32(orgs.count)
        orgs.append(OrgPlace(account: account))
        orgByAccount[account] = number
        return number
    }
    mutating func removeAll() {
        places.removeAll(keepingCapacity: true)
        orgByAccount.removeAll()
        // The first is no org's: refused requests of keys that nobody knows.
        orgs = [OrgPlace(account: .max)]
    }
}

/// An org's clock: the hour and the day that the latest event fell into; and since when its terms hold.
struct OrgPlace {
    static let minuteNanoseconds: Int64 = 60_000_000_000
    static let hourNanoseconds: Int64 = 60 * minuteNanoseconds
    static let dayNanoseconds: Int64 = 24 * hourNanoseconds

    var account: UInt32
    /// The event that opened the day that was opened last.
    var daySeq: UInt64 = 0
    var hourStart: Int64 = 0
    var hourEnd: Int64 = 0
    /// In minutes since 1970.
    var hour: UInt32 = 0
    var day: UInt32 = 0
    /// The event that last set what the org is billed by; 0 for none, `.max` while that was not looked up.
    var termsSeq: UInt64 = .max
    /// What that event said.
    var terms = BillingTerms.list

    init(account: UInt32) { self.account = account }
}

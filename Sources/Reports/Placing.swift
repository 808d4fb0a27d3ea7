import Events

/// What must be known of a request when it ends: where it counts.
struct Placing: BitwiseCopyable {
    /// Of the event that placed or recorded it.
    var seq: UInt64
    var epoch: UInt32
    var account: UInt32
    var model: UInt32
    /// Its place among the orgs.
    var org: UInt32
    var team: UInt32
    /// Minutes since 1970 at which its hour and its day began.
    var hour: UInt32
    var day: UInt32
    /// Handles of texts; 0 for none.
    var user: UInt32
    var project: UInt32
    var environment: UInt32
    var tier: UInt8

    static let none = Placing(
        seq: 0, epoch: 0, account: .max, model: .max, org: 0, team: .max, hour: 0, day: 0, user: 0,
        project: 0, environment: 0, tier: 0)
}

/// The latest placings by seq; an older one is pushed out by one that falls on its place.
struct RecentPlacings: ~Copyable {
    private let rows: UnsafeMutablePointer<Placing>
    private let mask: UInt64

    init(capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1)
        rows = .allocate(capacity: capacity)
        rows.initialize(repeating: .none, count: capacity)
        mask = UInt64(capacity - 1)
    }
    deinit { rows.deallocate() }

    @inline(__always) func find(_ hold: HoldName) -> UnsafeMutablePointer<Placing>? {
        let row = rows + Int(truncatingIfNeeded: hold.seq & mask)
        return row.pointee.seq == hold.seq && row.pointee.epoch == hold.epoch ? row : nil
    }
    @inline(__always) mutating func put(_ placing: Placing) -> UnsafeMutablePointer<Placing> {
        let row = rows + Int(truncatingIfNeeded: placing.seq & mask)
        row.pointee = placing
        return row
    }
    mutating func removeAll() { rows.update(repeating: .none, count: Int(mask) + 1) }
}

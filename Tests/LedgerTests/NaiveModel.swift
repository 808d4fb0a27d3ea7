/// The rules of DESIGN.md a second time: slow, literal, and written without a look at the engine.
///
/// Tests feed one history to both and compare them reply by reply, so nothing here is clever.
/// Accounts are dictionaries by path, a sliding minute is a list that is added up whenever it is
/// asked for, and a calendar window is a name computed from the time ("day 20779"), never reset:
/// when its time has passed, nobody asks for that name any more. All amounts are `Int128`, so
/// nothing in here can overflow, and what would overflow the engine is compared with `Int64.max`.
struct NaiveModel {
    /// Nano-dollars, tokens or requests.
    typealias Amount = Int128

    /// `ledger.created` and `epoch.started` have been appended before the first command.
    var lastSeq: Int64 = 2
    static let epoch: Int64 = 1

    var accounts: [String: Account] = [:]
    /// Every hold there ever was, by name; also the unknown ones that a settlement has charged.
    var holds: [String: Hold] = [:]
    /// The names of the open ones, in the order in which they got their deadlines.
    var openHolds: [String] = []
    /// `"<key> <id>"` → the hold that the id names now.
    var holdOfID: [String: String] = [:]
    /// `"<key> <id>"` → the charge.
    var charges: [String: Charge] = [:]
    /// The `id` of an admin's event → what was appended under it.
    var appended: [String: Appended] = [:]
    /// By their digests.
    var secrets: [String: Secret] = [:]
    /// By model, in the order in which they were set.
    var prices: [String: [Price]] = [:]
    /// In the order of their first prices.
    var models: [String] = []
    var aliases: [String: String] = [:]
    /// `"<key> <reason>"` → how many refusals were logged in which second.
    var logged: [String: (second: Int64, count: Int)] = [:]
    /// The `"<key> <reason>"` that were only counted in `countedSecond`, in order of the first one.
    var counted: [String] = []
    var countedSecond: Int64 = 0

    /// What goes wrong without being a refusal: the first word of the reply.
    enum Failure: String, Error {
        case error = "-ERR"
        case conflict = "-CONFLICT"
        case noHold = "-NOHOLD"
        case gone = "-GONE"
    }

    struct Account {
        /// By name (`usd.day`), money in nano-dollars.
        var limits: [String: Amount] = [:]
        /// What stands instead of a limit, or where there is none, until an instant.
        var overrides: [String: Override] = [:]
        /// `nil` inherits, an empty list allows nothing.
        var models: [String]?
        var scopes: [String]?
        var expires: Int64?
        /// Of an org or a team only.
        var routing: Routing?
        var isDisabled = false
        var isRevoked = false
        /// Nanoseconds.
        var rotateEvery: Int64?
        /// When the daemon will say that it is due; `nil` when it has, or never will.
        var rotationDue: Int64?
        /// Of an org only.
        var allowsUnpriced = false
        var onLapse = "release"
        var credit: Credit?
        var billing: Billing?
        /// Of an org only: the end of the window that was opened last, by window.
        var openedUntil: [String: Int64] = [:]

        /// By the window's name at the time of placing (`hour 1795341600`, `total`).
        var windows: [String: Counts] = [:]
        var openHolds: Amount = 0
        /// True from the moment in which the first minute limit was set.
        var recordsMinute = false
        var minute: [MinuteEntry] = []
    }

    /// What one request, or all requests of a window, count for.
    struct Counts: Equatable {
        var usdUsed: Amount = 0
        var usdHeld: Amount = 0
        var tokensUsed: Amount = 0
        var tokensHeld: Amount = 0
        var requests: Amount = 0
    }

    /// One hold or charge in the sliding minute of one account.
    struct MinuteEntry {
        let name: String
        let second: Int64
        var usd: Amount
        var tokens: Amount
        var requests: Amount
    }

    enum HoldState {
        case open, settled, released, lapsed
    }

    struct Hold {
        let name: String
        let key: String
        let model: String
        /// The version in force when the hold was placed; `nil` for a model without a price.
        let price: Price?
        /// As it was placed, and as it is now that it may have been extended.
        let asked: Usage
        var wanted: Usage
        let placed: Int64
        var until: Int64
        /// The answer to RESERVE.
        let allowLine: String
        let isRouted: Bool
        var state: HoldState
        /// What it counts for at the moment.
        var counts: Counts
        var settlement: Settlement?
        var bill: Bill?
    }

    struct Settlement {
        let usage: Usage
        let line: String
    }

    struct Charge {
        let key: String
        let model: String
        let usage: Usage
        let placed: Int64
        let name: String
        /// What it counts for at the moment.
        var counts: Counts
        var bill: Bill
        let line: String
    }

    /// The tokens of one request, asked for or used.
    struct Usage: Equatable {
        var input: Amount
        var cached: Amount = 0
        var cacheWrite: Amount = 0
        var output: Amount
        var reasoning: Amount = 0
        var tier: String
        var outcome = "exact"
    }

    struct Appended: Equatable {
        let type: String
        let payload: [String: JSON]
    }

    /// The reply to one line at one event time; `nil` for a verb that the model does not know.
    mutating func answer(_ line: String, at now: Int64) -> String? {
        appendSummedRefusals(at: now)
        endOverrides(at: now)
        remindOfRotations(at: now)
        expireCredit(at: now)
        lapseHolds(at: now)
        let words = line.split(separator: " ").map { String($0) }
        do throws(Failure) {
            switch words.first ?? "" {
            case "RESERVE": return try reserve(words, at: now)
            case "CHECK": return try check(words, at: now)
            case "EXTEND": return try extend(words, at: now)
            case "SETTLE": return try settle(words, at: now)
            case "RELEASE": return try release(words, at: now)
            case "CHARGE": return try charge(words, at: now)
            case "APPEND": return try append(line, at: now)
            default: return nil
            }
        } catch {
            return error.rawValue
        }
    }

    // MARK: Seqs

    /// Appends one event and returns its name, which for `hold.placed` is the hold's.
    mutating func appendEvent() -> String {
        lastSeq += 1
        return "\(Self.epoch)-\(lastSeq)"
    }

    /// Appends a key's own event, and before it one `window.opened` for each window of its org
    /// that has ended since it was opened.
    mutating func appendEvent(of key: String, at now: Int64) -> String {
        let org = Self.lineage(key)[2]
        for window in ["hour", "day", "week", "month"] {
            let opened = accounts[org]!.openedUntil[window]
            if opened == nil || opened! <= now {
                _ = appendEvent()
                accounts[org]!.openedUntil[window] = Self.bounds(of: window, at: now).end
            }
        }
        return appendEvent()
    }

    /// Past ten a second, the refusals of one key and reason are only counted, and the sum is
    /// appended by the first command of a later second.
    mutating func logRefusal(of key: String, reason: String, at now: Int64) {
        let isKnown = accounts[key] != nil && Self.lineage(key).count == 3
        let bucket = "\(isKnown ? key : "no key") \(reason)"
        let second = Self.second(now)
        var count = 0
        if let earlier = logged[bucket], earlier.second == second {
            count = earlier.count
        }
        guard count < 10 else {
            if !counted.contains(bucket) {
                counted.append(bucket)
            }
            countedSecond = second
            return
        }
        logged[bucket] = (second, count + 1)
        if isKnown {
            _ = appendEvent(of: key, at: now)
        } else {
            _ = appendEvent()
        }
    }

    mutating func appendSummedRefusals(at now: Int64) {
        guard Self.second(now) > countedSecond else {
            return
        }
        for _ in counted {
            _ = appendEvent()
        }
        counted = []
    }

    // MARK: Accounts

    /// The account and its ancestors: key, team, org.
    static func lineage(_ account: String) -> [String] {
        let names = account.split(separator: "/", omittingEmptySubsequences: false)
        return (1...names.count).reversed().map { names.prefix($0).joined(separator: "/") }
    }

    func isKey(_ path: String) -> Bool {
        accounts[path] != nil && Self.lineage(path).count == 3
    }
}

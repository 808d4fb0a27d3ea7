/// What counts where: calendar windows, the sliding minute, and how an account stands.
extension NaiveModel {
    static func unit(of limit: String) -> String {
        String(limit.split(separator: ".")[0])
    }

    /// `minute` … `total`; empty for `concurrency`.
    static func window(of limit: String) -> String {
        let parts = limit.split(separator: ".")
        return parts.count == 2 ? String(parts[1]) : ""
    }

    // MARK: Windows

    /// The name under which a window counts at a time.
    static func windowName(_ window: String, at now: Int64) -> String {
        window == "total" ? "total" : "\(window) \(bounds(of: window, at: now).start)"
    }

    /// Counts a new hold or charge on its key, team and org.
    mutating func count(_ counts: Counts, name: String, key: String, at now: Int64) {
        change(key, placed: now, from: Counts(), to: counts)
        let second = Self.second(now)
        for path in Self.lineage(key) where accounts[path]!.recordsMinute {
            accounts[path]!.minute.removeAll { second - $0.second >= 60 }
            accounts[path]!.minute.append(
                MinuteEntry(
                    name: name,
                    second: second,
                    usd: counts.usdUsed + counts.usdHeld,
                    tokens: counts.tokensUsed + counts.tokensHeld,
                    requests: counts.requests))
        }
    }

    /// Makes a hold or charge count for something else, in the windows and at the second of its placing.
    mutating func recount(
        _ hold: String, of key: String, _ placed: Int64, from old: Counts, to counts: Counts
    ) {
        change(key, placed: placed, from: old, to: counts)
        for path in Self.lineage(key) {
            // An account that did not record its minute then has no such entry.
            for i in accounts[path]!.minute.indices
            where accounts[path]!.minute[i].name == hold {
                accounts[path]!.minute[i].usd = counts.usdUsed + counts.usdHeld
                accounts[path]!.minute[i].tokens = counts.tokensUsed + counts.tokensHeld
            }
        }
    }

    private mutating func change(
        _ key: String, placed: Int64, from old: Counts, to new: Counts
    ) {
        for window in ["hour", "day", "week", "month", "total"] {
            let name = Self.windowName(window, at: placed)
            for path in Self.lineage(key) {
                var sum = accounts[path]!.windows[name] ?? Counts()
                sum.usdUsed += new.usdUsed - old.usdUsed
                sum.usdHeld += new.usdHeld - old.usdHeld
                sum.tokensUsed += new.tokensUsed - old.tokensUsed
                sum.tokensHeld += new.tokensHeld - old.tokensHeld
                sum.requests += new.requests - old.requests
                accounts[path]!.windows[name] = sum
            }
        }
    }

    /// More of an org's money or tokens than an `Int64` holds is an error.
    func refuseOverflow(org: String, usd: Amount, tokens: Amount) throws(Failure) {
        let total = accounts[org]!.windows["total"] ?? Counts()
        let most = Amount(Int64.max)
        if usd > most || total.usdUsed + total.usdHeld + usd > most
            || total.tokensUsed + total.tokensHeld + tokens > most
        {
            throw .error
        }
    }

    // MARK: Standing

    /// What an account has used and holds of one limit.
    func standing(
        of account: Account, in limit: String, at now: Int64
    ) -> (used: Amount, held: Amount) {
        if limit == "concurrency" {
            return (account.openHolds, 0)
        }
        if Self.window(of: limit) == "minute" {
            return (minuteSums(of: account, in: limit, at: now).values.reduce(0, +), 0)
        }
        let name = Self.windowName(Self.window(of: limit), at: now)
        let counts = account.windows[name] ?? Counts()
        switch Self.unit(of: limit) {
        case "usd": return (counts.usdUsed, counts.usdHeld)
        case "tokens": return (counts.tokensUsed, counts.tokensHeld)
        default: return (counts.requests, 0)
        }
    }

    /// What each second of the last sixty counts for.
    func minuteSums(of account: Account, in limit: String, at now: Int64) -> [Int64: Amount] {
        var sums: [Int64: Amount] = [:]
        for entry in account.minute where Self.second(now) - entry.second < 60 {
            switch Self.unit(of: limit) {
            case "usd": sums[entry.second, default: 0] += entry.usd
            case "tokens": sums[entry.second, default: 0] += entry.tokens
            default: sums[entry.second, default: 0] += entry.requests
            }
        }
        return sums
    }

    /// When enough old seconds have left the minute for the request to fit; when it never will,
    /// the instant at which the minute is empty.
    func minuteReset(
        of account: Account, in limit: String, asked: Amount, limit amount: Amount, at now: Int64
    ) -> Int64 {
        let sums = minuteSums(of: account, in: limit, at: now).filter { $0.value > 0 }
        var used = sums.values.reduce(0, +)
        var reset = now
        for second in sums.keys.sorted() {
            used -= sums[second]!
            reset = (second + 60) * 1_000_000_000
            if used + asked <= amount {
                return reset
            }
        }
        return reset
    }

    /// How an account stands, for every limit that is set and for the three that USAGE always
    /// names. Holds past their deadline lapse at the next command, not here.
    func usage(
        _ account: String, at now: Int64
    ) -> [String: (limit: String?, used: String, held: String)] {
        guard let account = accounts[account] else {
            return [:]
        }
        var answer: [String: (limit: String?, used: String, held: String)] = [:]
        for limit in account.limitNames.union(["usd.day", "usd.month", "usd.total"]) {
            let (used, held) = standing(of: account, in: limit, at: now)
            answer[limit] = (
                limit: account.limit(limit).map { Self.amount($0, of: limit) },
                used: Self.amount(used, of: limit),
                held: Self.amount(held, of: limit)
            )
        }
        return answer
    }

    // MARK: Time

    static func second(_ nanoseconds: Int64) -> Int64 {
        nanoseconds / 1_000_000_000
    }

    static func secondRoundedUp(_ nanoseconds: Int64) -> Int64 {
        (nanoseconds + 999_999_999) / 1_000_000_000
    }

    /// The calendar window of UTC around an instant, in nanoseconds; the end is outside.
    static func bounds(of window: String, at now: Int64) -> (start: Int64, end: Int64) {
        let hour = second(now) / 3600
        let day = hour / 24
        var start: Int64
        var end: Int64
        switch window {
        case "hour":
            (start, end) = (hour * 3600, (hour + 1) * 3600)
        case "day":
            (start, end) = (day * 86_400, (day + 1) * 86_400)
        case "week":
            // 1970-01-01 was a Thursday, three days after a Monday.
            let monday = day - (day + 3) % 7
            (start, end) = (monday * 86_400, (monday + 7) * 86_400)
        case "month":
            let date = civil(day: day)
            let first = day - (date.day - 1)
            let length = daysOfMonth(date.month, of: date.year)
            (start, end) = (first * 86_400, (first + length) * 86_400)
        default:
            preconditionFailure("no calendar window: \(window)")
        }
        start *= 1_000_000_000
        end *= 1_000_000_000
        return (start, end)
    }

    static func isLeap(_ year: Int64) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    static func daysOfMonth(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The date of a day counted from 1970-01-01, by walking there.
    static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        var (year, month, left): (Int64, Int64, Int64) = (1970, 1, day)
        while left >= (isLeap(year) ? 366 : 365) {
            left -= isLeap(year) ? 366 : 365
            year += 1
        }
        while left >= daysOfMonth(month, of: year) {
            left -= daysOfMonth(month, of: year)
            month += 1
        }
        return (year, month, left + 1)
    }
}

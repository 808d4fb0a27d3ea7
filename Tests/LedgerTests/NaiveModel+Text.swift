/// Texts in and out: options, numbers, money, instants, JSON.
extension NaiveModel {
    // MARK: Arguments

    /// `name=value` words, each name known and given once.
    static func options(
        _ words: ArraySlice<String>, allowed: Set<String>
    ) throws(Failure) -> [String: String] {
        var options: [String: String] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, allowed.contains(String(parts[0])),
                options[String(parts[0])] == nil
            else {
                throw .error
            }
            options[String(parts[0])] = String(parts[1])
        }
        if let ms = options["ms"], integer(ms) == nil {
            throw .error
        }
        guard [nil, "ring", "disk"].contains(options["ack"]) else {
            throw .error
        }
        return options
    }

    /// The usage that SETTLE and CHARGE report.
    static func usage(
        _ options: [String: String], tier: String
    ) throws(Failure) -> Usage {
        guard let input = try tokens(options["in"]), let output = try tokens(options["out"]) else {
            throw .error
        }
        let usage = Usage(
            input: input,
            cached: try tokens(options["cached"]) ?? 0,
            cacheWrite: try tokens(options["cache_write"]) ?? 0,
            output: output,
            reasoning: try tokens(options["reasoning"]) ?? 0,
            tier: try Self.tier(options["tier"]) ?? tier,
            outcome: options["outcome"] ?? "exact")
        guard usage.cached + usage.cacheWrite <= input, usage.reasoning <= output,
            ["exact", "partial", "estimated"].contains(usage.outcome)
        else {
            throw .error
        }
        return usage
    }

    /// Decimal digits and nothing else, and few enough of them for every purpose here.
    static func integer(_ text: String) -> Amount? {
        let isDigits = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return isDigits && text.utf8.count <= 30 ? Amount(text) : nil
    }

    /// A token count that may be missing.
    static func tokens(_ text: String?) throws(Failure) -> Amount? {
        guard let text else {
            return nil
        }
        guard let count = integer(text), count <= 1_000_000_000_000 else {
            throw .error
        }
        return count
    }

    static func tier(_ text: String?) throws(Failure) -> String? {
        guard [nil, "standard", "batch", "flex", "priority"].contains(text) else {
            throw .error
        }
        return text
    }

    static func holdName(_ text: String) -> (epoch: Int64, seq: Int64)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = integer(String(parts[0])),
            let seq = integer(String(parts[1])), max(epoch, seq) <= Amount(Int64.max)
        else {
            return nil
        }
        return (Int64(epoch), Int64(seq))
    }

    // MARK: Money

    /// `0.79` → 790,000,000; at most nine decimals and no more than an `Int64` holds.
    static func nanoDollars(_ text: String) -> Amount? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let dollars = integer(String(parts[0])) else {
            return nil
        }
        var nano = dollars * 1_000_000_000
        if parts.count == 2 {
            let decimals = String(parts[1])
            guard (1...9).contains(decimals.utf8.count),
                let fraction = integer(decimals + String(repeating: "0", count: 9 - decimals.count))
            else {
                return nil
            }
            nano += fraction
        }
        return nano <= Amount(Int64.max) ? nano : nil
    }

    /// Dollars without trailing zeros.
    static func money(_ nano: Amount) -> String {
        var decimals = padded(nano % 1_000_000_000, 9)
        while decimals.hasSuffix("0") {
            decimals.removeLast()
        }
        return "\(nano / 1_000_000_000)" + (decimals.isEmpty ? "" : ".\(decimals)")
    }

    /// An amount in the unit of a limit.
    static func amount(_ amount: Amount, of limit: String) -> String {
        unit(of: limit) == "usd" ? money(amount) : "\(amount)"
    }

    static func padded(_ number: Amount, _ width: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: width - digits.count) + digits
    }

    // MARK: Instants

    /// Nanoseconds as seconds, rounded up to a millisecond; never negative.
    static func secondsRoundedUp(_ nanoseconds: Int64) -> String {
        let ms = (max(0, nanoseconds) + 999_999) / 1_000_000
        return "\(ms / 1000).\(padded(Amount(ms % 1000), 3))"
    }

    /// `2026-11-22T10:00:00Z`
    static func instant(second: Int64) -> String {
        let date = civil(day: second / 86_400)
        func two(_ number: Int64) -> String {
            padded(Amount(number), 2)
        }
        return "\(date.year)-\(two(date.month))-\(two(date.day))"
            + "T\(two(second / 3600 % 24)):\(two(second / 60 % 60)):\(two(second % 60))Z"
    }

    /// `2026-11-22T10:00:00Z`, with or without a fraction of up to nine digits.
    static func nanoseconds(parsing text: String) -> Int64? {
        let halves = text.split(separator: "T", omittingEmptySubsequences: false)
        guard halves.count == 2, halves[1].hasSuffix("Z") else {
            return nil
        }
        let clock = halves[1].dropLast().split(separator: ".", omittingEmptySubsequences: false)
        let date = halves[0].split(separator: "-").map { integer(String($0)) }
        let time = clock[0].split(separator: ":").map { integer(String($0)) }
        guard clock.count <= 2, date.count == 3, time.count == 3,
            let year = date[0], let month = date[1], let dayOfMonth = date[2],
            let hour = time[0], let minute = time[1], let second = time[2],
            (1970...2200).contains(year), (1...12).contains(month),
            1 <= dayOfMonth, Int64(dayOfMonth) <= daysOfMonth(Int64(month), of: Int64(year)),
            hour < 24, minute < 60, second < 60
        else {
            return nil
        }
        var days = Int64(dayOfMonth) - 1
        for earlier in 1970..<Int64(year) {
            days += isLeap(earlier) ? 366 : 365
        }
        for earlier in 1..<Int64(month) {
            days += daysOfMonth(earlier, of: Int64(year))
        }
        var nanoseconds = days * 86_400 + Int64(hour) * 3600 + Int64(minute) * 60 + Int64(second)
        nanoseconds *= 1_000_000_000
        if clock.count == 2 {
            let digits = String(clock[1])
            guard (1...9).contains(digits.count),
                let fraction = integer(digits + String(repeating: "0", count: 9 - digits.count))
            else {
                return nil
            }
            nanoseconds += Int64(fraction)
        }
        return nanoseconds
    }

    // MARK: JSON

    /// As much JSON as payloads need.
    enum JSON: Equatable {
        case null
        case bool(Bool)
        case integer(Amount)
        /// Any other number: nothing here accepts one.
        case number(String)
        case string(String)
        case array([JSON])
        case object([String: JSON])

        init?(parsing text: String) {
            var rest = Array(text)[...]
            guard let value = Self.value(&rest) else {
                return nil
            }
            Self.skipSpaces(&rest)
            guard rest.isEmpty else {
                return nil
            }
            self = value
        }

        private static func skipSpaces(_ rest: inout ArraySlice<Character>) {
            rest = rest.drop { $0 == " " || $0 == "\t" }
        }

        /// Takes the token if it comes next.
        private static func take(_ token: String, _ rest: inout ArraySlice<Character>) -> Bool {
            skipSpaces(&rest)
            guard rest.starts(with: token) else {
                return false
            }
            rest = rest.dropFirst(token.count)
            return true
        }

        private static func value(_ rest: inout ArraySlice<Character>) -> JSON? {
            if take("null", &rest) {
                return .null
            } else if take("true", &rest) {
                return .bool(true)
            } else if take("false", &rest) {
                return .bool(false)
            } else if take("\"", &rest) {
                return restOfString(&rest).map { .string($0) }
            } else if take("[", &rest) {
                return restOfArray(&rest)
            } else if take("{", &rest) {
                return restOfObject(&rest)
            }
            let digits = rest.prefix { "+-.0123456789eE".contains($0) }
            guard let first = digits.first, first == "-" || ("0"..."9").contains(first) else {
                return nil
            }
            rest = rest.dropFirst(digits.count)
            let text = String(digits)
            return Amount(text).map { .integer($0) } ?? .number(text)
        }

        private static func restOfString(_ rest: inout ArraySlice<Character>) -> String? {
            var text = ""
            while let next = rest.popFirst() {
                if next == "\"" {
                    return text
                }
                guard next == "\\" else {
                    text.append(next)
                    continue
                }
                switch rest.popFirst() {
                case "n"?: text.append("\n")
                case "t"?: text.append("\t")
                case let plain? where "\"\\/".contains(plain): text.append(plain)
                default: return nil
                }
            }
            return nil
        }

        private static func restOfArray(_ rest: inout ArraySlice<Character>) -> JSON? {
            var items: [JSON] = []
            if take("]", &rest) {
                return .array(items)
            }
            while let item = value(&rest) {
                items.append(item)
                if take("]", &rest) {
                    return .array(items)
                } else if !take(",", &rest) {
                    return nil
                }
            }
            return nil
        }

        private static func restOfObject(_ rest: inout ArraySlice<Character>) -> JSON? {
            var members: [String: JSON] = [:]
            if take("}", &rest) {
                return .object(members)
            }
            while take("\"", &rest), let name = restOfString(&rest), take(":", &rest),
                members[name] == nil, let member = value(&rest)
            {
                members[name] = member
                if take("}", &rest) {
                    return .object(members)
                } else if !take(",", &rest) {
                    return nil
                }
            }
            return nil
        }
    }
}

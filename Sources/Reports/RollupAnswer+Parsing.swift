import Events

// The other side of `RollupAnswer.write`: for whoever asked through a socket.

extension RollupAnswer {
    /// - Parameter by: the dimensions that were asked for; an answer to something else is none.
    package init(_ json: JSON, by: [RollupQuery.Dimension]) throws(Failure) {
        guard let asOf = json["as_of"]?.integer, asOf >= 0, let rows = json["rows"]?.array,
            let total = json["total"], let next = json["next"],
            json["by"] == .strings(by.map { "\($0.name)" })
        else { throw RollupAnswer.isNone("it names no as_of, by, rows, total or next") }
        self.asOf = UInt64(asOf)
        self.total = try RollupCounts(total)
        if !next.isNull {
            let cursor = next.string ?? next.integer.map { "\($0)" } ?? ""
            guard let cursor = RollupCursor(cursor) else {
                throw RollupAnswer.isNone("its next is no place to go on from")
            }
            self.next = cursor
        }
        for row in rows {
            var labels: [String?] = []
            for dimension in by {
                guard let label = row["\(dimension.name)"], label.isNull || label.string != nil
                else { throw RollupAnswer.isNone("a row has no \(dimension.name)") }
                labels.append(label.string)
            }
            groups.append(
                Group(
                    labels: labels, counts: try RollupCounts(row), date: row["date"]?.string))
        }
        guard by.contains(where: { $0.tag != nil }) else { return }
        guard let orgs = json["orgs"]?.array else {
            throw RollupAnswer.isNone("it does not say what the dates are for which org")
        }
        for org in orgs { spans.append(try Span(org)) }
    }
    fileprivate static func isNone(_ why: String) -> Failure {
        Failure(.error, "this is no answer to ROLLUPS: \(why)")
    }
}

extension RollupAnswer.Span {
    fileprivate init(_ json: JSON) throws(Failure) {
        func time(_ name: String) -> Instant? {
            json[name]?.string.flatMap { text in text.withBytes { Instant(parsing: $0) } }
        }
        guard let zone = json["zone"]?.string, let from = time("from"),
            let to = json["to"]?.isNull == true ? .distantFuture : time("to"),
            case .bool(let isExact)? = json["exact"]
        else { throw RollupAnswer.isNone("of an org it names no zone, from, to or exact") }
        self.init(org: json["org"]?.string, zone: zone, from: from, to: to, isExact: isExact)
    }
}

extension RollupCounts {
    fileprivate init(_ json: JSON) throws(Failure) {
        self.init()
        for member in json.members ?? [] {
            switch member.name {
            case "billed": try addBilled(member.value)
            case "priced": try addPriced(member.value)
            case "reasons": try addReasons(member.value)
            case "latency": try addLatency(member.value)
            default:
                // Labels, and sums of fields, stand beside the fields.
                guard let field = RollupField.byName[member.name] else { continue }
                self[field] =
                    field.isMoney
                    ? try RollupCounts.money(member.value) : try RollupCounts.count(member.value)
            }
        }
    }
    private mutating func addBilled(_ json: JSON) throws(Failure) {
        for member in json.members ?? [] {
            guard let currency = member.name.withBytes({ Currency($0) }) else {
                throw RollupAnswer.isNone("\(member.name) is no currency")
            }
            let amount = try RollupCounts.money(member.value)
            if currency == .usd {
                self[.billedUSD] = amount
            } else {
                add(amount, under: RollupTag(currency))
            }
        }
    }
    private mutating func addPriced(_ json: JSON) throws(Failure) {
        for member in json.members ?? [] {
            guard let currency = member.name.withBytes({ Currency($0) }) else {
                throw RollupAnswer.isNone("\(member.name) is no currency")
            }
            for part in BilledPart.allCases {
                guard let amount = member.value["\(part.name)"] else { continue }
                add(try RollupCounts.money(amount), under: RollupTag(currency, part))
            }
        }
    }
    private mutating func addReasons(_ json: JSON) throws(Failure) {
        for member in json.members ?? [] {
            guard let reason = Refusal.allCases.first(where: { member.name == "\($0.name)" })
            else { throw RollupAnswer.isNone("\(member.name) is no reason") }
            add(try RollupCounts.count(member.value), under: RollupTag(reason))
        }
    }
    private mutating func addLatency(_ json: JSON) throws(Failure) {
        for pair in json.array ?? [] {
            guard let pair = pair.array, pair.count == 2,
                let lowest = pair[0].integer.flatMap({ UInt32(exactly: $0) })
            else { throw RollupAnswer.isNone("its latency is no list of pairs") }
            add(
                try RollupCounts.count(pair[1]),
                under: RollupTag(latencyBucket: LatencyHistogram.bucket(of: lowest)))
        }
    }

    private static func count(_ json: JSON) throws(Failure) -> Int64 {
        guard let count = json.integer else { throw RollupAnswer.isNone("a count is no number") }
        return count
    }
    private static func money(_ json: JSON) throws(Failure) -> Int64 {
        guard let amount = Nanodollars(signed: json.string ?? "") else {
            throw RollupAnswer.isNone("\(json) is no amount of money")
        }
        return amount.raw
    }
}

extension Nanodollars {
    /// An amount as answers have it: a correction may leave less than nothing.
    package init?(signed text: String) {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? String(text.dropFirst()) : text
        guard let amount = digits.withBytes({ try? Nanodollars(parsing: $0) }) else { return nil }
        self.init(isNegative ? -amount.raw : amount.raw)
    }
}

extension RollupField {
    fileprivate static let byName = Dictionary(
        uniqueKeysWithValues: allCases.map { ("\($0.name)", $0) })
}

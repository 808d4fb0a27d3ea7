import Events
import Journal

// What was found, with names in the place of numbers.

extension RollupScan {
    mutating func provider(
        of model: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> UInt32 {
        if let known = providerOfModel[model] { return known }
        var number = UInt32.max
        if let name = try RollupScan.name(ofModel: model, &fold, rows) {
            let provider = ModelName.provider(of: name)
            number = UInt32(providers.firstIndex(of: provider) ?? providers.count)
            if Int(number) == providers.count { providers.append(provider) }
        }
        providerOfModel[model] = number
        return number
    }
    private static func name(
        ofModel model: UInt32, _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> String? {
        if model == .max { return nil }
        guard model >= RollupFold.firstModelNumber else { return try rows.name(.model, model) }
        var name: String?
        try fold.sides.value(SideRows.key(.modelName, model), rows, &fold.foundDamage) {
            name = $0.string
        }
        return name
    }
    private static func instant(_ minutes: UInt32) -> String {
        Instant(seconds: Int64(minutes) * 60).description
    }

    /// The groups with names in the place of numbers, in order of the numbers.
    mutating func answer(
        _ fold: inout RollupFold, _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> RollupAnswer {
        var answer = RollupAnswer()
        answer.total = total
        answer.next = next
        let order = groups.keys.sorted {
            if $0.start != $1.start { return $0.start < $1.start }
            if $0.date != $1.date { return $0.date < $1.date }
            if $0.account != $1.account { return $0.account < $1.account }
            if $0.model != $1.model { return $0.model < $1.model }
            return $0.tier != $1.tier ? $0.tier < $1.tier : $0.text < $1.text
        }
        for group in order {
            let counts = sums[groups[group]!]
            if query.tag != nil, group.text == 0, counts.isZero { continue }
            var labels: [String?] = []
            for dimension in query.by {
                labels.append(try label(dimension, group, &fold, rows))
            }
            var answered = RollupAnswer.Group(labels: labels, counts: counts)
            if query.tag != nil, query.by.contains(.day) {
                answered.date = CivilDay(daysSince1970: Int64(group.date)).text
            }
            answer.groups.append(answered)
        }
        // Of whom only tags are met, it has been said on an earlier page.
        if case .tagRows? = query.after { return answer }
        for (org, span) in calendars.sorted(by: { $0.key < $1.key }) {
            func instant(_ minute: UInt32) -> Instant {
                minute == .max ? .distantFuture : Instant(seconds: Int64(minute) * 60)
            }
            answer.spans.append(
                RollupAnswer.Span(
                    org: org == .max ? nil : try rows.name(.account, org), zone: span.zone,
                    from: instant(span.minutes.lowerBound), to: instant(span.minutes.upperBound),
                    isExact: span.isExact))
        }
        return answer
    }
    private func label(
        _ dimension: RollupQuery.Dimension, _ group: Group, _ fold: inout RollupFold,
        _ rows: borrowing ProjectionRows
    ) throws(LMDBError) -> String? {
        switch dimension {
        case .day where query.tag == nil:
            return CivilDay(daysSince1970: Int64(group.date)).text
        case .hour, .day: return RollupScan.instant(group.start)
        case .key, .team, .org:
            guard group.account != .max,
                let path = try rows.name(.account, group.account)
            else { return nil }
            let depth = dimension == .key ? 3 : dimension == .team ? 2 : 1
            let names = path.split(separator: "/")
            // Of a request that was charged to no key there is no such name.
            return names.count < depth ? nil : names.prefix(depth).joined(separator: "/")
        case .model: return try RollupScan.name(ofModel: group.model, &fold, rows)
        case .provider:
            // Beside models a group is of one model, and that has a name.
            guard query.by.contains(.model) else {
                return group.model == .max ? nil : providers[Int(group.model)]
            }
            let name = try RollupScan.name(ofModel: group.model, &fold, rows)
            return name.map { ModelName.provider(of: $0) }
        case .tier: return "\((ServiceTier(rawValue: group.tier) ?? .standard).name)"
        case .user, .project, .env:
            return group.text == 0 ? nil : fold.texts.text(group.text).string
        }
    }
}

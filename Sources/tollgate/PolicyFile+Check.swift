import Events

/// Every field of a policy file is read as the event that it becomes, before anything is compared with the
/// daemon: what cannot be read says nothing, and would pass for what is not set at all.
extension PolicyFile {
    /// An account's field, as `value` goes on from it.
    func check(
        _ tier: Tier, _ account: String, _ field: PolicyNode.Entry, _ value: JSON
    ) throws(CommandFailure) {
        let subject = JSON.Member("account", .string(account))
        switch field.name {
        case "limits":
            for (limit, member) in zip(field.node.map ?? [], value.members ?? []) {
                try check(.limitsSet, account, limit, [subject], "limits", .object([member]))
            }
        case "disabled", "revoked":
            guard case .bool = value else {
                throw failure(field.line, "\(account): \(field.name) wants true or false")
            }
        case "labels": try check(.accountDescribed, account, field, [subject], "labels", value)
        case "privacy": try check(.privacySet, account, field, [subject], "fields", value)
        case "billing":
            try check(
                .billingSet, account, field, value, subject,
                besides: [
                    JSON.Member("markup_ppm", .integer(0)), JSON.Member("currency", .string("USD")),
                    JSON.Member("rate", .string("1")),
                ], "rate: 7.30")
        case "routing":
            try check(
                .routingSet, account, field, value, subject,
                besides: [JSON.Member("fallback", .string("a/b"))], "fallback: openai/gpt-4.1")
        default:
            let type: EventType =
                switch tier {
                case .org: .orgCreated
                case .team: .teamCreated
                case .key: .keyCreated
                }
            try check(type, account, field, [subject], field.name, value)
        }
    }
    func check(price: PolicyNode.Entry, _ value: JSON) throws(CommandFailure) {
        try check(
            .priceSet, price.name, price, value,
            JSON.Member("model", .string(price.name.lowercased())),
            besides: [JSON.Member("in", .string("0")), JSON.Member("out", .string("0"))],
            "in: 2.50")
    }
    func check(alias: String, _ model: String, _ line: Int) throws(CommandFailure) {
        try check(
            .aliasSet, "alias \(alias)", line,
            [JSON.Member("alias", .string(alias)), JSON.Member("model", .string(model))])
    }
    func check(operator entry: Entry) throws(CommandFailure) {
        try check(
            .operatorCreated, "operator \(entry.name)", entry.line,
            [JSON.Member("operator", .string(entry.name))] + entry.fields)
    }

    /// A payload whose parts have lines of their own: first each part alone among others that are in order,
    /// so that a mistake is told where it stands; then all of it.
    private func check(
        _ type: EventType, _ what: String, _ field: PolicyNode.Entry, _ value: JSON,
        _ subject: JSON.Member, besides others: [JSON.Member], _ example: String
    ) throws(CommandFailure) {
        let parts = try map(field.node, "\(what)'s \(field.name)", example)
        for (part, member) in zip(parts, value.members ?? []) where !member.value.isNull {
            let rest = [subject] + others.filter { $0.name != member.name }
            for (item, json) in zip(part.node.list ?? [], member.value.array ?? []) {
                let item = PolicyNode.Entry(name: part.name, line: item.line, node: item)
                try check(type, what, item, rest, member.name, .array([json]))
            }
            try check(type, what, part, rest, member.name, member.value)
        }
        try check(
            type, what, field.line,
            [subject] + (value.members ?? []).filter { !$0.value.isNull })
    }
    private func check(
        _ type: EventType, _ what: String, _ field: PolicyNode.Entry, _ others: [JSON.Member],
        _ name: String, _ value: JSON
    ) throws(CommandFailure) {
        // Whoever takes that field for the secret itself must not find it in a log.
        let isSecret = name == "secret_sha256"
        let written =
            isSecret ? "" : field.node.text.map { ", and the file says \($0)" } ?? ""
        try check(type, what, field.line, others + [JSON.Member(name, value)], written)
    }
    private func check(
        _ type: EventType, _ what: String, _ line: Int, _ members: [JSON.Member],
        _ written: String = ""
    ) throws(CommandFailure) {
        do throws(Failure) {
            _ = try Document(type: type, .object(members), strict: true)
        } catch {
            throw failure(line, "\(what): \(error.text)\(written)")
        }
    }
}

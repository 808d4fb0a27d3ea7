/// `key.rotated`: a key has a new secret; the old one lives on for the grace.
package struct KeyRotated: Sendable {
    /// A schedule that is left as it is, dropped, or replaced.
    package enum Schedule: Sendable {
        case keep
        case drop
        case every(seconds: Int64)
    }
    package var account: String
    package var graceSeconds: Int64
    package var schedule: Schedule
    /// 32 bytes.
    package var secretDigest: [UInt8]?

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: .key)
        graceSeconds = try fields.optionalInteger("grace", 0...Bounds.graceSecondsMax) ?? 0
        let isGiven = fields.names("rotate_every")
        if let seconds = try fields.optionalInteger("rotate_every", 1...Bounds.relativeSecondsMax) {
            schedule = .every(seconds: seconds)
        } else {
            schedule = isGiven ? .drop : .keep
        }
        secretDigest = try fields.optionalDigest("secret_sha256")
    }
}

/// An event about an account that says no more: `key.revoked`, `key.rotation_due`, `account.disabled` and
/// `account.enabled`.
package struct AccountNamed: Sendable {
    package var account: String
    init(_ fields: inout FieldReader, tier: Tier? = nil) throws(Failure) {
        account = try fields.account("account", tier: tier)
    }
}

/// `account.described`: what only people read.
package struct AccountDescribed: Sendable {
    /// Leave a text as it is, take it away, or replace it.
    package enum Change: Sendable {
        case keep
        case remove
        case text(String)
    }
    package var account: String
    package var name: Change
    package var owner: Change
    /// In the order of their names; nil takes all of them away.
    package var labels: [(name: String, value: String?)]?

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        name = try fields.textChange("name")
        owner = try fields.textChange("owner")
        let saysLabels = fields.names("labels")
        labels = saysLabels ? try fields.labels("labels") : []
        if case .keep = name, case .keep = owner, !saysLabels {
            throw Failure(.error, "give name, owner or labels (null takes one away)")
        }
    }
}

extension FieldReader {
    fileprivate mutating func textChange(
        _ name: String
    ) throws(Failure) -> AccountDescribed.Change {
        guard names(name) else { return .keep }
        guard let text = try optionalText(name) else { return .remove }
        return .text(text)
    }
    /// `{"team":"blue","old":null}`; nil for null.
    fileprivate mutating func labels(
        _ name: String
    ) throws(Failure) -> [(name: String, value: String?)]? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let members = value.members, members.count <= Bounds.labelsMax else {
            throw Failure(
                .error,
                "\"\(name)\" must be an object of at most \(Bounds.labelsMax) texts, such as "
                    + "{\"team\":\"blue\"}")
        }
        var labels: [(name: String, value: String?)] = []
        for member in members {
            guard member.name.withBytes({ AccountPath.isName($0) }) else {
                throw Failure(
                    .error, "label \"\(member.name)\": names are [a-z0-9][a-z0-9._-]{0,62}")
            }
            var inner = try FieldReader(.object([member]), of: .accountDescribed)
            labels.append((member.name, try inner.optionalText(member.name)))
        }
        return labels.sorted { $0.name < $1.name }
    }
}

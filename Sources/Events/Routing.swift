/// `routing.set`: what the model `auto` means to the keys of an org or a team.
package struct RoutingSet: Sendable {
    package var account: String
    /// Nil takes the account's routing away: a team then has its org's again.
    package var policy: RoutingPolicy?

    init(_ fields: inout FieldReader) throws(Failure) {
        account = try fields.account("account", tier: nil)
        guard account.withBytes({ AccountPath.tier($0) }) != .key else {
            throw Failure(
                .error,
                "account \"\(account)\" is a key's path: routing is set for an org or a team")
        }
        policy = try RoutingPolicy(&fields)
    }
}

/// Rules, in the order in which they are tried, and the model where none applies.
package struct RoutingPolicy: Hashable, Sendable {
    package var rules: [RoutingRule]
    package var fallback: String

    /// What every request for `auto` may cost the gate is bounded by these.
    package static let rulesMax = 64
    package static let promptWordsMax = 256
    /// The name that answers and events give to the fallback.
    package static var fallbackName: StaticString { "fallback" }

    /// Every model that it may come to.
    package var models: [String] {
        var models: [String] = []
        for rule in rules { models += [rule.model, rule.fallback ?? rule.model] }
        return models + [fallback]
    }
    /// Reads a policy as `GET` shows it: without the account whose it is.
    package init(_ json: JSON) throws(Failure) {
        var fields = try FieldReader(json, of: .routingSet)
        guard let policy = try RoutingPolicy(&fields) else {
            throw Failure(.error, "no policy")
        }
        self = policy
    }
    /// Nil for rules that are taken away.
    fileprivate init?(_ fields: inout FieldReader) throws(Failure) {
        let list = fields.take("rules")
        let fallback = try fields.optionalModel("fallback")
        if let list, list.isNull, fallback == nil { return nil }
        guard let fallback else {
            throw Failure(
                .error,
                "routing.set needs \"fallback\", the model where no rule applies; "
                    + "\"rules\":null without it takes the routing away")
        }
        self.fallback = fallback
        rules = []
        if let list, !list.isNull {
            guard let items = list.array else { throw Failure(.error, "\"rules\" must be a list") }
            for item in items { rules.append(try RoutingRule(item)) }
        }
        try check()
    }
    fileprivate func check() throws(Failure) {
        guard rules.count <= RoutingPolicy.rulesMax else {
            throw Failure(.error, "more than \(RoutingPolicy.rulesMax) rules")
        }
        var words = 0
        for (i, rule) in rules.enumerated() {
            if rules[..<i].contains(where: { $0.name == rule.name }) {
                throw Failure(.error, "two rules have the name \"\(rule.name)\"")
            }
            words += rule.match.prompt.count
        }
        guard words <= RoutingPolicy.promptWordsMax else {
            throw Failure(
                .error,
                "the rules have more than \(RoutingPolicy.promptWordsMax) prompt words in all")
        }
    }
}

package struct RoutingRule: Hashable, Sendable {
    package var name: String
    package var match: RoutingMatch
    package var model: String
    /// Where the key may not use the model, or it has no price or no budget.
    package var fallback: String?

    fileprivate init(_ json: JSON) throws(Failure) {
        var fields = try FieldReader(json, of: .routingSet)
        name = try fields.text("name")
        guard name.withBytes({ AccountPath.isName($0) }) else {
            throw Failure(.error, "rule \"\(name)\": names are [a-z0-9][a-z0-9._-]{0,62}")
        }
        guard !name.withBytes({ $0 == RoutingPolicy.fallbackName }) else {
            throw Failure(
                .error, "rule \"\(name)\": that is what the policy's own fallback is called")
        }
        match = try RoutingMatch(fields.take("match") ?? .object([]))
        guard !match.isEmpty else {
            throw Failure(
                .error,
                "rule \"\(name)\" has no condition and would match every request: make its model the "
                    + "fallback, or give \"match\" some of out, in, temperature, batch, priority, "
                    + "prompt, capability")
        }
        guard let model = try fields.optionalModel("model") else {
            throw Failure(.error, "rule \"\(name)\" needs \"model\"")
        }
        self.model = model
        fallback = try fields.optionalModel("fallback")
        try fields.refuseUnread()
    }
}

/// The conditions of a rule; it matches when all that are given are met.
package struct RoutingMatch: Hashable, Sendable {
    /// At most so many completion tokens, prompt tokens and degrees.
    package var output: Int64?
    package var input: Int64?
    package var temperature: Temperature?
    package var batch: Bool?
    /// Lower case.
    package var priority: String?
    /// One of these stands in the prompt; lower case.
    package var prompt: [String]
    /// The request requires all of these.
    package var capability: [String]

    package var isEmpty: Bool {
        output == nil && input == nil && temperature == nil && batch == nil && priority == nil
            && prompt.isEmpty && capability.isEmpty
    }

    fileprivate init(_ json: JSON) throws(Failure) {
        var fields = try FieldReader(json, of: .routingSet)
        output = try fields.optionalInteger("out", 0...Bounds.tokensMax)
        input = try fields.optionalInteger("in", 0...Bounds.tokensMax)
        temperature = try fields.optionalTemperature("temperature")
        batch = try fields.optionalFlag("batch")
        priority = try fields.optionalText("priority", max: Bounds.nameBytesMax)?.asciiLowercased
        prompt = try fields.optionalStrings("prompt") ?? []
        for word in prompt where word.utf8.count > Bounds.nameBytesMax {
            throw Failure(
                .error, "a prompt word has more than \(Bounds.nameBytesMax) bytes: \"\(word)\"")
        }
        prompt = prompt.map(\.asciiLowercased)
        capability = try fields.optionalStrings("capability") ?? []
        for word in capability where !word.withBytes({ AccountPath.isName($0) }) {
            throw Failure(
                .error,
                "capability \"\(word)\": a capability is [a-z0-9][a-z0-9._-]{0,62}, such as vision")
        }
        guard capability.count <= 16 else { throw Failure(.error, "more than 16 capabilities") }
        try fields.refuseUnread()
    }
}

/// A sampling temperature in millionths, so that no floating point is compared with another.
package struct Temperature: Hashable, Comparable, CustomStringConvertible, Sendable {
    package var millionths: Int32
    package static let max: Int32 = 100

    /// A plain decimal such as `0.3`, rounded half up to a millionth: clients compute theirs, and
    /// `0.30000000000000004` means 0.3.
    package init?(_ text: Bytes) {
        var value: Int64 = 0
        var decimals = -1
        var digits = 0
        for i in 0..<text.count {
            let c = text[i]
            if c == UInt8(ascii: "."), decimals < 0, digits > 0 {
                decimals = 0
                continue
            }
            guard c >= 48, c <= 57, digits < 40 else { return nil }
            digits += 1
            if decimals >= 0 { decimals += 1 }
            // One digit more than is kept, to round by; what follows it changes nothing.
            guard decimals <= 7 else { continue }
            value = value * 10 + Int64(c - 48)
            guard value <= 1_000_000_000_000 else { return nil }
        }
        guard digits > 0, decimals != 0 else { return nil }
        for _ in min(Swift.max(decimals, 0), 7)..<7 { value *= 10 }
        let rounded = (value + 5) / 10
        guard rounded <= Int64(Temperature.max) * 1_000_000 else { return nil }
        millionths = Int32(rounded)
    }
    package var description: String {
        Nanodollars(Int64(millionths) * 1_000).description
    }
    package static func < (a: Temperature, b: Temperature) -> Bool { a.millionths < b.millionths }
}

extension String {
    /// With ASCII letters in lower case and every other byte as it is: what can be compared with a
    /// caller's bytes one by one.
    package var asciiLowercased: String {
        String(decoding: utf8.map { $0 &- 65 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}

extension FieldReader {
    fileprivate mutating func optionalModel(_ name: String) throws(Failure) -> String? {
        guard let model = try optionalText(name, max: Bounds.modelBytesMax)?.lowercased() else {
            return nil
        }
        guard model.withBytes({ ModelName.isQualified($0) || ModelName.isAlias($0) }) else {
            throw Failure(
                .error, "\"\(name)\": \"\(model)\" is neither provider/model nor an alias")
        }
        return model
    }
    fileprivate mutating func optionalTemperature(_ name: String) throws(Failure) -> Temperature? {
        guard let value = take(name), !value.isNull else { return nil }
        let text: String? =
            switch value {
            case .string(let text), .number(let text): text
            default: nil
            }
        guard let found = text?.withBytes({ Temperature($0) }) else {
            throw Failure(
                .error,
                "\"\(name)\" must be a plain decimal from 0 to \(Temperature.max), such as \"0.3\"")
        }
        return found
    }
}

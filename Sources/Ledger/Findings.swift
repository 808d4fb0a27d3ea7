import Events

/// An event that says something else than the rules make of the same question.
package struct Difference: Sendable {
    /// What one of its fields says, and what is derived.
    package struct Part: Sendable, Equatable {
        package var field: String
        package var logged: String
        package var derived: String
    }
    package var seq: UInt64
    package var time: Instant
    package var type: EventType
    /// The path of the account the event is about; nil where there is none.
    package var account: String?
    package var parts: [Part]
}

/// What a log does not hold and nobody can derive from it: where an answer rests on that, the rest of it is
/// compared.
package enum Unproven: Int, CaseIterable, Sendable {
    case key, secret, rule, model, sum

    /// What is missing, and what is compared all the same.
    package var explanation: String {
        switch self {
        case .key: "refused for a key that no path names: the log never holds a secret"
        case .secret:
            "refused for a secret that was rotated away: that the key has such a one is checked"
        case .rule:
            "routed by a rule that also looks at the prompt: model, price and saving are checked"
        case .model: "refused for a model's name that cannot be written down"
        case .sum:
            "refusals that were only counted: their number is not checked, nor at a start their reason"
        }
    }
}

/// What a replay has compared, and what it found.
package struct Findings: Sendable {
    package internal(set) var differences: UInt64 = 0
    private var compared = InlineArray<64, UInt64>(repeating: 0)
    private var missing = InlineArray<5, UInt64>(repeating: 0)

    package init() {}

    /// How many events of a type were compared.
    package func compared(_ type: EventType) -> UInt64 { compared[Int(type.rawValue)] }
    /// All that were.
    package var comparedCount: UInt64 { EventType.allCases.reduce(0) { $0 + compared($1) } }
    /// How often something could not be derived.
    package func unproven(_ what: Unproven) -> UInt64 { missing[what.rawValue] }

    @inline(__always) mutating func count(_ type: UInt8) { compared[Int(type & 63)] &+= 1 }
    mutating func note(_ what: Unproven, _ times: UInt64 = 1) { missing[what.rawValue] += times }
}

extension Difference {
    /// Both sides of everything that differs, as they are gathered.
    struct Sides {
        private(set) var parts: [Part] = []

        mutating func add(_ field: String, _ logged: String, _ derived: String) {
            parts.append(Part(field: field, logged: logged, derived: derived))
        }
        mutating func compare<T: Equatable>(
            _ field: String, _ logged: T, _ derived: T, _ text: (T) -> String = { "\($0)" }
        ) {
            if logged != derived { add(field, text(logged), text(derived)) }
        }
        mutating func compare(usd logged: Int64, _ derived: Int64) {
            compare("usd", logged, derived) { "\(Nanodollars($0))" }
        }
    }
}

extension Difference {
    /// In one line: which event, and both sides of each field.
    package var text: String {
        var text = "event \(seq) \(type.name)"
        if let account { text += " of \(account)" }
        let sides = parts.map { "\($0.field): the log says \($0.logged), derived is \($0.derived)" }
        return text + ": " + sides.joined(separator: "; ")
    }
}

import Events
import Ledger
import Wire

extension Role {
    /// Whether the role may use the verb at all (DESIGN.md section 8).
    func permits(_ verb: Verb) -> Bool {
        switch verb {
        case .hello, .auth, .ping, .echo, .select, .quit, .reset, .client, .command, .config: true
        case .reserve, .check, .extend, .settle, .release, .charge: mayHold
        case .append: self == .admin || self == .developer
        case .get, .events, .tail, .tree, .log, .names, .personal:
            self == .admin || self == .auditor
        case .erase: mayErase
        case .explain: self == .admin || self == .auditor || self == .developer
        case .list, .usage, .rollups: self != .relay
        case .info: self != .relay && self != .developer
        }
    }
    /// What it may list, if it may list at all: finance reads sums and no key's details, and who else may
    /// log in concerns those who rule or audit.
    func mayList(_ kind: ListQuery.Kind) -> Bool {
        switch kind {
        case .orgs, .teams, .prices, .aliases: permits(.list)
        case .keys, .overrides: permits(.list) && self != .finance
        case .operators: self == .admin || self == .auditor
        }
    }
    static func listing(_ kind: ListQuery.Kind) -> String {
        Role.allCases.filter { $0.mayList(kind) }.map(\.name).joined(separator: ", ")
    }
    /// The roles that may use a verb, for a refusal that names them.
    static func permitted(_ verb: Verb) -> String {
        Role.allCases.filter { $0.permits(verb) }.map(\.name).joined(separator: ", ")
    }
}

extension Role {
    /// Whether it is shown what commitments were made of.
    var mayKnowPersons: Bool { self == .admin || self == .auditor }
}

extension Verb {
    /// Whether it may be used before AUTH.
    var isOpenToAll: Bool {
        switch self {
        case .hello, .auth, .quit, .reset: true
        default: false
        }
    }
    /// Whether it may append to the log, and so must wait for room in the ring.
    var mayAppend: Bool {
        switch self {
        case .reserve, .extend, .settle, .release, .charge, .append, .erase: true
        default: false
        }
    }
}

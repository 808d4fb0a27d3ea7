import Events
import Wire

extension Role {
    /// Whether the role may use the verb at all (DESIGN.md section 8).
    func permits(_ verb: Verb) -> Bool {
        switch verb {
        case .hello, .auth, .ping, .echo, .select, .quit, .reset, .client, .command, .config: true
        case .reserve, .check, .extend, .settle, .release, .charge: self == .admin || self == .relay
        case .append: self == .admin
        case .get, .events, .explain: self == .admin || self == .auditor
        case .list, .usage, .info: self != .relay
        }
    }
    /// The roles that may use a verb, for a refusal that names them.
    static func permitted(_ verb: Verb) -> String {
        Role.allCases.filter { $0.permits(verb) }.map(\.name).joined(separator: ", ")
    }
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
        case .reserve, .extend, .settle, .release, .charge, .append: true
        default: false
        }
    }
}
